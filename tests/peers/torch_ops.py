#!/usr/bin/env python3
"""Single operations beside PyTorch's.

--errors operation_sample: in mixed precision our error against f64 is at most 1.5 times that of PyTorch's bf16.
--speed bench_ops: times in turns, best of three, at the same number of threads; prints the ratios.
Exit 77 without PyTorch.
"""
import argparse
import array
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

ROUNDING = 1.5  # times PyTorch's own error
EPSILON = 1e-6


def rotate(x, cosine, sine):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cosine - b * sine, a * sine + b * cosine], -1)


def attention(qkv, q_gain, k_gain, cosine, sine, heads, half=None):
    """[..., tokens, 3 width] -> [..., tokens, width]; `half`: the type of the products' operands."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(-3, -2) for x in qkv.chunk(3, -1))
    wide = q_gain.dtype
    q, k = (rotate(F.rms_norm(x.to(wide), (x.shape[-1],), gain, EPSILON), cosine, sine).to(half or wide)
            for x, gain in ((q, q_gain), (k, k_gain)))
    return F.scaled_dot_product_attention(q, k, v).transpose(-3, -2).flatten(-2)


def phases(tokens, size):
    angle = torch.arange(tokens, dtype=torch.float32)[:, None] * 10.0 ** -torch.linspace(0, 2, size // 2)
    return angle.cos(), angle.sin()


# Each case: sizes, inputs (f32, those that are bf16 in mixed precision already rounded), and a function of the inputs,
# once in f64 and once in PyTorch's bf16.

def gemm_case(m, n, k):
    a, b, bias = torch.randn(m, k).bfloat16(), (torch.randn(k, n) / math.sqrt(k)).bfloat16(), torch.randn(n)

    def run(half, wide):
        product = torch.addmm(bias.to(half), a.to(half), b.to(half))
        return product, F.gelu(product, approximate="tanh")
    return "gemm", (m, n, k), (a, b, bias), run


def gelu_case(n):
    x, dy = (3 * torch.randn(n)).bfloat16(), torch.randn(n).bfloat16()

    def run(half, wide):
        leaf = x.to(half).requires_grad_()
        y = F.gelu(leaf, approximate="tanh")
        y.backward(dy.to(half))
        return y.detach(), leaf.grad
    return "gelu", (n,), (x, dy), run


def norm_case(rows, width):
    x, modulation, dy = torch.randn(rows, width) + 0.3, torch.randn(1, 2 * width) / 2, torch.randn(rows, width).bfloat16()

    def run(half, wide):
        leaf = x.to(wide).requires_grad_()
        scale, shift = modulation.to(wide).chunk(2, -1)
        y = (F.rms_norm(leaf, (width,), None, EPSILON) * (1 + scale) + shift).to(half)
        y.backward(dy.to(half))
        return y.detach(), leaf.grad
    return "norm", (rows, width), (x, modulation, dy), run


def attention_case(tokens, heads, size):
    width = heads * size
    qkv, dy = torch.randn(tokens, 3 * width).bfloat16(), torch.randn(tokens, width).bfloat16()
    gains = [1 + torch.randn(size) / 5 for _ in range(2)]
    cosine, sine = phases(tokens, size)

    def run(half, wide):
        leaves = [qkv.to(half).requires_grad_(), *(g.to(wide).requires_grad_() for g in gains)]
        y = attention(*leaves, cosine.to(wide), sine.to(wide), heads, half)
        y.backward(dy.to(half))
        return y.detach(), *(leaf.grad for leaf in leaves)
    return "attention", (tokens, heads, size), (qkv, *gains, dy, cosine, sine), run


def relative(found, exact):
    return float((found.double() - exact).norm() / exact.norm())


def ours(program, operation, sizes, inputs, like):
    with tempfile.TemporaryDirectory() as directory:
        folder = pathlib.Path(directory)
        for i, x in enumerate(inputs):
            (folder / f"in{i}").write_bytes(array.array("f", x.float().flatten().tolist()).tobytes())
        subprocess.run([program, operation, directory, *map(str, sizes)], check=True)
        results = []
        for i, exact in enumerate(like):
            numbers = array.array("f")
            numbers.frombytes((folder / f"out{i}").read_bytes())
            results.append(torch.tensor(numbers.tolist()).reshape(exact.shape))
        return results


def compare_errors(program):
    torch.manual_seed(1)
    worst = 0.0
    print(f"{'operation':24}{'result':>7}{'ours':>11}{'PyTorch':>11}{'ratio':>7}")
    for operation, sizes, inputs, run in (gemm_case(300, 96, 200), gelu_case(20000), norm_case(200, 256),
                                          attention_case(144, 2, 64), attention_case(65, 1, 64), attention_case(40, 2, 16)):
        exact, theirs = run(torch.float64, torch.float64), run(torch.bfloat16, torch.float32)
        for i, (found, truth, other) in enumerate(zip(ours(program, operation, sizes, inputs, exact), exact, theirs)):
            a, b = relative(found, truth), relative(other, truth)
            ratio = a / max(b, 1e-6)  # both in f32: nothing to compare
            worst = max(worst, ratio)
            print(f"{operation + ' ' + 'x'.join(map(str, sizes)):24}{i:7}{a:11.2e}{b:11.2e}{ratio:7.2f}")
    return worst <= ROUNDING


def our_seconds(program, row):
    done = subprocess.run([program, f"--benchmark_filter=^{row}/real_time$", "--benchmark_min_time=0.2",
                           "--benchmark_format=json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    run, = json.loads(done.stdout)["benchmarks"]
    return run["real_time"] * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}[run["time_unit"]]


def their_seconds(step):
    step(), step()
    begin, steps = time.perf_counter(), 0
    while time.perf_counter() - begin < 0.2:
        step()
        steps += 1
    return (time.perf_counter() - begin) / steps


def speed_rows():
    """(row of bench_ops, target ratio or None, PyTorch's step), at the row's shapes."""
    tokens, batch, width = 9216, 8, 128
    x, dy = torch.randn(tokens, width), torch.randn(tokens, width)
    modulation = torch.randn(batch, 2, width)

    def norm(leaf):
        scale, shift = modulation.chunk(2, 1)
        return (F.rms_norm(leaf.view(batch, -1, width), (width,), None, EPSILON) * (1 + scale) + shift).view_as(leaf)

    def backward(function, leaf, gradient):
        def step():
            leaf.grad = None
            step.y.backward(gradient, retain_graph=True)
        leaf.requires_grad_()
        step.y = function(leaf)
        return step

    wide = torch.randn(tokens, 4 * width)
    gelu = lambda leaf: F.gelu(leaf, approximate="tanh")
    yield "norm_modulate", 2.0, lambda: norm(x)
    yield "norm_modulate_backward", 2.0, backward(norm, x.clone(), dy)
    yield "gelu", 1.5, lambda: gelu(wide)
    # Ours gives GELU again beside its derivative, as backward needs it.
    yield "gelu_backward", 1.5, backward(gelu, wide.clone(), torch.randn(tokens, 4 * width))
    rows, columns, side, heads = 24, 48, 12, 8
    index = torch.arange(rows * columns).view(rows // side, side, columns // side, side).permute(0, 2, 1, 3).flatten()
    cosine, sine = phases(side * side, 64)
    gain = torch.ones(64)
    for half, name in ((torch.float32, 0), (torch.bfloat16, 1)):
        qkv = torch.randn(4, rows * columns, 3 * heads * 64).to(half)
        inverse = index.argsort()

        def windows(leaf, half=half, inverse=inverse):
            windowed = leaf[:, index].unflatten(1, (-1, side * side))
            return attention(windowed, gain, gain, cosine, sine, heads, half).flatten(1, 2)[:, inverse]

        yield f"attention<false>/{{}}/12/512/{name}", 2.0, lambda windows=windows, qkv=qkv: windows(qkv)
        yield (f"attention<true>/{{}}/12/512/{name}", None,
               backward(windows, qkv.clone(), torch.randn(4, rows * columns, heads * 64).to(half)))


def compare_speed(program):
    print(f"PyTorch {torch.__version__}, eager; milliseconds, best of three in turns")
    print(f"{'row':32}{'ours':>9}{'PyTorch':>9}{'ratio':>7}{'target':>8}")
    for row, target, step in speed_rows():
        for threads in (1, 2):
            torch.set_num_threads(threads)
            name = row.format(threads) if "{}" in row else f"{row}/{threads}"
            ours_best = theirs_best = math.inf
            for _ in range(3):
                ours_best, theirs_best = min(ours_best, our_seconds(program, name)), min(theirs_best, their_seconds(step))
            print(f"{name:32}{ours_best * 1e3:9.3f}{theirs_best * 1e3:9.3f}{theirs_best / ours_best:7.2f}"
                  f"{target or '':>8}", flush=True)
    return True


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--errors", metavar="operation_sample")
parser.add_argument("--speed", metavar="bench_ops")
options = parser.parse_args()
if not (options.errors or options.speed):
    parser.error("--errors or --speed")
passed = True
if options.errors:
    passed = compare_errors(options.errors)
if options.speed:
    compare_speed(options.speed)
sys.exit(0 if passed else 1)
