"""Does a machine get slower along a run where its peers do not?

Along a run any machine may follow a pattern: it warms up, and the first repetition starts cold.
So with peers enough a machine's slowdown from the first half of a run to the last is judged
beside theirs; without them ``health_history`` judges it alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from estimator.findings import Finding
from estimator.fleet_rows import MADN, Rows, peer_key

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
