"""Forward pass of small networks, as a service answers requests: MLP, ResNet, transformer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
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
from collector.workloads._labels import BATCH, LAYER_WIDTH, SEQUENCE
from collector.workloads._limits import Limit
from collector.workloads._network_memory import inference_memory
from collector.workloads._network_modules import torch_module
from collector.workloads._network_reference import inference
from collector.workloads._network_shape import network_shape
from collector.workloads._network_work import forward_work, plain_mlp_work
from collector.workloads._networks import (
    Array,
    Mlp,
    Net,
    ResNet,
    Transformer,
    block_size,
    mlp_sizes,
    parameter_count,
    parameters,
    repeated_rows,
    sampled_rows,
    samples,
    token_sizes,
    worst_row_error,
)
from collector.workloads._shape import Question, Shape
from collector.workloads._survey import Space
from collector.workloads._types import BF16, F16, F32, PRODUCT_TYPES, TF32, UNIT_ROUNDOFF
from collector.workloads._work import Count, Floats, Work

if TYPE_CHECKING:
    from collector.backends.base import Backend

_ITEM = {"float32": 4, "float16": 2, "bfloat16": 2}

_MLP_OUTPUTS = 10


def _net(case: str, params: Mapping[str, Any]) -> Net:
    if case == "resnet":
        return ResNet()
    if case == "transformer":
        return Transformer(params["sequence"])
    width = params["width"]
    return Mlp((width, width, width, _MLP_OUTPUTS))


class InferenceStep(Workload):
    """Outputs of a net for a batch of samples; no gradients, norms with running statistics.

    Element types other than float32 are the whole net's, as after ``model.to(dtype)``. PyTorch
    computes in eager mode under ``torch.inference_mode()``, JAX a function compiled by
    ``jax.jit`` whose parameters are arguments, NumPy and CuPy products and maps one by one.
    """

    name = "inference_step"
    summary = "forward pass of an MLP, a ResNet and a transformer"
    size_meaning = "samples in the batch"
    signatures = {
        "mlp": {"batch": None, "width": None},
        "resnet": {"batch": None},
        "transformer": {"batch": None, "sequence": None},
    }
    support = {
        ("numpy", "cpu"): (F32,),
        ("torch", "cpu"): (F32,),
        ("jax", "cpu"): (F32,),
        ("torch", "cuda"): (F32, TF32, F16, BF16),
        ("cupy", "cuda"): (F32,),
        ("jax", "cuda"): (F32,),
    }
    threaded_backends = frozenset({"numpy", "torch", "jax"})
    case_backends = {"resnet": frozenset({"torch"}), "transformer": frozenset({"torch"})}
    rank = 180
    label = "Forward pass of a network"
    case_labels = {
        "mlp": "Perceptron of three layers",
        "resnet": "Residual network",
        "transformer": "Transformer",
    }
    case_help = (
        "Which network answers: the residual network has eight layers on images of 3 x 32 x 32; "
        "the transformer two layers of width 256."
    )
    parameter_labels = {
        "batch": BATCH,
        "width": LAYER_WIDTH,
        "sequence": SEQUENCE,
    }
    start_values = {"batch": 64, "width": 1024, "sequence": 128}
    survey = {
        "cuda": (
            Space(
                "mlp",
                {"batch": (16, 16_384), "width": (32, 4096)},
                dict.fromkeys(PRODUCT_TYPES, 14),
            ),
            Space("resnet", {"batch": (1, 1024)}, dict.fromkeys(PRODUCT_TYPES, 7)),
            Space(
                "transformer",
                {"batch": (1, 32), "sequence": (16, 1024)},
                dict.fromkeys(PRODUCT_TYPES, 10),
            ),
        ),
        "cpu": (
            Space("mlp", {"batch": (8, 4096), "width": (16, 1024)}, {F32: 10}),
            Space("resnet", {"batch": (1, 32)}, {F32: 4}),
            Space("transformer", {"batch": (1, 8), "sequence": (16, 256)}, {F32: 6}),
        ),
    }
    limits = frozenset({Limit.PRODUCTS, Limit.AWKWARD})
    start_case = "resnet"
    whole_job = True

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return params["batch"]

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        if (backend, device) not in self.support:
            return
        if device == "cpu":
            yield from _cpu_grid(suite, backend)
        else:
            yield from _cuda_grid(suite, backend)

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """Products' FLOP and each kernel's bytes: formulas in the module _network_work.

        Over the bus go the samples (a token takes eight bytes) and the outputs.
        """
        net, batch, item = _net(case, params), params["batch"], _ITEM[dtype]
        if isinstance(net, Mlp):
            work = (
                forward_work(net, batch, item)
                if backend == "torch"
                else plain_mlp_work(net, batch, item, compiled=backend == "jax")
            )
            samples_bytes, rows = item * batch * net.widths[0], batch
        elif isinstance(net, Transformer):
            work = forward_work(net, batch, item)
            samples_bytes, rows = 8 * batch * net.sequence, batch * net.sequence
        else:
            work = forward_work(net, batch, item)
            samples_bytes, rows = item * batch * 3 * 32 * 32, batch
        outputs = 1.0 * (item * rows * net.outputs)
        return replace(work, h2d_bytes=1.0 * samples_bytes, d2h_bytes=outputs)

    def measuring_bytes(self, case: str, params: Params, dtype: str, backend: str) -> float:
        """Parameters in both places, samples, and activations as if none were given back."""
        work = self.operation_work(case, self.complete(case, params), dtype, backend)
        return work.bytes_written + work.h2d_bytes + 12.0 * parameter_count(_net(case, params))

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Parameters, samples and the activations alive at a time: _network_memory."""
        work = self.operation_work(case, params, dtype, backend)
        net, batch, item = _net(case, params), params["batch"], _ITEM[dtype]
        plain = backend in ("numpy", "cupy")
        return inference_memory(net, batch, item, work.h2d_bytes, work.d2h_bytes, plain)

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        work = self.operation_work(asked.case, params, asked.dtype, asked.backend)
        return network_shape(asked, params, work.bytes_written)

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """Samples, the same few over and over where the batch is large (_network_reference)."""
        net, batch = _net(case, params), params["batch"]
        return (samples(net, batch, block_size(net, batch), dtype, seed),)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        """The forward pass as a function of the samples."""
        net = _net(case, params)
        if backend.name != "torch":
            if not isinstance(net, Mlp):
                raise NotImplementedError(f"inference_step {case} has a form for torch only")
            return _plain_mlp(backend, net, dtype)
        torch: Any = backend.module
        model = torch_module(torch, net, backend.device, dtype).eval()

        def forward(x: Any) -> Any:
            with torch.inference_mode():
                return model(x)

        return forward

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        net = _net(case, params)
        return inference(net, inputs[0][: block_size(net, params["batch"])], dtype)

    def fetch(self, backend: Backend, output: Any) -> Any:
        """Shape, and rows of outputs at equal distances (all of up to 2048)."""
        return tuple(output.shape), backend.to_numpy(sampled_rows(output))

    def check(
        self,
        reference: Array,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Error of the worst sample relative to the mean one, against float64.

        Tolerance 1e-5 or 8 u, u being the unit round-off of the products' operands: each of up
        to ten layers rounds its operands and its result anew, errors that add up at random.
        """
        shape, rows = output
        u = UNIT_ROUNDOFF["tf32" if math_mode == "tf32" else dtype]
        tolerance = max(1e-5, 8 * u)
        if shape != (params["batch"], *reference.shape[1:]):
            return Check(math.nan, tolerance)
        expected = repeated_rows(reference, math.prod(shape[:-1]))
        return Check(worst_row_error(rows, expected), tolerance)


def _plain_mlp(backend: Backend, net: Mlp, dtype: str) -> Function:
    xp = backend.module
    state = {
        name: backend.upload(backend.host(np.ascontiguousarray(values), dtype))
        for name, values in parameters(net, dtype).items()
    }
    weights = [
        (state[f"{2 * index}.weight"], state[f"{2 * index}.bias"])
        for index in range(len(net.layers))
    ]

    def forward(x: Any, weights: Any) -> Any:
        for index, (weight, bias) in enumerate(weights):
            x = x @ weight.T + bias
            if index < len(weights) - 1:
                x = xp.maximum(x, 0)
        return x

    compiled = backend.compile(forward)
    return lambda x: compiled(x, weights)


def _cpu_grid(suite: str, backend: str) -> Iterator[GridPoint]:
    hot, dtypes = ("hot",), [F32]
    if suite == "quick":
        if backend == "torch":
            yield from points("resnet", [{"batch": 1}], dtypes, hot)
        return
    if backend != "torch":
        yield from points("mlp", mlp_sizes((1, 256), (250, 1000)), dtypes, hot)
        return
    yield from points("mlp", mlp_sizes((1, 256), (250, 1000)), dtypes, hot)
    yield from points("resnet", sizes("batch", (1, 20)), dtypes, hot)
    yield from points("transformer", token_sizes((1, 64), (4, 100)), dtypes, hot)
    if suite == "full":
        yield from points("mlp", mlp_sizes((1, 1024), (4096, 256)), dtypes, hot)
        yield from points("resnet", sizes("batch", (4, 64)), dtypes, hot)
        yield from points("transformer", token_sizes((1, 256), (16, 64)), dtypes, hot)


def _cuda_grid(suite: str, backend: str) -> Iterator[GridPoint]:
    hot, both, resident = ("hot",), ("hot", "resident"), ("resident",)
    if suite == "quick":
        if backend == "torch":
            yield from points("resnet", [{"batch": 1}], [F32], resident)
            yield from points("transformer", token_sizes((8, 128)), [BF16], resident)
        return
    if backend == "jax":
        yield from points("mlp", mlp_sizes((1, 256), (4096, 1000)), [F32], resident)
        return
    if backend == "cupy":
        yield from points("mlp", mlp_sizes((1, 256), (4096, 1000)), [F32], resident)
        return
    yield from points("mlp", mlp_sizes((1, 256)), [F32], both)
    yield from points("mlp", mlp_sizes((4096, 1000)), [F32], ("hot", "end_to_end"))
    yield from points("mlp", mlp_sizes((4096, 1000)), [TF32, F16, BF16], hot)
    yield from points("resnet", [{"batch": 1}], [F32], both)
    yield from points("resnet", [{"batch": 1}], [F16], resident)
    yield from points("resnet", [{"batch": 100}], [F32], (*both, "end_to_end"))
    yield from points("resnet", [{"batch": 100}, {"batch": 1024}], [F16], hot)
    yield from points("resnet", [{"batch": 1024}], [F32, TF32, BF16], hot)
    yield from points("transformer", token_sizes((1, 64)), [F32, BF16], both)
    yield from points("transformer", token_sizes((8, 128)), [F32], hot)
    yield from points("transformer", token_sizes((8, 128)), [BF16], both)
    yield from points("transformer", token_sizes((32, 250)), [F32, TF32, F16, BF16], hot)
    if suite == "full":
        dtypes = [F32, TF32, F16, BF16]
        yield from points("mlp", mlp_sizes((64, 256), (1000, 1024)), dtypes, both)
        yield from points("resnet", sizes("batch", (10, 4096)), dtypes, both)
        yield from points("transformer", token_sizes((1, 500), (64, 128)), dtypes, both)
