"""The main job end to end on a small case: every stage, its files, running again, changed keys, 4 ranks, and the verbs about it."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from program import SOURCE, InFolder, zonda  # noqa: E402

RUN_FILE = """\
description: A small case
simulate: {{truncation: 21, levels: 5, days: 24, spinup_days: 30, variables: [z, t, u, v, sp, orog], pressure_levels: [850, 500]}}
ingest:
  variables: [z, t, u, v, sp]
  levels: [850, 500]
  statics: [orog]
  statistics: {{end: 2000-01-18}}
train:
  network: {{preset: tiny, width: 32, blocks: 2, heads: 1}}
  between: [6h, 24h]
  steps: 30
  batch: 2
  learning_rate: 2.0e-3
  validation: {{every: 15, samples: 2}}
forecast: {{start: 2000-01-19T12, end: 2000-01-21, every: 12h, lead: 48h, output_step: 6h}}
verify: {{regions: [global, tropics]}}
report: {{coastlines: false}}
"""


class MainJob(InFolder):
    def test_runs_is_done_and_repeats_only_what_changed(self):
        case = self.run_file(RUN_FILE)
        first = zonda("run", case, cwd=self.folder)
        self.expect(first, 0)
        self.assertIn("persistence", first.stdout)
        run = self.folder / "runs/case"
        for name in ("config.yaml", "config.full.yaml", "provenance.json", "status.json", "scores.json", "scores.csv", "index.html",
                     "archive/archive.json", "checkpoints/model/manifest.json", "forecast/2000011912.nc", "log.txt"):
            self.assertTrue((run / name).exists(), name)
        self.assertEqual(json.loads((run / "status.json").read_text())["state"], "done")
        provenance = json.loads((run / "provenance.json").read_text())
        self.assertIn("sources", provenance["inputs_sha256"])
        self.assertEqual(sorted(provenance["stages"]), ["forecast", "ingest", "report", "simulate", "train", "verify"])
        record = json.loads((run / "scores.json").read_text())[0]
        self.assertEqual(sorted(record), ["lead_hours", "level_hpa", "metric", "region", "source", "value", "variable"])
        page = (run / "index.html").read_text()
        for picture in (run / "report").glob("*.png"):
            self.assertIn(picture.name, page)
        self.expect_nothing_half_written()

        again = zonda("run", case, cwd=self.folder)
        self.expect(again, 0, "simulate: done before", "report: done before")
        self.assertEqual(first.stdout, again.stdout)
        changed = zonda("run", case, "verify.regions=[global]", cwd=self.folder)
        self.expect(changed, 0, "forecast: done before", "verify: 4 initial times")

        # The full configuration is a run file that gives the same run.
        full = zonda("validate", run / "config.full.yaml", cwd=self.folder)
        self.expect(full, 0)

        planned = zonda("plan", case, "--json", cwd=self.folder)
        self.expect(planned, 0)
        plan = json.loads(planned.stdout)
        self.assertEqual(plan["ingest"]["channels"], 9)
        self.assertEqual(plan["train"]["steps"], 30)
        self.assertEqual(plan["forecast"]["initial_times"], 4)

        inspected = zonda("inspect", run, run / "forecast/2000011912.nc", "--json", cwd=self.folder)
        self.expect(inspected, 0)
        archive, forecast = json.loads(inspected.stdout)
        self.assertEqual((archive["kind"], archive["grid"]), ("archive", "gaussian 32x64"))
        self.assertEqual(forecast["kind"], "source")
        self.assertEqual(len(forecast["channels"]), 9)
        drawn = zonda("inspect", run / "forecast/2000011912.nc", "--channel", "z500", "--png", "z500.png", cwd=self.folder)
        self.expect(drawn, 0)
        self.assertEqual((self.folder / "z500.png").read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
        wrong = zonda("inspect", run / "forecast/2000011912.nc", "--channel", "z700", "--png", "z700.png", cwd=self.folder)
        self.expect(wrong, 3, "z700")

    def test_four_ranks_make_the_same_scores(self):
        case = self.run_file(RUN_FILE)
        alone, four = self.folder / "alone", self.folder / "four"
        for place, ranks in ((alone, 0), (four, 4)):
            place.mkdir()
            self.expect(zonda("run", case, cwd=place, ranks=ranks), 0)
        files = ["scores.json", "archive/archive.json", "checkpoints/model/manifest.json"]
        files += [f"forecast/{path.name}" for path in (alone / "runs/case/forecast").glob("*.nc")]
        self.assertEqual(len(files), 7)
        for name in files:
            self.assertEqual((alone / "runs/case" / name).read_bytes(), (four / "runs/case" / name).read_bytes(), name)


class Words(InFolder):
    def test_every_run_file_is_valid(self):
        for path in sorted((SOURCE / "configs").glob("*.yaml")):
            self.expect(zonda("validate", path, cwd=SOURCE), 0)

    def test_plan_of_a_run_whose_data_are_not_there(self):
        result = zonda("plan", SOURCE / "configs/era5.yaml", "--json", cwd=self.folder)
        self.expect(result, 0)
        plan = json.loads(result.stdout)
        self.assertEqual(plan["ingest"]["channels"], 69)
        self.assertEqual(plan["ingest"]["grid"], "latlon 121x240")
        self.assertEqual(plan["ingest"]["times"], 61364)
        self.assertGreater(plan["train"]["parameters"], 40e6)
        self.assertGreater(plan["train"]["memory_bytes_per_rank"], 1e9)

    def test_reference_page_is_the_one_in_the_docs(self):
        result = zonda("schema", "--markdown")
        self.expect(result, 0)
        self.assertEqual(result.stdout, (SOURCE / "docs/configuration.md").read_text(),
                         "make it again: zonda schema --markdown > docs/configuration.md")

    def test_version(self):
        result = zonda("version", "--json")
        self.expect(result, 0)
        self.assertIn("CUDA", json.loads(result.stdout)["build"])

    def test_wrong_words(self):
        self.expect(zonda("rnu"), 2)
        self.expect(zonda("run"), 2, "FILE")
        self.expect(zonda("inspect", self.folder / "nothing.nc"), 3, "nothing.nc")
        self.expect(zonda("run", self.folder / "nothing.yaml"), 2, "nothing.yaml")


if __name__ == "__main__":
    unittest.main()
