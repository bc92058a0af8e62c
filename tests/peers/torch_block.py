#!/usr/bin/env python3
"""One transformer block, forward and backward, beside PyTorch: the same weights, numbers and arithmetic, in the same minute.

usage: torch_block.py --program build/release/bin/bench_block [--compile] [--only bf16/width:512] [--min-ratio 1] [--json]

For each row of bench_block the results are compared first (`equal NAME ERROR`, relative to PyTorch's), then ours and PyTorch's
variants are timed in turns:
  explicit   softmax(q k^T) v written out
  sdpa       scaled_dot_product_attention
  windows    sdpa, windows cut by reshape and transpose instead of by index
  compile    sdpa under torch.compile
`ratio NAME/VARIANT VALUE` is PyTorch's time over ours; above 1 we are faster. The product ceiling is plain oneDNN on the block's
own products. In bf16 PyTorch runs under autocast; both make their bf16 weights anew in each step.
"""
import argparse
import copy
import pathlib
import sys
import tempfile

import torch_peer as peer
import torch

import zonda_network as zn

BATCH, ROWS, COLUMNS, WINDOW = 4, 24, 48, 12


class Windows(zn.Block):
    """Windows of the unshifted block by reshape: what a Swin transformer does."""

    def cut(self, x):
        b, _, d = x.shape
        x = x.view(b, ROWS // WINDOW, WINDOW, COLUMNS // WINDOW, WINDOW, d)
        return x.transpose(2, 3).reshape(b, ROWS * COLUMNS, d)

    def join(self, x):
        b, _, d = x.shape
        x = x.view(b, ROWS // WINDOW, COLUMNS // WINDOW, WINDOW, WINDOW, d)
        return x.transpose(2, 3).reshape(b, ROWS * COLUMNS, d)

    def to_sequences(self, x, sequences):
        return self.cut(x)

    def from_sequences(self, x, sequences):
        return self.join(x)


class Step:
    """Forward and backward of a block from a dump of ours."""

    def __init__(self, dump, width, bf16, device, block=zn.Block, attention=torch.nn.functional.scaled_dot_product_attention):
        grid = zn.TokenGrid(zn.Grid("gaussian 48x96"), 2)
        self.sequences = zn.Sequences(grid, (WINDOW, WINDOW), "windows", 64, torch.float32).to(device)
        self.block = block(width, width // 64, 4, attention)
        zn.load(self.block, {n.removeprefix("parameter.block."): v for n, v in dump.items() if n.startswith("parameter.")})
        self.block.to(device)
        self.x, self.shared, self.dy = (torch.tensor(dump[f"input.{n}"]).to(device) for n in ("x", "shared", "dy"))
        self.x, self.dy = self.x.view(BATCH, -1, width), self.dy.view(BATCH, -1, width)
        self.x.requires_grad_(), self.shared.requires_grad_()
        self.trunk = (lambda: torch.autocast(device, torch.bfloat16)) if bf16 else zn.contextlib.nullcontext

    def run(self):
        self.block.zero_grad(set_to_none=True)
        self.x.grad = self.shared.grad = None
        with self.trunk():
            self.y = self.block(self.x, self.shared, self.sequences)
        self.y.backward(self.dy)

    def compiled(self):
        step = copy.copy(self)
        step.block = torch.compile(self.block)
        return step

    def worst_error(self, dump):
        """Of output and gradients against ours."""
        self.run()
        pairs = [(dump["output.y"], self.y), (dump["gradient.x"], self.x.grad), (dump["gradient.shared"], self.shared.grad)]
        pairs += [(dump[f"gradient.block.{n}"], g) for n, g in zn.parameters_of(self.block, gradient=True).items()]
        return max(peer.error(a, b) for a, b in pairs)


def compare(report, arguments, folder, precision, width, threads):
    place = f"threads:{threads}" if threads else "cuda"
    name, device = f"block_{precision}/width:{width}/{place}", "cpu" if threads else "cuda"
    if arguments.only not in name:
        return
    path = pathlib.Path(folder) / "dump"
    peer.subprocess.run([arguments.program, "--dump", path, name], check=True)
    dump = peer.read_tensors(path)
    if threads:
        torch.set_num_threads(threads)
    bf16 = precision == "bf16"
    variants = {"explicit": Step(dump, width, bf16, device, attention=zn.explicit_attention), "sdpa": Step(dump, width, bf16, device),
                "windows": Step(dump, width, bf16, device, block=Windows)}
    for variant, step in variants.items():
        report.equal(f"{name}/{variant}", step.worst_error(dump), 3e-2 if bf16 else 1e-5)
    if arguments.equal_only:
        return
    if arguments.compile:
        variants["compile"] = variants["sdpa"].compiled()
        variants["compile"].run()
    with peer.alone(arguments.lock):
        ours, gflops = peer.our_seconds(arguments.program, name)
        theirs = {variant: peer.their_seconds(step.run, device) for variant, step in variants.items()}
        again, gflops_again = peer.our_seconds(arguments.program, name)
        ceiling = peer.our_seconds(arguments.program, name.replace("block", "products"))[1] if threads else None
    report.row(name, min(ours, again), theirs, max(gflops, gflops_again), ceiling)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    peer.add_options(parser)
    arguments = parser.parse_args()
    report = peer.Report(arguments)
    rows = peer.subprocess.run([arguments.program, "--benchmark_list_tests"], capture_output=True, text=True, check=True).stdout
    places = [1, 2]
    if torch.cuda.is_available() and "/cuda" in rows:
        places.append(0)
    else:
        report.say("GPU rows: unmeasured (no device, or a build or a PyTorch without CUDA)")
    with tempfile.TemporaryDirectory() as folder:
        for threads in places:
            for precision in ("fp32", "bf16"):
                for width in (256, 512):
                    compare(report, arguments, folder, precision, width, threads)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
