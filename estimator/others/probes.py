"""Which few cells to measure on a new machine, so that the rest can be told from them.

A Bayesian design for the linear model of ``effects``: one after another, the cell is chosen that
leaves the least mean variance of the log times of all candidates (greedy A-optimality of the
predictions; Chaloner and Verdinelli 1995). The variance does not depend on times, so none of the
new machine is read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from collector.backends import BACKEND_DEVICES
from collector.cells import make_tasks
from collector.errors import SelectionError
from collector.workloads import FAMILIES
from estimator.arrays import Array
from estimator.cells.features import describe
from estimator.dataset.measurements import FIRST_CALL, UNFITTED_WORKLOADS
from estimator.dataset.tables import CELL_COLUMNS
from estimator.others.effects import Design, Deviations, assumed, columns_of, design

PROBES = 12
_MOST_CANDIDATES = 2000  # of more, evenly spaced ones stand for all

#: Rates of a processor of no particular kind, which tell what bounds a cell when no model does:
#: FLOP/s and bytes/s (of one thread on a CPU), and seconds of a launch. Only orders of magnitude
#: matter: they decide which part of a cell's time an effect acts on.
_RATES = {"cpu": (5e10, 1.5e10, 3e-6), "cuda": (3e13, 2e12, 5e-6)}
_LINK_BYTES_PER_S = 2e10


def choose_probes(
    cells: pd.DataFrame,
    n: int = PROBES,
    shares: Array | None = None,
    deviations: Deviations | None = None,
) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Positions of ``n`` rows of ``cells`` to measure, in the order of their use.

    ``cells`` are described (``fit.describe_cells`` or ``Fitted.described``); their times are not
    read. ``shares`` (rows, 4) are those of ``effects.PARTS`` in each time, by default from the
    work and rates of a processor of no particular kind. Raises SelectionError where there are
    fewer rows than ``n``.
    """
    if not 1 <= n <= len(cells):
        raise SelectionError(f"{n} probes of {len(cells)} cells: ask for 1 to {len(cells)}")
    rows = np.arange(len(cells))
    if len(rows) > _MOST_CANDIDATES:
        rows = np.linspace(0, len(cells) - 1, _MOST_CANDIDATES).astype(int)
    offered = cells.iloc[rows].reset_index(drop=True)
    parts = plain_parts(offered)
    seconds = parts.sum(axis=1)
    share = parts / seconds[:, None] if shares is None else shares[rows]
    chosen = _greedy(design(offered, share, seconds), n, deviations or assumed("other"))
    picked: np.ndarray[tuple[int], np.dtype[np.intp]] = rows[chosen]
    return picked


def plain_parts(cells: pd.DataFrame) -> Array:
    """Seconds of launch, compute, memory and transfer by a plain roofline, (n, 4)."""
    cuda = (cells["device"] == "cuda").to_numpy()
    threads = np.where(cuda, 1.0, cells["threads"].to_numpy(dtype=float))
    flop_rate, byte_rate, launch = (
        np.where(cuda, gpu, cpu) for cpu, gpu in zip(_RATES["cpu"], _RATES["cuda"], strict=True)
    )
    compute = cells["flop"].to_numpy(dtype=float) / flop_rate / threads
    memory = cells["bytes"].to_numpy(dtype=float) / byte_rate / np.sqrt(threads)
    copy = (cells["workload"] == "transfer").to_numpy()
    copied = (copy | (cells["answer_mode"] == "end_to_end").to_numpy()) & cuda
    bus = (cells["h2d_bytes"] + cells["d2h_bytes"]).to_numpy(dtype=float)
    transfer = copied * bus / _LINK_BYTES_PER_S
    memory = np.where(copy & (transfer > 0.0), 0.0, memory)
    # the longer of arithmetic and memory hides the other
    compute, memory = compute * (compute >= memory), memory * (memory > compute)
    start = launch * cells["launches"].to_numpy(dtype=float)
    parts = np.stack([start, compute, memory, transfer], axis=1)
    finite: Array = np.nan_to_num(parts, nan=0.0, posinf=0.0)
    finite[:, 0] = np.maximum(finite[:, 0], 1e-9)
    return finite


def _greedy(cells: Design, n: int, deviations: Deviations) -> list[int]:
    matrix, spread = columns_of(cells, deviations)
    weighted = matrix * spread
    between = weighted @ weighted.T  # prior covariance of the log times
    own = deviations.of(cells.cell_kind) ** 2
    chosen: list[int] = []
    for _ in range(n):
        variance = np.diagonal(between) + own
        gain = (between**2).sum(axis=0) / variance
        gain[chosen] = -1.0
        best = int(gain.argmax())
        chosen.append(best)
        between = between - np.outer(between[best], between[best]) / variance[best]
    return chosen


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
