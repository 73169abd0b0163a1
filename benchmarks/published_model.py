"""The form of the kernel model that the published data asks for: prototype for the estimator.

    t = (t0^q + (hot^g * body)^q)^(1/q)

``q`` is how far the launch hides behind the kernel before it (host and device overlap).
``hot`` is what a GPU loses that runs into its power limit: ``g`` is 0 for short kernels and 1 for
long ones, and cards fed by the slot alone (75 W or less) have a factor of their own.

Products: the library picks one of a few tiles (a x b of the result; ``s`` pieces along k):

    body   = weighted mean of log t over tilings, weights ~ exp(-(log t + bias) / temperature)
    t      = (t_c^p + t_m^p)^(1/p) of a tiling
    t_c    = (ceil(tiles s / SMs) a b + A0) * 2 (k / s + K0) * (1 + h0 / h) / e / (R / SMs)
    t_m    = (distinct bytes, cached or not + re-read operands + partial results) / W
    re-read = miss * tlb * (read by a wave - distinct + leak k / (k + k0) * (read by all - a wave))
    tlb    = 1 + (f - 1) / (1 + reach / (4 k (rows and columns that a wave touches)))

``A0``: a multiprocessor needs so much of the result at once to be busy. A wave of tiles shares
its operands in the L2 cache; ``leak`` is how much of the sharing is lost as blocks drift apart.
Long rows (k) scatter a wave's reads over many memory pages.

Convolutions of 3 x 3 have ways of their own instead of pieces along k (Lavin and Gray 2016, Fast
Algorithms for Convolutional Neural Networks): the plain product; Winograd's algorithm within one
kernel, for output tiles of 2 x 2 (a share of 4 / 9 of the products); and for tiles of 4 x 4 (1 / 4)
as a batch of products, with the transformed images written and read again. Each of the latter two
has an efficiency and a bias.

Memory operations: bytes over a rate with one cache, twice read where a row is too long to stay
in a multiprocessor (softmax, layer norm), and a launch cost of each case.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

from benchmarks.published_form import Form, Operands, Parameter
from benchmarks.published_kernels import BYTES_PER_ELEMENT, ELEMENTWISE, PRODUCTS
from estimator.arrays import Array
from estimator.formula.kernel import logistic

#: Sides of a tile along n and along m (cuBLAS is column-major): those of the sgemm kernels of
#: CUTLASS and cuBLAS (CUTLASS documentation, "Efficient GEMM in CUDA").
TILES = np.array(
    [
        *((256, 128), (128, 256), (128, 128), (128, 64), (64, 128)),
        *((64, 64), (128, 32), (32, 128), (64, 32), (32, 32)),
    ],
    dtype=float,
)
SPLITS = (1.0, 3.0, 8.0, 16.0)  # pieces along k; a batch of products is not split
AREA = TILES.prod(axis=1)
HARMONIC = 2.0 / (1.0 / TILES).sum(axis=1)
_SPLIT_LAUNCH_S = 2e-6  # the sum of partial results is a kernel of its own


@dataclass(frozen=True)
class Ways:
    """Ways to compute a product, (w,) each.

    ``pieces`` along k, ``share`` of the products that is left, and how often the bytes of
    operands and result are moved on top, after their transformation.
    """

    pieces: Array
    share: Array
    moved: Array


def _split(pieces: tuple[float, ...]) -> Ways:
    return Ways(np.array(pieces), np.ones(len(pieces)), np.zeros(len(pieces)))


_WINOGRAD = Ways(
    pieces=np.ones(3),
    share=np.array([1.0, 16.0 / (4 * 9), 36.0 / (16 * 9)]),
    moved=np.array([0.0, 0.0, 2.0 * 36.0 / 16]),  # 36 values for 16 pixels, written and read
)

_COMMON = (
    Parameter("launch_s", log(4e-5), 1.0),
    Parameter("launch_q", log(2.0), 0.5, low=0.0, high=log(12.0)),
    Parameter("memory_share", log(0.8), 0.2),
    Parameter("cache_gain", log(2.0), 0.7, low=0.0),
    Parameter("cache_share", log(0.7), 0.4),
    Parameter("hot", log(1.05), 0.15, low=0.0),
    Parameter("hot_slot", log(1.3), 0.4, low=0.0),
    Parameter("hot_after_s", log(1e-3), 1.0),
)
_TILED = (
    *_COMMON,
    Parameter("compute_share", log(0.9), 0.15),
    Parameter("tile_half", log(8.0), 1.0),
    Parameter("depth_start", log(16.0), 1.0),
    Parameter("area_start", log(4096.0), 1.0),
    Parameter("exponent_p", log(3.0), 0.5, low=0.0, high=log(12.0)),
    Parameter("temperature", log(0.15), 0.5, low=log(0.03), high=0.0),
    Parameter("partial_results", 0.0, 1.0),
    Parameter("wave_area", log(16384.0), 0.7),
    Parameter("leak", log(0.2), 1.0, high=0.0),
    Parameter("leak_depth", log(500.0), 1.0),
    Parameter("far_factor", log(2.0), 0.5, low=0.0),
    Parameter("far_reach_bytes", log(2e8), 1.0),
)
_ALGORITHMS = (
    *(Parameter(f"way_efficiency_{i}", log(0.8), 0.3, 0.1) for i in (1, 2)),
    *(Parameter(f"way_bias_{i}", 0.0, 0.5, 0.3) for i in (1, 2)),
)
_TILES = (
    *(Parameter(f"efficiency_{i}", 0.0, 0.2, 0.1) for i in range(len(TILES))),
    *(Parameter(f"bias_{i}", 0.0, 0.7, 0.5) for i in range(len(TILES))),
)
_MEMORY = (
    *_COMMON,
    Parameter("long_row_factor", log(1.2), 0.4, low=0.0),
    Parameter("long_row", log(1024.0), 0.3),
    Parameter("cache_steepness", log(4.0), 0.4, low=0.0),
    *(Parameter(f"launch_{case}", 0.0, 0.2, 0.05) for case in ELEMENTWISE),
)


def form_of(operation: str, *, algorithms: bool = True) -> Form:
    """The form of one of ``published_kernels.OPERATIONS``.

    Without ``algorithms`` a convolution is a product like those of linear layers: which algorithm
    a library takes does not carry over to another GPU, what it gains at a shape does (see
    ``published_donors``).
    """
    if operation in PRODUCTS:
        winograd = operation == "conv2d" and algorithms
        ways = _split(SPLITS[:1] if operation == "bmm" else SPLITS)
        if winograd:
            ways = _WINOGRAD
        return Form(
            (*_TILED, *(_ALGORITHMS if winograd else ()), *_TILES),
            lambda theta, rows: _product(theta, rows, ways),
            lambda theta, rows: _tile_slopes(theta, rows, ways),
        )
    return Form(_MEMORY, _memory)


def _log(theta: Array, parameters: tuple[Parameter, ...]) -> dict[str, Array]:
    return {parameter.name: theta[:, i] for i, parameter in enumerate(parameters)}


def _with_launch(log_body: Array, launch: Array, x: dict[str, Array], rows: Operands) -> Array:
    """Heat and launch around the logarithm of the kernel's own time."""
    long = logistic(1.5 * (log_body - x["hot_after_s"]))
    body = log_body + (x["hot"] + x["hot_slot"] * rows.slot_fed) * long
    return _norm(launch, body, np.exp(x["launch_q"]))


def _norm(a: Array, b: Array, p: Array) -> Array:
    """log (e^(p a) + e^(p b))^(1/p)."""
    result: Array = np.logaddexp(p * a, p * b) / p
    return result


def _memory(theta: Array, rows: Operands) -> Array:
    x = _log(theta, _MEMORY)
    cases = theta[:, -len(ELEMENTWISE) :]
    launch = x["launch_s"] + cases[np.arange(len(rows)), rows.case.astype(int)]
    longer = logistic(4.0 * (np.log(np.maximum(rows.cols, 1.0)) - x["long_row"]))
    twice = 1.0 + (np.exp(x["long_row_factor"]) - 1.0) * longer
    share = x["cache_share"] + np.log(rows.cache)
    miss = logistic(np.exp(x["cache_steepness"]) * (np.log(rows.bytes) - share))
    moved = rows.bytes * twice * (miss + (1.0 - miss) * np.exp(-x["cache_gain"]))
    body = np.log(moved / rows.bytes_per_s) - x["memory_share"]
    return _with_launch(body, launch, x, rows)


@dataclass(frozen=True)
class _Choice:
    """Of each tiling (n, tiles, ways): log t, arithmetic's share of it, weight; log body (n,)."""

    log_seconds: Array
    compute: Array
    weight: Array
    body: Array


def _product(theta: Array, rows: Operands, ways: Ways) -> Array:
    x = _log(theta, _TILED)
    return _with_launch(_choice(theta, rows, ways).body, x["launch_s"], x, rows)


def _tile_slopes(theta: Array, rows: Operands, ways: Ways) -> Array:
    """Slopes of log t by the tiles' efficiencies and biases, (n, 2 tiles)."""
    x, step = _log(theta, _TILED), 1e-5
    choice = _choice(theta, rows, ways)
    ends = [_with_launch(choice.body + h, x["launch_s"], x, rows) for h in (-step, step)]
    by_body = ((ends[1] - ends[0]) / (2.0 * step))[:, None]
    away = choice.log_seconds - choice.body[:, None, None]
    away = away / np.exp(x["temperature"])[:, None, None]
    by_efficiency = -(choice.weight * choice.compute * (1.0 - away)).sum(axis=2)
    by_bias = -(choice.weight * away).sum(axis=2)
    slopes: Array = by_body * np.concatenate([by_efficiency, by_bias], axis=1)
    return slopes


def _choice(theta: Array, rows: Operands, ways: Ways) -> _Choice:
    x = _log(theta, _TILED)
    count = len(TILES)
    efficiency, bias = theta[:, -2 * count : -count], theta[:, -count:]
    own = theta[:, len(_TILED) : -2 * count]  # efficiencies and biases of algorithms
    none = np.zeros((len(rows), len(ways.pieces) - own.shape[1] // 2))
    way_efficiency, way_bias = (
        np.concatenate([none, half], axis=1)[:, None, :] for half in np.split(own, 2, axis=1)
    )
    e = {name: np.exp(values)[:, None] for name, values in x.items()}
    m, n, k, batch = (v[:, None] for v in (rows.m, rows.n, rows.k, rows.batch))
    across, down = np.ceil(n / TILES[:, 0]), np.ceil(m / TILES[:, 1])
    tiles = across * down
    # arithmetic: the fullest multiprocessor's share, (cells, tiles, ways)
    most = np.ceil((tiles * batch)[:, :, None] * ways.pieces / rows.units[:, None, None])
    depth = k * ways.share / ways.pieces + e["depth_start"]
    rate = (rows.flop_per_s / rows.units)[:, None] * e["compute_share"]
    slow = (1.0 + e["tile_half"] / HARMONIC) * np.exp(-efficiency) / rate
    busy = most * AREA[:, None] + e["area_start"][:, :, None]
    compute = busy * 2.0 * depth[:, None, :] * slow[:, :, None] * np.exp(-way_efficiency)
    # memory: operands that a wave of tiles reads, and what is read again
    operand = BYTES_PER_ELEMENT * batch * k
    result = BYTES_PER_ELEMENT * batch * m * n
    distinct = np.minimum(operand * (m + n), np.maximum(rows.bytes[:, None] - result, 1.0))
    wave = rows.units[:, None] * np.maximum(1.0, e["wave_area"] / AREA)
    high = np.minimum(np.minimum(across, wave) * TILES[:, 0], n)
    wide = np.minimum(np.maximum(wave / across, 1.0) * TILES[:, 1], m)
    by_waves = np.maximum(operand * np.maximum(tiles / wave, 1.0) * (high + wide), distinct)
    by_all = operand * tiles * TILES.sum(axis=1)
    leak = e["leak"] * k / (k + e["leak_depth"])
    read = by_waves + leak * np.maximum(by_all - by_waves, 0.0)
    cached = np.log(e["cache_share"] * rows.cache[:, None])
    again = np.maximum(read - distinct, 0.0) * logistic(4.0 * (np.log(distinct / batch) - cached))
    span = BYTES_PER_ELEMENT * k * (high + wide)
    far = 1.0 + (e["far_factor"] - 1.0) * span / (span + e["far_reach_bytes"])
    miss = logistic(4.0 * (np.log(rows.bytes[:, None]) - cached))
    once = rows.bytes[:, None] * (miss + (1.0 - miss) / e["cache_gain"])
    speed = rows.bytes_per_s[:, None] * e["memory_share"]
    split = ways.pieces > 1.0
    partial = split * (1.0 + ways.pieces) * result * e["partial_results"] / speed
    partial = partial + ways.moved * rows.bytes[:, None] / speed + split * _SPLIT_LAUNCH_S
    memory = ((once + again * far) / speed)[:, :, None] + partial[:, None, :]
    p = e["exponent_p"][:, :, None]
    tiling = _norm(np.log(compute), np.log(memory), p)
    # the library's choice
    score = -(tiling + bias[:, :, None] + way_bias).reshape(len(rows), -1) / e["temperature"]
    weight = np.exp(score - score.max(axis=1, keepdims=True))
    weight = (weight / weight.sum(axis=1, keepdims=True)).reshape(tiling.shape)
    return _Choice(
        log_seconds=tiling,
        compute=np.exp(p * (np.log(compute) - tiling)),
        weight=weight,
        body=(weight * tiling).sum(axis=(1, 2)),
    )
