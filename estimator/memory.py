"""Does an operation fit the memory of a machine?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from collector.errors import EstimateError
from collector.workloads import get_workload
from estimator.model import Model

_GIB = 2.0**30


def memory_shortage(model: Model, question: Mapping[str, Any]) -> str | None:
    """One line if operands, result and temporaries exceed the machine's memory, else None.

    ``question``: machine_id, device, workload, case, params, dtype and backend. A machine that
    was not measured (a GPU known by its data sheet) is not judged.
    """
    machines = model.machines[model.machines["machine_id"] == question["machine_id"]]
    if machines.empty:
        return None
    on_gpu = question["device"] == "cuda"
    room = float(machines["gpu_memory_bytes" if on_gpu else "memory_bytes"].iloc[0])
    needed = get_workload(str(question["workload"])).memory_bytes(
        str(question["case"]),
        dict(question["params"]),
        str(question["dtype"]),
        str(question["backend"]),
    )
    if not needed > room:  # a size that is not known (NaN) does not refuse
        return None
    return (
        f"{question['workload']} {question['case']} needs about {needed / _GIB:,.0f} GiB, "
        f"{machines['label'].iloc[0]} has {room / _GIB:,.0f} GiB on its {question['device']} device"
    )


def check_memory(model: Model, question: Mapping[str, Any]) -> None:
    """Raises EstimateError where ``memory_shortage`` finds one."""
    shortage = memory_shortage(model, question)
    if shortage is not None:
        raise EstimateError(f"does not fit: {shortage}; choose smaller parameters")
