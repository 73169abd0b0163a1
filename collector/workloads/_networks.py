"""The small networks of the families training_step and inference_step: shapes and PyTorch form.

Three kinds: a multilayer perceptron (linear layers with ReLU between them), a residual network
for images of 3 x 32 x 32 and a decoder-only transformer. Parameters are made here, in numpy, so
that every library and the float64 references begin with the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from collector.workloads._base import uniform

Array = np.ndarray[Any, Any]
State = dict[str, Array]

IMAGE_CHANNELS = 3
IMAGE_SIDE = 32
NORM_EPSILON = 1e-5  # the default of BatchNorm2d and LayerNorm


@dataclass(frozen=True)
class Mlp:
    """Widths of the layers, input first; a ReLU between two linear layers, none at the end."""

    widths: tuple[int, ...]

    @property
    def layers(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of each linear layer."""
        return tuple(zip(self.widths[:-1], self.widths[1:], strict=True))

    @property
    def outputs(self) -> int:
        return self.widths[-1]


@dataclass(frozen=True)
class ResNet:
    """Eight layers as in MLPerf Tiny's image classification, with wider stages.

    A 3x3 convolution, then one residual block a stage (two 3x3 convolutions, a 1x1 one on the
    shortcut where the shape changes), each convolution followed by BatchNorm; the mean over
    the image and a linear layer. Each stage but the first halves the side of the image.
    """

    stages: tuple[int, ...] = (32, 64, 128)
    outputs: int = 10

    @property
    def blocks(self) -> tuple[tuple[int, int, int], ...]:
        """Channels in, channels out and stride of each block."""
        before = (self.stages[0], *self.stages[:-1])
        return tuple(
            (channels_in, channels_out, 1 if index == 0 else 2)
            for index, (channels_in, channels_out) in enumerate(
                zip(before, self.stages, strict=True)
            )
        )


@dataclass(frozen=True)
class Transformer:
    """Decoder-only, LayerNorm before each half of a layer, learned positions (as GPT-2).

    Causal attention, then a feed-forward part four times as wide with GELU (tanh form); the
    product with the vocabulary at the end has its own weights and no bias.
    """

    sequence: int
    layers: int = 2
    width: int = 256
    heads: int = 4
    outputs: int = 1000

    @property
    def hidden(self) -> int:
        return 4 * self.width


Net = Mlp | ResNet | Transformer


def parameter_shapes(net: Net) -> dict[str, tuple[int, ...]]:
    """Trainable parameters by their names in the PyTorch module, in the module's order."""
    shapes: dict[str, tuple[int, ...]] = {}

    def linear(name: str, inputs: int, outputs: int, bias: bool = True) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs)
        if bias:
            shapes[f"{name}.bias"] = (outputs,)

    def norm(name: str, width: int) -> None:
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (width,)

    def convolution(name: str, channels_in: int, channels_out: int, side: int) -> None:
        shapes[f"{name}.weight"] = (channels_out, channels_in, side, side)

    if isinstance(net, Mlp):
        for index, (inputs, outputs) in enumerate(net.layers):
            linear(str(2 * index), inputs, outputs)
    elif isinstance(net, ResNet):
        convolution("stem", IMAGE_CHANNELS, net.stages[0], 3)
        norm("stem_norm", net.stages[0])
        for index, (channels_in, channels_out, _) in enumerate(net.blocks):
            name = f"blocks.{index}"
            convolution(f"{name}.first", channels_in, channels_out, 3)
            norm(f"{name}.first_norm", channels_out)
            convolution(f"{name}.second", channels_out, channels_out, 3)
            norm(f"{name}.second_norm", channels_out)
            if channels_in != channels_out:
                convolution(f"{name}.shortcut", channels_in, channels_out, 1)
                norm(f"{name}.shortcut_norm", channels_out)
        linear("head", net.stages[-1], net.outputs)
    else:
        shapes["positions"] = (net.sequence, net.width)
        shapes["tokens.weight"] = (net.outputs, net.width)
        for index in range(net.layers):
            name = f"blocks.{index}"
            norm(f"{name}.attention_norm", net.width)
            linear(f"{name}.qkv", net.width, 3 * net.width)
            linear(f"{name}.projection", net.width, net.width)
            norm(f"{name}.feed_norm", net.width)
            linear(f"{name}.up", net.width, net.hidden)
            linear(f"{name}.down", net.hidden, net.width)
        norm("last_norm", net.width)
        linear("head", net.width, net.outputs, bias=False)
    return shapes


def parameter_count(net: Net) -> int:
    """Numbers that the optimizer updates."""
    return sum(math.prod(shape) for shape in parameter_shapes(net).values())


@lru_cache(maxsize=16)  # an operation asks several times for those of its net
def parameters(net: Net, dtype: str = "float32") -> State:
    """Trainable parameters, the same at each call, to be read only.

    Weights lie within sqrt(1/inputs) of zero (sqrt(6/inputs) in convolutions, as a ReLU
    follows each), the scales of norms within 0.1 of one, embeddings and biases within 0.1 of
    zero. float32 arrays; for float16 and bfloat16 they hold values rounded to that type, as
    ``model.to(dtype)`` gives.
    """
    state: State = {}
    for index, (name, shape) in enumerate(parameter_shapes(net).items()):
        values = uniform(shape, "float32", 100 + index)
        if name.endswith("norm.weight"):
            values = 1 + np.float32(0.1) * values
        elif name.endswith(".bias") or name in ("positions", "tokens.weight"):
            values *= np.float32(0.1)
        else:
            gain = 6 if len(shape) == 4 else 1
            values *= np.float32(math.sqrt(gain / math.prod(shape[1:])))
        state[name] = _freeze(values, dtype)
    return state


@lru_cache(maxsize=16)
def buffers(net: Net, dtype: str = "float32") -> State:
    """Running mean (within 0.1 of zero) and variance (of one) of each BatchNorm."""
    state: State = {}
    if isinstance(net, ResNet):
        norms = [name for name in parameter_shapes(net) if name.endswith("norm.weight")]
        for index, name in enumerate(norms):
            width = parameter_shapes(net)[name]
            small = np.float32(0.1) * uniform((2, *width), "float32", 300 + index)
            state[name.replace("weight", "running_mean")] = _freeze(small[0], dtype)
            state[name.replace("weight", "running_var")] = _freeze(1 + small[1], dtype)
    return state


def _freeze(values: Array, dtype: str) -> Array:
    if dtype == "float16":
        values = values.astype(np.float16).astype(np.float32)
    elif dtype == "bfloat16":
        bits = values.view(np.uint32)
        bits = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
        values = (bits & np.uint32(0xFFFF0000)).view(np.float32)
    values.flags.writeable = False
    return values


def block_size(net: Net, batch: int) -> int:
    """Distinct samples of a batch: the largest divisor for which a float64 reference is cheap.

    At most 4 images, 128 tokens but two sequences, or what makes 6e8 FLOP of an MLP's step.
    """
    if isinstance(net, ResNet):
        most = 4
    elif isinstance(net, Transformer):
        most = max(2, 128 // net.sequence)
    else:
        most = max(64, 10**8 // parameter_count(net))
    return next(count for count in range(min(most, batch), 0, -1) if batch % count == 0)


def samples(net: Net, batch: int, block: int, dtype: str, seed: int) -> Array:
    """A batch of inputs that repeats ``block`` samples over and over.

    Shape (batch, width), (batch, 3, 32, 32) or, as whole numbers, (batch, sequence).
    """
    if isinstance(net, Transformer):
        generator = np.random.default_rng(seed)
        distinct = generator.integers(1, net.outputs, (block, net.sequence))
    elif isinstance(net, ResNet):
        distinct = uniform((block, IMAGE_CHANNELS, IMAGE_SIDE, IMAGE_SIDE), dtype, seed)
    else:
        distinct = uniform((block, net.widths[0]), dtype, seed)
    return np.resize(distinct, (batch, *distinct.shape[1:]))


def targets(net: Net, batch: int, block: int, seed: int) -> Array:
    """What the net should answer, repeated as the inputs are: values, or numbers of classes."""
    if isinstance(net, Mlp):
        return np.resize(uniform((block, net.outputs), "float32", seed), (batch, net.outputs))
    generator = np.random.default_rng(seed)
    each = (net.sequence,) if isinstance(net, Transformer) else ()
    return np.resize(generator.integers(0, net.outputs, (block, *each)), (batch, *each))


def sampled_rows(outputs: Any, most: int = 2048) -> Any:
    """Rows of outputs (any library) at equal distances, as (rows, outputs per row)."""
    rows = outputs.reshape(-1, outputs.shape[-1])
    return rows[:: max(1, -(-rows.shape[0] // most))]


def worst_row_error(actual: Array, expected: Array) -> float:
    """Largest ||a - e|| of a row, relative to the mean row's; NaN where anything is NaN."""
    if actual.shape != expected.shape:
        return math.nan
    distances = np.linalg.norm(actual.astype(np.float64) - expected, axis=1)
    return float(distances.max() / np.sqrt(np.mean(np.sum(expected**2, axis=1))))


def repeated_rows(distinct: Array, rows: int) -> Array:
    """The rows that a batch of repeated samples gives, chosen as ``sampled_rows`` does."""
    flat = distinct.reshape(-1, distinct.shape[-1])
    return flat[np.arange(rows)[:: max(1, -(-rows // 2048))] % len(flat)]


def mlp_sizes(*chosen: tuple[int, int]) -> list[dict[str, int]]:
    """Parameters of networks by (batch, width)."""
    return [{"batch": batch, "width": width} for batch, width in chosen]


def token_sizes(*chosen: tuple[int, int]) -> list[dict[str, int]]:
    """Parameters of transformers by (batch, sequence)."""
    return [{"batch": batch, "sequence": sequence} for batch, sequence in chosen]
