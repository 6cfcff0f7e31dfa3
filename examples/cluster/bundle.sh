#!/bin/sh
# Packs all that a machine of a cluster needs into one archive: bundle.sh MODEL BUNDLE.tar.gz
#
# It holds the Python package midashi, in which are midashi-predict, ONNX Runtime and a MeCab dictionary, the model, a script
# that runs the program without Python, and the job for Ray, which runs it from there. Run `make wheel` before.
set -eu
[ $# -eq 2 ] || { echo "usage: $0 MODEL BUNDLE.tar.gz" >&2; exit 2; }
model=$1 archive=$2
here=$(cd "$(dirname "$0")" && pwd)
[ -e "$model/labels.json" ] || { echo "$0: found no model in $model, expected a run's model/" >&2; exit 2; }
bundle=$(mktemp -d)
trap 'rm -rf "$bundle"' EXIT

PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --target "$bundle" \
  "$(ls -t "$here"/../../dist/midashi-*.whl | head -1)"
# midashi-predict reads the weights, not the ONNX files, which hold them two more times.
cp -R "$model" "$bundle/model"
rm -rf "$bundle/model/onnx" "$bundle"/model/*.onnx
cp "$here/predict.sh" "$here/ray/classify_on_ray.py" "$bundle"
chmod 755 "$bundle"
tar -czf "$archive" -C "$bundle" midashi model predict.sh classify_on_ray.py
