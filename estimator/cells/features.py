"""From cells (what is asked) to numbers (what the formula reads), a block at a time."""

from __future__ import annotations

from dataclasses import fields
from math import inf
from typing import Any

import numpy as np
import pandas as pd

from collector.workloads import (
    MOST_PRODUCTS,
    PRODUCT_COLUMNS,
    Floats,
    Limit,
    Question,
    Shape,
    Values,
    Work,
    get_workload,
)
from estimator.arrays import Array, Indices
from estimator.cells.questions import (
    CPU_MODES,
    HOST_MODES,
    Block,
    blocks,
    family_of,
    library,
    params_keys,
)
from estimator.cells.work import KernelWork, tilings
from estimator.dataset.tables import WORK_COLUMNS

#: Least work of one thread. torch: elements (GRAIN_SIZE in ATen/Parallel.h); JAX: bytes (256 KiB
#: in XLA's parallel_task_assignment.cc); NumPy's OpenBLAS keeps a product of up to so many
#: multiplications on one thread (65536 GEMM_MULTITHREAD_THRESHOLD in its interface/gemm.c).
TORCH_GRAIN = 32_768
XLA_GRAIN_BYTES = 262_144
OPENBLAS_SMALL = 262_144

_APART = ("radix", "algorithm", "products")
TEXTS = ("workload", "family", "library", "operation", "answer_mode")
_PLAIN = tuple(field.name for field in fields(Shape) if field.name not in _APART)
_PRODUCT_NAMES = tuple(
    name
    for i in range(MOST_PRODUCTS)
    for name in (f"part_{i}", *(f"product_{i}_{column}" for column in PRODUCT_COLUMNS))
)
NUMBERS = (
    *("size", "busy", "forks", "share_floor", "class_radix", "class_algorithm"),
    *(*_PLAIN, *_PRODUCT_NAMES, *WORK_COLUMNS),
)


def numbers_of(block: Block, threads: Floats) -> list[Values]:
    """The values of ``NUMBERS`` and of the dimensions."""
    asked, params = block.asked, block.params
    family = get_workload(asked.workload)
    work = family.call_work(
        asked.case, params, asked.dtype, asked.backend, asked.device, asked.mode
    )
    size = family.principal_size(asked.case, params)
    shape = family.shape(asked, params)
    values: list[Values] = [size]
    if asked.device == "cpu":
        workers = np.minimum(threads, _most_workers(block, size, work))
        values += [workers / threads, np.where(workers > 1.0, 1.0, 0.0), 1.0 / workers]
    else:
        values += [1.0, float(asked.mode in HOST_MODES), 0.0]
    values += [shape.radix, shape.algorithm, *(getattr(shape, name) for name in _PLAIN)]
    values += _product_columns(shape)
    values += [getattr(work, name) for name in WORK_COLUMNS]
    return values + [params[name] for name in sorted(params)]


def _product_columns(shape: Shape) -> list[Values]:
    """Of each product the share of the FLOP and ``PRODUCT_COLUMNS``; 0 for none."""
    there = np.greater(shape.product_batch, 0.0)
    total = sum(product.size for product in shape.products)
    values: list[Values] = []
    for product in shape.products:
        of = (product.size / total, *(getattr(product, name) for name in PRODUCT_COLUMNS))
        values += [np.where(there, value, 0.0) for value in of]
    return values + [0.0] * (len(_PRODUCT_NAMES) - len(values))


def texts_of(asked: Question) -> list[tuple[str, ...]]:
    """The values of ``TEXTS``, one line for each of the operations that a case may be."""
    mode = CPU_MODES.get(asked.mode, asked.mode) if asked.device == "cpu" else asked.mode
    called = library(asked.workload, asked.backend, asked.device)
    operations = get_workload(asked.workload).operation_classes(asked.case, asked.backend)
    return [(asked.workload, family_of(asked), called, name, mode) for name in operations]


def which_text(block: Block) -> Any:
    """Which of the lines of ``texts_of`` each question has."""
    return get_workload(block.asked.workload).operation_class(block.params)


def _most_workers(block: Block, size: Values, work: Work[Floats]) -> Values:
    """Threads among which a CPU's library divides operations of these sizes at most."""
    asked = block.asked
    limits = get_workload(asked.workload).limits
    grained = Limit.GRAINED in limits
    if grained and asked.backend == "torch":
        return np.ceil(size / TORCH_GRAIN)
    if grained and asked.backend == "jax":
        return np.ceil((work.bytes_read + work.bytes_written) / XLA_GRAIN_BYTES)
    if Limit.PLAIN_PRODUCTS not in limits or asked.backend != "numpy":
        return inf
    one_by_one = block.params["batch"] if asked.case == "batched" else 1.0
    return np.where(work.flop_count / one_by_one <= 2.0 * OPENBLAS_SMALL, 1.0, inf)


_DIMENSION = "dimension_"
_PRODUCTS = range(MOST_PRODUCTS)
_LARGEST_WHOLE = 2.0**63
_TILE = 128.0 * 128.0  # elements of the usual tile of a product on a GPU
_MANY_ROUNDS = 16.0  # of tiles: from here on the last, half-empty one hardly counts
_COLD = 1e15  # bytes, more than any cache holds


def describe(cells: pd.DataFrame) -> pd.DataFrame:
    """Numeric features of each cell, one row per cell, with the index of ``cells``.

    ``cells`` has the columns of ``Question``, ``params``, ``threads`` and where known
    ``multiprocessors`` of the machine's GPU. Columns of the result: ``params_key``,
    ``family``, ``operation``, ``answer_mode``, ``size``, the work columns (those of ``cells``
    where it has them, else the family's formulas), ``dimension_0`` and following (the
    canonical parameters in order of name, NaN where there are fewer), ``amount`` (FLOP, or
    bytes, or launches: what orders cells by work), what ``kernel_work`` reads, and numbers of
    classes: ``class_radix`` (of transforms, ``transforms``), ``class_algorithm`` (1 Winograd, 2
    images turned), ``class_alignment`` (0 served best, up to 1), ``class_waves`` (log2 of
    rounds of tiles on a GPU). Raises
    SelectionError on an unknown family, case or parameter.
    """
    found = list(blocks(cells))
    rows = np.concatenate([np.zeros(0, dtype=np.intp), *(block.rows for block in found)])
    threads = cells["threads"].to_numpy(dtype=float)[rows]
    most = max((len(block.params) for block in found), default=0)
    names = [*NUMBERS, *(f"{_DIMENSION}{i}" for i in range(most))]
    numbers = np.full((len(names), len(rows)), np.nan)
    keys, text = np.empty(len(rows), dtype=object), np.empty(len(rows), dtype=np.intp)
    texts: list[tuple[str, ...]] = []
    start = 0
    for block in found:
        here = slice(start, start + len(block.rows))
        start = here.stop
        for line, value in enumerate(numbers_of(block, threads[here])):
            numbers[line, here] = value
        keys[here] = params_keys(block.params, len(block.rows))
        text[here] = len(texts) + which_text(block)
        texts += texts_of(block.asked)
    if (np.diff(rows) < 0).any():
        place = np.argsort(rows)
        numbers, keys, text = numbers[:, place], keys[place], text[place]
    described = pd.DataFrame(texts, columns=list(TEXTS), dtype="str").iloc[text]
    described = described.set_axis(cells.index)
    described.insert(0, "params_key", keys)
    described["size"] = _whole_where_possible(numbers[0])
    others = pd.DataFrame(numbers[1:].T, columns=names[1:], index=cells.index)
    if all(name in cells.columns for name in WORK_COLUMNS):
        for name in WORK_COLUMNS:
            given = cells[name].astype(float)
            others[name] = given.where(given.notna(), others[name])
    others["multiprocessors"] = cells.get("multiprocessors", np.nan)
    return _with_kernel_columns(pd.concat([described, others], axis=1))


def kernel_work(features: pd.DataFrame) -> KernelWork:
    """The operands of the kernel formula. ``features`` has ``added_s`` where modes add time."""
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
            "awkward_memory",
            "special",
        )
    }
    units = features["multiprocessors"].to_numpy(dtype=float)
    known = units > 0.0
    parts = np.column_stack([features[f"part_{i}"].to_numpy(dtype=float) for i in _PRODUCTS])
    product = np.full(parts.shape, -1)
    names = [[f"product_{i}_{name}" for name in PRODUCT_COLUMNS] for i in _PRODUCTS]
    there = (parts > 0.0) & known[:, None]
    asked = [
        np.column_stack([features[names[i]].to_numpy(dtype=float), units])[there[:, i]]
        for i in _PRODUCTS
    ]
    every = np.concatenate(asked)
    first, product.T[there.T] = _distinct(every)
    ways = tilings(every[first, :-1], every[first, -1])
    added = features["added_s"] if "added_s" in features else pd.Series(0.0, features.index)
    return KernelWork(
        **columns,
        added=np.asarray(added, dtype=float),
        product=product,
        part=parts,
        byte_unit=np.ones(len(features)),
        tilings=ways,
    )


def dimensions(features: pd.DataFrame) -> Array:
    """Natural logarithms of the canonical parameters, (n, most of any row), NaN for fewer."""
    names = [name for name in features.columns if str(name).startswith(_DIMENSION)]
    values: Array = np.log(features[names].to_numpy(dtype=float))
    return values


def _distinct(rows: Array) -> tuple[Indices, Indices]:
    """The first of each distinct row of a matrix (r, c), and which of them each row is, (r,)."""
    kind = np.zeros(len(rows), dtype=np.intp)
    for column in rows.T:
        if len(rows) and (column != column[0]).any():
            codes, values = pd.factorize(column)
            kind = pd.factorize(kind * len(values) + codes)[0]
    first = np.empty(kind.max(initial=-1) + 1, dtype=np.intp)
    first[kind[::-1]] = np.arange(len(rows))[::-1]
    return first, kind


def _whole_where_possible(size: Array) -> Any:
    """Sizes as int64, but where one is too large for it."""
    return size.astype(np.int64) if size.max(initial=0.0) < _LARGEST_WHOLE else size


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
    # a cold call finds nothing in the caches
    features["footprint"] = features["footprint"].where(features["answer_mode"] != "cold", _COLD)
    kernels = features["kernel_count"].clip(lower=1.0)
    features["launches"] = kernels.where(features["starts"] == 0.0, features["starts"])
    # tiles take the place of the width where the GPU's multiprocessors are known
    tiled = (features["product_batch"] > 0.0) & (features["multiprocessors"] > 0.0)
    features["width"] = features["width"].where(~tiled, inf)
    amount = flop.where(flop > 0.0, moved)
    rounds = features["product_batch"] * features["product_m"] * features["product_n"]
    rounds = rounds / features["multiprocessors"].astype(float) / _TILE
    features["class_waves"] = np.log2(rounds.where(tiled, 1.0).clip(1e-3, _MANY_ROUNDS))
    product = features["product_batch"] > 0.0
    features["awkward_memory"] = features["awkward"].where(~product, 0.0)
    features["class_alignment"] = features["awkward"]
    features["amount"] = amount.where(amount > 0.0, features["launches"])
    return features
