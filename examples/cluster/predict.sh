#!/bin/sh
# midashi-predict of a bundle with the bundle's model. bundle.sh puts this script into every bundle.
here=$(cd "$(dirname "$0")" && pwd)
ORT_DYLIB_PATH=$(echo "$here"/midashi/bin/libonnxruntime*)
# Otherwise the program would read a pipeline.toml of the current folder, which may be another project's.
MIDASHI_CONFIG=${MIDASHI_CONFIG:-/dev/null}
export ORT_DYLIB_PATH MIDASHI_CONFIG
exec "$here/midashi/bin/midashi-predict" --model "$here/model" --set "run.cache=$here/midashi/cache" "$@"
