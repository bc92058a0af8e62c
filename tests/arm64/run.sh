#!/usr/bin/env bash
# run.sh EXPORT_SAMPLES: builds what stations run for ARM (preset arm64), runs its tests by qemu-user, and lets the program
# for ARM run bundles that this machine has exported: their golden samples judge it. Exits 77 where the cross compiler, qemu or
# Debian's archive is out of reach.
set -euo pipefail
cd "$(dirname "$0")/../.."
for program in aarch64-linux-gnu-g++ qemu-aarch64; do
  command -v "$program" > /dev/null || { echo "skipped: no $program"; exit 77; }
done
scripts/arm64-sysroot.sh || { echo "skipped: Debian for ARM could not be fetched"; exit 77; }
cmake --preset arm64 -DZONDA_TESTS=ON > /dev/null
programs=(test_station_network test_bundle) # every int8 kernel, mapped weights, merged tokens; the bundle's reader
cmake --build --preset arm64 --target zonda_station edge_step "${programs[@]}"
export OMP_WAIT_POLICY=passive
root=build/arm64-sysroot
on_arm() { qemu-aarch64 -cpu "${cpu:-max,pauth-impdef=on}" -L "$root" "$@"; }
for program in "${programs[@]}"; do on_arm "build/arm64/bin/$program" --gtest_brief=1; done
on_arm build/arm64/bin/zonda-station --version
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
package=$(scripts/make-station-deb.sh build/arm64 "$folder")
[ "$(dpkg-deb -f "$package" Architecture)" = arm64 ]
dpkg-deb -f "$package" Depends | grep -q libcurl3-gnutls
dpkg-deb -x "$package" "$folder/installed"
on_arm "$folder/installed/usr/bin/zonda-station" schema > /dev/null
echo "$(basename "$package"): $(dpkg-deb -f "$package" Depends)"
mapfile -t bundles < <("$1" "$folder")
failed=0
for bundle in "${bundles[@]}"; do
  for cpu in max,pauth-impdef=on cortex-a72; do # with and without dot products of bytes
    told=$(cpu=$cpu on_arm build/arm64/bin/edge_step "$bundle" "$folder/output" 2)
    python3 - "$bundle/manifest.json" "$told" "$(basename "$bundle") $cpu" << 'EOF' || failed=1
import json, sys
bound, error = json.load(open(sys.argv[1]))["golden_tolerance"], json.loads(sys.argv[2])["self_test"]
print(f"{sys.argv[3]}: {error:.2e} of {bound:.2e} allowed")
sys.exit(not error <= bound)
EOF
  done
done
exit $failed
