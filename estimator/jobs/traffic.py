"""In how many bytes through memory a device's time for an operation is counted.

What is read and written, as often as the kind goes through it. On a GPU more where a kernel does
not wait for memory: where it computes an address for each element, has few blocks, or goes row by
row. Such kernels count as the bytes that pass meanwhile, as seen on an H200 (4.2 TB/s; torch 2.11;
``benchmarks/operations.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from collector.jobs import ITEM_BYTES, Operation, Tensor
from collector.workloads import plain_kind
from estimator.jobs.known_kinds import LIST_PREFIXES, MAP_KINDS, PASSES, PASSES_OF_LISTS

KIB = 1024

#: bytes for each element of the result of a map: operands that lie in another order than the
#: result or are spread over it; of another element type; both; of 16 bits and turned, column by
#: row
_STRIDED, _CAST, _BOTH, _TURNED = 10.0, 12.0, 18.0, 25.0
#: of tensors that are joined and do not lie one after the other
_JOINED = 18.0

#: bytes for each element of the first result
_OF_RESULT = {
    "gelu": 6.0,  # error function
    "gelu_backward": 8.0,
    "max_pool2d_with_indices": 60.0,  # a window for each
    "max_pool2d_with_indices_backward": 45.0,
    "avg_pool2d": 50.0,
    "avg_pool2d_backward": 70.0,
    "_adaptive_avg_pool2d_backward": 60.0,
    "upsample_nearest2d": 10.0,
    "upsample_nearest2d_backward": 28.0,
    "reflection_pad1d": 26.0,
    "reflection_pad2d": 26.0,
    "reflection_pad2d_backward": 35.0,
    "replication_pad2d": 26.0,
    "replication_pad2d_backward": 35.0,
    "native_group_norm": 22.0,
    "native_group_norm_backward": 28.0,
}

#: bytes for each row or column that one block goes through, one after the other
_SUMMED_ROW = 4 * KIB
_WEIGHTS_ROW = 16 * KIB  # gradients of a layer norm's weights
_NORM_CHANNEL = 20 * KIB  # a block of a batch norm
#: bytes for each position of a channel, whose block goes through all of them: cuDNN's, torch's
_CHANNEL_FORWARD, _CHANNEL_BACKWARD = (2 * KIB, 3.4 * KIB), (6 * KIB, 7 * KIB)

#: bytes of an image's channel that is resampled, which a thread a position goes through; of
#: gradients that many add to one, for each and the factor between the sizes
_RESAMPLED_CHANNEL, _RESAMPLED, _ADDED_TO = 1.4e6, 13.0, 20.0
_HALF_ATOMICS = 4.0


def traffic(operation: Operation) -> float:
    """Bytes whose time through memory an operation takes."""
    kind = plain_kind(operation.kind)
    counted = counted_bytes(operation)
    if kind in ("nll_loss_forward", "nll_loss_backward"):  # one of each row of the input
        counted = min(counted, sum(tensor.bytes for tensor in operation.outputs) + 64 * KIB)
    passes = PASSES.get(kind, PASSES_OF_LISTS if kind.startswith(LIST_PREFIXES) else 1.0)
    moved = passes * counted
    if operation.device == "cpu" or not (operation.inputs or operation.outputs):
        return moved
    rule = _RULES.get(kind)
    if rule is not None:
        return rule(operation, moved)
    result = (operation.outputs or operation.inputs)[0].count
    if kind in MAP_KINDS:
        moved = max(moved, result * _of_layout(operation))
    return max(moved, result * _OF_RESULT.get(kind, 0.0))


def counted_bytes(operation: Operation) -> float:
    """Bytes read and written, as counted, else those of its tensors."""
    counted = operation.bytes_read + operation.bytes_written
    return counted or sum(tensor.bytes for tensor in (*operation.inputs, *operation.outputs))


def column_sum(x: Tensor, sums: int) -> float:
    """Rows added up: a block goes down its columns row by row."""
    return x.bytes + _SUMMED_ROW * x.count / max(sums, 1)


def _of_layout(operation: Operation) -> float:
    """Bytes an element, where torch's vectors of elements (vectorized_elementwise_kernel) do not
    do: operands that do not lie as the result does, or are of another type."""
    results = operation.outputs or operation.inputs[:1]
    result = results[0]
    operands = [one for one in operation.inputs if one.shape and one.count > 1]
    if any(_turned(one, result) for one in operands):
        return _TURNED if ITEM_BYTES[result.dtype] <= 2 else _CAST
    types = {one.dtype for one in (*operands, *results) if "float" in one.dtype}
    alike = all((one.shape, one.strides) == (result.shape, result.strides) for one in operands)
    if len(types) > 1 and not (alike and _rounded(operands, result)):
        return _CAST if alike else _BOTH
    return 0.0 if alike else _STRIDED


def _rounded(operands: Sequence[Tensor], result: Tensor) -> bool:
    """float32 to 16 bits, which has vectors of its own."""
    return all(one.dtype == "float32" for one in operands) and ITEM_BYTES[result.dtype] == 2


def _turned(operand: Tensor, result: Tensor) -> bool:
    """Whether neighbours in the result are none in the operand, nor the same element."""
    if operand.shape != result.shape or operand.count < 2:
        return False
    at, of = _fastest(operand), _fastest(result)
    if at == of or of is None or operand.strides is None:
        return at != of
    return operand.strides[of] not in (0, 1)


def _fastest(tensor: Tensor) -> int | None:
    """The dimension whose elements lie side by side."""
    wide = [at for at, size in enumerate(tensor.shape) if size > 1]
    if tensor.strides is None:
        return wide[-1] if wide else None
    side_by_side = [at for at in wide if tensor.strides[at] == 1]
    return side_by_side[-1] if side_by_side else None


# -- kinds with a way of their own ---------------------------------------------------------------


def _joined(operation: Operation, moved: float) -> float:
    ordered = all(one.strides is None for one in operation.inputs)
    one_type = len({one.dtype for one in operation.inputs}) <= 1
    result = sum(one.count for one in operation.outputs[:1])
    return moved if ordered and one_type else max(moved, _JOINED * result)


def _layer_norm_backward(operation: Operation, moved: float) -> float:
    """The gradient of the rows, then those of the weights, which go down the columns."""
    mask = operation.attribute("output_mask")
    x = operation.inputs[0]
    given = operation.attribute("normalized_shape")
    width = math.prod(given) if isinstance(given, tuple) else x.shape[-1] if x.shape else 1
    if isinstance(mask, tuple) and not any(mask[1:]):
        return moved
    return moved + _WEIGHTS_ROW * x.count / max(width, 1)


def _batch_norm(operation: Operation, moved: float) -> float:
    """cuDNN's kernel reads twice; torch's, of bfloat16 and of norms without weights, computes an
    address for each element, twice."""
    if not operation.attribute("training", True):
        return counted_bytes(operation)
    return _of_channels(operation.inputs[0], operation, moved, _CHANNEL_FORWARD, 2 * _STRIDED)


def _batch_norm_backward(operation: Operation, moved: float) -> float:
    x = operation.inputs[min(1, len(operation.inputs) - 1)]
    return _of_channels(x, operation, moved, _CHANNEL_BACKWARD, 2 * _STRIDED)


def _of_channels(
    x: Tensor, operation: Operation, moved: float, each: tuple[float, float], element: float
) -> float:
    if len(x.shape) < 3:
        return moved
    torchs = x.dtype == "bfloat16" or operation.launches > 1
    if x.channels_last:
        return max(moved, element * x.count) if torchs else moved
    channels = max(x.shape[1], 1)
    if not torchs:
        return max(_UNEVEN * moved, each[0] * x.count / channels)
    down = each[1] * x.count / channels + _NORM_CHANNEL * channels
    return element * x.count / 2 + max(element * x.count / 2, down)


#: cuDNN's batch norm of NCHW reaches so much less than the memory's rate
_UNEVEN = 1.4


def _resampled(operation: Operation, moved: float) -> float:
    result = operation.outputs[0] if operation.outputs else operation.inputs[0]
    if len(result.shape) < 3:
        return moved
    planes = result.shape[0] * result.shape[1]
    area = result.count / max(planes, 1)
    return max(moved, planes * max(_RESAMPLED_CHANNEL, _RESAMPLED * area))


def _resampled_backward(operation: Operation, moved: float) -> float:
    if not operation.inputs or not operation.outputs:
        return moved
    grad, result = operation.inputs[0], operation.outputs[0]
    factor = math.sqrt(grad.count / max(result.count, 1))
    each = _ADDED_TO * factor * (_HALF_ATOMICS if ITEM_BYTES[grad.dtype] == 2 else 1.0)
    return max(moved, each * grad.count)


_RULES: dict[str, Callable[[Operation, float], float]] = {
    **dict.fromkeys(("cat", "stack"), _joined),
    "native_layer_norm_backward": _layer_norm_backward,
    **dict.fromkeys(
        (
            *("native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit"),
            *("_native_batch_norm_legit_functional", "_batch_norm_with_update"),
        ),
        _batch_norm,
    ),
    **dict.fromkeys(
        ("native_batch_norm_backward", "cudnn_batch_norm_backward", "batch_norm_backward"),
        _batch_norm_backward,
    ),
    **dict.fromkeys(("upsample_bilinear2d", "upsample_bicubic2d"), _resampled),
    **dict.fromkeys(
        ("upsample_bilinear2d_backward", "upsample_bicubic2d_backward"), _resampled_backward
    ),
}
