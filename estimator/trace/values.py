"""Values of tensors on the pretended device: real where the program's own data decides them, else
stand-ins that let it go on.

Small tensors whose values came from the host (labels, masks, indices, constants) are computed along
on the CPU, so that what the program reads of them is right. Everything else that it reads is a
stand-in: 1 for a number, the answer that lets a check pass for a truth.
"""

from __future__ import annotations

import linecache
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._pytree import tree_map_only

from estimator.trace.counted import Asked, Result, counted

aten = torch.ops.aten

_MOST_COMPUTED = 2**19  # elements of tensors that are computed along
#: elements of a tensor from the host that are kept to count what a mask or a search finds in it
_MOST_KEPT = 2**23
#: of one line of the program: so often a loop's condition holds
_MOST_ROUNDS = 3


class Values:
    """Known values of tensors without any, and stand-ins for the rest."""

    def __init__(self) -> None:
        self._reads: Counter[tuple[str, int]] = Counter()

    # known values

    def remember(self, fake: Any, real: Any) -> None:
        """A tensor of the host came to the device."""
        if fake.layout != torch.strided:
            return
        if not isinstance(real, FakeTensor) and real.numel() <= _MOST_KEPT:
            with torch.utils._python_dispatch._disable_current_modes():
                copied = real.detach().clone().to(fake.dtype)
            fake._known = copied
        else:
            _forget(fake)

    def overwrite(self, target: Any, source: Any) -> None:
        """``copy_`` of a tensor of the host into one of the device."""
        known = _known(target)
        if known is not None and not isinstance(source, FakeTensor):
            with torch.utils._python_dispatch._disable_current_modes():
                known.copy_(source.detach())
        else:
            _forget(target)

    def compute(
        self, func: Any, args: Any, kwargs: Any, tensors: Sequence[torch.Tensor], counts: bool
    ) -> Any:
        """The real result of an operation, None where its operands are not known or too large.

        One that writes into its operand writes into the known values as well. ``counts``: how
        large the result is depends on values.
        """
        counts = counts or func.is_view
        if torch.Tag.nondeterministic_seeded in func.tags:
            return self._unknown(func, args)
        if not tensors and not _small_factory(args):
            return None
        for tensor in tensors:
            if isinstance(tensor, FakeTensor):
                known = _known(tensor)
                if known is None:
                    decided = _decided(func, args)
                    return self._unknown(func, args) if decided is None else decided
                tensor = known
            if not (counts or _small(tensor)):
                return self._unknown(func, args)
        real_args, real_kwargs = tree_map_only(FakeTensor, _known, (tuple(args), dict(kwargs)))
        if real_kwargs.get("device") is not None:
            real_kwargs["device"] = torch.device("cpu")
        try:
            with torch.utils._python_dispatch._disable_current_modes(), torch.no_grad():
                out = func(*real_args, **real_kwargs)
        except (RuntimeError, NotImplementedError, IndexError, TypeError, ValueError):
            return self._unknown(func, args)
        return out

    def _unknown(self, func: Any, args: Any) -> None:
        """The operands that an operation writes into have no known values from here on."""
        if func._schema.is_mutable:
            for argument, value in zip(func._schema.arguments, args, strict=False):
                if argument.alias_info is not None and argument.alias_info.is_write:
                    for one in value if isinstance(value, list | tuple) else (value,):
                        if isinstance(one, FakeTensor):
                            _forget(one)

    def keep(
        self, func: Any, args: Any, kwargs: Any, tensors: Sequence[Any], out: Any, known: Any
    ) -> None:
        """Remember the values of results, or who made them."""
        name = str(func._schema.name.split("::")[1])
        results = out if isinstance(out, list | tuple) else (out,)
        reals = known if isinstance(known, list | tuple) else (known,)
        if func._schema.is_mutable:
            for value in args:
                for one in value if isinstance(value, list | tuple) else (value,):
                    if isinstance(one, FakeTensor):
                        one._made_by = name
        for index, result in enumerate(results):
            if not isinstance(result, FakeTensor):
                continue
            real = reals[index] if index < len(reals) else None
            if isinstance(real, torch.Tensor) and (func.is_view or _small(real)):
                result._known = real
            elif not func._schema.is_mutable:
                result._known = None
            previous = getattr(tensors[0], "_made_by", "") if tensors else ""
            # what only gathers truths, or moves them, answers as what made them
            passes = name in (
                "any",
                "sum",
                "max",
                "amax",
                "view",
                "_to_copy",
                "detach",
                "stack",
                "clone",
            )
            result._made_by = previous if passes and previous else name

    def fetched(self, source: Any, dtype: Any) -> torch.Tensor:
        """What the host gets of a tensor of the device: its known values, or zeros."""
        known = _known(source)
        dtype = dtype or source.dtype
        with torch.utils._python_dispatch._disable_current_modes():
            if known is not None:
                return known.detach().clone().to(dtype)
            return torch.zeros(tuple(source.shape), dtype=dtype)

    # stand-ins

    def scalar(self, tensor: Any) -> Any:
        """The number that the program reads of a tensor."""
        real = _known(tensor) if isinstance(tensor, FakeTensor) else None
        if real is not None:
            return real.item()
        if tensor.dtype == torch.bool:
            return self._truth(getattr(tensor, "_made_by", ""))
        if getattr(tensor, "_made_by", "").startswith("_amp_"):
            return 0.0  # no gradient overflowed
        return 1.0 if tensor.dtype.is_floating_point else 1

    def _truth(self, made_by: str) -> bool:
        """The answer that lets a program go on, by its line and by what asks."""
        name, number = _asking()
        text, after = (linecache.getline(name, number + further).strip() for further in (0, 1))
        self._reads[name, number] += 1
        if text.startswith("assert"):
            return not text.startswith("assert not ")
        if text.startswith("while "):
            return self._reads[name, number] <= _MOST_ROUNDS
        if text.startswith("if ") and after.startswith("raise"):
            return text.startswith("if not ")
        return made_by in ("all", "isfinite", "logical_and")

    def stand_in(self, name: str, args: Any, kwargs: Any, mode: FakeTensorMode) -> Result:
        """A result that depends on values."""
        if name == "equal":
            return Result(self._truth("all"))
        if name == "_local_scalar_dense":
            return Result(self.scalar(args[0]))

        def make(like: Any, shape: list[int], dtype: Any = None) -> Any:
            with mode:
                return torch.empty(shape, dtype=dtype or like.dtype, device=like.device)

        return counted(name, Asked(tuple(args), dict(kwargs), make, _known))

    def shaped_like(self, known: Any, mode: FakeTensorMode) -> Any:
        """Tensors without values of the shapes of real ones, on the device."""

        def fake(real: torch.Tensor) -> Any:
            with mode:
                return torch.empty_strided(
                    real.shape, real.stride(), dtype=real.dtype, device=torch.device("cuda", 0)
                )

        return tree_map_only(torch.Tensor, fake, known)


def _known(tensor: Any) -> Any:
    """Its values, None where they are not known or were overwritten."""
    known = getattr(tensor, "_known", None)
    if known is None or getattr(known.untyped_storage(), "_void", False):
        return None
    return known


def _decided(func: Any, args: Any) -> Any:
    """Of "or" and "and" the result that one known operand decides, None where it does not: a text
    is at its end when its length is, whatever its last word."""
    name = func._schema.name.removeprefix("aten::")
    if name not in ("bitwise_or", "logical_or", "bitwise_and", "logical_and"):
        return None
    either = name.endswith("_or")
    tensors = [one for one in args if isinstance(one, torch.Tensor)]
    if len(tensors) != 2 or any(one.dtype != torch.bool for one in tensors if either):
        return None
    for known in map(_known, tensors):
        if known is None or not _small(known):
            continue
        with torch.utils._python_dispatch._disable_current_modes():
            decides = bool(known.all()) if either else not known.any()
        if not decides:
            continue
        logical = name.startswith("logical")
        dtype = torch.bool if logical else torch.promote_types(*(one.dtype for one in tensors))
        shape = torch.broadcast_shapes(*(one.shape for one in tensors))
        with torch.utils._python_dispatch._disable_current_modes():
            return torch.full(shape, either, dtype=dtype)
    return None


def _forget(tensor: Any) -> None:
    """Its values were overwritten: those of all tensors that share them are void."""
    known = getattr(tensor, "_known", None)
    if known is not None:
        known.untyped_storage()._void = True
        tensor._known = None


def _small(tensor: Any) -> bool:
    if tensor.layout != torch.strided:
        return False
    return bool(tensor.numel() <= _MOST_COMPUTED)


def _small_factory(args: Any) -> bool:
    count = 1
    for value in args:
        if isinstance(value, list | tuple):
            for size in value:
                if not isinstance(size, int):
                    return False
                count *= size
        elif isinstance(value, int | float):
            count = max(count, int(abs(value)) if abs(value) < 2**60 else 2**60)
    return count <= _MOST_COMPUTED


def _asking() -> tuple[str, int]:
    """File and line of the code that reads a value, which is no part of torch's own machinery."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        name = frame.f_code.co_filename
        if not any(part in name for part in _MACHINERY):
            break
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


_MACHINERY = (
    *("estimator/trace", "torch/_ops.py", "torch/_tensor.py", "torch/utils/_", "torch/_dynamo"),
    *("torch/_compile.py", "torch/_subclasses", "torch/_prims", "torch/_refs", "torch/_decomp"),
)
