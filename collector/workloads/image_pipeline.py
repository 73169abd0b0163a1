"""A batch of images halved, blurred and normalised, as before a vision model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
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
    uniform,
)
from collector.workloads._job_memory import JobMemory
from collector.workloads._labels import IMAGE_SIDE, IMAGES
from collector.workloads._limits import Limit
from collector.workloads._shape import Question, Shape
from collector.workloads._survey import Space
from collector.workloads._types import F32, F64, ITEM_BYTES, UNIT_ROUNDOFF
from collector.workloads._work import Count, Floats, Truths, Work

if TYPE_CHECKING:
    from collector.backends.base import Backend

_BOTH = (F64, F32)

_CHANNELS = 3
_BLOCKED_CHANNELS = 16  # of oneDNN's layout nChw16c
#: Mean and standard deviation of ImageNet's channels, as torchvision's models want them.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
#: The binomial kernel (1 4 6 4 1) / 16, applied along rows and columns.
_TAPS = (0.0625, 0.25, 0.375, 0.25, 0.0625)
_REACH = 2

Image = np.ndarray[Any, Any]


class ImagePipeline(Workload):
    """Images (batch, 3, image, image) of values in (0, 1]; results have half the side.

    Halving is bilinear (each pixel the mean of four), the blur a 5 x 5 binomial kernel with
    zeros beyond the edge, then (y - mean) / std by channel. torch has a call for each step;
    numpy, cupy and jax share a form of shifted sums, in which the blur is two passes of five
    taps; the results agree up to rounding.
    """

    name = "image_pipeline"
    summary = "resize to half, blur and normalise a batch of RGB images"
    size_meaning = "pixels of the batch, a colour pixel counted once"
    signatures = {"resize_blur_normalise": {"batch": None, "image": None}}
    support = {
        ("numpy", "cpu"): _BOTH,
        ("torch", "cpu"): _BOTH,
        ("jax", "cpu"): _BOTH,
        ("torch", "cuda"): _BOTH,
        ("cupy", "cuda"): _BOTH,
        ("jax", "cuda"): _BOTH,
    }
    threaded_backends = frozenset({"torch", "jax"})
    rank = 130
    label = "Image preparation"
    case_labels = {
        "resize_blur_normalise": "Resize, blur, normalise",
    }
    parameter_labels = {
        "batch": IMAGES,
        "image": IMAGE_SIDE,
    }
    start_values = {"batch": 16, "image": 224}
    survey = {
        "cuda": (
            Space("resize_blur_normalise", {"batch": (1, 64), "image": (32, 1024)}, {F32: 14}),
        ),
        "cpu": (Space("resize_blur_normalise", {"batch": (1, 16), "image": (32, 512)}, {F32: 8}),),
    }
    limits = frozenset({Limit.MEMORY})

    def complete(self, case: str, params: Params) -> dict[str, int]:
        """As for every family; the side of an image is even, so that halves are exact."""
        complete = super().complete(case, params)
        if not self.allowed(complete):
            raise SelectionError(
                f"{self.name} {case}: image={complete['image']} is odd; give an even side"
            )
        return complete

    def allowed(self, given: Mapping[str, Count]) -> bool | Truths:
        even: bool | Truths = given["image"] % 2 == 0
        return even

    def possible(self, params: Params) -> dict[str, int]:
        return {**params, "image": params["image"] + params["image"] % 2}

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return params["batch"] * params["image"] ** 2

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        """By size, so that the last point of each case is its largest."""
        grid = self._grid(suite, backend, device)
        yield from sorted(grid, key=lambda point: self.size(point.case, dict(point.params)))

    def _grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        place = (backend, device)
        if place not in self.support:
            return
        if suite == "quick":
            if place == ("torch", "cpu"):
                yield from _points([(4, 250)], ("hot",))
            if place == ("torch", "cuda"):
                yield from _points([(32, 224)], ("hot", "resident"))
            return
        if suite == "full":
            modes = ("resident",) if place == ("jax", "cuda") else ("hot",)
            yield from _points([(2, 500), (16, 128)], modes)
            yield from _points([(4, 224)], modes, [F64])
        if place == ("numpy", "cpu"):
            yield from _points([(1, 224), (16, 250)], ("hot",))
        elif place == ("torch", "cpu"):
            yield from _points([(4, 250), (32, 224)], ("hot",))
        elif place == ("jax", "cpu"):
            yield from _points([(4, 250)], ("hot",))
        elif place == ("torch", "cuda"):
            yield from _points([(1, 224)], ("hot", "resident"))
            yield from _points([(32, 224)], ("hot", "resident", "end_to_end"))
            yield from _points([(8, 250), (64, 256), (4, 1080)], ("hot",))
        elif place == ("cupy", "cuda"):
            yield from _points([(32, 224), (4, 1080)], ("hot",))
        else:
            yield from _points([(32, 224), (4, 1080)], ("resident",))

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """Work for P result values, each of which reads four of the operand's.

        torch: 4 FLOP to halve, 50 in the 5 x 5 product, 2 to normalise; four kernels, and
        between them three intermediate images that are written and read.
        Shifted sums: 4 to halve, 7 for each of two passes, 2 to normalise. Compiled by JAX
        the operand is read and the result written once, in one kernel. numpy and cupy write
        4 + 2 (1 + 7) + 2 arrays of the result's size and read 7 + 2 (1 + 11) + 2, padding
        included; cupy pads in three kernels.
        """
        values = 1.0 * (params["batch"] * _CHANNELS * (params["image"] // 2) ** 2)
        item = ITEM_BYTES[dtype]
        operand, result = 4 * values * item, values * item
        if backend == "torch":
            read, written = operand + 3 * result, 4 * result
            return Work(56 * values, read, written, operand, result, 4)
        if backend == "jax":
            return Work(20 * values, operand, result, operand, result, 1)
        read, written = 33 * result, 22 * result
        return Work(20 * values, read, written, operand, result, 26)

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Images, result, and the intermediate images that are alive at a time.

        torch: the halved and the blurred ones and their difference from the mean; on a CPU
        oneDNN's layouts may pad three channels to sixteen before and after the blur. Shifted
        sums: the halved ones, the columns' blur, its padded copy, and in the sum of the five taps
        four more. JAX makes one pass, or writes some of them.
        """
        work = self.operation_work(case, params, dtype, backend)
        own, one = work.h2d_bytes + work.d2h_bytes, work.d2h_bytes
        if backend == "torch":
            blocked = 2 * _BLOCKED_CHANNELS / _CHANNELS * one if device == "cpu" else 0.0
            return JobMemory(own + 3 * one, own + 3 * one + blocked)
        return JobMemory(own + (0.0 if backend == "jax" else 6 * one), own + 7 * one)

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """Libraries that make an array in each step read it again in the next one.

        Alive at a time are the operand (four times a result's size) and up to four such arrays.
        """
        work = self.operation_work(asked.case, params, asked.dtype, asked.backend)
        moved = work.bytes_read + work.bytes_written
        alive = work.h2d_bytes + 4.0 * work.d2h_bytes
        on_cpu = asked.device == "cpu"
        return Shape(
            distinct=np.minimum(1.0, alive / moved),
            fresh=work.bytes_written if on_cpu else 0.0,
            block=work.d2h_bytes if on_cpu else 0.0,
        )

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        shape = (params["batch"], _CHANNELS, params["image"], params["image"])
        images = uniform(shape, dtype, seed)
        return (np.abs(images, out=images),)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        if backend.name == "torch":
            return _torch_pipeline(backend, dtype)
        xp = backend.module
        mean = backend.upload(backend.host(_by_channel(_MEAN), dtype))
        std = backend.upload(backend.host(_by_channel(_STD), dtype))
        return backend.compile(lambda images: _shifted_sums(xp, images, mean, std))

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """A random probe v, and <result, v> of each image and channel with its magnitude.

        With R = (B H x - mean) / std, halving H and blur B: <B H x, v> = <x, H' B v>, as the
        blur's kernel is symmetric; H' spreads a quarter of each value over four pixels. So
        the whole of every image is checked without computing a single result.
        """
        (images,) = inputs
        half = params["image"] // 2
        generator = np.random.default_rng(7)
        probe = generator.uniform(0.5, 1.5, (half, half)) * generator.choice(
            [-1.0, 1.0], (half, half)
        )
        spread = np.repeat(np.repeat(_blurred(probe) / 4, 2, axis=0), 2, axis=1)
        weights = np.stack([spread.reshape(-1), np.abs(spread).reshape(-1)], axis=1)
        flat = images.reshape(-1, images.shape[-1] ** 2)
        moments = np.concatenate([row[None].astype(np.float64) @ weights for row in flat])
        moments = moments.reshape(len(images), _CHANNELS, 2)
        mean, std = np.array(_MEAN), np.array(_STD)
        expected = (moments[..., 0] - mean * probe.sum()) / std
        magnitude = (moments[..., 1] + mean * np.abs(probe).sum()) / std
        return probe, expected, magnitude

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Largest error of <result, v> of an image's channel, relative to the magnitudes.

        Tolerance 4 u_in + 4 sqrt(25) u_acc + u_out, as for any product of 25 terms.
        """
        probe, expected, magnitude = reference
        if output.shape != (*expected.shape, *probe.shape):
            return Check(math.inf, 0.0)
        rows = output.reshape(-1, probe.size)
        actual = np.array([row.astype(np.float64) @ probe.reshape(-1) for row in rows])
        error = float(np.max(np.abs(actual.reshape(expected.shape) - expected) / magnitude))
        return Check(error, 25 * UNIT_ROUNDOFF[dtype])


def _by_channel(values: tuple[float, ...]) -> Image:
    return np.array(values).reshape(1, _CHANNELS, 1, 1)


def _shifted_sums(xp: Any, images: Any, mean: Any, std: Any) -> Any:
    """The pipeline in numpy's interface; ``xp`` is numpy, cupy or jax.numpy."""
    halves = images[..., ::2, ::2] + images[..., 1::2, ::2]
    halves = halves + images[..., ::2, 1::2]
    halves = halves + images[..., 1::2, 1::2]
    halves = halves * 0.25
    return (_blur_rows(xp, _blur_columns(xp, halves)) - mean) / std


def _blur_columns(xp: Any, y: Any) -> Any:
    n = y.shape[-2]
    padded = xp.pad(y, ((0, 0), (0, 0), (_REACH, _REACH), (0, 0)))
    return _five_taps([padded[..., shift : shift + n, :] for shift in range(len(_TAPS))])


def _blur_rows(xp: Any, y: Any) -> Any:
    n = y.shape[-1]
    padded = xp.pad(y, ((0, 0), (0, 0), (0, 0), (_REACH, _REACH)))
    return _five_taps([padded[..., shift : shift + n] for shift in range(len(_TAPS))])


def _five_taps(shifted: list[Any]) -> Any:
    outer, inner, centre = _TAPS[0], _TAPS[1], _TAPS[2]
    far = (shifted[0] + shifted[4]) * outer
    near = (shifted[1] + shifted[3]) * inner
    return far + near + shifted[2] * centre


def _torch_pipeline(backend: Backend, dtype: str) -> Function:
    torch, functional = backend.module, backend.module.nn.functional

    def tensor(values: Image) -> Any:
        return torch.tensor(values, dtype=getattr(torch, dtype), device=backend.device)

    kernel = np.outer(_TAPS, _TAPS)
    weight = tensor(np.broadcast_to(kernel, (_CHANNELS, 1, *kernel.shape)).copy())
    mean, std = tensor(_by_channel(_MEAN)), tensor(_by_channel(_STD))

    @torch.inference_mode()
    def call(images: Any) -> Any:
        halves = functional.interpolate(
            images, scale_factor=0.5, mode="bilinear", align_corners=False
        )
        blurred = functional.conv2d(halves, weight, padding=_REACH, groups=_CHANNELS)
        return (blurred - mean) / std

    return call  # type: ignore[no-any-return]


def _blurred(image: Image) -> Image:
    """The blur of one image by its definition, in float64."""
    rows, columns = image.shape
    padded = np.pad(image, _REACH)
    blurred = np.zeros_like(image)
    for i, along_rows in enumerate(_TAPS):
        for j, along_columns in enumerate(_TAPS):
            part = padded[i : i + rows, j : j + columns]
            blurred += along_rows * along_columns * part
    return blurred


def _points(
    shapes: list[tuple[int, int]],
    modes: tuple[str, ...],
    dtypes: list[tuple[str, str]] | None = None,
) -> Iterator[GridPoint]:
    grid = [{"batch": batch, "image": image} for batch, image in shapes]
    return points("resize_blur_normalise", grid, dtypes or [F32], modes)
