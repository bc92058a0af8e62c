#!/usr/bin/env bash
# Unpacks Debian 12 for ARM, as far as the station's program needs it, into a folder to cross-compile against and run in
# (preset arm64): arm64-sysroot.sh [FOLDER], default build/arm64-sysroot. About 40 MB to fetch; the machine's own packages stay
# as they are. Needs apt-get, dpkg-deb and Debian's archive keyring; ZONDA_DEBIAN_MIRROR names another mirror.
set -euo pipefail
source=$(cd "$(dirname "$0")/.." && pwd)
root=${1:-$source/build/arm64-sysroot}
mirror=${ZONDA_DEBIAN_MIRROR:-http://deb.debian.org/debian}
packages=(libc6-dev libstdc++-12-dev libgomp1 libcli11-dev libcpp-httplib-dev libcurl4-gnutls-dev libfmt-dev libgmock-dev libgtest-dev
  libsodium-dev libspdlog-dev libyaml-cpp-dev libzstd-dev nlohmann-json3-dev zlib1g-dev)
keys=/usr/share/keyrings/debian-archive-keyring.gpg

content="bookworm, shlibs: ${packages[*]}"
if [ "$(cat "$root/.zonda-packages" 2>/dev/null)" = "$content" ]; then
  echo "$root"
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/root"
: > "$work/status"
echo "deb [signed-by=$keys] $mirror bookworm main" > "$work/sources.list"
cat > "$work/apt.conf" << EOF
Dir::State "$work";
Dir::State::status "$work/status";
Dir::State::lists "$work/lists";
Dir::Cache "$work/cache";
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "/nonexistent";
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "";
Acquire::Languages "none";
EOF
export APT_CONFIG=$work/apt.conf
apt-get -qq update >&2
apt-get -qq -y --no-install-recommends --download-only install "${packages[@]}" >&2
for package in "$work"/cache/archives/*.deb; do
  dpkg-deb -x "$package" "$work/root"
  dpkg-deb -I "$package" shlibs 2> /dev/null || true # which package a program depends on that asks for a library
done | sort -u > "$work/shlibs"
mv "$work/shlibs" "$work/root/.zonda-shlibs"
# Debian's root is merged; absolute links would lead out of the folder.
for folder in bin lib sbin; do
  if [ -d "$work/root/$folder" ]; then
    mkdir -p "$work/root/usr/$folder"
    cp -a "$work/root/$folder/." "$work/root/usr/$folder/"
    rm -rf "${work:?}/root/$folder"
  fi
  ln -s "usr/$folder" "$work/root/$folder"
done
find "$work/root" -type l -lname '/*' | while read -r link; do
  ln -sfn "$(realpath -ms --relative-to="$(dirname "$link")" "$work/root$(readlink "$link")")" "$link"
done
rm -rf "$work"/root/usr/share/{doc,man,locale,lintian}
echo "$content" > "$work/root/.zonda-packages"
mkdir -p "$(dirname "$root")"
rm -rf "$root"
mv "$work/root" "$root"
echo "$root"
