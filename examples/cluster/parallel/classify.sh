#!/bin/sh
# Classifies a data set of Parquet files on one machine, several processes at a time:
#   BUNDLE=midashi INPUT='titles/*.parquet' OUTPUT=predicted.parquet SHARDS=64 classify.sh [midashi-predict's options]
#
# THREADS times PROCESSES is the number of cores. Running it again computes only the shards that are missing.
set -eu
: "${BUNDLE:?the unpacked bundle}" "${INPUT:?the files to classify}" "${OUTPUT:?the output, whose name gets the shard}"
threads=${THREADS:-1}
processes=${PROCESSES:-$(($(nproc) / threads))}
shards=${SHARDS:-$processes}

seq "$shards" | parallel --quote --jobs "$processes" --retries 3 --halt now,fail=1 \
  "$BUNDLE/predict.sh" --set "run.threads=$threads" --input "$INPUT" --output "$OUTPUT" --shard "{}/$shards" "$@"
