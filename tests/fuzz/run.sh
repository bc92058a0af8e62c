#!/usr/bin/env bash
# Builds the fuzzers (preset fuzz: clang) and runs each for seconds. Exits 77 where clang or its fuzzer runtime is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' |
  clang++-14 -x c++ -fsanitize=fuzzer - -o /dev/null 2>/dev/null; then
  echo "skipped: clang++-14 with libFuzzer is not installed"
  exit 77
fi
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target fuzz_config fuzz_words fuzz_zarr fuzz_grib fuzz_netcdf fuzz_bufr fuzz_csv fuzz_odb \
  fuzz_archive_manifest fuzz_archive_chunks \
  fuzz_bundle fuzz_feed fuzz_forecast_file fuzz_sensor_reports fuzz_trust fuzz_delta
ctest --test-dir build/fuzz --output-on-failure -L fuzz
