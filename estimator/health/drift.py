"""Drift of the repeated operation, and rows without a time: what a machine's runs say over time.

Along a run any machine may follow a pattern: it warms up, and the first repetition starts cold.
So with peers enough a machine's slowdown from the first half of a run to the last is judged
beside theirs; without them it is judged alone.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from estimator.health.rows import MADN, Finding, Rows, Severity, peer_key

#: More slowdown along a run than peers have: unwell from the first, to be looked at from the last.
DRIFT = (0.15, 0.05)
DEVIATIONS = 4.0
#: Fewer repetitions have no halves, fewer peers no spread.
FEWEST_REPETITIONS = 4
FEWEST_PEERS = 3
_LATEST_RUNS = 5
_MEDIAN_LOSS = 1.2533  # standard error of a median over that of a mean

#: machine_id, device, backend, threads
Place = tuple[str, str, str, int]
PLACE = ["machine_id", "device", "backend", "threads"]


def slowdowns_along(anchors: pd.DataFrame) -> pd.DataFrame:
    """Per machine and place: how much slower the last half of a run is than the first, ln.

    ``anchors`` as in ``FleetTables``. Columns: those of ``PLACE``, slowdown (median of the latest
    runs'), error (its standard error from the runs; 0 for one run), runs, repetitions (of the last
    run), history (start and slowdown of each run). Runs with few repetitions are left out.
    """
    usable = anchors[(anchors["median_s"] > 0) & anchors["started_at"].notna()]
    usable = usable.assign(log=np.log(usable["median_s"].astype(float)))
    usable = usable.sort_values(["started_at", "run_id", "repetition"], kind="stable")
    rows = []
    for place, of_place in usable.groupby(PLACE, sort=True):
        halves = []
        for _, of_run in of_place.groupby("run_id", sort=False):
            values = of_run["log"].to_numpy(dtype=float)
            half = len(values) // 2
            if len(values) >= FEWEST_REPETITIONS:
                change = float(np.median(values[-half:]) - np.median(values[:half]))
                halves.append((change, len(values), of_run["started_at"].iloc[0]))
        latest = halves[-_LATEST_RUNS:]
        if latest:
            changes = np.array([change for change, _, _ in latest])
            middle = float(np.median(changes))
            scatter = MADN * float(np.median(np.abs(changes - middle)))
            rows.append(
                {
                    **dict(zip(PLACE, place, strict=True)),
                    "slowdown": middle,
                    "error": _MEDIAN_LOSS * scatter / np.sqrt(len(changes)),
                    "runs": len(changes),
                    "repetitions": latest[-1][1],
                    "history": [(at, change) for change, _, at in halves],
                }
            )
    names = [*PLACE, "slowdown", "error", "runs", "repetitions", "history"]
    return pd.DataFrame(rows, columns=names)


def drift_beside_peers(machines: Rows, anchors: pd.DataFrame) -> tuple[list[Finding], set[Place]]:
    """Machines that get slower along a run than their peers do, and all places judged so.

    Peers have the same GPU, or the same processor with its cores, library and threads.
    """
    table = slowdowns_along(anchors[anchors["machine_id"].isin(machines)])
    table["part"] = [
        str(machines[machine]["gpu_model"])
        if device == "cuda"
        else " | ".join(peer_key(machines[machine])[:2])
        for machine, device in zip(table["machine_id"], table["device"], strict=True)
    ]
    found: list[Finding] = []
    judged: set[Place] = set()
    for _, alike in table.groupby(["part", "device", "backend", "threads"], sort=True):
        if len(alike) <= FEWEST_PEERS:
            continue
        changes = alike["slowdown"].to_numpy(dtype=float)
        for index, row in enumerate(alike.to_dict("records")):
            judged.add((row["machine_id"], row["device"], row["backend"], row["threads"]))
            finding = _beside(row, np.delete(changes, index))
            if finding is not None:
                found.append(finding)
    return found, judged


def _beside(row: dict[Any, Any], others: Any) -> Finding | None:
    usual = float(np.median(others))
    deviation = float(np.hypot(MADN * np.median(np.abs(others - usual)), row["error"]))
    excess = float(row["slowdown"]) - usual
    slower = float(np.expm1(excess))
    if not slower >= max(DRIFT[1], float(np.expm1(DEVIATIONS * deviation))):
        return None
    runs, since = int(row["runs"]), None
    for at, change in reversed(row["history"]):
        if change - usual < excess / 2:
            break
        since = at
    return Finding(
        machine_id=str(row["machine_id"]),
        severity="unwell" if slower >= DRIFT[0] else "look at it",
        check=f"drift along {row['device']}",
        what="gets slower along a run than its peers do: "
        + ("GPU" if row["device"] == "cuda" else "processor"),
        amount=f"{100 * slower:.1f} % more from the first half to the last",
        size=slower,
        evidence=f"one operation repeated {row['repetitions']} times in a run; median of its "
        f"latest {runs} run{'s' if runs > 1 else ''}; peers {100 * np.expm1(usual):+.1f} %",
        advice="Watch temperature, clock and other load while it works.",
        sure=f"more than {DEVIATIONS:.0f} deviations of the peers and of its runs",
        since=since,
        cells=int(row["repetitions"]) * runs,
        peers=len(others),
    )


#: Rows without a time that no missing library explains, as a share of what was tried.
FAILED_SHARE = (0.05, 0.01)

_WORDS = {
    "wrong_result": "wrong results",
    "crashed": "crashes",
    "timeout": "timeouts",
    "out_of_memory": "out of memory",
}


def drift_findings(anchors: pd.DataFrame, beside: Collection[Place] = ()) -> list[Finding]:
    """The repeated operation gets slower along a run, or stays slower from some run on.

    ``beside``: places whose slowdown along a run is judged beside peers.
    """
    found = []
    places = ["machine_id", "device", "backend", "threads"]
    usable = anchors[(anchors["median_s"] > 0) & anchors["started_at"].notna()]
    usable = usable.assign(log=np.log(usable["median_s"].astype(float)))
    usable = usable.sort_values(["started_at", "run_id", "repetition"], kind="stable")
    in_order = usable.sort_values(places, kind="stable")
    entries = zip(
        *(in_order[name] for name in (*places, "run_id", "started_at", "log")), strict=True
    )
    for named, of_place in groupby(entries, key=lambda entry: entry[:4]):
        machine, device = named[:2]
        runs = []
        for _, of_run in groupby(of_place, key=lambda entry: entry[4]):
            repetitions = list(of_run)
            runs.append((repetitions[0][5], np.array([entry[6] for entry in repetitions])))
        deviation = _deviation([values for _, values in runs])
        place = "GPU" if device == "cuda" else "processor"
        for finding in (
            None if named in beside else _along(str(machine), str(device), place, runs, deviation),
            _between_runs(str(machine), str(device), place, runs, deviation),
        ):
            if finding is not None:
                found.append(finding)
    return found


def _deviation(runs: list[Any]) -> float:
    """Of one repetition within its run, log units, pooled; a steady trend does not count."""
    steps = np.concatenate([np.diff(values) for values in runs] or [np.zeros(0)])
    if not len(steps):
        return math.nan
    about = np.abs(steps - np.median(steps)) if len(steps) > 2 else np.abs(steps)
    return MADN * float(np.median(about)) / math.sqrt(2.0)


def _along(
    machine: str, device: str, place: str, runs: list[Any], deviation: float
) -> Finding | None:
    """The last run that has repetitions enough: its second half against its first."""
    long = [(at, values) for at, values in runs if len(values) >= FEWEST_REPETITIONS]
    if not long:
        return None
    at, values = long[-1]
    half = len(values) // 2
    slower = float(np.expm1(np.median(values[-half:]) - np.median(values[:half])))
    severity = _drift_severity(slower, deviation, half)
    if severity is None:
        return None
    return Finding(
        machine_id=machine,
        severity=severity,
        check=f"drift along {device}",
        what=f"gets slower along a run: {place}",
        amount=f"{100 * slower:.1f} % from the first half to the last",
        size=slower,
        evidence=f"one operation repeated {len(values)} times in its last run",
        advice="Watch temperature, clock and other load while it works.",
        sure=f"more than {DEVIATIONS:.0f} deviations of the repetitions",
        since=at,
        cells=len(values),
    )


def _between_runs(
    machine: str, device: str, place: str, runs: list[Any], deviation: float
) -> Finding | None:
    """All runs from some date on slower than all before."""
    if len(runs) < 2:
        return None
    middles = np.array([float(np.median(values)) for _, values in runs])
    counts = np.array([len(values) for _, values in runs])
    best: tuple[float, int] | None = None
    for split in range(1, len(runs)):
        gap = float(middles[split:].min() - middles[:split].max())
        step = float(np.median(middles[split:]) - np.median(middles[:split]))
        if gap > 0 and (best is None or step > best[0]):
            best = (step, split)
    if best is None:
        return None
    step, split = best
    slower = float(np.expm1(step))
    severity = _drift_severity(
        slower, deviation, int(min(counts[:split].sum(), counts[split:].sum()))
    )
    if severity is None:
        return None
    after = len(runs) - split
    return Finding(
        machine_id=machine,
        severity=severity if after > 1 else "look at it",
        check=f"drift between {device}",
        what=f"slower than in its earlier runs: {place}",
        amount=f"{100 * slower:.1f} % longer",
        size=slower,
        evidence=f"one operation repeated in each run; runs before: {split}, since: {after}",
        advice="Ask what changed that day: driver, cooling, neighbours; compare the runs "
        "(python -m collector compare).",
        sure=f"all runs since are slower than all before, by more than {DEVIATIONS:.0f} deviations",
        since=runs[split][0],
        cells=int(counts.sum()),
    )


def _drift_severity(slower: float, deviation: float, count: int) -> Severity | None:
    error = deviation * np.sqrt(np.pi / max(count, 1))  # of the difference of two medians
    if not slower > max(DRIFT[1], float(np.expm1(DEVIATIONS * error))):
        return None
    return "unwell" if slower >= DRIFT[0] else "look at it"


def failure_findings(failures: pd.DataFrame) -> list[Finding]:
    """Wrong results, crashes, timeouts: most telling where a peer measured the same cells."""
    found = []
    for row in failures.to_dict("records"):
        count, tried = int(row["cells"]), int(row["tried"])
        right = int(row["peers_right"])
        share = count / max(tried, 1)
        wrong = row["status"] == "wrong_result"
        severity: Severity = "note"
        if right and ((wrong and right >= 3) or share >= FAILED_SHARE[0]):
            severity = "unwell"
        elif (right and wrong) or share >= FAILED_SHARE[1]:
            severity = "look at it"
        compared = f"{right} of them measured well by a peer" if row["peers"] else "no peer"
        found.append(
            Finding(
                machine_id=str(row["machine_id"]),
                severity=severity,
                check=f"failed {row['status']}",
                what=_WORDS.get(str(row["status"]), str(row["status"])),
                amount=f"{count} of {tried} rows",
                size=share,
                evidence=f"{compared}; families: {row['families']}",
                advice="Test the memory (nvidia-smi -q -d ECC, memtest) where a peer is right; "
                "else report the library."
                if wrong
                else "Read the errors on page Overview.",
                sure="checked against a float64 reference" if wrong else "recorded",
                since=row["first_at"],
                cells=count,
                peers=int(row["peers"]),
            )
        )
    return found
