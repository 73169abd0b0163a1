"""One training step of small networks: two linear ones, an MLP, a ResNet, a transformer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
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
from collector.workloads._network_memory import training_memory
from collector.workloads._network_modules import torch_module
from collector.workloads._network_reference import StepReference, training
from collector.workloads._network_shape import network_shape
from collector.workloads._network_work import forward_work, mlp_training_work, training_work
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
    targets,
    token_sizes,
    worst_row_error,
)
from collector.workloads._shape import Question, Shape
from collector.workloads._survey import Space
from collector.workloads._types import BF16, F32, PRODUCT_TYPES, TF32, UNIT_ROUNDOFF
from collector.workloads._work import Count, Floats, Work

if TYPE_CHECKING:
    from collector.backends.base import Backend

_MLP_OUTPUTS = 10

_BATCHES = (16, 100, 1000, 16_384)
_MLP = ((64, 64), (64, 256), (256, 256), (1000, 250), (256, 1024), (4096, 1024))
_RESNET_CPU = (1, 4, 12, 16)
_TRANSFORMER_CPU = ((1, 32), (2, 64), (4, 100))
_TRANSFORMER_CUDA = ((4, 64), (8, 128), (16, 250))


@dataclass(frozen=True)
class _Task:
    """What is trained and how; PyTorch's defaults (Adam's betas, AdamW's decay) otherwise."""

    net: Net
    optimizer: str
    learning_rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0


def _task(case: str, params: Mapping[str, Any]) -> _Task:
    if case == "simple_net_adam":
        return _Task(Mlp((10, 2)), "adam", 0.01)
    if case == "linear_sgd":
        return _Task(Mlp((10, 1)), "sgd", 1e-4)
    if case == "resnet_sgd":
        return _Task(ResNet(), "sgd_momentum", 0.01, momentum=0.9)
    if case == "transformer_adamw":
        return _Task(Transformer(params["sequence"]), "adamw", 3e-4, weight_decay=0.01)
    width = params["width"]
    return _Task(Mlp((width, width, width, _MLP_OUTPUTS)), "adam", 1e-3)


class TrainingStep(Workload):
    """zero_grad, forward, loss, backward, optimizer step, in eager PyTorch.

    The loss is the mean squared error for linear nets and the MLP, cross entropy of classes for
    the others. Element type bfloat16 means what users do: parameters, optimizer and data in
    float32, forward pass and loss under ``torch.autocast(dtype=torch.bfloat16)``.
    """

    name = "training_step"
    summary = "one training step of two small linear nets, an MLP, a ResNet, a transformer"
    size_meaning = "samples in the batch"
    signatures = {
        "simple_net_adam": {"batch": 100},
        "linear_sgd": {"batch": 64},
        "mlp_adam": {"batch": None, "width": None},
        "resnet_sgd": {"batch": None},
        "transformer_adamw": {"batch": None, "sequence": None},
    }
    support = {("torch", "cpu"): (F32,), ("torch", "cuda"): (F32, TF32, BF16)}
    stateful = True
    rank = 170
    label = "Training step of a network"
    case_labels = {
        "simple_net_adam": "Linear net 10 to 2, Adam",
        "linear_sgd": "Linear net 10 to 1, SGD",
        "mlp_adam": "Perceptron of three layers, Adam",
        "resnet_sgd": "Residual network, SGD",
        "transformer_adamw": "Transformer, AdamW",
    }
    case_help = (
        "Which network is trained, with which optimizer: zero_grad, forward pass, loss, backward "
        "pass and update, in eager PyTorch. The residual network has eight layers on images of "
        "3 x 32 x 32; the transformer two layers of width 256."
    )
    parameter_labels = {
        "batch": BATCH,
        "width": LAYER_WIDTH,
        "sequence": SEQUENCE,
    }
    start_values = {"batch": 64, "width": 1024, "sequence": 128}
    survey = {
        "cuda": (
            Space("simple_net_adam", {"batch": (8, 65_536)}, {F32: 8}),
            Space("linear_sgd", {"batch": (8, 65_536)}, {F32: 8}),
            Space(
                "mlp_adam",
                {"batch": (16, 16_384), "width": (32, 4096)},
                dict.fromkeys(PRODUCT_TYPES, 16),
            ),
            Space("resnet_sgd", {"batch": (1, 1024)}, dict.fromkeys(PRODUCT_TYPES, 7)),
            Space(
                "transformer_adamw",
                {"batch": (1, 32), "sequence": (16, 1024)},
                dict.fromkeys(PRODUCT_TYPES, 10),
            ),
        ),
        "cpu": (
            Space("simple_net_adam", {"batch": (8, 16_384)}, {F32: 6}),
            Space("linear_sgd", {"batch": (8, 16_384)}, {F32: 6}),
            Space("mlp_adam", {"batch": (8, 4096), "width": (16, 1024)}, {F32: 12}),
            Space("resnet_sgd", {"batch": (1, 16)}, {F32: 4}),
            Space("transformer_adamw", {"batch": (1, 4), "sequence": (16, 256)}, {F32: 6}),
        ),
    }
    limits = frozenset({Limit.PRODUCTS, Limit.AWKWARD})
    start_case = "resnet_sgd"  # what people train, rather than the smallest
    whole_job = True

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return params["batch"]

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        if (backend, device) not in self.support:
            return
        if device == "cpu":
            yield from _cpu_grid(suite)
        elif suite == "quick":
            yield from _quick_cuda_grid()
        else:
            yield from _cuda_grid(suite)

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """Forward, loss, backward and optimizer: formulas in the module _network_work.

        Over the bus go the samples (four bytes a value, eight a token), what they should give
        (four bytes a value, eight a class) and the loss.
        """
        task, batch, autocast = _task(case, params), params["batch"], dtype == "bfloat16"
        if isinstance(task.net, Mlp):
            work = mlp_training_work(task.net, batch, task.optimizer, autocast)
            operands = 4.0 * batch * (task.net.widths[0] + task.net.widths[-1])
        else:
            work = training_work(task.net, batch, task.optimizer, autocast)
            tokens = isinstance(task.net, Transformer)
            operands = batch * (16.0 * params["sequence"] if tokens else 4.0 * 3 * 32 * 32 + 8)
        return replace(work, h2d_bytes=operands, d2h_bytes=4.0)

    def measuring_bytes(self, case: str, params: Params, dtype: str, backend: str) -> float:
        """Activations and their gradients; parameters with gradients, moments and copies."""
        net = _task(case, params).net
        activations = forward_work(net, params["batch"], 4).bytes_written
        return 2 * activations + 32.0 * parameter_count(net)

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Parameters, moments, what the backward pass needs: formulas in _network_memory."""
        task = _task(case, params)
        samples = self.operation_work(case, params, dtype, backend).h2d_bytes
        own = training_memory(task.net, params["batch"], task.optimizer, dtype == "bfloat16")
        return JobMemory(samples + own.bytes, samples + own.upper_bytes)

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        work = self.operation_work(asked.case, params, asked.dtype, asked.backend)
        return network_shape(asked, params, work.bytes_written)

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """Samples and targets, the same few over and over where the batch is large.

        See _network_reference: the block that repeats has the batch's loss and gradients.
        """
        net, batch = _task(case, params).net, params["batch"]
        block = block_size(net, batch)
        return (
            samples(net, batch, block, "float32", seed),
            targets(net, batch, block, seed + 1),
        )

    def host_operands(self, backend: Backend, inputs: Arrays, dtype: str) -> tuple[Any, ...]:
        """Data stay in float32 under autocast."""
        return super().host_operands(backend, inputs, "float32")

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        """The step as a function of samples and targets; it returns loss, model and outputs."""
        torch: Any = backend.module
        task = _task(case, params)
        model = torch_module(torch, task.net, backend.device)
        optimizer = _make_optimizer(torch, task, model)
        classes = not isinstance(task.net, Mlp)
        criterion = torch.nn.CrossEntropyLoss() if classes else torch.nn.MSELoss()

        def loss_of(x: Any, target: Any) -> Any:
            outputs = model(x)
            if isinstance(task.net, Transformer):
                return criterion(outputs.flatten(0, 1), target.flatten()), outputs
            return criterion(outputs, target), outputs

        def step(x: Any, target: Any) -> _Result:
            optimizer.zero_grad()
            loss, outputs = loss_of(x, target)
            loss.backward()
            optimizer.step()
            return _Result(loss, model, outputs)

        def autocast_step(x: Any, target: Any) -> _Result:
            optimizer.zero_grad()
            with torch.autocast(backend.device, dtype=torch.bfloat16):
                loss, outputs = loss_of(x, target)
            loss.backward()
            optimizer.step()
            return _Result(loss, model, outputs)

        return autocast_step if dtype == "bfloat16" else step

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        net = _task(case, params).net
        block = block_size(net, params["batch"])
        return training(net, inputs[0][:block], inputs[1][:block])

    def fetch(self, backend: Backend, output: Any) -> Any:
        """Loss; for each parameter its gradient and its updated value; outputs, sampled."""
        pairs = [
            (backend.to_numpy(parameter.grad), backend.to_numpy(parameter))
            for parameter in output.model.parameters()
        ]
        rows = backend.to_numpy(sampled_rows(output.outputs.detach()))
        return float(output.loss.detach()), pairs, (tuple(output.outputs.shape), rows)

    def check(
        self,
        reference: StepReference,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Loss, outputs, gradients and updated parameters of the first step against float64.

        The update is checked against the optimizer's formula applied to the gradient that
        the device found (and that is checked itself), as Adam's first update is the gradient's
        sign, which rounding decides where the gradient is near zero.

        Tolerances, u being the unit round-off of the products' operands. Loss: 1e-4 or 4 u, a
        mean over outputs whose errors are a few u. Outputs, the worst sample: 1e-4 or 8 u, as
        they pass up to ten products. Updates: 1e-2. Gradients: 1e-2 or, without ReLU, 16 u; with
        ReLU 8 sqrt(u): of the activations before a ReLU a share of about u lies so near zero
        that rounding moves them across the corner, each is worth 1/sqrt(count) of a gradient's
        norm, and layers add up (bfloat16 on a CPU: 0.06 for the MLP, 0.3 for the ResNet).
        A wrong layer is off by half or more, a wrong optimizer too.
        """
        loss, pairs, (shape, rows) = output
        task = _task(case, params)
        u = UNIT_ROUNDOFF["tf32" if math_mode == "tf32" else dtype]
        expected = repeated_rows(reference.outputs, math.prod(shape[:-1]))
        if shape != (params["batch"], *reference.outputs.shape[1:]):
            expected = np.empty(0)
        gradients, updates = [], []
        for (gradient, updated), true_gradient, before in zip(
            pairs, reference.gradients, parameters(task.net).values(), strict=True
        ):
            gradients.append(_ratio(_norm(gradient - true_gradient), _norm(true_gradient)))
            updates.append(_update_error(task, before, gradient, updated))
        curved = isinstance(task.net, Transformer)
        checks = (
            Check(abs(loss - reference.loss) / reference.loss, max(1e-4, 4 * u)),
            Check(worst_row_error(rows, expected), max(1e-4, 8 * u)),
            Check(_worst(updates), 1e-2),
            Check(_worst(gradients), max(1e-2, 16 * u if curved else 8 * math.sqrt(u))),
        )
        return next((check for check in checks if not check.passed), checks[-1])


def _worst(errors: list[float]) -> float:
    return math.nan if any(math.isnan(error) for error in errors) else max(errors)


class _Result:
    """What a step leaves behind; as a device array it is its loss."""

    def __init__(self, loss: Any, model: Any, outputs: Any) -> None:
        self.loss = loss
        self.model = model
        self.outputs = outputs

    def detach(self) -> Any:
        return self.loss.detach()


def _make_optimizer(torch: Any, task: _Task, model: Any) -> Any:
    parameters, rate = model.parameters(), task.learning_rate
    if task.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=rate)
    if task.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=task.weight_decay)
    return torch.optim.SGD(parameters, lr=rate, momentum=task.momentum)


def _update_error(task: _Task, before: Array, gradient: Array, updated: Array) -> float:
    """Error of the first update relative to its norm; NaN where anything is NaN.

    Adam as in Kingma and Ba 2015, decay as in Loshchilov and Hutter 2019; momentum plays no
    part in the first step.
    """
    if task.optimizer.startswith("adam"):
        step = np.abs(gradient, dtype=np.float64)
        step += 1e-8
        np.divide(gradient, step, out=step)
    else:
        step = gradient.astype(np.float64)
    step *= -task.learning_rate
    if task.weight_decay:
        step -= (task.learning_rate * task.weight_decay) * before.astype(np.float64)
    size = _norm(step)
    step += before
    np.subtract(updated, step, out=step)
    # the update is a difference of rounded parameters: allow for their rounding
    difference = _norm(step) - 2 * _norm(before) * 2.0**-24
    return math.nan if math.isnan(difference) else _ratio(max(difference, 0.0), size)


def _ratio(error: float, size: float) -> float:
    if size:
        return error / size
    return math.inf if error else 0.0


def _norm(values: Array) -> float:
    """Euclidean norm, in float64. BLAS would wake all its threads for each small vector."""
    flat = values.reshape(-1)
    return math.sqrt(np.einsum("i,i->", flat, flat, dtype=np.float64))


def _cpu_grid(suite: str) -> Iterator[GridPoint]:
    quick, hot, dtypes = suite == "quick", ("hot",), (F32,)
    yield from points("simple_net_adam", sizes("batch", (100,) if quick else _BATCHES), dtypes, hot)
    batches = (64,) if quick else (16, 64, 1000, 16_384)
    yield from points("linear_sgd", sizes("batch", batches), dtypes, hot)
    yield from points("mlp_adam", mlp_sizes(*(_MLP[2:3] if quick else _MLP[:-1])), dtypes, hot)
    if not quick:
        yield from points("resnet_sgd", sizes("batch", _RESNET_CPU), dtypes, hot)
        yield from points("transformer_adamw", token_sizes(*_TRANSFORMER_CPU), dtypes, hot)


def _quick_cuda_grid() -> Iterator[GridPoint]:
    all_modes = ("hot", "resident", "end_to_end")
    yield from points("simple_net_adam", [{"batch": 100}], [F32], all_modes)
    yield from points("linear_sgd", [{"batch": 64}], [F32], all_modes)
    yield from points("mlp_adam", mlp_sizes(*_MLP[2:3]), [F32], all_modes)
    yield from points("resnet_sgd", [{"batch": 100}], [F32], ("resident",))
    yield from points("transformer_adamw", token_sizes((8, 128)), [BF16], ("resident",))


def _cuda_grid(suite: str) -> Iterator[GridPoint]:
    hot, both, all_modes = ("hot",), ("hot", "resident"), ("hot", "resident", "end_to_end")
    yield from points("simple_net_adam", [{"batch": 100}], [F32], all_modes)
    yield from points("simple_net_adam", sizes("batch", (16, 1000, 16_384)), [F32], both)
    yield from points("linear_sgd", [{"batch": 64}], [F32], all_modes)
    yield from points("linear_sgd", sizes("batch", (16, 1000, 16_384)), [F32], both)
    yield from points("mlp_adam", mlp_sizes((256, 256)), [F32], all_modes)
    yield from points("mlp_adam", mlp_sizes(_MLP[0], _MLP[3], *_MLP[4:]), [F32], both)
    yield from points("mlp_adam", mlp_sizes(*_MLP[4:]), [TF32, BF16], hot)
    yield from points("resnet_sgd", [{"batch": 100}], [F32], all_modes)
    yield from points("resnet_sgd", sizes("batch", (16, 512)), [F32], both)
    yield from points("resnet_sgd", sizes("batch", (100, 512)), [TF32], hot)
    yield from points("resnet_sgd", sizes("batch", (100, 512)), [BF16], both)
    yield from points("transformer_adamw", token_sizes(*_TRANSFORMER_CUDA), [F32], both)
    yield from points("transformer_adamw", token_sizes(*_TRANSFORMER_CUDA[1:]), [TF32], hot)
    yield from points("transformer_adamw", token_sizes(*_TRANSFORMER_CUDA[1:]), [BF16], both)
    if suite == "full":
        dtypes = [F32, TF32, BF16]
        yield from points("mlp_adam", mlp_sizes((64, 256), (1024, 2048)), dtypes, both)
        yield from points("resnet_sgd", sizes("batch", (1, 1024)), dtypes, both)
        yield from points("transformer_adamw", token_sizes((1, 64), (8, 512)), dtypes, both)
