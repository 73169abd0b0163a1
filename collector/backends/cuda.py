"""Constants of timing on a CUDA device that the libraries share."""

from __future__ import annotations

#: Cycles of the delay kernel are counted on the SM clock. An upper bound of that clock makes
#: the delay at least as long as asked for: 2 GHz is above the boost clock of data-center GPUs
#: to date, and a longer delay costs wall time only.
_DELAY_CLOCK_HZ = 2.0e9

_MINIMUM_FLUSH_BYTES = 256 * 2**20


def cycles_for(seconds: float) -> int:
    """Cycles of the delay kernel that last at least about that long."""
    return int(seconds * _DELAY_CLOCK_HZ)


def flush_bytes(l2_bytes: int) -> int:
    """Bytes to overwrite so that nothing of the operands stays in L2: twice its size, 256 MiB."""
    return max(2 * l2_bytes, _MINIMUM_FLUSH_BYTES)


DELAY_SOURCE = r"""
extern "C" __global__ void delay(long long cycles) {
    long long start = clock64();
    while (clock64() - start < cycles) { }
}
"""
