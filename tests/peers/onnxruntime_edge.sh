#!/usr/bin/env bash
# onnxruntime_edge.sh PYTHON EXPORT_SAMPLES EDGE_STEP: exports sample networks and lets ONNX Runtime judge them.
# Exits 77 where the interpreter or its packages are absent.
set -euo pipefail
here=$(dirname "$0")
python=${1:-}
if [ -z "$python" ]; then
  echo "skipped: ZONDA_ONNX_PYTHON names no interpreter with onnx, onnxruntime and numpy"
  exit 77
fi
if ! "$python" -c "import numpy, onnx, onnxruntime" 2>/dev/null; then
  echo "skipped: $python has no onnx, onnxruntime or numpy"
  exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mapfile -t bundles < <("$2" "$folder")
"$python" "$here/onnxruntime_edge.py" --step "$3" "${bundles[@]}"
