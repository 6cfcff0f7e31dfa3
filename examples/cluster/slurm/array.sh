#!/bin/bash
#SBATCH --job-name=midashi
#SBATCH --array=1-16
#SBATCH --cpus-per-task=4
#SBATCH --mem=2G
#SBATCH --time=12:00:00
#SBATCH --requeue
# Classifies a data set of Parquet files, one shard for each task of the array:
#   export SHARDS=64 BUNDLE=/shared/midashi INPUT='/shared/titles/*.parquet' OUTPUT=/shared/predicted.parquet
#   sbatch --array=1-64 --export=ALL array.sh
#
# SHARDS is the number of shards, not that of the array's tasks: failed tasks can be submitted alone with the same SHARDS.
set -euo pipefail
: "${SHARDS:?the number of shards}" "${BUNDLE:?the unpacked bundle}"
: "${INPUT:?the files to classify}" "${OUTPUT:?the output, whose name gets the shard}"

if [ "$SLURM_ARRAY_TASK_ID" -lt 1 ] || [ "$SLURM_ARRAY_TASK_ID" -gt "$SHARDS" ]; then
  echo "array.sh: found task $SLURM_ARRAY_TASK_ID of the array, expected 1 to SHARDS=$SHARDS;" \
    "give --array=1-$SHARDS, or the failed tasks among these" >&2
  exit 2
fi

exec "$BUNDLE/predict.sh" --set "run.threads=$SLURM_CPUS_PER_TASK" --input "$INPUT" --output "$OUTPUT" \
  --shard "$SLURM_ARRAY_TASK_ID/$SHARDS" "$@"
