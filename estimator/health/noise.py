"""Noisier than its peers, or used by somebody else.

Peers are machines with the same GPU for what runs on it, and with the same processor and cores
for the rest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from estimator.health.rows import MADN, Finding, Rows, peer_key

#: Noisy cells: share beyond the peers' median that is to be looked at, and unwell if half of the
#: machine's cells are noisy too; nothing is said within 4 deviations of the peers.
NOISE_EXCESS = (0.30, 0.15)
#: A run with fewer cells on a device says too little about its noise.
_FEWEST_CELLS = 30
#: Shares of all cells in which the hypervisor took time, others held the GPU.
STOLEN_SHARE = (0.30, 0.05)
SHARED_SHARE = (0.50, 0.05)


def noise_findings(machines: Rows, runs: pd.DataFrame, reasons: pd.DataFrame) -> list[Finding]:
    """Noisier than its peers; time stolen by the hypervisor; a GPU that others use too."""
    totals = _last_runs(runs[runs["machine_id"].isin(machines)])
    totals["group"] = [
        str(machines[machine]["gpu_model"])
        if device == "cuda"
        else " | ".join(peer_key(machines[machine])[:2])
        for machine, device in zip(totals["machine_id"], totals["device"], strict=True)
    ]
    why = reasons[reasons["kind"] == "noise"]
    found = []
    for (device, _), alike in totals.groupby(["device", "group"], sort=True):
        shares = alike["share"].to_numpy(dtype=float)
        for index, row in enumerate(alike.itertuples()):
            others = np.delete(shares, index)
            own = why[why["machine_id"] == row.machine_id]
            finding = _noisier(str(row.machine_id), str(device), shares[index], others, own)
            if finding is not None:
                cells = int(row.cells)  # type: ignore[arg-type]
                found.append(replace(finding, cells=cells, peers=len(others)))
    return found + _shares_of_reasons(totals, why)


def _last_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Per device and machine: share of noisy cells in its last run that has cells enough.

    Columns: device, machine_id, share, cells (of that run), all_cells (of all runs).
    """
    columns = ["device", "machine_id"]
    every = runs.groupby(columns)["cells"].sum().rename("all_cells").reset_index()
    large = runs[runs["cells"] >= _FEWEST_CELLS].sort_values("started_at", na_position="first")
    last = large.drop_duplicates(columns, keep="last")
    last = last[[*columns, "noisy_share", "cells"]].rename(columns={"noisy_share": "share"})
    return every.merge(last, on=columns)


def _noisier(
    machine: str, device: str, share: float, others: Any, why: pd.DataFrame
) -> Finding | None:
    place = "GPU" if device == "cuda" else "processor"
    named = why.sort_values("cells", ascending=False).head(3)
    because = ", ".join(str(reason).replace("_", " ") for reason in named["reason"])
    if len(others) < 2:
        return None
    usual = float(np.median(others))
    deviation = MADN * float(np.median(np.abs(others - usual)))
    excess = share - usual
    if excess <= max(NOISE_EXCESS[1], 4 * deviation):
        return None
    unwell = excess > NOISE_EXCESS[0] and share >= 0.5
    return Finding(
        machine_id=machine,
        severity="unwell" if unwell else "look at it",
        check=f"noise {device}",
        what=f"noisier than its peers: {place}",
        amount=f"{100 * share:.0f} % of its last run's cells, peers {100 * usual:.0f} %",
        size=excess,
        evidence=f"cells flagged noisy, most because of: {because or 'not said'}",
        advice="Stop other work on the machine, fix the clock's governor, and measure again.",
        sure="more than 4 deviations of the peers",
    )


def _shares_of_reasons(totals: pd.DataFrame, why: pd.DataFrame) -> list[Finding]:
    """Reasons for noise that mean somebody else uses the machine."""
    cells = totals.groupby("machine_id")["all_cells"].sum()
    on_gpu = totals[totals["device"] == "cuda"].groupby("machine_id")["all_cells"].sum()
    checks: tuple[tuple[str, Any, tuple[float, float], str, str], ...] = (
        (
            "steal",
            cells,
            STOLEN_SHARE,
            "the hypervisor gives its processor time to others",
            "Move to another host, or to an instance type whose cores are not shared.",
        ),
        (
            "shared_gpu",
            on_gpu,
            SHARED_SHARE,
            "another process uses its GPU",
            "Find it (nvidia-smi) and stop it, then measure again.",
        ),
    )
    found = []
    for reason, of, limits, what, advice in checks:
        for row in why[why["reason"] == reason].itertuples():
            total = float(of.get(row.machine_id, np.nan))
            share = float(row.cells) / total  # type: ignore[arg-type]
            if not share >= limits[1]:
                continue
            found.append(
                Finding(
                    machine_id=str(row.machine_id),
                    severity="unwell" if share >= limits[0] else "look at it",
                    check=reason.replace("_", " "),
                    what=what,
                    amount=f"in {100 * min(share, 1.0):.0f} % of its cells",
                    size=min(share, 1.0),
                    evidence="cells flagged " + reason.replace("_", " "),
                    advice=advice,
                    sure="read from the kernel" if reason == "steal" else "read from the driver",
                    cells=int(row.cells),  # type: ignore[arg-type]
                )
            )
    return found
