"""Operations as PyTorch itself makes them: each call below autograd, with its FLOP by formula."""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from collector.jobs import Operation, Tensor


class Recorded(TorchDispatchMode):
    """The operations of a block of code, in ``operations``."""

    def __init__(self, device="gpu", math_mode="ieee"):
        super().__init__()
        self.operations, self._place = [], {"device": device, "math_mode": math_mode}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        with FlopCounterMode(display=False) as counter:
            result = func(*args, **kwargs)
        self.operations.append(
            operation_of(func, args, kwargs, result, counter.get_total_flops(), **self._place)
        )
        return result


def operation_of(func, args, kwargs, result, flop=0.0, **place):
    """One call: tensors of lists in order, the other arguments by the schema's names."""
    names = [argument.name for argument in func._schema.arguments]
    given = dict(zip(names, args, strict=False)) | kwargs
    inputs = [described(leaf) for leaf in tree_leaves((args, kwargs)) if is_tensor(leaf)]
    written = {
        name
        for name, argument in zip(names, func._schema.arguments, strict=True)
        if argument.alias_info is not None and argument.alias_info.is_write
    }
    changed = [value for name, value in given.items() if name in written]
    results = changed or tree_leaves(result)
    outputs = [described(leaf) for leaf in tree_leaves(results) if is_tensor(leaf)]
    return Operation(
        kind=func._schema.name.partition("::")[2],
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        attributes=tuple(
            (name, tuple(value) if isinstance(value, list | tuple) else value)
            for name, value in given.items()
            if value is not None and plain(value)
        ),
        launches=0 if func.is_view else 1,
        flop=float(flop),
        bytes_read=sum(tensor.bytes for tensor in inputs),
        bytes_written=sum(tensor.bytes for tensor in outputs),
        **place,
    )


def is_tensor(value):
    return isinstance(value, torch.Tensor)


def plain(value):
    several = value if isinstance(value, list | tuple) else (value,)
    return all(isinstance(one, bool | int | float | str) for one in several)


def described(tensor):
    strides = None if tensor.is_contiguous() else tuple(tensor.stride())
    return Tensor(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), strides)
