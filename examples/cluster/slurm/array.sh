#!/bin/bash
#SBATCH --job-name=midashi
#SBATCH --array=1-16
#SBATCH --cpus-per-task=4
#SBATCH --mem=2G
#SBATCH --time=12:00:00
#SBATCH --requeue
# Classifies a data set of Parquet files, one shard for each task of the array:
#   sbatch --export=ALL,BUNDLE=/shared/midashi,INPUT='/shared/titles/*.parquet',OUTPUT=/shared/predicted.parquet array.sh
set -euo pipefail
: "${BUNDLE:?the unpacked bundle}" "${INPUT:?the files to classify}" "${OUTPUT:?the output, whose name gets the shard}"

# With --array=3,7 there would be two shards of all rows.
if [ "$SLURM_ARRAY_TASK_MIN-$SLURM_ARRAY_TASK_MAX" != "1-$SLURM_ARRAY_TASK_COUNT" ]; then
  echo "array.sh: found an array of $SLURM_ARRAY_TASK_COUNT tasks up to $SLURM_ARRAY_TASK_MAX, expected 1-N;" \
    "submit the whole array again: finished shards end at once" >&2
  exit 2
fi

exec "$BUNDLE/predict.sh" --set "run.threads=$SLURM_CPUS_PER_TASK" --input "$INPUT" --output "$OUTPUT" \
  --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" "$@"
