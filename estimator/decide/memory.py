"""Does an operation fit the memory of a place? One judgement for all commands and pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from collector.workloads import JobMemory, get_workload

if TYPE_CHECKING:
    from estimator.model.model import Model

GIB = 2.0**30

_WHERE = {"cuda": "GPU", "cpu": "host"}


@dataclass(frozen=True)
class Memory:
    """What an operation needs of a device's memory, and what there is (NaN: not known)."""

    needed: JobMemory
    room_bytes: float
    device: str

    @property
    def shortage(self) -> str:
        """One line where operands, result and workspace do not fit; "" where they do."""
        if not self.needed.bytes > self.room_bytes:  # what is not known refuses nothing
            return ""
        needed = _gib(self.needed.bytes)
        return f"does not fit its memory: needs about {needed} GiB, {self._room}"

    @property
    def warning(self) -> str:
        """One line where the job's own memory fits, but not with all that may come to it."""
        if self.shortage or not self.needed.upper_bytes > self.room_bytes:
            return ""
        return f"may not fit its memory: {self.text}"

    @property
    def text(self) -> str:
        """What is needed, and what there is where that is known."""
        needed, upper = _gib(self.needed.bytes), _gib(self.needed.upper_bytes)
        there = f"; {self._room}" if np.isfinite(self.room_bytes) else ""
        return f"needs about {needed} GiB, up to {upper} GiB with libraries{there}"

    @property
    def _room(self) -> str:
        return f"its {_WHERE[self.device]} has {_gib(self.room_bytes)} GiB"


def judge(question: Mapping[str, Any], backend: str, device: str, room_bytes: float) -> Memory:
    """The memory of ``question`` (workload, case, params, dtype) on a device with such room."""
    needed = get_workload(str(question["workload"])).job_memory(
        str(question["case"]), dict(question["params"]), str(question["dtype"]), backend, device
    )
    return Memory(needed, room_bytes, device)


def memory_of(model: Model, question: Mapping[str, Any]) -> Memory:
    """``judge`` of a question with its place (machine_id, device and backend)."""
    machine, device = str(question["machine_id"]), str(question["device"])
    return judge(question, str(question["backend"]), device, model.room_bytes(machine, device))


def memories(model: Model, places: pd.DataFrame) -> list[Memory]:
    """``memory_of`` the places of one operation, whose parameters are those of the first."""
    keys = ["machine_id", "device", "backend"]
    first: dict[Any, Any] = places.iloc[0].to_dict() if len(places) else {}
    found: dict[tuple[str, ...], Memory] = {}
    rows = [tuple(map(str, row)) for row in places[keys].itertuples(index=False, name=None)]
    for row in rows:
        if row not in found:
            found[row] = memory_of(model, {**first, **dict(zip(keys, row, strict=True))})
    return [found[row] for row in rows]


def check_memory(model: Model, question: Mapping[str, Any]) -> Memory:
    """``memory_of`` a question. Raises EstimateError where it does not fit."""
    memory = memory_of(model, question)
    if memory.shortage:
        raise EstimateError(
            f"{question['workload']} {question['case']} on {model.label(question['machine_id'])} "
            f"{memory.shortage}; choose smaller parameters"
        )
    return memory


def _gib(count: float) -> str:
    """Three digits: 0.00123, 71.5, 140; thousands with commas."""
    return f"{count / GIB:,.0f}" if count >= 1000 * GIB else f"{count / GIB:.3g}"
