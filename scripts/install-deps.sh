#!/usr/bin/env bash
# Installs what Zonda needs to build, run and test itself on Debian 12: apt packages, nothing else.
# install-deps.sh --without-tests leaves out the outside judges and the cluster that only tests call.
set -euo pipefail

build=(build-essential ca-certificates ccache cmake git ninja-build pkg-config
  libblosc-dev libbenchmark-dev libcairo2-dev libcli11-dev libcpp-httplib-dev libcurl4-gnutls-dev libdnnl-dev libeccodes-dev libeigen3-dev libfmt-dev libgmock-dev
  libgtest-dev libhdf5-openmpi-dev libkissfft-dev liblz4-dev libnetcdf-mpi-dev libodc-dev libonnx-dev libopenmpi-dev libproj-dev libprotobuf-dev libsodium-dev libspdlog-dev
  libudunits2-dev libyaml-cpp-dev libzstd-dev nlohmann-json3-dev zlib1g-dev openmpi-bin protobuf-compiler)
run=(fonts-dejavu-core openssh-client)
judges=(cdo chromium clang-14 clang-format-14 clang-tidy-14 ecflow-client hdf5-tools libclang-rt-14-dev libeccodes-tools libomp-14-dev netcdf-bin odc python3 python3-h5py
  python3-jsonschema python3-netcdf4 python3-numcodecs python3-numpy python3-xarray python3-yaml python3-zarr
  proj-bin wrk zstd)
cross=(debootstrap g++-aarch64-linux-gnu qemu-user) # the station's program for ARM, and what it is run and installed in here
cluster=(munge slurm-wlm) # the tests start one of their own

packages=("${build[@]}" "${run[@]}")
if [ "${1:-}" != --without-tests ]; then packages+=("${judges[@]}" "${cluster[@]}" "${cross[@]}"); fi
missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi
sudo=()
if [ "$(id -u)" -ne 0 ]; then sudo=(sudo); fi
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -q
"${sudo[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}"
