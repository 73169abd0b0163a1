"""Drawing random numbers: uniform and normal, from each library's usual generator."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
)
from collector.workloads._job_memory import JobMemory
from collector.workloads._limits import Limit
from collector.workloads._operations import Measured, plain_kind
from collector.workloads._sampled import fetch_parts
from collector.workloads._shape import Question, Shape
from collector.workloads._survey import Space
from collector.workloads._types import F32, F64, ITEM_BYTES
from collector.workloads._work import Count, Floats, Work

if TYPE_CHECKING:
    from collector.backends.base import Backend

_BOTH = (F64, F32)

_SEED = 20_240_131  # of the generators; which numbers come does not matter, only that they differ
_SIGMAS_WHOLE = 6.0  # standard errors that mean and variance of all numbers may be off
_SIGMAS_PIECE = 8.0  # and those of one of 2048 pieces
_EQUAL_NEIGHBOURS = 10  # of 2,000,000 numbers with 23 random bits about 0.25 equal the next
_NORMAL_LIMIT = 9.0  # further out lies less than one number in 10**18


@dataclass(frozen=True)
class _Law:
    mean: float
    variance: float
    low: float
    high: float
    #: relative standard error of a sample's variance, times the root of its size
    variance_spread: float


_LAWS = {
    # Var(s^2) = (mu4 - sigma^4) / m; mu4 is 1/80 for the uniform law, 3 for the normal one
    "uniform": _Law(0.5, 1 / 12, 0.0, 1.0, math.sqrt(0.8)),
    "normal": _Law(0.0, 1.0, -_NORMAL_LIMIT, _NORMAL_LIMIT, math.sqrt(2.0)),
}


#: PyTorch's operators -> case
_CASES = {
    **dict.fromkeys(("rand", "rand_like", "uniform"), "uniform"),
    **dict.fromkeys(("randn", "randn_like", "normal"), "normal"),
}


@dataclass
class _Seen:
    """Beginnings of the outputs that were checked: a call that repeats one is wrong."""

    beginnings: set[bytes] = field(default_factory=set)


class RandomNumbers(Workload):
    """A fresh array of n numbers in each call, from a generator that goes on."""

    name = "random"
    summary = "uniform and normal random numbers"
    size_meaning = "numbers that are drawn"
    signatures = {"uniform": {"n": None}, "normal": {"n": None}}
    support = {
        ("numpy", "cpu"): _BOTH,
        ("torch", "cpu"): _BOTH,
        ("jax", "cpu"): _BOTH,
        ("torch", "cuda"): _BOTH,
        ("cupy", "cuda"): _BOTH,
        ("jax", "cuda"): _BOTH,
    }
    threaded_backends = frozenset({"jax"})
    rank = 110
    label = "Random numbers"
    case_labels = {
        "uniform": "Uniform",
        "normal": "Normal",
    }
    parameter_labels = {
        "n": ("Numbers", "Numbers drawn by one call."),
    }
    start_values = {"n": 10_000_000}
    survey = {
        "cuda": (
            Space("uniform", {"n": (1000, 30_000_000)}, {F32: 8}),
            Space("normal", {"n": (1000, 30_000_000)}, {F32: 8}),
        ),
        "cpu": (
            Space("uniform", {"n": (1000, 10_000_000)}, {F32: 6}),
            Space("normal", {"n": (1000, 5_000_000)}, {F32: 6}),
        ),
    }
    limits = frozenset({Limit.STEPPING})
    recognised_kinds = frozenset(_CASES)

    def recognise(self, operation: Operation) -> Measured | None:
        """New arrays of numbers, and arrays that are filled with them."""
        if not operation.outputs:
            return None
        result = operation.outputs[0]
        case = _CASES[plain_kind(operation.kind)]
        return self.measured(case, {"n": result.count}, result.dtype)

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return params["n"]

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
                yield from points("normal", sizes("n", (1_000_003,)), [F64], ("hot",))
            if place == ("torch", "cuda"):
                yield from points("normal", sizes("n", (10_000_001,)), [F32], ("hot", "resident"))
            return
        if suite == "full":
            modes = ("resident",) if place == ("jax", "cuda") else ("hot",)
            yield from points("uniform", sizes("n", (30_000, 300_000)), _BOTH, modes)
            yield from points("normal", sizes("n", (30_000, 300_000)), _BOTH, modes)
        if device == "cpu":
            yield from self._cpu_grid(backend)
        else:
            yield from self._cuda_grid(backend)

    def _cpu_grid(self, backend: str) -> Iterator[GridPoint]:
        if backend == "numpy":
            yield from points("uniform", sizes("n", (1000, 3_000_000)), [F64], ("hot",))
            yield from points("normal", sizes("n", (1_000_003,)), [F64], ("hot",))
        elif backend == "torch":
            yield from points("uniform", sizes("n", (1_000_003,)), [F32], ("hot",))
            yield from points("normal", sizes("n", (1000, 1_000_003)), [F32], ("hot",))
        else:
            yield from points("normal", sizes("n", (1_000_003,)), [F32], ("hot",))

    def _cuda_grid(self, backend: str) -> Iterator[GridPoint]:
        if backend == "torch":
            yield from points("uniform", sizes("n", (1000,)), [F32], ("hot",))
            yield from points(
                "uniform", sizes("n", (1_000_003,)), [F32], ("hot", "resident", "end_to_end")
            )
            yield from points("uniform", sizes("n", (30_000_000,)), [F32], ("hot",))
            yield from points("normal", sizes("n", (100_003, 10_000_001)), [F32], ("hot",))
            yield from points("normal", sizes("n", (3_000_000,)), [F64], ("hot",))
        elif backend == "cupy":
            yield from points("uniform", sizes("n", (1_000_003,)), [F32], ("hot",))
            yield from points("normal", sizes("n", (10_000_001,)), [F32], ("hot",))
        else:
            yield from points("uniform", sizes("n", (1_000_003,)), [F32], ("resident",))
            yield from points("normal", sizes("n", (10_000_001,)), [F32], ("resident",))

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """One FLOP a number, a convention: generators work on integers. n numbers written."""
        n = 1.0 * params["n"]
        result = n * ITEM_BYTES[dtype]
        return Work(n, 0.0, result, 0.0, result, 1)

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """The numbers; JAX may write random bits and their counters out before it shapes them."""
        own = float(params["n"] * ITEM_BYTES[dtype])
        return JobMemory(own, (3.0 if backend == "jax" else 1.0) * own)

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """Numbers one by one into a new array."""
        fresh = (
            self.operation_work(asked.case, params, asked.dtype, asked.backend).bytes_written
            if asked.device == "cpu"
            else 0.0
        )
        return Shape(fresh=fresh, block=fresh)

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """None: the generator's state is its only operand."""
        return ()

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        """numpy and cupy: Generator; torch.rand and torch.randn; jax.random with a split key."""
        n, xp = params["n"], backend.module
        if backend.name == "jax":
            return _jax_draw(backend, case, n, dtype)
        if backend.name == "torch":
            generator = xp.Generator(backend.device).manual_seed(_SEED)
            options = {
                "generator": generator,
                "dtype": getattr(xp, dtype),
                "device": backend.device,
            }
            draw = xp.rand if case == "uniform" else xp.randn
            return lambda: draw(n, **options)
        source = xp.random.default_rng(_SEED)
        method = source.random if case == "uniform" else source.standard_normal
        element_type = np.dtype(dtype)
        return lambda: method(n, dtype=element_type)

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """The law, and what has been seen: empty at first, filled by ``check``."""
        return _LAWS[case], _Seen()

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
        """Deviation of mean and variance in standard deviations; tolerance 6 standard errors.

        Besides, none of these may be: another length or element type, numbers outside of the
        law's range, more than 10 that equal the one before (a part that was not written), a
        piece of 1024 that is 8 standard errors off, a repeated output, float64 numbers that
        are all float32 numbers.
        """
        law, seen = reference
        shape, parts = output
        exact = all(part.dtype == np.dtype(dtype) for part in parts)
        if shape != (params["n"],) or not exact:
            return Check(math.inf, 0.0)
        numbers = (
            parts[0].reshape(-1)
            if len(parts) == 1
            else np.concatenate([part.reshape(-1) for part in parts])
        )
        beginning = numbers[:64].tobytes()
        repeated = len(numbers) > 1 and beginning in seen.beginnings
        seen.beginnings.add(beginning)
        if repeated or not (numbers.min() >= law.low and numbers.max() <= law.high):
            return Check(math.inf, 0.0)
        if dtype == "float64" and np.all(numbers[:4096] == numbers[:4096].astype(np.float32)):
            return Check(math.inf, 0.0)
        if np.count_nonzero(numbers[1:] == numbers[:-1]) > _EQUAL_NEIGHBOURS:
            return Check(math.inf, 0.0)
        pieces = len(numbers) // 1024
        if pieces:
            odd = float(_deviations(numbers[: pieces * 1024].reshape(pieces, 1024), law).max())
            if not odd * math.sqrt(1024) <= _SIGMAS_PIECE:
                return Check(odd, 0.0)
        whole = float(_deviations(numbers.reshape(1, -1), law).max())
        return Check(whole, _SIGMAS_WHOLE / math.sqrt(len(numbers)))


def _deviations(pieces: np.ndarray[Any, Any], law: _Law) -> np.ndarray[Any, Any]:
    """How far mean and variance of each row are off, in units of sigma.

    The variance is taken about the true mean and scaled so that its standard error is that of
    the mean, 1 / sqrt(count).
    """
    centred = pieces.astype(np.float64)
    centred -= law.mean
    means = np.abs(centred.mean(axis=1)) / math.sqrt(law.variance)
    variances = np.einsum("ij,ij->i", centred, centred) / centred.shape[1]
    worst: np.ndarray[Any, Any] = np.maximum(
        means, np.abs(variances / law.variance - 1) / law.variance_spread
    )
    return worst


def _jax_draw(backend: Backend, case: str, n: int, dtype: str) -> Function:
    import jax

    draw = jax.random.uniform if case == "uniform" else jax.random.normal

    def step(key: Any) -> tuple[Any, Any]:
        key, used = jax.random.split(key)
        return key, draw(used, (n,), dtype=dtype)

    compiled = backend.compile(step)
    key = jax.random.key(_SEED)

    def call() -> Any:
        nonlocal key
        key, numbers = compiled(key)
        return numbers

    return call
