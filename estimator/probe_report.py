"""Which cells to measure on a new machine: ``python -m estimator probes``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from collector.backends import BACKEND_DEVICES
from collector.cells import make_tasks
from collector.errors import SelectionError
from collector.workloads import FAMILIES
from estimator.dataset import CELL_COLUMNS, FIRST_CALL, UNFITTED_WORKLOADS
from estimator.features import describe
from estimator.probes import PROBES, choose_probes

PROBE_COLUMNS = ("device", "backend", "workload", "case", "params", "dtype", "math_mode", "mode")
_NEW = "new machine"


def probe_cells(
    devices: Sequence[str] = ("cpu",),
    *,
    backends: Sequence[str] = ("numpy", "torch"),
    physical_cores: int = 8,
    suite: str = "quick",
    n: int = PROBES,
) -> pd.DataFrame:
    """The ``n`` cells of a suite that tell most of a machine with these devices and libraries.

    Columns: ``PROBE_COLUMNS`` and threads, in the order of their use. Raises SelectionError for
    an unknown device or where the suite has too few cells.
    """
    known = sorted({device for _, device in BACKEND_DEVICES})
    unknown = sorted(set(devices) - set(known))
    if unknown:
        raise SelectionError(f"unknown device {unknown[0]!r}; choose of {', '.join(known)}")
    pairs = [pair for pair in BACKEND_DEVICES if pair[0] in backends and pair[1] in devices]
    families = [name for name in FAMILIES if name not in UNFITTED_WORKLOADS]
    cells = [
        {
            **{name: getattr(cell, name) for name in CELL_COLUMNS if name != "machine_id"},
            "params": dict(cell.params),
            "machine_id": _NEW,
        }
        for task in make_tasks(suite, pairs, physical_cores, families)
        for cell in task.cells
        if cell.mode != FIRST_CALL
    ]
    if not cells:
        raise SelectionError("none of these libraries runs on these devices")
    asked = pd.DataFrame(cells)
    features = describe(asked).drop(columns=["workload"])
    rows = choose_probes(pd.concat([asked, features], axis=1), min(n, len(asked)))
    return asked.iloc[rows][[*PROBE_COLUMNS, "threads"]].reset_index(drop=True)


def probe_report(cells: pd.DataFrame) -> str:
    """The cells as lines of text, and how to measure them."""
    lines = [f"The {len(cells)} cells that tell most of a new machine, the most telling first:", ""]
    for number, row in enumerate(cells.to_dict("records"), 1):
        params = ", ".join(f"{name}={value}" for name, value in row["params"].items())
        where = f"{row['device']} {row['backend']}, {row['threads']} threads, {row['mode']}"
        lines.append(f"{number:3}. {row['workload']} {row['case']} ({params}) {row['dtype']}")
        lines.append(f"     {where}")
    families = np.unique([str(name) for name in cells["workload"]])
    chosen = " ".join(f"--workload {name}" for name in families)
    lines += [
        "",
        "They are cells of the quick suite; this run has all of them and some more:",
        f"    python -m collector run --suite quick {chosen}",
        "The fit then answers for the rest through the machines that were measured (basis probed).",
    ]
    return "\n".join(lines)
