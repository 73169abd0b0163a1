"""Is a dataset valid, and were its measurements quiet? Every verdict comes with its reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from collector.dataset.read import Dataset, RunInfo, read_table
from collector.measure.noise import STEAL_LIMIT
from collector.measure.telemetry import THROTTLED
from collector.schema import STATUSES

Row = Mapping[str, Any]

_NOISY_SHARE = 0.25
#: range of the anchor's medians along a run, over their median
DRIFT_LIMITS = {"cpu": 0.05, "cuda": 0.02}


@dataclass(frozen=True)
class Anchor:
    """The fixed operation that is repeated along a run: did the machine drift?"""

    backend: str
    device: str
    threads: int
    medians_s: tuple[float, ...]

    @property
    def range(self) -> float:
        """Largest minus smallest median, over their median."""
        return (max(self.medians_s) - min(self.medians_s)) / median(self.medians_s)

    @property
    def drifted(self) -> bool:
        return self.range > DRIFT_LIMITS.get(self.device, min(DRIFT_LIMITS.values()))

    def __str__(self) -> str:
        return (
            f"anchor on {self.backend}/{self.device}: {len(self.medians_s)} repetitions within "
            f"{self.range:.1%} ({self.medians_s[0] * 1e3:.3g} ms first, "
            f"{self.medians_s[-1] * 1e3:.3g} ms last)"
        )


def anchors(rows: Sequence[Row]) -> list[Anchor]:
    """Medians of the anchor's repetitions in the order measured, where there are two or more."""
    found: dict[tuple[str, str, int], list[tuple[int, float]]] = defaultdict(list)
    for row in rows:
        if row["workload"] == "anchor" and row["status"] == "ok" and (row["median_s"] or 0) > 0:
            key = (row["backend"], row["device"], row["threads"])
            found[key].append((row["order_index"] or 0, row["median_s"]))
    return [
        Anchor(*key, tuple(seconds for _, seconds in sorted(times)))
        for key, times in sorted(found.items())
        if len(times) > 1
    ]


def count_noise_reasons(rows: Sequence[Row]) -> Counter[str]:
    """Cells per reason for noise; runs of older collectors give none."""
    counts: Counter[str] = Counter()
    for row in rows:
        if row["status"] == "ok":
            counts.update(filter(None, (row["noise_reasons"] or "").split(",")))
    return counts


def loud_reasons(rows: Sequence[Row], machine: Mapping[str, Any]) -> Iterator[str]:
    """One line for each thing that disturbed the run."""
    timed = [row for row in rows if row["status"] == "ok"]
    if not timed:
        return
    for device in sorted({row["device"] for row in timed}):
        yield from _noisy_share(device, [row for row in timed if row["device"] == device])
    for anchor in anchors(rows):
        if anchor.drifted:
            yield f"the machine drifted: {anchor}"
    yield from _disturbances(timed)
    yield from _slow_link(timed, machine)


def _noisy_share(device: str, timed: Sequence[Row]) -> Iterator[str]:
    noisy = sum(bool(row["noisy"]) for row in timed)
    if noisy > _NOISY_SHARE * len(timed):
        counts = count_noise_reasons(timed).most_common()
        told = ", ".join(f"{reason} {count}" for reason, count in counts)
        why = f" ({told})" if told else ""
        yield f"{noisy} of {len(timed)} {device} cells are noisy{why}: is it shared or busy?"


def _disturbances(timed: Sequence[Row]) -> Iterator[str]:
    stolen = [row for row in timed if (row["steal_fraction"] or 0) > STEAL_LIMIT]
    if stolen:
        worst = max(row["steal_fraction"] for row in stolen)
        yield f"the hypervisor took CPU time away in {len(stolen)} cells (up to {worst:.0%})"
    throttled = [
        row for row in timed if THROTTLED & set((row["throttle_reasons"] or "").split(","))
    ]
    if throttled:
        reasons = sorted({row["throttle_reasons"] for row in throttled})
        yield f"GPU throttled in {len(throttled)} cells: {'; '.join(reasons)}"
    shared = [row["other_gpu_processes"] for row in timed if (row["other_gpu_processes"] or 0) > 0]
    if shared:
        yield f"other processes used the GPU in {len(shared)} cells (up to {max(shared)} of them)"
    loose = Counter(row["backend"] for row in timed if row["threads_confirmed"] is False)
    if loose:
        told = ", ".join(f"{backend} {count}" for backend, count in sorted(loose.items()))
        yield f"thread pools were larger than asked for in {sum(loose.values())} cells ({told})"
    cold = sum("unsteady" in (row["noise_reasons"] or "").split(",") for row in timed)
    if cold > _NOISY_SHARE * len(timed):
        yield f"warm-up did not settle in {cold} of {len(timed)} cells"


def _slow_link(timed: Sequence[Row], machine: Mapping[str, Any]) -> Iterator[str]:
    """A link sleeps while it is idle: the best state that a run saw is the one to judge."""
    gpu = machine.get("gpu") or {}
    best = []
    for name in ("pcie_generation", "pcie_width"):
        seen = [row[name] for row in timed if row[name] is not None]
        best.append((max(seen) if seen else None, gpu.get(name)))
    if any(seen is not None and most is not None and seen < most for seen, most in best):
        (generation, most_generation), (width, most_width) = best
        yield (
            f"the PCIe link ran at generation {generation} x{width} at best, the machine's "
            f"maximum is generation {most_generation} x{most_width}"
        )


@dataclass(frozen=True)
class Finding:
    """One thing to know: ``invalid`` rows must not be used, ``warning`` ones with care.

    ``about`` is ``rows`` (can they be right), ``coverage`` (is all there) or ``noise``.
    """

    severity: str
    run_id: str
    reason: str
    about: str = "rows"


@dataclass(frozen=True)
class ErrorDistribution:
    """Relative errors against the float64 reference, per precision."""

    precision: str
    cells: int
    median: float
    p90: float
    largest: float


@dataclass(frozen=True)
class RunVerdict:
    """What is to be said of one run."""

    info: RunInfo
    valid: bool
    quiet: bool
    findings: tuple[Finding, ...]
    anchors: tuple[Anchor, ...]
    noise_reasons: Mapping[str, int]
    errors: tuple[ErrorDistribution, ...]


def problem_findings(dataset: Dataset) -> list[Finding]:
    """One for each file that was set aside."""
    return [Finding("invalid", problem.path.name, problem.reason) for problem in dataset.problems]


def check_runs(dataset: Dataset, now: datetime | None = None) -> list[RunVerdict]:
    """A verdict on each run, in the dataset's order. ``now`` is the time in UTC."""
    now = now or datetime.now(UTC)
    by_run: dict[str, list[dict[str, Any]]] = {}
    for row in _without_samples(read_table(dataset)).to_pylist():
        by_run.setdefault(row["run_id"], []).append(row)
    known = {info.run_id for info in dataset.runs}
    verdicts = [_verdict(info, by_run.get(info.run_id, []), now) for info in dataset.runs]
    for run_id in by_run.keys() - known:
        stray = f"{len(by_run[run_id])} rows name a run that no file is about"
        verdicts[0] = _with_finding(verdicts[0], Finding("invalid", str(run_id), stray))
    return verdicts


def _without_samples(table: pa.Table) -> pa.Table:
    """Lists of samples replaced by their number, which is all that is asked of them here."""
    counts = pc.list_value_length(table["samples_s"])
    return table.drop_columns(["samples_s", "warmup_s"]).append_column("samples", counts)


def _verdict(info: RunInfo, rows: Sequence[Row], now: datetime) -> RunVerdict:
    loud = [
        Finding("warning", info.run_id, reason, "noise")
        for reason in loud_reasons(rows, info.machine)
    ]
    findings = [
        *_invalid_rows(info.run_id, rows),
        *_coverage(info, rows),
        *_clock(info.run_id, rows, now),
        *loud,
    ]
    return RunVerdict(
        info,
        not any(finding.severity == "invalid" for finding in findings),
        not loud,
        tuple(findings),
        tuple(anchors(rows)),
        count_noise_reasons(rows),
        _error_distributions(rows),
    )


def _with_finding(verdict: RunVerdict, finding: Finding) -> RunVerdict:
    return RunVerdict(**{**vars(verdict), "findings": (*verdict.findings, finding), "valid": False})


def _coverage(info: RunInfo, rows: Sequence[Row]) -> list[Finding]:
    reasons = []
    if info.run.get("ended", "complete") != "complete":
        planned = info.run.get("cells_planned", "?")
        reasons.append(f"ended early ({info.run['ended']}) with {info.rows} of {planned} cells")
    if not info.finished:
        reasons.append(f"unfinished run with {info.rows} cells")
    if rows and not any(row["status"] == "ok" for row in rows):
        reasons.append("no cell has a time")
    else:
        lost = Counter(row["status"] for row in rows if row["status"] not in ("ok", "wrong_result"))
        for status, count in sorted(lost.items()):
            first = next(row for row in rows if row["status"] == status)
            reasons.append(f"{count} cells {status}, first {_name(first)}: {first['error']}")
    return [Finding("warning", info.run_id, reason, "coverage") for reason in reasons]


def _clock(run_id: str, rows: Sequence[Row], now: datetime) -> list[Finding]:
    """Times that cannot be: the machine's clock was set back or is wrong."""
    findings = []
    starts = {row["started_at"] for row in rows if row["started_at"] is not None}
    if starts and max(starts) > now:
        reason = f"started_at {max(starts):%Y-%m-%d %H:%M:%S} UTC is in the future: a wrong clock?"
        findings.append(Finding("warning", run_id, reason))
    if len(starts) > 1:
        findings.append(Finding("invalid", run_id, f"{len(starts)} different times of start"))
    order = [row["order_index"] for row in rows if row["order_index"] is not None]
    if any(later <= earlier for earlier, later in pairwise(order)):
        findings.append(Finding("warning", run_id, "rows are not in the order of order_index"))
    return findings


def _invalid_rows(run_id: str, rows: Sequence[Row]) -> list[Finding]:
    tests: tuple[tuple[str, Callable[[Row], bool]], ...] = (
        ("unknown status", lambda row: row["status"] not in STATUSES),
        ("wrong result", lambda row: row["status"] == "wrong_result"),
        (
            "status ok without a positive median",
            lambda row: row["status"] == "ok" and not (row["median_s"] or 0) > 0,
        ),
        (
            "n differs from the number of samples",
            lambda row: row["status"] == "ok" and row["n"] != (row["samples"] or 0),
        ),
        (
            "confidence interval does not enclose the median",
            lambda row: (
                row["ci95_low_s"] is not None
                and not (row["ci95_low_s"] <= (row["median_s"] or -1.0) <= row["ci95_high_s"])
            ),
        ),
    )
    findings = []
    for reason, is_bad in tests:
        bad = [row for row in rows if is_bad(row)]
        if bad:
            findings.append(
                Finding("invalid", run_id, f"{reason}: {len(bad)} cells, first {_name(bad[0])}")
            )
    repeated = [cell for cell, n in Counter(row["cell_id"] for row in rows).items() if n > 1]
    if repeated:
        findings.append(
            Finding("invalid", run_id, f"{len(repeated)} cells occur twice, first {repeated[0]}")
        )
    return findings


def _error_distributions(rows: Sequence[Row]) -> tuple[ErrorDistribution, ...]:
    """How far results were from the reference; the tolerance of each is not in the file."""
    import numpy as np

    errors: dict[str, list[float]] = {}
    for row in rows:
        # a wrong result may have no finite error
        if row["relative_error"] is not None and np.isfinite(row["relative_error"]):
            tf32 = "" if row["math_mode"] in (None, "ieee") else f" {row['math_mode']}"
            errors.setdefault(f"{row['dtype']}{tf32}", []).append(row["relative_error"])
    return tuple(
        ErrorDistribution(name, len(values), *map(float, np.quantile(values, [0.5, 0.9, 1.0])))
        for name, values in sorted(errors.items())
    )


def _name(row: Row) -> str:
    return (
        f"{row['workload']} {row['case']} size {row['size']} {row['dtype']} "
        f"{row['backend']}/{row['device']} {row['mode']}"
    )
