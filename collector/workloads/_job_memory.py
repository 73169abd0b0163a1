"""The memory that an operation takes in a user's job, apart from what measuring it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_MIB = 2.0**20

#: What a process takes beside its arrays, by device. Stated choices: on a GPU the CUDA context
#: with the kernels that were loaded (an H200 with PyTorch 2.11: 526 MiB at first, 788 MiB after
#: operations of every family) and cuBLAS's workspaces (32 MiB a handle from Hopper on, a handle
#: a thread); on a CPU the interpreter with NumPy and PyTorch (436 MiB resident).
RUNTIME_BYTES: Mapping[str, float] = {"cuda": 1024.0 * _MIB, "cpu": 512.0 * _MIB}

#: Most that a convolution's algorithm takes, in units of its operands and results: a stated choice
#: (cuDNN on an H200: four times for the gradients of 3 x 3 with 32 channels and 32 x 32 pixels in
#: float32, once at most for larger ones).
CONVOLUTION_WORKSPACE = 4.0


@dataclass(frozen=True)
class JobMemory:
    """Bytes of the memory of the device that computes.

    ``bytes`` are operands, result and the workspace that the library always takes: where they do
    not fit, the operation fails. ``upper_bytes`` have in addition what the library may take, and
    ``RUNTIME_BYTES``.
    """

    bytes: float
    upper_bytes: float
