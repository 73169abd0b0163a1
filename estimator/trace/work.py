"""What one call of a torch operator takes on a GPU: FLOP, bytes of memory, kernels.

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

#: kernels of a call, where it is not one: as counted by torch.profiler on an H200 (torch 2.11)
_KERNELS: dict[str, int] = {}

#: Tensors that one kernel of a list operation takes, by how many lists go together, and chunks of
#: 65,536 elements (torch/aten/src/ATen/native/cuda/MultiTensorApply.cuh).
_LIST_TENSORS = {1: 110, 2: 64, 3: 48, 4: 36, 5: 30}
_LIST_CHUNKS = 320
_CHUNK = 65536


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


def kernels(kind: str, args: Sequence[Any], out: Any, view: bool) -> int:
    """Kernels that one call launches."""
    if view or kind in FREE:
        return 0
    if kind.startswith(("_foreach_", "_fused_", "_amp_foreach_")):
        return _list_kernels(args)
    if kind == "convolution_backward":
        return sum(bool(asked) for asked in args[10])
    tensors = [t for t in (out if isinstance(out, list | tuple) else (out,)) if _some(t)]
    if not tensors and out is not None and isinstance(out, torch.Tensor):
        return 0  # nothing to compute
    return _KERNELS.get(kind, 1)


def _some(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.numel() > 0


def _list_kernels(args: Sequence[Any]) -> int:
    """Kernels of an operation on lists of tensors: as many as it takes to hand them all over."""
    lists = [one for one in args if isinstance(one, list | tuple) and one and _some(one[0])]
    if not lists:
        return 1
    tensors = lists[0]
    chunks = sum(-(-t.numel() // _CHUNK) for t in tensors)
    held = _LIST_TENSORS[min(len(lists), 5)]
    return int(max(-(-len(tensors) // held), -(-chunks // _LIST_CHUNKS)))
