"""Results whose number of elements depends on values: as many as there can be where those are not
known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

#: operators that make the host wait for the number of their results
COUNTED = frozenset(
    {
        *("nonzero", "nonzero_numpy", "masked_select", "bincount"),
        *("_unique", "_unique2", "unique_dim", "unique_consecutive"),
    }
)

_WHOLE = torch.int64
_BINS = 100  # of torch.histc, where it is not told


@dataclass(frozen=True)
class Asked:
    """A call, how to make a tensor like another one, and the known values of a tensor."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    make: Callable[..., Any]
    known: Callable[[Any], Any]

    @property
    def first(self) -> Any:
        return self.args[0]

    def argument(self, position: int, name: str, default: Any) -> Any:
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)


@dataclass(frozen=True)
class Result:
    """The tensors, and whether their number was guessed."""

    tensors: Any
    guessed: bool = True


def counted(name: str, asked: Asked) -> Result:
    """The result of an operator. Raises NotImplementedError for one that nobody thought of."""
    find = _FINDERS.get(name)
    if find is None:
        raise NotImplementedError(f"{name}: its result depends on values that are not there")
    return find(asked)


def _nonzero(asked: Asked) -> Result:
    shape = [asked.first.numel(), asked.first.dim()]
    return Result(asked.make(asked.first, shape, _WHOLE))


def _nonzero_numpy(asked: Asked) -> Result:
    count = [asked.first.numel()]
    return Result([asked.make(asked.first, count, _WHOLE) for _ in range(asked.first.dim())])


def _masked_select(asked: Asked) -> Result:
    mask = asked.known(asked.args[1])
    whole = torch.broadcast_shapes(asked.first.shape, asked.args[1].shape)
    if mask is None:
        return Result(asked.make(asked.first, [whole.numel()]))
    return Result(asked.make(asked.first, [int(mask.expand(whole).sum())]), guessed=False)


def _unique(asked: Asked) -> Result:
    made = asked.make(asked.first, [asked.first.numel()])
    return Result((made, asked.make(asked.first, list(asked.first.shape), _WHOLE)))


def _unique_counted(asked: Asked) -> Result:
    count = [asked.first.numel()]
    inverse = asked.make(asked.first, list(asked.first.shape), _WHOLE)
    counts = asked.make(asked.first, count, _WHOLE)
    return Result((asked.make(asked.first, count), inverse, counts))


def _unique_rows(asked: Asked) -> Result:
    made = asked.make(asked.first, list(asked.first.shape))
    count = [asked.first.shape[asked.args[1]]]
    counts = [asked.make(asked.first, count, _WHOLE) for _ in range(2)]
    return Result((made, *counts))


def _index(asked: Asked) -> Result:
    """Where masks choose: one dimension of as many as the mask has instead of the mask's own."""
    listed = asked.args[1]
    masks = [one for one in listed if isinstance(one, torch.Tensor) and one.dtype == torch.bool]
    known = [asked.known(mask) for mask in masks]
    guessed = any(one is None for one in known)
    counts = [
        mask.numel() if values is None else int(values.sum())
        for mask, values in zip(masks, known, strict=True)
    ]
    start = next(at for at, one in enumerate(listed) if one is not None)
    shape = asked.first.shape
    after = start + sum(mask.dim() for mask in masks)
    chosen = [*shape[:start], max(counts), *shape[after:]]
    return Result(asked.make(asked.first, chosen), guessed)


def _repeat(asked: Asked) -> Result:
    return Result(asked.make(asked.first, [asked.first.numel()], _WHOLE))


def _bincount(asked: Asked) -> Result:
    return Result(asked.make(asked.first, [max(int(asked.argument(2, "minlength", 0)), 1)], _WHOLE))


def _histogram(asked: Asked) -> Result:
    return Result(asked.make(asked.first, [asked.argument(1, "bins", _BINS)]), guessed=False)


def _packed(asked: Asked) -> Result:
    """The lengths of sequences are the host's: what is packed is as long as all together."""
    lengths = asked.args[1]
    sizes = (lengths[None, :] > torch.arange(int(lengths.max()))[:, None]).sum(1)
    shape = [int(lengths.sum()), *asked.first.shape[2:]]
    return Result((asked.make(asked.first, shape), sizes), guessed=False)


_FINDERS: dict[str, Callable[[Asked], Result]] = {
    "nonzero": _nonzero,
    "nonzero_numpy": _nonzero_numpy,
    "masked_select": _masked_select,
    "_unique": _unique,
    "_unique2": _unique_counted,
    "unique_consecutive": _unique_counted,
    "unique_dim": _unique_rows,
    "index": _index,
    "repeat_interleave": _repeat,
    "bincount": _bincount,
    "histc": _histogram,
    "_pack_padded_sequence": _packed,
}
