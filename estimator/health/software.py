"""For information: software other than a machine's peers have, and machines without peers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from estimator.catalogue.hardware import match_gpu
from estimator.health.rows import Finding, Rows, peer_key


def software_findings(machines: Rows) -> list[Finding]:
    """For information: driver, governor and libraries other than most machines of its kind have."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for machine, row in machines.items():
        groups.setdefault(peer_key(row), []).append(machine)
    found = []
    for members in groups.values():
        if len(members) < 2:
            continue
        facts = {machine: _software(machines[machine]) for machine in members}
        counts = {
            name: Counter(known.get(name) for known in facts.values())
            for name in sorted({name for known in facts.values() for name in known})
        }
        for machine in members:
            odd = [
                f"{name} {facts[machine].get(name) or 'absent'} (most: {usual})"
                for name, counted in counts.items()
                for usual, most in counted.most_common(1)
                if facts[machine].get(name) != usual and most > len(members) / 2
            ]
            if odd:
                found.append(
                    Finding(
                        machine_id=machine,
                        severity="note",
                        check="software",
                        what="software other than most of its peers have",
                        amount=f"{len(odd)} difference{'s' if len(odd) > 1 else ''}",
                        size=len(odd) / 1000,
                        evidence="; ".join(odd[:6]),
                        advice="Make them alike before times are compared.",
                        sure="read from the fingerprint",
                        peers=len(members) - 1,
                    )
                )
    return found


def _software(row: Mapping[str, Any]) -> dict[str, str]:
    libraries = row.get("libraries")
    known = dict(libraries) if isinstance(libraries, Mapping) else {}
    for name in ("driver", "governor"):
        if isinstance(row.get(name), str) and row[name]:
            known[name] = row[name]
    return {str(name): str(value) for name, value in known.items()}


def alone_findings(machines: Rows) -> list[Finding]:
    """Machines of which no other has the processor with its cores or the GPU."""
    processors = Counter(peer_key(row)[:2] for row in machines.values())
    gpus = Counter(row["gpu_model"] for row in machines.values() if _has_gpu(row))
    found = []
    for machine, row in machines.items():
        if processors[peer_key(row)[:2]] > 1 or (_has_gpu(row) and gpus[row["gpu_model"]] > 1):
            continue
        sheet = _has_gpu(row) and match_gpu(str(row["gpu_model"])) is not None
        found.append(
            Finding(
                machine_id=machine,
                severity="note",
                check="alone",
                what="no peer of its type in the data",
                amount="",
                size=0.0,
                evidence="its GPU is compared with its data sheet only"
                if sheet
                else "nothing to compare its speed with; noise, drift and failures are judged",
                advice="Measure a second machine of the type: only that tells a slow machine from "
                "a slow type.",
                sure="",
            )
        )
    return found


def _has_gpu(row: Mapping[str, Any]) -> bool:
    return isinstance(row["gpu_model"], str) and bool(row["gpu_model"])
