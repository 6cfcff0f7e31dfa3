#!/bin/sh
# midashi-predict of a bundle with the bundle's model. bundle.sh puts this script into every bundle.
here=$(cd "$(dirname "$0")" && pwd)
ORT_DYLIB_PATH=$(echo "$here"/midashi/bin/libonnxruntime*)
export ORT_DYLIB_PATH
exec "$here/midashi/bin/midashi-predict" --model "$here/model" --set "run.cache=$here/midashi/cache" "$@"
