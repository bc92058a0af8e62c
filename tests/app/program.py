"""The `zonda` program as its users see it: words in; exit code, stdout and stderr out."""

import os
import pathlib
import subprocess
import tempfile
import unittest

import netCDF4
import numpy as np

PROGRAM = os.environ.get("ZONDA_PROGRAM", "build/release/bin/zonda")
SOURCE = pathlib.Path(__file__).resolve().parents[2]


def zonda(*words, cwd=None, ranks=0, environment=None, timeout=600):
    """Runs the program; a CompletedProcess with text streams."""
    command = [PROGRAM, *map(str, words)]
    if ranks:
        command = [str(SOURCE / "tests/mpirun.sh"), str(ranks), *command]
    env = dict(os.environ, SOURCE_DATE_EPOCH="1500000000", **(environment or {}))
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, timeout=timeout, check=False)


def write_source(path, *, steps=24, nlat=16, nlon=32, units="K", levels=(850, 500), spoil=None, start="1999-01-01"):
    """A small CF file with t and z on two levels: waves that travel eastward. `spoil(variables)` damages it."""
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", None), ("level", len(levels)), ("lat", nlat), ("lon", nlon)):
            file.createDimension(name, size)
        time = file.createVariable("time", "f8", ("time",))
        time.units, time.standard_name, time.calendar = f"hours since {start} 00:00:00", "time", "standard"
        level = file.createVariable("level", "f4", ("level",))
        level.units, level.standard_name, level.positive = "hPa", "air_pressure", "down"
        lat = file.createVariable("lat", "f8", ("lat",))
        lat.units, lat.standard_name = "degrees_north", "latitude"
        lon = file.createVariable("lon", "f8", ("lon",))
        lon.units, lon.standard_name = "degrees_east", "longitude"
        step = 180 / nlat
        lat[:] = 90 - step / 2 - step * np.arange(nlat)
        lon[:] = np.arange(nlon) * 360 / nlon
        level[:] = levels
        time[:] = 6.0 * np.arange(steps)
        t = file.createVariable("t", "f4", ("time", "level", "lat", "lon"))
        t.units, t.standard_name = units, "air_temperature"
        z = file.createVariable("z", "f4", ("time", "level", "lat", "lon"))
        z.units, z.standard_name = "m2 s-2", "geopotential"
        n = np.arange(steps)[:, None, None, None]
        p = np.asarray(levels, dtype=float)[None, :, None, None]
        phi, lam = np.radians(lat[:])[None, None, :, None], np.radians(lon[:])[None, None, None, :]
        wave = np.cos(phi) ** 2 * np.sin(3 * (lam - 0.1 * n))
        t[:] = 250 + 30 * np.cos(phi) * p / 850 + 5 * wave
        z[:] = 9.80665 * (44330 * (1 - (p / 1013.25) ** 0.19) + 300 * np.cos(phi) + 100 * wave)
        if spoil:
            spoil(file)
    return path


RUN_FILE = """\
ingest:
  sources:
    - path: [{source}]
  variables: [z, t]
  levels: [850, 500]
  statistics: {{end: 1999-01-05}}
train:
  network: {{preset: tiny, patch: 2, width: 16, blocks: 2, heads: 1}}
  batch: 2
  steps: 20
  checkpoint: {{every: 10}}
  validation: {{every: 10, samples: 2}}
  between: [6h]
"""


class InFolder(unittest.TestCase):
    """Each test works in an empty folder of its own."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="zonda-app-")
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)

    def run_file(self, text=RUN_FILE, name="case.yaml", **values):
        path = self.folder / name
        path.write_text(text.format(**{"source": "source.nc", **values}))
        return path

    def expect(self, result, code, *fragments):
        self.assertEqual(result.returncode, code, result.stderr + result.stdout)
        for fragment in fragments:
            self.assertIn(fragment, result.stderr)

    def expect_nothing_half_written(self):
        left = [p for p in self.folder.rglob("*") if ".tmp" in p.name]
        self.assertEqual(left, [])
