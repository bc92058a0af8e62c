"""zonda cycle and zonda assimilate: the same files on any number of ranks and after kill -9; scores, report, refusals."""

import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from program import PROGRAM, SOURCE, InFolder, write_source, zonda  # noqa: E402

CASE = SOURCE / "configs/osse-short.yaml"
SMALL = ["cycle.core.levels=5", "cycle.core.spinup_days=20", "cycle.members=4", "cycle.end=2000-01-02",
         "cycle.initial.every=1d", "cycle.spin_up=12h"]


def digest(folder):
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((folder / "cycling").rglob("*")) if path.is_file()}


class Cycle(InFolder):
    def cycle(self, name, *words, verb="cycle", ranks=0, code=0):
        result = zonda(verb, CASE, f"run.directory={self.folder / name}", *SMALL, *words, cwd=self.folder, ranks=ranks)
        self.expect(result, code)
        return result

    def test_scores_and_report(self):
        # Weather that has developed: errors of the free run beyond those of the observations.
        scores = json.loads(self.cycle("run", "cycle.core.spinup_days=100", "cycle.initial.every=5d", "cycle.members=8",
                                       "--json").stdout)
        summaries = {analysis["name"]: analysis["summary"] for analysis in scores["analyses"]}
        for channel in ("u500", "t500", "sp"):
            analysis = summaries["letkf"]["analysis"][channel]["error"]
            self.assertLess(analysis, summaries["letkf"]["background"][channel]["error"])
            self.assertLess(analysis, summaries["none"]["analysis"][channel]["error"])
        counts = summaries["letkf"]["observations"]
        self.assertEqual(counts["read"], counts["used"] + sum(counts["rejected"].values()))
        page = (self.folder / "run/index.html").read_text()
        for picture in ("cycle_errors.png", "cycle_ensemble_letkf.png", "cycle_departures_letkf.png"):
            self.assertIn(picture, page)
            self.assertTrue((self.folder / "run/report" / picture).exists())

    def test_plan_and_batch_job(self):
        def planned(*words):
            result = zonda("plan", CASE, "--json", *SMALL, *words, cwd=self.folder)
            self.expect(result, 0)
            return json.loads(result.stdout)["cycle"]

        alone, on_two = planned(), planned("--ranks", "2")
        self.assertEqual((alone["cycles"], alone["members"], alone["members_per_rank"]), (5, 4, 4))
        self.assertEqual(on_two["members_per_rank"], 2)
        self.assertLess(on_two["memory_bytes_per_rank"], alone["memory_bytes_per_rank"])
        self.assertEqual(alone["traffic_bytes_per_analysis"], 0)
        self.assertGreater(on_two["traffic_bytes_per_analysis"], 2 * 8 * alone["state_size"])
        self.assertGreater(planned("cycle.members=8")["memory_bytes_per_rank"], alone["memory_bytes_per_rank"])

        script = zonda("submit", CASE, "--dry-run", *SMALL, cwd=self.folder)
        self.expect(script, 0)
        self.assertIn("--stage cycle", script.stdout)
        self.assertRegex(script.stdout, r"#SBATCH --mem=\d+M")
        self.assertIn("#SBATCH --requeue", script.stdout)

    def test_ranks(self):
        self.cycle("one")
        for ranks in (2, 4):
            self.cycle(f"on{ranks}", ranks=ranks)
            self.assertEqual(digest(self.folder / f"on{ranks}"), digest(self.folder / "one"))

    def test_kill(self):
        self.cycle("whole")
        for seconds in (0.5, 1.5):
            with subprocess.Popen([PROGRAM, "cycle", str(CASE), f"run.directory={self.folder / 'killed'}", *SMALL],
                                  cwd=self.folder, env=dict(os.environ, SOURCE_DATE_EPOCH="1500000000"),
                                  stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
                time.sleep(seconds)
                process.send_signal(signal.SIGKILL)
        self.cycle("killed")
        self.assertEqual(digest(self.folder / "killed"), digest(self.folder / "whole"))

    def test_background_of_another_model_is_refused(self):
        self.cycle("run", "cycle.end=2000-01-01")
        background = self.folder / "run/cycling/letkf/states/2000010100"
        letkf = "cycle.analyses=[{method: letkf}]"
        self.cycle("single", letkf, "--background", str(background), verb="assimilate")
        refused = self.cycle("other", letkf, "cycle.core.diffusion_time=7200s", "--background", str(background),
                             verb="assimilate", code=3)
        self.assertIn("another model", refused.stderr)

    def test_gate(self):
        stopped = self.cycle("run", "cycle.gate.factor=1.01",
                             "cycle.analyses=[{method: letkf, inflation: {factor: 4}}]", code=4)
        self.assertIn("gate.factor", stopped.stderr)


NETWORK = """\
run: {{directory: learned}}
ingest:
  sources: [{{path: [{source}]}}]
  variables: [z, t]
  levels: [850, 500]
  statistics: {{end: 1999-01-10}}
train:
  network: {{preset: tiny, patch: 2, width: 16, blocks: 2, heads: 1}}
  batch: 2
  steps: 30
  checkpoint: {{every: 10}}
  validation: {{every: 0}}
  between: [6h]
"""

CYCLE = """\
cycle:
  network: learned/checkpoints/model
  truth: learned/archive
  start: 1999-01-12
  end: 1999-01-13
  spin_up: 6h
  members: 4
  initial: {{every: 6h}}
  channels: [z500, t500]
  step_taper: {{from: 4, to: 8}}
  model_errors: {{samples: 21, every: 6h, correct_mean: {corrected}, share: {share}}}
  observations:
    synthetic: {{networks: [{{stations: 60, variables: [z, t], levels: [850, 500]}}]}}
  analyses:
    - {{method: none}}
    - method: letkf
      localisation: {{horizontal: 2000e3, vertical: 0.5}}
      inflation: {{rtpp: 0.4, additive: 1, adaptive: {{deviation: 0.1}}}}
      stop_at_gate: false
"""


class NetworkCycle(InFolder):
    """Cycles through a network that has learned next to nothing: its errors are large, and so is what corrects them."""

    def setUp(self):
        super().setUp()
        write_source(self.folder / "source.nc", steps=60)
        self.expect(zonda("run", self.run_file(NETWORK, "learn.yaml"), cwd=self.folder), 0)

    def cycle(self, name, *words, ranks=0, corrected="true"):
        case = self.run_file(CYCLE, f"{name}.yaml", corrected=corrected, share="0.1" if corrected == "true" else "0")
        result = zonda("cycle", case, f"run.directory={name}", "--json", *words, cwd=self.folder, ranks=ranks)
        self.expect(result, 0)
        return {analysis["name"]: analysis["summary"] for analysis in json.loads(result.stdout)["analyses"]}

    def test_correction_and_model_errors(self):
        corrected, plain = self.cycle("corrected"), self.cycle("plain", corrected="false")
        free, uncorrected = (run["none"]["analysis"] for run in (corrected, plain))
        self.assertLess(free["z500"]["error"], uncorrected["z500"]["error"])
        for channel in ("z500", "t500"):
            self.assertLess(corrected["letkf"]["analysis"][channel]["error"], 0.5 * free[channel]["error"])
        records = (self.folder / "corrected/cycling/letkf/cycles.jsonl").read_text().splitlines()
        self.assertNotEqual(json.loads(records[-1])["inflation"]["mean"], 1)

    def test_restart_on_other_ranks(self):
        self.cycle("whole")
        self.cycle("parts", "cycle.end=1999-01-12T12", ranks=2)
        self.cycle("parts", ranks=3)
        self.assertEqual(digest(self.folder / "parts")["cycling/letkf/summary.json"],
                         digest(self.folder / "whole")["cycling/letkf/summary.json"])
        last = "cycling/letkf/states/1999011300"
        self.assertTrue((self.folder / "whole" / last / "mean-error.state").exists())
        for file in sorted((self.folder / "whole" / last).iterdir()):
            self.assertEqual((self.folder / "parts" / last / file.name).read_bytes(), file.read_bytes(), file.name)

    def test_network_shared_by_ranks(self):
        """Each of two processes takes its latitudes through the network; files and records have the bytes of one."""
        static = "covariance: {samples: 8, lag: 6h, every: 6h}, inner_iterations: 6, stop_at_gate: false"
        words = ("cycle.end=1999-01-12T12", "cycle.impact={every: 6h, lead: 6h}", "cycle.share_network=true",
                 f"cycle.analyses=[{{method: 3dvar, {static}}}, {{method: 4dvar, {static}}}]")
        self.cycle("alone", *words)
        self.cycle("shared", *words, ranks=2)
        alone, shared = digest(self.folder / "alone"), digest(self.folder / "shared")
        compared = [file for file in alone if file.startswith("cycling/") and "/" in file[8:]]
        self.assertGreater(len([file for file in compared if file.endswith(".state")]), 3)
        for file in compared:
            self.assertEqual(shared[file], alone[file], file)
        case = self.run_file(CYCLE, "three.yaml", corrected="true", share="0")
        self.expect(zonda("cycle", case, "run.directory=three", *words, cwd=self.folder, ranks=3), 2, "cycle.share_network: 3 ranks")

    def test_additive_inflation_without_model_errors_is_refused(self):
        case = self.run_file(CYCLE.replace("  model_errors:", "  # model_errors:"), corrected="true", share="0")
        self.expect(zonda("cycle", case, cwd=self.folder), 2, "model_errors")


if __name__ == "__main__":
    unittest.main()
