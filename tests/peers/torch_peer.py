"""What torch_block.py and torch_step.py share: reading our dumps, timing ours and theirs in turns, printing the comparison."""
import contextlib
import datetime
import json
import os
import pathlib
import platform
import struct
import subprocess
import sys
import time

try:
    import numpy as np
    import torch
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

REPEATS, SECONDS = 3, 0.3  # of each measurement: the best of REPEATS means over SECONDS


def read_tensors(path):
    """{name: f32 array} of a file in safetensors layout."""
    raw = pathlib.Path(path).read_bytes()
    length, = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8:8 + length])
    return {name: np.frombuffer(raw, "<f4", np.prod(entry["shape"], dtype=int), 8 + length + entry["data_offsets"][0])
            .reshape(entry["shape"]) for name, entry in header.items()}


def error(a, b):
    """Relative, in the norm."""
    a, b = (np.asarray(x.detach().float().cpu() if torch.is_tensor(x) else x, np.float64).ravel() for x in (a, b))
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def our_seconds(program, name):
    """(seconds, GFLOP/s) of a row of a Google Benchmark program."""
    done = subprocess.run([program, f"--benchmark_filter=^{name}(/real_time)?$", f"--benchmark_min_time={SECONDS}",
                           f"--benchmark_repetitions={REPEATS}", "--benchmark_format=json"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    runs = [b for b in json.loads(done.stdout)["benchmarks"] if b["run_type"] == "iteration"]
    best = min(runs, key=lambda b: b["real_time"])
    return best["real_time"] * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}[best["time_unit"]], best["GFLOP/s"]


def their_seconds(step, device="cpu"):
    def finish():
        if device == "cuda":
            torch.cuda.synchronize()

    step(), step(), finish()
    best = float("inf")
    for _ in range(REPEATS):
        begin, steps = time.perf_counter(), 0
        while time.perf_counter() - begin < SECONDS:
            step()
            finish()
            steps += 1
        best = min(best, (time.perf_counter() - begin) / steps)
    return best


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{model}, {os.cpu_count()} cores, {gpu}; PyTorch {torch.__version__}, Python {platform.python_version()}; " \
           f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC"


@contextlib.contextmanager
def alone(lock):
    """While timing, holds `lock` (a file) where one is named, so that measurements on one machine take turns."""
    if not lock:
        yield
        return
    import fcntl
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Report:
    """Rows of times, printed as a table and as `ratio`, `equal` lines, or as JSON; remembers missed bounds."""

    def __init__(self, arguments):
        self.arguments, self.rows, self.failed = arguments, [], False
        self.say(machine())

    def say(self, text):
        if not self.arguments.json:
            print(text, flush=True)

    def equal(self, name, value, bound):
        self.rows.append({"equal": name, "error": value})
        self.failed |= not value <= bound
        self.say(f"equal {name} {value:.1e}" + ("" if value <= bound else f"  (bound {bound:g} missed)"))

    def row(self, name, ours, theirs, gflops=None, ceiling=None):
        """ours and theirs in seconds; theirs by variant."""
        share = gflops / ceiling if ceiling else None
        self.rows.append({"name": name, "ours_s": ours, "theirs_s": theirs, "gflops": gflops, "ceiling_gflops": ceiling})
        text = f"{name}: ours {ours * 1e3:.1f} ms"
        if gflops:
            text += f", {gflops:.0f} GFLOP/s"
        if share:
            text += f" = {share:.0%} of the product ceiling {ceiling:.0f}"
        self.say(text)
        for variant, seconds in theirs.items():
            if seconds is None:
                continue
            missed = self.arguments.min_ratio and seconds / ours < self.arguments.min_ratio
            self.failed |= bool(missed)
            self.say(f"  ratio {name}/{variant} {seconds / ours:.2f}   ({seconds * 1e3:.1f} ms)" + ("  (bound missed)" if missed else ""))

    def finish(self):
        if self.arguments.json:
            print(json.dumps({"machine": machine(), "rows": self.rows}, indent=1))
        return int(self.failed)


def add_options(parser):
    parser.add_argument("--program", required=True)
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--compile", action="store_true", help="torch.compile as well (a C++ compiler is needed; minutes)")
    parser.add_argument("--equal-only", action="store_true", help="compare results, time nothing")
    parser.add_argument("--min-ratio", type=float, help="bound of the ratios of time")
    parser.add_argument("--lock", help="a file to lock while timing")
    parser.add_argument("--json", action="store_true")
