"""Boxes of one machine type answer as the type: one estimate, pooled over its boxes.

A dataset may hold several boxes of one type, and they differ: in what was measured on them, and
by the spread between machines. Whoever asks for a type gets one answer, with the interval of any
machine of it; whoever asks for a box by its id gets that box (``ask``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from estimator.defaults import WELL_KNOWN

if TYPE_CHECKING:
    from estimator.model import About, Model

_TIMES = ("seconds_p5", "seconds_p50", "seconds_p95")
_PARTS = ("launch_s", "compute_s", "memory_s", "transfer_s")
_BOUNDS = tuple(name.removesuffix("_s") for name in _PARTS)
#: Boxes of a type that answer together; of more, those with most cells of the family.
MOST_BOXES = 12
#: How far a basis is from a measurement; boxes whose basis is nearest answer for the type.
_RANKS = {
    **dict.fromkeys(WELL_KNOWN, 0),
    **{"extrapolated": 1, "probed": 2, "new_workload": 2, "same_cores": 3, "from_specs": 3},
}
_KEYS = ("machine_id", "device", "workload", "backend")
_LEAST_WIDTH = 1e-3  # of an interval, in logarithms, that a weight is made of


@dataclass(frozen=True)
class MachineType:
    """A machine type: its id (that of the dataset), a name for people, the ids of its boxes."""

    type_id: str
    label: str
    boxes: tuple[str, ...]


class MachineTypes:
    """The machine types of a model's boxes; cheap to make, asked often."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.types = _types_of(model.machines)
        self.of_box = {box: one.type_id for one in self.types.values() for box in one.boxes}

    def label(self, name: object) -> str:
        """For people: a type's name, a box's label with its id's start, else the name itself."""
        one = self.types.get(str(name))
        if one is not None:
            return one.label
        known = self._model.labels.get(str(name))
        return str(name) if known is None else f"{known} ({str(name)[:8]})"

    def boxes_of(
        self, name: str, device: str = "", workload: str = "", backend: str = ""
    ) -> tuple[str, ...]:
        """The boxes that answer for a name: itself, or those of the type that measured most.

        Those that measured the family on the device with the library; else with any; else those
        that measured anything on it; else all of the type.
        """
        one = self.types.get(name)
        if one is None:
            return (name,)
        for key in ((device, workload, backend), (device, workload, ""), (device, "", "")):
            counts = self._counts.get(key, {})
            able = [box for box in one.boxes if counts.get(box, 0)]
            if able:
                return tuple(sorted(able, key=lambda box: (-counts[box], box))[:MOST_BOXES])
        return one.boxes[:MOST_BOXES]

    def on_boxes(self, cells: pd.DataFrame) -> pd.DataFrame:
        """The cells with a box in place of each type: the one that measured most there."""
        keys = cells[list(_KEYS)].astype(str)
        found = [self.boxes_of(*key)[0] for key in keys.itertuples(index=False, name=None)]
        return cells.assign(machine_id=found)

    def with_gpu(self, name: str) -> str | None:
        """The type with this GPU (its name in data/hardware.csv) that measured most on it."""
        cells: Counter[str] = Counter()
        for machine, facts in self._model.donors.facts.items():
            count = facts.cells.get("cuda", 0)
            if count and facts.gpu is not None and facts.gpu.name == name:
                cells[self.of_box.get(machine, machine)] += count
        return max(cells, key=lambda key: (cells[key], key)) if cells else None

    def find(self, name: str) -> list[str]:
        """Types, boxes or a catalogue name that somebody's ``name`` stands for.

        An id, or its beginning, is the box or the type; (part of) a label is its type, or the
        boxes, where only some of a type are called so. Raises SelectionError.
        """
        from estimator.machine_facts import facts_of_name

        if name in self.types or name in self.of_box:
            return [name]
        begins = [box for box in self.of_box if name and box.startswith(name)]
        begins = begins or [one for one in self.types if name and one.startswith(name)]
        if begins:
            return begins
        alike = self._model.machines_like(name)
        if not alike:
            if facts_of_name(name) is None:
                self._model.find_machine(name)  # raises, and lists the machines
            return [name]
        found: dict[str, None] = {}
        for box in alike:
            whole = self.types[self.of_box[box]]
            found[whole.type_id if set(whole.boxes) <= set(alike) else box] = None
        return list(found)

    @cached_property
    def _counts(self) -> dict[tuple[str, str, str], dict[str, int]]:
        """(device, family or "", library or "") -> box -> measured cells."""
        found: dict[tuple[str, str, str], dict[str, int]] = {}
        keys = ["device", "workload", "backend", "machine_id"]
        sizes = self._model.measured.groupby(keys, as_index=False).size()
        for *names, count in sizes.itertuples(index=False, name=None):
            device, workload, backend, box = map(str, names)
            for key in ((device, workload, backend), (device, workload, ""), (device, "", "")):
                counts = found.setdefault(key, {})
                counts[box] = counts.get(box, 0) + int(count)
        return found


def type_labels(model: Model) -> dict[str, str]:
    """type id -> name for people, of every machine type."""
    return {type_id: one.label for type_id, one in model.types.types.items()}


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
    keys = cells[list(_KEYS)].astype(str)
    spoken = [types.boxes_of(*key) for key in keys.itertuples(index=False, name=None)]
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


def pooled(answers: pd.DataFrame, place: np.ndarray[Any, Any], count: int) -> pd.DataFrame:
    """Rows of ``Model.predict`` of several boxes as one row a type; (count,) rows.

    ``place`` (n,) says to which row each answer belongs. Of each row's answers those with the
    nearest basis count; their times are averaged in logarithms with weights 1 / width², width
    being that of the 90 % interval, ends like middles: what no box exceeds, the type does not.
    Parts have the mean shares. The measured median is the median of the boxes' medians.
    """
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
        shares = answers[list(_PARTS)].to_numpy(dtype=float) / seconds[:, 1:2]

        def mean(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            """Weighted mean of the kept rows, (count,)."""
            weighted = weight * np.where(kept, values, 0.0)
            found: np.ndarray[Any, Any] = np.bincount(place, weighted, count) / total
            return found

        low, middle, high = (np.exp(mean(logs[:, column])) for column in range(3))
        parts = np.stack([mean(shares[:, column]) * middle for column in range(len(_PARTS))], 1)
    median = _median(answers["measured_median_s"].to_numpy(dtype=float), place, count)
    first = np.full(count, -1)
    order = np.lexsort((-weight, ~kept))[::-1]
    first[place[order]] = order  # the last one written: of the kept rows that with most weight
    basis = answers["basis"].to_numpy(dtype=object)[first]
    frame = {
        "seconds_p5": np.fmin(low, median),
        "seconds_p50": middle,
        "seconds_p95": np.fmax(high, median),
        **{name: parts[:, column] for column, name in enumerate(_PARTS)},
        "bound": np.array(_BOUNDS, dtype=object)[np.nan_to_num(parts).argmax(axis=1)],
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


def _types_of(machines: pd.DataFrame) -> Mapping[str, MachineType]:
    """type id -> type; a machine whose type is not known is a type by itself."""
    rows: dict[str, list[dict[Any, Any]]] = {}
    for row in machines.to_dict("records"):
        known = row.get("machine_type_id")
        alone = f"type of {row['machine_id']}"
        rows.setdefault(known if isinstance(known, str) and known else alone, []).append(row)
    labels = {type_id: _label(of_type) for type_id, of_type in rows.items()}
    counts = Counter(labels.values())
    return {
        type_id: MachineType(
            type_id,
            label if counts[label] == 1 else f"{label} (type {type_id[:8]})",
            tuple(sorted(str(row["machine_id"]) for row in rows[type_id])),
        )
        for type_id, label in labels.items()
    }


def _label(boxes: list[dict[Any, Any]]) -> str:
    """The label that all boxes have, else the names of their parts."""
    labels = {str(row["label"]) for row in boxes}
    if len(labels) == 1:
        return labels.pop() or str(boxes[0]["machine_id"])
    row = boxes[0]
    words = [row[name] for name in ("gpu_model", "cpu_model") if isinstance(row[name], str)]
    cores = row["physical_cores"]
    words += [f"{cores:.0f} cores"] if isinstance(cores, int | float) and cores == cores else []
    return ", ".join(word for word in words if word) or min(labels)
