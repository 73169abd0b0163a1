"""A fit of a selection beside the full fit, on the cells that the selection left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from estimator.fit_comparison import CELL_KEY, error_figures, predicted_seconds

if TYPE_CHECKING:
    from estimator.dataset import Measurements
    from estimator.model import Model
    from estimator.selection import Selection

_MOST_COMPARED = 20_000
ALL = "all"


@dataclass(frozen=True)
class RefitComparison:
    """``selected`` cells were fitted; ``outside`` were not, of which ``asked`` were asked.

    ``held_out`` is False where the selection has every cell (as runs of the same cells do): then
    all cells are asked. ``table``: workload, device, asked, answered (by the selection's fit),
    and for the cells that both fits answer median, p90 and bias of the selection's fit, and
    full_median, full_p90 and full_bias of the full one, which has seen these cells. The first
    row, workload "all", is of all of them.
    """

    selected: int
    outside: int
    asked: int
    held_out: bool
    table: pd.DataFrame


def compare_refit(
    measurements: Measurements, selection: Selection, most: int = _MOST_COMPARED
) -> RefitComparison:
    """Fit the selection and compare. Raises EstimateError where it has no cell."""
    from estimator.cache import fit_cached, user_cache_directory
    from estimator.selection import fit_selected

    full = fit_cached(measurements, user_cache_directory())
    return compare_models(full, fit_selected(measurements, selection), most)


def compare_models(full: Model, chosen: Model, most: int = _MOST_COMPARED) -> RefitComparison:
    """Both models on the cells of the full one that the other was not fitted to."""
    if chosen.measured.empty:
        raise EstimateError("the selection has no measured cell; choose more")
    known = full.measured.reset_index(drop=True)
    keys = pd.MultiIndex.from_frame(known[list(CELL_KEY)])
    seen = keys.isin(pd.MultiIndex.from_frame(chosen.measured[list(CELL_KEY)]))
    outside = known[~seen]
    held_out = len(outside) > 0
    asked = outside if held_out else known
    asked = asked if len(asked) <= most else asked.sample(most, random_state=0)
    measured = asked["median_s"].astype(float)
    cells = asked[["workload", "device"]].assign(
        error=predicted_seconds(chosen, asked) / measured - 1.0,
        full=predicted_seconds(full, asked) / measured - 1.0,
    )
    rows = [_row(ALL, ALL, cells)]
    for (workload, device), group in cells.groupby(["workload", "device"], sort=True):
        rows.append(_row(str(workload), str(device), group))
    return RefitComparison(
        len(chosen.measured), len(outside), len(asked), held_out, pd.DataFrame(rows)
    )


def _row(workload: str, device: str, cells: pd.DataFrame) -> dict[str, Any]:
    answered = cells[np.isfinite(cells["error"]) & np.isfinite(cells["full"])]
    chosen, full = error_figures(answered["error"]), error_figures(answered["full"])
    return {
        "workload": workload,
        "device": device,
        "asked": len(cells),
        "answered": len(answered),
        **{name: chosen[name] for name in ("median", "p90", "bias")},
        **{f"full_{name}": full[name] for name in ("median", "p90", "bias")},
    }
