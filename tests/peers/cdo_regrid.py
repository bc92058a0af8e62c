#!/usr/bin/env python3
"""Regridding against CDO (remapbil, remapcon) on the same files in the same minute.

usage: cdo_regrid.py --program build/release/bin/regrid_file [--max-error 1e-5] [--max-integral 1e-12] [--min-ratio 1]

PROGRAM IN.nc OUT.nc GRID METHOD reads, regrids and writes a file, as `cdo remapbil,GRID IN.nc OUT.nc` does; both are timed
whole, as processes, in turns. Prints
  equal NAME ERROR       largest difference from CDO as a part of the field's range, rows within 85 degrees of the equator
  equal integral:NAME E  relative change of the area integral by our conservative regridding (in double)
  ratio NAME VALUE       CDO's time divided by ours, medians; above 1 we are faster
and exits 1 where a bound given on the command line is missed, 77 where CDO or the libraries are not installed.
Real fields of $ZONDA_SHARED_DATA/era5 are used as well where they are.
"""
import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

try:
    import numpy as np
    import xarray as xr
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

METHODS = {"bilinear": "remapbil", "conservative": "remapcon"}


def gaussian_latitudes(n):
    return np.degrees(np.arcsin(np.polynomial.legendre.leggauss(n)[0]))[::-1]


GRIDS = {
    "latlon 721x1440": (np.linspace(90, -90, 721), np.arange(1440) * 0.25),
    "latlon 181x360": (np.linspace(90, -90, 181), np.arange(360) * 1.0),
    "latlon 90x180 no-poles": (89 - 2.0 * np.arange(90), np.arange(180) * 2.0),
    "gaussian 96x192": (gaussian_latitudes(96), np.arange(192) * 1.875),
    "gaussian 48x96": (gaussian_latitudes(48), np.arange(96) * 3.75),
    "regional 60..25x71 350..40x101": (np.linspace(60, 25, 71), np.arange(101) * 0.5 - 10),
}


def bounds(latitudes):
    """Midpoints between rows, the poles at the ends: the cells of a global grid."""
    return np.concatenate([[90], (latitudes[1:] + latitudes[:-1]) / 2, [-90]])


def row_areas(latitudes):
    return -np.diff(np.sin(np.radians(bounds(latitudes))))


def integral(values, latitudes):
    weights = row_areas(latitudes)[:, None] / values.shape[-1]
    return float(np.longdouble(values.astype(np.longdouble) * weights).sum())


def smooth(latitudes, longitudes, seed, dtype):
    """Random waves to wavenumber 12, on the sphere: products of Cartesian coordinates, so smooth at the poles too."""
    random = np.random.default_rng(seed)
    lat, lon = np.radians(latitudes)[:, None], np.radians(longitudes)[None, :]
    x, y, z = np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat) + 0 * lon
    field = 3.0 * z
    for _ in range(6):
        a = random.normal(size=3)
        a *= random.uniform(2, 12) / np.linalg.norm(a)
        field = field + np.cos(a[0] * x + a[1] * y + a[2] * z + random.uniform(0, 6))
    return field.astype(dtype)


def write(path, latitudes, longitudes, fields, fill=None):
    data = xr.Dataset(
        {"t": (("time", "lat", "lon"), fields, {"units": "K"})},
        {
            "time": ("time", np.arange(len(fields)) * 6.0, {"units": "hours since 2020-01-01", "calendar": "standard"}),
            "lat": ("lat", latitudes, {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": ("lon", longitudes, {"units": "degrees_east", "standard_name": "longitude"}),
        },
    )
    data.to_netcdf(path, format="NETCDF4", encoding={"t": {"_FillValue": fill}, "lat": {"_FillValue": None}, "lon": {"_FillValue": None}})


def describe(path, latitudes, longitudes):
    """A grid description for CDO."""
    kind = "gaussian" if len(latitudes) % 2 == 0 and np.allclose(latitudes, gaussian_latitudes(len(latitudes))) else "lonlat"
    lines = [f"gridtype = {kind}", f"xsize = {len(longitudes)}", f"ysize = {len(latitudes)}",
             "xunits = degrees_east", "yunits = degrees_north",
             "xvals = " + " ".join(f"{x:.17g}" for x in longitudes),
             "yvals = " + " ".join(f"{y:.17g}" for y in latitudes)]
    path.write_text("\n".join(lines) + "\n")


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")


def read(path):
    with xr.open_dataset(path, decode_times=False) as data:
        name = [n for n in data.data_vars if data[n].ndim >= 2 and not n.endswith("bnds")][0]
        return data[name].load()


class Comparison:
    def __init__(self, arguments, folder):
        self.program, self.folder, self.bounds = arguments.program, folder, arguments
        self.failed = False

    def bound(self, line, value, limit, above):
        if limit is not None and (value < limit if above else not value <= limit):
            self.failed = True
            line += f"  (bound {limit:g} missed)"
        print(line, flush=True)

    def both(self, source, target, method):
        """Runs CDO and us on one file; returns their results and times."""
        description = self.folder / "grid.txt"
        describe(description, *GRIDS[target])
        theirs, ours = self.folder / "cdo.nc", self.folder / "ours.nc"
        begin = time.perf_counter()
        run(["cdo", "-s", f"{METHODS[method]},{description}", source, theirs])
        middle = time.perf_counter()
        run([self.program, source, ours, target, method])
        return theirs, ours, middle - begin, time.perf_counter() - middle

    def agreement(self, name, source, target, method, span):
        theirs, ours, _, _ = self.both(source, target, method)
        a, b = read(theirs).values.astype("f8"), read(ours).values.astype("f8")
        inner = np.abs(GRIDS[target][0]) <= 85
        error = np.abs(a - b).reshape(-1, *a.shape[-2:])[:, inner, :]
        if (np.isnan(a) != np.isnan(b)).any():
            self.failed = True
            print(f"  {name}: missing values where there are none, or the other way round")
        self.bound(f"equal {METHODS[method]}:{name} {np.nanmax(error) / span:.2e}", np.nanmax(error) / span,
                   self.bounds.max_error, False)
        return b

    def run(self):
        pairs = [("latlon 721x1440", "latlon 181x360"), ("latlon 721x1440", "gaussian 48x96"),
                 ("latlon 181x360", "latlon 90x180 no-poles"), ("gaussian 96x192", "latlon 181x360"),
                 ("latlon 181x360", "latlon 721x1440"), ("latlon 721x1440", "regional 60..25x71 350..40x101")]
        for source, target in pairs:
            latitudes, longitudes = GRIDS[source]
            field = smooth(latitudes, longitudes, 1, "f8")[None]
            path = self.folder / "in.nc"
            write(path, latitudes, longitudes, field)
            for method in METHODS:
                ours = self.agreement(f"{source}->{target}".replace(" ", "_"), path, target, method, np.ptp(field))
                if method == "conservative" and not target.startswith("regional"):
                    before, after = integral(field[0], latitudes), integral(ours[0], GRIDS[target][0])
                    change = abs(after - before) / abs(before)
                    name = f"{source}->{target}".replace(" ", "_")
                    self.bound(f"equal integral:{name} {change:.2e}", change, self.bounds.max_integral, False)
        self.missing()
        self.real_fields()
        self.speed()
        return 1 if self.failed else 0

    def missing(self):
        """Three tenths of the sphere missing: both keep a cell where at least half of it is there, and renormalise."""
        latitudes, longitudes = GRIDS["latlon 721x1440"]
        field, mask = smooth(latitudes, longitudes, 1, "f8"), smooth(latitudes, longitudes, 5, "f8")
        span = float(np.ptp(field))
        field[mask > np.quantile(mask, 0.7)] = np.nan
        path = self.folder / "holes.nc"
        write(path, latitudes, longitudes, field[None], fill=9.96921e36)
        os.environ["REMAP_AREA_MIN"] = "0.5"
        for target in ("latlon 181x360", "gaussian 48x96"):
            self.agreement(f"missing->{target}".replace(" ", "_"), path, target, "conservative", span)
        del os.environ["REMAP_AREA_MIN"]

    def real_fields(self):
        root = os.environ.get("ZONDA_SHARED_DATA") or pathlib.Path(__file__).resolve().parents[2].parent / "shared" / "data"
        path = pathlib.Path(root) / "era5" / "era5_2t_0p25_global_20221001T00.grib"
        if not path.exists():
            print(f"  no real field: {path} is not there")
            return
        source = self.folder / "era5.nc"
        run(["cdo", "-s", "-f", "nc4", "copy", path, source])
        field = read(source)
        for method in METHODS:
            self.agreement("era5_2t->latlon_181x360", source, "latlon 181x360", method, float(np.ptp(field.values)))

    def speed(self):
        latitudes, longitudes = GRIDS["latlon 721x1440"]
        some = [smooth(latitudes, longitudes, seed, "f4") for seed in range(4)]
        path = self.folder / "forty.nc"
        write(path, latitudes, longitudes, np.stack([some[k % 4] + np.float32(k) for k in range(self.bounds.fields)]))
        for method in METHODS:
            times = []
            for _ in range(self.bounds.repeat + 1):
                times.append(self.both(path, "latlon 181x360", method)[2:])
            theirs = statistics.median(t[0] for t in times[1:])  # the first warms the page cache
            ours = statistics.median(t[1] for t in times[1:])
            print(f"  {METHODS[method]}: {self.bounds.fields} fields 1440x721 -> 360x181, whole: CDO {theirs:.3f} s, ours {ours:.3f} s")
            self.bound(f"ratio {METHODS[method]} {theirs / ours:.2f}", theirs / ours, self.bounds.min_ratio, True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--max-error", type=float)
    parser.add_argument("--max-integral", type=float)
    parser.add_argument("--min-ratio", type=float)
    parser.add_argument("--fields", type=int, default=40)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    if shutil.which("cdo") is None:
        print("skipped: cdo is not installed")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        return Comparison(arguments, pathlib.Path(folder)).run()


if __name__ == "__main__":
    sys.exit(main())
