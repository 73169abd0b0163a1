"""Published GPU kernel times as cells of our form and as operands of formulas.

Data: the kernel times published with NeuSight (github.com/sitar-lab/NeuSight, commit 6945927,
MIT licence, (c) 2025 Georgia Institute of Technology and Microsoft): float32 operations of
PyTorch 2.1 with CUDA 12.1 on P4, P100, V100, T4, A100 and H100. None of its rows is part of this
project. The name of the kernel that ran is in the file but is never read here: nobody has it
before a measurement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from estimator.arrays import Array
from estimator.catalogue.hardware import match_gpu
from estimator.catalogue.hardware_specs import GpuSpec

PRODUCTS = ("bmm", "linear", "conv2d")
UNARY = ("addu", "mulu", "divu", "powu", "relu", "tanh", "gelu")  # one operand, or a constant
BINARY = ("add", "mul", "div", "pow")
ELEMENTWISE = (*BINARY, *UNARY)
OPERATIONS = ("bmm", "linear", "conv2d", "elementwise", "softmax", "layer_norm")

BYTES_PER_ELEMENT = 4.0  # float32
_FAMILY = {
    "bmm": ("matmul", "batched"),
    "linear": ("dense_layer", "forward"),
    "conv2d": ("conv2d", "forward"),
    "softmax": ("reduction", "softmax"),
    "ln": ("reduction", "layer_norm"),
}
#: Our families' names of parameters -> columns of the file; several columns are multiplied.
_PARAMS: dict[str, dict[str, tuple[str, ...]]] = {
    "bmm": {name: (name,) for name in ("batch", "m", "n", "k")},
    "linear": {"batch": ("batch", "m"), "inputs": ("k",), "outputs": ("n",)},
    "conv2d": {
        "batch": ("batch",),
        "channels_in": ("in_channels",),
        "channels_out": ("out_channels",),
        "image": ("size",),
        "kernel": ("kernel_size",),
        "stride": ("stride",),
    },
    "softmax": {"rows": ("rows",), "cols": ("cols",)},
    "ln": {"rows": ("rows",), "cols": ("cols",)},
}
_ELEMENTS: dict[str, tuple[str, ...]] = {"n": ("rows", "cols")}
_IDENTITY = ("gpu", "op", "dtype", "latency_s", "published_split")
_NUMBERS = (
    *("rows", "cols", "batch", "m", "k", "n"),
    *("in_channels", "out_channels", "kernel_size", "size", "stride", "padding"),
)


@dataclass(frozen=True)
class Gpu:
    """What the data sheet says of a GPU, in SI units."""

    name: str
    architecture: str
    flop_per_s: float
    bytes_per_s: float
    multiprocessors: float
    cache_bytes: float
    tdp_w: float


def gpu_of(driver_name: str) -> Gpu:
    """Data-sheet figures (data/hardware.csv). Raises ValueError on a GPU without a row."""
    spec = match_gpu(driver_name)
    if spec is None or None in (spec.sm_count, spec.last_level_cache_mib, spec.tdp_w):
        raise ValueError(f"{driver_name}: data/hardware.csv has no complete row for it")
    return _gpu(spec)


def _gpu(spec: GpuSpec) -> Gpu:
    return Gpu(
        name=spec.name,
        architecture=spec.architecture,
        flop_per_s=spec.peak_flop_per_s("float32"),
        bytes_per_s=spec.memory_bytes_per_s,
        multiprocessors=float(spec.sm_count or 0),
        cache_bytes=float(spec.last_level_cache_mib or 0) * 2**20,
        tdp_w=float(spec.tdp_w or 0),
    )


def read_cells(path: Path) -> pd.DataFrame:
    """The whole file as cells (see ``cells_of``)."""
    return cells_of(pd.read_parquet(path, columns=[*_IDENTITY, *_NUMBERS]))


def cells_of(published: pd.DataFrame) -> pd.DataFrame:
    """One row per published time, in the columns of our datasets and numbers to compute with.

    Columns: ``gpu`` (driver's name), ``operation`` (of ``OPERATIONS``), ``case_index`` (which
    elementwise case, else 0), workload, case, params, dtype, math_mode, backend, device, mode,
    ``median_s``, ``split`` (train or test, as published), then ``batch``, ``m``, ``n``, ``k``
    of products (convolutions as implicit products: a row per output pixel), ``rows``, ``cols``
    of the rest, ``flop`` and ``bytes`` (each distinct operand once). The published time of an
    operation is one call's, first kernel to last, launch included: our mode ``resident``.
    """
    frame = published.reset_index(drop=True)
    op = frame["op"].astype(str)
    numbers = frame[[*_NUMBERS]].astype(float)
    cells = pd.DataFrame({"gpu": frame["gpu"].astype(str)})
    rowwise = op.map({"softmax": "softmax", "ln": "layer_norm"})
    products = op.where(op.isin(PRODUCTS))
    cells["operation"] = products.fillna(rowwise).fillna("elementwise")
    index = {name: i for i, name in enumerate(ELEMENTWISE)}
    cells["case_index"] = op.map(index).fillna(0).astype(int)
    cells["workload"] = [_FAMILY.get(name, ("elementwise", name))[0] for name in op]
    cells["case"] = [_FAMILY.get(name, ("elementwise", name))[1] for name in op]
    cells["params"] = pd.Series(_params(op, numbers), dtype=object)
    cells["dtype"], cells["math_mode"] = frame["dtype"], "ieee"
    cells["backend"], cells["device"], cells["mode"] = "torch", "cuda", "resident"
    cells["median_s"] = frame["latency_s"].astype(float)
    cells["split"] = frame["published_split"]
    conv = (op == "conv2d").to_numpy()
    side = numbers["size"] + 2.0 * numbers["padding"] - numbers["kernel_size"]
    pixels = numbers["batch"] * (np.floor(side / numbers["stride"]) + 1.0) ** 2
    window = numbers["kernel_size"] ** 2
    cells["batch"] = numbers["batch"].where(~conv, 1.0)
    cells["m"] = numbers["m"].where(~conv, pixels)
    cells["n"] = numbers["n"].where(~conv, numbers["out_channels"])
    cells["k"] = numbers["k"].where(~conv, numbers["in_channels"] * window)
    cells["rows"], cells["cols"] = numbers["rows"], numbers["cols"]
    # an input pixel of a convolution is read once, though it stands in kernel_size^2 windows
    image = numbers["batch"] * numbers["in_channels"] * numbers["size"] ** 2
    left = (cells["batch"] * cells["m"] * cells["k"]).where(~conv, image)
    right = cells["batch"] * cells["k"] * cells["n"]
    elements = cells["rows"] * cells["cols"]
    touched = elements * np.where(op.isin(BINARY), 3.0, 2.0)
    product = left + right + cells["batch"] * cells["m"] * cells["n"]
    cells["bytes"] = BYTES_PER_ELEMENT * product.fillna(touched)
    cells["flop"] = (2.0 * cells["batch"] * cells["m"] * cells["n"] * cells["k"]).fillna(elements)
    return cells


def _params(op: pd.Series, numbers: pd.DataFrame) -> list[dict[str, int]]:
    values = numbers.to_dict("list")
    return [
        {
            name: int(math.prod(values[column][i] for column in columns))
            for name, columns in _PARAMS.get(kind, _ELEMENTS).items()
        }
        for i, kind in enumerate(op)
    ]


def log_times(cells: pd.DataFrame) -> Array:
    """Natural logarithms of the measured seconds, (n,)."""
    values: Array = np.log(cells["median_s"].to_numpy(dtype=float))
    return values


def roofline_seconds(cells: pd.DataFrame, gpu: Gpu) -> Array:
    """Plain roofline of the data sheet: the longer of arithmetic and memory, nothing else."""
    compute = cells["flop"].to_numpy(dtype=float) / gpu.flop_per_s
    memory = cells["bytes"].to_numpy(dtype=float) / gpu.bytes_per_s
    seconds: Array = np.maximum(compute, memory)
    return seconds
