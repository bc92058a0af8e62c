#!/usr/bin/env python3
"""Outside judges of a CF NetCDF file: ncdump, CDO and xarray must read it without a complaint, and agree on its numbers.

usage: cf_file.py FILE [FILE ...]
       cf_file.py --sample PROGRAM     PROGRAM FOLDER writes files of every shape; all are judged

Prints `equal NAME ERROR` lines (0 complaints wanted; relative difference of means between CDO and xarray) and exits 1
where a judge complains. Exits 77 (skipped) where a judge is not installed.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import warnings

try:
    import numpy as np
    import xarray as xr
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)


def complaints_of(command):
    """Runs a judge; returns its output and what it complains of."""
    run = subprocess.run(command, capture_output=True, text=True)
    text = run.stdout + run.stderr
    lines = [line for line in text.splitlines() if re.search(r"warning|error|unsupported|skipp|not found|inconsist", line, re.I)]
    if run.returncode != 0:
        lines.append(f"exit code {run.returncode}: {run.stderr.strip()}")
    return run.stdout, lines


def judge_plane(data, grids):
    """A projected grid: CDO sees a projection or a curvilinear grid, and PROJ's program finds the cells where the file has them."""
    bad = []
    crs = data["crs"].attrs
    if not re.search(r"gridtype\s*=\s*(projection|curvilinear)", grids):
        bad.append("cdo griddes: no projection")
    if crs.get("grid_mapping_name") not in grids:
        bad.append(f"cdo griddes: no {crs.get('grid_mapping_name')}")
    if shutil.which("proj"):
        if crs["grid_mapping_name"] == "rotated_latitude_longitude":
            # PROJ's angles are radians where it knows no other unit.
            x, y = np.radians(np.meshgrid(data.rlon.values, data.rlat.values))
            text = (f"+proj=ob_tran +o_proj=longlat +o_lat_p={crs['grid_north_pole_latitude']} +o_lon_p={crs['north_pole_grid_longitude']} "
                    f"+lon_0={crs['grid_north_pole_longitude'] + 180} +R={crs['earth_radius']}")
        else:
            x, y = np.meshgrid(data.x.values, data.y.values)
            text = crs["proj4"]
        projection = text.split()
        text = "\n".join(f"{a:.12f} {b:.12f}" for a, b in zip(x.ravel(), y.ravel()))
        run = subprocess.run(["proj", "-I", "-f", "%.9f", *projection], input=text, capture_output=True, text=True)
        found = np.array([line.split()[:2] for line in run.stdout.splitlines()], dtype="f8")
        if found.shape != (x.size, 2):
            return bad + [f"proj: {run.stderr.strip()}"]
        off = max(np.abs(found[:, 1] - data.lat.values.ravel()).max(),
                  np.abs((found[:, 0] - data.lon.values.ravel() + 180) % 360 - 180).max())
        if off > 2e-9:
            bad.append(f"proj: cells are {off} degrees off")
    return bad


def judge(path):
    """All complaints about one file."""
    bad = []
    header, lines = complaints_of(["ncdump", "-h", str(path)])
    bad += [f"ncdump: {line}" for line in lines]
    for command in ("sinfov", "infon", "griddes", "zaxisdes"):
        text, lines = complaints_of(["cdo", "-s", command, str(path)])
        bad += [f"cdo {command}: {line}" for line in lines]
        if command == "infon":
            infon = text
        if command == "griddes":
            grids = text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="numpy.ndarray size changed")  # of Debian's netCDF4, not of the file
        try:
            with xr.open_dataset(path, decode_cf=True, decode_coords="all") as data:
                data.load()
        except Exception as error:  # any warning or error of xarray is a finding
            return bad + [f"xarray: {type(error).__name__}: {error}"], 0.0

    # Coordinates are found as coordinates, and fields have at most four dimensions, time first.
    for name in ("lat", "lon", "time"):
        if name not in data.coords:
            bad.append(f"xarray: {name} is no coordinate")
    for name, field in data.data_vars.items():
        if field.ndim > 4 or ("time" in field.dims and field.dims[0] != "time"):
            bad.append(f"{name}: dimensions {field.dims}")
        for attribute in ("standard_name", "units", "long_name"):
            if attribute not in field.attrs and not np.issubdtype(field.dtype, np.timedelta64):
                bad.append(f"{name}: no {attribute}")
    kinds = set(re.findall(r"gridtype\s*=\s*(\w+)", grids))
    latitudes = data.lat.values
    nodes = np.zeros(0)
    if latitudes.ndim == 1:
        nodes = np.degrees(np.arcsin(np.polynomial.legendre.leggauss(latitudes.size)[0]))[::-1]
    plane = "crs" in data.coords or "crs" in data.variables
    if plane:
        bad += judge_plane(data, grids)
    else:
        expected = "gaussian" if latitudes.shape == nodes.shape and np.allclose(latitudes, nodes, atol=1e-6) else "lonlat"
        if kinds != {expected}:
            bad.append(f"cdo griddes: gridtype {sorted(kinds)}, expected {expected}")

    # CDO's means (unweighted, of `infon`) against xarray's.
    worst = 0.0
    records = [line.split() for line in infon.splitlines() if re.match(r"\s*\d+ :", line)]
    names = {name for name in data.data_vars}
    seen = set()
    for words in records:
        # index : date time level gridsize miss : minimum mean maximum : name
        date, time, level, mean, name = words[2], words[3], float(words[4]), float(words[9]), words[12]
        if name not in names:
            bad.append(f"cdo infon: unknown name {name}")
            continue
        seen.add(name)
        field = data[name]
        if "time" in field.dims:
            field = field.sel(time=f"{date}T{time}")
        axis = [d for d in field.dims if d.startswith("level")]
        if axis:
            field = field.sel({axis[0]: level})
        values = field.values.astype("f8")
        wanted = float(np.nanmean(values))  # `infon` does not weight
        spread = float(np.nanmax(np.abs(values)))
        worst = max(worst, abs(wanted - mean) / max(spread, 1e-30))
    for name in names - seen:
        bad.append(f"cdo infon: does not see {name}")
    return bad, worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    parser.add_argument("--sample", help="program that writes sample files into a folder")
    arguments = parser.parse_args()
    for tool in ("ncdump", "cdo"):
        if shutil.which(tool) is None:
            print(f"skipped: {tool} is not installed")
            return 77
    if not arguments.files and not arguments.sample:
        parser.error("no file to judge")
    with tempfile.TemporaryDirectory() as folder:
        files = list(arguments.files)
        if arguments.sample:
            subprocess.run([arguments.sample, folder], check=True)
            files += sorted(pathlib.Path(folder).glob("*.nc"))
        failed = False
        for path in files:
            bad, worst = judge(path)
            print(f"equal complaints:{path.name} {len(bad)}")
            print(f"equal cdo_xarray_mean:{path.name} {worst:.2e}")
            for line in bad:
                print(f"  {line}")
            failed |= bool(bad) or worst > 1e-4  # `infon` prints five figures
        return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
