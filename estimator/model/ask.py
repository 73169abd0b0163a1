"""A machine type answers as one: its boxes are asked, and their answers pooled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from estimator.answer import PARTS, About
from estimator.cells.defaults import WELL_KNOWN
from estimator.cells.questions import operation
from estimator.others.machine_types import KEYS

if TYPE_CHECKING:
    from estimator.model.model import Model


_TIMES = ("seconds_p5", "seconds_p50", "seconds_p95")
#: How far a basis is from a measurement; boxes whose basis is nearest answer for the type.
_RANKS = {
    **dict.fromkeys(WELL_KNOWN, 0),
    **{"extrapolated": 1, "probed": 2, "new_workload": 2, "same_cores": 3, "from_specs": 3},
}
_LEAST_WIDTH = 1e-3  # of an interval, in logarithms, that a weight is made of


def ask(
    model: Model, cells: pd.DataFrame, about: About = "machine", strict: bool = True
) -> pd.DataFrame:
    """``Model.predict`` whose machine ids may be those of types; same index and order.

    A type's row is pooled over its boxes (``pooled``), its interval that of any machine of the
    type; ``about`` is that of boxes. Column boxes: how many spoke. Raises as ``predict`` does.
    """
    if cells.empty:
        return model.predict(cells, strict=strict).assign(boxes=0)
    types = model.types
    keys = cells[list(KEYS)].astype(str)
    spoken = _able(model, cells, [types.boxes_of(*key) for key in keys.itertuples(index=False)])
    place = np.repeat(np.arange(len(cells)), [len(boxes) for boxes in spoken])
    boxes = [box for of_row in spoken for box in of_row]
    rows = cells.iloc[place].assign(machine_id=boxes).reset_index(drop=True)
    single = ~keys["machine_id"].isin(set(types.types)).to_numpy()[place]
    parts = []
    # a name of the catalogue is a type by itself: only boxes have intervals of their own
    own = single & rows["machine_id"].isin(set(types.of_box)).to_numpy() & (about == "machine")
    for chosen, of_whom in ((~own, "type"), (own, "machine")):
        if chosen.any():
            whom: About = "type" if of_whom == "type" else "machine"
            parts.append(model.predict(rows[chosen], about=whom, strict=False))
    answers = pd.concat(parts).loc[rows.index]
    result = pooled(answers, place, len(cells)).set_axis(cells.index)
    silent = np.flatnonzero(result["seconds_p50"].isna().to_numpy(dtype=bool))
    if strict and len(silent):
        model.predict(types.on_boxes(cells.iloc[silent[:1]]), strict=True)  # raises, and says why
    return result


def _able(
    model: Model, cells: pd.DataFrame, spoken: Sequence[tuple[str, ...]]
) -> list[tuple[str, ...]]:
    """Of the boxes that speak for each cell those that measured its operation.

    The others would answer from other operations or through other machines: ``pooled`` takes none
    of that where it has better, and it takes long to work out. Where no box measured the operation
    the one with most cells of the family speaks, as the others know no more.
    """
    if all(len(boxes) == 1 for boxes in spoken):
        return list(spoken)
    names = ["machine_id", "device", "backend", "workload", "operation", "dtype", "math_mode"]
    groups = model.fit.group.index[names].drop_duplicates()
    plain = groups["operation"].str.partition(" ")[0]  # without its class of shapes
    measured = set(groups.assign(operation=plain).itertuples(index=False, name=None))
    math_modes = cells["math_mode"] if "math_mode" in cells else ["ieee"] * len(cells)
    columns = [cells[name] for name in ("device", "backend", "workload", "case", "dtype")]
    found = []
    for boxes, device, backend, workload, case, dtype, math_mode in zip(
        spoken, *columns, math_modes, strict=True
    ):
        form = (device, backend, workload, operation(workload, case, backend), dtype, math_mode)
        able = tuple(box for box in boxes if (box, *form) in measured)
        found.append(able or boxes[:1])
    return found


def pooled(answers: pd.DataFrame, place: np.ndarray[Any, Any], count: int) -> pd.DataFrame:
    """Rows of ``Model.predict`` of several boxes as one row a type; (count,) rows.

    ``place`` (n,) says to which row each answer belongs. Of each row's answers those with the
    nearest basis count; their times are averaged in logarithms with weights 1 / width², width
    being that of the 90 % interval, ends like middles: what no box exceeds, the type does not.
    Parts have the mean shares. The measured median is the median of the boxes' medians.
    """
    names = [f"{part}_s" for part in PARTS]
    seconds = answers[list(_TIMES)].to_numpy(dtype=float)
    rank = answers["basis"].map(_RANKS).fillna(9).to_numpy(dtype=float)
    known = np.isfinite(seconds).all(axis=1)
    best = np.full(count, np.inf)
    np.minimum.at(best, place[known], rank[known])
    kept = known & (rank <= best[place])
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(seconds)
        width = np.maximum(logs[:, 2] - logs[:, 0], _LEAST_WIDTH)
        weight = np.where(kept, width**-2.0, 0.0)
        total = np.bincount(place, weight, count)
        shares = answers[names].to_numpy(dtype=float) / seconds[:, 1:2]

        def mean(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            """Weighted mean of the kept rows, (count,)."""
            weighted = weight * np.where(kept, values, 0.0)
            found: np.ndarray[Any, Any] = np.bincount(place, weighted, count) / total
            return found

        low, middle, high = (np.exp(mean(logs[:, column])) for column in range(3))
        parts = np.stack([mean(shares[:, column]) * middle for column in range(len(PARTS))], 1)
    median = _median(answers["measured_median_s"].to_numpy(dtype=float), place, count)
    first = np.full(count, -1)
    order = np.lexsort((-weight, ~kept))[::-1]
    first[place[order]] = order  # the last one written: of the kept rows that with most weight
    basis = answers["basis"].to_numpy(dtype=object)[first]
    frame = {
        "seconds_p5": np.fmin(low, median),
        "seconds_p50": middle,
        "seconds_p95": np.fmax(high, median),
        **{name: parts[:, column] for column, name in enumerate(names)},
        "bound": np.array(PARTS, dtype=object)[np.nan_to_num(parts).argmax(axis=1)],
        "basis": np.where(np.isfinite(median) & np.isfinite(middle), "measured", basis),
        "measured_median_s": median,
        "measured_n": _sum(answers["measured_n"], place, count),
        "n_fit": _sum(answers["n_fit"].where(kept, 0), place, count),
        "boxes": np.bincount(place, kept, count).astype("int64"),
    }
    return pd.DataFrame(frame)


def _sum(values: pd.Series[Any], place: np.ndarray[Any, Any], count: int) -> Any:
    return np.bincount(place, values.to_numpy(dtype=float), count).astype("int64")


def _median(values: np.ndarray[Any, Any], place: np.ndarray[Any, Any], count: int) -> Any:
    """Median of the finite values of each row, (count,); of an even number the middle by ratio."""
    logs = pd.Series(np.log(values), dtype=float)
    return np.exp(logs.groupby(place).median().reindex(range(count)).to_numpy(dtype=float))
