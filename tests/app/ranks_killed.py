"""kill -9 of a rank at random moments of training, each continued on another mesh: the losses, the weights and the scores
are those of one undisturbed rank, byte for byte, and no more is repeated than what came after the last checkpoint.

Environment: ZONDA_KILLS, the number of kills (default 3); ZONDA_KILL_SEED.
"""

import hashlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from program import PROGRAM, SOURCE, InFolder, write_source, zonda  # noqa: E402

KILLS = int(os.environ.get("ZONDA_KILLS", "3"))
EVERY = 5  # steps between checkpoints

RUN_FILE = """\
ingest:
  sources:
    - path: [{source}]
  variables: [z, t]
  levels: [850, 500]
  statistics: {{end: 1999-01-12}}
train:
  network: {{preset: tiny, patch: 2, width: 32, blocks: 4, heads: 1, window_rows: 4, window_columns: 4}}
  chunks: 4
  batch: 4
  steps: 60
  checkpoint: {{every: 5}}
  validation: {{every: 20, samples: 2}}
  between: [6h, 12h]
  rollout: {{steps: 10, lead_steps: 2}}
"""

MESHES = [(1, "", 1), (2, "spatial=2", 1), (2, "data=2", 3), (4, "spatial=4", 2), (4, "data=2,spatial=2", 3),
          (8, "data=2,spatial=4", 1), (2, "pipeline=2", 1), (4, "data=2,pipeline=2", 3), (8, "data=2,pipeline=2,spatial=2", 2)]


def ranks_of(launcher):
    """Processes of the program that a launcher started."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int(re.search(r"^PPid:\s*(\d+)", (entry / "status").read_text(), re.M).group(1))
            if parent == launcher and (entry / "exe").resolve().name == "zonda":
                found.append(int(entry.name))
        except (OSError, AttributeError):
            continue
    return found


class RanksKilled(InFolder):
    def setUp(self):
        super().setUp()
        write_source(self.folder / "source.nc", steps=80, nlat=32, nlon=64)
        self.case = self.run_file(RUN_FILE)
        self.expect(zonda("ingest", self.case, "run.directory=runs/whole", cwd=self.folder), 0)
        self.random = random.Random(int(os.environ.get("ZONDA_KILL_SEED", "1")))

    def settings(self, name, mesh, zero):
        return [f"run.directory=runs/{name}", f"train.mesh={mesh}", f"train.zero={zero}"] if mesh else [
            f"run.directory=runs/{name}"]

    def result(self, name):
        folder = self.folder / "runs" / name / "checkpoints"
        newest = (folder / "LATEST").read_text().strip()
        return {
            "metrics": hashlib.sha256((folder / "metrics.jsonl").read_bytes()).hexdigest(),
            "weights": {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (folder / "model").iterdir()},
            "checkpoint": json.loads((folder / newest / "manifest.json").read_text())["hash"],
        }

    def train_and_kill(self, name, ranks, mesh, zero):
        """Starts training on some ranks and kills one of them; says which step the metrics had reached."""
        env = dict(os.environ, SOURCE_DATE_EPOCH="1500000000")
        process = subprocess.Popen([str(SOURCE / "tests/mpirun.sh"), str(ranks), PROGRAM, "train", str(self.case),
                                    *self.settings(name, mesh, zero), "--resume"],
                                   cwd=self.folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        metrics = self.folder / "runs" / name / "checkpoints/metrics.jsonl"
        wanted = self.random.randrange(3, 65)

        def step():
            lines = metrics.read_text().splitlines() if metrics.exists() else []
            numbers = [int(n) for n in re.findall(r'"step":(\d+)', "\n".join(lines[-3:]))]
            return max(numbers, default=0)

        deadline = time.monotonic() + 300
        while process.poll() is None and step() < wanted and time.monotonic() < deadline:
            time.sleep(0.02)
        victims = ranks_of(process.pid) if process.poll() is None else []
        if victims:
            os.kill(self.random.choice(victims), signal.SIGKILL)
        process.wait(timeout=300)
        return step() if victims else None

    def test_any_mesh_goes_on_where_another_was_killed(self):
        self.expect(zonda("train", self.case, "run.directory=runs/whole", cwd=self.folder), 0)
        whole = self.result("whole")
        hits = 0
        for trial in range(KILLS):
            name = f"killed-{trial}"
            (self.folder / "runs" / name).mkdir(parents=True)
            (self.folder / "runs" / name / "archive").symlink_to(self.folder / "runs/whole/archive")
            first, second = self.random.sample(MESHES, 2)
            reached = self.train_and_kill(name, *first)
            ranks, mesh, zero = second
            again = zonda("train", self.case, *self.settings(name, mesh, zero), "--resume", cwd=self.folder, ranks=ranks)
            self.expect(again, 0)
            if reached is not None:
                hits += 1
                begun = re.search(r"continuing from .*step-(\d+)", again.stderr)
                start = int(begun.group(1)) if begun else 0
                # The newest checkpoint may still be on its way to the disk: then it is the one before.
                self.assertLessEqual(reached - start, 2 * EVERY, f"{first}, then {second}")
            self.assertEqual(whole, self.result(name), f"killed on {first} at step {reached}, continued on {second}")
            self.expect_nothing_half_written()
        print(f"{hits} of {KILLS} kills met training at work; all runs equal the undisturbed one")
        self.assertGreater(hits, 0)


if __name__ == "__main__":
    unittest.main()
