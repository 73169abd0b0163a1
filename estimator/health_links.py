"""Slow link between host and GPU: copies against the peers' at the same sizes.

Peers are machines with a GPU of the same name. ``health_sheet`` compares with the data sheet.
"""

from __future__ import annotations

from collections.abc import Hashable
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from estimator.findings import Finding
from estimator.fleet_rows import Rows, below
from estimator.health_sheet import link_sheet_findings

#: Copies against the peers' median at the same size: pinned; pageable ones hang on the host too.
LINK_OF_PEERS = {"pinned": (0.75, 0.9), "pageable": (0.4, 0.75)}


def link_findings(machines: Rows, copies: pd.DataFrame) -> list[Finding]:
    """Slow link: copies beside the peers'; pinned ones beside the sheet (``health_sheet``)."""
    copies = copies[copies["machine_id"].isin(machines)]
    copies = copies.assign(
        gpu=[machines[machine]["gpu_model"] for machine in copies["machine_id"]],
        memory=np.where(copies["case"].str.contains("pinned"), "pinned", "pageable"),
    )
    copies = _with_peers(copies)
    cases = copies.groupby(["machine_id", "memory", "case"], sort=True).agg(
        ratio=("ratio", "median"),
        sizes=("ratio", "count"),
        rate=("rate", "max"),
        cells=("rate", "size"),
        peers=("peers", "max"),
    )
    rows = cases.reset_index().to_dict("records")
    found = []
    best: dict[str, tuple[float, int]] = {}  # of pinned copies
    for (name, kind), own in groupby(rows, key=lambda row: (row["machine_id"], row["memory"])):
        machine, of_kind = str(name), list(own)
        finding = _slow_beside_peers(machine, str(kind), of_kind)
        if finding is not None:
            found.append(finding)
        if kind == "pinned":
            rate = max(float(case["rate"]) for case in of_kind)
            best[machine] = (rate, sum(int(case["cells"]) for case in of_kind))
    return found + link_sheet_findings(machines, best)


def _with_peers(copies: pd.DataFrame) -> pd.DataFrame:
    """Add ``ratio`` (rate over the median of the peers' at that size) and ``peers``."""
    copies = copies.reset_index(drop=True)
    ratio, peers = np.full(len(copies), np.nan), np.zeros(len(copies), dtype=int)
    for places in copies.groupby(["gpu", "case", "size"]).indices.values():
        rates = copies["rate"].to_numpy(dtype=float)[places]
        if len(rates) > 1:
            others = [float(np.median(np.delete(rates, index))) for index in range(len(rates))]
            ratio[places], peers[places] = rates / np.array(others), len(rates) - 1
    return copies.assign(ratio=ratio, peers=peers)


def _slow_beside_peers(machine: str, kind: str, cases: list[dict[Hashable, Any]]) -> Finding | None:
    known = [case for case in cases if case["sizes"]]
    if not known:
        return None
    slowest = min(known, key=lambda case: float(case["ratio"]))
    worst, share, best = str(slowest["case"]), float(slowest["ratio"]), float(slowest["rate"])
    peers, sizes = max(int(case["peers"]) for case in known), int(slowest["sizes"])
    severity = below(share, LINK_OF_PEERS[kind])
    if severity is None:
        return None
    return Finding(
        machine_id=machine,
        severity=severity if peers > 1 else "look at it",
        check=f"link {kind}",
        what=f"slow link: {_in_words(worst)}",
        amount=f"{100 * share:.0f} % of the peers' rate",
        size=1 / share - 1,
        evidence=f"best {best / 1e9:.3g} GB/s; median ratio over {sizes} sizes of 16 MiB and more",
        advice="Look at generation and lanes of the link (nvidia-smi -q -d PCIE), the slot, and "
        "which processor the memory belongs to (numactl).",
        sure="measured" if peers > 1 else "measured, but only one peer",
        cells=sum(int(case["cells"]) for case in cases),
        peers=peers,
    )


def _in_words(case: str) -> str:
    """``h2d_pinned`` -> ``copies to the GPU, pinned memory``."""
    way, _, memory = case.partition("_")
    where = {"h2d": "copies to the GPU", "d2h": "copies from the GPU"}.get(way, f"copies {way}")
    return f"{where}, {memory} memory" if memory else where
