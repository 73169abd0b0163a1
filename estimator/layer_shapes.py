"""What the parameters of the families of neural networks mean for their speed. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from collector.workloads import ITEM_BYTES
from estimator.shape import Question, Shape, misalignment, product_shape, work_of

#: A kernel that gives each row one block leaves a GPU's multiprocessors idle below so many rows
#: (data centre GPUs have 108 to 160 of them).
_ROWS_OF_A_FULL_GPU = 128

_NORMALISING = ("softmax", "layer_norm")

# The networks at their own sizes (collector.workloads.networks): the layer in the middle.
_RESNET_POSITIONS, _RESNET_CHANNELS, _RESNET_DEPTH = 16 * 16, 64, 64 * 9
_RESNET_LARGEST = 32 * 32 * 32  # elements of the first stage's output for each image
_TRANSFORMER_WIDTH = 256
_TRANSFORMER_HIDDEN = 4 * _TRANSFORMER_WIDTH
_NET_INPUTS = 10  # of the two linear nets


def conv2d_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """A convolution as a product (implicit GEMM; Chetlur et al. 2014, cuDNN, section 3).

    m: positions of the output over the batch; n: output channels; k: input channels times the
    kernel's area. The gradients are two such products. Depthwise layers have one input channel
    for each output channel and no product: memory and the kernel's area count.
    """
    item = ITEM_BYTES[asked.dtype]
    kernel, stride, image = (params[name] for name in ("kernel", "stride", "image"))
    side = (image + 2 * (kernel // 2) - kernel) // stride + 1
    positions = float(params["batch"] * side**2)
    if asked.case == "depthwise":
        values = positions * params["channels"]
        if asked.device == "cuda":
            return Shape(width=values)
        return Shape(width=(values * kernel**2) ** 0.5, fresh=values * item, block=values * item)
    channels_in, channels_out = params["channels_in"], params["channels_out"]
    written = work_of(asked, params).bytes_written
    return product_shape(
        asked,
        2.0 if asked.case == "backward" else 1.0,
        positions,
        channels_out,
        channels_in * kernel**2,
        awkward=max(misalignment(count, asked.dtype) for count in (channels_in, channels_out)),
        fresh=written,
        block=written,
    )


def dense_layer_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """A product of batch x inputs and inputs x outputs; with the gradients three of its size."""
    batch, inputs, outputs = (params[name] for name in ("batch", "inputs", "outputs"))
    work = work_of(asked, params)
    moved = work.bytes_read + work.bytes_written
    result = float(batch * outputs * ITEM_BYTES[asked.dtype])
    return product_shape(
        asked,
        3.0 if asked.case == "forward_backward" else 1.0,
        batch,
        outputs,
        inputs,
        awkward=max(misalignment(count, asked.dtype) for count in (inputs, outputs)),
        fresh=work.bytes_written,
        block=result,
        distinct=min(1.0, (work.h2d_bytes + work.d2h_bytes + result) / moved),
    )


def attention_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """s^2 work; a fused kernel gives each block of queries of each head to one multiprocessor.

    Libraries that write the scores to memory hold up to three arrays of them at a time.
    """
    names = ("batch", "heads", "sequence", "head_dim")
    batch, heads, sequence, width = (params[name] for name in names)
    work = work_of(asked, params)
    moved = work.bytes_read + work.bytes_written
    once = work.h2d_bytes + work.d2h_bytes
    scores = float(batch * heads * sequence**2 * ITEM_BYTES[asked.dtype])
    return product_shape(
        asked,
        float(batch * heads),
        sequence,
        width,
        sequence,
        awkward=misalignment(width, asked.dtype),
        fresh=work.bytes_written,
        block=once / 4.0 if asked.backend == "torch" else scores,
        distinct=min(1.0, (once + 3.0 * scores) / moved),
    )


def reduction_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """Sums stream; softmax and layer norm as formulas read their intermediate results again.

    Of the eight arrays that a formula moves three are alive at a time.
    """
    if asked.case not in _NORMALISING:
        return Shape()
    formula = asked.backend in ("numpy", "cupy")
    distinct = 3.0 / 8.0 if formula else 1.0
    if asked.device == "cuda":
        idle = not formula and params["rows"] < _ROWS_OF_A_FULL_GPU
        return Shape(awkward=float(idle), distinct=distinct)
    block = float(params["rows"] * params["cols"] * ITEM_BYTES[asked.dtype])
    return Shape(distinct=distinct, fresh=(3.0 if formula else 1.0) * block, block=block)


def network_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """A network's layers count by the sum of their work; its middle layer stands for their shape.

    At small batches the host's calls, which the work counts, take longer than the layers.
    """
    item = 2 if asked.dtype in ("float16", "bfloat16") else 4
    batch = params["batch"]
    if asked.case.startswith("resnet"):
        m, n, k = batch * _RESNET_POSITIONS, _RESNET_CHANNELS, _RESNET_DEPTH
        largest = batch * _RESNET_LARGEST
    elif asked.case.startswith("transformer"):
        m, n, k = batch * params["sequence"], _TRANSFORMER_HIDDEN, _TRANSFORMER_WIDTH
        largest = m * n
    else:
        n = k = params.get("width", _NET_INPUTS)
        m, largest = batch, batch * n
    return product_shape(
        asked,
        1.0,
        m,
        n,
        k,
        awkward=misalignment(n, asked.dtype),
        fresh=work_of(asked, params).bytes_written,
        block=float(largest * item),
    )
