#!/usr/bin/python3
"""NetCDF files read by Zonda and by xarray, GRIB files by Zonda and by ecCodes' grib_get_data: the same values.

usage: file_source.py DUMP_SOURCE [BOUND]

DUMP_SOURCE is the program tests/ingest/sources/dump_source. The files are those of $ZONDA_SHARED_DATA (else
../shared/data beside the project); without them nothing is compared. Prints `equal NAME ERROR`, ERROR being the largest
difference relative to the field's range, and exits 1 where one exceeds BOUND (default 2e-6: xarray unpacks in float32).
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

DUMP = sys.argv[1]
BOUND = float(sys.argv[2]) if len(sys.argv) > 2 else 2e-6
DATA = Path(os.environ.get("ZONDA_SHARED_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))
FAILED = []
GRAVITY = 9.80665


def dump(path, folder):
    run = subprocess.run([DUMP, str(path), str(folder)], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)["fields"]


def report(name, worst, fields):
    print(f"equal {name} {worst:.3g}  # {fields} fields")
    if not worst <= BOUND or fields == 0:
        FAILED.append(name)


def difference(mine, truth):
    if not np.array_equal(np.isnan(truth), np.isnan(mine)):
        return np.inf
    span = np.nanmax(truth) - np.nanmin(truth)
    return np.nanmax(np.abs(mine - truth)) / (span if span > 0 else 1.0)


def netcdf(path, names, time_name, factors, most=60):
    """names: Zonda's short name -> the file's; factors: the unit's."""
    ds = xr.open_dataset(path)
    lat = next(c for c in ds.coords if c.startswith("lat"))
    lon = next(c for c in ds.coords if c.startswith("lon"))
    with tempfile.TemporaryDirectory() as folder:
        fields = dump(path, folder)
        worst, count = 0.0, 0
        step = max(1, len(fields) // most)
        for entry in fields[::step]:
            channel = entry["channel"]
            short = channel if channel in names else channel.rstrip("0123456789")
            array = ds[names[short]]
            if time_name in array.dims:
                array = array.sel({time_name: np.datetime64(entry["valid_time"].rstrip("Z"))})
            if "level" in array.dims:
                array = array.sel(level=int(channel[len(short):]))
            array = array.transpose(lat, lon).sortby(lat, ascending=False)
            if array[lon].max() - array[lon].min() > 350:
                array = array.assign_coords({lon: array[lon] % 360}).sortby(lon)
            truth = array.values.astype("f8") * factors.get(short, 1.0)
            mine = np.fromfile(f"{folder}/{entry['index']}.f32", "<f4").reshape(truth.shape).astype("f8")
            worst = max(worst, difference(mine, truth))
            count += 1
        report(Path(path).name, worst, count)


def grib(path, most=12):
    """Messages and fields are paired by name, level, time, step and member."""
    keys = "shortName,typeOfLevel,level,validityDate,validityTime,stepRange,number,Ni,Nj,edition,count"
    listing = subprocess.run(["grib_get", "-f", "-p", keys, str(path)], capture_output=True, text=True).stdout.splitlines()
    names = {"gh": "z", "prmsl": "msl"}
    messages = {}
    for line in listing:
        name, kind, level, date, time, steps, number, ni, nj, _, count = line.split()
        channel = names.get(name, name) + (level if kind == "isobaricInhPa" else "")
        valid = f"{date[:4]}-{date[4:6]}-{date[6:]}T{int(time):04d}"
        key = (channel, valid[:13] + ":" + valid[13:] + ":00Z", int(steps.split("-")[-1]),
               int(number) if number.isdigit() else 0)
        messages.setdefault(key, (int(count), int(ni), int(nj), GRAVITY if name == "gh" else 1.0, name))
    with tempfile.TemporaryDirectory() as folder:
        fields = dump(path, folder)
        worst, count = 0.0, 0
        for entry in fields[::max(1, len(fields) // most)]:
            hours = 0
            if "reference_time" in entry:
                hours = int((np.datetime64(entry["valid_time"][:-1]) - np.datetime64(entry["reference_time"][:-1]))
                            / np.timedelta64(1, "h"))
            found = messages.get((entry["channel"], entry["valid_time"], hours, entry.get("member", 0)))
            if found is None:
                continue
            number, ni, nj, factor, _ = found
            if entry["channel"] in ("tp", "tcc"):
                continue  # units that differ by edition
            text = subprocess.run(["grib_get_data", "-w", f"count={number}", "-m", "nan", "-F", "%.9e", str(path)],
                                  capture_output=True, text=True).stdout.splitlines()[1:]
            table = np.array([line.replace(",", " ").split() for line in text], dtype="f8")
            table = table[np.lexsort((table[:, 1] % 360, -table[:, 0]))]
            truth = table[:, 2].reshape(nj, ni) * factor
            mine = np.fromfile(f"{folder}/{entry['index']}.f32", "<f4").astype("f8")
            if mine.size != truth.size:
                worst = np.inf
                continue
            west = np.argmin(table[:ni, 1] % 360)
            worst = max(worst, difference(mine.reshape(nj, ni), np.roll(truth, -west, axis=1)))
            count += 1
        report(Path(path).name, worst, count)


def main():
    if not DATA.is_dir():
        print(f"skipped: {DATA} is not here")
        return 0
    netcdf(DATA / "speedy_simulation/speedy_t30_6h_1982h2.nc",
           {"z": "z", "t": "t", "u": "u", "v": "v", "q": "q", "sp": "ps"}, "time", {"z": GRAVITY})
    netcdf(DATA / "era5/era5_sfc_us_midwest_19950714T12.nc",
           {"10u": "u10", "10v": "v10", "2d": "d2m", "2t": "t2m", "sp": "sp"}, "time", {})
    netcdf(DATA / "era5/era5_static_geopotential_0p25.nc", {"orog": "z"}, "time", {})
    netcdf(DATA / "era5/era5_static_land_sea_mask_0p25.nc", {"lsm": "lsm"}, "time", {})
    grib(DATA / "gfs_wind_1p00_michael_2018/gfs_1p00_10mwind_2018100618_f000.grib2")
    grib(DATA / "ecmwf/ecmwf_pl_10deg_20240603-04.grib", 30)
    grib(DATA / "ecmwf/ecmwf_zt_500_850_20070101.grib")
    grib(DATA / "era5/era5_eda10_z_t_500_850_3deg_20170101-02.grib")
    grib(DATA / "full_state/gfs_2p5_2011011012_f120.grib2", 40)
    grib(DATA / "full_state/gfs_flxf_2006040100.grb")
    return 1 if FAILED else 0


if __name__ == "__main__":
    status = main()
    if FAILED:
        print("beyond the bound: " + ", ".join(FAILED), file=sys.stderr)
    sys.exit(status)
