"""Link and memory of a GPU against its peers' and the data sheet (data/hardware.csv).

Peers are machines with a GPU of the same name.

A data sheet tells a slow machine only where there is nobody else to compare with: a whole type
may stay far below it (a smaller slot, a share of a host). So machines with peers are judged by
them, and what most of a type have is one note about the type.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from estimator.catalogue.hardware import match_gpu
from estimator.health.rows import Finding, Rows, Severity, below, number

#: Below this share of the sheet a lone machine is to be looked at. The H200 machines in data/runs
#: reach 87 % of PCIe 5.0 x16 with pinned copies, and 89 to 91 % of the memory's rate.
OF_SHEET = 0.7
#: Memory against the peers' median: unwell below, to be looked at below.
MEMORY_OF_PEERS = (0.75, 0.9)

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


@dataclass(frozen=True)
class _Part:
    """A part of a machine that has a nominal rate, in words."""

    check: str
    what: str
    cells: str
    advice: str
    of_peers: tuple[float, float] | None  # None: another check compares with peers


_LINK = _Part(
    "link sheet",
    "slow link: pinned copies far below the link's nominal rate",
    "copies of 16 MiB and more",
    "Look at generation and lanes of the link (nvidia-smi -q -d PCIE).",
    None,
)
_MEMORY = _Part(
    "memory sheet",
    "GPU memory far below its data sheet",
    "cells of at least 256 MB",
    "Look at the memory clock and at ECC errors (nvidia-smi -q -d CLOCK,ECC) and for other "
    "processes on the GPU.",
    MEMORY_OF_PEERS,
)


def link_rate(machine: Mapping[str, Any]) -> float:
    """Nominal rate of the link between host and GPU, one direction, in B/s; NaN if unknown.

    The slower of the data sheet's and of what generation and lanes of the fingerprint give.
    """
    generation, lanes = number(machine["pcie_generation"]), number(machine["pcie_width"])
    lane = _LANE_BYTES_PER_S.get(int(generation)) if generation == generation else None
    slot = lane * lanes if lane else np.nan
    return float(np.fmin(slot, _sheet(machine, "h2d_bytes_per_s")))


def link_sheet_findings(machines: Rows, best: Mapping[str, tuple[float, int]]) -> list[Finding]:
    """``best``: machine_id -> best rate of pinned copies in B/s, and the count of copies."""
    nominal = {machine: link_rate(machines[machine]) for machine in best}
    return _beside_sheet(machines, best, nominal, _LINK)


def memory_findings(machines: Rows, memory: pd.DataFrame) -> list[Finding]:
    """Memory of the GPU far below its data sheet (a virtual machine has a share of a host's)."""
    best = {
        str(row["machine_id"]): (float(row["rate"]), int(row["cells"]))
        for row in memory.to_dict("records")
        if str(row["machine_id"]) in machines
    }
    nominal = {machine: _sheet(machines[machine], "memory_bytes_per_s") for machine in best}
    return _beside_sheet(machines, best, nominal, _MEMORY)


def _sheet(machine: Mapping[str, Any], name: str) -> float:
    spec = match_gpu(str(machine["gpu_model"]))
    try:
        return float(getattr(spec, name)) if spec else np.nan
    except EstimateError:
        return np.nan


def _beside_sheet(
    machines: Rows,
    best: Mapping[str, tuple[float, int]],
    nominal: Mapping[str, float],
    part: _Part,
) -> list[Finding]:
    types: dict[str, list[str]] = {}
    for machine in sorted(best):
        types.setdefault(str(machines[machine]["gpu_model"]), []).append(machine)
    found = []
    for model, members in types.items():
        shares = np.array([best[machine][0] / nominal[machine] for machine in members])
        if len(members) == 1:
            if shares[0] < OF_SHEET:
                found.append(_finding(members[0], "look at it", best, nominal, part))
            continue
        rates = np.array([best[machine][0] for machine in members])
        usual = float(np.median(shares))
        if usual < OF_SHEET:
            found.append(_note_of_type(model, members, usual, part))
        for index, machine in enumerate(members):
            if part.of_peers is None or not shares[index] < OF_SHEET:
                continue
            ratio = float(rates[index] / np.median(np.delete(rates, index)))
            severity = below(ratio, part.of_peers)
            if severity is not None:
                severity = severity if len(members) > 2 else "look at it"
                found.append(
                    _finding(machine, severity, best, nominal, part, len(members) - 1, ratio)
                )
    return found


def _finding(
    machine: str,
    severity: Severity,
    best: Mapping[str, tuple[float, int]],
    nominal: Mapping[str, float],
    part: _Part,
    peers: int = 0,
    ratio: float = np.nan,
) -> Finding:
    rate, cells = best[machine]
    amount = f"{100 * rate / nominal[machine]:.0f} % of {nominal[machine] / 1e9:.3g} GB/s"
    return Finding(
        machine_id=machine,
        severity=severity,
        check=part.check,
        what=part.what,
        amount=amount + (f", {100 * ratio:.0f} % of the peers' rate" if peers else ""),
        size=1 / (ratio if peers else rate / nominal[machine]) - 1,
        evidence=f"best {rate / 1e9:.3g} GB/s over {cells} {part.cells}; 80 % is usual",
        advice=part.advice,
        sure="measured" if peers else "measured, against the data sheet; no peer",
        cells=cells,
        peers=peers,
    )


def _note_of_type(model: str, members: list[str], usual: float, part: _Part) -> Finding:
    """About all machines of a type; it is listed with the first of them."""
    return Finding(
        machine_id=members[0],
        severity="note",
        check=part.check,
        what=f"all of its type: {part.what}",
        amount=f"median {100 * usual:.0f} % of the nominal rate",
        size=0.0,
        evidence=f"{len(members)} machines with {model} are like this, so it is the type",
        advice="Nothing is wrong with one machine; ask what slot or share of a host they have.",
        sure="measured, against the data sheet",
        peers=len(members) - 1,
    )


#: Copies against the peers' median at the same size: pinned; pageable ones hang on the host too.
LINK_OF_PEERS = {"pinned": (0.75, 0.9), "pageable": (0.4, 0.75)}


def link_findings(machines: Rows, copies: pd.DataFrame) -> list[Finding]:
    """Slow link: copies beside the peers'; pinned ones beside the sheet."""
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
