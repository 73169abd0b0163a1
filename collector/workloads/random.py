"""Drawing random numbers, from each library's usual generator and from NumPy's legacy one."""

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
from collector.workloads._types import F32, F64, I64, ITEM_BYTES, ElementType
from collector.workloads._work import Count, Floats, Work

if TYPE_CHECKING:
    from collector.backends.base import Backend

_BOTH = (F64, F32)
_NUMPY = (*_BOTH, I64)

_CASES = (
    *("uniform", "normal", "integers", "exponential", "permutation"),
    *("legacy_uniform", "legacy_normal", "legacy_integers"),
)
_NUMBERS: Mapping[str, int | None] = {"n": None}
_WHOLE = ("integers", "permutation", "legacy_integers")
_LEGACY = ("legacy_uniform", "legacy_normal", "legacy_integers")
_BELOW = 1000  # whole numbers are drawn from 0 to 999

_SEED = 20_240_131  # of the generators; which numbers come does not matter, only that they differ
_SIGMAS_WHOLE = 6.0  # standard errors that mean and variance of all numbers may be off
_SIGMAS_PIECE = 8.0  # and those of one of 2048 pieces
_FEW = 100.0  # numbers that may be twice as far off
_FEWEST_DISTINCT = 8  # so few whole numbers may come again
_EQUAL_NEIGHBOURS = 10  # of 2,000,000 numbers with 23 random bits about 0.25 equal the next
# further out lies less than one number in 10**18
_NORMAL_LIMIT, _EXPONENTIAL_LIMIT = 9.0, 42.0


@dataclass(frozen=True)
class _Law:
    mean: float
    variance: float
    low: float
    high: float
    #: relative standard error of a sample's variance, times the root of its size
    variance_spread: float


# Var(s^2) = (mu4 - sigma^4) / m; mu4 / sigma^4 is 9/5 for the uniform law, 3 for the normal one
# and 9 for the exponential one
_UNIFORM = _Law(0.5, 1 / 12, 0.0, 1.0, math.sqrt(0.8))
_NORMAL = _Law(0.0, 1.0, -_NORMAL_LIMIT, _NORMAL_LIMIT, math.sqrt(2.0))
_LAWS = {
    **dict.fromkeys(("uniform", "legacy_uniform"), _UNIFORM),
    **dict.fromkeys(("normal", "legacy_normal"), _NORMAL),
    "exponential": _Law(1.0, 1.0, 0.0, _EXPONENTIAL_LIMIT, math.sqrt(8.0)),
}


def _whole_law(below: int) -> _Law:
    """Of whole numbers from 0 to one below, all alike."""
    variance = max((below**2 - 1) / 12, 1.0)
    return _Law((below - 1) / 2, variance, 0.0, below - 1.0, math.sqrt(0.8))


#: Numbers that NumPy draws on a CPU in a standard suite, and CuPy.
_NUMPY_SIZES: dict[str, tuple[int, ...]] = {
    "integers": (10, 1_000_003),
    "exponential": (1_000_003,),
    "permutation": (1000, 1_000_000),
    "legacy_uniform": (10, 1_000_003),
    "legacy_normal": (1000, 1_000_003),
    "legacy_integers": (10, 1_000_003),
}
_CUPY_SIZES: dict[str, tuple[int, ...]] = {
    "uniform": (1000, 10_000_001),
    "normal": (10_000_001,),
    "integers": (1_000_003,),
    "exponential": (1_000_003,),
    "permutation": (1_000_000,),
    "legacy_uniform": (1000, 10_000_001),
    "legacy_normal": (1_000_003,),
    "legacy_integers": (1_000_003,),
}

#: Kernels of CuPy beside one: numbers are brought below 1, rejected and drawn anew, sorted.
_CUPY_KERNELS = {"legacy_uniform": 2, "legacy_integers": 8, "permutation": 8}


def _type(case: str) -> ElementType:
    return I64 if case in _WHOLE else F64


#: PyTorch's operators -> case
_RECOGNISED = {
    **dict.fromkeys(("rand", "rand_like", "uniform"), "uniform"),
    **dict.fromkeys(("randn", "randn_like", "normal"), "normal"),
}


@dataclass
class _Seen:
    """Beginnings of the outputs that were checked: a call that repeats one is wrong."""

    beginnings: set[bytes] = field(default_factory=set)


class RandomNumbers(Workload):
    """A fresh array of n numbers in each call, from a generator that goes on.

    Legacy numbers come from ``RandomState`` (NumPy: the Mersenne Twister, normal ones by the
    polar method; CuPy: cuRAND's host interface), as ``numpy.random.rand`` and its kin.
    """

    name = "random"
    summary = "random numbers: uniform, normal, whole, exponential; permutations; legacy ones"
    size_meaning = "numbers that are drawn"
    signatures = dict.fromkeys(_CASES, _NUMBERS)
    support = {
        ("numpy", "cpu"): _NUMPY,
        ("torch", "cpu"): _NUMPY,
        ("jax", "cpu"): _BOTH,
        ("torch", "cuda"): _NUMPY,
        ("cupy", "cuda"): _NUMPY,
        ("jax", "cuda"): _BOTH,
    }
    case_backends = {
        **dict.fromkeys(("integers", "permutation"), frozenset({"numpy", "torch", "cupy"})),
        **dict.fromkeys(("exponential", *_LEGACY), frozenset({"numpy", "cupy"})),
    }
    case_dtypes = {
        **dict.fromkeys(("uniform", "normal"), frozenset({"float64", "float32"})),
        **dict.fromkeys(("exponential", *_LEGACY), frozenset({"float64"})),
        **dict.fromkeys(_WHOLE, frozenset({"int64"})),
    }
    threaded_backends = frozenset({"jax"})
    rank = 110
    label = "Random numbers"
    case_labels = {
        "uniform": "Uniform",
        "normal": "Normal",
        "integers": "Whole numbers",
        "exponential": "Exponential",
        "permutation": "Random order",
        "legacy_uniform": "Uniform, legacy",
        "legacy_normal": "Normal, legacy",
        "legacy_integers": "Whole numbers, legacy",
    }
    parameter_labels = {
        "n": ("Numbers", "Numbers drawn by one call."),
    }
    start_values = {"n": 10_000_000}
    survey = {
        "cuda": (
            Space("uniform", {"n": (1000, 30_000_000)}, {F32: 8}),
            Space("normal", {"n": (1000, 30_000_000)}, {F32: 8}),
            Space("integers", {"n": (10, 30_000_000)}, {I64: 9}),
            Space("exponential", {"n": (10, 30_000_000)}, {F64: 9}),
            Space("permutation", {"n": (10, 10_000_000)}, {I64: 9}),
            Space("legacy_uniform", {"n": (10, 30_000_000)}, {F64: 12}),
            Space("legacy_normal", {"n": (10, 30_000_000)}, {F64: 12}),
            Space("legacy_integers", {"n": (10, 30_000_000)}, {I64: 9}),
        ),
        "cpu": (
            Space("uniform", {"n": (1000, 10_000_000)}, {F32: 6}),
            Space("normal", {"n": (1000, 5_000_000)}, {F32: 6}),
            Space("uniform", {"n": (1, 10_000_000)}, {F64: 8}),
            Space("normal", {"n": (1, 5_000_000)}, {F64: 8}),
            Space("integers", {"n": (1, 5_000_000)}, {I64: 6}),
            Space("exponential", {"n": (1, 5_000_000)}, {F64: 6}),
            Space("permutation", {"n": (2, 2_000_000)}, {I64: 8}),
            Space("legacy_uniform", {"n": (1, 10_000_000)}, {F64: 8}),
            Space("legacy_normal", {"n": (1, 5_000_000)}, {F64: 8}),
            Space("legacy_integers", {"n": (1, 5_000_000)}, {I64: 6}),
        ),
    }
    limits = frozenset({Limit.STEPPING})
    recognised_kinds = frozenset(_RECOGNISED)

    def recognise(self, operation: Operation) -> Measured | None:
        """New arrays of numbers, and arrays that are filled with them."""
        if not operation.outputs:
            return None
        result = operation.outputs[0]
        case = _RECOGNISED[plain_kind(operation.kind)]
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
            yield from points("uniform", sizes("n", (1000, 20_000_000)), [F64], ("hot",))
            yield from points("normal", sizes("n", (1_000_003, 20_000_000)), [F64], ("hot",))
            for case, chosen in _NUMPY_SIZES.items():
                yield from points(case, sizes("n", chosen), [_type(case)], ("hot",))
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
            for case, chosen in _CUPY_SIZES.items():
                yield from points(case, sizes("n", chosen), [_type(case)], ("hot",))
        else:
            yield from points("uniform", sizes("n", (1_000_003,)), [F32], ("resident",))
            yield from points("normal", sizes("n", (10_000_001,)), [F32], ("resident",))

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """One FLOP a number, a convention: generators work on integers. n numbers written."""
        n = 1.0 * params["n"]
        result = n * ITEM_BYTES[dtype]
        kernels = _CUPY_KERNELS.get(case, 1) if backend == "cupy" else 1
        return Work(n, 0.0, result, 0.0, result, kernels)

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """The numbers; JAX may write random bits and their counters out before it shapes them.

        On a GPU an order is what sorts random numbers, and CuPy's legacy whole numbers are
        numbered to find those that it draws anew.
        """
        own = float(params["n"] * ITEM_BYTES[dtype])
        more = device == "cuda" and case in ("permutation", "legacy_integers")
        return JobMemory(own, (3.0 if more or backend == "jax" else 1.0) * own)

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
        """numpy and cupy: Generator and RandomState; torch's functions; jax.random, a split key.

        CuPy's Generator has no permutation: there its RandomState's stands for it.
        """
        n, xp = params["n"], backend.module
        if backend.name == "jax":
            return _jax_draw(backend, case, n, dtype)
        if backend.name == "torch":
            return _torch_draw(backend, case, n, dtype)
        old = case in _LEGACY or (case == "permutation" and backend.name == "cupy")
        source = xp.random.RandomState(_SEED) if old else xp.random.default_rng(_SEED)
        method = getattr(source, _METHODS[case])
        if case == "permutation":
            return lambda: method(n)
        if case in ("integers", "legacy_integers"):
            return lambda: method(0, _BELOW, n)
        if case in ("uniform", "normal"):
            element_type = np.dtype(dtype)
            return lambda: method(n, dtype=element_type)
        return lambda: method(size=n)

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """The law, and what has been seen: empty at first, filled by ``check``."""
        if case in _WHOLE:
            return _whole_law(params["n"] if case == "permutation" else _BELOW), _Seen()
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
        law's range, many more that equal the one before than would by chance (a part that was
        not written), in an order any number twice or many in a row, a piece of 1024 that is 8
        standard errors off, a repeated output, float64 numbers that are all float32 numbers.
        Few numbers may be further off, as their squares' sum is not normal yet.
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
        fewest = _FEWEST_DISTINCT if case in _WHOLE else 1
        repeated = len(numbers) > fewest and beginning in seen.beginnings
        seen.beginnings.add(beginning)
        if repeated or not (numbers.min() >= law.low and numbers.max() <= law.high):
            return Check(math.inf, 0.0)
        if dtype == "float64" and np.all(numbers[:4096] == numbers[:4096].astype(np.float32)):
            return Check(math.inf, 0.0)
        if _too_regular(case, numbers, len(parts)):
            return Check(math.inf, 0.0)
        pieces = len(numbers) // 1024
        if pieces:
            odd = float(_deviations(numbers[: pieces * 1024].reshape(pieces, 1024), law).max())
            if not odd * math.sqrt(1024) <= _SIGMAS_PIECE:
                return Check(odd, 0.0)
        whole = float(_deviations(numbers.reshape(1, -1), law).max())
        return Check(whole, _SIGMAS_WHOLE * (1 + _FEW / len(numbers)) / math.sqrt(len(numbers)))


def _too_regular(case: str, numbers: np.ndarray[Any, Any], parts: int) -> bool:
    """Whether numbers follow from the one before too often, or an order has one of them twice."""
    few = (len(numbers) - 1) // 2
    if case == "permutation":
        if parts == 1 and bool(np.any(np.bincount(numbers, minlength=len(numbers)) != 1)):
            return True
        following = np.diff(numbers) == 1
        return few > _FEWEST_DISTINCT and int(following.sum()) > min(few, _EQUAL_NEIGHBOURS)
    by_chance = len(numbers) / _BELOW if case in _WHOLE else 0.0
    most = _EQUAL_NEIGHBOURS + by_chance + _SIGMAS_WHOLE * math.sqrt(by_chance)
    if case in _WHOLE and len(numbers) <= _FEWEST_DISTINCT:
        return False
    return int(np.count_nonzero(numbers[1:] == numbers[:-1])) > min(few, most)


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


#: case -> the method of a generator of NumPy's and CuPy's
_METHODS = {
    **{"uniform": "random", "normal": "standard_normal", "legacy_uniform": "random_sample"},
    **{"legacy_normal": "standard_normal", "legacy_integers": "randint"},
    **{case: case for case in ("integers", "exponential", "permutation")},
}


def _torch_draw(backend: Backend, case: str, n: int, dtype: str) -> Function:
    torch = backend.module
    generator = torch.Generator(backend.device).manual_seed(_SEED)
    options = {"generator": generator, "dtype": getattr(torch, dtype), "device": backend.device}
    if case == "integers":
        return lambda: torch.randint(0, _BELOW, (n,), **options)
    names = {"uniform": "rand", "normal": "randn", "permutation": "randperm"}
    draw = getattr(torch, names[case])
    return lambda: draw(n, **options)


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
