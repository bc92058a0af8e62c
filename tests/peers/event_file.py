#!/usr/bin/env python3
"""TensorBoard as judge of an event file: it must read every scalar that was written.

usage: event_file.py PROGRAM     PROGRAM FOLDER writes the file (tests/model/training/event_sample.cpp)

Prints the scalars found and exits 1 where they are not those written, 77 (skipped) without the tensorboard package.
"""
import subprocess
import sys
import tempfile

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

with tempfile.TemporaryDirectory() as folder:
    subprocess.run([sys.argv[1], folder], check=True)
    events = EventAccumulator(folder, size_guidance={"scalars": 0})
    events.Reload()

    def scalars(tag):
        # As plain summary values, or as the tensors that newer readers turn them into.
        if tag in events.Tags()["scalars"]:
            return [(e.step, e.value) for e in events.Scalars(tag)]
        return [(e.step, e.tensor_proto.float_val[0]) for e in events.Tensors(tag)]

    found = {tag: scalars(tag) for tag in events.Tags()["scalars"] + events.Tags()["tensors"]}
    times = events.FirstEventTimestamp()

wrong = 0
expected = {
    "loss": [(step, 2.0 / step) for step in range(1, 51)],
    "lr": [(step, 1e-3) for step in range(1, 51)],
    "validation/rmse/z500": [(25, 300.5), (50, 300.5)],
}
for tag, points in expected.items():
    here = found.get(tag, [])
    error = max((abs(a[1] - b[1]) for a, b in zip(points, here)), default=0.0)
    good = [p[0] for p in here] == [p[0] for p in points] and error < 1e-6
    print(f"{'equal' if good else 'DIFFERS'} {tag}: {len(here)} of {len(points)} points, largest difference {error:.2g}")
    wrong += not good
if sorted(found) != sorted(expected) or times < 1.5e9:
    print(f"DIFFERS: tags {sorted(found)}, first event at {times}")
    wrong += 1
sys.exit(1 if wrong else 0)
