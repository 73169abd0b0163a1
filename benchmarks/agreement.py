"""Shared parts of the cross-checks against other harnesses: ratio, verdict, table. Pure.

One comparison is one operation that our worker and another harness time in turn, several
rounds. A round gives one ratio, our median over the harness's: what drifts slowly on the
machine drops out of it. The comparison's ratio is the median of the rounds' ratios, its interval
the order-statistic 95 % interval of that median; below six rounds, where there is none, it is
the smallest and the largest ratio, which enclose the median with probability 1 - 2^(1 - rounds).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from collector.cells import Operation
from collector.errors import BreakevenError
from collector.measure.statistics import summarise
from collector.workloads import get_workload

_FEWEST_ROUNDS = 3  # fewer have no interval worth the name, so nothing can be said to differ


@dataclass(frozen=True)
class Subject:
    """An operation, the mode in which our worker times it, and the harness to compare with."""

    operation: Operation
    mode: str
    harness: str

    @property
    def label(self) -> str:
        o = self.operation
        stated = get_workload(o.workload).signatures[o.case]
        params = " ".join(f"{name}={value}" for name, value in o.params if name in stated)
        dtype = "tf32" if o.math_mode == "tf32" else o.dtype
        threads = f" {o.threads}t" if o.device == "cpu" else ""
        return f"{o.backend} {o.workload} {o.case} {params} {dtype}{threads} {self.mode}"


@dataclass(frozen=True)
class Round:
    """Median seconds of one call by our worker and by the harness.

    ``lead_s`` is the part of the harness's interval that may precede the work: zero, but for a
    harness that starts its device clock before the host has issued the call.
    """

    ours_s: float
    theirs_s: float
    lead_s: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """What the rounds of one subject came to; ``error`` names why there is no ratio.

    verdict: ``agrees`` (ratio within the tolerance of 1); ``agrees but for launch`` (within it
    once the harness's lead is taken off its time, in part or whole); ``unclear`` (outside, but the
    interval reaches in, or fewer than three rounds); ``differs``; ``failed``.
    """

    label: str
    harness: str
    rounds: int = 0
    ours_s: float = math.nan
    theirs_s: float = math.nan
    lead_s: float = 0.0
    ratio: float = math.nan
    low: float = math.nan
    high: float = math.nan
    ours_spread: float = math.nan
    theirs_spread: float = math.nan
    verdict: str = "failed"
    error: str | None = None


def compare(subject: Subject, rounds: Sequence[Round], tolerance: float) -> Comparison:
    """Ratio, interval and verdict of at least one round. ``tolerance`` is relative (0.01)."""
    ratios = summarise([one.ours_s / one.theirs_s for one in rounds])
    ours = [one.ours_s for one in rounds]
    theirs = [one.theirs_s for one in rounds]
    low = ratios.minimum if ratios.ci95_low is None else ratios.ci95_low
    high = max(o / t for o, t in zip(ours, theirs, strict=True))
    if ratios.ci95_high is not None:
        high = ratios.ci95_high
    comparison = Comparison(
        subject.label,
        subject.harness,
        len(rounds),
        summarise(ours).median,
        summarise(theirs).median,
        summarise([one.lead_s for one in rounds]).median,
        ratios.median,
        low,
        high,
        spread(ours),
        spread(theirs),
    )
    return replace(comparison, verdict=verdict(comparison, tolerance))


def spread(seconds: Sequence[float]) -> float:
    """(largest - smallest) / median of one harness's own medians: what it repeats to."""
    return (max(seconds) - min(seconds)) / summarise(seconds).median


def verdict(comparison: Comparison, tolerance: float) -> str:
    """One of Comparison's verdicts."""
    low, high = 1 - tolerance, 1 + tolerance
    if low <= comparison.ratio <= high:
        return "agrees"
    launched = 1 - comparison.lead_s / comparison.theirs_s
    if low * launched <= comparison.ratio < low:
        return "agrees but for launch"
    reaches_in = comparison.low <= high and comparison.high >= low
    if reaches_in or comparison.rounds < _FEWEST_ROUNDS:
        return "unclear"
    return "differs"


def failed(subject: Subject, error: str) -> Comparison:
    """A comparison that came to nothing: costs one line."""
    return Comparison(subject.label, subject.harness, error=error)


def table(comparisons: Iterable[Comparison]) -> str:
    """One line per comparison under a header, times in microseconds."""
    head = (
        f"{'operation and mode':64} {'harness':22} {'ours us':>10} {'theirs us':>10} "
        f"{'ratio':>7} {'interval':>15} {'spread o/t %':>13}  verdict"
    )
    lines = [head]
    for c in comparisons:
        if c.error is not None:
            lines.append(f"{c.label:64} {c.harness:22} {c.error}")
            continue
        interval = f"{c.low:.3f}-{c.high:.3f}"
        spreads = f"{100 * c.ours_spread:.1f}/{100 * c.theirs_spread:.1f}"
        lines.append(
            f"{c.label:64} {c.harness:22} {1e6 * c.ours_s:10.2f} {1e6 * c.theirs_s:10.2f} "
            f"{c.ratio:7.4f} {interval:>15} {spreads:>13}  {c.verdict}"
        )
    return "\n".join(lines)


def conclusion(comparisons: Sequence[Comparison], tolerance: float) -> str:
    """Counts by verdict, and the median and largest deviation of the ratios from 1."""
    timed = [c for c in comparisons if c.error is None]
    counts = {
        name: sum(c.verdict == name for c in comparisons)
        for name in ("agrees", "agrees but for launch", "unclear", "differs", "failed")
    }
    text = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    if not timed:
        return f"{text}: nothing was compared"
    off = [abs(c.ratio - 1) for c in timed]
    return (
        f"{counts['agrees']} of {len(timed)} within {100 * tolerance:g} % ({text}); "
        f"|ratio - 1|: median {100 * summarise(off).median:.2f} %, largest {100 * max(off):.2f} %"
    )


def as_json(comparisons: Sequence[Comparison], tolerance: float, **facts: Any) -> str:
    """Everything as JSON text; a figure that there is not is null."""
    rows = [
        {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(comparison).items()
        }
        for comparison in comparisons
    ]
    document = {**facts, "tolerance": tolerance, "comparisons": rows}
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def make_operation(
    backend: str,
    device: str,
    workload: str,
    case: str,
    params: dict[str, int],
    dtype: str = "float32",
    math_mode: str = "ieee",
    threads: int = 1,
) -> Operation:
    """An operation with canonical parameters. Raises SelectionError on an unknown one."""
    complete = get_workload(workload).complete(case, params)
    return Operation(
        workload=workload,
        case=case,
        params=tuple(sorted(complete.items())),
        dtype=dtype,
        math_mode=math_mode,
        backend=backend,
        device=device,
        threads=threads,
    )


def operation_from_json(text: str) -> Operation:
    """The operation that ``json.dumps(asdict(operation))`` wrote."""
    fields = json.loads(text)
    fields["params"] = tuple((name, value) for name, value in fields["params"])
    return Operation(**fields)


Ours = Callable[[Subject], float]
Theirs = Callable[[Subject], tuple[float, float]]


def one_round(index: int, subject: Subject, ours: Ours, theirs: Theirs) -> Round | str:
    """Both figures of one subject, or one line on what failed.

    Odd rounds ask the harness first, so that the order favours nobody. ``theirs`` gives its
    median and its lead (see Round) in seconds.
    """
    try:
        if index % 2 == 0:
            ours_s = ours(subject)
            return Round(ours_s, *theirs(subject))
        theirs_s, lead_s = theirs(subject)
        return Round(ours(subject), theirs_s, lead_s)
    except BreakevenError as error:
        return str(error)


class Measured:
    """Rounds of each subject as they come, and the first error of each that failed."""

    def __init__(self, subjects: Sequence[Subject], missing: Sequence[Comparison] = ()) -> None:
        self._rounds: dict[Subject, list[Round]] = {subject: [] for subject in subjects}
        self._errors: dict[Subject, str] = {}
        self._missing = list(missing)

    def pending(self, subject: Subject) -> bool:
        """Whether it is worth another round: one that failed would fail again."""
        return subject not in self._errors

    def add(self, subject: Subject, outcome: Round | str) -> str:
        """Keep the outcome of a round; one line about it."""
        if isinstance(outcome, str):
            self._errors[subject] = outcome
            return f"{subject.label}: {outcome}"
        self._rounds[subject].append(outcome)
        return (
            f"{subject.label}: {1e6 * outcome.ours_s:.2f} us, "
            f"{subject.harness} {1e6 * outcome.theirs_s:.2f} us"
        )

    def comparisons(self, tolerance: float) -> list[Comparison]:
        """One for each subject that was tried, in order; those that this version lacks last."""
        found = [
            failed(subject, self._errors[subject])
            if subject in self._errors
            else compare(subject, rounds, tolerance)
            for subject, rounds in self._rounds.items()
            if rounds or subject in self._errors
        ]
        return found + self._missing
