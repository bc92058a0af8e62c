#!/usr/bin/env python3
"""compare-runs.py RUN OTHER [--region global] [--within 0.01]: the skill of two runs side by side.

Skill is the RMSE over persistence's, meaned over all channels that both runs scored; one line a lead, and the channels that
differ most. With --within the exit status is 1 where the skill of OTHER is worse by more at any lead that persistence is
beaten at.
"""

import argparse
import json
import pathlib
import sys


def rmse(run, region):
    records = json.loads((pathlib.Path(run) / "scores.json").read_text())
    return {(r["variable"], r["level_hpa"], r["lead_hours"], r["source"]): r["value"]
            for r in records if r["metric"] == "rmse" and r["region"] == region}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("other")
    parser.add_argument("--region", default="global")
    parser.add_argument("--within", type=float)
    words = parser.parse_args()
    one, two = rmse(words.run, words.region), rmse(words.other, words.region)
    shared = [key for key in one if key[3] == "forecast" and key in two]
    if not shared:
        print(f"{words.run} and {words.other} share no score of region {words.region}", file=sys.stderr)
        return 2
    worse = False
    print(f"{'lead':>6} {'channels':>9} {'run':>8} {'other':>8} {'other/run':>10}   least and most of the channels")
    for lead in sorted({key[2] for key in shared}):
        keys = [key for key in shared if key[2] == lead]
        skill = [sum(scores[key] / scores[key[:3] + ("persistence",)] for key in keys) / len(keys) for scores in (one, two)]
        ratios = sorted((two[key] / one[key], f"{key[0]}{key[1] or ''}") for key in keys)
        print(f"{lead:4.0f} h {len(keys):9d} {skill[0]:8.4f} {skill[1]:8.4f} {skill[1] / skill[0]:10.4f}   "
              f"{ratios[0][1]} {ratios[0][0]:.3f}, {ratios[-1][1]} {ratios[-1][0]:.3f}")
        worse = worse or (words.within is not None and skill[0] < 1 and skill[1] > skill[0] * (1 + words.within))
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
