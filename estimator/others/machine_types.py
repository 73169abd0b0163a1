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

import pandas as pd

from estimator.others.facts import facts_of_name, find_machine, machines_like

if TYPE_CHECKING:
    from estimator.others.donors import Donors

#: Boxes of a type that answer together; of more, those with most cells of the family.
MOST_BOXES = 12
#: Columns of a question by which the boxes that answer for a type are chosen.
KEYS = ("machine_id", "device", "workload", "backend")


@dataclass(frozen=True)
class MachineType:
    """A machine type: its id (that of the dataset), a name for people, the ids of its boxes."""

    type_id: str
    label: str
    boxes: tuple[str, ...]


class MachineTypes:
    """The machine types of a model's boxes; cheap to make, asked often."""

    def __init__(self, donors: Donors) -> None:
        self._donors = donors
        self.types = _types_of(donors.fitted.machines)
        self.of_box = {box: one.type_id for one in self.types.values() for box in one.boxes}

    def label(self, name: object) -> str:
        """For people: a type's name, a box's label with its id's start, else the name itself."""
        one = self.types.get(str(name))
        if one is not None:
            return one.label
        known = self._donors.fitted.labels.get(str(name))
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
        keys = cells[list(KEYS)].astype(str)
        found = [self.boxes_of(*key)[0] for key in keys.itertuples(index=False, name=None)]
        return cells.assign(machine_id=found)

    def with_gpu(self, name: str) -> str | None:
        """The type with this GPU (its name in data/hardware.csv) that measured most on it."""
        cells: Counter[str] = Counter()
        for machine, facts in self._donors.facts.items():
            count = facts.cells.get("cuda", 0)
            if count and facts.gpu is not None and facts.gpu.name == name:
                cells[self.of_box.get(machine, machine)] += count
        return max(cells, key=lambda key: (cells[key], key)) if cells else None

    def find(self, name: str) -> list[str]:
        """Types, boxes or a catalogue name that somebody's ``name`` stands for.

        An id, or its beginning, is the box or the type; (part of) a label is its type, or the
        boxes, where only some of a type are called so. Raises SelectionError.
        """
        if name in self.types or name in self.of_box:
            return [name]
        begins = [box for box in self.of_box if name and box.startswith(name)]
        begins = begins or [one for one in self.types if name and one.startswith(name)]
        if begins:
            return begins
        alike = machines_like(self._donors.fitted.labels, name)
        if not alike:
            if facts_of_name(name) is None:
                find_machine(self._donors.fitted.labels, name)  # raises, and lists the machines
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
        sizes = self._donors.fitted.measured.groupby(keys, as_index=False).size()
        for *names, count in sizes.itertuples(index=False, name=None):
            device, workload, backend, box = map(str, names)
            for key in ((device, workload, backend), (device, workload, ""), (device, "", "")):
                counts = found.setdefault(key, {})
                counts[box] = counts.get(box, 0) + int(count)
        return found


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
