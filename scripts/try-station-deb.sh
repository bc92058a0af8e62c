#!/usr/bin/env bash
# Installs the station's package on a bare Debian 12 and tries it there: try-station-deb.sh PACKAGE [HUB_FOLDER [REGION]].
# The Debian is a folder made by debootstrap (root; about 60 MB from the mirror, ZONDA_DEBIAN_MIRROR names another), kept in
# ZONDA_DEBIAN_ROOT where that is set. With a hub's folder the station pulls from it, forecasts once and tells how it stands;
# ZONDA_PROGRAM is the `zonda` that serves the hub. Packages for ARM run by qemu-user.
set -euo pipefail
if [ $# -lt 1 ]; then
  echo "usage: $0 PACKAGE [HUB_FOLDER [REGION]]     e.g. $0 zonda-station_0.1.0_amd64.deb site europe" >&2
  exit 2
fi
package=$(realpath "$1")
hub=${2:+$(realpath "$2")}
region=${3:-}
mirror=${ZONDA_DEBIAN_MIRROR:-http://deb.debian.org/debian}
architecture=$(dpkg-deb -f "$package" Architecture)
work=$(mktemp -d)
root=${ZONDA_DEBIAN_ROOT:-$work/root}
server=
leave() {
  [ -z "$server" ] || kill "$server" 2> /dev/null || true
  rm -rf "$work"
}
trap leave EXIT

if [ ! -e "$root/etc/debian_version" ]; then
  options=(--variant=minbase --include=systemd-sysv --arch "$architecture")
  [ "$architecture" = "$(dpkg --print-architecture)" ] || options+=(--foreign)
  debootstrap "${options[@]}" bookworm "$root" "$mirror" > "$work/debootstrap.log"
  if [ -e "$root/debootstrap/debootstrap" ]; then
    cp "$(command -v qemu-aarch64-static || command -v qemu-aarch64)" "$root/usr/bin/"
    chroot "$root" /debootstrap/debootstrap --second-stage >> "$work/debootstrap.log"
  fi
fi
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive OMP_WAIT_POLICY=passive "$@"; }
echo "bare: Debian $(cat "$root/etc/debian_version") $architecture, $(inside dpkg-query -f '.' -W | wc -c) packages"
cp /etc/resolv.conf "$root/etc/resolv.conf" 2> /dev/null || true
cp "$package" "$root/root/"
inside apt-get -qq update
inside apt-get -qq -y --no-install-recommends install "/root/$(basename "$package")" > "$work/install.log" 2>&1 || { cat "$work/install.log" >&2; exit 1; }
echo "installed: $(inside dpkg-query -f '${Package} ${Version} ${Status}' -W zonda-station), $(inside dpkg-query -f '.' -W | wc -c) packages now"
inside zonda-station --version
inside zonda-station schema > /dev/null
inside systemd-analyze verify /lib/systemd/system/zonda-station.service && echo "unit: verified"
if [ -n "$hub" ]; then
  "${ZONDA_PROGRAM:-zonda}" hub serve "$hub" --port 0 > "$work/url" 2> "$work/hub.log" &
  server=$!
  for _ in $(seq 100); do [ -s "$work/url" ] && break; sleep 0.1; done
  cp "$hub/public/metadata/root.json" "$root/etc/zonda-station/root.json"
  cat > "$root/etc/zonda-station/station.yaml" << EOF
id: bare-debian
directory: /var/lib/zonda-station
hub: {url: "$(cat "$work/url")", root: /etc/zonda-station/root.json${region:+, region: $region}}
place: {latitude: 50, longitude: 10}
EOF
  inside zonda-station once
  inside zonda-station self-test
fi
inside apt-get -qq -y purge zonda-station > /dev/null
[ ! -e "$root/usr/bin/zonda-station" ] && [ ! -e "$root/etc/zonda-station/station.yaml" ] && echo "removed"
