"""Elementwise maps over a vector: add, triad, polynomial, tanh; and a sum with broadcasting."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cache
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
from collector.workloads._operations import Measured, dense, plain_kind
from collector.workloads._sampled import checked_parts
from collector.workloads._shape import Question, Shape
from collector.workloads._survey import Space
from collector.workloads._types import BF16, F16, F32, F64, ITEM_BYTES
from collector.workloads._work import Count, Floats, Work, product

if TYPE_CHECKING:
    from collector.backends.base import Backend

_SCALE = 0.75  # the triad's factor, exact in every element type
_POLYNOMIALS = ("polynomial", "polynomial_1e6_float32")

_ARRAY_BACKENDS = frozenset({"numpy", "torch", "cupy", "jax"})
_FUSING = ("numba", "jax")  # compile an expression into one loop

#: rtol and atol by element type, those of torch.testing.assert_close; but for float64, where
#: 1e-7 would let arithmetic in float32 pass
_TOLERANCES = {
    "float64": (1e-12, 1e-12),
    "float32": (1.3e-6, 1e-5),
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
}

#: Maps of one operand that a GPU does as fast as it reads and writes, as it does tanh.
_MAPS = frozenset(
    {
        *("abs", "neg", "relu", "sqrt", "rsqrt", "reciprocal", "exp", "sigmoid", "silu", "gelu"),
        *("cos", "sin", "log", "hardtanh", "hardswish", "leaky_relu", "elu", "clamp", "square"),
    }
)
_SUMS = frozenset({"add", "sub", "mul", "div"})  # of two operands: one FLOP for three elements

_CPU_SIZES: tuple[int, ...] = (*(1000, 10_000, 65_536, 250_001, 1_000_000, 3_000_000, 10_000_000),)
_CUDA_SIZES: tuple[int, ...] = (
    *(1000, 10_000, 100_000, 500_001, 1_000_000, 4_194_304, 10_000_000, 33_554_432),
)
_CPU_ROWS = ((1000, 100), (3000, 1001))
_CUDA_ROWS = ((1000, 1001), (8192, 4096))
_HOT = ("hot",)


class Elementwise(Workload):
    """Memory-bound maps; results go to memory that was allocated and touched before.

    JAX has no such form: its functions return new arrays.
    """

    name = "elementwise"
    summary = "add, triad, polynomial x^2 + 2x + 1 and tanh over a vector; matrix + row vector"
    size_meaning = "elements of the result"
    signatures = {
        "add": {"n": None},
        "triad": {"n": None},
        "polynomial": {"n": None},
        "tanh": {"n": None},
        "broadcast_add": {"rows": None, "cols": None},
        "polynomial_1e6_float32": {"n": 1_000_000},
    }
    support = {
        ("numpy", "cpu"): (F64, F32),
        ("numba", "cpu"): (F64, F32),
        ("torch", "cpu"): (F64, F32),
        ("jax", "cpu"): (F64, F32),
        ("torch", "cuda"): (F64, F32, F16, BF16),
        ("cupy", "cuda"): (F64, F32),
        ("numba", "cuda"): (F64, F32),
        ("jax", "cuda"): (F64, F32, F16, BF16),
    }
    threaded_backends = frozenset({"torch", "numba", "jax"})
    case_backends = {
        "triad": _ARRAY_BACKENDS,
        "tanh": _ARRAY_BACKENDS,
        "broadcast_add": _ARRAY_BACKENDS,
    }
    rank = 50
    label = "Arithmetic on each element"
    case_labels = {
        "add": "Sum of two vectors",
        "triad": "Triad, a + s b",
        "polynomial": "Polynomial x² + 2x + 1",
        "tanh": "Hyperbolic tangent",
        "broadcast_add": "Matrix plus row vector",
        "polynomial_1e6_float32": "Polynomial, a million elements",
    }
    parameter_labels = {
        "n": ELEMENTS,
        "rows": ROWS,
        "cols": COLUMNS,
    }
    start_values = {"n": 10_000_000, "rows": 4096, "cols": 1024}
    survey = {
        "cuda": (
            Space("add", {"n": (1000, 50_000_000)}, {F32: 14, F64: 8, BF16: 8, F16: 8}),
            Space("triad", {"n": (1000, 50_000_000)}, {F32: 12}),
            Space("polynomial", {"n": (1000, 50_000_000)}, {F32: 12}),
            Space("tanh", {"n": (1000, 50_000_000)}, {F32: 12}),
            Space("broadcast_add", {"rows": (8, 65_536), "cols": (8, 65_536)}, {F32: 14}),
        ),
        "cpu": (
            Space("add", {"n": (1000, 60_000_000)}, {F32: 12, F64: 6}),
            Space("triad", {"n": (1000, 60_000_000)}, {F32: 10}),
            Space("polynomial", {"n": (1000, 20_000_000)}, {F32: 10}),
            Space("tanh", {"n": (1000, 20_000_000)}, {F32: 8}),
            Space("broadcast_add", {"rows": (8, 16_384), "cols": (8, 16_384)}, {F32: 8}),
        ),
    }
    unsurveyed = frozenset({"polynomial_1e6_float32"})
    limits = frozenset({Limit.STREAMING, Limit.GRAINED})
    recognised_kinds = _MAPS | _SUMS | {"tanh"}
    same_operation = {"polynomial_1e6_float32": "polynomial"}

    def recognise(self, operation: Operation) -> Measured | None:
        """Sums, differences, products and quotients of two arrays of one layout; a row added to
        each of a matrix; maps of one array, which a GPU does at memory's speed as it does tanh.
        """
        kind, operands, results = plain_kind(operation.kind), operation.inputs, operation.outputs
        if len(results) != 1 or not 1 <= len(operands) <= 2:
            return None
        result = results[0]
        if any(operand.dtype != result.dtype for operand in operands):
            return None
        n = {"n": result.count}
        if kind in _SUMS and len(operands) == 2:
            if dense(result, *operands):
                scaled = operation.attribute("alpha", 1) != 1
                return self.measured("triad" if scaled else "add", n, result.dtype)
            matrix, row = operands
            cols = result.shape[-1] if result.shape else 1
            if dense(result, matrix) and row.shape[-1:] == (row.count,) == (cols,):
                shape = {"rows": result.count // max(cols, 1), "cols": cols}
                return self.measured("broadcast_add", shape, result.dtype)
            return None
        one = len(operands) == 1 and dense(result, operands[0])
        if one and (kind == "tanh" or operation.device == "gpu"):
            return self.measured("tanh", n, result.dtype)
        return None

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return product(params.values())

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        return _grid(suite, backend, device) if self.dtypes(backend, device) else iter(())

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """Bytes of each library call that the expression makes, n elements each.

        add: 2 reads, 1 write, n FLOP. triad b + s c: 2 reads, 1 write, 2 n FLOP where one
        call does it (torch, numba, jax), else a product into the result and a sum: 3 reads,
        2 writes, 2 calls. polynomial: 4 n FLOP; as written it is four calls with temporaries
        (5 reads, 4 writes), compiled by numba or JAX one (1 read, 1 write). tanh: 1 read,
        1 write, counted as n FLOP whatever the library's approximation costs. broadcast_add:
        n = rows x cols, as add, but the row vector is cols elements long.
        """
        n, item = product(params.values()), ITEM_BYTES[dtype]
        vector = 1.0 * (n * item)
        if case == "broadcast_add":
            operands = vector + params["cols"] * item
            return Work(1.0 * n, operands, vector, operands, vector, 1)
        if case in _POLYNOMIALS:
            reads, writes, calls, flop = (1, 1, 1, 4) if backend in _FUSING else (5, 4, 4, 4)
            arrays = 1
        elif case == "triad":
            one_call = backend == "torch" or backend in _FUSING
            reads, writes, calls = (2, 1, 1) if one_call else (3, 2, 2)
            arrays, flop = 2, 2
        elif case == "add":
            reads, writes, calls, arrays, flop = 2, 1, 1, 2, 1
        else:
            reads, writes, calls, arrays, flop = 1, 1, 1, 1, 1
        return Work(
            1.0 * (flop * n), reads * vector, writes * vector, arrays * vector, vector, calls
        )

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Operands, result, and of the polynomial the arrays that are alive when it is summed.

        x, x^2 and 2 x are there while their sum is made. NumPy puts that into one of them
        (temporary elision, numpy/_core/src/multiarray/temp_elide.c), where it may; torch and
        CuPy into a fourth. Compiled expressions have none of them.
        """
        own = super().operation_memory(case, params, dtype, backend, device).bytes
        if case not in _POLYNOMIALS or backend in _FUSING:
            return JobMemory(own, own)
        vector = float(params["n"] * ITEM_BYTES[dtype])
        return JobMemory((3.0 if backend == "numpy" else 4.0) * vector, 4.0 * vector)

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """An expression of arrays reads its intermediate results again, and allocates them.

        The polynomial's four calls move nine vectors, of which three are alive at a time; the
        triad of NumPy and CuPy is two calls that move five, three of them distinct. JAX makes one
        pass of either into a new array.
        """
        size = self.principal_size(asked.case, params)
        block = size * ITEM_BYTES[asked.dtype] if asked.device == "cpu" else 0.0
        if asked.backend == "numba":
            return Shape()
        if asked.backend == "jax":
            return Shape(fresh=block, block=block)
        if not asked.case.startswith("polynomial"):
            twice = asked.case == "triad" and asked.backend != "torch"
            return Shape(distinct=3.0 / 5.0 if twice else 1.0)
        return Shape(distinct=3.0 / 9.0, fresh=4.0 * block, block=block)

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        if case == "broadcast_add":
            matrix = uniform((params["rows"], params["cols"]), dtype, seed)
            return matrix, uniform(params["cols"], dtype, seed + 1)
        n = params["n"]
        first = uniform(n, dtype, seed)
        if case in ("add", "triad"):
            return first, uniform(n, dtype, seed + 1)
        return (first,)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        if backend.name not in self.case_backends.get(case, (backend.name,)):
            raise NotImplementedError(f"elementwise {case} has no form for {backend.name}")
        if backend.name == "numba":
            return _numba_function(backend, case, params["n"], dtype)
        if case in _POLYNOMIALS:
            return backend.compile(lambda x: x**2 + 2 * x + 1)
        if backend.name == "jax":
            return backend.compile(_expression(backend, case))
        xp = backend.module
        result = _touched_result(backend, math.prod(params.values()), dtype)
        if case == "broadcast_add":
            result = result.reshape(params["rows"], params["cols"])
        if case in ("add", "broadcast_add"):
            return lambda b, c: xp.add(b, c, out=result)
        if case == "tanh":
            return lambda x: xp.tanh(x, out=result)
        if backend.name == "torch":
            return lambda b, c: xp.add(b, c, alpha=_SCALE, out=result)

        def triad(b: Any, c: Any) -> Any:
            xp.multiply(c, _SCALE, out=result)
            return xp.add(b, result, out=result)

        return triad

    def fetch(self, backend: Backend, output: Any) -> Any:
        """The shape and the checked parts only: large results stay on the device."""
        shape = tuple(output.shape)
        if backend.name in ("numba", "jax"):
            # numba's device arrays cannot be taken in strided pieces, JAX would compile that
            return shape, checked_parts(backend.to_numpy(output).reshape(-1))
        return shape, [backend.to_numpy(part) for part in checked_parts(output.reshape(-1))]

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Expected values and the magnitude that rounding acts on, for the checked parts.

        The polynomial is near zero at x = -1, where each of its terms has rounded at the
        size of 1: its error is measured against the sum of its terms' magnitudes.
        """
        if case == "broadcast_add":
            matrix, row = inputs
            inputs = (matrix.reshape(-1), np.broadcast_to(row, matrix.shape).reshape(-1))
        parts = []
        for operands in zip(*map(checked_parts, inputs), strict=True):
            x = operands[0].astype(np.float64)
            if case in _POLYNOMIALS:
                parts.append((x * x + 2 * x + 1, x * x + 2 * np.abs(x) + 1))
            elif case == "tanh":
                parts.append((np.tanh(x), np.abs(np.tanh(x))))
            else:
                factor = _SCALE if case == "triad" else 1.0
                y = factor * operands[1].astype(np.float64)
                parts.append((x + y, np.abs(x) + np.abs(y)))
        return parts

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Largest |actual - expected| / (magnitude + atol / rtol), tolerance rtol."""
        shape, parts = output
        names = ("rows", "cols") if case == "broadcast_add" else ("n",)
        if shape != tuple(params[name] for name in names):
            return Check(math.inf, 0.0)
        rtol, atol = _TOLERANCES[dtype]
        errors = [
            np.max(np.abs(actual - expected) / (magnitude + atol / rtol))
            for actual, (expected, magnitude) in zip(parts, reference, strict=True)
        ]
        return Check(float(np.max(errors)), rtol)


def _expression(backend: Backend, case: str) -> Function:
    """A case as an expression of its operands, for libraries that compile expressions."""
    if case == "tanh":
        tanh = backend.module.tanh
        return lambda x: tanh(x)
    if case == "triad":
        return lambda b, c: b + _SCALE * c
    return lambda b, c: b + c


def _touched_result(backend: Backend, count: int, dtype: str) -> Any:
    """A vector on the device, filled with NaN: what an operation leaves unwritten is wrong."""
    if backend.name in ("numpy", "numba"):
        filled = np.full(count, np.nan, dtype)
        return filled if backend.device == "cpu" else backend.upload(filled)
    result = backend.empty(count, dtype)
    backend.poison(result)
    return result


@cache
def _numba_kernel(device: str, case: str) -> Any:
    import numba

    if device == "cpu":
        # numba's own types are dynamic; the decorated function is opaque to a type checker
        if case == "add":

            @numba.njit(parallel=True)
            def cpu_add(b, c, out):  # type: ignore[no-untyped-def]
                for i in numba.prange(out.size):
                    out[i] = b[i] + c[i]

            return cpu_add

        @numba.njit(parallel=True)
        def cpu_polynomial(x, out):  # type: ignore[no-untyped-def]
            for i in numba.prange(out.size):
                out[i] = x[i] ** 2 + 2 * x[i] + 1

        return cpu_polynomial

    from numba import cuda

    if case == "add":

        @cuda.jit
        def cuda_add(b, c, out):  # type: ignore[no-untyped-def]
            i = cuda.grid(1)
            if i < out.size:
                out[i] = b[i] + c[i]

        return cuda_add

    @cuda.jit
    def cuda_polynomial(x, out):  # type: ignore[no-untyped-def]
        i = cuda.grid(1)
        if i < out.size:
            out[i] = x[i] ** 2 + 2 * x[i] + 1

    return cuda_polynomial


def _numba_function(backend: Backend, case: str, n: int, dtype: str) -> Function:
    result = _touched_result(backend, n, dtype)
    kernel = _numba_kernel(backend.device, "add" if case == "add" else "polynomial")
    if backend.device == "cuda":
        kernel = kernel[(n + 255) // 256, 256]

    def call(*operands: Any) -> Any:
        kernel(*operands, result)
        return result

    return call


def _grid(suite: str, backend: str, device: str) -> Iterator[GridPoint]:
    """Grid points of a suite on a backend and device that have forms of the family."""
    if backend == "jax":
        # JAX takes longer to start and to compile than its quick cells would
        yield from () if suite == "quick" else _jax_grid(device)
        return
    cpu = device == "cpu"
    modes: tuple[str, ...] = ("hot",) if cpu else ("hot", "resident", "end_to_end")
    if backend == "numba" and suite != "quick":
        modes = modes[:2]
    yield from points("polynomial_1e6_float32", [{"n": 1_000_000}], [F32], modes)
    if suite == "quick":
        both = _HOT if cpu else ("hot", "resident")
        yield from points("add", sizes("n", (1_000_001,)), [F32], both)
        yield from points("add", sizes("n", (10_000, 10_000_000)), [F32], _HOT)
        if backend == "torch":
            yield from points("tanh", sizes("n", (10_000, 10_000_000)), [F32], _HOT)
    elif cpu:
        yield from _cpu_grid(suite, backend)
    elif backend == "torch":
        yield from _torch_cuda_grid(suite == "full")
    else:
        some = sizes("n", (10_000, 500_001, 10_000_000))
        yield from points("add", some[::2], [F32], _HOT)
        yield from points("add", some[1:2], [F32], ("hot", "resident"))
        yield from points("polynomial", some[2:], [F32], _HOT)


def _cpu_grid(suite: str, backend: str) -> Iterator[GridPoint]:
    every = _CPU_SIZES
    few = every if suite == "full" else every[1::2]
    rows = [{"rows": r, "cols": c} for r, c in _CPU_ROWS]
    if backend == "numba":
        few = every if suite == "full" else (1000, 65_536, 250_001, 10_000_000)
        yield from points("add", sizes("n", few), [F32], _HOT)
        yield from points("add", sizes("n", few[1:3]), [F64], _HOT)
        yield from points("polynomial", sizes("n", few), [F32], _HOT)
        return
    yield from points("add", sizes("n", every), [F32], _HOT)
    yield from points("add", sizes("n", few), [F64], _HOT)
    yield from points("polynomial", sizes("n", every if backend == "numpy" else few), [F32], _HOT)
    yield from points("add", sizes("n", (1_000_000,)), [F32], ("cold",))
    yield from points("triad", sizes("n", every if backend == "numpy" else few), [F32], _HOT)
    yield from points("tanh", sizes("n", few), [F32], _HOT)
    yield from points("broadcast_add", rows, [F32], _HOT)


def _torch_cuda_grid(full: bool) -> Iterator[GridPoint]:
    every = sizes("n", _CUDA_SIZES)
    some = every if full else every[1::3]
    for index, n in enumerate(_CUDA_SIZES):
        modes = ["hot"]
        if index % 3 == 1 or full:
            modes += ["resident"] if index < 2 else ["cold", "resident"]
        if index in (1, 3, 5):
            modes.append("end_to_end")
        yield from points("add", sizes("n", (n,)), [F32], tuple(modes))
    yield from points("add", sizes("n", (100_000_000,)), [F32], _HOT)
    yield from points("add", some[1:], [F64, F16, BF16], _HOT)
    yield from points("triad", every, [F32], _HOT)
    for index, n in enumerate(_CUDA_SIZES):
        own = ("hot", "resident", "end_to_end") if index == 3 else _HOT
        yield from points("polynomial", sizes("n", (n,)), [F32], own)
    yield from points("tanh", some, [F32], _HOT)
    rows = [{"rows": r, "cols": c} for r, c in _CUDA_ROWS]
    yield from points("broadcast_add", rows, [F32], _HOT)


def _jax_grid(device: str) -> Iterator[GridPoint]:
    modes = ("hot",) if device == "cpu" else ("resident",)
    yield from points("add", sizes("n", (10_000, 10_000_000)), [F32], modes)
    yield from points("broadcast_add", [{"rows": 3000, "cols": 1001}], [F32], modes)
    both = modes if device == "cpu" else ("resident", "end_to_end")
    yield from points("polynomial_1e6_float32", [{"n": 1_000_000}], [F32], both)
