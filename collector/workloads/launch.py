"""What it costs to start work at all: an empty kernel, and chains of tiny calls of several kinds.

The chains tell apart what a host spends on one call: a plain operation into a given result, one
that allocates its result, one that is recorded for automatic differentiation and then run
backward, a view that computes nothing, and an optimizer's step over a list of tiny parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.errors import SelectionError
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
from collector.workloads._limits import Limit
from collector.workloads._shape import Question, Shape
from collector.workloads._types import F32
from collector.workloads._work import Count, Floats, Work, product

if TYPE_CHECKING:
    from collector.backends.base import Backend

_ELEMENTS = 16
_FACTOR = 0.5  # a power of two, so that a chain of products rounds nothing
_LEARNING_RATE = 1e-3

_TORCH = frozenset({"torch"})
_ARRAYS = frozenset({"numpy", "torch", "cupy"})

#: lists that PyTorch's Adam (foreach) goes through with one call each, and how many tensors one
#: launch of such a call takes by the number of lists in it (multi_tensor_apply of PyTorch)
_ADAM_LISTS = (2, 1, 3, 2, 1, 1, 3)
_TENSORS_PER_LAUNCH = {1: 110, 2: 64, 3: 48}


class Launch(Workload):
    """The floor under every small operation, on the host and on the device."""

    name = "launch"
    summary = "an empty kernel, and chains of calls on 16 elements by class of operation"
    size_meaning = "calls in the chain, or tensors of the optimizer"
    signatures = {
        "empty_kernel": {},
        "chain": {"length": None},
        "dispatch_allocating": {"length": None},
        "dispatch_views": {"length": None},
        "dispatch_autograd": {"length": None},
        "optimizer_step": {"tensors": None},
    }
    support = {
        ("numpy", "cpu"): (F32,),
        ("torch", "cpu"): (F32,),
        ("jax", "cpu"): (F32,),
        ("torch", "cuda"): (F32,),
        ("cupy", "cuda"): (F32,),
        ("numba", "cuda"): (F32,),
        ("jax", "cuda"): (F32,),
    }
    case_backends = {
        "empty_kernel": frozenset({"cupy", "numba"}),
        "chain": _ARRAYS | {"jax"},
        "dispatch_allocating": _ARRAYS | {"jax"},
        "dispatch_views": _ARRAYS,
        "dispatch_autograd": _TORCH,
        "optimizer_step": _TORCH,
    }
    threaded_backends = frozenset()
    rank = 150
    label = "Cost of a call"
    case_labels = {
        "empty_kernel": "Kernel that does nothing",
        "chain": "Chain of small calls",
        "dispatch_allocating": "Chain that allocates",
        "dispatch_views": "Chain of views",
        "dispatch_autograd": "Chain with gradients",
        "optimizer_step": "Optimizer step, small tensors",
    }
    case_help = "What a call costs apart from its work, by kind of call."
    parameter_labels = {
        "length": ("Calls", "Calls in the chain, one after the other."),
        "tensors": ("Tensors", "Parameter tensors that the optimizer updates."),
    }
    start_values = {"length": 100, "tensors": 100}
    survey = {}
    unsurveyed = frozenset(signatures)
    limits = frozenset({Limit.CALLS, Limit.OVERCOUNTED})
    overhead = True

    def returns_operands(self, case: str) -> bool:
        return case == "dispatch_views"

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return product(params.values())

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        if (backend, device) not in self.support:
            return
        modes = ("hot",) if device == "cpu" else ("hot", "resident")
        # the host alone is measured: a device's clock would see nothing, or little
        host = ("hot",) if device == "cpu" else ("resident",)
        if device == "cuda" and self.supports(backend, device, "empty_kernel"):
            yield from points("empty_kernel", [{}], [F32], modes)
        if suite == "quick":
            if backend in _ARRAYS:
                yield from points("chain", sizes("length", (1, 10, 100)), [F32], modes)
            return
        if backend == "jax":
            yield from points("chain", sizes("length", (1, 30)), [F32], host)
            yield from points("dispatch_allocating", sizes("length", (1, 10)), [F32], host)
        if backend in _ARRAYS:
            chains = (1, 2, 5, 10, 20, 50, 100) if suite == "full" else (1, 10, 30, 100)
            yield from points("chain", sizes("length", chains), [F32], modes)
            lengths = (1, 10, 100) if suite == "full" else (10,)
            yield from points("dispatch_allocating", sizes("length", lengths), [F32], modes)
            yield from points("dispatch_views", sizes("length", lengths), [F32], host)
        if backend == "torch":
            yield from points("dispatch_autograd", sizes("length", (10,)), [F32], modes)
            yield from points("dispatch_autograd", sizes("length", (50,)), [F32], host)
            yield from points("optimizer_step", sizes("tensors", (10,)), [F32], modes)
            yield from points("optimizer_step", sizes("tensors", (60,)), [F32], host)

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """One kernel per call, 16 elements read and written by each; an empty one does nothing.

        JAX compiles the chain to one kernel that reads and writes once. A view is no kernel. The
        chain with automatic differentiation has as many products backward as forward. Adam reads
        12 and writes 7 values a parameter at 12 FLOP (_network_work), in 7 calls over lists, each
        of one kernel for so many tensors as a launch takes.
        """
        if case == "empty_kernel":
            return Work(0.0, 0.0, 0.0)
        operand = 4.0 * _ELEMENTS
        if case == "optimizer_step":
            tensors = params["tensors"]
            values, moved = 1.0 * tensors * _ELEMENTS, tensors * operand
            launches = sum(-(-tensors // _TENSORS_PER_LAUNCH[lists]) for lists in _ADAM_LISTS)
            return Work(12 * values, 12 * moved, 7 * moved, moved, moved, launches)
        length = params["length"]
        if case == "dispatch_views":
            return Work(0.0, 0.0, 0.0, operand, operand, 0)
        both_ways = 2 if case == "dispatch_autograd" else 1
        calls, bus = both_ways * length, both_ways * operand
        kernels = 1 if case == "chain" and backend == "jax" else calls
        each_way = kernels * operand
        return Work(1.0 * calls * _ELEMENTS, each_way, each_way, bus, bus, kernels)

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """A few elements; of Adam parameters, gradients and two moments, in blocks of 512 bytes.

        So large is the least block of PyTorch's caching allocator.
        """
        if case != "optimizer_step":
            return super().operation_memory(case, params, dtype, backend, device)
        tensors = params["tensors"]
        return JobMemory(4.0 * tensors * 4 * _ELEMENTS, 5.0 * tensors * 512)

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """A view starts no kernel, an optimizer one for many tensors: the host's calls count."""
        if asked.case == "dispatch_views":
            return Shape(starts=params["length"])
        if asked.case == "optimizer_step":
            return Shape(starts=params["tensors"])
        return Shape()

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """A vector; with automatic differentiation its result's gradient too; or gradients."""
        if case == "optimizer_step":
            return (uniform((params["tensors"], _ELEMENTS), dtype, seed),)
        first = uniform(_ELEMENTS, dtype, seed)
        return (first, uniform(_ELEMENTS, dtype, seed + 1))[: 1 + (case == "dispatch_autograd")]

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        if case != "empty_kernel" and backend.name not in self.case_backends[case]:
            raise SelectionError(f"launch {case} has no form for backend {backend.name!r}")
        if case == "empty_kernel":
            return _empty_kernel(backend.name)
        if case == "optimizer_step":
            return _AdamStep(backend.module, params["tensors"], backend.device)
        length = params["length"]
        if case == "dispatch_views":
            return _views(length)
        if case == "dispatch_autograd":
            return _autograd(length)
        if case == "chain" and backend.name == "jax":
            return backend.compile(_allocating(backend.module, length))
        if case == "dispatch_allocating":
            return _allocating(backend.module, length)
        return _chain(backend, length, dtype)

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Of views the operand itself, of Adam its step, else the operands times the factors.

        Adam (Kingma and Ba 2015) with the same gradient g at each step has the moments g and
        g^2 once their bias is corrected, so each step is rate g / (|g| + 1e-8).
        """
        exact = [array.astype(np.float64) for array in inputs]
        if case == "optimizer_step":
            return _LEARNING_RATE * exact[0] / (np.abs(exact[0]) + 1e-8)
        if case == "dispatch_views":
            square = exact[0].reshape(4, 4)
            return np.stack([square.T if params["length"] % 2 else square])
        scaled = [array * _FACTOR ** params.get("length", 0) for array in exact]
        return np.stack(scaled) if case == "dispatch_autograd" else scaled[0]

    def fetch(self, backend: Backend, output: Any) -> Any:
        """The result, or results stacked; of Adam the mean step so far."""
        if output is None:
            return None
        if isinstance(output, tuple):
            return np.stack([backend.to_numpy(part) for part in output])
        if isinstance(output, _AdamStep):
            now = np.stack([backend.to_numpy(parameter) for parameter in output.parameters])
            return (1.0 - now.astype(np.float64)) / output.steps
        return backend.to_numpy(output)

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Products with a power of two are exact while they are normal numbers, views always.

        Adam's parameters begin at one and move by the rate at each step; after many, rounding
        to their last place is a fair part of a step: tolerance 3e-2 (1e6 steps).
        """
        if case == "empty_kernel":
            return Check(None, 0.0)
        tolerance = 3e-2 if case == "optimizer_step" else 1e-6
        if np.shape(output) != np.shape(reference):
            return Check(math.nan, tolerance)
        error = float(np.max(np.abs(output - reference)))
        return Check(error / float(np.max(np.abs(reference))), tolerance)


def _chain(backend: Backend, length: int, dtype: str) -> Function:
    """``length`` products, each into the same given result."""
    multiply, result = backend.module.multiply, backend.empty(_ELEMENTS, dtype)

    def chain(x: Any) -> Any:
        multiply(x, _FACTOR, out=result)
        for _ in range(length - 1):
            multiply(result, _FACTOR, out=result)
        return result

    return chain


def _allocating(xp: Any, length: int) -> Function:
    """``length`` products, each into a new result."""

    def allocating(x: Any) -> Any:
        for _ in range(length):
            x = xp.multiply(x, _FACTOR)
        return x

    return allocating


def _views(length: int) -> Function:
    """The operand as a square, transposed ``length`` times.

    A tuple of it, as a bare view would be poisoned after the check and the operand with it.
    """

    def views(x: Any) -> tuple[Any]:
        x = x.reshape(4, 4)
        for _ in range(length):
            x = x.T
        return (x,)

    return views


def _autograd(length: int) -> Function:
    """Products recorded for differentiation, then their gradient: (result, gradient)."""

    def forward_backward(x: Any, gradient: Any) -> Any:
        x = x.detach().requires_grad_()
        y = x
        for _ in range(length):
            y = y * _FACTOR
        y.backward(gradient)
        return y, x.grad

    return forward_backward


class _AdamStep:
    """A step of torch.optim.Adam over vectors of 16 elements; counts its steps."""

    def __init__(self, torch: Any, tensors: int, device: str) -> None:
        self.parameters = [
            torch.nn.Parameter(torch.ones(_ELEMENTS, device=device)) for _ in range(tensors)
        ]
        self.steps = 0
        self._optimizer = torch.optim.Adam(self.parameters, lr=_LEARNING_RATE)

    def __call__(self, gradients: Any) -> _AdamStep:
        if not self.steps:  # the same ones for ever
            for parameter, gradient in zip(self.parameters, gradients, strict=True):
                parameter.grad = gradient.clone()
        self._optimizer.step()
        self.steps += 1
        return self


@cache
def _empty_kernel(backend_name: str) -> Function:
    if backend_name == "cupy":
        import cupy

        kernel = cupy.RawKernel('extern "C" __global__ void empty_kernel() {}', "empty_kernel")
        return lambda x: kernel((1,), (1,), ())
    if backend_name == "numba":
        from numba import cuda

        @cuda.jit
        def empty_kernel():  # type: ignore[no-untyped-def]
            pass

        configured = empty_kernel[1, 1]
        return lambda x: configured()
    raise SelectionError(f"launch empty_kernel has no form for backend {backend_name!r}")
