"""What a job's estimates say, in plain text: the same in every command and on every page.

Text of a job's file was checked when it was read: it is printable, and of one line.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import fields

from collector.jobs import Job, Recording
from estimator.decide.breakeven import Speedup
from estimator.decide.job_reasons import reason
from estimator.decide.jobs import beside
from estimator.decide.more_cores import MoreCores
from estimator.decide.words import verdict_line
from estimator.jobs.estimate import JobEstimate, TopOperation
from estimator.text import WIDTH, basis_words, duration, plural, shortened, text_table

GIB = 2.0**30
_DEVICES = {"cuda": "GPU", "cpu": "CPU"}
_MOST_KINDS = 6
_PARTS = {"device": "the device", "host": "the host", "copies": "copies"}


def asked_job(job: Job, what: str = "") -> str:
    """``asked: one step of train.py (training, 8 samples, 8,192 tokens a step), with torch``; of a
    recorded program what it took where it was recorded."""
    what = what or f"one {job.scope}"
    if job.recording is not None:
        return _wrapped(f"asked: {what} of {job.name or 'a job'} ({recorded_words(job.recording)})")
    counts = [
        f"{count:,} {name} a step"
        for count, name in ((job.samples_per_step, "samples"), (job.tokens_per_step, "tokens"))
        if count
    ]
    facts = ", ".join(["training" if job.training else "inference", *counts])
    return _wrapped(f"asked: {what} of {job.name or 'a job'} ({facts}), with {job.library}")


def recorded_words(of: Recording) -> str:
    """``it took 3.2 s on AMD EPYC, 2 threads: 96 % in array calls, 4 % in Python``."""
    where = f" on {of.processor}" if of.processor else ""
    threads = f", {plural(of.threads, 'thread')}" if of.threads else ""
    text = f"it took {duration(of.wall_s)}{where}{threads}"
    if of.wall_s > 0.0:
        shares = (of.array_s / of.wall_s, of.python_s / of.wall_s)
        text += f": {shares[0]:.0%} in {of.calls:,} array calls, {shares[1]:.0%} in Python"
    return text if of.complete else f"{text}; its first part only"


def coverage_line(estimate: JobEstimate) -> str:
    """What share of the estimated time is in operations that are measured; names the rest."""
    share = estimate.covered_share
    text = f"covered: {share:.0%} of the estimated time is in operations that are measured"
    if estimate.uncovered:
        text += f"; answered by what is near: {_kinds(estimate.uncovered)}"
    if estimate.unknown:
        text += f"; known to nobody: {_kinds(estimate.unknown)}"
    return _wrapped(text)


def _kinds(shares: Sequence[tuple[str, float]]) -> str:
    shown = [f"{kind} {_percent(share)}" for kind, share in shares[:_MOST_KINDS]]
    rest = shares[_MOST_KINDS:]
    if rest:
        left = sum(share for _, share in rest)
        shown.append(f"{plural(len(rest), 'other kind')} {_percent(left)}")
    return ", ".join(shown)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else f"{share:.1%}" if share >= 0.001 else "< 0.1%"


def estimate_lines(estimate: JobEstimate) -> list[str]:
    """One machine: time, rates, what bounds it, memory, basis; or why there is no answer."""
    name = place_name(estimate)
    if not estimate.answered:
        return [_wrapped(f"{name}: no estimate: {estimate.reason}")]
    return [
        _wrapped(f"{name}:"),
        _wrapped(_time(estimate)),
        _wrapped(_bound(estimate)),
        *(_wrapped(lacking) for lacking in _lacking(estimate)),
        _wrapped(memory_line(estimate)),
        _wrapped(f"basis: {basis_words(estimate.basis).long}"),
        *(_wrapped(f"note: {note}") for note in estimate.notes),
    ]


def _time(estimate: JobEstimate) -> str:
    """Seconds of a run, or of a step in a row of many and one that is waited for."""
    low, middle, high = (
        duration(getattr(estimate, f"pipelined_seconds_{end}")) for end in ("p5", "p50", "p95")
    )
    if estimate.scope == "run":
        return f"{middle} a run (90 % interval {low} to {high}), with {LIBRARIES[estimate.backend]}"
    return (
        f"{middle} a step of many in a row (90 % interval {low} to {high}); waited for: "
        f"{duration(estimate.seconds_p50)}{_rates(estimate)}"
    )


#: names of the libraries whose cells answer
LIBRARIES = {"numpy": "NumPy", "cupy": "CuPy", "torch": "torch", "numba": "numba", "jax": "JAX"}


def _lacking(estimate: JobEstimate) -> list[str]:
    """What the host does since CuPy lacks it, and how long."""
    shown = [f"{reason} ({duration(seconds)})" for reason, seconds in estimate.lacking[:4]]
    return [f"done by the host: {'; '.join(shown)}"] if shown else []


def _bound(estimate: JobEstimate) -> str:
    """The parts of a step; on a CPU one follows the other."""
    if estimate.scope == "run":
        python = f"Python {duration(estimate.python_s)}"
        if estimate.device == "cpu":
            return f"parts: array calls {duration(estimate.device_s)}, {python}"
        asking = max(0.0, estimate.host_s - estimate.python_s)
        return (
            f"bound by {_PARTS[estimate.bound]}: kernels {duration(estimate.device_s)}, copies "
            f"{duration(estimate.copy_s)}, {python} and {duration(asking)} to ask for calls on the "
            "host"
        )
    if estimate.device == "cpu":
        return (
            f"parts: computing {duration(estimate.device_s)}, calls {duration(estimate.host_s)}, "
            "one after the other"
        )
    return (
        f"bound by {_PARTS[estimate.bound]}: kernels {duration(estimate.device_s)}, host "
        f"{duration(estimate.host_s)}, copies {duration(estimate.copy_s)}; idle: device "
        f"{estimate.device_idle_share:.0%}, host {estimate.host_idle_share:.0%}"
    )


def place_name(estimate: JobEstimate) -> str:
    """``NVIDIA H200, Intel Xeon 16 cores (GPU)``."""
    return f"{estimate.label} ({_DEVICES[estimate.device]})"


def _rates(estimate: JobEstimate) -> str:
    rates = ((estimate.samples_per_s, "samples/s"), (estimate.tokens_per_s, "tokens/s"))
    return "".join(f"; {_three(rate)} {name}" for rate, name in rates if math.isfinite(rate))


def _three(value: float) -> str:
    """Three digits, thousands with commas."""
    return f"{value:,.0f}" if value >= 100.0 else f"{value:.3g}"


def memory_line(estimate: JobEstimate) -> str:
    """What the job needs of the device's memory, of what, and whether there is room."""
    parts = [
        f"{part.name.removesuffix('_bytes')} {_gib(getattr(estimate.memory, part.name))}"
        for part in fields(estimate.memory)
        if getattr(estimate.memory, part.name)
    ]
    parts += [f"allocator {_gib(estimate.allocator_bytes)}"] if estimate.allocator_bytes else []
    if estimate.workspace_bytes:
        parts.append(f"cuBLAS {_gib(estimate.workspace_bytes)}")
    parts.append(f"driver and libraries {_gib(estimate.context_bytes)}")
    room = f"{_gib(estimate.room_bytes)} GiB there"
    verdict = {True: f"fits, {room}", False: f"does not fit, {room}", None: "room not known"}
    return (
        f"memory: {_gib(estimate.needed_bytes)} GiB ({', '.join(parts)}): {verdict[estimate.fits]}"
    )


def _gib(count: float) -> str:
    return f"{count / GIB:.3g}"


def top_lines(top: Sequence[TopOperation], stages: bool = True) -> list[str]:
    """The operations that take most, with what bounds each."""
    header = ("operation", "calls", "device", "host", "bound by")
    rows = [
        (
            shortened(f"{one.kind} {one.operands}" + (f" ({one.stage})" if stages else ""), 62),
            f"{one.calls:,}",
            duration(one.device_s) if one.device_s else "-",
            duration(one.host_s) if one.host_s else "-",
            one.bound,
        )
        for one in top
    ]
    return text_table(header, rows).splitlines() if rows else []


def why_line(gpu: JobEstimate, cpu: JobEstimate, why: str) -> str:
    """``NVIDIA H200: 280x the speed of its CPU: most is gained in exp ...``."""
    ratio = cpu.seconds_p50 / gpu.seconds_p50 if gpu.seconds_p50 else math.inf
    speed = f"{ratio:.3g}x" if ratio >= 1.0 else f"1/{1.0 / ratio:.3g}"
    return _wrapped(f"why: {gpu.label}: the GPU has {speed} the speed of the CPU: {why}")


def why_lines(job: Job, found: Sequence[JobEstimate]) -> list[str]:
    """``why_line`` of each machine that answers for its GPU and its CPU."""
    return [why_line(gpu, cpu, reason(job, cpu, gpu)) for cpu, gpu in beside(found)]


def more_cores_lines(found: Sequence[MoreCores]) -> list[str]:
    """What other libraries would give on a CPU, where they give anything."""
    lines = []
    for one in found:
        parts = []
        if one.torch is not None and one.torch_gains:
            parts.append(f"torch on all cores {duration(one.torch.seconds_p50)}")
        if one.numba_gains:
            parts.append(
                f"numba down to {duration(one.with_numba_s)}, if its Python is loops over numbers "
                f"(which numba runs {one.numba_ratio:.0f}x as fast)"
            )
        if parts:
            lines.append(
                _wrapped(
                    f"without a GPU, {one.cpu.label}: {'; '.join(parts)}, instead of NumPy's "
                    f"{duration(one.cpu.seconds_p50)}"
                )
            )
    return lines


def job_verdict(ratio: Speedup) -> str:
    """Whether the GPU pays, a step of many in a row."""
    return _wrapped(verdict_line(ratio))


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, WIDTH, subsequent_indent="  "))
