#!/usr/bin/env python3
"""scores_numpy.py RUN_DIR [--bound 1e-6]: the scores of a run, computed anew with numpy, against its scores.json.

Reads RUN_DIR/forecast/*.nc with netCDF4 and the truth from RUN_DIR/archive with h5py (chunks raw; zstd through the system's
libzstd, shuffle by numpy), fits the climatology by numpy.linalg.lstsq, and follows WeatherBench 2's definitions independently of
Zonda's code. Prints `equal METRIC ERROR`: the largest difference, relative to the value (rmse, mse, mae, activity, wind vector),
to the RMSE (bias), or absolute (acc). Exits 1 if one is above the bound or a score is missing.

For climatologies from less than five years of data.
"""
import argparse
import ctypes
import ctypes.util
import glob
import json
import pathlib
import re
import sys

import h5py
import netCDF4
import numpy as np

HOUR = 3600
libzstd = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
libzstd.ZSTD_decompress.restype = ctypes.c_size_t


def seconds(text):
    return int(np.datetime64(text.rstrip("Z"), "s").astype(np.int64))


class Archive:
    """The truth: fields by channel name and time (seconds since 1970)."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        manifest = json.loads((self.folder / "archive.json").read_text())
        self.channels = manifest["layout"]["channels"]
        self.training = seconds(manifest["statistics"]["first"]), seconds(manifest["statistics"]["last"])
        self.places = {}
        for unit in manifest["units"]:
            file = h5py.File(self.folder / unit["file"], "r")
            for index, time in enumerate(file["time"][:].astype(np.int64)):
                self.places[int(time)] = (file["fields"], index)
            self.latitudes, self.longitudes = file["lat"][:], file["lon"][:]
        self.times = np.array(sorted(self.places))
        self.land = None
        if (self.folder / "static.h5").exists():
            with h5py.File(self.folder / "static.h5", "r") as file:
                if "lsm" in file:
                    self.land = file["lsm"][:].astype(np.float64)

    def state(self, time):
        """All channels at a time, float64 [channel, lat, lon]."""
        fields, index = self.places[time]
        chunk = fields.chunks
        out = np.empty(fields.shape[1:], np.float32)
        for c in range(0, fields.shape[1], chunk[1]):
            for row in range(0, fields.shape[2], chunk[2]):
                _, raw = fields.id.read_direct_chunk((index, c, row, 0))
                block = decode(raw, chunk)[0]
                out[c : c + chunk[1], row : row + chunk[2]] = block[: fields.shape[1] - c, : fields.shape[2] - row]
        return out.astype(np.float64)


def decode(raw, shape):
    size = int(np.prod(shape)) * 4
    planes = ctypes.create_string_buffer(size)
    got = libzstd.ZSTD_decompress(planes, ctypes.c_size_t(size), raw, ctypes.c_size_t(len(raw)))
    if got != size:
        sys.exit(f"a chunk of {size} bytes decodes to {got}")
    return np.frombuffer(planes.raw, np.uint8).reshape(4, -1).T.copy().view("<f4").reshape(shape)


def year_fraction(times):
    stamps = np.asarray(times).astype("datetime64[s]")
    year = stamps.astype("datetime64[Y]")
    begin, end = year.astype("datetime64[s]"), (year + 1).astype("datetime64[s]")
    return (stamps - begin) / (end - begin)


class Climatology:
    """Mean plus harmonics, as many as the period can tell apart (the rules of verify's documentation)."""

    def __init__(self, archive):
        first, last = archive.training
        times = archive.times[(archive.times >= first) & (archive.times <= last)]
        days = (last - first) / 86400
        if days >= 5 * 365 - 1:
            sys.exit("this peer is for climatologies of less than five years")
        hours = len(set(times % 86400))
        self.annual = 2 if days >= 2 * 365 - 1 else 1 if days >= 270 else 0
        self.daily = 0 if days < 3 or hours < 3 else 2 if hours >= 8 else 1
        shape = (len(archive.channels), len(archive.latitudes), len(archive.longitudes))
        data = np.empty((len(times), int(np.prod(shape))), np.float32)
        for i, time in enumerate(times):
            data[i] = archive.state(int(time)).ravel()
        basis = self.basis(times)
        self.coefficients = np.empty((basis.shape[1], data.shape[1]))
        for begin in range(0, data.shape[1], 8192):  # blocks of points, in double
            part = data[:, begin : begin + 8192].astype(np.float64)
            self.coefficients[:, begin : begin + 8192] = np.linalg.lstsq(basis, part, rcond=None)[0]
        self.coefficients = self.coefficients.reshape((-1,) + shape)

    def basis(self, times):
        columns = [np.ones(len(times))]
        for count, phase in ((self.annual, year_fraction(times)), (self.daily, np.asarray(times) % 86400 / 86400)):
            for k in range(1, count + 1):
                columns += [np.cos(2 * np.pi * k * phase), np.sin(2 * np.pi * k * phase)]
        return np.stack(columns, axis=1)

    def __call__(self, time):
        return np.tensordot(self.basis([time])[0], self.coefficients, 1)


def read_forecast(path, channels):
    """Initial time and {valid time: [channel, lat, lon]}."""
    with netCDF4.Dataset(path) as data:
        data.set_auto_maskandscale(False)
        if "realization" in data.variables:
            sys.exit(f"{path}: this peer is for forecasts without members")
        initial = int(data["forecast_reference_time"][...])
        times = data["time"][:].astype(np.int64)
        north_first = data["lat"][0] > data["lat"][-1]
        fields = {int(time): np.empty((len(channels), len(data["lat"]), len(data["lon"]))) for time in times}
        for c, channel in enumerate(channels):
            name, level = re.fullmatch(r"(\d*[a-z_]+?)(\d*)", channel).groups()
            height, letters = re.fullmatch(r"(\d*)(.*)", name).groups()
            # CF names begin with a letter: 10u is u10, 2t is t2m.
            names = [n for n in (name, letters + height, letters + height + "m") if n in data.variables]
            variable = data[names[0]]
            if level:
                axis = data[variable.dimensions[1]]
                scale = {"Pa": 100, "hPa": 1}[axis.units]
                values = variable[:, int(np.flatnonzero(np.isclose(axis[:], scale * int(level)))[0])]
            else:
                values = variable[:]
            for time, field in zip(times, values):
                fields[int(time)][c] = field if north_first else field[::-1]
        return initial, fields


BOXES = {  # south, north, west, width
    "global": (-90, 90, 0, 360), "tropics": (-20, 20, 0, 360),
    "northern-hemisphere": (20, 90, 0, 360), "southern-hemisphere": (-90, -20, 0, 360),
    "europe": (35, 75, -12.5, 55), "north-america": (25, 60, -120, 45), "north-atlantic": (25, 65, -70, 60),
    "north-pacific": (25, 60, 145, 85), "east-asia": (25, 60, 102.5, 47.5), "ausnz": (-45, -12.5, 120, 55),
    "arctic": (60, 90, 0, 360), "antarctic": (-90, -60, 0, 360),
}


def region_weights(archive):
    latitudes, longitudes = archive.latitudes, archive.longitudes
    middle = (latitudes[:-1] + latitudes[1:]) / 2
    step = np.diff(np.unwrap(longitudes, period=360)).mean()
    if np.isclose(step * len(longitudes), 360):
        north, south = 90.0, -90.0
    else:
        north, south = latitudes[0] + (latitudes[0] - middle[0]), latitudes[-1] - (middle[-1] - latitudes[-1])
    bounds = np.sin(np.deg2rad(np.clip(np.concatenate([[north], middle, [south]]), -90, 90)))
    area = (bounds[:-1] - bounds[1:])[:, None] * np.ones(len(longitudes))
    weights = {}
    for name, (low, high, west, width) in BOXES.items():
        east = (longitudes - west) % 360
        columns = (width >= 360) | (east <= width + 1e-6) | (east >= 360 - 1e-6)
        rows = (latitudes >= low - 1e-6) & (latitudes <= high + 1e-6)
        weights[name] = area * rows[:, None] * columns[None, :]
        if archive.land is not None:
            weights[name + "-land"] = weights[name] * archive.land
    return {name: w / w.sum() for name, w in weights.items() if w.sum() > 0}


def add(sums, key, value):
    total, count = sums.get(key, (0.0, 0))
    sums[key] = total + value, count + 1


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run_dir")
    arguments.add_argument("--bound", type=float, default=1e-6)
    arguments = arguments.parse_args()
    run = pathlib.Path(arguments.run_dir)
    archive = Archive(run / "archive")
    climatology = Climatology(archive)
    weights = region_weights(archive)
    stored = {}
    for r in json.loads((run / "scores.json").read_text()):
        stored[r["variable"], r["level_hpa"], r["lead_hours"], r["region"], r["metric"], r["source"]] = r["value"]
    scored = {key[3] for key in stored}  # a run may ask for some regions only
    weights = {region: w for region, w in weights.items() if region in scored}
    wanted_leads = {key[2] for key in stored}
    known = set(archive.times.tolist())

    sums = {}
    for path in sorted(glob.glob(str(run / "forecast" / "*.nc"))):
        initial, forecast = read_forecast(path, archive.channels)
        if initial not in known:
            continue
        persistence = archive.state(initial)
        for valid, fields in forecast.items():
            lead = (valid - initial) / HOUR
            if lead not in wanted_leads or valid not in known:
                continue
            truth, expected = archive.state(valid), climatology(valid)
            for source, guess in (("forecast", fields), ("persistence", persistence), ("climatology", expected)):
                error, anomaly, observed = guess - truth, guess - expected, truth - expected
                for region, w in weights.items():
                    mean = lambda x: np.tensordot(x, w, 2)
                    values = {"mse": mean(error**2), "bias": mean(error), "mae": mean(abs(error))}
                    if source != "climatology":
                        square = mean(anomaly**2)
                        values["acc"] = mean(anomaly * observed) / np.sqrt(square * mean(observed**2))
                        values["activity"] = np.sqrt(square - mean(anomaly) ** 2)
                    for metric, by_channel in values.items():
                        add(sums, (lead, region, metric, source), by_channel)

    index = {name: i for i, name in enumerate(archive.channels)}
    worst, missing, compared = {}, 0, 0

    def compare(key, value, scale):
        nonlocal missing, compared
        if key not in stored:
            missing += 1
            return
        compared += 1
        error = abs(stored[key] - value) / scale
        worst[key[4]] = max(worst.get(key[4], 0.0), error)

    for (lead, region, metric, source), (total, count) in sums.items():
        mean = total / count
        square, n = sums[lead, region, "mse", source]
        rmse = np.sqrt(square / n)
        for channel, i in index.items():
            name, level = re.fullmatch(r"(\d*[a-z_]+?)(\d*)", channel).groups()
            level = int(level) if level else None
            key = lambda metric, variable=name: (variable, level, lead, region, metric, source)
            compare(key(metric), mean[i], {"bias": rmse[i], "acc": 1.0}.get(metric, abs(mean[i])))
            if metric != "mse":
                continue
            compare(key("rmse"), rmse[i], rmse[i])
            partner = name[:-1] + "v" + (str(level) if level else "")
            if name.endswith("u") and partner in index:
                vector = np.sqrt(mean[i] + mean[index[partner]])
                compare(key("wind_vector_rmse", name[:-1] + "wind"), vector, vector)
    for metric, error in sorted(worst.items()):
        print(f"equal {metric} {error:.3g}")
    print(f"equal missing_scores {missing}")
    print(f"compared {compared} of {len(stored)} stored scores")
    return 1 if missing or compared == 0 or any(error > arguments.bound for error in worst.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
