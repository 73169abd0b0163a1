"""Float64 references of the networks: forward passes in numpy, a training step's gradients.

Batches repeat a block of samples. The mean of the loss over the batch is then the block's, so
are its gradients and the means and variances that BatchNorm takes over the batch, and each
sample's output is that of its twin in the block: the block alone gives the reference. Repeated
samples do not make dense kernels faster, which know nothing of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from collector.workloads._network_modules import torch_module
from collector.workloads._networks import (
    NORM_EPSILON,
    Array,
    Mlp,
    Net,
    ResNet,
    State,
    Transformer,
    buffers,
    parameters,
)


def forward(net: Net, x: Array, state: State) -> Array:
    """Outputs in float64; a ResNet with running statistics in ``state`` uses those."""
    state = {name: values.astype(np.float64) for name, values in state.items()}
    if isinstance(net, Mlp):
        return mlp_activations(net, x, state)[-1]
    if isinstance(net, ResNet):
        return _resnet(net, x, state)
    return _transformer(net, x, state)


def mlp_activations(net: Mlp, x: Array, state: State) -> list[Array]:
    """Input of each layer, and the output of the last."""
    activations = [x]
    for index in range(len(net.layers)):
        value = activations[-1] @ state[f"{2 * index}.weight"].T + state[f"{2 * index}.bias"]
        last = index == len(net.layers) - 1
        activations.append(value if last else np.maximum(value, 0.0))
    return activations


def _convolve(x: Array, weight: Array, stride: int) -> Array:
    side = weight.shape[-1]
    pad = side // 2
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    product: Array = np.tensordot(windows, weight, axes=((1, 4, 5), (1, 2, 3)))
    return product.transpose(0, 3, 1, 2)


def _resnet(net: ResNet, x: Array, state: State) -> Array:
    def normalise(x: Array, name: str) -> Array:
        over = (0, 2, 3)
        mean = state.get(f"{name}.running_mean", None)
        mean = x.mean(axis=over) if mean is None else mean
        variance = state.get(f"{name}.running_var", None)
        variance = x.var(axis=over) if variance is None else variance
        scale = state[f"{name}.weight"] / np.sqrt(variance + NORM_EPSILON)
        shift = state[f"{name}.bias"] - mean * scale
        normal: Array = x * scale[:, None, None] + shift[:, None, None]
        return normal

    def layer(x: Array, name: str, stride: int = 1) -> Array:
        return normalise(_convolve(x, state[f"{name}.weight"], stride), f"{name}_norm")

    x = np.maximum(layer(x, "stem"), 0.0)
    for index, (channels_in, channels_out, stride) in enumerate(net.blocks):
        name = f"blocks.{index}"
        inner = layer(np.maximum(layer(x, f"{name}.first", stride), 0.0), f"{name}.second")
        if channels_in != channels_out:
            x = layer(x, f"{name}.shortcut", stride)
        x = np.maximum(inner + x, 0.0)
    outputs: Array = x.mean(axis=(2, 3)) @ state["head.weight"].T + state["head.bias"]
    return outputs


def _transformer(net: Transformer, tokens: Array, state: State) -> Array:
    def linear(x: Array, name: str) -> Array:
        product: Array = x @ state[f"{name}.weight"].T + state[f"{name}.bias"]
        return product

    def normalise(x: Array, name: str) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.mean(centred**2, axis=-1, keepdims=True)
        normal: Array = centred / np.sqrt(variance + NORM_EPSILON)
        return normal * state[f"{name}.weight"] + state[f"{name}.bias"]

    batch, sequence = tokens.shape
    future = np.triu(np.full((sequence, sequence), -np.inf), k=1)
    x = state["tokens.weight"][tokens] + state["positions"]
    for index in range(net.layers):
        name = f"blocks.{index}"
        qkv = linear(normalise(x, f"{name}.attention_norm"), f"{name}.qkv")
        split = qkv.reshape(batch, sequence, 3, net.heads, -1)
        query, key, value = split.transpose(2, 0, 3, 1, 4)
        scores = query @ key.transpose(0, 1, 3, 2) / math.sqrt(query.shape[-1]) + future
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed = (weights @ value).transpose(0, 2, 1, 3).reshape(batch, sequence, net.width)
        x = x + linear(mixed, f"{name}.projection")
        up = linear(normalise(x, f"{name}.feed_norm"), f"{name}.up")
        curved = 0.5 * up * (1 + np.tanh(math.sqrt(2 / math.pi) * (up + 0.044715 * up**3)))
        x = x + linear(curved, f"{name}.down")
    return normalise(x, "last_norm") @ state["head.weight"].T


def inference(net: Net, block: Array, dtype: str) -> Array:
    """Outputs for the block in float64, with parameters rounded to the element type."""
    return _inference(net, block.shape, str(block.dtype), block.tobytes(), dtype)


@lru_cache(maxsize=16)  # as for training
def _inference(net: Net, shape: tuple[int, ...], kind: str, data: bytes, dtype: str) -> Array:
    block = np.frombuffer(data, kind).reshape(shape)
    if block.dtype.kind == "f":
        block = block.astype(np.float64)
    return forward(net, block, {**parameters(net, dtype), **buffers(net, dtype)})


@dataclass(frozen=True)
class StepReference:
    """Loss, gradients in the order of the parameters, outputs for the block of samples."""

    loss: float
    gradients: tuple[Array, ...]
    outputs: Array


def training(net: Net, x: Array, target: Array) -> StepReference:
    """Loss (mean squared error, or cross entropy of classes) and gradients in float64.

    For an MLP backpropagation by hand, in numpy. For the others automatic differentiation on
    the CPU: independent of the device, the element type and the kernels that are measured but
    not of PyTorch's derivative rules; the loss that it starts from must agree with a forward
    pass in numpy, else the loss is NaN and no result passes.
    """
    return _training(net, x.shape, x.tobytes(), target.tobytes())


@lru_cache(maxsize=16)  # batches of several sizes and element types repeat the same block
def _training(net: Net, shape: tuple[int, ...], data: bytes, answers: bytes) -> StepReference:
    if isinstance(net, Mlp):
        target = np.frombuffer(answers, np.float32).reshape(shape[0], net.outputs)
        return _mlp_step(net, np.frombuffer(data, np.float32).reshape(shape), target)
    target = np.frombuffer(answers, np.int64)
    if isinstance(net, Transformer):
        x = np.frombuffer(data, np.int64).reshape(shape)
    else:
        x = np.frombuffer(data, np.float32).reshape(shape).astype(np.float64)
    outputs = forward(net, x, parameters(net))
    rows = outputs.reshape(-1, outputs.shape[-1])
    rows = rows - rows.max(axis=1, keepdims=True)
    chosen = rows[np.arange(len(rows)), target]
    loss = float(np.mean(np.log(np.exp(rows).sum(axis=1)) - chosen))
    traced_loss, gradients = _traced(net, x, target)
    if not abs(traced_loss - loss) <= 1e-9 * abs(loss):
        loss = math.nan
    return StepReference(loss, gradients, outputs)


def _mlp_step(net: Mlp, x: Array, target: Array) -> StepReference:
    x = x.astype(np.float64)
    state = {name: values.astype(np.float64) for name, values in parameters(net).items()}
    activations = mlp_activations(net, x, state)
    difference = activations[-1] - target
    delta = 2 * difference / difference.size
    gradients: list[Array] = []
    for index in reversed(range(len(net.layers))):
        gradients[:0] = [delta.T @ activations[index], delta.sum(axis=0)]
        if index:
            delta = (delta @ state[f"{2 * index}.weight"]) * (activations[index] > 0)
    return StepReference(float(np.mean(difference**2)), tuple(gradients), activations[-1])


def _traced(net: Net, x: Array, target: Array) -> tuple[float, tuple[Array, ...]]:
    import torch

    model = torch_module(torch, net, "cpu", "float64")
    logits = model(torch.tensor(x))
    loss = torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), torch.tensor(target)
    )
    loss.backward()
    return float(loss.detach()), tuple(p.grad.numpy() for p in model.parameters())
