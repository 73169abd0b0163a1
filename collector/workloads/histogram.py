"""Counting and finding among bins: histogram, bincount, searchsorted, unique."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.workloads._base import (
    Arrays,
    Check,
    Function,
    GridPoint,
    Params,
    Workload,
    points,
)
from collector.workloads._job_memory import JobMemory
from collector.workloads._limits import Limit
from collector.workloads._sampled import part_positions, share_that_differs
from collector.workloads._shape import Question, Shape
from collector.workloads._survey import Space
from collector.workloads._types import F32, F64, I64, ITEM_BYTES, ElementType
from collector.workloads._work import Count, Floats, Work, choose

if TYPE_CHECKING:
    from collector.backends.base import Backend

#: case -> element types of what is counted or looked for
_TYPES: Mapping[str, tuple[ElementType, ...]] = {
    "histogram": (F64, F32),
    "bincount": (I64,),
    "searchsorted": (F64, F32),
    "unique": (I64,),
}
_COUNT_BYTES = 8

#: Share of a bin's width that values stay away from its edges: libraries that compute a bin in
#: float32 agree with exact arithmetic as long as rounding is below it (to 250,000 bins).
_MARGIN = 0.25

#: More than a last-level cache holds: places are then added to in memory.
_BEYOND_CACHES = 32 * 2**20
#: So many places that a GPU's additions at one time hardly ever meet (a choice).
_UNCONTENDED = 1e6

# values or needles, and bins
_CPU_SIZES = ((1000, 10), (100_003, 100), (100_003, 100_000), (3_000_000, 1000))
_CUDA_SIZES = ((1000, 10), (1_000_003, 100), (1_000_003, 100_000), (10_000_000, 1000))


class Histogram(Workload):
    """Each library's own function.

    Weights added up in bins (``numpy.add.at``) are ``scatter_add``. NumPy and CuPy also give the
    edges of a histogram, torch (``histc``) gives counts as floats.
    """

    name = "histogram"
    summary = "histogram, bincount, searchsorted, unique"
    size_meaning = "values that are counted or looked for"
    signatures = {
        "histogram": {"n": None, "bins": None},
        "bincount": {"n": None, "bins": None},
        "searchsorted": {"n": None, "bins": None},
        "unique": {"n": None, "values": None},
    }
    support = {
        ("numpy", "cpu"): (F64, F32, I64),
        ("torch", "cpu"): (F64, F32, I64),
        ("torch", "cuda"): (F64, F32, I64),
        ("cupy", "cuda"): (F64, F32, I64),
    }
    case_dtypes = {case: frozenset(name for name, _ in types) for case, types in _TYPES.items()}
    threaded_backends = frozenset({"torch"})
    rank = 92
    label = "Counting in bins"
    case_labels = {
        "histogram": "Histogram of equal bins",
        "bincount": "Count of each whole number",
        "searchsorted": "Bin of each value, by search",
        "unique": "Distinct values, sorted",
    }
    parameter_labels = {
        "n": ("Values", "How many values are counted or looked for."),
        "bins": ("Bins", "Bins, or values that are searched."),
        "values": ("Distinct values", "How many different values there are."),
    }
    start_values = {"n": 3_000_000, "bins": 1000, "values": 1000}
    survey = {
        "cuda": (
            Space("histogram", {"n": (100, 20_000_000), "bins": (10, 100_000)}, {F64: 8, F32: 4}),
            Space("bincount", {"n": (100, 20_000_000), "bins": (10, 1_000_000)}, {I64: 8}),
            Space(
                "searchsorted", {"n": (100, 20_000_000), "bins": (10, 1_000_000)}, {F64: 8, F32: 4}
            ),
            Space("unique", {"n": (100, 20_000_000), "values": (10, 1_000_000)}, {I64: 8}),
        ),
        "cpu": (
            Space("histogram", {"n": (100, 5_000_000), "bins": (10, 100_000)}, {F64: 6, F32: 3}),
            Space("bincount", {"n": (100, 5_000_000), "bins": (10, 1_000_000)}, {I64: 6}),
            Space(
                "searchsorted", {"n": (100, 3_000_000), "bins": (10, 1_000_000)}, {F64: 6, F32: 3}
            ),
            Space("unique", {"n": (100, 3_000_000), "values": (10, 300_000)}, {I64: 6}),
        ),
    }
    limits = frozenset({Limit.STEPPING, Limit.SCATTERED, Limit.AWKWARD})
    kin = {"searchsorted": "searchsorted", "unique": "unique"}
    kin_limits = {
        "searchsorted": frozenset({Limit.STEPPING, Limit.SCATTERED, Limit.AWKWARD}),
        "unique": frozenset({Limit.STEPPING}),
    }
    #: counts of bins; torch's searches on a CPU are shared out among its threads
    serial_cases = frozenset({"bincount"})

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return params["n"]

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        """By size, so that the last point of each case is its largest."""
        known = (backend, device) in self.support and suite != "quick"
        grid = _grid(suite, backend, device) if known else iter(())
        yield from sorted(grid, key=lambda point: self.size(point.case, dict(point.params)))

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """A FLOP for each value that is counted, log2 bins comparisons for each one searched.

        Telling n values of v kinds apart takes log2 v comparisons each. Operands are read once
        and results written once: counts have 8 bytes (torch's histogram the size of a value);
        that each count is read for each addition is not counted, as caches hold most.
        """
        n, item = params["n"], ITEM_BYTES[dtype]
        values = 1.0 * (n * item)
        kernels = _kernel_count(case, item, backend)
        if case == "unique":
            distinct = choose(params["values"] < n, params["values"], n)
            flop = n * np.log2(np.maximum(1.0 * distinct, 2.0))
            result = 1.0 * (distinct * item)
            return Work(flop, values, result, values, result, kernels)
        bins = params["bins"]
        if case == "searchsorted":
            flop = n * np.log2(np.maximum(1.0 * bins, 2.0))
            read, result = values + 1.0 * (bins * item), 1.0 * (n * _COUNT_BYTES)
            return Work(flop, read, result, read, result, kernels)
        count_bytes = item if (case, backend) == ("histogram", "torch") else _COUNT_BYTES
        result = 1.0 * (bins * count_bytes)
        return Work(1.0 * n, values, result, values, result, kernels)

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Operands and result; a sort of the values, or a table of them, for the distinct ones."""
        work = self.operation_work(case, params, dtype, backend)
        own = work.h2d_bytes + work.d2h_bytes
        if case != "unique":
            return JobMemory(own, own)
        values = float(params["n"] * ITEM_BYTES[dtype])
        # sorted copy, CUB's second buffer of it, and a mask; on a CPU a copy at most
        more = (2.0 * values + params["n"], 4.0 * values) if device == "cuda" else (0.0, values)
        return JobMemory(own + more[0], own + more[1])

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """Values one by one; awkward where the bins do not fit a cache.

        On a GPU additions to the same place wait for each other: the fewer places, the slower.
        There distinct values are found by a radix sort, whose time for each does not grow with n.
        """
        case, gpu = asked.case, asked.device == "cuda"
        work = self.operation_work(case, params, asked.dtype, asked.backend)
        if case == "unique":
            if not gpu:
                return Shape(fresh=work.bytes_written, block=work.bytes_written)
            values = params["n"] * ITEM_BYTES[asked.dtype]
            passes = 2.0 * ITEM_BYTES[asked.dtype] * values
            return Shape(serial=0.0, passes=passes / (work.bytes_read + work.bytes_written))
        if case == "searchsorted":
            table = params["bins"] * ITEM_BYTES[asked.dtype]
            fresh: Any = 0.0 if gpu else work.bytes_written
            return Shape(awkward=_beyond_caches(table), fresh=fresh, block=fresh)
        if gpu:
            places = np.minimum(params["bins"], _UNCONTENDED)
            return Shape(awkward=1.0 - np.log2(places) / math.log2(_UNCONTENDED))
        return Shape(
            awkward=_beyond_caches(work.bytes_written),
            fresh=work.bytes_written,
            block=work.bytes_written,
        )

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """Values of a histogram lie well inside of bins of [0, 1]; whole numbers from 1 on.

        All values of ``unique`` occur if there is room for them; a search meets some beyond
        both ends.
        """
        generator, n = np.random.default_rng(seed), params["n"]
        if case == "histogram":
            values = generator.random(n)
            values *= 1.0 - 2.0 * _MARGIN
            values += _MARGIN
            values += generator.integers(0, params["bins"], n)
            values /= params["bins"]
            return (values.astype(dtype, copy=False),)
        if case == "searchsorted":
            table = np.sort(generator.random(params["bins"], np.dtype(dtype).type))
            return table, 1.1 * generator.random(n, np.dtype(dtype).type) - table.dtype.type(0.05)
        if case == "bincount":
            return (generator.integers(0, params["bins"], n),)
        distinct = min(params["values"], n)
        labels = generator.integers(1, distinct + 1, n)
        labels[:: n // distinct][:distinct] = np.arange(1, distinct + 1)
        return (labels,)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        xp = backend.module
        if case == "histogram":
            bins = params["bins"]
            if backend.name == "torch":
                return lambda x: xp.histc(x, bins, 0.0, 1.0)
            return lambda x: xp.histogram(x, bins, (0.0, 1.0))[0]
        if case == "bincount":
            bins = params["bins"]
            return lambda x: xp.bincount(x, minlength=bins)
        function: Function = getattr(xp, case)
        return function

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Counts and distinct values whole; of a search the operands."""
        if case == "searchsorted":
            return inputs
        if case == "unique":
            return np.arange(1, min(params["values"], params["n"]) + 1)
        bins = params["bins"]
        x = inputs[0]
        places = x if case == "bincount" else (x.astype(np.float64) * bins).astype(np.int64)
        return np.bincount(places, minlength=bins)

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Share of counts, values or places that are not exactly right; none may differ.

        A place in a table is right where the value before it is smaller and the one at it is not.
        """
        if case == "searchsorted":
            return Check(_share_of_wrong_places(reference[0], reference[1], output), 0.0)
        if output.shape != reference.shape or output.dtype.kind not in "if":
            return Check(math.inf, 0.0)
        return Check(share_that_differs([output], [reference]), 0.0)


def _beyond_caches(table_bytes: Any) -> Any:
    return np.where(table_bytes > _BEYOND_CACHES, 1.0, 0.0)


def _share_of_wrong_places(
    table: np.ndarray[Any, Any], needles: np.ndarray[Any, Any], places: np.ndarray[Any, Any]
) -> float:
    """Share of needles (checked parts of them) that do not belong at their place of the table."""
    if places.shape != needles.shape or places.dtype.kind != "i":
        return math.inf
    edged = np.concatenate([[-math.inf], table.astype(np.float64), [math.inf]])
    wrong = count = 0
    for part in part_positions(needles.shape):
        found, needle = places[part], needles[part]
        if found.min() < 0 or found.max() > len(table):
            return math.inf
        wrong += int(np.count_nonzero(~((edged[found] < needle) & (needle <= edged[found + 1]))))
        count += needle.size
    return wrong / count


def _kernel_count(case: str, item: int, backend: str) -> int:
    """Kernels of one call on a GPU.

    torch: zeros and counts, and for whole numbers their extremes first; a search is one kernel,
    distinct values are a sort with its neighbours compared. CuPy makes edges and zeros, and
    copies, before CUB's histogram; its distinct values are a copy, a radix sort (``sort``), a
    comparison and a selection.
    """
    if backend == "torch":
        return {"histogram": 2, "bincount": 4, "searchsorted": 1}.get(case, 12)
    return {"histogram": 8, "bincount": 6, "searchsorted": 2}.get(case, 1 + item + 2 + 6)


def _points(
    case: str,
    shapes: tuple[tuple[int, int], ...],
    types: tuple[ElementType, ...],
    modes: tuple[str, ...],
) -> Iterator[GridPoint]:
    name = "values" if case == "unique" else "bins"
    return points(case, [{"n": n, name: bins} for n, bins in shapes], types, modes)


def _grid(suite: str, backend: str, device: str) -> Iterator[GridPoint]:
    """All cases in their first type; the second at one size."""
    cpu, torch, full = device == "cpu", backend == "torch", suite == "full"
    hot = ("hot",)
    every = _CPU_SIZES if cpu else _CUDA_SIZES
    for case, types in _TYPES.items():
        chosen = every if full or not torch else every[1:2] if cpu else every[1::2]
        yield from _points(case, chosen, types[:1], hot)
        if full or not torch:
            yield from _points(case, every[1:2], types[1:], hot)
        if full:
            yield from _points(case, ((10, 10), (30_000, 3000), (300_000, 10)), types[:1], hot)
        if not cpu and case in ("histogram", "unique"):
            yield from _points(case, every[1:2], types[:1], ("resident", "end_to_end"))
