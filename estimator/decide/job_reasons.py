"""Why a GPU gains much or little for a recorded program, in a line, from where the time goes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collector.jobs import COPY_TO_CPU, COPY_TO_GPU, Job
from estimator.jobs.estimate import JobEstimate, KindTime
from estimator.text import duration, plural

_GAIN = 1.5
#: share of a time from which a part is its reason
_MUCH = 0.4
_KINDS = 3


@dataclass(frozen=True)
class Gain:
    """Seconds of a kind of call on the CPU and on the GPU."""

    kind: str
    cpu_s: float
    gpu_s: float


def gains(cpu: JobEstimate, gpu: JobEstimate) -> list[Gain]:
    """What each kind of call gains, the most first."""
    there = {one.kind: _seconds(one) for one in gpu.kinds}
    found = [Gain(one.kind, _seconds(one), there.get(one.kind, 0.0)) for one in cpu.kinds]
    return sorted(found, key=lambda one: one.gpu_s - one.cpu_s)


def _seconds(one: KindTime) -> float:
    return max(one.device_s, one.host_s)


def reason(job: Job, cpu: JobEstimate, gpu: JobEstimate) -> str:
    """Why the GPU's time of a run is what it is, against the CPU's."""
    ratio = cpu.seconds_p50 / gpu.seconds_p50 if gpu.seconds_p50 else np.inf
    if ratio >= _GAIN:
        shown = ", ".join(
            f"{one.kind} {duration(one.cpu_s)} to {duration(one.gpu_s)}"
            for one in gains(cpu, gpu)[:_KINDS]
            if one.cpu_s > one.gpu_s and one.cpu_s > 0.02 * cpu.seconds_p50
        )
        return f"most is gained in {shown}" + _what_is_left(job, gpu)
    return _what_holds(job, cpu, gpu)


def _what_is_left(job: Job, gpu: JobEstimate) -> str:
    """What most of the GPU's time still is, where it is not the kernels."""
    part, seconds = _largest(gpu)
    if part == "kernels" or seconds < _MUCH * gpu.seconds_p50:
        return ""
    return f"; what is left is mostly {_words(part, job, gpu)}"


def _what_holds(job: Job, cpu: JobEstimate, gpu: JobEstimate) -> str:
    """What keeps the GPU's time as long as the CPU's."""
    part, _ = _largest(gpu)
    if part == "kernels":
        slow = max(gpu.kinds, key=lambda one: one.device_s)
        there = {one.kind: _seconds(one) for one in cpu.kinds}.get(slow.kind, 0.0)
        return (
            f"its kernels gain little: {slow.kind} takes {duration(slow.device_s)} on the GPU and "
            f"{duration(there)} on the CPU"
        )
    return f"no gain: {_words(part, job, gpu)}"


def _largest(gpu: JobEstimate) -> tuple[str, float]:
    lacking = sum(seconds for _, seconds in gpu.lacking)
    parts = {
        "kernels": gpu.device_s,
        "copies": gpu.copy_s,
        "python": gpu.python_s,
        "lacking": lacking,
        "calls": max(0.0, gpu.host_s - gpu.python_s - lacking),
    }
    name = max(parts, key=lambda part: parts[part])
    return name, parts[name]


def _words(part: str, job: Job, gpu: JobEstimate) -> str:
    if part == "python":
        return (
            f"Python between array calls ({duration(gpu.python_s)}), which stays on the host"
            f"{_lines(job)}"
        )
    if part == "copies":
        copies = sum(one.calls for one in gpu.kinds if one.kind in (COPY_TO_CPU, COPY_TO_GPU))
        return f"copying between host and GPU {plural(copies, 'time')} ({duration(gpu.copy_s)})"
    if part == "lacking":
        name, seconds = gpu.lacking[0]
        return f"what the host has to do: {name} ({duration(seconds)})"
    if part == "calls":
        calls = sum(one.calls for one in gpu.kinds)
        return (
            f"{calls:,} calls on small arrays ({_median_elements(job):,} elements in the median): "
            "asking a GPU for a call takes longer than doing it"
        )
    return f"kernels ({duration(gpu.device_s)})"


def _lines(job: Job) -> str:
    """The line with most Python before its calls."""
    counts = _counts(job)
    points: dict[str, float] = {}
    for one, count in zip(job.operations, counts, strict=True):
        points[one.line] = points.get(one.line, 0.0) + float(count) * one.python_points
    line = max(points, key=lambda name: points[name], default="")
    return f", most of it before {line}" if line and points[line] else ""


def _counts(job: Job) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How often a run makes each operation, (m,)."""
    counts = np.zeros(len(job.operations), dtype=np.int64)
    for phase in job.phases:
        of_phase = np.bincount(np.array(phase.sequence, dtype=int), minlength=len(counts))
        counts += phase.count * of_phase
    return counts


def _median_elements(job: Job) -> int:
    """Elements of the largest array of the median call that computes something."""
    sizes, weights = [], []
    for one, count in zip(job.operations, _counts(job), strict=True):
        if one.launches and count:
            sizes.append(max((tensor.count for tensor in (*one.inputs, *one.outputs)), default=0))
            weights.append(count)
    if not sizes:
        return 0
    order = np.argsort(sizes)
    total = np.cumsum(np.array(weights)[order])
    return int(np.array(sizes)[order][np.searchsorted(total, total[-1] / 2)])
