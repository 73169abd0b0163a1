"""Two-dimensional convolution, its gradients, and depthwise convolution."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.jobs import Operation
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
from collector.workloads._conv2d_functions import jax_function, torch_function
from collector.workloads._convolution_reference import (
    LayerShape,
    channel_sums,
    input_gradient_sums,
    output_sums,
    weight_gradient_sums,
)
from collector.workloads._job_memory import CONVOLUTION_WORKSPACE, JobMemory
from collector.workloads._labels import IMAGE_SIDE, IMAGES
from collector.workloads._limits import Limit
from collector.workloads._operations import (
    CONVOLUTION_KINDS,
    Convolution,
    Measured,
    convolution_sizes,
)
from collector.workloads._products import (
    nearest_to_failure,
    normal_probe,
    product_tolerance,
    worst_row,
)
from collector.workloads._shape import LEAST_TILE, Product, Question, Shape, product_shape
from collector.workloads._survey import Space
from collector.workloads._types import BF16, F16, F32, ITEM_BYTES, PRODUCT_TYPES, TF32
from collector.workloads._work import Count, Floats, Work, product

if TYPE_CHECKING:
    from collector.backends.base import Backend

_PROBES = 2

_DENSE = ("batch", "channels_in", "channels_out", "image", "kernel", "stride")
_DEPTHWISE = ("batch", "channels", "image", "kernel", "stride")

# Layers of ResNet (3x3 and 1x1, the 7x7 first one), of U-Net (large images, few channels) and
# of MobileNet or ConvNeXt (depthwise); images of odd sides and channels that are no multiple
# of 8 beside them, as crops and pruned networks have. From small to large in each list.
_CPU_FORWARD = (
    (1, 64, 64, 28, 3, 1),
    (1, 3, 64, 224, 7, 2),
    (4, 256, 60, 57, 1, 1),
    (1, 32, 32, 255, 3, 1),
)
_CPU_BACKWARD = ((2, 64, 64, 28, 3, 1), (4, 512, 512, 7, 3, 1))
_CPU_DEPTHWISE = ((4, 96, 56, 3, 1),)
_CPU_JAX = ((1, 64, 64, 28, 3, 1), (1, 64, 60, 57, 3, 1))
_CPU_FULL = ((8, 64, 64, 56, 3, 1), (1, 16, 16, 512, 3, 1), (8, 128, 128, 27, 3, 1))

_CUDA_FORWARD = (
    (1, 64, 64, 28, 3, 1),
    (8, 512, 512, 7, 3, 1),
    (16, 3, 64, 224, 7, 2),
    (32, 256, 60, 57, 1, 1),
    (1, 32, 32, 388, 3, 1),
    (32, 128, 128, 56, 3, 2),
    (32, 512, 512, 14, 3, 1),
    (32, 250, 250, 28, 3, 1),
)
_CUDA_BACKWARD = (
    (1, 64, 64, 28, 3, 1),
    (16, 64, 64, 56, 3, 1),
    (32, 256, 256, 27, 3, 1),
)
_CUDA_DEPTHWISE = ((1, 96, 56, 3, 1), (16, 96, 56, 3, 1), (16, 192, 55, 7, 1))
_CUDA_JAX = ((1, 64, 64, 28, 3, 1), (32, 250, 250, 28, 3, 1))
_CUDA_FULL = ((64, 64, 64, 56, 3, 1), (2, 64, 64, 388, 3, 1), (32, 256, 1024, 14, 1, 1))

#: FLOP/s of TensorFloat-32 over float32 (H100 and H200 data sheets: 494.5 and 67 TFLOP/s).
_PLAIN_SLOWER = 7.4

#: Images of so few channels (the first layer's) leave most of a kernel's inner loop empty.
_FEW_CHANNELS = 8

_WIDE_KERNEL = 7  # slower than others without TensorFloat-32 (a choice, from an H200)

#: Channels of 16 bits and of TensorFloat-32 are loaded in units of so many bytes.
_ALIGNED_BYTES = 16


class Conv2d(Workload):
    """Layers in NCHW layout without bias, padding half the kernel, as networks contain them.

    Case backward is what one layer adds to a backward pass: the gradients with respect to input
    and weights, from the input, the weights and the output's gradient. The forward pass is not
    in it, as neither gradient needs the output.
    """

    name = "conv2d"
    summary = "convolution of images: layers forward, their gradients, depthwise layers"
    size_meaning = "elements of the output (batch x channels x height x width)"
    signatures = {
        "forward": {**dict.fromkeys(_DENSE), "stride": 1},
        "backward": {**dict.fromkeys(_DENSE), "stride": 1},
        "depthwise": {**dict.fromkeys(_DEPTHWISE), "stride": 1},
    }
    support = {
        ("torch", "cpu"): (F32,),
        ("torch", "cuda"): (F32, TF32, F16, BF16),
        ("jax", "cpu"): (F32,),
        ("jax", "cuda"): (F32,),
    }
    threaded_backends = frozenset({"torch", "jax"})
    rank = 20
    label = "Convolution of images"
    case_labels = {
        "forward": "Forward",
        "backward": "Backward, both gradients",
        "depthwise": "Depthwise, forward",
    }
    parameter_labels = {
        "batch": IMAGES,
        "channels_in": ("Channels in", "Channels of the input, 3 for a colour picture."),
        "channels_out": ("Channels out", "Channels of the output: the number of filters."),
        "image": IMAGE_SIDE,
        "kernel": ("Side of the filter", "Height and width of the filter, 3 for 3 x 3."),
        "stride": ("Stride", "Distance of two filter positions; 2 halves the image."),
        "channels": ("Channels", "Channels of the image, each with a filter of its own."),
    }
    start_values = {
        "batch": 16,
        "channels_in": 64,
        "channels_out": 64,
        "image": 56,
        "kernel": 3,
        "channels": 96,
    }
    survey = {
        "cuda": (
            Space(
                "forward",
                {
                    "batch": (1, 64),
                    "channels_in": (3, 1024),
                    "channels_out": (16, 1024),
                    "image": (7, 256),
                    "kernel": [3, 1, 3, 5, 1, 3, 7],
                    "stride": [1, 1, 1, 2],
                },
                dict.fromkeys(PRODUCT_TYPES, 60),
            ),
            Space(
                "backward",
                {
                    "batch": (1, 64),
                    "channels_in": (16, 512),
                    "channels_out": (16, 512),
                    "image": (7, 128),
                    "kernel": [3, 1, 3],
                    "stride": [1, 1, 1, 2],
                },
                dict.fromkeys(PRODUCT_TYPES, 24),
            ),
            Space(
                "depthwise",
                {
                    "batch": (1, 64),
                    "channels": (32, 1024),
                    "image": (7, 256),
                    "kernel": [3, 7, 5],
                    "stride": [1, 1, 2],
                },
                {F32: 20},
            ),
        ),
        "cpu": (
            Space(
                "forward",
                {
                    "batch": (1, 16),
                    "channels_in": (3, 512),
                    "channels_out": (8, 512),
                    "image": (7, 224),
                    "kernel": [3, 1, 3, 5, 1, 3, 7],
                    "stride": [1, 1, 1, 2],
                },
                {F32: 30},
            ),
            Space(
                "backward",
                {
                    "batch": (1, 16),
                    "channels_in": (8, 256),
                    "channels_out": (8, 256),
                    "image": (7, 112),
                    "kernel": [3, 1, 3],
                    "stride": [1, 1, 1, 2],
                },
                {F32: 14},
            ),
            Space(
                "depthwise",
                {
                    "batch": (1, 16),
                    "channels": (32, 512),
                    "image": (7, 128),
                    "kernel": [3, 7, 5],
                    "stride": [1, 1, 2],
                },
                {F32: 10},
            ),
        ),
    }
    limits = frozenset({Limit.PRODUCTS, Limit.AWKWARD})
    nvidia_library = "cudnn"
    recognised_kinds = CONVOLUTION_KINDS
    kin = {"depthwise": "depthwise"}
    kin_limits = {"depthwise": frozenset({Limit.STEPPING})}

    def recognise(self, operation: Operation) -> Measured | None:
        """Square layers of square images in NCHW, padded by half the kernel, not dilated.

        A bias is left out: it is added, and its gradient summed, by kernels of its own. Of the
        backward pass it takes both gradients, and dense layers only.
        """
        layer = convolution_sizes(operation)
        if layer is None or layer.transposed or layer.channels_last or max(layer.dilation) > 1:
            return None
        if not _square(layer):
            return None
        if layer.gradients and not all(layer.gradients[:2]):
            return None
        dtype = operation.inputs[0].dtype
        if any(tensor.dtype != dtype for tensor in operation.inputs[:2]):
            return None
        math_mode = operation.math_mode if dtype == "float32" else "ieee"
        params = {
            "batch": layer.batch,
            "image": layer.image[0],
            "kernel": layer.kernel[0],
            "stride": layer.stride[0],
        }
        if layer.depthwise and not layer.gradients:
            channels = {"channels": layer.channels_in}
            return self.measured("depthwise", {**params, **channels}, dtype, math_mode)
        if layer.groups > 1:
            return None
        case = "backward" if layer.gradients else "forward"
        channels = {"channels_in": layer.channels_in, "channels_out": layer.channels_out}
        return self.measured(case, {**params, **channels}, dtype, math_mode)

    def operation_classes(self, case: str, backend: str) -> tuple[str, ...]:
        """Libraries have other algorithms for kernels of one element."""
        name = self.operation(case, backend)
        return (f"{name} 1x1", name)

    def operation_class(self, params: Mapping[str, Floats]) -> Any:
        return params["kernel"] > 1.0

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return product(_shape(case, params).y)

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        dtypes = self.dtypes(backend, device)
        if not dtypes:
            return
        if suite == "quick":
            if backend == "torch":
                yield from self._quick_grid(device)
        elif device == "cpu":
            yield from self._cpu_grid(suite, backend)
        else:
            yield from self._cuda_grid(suite, backend, dtypes)

    def _quick_grid(self, device: str) -> Iterator[GridPoint]:
        if device == "cpu":
            yield from points("forward", _dense((_CPU_FORWARD[0],)), [F32], ("hot",))
            return
        layers = _dense((_CUDA_FORWARD[-1],))
        yield from points("forward", layers, [F32, BF16], ("hot",))
        yield from points("backward", _dense((_CUDA_BACKWARD[1],)), [F32], ("hot",))

    def _cpu_grid(self, suite: str, backend: str) -> Iterator[GridPoint]:
        hot = ("hot",)
        if backend == "jax":
            yield from points("forward", _dense(_CPU_JAX), [F32], hot)
            return
        yield from points("forward", _dense(_CPU_FORWARD), [F32], hot)
        yield from points("backward", _dense(_CPU_BACKWARD), [F32], hot)
        yield from points("depthwise", _depthwise(_CPU_DEPTHWISE), [F32], hot)
        if suite == "full":
            yield from points("forward", _dense(_CPU_FULL), [F32], hot)

    def _cuda_grid(
        self, suite: str, backend: str, dtypes: tuple[tuple[str, str], ...]
    ) -> Iterator[GridPoint]:
        if backend == "jax":
            yield from points("forward", _dense(_CUDA_JAX), [F32], ("resident",))
            yield from points("backward", _dense(_CUDA_BACKWARD[::2]), [F32], ("resident",))
            return
        hot = ("hot",)
        layers = _dense(_CUDA_FORWARD)
        for dtype in (F32, BF16):
            yield from points("forward", layers[:1], [dtype], ("hot", "resident"))
            yield from points("forward", layers[1:], [dtype], hot)
        yield from points("forward", layers[1:3], [TF32], hot)
        yield from points("forward", layers[-1:], [TF32], ("hot", "end_to_end"))
        yield from points("forward", layers[1::3], [F16], hot)
        yield from points("backward", _dense(_CUDA_BACKWARD), [F32, BF16], hot)
        yield from points("depthwise", _depthwise(_CUDA_DEPTHWISE), [F32], hot)
        yield from points("depthwise", _depthwise(_CUDA_DEPTHWISE[-1:]), [BF16], hot)
        if suite == "full":
            yield from points("forward", _dense(_CUDA_FULL), dtypes, hot)
            yield from points("backward", _dense(_CUDA_BACKWARD), [TF32, F16], hot)

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """2 N C_out H_out W_out (C_in / groups) k^2 FLOP; the gradients cost that twice.

        Products with the zeros of the padding count, as torch's own counter counts them. Bytes:
        input and weights (and the output's gradient) read once, results written once; what a
        library copies into another layout or gathers into columns on its own is not counted.

        Kernels on a GPU: one for a float32 product, of which the gradients have two. With 16-bit
        elements cuDNN multiplies images whose channels lie innermost, so each product brings
        three changes of layout with it (two operands, one result). Depthwise: one kernel.
        """
        shape = _shape(case, params)
        item, passes = ITEM_BYTES[dtype], 2 if case == "backward" else 1
        x, w, y = (1.0 * (item * product(dims)) for dims in (shape.x, shape.w, shape.y))
        flop = 2.0 * passes * product(shape.y) * product(shape.w[1:])
        read, written = (x + w + y, x + w) if case == "backward" else (x + w, y)
        kernels = passes * (4 if item == 2 and case != "depthwise" else 1)
        return Work(flop, read, written, read, written, kernels)

    def measuring_bytes(self, case: str, params: Params, dtype: str, backend: str) -> float:
        """Operands and results three times: themselves, in another layout, and workspace."""
        work = self.operation_work(case, self.complete(case, params), dtype, backend)
        return 3 * (work.bytes_read + work.bytes_written) + work.h2d_bytes

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Operands and results; in another layout where the library computes in one; workspace.

        cuDNN's 16-bit products take images whose channels lie innermost: operands and results
        are there twice, but of kernels of 1 x 1; of the gradients the operands. oneDNN's blocked
        layouts: the result twice, of the gradients the operands. A depthwise layer is torch's
        own kernel on a GPU. What cuDNN's other algorithms take (Winograd, FFT) and im2col is the
        library's choice, so the upper figure's: CONVOLUTION_WORKSPACE.
        """
        work = self.operation_work(case, params, dtype, backend)
        own = work.h2d_bytes + work.d2h_bytes
        if case == "depthwise" and device == "cuda" and backend == "torch":
            return JobMemory(own, own)
        turned = 0.0
        if device == "cpu":
            turned = work.h2d_bytes if case == "backward" else work.d2h_bytes
        elif ITEM_BYTES[dtype] == 2 and params["kernel"] > 1:
            turned = work.h2d_bytes if case == "backward" else own
        return JobMemory(own + turned, own + CONVOLUTION_WORKSPACE * own)

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """A convolution as a product (implicit GEMM; Chetlur et al. 2014, cuDNN, section 3).

        m: positions of the output over the batch; n: output channels; k: input channels times the
        kernel's area, which no kernel divides. The gradients of input and weights are such products
        as well, the latter over all positions. Depthwise layers have one input channel
        for each output channel and no product: memory and the kernel's area count.

        On a GPU matrix units take channels in groups of 16 bytes, innermost: images in another
        layout are turned first and the result back (each read and written once more), but that
        kernels of 1 x 1 at stride 1 multiply images as they lie. Without matrix units layers of
        3 x 3 at stride 1 may take Winograd's algorithm; for TensorFloat-32 the library may do
        without them where that is faster.
        """
        item = ITEM_BYTES[asked.dtype]
        kernel, stride, image = (params[name] for name in ("kernel", "stride", "image"))
        side = (image + 2 * (kernel // 2) - kernel) // stride + 1
        positions = params["batch"] * side**2
        if asked.case == "depthwise":
            values = positions * params["channels"]
            if asked.device == "cuda":
                return Shape(width=values)
            return Shape(
                width=np.sqrt(values * kernel**2), fresh=values * item, block=values * item
            )
        channels_in, channels_out = params["channels_in"], params["channels_out"]
        work = self.operation_work(asked.case, params, asked.dtype, asked.backend)
        moved, written = work.bytes_read + work.bytes_written, work.bytes_written
        units = item == 2 or asked.math_mode == "tf32"
        unit = _ALIGNED_BYTES // item if units and asked.device == "cuda" else 1
        padded = [unit * np.ceil(count / unit) for count in (channels_in, channels_out)]
        winograd = np.where((kernel == 3) & (stride == 1) & (not units), moved, 0.0)
        aligned = (padded[0] == channels_in) & (padded[1] == channels_out)
        as_it_lies = (kernel == 1) & (stride == 1) & (aligned | (item == 4))
        turned = np.where(as_it_lies | ((item == 4) & (aligned | (not units))), 0.0, 2.0 * moved)
        # TensorFloat-32 is an offer that the library may turn down
        offered = item == 4 and units
        spurned = offered & ((channels_in < _FEW_CHANNELS) | (stride > kernel))
        plain = np.where(offered & ~spurned, _PLAIN_SLOWER, 0.0)
        serial = np.where(
            spurned, _PLAIN_SLOWER, padded[0] * padded[1] / (channels_in * channels_out)
        )
        turned = np.where(spurned, 0.0, turned)
        few = (channels_in < _FEW_CHANNELS) & ~spurned
        wide = (kernel >= _WIDE_KERNEL) & (asked.math_mode != "tf32")
        depth = channels_in * kernel**2
        layout: dict[str, Any] = {"turned": turned, "winograd": winograd, "plain": plain}
        layout["least_tile"] = LEAST_TILE
        if asked.case == "backward":
            halves = {**layout, "turned": turned / 2.0}
            inputs = params["batch"] * image**2
            back = channels_out * kernel**2 * positions / inputs
            products = [
                Product(1.0, inputs, channels_in, back, most_pieces=1.0, **halves),
                Product(1.0, channels_out, depth, positions, **halves),
            ]
        else:
            products = [Product(1.0, positions, channels_out, depth, most_pieces=1.0, **layout)]
        return product_shape(
            asked,
            products,
            awkward=(few | wide).astype(float),
            serial=serial,
            starts=np.where(as_it_lies & (item == 2), len(products), 0.0),
            fresh=written,
            block=written,
        )

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """Input and weights; for the gradients the output's gradient too."""
        shape = _shape(case, params)
        operands = uniform(shape.x, dtype, seed), uniform(shape.w, dtype, seed + 1)
        return (*operands, uniform(shape.y, dtype, seed + 2)) if case == "backward" else operands

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        shape = _shape(case, params)
        if backend.name == "torch":
            return torch_function(backend, case, shape)
        if backend.name == "jax":
            return jax_function(backend, case, shape)
        raise NotImplementedError(f"conv2d has no form for backend {backend.name}")

    def fetch(self, backend: Backend, output: Any) -> Any:
        if isinstance(output, tuple):
            return tuple(backend.to_numpy(part) for part in output)
        return backend.to_numpy(output)

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Weighted sums over channels of what comes out, two sets of random weights.

        Of an output and of a gradient of weights over output channels, of a gradient of inputs
        over input channels.
        """
        shape = _shape(case, params)
        x, w = inputs[0], inputs[1].astype(np.float64)
        over_out = normal_probe(_PROBES, shape.channels_out)
        if case == "depthwise":
            return output_sums(x, over_out[:, :, None, None] * w[:, 0], shape)
        if case == "forward":
            return output_sums(x, np.tensordot(over_out, w, 1), shape)
        over_in = normal_probe(_PROBES, shape.channels_in)
        for_input = np.einsum("qi,oikl->oqkl", over_in, w)
        return (
            input_gradient_sums(inputs[2], for_input, shape),
            weight_gradient_sums(x, channel_sums(inputs[2], over_out), shape),
        )

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """The same weighted sums of the output, the worst line of an image counting.

        Each element enters with a random weight, and a wrong block shows in the lines that it
        touches. Tolerance 4 u_in + 4 sqrt(K) u_acc + u_out with K the products of one element:
        of the outcomes of the backward pass the one that is nearer to its tolerance is told.
        """
        shape = _shape(case, params)
        over_out = normal_probe(_PROBES, shape.channels_out)
        terms = math.prod(shape.w[1:])
        if case != "backward":
            if np.shape(output) != shape.y:
                return Check(math.inf, 0.0)
            error = worst_row(channel_sums(output, over_out), reference)
            return Check(error, product_tolerance(terms, dtype, math_mode))
        grad_x, grad_w = output
        if grad_x.shape != shape.x or grad_w.shape != shape.w:
            return Check(math.inf, 0.0)
        sums_x = channel_sums(grad_x, normal_probe(_PROBES, shape.channels_in))
        sums_w = np.tensordot(over_out, grad_w.astype(np.float64), 1)
        by_channel = (*sums_w.shape[:2], -1)
        spatial = shape.batch * shape.output**2
        checks = (
            Check(
                worst_row(sums_x, reference[0]),
                product_tolerance(shape.channels_out * shape.kernel**2, dtype, math_mode),
            ),
            Check(
                worst_row(sums_w.reshape(by_channel), reference[1].reshape(by_channel)),
                product_tolerance(spatial, dtype, math_mode),
            ),
        )
        return nearest_to_failure(checks)


def _square(layer: Convolution) -> bool:
    """Two dimensions, alike in all; padding half the kernel."""
    sides = (layer.image, layer.kernel, layer.stride, layer.padding)
    alike = all(len(side) == 2 and side[0] == side[1] for side in sides)
    return alike and layer.padding[0] == layer.kernel[0] // 2


def _shape(case: str, params: Mapping[str, Count]) -> LayerShape[Count]:
    if case == "depthwise":
        channels = params["channels"]
        return LayerShape(
            batch=params["batch"],
            channels_in=channels,
            channels_out=channels,
            image=params["image"],
            kernel=params["kernel"],
            stride=params["stride"],
            groups=channels,
        )
    return LayerShape(*(params[name] for name in _DENSE))


def _dense(layers: tuple[tuple[int, ...], ...]) -> list[dict[str, int]]:
    return [dict(zip(_DENSE, layer, strict=True)) for layer in layers]


def _depthwise(layers: tuple[tuple[int, ...], ...]) -> list[dict[str, int]]:
    return [dict(zip(_DEPTHWISE, layer, strict=True)) for layer in layers]
