"""Adding values up at random places: a weighted histogram, the gradient of an embedding."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.jobs import Operation
from collector.workloads._base import (
    Arrays,
    Check,
    Function,
    GridPoint,
    Params,
    Workload,
    points,
    uniform,
)
from collector.workloads._job_memory import JobMemory
from collector.workloads._labels import ROW_WIDTH, ROWS
from collector.workloads._limits import Limit
from collector.workloads._operations import Measured
from collector.workloads._projection import times
from collector.workloads._shape import Question, Shape
from collector.workloads._survey import Space
from collector.workloads._types import F32, F64, ITEM_BYTES, UNIT_ROUNDOFF
from collector.workloads._work import Count, Floats, Work

if TYPE_CHECKING:
    from collector.backends.base import Backend

_INDEX_BYTES = 8

#: More than a last-level cache holds: places are then added to in memory.
_BEYOND_CACHES = 32 * 2**20

#: So many places that a GPU's additions at one time hardly ever meet (a choice).
_UNCONTENDED = 1e6


class ScatterAdd(Workload):
    """out = zeros; out[index[i]] += source[i], many i at the same place.

    The zeroed output is made anew in each call and is part of the operation. numpy's form is
    ``np.add.at``: ``np.bincount`` computes in float64 whatever it is given, and has no rows.
    """

    name = "scatter_add"
    summary = "values (or rows) added up by random index into fresh zeros"
    size_meaning = "elements that are added"
    signatures = {
        "histogram": {"count": None, "bins": None},
        "rows": {"rows": None, "width": None, "count": None},
    }
    support = {
        ("numpy", "cpu"): (F64, F32),
        ("torch", "cpu"): (F64, F32),
        ("jax", "cpu"): (F64, F32),
        ("torch", "cuda"): (F64, F32),
        ("cupy", "cuda"): (F64, F32),
        ("jax", "cuda"): (F64, F32),
    }
    threaded_backends = frozenset({"torch"})
    rank = 90
    label = "Adding up by index"
    case_labels = {
        "histogram": "Weighted histogram",
        "rows": "Rows into a table",
    }
    parameter_labels = {
        "count": ("Values", "How many values are added up."),
        "bins": ("Bins", "Places that values are added to."),
        "rows": ROWS,
        "width": ROW_WIDTH,
    }
    start_values = {"count": 1_000_000, "bins": 10_000, "rows": 100_000, "width": 64}
    survey = {
        "cuda": (
            Space("histogram", {"count": (10_000, 10_000_000), "bins": (16, 1_000_000)}, {F32: 12}),
            Space(
                "rows",
                {"rows": (1000, 300_000), "width": (1, 256), "count": (1000, 300_000)},
                {F32: 16},
            ),
        ),
        "cpu": (
            Space("histogram", {"count": (1000, 3_000_000), "bins": (16, 300_000)}, {F32: 8}),
            Space(
                "rows",
                {"rows": (1000, 100_000), "width": (1, 128), "count": (1000, 100_000)},
                {F32: 8},
            ),
        ),
    }
    limits = frozenset({Limit.STEPPING, Limit.SCATTERED, Limit.OVERCOUNTED, Limit.AWKWARD})
    recognised_kinds = frozenset({"index_add"})

    def recognise(self, operation: Operation) -> Measured | None:
        """index_add along the first dimension, into no more elements than are added.

        There the zeros, which the family makes in each call and a job may make elsewhere, hardly
        count.
        """
        if len(operation.inputs) < 3 or operation.attribute("dim", 0) != 0:
            return None
        table, index, source = operation.inputs[:3]
        if not table.shape or index.dtype != "int64" or table.count > source.count:
            return None
        if len(table.shape) == 1:
            params = {"count": index.count, "bins": table.count}
            return self.measured("histogram", params, table.dtype)
        width = table.count // max(table.shape[0], 1)
        params = {"rows": table.shape[0], "width": width, "count": index.count}
        return self.measured("rows", params, table.dtype)

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return params["count"] * params["width"] if case == "rows" else params["count"]

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        """By size, so that the last point of each case is its largest."""
        grid = self._grid(suite, backend, device)
        yield from sorted(grid, key=lambda point: self.size(point.case, dict(point.params)))

    def _grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        place = (backend, device)
        if place not in self.support:
            return
        if suite == "quick":
            if place == ("numpy", "cpu"):
                yield from _histograms([(100_003, 1000)], ("hot",))
            if place == ("torch", "cuda"):
                yield from _histograms([(1_000_003, 1000)], ("hot", "resident"))
            return
        if suite == "full":
            modes = ("resident",) if place == ("jax", "cuda") else ("hot",)
            yield from _histograms([(10_000, 10_000), (300_000, 10)], modes)
            yield from _histograms([(50_000, 1000)], modes, [F64])
            yield from _rows([(5000, 32, 5000)], modes)
        if device == "cpu":
            yield from self._cpu_grid(backend)
        else:
            yield from self._cuda_grid(backend)

    def _cpu_grid(self, backend: str) -> Iterator[GridPoint]:
        if backend == "numpy":
            yield from _histograms([(1000, 100), (100_003, 1000), (3_000_000, 1_000_000)], ("hot",))
            yield from _rows([(1000, 64, 3001)], ("hot",))
        elif backend == "torch":
            yield from _rows([(1000, 64, 3001)], ("hot",))
            yield from _histograms([(100_003, 1000)], ("hot",))
        else:
            yield from _histograms([(100_003, 1000)], ("hot",))

    def _cuda_grid(self, backend: str) -> Iterator[GridPoint]:
        if backend == "cupy":
            yield from _histograms([(1_000_003, 1000)], ("hot",))
            yield from _rows([(10_000, 64, 20_003)], ("hot",))
            return
        if backend == "jax":
            yield from _histograms([(1_000_003, 1000)], ("resident",))
            return
        yield from _histograms([(10_000, 1000)], ("hot", "resident"))
        yield from _histograms([(1_000_003, 1000)], ("hot", "resident", "end_to_end"))
        yield from _histograms([(1_000_000, 10), (5_000_000, 1_000_000)], ("hot",))
        yield from _rows([(1000, 64, 1000), (10_000, 64, 20_003), (100_000, 100, 50_000)], ("hot",))

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """One addition per element; operands read once, the output written as zeros and sums.

        Each addition reads its place and writes it back; those bytes are not counted, as
        caches hold most of them. Two kernels: zeros, and sums.
        """
        added = 1.0 * self.principal_size(case, params)
        outputs = params["rows"] * params["width"] if case == "rows" else params["bins"]
        item = ITEM_BYTES[dtype]
        operands = added * item + params["count"] * _INDEX_BYTES
        result = 1.0 * (outputs * item)
        return Work(added, operands + result, 2 * result, operands, result, 2)

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Operands and result; XLA may copy the zeros instead of adding to them in place."""
        work = self.operation_work(case, params, dtype, backend)
        own = work.h2d_bytes + work.d2h_bytes
        return JobMemory(own, own + (work.d2h_bytes if backend == "jax" else 0.0))

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """Additions one by one; awkward where the sums do not fit a cache.

        On a GPU additions to the same place wait for each other: the fewer places, the slower.
        """
        result = self.operation_work(asked.case, params, asked.dtype, asked.backend).d2h_bytes
        if asked.device == "cuda":
            places = np.minimum(result / ITEM_BYTES[asked.dtype], _UNCONTENDED)
            return Shape(awkward=1.0 - np.log2(places) / math.log2(_UNCONTENDED))
        return Shape(
            awkward=np.where(result > _BEYOND_CACHES, 1.0, 0.0), fresh=result, block=result
        )

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """Positive values, so that a sum that lacks one is not closer to the right one."""
        count = params["count"]
        shape = (count, params["width"]) if case == "rows" else (count,)
        places = params["rows"] if case == "rows" else params["bins"]
        indices = np.random.default_rng(seed + 1).integers(0, places, count)
        return np.abs(uniform(shape, dtype, seed)), indices

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        """numpy and cupy: ``add.at``; torch: ``index_add_``; jax: ``.at[].add``."""
        xp = backend.module
        shape = (params["rows"], params["width"]) if case == "rows" else (params["bins"],)
        if backend.name == "torch":
            place = {"dtype": getattr(xp, dtype), "device": backend.device}
            return lambda source, index: xp.zeros(shape, **place).index_add_(0, index, source)
        if backend.name == "jax":
            return backend.compile(
                lambda source, index: xp.zeros(shape, dtype).at[index].add(source)
            )

        def call(source: Any, index: Any) -> Any:
            out = xp.zeros(shape, dtype)
            xp.add.at(out, index, source)
            return out

        return call

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Probe, sums in float64 and the largest number of values in one sum.

        Rows are reduced to one number each by a random positive probe, before they are added
        up: (sum of rows) v = sum of (row v), so that each element of the result counts.
        """
        source, indices = inputs
        places = params["rows"] if case == "rows" else params["bins"]
        probe = np.ones(1)
        if case == "rows":
            probe = np.random.default_rng(7).uniform(0.5, 1.5, params["width"])
        weights = times(source.reshape(len(indices), -1), probe[:, None])[:, 0]
        sums = np.bincount(indices, weights=weights, minlength=places)
        return probe, sums, int(np.bincount(indices, minlength=places).max())

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Largest relative error of a sum (of a row's product with the probe).

        Tolerance 8 sqrt(m) u for sums of m positive values in any order, as atomic additions
        come: the probabilistic bound of Higham and Mary (A new approach to probabilistic
        rounding error analysis, SIAM J. Sci. Comput. 41, 2019) with lambda = 8.
        """
        probe, expected, largest = reference
        shape = (len(expected), len(probe)) if case == "rows" else expected.shape
        if output.shape != shape:
            return Check(math.inf, 0.0)
        sums = times(output.reshape(len(expected), -1), probe[:, None])[:, 0]
        tiny = np.finfo(np.float64).tiny  # where nothing is added only zero is right
        error = float(np.max(np.abs(sums - expected) / np.maximum(expected, tiny)))
        return Check(error, 8 * math.sqrt(max(largest, 1)) * UNIT_ROUNDOFF[dtype])


def _histograms(
    shapes: list[tuple[int, int]],
    modes: tuple[str, ...],
    dtypes: list[tuple[str, str]] | None = None,
) -> Iterator[GridPoint]:
    grid = [{"count": count, "bins": bins} for count, bins in shapes]
    return points("histogram", grid, dtypes or [F32], modes)


def _rows(shapes: list[tuple[int, int, int]], modes: tuple[str, ...]) -> Iterator[GridPoint]:
    grid = [{"rows": rows, "width": width, "count": count} for rows, width, count in shapes]
    return points("rows", grid, [F32], modes)
