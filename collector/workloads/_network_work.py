"""Work of the networks, layer by layer: FLOP, bytes and kernels of eager PyTorch on a GPU.

FLOP are those of products (convolutions, linear layers, attention; a multiply-add is two), and
of the optimizer. Maps, norms and the loss cost less than 5 % of them and are bound by memory:
they count by their bytes. Bytes are what each kernel reads and writes, each distinct operand
once, since an eager library writes every intermediate result and reads it again. Counts of
kernels follow PyTorch's launches, cuDNN's and cuBLAS's own choices being taken as one kernel a
product (16-bit convolutions on NCHW memory change the layout before and after: three).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic

from collector.workloads._networks import (
    IMAGE_CHANNELS,
    IMAGE_SIDE,
    Mlp,
    Net,
    ResNet,
    Transformer,
    parameter_count,
    parameter_shapes,
)
from collector.workloads._work import Count, Work, choose

_EMBEDDING_ROWS = 3072  # up to here PyTorch's backward of an embedding is one kernel
_EMBEDDING_KERNELS = 10  # above: a sort and segmented sums


@dataclass(frozen=True)
class Layer(Generic[Count]):
    """One call of the forward pass. Elements, not bytes.

    ``flop`` of the product's forward pass; ``biased`` where the bias's gradient is a sum of its
    own; ``first`` where no gradient of the inputs is wanted; ``wide`` where float32 stays
    float32 under autocast.
    """

    kind: str
    inputs: float | Count
    outputs: float | Count
    weights: int = 0
    flop: float | Count = 0.0
    biased: bool = False
    first: bool = False
    wide: bool = False


@dataclass(frozen=True)
class _Traffic(Generic[Count]):
    """Activations read and written, in elements; weights likewise; kernels."""

    read: float | Count
    written: float | Count
    weights_read: float = 0.0
    weights_written: float = 0.0
    kernels: int | Count = 1


def layers(net: Net, batch: Count) -> Iterator[Layer[Count]]:
    """The calls of a forward pass on ``batch`` samples, the loss left out."""
    if isinstance(net, Mlp):
        for index, (inputs, outputs) in enumerate(net.layers):
            if index:
                yield Layer("map", batch * inputs, batch * inputs)
            yield _linear(batch, inputs, outputs, first=index == 0)
    elif isinstance(net, ResNet):
        yield from _resnet_layers(net, batch)
    else:
        yield from _transformer_layers(net, batch)


def _linear(
    rows: Count, inputs: int, outputs: int, bias: bool = True, first: bool = False
) -> Layer[Count]:
    weights = inputs * outputs + (outputs if bias else 0)
    flop = 2.0 * rows * inputs * outputs
    return Layer("linear", rows * inputs, rows * outputs, weights, flop, bias, first)


def _resnet_layers(net: ResNet, batch: Count) -> Iterator[Layer[Count]]:
    side = IMAGE_SIDE

    def layer(
        channels_in: int, channels_out: int, window: int, stride: int
    ) -> Iterator[Layer[Count]]:
        outputs = batch * channels_out * (side // stride) ** 2
        weights = channels_in * channels_out * window**2
        flop = 2.0 * outputs * channels_in * window**2
        inputs, first = batch * channels_in * side**2, channels_in == IMAGE_CHANNELS
        yield Layer("convolution", inputs, outputs, weights, flop, first=first)
        yield Layer("batch_norm", outputs, outputs, 2 * channels_out)

    yield from layer(IMAGE_CHANNELS, net.stages[0], 3, 1)
    elements = batch * net.stages[0] * side**2
    yield Layer("map", elements, elements)
    for channels_in, channels_out, stride in net.blocks:
        yield from layer(channels_in, channels_out, 3, stride)
        if channels_in != channels_out:
            yield from layer(channels_in, channels_out, 1, stride)
        side //= stride
        elements = batch * channels_out * side**2
        yield Layer("map", elements, elements)
        stride = 1
        yield from layer(channels_out, channels_out, 3, stride)
        yield Layer("add", 2 * elements, elements)
        yield Layer("map", elements, elements)
    yield Layer("mean", batch * net.stages[-1] * side**2, batch * net.stages[-1])
    yield _linear(batch, net.stages[-1], net.outputs)


def _transformer_layers(net: Transformer, batch: Count) -> Iterator[Layer[Count]]:
    rows = batch * net.sequence
    stream = rows * net.width
    norm = Layer("layer_norm", stream, stream, 2 * net.width, wide=True)
    residual = Layer("add", 2 * stream, stream, wide=True)
    # the lower triangle of scores, once for the scores and once for the mixture of values
    attention_flop = 2 * 2.0 * batch * net.width * net.sequence * (net.sequence + 1) / 2
    yield Layer("embedding", rows, stream, net.outputs * net.width, wide=True)
    yield Layer("positions", stream, stream, net.sequence * net.width, wide=True)
    for _ in range(net.layers):
        yield norm
        yield _linear(rows, net.width, 3 * net.width)
        yield Layer("attention", 3 * stream, stream, flop=attention_flop)
        yield _linear(rows, net.width, net.width)
        yield residual
        yield norm
        yield _linear(rows, net.width, net.hidden)
        yield Layer("map", rows * net.hidden, rows * net.hidden)
        yield _linear(rows, net.hidden, net.width)
        yield residual
    yield norm
    yield _linear(rows, net.width, net.outputs, bias=False)


def _forward(layer: Layer[Count], training: bool, sixteen_bit: bool) -> _Traffic[Count]:
    traffic = _Traffic(layer.inputs, layer.outputs, layer.weights)
    if layer.kind == "convolution" and sixteen_bit:
        moved = layer.inputs + layer.outputs
        return _Traffic(layer.inputs + moved, layer.outputs + moved, layer.weights, 0, 3)
    if layer.kind == "batch_norm" and training:  # statistics first; a counter of batches
        return _Traffic(2 * layer.inputs, layer.outputs, layer.weights, layer.weights, 2)
    if layer.kind == "batch_norm" and sixteen_bit:  # widened variance, its root, the map
        return _Traffic(layer.inputs, layer.outputs, layer.weights, 0, 3)
    if layer.kind == "embedding":  # tokens of eight bytes, and the rows that they name
        return _Traffic(layer.outputs + 2 * layer.inputs, layer.outputs)
    return traffic


def _backward(layer: Layer[Count], sixteen_bit: bool) -> _Traffic[Count]:
    inputs, outputs, weights = layer.inputs, layer.outputs, layer.weights
    if layer.kind in ("linear", "convolution"):
        kernels = 1 + (not layer.first) + layer.biased
        read = inputs + outputs
        written: float | Count = 0.0
        if not layer.first:
            read, written = read + outputs, inputs
        if layer.biased:
            read += outputs
        if layer.kind == "convolution" and sixteen_bit:
            moved = 2 * (inputs + outputs)
            read, written, kernels = read + moved, written + moved, 3 * kernels
        return _Traffic(read, written, 0 if layer.first else weights, weights, kernels)
    if layer.kind in ("batch_norm", "layer_norm"):
        read = 2 * (inputs + outputs)
        kernels = 1 if layer.kind == "batch_norm" else 2
        return _Traffic(read, inputs, weights, weights, kernels)
    if layer.kind == "attention":  # gradients of queries, keys, values, joined to one afterwards
        return _Traffic(2 * inputs + 2 * outputs, 2 * inputs, kernels=4)
    if layer.kind == "embedding":
        few = choose(inputs <= _EMBEDDING_ROWS, 2, _EMBEDDING_KERNELS)
        return _Traffic(outputs, 0.0, weights, 2 * weights, few)
    if layer.kind == "positions":
        return _Traffic(outputs, 0.0, 0, weights)
    if layer.kind == "mean":
        return _Traffic(outputs, inputs)
    # of a map: saved values and gradients to gradients; of an addition: where two branches meet
    return _Traffic(2 * outputs, outputs)


def forward_work(net: Net, batch: Count, item: int) -> Work[Count]:
    """Forward pass of a net of one element type of ``item`` bytes, without bus bytes."""
    chain = list(layers(net, batch))
    traffic = [_forward(layer, False, item == 2) for layer in chain]
    return Work(
        flop_count=sum(layer.flop for layer in chain),
        bytes_read=1.0 * (item * sum(t.read + t.weights_read for t in traffic)),
        bytes_written=1.0 * (item * sum(t.written for t in traffic)),
        kernel_count=sum(t.kernels for t in traffic),
    )


#: optimizer -> FLOP, reads, writes (in parameters) and kernels of PyTorch's fused lists:
#: SGD with momentum scales the momentum, adds the gradient to it and it to the parameter;
#: AdamW decays the parameter, moves both moments, takes root, quotient, sum and the step
_OPTIMIZER = {"sgd_momentum": (4, 5, 3, 3), "adamw": (14, 12, 8, 8)}
_LIST_LENGTH = 36  # tensors that one launch of such a list takes, as far as four lists go


def training_work(
    net: ResNet | Transformer, batch: Count, optimizer: str, autocast: bool
) -> Work[Count]:
    """One training step with cross entropy, without bus bytes.

    Under autocast activations take two bytes but in LayerNorm, the residual stream and the
    loss; each weight of a product is read and written again as two bytes, its gradient as four.
    """
    chain = list(layers(net, batch))
    flop = sum(layer.flop * (2 if layer.first else 3) for layer in chain)
    read: float | Count = 0.0
    written: float | Count = 0.0
    kernels: int | Count = 0
    for layer in chain:
        item = 2 if autocast and not layer.wide else 4
        both = (_forward(layer, True, autocast), _backward(layer, autocast))
        for traffic in both:
            read += item * (traffic.read + traffic.weights_read)
            written += item * traffic.written + 4 * traffic.weights_written
            kernels += traffic.kernels
        if autocast and layer.kind in ("linear", "convolution"):
            read, written = read + 6.0 * layer.weights, written + 6.0 * layer.weights
            kernels += 4 if layer.biased else 2
            if layer.first:
                read, written, kernels = (
                    read + 4 * layer.inputs,
                    written + 2 * layer.inputs,
                    kernels + 1,
                )
        if autocast and layer.kind in ("layer_norm", "add") and layer.wide:
            # the stream becomes 16-bit for the product, the product's gradient likewise
            read, written = read + 6.0 * layer.outputs, written + 6.0 * layer.outputs
            kernels += 2 if layer.kind == "layer_norm" else 1
    # log-softmax and its gradient over the outputs, the chosen ones' mean, the gradient's start
    outputs = chain[-1].outputs
    read, written, kernels = read + 4 * 3 * outputs, written + 4 * 3 * outputs, kernels + 6
    if autocast:
        read, written, kernels = read + 6 * outputs, written + 6 * outputs, kernels + 2
    count, tensors = parameter_count(net), len(parameter_shapes(net))
    optimizer_flop, reads, writes, lists = _OPTIMIZER[optimizer]
    return Work(
        flop_count=flop + optimizer_flop * count,
        bytes_read=1.0 * (read + 4 * reads * count),
        bytes_written=1.0 * (written + 4 * writes * count),
        kernel_count=kernels + lists * math.ceil(tensors / _LIST_LENGTH),
    )


def mlp_training_work(
    net: Mlp, batch: Count, optimizer: str, autocast: bool = False
) -> Work[Count]:
    """One training step of an MLP with mean squared error, without bus bytes.

    A layer of i inputs and o outputs costs 2 b i o FLOP forward, as much for its weights'
    gradient and, but for the first layer, as much for its inputs' gradient. Adam reads
    parameter, gradient and two moments and writes three of them, about 12 FLOP each; SGD
    reads two, writes one, 2 FLOP. Activations are written and read once in each pass.
    Kernels, as eager PyTorch starts them on a GPU: forward 1 a layer and 1 a ReLU, loss 1;
    backward 1 for the ones, 1 for the loss, 3 a layer (2 for the first), 1 a ReLU; Adam's
    fused lists about 11, SGD's 1; a layer with a single output takes matrix-vector
    products, 3 more. Autocast makes activations two bytes wide and converts inputs, outputs,
    parameters (2 tensors a layer) and their gradients.
    """
    pairs, count = net.layers, parameter_count(net)
    adam, item = optimizer == "adam", 2 if autocast else 4
    flop = sum(2.0 * batch * i * o * (3 if index else 2) for index, (i, o) in enumerate(pairs))
    activations = 1.0 * batch * sum(net.widths)
    read = 2 * item * activations + 4 * count * (2 + (4 if adam else 2))
    written = 2 * item * activations + 4 * count * (1 + (3 if adam else 1))
    relus = len(pairs) - 1
    kernels = 2 * relus + 3 * len(pairs) - 1 + len(pairs) + 3 + (11 if adam else 1)
    kernels += 3 * sum(outputs == 1 for _, outputs in pairs)
    if autocast:
        read, written = read + 6.0 * count, written + 6.0 * count
        kernels += 4 * len(pairs) + 3
    return Work(flop + (12 if adam else 2) * count, read, written, kernel_count=kernels)


def plain_mlp_work(net: Mlp, batch: Count, item: int, compiled: bool) -> Work[Count]:
    """Forward pass of an MLP in array code: a product, a sum with the bias, a maximum a layer.

    Each is a kernel that reads and writes its result's elements. Compiled by XLA they are one
    kernel a layer, the sum and the maximum joined to the product.
    """
    flop: float | Count = 0.0
    read: float | Count = 0.0
    written: float | Count = 0.0
    kernels = 0
    for index, (inputs, outputs) in enumerate(net.layers):
        maps = 1 + (index < len(net.layers) - 1)
        passes = 0 if compiled else maps
        flop += 2.0 * batch * inputs * outputs
        read += batch * inputs + inputs * outputs + outputs + passes * batch * outputs
        written += (1 + passes) * batch * outputs
        kernels += 1 + passes
    return Work(flop, item * read, item * written, kernel_count=kernels)
