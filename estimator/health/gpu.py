"""GPUs slowed down, hot, or with a lower power limit or link than their peers and data sheet.

A throttled GPU is one cause: what follows from it belongs to that finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from collector.measure.telemetry import THROTTLED
from estimator.catalogue.hardware import match_gpu
from estimator.health.rows import Finding, Rows, Severity, below, number, peers_of, usual_of

#: Shares of the GPU's cells in which the driver slowed it down for heat or failing power.
THROTTLED_SHARE = (0.05, 0.005)
POWER_LIMIT = (0.9, 0.98)
#: Held at its power limit in so much larger a share of cells than its peers.
_POWER_CAP_EXCESS = 0.2
_HOT_C, _HOTTER_C = 87.0, 15.0
_CLOCK_OF_PEERS = 0.93


def gpu_findings(machines: Rows, reasons: pd.DataFrame, runs: pd.DataFrame) -> list[Finding]:
    """Every finding of this module; the tables are those of ``FleetTables``."""
    on_gpu = runs[(runs["device"] == "cuda") & runs["machine_id"].isin(machines)]
    return [
        *throttle_findings(machines, reasons, on_gpu),
        *heat_findings(machines, on_gpu),
        *fact_findings(machines, on_gpu),
    ]


def throttle_findings(machines: Rows, reasons: pd.DataFrame, runs: pd.DataFrame) -> list[Finding]:
    """The driver named heat or failing power; or the power limit holds it more than its peers."""
    found = []
    cells = runs.groupby("machine_id")["cells"].sum()
    throttle = reasons[reasons["kind"] == "throttle"]
    capped = {
        str(machine): float(rows["cells"].max()) / float(cells.get(machine, np.nan))
        for machine, rows in throttle[throttle["reason"].str.contains("power_cap")].groupby(
            "machine_id"
        )
    }
    slowed = {
        str(machine): min(1.0, float(rows["cells"].max()) / float(cells.get(machine, np.nan)))
        for machine, rows in throttle[throttle["reason"].map(_slows).astype(bool)].groupby(
            "machine_id"
        )
    }
    for machine, rows in throttle.groupby("machine_id", sort=True):
        total = int(cells.get(machine, 0))
        bad = rows[rows["reason"].map(_slows).astype(bool)]
        if len(bad) and total:
            share = slowed[str(machine)]
            beside = [slowed.get(peer, 0.0) for peer in peers_of(machines, str(machine))]
            usual = float(np.median(beside)) if len(beside) > 1 else 0.0
            severity: Severity = "note"
            if share >= THROTTLED_SHARE[0]:
                severity = "unwell"
            # what most of its peers have too is the type's
            elif share - usual >= THROTTLED_SHARE[1] and share > 2 * usual:
                severity = "look at it"
            named = ", ".join(f"{one.reason} ({one.cells})" for one in bad.itertuples())
            found.append(
                Finding(
                    machine_id=str(machine),
                    severity=severity,
                    check="throttled",
                    what="GPU slowed down by heat or failing power",
                    amount=f"in {100 * share:.2g} % of its cells",
                    size=share,
                    evidence=f"reasons that the driver named, with cells: {named}; of {total}",
                    advice="Check cooling, power supply and cables; lower the power limit until "
                    "it is repaired.",
                    sure="read from the driver",
                    since=_first(runs, str(machine), "throttled_share"),
                    cells=int(bad["cells"].max()),
                )
            )
        peers = [capped.get(peer, 0.0) for peer in peers_of(machines, str(machine))]
        own = capped.get(str(machine), 0.0)
        if len(peers) > 1 and own - float(np.median(peers)) > _POWER_CAP_EXCESS:
            found.append(
                Finding(
                    machine_id=str(machine),
                    severity="look at it",
                    check="power cap",
                    what="held at its power limit more often than its peers",
                    amount=f"in {100 * own:.0f} % of its cells, "
                    f"peers {100 * float(np.median(peers)):.0f} %",
                    size=own - float(np.median(peers)),
                    evidence=f"clock event reason power_cap in {own * total:.0f} of {total} cells",
                    advice="Compare the power limit with the peers' (nvidia-smi -q -d POWER).",
                    sure="read from the driver",
                    cells=total,
                    peers=len(peers),
                )
            )
    return found


def heat_findings(machines: Rows, runs: pd.DataFrame) -> list[Finding]:
    """Hot, or hotter than its peers; a lower median clock than theirs."""
    found = []
    hottest = runs.groupby("machine_id")["hottest_c"].max()
    clocks = runs.groupby("machine_id")["median_sm_clock_mhz"].median()
    for machine in sorted(set(runs["machine_id"])):
        peers = [peer for peer in peers_of(machines, machine) if peer in hottest.index]
        own, theirs = float(hottest[machine]), usual_of(hottest.reindex(peers))
        if own >= _HOT_C or (len(peers) > 1 and own - theirs > _HOTTER_C):
            found.append(
                Finding(
                    machine_id=machine,
                    severity="look at it",
                    check="hot",
                    what="GPU hotter than its peers" if len(peers) > 1 else "hot GPU",
                    amount=f"{own:.0f} °C" + (f", peers {theirs:.0f} °C" if len(peers) > 1 else ""),
                    size=max(own - (theirs if theirs == theirs else _HOT_C), 0.0) / 100,
                    evidence="highest temperature during a cell",
                    advice="Check the airflow and the fan before it slows the GPU down.",
                    sure="read from the driver",
                    peers=len(peers),
                )
            )
        clock, usual = float(clocks[machine]), usual_of(clocks.reindex(peers))
        if len(peers) > 1 and clock < _CLOCK_OF_PEERS * usual:
            found.append(
                Finding(
                    machine_id=machine,
                    severity="look at it",
                    check="clock",
                    what="GPU clock lower than its peers'",
                    amount=f"{clock:.0f} MHz, peers {usual:.0f} MHz",
                    size=usual / clock - 1,
                    evidence="median SM clock over the cells",
                    advice="Compare application clocks and persistence mode "
                    "(nvidia-smi -q -d CLOCK).",
                    sure="read from the driver",
                    peers=len(peers),
                )
            )
    return found


def fact_findings(machines: Rows, runs: pd.DataFrame) -> list[Finding]:
    """Power limit, PCIe lanes and generation below the peers', the data sheet's or the slot's."""
    found = []
    for machine, row in sorted(machines.items()):
        if not isinstance(row["gpu_model"], str) or not row["gpu_model"]:
            continue
        peers = peers_of(machines, machine)
        spec = match_gpu(row["gpu_model"])
        limit = number(row["power_limit_w"])
        usual = usual_of([machines[peer]["power_limit_w"] for peer in peers])
        compared = f"{len(peers)} peers" if usual == usual else "the data sheet"
        if usual != usual and spec is not None and spec.tdp_w:
            usual = spec.tdp_w
        severity = below(limit / usual, POWER_LIMIT)
        if severity is not None:
            found.append(
                Finding(
                    machine_id=machine,
                    severity=severity,
                    check="power limit",
                    what="power limit lower than that of " + compared,
                    amount=f"{limit:.0f} W, usual {usual:.0f} W",
                    size=usual / limit - 1,
                    evidence="enforced power limit in the fingerprint",
                    advice="If it is not on purpose, set it back (nvidia-smi -pl).",
                    sure="read from the driver",
                    peers=len(peers) if compared != "the data sheet" else 0,
                )
            )
        found += _lane_findings(machine, row, [machines[peer] for peer in peers], runs)
    return found


def _lane_findings(
    machine: str, row: Mapping[str, Any], peers: list[dict[str, Any]], runs: pd.DataFrame
) -> list[Finding]:
    seen = runs[runs["machine_id"] == machine]
    found = []
    for name, words in (("pcie_generation", "PCIe generation"), ("pcie_width", "PCIe lanes")):
        able = number(row[name])
        own = float(np.fmin(number(seen[name].max()) if len(seen) else np.nan, able))
        usual = usual_of([peer[name] for peer in peers])
        best = float(np.fmax(able, usual))
        if own < best:
            whose = "than its slot and GPU allow" if own < able else "than its peers have"
            found.append(
                Finding(
                    machine_id=machine,
                    severity="unwell",
                    check=name.replace("_", " "),
                    what=f"fewer {words} {whose}" if "lanes" in words else f"lower {words} {whose}",
                    amount=f"{own:.0f} instead of {best:.0f}",
                    size=best / own - 1 if own else 1.0,
                    evidence="highest value seen during its cells, and the fingerprint's",
                    advice="Reseat the card or riser; check the slot's setting in the firmware.",
                    sure="read from the driver",
                    peers=len(peers),
                )
            )
    return found


def _slows(reason: str) -> bool:
    """Heat or failing power, by the collector's name or the driver's (``..._slowdown``)."""
    return reason in THROTTLED or reason.removesuffix("_slowdown") in THROTTLED


def _first(runs: pd.DataFrame, machine: str, column: str) -> Any:
    """Start of the first run in which the column is above zero."""
    seen = runs[(runs["machine_id"] == machine) & (runs[column] > 0)]["started_at"]
    return seen.min() if len(seen) and seen.notna().any() else None


#: From this share of throttled cells on, medians over a machine's cells show the throttling.
_LEAST_SHARE = 0.25
#: A copy slows down as the rest does, within this factor; more is a cause of its own.
_LIKE_THE_REST = 1.5
_NOISE_MARGIN = 0.1
_SLOWER = ("slower gpu kernel", "slower gpu host")
_SAME = frozenset({*_SLOWER, "drift between cuda", "drift along cuda", "clock"})


def absorb_consequences(findings: Iterable[Finding]) -> list[Finding]:
    """Of a machine whose GPU is throttled in many cells: one finding with what follows from it.

    That is: slower kernels, drift and clock of the GPU; noise in no larger a share of cells than
    are throttled; a link or memory that is slower by no more than the kernels. The size of the
    finding is the largest of these slowdowns, or the share of cells.
    """
    found = list(findings)
    throttled = {
        one.machine_id: one
        for one in found
        if one.check == "throttled" and one.severity == "unwell" and one.size >= _LEAST_SHARE
    }
    slowed = dict.fromkeys(throttled, 0.0)
    for one in found:
        if one.machine_id in throttled and one.check in _SLOWER:
            slowed[one.machine_id] = max(slowed[one.machine_id], one.size)
    kept: list[Finding] = []
    follows: dict[str, list[Finding]] = {machine: [] for machine in throttled}
    for one in found:
        cause = throttled.get(one.machine_id)
        if cause is None or one is cause:
            if cause is None:
                kept.append(one)
        elif _follows(one, cause.size, slowed[one.machine_id]):
            follows[one.machine_id].append(one)
        else:
            kept.append(one)
    return kept + [_with(cause, follows[machine]) for machine, cause in throttled.items()]


def _follows(one: Finding, share: float, slowdown: float) -> bool:
    if one.check == "noise cuda":
        return one.size <= share + _NOISE_MARGIN
    if one.check.startswith(("link ", "memory ")):
        return one.severity != "note" and one.size <= _LIKE_THE_REST * slowdown
    return one.check in _SAME or (
        one.check.startswith(_SLOWER) and one.size <= _LIKE_THE_REST * slowdown
    )


def _with(cause: Finding, follows: list[Finding]) -> Finding:
    if not follows:
        return cause
    order = sorted(follows, key=lambda one: (one.check not in _SLOWER, one.check, -one.size))
    told = "; ".join(f"{one.what}, {one.amount}" for one in order)
    return replace(
        cause,
        evidence=f"{cause.evidence}; it explains: {told}",
        size=max([cause.size, *(one.size for one in follows)]),
        peers=max([cause.peers, *(one.peers for one in follows)]),
    )
