"""Which machine is unwell: injected faults are found, a healthy fleet is left in peace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.commands.cli import main
from estimator.dataset.measurements import load
from estimator.health import check as health_cache
from estimator.health.check import findings, first_of_the_rest, peer_shifts
from estimator.health.peers import peer_findings
from estimator.health.rows import Finding, findings_frame, ranked, severity_of, unwell_machines
from estimator.health.sheet import link_rate
from tests.estimator.made_up_fleet import flagged, slower, write_fleet


def found_in(root: Path) -> list[Finding]:
    return findings(load(root))


def serious(root: Path) -> dict[str, list[Finding]]:
    by_machine: dict[str, list[Finding]] = {}
    for one in found_in(root):
        if one.severity != "note":
            by_machine.setdefault(one.machine_id, []).append(one)
    return by_machine


@pytest.mark.parametrize("seed", [0, 100])
def test_healthy_fleet_of_twenty_has_nobody_unwell(tmp_path: Path, seed: int) -> None:
    """Twenty machines that differ as machines of one type do: no finding but notes."""
    assert serious(write_fleet(tmp_path, 20, seed=seed)) == {}


def test_machine_that_is_eight_percent_slower_is_unwell(tmp_path: Path) -> None:
    """One cause gives one finding for each kind of work, with an interval about 8 %."""
    root = write_fleet(tmp_path, 20, {7: [slower(1.08, device="cuda")]})
    found = serious(root)
    assert set(found) == {"m007"}
    kernels = next(one for one in found["m007"] if one.check == "slower gpu kernel")
    assert kernels.severity == "unwell"
    assert kernels.size == pytest.approx(0.08, abs=0.01)
    assert kernels.peers == 19
    assert kernels.cells >= 20
    assert not any("matmul" in one.check for one in found["m007"])


def test_one_slow_family_is_named(tmp_path: Path) -> None:
    """Where only one family is slow the others are not blamed."""
    root = write_fleet(tmp_path, 8, {2: [slower(1.2, device="cuda", workload="fft")]})
    assert {one.check for one in serious(root)["m002"]} >= {"slower gpu kernel fft"}
    assert set(serious(root)) == {"m002"}


def test_half_the_pcie_rate_is_a_slow_link(tmp_path: Path) -> None:
    """Copies at half the peers' rate: the machine is unwell, and the finding says how slow."""
    found = serious(write_fleet(tmp_path, 6, {3: [slower(2.0, workload="transfer")]}))
    assert set(found) == {"m003"}
    link = next(one for one in found["m003"] if one.check == "link pinned")
    assert link.severity == "unwell"
    assert link.amount.startswith(("49", "50", "51"))


def test_throttled_machine_is_unwell(tmp_path: Path) -> None:
    """A GPU that the driver slows down for heat in a tenth of its cells."""
    faults = [flagged(0.1, throttle_reasons="hw_thermal,hw_slowdown", temperature_c=88.0)]
    found = serious(write_fleet(tmp_path, 4, {1: faults}))
    assert set(found) == {"m001"}
    checks = {one.check: one for one in found["m001"]}
    assert checks["throttled"].severity == "unwell"
    assert checks["throttled"].size == pytest.approx(0.1, abs=0.01)
    assert checks["hot"].severity == "look at it"


def test_power_limit_as_reason_for_a_lower_clock_is_no_finding(tmp_path: Path) -> None:
    """A GPU at its power limit under load does what it should, as its peers do."""
    faults = {number: [flagged(0.1, throttle_reasons="power_cap")] for number in range(4)}
    assert serious(write_fleet(tmp_path, 4, faults)) == {}


def test_noisy_machine_is_unwell(tmp_path: Path) -> None:
    """Two thirds of the GPU's cells flagged noisy where peers have none."""
    faults = [flagged(0.67, noisy=True, noise_reasons="spread,unsteady")]
    found = serious(write_fleet(tmp_path, 5, {0: faults}))
    assert set(found) == {"m000"}
    assert [one.check for one in found["m000"]] == ["noise cuda"]
    assert found["m000"][0].severity == "unwell"
    assert "spread" in found["m000"][0].evidence


def test_shared_gpu_and_stolen_time_are_to_be_looked_at(tmp_path: Path) -> None:
    """Signs that somebody else uses the machine."""
    faults = [
        flagged(0.2, noisy=True, noise_reasons="shared_gpu"),
        flagged(0.1, noisy=True, noise_reasons="steal,shared_gpu"),
    ]
    found = serious(write_fleet(tmp_path, 3, {0: faults}))
    assert {"shared gpu", "steal"} <= {one.check for one in found["m000"]}


@pytest.mark.parametrize(
    ("facts", "check", "severity"),
    [
        ({"power_limit_w": 350.0}, "power limit", "unwell"),
        ({"power_limit_w": 650.0}, "power limit", "look at it"),
        ({"pcie_width": 8}, "pcie width", "unwell"),
        ({"pcie_generation": 3}, "pcie generation", "unwell"),
    ],
)
def test_facts_below_the_peers(
    tmp_path: Path, facts: dict[str, Any], check: str, severity: str
) -> None:
    """Power limit, lanes and generation of the link are compared with the peers'."""
    found = serious(write_fleet(tmp_path, 4, facts={2: facts}))
    assert set(found) == {"m002"}
    assert [(one.check, one.severity) for one in found["m002"]] == [(check, severity)]


def test_wrong_result_where_peers_are_right_is_unwell(tmp_path: Path) -> None:
    """Four wrong results on cells that the peers computed well."""
    broken = {"status": "wrong_result", "median_s": None, "error": "off by 3", "samples_s": []}
    found = serious(write_fleet(tmp_path, 3, {1: [flagged(0.04, **broken)]}))
    assert [(one.check, one.severity) for one in found["m001"]] == [
        ("failed wrong_result", "unwell")
    ]


def test_slow_since_the_run_that_shows_it(tmp_path: Path) -> None:
    """A machine that became slow says since when."""
    root = write_fleet(tmp_path, 6, {4: [slower(1.5, device="cuda")]}, runs=3)
    kernels = next(one for one in serious(root)["m004"] if one.check == "slower gpu kernel")
    assert kernels.since is not None
    assert f"{kernels.since:%Y-%m-%d}" == "2026-03-06"


def test_repeated_operation_that_got_slower_between_runs(tmp_path: Path) -> None:
    """The anchor alone tells drift between runs, without any peer."""
    root = write_fleet(tmp_path, 1, {0: [slower(1.12, workload="anchor", device="cuda")]}, runs=4)
    found = serious(root)["m000"]
    assert [one.check for one in found] == ["drift between cuda"]
    assert found[0].since is not None
    assert f"{found[0].since:%Y-%m-%d}" == "2026-03-07"


def test_machine_without_peers_says_so(tmp_path: Path) -> None:
    """With nobody to compare with there is a note that the data sheet is all there is."""
    found = found_in(write_fleet(tmp_path, 1))
    alone = next(one for one in found if one.check == "alone")
    assert alone.severity == "note"
    assert "data sheet only" in alone.evidence
    assert not [one for one in found if one.check.startswith("slower")]


def test_shifts_are_against_the_median_of_the_others(tmp_path: Path) -> None:
    """The SQL's leave-one-out medians are those of numpy, for even and odd counts of peers."""
    for count in (2, 3, 4, 5):
        root = write_fleet(tmp_path / str(count), count)
        measurements = load(root)
        cells = measurements.query(
            "SELECT machine_id, cell_id, ln(last_median_s) AS x FROM cells "
            "WHERE device = 'cpu' AND workload = 'matmul' AND mode <> 'first_call'"
        )
        table = cells.pivot_table(index="cell_id", columns="machine_id", values="x")
        shifts = peer_shifts(measurements)
        for machine in table.columns:
            others = table.drop(columns=machine).median(axis=1)
            expected = float((table[machine] - others).median())
            row = shifts[(shifts["machine_id"] == machine) & (shifts["kind"] == "cpu")]
            row = row[row["workload"] == "matmul"]
            assert float(row["median"].iloc[0]) == pytest.approx(expected, abs=1e-12)
            assert int(row["peers"].iloc[0]) == count - 1


def _shifts(values: dict[str, float], scatter: float = 0.01, cells: int = 20) -> pd.DataFrame:
    rows = [
        {
            "machine_id": machine,
            "group": "g",
            "kind": "gpu kernel",
            "workload": workload,
            "cells": cells,
            "peers": len(values) - 1,
            "low": value - scatter,
            "median": value,
            "high": value + scatter,
        }
        for machine, value in values.items()
        for workload in ("a", "b", "c", "d")
    ]
    return pd.DataFrame(rows)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-0.01, 0.01), min_size=3, max_size=30),
    st.floats(0.0, 0.015),
)
def test_small_differences_are_never_a_finding(others: list[float], own: float) -> None:
    """Below the smallest effect of interest nobody is called slow, however sure it is."""
    values = {f"m{index}": value for index, value in enumerate(others)} | {"own": own}
    assert peer_findings(_shifts(values, scatter=1e-6)) == []


@settings(max_examples=60, deadline=None)
@given(st.floats(0.12, 3.0), st.integers(5, 40), st.integers(0, 2**32 - 1))
def test_large_difference_from_many_alike_is_always_found(
    shift: float, count: int, seed: int
) -> None:
    """One machine far beyond what the others differ in is unwell, and only that one."""
    random = np.random.default_rng(seed)
    values = {f"m{index}": float(random.normal(0, 0.004)) for index in range(count)}
    found = peer_findings(_shifts(values | {"own": shift}))
    assert unwell_machines(found) == ["own"]


@given(st.floats(0, 1), st.floats(0, 10))
def test_severity_grows_with_sureness_and_size(rate: float, slowdown: float) -> None:
    """A surer and larger difference is never of a milder severity."""
    order = [None, "look at it", "unwell"]
    here = order.index(severity_of(rate, slowdown))
    assert order.index(severity_of(rate / 2, slowdown * 2)) >= here


@given(st.lists(st.floats(-1, 1), max_size=8), st.floats(0.01, 0.5))
def test_since_is_the_first_of_an_unbroken_rest(shifts: list[float], least: float) -> None:
    """Every entry from the named one on is large; the one before is not."""
    dates = list(range(len(shifts)))
    since = first_of_the_rest(dates, shifts, least)
    if since is None:
        assert not shifts or shifts[-1] < least
    else:
        assert min(shifts[since:]) >= least  # type: ignore[misc]
        assert since == 0 or shifts[since - 1] < least  # type: ignore[operator]


def test_nominal_link_is_the_slower_of_slot_and_sheet() -> None:
    """PCIe 4.0 x16 gives 31.5 GB/s one way; an unknown slot leaves the data sheet's rate."""
    slot = {"gpu_model": "NVIDIA H200", "pcie_generation": 4, "pcie_width": 16}
    assert link_rate(slot) == pytest.approx(31.5e9, rel=0.001)
    unknown = slot | {"pcie_generation": None, "pcie_width": None}
    assert link_rate(unknown) == pytest.approx(64e9, rel=0.02)
    assert np.isnan(link_rate(unknown | {"gpu_model": "nobody's"}))


def test_findings_are_ranked_by_severity_then_size() -> None:
    """The worst comes first; a table keeps the order."""

    def one(severity: Any, size: float) -> Finding:
        return Finding("m", severity, "c", "w", "", size, "", "", "")

    order = ranked([one("note", 9), one("unwell", 0.1), one("look at it", 2), one("unwell", 0.5)])
    assert [(f.severity, f.size) for f in order] == [
        ("unwell", 0.5),
        ("unwell", 0.1),
        ("look at it", 2),
        ("note", 9),
    ]
    assert list(findings_frame(order)["size"]) == [0.5, 0.1, 2, 9]
    assert list(findings_frame([]).columns) == list(findings_frame(order).columns)


def test_findings_are_kept_until_the_dataset_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second question reads a file; what it gives is the same, dates and shifts included."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = write_fleet(tmp_path / "runs", 4, {1: [slower(1.5, device="cuda")]})
    first = health_cache.health_of(load(root), [root])
    monkeypatch.setattr(health_cache, "findings", None)
    again = health_cache.health_of(load(root), [root])
    assert again.findings == first.findings
    assert any(one.since is not None for one in again.findings)
    pd.testing.assert_frame_equal(again.shifts, first.shifts, check_dtype=False)


def test_large_dataset_is_compared_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child writes what the dashboard then reads."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(health_cache, "MOST_CELLS_HERE", 10)
    root = write_fleet(tmp_path / "runs", 2)
    expected = findings(load(root))
    monkeypatch.setattr(health_cache, "findings", None)
    assert list(health_cache.health_of(load(root), [root]).findings) == expected


def test_damaged_file_is_compared_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read counts as absent."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = write_fleet(tmp_path / "runs", 2)
    first = health_cache.health_of(load(root), [root])
    for file in (tmp_path / "cache").rglob("health-*.json"):
        file.write_text("{", encoding="utf-8")
    assert health_cache.health_of(load(root), [root]).findings == first.findings


def test_command_lists_findings_and_fails_only_if_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report ends with 0; --fail gives 1 where a machine is unwell; --json has the same."""
    root = write_fleet(tmp_path, 4, facts={2: {"pcie_width": 4}})
    assert main(["health", "--data", str(root)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("1 of 4 machines unwell")
    assert "fewer PCIe lanes" in text
    assert "m002" in text
    assert main(["health", "--data", str(root), "--fail"]) == 1
    capsys.readouterr()
    assert main(["health", "--data", str(root), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["unwell"] == ["m002"]
    assert report["findings"][0]["check"] == "pcie width"
    assert main(["health", "--data", str(root), "--machine", "m001", "--fail"]) == 0
    assert capsys.readouterr().out.startswith("0 of 1 machines unwell")
    assert main(["health", "--data", str(root), "--machine", "nobody"]) == 2
    assert "no machine 'nobody'" in capsys.readouterr().err
