"""Is a dataset valid, and were its measurements quiet? Every verdict comes with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from collector.dataset import Dataset, read_table
from collector.schema import STATUSES
from collector.telemetry import THROTTLED

_NOISY_SHARE = 0.25
_STEAL_FRACTION = 0.02


@dataclass(frozen=True)
class Finding:
    """One thing to know: ``invalid`` rows must not be used, ``warning`` ones with care."""

    severity: str
    run_id: str
    reason: str


def check_dataset(dataset: Dataset) -> list[Finding]:
    """Findings over all runs, the worst first. An empty list means valid and quiet."""
    findings = [
        Finding("invalid", problem.path.name, problem.reason) for problem in dataset.problems
    ]
    for info in dataset.runs:
        if info.run.get("ended", "complete") != "complete":
            planned = info.run.get("cells_planned", "?")
            findings.append(
                Finding(
                    "warning",
                    info.run_id,
                    f"ended early ({info.run['ended']}) with {info.rows} of {planned} cells",
                )
            )
        if not info.finished:
            findings.append(
                Finding("warning", info.run_id, f"unfinished run with {info.rows} cells")
            )
    by_run: dict[str, list[dict[str, Any]]] = {}
    for row in read_table(dataset).to_pylist():
        by_run.setdefault(row["run_id"], []).append(row)
    for run_id, rows in by_run.items():
        findings += _invalid_rows(run_id, rows)
        findings += _loud_rows(run_id, rows)
    return sorted(findings, key=lambda finding: finding.severity != "invalid")


def _invalid_rows(run_id: str, rows: list[dict[str, Any]]) -> list[Finding]:
    tests: tuple[tuple[str, Callable[[Mapping[str, Any]], bool]], ...] = (
        ("unknown status", lambda row: row["status"] not in STATUSES),
        ("wrong result", lambda row: row["status"] == "wrong_result"),
        (
            "status ok without a positive median",
            lambda row: row["status"] == "ok" and not (row["median_s"] or 0) > 0,
        ),
        (
            "n differs from the number of samples",
            lambda row: row["status"] == "ok" and row["n"] != len(row["samples_s"] or ()),
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


def _loud_rows(run_id: str, rows: list[dict[str, Any]]) -> list[Finding]:
    timed = [row for row in rows if row["status"] == "ok"]
    if not timed:
        return [Finding("warning", run_id, "no cell has a time")]
    findings = []
    noisy = sum(bool(row["noisy"]) for row in timed)
    if noisy > _NOISY_SHARE * len(timed):
        findings.append(
            Finding(
                "warning",
                run_id,
                f"{noisy} of {len(timed)} cells are noisy: is the machine shared or busy?",
            )
        )
    stolen = [row for row in timed if (row["steal_fraction"] or 0) > _STEAL_FRACTION]
    if stolen:
        findings.append(
            Finding(
                "warning",
                run_id,
                f"the hypervisor took CPU time away in {len(stolen)} cells "
                f"(up to {max(row['steal_fraction'] for row in stolen):.0%})",
            )
        )
    throttled = [
        row for row in timed if THROTTLED & set((row["throttle_reasons"] or "").split(","))
    ]
    if throttled:
        reasons = sorted({row["throttle_reasons"] for row in throttled})
        findings.append(
            Finding(
                "warning", run_id, f"GPU throttled in {len(throttled)} cells: {'; '.join(reasons)}"
            )
        )
    lost = Counter(row["status"] for row in rows if row["status"] not in ("ok", "wrong_result"))
    for status, count in sorted(lost.items()):
        first = next(row for row in rows if row["status"] == status)
        findings.append(
            Finding(
                "warning", run_id, f"{count} cells {status}, first {_name(first)}: {first['error']}"
            )
        )
    return findings


def _name(row: Mapping[str, Any]) -> str:
    return (
        f"{row['workload']} {row['case']} size {row['size']} {row['dtype']} "
        f"{row['backend']}/{row['device']} {row['mode']}"
    )
