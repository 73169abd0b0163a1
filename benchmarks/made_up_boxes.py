"""Made-up machines of the large dataset (``large_dataset``): what they are and how fast."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.schema import (
    MACHINE_METADATA_KEY,
    RUN_METADATA_KEY,
    SCHEMA_VERSION,
    VERSION_METADATA_KEY,
)

_NO_FACTOR = 1.0


@dataclass(frozen=True)
class MachineType:
    """A made-up kind of machine. Factors multiply the times of the machine it is made from."""

    label: str
    cores: int
    gpu_model: str
    cpu_factor: float
    gpu_factor: float


TYPES = (
    MachineType("Made-up H200 server", 16, "NVIDIA H200", 1.0, 1.0),
    MachineType("Made-up H100 server", 16, "NVIDIA H100 80GB HBM3", 1.05, 1.2),
    MachineType("Made-up A100 server", 16, "NVIDIA A100-SXM4-80GB", 1.3, 2.2),
    MachineType("Made-up L40S server", 16, "NVIDIA L40S", 1.1, 3.5),
    MachineType("Made-up L4 server", 16, "NVIDIA L4", 1.2, 9.0),
    MachineType("Made-up T4 server", 16, "Tesla T4", 1.6, 14.0),
    MachineType("Made-up 16-core server", 16, "", 0.9, _NO_FACTOR),
    MachineType("Made-up old 16-core server", 16, "", 1.9, _NO_FACTOR),
    MachineType("Made-up 2-core instance", 2, "", 1.0, _NO_FACTOR),
    MachineType("Made-up burst instance", 2, "", 1.4, _NO_FACTOR),
)
#: what is wrong with the box of this number, counted over all boxes
UNWELL = {3: "throttled", 26: "noisy", 44: "slow_link", 67: "drifting", 82: "throttled"}


@dataclass(frozen=True)
class Box:
    """One made-up machine."""

    kind: MachineType
    number: int
    machine_id: str
    cpu_factor: float
    gpu_factor: float
    unwell: str

    @property
    def label(self) -> str:
        return f"{self.kind.label} {self.number:03d}"


def make_boxes(count: int, random: np.random.Generator) -> list[Box]:
    """Boxes of all types in turn; boxes of a type differ by a few per cent."""
    boxes = []
    for number in range(count):
        kind = TYPES[number % len(TYPES)]
        own = np.exp(random.normal(0, 0.03, 2))
        boxes.append(
            Box(
                kind,
                number,
                made_up_id("box", number),
                kind.cpu_factor * float(own[0]),
                kind.gpu_factor * float(own[1]),
                UNWELL.get(number % 100, ""),
            )
        )
    return boxes


def made_up_id(what: str, number: object) -> str:
    """An identifier of 16 hex digits that is always the same for the same thing."""
    return hashlib.sha256(f"made up {what} {number}".encode()).hexdigest()[:16]


def facts_of(box: Box) -> dict[str, Any]:
    """Columns of a run that say what the box is."""
    gpu = box.kind.gpu_model
    return {
        "machine_id": box.machine_id,
        "machine_type_id": made_up_id("type", box.kind.label),
        "label": box.label,
        "instance_type": "",
        "cpu_model": "Made-up CPU",
        "physical_cores": box.kind.cores,
        "logical_cores": box.kind.cores,
        "memory_bytes": 8 * 2**30 * box.kind.cores,
        "gpu_model": gpu,
        "gpu_count": 1 if gpu else 0,
        "gpu_memory_bytes": 80 * 2**30 if gpu else None,
        "driver": "580.0" if gpu else "",
        "cuda": "13.0" if gpu else "",
    }


def metadata_of(box: Box, table: pa.Table, started: datetime, run_id: str) -> dict[bytes, bytes]:
    """The file's metadata, as the collector writes them."""
    facts = facts_of(box)
    gpu = {
        "model": facts["gpu_model"],
        "count": 1,
        "memory_bytes": facts["gpu_memory_bytes"],
        "driver": facts["driver"],
        "cuda": facts["cuda"],
    }
    machine = {
        **{key: facts[key] for key in ("machine_id", "machine_type_id", "label", "memory_bytes")},
        "instance_type": None,
        "cpu": {
            "model": facts["cpu_model"],
            "family": 6,
            "model_number": 207,
            "physical_cores": facts["physical_cores"],
            "logical_cores": facts["logical_cores"],
            "last_level_cache_bytes": 2 * 2**20 * box.kind.cores,
        },
        "gpu": gpu if box.kind.gpu_model else None,
        "system": "Linux, made up",
        "python": "3.12.3",
    }
    counts = pc.value_counts(table["status"]).to_pylist()
    run = {
        "run_id": run_id,
        "started_at": started.isoformat(),
        "collector_version": "0.1.0",
        "suite": "full",
        "seed": 0,
        "cells_planned": len(table),
        "cells_by_status": {entry["values"]: entry["counts"] for entry in counts},
        "wall_s": 0.5 * len(table),
        "ended": "complete",
    }
    return {
        VERSION_METADATA_KEY: str(SCHEMA_VERSION).encode(),
        MACHINE_METADATA_KEY: json.dumps(machine).encode(),
        RUN_METADATA_KEY: json.dumps(run).encode(),
    }
