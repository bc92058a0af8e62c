"""`zonda hub simulate`: releases, good and bad, before a fleet with bad links, restarts and wrong clocks."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from station import ENVIRONMENT, ZONDA, hub, scene

# In memory where there is such a folder: a fleet syncs thousands of times.
PLACE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def simulate(site, to, *words):
    return subprocess.run([ZONDA, "hub", "simulate", str(site), "--name", "sample", "--to", str(to), "--json",
                           *map(str, words)], capture_output=True, text=True, env=ENVIRONMENT, timeout=600, check=False)


class Rehearsal(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="zonda-rehearsal-", dir=PLACE)
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        self.site = scene(self.folder / "scene")["hub"]

    def test_a_bad_release_stops_in_its_first_wave_and_no_station_is_left_without_a_model(self):
        stations = 200
        done = simulate(self.site, self.folder / "drill", "--drill", "--stations", stations, "--waves", "10,100")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        print(json.dumps(told, indent=1))
        self.assertTrue(told["outcome"].startswith("stopped: "), told["outcome"])
        self.assertEqual(told["versions"], {"sample 1.0": stations})
        self.assertEqual((told["with_model"], told["lost_their_model"]), (stations, 0))
        self.assertEqual(told["most_with_it"], 0, "it never passed its self-test")
        self.assertTrue(3 <= told["rollbacks"] <= 40, "the first wave alone")
        for fault in ("lost", "truncated", "corrupted"):
            self.assertGreater(told["link"][fault], 0)
        self.assertGreater(told["restarts"], 0)
        self.assertGreater(told["clock_jumps"], 0)
        page = (self.folder / "drill/rehearsal.html").read_text()
        self.assertIn("stopped: ", page)
        self.assertIn(f"{stations} of {stations}", page)
        self.assertEqual(sorted(p.name for p in (self.folder / "drill").iterdir()), ["rehearsal.html", "rehearsal.json"])
        # The hub itself knows nothing of it.
        events = [entry["event"] for entry in hub("log", self.site, "--verify")["entries"]]
        self.assertNotIn("stop", " ".join(events))
        # A folder that holds something is left alone.
        again = simulate(self.site, self.folder / "drill", "--drill")
        self.assertEqual(again.returncode, 2)
        self.assertIn("not empty", again.stderr)

    def test_a_good_release_goes_out_wave_by_wave(self):
        done = simulate(self.site, self.folder / "good", "--version", "1.1", "--stations", 30, "--waves", "20,50,100")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual(told["outcome"], "reached all stations")
        self.assertEqual(told["versions"], {"sample 1.1": 30})
        self.assertEqual((told["rollbacks"], told["lost_their_model"]), (0, 0))
        counts = [step["versions"].get("sample 1.1", 0)
                  for step in json.loads((self.folder / "good/rehearsal.json").read_text())["history"]]
        self.assertTrue(any(0 < count < 30 for count in counts), counts)

    def test_what_is_not_there_is_said(self):
        for words, complaint in ((("--version", "9.9"), "9.9"), ((), "what goes out")):
            done = simulate(self.site, self.folder / ("x" + str(len(words))), "--stations", 2, *words)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(complaint, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
