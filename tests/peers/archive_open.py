#!/usr/bin/env python3
"""archive_open.py FOLDER: do ncdump, netCDF4, h5py and xarray open the files of an archive, and what do they see?

Values are read with a zstd filter where HDF5 has a plugin for it; without one, the chunks are taken raw through h5py and
decoded here (zstd by the `zstd` program, shuffle by numpy), which checks the format independently. Prints `equal NAME ERROR`
lines and exits 1 if anything differs from what archive.json says.
"""
import json
import pathlib
import subprocess
import sys

import h5py
import netCDF4
import numpy as np
import xarray

CHANNELS = 1  # dimension of /fields
failed = False


def equal(name, error):
    global failed
    print(f"equal {name} {error:g}")
    failed |= bool(error)


def decode(raw, shape):
    planes = np.frombuffer(subprocess.run(["zstd", "-dcq"], input=raw, stdout=subprocess.PIPE, check=True).stdout, np.uint8)
    return planes.reshape(4, -1).T.copy().view("<f4").reshape(shape)


def check(path, manifest, first, count):
    layout, bits = manifest["layout"], manifest["layout"]["kept_mantissa_bits"]
    header = subprocess.run(["ncdump", "-h", str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    equal("ncdump_exit_code", header.returncode)
    equal("ncdump_dimensions", int("float fields(time, channel, lat, lon)" not in header.stdout))
    equal("ncdump_phony_dimensions", header.stdout.count("phony"))

    with netCDF4.Dataset(path) as data:
        equal("netcdf4_channels", int(list(data["channel"][:]) != layout["channels"]))
        equal("netcdf4_bits", int(list(np.atleast_1d(data["fields"].kept_mantissa_bits)) != bits))

    with xarray.open_dataset(path, engine="netcdf4") as data:
        equal("xarray_dimensions", int(data["fields"].dims != ("time", "channel", "lat", "lon")))
        equal("xarray_coordinates", len({"time", "channel", "lat", "lon", "level", "variable", "unit"} - set(data.coords)))
        equal("xarray_channels", int(list(data["channel"].values) != layout["channels"]))
        equal("xarray_times", int(data.sizes["time"] != count))
        if first == 0:
            equal("xarray_first_time", abs(np.datetime64(manifest["times"]["first"].rstrip("Z")) - data["time"].values[0]).astype(float))
        equal("xarray_latitudes", int(np.any(np.diff(data["lat"].values) >= 0)))

    with h5py.File(path) as file:
        fields = file["fields"]
        equal("h5py_scales", int([d[0].name for d in fields.dims] != ["/time", "/channel", "/lat", "/lon"]))
        equal("h5py_chunk", int(fields.chunks != (1, layout["chunk"]["channels"], layout["chunk"]["rows"], fields.shape[3])))
        worst = kept = 0
        for offset in [(t, 0, 0, 0) for t in range(fields.shape[0])]:
            _, raw = fields.id.read_direct_chunk(offset)
            chunk = decode(raw, fields.chunks)[0]
            worst += int(not np.all(np.isfinite(chunk)))
            for c in range(min(chunk.shape[0], len(bits))):
                kept += int(np.any(chunk[c].view(np.uint32) & ((1 << (23 - bits[c])) - 1)))
        equal("values_not_finite", worst)
        equal("values_beyond_kept_bits", kept)
        means = {name: float(decode(fields.id.read_direct_chunk((0, 0, 0, 0))[1], fields.chunks)[0, c].mean())
                 for c, name in enumerate(layout["channels"][: fields.chunks[1]])}
        print("first means", {name: round(value, 4) for name, value in means.items()})


def main():
    folder = pathlib.Path(sys.argv[1])
    manifest = json.loads((folder / "archive.json").read_text())
    for unit in manifest["units"]:
        check(folder / unit["file"], manifest, unit["first"], unit["count"])
    if manifest["statics"]["fields"]:
        with xarray.open_dataset(folder / "static.h5", engine="netcdf4") as data:
            for field in manifest["statics"]["fields"]:
                values = data[field["channel"]].values
                raw = np.fromfile(folder / "static.h5", "<f4", values.size, offset=field["offset"]).reshape(values.shape)
                equal(f"static_{field['channel']}", float(np.abs(values - raw).max()))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
