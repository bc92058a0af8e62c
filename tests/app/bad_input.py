"""Bad input data: one clear message that names file, variable, level and time; the right exit code; nothing half-written."""

import pathlib
import shutil
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from program import InFolder, write_source, zonda  # noqa: E402


class BadInput(InFolder):
    def ingest(self, spoil=None, **keywords):
        write_source(self.folder / "source.nc", spoil=spoil, **keywords)
        result = zonda("ingest", self.run_file(), cwd=self.folder)
        self.expect_nothing_half_written()
        return result

    def archive(self):
        result = self.ingest()
        self.expect(result, 0)
        return self.folder / "runs/case/archive"

    def test_good_input_is_taken(self):
        self.assertTrue((self.archive() / "archive.json").exists())

    def test_missing_file(self):
        result = zonda("ingest", self.run_file(source="nowhere.nc"), cwd=self.folder)
        self.expect(result, 3, "nowhere.nc")

    def test_truncated_netcdf(self):
        path = write_source(self.folder / "source.nc")
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        self.expect(zonda("ingest", self.run_file(), cwd=self.folder), 3, "source.nc")

    def test_no_known_kind_of_file(self):
        (self.folder / "source.nc").write_text("hello, world\n")
        self.expect(zonda("ingest", self.run_file(), cwd=self.folder), 3, "source.nc")

    def test_missing_times(self):
        def spoil(file):
            file["time"][10:] = file["time"][10:] + 6.0

        self.expect(self.ingest(spoil), 3, "1999-01-03T12:00:00Z")

    def test_nan_in_a_field(self):
        def spoil(file):
            file["t"][7, 1, 3, 4] = np.nan

        self.expect(self.ingest(spoil), 3, "t500", "1999-01-02T18:00:00Z")

    def test_value_outside_the_physical_range(self):
        def spoil(file):
            file["t"][5, 0, 2, 2] = 1.0e4

        result = self.ingest(spoil)
        self.assertIn(result.returncode, (3, 4), result.stderr)
        self.assertIn("t850", result.stderr)
        self.assertIn("1999-01-02T06:00:00Z", result.stderr)

    def test_wrong_units(self):
        self.expect(self.ingest(units="m s-1"), 3, "m s-1", "'K'")

    def test_missing_variable(self):
        def spoil(file):
            file.renameVariable("z", "mystery")
            file["mystery"].standard_name = "sea_ice_thickness"

        self.expect(self.ingest(spoil), 3, "z850")

    def test_missing_level(self):
        self.expect(self.ingest(levels=(850, 700)), 3, "z500")

    def test_wrong_calendar(self):
        def spoil(file):
            file["time"].calendar = "360_day"

        self.expect(self.ingest(spoil), 3, "360_day")

    def test_irregular_longitudes(self):
        def spoil(file):
            file["lon"][5] = file["lon"][5] + 3.0

        self.expect(self.ingest(spoil), 3, "source.nc", "longitude")

    def test_damaged_grib_message(self):
        import subprocess

        sample = subprocess.run(["codes_info", "-s"], capture_output=True, text=True, check=True).stdout.strip()
        message = (pathlib.Path(sample) / "regular_ll_pl_grib2.tmpl").read_bytes()
        damaged = bytearray(message + message)
        damaged[len(message) + 40 : len(message) + 60] = b"\xff" * 20
        damaged[-4:] = b"0000"
        (self.folder / "source.grib2").write_bytes(bytes(damaged))
        result = zonda("ingest", self.run_file(source="source.grib2"), cwd=self.folder)
        self.expect(result, 3, "source.grib2", "message 2")

    def test_archive_with_a_flipped_byte(self):
        archive = self.archive()
        unit = max(archive.glob("*.h5"), key=lambda path: path.stat().st_size)
        data = bytearray(unit.read_bytes())
        data[int(len(data) * 0.6)] ^= 0x10
        unit.write_bytes(bytes(data))
        result = zonda("ingest", self.run_file(), "--part", "verify", cwd=self.folder)
        self.expect(result, 3, unit.name)

    def test_checkpoint_of_another_model(self):
        self.archive()
        self.expect(zonda("train", self.run_file(), cwd=self.folder), 0)
        shutil.rmtree(self.folder / "runs/case/checkpoints/model")
        result = zonda("train", self.run_file(), "--resume", "train.network.width=32", cwd=self.folder)
        self.assertIn(result.returncode, (2, 3), result.stderr)
        self.assertIn("width", result.stderr)

    def test_damaged_checkpoint_falls_back_to_the_one_before(self):
        self.archive()
        self.expect(zonda("train", self.run_file(), cwd=self.folder), 0)
        checkpoints = self.folder / "runs/case/checkpoints"
        whole = {p.name: p.read_bytes() for p in (checkpoints / "model").iterdir()}
        shutil.rmtree(checkpoints / "model")
        newest = checkpoints / (checkpoints / "LATEST").read_text().strip()
        blob = max(newest.iterdir(), key=lambda path: path.stat().st_size)
        data = bytearray(blob.read_bytes())
        data[len(data) // 2] ^= 1
        blob.write_bytes(bytes(data))
        result = zonda("train", self.run_file(), "--resume", cwd=self.folder)
        self.expect(result, 0, newest.name)
        self.assertEqual(whole, {p.name: p.read_bytes() for p in (checkpoints / "model").iterdir()})

    def test_training_without_an_archive(self):
        self.expect(zonda("train", self.run_file(), cwd=self.folder), 3, "archive")

    def test_changed_configuration_against_an_existing_archive(self):
        self.archive()
        result = zonda("ingest", self.run_file(), "ingest.kept_bits=7", cwd=self.folder)
        self.expect(result, 2, "kept_bits")


if __name__ == "__main__":
    unittest.main()
