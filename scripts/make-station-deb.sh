#!/usr/bin/env bash
# Makes the Debian package of the station's program from a build: make-station-deb.sh BUILD_FOLDER [OUT_FOLDER].
# For ARM it asks ARM64_SYSROOT (default build/arm64-sysroot, scripts/arm64-sysroot.sh) which packages its libraries are of.
# The same program gives the same bytes.
set -euo pipefail
if [ $# -lt 1 ]; then
  echo "usage: $0 BUILD_FOLDER [OUT_FOLDER]      e.g. $0 build/release ." >&2
  exit 2
fi
source=$(cd "$(dirname "$0")/.." && pwd)
program=$(cd "$1" && pwd)/bin/zonda-station
out=$(cd "${2:-.}" && pwd)
[ -x "$program" ] || { echo "$program: not built; ninja -C $1 zonda_station" >&2; exit 3; }
case $(od -An -t u2 -j 18 -N 2 "$program" | tr -d ' ') in # e_machine of the ELF header
  62) architecture=amd64 strip=x86_64-linux-gnu-strip ;;
  183) architecture=arm64 strip=aarch64-linux-gnu-strip ;;
  *) echo "$program: of no architecture that stations have" >&2; exit 3 ;;
esac
version=$(sed -n 's/^project(zonda VERSION \([0-9.]*\).*/\1/p' "$source/CMakeLists.txt")
commit=$(git -C "$source" rev-parse --short=10 HEAD 2>/dev/null || true)
version=$version${commit:++git.$commit}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$source" log -1 --format=%ct 2>/dev/null || echo 0)}

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/root
install -D -m 755 "$program" "$root/usr/bin/zonda-station"
"${STRIP:-$(command -v "$strip" || echo strip)}" --strip-unneeded "$root/usr/bin/zonda-station"
install -D -m 644 "$source/app/station/package/zonda-station.service" "$root/lib/systemd/system/zonda-station.service"
install -D -m 644 "$source/app/station/package/station.yaml" "$root/etc/zonda-station/station.yaml"
install -D -m 644 "$source/docs/edge-operator.md" "$root/usr/share/doc/zonda-station/edge-operator.md"
install -D -m 644 "$source/LICENSE" "$root/usr/share/doc/zonda-station/copyright"

# Which packages hold the libraries it asks for.
mkdir "$stage/debian"
printf 'Source: zonda\n\nPackage: zonda-station\nArchitecture: %s\n' "$architecture" > "$stage/debian/control"
known=()
if [ "$architecture" != "$(dpkg --print-architecture)" ]; then
  sysroot=$(realpath "${ARM64_SYSROOT:-$source/build/arm64-sysroot}")
  [ -e "$sysroot/.zonda-shlibs" ] || { echo "$sysroot: not there; scripts/arm64-sysroot.sh makes it" >&2; exit 3; }
  known=("-l$sysroot/usr/lib/aarch64-linux-gnu" "-L$sysroot/.zonda-shlibs")
fi
depends=$(cd "$stage" && dpkg-shlibdeps -O "${known[@]}" -e root/usr/bin/zonda-station 2> "$stage/shlibdeps" |
  sed -n 's/^shlibs:Depends=//p')
[ -n "$depends" ] || { cat "$stage/shlibdeps" >&2; exit 1; }

mkdir "$root/DEBIAN"
cat > "$root/DEBIAN/control" <<EOF
Package: zonda-station
Version: $version
Architecture: $architecture
Maintainer: The Zonda authors <zonda@localhost>
Section: science
Priority: optional
Installed-Size: $(du -sk "$root" --exclude DEBIAN | cut -f1)
Depends: $depends, ca-certificates
Description: regional weather forecasts on a small machine
 Pulls a signed regional forecast model from a hub, verifies and tests it, runs
 it whenever new boundary data arrive, corrects it with the sensors beside it,
 and serves a page, an API and metrics, without a network for weeks.
EOF
echo /etc/zonda-station/station.yaml > "$root/DEBIAN/conffiles"
cat > "$root/DEBIAN/postinst" <<'EOF'
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
  if [ "$1" = configure ] && [ -n "$2" ]; then systemctl try-restart zonda-station.service || true; fi
fi
EOF
cat > "$root/DEBIAN/prerm" <<'EOF'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl disable --now zonda-station.service || true; fi
EOF
chmod 755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm"
package=$out/zonda-station_${version}_$architecture.deb
dpkg-deb --root-owner-group --build "$root" "$package" > /dev/null
echo "$package"
