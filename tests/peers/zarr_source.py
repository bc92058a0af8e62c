#!/usr/bin/python3
"""Zarr v2 stores made by python3-zarr and xarray, read by Zonda and by xarray: the values must be equal.

usage: zarr_source.py DUMP_SOURCE [BOUND]

DUMP_SOURCE is the program tests/ingest/sources/dump_source. Prints `equal NAME ERROR` for each store, ERROR being the
largest difference relative to the field's range; exits 1 where one exceeds BOUND (default 0: bit for bit, which
packed stores are given 1e-6 above).
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numcodecs
import numpy as np
import xarray as xr
import zarr

DUMP = sys.argv[1]
BOUND = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
FAILED = []


def weatherbench(times=9, seed=1, order=("time", "level", "longitude", "latitude")):
    """The layout of WeatherBench 2's ERA5 at 64x32: no attributes on level, float32, latitude ascending."""
    rng = np.random.default_rng(seed)
    lon = np.arange(64) * 5.625
    lat = -87.1875 + np.arange(32) * 5.625
    level = np.array([50, 100, 250, 500, 850, 1000])
    time = np.datetime64("1959-01-01T00") + np.arange(times) * np.timedelta64(6, "h")
    sizes = {"time": times, "level": level.size, "longitude": 64, "latitude": 32}

    def field(dims, mean, spread):
        values = mean + spread * rng.standard_normal([sizes[d] for d in dims])
        return (dims, values.astype("f4"))

    flat = tuple(d for d in order if d != "level")
    data = {
        "geopotential": field(order, 5e4, 3e3),
        "temperature": field(order, 260, 20),
        "u_component_of_wind": field(order, 0, 15),
        "specific_humidity": field(order, 5e-3, 1e-3),
        "2m_temperature": field(flat, 280, 15),
        "10m_u_component_of_wind": field(flat, 0, 8),
        "mean_sea_level_pressure": field(flat, 101325, 900),
        "total_precipitation_6hr": field(flat, 2e-3, 1e-4),
        "geopotential_at_surface": field(tuple(d for d in flat if d != "time"), 2000, 500),
        "land_sea_mask": (tuple(d for d in flat if d != "time"), rng.uniform(0, 1, [64, 32]).astype("f4")
                          if flat.index("longitude") < flat.index("latitude")
                          else rng.uniform(0, 1, [32, 64]).astype("f4")),
    }
    ds = xr.Dataset(data, coords={"time": time, "level": level, "longitude": lon, "latitude": lat})
    units = {"geopotential": "m**2 s**-2", "temperature": "K", "u_component_of_wind": "m s**-1",
             "specific_humidity": "kg kg**-1", "2m_temperature": "K", "10m_u_component_of_wind": "m s**-1",
             "mean_sea_level_pressure": "Pa", "total_precipitation_6hr": "m", "geopotential_at_surface": "m**2 s**-2",
             "land_sea_mask": "(0 - 1)"}
    for name, unit in units.items():
        ds[name].attrs["units"] = unit
    return ds


SHORT = {"geopotential": "z", "temperature": "t", "u_component_of_wind": "u", "specific_humidity": "q",
         "2m_temperature": "2t", "10m_u_component_of_wind": "10u", "mean_sea_level_pressure": "msl",
         "total_precipitation_6hr": "tp", "geopotential_at_surface": "orog", "land_sea_mask": "lsm"}


def compare(name, store, bound=None, expect=None):
    """Every field that Zonda names, against xarray's decoded values turned to Zonda's order."""
    bound = BOUND if bound is None else max(bound, BOUND)
    ds = expect if expect is not None else xr.open_zarr(store)
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run([DUMP, str(store), folder], capture_output=True, text=True)
        if run.returncode != 0:
            print(f"equal {name} inf  # {run.stderr.strip()}")
            FAILED.append(name)
            return
        report = json.loads(run.stdout)
        by_channel, worst, fields = {SHORT[v]: v for v in ds.data_vars if v in SHORT}, 0.0, 0
        for entry in report["fields"]:
            channel = entry["channel"]
            short = channel if channel in by_channel else channel.rstrip("0123456789")
            array = ds[by_channel[short]]
            if "time" in array.dims:
                array = array.sel(time=np.datetime64(entry["valid_time"].rstrip("Z")))
            if "level" in array.dims:
                array = array.sel(level=int(channel[len(short):]))
            array = array.transpose("latitude", "longitude").sortby("latitude", ascending=False)
            array = array.assign_coords(longitude=array.longitude % 360).sortby("longitude")
            truth = array.values.astype("f8")
            mine = np.fromfile(Path(folder) / f"{entry['index']}.f32", "<f4").reshape(truth.shape).astype("f8")
            if not np.array_equal(np.isnan(truth), np.isnan(mine)):
                worst = np.inf
                continue
            if np.isnan(truth).all():
                continue
            span = np.nanmax(truth) - np.nanmin(truth)
            worst = max(worst, np.nanmax(np.abs(mine - truth)) / (span if span > 0 else 1.0))
            fields += 1
    print(f"equal {name} {worst:.3g}  # {fields} fields")
    if not worst <= bound or fields == 0:
        FAILED.append(name)


def write(ds, folder, name, encoding=None, consolidated=True, **all_arrays):
    store = Path(folder) / f"{name}.zarr"
    encoding = encoding or {}
    for variable in ds.data_vars:
        encoding.setdefault(variable, {}).update(all_arrays)
    ds.to_zarr(store, mode="w", encoding=encoding, consolidated=consolidated)
    return store


def main():
    with tempfile.TemporaryDirectory() as folder:
        ds = weatherbench()
        chunks = {v: {"chunks": tuple(4 if d == "time" else ds.sizes[d] for d in ds[v].dims)} for v in ds.data_vars}
        fresh = lambda: {v: dict(e) for v, e in chunks.items()}
        codecs = {f"blosc_{c}": numcodecs.Blosc(cname=c, clevel=5, shuffle=s)
                  for c, s in [("lz4", 1), ("lz4hc", 2), ("zstd", 1), ("zlib", 0), ("blosclz", 1), ("snappy", 1)]
                  if c in numcodecs.blosc.list_compressors()}
        codecs |= {"zstd": numcodecs.Zstd(3), "zlib": numcodecs.Zlib(1), "gzip": numcodecs.GZip(1),
                   "lz4": numcodecs.LZ4(1), "none": None}
        for name, codec in codecs.items():
            compare(f"weatherbench_{name}", write(ds, folder, name, fresh(), compressor=codec))
        compare("not_consolidated", write(ds, folder, "plain", fresh(), consolidated=False))
        compare("level_latitude_longitude",
                write(weatherbench(order=("time", "level", "latitude", "longitude")), folder, "arco"))
        compare("latitude_first_time_last",
                write(weatherbench(order=("latitude", "longitude", "level", "time")), folder, "last"))
        west = ds.assign_coords(longitude=(ds.longitude + 180) % 360 - 180).sortby("longitude")
        compare("longitudes_from_minus_180", write(west, folder, "west"))
        down = ds.isel(latitude=slice(None, None, -1))
        compare("north_first", write(down, folder, "north"))

        holes = ds.copy(deep=True)
        for v in ("2m_temperature", "temperature"):
            holes[v].values[1, ..., 3:9] = np.nan
        compare("missing_values", write(holes, folder, "holes"))

        packed = {v: {"dtype": "i2", "scale_factor": 0.01, "add_offset": 260.0, "_FillValue": -32767}
                  for v in ("temperature", "2m_temperature")}
        compare("packed_int16", write(holes, folder, "packed", packed), bound=1e-6)
        big = {v: {"dtype": ">f4"} for v in ds.data_vars}
        compare("big_endian", write(ds, folder, "big", big))
        double = {v: {"dtype": "<f8"} for v in ds.data_vars}
        compare("double", write(ds, folder, "double", double), bound=1e-6)

        # Stores that only zarr itself can make: order F, nested keys, filters, chunks that are not there.
        def raw(name, edit):
            store = write(ds, folder, name)
            group = zarr.open_group(str(store), mode="a")
            for v in ("geopotential", "2m_temperature"):
                attributes, values = dict(group[v].attrs), group[v][...]
                del group[v]
                array = edit(group, v, values)
                array.attrs.update(attributes)
            zarr.consolidate_metadata(str(store))
            return store

        def create(**options):
            def edit(group, v, values):
                array = group.create_dataset(v, shape=values.shape, dtype=values.dtype,
                                             chunks=tuple(max(1, n // 2) for n in values.shape), fill_value=np.nan,
                                             **options)
                array[...] = values
                return array
            return edit

        compare("order_F", raw("fortran", create(order="F")))
        compare("nested_keys", raw("nested", create(dimension_separator="/")))
        compare("shuffle_filter", raw("shuffle", create(filters=[numcodecs.Shuffle(4)], compressor=numcodecs.Zlib(1))))
        compare("delta_filter", raw("delta", create(filters=[numcodecs.Delta("<f4")])), bound=1e-5)
        compare("fixedscaleoffset_filter", raw("fixed", create(
            filters=[numcodecs.FixedScaleOffset(offset=300, scale=100, dtype="<f4", astype="<i4")])), bound=1e-6)
        compare("bitround_filter", raw("bitround", create(filters=[numcodecs.BitRound(10)])))
        compare("quantize_filter", raw("quantize", create(filters=[numcodecs.Quantize(3, "<f4")])))
        compare("crc32_filter", raw("crc32", create(filters=[numcodecs.CRC32()])))
        compare("filters_chain", raw("chain", create(
            filters=[numcodecs.FixedScaleOffset(offset=300, scale=10, dtype="<f4", astype="<i4"),
                     numcodecs.Delta("<i4"), numcodecs.Shuffle(4)], compressor=numcodecs.Blosc("lz4"))), bound=1e-6)

        def half(group, v, values):
            array = group.create_dataset(v, shape=values.shape, dtype=values.dtype, chunks=(3,) + values.shape[1:],
                                         fill_value=np.nan)
            array[:3] = values[:3]
            return array

        compare("absent_chunks", raw("absent", half))

        integers = {v: {"filters": [numcodecs.Delta("<i2")], "dtype": "i2", "scale_factor": 0.01, "add_offset": 260.0}
                    for v in ("temperature", "2m_temperature")}
        compare("packed_delta", write(ds, folder, "packed_delta", integers), bound=1e-6)
    return 1 if FAILED else 0


if __name__ == "__main__":
    status = main()
    if FAILED:
        print("beyond the bound: " + ", ".join(FAILED), file=sys.stderr)
    sys.exit(status)
