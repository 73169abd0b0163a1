"""What one call of a torch operator takes on a GPU: FLOP and bytes of memory.

FLOP of products, convolutions and attention are those of torch's FlopCounterMode, but for grouped
gradients of convolutions, which it counts as ungrouped; any other operator does one a result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.flop_counter import flop_registry

_ELEMENT_TYPES = {dtype: str(dtype).removeprefix("torch.") for dtype in vars(torch).values()
                  if isinstance(dtype, torch.dtype)}  # fmt: skip

#: Operators that return a tensor of the same storage, or an empty one: no kernel runs.
FREE = frozenset(
    {
        "_unsafe_view",
        "lift_fresh",
        "lift",
        "alias",
        "detach",
        "empty",
        "empty_like",
        "empty_strided",
        "new_empty",
        "new_empty_strided",
        "empty_permuted",
        "resize_",
        "set_",
        "_reshape_alias",
        "as_strided_",
        "detach_",
        "squeeze_",
        "t_",
        "transpose_",
        "unsqueeze_",
        "_nested_view_from_buffer",
        "_has_same_storage_numel",
        "record_stream",
        "_record_function_enter_new",
        "_record_function_exit",
        "_assert_async",
        "_assert_tensor_metadata",
        "is_same_size",
    }
)


def element_type(dtype: torch.dtype) -> str:
    return _ELEMENT_TYPES[dtype]


def touched(tensor: torch.Tensor) -> int:
    """Elements of memory behind a tensor: those that are repeated (stride 0) count once."""
    return math.prod(
        size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride
    ) if tensor.numel() else 0  # fmt: skip


def tensor_bytes(tensor: torch.Tensor) -> int:
    return touched(tensor) * int(tensor.element_size())


def flop(func: Any, kind: str, args: Sequence[Any], kwargs: dict[str, Any], out: Any) -> float:
    """Floating-point operations of one call."""
    if kind == "convolution_backward":
        return _convolution_backward(args)
    formula = flop_registry.get(func._overloadpacket)
    if formula is not None:
        try:
            return float(formula(*args, **kwargs, out_val=out))
        except (AssertionError, IndexError, TypeError, ValueError, RuntimeError):
            pass
    tensors = out if isinstance(out, list | tuple) else (out,)
    return float(sum(t.numel() for t in tensors if isinstance(t, torch.Tensor)))


def _convolution_backward(args: Sequence[Any]) -> float:
    """Of each gradient asked for as much as forward: 2 x results x inputs of one."""
    grad, _, weight = args[0], args[1], args[2]
    transposed, mask = args[7], args[10]
    across = args[1] if transposed else grad
    each = 2.0 * across.numel() * math.prod(weight.shape[1:])
    return float(each * (bool(mask[0]) + bool(mask[1])))
