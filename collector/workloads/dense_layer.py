"""A fully connected layer with its activation: relu(x W^T + b), alone and with its gradients."""

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
    uniform,
)
from collector.workloads._dense_layer_functions import jax_function, numpy_function, torch_function
from collector.workloads._job_memory import JobMemory
from collector.workloads._labels import BATCH
from collector.workloads._limits import Limit
from collector.workloads._products import (
    column_sums,
    nearest_to_failure,
    normal_probe,
    product_tolerance,
    rounded_cube_root,
    row_sums,
    spread_positions,
    worst_element,
    worst_row,
)
from collector.workloads._shape import Product, Question, Shape, misalignment, product_shape
from collector.workloads._survey import Space
from collector.workloads._types import BF16, F16, F32, ITEM_BYTES, PRODUCT_TYPES, TF32
from collector.workloads._work import Count, Floats, Work, product

if TYPE_CHECKING:
    from collector.backends.base import Backend

_NAMES = ("batch", "inputs", "outputs")
_SAMPLED_LINES = 256
_PROBES = 2

# Sizes of classifiers and of transformers' feed-forward layers; the first is the layer of the
# ten-input networks in family training_step. Some are no multiples of 8. From small to large.
_CPU_NUMPY = ((100, 10, 2), (256, 1000, 500))
_CPU_TORCH = ((100, 10, 2), (512, 768, 3072))
_CPU_JAX = ((250, 1000, 500),)
_CPU_BACKWARD = ((250, 1000, 500),)
_CPU_FULL = ((64, 784, 128), (1, 4096, 4096), (1024, 1024, 1000))

_CUDA_FORWARD = (
    (100, 10, 2),
    (1, 4096, 4096),
    (1000, 1000, 1001),
    (4096, 1024, 4096),
    (8192, 1001, 2000),
)
_CUDA_BACKWARD = ((100, 10, 2), (1000, 1000, 1001), (4096, 1024, 2000))
_CUDA_CUPY = ((1000, 1000, 1001), (4096, 1024, 4096))
_CUDA_FULL = ((64, 784, 128), (2048, 768, 3072), (16_384, 1024, 1024))


class DenseLayer(Workload):
    """What torch.nn.Linear followed by ReLU computes: weights are (outputs, inputs)."""

    name = "dense_layer"
    summary = "dense layer with ReLU, forward and with its gradients"
    size_meaning = "geometric mean of batch, inputs and outputs"
    signatures = {
        "forward": dict.fromkeys(_NAMES),
        "forward_backward": dict.fromkeys(_NAMES),
    }
    support = {
        ("numpy", "cpu"): (F32,),
        ("torch", "cpu"): (F32,),
        ("torch", "cuda"): (F32, TF32, F16, BF16),
        ("cupy", "cuda"): (F32,),
        ("jax", "cpu"): (F32,),
        ("jax", "cuda"): (F32,),
    }
    threaded_backends = frozenset({"numpy", "torch", "jax"})
    case_backends = {"forward_backward": frozenset({"torch", "jax"})}
    rank = 30
    label = "Dense layer"
    case_labels = {
        "forward": "Forward",
        "forward_backward": "Forward and backward",
    }
    parameter_labels = {
        "batch": BATCH,
        "inputs": ("Inputs", "Values that go into the layer for each sample."),
        "outputs": ("Outputs", "Values that come out of the layer for each sample."),
    }
    start_values = {"batch": 256, "inputs": 1024, "outputs": 1024}
    survey = {
        "cuda": (
            Space(
                "forward",
                {"batch": (1, 16_384), "inputs": (64, 8192), "outputs": (64, 8192)},
                dict.fromkeys(PRODUCT_TYPES, 30),
            ),
            Space(
                "forward_backward",
                {"batch": (1, 16_384), "inputs": (64, 8192), "outputs": (64, 8192)},
                dict.fromkeys(PRODUCT_TYPES, 20),
            ),
        ),
        "cpu": (
            Space(
                "forward",
                {"batch": (1, 4096), "inputs": (32, 4096), "outputs": (32, 4096)},
                {F32: 14},
            ),
            Space(
                "forward_backward",
                {"batch": (1, 4096), "inputs": (32, 4096), "outputs": (32, 4096)},
                {F32: 10},
            ),
        ),
    }
    limits = frozenset({Limit.PRODUCTS, Limit.PLAIN_PRODUCTS, Limit.AWKWARD})

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return rounded_cube_root(product(params.values()))

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        dtypes = self.dtypes(backend, device)
        if not dtypes:
            return
        if suite == "quick":
            if backend == "torch":
                layer = _CPU_TORCH[-1] if device == "cpu" else _CUDA_FORWARD[3]
                kept = [F32] if device == "cpu" else [F32, BF16]
                yield from points("forward", _layers((layer,)), kept, ("hot",))
        elif device == "cpu":
            yield from self._cpu_grid(suite, backend)
        else:
            yield from self._cuda_grid(suite, backend, dtypes)

    def _cpu_grid(self, suite: str, backend: str) -> Iterator[GridPoint]:
        hot = ("hot",)
        layers = {"numpy": _CPU_NUMPY, "torch": _CPU_TORCH, "jax": _CPU_JAX}[backend]
        more = _CPU_FULL if suite == "full" else ()
        yield from points("forward", _layers((*layers, *more)), [F32], hot)
        if backend == "torch":
            yield from points("forward_backward", _layers(_CPU_BACKWARD), [F32], hot)

    def _cuda_grid(
        self, suite: str, backend: str, dtypes: tuple[tuple[str, str], ...]
    ) -> Iterator[GridPoint]:
        hot = ("hot",)
        if backend == "cupy":
            yield from points("forward", _layers(_CUDA_CUPY), [F32], hot)
            return
        if backend == "jax":
            yield from points("forward", _layers(_CUDA_CUPY[1:]), [F32], ("resident",))
            yield from points("forward_backward", _layers(_CUDA_CUPY[1:]), [F32], ("resident",))
            return
        layers = _layers(_CUDA_FORWARD)
        yield from points("forward", layers[:1], [F32], ("hot", "resident"))
        yield from points("forward", layers[1:3], [F32], hot)
        yield from points("forward", layers[3:4], [F32], ("hot", "end_to_end"))
        yield from points("forward", layers[4:], [F32], hot)
        yield from points("forward", layers[1:], [BF16], hot)
        yield from points("forward", layers[3:4], [TF32, F16], hot)
        backward = _layers(_CUDA_BACKWARD)
        yield from points("forward_backward", backward[:1], [F32], ("hot", "resident"))
        yield from points("forward_backward", backward[1:], [F32, BF16], hot)
        if suite == "full":
            yield from points("forward", _layers(_CUDA_FULL), dtypes, hot)
            yield from points("forward_backward", _layers(_CUDA_FULL), dtypes, hot)

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """2 b i o FLOP forward, the gradients of input and weights as many each.

        Bias, ReLU and the bias's gradient, a few FLOP an output, are not counted. Bytes: each
        operand once and each result once. What is written and read again besides, in units of
        the output: forward numpy and cupy the product and its sum with the bias, torch the sum
        (its library adds the bias in the product), jax none, as its compiler fuses all three;
        forward_backward the output, read again, and the gradient behind the ReLU (for torch the
        sum as well).

        Kernels: forward 3 (numpy's calls, cupy), 2 (torch) or 1 (jax); the gradients 4: ReLU's
        gradient, two products, the sum for the bias. torch makes one kernel more of the sum of
        many rows now and then.
        """
        batch, inputs, outputs = (params[name] for name in _NAMES)
        item = ITEM_BYTES[dtype]
        once = 1.0 * (item * (batch * inputs + inputs * outputs + outputs))
        y = 1.0 * (item * batch * outputs)
        between = {"torch": 1, "jax": 0}.get(backend, 2)
        kernels = between + 1
        flop = 2.0 * batch * inputs * outputs
        if case == "forward":
            return Work(flop, once + between * y, (between + 1) * y, once, y, kernels)
        read = once + y + (between + 2) * y
        written = once + y + (between + 1) * y
        return Work(3 * flop, read, written, once + y, once + y, kernels + 4)

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Operands, results, and what is alive beside them: sums before the ReLU, a gradient.

        torch's and NumPy's sums stand beside the result while the ReLU is made; with gradients
        the one behind the ReLU stands beside the results of the backward pass. XLA fuses.
        """
        work = self.operation_work(case, params, dtype, backend)
        own = work.h2d_bytes + work.d2h_bytes
        y = float(ITEM_BYTES[dtype] * params["batch"] * params["outputs"])
        fused = case == "forward" and backend == "jax"
        return JobMemory(own + (0.0 if fused else y), own + y)

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """A product of batch x inputs and inputs x outputs; with gradients three of its size."""
        batch, inputs, outputs = (params[name] for name in ("batch", "inputs", "outputs"))
        work = self.operation_work(asked.case, params, asked.dtype, asked.backend)
        moved = work.bytes_read + work.bytes_written
        result = batch * outputs * ITEM_BYTES[asked.dtype]
        products = [Product(1.0, batch, outputs, inputs)]
        if asked.case == "forward_backward":
            products += [Product(1.0, batch, inputs, outputs), Product(1.0, inputs, outputs, batch)]
        return product_shape(
            asked,
            products,
            awkward=np.maximum(
                misalignment(inputs, asked.dtype), misalignment(outputs, asked.dtype)
            ),
            fresh=work.bytes_written,
            block=result,
            distinct=np.minimum(1.0, (work.h2d_bytes + work.d2h_bytes + result) / moved),
        )

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """Input, weights scaled to about 1/sqrt(inputs), bias; the output's gradient.

        Sums before the ReLU then have a standard deviation of about 1/3 whatever the size: the
        bias, within 1/4, is not lost beside them and shuts no output for all samples.
        """
        batch, inputs, outputs = (params[name] for name in _NAMES)
        scale = 2.0 ** -round(math.log2(inputs) / 2)
        x = uniform((batch, inputs), dtype, seed)
        weights = _scaled(uniform((outputs, inputs), dtype, seed + 1), scale, dtype)
        bias = _scaled(uniform(outputs, dtype, seed + 2), 0.25, dtype)
        if case == "forward":
            return x, weights, bias
        return x, weights, bias, uniform((batch, outputs), dtype, seed + 3)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        if backend.name == "torch":
            return torch_function(backend, case)
        if backend.name == "jax":
            return jax_function(backend, case)
        if case == "forward" and backend.name in ("numpy", "cupy"):
            return numpy_function(backend)
        raise NotImplementedError(f"dense_layer {case} has no form for backend {backend.name}")

    def fetch(self, backend: Backend, output: Any) -> Any:
        if isinstance(output, tuple):
            return tuple(backend.to_numpy(part) for part in output)
        return backend.to_numpy(output)

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Rows and columns spread over the output with what stands where they cross; operands."""
        batch, _, outputs = (params[name] for name in _NAMES)
        generator = np.random.default_rng(11)
        rows = spread_positions(batch, _SAMPLED_LINES, generator)
        columns = spread_positions(outputs, _SAMPLED_LINES, generator)
        x, w, bias = inputs[:3]
        before = x[rows].astype(np.float64) @ w[columns].astype(np.float64).T + bias[columns]
        return inputs, rows, columns, np.maximum(before, 0.0)

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Output at up to 256 x 256 crossings, gradients by Freivalds' check.

        The crossings are spread so that every tile of twice their distance holds some; the
        largest error among them counts, relative to the element or, if that is larger, to their
        root mean square. No output may be negative or NaN. The gradients are linear in the
        output's gradient behind the ReLU, which the output itself tells (it is open where the
        output is positive), so that random weighted sums of all their elements are compared,
        line by line.

        Tolerance 4 u_in + 4 sqrt(K) u_acc + u_out with K the products of one element, twice
        that where the largest of 65,536 errors is compared and not their root mean square; of
        several outcomes the one nearest to its tolerance is told.
        """
        inputs, rows, columns, expected = reference
        batch, width, outputs = (params[name] for name in _NAMES)
        y, *gradients = output if isinstance(output, tuple) else (output,)
        shapes = [(batch, width), (outputs, width), (outputs,)][: len(gradients)]
        if y.shape != (batch, outputs) or [part.shape for part in gradients] != shapes:
            return Check(math.inf, 0.0)
        if not float(y.min()) >= 0.0:
            return Check(math.inf, 0.0)
        sampled = y[np.ix_(rows, columns)].astype(np.float64)
        tolerance = 2 * product_tolerance(width, dtype, math_mode)
        checks = [Check(worst_element(sampled, expected), tolerance)]
        if gradients:
            checks += _gradient_checks(inputs, y, gradients, dtype, math_mode)
        return nearest_to_failure(checks)


def _gradient_checks(
    inputs: Arrays, y: Any, gradients: list[Any], dtype: str, math_mode: str
) -> list[Check]:
    """Gradients of input, weights and bias against sums that need no large product."""
    x, w, _, grad = inputs
    grad_x, grad_w, grad_bias = gradients
    behind = grad * (y > 0)
    over_inputs = normal_probe(x.shape[1], _PROBES)
    over_outputs = normal_probe(_PROBES, y.shape[1])
    expected_x = row_sums(behind, row_sums(w, over_inputs))
    expected_w = column_sums(row_sums(behind, over_outputs.T).T, x)
    expected_bias = column_sums(np.ones((1, len(behind))), behind)
    return [
        Check(
            worst_row(row_sums(grad_x, over_inputs), expected_x),
            product_tolerance(y.shape[1], dtype, math_mode),
        ),
        Check(
            worst_row(column_sums(over_outputs, grad_w).T, expected_w.T),
            product_tolerance(len(x), dtype, math_mode),
        ),
        Check(
            worst_element(grad_bias.astype(np.float64), expected_bias[0]),
            2 * product_tolerance(len(x), dtype, "ieee"),
        ),
    ]


def _scaled(array: Any, power_of_two: float, dtype: str) -> Any:
    """Values of the element type times a power of two, which rounds only float16's smallest."""
    array *= np.float32(power_of_two)
    return array.astype(np.float16).astype(np.float32) if dtype == "float16" else array


def _layers(shapes: tuple[tuple[int, ...], ...]) -> list[dict[str, int]]:
    return [dict(zip(_NAMES, shape, strict=True)) for shape in shapes]
