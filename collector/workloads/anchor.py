"""One fixed operation that is measured again and again along a run: does the machine drift?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from collector.workloads._base import Arrays, Check, Function, GridPoint, Params, Workload, uniform
from collector.workloads._limits import Limit
from collector.workloads._products import product_tolerance, relative_l2
from collector.workloads._shape import Question, Shape
from collector.workloads._types import F32
from collector.workloads._work import Count, Floats, Work

if TYPE_CHECKING:
    from collector.backends.base import Backend

_N = 1024
_COPIED = 2**24


class Anchor(Workload):
    """A matrix product and a copy, one after the other: compute and memory in one figure.

    ``repetition`` only tells the measurements of one run apart. The scheduler spreads them
    along the run, so the family has no grid of its own. It never enters a fit.
    """

    name = "anchor"
    summary = "a fixed product and copy, repeated along a run to show drift"
    size_meaning = "number of the repetition"
    signatures = {"matmul_copy": {"repetition": None}}
    support = {
        ("numpy", "cpu"): (F32,),
        ("torch", "cpu"): (F32,),
        ("torch", "cuda"): (F32,),
        ("cupy", "cuda"): (F32,),
    }
    threaded_backends: ClassVar[frozenset[str]] = frozenset({"numpy", "torch"})
    rank = 1000
    label = "Drift along a run"
    case_labels = {"matmul_copy": "A product and a copy"}
    parameter_labels = {"repetition": ("Repetition", "Tells the measurements of one run apart.")}
    start_values = {"repetition": 1}
    survey = {}
    unsurveyed = frozenset({"matmul_copy"})
    limits = frozenset({Limit.MEMORY})
    fitted = False

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return params["repetition"]

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        return iter(())

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """2 n^3 FLOP of the product; its operands, result and both sides of the copy."""
        operands = 4.0 * (2 * _N * _N + _COPIED)
        results = 4.0 * (_N * _N + _COPIED)
        return Work(2.0 * _N**3, operands, results, operands, results, 2)

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """It never enters a fit."""
        return Shape()

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        return (
            uniform((_N, _N), dtype, seed),
            uniform((_N, _N), dtype, seed + 1),
            uniform(_COPIED, dtype, seed + 2),
        )

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        xp = backend.module
        target = backend.empty(_COPIED, dtype)

        def product_and_copy(a: Any, b: Any, source: Any) -> Any:
            product = xp.matmul(a, b)
            target[:] = source
            return product, target

        return product_and_copy

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """A probe vector, A (B v) in float64, and the vector that is copied."""
        a, b, source = inputs
        probe = np.random.default_rng(7).choice([-1.0, 1.0], size=_N)
        return probe, a.astype(np.float64) @ (b.astype(np.float64) @ probe), source

    def fetch(self, backend: Backend, output: Any) -> Any:
        return tuple(backend.to_numpy(part) for part in output)

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """The copy is exact; the product as in the family matmul (Freivalds' check)."""
        probe, expected, source = reference
        product, copied = output
        if product.shape != (_N, _N) or not np.array_equal(copied, source):
            return Check(math.inf, 0.0)
        error = relative_l2(product.astype(np.float64) @ probe, expected)
        return Check(error, product_tolerance(_N, dtype, math_mode))
