"""What the parameters of the families of neural networks mean for their speed. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from collector.workloads._shape import Product, Question, Shape, Values, misalignment, product_shape
from collector.workloads._work import Floats

# The networks at their own sizes (collector.workloads._networks): the layer in the middle.
_RESNET_POSITIONS, _RESNET_CHANNELS, _RESNET_DEPTH = 16 * 16, 64, 64 * 9
_RESNET_LARGEST = 32 * 32 * 32  # elements of the first stage's output for each image
_TRANSFORMER_WIDTH = 256
_TRANSFORMER_HIDDEN = 4 * _TRANSFORMER_WIDTH
_NET_INPUTS = 10  # of the two linear nets


def network_shape(asked: Question, params: Mapping[str, Floats], bytes_written: Values) -> Shape:
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
        fresh=bytes_written,
        block=largest * item,
    )
