"""Which few cells to measure on a new machine, so that the rest can be told from them.

A Bayesian design for the linear model of ``effects``: one after another, the cell is chosen that
leaves the least mean variance of the log times of all candidates (greedy A-optimality of the
predictions; Chaloner and Verdinelli 1995). The variance does not depend on times, so none of the
new machine is read.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from collector.errors import SelectionError
from estimator.effects import Design, Deviations, assumed, columns_of, design
from estimator.kernel_model import Array

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

    ``cells`` are described (``fitting.describe_cells`` or ``Donors.table``); their times are not
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
