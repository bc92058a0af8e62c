#!/usr/bin/env bash
# Installs what is needed, builds, and runs every test that this machine can. Arguments go to ctest (e.g. -L unit).
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}" # threads that wait leave the cores to others
scripts/install-deps.sh
export CMAKE_BUILD_PARALLEL_LEVEL="${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}"
cmake --preset release -DZONDA_TESTS=ON
cmake --build --preset release
ctest --test-dir build/release --output-on-failure -j "$(nproc)" "$@"
