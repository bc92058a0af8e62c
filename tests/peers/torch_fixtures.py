#!/usr/bin/env python3
"""torch_fixtures.py [--check] FOLDER: writes tests/model/fixtures, what PyTorch computes from given weights, for
test_fixtures.cpp. With --check compares the folder's files with what it would write: `equal FILE ERROR`, the largest relative
difference of numbers in f64 and of given ones; exits 1 above 1e-9.

Each file is in safetensors layout: 8 bytes length, a JSON header, raw little-endian numbers. `parameter.*` and `input.*` are
numbers that f32 holds; `output.*`, `gradient.*` and `losses` were computed in f64; `error_fp32.*` and `error_bf16.*` are the
relative errors |a - b| / |b| of PyTorch's own f32 and bf16 (autocast trunk) against them.
"""
import argparse
import copy
import json
import pathlib
import struct
import sys
import tempfile

try:
    import numpy as np
    import torch
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

import zonda_network as zn

STEPS = 10


def write(path, description, tensors):
    header, data, names = {"__metadata__": {"case": json.dumps(description)}}, b"", {"f4": "F32", "f8": "F64"}
    for name, value in tensors.items():
        value = np.ascontiguousarray(value)
        raw = value.astype(value.dtype.newbyteorder("<")).tobytes()
        header[name] = {"dtype": names[value.dtype.str[1:]], "shape": list(value.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    print(f"  {path.name}: {path.stat().st_size} bytes")


def read(path):
    raw = path.read_bytes()
    length, = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8:8 + length])
    header.pop("__metadata__")
    kinds = {"F32": "<f4", "F64": "<f8"}
    return {name: np.frombuffer(raw[8 + length:][slice(*entry["data_offsets"])], kinds[entry["dtype"]])
            for name, entry in header.items() if not name.startswith("error_")}


def check(folder, fresh):
    worst = 0
    for path in sorted(fresh.iterdir()):
        ours, theirs = read(folder / path.name), read(path)
        error = max(np.abs(ours[n] - v).max() / np.abs(v).max() for n, v in theirs.items()) if ours.keys() == theirs.keys() else np.inf
        print(f"equal {path.stem} {error:.1e}")
        worst = max(worst, error)
    return int(not worst <= 1e-9)


class Case:
    """A module, its inputs (those in `wanted` get gradients) and the gradient of its output."""

    def __init__(self, seed, description, module, inputs, wanted, call):
        random = np.random.default_rng(seed)
        self.description, self.module, self.wanted, self.call = description, module.double(), wanted, call
        self.parameters = {}
        for name, p in zn.parameters_of(module).items():
            start = 1.0 if name.endswith("_gain") else 0.0
            scale = 0.7 / np.sqrt(p.shape[0]) if name.endswith("weight") else 0.2
            self.parameters[name] = (start + scale * random.normal(size=tuple(p.shape))).astype(np.float32)
        self.inputs = {name: random.normal(size=shape).astype(np.float32) for name, shape in inputs.items()}
        zn.load(self.module, self.parameters)
        with torch.no_grad():
            shape = self.call(self.module, **self.tensors(torch.float64)).shape
        self.inputs["dy"] = random.normal(size=tuple(shape)).astype(np.float32)

    def tensors(self, dtype):
        return {n: torch.tensor(v).to(dtype) for n, v in self.inputs.items() if n != "dy"}

    def run(self, dtype, trunk=None):
        """{output.y, gradient.<input>, gradient.<parameter>} in f64 numbers."""
        module = copy.deepcopy(self.module).to(dtype)
        zn.load(module, self.parameters)
        inputs = self.tensors(dtype)
        for name in self.wanted:
            inputs[name].requires_grad_()
        if isinstance(module, zn.Network):
            module.trunk = trunk or module.trunk
            y = self.call(module, **inputs)
        else:
            with (trunk or zn.contextlib.nullcontext)():
                y = self.call(module, **inputs)
        (y.to(dtype) * torch.tensor(self.inputs["dy"]).to(dtype)).sum().backward()
        found = {"output.y": y}
        found |= {f"gradient.{n}": inputs[n].grad for n in self.wanted}
        found |= {f"gradient.{n}": g for n, g in zn.parameters_of(module, gradient=True).items()}
        return {n: v.detach().double().numpy() for n, v in found.items()}

    def losses(self, dtype, trunk=None):
        """Of STEPS steps of AdamW towards input.dy as the target."""
        module = copy.deepcopy(self.module).to(dtype)
        zn.load(module, self.parameters)
        module.trunk = trunk or module.trunk
        inputs, target = self.tensors(dtype), torch.tensor(self.inputs["dy"]).to(dtype)
        rows = torch.tensor(module.head.tokens.grid.row_weights).to(dtype)
        channels = torch.arange(1, target.shape[1] + 1).to(dtype)
        optimiser, losses = zn.adamw(module, 1e-3), []
        for _ in range(STEPS):
            optimiser.zero_grad()
            loss = zn.weighted_loss(self.call(module, **inputs), target, rows, channels)
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        return np.array(losses)

    def write(self, folder, name):
        right, single = self.run(torch.float64), self.run(torch.float32)
        mixed = self.description["module"] in ("block", "network")  # the others stay in f32
        half = self.run(torch.float32, zn.bf16_trunk if mixed else None)
        tensors = {f"parameter.{n}": v for n, v in self.parameters.items()}
        tensors |= {f"input.{n}": v for n, v in self.inputs.items()}
        tensors |= right
        if isinstance(self.module, zn.Network):
            tensors["losses"] = self.losses(torch.float64)
            single["losses"], half["losses"] = self.losses(torch.float32), self.losses(torch.float32, zn.bf16_trunk)
        for n in [*right, "losses"] if "losses" in tensors else right:
            size = np.linalg.norm(tensors[n])
            tensors[f"error_fp32.{n}"] = np.array(np.linalg.norm(single[n] - tensors[n]) / size)
            if mixed:
                tensors[f"error_bf16.{n}"] = np.array(np.linalg.norm(half[n] - tensors[n]) / size)
        for precision in ("fp32", "bf16"):
            worst = max((float(v) for n, v in tensors.items() if n.startswith(f"error_{precision}")), default=0)
            print(f"  PyTorch's worst error in {precision}: {worst:.1e}" if worst else "", end="")
        write(folder / f"{name}.safetensors", self.description, tensors)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    if not arguments.check:
        make(arguments.folder)
        return 0
    with tempfile.TemporaryDirectory() as fresh:
        make(pathlib.Path(fresh))
        return check(arguments.folder, pathlib.Path(fresh))


def make(folder):
    def plain(module, **inputs):
        return module(**inputs)

    Case(1, {"module": "linear", "in": 24, "out": 40}, torch.nn.Linear(24, 40), {"x": (37, 24)}, ["x"],
         lambda linear, x: linear(x)).write(folder, "linear")

    grids = {"gaussian": "gaussian 8x16", "odd_rows": "latlon 9x16", "region": "regional 60..39x8 350..28x12"}
    f64 = torch.float64
    for name, text in grids.items():
        tokens = zn.TokenGrid(zn.Grid(text), 2)
        size = len(tokens.grid.latitudes), len(tokens.grid.longitudes)
        case = {"grid": text, "patch": 2, "width": 16}
        Case(2, case | {"module": "embedding", "channels": 3}, zn.Embedding(tokens, 3, 16, f64), {"x": (2, 3, *size)}, ["x"],
             plain).write(folder, f"embedding_{name}")
        Case(3, case | {"module": "head", "channels": 3}, zn.Head(tokens, 16, 3), {"x": (2, tokens.count, 16)}, ["x"],
             plain).write(folder, f"head_{name}")

    Case(4, {"module": "conditioning", "numbers": 6, "width": 16}, zn.Conditioning(6, 16), {"condition": (3, 6)}, [],
         plain).write(folder, "conditioning")

    for kind, width, heads in (("windows", 32, 2), ("shifted", 16, 1), ("across", 16, 1)):
        tokens = zn.TokenGrid(zn.Grid("gaussian 12x16"), 2)
        sequences = zn.Sequences(tokens, (3, 4), kind, 16, f64)
        case = {"module": "block", "kind": kind, "grid": "gaussian 12x16", "patch": 2, "width": width, "heads": heads,
                "mlp_ratio": 2, "window": [3, 4]}

        def call(m, x, shared, s=sequences):
            return m(x, shared, copy.deepcopy(s).to(x.dtype))

        Case(5, case, zn.Block(width, heads, 2), {"x": (2, tokens.count, width), "shared": (2, 6 * width)},
             ["x", "shared"], call).write(folder, f"block_{kind}")

    shapes = {"gaussian": (32, 2), "odd_rows": (16, 1), "region": (16, 1)}
    for name, (width, heads) in shapes.items():
        grid = zn.Grid(grids[name])
        size = len(grid.latitudes), len(grid.longitudes)
        case = {"module": "network", "grid": grids[name], "inputs": 5, "outputs": 3, "conditions": 4, "patch": 2, "width": width,
                "blocks": 3, "heads": heads, "window": [2, 4], "mlp_ratio": 2}
        network = zn.Network(grid, 5, 3, 4, patch=2, width=width, blocks=3, heads=heads, window=(2, 4), mlp_ratio=2, dtype=f64)
        Case(6, case, network, {"x": (2, 5, *size), "condition": (2, 4)}, ["x"], plain).write(folder, f"network_{name}")


if __name__ == "__main__":
    sys.exit(main())
