"""What a job takes of a device's memory: what it holds, the libraries, the driver."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from collector.jobs import Job, JobMemory
from collector.workloads import PRODUCT_KINDS, RUNTIME_BYTES
from estimator.jobs.place import Device, Place

#: What the allocator holds beyond the blocks in use at the peak: a stated choice.
ALLOCATOR_SHARE = 0.05
#: of a cuBLAS handle on Hopper (torch: at::cuda::getChosenWorkspaceSize); 8 MiB on other GPUs
WORKSPACE_BYTES = 32 * 2.0**20


@dataclass(frozen=True)
class NeededMemory:
    """Bytes that a job needs of a device, by what they are for, and whether there is room."""

    memory: JobMemory
    peak_bytes: float
    workspace_bytes: float
    allocator_bytes: float
    context_bytes: float
    needed_bytes: float
    room_bytes: float
    fits: bool | None


def workspace_bytes(job: Job) -> float:
    """What cuBLAS holds for its products: a handle's workspace for each thread that asks for some,
    the program's own and the one of the backward pass."""
    threads = {one.stage == "backward" for one in job.operations if one.kind in PRODUCT_KINDS}
    return WORKSPACE_BYTES * len(threads)


def peak_bytes(job: Job, device: Device) -> float:
    """Most that the allocator has in use, as ``torch.cuda.max_memory_allocated`` says."""
    return job.memory.peak_bytes + (workspace_bytes(job) if device == "cuda" else 0.0)


def needed_bytes(job: Job, device: Device) -> float:
    """What the job takes of a device's memory, with the allocator and the libraries."""
    return peak_bytes(job, device) + _allocator_bytes(job, device) + RUNTIME_BYTES[device]


def _allocator_bytes(job: Job, device: Device) -> float:
    return ALLOCATOR_SHARE * peak_bytes(job, device) if device == "cuda" else 0.0


def memory_on(job: Job, place: Place) -> NeededMemory:
    """What the job takes of a place's memory, and whether there is room."""
    needed = needed_bytes(job, place.device)
    known = isfinite(place.room_bytes)
    return NeededMemory(
        memory=job.memory,
        peak_bytes=peak_bytes(job, place.device),
        workspace_bytes=workspace_bytes(job) if place.device == "cuda" else 0.0,
        allocator_bytes=_allocator_bytes(job, place.device),
        context_bytes=RUNTIME_BYTES[place.device],
        needed_bytes=needed,
        room_bytes=place.room_bytes,
        fits=needed <= place.room_bytes if known else None,
    )
