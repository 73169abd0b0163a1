"""Slow link, slow memory of the GPU: against peers at the same sizes, and the data sheet.

Peers are machines with a GPU of the same name. The data sheet is data/hardware.csv.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from estimator.findings import Finding
from estimator.fleet_rows import Rows, below, number
from estimator.hardware import match_gpu

#: Pinned copies against the link's nominal rate: unwell below, to look at below. The five H200
#: machines in data/runs reach 87 % of PCIe 5.0 x16.
LINK_OF_SHEET = (0.5, 0.7)
#: Copies against the peers' median at the same size: pinned; pageable ones hang on the host too.
LINK_OF_PEERS = {"pinned": (0.75, 0.9), "pageable": (0.4, 0.75)}
#: Best rate of the GPU's memory over the data sheet's; the H200 machines in data/runs reach
#: 89 to 91 % of it.
MEMORY_OF_SHEET = (0.5, 0.7)

#: Transfers a second of one PCIe lane (PCI-SIG base specifications 1.0 to 6.0) times the share
#: of the line code (8b/10b, 128b/130b, 242B/256B), in bytes a second, one direction.
_LANE_BYTES_PER_S = {
    1: 2.5e9 * 8 / 10 / 8,
    2: 5.0e9 * 8 / 10 / 8,
    3: 8.0e9 * 128 / 130 / 8,
    4: 16.0e9 * 128 / 130 / 8,
    5: 32.0e9 * 128 / 130 / 8,
    6: 64.0e9 * 242 / 256 / 8,
}


def link_rate(machine: Mapping[str, Any]) -> float:
    """Nominal rate of the link between host and GPU, one direction, in B/s; NaN if unknown.

    The slower of the data sheet's and of what generation and lanes of the fingerprint give.
    """
    generation, lanes = number(machine["pcie_generation"]), number(machine["pcie_width"])
    lane = _LANE_BYTES_PER_S.get(int(generation)) if generation == generation else None
    slot = lane * lanes if lane else np.nan
    spec = match_gpu(str(machine["gpu_model"]))
    try:
        sheet = spec.h2d_bytes_per_s if spec else np.nan
    except EstimateError:
        sheet = np.nan
    return float(np.fmin(slot, sheet))


def link_findings(machines: Rows, copies: pd.DataFrame) -> list[Finding]:
    """Slow link: copies against peers at the same sizes, pinned ones against the nominal rate."""
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
    found = []
    rows = cases.reset_index().to_dict("records")
    for (machine, kind), own in groupby(rows, key=lambda row: (row["machine_id"], row["memory"])):
        of_kind = list(own)
        finding = _slow_beside_peers(str(machine), str(kind), of_kind)
        if finding is None and kind == "pinned":
            finding = _slow_beside_sheet(machines[str(machine)], of_kind)
        if finding is not None:
            found.append(finding)
    return found


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


def _slow_beside_sheet(
    machine: Mapping[str, Any], cases: list[dict[Hashable, Any]]
) -> Finding | None:
    nominal, best = link_rate(machine), max(float(case["rate"]) for case in cases)
    cells = sum(int(case["cells"]) for case in cases)
    severity = below(best / nominal, LINK_OF_SHEET)
    if severity is None:
        return None
    return Finding(
        machine_id=str(machine["machine_id"]),
        severity=severity,
        check="link sheet",
        what="slow link: pinned copies far below the link's nominal rate",
        amount=f"{100 * best / nominal:.0f} % of {nominal / 1e9:.3g} GB/s",
        size=nominal / best - 1,
        evidence=f"best {best / 1e9:.3g} GB/s over {cells} copies of 16 MiB and more; 80 % is "
        "usual",
        advice="Look at generation and lanes of the link (nvidia-smi -q -d PCIE).",
        sure="measured, against the data sheet",
        cells=cells,
    )


def memory_findings(machines: Rows, memory: pd.DataFrame) -> list[Finding]:
    """Memory of the GPU far below its data sheet (a virtual machine has a share of a host's)."""
    found = []
    for row in memory.itertuples():
        machine = str(row.machine_id)
        spec = match_gpu(str(machines[machine]["gpu_model"]))
        try:
            sheet = spec.memory_bytes_per_s if spec else np.nan
        except EstimateError:
            sheet = np.nan
        share = float(row.rate) / sheet  # type: ignore[arg-type]
        severity = below(share, MEMORY_OF_SHEET)
        if severity is not None:
            found.append(
                Finding(
                    machine_id=machine,
                    severity=severity,
                    check="memory sheet",
                    what="GPU memory far below its data sheet",
                    amount=f"{100 * share:.0f} % of {sheet / 1e12:.3g} TB/s",
                    size=1 / share - 1,
                    evidence=f"best {float(row.rate) / 1e12:.3g} TB/s "  # type: ignore[arg-type]
                    f"over {row.cells} cells of at least 256 MB",
                    advice="Look at the memory clock and at ECC errors (nvidia-smi -q -d CLOCK,ECC)"
                    " and for other processes on the GPU.",
                    sure="measured against the data sheet",
                    cells=int(row.cells),  # type: ignore[arg-type]
                )
            )
    return found
