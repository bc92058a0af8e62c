"""kill -9 at random moments of ingest and of training: run again, and every file equals the undisturbed run's byte for byte.

Environment: ZONDA_KILLS, the number of kills of each stage (default 3); ZONDA_KILL_SEED.
"""

import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from program import PROGRAM, InFolder, write_source, zonda  # noqa: E402

KILLS = int(os.environ.get("ZONDA_KILLS", "3"))

RUN_FILE = """\
ingest:
  sources:
    - path: [{source}]
  variables: [z, t]
  levels: [850, 500]
  unit_bytes: 500000
  statistics: {{end: 1999-01-25}}
train:
  network: {{preset: tiny, patch: 2, width: 32, blocks: 2, heads: 1}}
  batch: 2
  steps: 120
  checkpoint: {{every: 7}}
  validation: {{every: 30, samples: 2}}
  between: [6h, 12h]
"""


def digest(folder):
    """SHA-256 of each file; wall-clock records differ between any two runs."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timing.jsonl" and "tfevents" not in path.name
    }


def without_layout(folder):
    """A checkpoint's files are those of the ranks that wrote it; its hash is that of what it holds."""
    whole = {name: hash for name, hash in digest(folder).items() if not name.startswith("step-")}
    for manifest in folder.glob("step-*/manifest.json"):
        whole[manifest.parent.name] = json.loads(manifest.read_text())["hash"]
    return whole


class KillAndResume(InFolder):
    def setUp(self):
        super().setUp()
        write_source(self.folder / "source.nc", steps=200, nlat=32, nlon=64)
        self.case = self.run_file(RUN_FILE, name="whole.yaml")
        self.random = random.Random(int(os.environ.get("ZONDA_KILL_SEED", "1")))

    def undisturbed(self, verb, *words):
        begin = time.monotonic()
        self.expect(zonda(verb, self.case, *words, cwd=self.folder), 0)
        return time.monotonic() - begin

    def killed(self, verb, after, *words):
        """Kills the whole process group after some seconds; says whether it was still at work."""
        env = dict(os.environ, SOURCE_DATE_EPOCH="1500000000")
        process = subprocess.Popen([PROGRAM, verb, str(self.case), *words], cwd=self.folder, env=env, start_new_session=True,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=after)
        except subprocess.TimeoutExpired:
            pass
        working = process.poll() is None
        if working:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return working

    def check(self, verb, part, seconds, prepare, resume):
        whole = digest(self.folder / "runs/whole" / part)
        hits = 0
        for trial in range(KILLS):
            directory = f"run.directory=runs/{verb}-{trial}"
            prepare(directory)
            moment = self.random.uniform(0.02, 1.0) * seconds
            hits += self.killed(verb, moment, directory)
            self.expect(zonda(verb, self.case, directory, *resume, cwd=self.folder), 0)
            again = digest(self.folder / f"runs/{verb}-{trial}" / part)
            self.assertEqual(whole, again, f"killed after {moment:.3f} s of {seconds:.3f} s")
            self.expect_nothing_half_written()
        print(f"{verb}: {hits} of {KILLS} kills met the stage at work; all runs equal the undisturbed one")
        self.assertGreater(hits, 0)

    def test_ingest(self):
        seconds = self.undisturbed("ingest")
        self.check("ingest", "archive", seconds, lambda directory: None, [])

    def test_train(self):
        self.undisturbed("ingest")
        seconds = self.undisturbed("train")
        self.check("train", "checkpoints", seconds,
                   lambda directory: self.expect(zonda("ingest", self.case, directory, cwd=self.folder), 0), ["--resume"])


class SameOnAnyRanks(InFolder):
    def test_ingest(self):
        write_source(self.folder / "source.nc", steps=120, nlat=24, nlon=48)
        case = self.run_file(RUN_FILE)
        digests = []
        for ranks in (0, 1, 2, 4):
            self.expect(zonda("ingest", case, f"run.directory=runs/{ranks}", cwd=self.folder, ranks=ranks), 0)
            digests.append(digest(self.folder / f"runs/{ranks}/archive"))
        self.assertGreater(len(digests[0]), 2)
        for other in digests[1:]:
            self.assertEqual(digests[0], other)

    def test_train(self):
        write_source(self.folder / "source.nc", steps=60, nlat=16, nlon=32)
        case = self.run_file(RUN_FILE)
        digests = []
        for ranks in (0, 2):
            directory = f"run.directory=runs/{ranks}"
            settings = [directory, "train.steps=6", "ingest.statistics.end=1999-01-10"]
            self.expect(zonda("ingest", case, *settings, cwd=self.folder), 0)
            self.expect(zonda("train", case, *settings, cwd=self.folder, ranks=ranks), 0)
            digests.append(without_layout(self.folder / f"runs/{ranks}/checkpoints"))
        self.assertEqual(digests[0], digests[1])


if __name__ == "__main__":
    unittest.main()
