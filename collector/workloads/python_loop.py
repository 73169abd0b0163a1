"""A plain Python loop, Monte Carlo pi, against its numba, numpy, torch and cupy forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
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
)
from collector.workloads._job_memory import JobMemory
from collector.workloads._limits import Limit
from collector.workloads._shape import Question, Shape
from collector.workloads._survey import Space
from collector.workloads._types import F64
from collector.workloads._work import Count, Floats, Work

if TYPE_CHECKING:
    from collector.backends.base import Backend

_PYTHON_SIZES: tuple[int, ...] = (1000, 3000, 10_000, 30_000, 100_000, 300_000)
_SIZES: tuple[int, ...] = (1000, 10_000, 100_000, 300_001, 1_000_000, 10_000_000)
_STANDARD_SIZES = {
    ("python", "cpu"): (1000, 3000, 10_000, 100_000, 300_000),
    ("numpy", "cpu"): (1000, 10_000, 100_000, 300_001, 10_000_000),
    ("numba", "cpu"): (1000, 100_000, 300_001, 10_000_000),
    ("torch", "cpu"): (1000, 100_000, 300_001, 10_000_000),
    ("jax", "cpu"): (10_000, 1_000_000),
    ("torch", "cuda"): _SIZES,
    ("cupy", "cuda"): (1000, 10_000, 300_001, 10_000_000),
    ("numba", "cuda"): (1000, 10_000, 300_001, 10_000_000),
    ("jax", "cuda"): (10_000, 300_001, 10_000_000),
}
_QUICK_SIZES = (10_000, 100_000, 1_000_001)
_BLOCK = 256

#: Most threads of numba's counting kernel in the python_loop family: 1024 blocks of 256.
_NUMBA_GRID_THREADS = 1024 * 256


class PythonLoop(Workload):
    """Counts the points of the unit square that lie in the quarter circle.

    The points are given, so that each form computes the same number from the same data and
    the time of a random generator stays out.
    """

    name = "python_loop"
    summary = "Monte Carlo pi over given points: a Python loop and its array forms"
    size_meaning = "points"
    signatures = {"monte_carlo_pi": {"n": None}}
    support = {
        ("python", "cpu"): (F64,),
        ("numpy", "cpu"): (F64,),
        ("numba", "cpu"): (F64,),
        ("torch", "cpu"): (F64,),
        ("jax", "cpu"): (F64,),
        ("torch", "cuda"): (F64,),
        ("cupy", "cuda"): (F64,),
        ("numba", "cuda"): (F64,),
        ("jax", "cuda"): (F64,),
    }
    threaded_backends = frozenset({"numba", "torch", "jax"})
    rank = 160
    label = "Loop in Python"
    case_labels = {
        "monte_carlo_pi": "Monte Carlo estimate of pi",
    }
    parameter_labels = {
        "n": ("Points", "Random points that the loop looks at."),
    }
    start_values = {"n": 1_000_000}
    survey = {
        "cuda": (Space("monte_carlo_pi", {"n": (1000, 30_000_000)}, {F64: 10}),),
        "cpu": (Space("monte_carlo_pi", {"n": (1000, 3_000_000)}, {F64: 8}),),
    }
    limits = frozenset({Limit.LOOPING, Limit.GRAINED, Limit.OVERCOUNTED})
    most_surveyed = {"python": 300_000}  # a plain loop: about 50 ns a point

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return params["n"]

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        dtypes = self.dtypes(backend, device)
        if not dtypes or (suite == "quick" and backend == "jax"):
            return  # JAX takes longer to start and to compile than its quick cells would
        chosen = _PYTHON_SIZES if backend == "python" else _SIZES
        if suite == "standard":
            chosen = _STANDARD_SIZES[backend, device]
        elif suite == "quick":
            chosen = _QUICK_SIZES[:2] if backend == "python" else _QUICK_SIZES
        for index, n in enumerate(chosen):
            yield from points(
                "monte_carlo_pi", sizes("n", (n,)), dtypes, _modes(backend, device, index)
            )

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """4 FLOP a point (two squares, a sum, a comparison).

        A loop reads each point once. The array form is five calls: two squares and a sum
        with temporaries, a comparison that writes one byte a point, and a count; PyTorch
        counts in two kernels. JAX compiles it into one pass over the points.
        """
        n = 1.0 * params["n"]
        operands = 16.0 * n
        if backend in ("python", "numba", "jax"):
            kernels = 2 if backend == "numba" else 1  # numba on a GPU clears its counter first
            return Work(4 * n, operands, 8.0, operands, 8.0, kernels)
        kernels = 6 if backend == "torch" else 5
        return Work(4 * n, 8 * 5 * n + n, 8 * 3 * n + n, operands, 8.0, kernels)

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Points; both squares and their sum in array forms (NumPy: in place of one of them).

        A Python list holds a pointer and an object of 24 bytes for each float.
        """
        n = float(params["n"])
        if backend == "python":
            return JobMemory(64.0 * n, 64.0 * n)
        own = 16.0 * n + {"numpy": 16.0, "torch": 24.0, "cupy": 24.0}.get(backend, 0.0) * n
        return JobMemory(own, 41.0 * n if backend in ("numpy", "torch", "cupy") else own)

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """On a GPU each thread of numba's kernel adds once to one counter, which takes turns.

        The grid stops growing at a number of threads, from where on each counts more points.
        """
        if asked.backend == "numba" and asked.device == "cuda":
            return Shape(serial=np.minimum(1.0, _NUMBA_GRID_THREADS / params["n"]))
        if asked.backend in ("python", "numba", "jax"):
            return Shape()
        # of 66 bytes a point: x and y, two squares and their sum of 8, the comparison's of 1
        if asked.device == "cuda":
            return Shape(distinct=41.0 / 66.0)
        return Shape(distinct=41.0 / 66.0, fresh=25.0 * params["n"], block=8.0 * params["n"])

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        generator = np.random.default_rng(seed)
        return generator.random(params["n"]), generator.random(params["n"])

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        if backend.name == "python":
            return count_in_python
        if backend.name == "numba":
            return _numba_count(backend)
        count_nonzero = backend.module.count_nonzero
        return backend.compile(lambda x, y: count_nonzero(x * x + y * y <= 1.0))

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        x, y = inputs
        return int(np.count_nonzero(x * x + y * y <= 1.0))

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """The count may differ by points on the circle's edge only (fused multiply-add)."""
        actual = float(np.ravel(output)[0])
        return Check(abs(actual - reference) / params["n"], 2 / params["n"])


def _modes(backend: str, device: str, index: int) -> tuple[str, ...]:
    """All modes at every second size: on a GPU the host and the bus matter to such small work."""
    if device == "cpu":
        return ("hot",)
    if backend == "jax":  # no device clock
        return ("resident", "end_to_end") if index % 2 else ("resident",)
    return ("hot", "resident", "end_to_end") if index % 2 else ("hot",)


def count_in_python(x: list[float], y: list[float]) -> int:
    inside = 0
    for a, b in zip(x, y, strict=True):
        if a * a + b * b <= 1.0:
            inside += 1
    return inside


@cache
def _numba_kernel(device: str) -> Any:
    import numba

    if device == "cpu":

        @numba.njit(parallel=True)
        def cpu_count(x, y):  # type: ignore[no-untyped-def]
            inside = 0
            for i in numba.prange(x.size):
                if x[i] * x[i] + y[i] * y[i] <= 1.0:
                    inside += 1
            return inside

        return cpu_count

    from numba import cuda

    @cuda.jit
    def cuda_count(x, y, total):  # type: ignore[no-untyped-def]
        inside = 0
        for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
            if x[i] * x[i] + y[i] * y[i] <= 1.0:
                inside += 1
        cuda.atomic.add(total, 0, inside)

    @cuda.jit
    def clear(total):  # type: ignore[no-untyped-def]
        total[0] = 0

    return cuda_count, clear


def _numba_count(backend: Backend) -> Function:
    kernel = _numba_kernel(backend.device)
    if backend.device == "cpu":
        return lambda x, y: kernel(x, y)
    count, clear = kernel
    total = backend.empty(1, "int64")
    cleared = clear[1, 1]

    def call(x: Any, y: Any) -> Any:
        cleared(total)
        count[min(1024, (x.size + _BLOCK - 1) // _BLOCK), _BLOCK](x, y, total)
        return total

    return call
