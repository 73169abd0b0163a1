"""What the survey suite draws from: for each case the ranges of its parameters. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_F64 = ("float64", "ieee")
_F32 = ("float32", "ieee")
_TF32 = ("float32", "tf32")
_F16 = ("float16", "ieee")
_BF16 = ("bfloat16", "ieee")
_C64 = ("complex64", "ieee")
_C128 = ("complex128", "ieee")

Range = tuple[int, int]
Choice = list[int]


@dataclass(frozen=True)
class Space:
    """One case: parameters drawn from a range (low, high) on a logarithmic scale or a list.

    ``counts`` says how many shapes each element type and math mode gets; all of them take
    theirs from the beginning of the same sequence.
    """

    workload: str
    case: str
    ranges: Mapping[str, Range | Choice]
    counts: Mapping[tuple[str, str], int]


def _each(count: int, *dtypes: tuple[str, str]) -> dict[tuple[str, str], int]:
    return dict.fromkeys(dtypes, count)


_PRODUCTS = (_F32, _TF32, _BF16)
_ROWS: dict[str, Range | Choice] = {"rows": (8, 65_536), "cols": (8, 65_536)}
_LAYER: dict[str, Range | Choice] = {
    "batch": (1, 16_384),
    "inputs": (64, 8192),
    "outputs": (64, 8192),
}
# attention's products: queries by keys, one head's width deep, and their mixture of values; of
# all queries and of few (decoding), at sequences that are powers of two and that are not
_QUERIES, _KEYS, _WIDTHS = [2048, 64, 197, 1, 1000, 128, 512], [2048, 1000, 197, 512], [64, 128, 80]
_SCORES: dict[str, Range | Choice] = {
    **{"batch": (8, 1024), "m": _QUERIES, "n": _KEYS, "k": _WIDTHS},
}
_MIXTURES: dict[str, Range | Choice] = {
    **{"batch": (8, 1024), "m": _QUERIES, "n": _WIDTHS, "k": _KEYS},
}
_TRANSFERS = ("h2d_pageable", "h2d_pinned", "d2h_pageable", "d2h_pinned", "d2d")

CUDA_SPACES = (
    Space(
        "matmul",
        "square",
        {"n": (32, 8192)},
        _each(24, *_PRODUCTS) | _each(12, _F64, _F16),
    ),
    Space(
        "matmul",
        "skinny",
        {"m": (16, 16_384), "n": (16, 16_384), "k": (16, 16_384)},
        _each(48, *_PRODUCTS) | _each(16, _F64),
    ),
    Space("matmul", "batched", {"batch": (2, 2048), "n": (16, 1024)}, _each(24, *_PRODUCTS)),
    Space(
        "matmul",
        "batched",
        {"batch": (2, 1024), "m": (1, 4096), "n": (16, 4096), "k": (16, 4096)},
        _each(24, *_PRODUCTS),
    ),
    Space("matmul", "batched", _SCORES, _each(12, *_PRODUCTS)),
    Space("matmul", "batched", _MIXTURES, _each(12, *_PRODUCTS)),
    Space(
        "conv2d",
        "forward",
        {
            "batch": (1, 64),
            "channels_in": (3, 1024),
            "channels_out": (16, 1024),
            "image": (7, 256),
            "kernel": [3, 1, 3, 5, 1, 3, 7],
            "stride": [1, 1, 1, 2],
        },
        _each(60, *_PRODUCTS),
    ),
    Space(
        "conv2d",
        "backward",
        {
            "batch": (1, 64),
            "channels_in": (16, 512),
            "channels_out": (16, 512),
            "image": (7, 128),
            "kernel": [3, 1, 3],
            "stride": [1, 1, 1, 2],
        },
        _each(24, *_PRODUCTS),
    ),
    Space(
        "conv2d",
        "depthwise",
        {
            "batch": (1, 64),
            "channels": (32, 1024),
            "image": (7, 256),
            "kernel": [3, 7, 5],
            "stride": [1, 1, 2],
        },
        _each(20, _F32),
    ),
    Space("dense_layer", "forward", _LAYER, _each(30, *_PRODUCTS)),
    Space("dense_layer", "forward_backward", _LAYER, _each(20, *_PRODUCTS)),
    Space(
        "attention",
        "full",
        {
            "batch": (1, 32),
            "heads": (1, 32),
            "sequence": (64, 8192),
            "head_dim": [64, 128, 32, 80, 96],
        },
        _each(24, _F32, _BF16),
    ),
    Space(
        "attention",
        "causal",
        {"batch": (1, 32), "heads": (1, 32), "sequence": (64, 8192), "head_dim": [64, 128, 32]},
        _each(18, _F32, _BF16),
    ),
    Space("fft", "batched_1d", {"batch": (1, 4096), "n": (64, 1_000_000)}, {_C64: 60, _C128: 30}),
    Space("fft", "fft2", {"n": (32, 4096)}, {_C64: 30, _C128: 16}),
    Space("reduction", "sum", {"n": (1000, 50_000_000)}, {_F32: 12, _F64: 6, _BF16: 6}),
    Space("reduction", "row_sum", _ROWS, {_F32: 24}),
    Space("reduction", "softmax", _ROWS, {_F32: 24, _BF16: 12}),
    Space("reduction", "layer_norm", _ROWS, {_F32: 24, _BF16: 12}),
    Space(
        "elementwise",
        "add",
        {"n": (1000, 50_000_000)},
        {_F32: 14, _F64: 8, _BF16: 8, _F16: 8},
    ),
    Space("elementwise", "triad", {"n": (1000, 50_000_000)}, {_F32: 12}),
    Space("elementwise", "polynomial", {"n": (1000, 50_000_000)}, {_F32: 12}),
    Space("elementwise", "tanh", {"n": (1000, 50_000_000)}, {_F32: 12}),
    Space("elementwise", "broadcast_add", _ROWS, {_F32: 14}),
    Space("sort", "sort", {"n": (1000, 10_000_000)}, {_F32: 12}),
    Space("sort", "argsort", {"n": (1000, 10_000_000)}, {_F32: 10}),
    Space("sort", "sort_rows", _ROWS, {_F32: 14}),
    Space(
        "gather",
        "rows",
        {"rows": (1000, 1_000_000), "width": (1, 1024), "count": (1000, 1_000_000)},
        {_F32: 24, _BF16: 8},
    ),
    Space(
        "scatter_add",
        "histogram",
        {"count": (10_000, 10_000_000), "bins": (16, 1_000_000)},
        {_F32: 12},
    ),
    Space(
        "scatter_add",
        "rows",
        {"rows": (1000, 300_000), "width": (1, 256), "count": (1000, 300_000)},
        {_F32: 16},
    ),
    Space(
        "spmm",
        "csr_dense",
        {"rows": (1000, 100_000), "nonzeros_per_row": (2, 256), "width": (1, 256)},
        {_F32: 20},
    ),
    Space("random", "uniform", {"n": (1000, 30_000_000)}, {_F32: 8}),
    Space("random", "normal", {"n": (1000, 30_000_000)}, {_F32: 8}),
    Space(
        "image_pipeline",
        "resize_blur_normalise",
        {"batch": (1, 64), "image": (32, 1024)},
        {_F32: 14},
    ),
    *(Space("transfer", case, {"bytes": (1000, 500_000_000)}, {_F32: 12}) for case in _TRANSFERS),
    Space("python_loop", "monte_carlo_pi", {"n": (1000, 30_000_000)}, {_F64: 10}),
    Space("training_step", "simple_net_adam", {"batch": (8, 65_536)}, {_F32: 8}),
    Space("training_step", "linear_sgd", {"batch": (8, 65_536)}, {_F32: 8}),
    Space(
        "training_step",
        "mlp_adam",
        {"batch": (16, 16_384), "width": (32, 4096)},
        _each(16, *_PRODUCTS),
    ),
    Space("training_step", "resnet_sgd", {"batch": (1, 1024)}, _each(7, *_PRODUCTS)),
    Space(
        "training_step",
        "transformer_adamw",
        {"batch": (1, 32), "sequence": (16, 1024)},
        _each(10, *_PRODUCTS),
    ),
    Space(
        "inference_step",
        "mlp",
        {"batch": (16, 16_384), "width": (32, 4096)},
        _each(14, *_PRODUCTS),
    ),
    Space("inference_step", "resnet", {"batch": (1, 1024)}, _each(7, *_PRODUCTS)),
    Space(
        "inference_step",
        "transformer",
        {"batch": (1, 32), "sequence": (16, 1024)},
        _each(10, *_PRODUCTS),
    ),
)

_CPU_ROWS: dict[str, Range | Choice] = {"rows": (8, 16_384), "cols": (8, 16_384)}
_CPU_LAYER: dict[str, Range | Choice] = {
    "batch": (1, 4096),
    "inputs": (32, 4096),
    "outputs": (32, 4096),
}

CPU_SPACES = (
    Space("matmul", "square", {"n": (16, 3000)}, {_F32: 20, _F64: 10}),
    Space(
        "matmul",
        "skinny",
        {"m": (8, 8192), "n": (8, 8192), "k": (8, 8192)},
        {_F32: 24, _F64: 8},
    ),
    Space("matmul", "batched", {"batch": (2, 1024), "n": (8, 512)}, {_F32: 12}),
    Space(
        "matmul",
        "batched",
        {"batch": (2, 256), "m": (1, 1024), "n": (8, 1024), "k": (8, 1024)},
        {_F32: 12},
    ),
    Space(
        "conv2d",
        "forward",
        {
            "batch": (1, 16),
            "channels_in": (3, 512),
            "channels_out": (8, 512),
            "image": (7, 224),
            "kernel": [3, 1, 3, 5, 1, 3, 7],
            "stride": [1, 1, 1, 2],
        },
        {_F32: 30},
    ),
    Space(
        "conv2d",
        "backward",
        {
            "batch": (1, 16),
            "channels_in": (8, 256),
            "channels_out": (8, 256),
            "image": (7, 112),
            "kernel": [3, 1, 3],
            "stride": [1, 1, 1, 2],
        },
        {_F32: 14},
    ),
    Space(
        "conv2d",
        "depthwise",
        {
            "batch": (1, 16),
            "channels": (32, 512),
            "image": (7, 128),
            "kernel": [3, 7, 5],
            "stride": [1, 1, 2],
        },
        {_F32: 10},
    ),
    Space("dense_layer", "forward", _CPU_LAYER, {_F32: 14}),
    Space("dense_layer", "forward_backward", _CPU_LAYER, {_F32: 10}),
    Space(
        "attention",
        "full",
        {"batch": (1, 8), "heads": (1, 16), "sequence": (32, 1024), "head_dim": [64, 128, 32, 80]},
        {_F32: 12},
    ),
    Space("fft", "batched_1d", {"batch": (1, 1024), "n": (64, 300_000)}, {_C64: 24, _C128: 12}),
    Space("fft", "fft2", {"n": (16, 1500)}, {_C64: 14, _C128: 7}),
    Space("reduction", "sum", {"n": (1000, 20_000_000)}, {_F32: 10, _F64: 5}),
    Space("reduction", "row_sum", _CPU_ROWS, {_F32: 12}),
    Space("reduction", "softmax", _CPU_ROWS, {_F32: 12}),
    Space("reduction", "layer_norm", _CPU_ROWS, {_F32: 12}),
    Space("elementwise", "add", {"n": (1000, 60_000_000)}, {_F32: 12, _F64: 6}),
    Space("elementwise", "triad", {"n": (1000, 60_000_000)}, {_F32: 10}),
    Space("elementwise", "polynomial", {"n": (1000, 20_000_000)}, {_F32: 10}),
    Space("elementwise", "tanh", {"n": (1000, 20_000_000)}, {_F32: 8}),
    Space("elementwise", "broadcast_add", _CPU_ROWS, {_F32: 8}),
    Space("sort", "sort", {"n": (1000, 1_000_000)}, {_F32: 8}),
    Space("sort", "sort_rows", {"rows": (8, 2048), "cols": (8, 2048)}, {_F32: 8}),
    Space(
        "gather",
        "rows",
        {"rows": (1000, 300_000), "width": (1, 256), "count": (1000, 300_000)},
        {_F32: 12},
    ),
    Space(
        "scatter_add",
        "histogram",
        {"count": (1000, 3_000_000), "bins": (16, 300_000)},
        {_F32: 8},
    ),
    Space(
        "scatter_add",
        "rows",
        {"rows": (1000, 100_000), "width": (1, 128), "count": (1000, 100_000)},
        {_F32: 8},
    ),
    Space(
        "spmm",
        "csr_dense",
        {"rows": (1000, 30_000), "nonzeros_per_row": (2, 64), "width": (1, 64)},
        {_F32: 10},
    ),
    Space("random", "uniform", {"n": (1000, 10_000_000)}, {_F32: 6}),
    Space("random", "normal", {"n": (1000, 5_000_000)}, {_F32: 6}),
    Space(
        "image_pipeline", "resize_blur_normalise", {"batch": (1, 16), "image": (32, 512)}, {_F32: 8}
    ),
    Space("python_loop", "monte_carlo_pi", {"n": (1000, 3_000_000)}, {_F64: 8}),
    Space("training_step", "simple_net_adam", {"batch": (8, 16_384)}, {_F32: 6}),
    Space("training_step", "linear_sgd", {"batch": (8, 16_384)}, {_F32: 6}),
    Space("training_step", "mlp_adam", {"batch": (8, 4096), "width": (16, 1024)}, {_F32: 12}),
    Space("training_step", "resnet_sgd", {"batch": (1, 16)}, {_F32: 4}),
    Space(
        "training_step", "transformer_adamw", {"batch": (1, 4), "sequence": (16, 256)}, {_F32: 6}
    ),
    Space("inference_step", "mlp", {"batch": (8, 4096), "width": (16, 1024)}, {_F32: 10}),
    Space("inference_step", "resnet", {"batch": (1, 32)}, {_F32: 4}),
    Space("inference_step", "transformer", {"batch": (1, 8), "sequence": (16, 256)}, {_F32: 6}),
)
