"""Picking elements: smallest and middle ones, those of a mask, those at random places."""

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
    sizes,
    uniform,
)
from collector.workloads._job_memory import JobMemory
from collector.workloads._labels import COLUMNS, ELEMENTS, ROWS
from collector.workloads._limits import Limit
from collector.workloads._sampled import part_positions, share_that_differs
from collector.workloads._shape import LINE_BYTES, Question, Shape
from collector.workloads._survey import Space
from collector.workloads._types import (
    BOOL,
    F32,
    F64,
    ITEM_BYTES,
    UNIT_ROUNDOFF,
    ElementType,
)
from collector.workloads._work import Count, Floats, Work, product

if TYPE_CHECKING:
    from collector.backends.base import Backend

_BOTH = (F64, F32)
_INDEX_BYTES = 8
_RUN = 64  # elements of a mask that are alike, at least
_VALUE = 2.0  # what a masked assignment writes; no operand has it
_BITS = {"float64": np.int64, "float32": np.int32}  # whole numbers of the same size

_ORDERED = frozenset({"partition", "median"})
_MASKED = frozenset({"compress", "mask_assign", "nonzero"})  # half of the mask is true
_PLACED = frozenset({"take", "put"})
#: case -> element types of its operand; the mask is the operand of those that count and find
_TYPES: Mapping[str, tuple[ElementType, ...]] = {
    **dict.fromkeys(("argmin", "argmin_rows", "max", "partition", "median"), _BOTH),
    **dict.fromkeys(("compress", "mask_assign"), _BOTH),
    **dict.fromkeys(("nonzero", "count_nonzero"), (BOOL,)),
    **dict.fromkeys(("take", "put"), _BOTH),
}

#: CuPy sorts to partition beyond the first thousand elements (cupy.partition, ``max_k``), by
#: radix: so many bits of the keys in each pass (CUB, DeviceRadixSort).
_BITS_PER_PASS = 8

#: Comparisons of an element that finding the middle one of many takes at least (Bent and John,
#: Finding the median requires 2n comparisons, STOC 1985).
_MEDIAN_COMPARISONS = 2.0

_MOST_PLACED = 2_000_000  # distinct random indices take a tenth of a second to draw
_CPU_SIZES = (1000, 100_003, 3_000_000)
_CUDA_SIZES = (1000, 1_000_003, 10_000_000)
_SHAPES = ((100_000, 10), (1000, 1001))
_SMALLEST = ("argmin", "nonzero", "take")  # of which few elements are measured too


class Select(Workload):
    """Each library's own function, or an index in brackets. Half of each mask is true.

    A masked assignment and ``put`` write to an array that is there, which each call leaves alike.
    """

    name = "select"
    summary = "argmin, max, partition and median; x[mask], nonzero; x[indices], one or many"
    size_meaning = "elements that are gone through"
    signatures = {
        case: {"rows": None, "cols": None} if case == "argmin_rows" else {"n": None}
        for case in _TYPES
    }
    support = {
        ("numpy", "cpu"): (F64, F32, BOOL),
        ("torch", "cpu"): (F64, F32, BOOL),
        ("torch", "cuda"): (F64, F32, BOOL),
        ("cupy", "cuda"): (F64, F32, BOOL),
    }
    # torch has no partition; its median is the lower of the two in the middle
    case_backends = dict.fromkeys(("partition", "median"), frozenset({"numpy", "cupy"}))
    case_dtypes = {case: frozenset(name for name, _ in types) for case, types in _TYPES.items()}
    threaded_backends = frozenset({"torch"})
    rank = 76
    label = "Selecting elements"
    case_labels = {
        "argmin": "Place of the smallest",
        "argmin_rows": "Place of the smallest in each row",
        "max": "Largest",
        "partition": "Partition at the middle",
        "median": "Median",
        "compress": "Elements of a mask, x[mask]",
        "mask_assign": "Assignment to x[mask]",
        "nonzero": "Places of a mask",
        "count_nonzero": "Count of a mask",
        "take": "Elements by index, x[indices]",
        "put": "Assignment to x[indices]",
    }
    case_help = (
        "What is picked. Half of a mask is true, in runs of 64 and more; indices are random, as "
        "many as elements."
    )
    parameter_labels = {"n": ELEMENTS, "rows": ROWS, "cols": COLUMNS}
    start_values = {"n": 3_000_000, "rows": 1000, "cols": 1000}
    survey = {
        device: tuple(
            Space(
                case,
                {"rows": (8, longest), "cols": (2, longest)}
                if case == "argmin_rows"
                else {"n": (10, _MOST_PLACED if case == "put" else largest)},
                dict(zip(types, (6, 3), strict=False)),
            )
            for case, types in _TYPES.items()
        )
        for device, largest, longest in (("cpu", 5_000_000, 8192), ("cuda", 20_000_000, 32_768))
    }
    limits = frozenset({Limit.MEMORY, Limit.GRAINED})
    kin = {
        **dict.fromkeys(sorted(_ORDERED), "select_ordered"),
        **dict.fromkeys(sorted(_MASKED), "select_masked"),
        **dict.fromkeys(sorted(_PLACED), "select_placed"),
    }
    kin_limits = {
        "select_ordered": frozenset({Limit.STEPPING}),
        "select_masked": frozenset({Limit.STEPPING}),
        "select_placed": frozenset({Limit.STEPPING, Limit.SCATTERED}),
    }

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return product(params.values())

    def returns_operands(self, case: str) -> bool:
        """A masked assignment gives the array that it writes to, whose other half must stay."""
        return case == "mask_assign"

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        """By size, so that the last point of each case is its largest."""
        known = (backend, device) in self.support and suite != "quick"
        grid = _grid(suite, backend, device) if known else iter(())
        able = (point for point in grid if self.supports(backend, device, point.case))
        yield from sorted(able, key=lambda point: self.size(point.case, dict(point.params)))

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """Operands read once and the result written once; a FLOP for each comparison or count.

        Finding the middle takes two comparisons an element and goes through a copy, which is
        written, in all libraries. Indices have 8 bytes, a mask one, of whose n half are true,
        rounded up. What only moves elements has no FLOP.
        """
        n, item = product(params.values()), ITEM_BYTES[dtype]
        vector, half = 1.0 * (n * item), (n + 1) // 2
        kernels = _kernel_count(case, n, item, backend)
        if case in _ORDERED:
            result = vector if case == "partition" else 1.0 * item
            return Work(_MEDIAN_COMPARISONS * n, vector, vector, vector, result, kernels)
        if case == "compress":
            read, result = vector + 1.0 * n, 1.0 * (half * item)
            return Work(0.0, read, result, read, result, kernels)
        if case == "mask_assign":
            return Work(0.0, 1.0 * n, 1.0 * (half * item), 1.0 * n, vector, kernels)
        if case == "nonzero":
            result = 1.0 * (half * _INDEX_BYTES)
            return Work(0.0, vector, result, vector, result, kernels)
        if case in _PLACED:
            read = vector + 1.0 * (n * _INDEX_BYTES)
            return Work(0.0, read, vector, read, vector, kernels)
        results: int | Count = params["rows"] if case == "argmin_rows" else 1
        result = 1.0 * results * (item if case == "max" else _INDEX_BYTES)
        return Work(1.0 * n, vector, result, vector, result, kernels)

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Operands and result; the copy that a median goes through; CUB's second buffer of a sort.

        torch finds the places of a mask's elements before it takes or writes those.
        """
        work = self.operation_work(case, params, dtype, backend)
        own = work.h2d_bytes + work.d2h_bytes
        n = float(self.principal_size(case, params))
        vector = n * ITEM_BYTES[dtype]
        if case == "median":
            own += vector
        if case in _ORDERED and backend == "cupy":
            own += vector
        places = n / 2 * _INDEX_BYTES if case in _MASKED else 0.0
        return JobMemory(own, own + (places if device == "cuda" or backend == "torch" else 0.0))

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """Elements one by one where they are moved or ordered; new results on a CPU.

        What is taken from or put at random places brings whole lines of memory; an assignment to
        half of the elements reads and writes the lines of all. CuPy's partition is a radix sort.
        """
        case, gpu = asked.case, asked.device == "cuda"
        n, item = self.principal_size(case, params), ITEM_BYTES[asked.dtype]
        work = self.operation_work(case, params, asked.dtype, asked.backend)
        moved = work.bytes_read + work.bytes_written
        fresh: Any = 0.0 if gpu or case in ("mask_assign", "put") else work.bytes_written
        if case in _ORDERED:
            if not gpu:
                return Shape(fresh=fresh, block=fresh)
            passes = 2.0 * item * 8 / _BITS_PER_PASS * n * item
            return Shape(serial=0.0, passes=passes / moved)
        if case in _PLACED:
            lines = n * LINE_BYTES[asked.device] * (2.0 if case == "put" else 1.0)
            others = n * (item + _INDEX_BYTES)
            passes = (lines + others) / moved
            return Shape(steps=n, passes=passes, fresh=fresh, block=fresh)
        if case == "mask_assign":
            return Shape(steps=n, passes=(n + 2.0 * n * item) / moved)
        steps = n if case in _MASKED else 0.0
        return Shape(steps=steps, fresh=fresh, block=fresh)

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """Random operands: positive ones where a mean is taken, so that it is not near zero."""
        shape = tuple(params[name] for name in self.signatures[case])
        generator = np.random.default_rng(seed + 1)
        if case == "compress":
            return uniform(shape, dtype, seed), _half_true(shape[0], generator)
        if case in _MASKED or case == "count_nonzero":
            return (_half_true(shape[0], generator),)
        x = uniform(shape, dtype, seed)
        if case == "take":
            return x, generator.integers(0, shape[0], shape[0])
        if case == "put":
            return x, generator.permutation(shape[0])
        return (np.abs(x, out=x) if case == "median" else x,)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        xp, torch = backend.module, backend.name == "torch"
        if case == "argmin_rows":
            return lambda x: xp.argmin(x, 1)
        if case == "partition":
            middle = params["n"] // 2
            return lambda x: xp.partition(x, middle)
        if case in ("compress", "take"):
            return lambda x, chosen: x[chosen]
        if case == "nonzero":
            if torch:
                return lambda mask: xp.nonzero(mask, as_tuple=True)[0]
            return lambda mask: xp.nonzero(mask)[0]
        if case in ("mask_assign", "put"):
            return _assignment(case, backend.empty(params["n"], dtype))
        function: Function = getattr(xp, case)
        return function

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """What the output has to be, or what it has to agree with (``check``)."""
        x = inputs[0]
        if case in ("argmin", "argmin_rows"):
            return x, x.min(axis=-1)
        if case == "max":
            return x.max()
        if case == "count_nonzero":
            return int(x.sum())
        if case == "partition":
            return x.shape, _sum_of_bits(x)
        if case == "median":
            low, high = (len(x) - 1) // 2, len(x) // 2
            middle = np.partition(x, (low, high))
            return (float(middle[low]) + float(middle[high])) / 2
        return _expected_parts(case, inputs, dtype)

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Share of elements that are not exactly right; none may differ.

        An index may be that of any of the smallest. A partition has the elements of its operand
        in some order, none before the middle one larger than that, none behind it smaller. A
        median may be off by the rounding of a sum and a half.
        """
        if case in ("argmin", "argmin_rows"):
            return Check(_share_of_wrong_places(reference[0], reference[1], output), 0.0)
        result = "int64" if case in ("nonzero", "count_nonzero") else dtype
        shape = reference[0] if isinstance(reference, tuple) else ()
        if output.shape != shape or output.dtype != np.dtype(result):
            return Check(math.inf, 0.0)
        if case in ("max", "count_nonzero"):
            return Check(0.0 if output == reference else math.inf, 0.0)
        if case == "median":
            return Check(abs(float(output) / reference - 1), 2 * UNIT_ROUNDOFF[dtype])
        if case == "partition":
            right = _is_partitioned(output, reference[1], params["n"] // 2)
            return Check(0.0 if right else math.inf, 0.0)
        positions, expected = reference[1:]
        return Check(share_that_differs([output[place] for place in positions], expected), 0.0)


def _half_true(n: int, generator: np.random.Generator) -> np.ndarray[Any, Any]:
    """A mask of n, of which exactly half, rounded up, are true, in runs as of a threshold on a
    smooth field. Where each element is drawn by itself a CPU takes up to ten times as long.
    """
    drawn = generator.integers(0, 2, n // (2 * _RUN) + 1, dtype=bool).repeat(_RUN)[: n // 2]
    return np.concatenate([drawn, ~drawn, np.ones(n % 2, dtype=bool)])


def _assignment(case: str, target: Any) -> Function:
    """Writes to an array of its own, made of ones, and gives it."""

    def assign_mask(mask: Any) -> Any:
        target[mask] = _VALUE
        return target

    def put(x: Any, indices: Any) -> Any:
        target[indices] = x
        return target

    return assign_mask if case == "mask_assign" else put


def _expected_parts(case: str, inputs: Arrays, dtype: str) -> tuple[Any, Any, Any]:
    """Shape of a result, positions of it that are checked and the elements there."""
    x = inputs[0]
    if case == "nonzero":
        found = np.arange(len(x))[x]
        positions = part_positions(found.shape)
        return found.shape, positions, [found[place] for place in positions]
    if case == "compress":
        chosen = np.flatnonzero(inputs[1])
        positions = part_positions(chosen.shape)
        return chosen.shape, positions, [x[chosen[place]] for place in positions]
    positions = part_positions(x.shape)
    if case == "mask_assign":
        return x.shape, positions, [np.where(x[place], _VALUE, 1.0) for place in positions]
    indices = inputs[1]
    if case == "take":
        return x.shape, positions, [x[indices[place]] for place in positions]
    places = [indices[place] for place in positions]
    return x.shape, places, [x[place] for place in positions]


def _share_of_wrong_places(
    x: np.ndarray[Any, Any], smallest: np.ndarray[Any, Any], places: np.ndarray[Any, Any]
) -> float:
    """Share of indices, one for each row of x, that are not of an element as small as any."""
    if places.shape != x.shape[:-1] or places.dtype.kind not in "iu":
        return math.inf
    if places.min() < 0 or places.max() >= x.shape[-1]:
        return math.inf
    found = np.take_along_axis(x, places[..., None], axis=-1)[..., 0]
    return float(np.mean(found != smallest))


def _sum_of_bits(x: np.ndarray[Any, Any]) -> int:
    """The same for the same elements in any order: their bits as whole numbers, added up."""
    return int(np.add.reduce(x.view(_BITS[str(x.dtype)]), dtype=np.int64))


def _is_partitioned(output: np.ndarray[Any, Any], bits: int, middle: int) -> bool:
    """Whether it has the elements that add up to ``bits``, the smaller ones before the middle."""
    pivot = output[middle]
    before = output[:middle].max(initial=-math.inf) <= pivot
    return bool(before and output[middle:].min() >= pivot and _sum_of_bits(output) == bits)


def _kernel_count(case: str, n: int | Count, item: int, backend: str) -> int | Count:
    """Kernels of one call on a GPU.

    torch finds the places of a mask in five (a count, CUB's DeviceSelect, coordinates), takes
    what is there in one more and writes a single value without them. CuPy scans the mask in two
    and copies in a third; its partition is a copy and a radix sort (``sort``), its median looks
    for NaN and takes a mean besides.
    """
    if backend == "torch":
        return {"nonzero": 5, "compress": 6, "count_nonzero": 2}.get(case, 1)
    if case in _ORDERED:
        return 1 + item + 2 + (3 if case == "median" else 0)
    return 3 if case in ("nonzero", "compress") else 1


def _grid(suite: str, backend: str, device: str) -> Iterator[GridPoint]:
    """All cases in their first type; the second at one size."""
    cpu, torch, full = device == "cpu", backend == "torch", suite == "full"
    hot = ("hot",)
    shapes = [{"rows": rows, "cols": cols} for rows, cols in _SHAPES]
    for case, types in _TYPES.items():
        every = sizes("n", _CPU_SIZES if cpu else _CUDA_SIZES)
        if case == "argmin_rows":
            every = shapes
        elif case == "put":
            every = sizes("n", (1000, 100_003, 1_000_003))
        elif case in _SMALLEST:
            every = sizes("n", (10,)) + every
        chosen = every if full or not torch else every[-2:-1] if cpu else every[-2:]
        yield from points(case, chosen, types[:1], hot)
        if full or not torch:
            yield from points(case, every[-2:-1], types[1:], hot)
    if full:
        for case, types in _TYPES.items():
            if case != "argmin_rows":
                yield from points(case, sizes("n", (10_000, 400_000)), types[:1], hot)
    if not cpu:
        host = ("resident", "end_to_end")
        for case in ("argmin", "compress", "take"):
            yield from points(case, sizes("n", (1_000_003,)), [F64], host)
