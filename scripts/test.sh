#!/usr/bin/env bash
# Installs what is needed, builds, and runs every test that this machine can. Arguments go to ctest (e.g. -L unit).
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-deps.sh
export CMAKE_BUILD_PARALLEL_LEVEL="${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}"
cmake --preset release -DZONDA_TESTS=ON
cmake --build --preset release
ctest --test-dir build/release --output-on-failure -j "$(nproc)" "$@"
