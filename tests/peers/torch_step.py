#!/usr/bin/env python3
"""A training step of the `test` preset on 48x96, batch 8, beside PyTorch: the same weights, numbers and arithmetic.

usage: torch_step.py --program build/release/bin/bench_step [--compile] [--memory] [--only bf16] [--min-ratio 1] [--json]

For each row of bench_step gradients and the losses of three steps are compared first (`equal NAME ERROR`), then both are timed in
turns: forward, loss, backward, fused AdamW, in one go (micro:8) or sample by sample (micro:1). PyTorch's variants: explicit
(softmax(q k^T) v written out), sdpa (scaled_dot_product_attention), compile (sdpa under torch.compile).
`ratio NAME/VARIANT VALUE` is PyTorch's time over ours; above 1 we are faster.

--memory compares what two steps add to a process that holds the batch, each in a fresh process: resident memory, and what was
asked for (our plan; the peak of live tensors in PyTorch's profiler). `ratio memory:...` is ours over PyTorch's; below 1 we need less.
`equal plan:...` is our plan against our resident memory.
"""
import argparse
import copy
import json
import pathlib
import re
import sys
import tempfile

import torch_peer as peer
import torch

import zonda_network as zn

BATCH, INPUTS, CHANNELS, CONDITIONS = 8, 40, 16, 6
LIBRARY = 12 << 20  # of our process besides tensors, as `zonda plan` counts it


def resident(key):
    return int(re.search(rf"{key}:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]) * 1024


class Step:
    def __init__(self, dump, bf16, micro, device, attention=torch.nn.functional.scaled_dot_product_attention):
        self.micro, self.bf16, self.device, self.attention, self.dump = micro, bf16, device, attention, dump
        self.x, self.condition, self.target = (torch.tensor(dump[f"input.{n}"]).to(device) for n in ("x", "condition", "target"))
        self.reset()

    def reset(self):
        grid = zn.Grid("gaussian 48x96")
        self.network = zn.Network(grid, INPUTS, CHANNELS, CONDITIONS, attention=self.attention)
        zn.load(self.network, {n.removeprefix("parameter."): v for n, v in self.dump.items() if n.startswith("parameter.")})
        self.network.to(self.device)
        self.forward = self.network
        if self.bf16:
            self.network.trunk = lambda: torch.autocast(self.device, torch.bfloat16)
        self.optimiser = zn.adamw(self.network, fused=True)
        self.rows = torch.tensor(grid.row_weights, dtype=torch.float32, device=self.device)
        self.channels = torch.ones(CHANNELS, device=self.device)

    def compiled(self):
        step = copy.copy(self)
        step.forward = torch.compile(self.network)
        return step

    def gradients(self):
        self.optimiser.zero_grad(set_to_none=True)
        total = 0
        for x, condition, target in zip(*(t.split(self.micro) for t in (self.x, self.condition, self.target))):
            y = self.forward(x, condition)
            loss = zn.weighted_loss(y, target, self.rows, self.channels) * (self.micro / BATCH)
            loss.backward()
            total += loss.detach()
        return total

    def run(self):
        loss = self.gradients()
        self.optimiser.step()
        return loss

    def errors(self):
        """Of the first gradients, all together, and of three losses."""
        self.gradients()
        theirs = zn.parameters_of(self.network, gradient=True)
        ours = torch.cat([torch.tensor(self.dump[f"gradient.{n}"]).flatten() for n in theirs])
        gradients = peer.error(ours, torch.cat([g.flatten().cpu() for g in theirs.values()]))
        losses = peer.error(self.dump["losses"], torch.stack([self.run() for _ in range(3)]))
        self.reset()
        return gradients, losses


def rows(arguments):
    listed = peer.subprocess.run([arguments.program, "--benchmark_list_tests"], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        name = line.removesuffix("/real_time")
        step = re.fullmatch(r"step_(\w+)/micro:(\d+)/(?:threads:)?(\w+)", name)
        if not step:
            continue  # forecasts alone
        precision, micro, place = step.groups()
        if arguments.only in name and (place != "cuda" or torch.cuda.is_available()):
            yield name, precision == "bf16", int(micro), 0 if place == "cuda" else int(place)


def dump_of(arguments, folder, name):
    path = pathlib.Path(folder) / "dump"
    peer.subprocess.run([arguments.program, "--dump", path, name], check=True)
    return peer.read_tensors(path)


def compare(report, arguments, folder, name, bf16, micro, threads):
    device = "cpu" if threads else "cuda"
    if threads:
        torch.set_num_threads(threads)
    dump = dump_of(arguments, folder, name)
    steps = {"explicit": Step(dump, bf16, micro, device, zn.explicit_attention), "sdpa": Step(dump, bf16, micro, device)}
    for variant, step in steps.items():
        for what, value in zip(("gradients", "losses"), step.errors()):
            report.equal(f"{name}/{variant}/{what}", value, 3e-2 if bf16 else 1e-5)
    if arguments.equal_only:
        return
    if arguments.compile:
        steps["compile"] = steps["sdpa"].compiled()
        steps["compile"].run()
    with peer.alone(arguments.lock):
        ours, gflops = peer.our_seconds(arguments.program, name)
        theirs = {variant: peer.their_seconds(step.run, device) for variant, step in steps.items()}
        again, gflops_again = peer.our_seconds(arguments.program, name)
    report.row(name, min(ours, again), theirs, max(gflops, gflops_again))


def their_memory(dump, bf16, micro, threads):
    """{resident, live}: bytes that two steps add to this process; live ones by the profiler, in steps of their own."""
    torch.set_num_threads(threads)
    fields = {n: v for n, v in dump.items() if n.startswith(("input", "parameter"))}
    before = resident("VmRSS")
    step = Step(fields, bf16, micro, "cpu")
    step.run(), step.run()
    grown = resident("VmHWM") - before
    del step
    with torch.profiler.profile(profile_memory=True) as profile:
        step = Step(fields, bf16, micro, "cpu")
        step.run(), step.run()
    inputs = sum(v.nbytes for n, v in fields.items() if n.startswith("input"))
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        profile.export_chrome_trace(file.name)
        events = [e for e in json.loads(pathlib.Path(file.name).read_text())["traceEvents"] if e.get("name") == "[memory]"]
    live = total = 0
    for event in sorted(events, key=lambda e: e["ts"]):
        total += event["args"]["Bytes"]
        live = max(live, total)
    return {"resident": grown, "live": live - inputs}


def compare_memory(report, arguments, folder, name, bf16, micro, threads):
    ours = json.loads(peer.subprocess.run([arguments.program, "--memory", name], capture_output=True, check=True).stdout)
    dump_of(arguments, folder, name)
    theirs = json.loads(peer.subprocess.run(
        [sys.executable, __file__, "--program", arguments.program, "--measure", str(pathlib.Path(folder) / "dump"), str(int(bf16)),
         str(micro), str(threads)], capture_output=True, text=True, check=True).stdout)
    planned, measured = ours["planned_bytes"], ours["resident_bytes"]
    report.rows.append({"memory": name, "ours": ours, "theirs": theirs})
    for what, a, b in (("resident", measured, theirs["resident"]), ("tensors", planned, theirs["live"])):
        missed = arguments.max_memory and a / b > arguments.max_memory
        report.failed |= bool(missed)
        report.say(f"ratio memory:{name}/{what} {a / b:.2f}   (ours {a / 1e6:.1f} MB, PyTorch {b / 1e6:.1f} MB)"
                   + ("  (bound missed)" if missed else ""))
    report.equal(f"plan:{name}", abs(planned + LIBRARY - measured) / measured, 0.05)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    peer.add_options(parser)
    parser.add_argument("--memory", action="store_true", help="compare memory instead of time")
    parser.add_argument("--max-memory", type=float, help="bound of the memory ratios")
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        path, *numbers = arguments.measure
        print(json.dumps(their_memory(peer.read_tensors(path), *map(int, numbers))))
        return 0
    report = peer.Report(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = list(rows(arguments))
        if not any(threads == 0 for *_, threads in found):
            report.say("GPU rows: unmeasured (no device, or a build or a PyTorch without CUDA)")
        for name, bf16, micro, threads in found:
            if not arguments.memory:
                compare(report, arguments, folder, name, bf16, micro, threads)
            elif threads:
                compare_memory(report, arguments, folder, name, bf16, micro, threads)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
