"""Which parameters a case takes, and which values of them are sizes at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from collector.errors import SelectionError
from collector.workloads._work import Floats, Truths

LARGEST_PARAMETER = 2**40

Signatures = Mapping[str, Mapping[str, int | None]]


def with_defaults(
    family: str, signatures: Signatures, case: str, params: Mapping[str, Any]
) -> dict[str, Any]:
    """Values by the signature's names, None where one is missing.

    Raises SelectionError on an unknown case or name.
    """
    signature = signatures.get(case)
    if signature is None:
        raise SelectionError(
            f"{family}: unknown case {case!r}; choose one of {', '.join(signatures)}"
        )
    unknown = sorted(set(params) - set(signature))
    if unknown:
        raise SelectionError(
            f"{family} {case}: unknown parameter {unknown[0]!r}; "
            f"it takes {', '.join(signature) or 'none'}"
        )
    return {name: params.get(name, default) for name, default in signature.items()}


def whole(owner: str, name: str, value: float | None) -> int:
    """The value as an int. Raises SelectionError where it is missing, no whole number, outside."""
    if value is None:
        raise SelectionError(f"{owner}: parameter {name!r} is missing")
    if not math.isfinite(value) or int(value) != value:
        raise SelectionError(f"{owner}: {name}={value} is not a whole number")
    if not 1 <= value <= LARGEST_PARAMETER:
        raise SelectionError(f"{owner}: {name}={value} is outside 1 to {LARGEST_PARAMETER}")
    return int(value)


def same_length(owner: str, values: Mapping[str, Any]) -> dict[str, Floats]:
    """Arrays and single numbers as float64 arrays of one length; SelectionError on None."""
    missing = [name for name, value in values.items() if value is None]
    if missing:
        raise SelectionError(f"{owner}: parameter {missing[0]!r} is missing")
    arrays = [np.asarray(value, dtype=float) for value in values.values()]
    return dict(zip(values, np.broadcast_arrays(*arrays), strict=True))


def are_sizes(given: Mapping[str, Floats]) -> Truths:
    """Where ``whole`` takes the values of all parameters."""
    good = [
        (value >= 1) & (value <= LARGEST_PARAMETER) & (value == np.floor(value))
        for value in given.values()
    ]
    return np.asarray(np.logical_and.reduce(good))


def first_wrong(given: Mapping[str, Floats], good: Truths) -> dict[str, Any]:
    """Parameters of the first operation that is not good, whole numbers as such."""
    first = int(np.argmin(good))
    found = {name: float(np.ravel(value)[first]) for name, value in given.items()}
    return {name: int(value) if value.is_integer() else value for name, value in found.items()}
