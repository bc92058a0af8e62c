"""`zonda-station` under load while its hub assigns a sibling of its model, and then one that cannot pass its self-test."""

import json
import re
import shutil
import subprocess
import threading
import unittest
import urllib.request

from station import hub, station_and_hub

POINT = "/v1/forecast?lat=55&lon=0&variables=t850"


class Load:
    """Requests without a pause until the end of a `with`: by wrk where there is one, and by members of an ensemble."""

    def __init__(self, station, seconds):
        self.station, self.seconds = station, seconds
        self.answers, self.failures, self.stop = [], [], threading.Event()

    def members(self):
        member = 0
        while not self.stop.is_set():
            member += 1
            status, headers, text = self.station.ask(f"{POINT}&deadline=prompt&member={member}&format=json")
            if status != 200:
                self.failures.append((status, text))
            else:
                self.answers.append((headers["Zonda-Run"], json.loads(text)["run"]["model"]))

    def plain(self):
        while not self.stop.is_set():
            with urllib.request.urlopen(self.station.url + POINT, timeout=30) as answer:
                self.failures += [] if answer.status == 200 else [answer.status]

    def __enter__(self):
        self.wrk = shutil.which("wrk")
        work = [self.members] if self.wrk else [self.members, self.plain]
        self.threads = [threading.Thread(target=each) for each in work]
        for thread in self.threads:
            thread.start()
        if self.wrk:
            self.process = subprocess.Popen([self.wrk, "-t1", "-c4", f"-d{self.seconds}s", "--latency", self.station.url + POINT],
                                            stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        self.said = self.process.communicate(timeout=120)[0] if self.wrk else ""
        self.stop.set()
        for thread in self.threads:
            thread.join()


class Switch(unittest.TestCase):
    def test_no_request_fails_while_a_sibling_takes_over(self):
        with station_and_hub() as (station, made):
            cold = station.status()["model"]
            before = station.json("/v1/status")["run"]["model"]
            with Load(station, 6) as load:
                hub("assign", made["hub"], "--name", "sample", "--version", "1.1")
                station.wait(lambda: station.serves("1.1"), "release 1.1")
                warm = station.status()["model"]
            after = station.json("/v1/status")["run"]["model"]
            self.assertNotEqual(before, after)
            self.assertEqual(load.failures, [])
            self.assertNotIn("Non-2xx", load.said)
            self.assertNotIn("Socket errors", load.said)
            self.assertEqual({model for _, model in load.answers}, {before, after}, "runs before and after the switch")
            print(f"opened cold in {cold['opening_ms']:.2f} ms, as a sibling in {warm['opening_ms']:.2f} ms, "
                  f"ratio {cold['opening_ms'] / warm['opening_ms']:.0f}; self-tests {cold['testing_ms']:.2f} and "
                  f"{warm['testing_ms']:.2f} ms; {len(load.answers)} runs on demand")
            print(*re.findall(r"(?:99%|Requests/sec|requests in).*", load.said), sep="\n")

            # It came as a difference, and one that cannot pass its self-test changes nothing.
            self.assertGreater(made["delta_bytes"], 0)
            self.assertIn("made from 1.0 by a delta", station.log())
            with Load(station, 3) as load:
                hub("assign", made["hub"], "--name", "sample", "--version", "1.2")
                station.wait(lambda: station.status()["update"]["rollbacks"] == 1, "rollback")
            self.assertEqual(load.failures, [])
            self.assertNotIn("Non-2xx", load.said)
            status = station.status()
            self.assertEqual(status["model"]["version"], "1.1")
            self.assertEqual(status["condition"], "DEGRADED")
            self.assertTrue(any("self-test" in reason for reason in status["reasons"]), status["reasons"])

    def test_the_agent_stays_below_thirty_megabytes(self):
        with station_and_hub() as (station, _):
            with Load(station, 3):
                pass
            whole, of_model = station.resident()
            print(f"resident {whole / 1e6:.1f} MB, of them {of_model / 1e6:.1f} MB files of models, feeds and forecasts")
            self.assertLessEqual(whole - of_model, 30e6)


if __name__ == "__main__":
    unittest.main(verbosity=2)
