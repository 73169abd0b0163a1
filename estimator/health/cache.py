"""Findings kept on disk, so that a fleet is compared once for each state of its dataset.

``python -m estimator.health.cache PATH...`` compares in a process of its own, which gives its
memory back; the dashboard starts it for large datasets.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from collector.shipped import ROOT, shipped
from estimator.dataset.cache_directory import stamp_of, user_cache_directory
from estimator.dataset.measurements import Measurements, load
from estimator.health.rows import Finding
from estimator.health.tables import findings, peer_shifts

#: Datasets with more cells are compared in a process of their own.
MOST_CELLS_HERE = 50_000
_MOST_KEPT = 6
_CHILD_S = 600.0


@dataclass(frozen=True)
class Health:
    """What is kept: the findings, worst first, and the shifts against peers."""

    findings: tuple[Finding, ...]
    shifts: pd.DataFrame


def health_of(measurements: Measurements, paths: Sequence[Path]) -> Health:
    """From disk, or compared now and written there; ``paths``: where the dataset lies.

    A directory that cannot be written costs the next comparison, not this one.
    """
    path = _path(measurements.fingerprint)
    kept = _read(path)
    if kept is not None:
        return kept
    counted = measurements.query("SELECT count(*) AS cells FROM cells")["cells"]
    if int(counted.iloc[0]) > MOST_CELLS_HERE and _in_a_child(paths):
        kept = _read(path)
        if kept is not None:
            return kept
    return _compare(measurements)


def _compare(measurements: Measurements) -> Health:
    health = Health(tuple(findings(measurements)), peer_shifts(measurements))
    with contextlib.suppress(OSError, ValueError, TypeError):
        _write(_path(measurements.fingerprint), health)
    return health


def _in_a_child(paths: Sequence[Path]) -> bool:
    command = [sys.executable, "-m", "estimator.health.cache", *(str(p.resolve()) for p in paths)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=_CHILD_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _path(fingerprint: str) -> Path:
    return user_cache_directory() / f"health-{_code_stamp()}-{fingerprint[:32]}.json"


@cache
def _code_stamp() -> str:
    """What findings depend on beside the dataset: the checks and the data sheets."""
    package = ROOT / "estimator"
    return stamp_of(
        *(package / "health", package / "catalogue", package / "dataset" / "tables.py"),
        shipped("hardware.csv"),
    )


def _read(path: Path) -> Health | None:
    """None where there is no file or it is damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        found = tuple(
            Finding(**{**row, "since": _moment(row["since"])}) for row in kept["findings"]
        )
        shifts = pd.DataFrame(kept["shifts"])
        return Health(found, shifts.astype(dict.fromkeys(("low", "median", "high"), float)))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _write(path: Path, health: Health) -> None:
    """Whole or not at all."""
    rows = [
        {**vars(one), "since": None if one.since is None else one.since.isoformat()}
        for one in health.findings
    ]
    shifts = {str(name): list(map(_plain, values)) for name, values in health.shifts.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        text = json.dumps({"findings": rows, "shifts": shifts}, default=_plain)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    kept = sorted(path.parent.glob("health-*.json"), key=lambda file: file.stat().st_mtime)
    for old in kept[:-_MOST_KEPT]:
        old.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    _compare(load(*sys.argv[1:]))
