"""The forecast network of model/network in PyTorch, written as a user of PyTorch would: the judge of our arithmetic and speed.

Parameters carry Zonda's names; matrices are kept as nn.Linear keeps them, [out, in], and are turned by `parameters_of` and
`load`. In bf16 the trunk runs under autocast: residual stream, modulation, embedding and head stay in f32.
"""
import contextlib
import math
import re

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

EPSILON = 1e-6
EARTH_RADIUS = 6371229.0  # m
HARMONICS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 90, 128, 181, 256)


# --- grids and tokens


class Grid:
    """`gaussian 48x96`, `latlon 9x16`, `regional 60..25x8 350..40x12`: latitudes from north, degrees; cell areas, m2."""

    def __init__(self, text):
        self.text = text
        kind, *words = text.split()
        if kind == "regional":
            (north, south, rows), (west, east, columns) = (
                (float(a), float(b), int(n)) for a, b, n in (re.match(r"(.+)\.\.(.+)x(\d+)", w).groups() for w in words))
            self.latitudes = np.linspace(north, south, rows)
            width = (east - west) % 360
            self.step, first = width / (columns - 1), west
            half = (self.latitudes[0] - self.latitudes[1]) / 2
            ends = min(90, north + half), max(-90, south - half)
        else:
            rows, columns = map(int, words[0].split("x"))
            if kind == "gaussian":
                self.latitudes = np.degrees(np.arcsin(np.polynomial.legendre.leggauss(rows)[0]))[::-1]
            else:
                self.latitudes = np.linspace(90, -90, rows)
            self.step, first = 360 / columns, 0.0
            ends = 90, -90
        self.periodic = kind != "regional"
        self.longitudes = (first + self.step * np.arange(columns)) % 360
        middles = (self.latitudes[1:] + self.latitudes[:-1]) / 2
        bounds = np.sin(np.radians(np.concatenate([ends[:1], middles, ends[1:]])))
        self.areas = -np.diff(bounds) * EARTH_RADIUS**2 * math.radians(self.step)
        self.row_weights = self.areas / self.areas.mean()


class TokenGrid:
    def __init__(self, grid, patch):
        self.grid, self.patch, self.periodic = grid, patch, grid.periodic
        self.rows, self.columns = len(grid.latitudes) // patch, len(grid.longitudes) // patch
        self.kernel_rows = patch + len(grid.latitudes) % patch
        own = [slice(i * patch, i * patch + self.kernel_rows) for i in range(self.rows)]
        self.latitudes = np.array([grid.latitudes[s].mean() for s in own])
        self.spacing = np.array([np.sqrt(grid.areas[s]).mean() * 1e-3 for s in own])  # km
        self.longitudes = grid.longitudes[::patch] + 0.5 * (patch - 1) * grid.step
        self.count = self.rows * self.columns

    def position_features(self):
        """[tokens, 96]: sines and cosines of latitude, longitude and sqrt(cell area)."""
        def resolved(degrees, m):
            steps = abs(degrees[0] - degrees[1]) if len(degrees) > 1 else 180
            return m * (steps % 360) <= 180

        features = np.zeros((self.rows, self.columns, len(HARMONICS), 6))
        for w, m in enumerate(HARMONICS):
            if resolved(self.latitudes, m):
                features[:, :, w, 0] = np.sin(m * np.radians(self.latitudes))[:, None]
                features[:, :, w, 1] = np.cos(m * np.radians(self.latitudes))[:, None]
            if resolved(self.longitudes, m):
                features[:, :, w, 2] = np.sin(m * np.radians(self.longitudes))
                features[:, :, w, 3] = np.cos(m * np.radians(self.longitudes))
            wavelength = 8 * 2 ** (w * 10 / (len(HARMONICS) - 1))
            features[:, :, w, 4] = np.sin(2 * np.pi * self.spacing / wavelength)[:, None]
            features[:, :, w, 5] = np.cos(2 * np.pi * self.spacing / wavelength)[:, None]
        return features.reshape(self.count, -1)


# --- which tokens attend to one another


def window_cuts(n, wanted):
    sizes = [s for s in range(1, n + 1) if n % s == 0 and 2 * wanted <= 3 * s <= 4.5 * wanted]
    if sizes:
        return list(range(0, n + 1, min(sizes, key=lambda s: (abs(s - wanted), s))))
    windows = max(1, (n + wanted // 2) // wanted)
    return [w * n // windows for w in range(windows + 1)]


def axis_windows(n, wanted, shifted, periodic):
    cuts = window_cuts(n, wanted)
    if not shifted or len(cuts) == 2:
        return [list(range(a, b)) for a, b in zip(cuts, cuts[1:])]
    middles = [(a + b) // 2 for a, b in zip(cuts, cuts[1:])]
    edges = [] if periodic else [list(range(middles[0]))]
    last = [[i % n for i in range(middles[-1], middles[0] + n if periodic else n)]]
    return [w for w in edges + [list(range(a, b)) for a, b in zip(middles, middles[1:])] + last if w]


class Sequences(nn.Module):
    """Tokens in the order of their sequences, sequences of equal length side by side, and the rotary phases in that order."""

    def __init__(self, tokens, window, kind, head_size, dtype):
        super().__init__()
        shifted = kind == "shifted"
        rows = axis_windows(tokens.rows, window[0], shifted, False)
        columns = axis_windows(tokens.columns, window[1], shifted, tokens.periodic)
        quarter = (head_size + 3) // 4
        lists, phases = [], []
        if kind == "across":
            frequencies = np.round(2 ** (6 * np.arange(quarter) / max(1, quarter - 1)))
            for i in range(max(map(len, rows))):
                for j in range(max(map(len, columns))):
                    lists.append([(r[i], c[j], math.radians(tokens.latitudes[r[i]]), math.radians(tokens.longitudes[c[j]]))
                                  for r in rows for c in columns if i < len(r) and j < len(c)])
        else:
            frequencies = 100.0 ** (-np.arange(quarter) / max(1.0, head_size / 4))
            lists = [[(r, c, i, j) for i, r in enumerate(window_r) for j, c in enumerate(window_c)]
                     for window_r in rows for window_c in columns]
        lists = sorted((s for s in lists if s), key=len)
        pairs = head_size // 2
        for _, _, row, column in (t for s in lists for t in s):
            phases.append(np.concatenate([row * frequencies[: pairs // 2], column * frequencies[: pairs - pairs // 2]]))
        order = torch.tensor([r * tokens.columns + c for s in lists for r, c, _, _ in s])
        self.register_buffer("order", order)
        self.register_buffer("inverse", torch.argsort(order))
        # [tokens, 1, head size], each phase for both halves of a head.
        turned = torch.tensor(np.array(phases)).repeat(1, 2)[:, None, :]
        self.register_buffer("cosine", turned.cos().to(dtype))
        self.register_buffer("sine", turned.sin().to(dtype))
        lengths = [len(s) for s in lists]
        self.groups = [(lengths.count(n), n) for n in sorted(set(lengths))]


# --- layers


def gelu(x):
    return F.gelu(x, approximate="tanh")


def rotate(x, cosine, sine):
    a, b = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-b, a), dim=-1) * sine


def explicit_attention(q, k, v):
    weights = torch.softmax(q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5, dim=-1)
    return weights.to(v.dtype) @ v


class Block(nn.Module):
    def __init__(self, width, heads, mlp_ratio, attention=F.scaled_dot_product_attention):
        super().__init__()
        self.heads, self.attention = heads, attention
        self.modulation = nn.Parameter(torch.zeros(6 * width))
        self.query_gain = nn.Parameter(torch.ones(width // heads))
        self.key_gain = nn.Parameter(torch.ones(width // heads))
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.up = nn.Linear(width, mlp_ratio * width)
        self.down = nn.Linear(mlp_ratio * width, width)

    def attend(self, x, sequences):
        """x [B, T, D] in sequence order."""
        batch, tokens, width = x.shape
        size = width // self.heads
        q, k, v = self.qkv(x).view(batch, tokens, 3, self.heads, size).unbind(2)
        q = F.rms_norm(q, (size,), self.query_gain.to(q.dtype), EPSILON)
        k = F.rms_norm(k, (size,), self.key_gain.to(k.dtype), EPSILON)
        q, k = (rotate(t, sequences.cosine, sequences.sine).to(v.dtype) for t in (q, k))
        outputs, first = [], 0
        for count, length in sequences.groups:
            part = [t[:, first:first + count * length].reshape(batch * count, length, self.heads, size).transpose(1, 2)
                    for t in (q, k, v)]
            y = self.attention(*part)
            outputs.append(y.transpose(1, 2).reshape(batch, count * length, width))
            first += count * length
        return self.projection(outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1))

    def to_sequences(self, x, sequences):
        return x[:, sequences.order]

    def from_sequences(self, x, sequences):
        return x[:, sequences.inverse]

    def forward(self, x, modulation, sequences):
        """x [B, T, D], modulation [B, 6 D]."""
        width = x.shape[-1]
        shift1, scale1, gate1, shift2, scale2, gate2 = (modulation + self.modulation)[:, None].chunk(6, dim=-1)
        h = F.rms_norm(x, (width,), eps=EPSILON) * (1 + scale1) + shift1
        h = self.attend(self.to_sequences(h, sequences), sequences)
        x = x + gate1 * self.from_sequences(h, sequences)
        h = F.rms_norm(x, (width,), eps=EPSILON) * (1 + scale2) + shift2
        return x + gate2 * self.down(gelu(self.up(h)))


class Conditioning(nn.Module):
    def __init__(self, numbers, width):
        super().__init__()
        self.first, self.second, self.shared = nn.Linear(numbers, width), nn.Linear(width, width), nn.Linear(width, 6 * width)

    def forward(self, condition):
        return self.shared(gelu(self.second(gelu(self.first(condition)))))


class Embedding(nn.Module):
    def __init__(self, tokens, channels, width, dtype):
        super().__init__()
        self.patch = nn.Conv2d(channels, width, (tokens.kernel_rows, tokens.patch), stride=tokens.patch)
        self.position = nn.Linear(96, width, bias=False)
        self.register_buffer("features", torch.tensor(tokens.position_features()).to(dtype))

    def forward(self, x):
        return self.patch(x).flatten(2).transpose(1, 2) + self.position(self.features)


class Head(nn.Module):
    def __init__(self, tokens, width, channels):
        super().__init__()
        self.tokens = tokens
        self.kernel = (tokens.kernel_rows, tokens.patch)
        self.size = (len(tokens.grid.latitudes), len(tokens.grid.longitudes))
        self.norm = nn.Parameter(torch.zeros(1, 2 * width))
        self.linear = nn.Linear(width, channels * tokens.kernel_rows * tokens.patch)
        self.convolution1 = nn.Conv2d(channels, channels, 3)
        self.convolution2 = nn.Conv2d(channels, channels, 3)

    def pad(self, x):
        x = F.pad(x, (1, 1, 0, 0), mode="circular" if self.tokens.periodic else "replicate")
        return F.pad(x, (0, 0, 1, 1), mode="replicate")

    def pixels(self, patches):
        """[B, T, C kernel] -> [B, C, H, W]; rows that two patches share are averaged."""
        image = F.fold(patches.transpose(1, 2), self.size, self.kernel, stride=self.tokens.patch)
        if self.tokens.kernel_rows > self.tokens.patch:
            ones = torch.ones_like(patches[:1, :, : math.prod(self.kernel)]).transpose(1, 2)
            image = image / F.fold(ones, self.size, self.kernel, stride=self.tokens.patch)
        return image

    def forward(self, x):
        scale, shift = self.norm.chunk(2, dim=-1)
        u = self.pixels(self.linear(F.rms_norm(x, x.shape[-1:], eps=EPSILON) * (1 + scale) + shift))
        return u + self.convolution2(self.pad(gelu(self.convolution1(self.pad(u)))))


class Network(nn.Module):
    """[B, C_in, H, W], [B, n] -> [B, C_out, H, W]. Even blocks: windows, every second shifted; odd blocks: across windows."""

    def __init__(self, grid, inputs, outputs, conditions, *, patch=2, width=128, blocks=6, heads=2, window=(8, 8), mlp_ratio=4,
                 dtype=torch.float32, attention=F.scaled_dot_product_attention):
        super().__init__()
        tokens = TokenGrid(grid, patch)
        self.embedding = Embedding(tokens, inputs, width, dtype)
        self.conditioning = Conditioning(conditions, width)
        self.head = Head(tokens, width, outputs)
        self.sequences = nn.ModuleDict(
            {kind: Sequences(tokens, window, kind, width // heads, dtype) for kind in ("windows", "shifted", "across")})
        for i in range(blocks):
            self.add_module(f"block{i}", Block(width, heads, mlp_ratio, attention))
        self.block_count = blocks
        self.trunk = contextlib.nullcontext
        self.to(dtype)

    @staticmethod
    def kind(block):
        return "across" if block % 2 else "shifted" if block // 2 % 2 else "windows"

    def forward(self, x, condition):
        modulation, x = self.conditioning(condition), self.embedding(x)
        with self.trunk():
            for i in range(self.block_count):
                x = getattr(self, f"block{i}")(x, modulation, self.sequences[self.kind(i)])
        return self.head(x)


def bf16_trunk():
    return torch.autocast("cpu", torch.bfloat16)


# --- parameters under Zonda's names and layouts


def _is_matrix(module, name):
    """nn.Linear's weights and the patch kernels, [out, in ...]; Zonda keeps [in, out]."""
    owner = module.get_submodule(name.rpartition(".")[0])
    return name.endswith("weight") and (isinstance(owner, nn.Linear) or name.endswith("patch.weight"))


def parameters_of(module, gradient=False):
    """{name: tensor in Zonda's layout}."""
    values = {name: p.grad if gradient else p.detach() for name, p in module.named_parameters()}
    return {name: v.flatten(1).t() if _is_matrix(module, name) else v for name, v in values.items()}


@torch.no_grad()
def load(module, values):
    """Copies {name: array in Zonda's layout} into the module."""
    for name, p in module.named_parameters():
        value = torch.tensor(values[name])
        p.copy_(value.t().reshape(p.shape) if _is_matrix(module, name) else value)


# --- training


def weighted_loss(prediction, target, row_weights, channel_weights):
    """Area- and channel-weighted squared error."""
    weights = row_weights[:, None] * channel_weights[:, None, None]
    return (weights * (prediction - target) ** 2).sum() / (
        prediction.shape[0] * prediction.shape[2] * prediction.shape[3] * channel_weights.sum())


def adamw(module, learning_rate=5e-4, decay=0.05, **options):
    """Matrices decay; biases, gains and modulation tables do not."""
    matrices = [p for n, p in module.named_parameters() if n.endswith("weight")]
    others = [p for n, p in module.named_parameters() if not n.endswith("weight")]
    return torch.optim.AdamW([{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}],
                             lr=learning_rate, betas=(0.9, 0.95), eps=1e-8, **options)
