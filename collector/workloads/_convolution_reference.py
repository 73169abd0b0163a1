"""Convolutions and their gradients in float64 numpy, summed over one axis with random weights.

A convolution is linear in its weights, so a weighted sum of its output channels is a convolution
with the same sum of the weights: few channels tell whether all are right. The same holds for the
input's gradient (sum over input channels) and the weights' gradient (sum over output channels).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

import numpy as np

from collector.workloads._products import Float64s
from collector.workloads._work import Count

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LayerShape(Generic[Count]):
    """A square convolution in NCHW layout; padding is half the kernel, as networks have it."""

    batch: Count
    channels_in: Count
    channels_out: Count
    image: Count
    kernel: Count
    stride: Count
    groups: int | Count = 1

    @property
    def padding(self) -> Count:
        return self.kernel // 2

    @property
    def output(self) -> Count:
        """Height and width of the output."""
        return (self.image + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def x(self) -> tuple[Count, Count, Count, Count]:
        return (self.batch, self.channels_in, self.image, self.image)

    @property
    def w(self) -> tuple[Count, Count, Count, Count]:
        return (self.channels_out, self.channels_in // self.groups, self.kernel, self.kernel)

    @property
    def y(self) -> tuple[Count, Count, Count, Count]:
        return (self.batch, self.channels_out, self.output, self.output)

    def offsets(self: LayerShape) -> list[tuple[int, int]]:
        """Positions inside the kernel, row by row."""
        return [(i, j) for i in range(self.kernel) for j in range(self.kernel)]

    def seen(self: LayerShape, i: int, j: int) -> tuple[slice, slice]:
        """What kernel position (i, j) sees of the padded image, one element an output."""
        reach = self.stride * (self.output - 1) + 1
        return slice(i, i + reach, self.stride), slice(j, j + reach, self.stride)

    def inside(self: LayerShape) -> tuple[slice, slice]:
        """The image in the padded image."""
        inner = slice(self.padding, self.padding + self.image)
        return inner, inner


def output_sums(x: Array, weights: Float64s, shape: LayerShape) -> Float64s:
    """conv(x, weights) for few output channels: weights (q, channels_in, kernel, kernel).

    Result (batch, q, output, output). Few input channels are gathered into columns; many are
    first summed for each kernel position, then the planes are shifted and added.
    """
    count, side = len(weights), shape.output
    padded_side = shape.image + 2 * shape.padding
    result = np.zeros((shape.batch, count, side, side))
    taps = weights.transpose(0, 2, 3, 1).reshape(-1, shape.channels_in)
    padded = np.zeros((len(taps), padded_side, padded_side))
    for image, total in zip(x, result, strict=True):
        if shape.channels_in <= 4:
            columns = _columns(image.astype(np.float64), shape)
            total[...] = (weights.reshape(count, -1) @ columns).reshape(total.shape)
            continue
        planes = taps @ image.reshape(shape.channels_in, -1).astype(np.float64)
        padded[:, *shape.inside()] = planes.reshape(-1, shape.image, shape.image)
        by_tap = padded.reshape(count, -1, padded_side, padded_side)
        for tap, (i, j) in enumerate(shape.offsets()):
            total += by_tap[:, tap, *shape.seen(i, j)]
    return result


def _columns(image: Float64s, shape: LayerShape) -> Float64s:
    """Patches of one image as (channels_in kernel kernel, output output)."""
    pad = ((0, 0), (shape.padding, shape.padding), (shape.padding, shape.padding))
    padded = np.pad(image, pad)
    taps = [padded[:, *shape.seen(i, j)] for i, j in shape.offsets()]
    return np.stack(taps, axis=1).reshape(-1, shape.output**2)


def input_gradient_sums(grad: Array, weights: Float64s, shape: LayerShape) -> Float64s:
    """Gradient of few input channels: weights (channels_out, q, kernel, kernel).

    Result (batch, q, image, image).
    """
    count, side = weights.shape[1], shape.image + 2 * shape.padding
    result = np.empty((shape.batch, count, shape.image, shape.image))
    taps = weights.transpose(1, 2, 3, 0).reshape(-1, shape.channels_out)
    for image, target in zip(grad, result, strict=True):
        planes = taps @ image.reshape(shape.channels_out, -1).astype(np.float64)
        by_tap = planes.reshape(count, -1, shape.output, shape.output)
        padded = np.zeros((count, side, side))
        for tap, (i, j) in enumerate(shape.offsets()):
            padded[:, *shape.seen(i, j)] += by_tap[:, tap]
        target[...] = padded[:, *shape.inside()]
    return result


def weight_gradient_sums(x: Array, grad_sums: Float64s, shape: LayerShape) -> Float64s:
    """Gradient of the weights of few output channels: grad_sums (batch, q, output, output).

    Result (q, channels_in, kernel, kernel). The few gradients are spread over the image once
    for each kernel position, so that one matrix product an image is all that is left.
    """
    count, taps = grad_sums.shape[1], shape.kernel**2
    side = shape.image + 2 * shape.padding
    total = np.zeros((shape.channels_in, count * taps))
    spread = np.zeros((count, taps, side, side))
    for image, sums in zip(x, grad_sums, strict=True):
        for tap, (i, j) in enumerate(shape.offsets()):
            spread[:, tap, *shape.seen(i, j)] = sums
        flat = spread[:, :, *shape.inside()].reshape(count * taps, -1)
        total += image.reshape(shape.channels_in, -1).astype(np.float64) @ flat.T
    by_channel = total.reshape(shape.channels_in, count, shape.kernel, shape.kernel)
    return by_channel.swapaxes(0, 1)


def channel_sums(array: Array, probe: Float64s) -> Float64s:
    """Sums over the channels of NCHW images, weighted by a probe (q, channels)."""
    return np.stack(
        [
            (probe @ image.reshape(len(image), -1).astype(np.float64)).reshape(
                len(probe), *image.shape[1:]
            )
            for image in array
        ]
    )
