"""From cells (what is asked) to numbers (what the formula reads)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from math import ceil, inf
from typing import Any

import numpy as np
import pandas as pd

from collector.workloads import get_workload
from estimator.dataset import WORK_COLUMNS
from estimator.kernel_model import Array, KernelWork
from estimator.shape import ParamsKey, Question
from estimator.shapes import shape_of
from estimator.tiles import TILES, harmonic_sides, waves

#: Programs at their own size that are an operation of another case: (workload, case)
#: -> the case whose measurements describe the same operation. Not so for NumPy's X X^T, which
#: calls a symmetric product of half the work.
SAME_OPERATION: Mapping[tuple[str, str], str] = {
    ("matmul", "dot_2000_float64"): "square",
    ("matmul", "x_xt_1000_float32"): "square",
    ("elementwise", "polynomial_1e6_float32"): "polynomial",
}
_OF_ITS_OWN = {("x_xt_1000_float32", "numpy")}

#: Modes of a question -> the mode of the rows that answer it. On a CPU nothing crosses a bus
#: and the call returns when the work is done: resident and end to end are the hot rows.
CPU_MODES: Mapping[str, str] = {"resident": "hot", "end_to_end": "hot"}

#: torch gives a thread at least so many elements (GRAIN_SIZE in ATen/Parallel.h).
TORCH_GRAIN = 32_768
_GRAINED = frozenset({"elementwise", "reduction", "python_loop"})

_DIMENSION = "dimension_"


def params_key(params: Any) -> ParamsKey:
    """A hashable form of a parameter map: a dict, or pairs as Arrow and DuckDB give them."""
    pairs = params.items() if isinstance(params, Mapping) else params
    return tuple(sorted((str(name), int(value)) for name, value in pairs))


def operation(
    workload: str, case: str, backend: str = "", params: Mapping[str, int] | None = None
) -> str:
    """The case whose measurements describe the same operation (itself, but for those programs).

    Libraries have other algorithms for other kernels of a convolution: with ``params`` their
    class follows the case's name after a space.
    """
    if (case, backend) in _OF_ITS_OWN:
        return case
    name = SAME_OPERATION.get((workload, case), case)
    if workload == "conv2d" and case != "depthwise" and params is not None:
        kernel = params["kernel"]
        return f"{name} {'1x1' if kernel == 1 else '3x3' if kernel <= 3 else 'large'}"
    return name


def case_of(operation_name: str) -> str:
    """The case in the name of an operation."""
    return operation_name.partition(" ")[0]


def describe(cells: pd.DataFrame) -> pd.DataFrame:
    """Numeric features of each cell, one row per cell, with the index of ``cells``.

    ``cells`` has the columns of ``Question`` with ``params`` for ``raw``, and where known
    ``multiprocessors`` of the machine's GPU. Columns of the result: ``params_key``,
    ``family``, ``operation``, ``answer_mode``, ``size``, the work columns (those of ``cells``
    where it has them, else the family's formulas), ``dimension_0`` and following (the
    canonical parameters in order of name, NaN where there are fewer), ``amount`` (FLOP, or
    bytes, or launches: what orders cells by work), and what ``kernel_work`` reads. Raises
    SelectionError on an unknown family, case or parameter.
    """
    names = [field.name for field in fields(Question)]
    table = cells[names[:-1]].reset_index(drop=True).astype(object)
    keys = [params_key(params) for params in cells["params"]]
    table = table.assign(raw=pd.Series(keys, dtype=object))
    codes = table.groupby(names, sort=False, dropna=False).ngroup().to_numpy()
    _, first = np.unique(codes, return_index=True)
    unique = table.iloc[first]
    described = pd.DataFrame(
        [_describe_one(Question(*row)) for row in unique.itertuples(index=False, name=None)]
    )
    result = described.iloc[codes].set_axis(cells.index)
    if all(name in cells.columns for name in WORK_COLUMNS):
        for name in WORK_COLUMNS:
            given = cells[name].astype(float)
            result[name] = given.where(given.notna(), result[name])
    result["multiprocessors"] = cells.get("multiprocessors", np.nan)
    return _with_kernel_columns(result)


def kernel_work(features: pd.DataFrame) -> KernelWork:
    """The operands of the kernel formula."""
    columns = {
        name: features[name].to_numpy(dtype=float)
        for name in (
            "flop",
            "bytes",
            "footprint",
            "fresh",
            "block",
            "launches",
            "forks",
            "share_floor",
            "width",
            "depth",
            "awkward",
        )
    }
    shape = (len(features), len(TILES))
    units = features["multiprocessors"].to_numpy(dtype=float)
    batch, m, n = (
        features[f"product_{name}"].to_numpy(dtype=float) for name in ("batch", "m", "n")
    )
    tiled = (batch > 0.0) & (units > 0.0)
    work, tile = np.ones(shape), np.full(shape, np.inf)
    if tiled.any():
        work[tiled] = waves(batch[tiled], m[tiled], n[tiled], units[tiled])
        tile[tiled] = harmonic_sides()
    return KernelWork(**columns, waves=work, tile=tile)


def dimensions(features: pd.DataFrame) -> Array:
    """Natural logarithms of the canonical parameters, (n, most of any row), NaN for fewer."""
    names = [name for name in features.columns if str(name).startswith(_DIMENSION)]
    values: Array = np.log(features[names].to_numpy(dtype=float))
    return values


def _describe_one(asked: Question) -> dict[str, Any]:
    family = get_workload(asked.workload)
    params = family.complete(asked.case, dict(asked.raw))
    work = family.work(asked.case, params, asked.dtype, asked.backend, asked.device, asked.mode)
    key = params_key(params)
    size = family.size(asked.case, params)
    shape = shape_of(asked, params)
    workers = float(asked.threads)
    if asked.backend == "torch" and asked.device == "cpu" and asked.workload in _GRAINED:
        workers = min(workers, ceil(size / TORCH_GRAIN))
    on_cpu = asked.device == "cpu"
    row: dict[str, Any] = {
        "params_key": key,
        "workload": asked.workload,
        "family": _family(asked),
        "operation": operation(asked.workload, asked.case, asked.backend, params),
        "answer_mode": CPU_MODES.get(asked.mode, asked.mode) if on_cpu else asked.mode,
        "size": size,
        "busy": workers / asked.threads if on_cpu else 1.0,
        "forks": float(on_cpu and workers > 1.0),
        "share_floor": 1.0 / workers if on_cpu else 0.0,
    }
    row |= vars(shape)
    row |= {name: float(getattr(work, name)) for name in WORK_COLUMNS}
    row |= {f"{_DIMENSION}{i}": float(value) for i, (_, value) in enumerate(key)}
    return row


def _family(asked: Question) -> str:
    """The workload, but that a copy over the bus and one on the device are different things."""
    if asked.workload != "transfer":
        return asked.workload
    return "device_copy" if asked.case == "d2d" else "bus"


def _with_kernel_columns(features: pd.DataFrame) -> pd.DataFrame:
    """Add flop, bytes, footprint, launches and amount to a table that has the work columns.

    Work of fewer threads than the group's takes longer in proportion, from a smaller cache.
    Chains of the launch family work on a few elements: only the starts of calls count.
    """
    starts_only = features["workload"] == "launch"
    bus = features["h2d_bytes"] + features["d2h_bytes"]
    is_copy = features["workload"] == "transfer"
    moved = features["bytes_read"] + features["bytes_written"]
    # a copy over the bus is the operation itself in the transfer family
    moved = moved.where(~is_copy | (bus == 0.0), bus)
    flop = features["flop_count"].where(~starts_only, 0.0)
    features["flop"] = (flop * features["serial"] + features["steps"]) / features["busy"]
    features["bytes"] = (moved * features["passes"]).where(~starts_only, 0.0) / features["busy"]
    features["footprint"] = moved * features["distinct"] / features["busy"]
    kernels = features["kernel_count"].clip(lower=1.0)
    features["launches"] = kernels.where(features["starts"] == 0.0, features["starts"])
    # tiles take the place of the width where the GPU's multiprocessors are known
    tiled = (features["product_batch"] > 0.0) & (features["multiprocessors"] > 0.0)
    features["width"] = features["width"].where(~tiled, inf)
    amount = flop.where(flop > 0.0, moved)
    features["amount"] = amount.where(amount > 0.0, features["launches"])
    return features
