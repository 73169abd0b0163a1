"""The usual names of element types, devices and rented machines, and what they stand for. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from collector.errors import SelectionError

if TYPE_CHECKING:
    from estimator.catalogue.instances import Instance

#: As they are called in PyTorch, NumPy, C and data sheets; "float" is PyTorch's, of 32 bits.
_DTYPES = {
    "float64": ("fp64", "f64", "double"),
    "float32": ("fp32", "f32", "float", "single"),
    "float16": ("fp16", "f16", "half"),
    "bfloat16": ("bf16",),
    "complex64": ("c64", "cfloat"),
    "complex128": ("c128", "cdouble"),
    "int64": ("i64", "long"),
    "int32": ("i32", "int"),
    "int8": ("i8",),
    "bool": ("bool_",),
}
_CANONICAL = {other: name for name, others in _DTYPES.items() for other in (name, *others)}
_LIBRARIES = ("torch.", "numpy.", "np.", "cupy.", "cp.", "jnp.", "jax.numpy.")
_DEVICES = {"gpu": "cuda", "cuda": "cuda", "cpu": "cpu"}


def dtype_of(text: str) -> str:
    """The canonical element type of a usual name ("torch.half"); another text as it is.

    Raises SelectionError for the name of a math mode.
    """
    name = text.strip().casefold()
    for library in _LIBRARIES:
        name = name.removeprefix(library)
    if name in ("tf32", "tensorfloat32"):
        raise SelectionError(
            f"{text} is a math mode of float32: ask for dtype float32 and math mode tf32"
        )
    return _CANONICAL.get(name, text)


def device_of(text: str) -> str:
    """cpu or cuda, of "gpu", "cuda:0", "cpu:0" and the like; another text as it is."""
    name, _, number = text.strip().casefold().partition(":")
    known = name in _DEVICES and (not number or number.isdigit())
    return _DEVICES[name] if known else text


def instance_named(name: str, instances: Iterable[Instance]) -> Instance | None:
    """The instance of a name, as "g5.xlarge", "aws/g5.xlarge" or "aws/g5.xlarge/us-east-1".

    Its regions are one machine. None where none has the name; SelectionError where several
    machines have it.
    """
    parts = [part.casefold() for part in name.strip().split("/")]
    found = [item for item in instances if _is(item, parts)]
    machines = {(item.provider, item.hardware, item.gpu_count, item.vcpu): item for item in found}
    if len(machines) > 1:
        listed = ", ".join(sorted({f"{i.provider}/{i.instance}" for i in machines.values()}))
        raise SelectionError(f"{name!r} is the name of several machines; choose one of {listed}")
    return next(iter(machines.values()), None)


def _is(item: Instance, parts: Sequence[str]) -> bool:
    own = item.instance.casefold()
    instance = {own, own.removeprefix("standard_")}
    if len(parts) == 1:
        return parts[0] in instance
    place = (item.provider.casefold(), item.region.casefold())
    return parts[0] == place[0] and parts[1] in instance and parts[2:] in ([], [place[1]])


def near(name: str, known: Iterable[str], most: int = 4) -> list[str]:
    """Known names that a mistyped one may stand for, the nearest first."""
    by_key = {text.casefold(): text for text in known}
    wanted = name.strip().casefold()
    found = difflib.get_close_matches(wanted, by_key, n=most, cutoff=0.6)
    inside = [key for key in by_key if wanted and wanted in key and key not in found]
    return [by_key[key] for key in (*found, *inside)][:most]
