#!/bin/sh
# Spreads a sweep with GNU parallel. The arguments are the sweep's command line; JOBS runs are done at once:
#   JOBS=4 sh parallel.sh midashi-sweep --set run.threads=2 --sweep 'train.seed=1,2,3,4,5'
# GNU parallel reads further options from PARALLEL, such as those of other machines: '--sshloginfile hosts --workdir .'
set -eu

runs=$("$@" --list)
numbers() { printf '%s\n' "$runs" | jq "select(.after $1 null).number"; }

# First the runs whose work others take over. A failed run ends neither the others nor this script: --collect names it.
for first in == !=; do
  numbers "$first" | parallel --no-run-if-empty --jobs "${JOBS:-1}" --quote "$@" --run || true
done
exec "$@" --collect
