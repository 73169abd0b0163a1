"""What the parameters of the families of neural networks mean for their speed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from collector.workloads import ITEM_BYTES
from collector.workloads.work import Floats
from estimator.cells.questions import Question
from estimator.cells.shape import Product, Shape, Values, misalignment, product_shape, work_of

#: FLOP/s of TensorFloat-32 over float32 (H100 and H200 data sheets: 494.5 and 67 TFLOP/s).
_PLAIN_SLOWER = 7.4

#: cuDNN's tiles are of 64 x 64 or 128 x 32 elements at least (names of its kernels in the times
#: published with NeuSight, and the residuals of an H200).
_LEAST_TILE = 4096.0

#: Images of so few channels (the first layer's) leave most of a kernel's inner loop empty.
_FEW_CHANNELS = 8

_WIDE_KERNEL = 7  # slower than others without TensorFloat-32 (a choice, from an H200)

#: Channels of 16 bits and of TensorFloat-32 are loaded in units of so many bytes.
_ALIGNED_BYTES = 16

#: Widths of a head that fused kernels are compiled for: others are padded to the next.
_HEAD_STEP = {2: 32, 4: 64, 8: 1}

#: Starting a block of threads for a row of torch's layer norm takes as long as so many FLOP of
#: the row (a choice, from the residuals of an H200).
_BLOCK_STEPS = 2500.0

#: torch's sum of so many elements needs one block; blocks of a longer one wait for each other
#: (a choice: on an H200 the step lies between 10,000 and 25,000 elements).
_ONE_BLOCK = 2**14

# The networks at their own sizes (collector.workloads.networks): the layer in the middle.
_RESNET_POSITIONS, _RESNET_CHANNELS, _RESNET_DEPTH = 16 * 16, 64, 64 * 9
_RESNET_LARGEST = 32 * 32 * 32  # elements of the first stage's output for each image
_TRANSFORMER_WIDTH = 256
_TRANSFORMER_HIDDEN = 4 * _TRANSFORMER_WIDTH
_NET_INPUTS = 10  # of the two linear nets


def conv2d_shape(asked: Question, params: Mapping[str, Floats]) -> Shape:
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
        return Shape(width=np.sqrt(values * kernel**2), fresh=values * item, block=values * item)
    channels_in, channels_out = params["channels_in"], params["channels_out"]
    work = work_of(asked, params)
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
    serial = np.where(spurned, _PLAIN_SLOWER, padded[0] * padded[1] / (channels_in * channels_out))
    turned = np.where(spurned, 0.0, turned)
    few = (channels_in < _FEW_CHANNELS) & ~spurned
    wide = (kernel >= _WIDE_KERNEL) & (asked.math_mode != "tf32")
    depth = channels_in * kernel**2
    layout: dict[str, Any] = {"turned": turned, "winograd": winograd, "plain": plain}
    layout["least_tile"] = _LEAST_TILE
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


def dense_layer_shape(asked: Question, params: Mapping[str, Floats]) -> Shape:
    """A product of batch x inputs and inputs x outputs; with the gradients three of its size."""
    batch, inputs, outputs = (params[name] for name in ("batch", "inputs", "outputs"))
    work = work_of(asked, params)
    moved = work.bytes_read + work.bytes_written
    result = batch * outputs * ITEM_BYTES[asked.dtype]
    products = [Product(1.0, batch, outputs, inputs)]
    if asked.case == "forward_backward":
        products += [Product(1.0, batch, inputs, outputs), Product(1.0, inputs, outputs, batch)]
    return product_shape(
        asked,
        products,
        awkward=np.maximum(misalignment(inputs, asked.dtype), misalignment(outputs, asked.dtype)),
        fresh=work.bytes_written,
        block=result,
        distinct=np.minimum(1.0, (work.h2d_bytes + work.d2h_bytes + result) / moved),
    )


def attention_shape(asked: Question, params: Mapping[str, Floats]) -> Shape:
    """s^2 work; a fused kernel gives each block of queries of each head to one multiprocessor.

    Libraries that write the scores to memory hold up to three arrays of them at a time.
    """
    names = ("batch", "heads", "sequence", "head_dim")
    batch, heads, sequence, width = (params[name] for name in names)
    work = work_of(asked, params)
    moved = work.bytes_read + work.bytes_written
    once = work.h2d_bytes + work.d2h_bytes
    scores = batch * heads * sequence**2 * ITEM_BYTES[asked.dtype]
    fused = asked.backend == "torch" and asked.device == "cuda"
    step = _HEAD_STEP[ITEM_BYTES[asked.dtype]] if fused else 1
    depth = sequence / 2.0 if fused and asked.case == "causal" else sequence
    padded = step * np.ceil(width / step)
    product = Product(batch * heads, sequence, padded, depth)
    if fused:
        product = replace(product, most_pieces=1.0, least_tile=_LEAST_TILE)
    return product_shape(
        asked,
        [product],
        serial=padded / width,
        awkward=misalignment(width, asked.dtype),
        fresh=work.bytes_written,
        block=once / 4.0 if asked.backend == "torch" else scores,
        distinct=np.minimum(1.0, (once + 3.0 * scores) / moved),
    )


def reduction_shape(asked: Question, params: Mapping[str, Floats]) -> Shape:
    """Sums stream; softmax and layer norm as formulas read their intermediate results again.

    Of the eight arrays that a formula moves three are alive at a time. On a GPU rows are the
    width of torch's kernels: each has a block of threads (of softmax a warp or a block), which
    takes time to start. Awkward: rows that layer norm cannot load four elements at a time.
    """
    gpu, torch = asked.device == "cuda", asked.backend == "torch"
    if asked.case == "sum":
        waits = (torch and gpu) & (params["n"] > _ONE_BLOCK)
        return Shape(starts=np.where(waits, 2.0, 0.0))
    rows, cols = params["rows"], params["cols"]
    if asked.case == "row_sum":
        return Shape()
    formula = asked.backend in ("numpy", "cupy")
    distinct = 3.0 / 8.0 if formula else 1.0
    if gpu:
        if torch and asked.case == "layer_norm":
            steps = rows * _BLOCK_STEPS
            return Shape(width=rows, steps=steps, awkward=(cols % 4 > 0).astype(float))
        if torch:  # a block or a warp of threads for each row
            return Shape(width=rows, distinct=distinct)
        return Shape(distinct=distinct)
    block = rows * cols * ITEM_BYTES[asked.dtype]
    return Shape(distinct=distinct, fresh=(3.0 if formula else 1.0) * block, block=block)


def network_shape(asked: Question, params: Mapping[str, Floats]) -> Shape:
    """A network's layers count by the sum of their work; its middle layer stands for their shape.

    At small batches the host's calls, which the work counts, take longer than the layers.
    """
    item = 2 if asked.dtype in ("float16", "bfloat16") else 4
    batch = params["batch"]
    n: Values
    k: Values
    if asked.case.startswith("resnet"):
        m, n, k = batch * _RESNET_POSITIONS, float(_RESNET_CHANNELS), float(_RESNET_DEPTH)
        largest = batch * _RESNET_LARGEST
    elif asked.case.startswith("transformer"):
        m = batch * params["sequence"]
        n, k = float(_TRANSFORMER_HIDDEN), float(_TRANSFORMER_WIDTH)
        largest = m * n
    else:
        n = k = params.get("width", float(_NET_INPUTS))
        m, largest = batch, batch * n
    return product_shape(
        asked,
        [Product(1.0, m, n, k)],
        awkward=misalignment(n, asked.dtype),
        fresh=work_of(asked, params).bytes_written,
        block=largest * item,
    )
