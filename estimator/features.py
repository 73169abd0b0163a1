"""From cells (what is asked) to numbers (what the formula reads)."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pandas as pd

from estimator.block_features import NUMBERS, TEXTS, numbers_of, texts_of, which_text
from estimator.dataset import WORK_COLUMNS
from estimator.kernel_model import Array, Indices, KernelWork
from estimator.operations import case_of as case_of
from estimator.operations import operation as operation
from estimator.questions import blocks, params_keys
from estimator.questions import params_key as params_key
from estimator.shape import MOST_PRODUCTS, PRODUCT_COLUMNS
from estimator.tiles import tilings

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
