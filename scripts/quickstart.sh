#!/usr/bin/env bash
# From a bare Debian 12 to a verified forecast: installs what is needed, builds, runs configs/quickstart.yaml.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}" # threads that wait leave the cores to others
scripts/install-deps.sh --without-tests
cmake --preset release -DZONDA_TESTS=OFF
cmake --build --preset release
build/release/bin/zonda run configs/quickstart.yaml
echo "The report: $PWD/runs/quickstart/index.html"
