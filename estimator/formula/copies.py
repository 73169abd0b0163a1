"""The formula of copies between host and device around a call, and its derivatives. Pure.

    t = base + call + sum over both ways of bytes / B * (1 + (slow - 1) * l)
    l = 1 / (1 + (S / bytes)^e), e = 6 for h2d, 40 for d2h

``base`` is the time with the operands on the device. Copies of more than S bytes are slower:
operands stream through staging buffers that leave the host's caches by and by, and a result
above the allocator's threshold goes to pages that must first be faulted in.

Parameters are natural logarithms of positive quantities in the units of their names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from estimator.arrays import Array
from estimator.formula.kernel import SMALLEST_S, logistic

TRANSFER_PARAMETERS = (
    "transfer_call_s",
    "h2d_bytes_per_s",
    "d2h_bytes_per_s",
    "h2d_slow_factor",
    "h2d_slow_bytes",
    "d2h_slow_factor",
    "d2h_slow_bytes",
)

_H2D_STEEPNESS, _D2H_STEEPNESS = 6.0, 40.0


@dataclass(frozen=True)
class TransferWork:
    """Operands of the transfer formula: seconds without copies, and bytes each way, (n,)."""

    base_s: Array
    h2d_bytes: Array
    d2h_bytes: Array

    def __len__(self) -> int:
        return len(self.base_s)

    def take(self, index: Any) -> TransferWork:
        return TransferWork(**{name: values[index] for name, values in vars(self).items()})


def _one_way(
    size: Array, rate: Array, slow_factor: Array, slow_bytes: Array, steepness: float
) -> tuple[Array, Array, Array]:
    """Seconds of one direction, and their derivatives by slow_factor and slow_bytes."""
    fast = size / np.exp(rate)
    large = logistic(steepness * (np.log(np.maximum(size, 1.0)) - slow_bytes))
    slow = np.exp(slow_factor)
    by_bytes = -steepness * large * (1.0 - large) * (slow - 1.0)
    return fast * (1.0 + (slow - 1.0) * large), fast * slow * large, fast * by_bytes


def transfer_seconds(theta: Array, work: TransferWork) -> Array:
    """Seconds of the copies alone, (n,), for log parameters ``theta`` (n, 7)."""
    call, up, down, up_slow, up_bytes, down_slow, down_bytes = theta.T
    up_s, _, _ = _one_way(work.h2d_bytes, up, up_slow, up_bytes, _H2D_STEEPNESS)
    down_s, _, _ = _one_way(work.d2h_bytes, down, down_slow, down_bytes, _D2H_STEEPNESS)
    seconds: Array = np.exp(call) + up_s + down_s
    return seconds


def transfer_log_seconds(theta: Array, work: TransferWork) -> tuple[Array, Array]:
    """log of base plus copies, (n,), and its derivatives, (n, 7)."""
    call, up, down, up_slow, up_bytes, down_slow, down_bytes = theta.T
    up_s, up_by_slow, up_by_bytes = _one_way(work.h2d_bytes, up, up_slow, up_bytes, _H2D_STEEPNESS)
    down_s, down_by_slow, down_by_bytes = _one_way(
        work.d2h_bytes, down, down_slow, down_bytes, _D2H_STEEPNESS
    )
    call_s = np.exp(call)
    seconds = np.maximum(work.base_s + call_s + up_s + down_s, SMALLEST_S)
    slopes = [call_s, -up_s, -down_s, up_by_slow, up_by_bytes, down_by_slow, down_by_bytes]
    return np.log(seconds), np.stack(slopes, axis=1) / seconds[:, None]
