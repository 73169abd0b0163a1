"""A type is no machine, one cause is one finding, and a drift beside peers is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.dataset.measurements import load
from estimator.health.check import findings
from estimator.health.drift import drift_beside_peers, drift_findings
from estimator.health.gpu import absorb_consequences
from estimator.health.rows import Finding
from estimator.health.sheet import link_sheet_findings, memory_findings
from tests.estimator.made_up_fleet import Row, flagged, slower, write_fleet


def fleet(count: int, gpu: str = "NVIDIA L4", cpu: str = "made up") -> dict[str, dict[str, Any]]:
    return {
        f"m{number:02d}": {
            "machine_id": f"m{number:02d}",
            "gpu_model": gpu,
            "cpu_model": cpu,
            "physical_cores": 8,
            "pcie_generation": None,
            "pcie_width": None,
        }
        for number in range(count)
    }


def test_a_whole_type_below_its_sheet_is_one_note() -> None:
    """Twenty machines alike at a fifth of the nominal rate: the type, not twenty broken slots."""
    best = dict.fromkeys(fleet(20), (6.2e9, 10))
    (note,) = link_sheet_findings(fleet(20), best)
    assert (note.severity, note.machine_id, note.peers) == ("note", "m00", 19)
    assert "all of its type" in note.what
    assert "20 machines" in note.evidence


def test_a_lone_machine_below_its_sheet_is_to_be_looked_at() -> None:
    """With nobody to compare with, the data sheet is what is left: never more than a hint."""
    (one,) = link_sheet_findings(fleet(1), {"m00": (3e9, 10)})
    assert (one.severity, one.peers) == ("look at it", 0)
    assert link_sheet_findings(fleet(1), {"m00": (28e9, 10)}) == []


def test_memory_slower_than_that_of_its_peers_is_unwell() -> None:
    """One GPU whose memory reaches half of what its peers' do; the type itself is as on paper."""
    rates = [2.7e11] * 5 + [1.3e11]
    machines = fleet(6)
    table = pd.DataFrame({"machine_id": list(machines), "rate": rates, "cells": 5})
    found = memory_findings(machines, table)
    assert [(one.machine_id, one.severity) for one in found] == [("m05", "unwell")]
    alike = memory_findings(machines, table.assign(rate=1.3e11))
    assert [one.severity for one in alike] == ["note"]


@pytest.mark.parametrize("reason", ["sw_thermal", "sw_thermal_slowdown"])
def test_a_throttled_gpu_is_one_finding_with_what_follows_from_it(
    tmp_path: Path, reason: str
) -> None:
    """Slow kernels, slow copies and noise are consequences; the cause comes first, and alone."""
    throttle = flagged(0.7, throttle_reasons=reason, noisy=True, noise_reasons="throttled")
    root = write_fleet(tmp_path, 6, {2: [throttle, slower(1.6, device="cuda")]})
    found = [one for one in findings(load(root)) if one.severity != "note"]
    assert [(one.machine_id, one.check) for one in found] == [("m002", "throttled")]
    assert "GPU kernels" in found[0].evidence
    assert "noisier" in found[0].evidence
    assert found[0].size >= 0.5


def made(check: str, size: float, machine: str = "m") -> Finding:
    return Finding(machine, "unwell", check, check, "", size, "", "", "")


def test_a_cause_of_its_own_is_not_absorbed() -> None:
    """A link at a quarter of the rate, noise of the processor, or another machine stay."""
    cause, slow = made("throttled", 0.7), made("slower gpu kernel", 0.6)
    others = [made("link pinned", 3.0), made("noise cpu", 0.3), made("noise cuda", 0.6, "other")]
    kept = absorb_consequences([cause, slow, *others])
    assert {(one.machine_id, one.check) for one in kept} == {
        ("m", "throttled"),
        *((one.machine_id, one.check) for one in others),
    }
    rarely = replace(cause, size=0.06)
    assert absorb_consequences([rarely, slow]) == [rarely, slow]


def test_a_little_heat_that_all_have_is_a_note(tmp_path: Path) -> None:
    """Two per cent of the cells on every machine of a type: no machine of it stands out."""
    faults = {number: [flagged(0.02, throttle_reasons="sw_thermal")] for number in range(5)}
    checks = [one for one in findings(load(write_fleet(tmp_path, 5, faults))) if one.size]
    assert {one.severity for one in checks if one.check == "throttled"} == {"note"}


Pattern = Callable[[str, int], float]


def anchors(machines: list[str], pattern: Pattern, runs: int = 6, seed: int = 0) -> pd.DataFrame:
    """Five repetitions a run; ``pattern``: what a machine takes at a repetition, in seconds."""
    random = np.random.default_rng(seed)
    begin = datetime(2026, 1, 2, tzinfo=UTC)
    rows: list[Row] = [
        {
            "machine_id": machine,
            "run_id": f"{machine}-{run}",
            "started_at": begin + timedelta(days=run),
            "device": "cpu",
            "backend": "numpy",
            "threads": 8,
            "repetition": place + 1,
            "median_s": pattern(machine, place) * float(np.exp(random.normal(0, 0.02))),
        }
        for machine in machines
        for run in range(runs)
        for place in range(5)
    ]
    return pd.DataFrame(rows)


COLD_START = (0.60, 1.0, 1.2, 0.96, 0.98)


@given(st.integers(4, 12), st.integers(0, 1000))
def test_six_per_cent_a_repetition_beyond_the_peers_is_found(count: int, seed: int) -> None:
    """All have the same pattern along a run; one is slower by 6 % more at each repetition."""
    machines = fleet(count)
    table = anchors(
        list(machines),
        lambda name, place: COLD_START[place] * (1 + 0.06 * place * (name == "m01")),
        seed=seed,
    )
    found, judged = drift_beside_peers(machines, table)
    assert [one.machine_id for one in found] == ["m01"]
    assert found[0].size == pytest.approx(0.17, abs=0.06)
    assert f"{found[0].since:%Y-%m-%d}" == "2026-01-02"
    assert len(judged) == count
    assert not [one for one in drift_findings(table, judged) if "along" in one.check]


def test_a_pattern_that_all_peers_have_is_no_drift() -> None:
    """Every machine of the type starts cold: nobody stands out, however large the pattern."""
    table = anchors(list(fleet(10)), lambda _, place: COLD_START[place])
    assert drift_beside_peers(fleet(10), table)[0] == []


def test_a_steady_drift_of_a_lone_machine_is_found() -> None:
    """Without peers the trend itself must not count as scatter of the repetitions."""
    table = anchors(["m00"], lambda _, place: 1 + 0.06 * place)
    assert drift_beside_peers(fleet(1), table) == ([], set())
    assert [one.check for one in drift_findings(table)] == ["drift along cpu"]
