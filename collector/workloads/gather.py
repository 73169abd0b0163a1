"""Gathering rows of a table by random indices: an embedding lookup, a join's second half."""

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
from collector.workloads._labels import ROW_WIDTH, ROWS
from collector.workloads._limits import Limit
from collector.workloads._operations import Measured, contiguous
from collector.workloads._sampled import fetch_parts, part_positions, share_that_differs
from collector.workloads._shape import LINE_BYTES, Question, Shape
from collector.workloads._survey import Space
from collector.workloads._types import BF16, F16, F32, F64, ITEM_BYTES
from collector.workloads._work import Count, Floats, Work

if TYPE_CHECKING:
    from collector.backends.base import Backend

_INDEX_BYTES = 8

_Sizes = tuple[int, int, int]

# rows of the table, elements of a row, rows that are read
_SMALL: _Sizes = (1000, 64, 1000)
_NARROW: _Sizes = (1_000_000, 1, 500_000)
_MIDDLE: _Sizes = (100_000, 64, 20_003)
_WIDER: _Sizes = (50_000, 128, 50_003)
_LARGE: _Sizes = (100_003, 128, 200_000)

_ALIGNED_BYTES = 16

_BLOCK_STEPS = 180  # elements that a GPU copies while a block of threads starts (a choice)


class Gather(Workload):
    """out[i] = table[index[i]]: memory traffic in random places, no arithmetic."""

    name = "gather"
    summary = "rows of a table taken by random indices (embedding lookup)"
    size_meaning = "elements that are gathered"
    signatures = {"rows": {"rows": None, "width": None, "count": None}}
    support = {
        ("numpy", "cpu"): (F64, F32),
        ("torch", "cpu"): (F64, F32, BF16),
        ("jax", "cpu"): (F64, F32),
        ("torch", "cuda"): (F64, F32, F16, BF16),
        ("cupy", "cuda"): (F64, F32, F16),
        ("jax", "cuda"): (F64, F32),
    }
    threaded_backends = frozenset({"torch", "jax"})
    rank = 80
    label = "Rows by index, embedding"
    case_labels = {
        "rows": "Rows of a table",
    }
    parameter_labels = {
        "rows": ROWS,
        "width": ROW_WIDTH,
        "count": ("Rows asked for", "How many indices there are."),
    }
    start_values = {"rows": 1_000_000, "width": 64, "count": 100_000}
    survey = {
        "cuda": (
            Space(
                "rows",
                {"rows": (1000, 1_000_000), "width": (1, 1024), "count": (1000, 1_000_000)},
                {F32: 24, BF16: 8},
            ),
        ),
        "cpu": (
            Space(
                "rows",
                {"rows": (1000, 300_000), "width": (1, 256), "count": (1000, 300_000)},
                {F32: 12},
            ),
        ),
    }
    limits = frozenset({Limit.STEPPING, Limit.SCATTERED})
    recognised_kinds = frozenset({"embedding", "index_select"})

    def recognise(self, operation: Operation) -> Measured | None:
        """Rows of a table by 8-byte indices: an embedding, and index_select of the first dimension.

        PyTorch's embedding is an index_select.
        """
        if len(operation.inputs) < 2 or operation.attribute("dim", 0) != 0:
            return None
        table, index = operation.inputs[:2]
        if not table.shape or not contiguous(table) or index.dtype != "int64":
            return None
        width = table.count // max(table.shape[0], 1)
        params = {"rows": table.shape[0], "width": width, "count": index.count}
        return self.measured("rows", params, table.dtype)

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return params["width"] * params["count"]

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        """By size, so that the last point of each case is its largest."""
        grid = self._grid(suite, backend, device)
        yield from sorted(grid, key=lambda point: self.size(point.case, dict(point.params)))

    def _grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        place = (backend, device)
        if place not in self.support:
            return
        if suite == "quick":
            if place == ("torch", "cpu"):
                yield from _points([_MIDDLE], ("hot",))
            if place == ("torch", "cuda"):
                yield from _points([_MIDDLE], ("hot", "resident"))
            return
        if suite == "full":
            modes = ("resident",) if place == ("jax", "cuda") else ("hot",)
            more = [(10_000, 16, 5000), (50_000, 256, 10_000)]
            yield from _points(more, modes)
            yield from _points([(20_000, 32, 20_000)], modes, [F64])
        if device == "cpu":
            yield from self._cpu_grid(backend)
        else:
            yield from self._cuda_grid(backend)

    def _cpu_grid(self, backend: str) -> Iterator[GridPoint]:
        if backend == "numpy":
            yield from _points([_SMALL, _NARROW, _WIDER], ("hot",))
        elif backend == "torch":
            yield from _points([_MIDDLE, _WIDER], ("hot",))
        else:
            yield from _points([_MIDDLE], ("hot",))

    def _cuda_grid(self, backend: str) -> Iterator[GridPoint]:
        if backend == "cupy":
            yield from _points([_NARROW, _MIDDLE], ("hot",))
            return
        if backend == "jax":
            yield from _points([_MIDDLE], ("resident",))
            return
        yield from _points([_SMALL], ("hot", "resident"))
        yield from _points([_NARROW], ("hot",))
        yield from _points([_MIDDLE], ("hot", "cold", "resident", "end_to_end"))
        yield from _points([(5000, 1000, 3001), _LARGE], ("hot",))
        yield from _points([_MIDDLE, (100_003, 100, 300_000)], ("hot",), [BF16])

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """No FLOP; 8 bytes of index and one row read, one row written, for each row taken.

        A row that is taken twice is read twice. Mode end_to_end sends the whole table.
        """
        row = 1.0 * params["width"] * ITEM_BYTES[dtype]
        taken, indices = params["count"] * row, 1.0 * params["count"] * _INDEX_BYTES
        table = params["rows"] * row
        return Work(0.0, taken + indices, taken, table + indices, taken, 1)

    def measuring_bytes(self, case: str, params: Params, dtype: str, backend: str) -> float:
        """The table is there whether its rows are read or not."""
        work = self.operation_work(case, self.complete(case, params), dtype, backend)
        return 1.5 * work.h2d_bytes + 1.5 * work.bytes_written

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """An access brings whole lines of memory, and each element is a step of its own as well.

        On a GPU torch gives a row of whole units of 16 bytes a block of threads, however short.
        """
        line = LINE_BYTES[asked.device]
        row = params["width"] * ITEM_BYTES[asked.dtype]
        count, rows = params["count"], params["rows"]
        brought = line * np.ceil(row / line)
        work = self.operation_work(asked.case, params, asked.dtype, asked.backend)
        moved = work.bytes_read + work.bytes_written
        result = count * row
        others = result + count * _INDEX_BYTES
        torch = asked.backend == "torch" and asked.device == "cuda"
        blocks = torch & (row % _ALIGNED_BYTES == 0)
        return Shape(
            steps=count * np.where(blocks, _BLOCK_STEPS, params["width"]),
            passes=(count * brought + others) / moved,
            distinct=(np.minimum(rows, count) * brought + others) / moved,
            fresh=result if asked.device == "cpu" else 0.0,
            block=result if asked.device == "cpu" else 0.0,
        )

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        table = uniform((params["rows"], params["width"]), dtype, seed)
        indices = np.random.default_rng(seed + 1).integers(0, params["rows"], params["count"])
        return table, indices

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        """torch.index_select; numpy, cupy and jax.numpy's take along the first axis.

        All indices are within the table. What a library does about others (numpy raises, JAX
        puts NaN) is part of its time only so far as it looks for them.
        """
        xp = backend.module
        if backend.name == "torch":
            return lambda table, index: xp.index_select(table, 0, index)
        return backend.compile(lambda table, index: xp.take(table, index, axis=0))

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Shape of the result and its parts, looked up element by element."""
        table, indices = inputs
        shape = (len(indices), table.shape[1])
        parts = []
        for position in part_positions(shape):
            rows, columns = np.divmod(position, shape[1])
            parts.append(table[indices[rows], columns])
        return shape, parts

    def fetch(self, backend: Backend, output: Any) -> Any:
        return fetch_parts(backend, output)

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Share of elements that are not exactly those of the table; none may differ."""
        shape, expected = reference
        if output[0] != shape:
            return Check(math.inf, 0.0)
        return Check(share_that_differs(output[1], expected), 0.0)


def _points(
    shapes: list[_Sizes], modes: tuple[str, ...], dtypes: list[tuple[str, str]] | None = None
) -> Iterator[GridPoint]:
    grid = [{"rows": rows, "width": width, "count": count} for rows, width, count in shapes]
    return points("rows", grid, dtypes or [F32], modes)
