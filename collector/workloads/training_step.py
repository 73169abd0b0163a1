"""One training step of small networks: two linear ones, and an MLP."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.workloads.base import (
    Arrays,
    Check,
    Function,
    GridPoint,
    Params,
    Work,
    Workload,
    points,
    relative_l2,
    sizes,
    uniform,
)

if TYPE_CHECKING:
    from collector.backends.base import Backend

_F32 = ("float32", "ieee")

_BATCHES = (16, 64, 100, 1000, 16_384)
_MLP = ((64, 64), (64, 256), (256, 256), (1000, 250), (256, 1024), (4096, 1024))
_MLP_OUTPUTS = 10
_LOSS_TOLERANCE = 1e-4


@dataclass(frozen=True)
class _Net:
    """Widths of the layers (input first), the optimizer, its learning rate."""

    widths: tuple[int, ...]
    optimizer: str
    learning_rate: float


def _net(case: str, params: Params) -> _Net:
    if case == "simple_net_adam":
        return _Net((10, 2), "adam", 0.01)
    if case == "linear_sgd":
        return _Net((10, 1), "sgd", 1e-4)
    width = params["width"]
    return _Net((width, width, width, _MLP_OUTPUTS), "adam", 1e-3)


class TrainingStep(Workload):
    """zero_grad, forward, mean squared error, backward, optimizer step, in eager PyTorch."""

    name = "training_step"
    summary = "one training step of two small linear nets and of an MLP"
    size_meaning = "samples in the batch"
    signatures = {
        "simple_net_adam": {"batch": 100},
        "linear_sgd": {"batch": 64},
        "mlp_adam": {"batch": None, "width": None},
    }
    support = {("torch", "cpu"): (_F32,), ("torch", "cuda"): (_F32,)}
    stateful = True

    def size(self, case: str, params: Params) -> int:
        return self.complete(case, params)["batch"]

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        dtypes = self.dtypes(backend, device)
        if not dtypes:
            return
        modes = ("hot",) if device == "cpu" else ("hot", "resident", "end_to_end")
        quick = suite == "quick"
        yield from points(
            "simple_net_adam", sizes("batch", (100,) if quick else _BATCHES), dtypes, modes
        )
        yield from points("linear_sgd", sizes("batch", (64,) if quick else _BATCHES), dtypes, modes)
        chosen = _MLP[2:3] if quick else (_MLP[:-1] if device == "cpu" else _MLP)
        mlp = [{"batch": batch, "width": width} for batch, width in chosen]
        yield from points("mlp_adam", mlp, dtypes, modes)

    def operation_work(self, case: str, params: Params, dtype: str, backend: str) -> Work:
        """Products of the three passes, and the optimizer.

        A layer of i inputs and o outputs costs 2 b i o FLOP forward, as much for its weights'
        gradient and, but for the first layer, as much for its inputs' gradient. Adam reads
        parameter, gradient and two moments and writes three of them, about 12 FLOP each; SGD
        reads two, writes one, 2 FLOP. Activations are written and read once in each pass.
        Kernels, as eager PyTorch starts them on a GPU: forward 1 a layer and 1 a ReLU, loss 1;
        backward 1 for the ones, 1 for the loss, 3 a layer (2 for the first), 1 a ReLU; Adam's
        fused lists about 11, SGD's 1; a layer with a single output takes matrix-vector
        products, 3 more. torch.profiler counts within 30 % of it (tests/gpu).
        """
        net, batch, item = _net(case, params), params["batch"], 4
        pairs = list(zip(net.widths[:-1], net.widths[1:], strict=True))
        parameters = sum(i * o + o for i, o in pairs)
        flop = sum(
            2.0 * batch * i * o * (2 if index == 0 else 3) for index, (i, o) in enumerate(pairs)
        )
        activations = float(batch * sum(net.widths))
        adam = net.optimizer == "adam"
        flop += (12 if adam else 2) * parameters
        read = item * (2 * activations + parameters * (2 + (4 if adam else 2)))
        written = item * (2 * activations + parameters * (1 + (3 if adam else 1)))
        relus = len(pairs) - 1
        kernels = 2 * relus + 3 * len(pairs) - 1 + len(pairs) + 3 + (11 if adam else 1)
        kernels += 3 * sum(outputs == 1 for _, outputs in pairs)
        operands = float(item * batch * (net.widths[0] + net.widths[-1]))
        return Work(flop, read, written, operands, float(item), kernels)

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        net, batch = _net(case, params), params["batch"]
        return (
            uniform((batch, net.widths[0]), dtype, seed),
            uniform((batch, net.widths[-1]), dtype, seed + 1),
        )

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        """The step as a function of input and target; it returns the loss.

        The function carries the model as attribute ``model``, for the check.
        """
        torch: Any = backend.module
        net = _net(case, params)
        weights = [torch.from_numpy(array) for array in _parameters(net)]
        layers: list[Any] = []
        for index, (i, o) in enumerate(zip(net.widths[:-1], net.widths[1:], strict=True)):
            if layers:
                layers.append(torch.nn.ReLU())
            layer = torch.nn.Linear(i, o)
            with torch.no_grad():
                layer.weight.copy_(weights[2 * index])
                layer.bias.copy_(weights[2 * index + 1])
            layers.append(layer)
        model = torch.nn.Sequential(*layers).to(backend.device)
        make = torch.optim.Adam if net.optimizer == "adam" else torch.optim.SGD
        optimizer = make(model.parameters(), lr=net.learning_rate)
        criterion = torch.nn.MSELoss()

        class Step:
            def __init__(self) -> None:
                self.model = model

            def __call__(self, x: Any, target: Any) -> Any:
                optimizer.zero_grad()
                loss = criterion(model(x), target)
                loss.backward()
                optimizer.step()
                return _Result(loss, model)

        return Step()

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        net = _net(case, params)
        return net, _reference_step(net, *(array.astype(np.float64) for array in inputs))

    def fetch(self, backend: Backend, output: Any) -> Any:
        """Loss, and for each parameter its gradient and its updated value."""
        pairs = [
            (backend.to_numpy(parameter.grad), backend.to_numpy(parameter))
            for parameter in output.model.parameters()
        ]
        return float(output.loss.detach()), pairs

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Loss, gradients and updated parameters of the first step against float64 numpy.

        Adam's first update is the learning rate times the sign of the gradient, so parameters
        whose gradient is near zero are left out of the comparison of updates.

        Tolerance 1e-4 for the loss, 1e-2 for the rest: among millions of activations a few lie
        so near zero that rounding moves them across the ReLU's corner, each worth
        1/sqrt(count) of a gradient's norm; a wrong optimizer or layer is off by a tenth or more.
        """
        (net, expected), (loss, pairs) = reference, output
        loss_error = abs(loss - expected.loss) / expected.loss
        if not loss_error <= _LOSS_TOLERANCE:
            return Check(loss_error, _LOSS_TOLERANCE)
        errors = [loss_error]
        for (gradient, updated), true_gradient, true_updated, before in zip(
            pairs, expected.gradients, expected.updated, _parameters(net), strict=True
        ):
            errors.append(relative_l2(gradient, true_gradient))
            clear = np.abs(true_gradient) > 1e-2 * np.max(np.abs(true_gradient))
            true_step = (true_updated - before)[clear]
            step = (updated.astype(np.float64) - before)[clear]
            # the update is a difference of rounded parameters: allow for their rounding
            rounding = 2 * float(np.linalg.norm(before[clear])) * 2.0**-24
            difference = float(np.linalg.norm(step - true_step)) - rounding
            errors.append(max(difference, 0.0) / float(np.linalg.norm(true_step)))
        return Check(float(max(errors)) if not np.isnan(errors).any() else math.nan, 1e-2)


class _Result:
    """A step's loss together with the model that it updated; the device array is the loss."""

    def __init__(self, loss: Any, model: Any) -> None:
        self.loss = loss
        self.model = model

    def detach(self) -> Any:
        return self.loss.detach()


def _parameters(net: _Net) -> list[np.ndarray[Any, Any]]:
    """Weight and bias of each layer, uniform within 1/sqrt(inputs), always the same."""
    arrays = []
    for index, (i, o) in enumerate(zip(net.widths[:-1], net.widths[1:], strict=True)):
        bound = np.float32(1 / math.sqrt(i))
        arrays.append(uniform((o, i), "float32", 100 + index) * bound)
        arrays.append(uniform(o, "float32", 200 + index) * bound)
    return arrays


@dataclass(frozen=True)
class _Reference:
    loss: float
    gradients: list[np.ndarray[Any, Any]]
    updated: list[np.ndarray[Any, Any]]


def _reference_step(net: _Net, x: np.ndarray[Any, Any], target: np.ndarray[Any, Any]) -> _Reference:
    """One step in float64: backpropagation by hand; Adam as in Kingma and Ba 2015, step 1."""
    parameters = [array.astype(np.float64) for array in _parameters(net)]
    weights, biases = parameters[0::2], parameters[1::2]
    activations = [x]
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        value = activations[-1] @ weight.T + bias
        activations.append(np.maximum(value, 0.0) if index < len(weights) - 1 else value)
    difference = activations[-1] - target
    loss = float(np.mean(difference**2))
    delta = 2 * difference / difference.size
    gradients: list[np.ndarray[Any, Any]] = []
    for index in reversed(range(len(weights))):
        gradients[:0] = [delta.T @ activations[index], delta.sum(axis=0)]
        delta = (delta @ weights[index]) * (activations[index] > 0)
    updates = gradients
    if net.optimizer == "adam":
        updates = [gradient / (np.abs(gradient) + 1e-8) for gradient in gradients]
    updated = [
        p - net.learning_rate * update for p, update in zip(parameters, updates, strict=True)
    ]
    return _Reference(loss, gradients, updated)
