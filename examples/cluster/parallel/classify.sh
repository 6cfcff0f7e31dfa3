#!/bin/sh
# Classifies a data set of Parquet files on one machine, several processes at a time:
#   BUNDLE=midashi INPUT='titles/*.parquet' OUTPUT=predicted.parquet SHARDS=64 classify.sh [midashi-predict's options]
#
# SHARDS is the number of files of the output. Running it again with the same SHARDS computes only those that are missing.
# PROCESSES times THREADS, 1 by default, is the number of cores.
set -eu
: "${SHARDS:?the number of shards}" "${BUNDLE:?the unpacked bundle}"
: "${INPUT:?the files to classify}" "${OUTPUT:?the output, whose name gets the shard}"
threads=${THREADS:-1}
processes=${PROCESSES:-$(($(nproc) / threads))}
# A process may have more threads than there are cores. To GNU parallel, 0 jobs are as many as possible.
[ "$processes" -gt 0 ] || processes=1
# Without a shard there would be nothing to do, and no error.
[ "$SHARDS" -gt 0 ] || { echo "classify.sh: found SHARDS=$SHARDS, expected a number from 1" >&2; exit 2; }

seq "$SHARDS" | parallel --quote --jobs "$processes" --retries 3 --halt now,fail=1 \
  "$BUNDLE/predict.sh" --set "run.threads=$threads" --input "$INPUT" --output "$OUTPUT" --shard "{}/$SHARDS" "$@"
