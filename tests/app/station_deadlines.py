"""Runs on demand: `zonda-station` answers by a deadline, at the most exact token level that is in time.

Without words: the tests. `station_deadlines.py trace [SECONDS]`: a fixed trace of bursts against the program, once with
full tokens alone and once with all its levels; prints how many requests were in time.
"""

import collections
import concurrent.futures
import json
import math
import random
import sys
import time
import unittest

from station import station_and_hub

POINT = "/v1/forecast?variables=t850&format=json"
LARGE = ("--rows", 24, "--columns", 36, "--width", 48, "--precision", "fp32")  # 864 tokens


def station_with(coarsest, *words, waiting=128):
    more = f"on_demand: {{reach: 24h, coarsest_level: {coarsest}, waiting: {waiting}}}\n"
    return station_and_hub(*words, more=more, connections=160)


def ask(station, deadline, member):
    """(class, how the run ended, level, answer)"""
    status, headers, text = station.ask(f"{POINT}&deadline={deadline}&member={member}")
    assert status == 200, text
    return deadline, headers["Zonda-Run"], int(headers["Zonda-Level"]), json.loads(text)


class Deadlines(unittest.TestCase):
    def test_haste_costs_tokens_and_the_answer_says_so(self):
        with station_with(2, *LARGE) as (station, made), concurrent.futures.ThreadPoolExecutor(120) as pool:
            self.assertEqual(len(made["tokens"]), 3)
            _, how, level, exact = ask(station, "batch", 1)
            self.assertEqual((how, level), ("in-time", 0))
            self.assertEqual(exact["run"]["level_skill"], 1)
            self.assertEqual(exact["demand"]["member"], 1)
            # Member 0 is what ran on schedule.
            scheduled = json.loads(station.ask(POINT)[2])
            self.assertEqual(ask(station, "prompt", 0)[3]["variables"], scheduled["variables"])
            burst = [pool.submit(ask, station, "prompt", member) for member in range(2, 122)]
            answers = [answer.result() for answer in burst]
            levels = collections.Counter(level for _, how, level, _ in answers if how != "last")
            ends = collections.Counter(how for _, how, _, _ in answers)
            self.assertTrue(any(level > 0 for level in levels), (levels, ends))
            for _, how, level, told in answers:
                self.assertEqual(told["run"]["level"], level)
                if how != "last" and level > 0:
                    self.assertGreater(told["run"]["level_skill"], 1)
                if how == "last":
                    self.assertIn("token level", told["demand"]["reason"])
            metrics = station.metrics()
            counted = {how: metrics[f'zonda_station_demands_total{{deadline="prompt",result="{how}"}}']
                       for how in ("in-time", "late", "refused")}
            self.assertEqual(counted, {"in-time": ends["in-time"] + 1, "late": ends["late"], "refused": ends["last"]})
            for level, count in levels.items():
                name = f'zonda_station_demanded_runs_total{{deadline="prompt",level="{level}"}}'
                self.assertEqual(metrics[name], count + (1 if level == 0 else 0))  # member 0

    def test_a_station_without_runs_on_demand_says_so(self):
        with station_and_hub(more="on_demand: {enabled: false}\n") as (station, _):
            status, _, text = station.ask(POINT + "&deadline=batch")
            self.assertEqual((status, json.loads(text)["error"]["parameter"]), (404, "deadline"))
            self.assertEqual(station.ask(POINT + "&deadline=instant")[0], 200)


def bursty_trace(cost, seconds):
    """[(arrival, class)]: bursts of two seconds in six, at two and a half times what full tokens can do, else a tenth."""
    draw, trace, now = random.Random(2026), [], 0.0
    while now < seconds:
        rate = (2.5 if now % 6 < 2 else 0.1) / cost
        now += -math.log(1 - draw.random()) / rate
        trace.append((now, "interactive" if draw.random() < 0.5 else "prompt"))
    return trace


def play(coarsest, seconds, cost=None):
    """A counter of how requests ended, and what a run at full tokens takes."""
    with station_with(coarsest, *LARGE) as (station, made), concurrent.futures.ThreadPoolExecutor(128) as pool:
        times = []
        for member in range(1, 9):
            times.append(ask(station, "batch", member)[3]["demand"]["milliseconds"] / 1e3)
        cost = cost or sorted(times)[len(times) // 2]
        begin, answers = time.monotonic(), []
        for member, (arrival, deadline) in enumerate(bursty_trace(cost, seconds), start=10):
            time.sleep(max(0, begin + arrival - time.monotonic()))
            answers.append(pool.submit(ask, station, deadline, member))
        answers = [answer.result() for answer in answers]
        ends = collections.Counter(how for _, how, _, _ in answers)
        levels = collections.Counter(level for _, how, level, _ in answers if how != "last")
        print(f"levels down to {coarsest}: {len(answers)} requests, {ends['in-time']} in time, {ends['late']} late, "
              f"{ends['last']} answered by the last run; runs by level {dict(sorted(levels.items()))}; a run at full "
              f"tokens takes {1e3 * cost:.0f} ms; passes of {[round(ms, 1) for ms in made['milliseconds']]} ms", flush=True)
        return ends, cost


if __name__ == "__main__":
    if sys.argv[1:2] == ["trace"]:
        span = float(sys.argv[2]) if len(sys.argv) > 2 else 30
        full, measured = play(0, span)
        elastic, _ = play(2, span, measured)
        more = f" ({elastic['in-time'] / full['in-time'] - 1:+.0%})" if full["in-time"] else ""
        print(f"in time: {full['in-time']} and {elastic['in-time']}{more}")
    else:
        unittest.main(verbosity=2)
