"""What a recording found, for a terminal: where the time went, what a port to CuPy would meet."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping

from collector.jobs import COPY_TO_CPU, COPY_TO_GPU, Job, Operation
from estimator.text import duration, plural, shortened, text_table

_ROWS = 8
_MIB = 2.0**20


def summary(job: Job) -> str:
    """Totals, seconds by kind and by line, copies, what CuPy lacks, memory, notes."""
    recording = job.recording
    if recording is None:
        return ""
    counts = counts_of(job)
    wall_s = max(recording.wall_s, 1e-12)
    lines = [
        f"{job.name}: {duration(recording.wall_s)} here, {recording.array_s / wall_s:.0%} in "
        f"{plural(recording.calls, 'array call')}, {recording.python_s / wall_s:.0%} in Python "
        f"and what it calls; imports {duration(recording.import_s)}",
        "",
        _by_kind(job, counts, wall_s),
        "",
        _by_line(job, counts, wall_s),
        "",
    ]
    lines += _copies(job, counts)
    lines += _lacking(job, counts)
    lines.append(f"arrays that it holds at once: {job.memory.arrays_bytes / _MIB:,.0f} MiB")
    if not recording.complete:
        lines.append("note: not the whole program")
    lines += [f"note: {note}" for note in job.notes]
    lines.append(
        f"note: recording took {duration(recording.call_cost_s)} a call, which is taken off"
    )
    return "\n".join(lines)


def counts_of(job: Job) -> Mapping[Operation, int]:
    """How often each operation is called, of a job whose phases are all of the program."""
    counts: Counter[int] = Counter()
    for phase in job.phases:
        for number, times in Counter(phase.sequence).items():
            counts[number] += times * phase.count
    return {job.operations[number]: count for number, count in counts.items()}


def _computing(operation: Operation) -> bool:
    return operation.kind not in (COPY_TO_GPU, COPY_TO_CPU, "synchronize")


def _by_kind(job: Job, counts: Mapping[Operation, int], wall_s: float) -> str:
    return _table("operation", lambda one: one.kind, counts, wall_s)


def _by_line(job: Job, counts: Mapping[Operation, int], wall_s: float) -> str:
    return _table("line", lambda one: one.line, counts, wall_s)


def _table(
    title: str,
    name_of: Callable[[Operation], str],
    counts: Mapping[Operation, int],
    wall_s: float,
) -> str:
    """Calls, seconds, share of all and median size of the largest groups."""
    groups: defaultdict[str, list[tuple[Operation, int]]] = defaultdict(list)
    for operation, count in counts.items():
        if _computing(operation):
            groups[name_of(operation)].append((operation, count))
    seconds = {
        name: sum(one.measured_s * count for one, count in group) for name, group in groups.items()
    }
    rows = []
    for name in sorted(groups, key=lambda one: -seconds[one])[:_ROWS]:
        calls = sum(count for _, count in groups[name])
        rows.append(
            (
                shortened(name, 40),
                f"{calls:,}",
                duration(seconds[name]),
                f"{seconds[name] / wall_s:.0%}",
                f"{_median_size(groups[name]):,}",
            )
        )
    return text_table((title, "calls", "time", "share", "median size"), rows)


def _median_size(group: list[tuple[Operation, int]]) -> int:
    """Elements of the largest array of the call in the middle."""
    sizes = sorted(
        (max((one.count for one in (*operation.inputs, *operation.outputs)), default=0), count)
        for operation, count in group
    )
    middle = sum(count for _, count in sizes) / 2.0
    for size, count in sizes:
        middle -= count
        if middle <= 0:
            return size
    return 0


def _copies(job: Job, counts: Mapping[Operation, int]) -> list[str]:
    """Where values would cross between host and GPU."""
    lines = []
    words = {
        COPY_TO_GPU: "would be copied to a GPU",
        COPY_TO_CPU: "would be waited for and copied back",
    }
    for kind, said in words.items():
        chosen: Counter[str] = Counter()
        moved = 0.0
        for one, count in counts.items():
            if one.kind == kind or (kind == COPY_TO_CPU and one.kind == "item"):
                chosen[one.line] += count
                moved += count * one.bytes_read
        if chosen:
            total = sum(chosen.values())
            where = ", ".join(f"{line} ({count:,}x)" for line, count in chosen.most_common(4))
            lines.append(f"{said}: {plural(total, 'time')}, {moved / _MIB:,.1f} MiB, at {where}")
    return lines


def _lacking(job: Job, counts: Mapping[Operation, int]) -> list[str]:
    """What a port leaves to the host, and the seconds that it takes here."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for one, count in counts.items():
        if one.reason:
            seconds[one.reason] += one.measured_s * count
    ordered = sorted(seconds, key=lambda one: -seconds[one])[:_ROWS]
    if not ordered:
        return []
    said = ", ".join(f"{reason} ({duration(seconds[reason])})" for reason in ordered)
    return [f"stays on the host: {said}"]
