"""Sorting: a vector, the permutation that sorts it, and the rows of a matrix."""

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
    sizes,
    uniform,
)
from collector.workloads._job_memory import JobMemory
from collector.workloads._labels import COLUMNS, ELEMENTS, ROWS
from collector.workloads._limits import Limit
from collector.workloads._operations import Measured, contiguous
from collector.workloads._sampled import checked_parts, fetch_parts, share_that_differs
from collector.workloads._shape import Question, Shape
from collector.workloads._survey import Space
from collector.workloads._types import F32, F64, I64, ITEM_BYTES
from collector.workloads._work import Count, Floats, Work, choose, product

if TYPE_CHECKING:
    from collector.backends.base import Backend

_ALL = (F64, F32, I64)

_BLOCK = 1_048_573  # a prime; longer vectors repeat a block of so many values
_INDEX_BYTES = 8
_TORCH_SHORT_ROW = 4096  # torch sorts rows up to this length inside one thread block
_TORCH_LONG_ROW = 1_000_000  # and rows from this length on one after the other
_TORCH_MANY_ROWS = 128

#: A radix sort takes so many bits of the keys in each pass over memory (CUB, DeviceRadixSort);
#: rows up to this length are sorted within one thread block, in one pass.
_BITS_PER_PASS = 8


class Sort(Workload):
    """Each library's default order of equal elements; results are exact."""

    name = "sort"
    summary = "sort and argsort of a vector, sort of each row of a matrix"
    size_meaning = "elements that are sorted"
    signatures = {
        "sort": {"n": None},
        "argsort": {"n": None},
        "sort_rows": {"rows": None, "cols": None},
    }
    support = {
        ("numpy", "cpu"): _ALL,
        ("torch", "cpu"): _ALL,
        ("jax", "cpu"): _ALL,
        ("torch", "cuda"): _ALL,
        ("cupy", "cuda"): _ALL,
        ("jax", "cuda"): _ALL,
    }
    threaded_backends = frozenset({"torch"})
    rank = 70
    label = "Sorting"
    case_labels = {
        "sort": "Sort a vector",
        "argsort": "Order of a vector",
        "sort_rows": "Sort each row",
    }
    parameter_labels = {
        "n": ELEMENTS,
        "rows": ROWS,
        "cols": COLUMNS,
    }
    start_values = {"n": 1_000_000, "rows": 4096, "cols": 1024}
    survey = {
        "cuda": (
            Space("sort", {"n": (1000, 10_000_000)}, {F32: 12}),
            Space("argsort", {"n": (1000, 10_000_000)}, {F32: 10}),
            Space("sort_rows", {"rows": (8, 65_536), "cols": (8, 65_536)}, {F32: 14}),
        ),
        "cpu": (
            Space("sort", {"n": (1000, 1_000_000)}, {F32: 8}),
            Space("sort_rows", {"rows": (8, 2048), "cols": (8, 2048)}, {F32: 8}),
        ),
    }
    limits = frozenset({Limit.STEPPING})
    recognised_kinds = frozenset({"sort", "argsort"})
    # 0.8 million floats take torch 84 ms on 16 threads of a Xeon and 79 ms on 2 of an EPYC
    serial_cases = frozenset({"sort", "argsort"})

    def recognise(self, operation: Operation) -> Measured | None:
        """A vector, or rows along the last dimension; PyTorch gives their order in any case."""
        if not operation.inputs or not operation.inputs[0].shape:
            return None
        x = operation.inputs[0]
        if not contiguous(x) or operation.attribute("dim", -1) not in (-1, len(x.shape) - 1):
            return None
        cols = x.shape[-1]
        if x.count == cols:
            return self.measured(operation.kind, {"n": cols}, x.dtype)
        params = {"rows": x.count // max(cols, 1), "cols": cols}
        return self.measured("sort_rows", params, x.dtype)

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return product(params.values())

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
                yield from points("sort", sizes("n", (100_003,)), [F32], ("hot",))
            if place == ("torch", "cuda"):
                yield from points("sort", sizes("n", (1_000_003,)), [F32], ("hot", "resident"))
            return
        if suite == "full":
            modes = ("resident",) if place == ("jax", "cuda") else ("hot",)
            yield from points("sort", sizes("n", (10_000, 300_000)), [F64, F32], modes)
            yield from points("argsort", sizes("n", (10_000, 500_000)), [F32, I64], modes)
        if device == "cpu":
            yield from self._cpu_grid(backend)
        else:
            yield from self._cuda_grid(backend)

    def _cpu_grid(self, backend: str) -> Iterator[GridPoint]:
        rows = [{"rows": 1000, "cols": 500}]
        if backend == "numpy":
            yield from points("sort", sizes("n", (1000, 100_003, 1_000_003)), [F32], ("hot",))
            yield from points("argsort", sizes("n", (100_003,)), [F32], ("hot",))
            yield from points("sort", sizes("n", (400_000,)), [I64], ("hot",))
        elif backend == "torch":
            yield from points("sort_rows", rows, [F32], ("hot",))
            yield from points("sort", sizes("n", (200_003,)), [I64], ("hot",))
        else:
            yield from points("sort", sizes("n", (100_003,)), [F32], ("hot",))

    def _cuda_grid(self, backend: str) -> Iterator[GridPoint]:
        if backend == "cupy":
            yield from points("sort", sizes("n", (1_000_003, 10_000_000)), [F32], ("hot",))
            return
        if backend == "jax":
            yield from points("sort", sizes("n", (1_000_003,)), [F32], ("resident",))
            return
        rows = [{"rows": 1000, "cols": 1000}, {"rows": 50, "cols": 20_003}]
        yield from points("sort", sizes("n", (1000, 65_536)), [F32], ("hot",))
        yield from points(
            "sort", sizes("n", (1_000_003,)), [F32], ("hot", "resident", "end_to_end")
        )
        yield from points("sort", sizes("n", (30_000_000,)), [F32], ("hot",))
        yield from points("sort", sizes("n", (500_000, 10_000_001)), [I64], ("hot",))
        yield from points("argsort", sizes("n", (100_003, 5_000_000)), [F32], ("hot",))
        yield from points("sort_rows", rows, [F32], ("hot",))

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """n log2 n comparisons for rows of n, counted as FLOP by convention.

        That is what sorting by comparison needs (n log2 n - 1.44 n at least); a radix sort,
        which is what a GPU runs, makes none but is counted alike, so that times compare. The
        bytes are the least that any algorithm moves: the keys read once, the result written
        once. torch always writes sorted keys and their 8-byte indices.
        """
        n = params["cols"] if case == "sort_rows" else params["n"]
        rows = params["rows"] if case == "sort_rows" else 1
        count = 1.0 * rows * n
        keys, indices = count * ITEM_BYTES[dtype], count * _INDEX_BYTES
        result = indices if case == "argsort" else keys
        written = keys + indices if backend == "torch" else result
        flop = count * np.log2(np.maximum(1.0 * n, 2.0))
        return Work(flop, keys, written, keys, result, _kernel_count(rows, n, dtype, backend))

    def measuring_bytes(self, case: str, params: Params, dtype: str, backend: str) -> float:
        """A radix sort keeps a second copy of keys and indices, and the first indices."""
        count = float(self.size(case, params))
        more = count * (ITEM_BYTES[dtype] + 2 * _INDEX_BYTES)
        return super().measuring_bytes(case, params, dtype, backend) + more

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Operand, what the library returns, and the second copy of a sort that is not in place.

        NumPy copies the keys and sorts in place; its argsort holds indices only. torch returns
        sorted keys and indices whatever is asked. CUB's radix sort needs a second buffer of all
        that it moves (DeviceRadixSort: O(n) temporary storage but with a DoubleBuffer): CuPy's
        sort of keys, of keys and indices for argsort and in torch, which numbers the elements
        first (ATen/native/cuda/Sort.cu). There short rows are sorted inside a thread block, long
        ones one after the other, and fewer than 128 rows by value and again by row.
        std::stable_sort, torch's on a CPU, takes half a buffer if it gets one; XLA one.
        """
        n = params["cols"] if case == "sort_rows" else params["n"]
        rows = params["rows"] if case == "sort_rows" else 1
        count = float(rows * n)
        keys, indices = count * ITEM_BYTES[dtype], count * _INDEX_BYTES
        own = keys + (indices if case == "argsort" else keys)
        if backend == "torch":
            own = 2 * keys + indices
            if device == "cpu" or n <= _TORCH_SHORT_ROW:
                return JobMemory(own, own + keys + indices)
            if 1 < rows < _TORCH_MANY_ROWS and n < _TORCH_LONG_ROW:
                own += 2 * keys + 3 * indices
            else:
                own += (keys + 2 * indices) / (rows if n >= _TORCH_LONG_ROW else 1)
            return JobMemory(own, own + keys + indices)
        if backend == "cupy":
            own += keys + (keys + indices if case == "argsort" else 0.0)
        return JobMemory(own, own if backend == "numpy" else own + keys + indices)

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """n log n on a CPU; on a GPU a radix sort, whose work for each key does not grow with n."""
        work = self.operation_work(asked.case, params, asked.dtype, asked.backend)
        if asked.device == "cpu":
            return Shape(fresh=work.bytes_written, block=work.bytes_written)
        row = params["cols"] if asked.case == "sort_rows" else params["n"]
        keys = params.get("rows", 1.0) * row
        item = ITEM_BYTES[asked.dtype]
        with_indices = asked.backend == "torch" or asked.case == "argsort"
        each_way = keys * (item + (_INDEX_BYTES if with_indices else 0))
        passes = item * 8 / _BITS_PER_PASS
        moved = work.bytes_read + work.bytes_written
        short = row <= _TORCH_SHORT_ROW
        return Shape(
            serial=np.where(short, 1.0 / np.log2(np.maximum(row, 2.0)), 0.0),
            passes=np.where(short, 1.0, 2.0 * passes * each_way / moved),
        )

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """Random keys; beyond 1,048,573 of them a vector repeats, so that its order is known."""
        if case == "sort_rows":
            shape = (params["rows"], params["cols"])
            return (_random(math.prod(shape), dtype, seed).reshape(shape),)
        block = _random(min(params["n"], _BLOCK), dtype, seed)
        return (np.resize(block, params["n"]),)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        xp = backend.module
        if case == "argsort":
            return backend.compile(lambda x: xp.argsort(x))
        if backend.name == "torch":
            return lambda x: xp.sort(x).values
        return backend.compile(lambda x: xp.sort(x))

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Operand and parts of the sorted keys."""
        x = inputs[0]
        ordered = np.sort(x, axis=-1) if case == "sort_rows" else _sorted_repeats(x)
        return x, [part.copy() for part in checked_parts(ordered.reshape(-1))]

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
        """Share of elements that are not exactly those of that rank; none may differ.

        For argsort the keys that the indices point at are compared, and each index that
        comes twice counts as one that differs: equal keys may come in any order.
        """
        x, expected = reference
        shape, parts = output
        if shape != x.shape:
            return Check(math.inf, 0.0)
        if case != "argsort":
            return Check(share_that_differs(parts, expected), 0.0)
        indices = np.concatenate([part.reshape(-1) for part in parts])
        if indices.dtype.kind not in "iu" or indices.min() < 0 or indices.max() >= len(x):
            return Check(math.inf, 0.0)
        tail = len(parts[-1]) if len(parts) > 1 else 0  # the tail overlaps the last piece
        distinct = indices[: len(indices) - tail] if tail else indices
        seen = np.zeros(len(x), dtype=bool)
        seen[distinct] = True
        twice = len(distinct) - int(np.count_nonzero(seen))
        error = share_that_differs([x[part] for part in parts], expected)
        return Check(error + twice / len(indices), 0.0)


def _random(count: int, dtype: str, seed: int) -> np.ndarray[Any, Any]:
    if dtype.startswith("int"):
        limits = np.iinfo(dtype)
        generator = np.random.default_rng(seed)
        keys: np.ndarray[Any, Any] = generator.integers(limits.min, limits.max, count, dtype=dtype)
        return keys
    return uniform(count, dtype, seed)


def _sorted_repeats(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A sorted copy of a vector that repeats its first ``_BLOCK`` values, without a long sort."""
    if len(x) <= _BLOCK:
        return np.sort(x)
    repeats, rest = divmod(len(x), _BLOCK)
    order = np.argsort(x[:_BLOCK])
    return np.repeat(x[order], repeats + (order < rest))


def _kernel_count(rows: int | Count, n: Count, dtype: str, backend: str) -> int | Count:
    """Kernels of a sort on a GPU; copies and fills that are not kernels do not count.

    CUB's DeviceRadixSort starts a histogram, a prefix sum and one pass per 8 bits of the key.
    cupy copies the keys first. torch numbers the elements first. It sorts rows up to 4096 in
    thread blocks; fewer than 128 rows by value and then by row number; more of them with
    CUB's segmented sort, a pass per 6 bits.
    """
    item = ITEM_BYTES[dtype]
    whole = item + 2
    if backend != "torch":
        return 1 + whole
    segmented = 1 + math.ceil(8 * item / 6)
    few_rows = choose(rows < _TORCH_MANY_ROWS, 1 + whole + 3 + 1, segmented)
    alone = (rows == 1) | (n >= _TORCH_LONG_ROW)
    long_rows = choose(alone, 1 + rows * whole, few_rows)
    count: int | Count = choose(n <= _TORCH_SHORT_ROW, choose(rows == 1, 2, 3), long_rows)
    return count
