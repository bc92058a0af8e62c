#!/usr/bin/env python3
"""Counts of BUFR reports beside ecCodes' own tools: messages and subsets by bufr_ls, values that are there by bufr_dump.

bufr_counts.py ZONDA [--data FOLDER]: ZONDA is the program. Prints `equal NAME 0` lines; exits 1 where a count differs, 77
where the tools or the data are missing.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys

FILES = ["temp.bufr", "synop_multi_subset_uncompressed.bufr", "dwd_synop_germany_20210516.bufr", "obs_3day.bufr",
         "perf_aircraft.bufr", "perf_synop.bufr"]
# What bufr_dump calls the elements of a variable, the first that a subset has counts; `once`: one value a subset.
ELEMENTS = {"2t": ["airTemperatureAt2M", "airTemperature"], "sp": ["nonCoordinatePressure"],
            "msl": ["pressureReducedToMeanSeaLevel"], "2d": ["dewpointTemperatureAt2M", "dewpointTemperature"]}


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def subsets_of(path):
    lines = run("bufr_ls", "-p", "numberOfSubsets", path).splitlines()
    counts = [int(line) for line in lines if line.strip().isdigit()]
    return len(counts), sum(counts)


def values_of(path):
    """(kind, variable) -> number of values that are there, from the text of bufr_dump."""
    counts = {}
    category, present, pressure = None, {}, False

    def close():
        if category == 0:
            for variable, names in ELEMENTS.items():
                if any(present.get(name) for name in names):
                    counts["synop", variable] = counts.get(("synop", variable), 0) + 1
        present.clear()

    with subprocess.Popen(["bufr_dump", "-p", path], stdout=subprocess.PIPE, text=True) as dump:
        for line in dump.stdout:
            match = re.match(r"\s*(?:#\d+#)?(\w+)=\s*(\S+)", line)
            if not match:
                continue
            name, value = match.groups()
            there = value != "MISSING"
            if name == "edition" or name == "subsetNumber":
                close()
                if name == "edition":
                    category = None
            elif name == "dataCategory":
                category = int(value)
            elif category == 2 and name == "airTemperature" and there:
                counts["temp", "t"] = counts.get(("temp", "t"), 0) + 1
            elif category == 4 and name == "airTemperature" and there:
                counts["aircraft", "t"] = counts.get(("aircraft", "t"), 0) + 1
            elif category == 0:
                present[name] = present.get(name, False) or there
    close()
    return counts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("zonda")
    parser.add_argument("--data", default=os.environ.get("ZONDA_SHARED_DATA") or
                        os.path.join(os.path.dirname(__file__), "../../../shared/data"))
    words = parser.parse_args()
    folder = os.path.join(words.data, "obs_bufr")
    if not os.path.isdir(folder) or not shutil.which("bufr_dump") or not shutil.which("bufr_ls"):
        print("skipped: no ecCodes tools or no data")
        return 77
    worst = 0
    for file in FILES:
        path = os.path.join(folder, file)
        record = json.loads(run(words.zonda, "inspect", path, "--json"))[0]
        if not record["balanced"]:
            print(f"{file}: the account does not balance")
            worst = 1
        reports = sum(row["read"] for row in record["reports"])
        messages, subsets = subsets_of(path)
        print(f"equal {file}_subsets {abs(reports - subsets)}  ({reports} of {messages} messages)")
        worst = max(worst, abs(reports - subsets))
        ours = {(row["kind"], row["variable"]): row["read"] for row in record["values"]}
        for key, count in sorted(values_of(path).items()):
            difference = abs(ours.get(key, 0) - count)
            print(f"equal {file}_{key[1]} {difference}  ({count})")
            worst = max(worst, difference)
    return 1 if worst else 0


if __name__ == "__main__":
    sys.exit(main())
