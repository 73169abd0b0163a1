"""A catalogue of which some rows are bad: the good ones, and why each other one was refused.

``instances.read_instances`` stops at the first bad row, which is right for the file
that ships; an imported price list of 10,000 rows has some, and its reader wants all of them at
once. A written catalogue reads back equal.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.errors import CatalogueError, OutputError
from estimator.catalogue.csv_files import check_columns, parse_rows, read_bytes, shown
from estimator.catalogue.hardware import shipped_hardware
from estimator.catalogue.hardware_specs import HardwareSpec
from estimator.catalogue.instances import (
    INSTANCE_COLUMNS,
    REQUIRED_COLUMNS,
    Instance,
    check_instance,
    parse_instance,
)


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that was left out: its line (the heading is line 1), what it names, and why."""

    row: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A row in Breakeven's columns, as text, before it is checked; ``row`` is its line."""

    row: int
    columns: Mapping[str, str]

    @property
    def name(self) -> str:
        """The key that the instance would have, shortened."""
        parts = (self.columns.get(column, "") for column in ("provider", "instance", "region"))
        return shown("/".join(parts), 120)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a file holds: valid instances in its order, refused rows by line, remarks.

    ``format`` is "breakeven", "skypilot", "gpuhunt" or "plain".
    """

    instances: tuple[Instance, ...]
    refused: tuple[RefusedRow, ...]
    format: str
    notes: tuple[str, ...] = ()

    def reasons(self) -> list[tuple[str, int, RefusedRow]]:
        """(kind of reason, how many rows, the first of them), the most frequent first.

        The kind is the reason without its figures.
        """
        kinds = Counter(_kind(row.reason) for row in self.refused)
        first: dict[str, RefusedRow] = {}
        for row in self.refused:
            first.setdefault(_kind(row.reason), row)
        return [(kind, count, first[kind]) for kind, count in kinds.most_common()]


def _kind(reason: str) -> str:
    words = reason.replace(";", " ;").split()
    return " ".join(word for word in words if not any(c.isdigit() for c in word)).replace(" ;", ";")


def read_catalogue(path: str | Path, specs: Sequence[HardwareSpec] | None = None) -> Catalogue:
    """Every valid row of a file in Breakeven's columns, and every refused one with its reason.

    Raises CatalogueError only for a file that cannot be such a catalogue: unreadable, not CSV,
    too large, or without the columns.
    """
    return parse_catalogue(read_bytes(path), Path(path).name, specs)


def parse_catalogue(
    data: bytes, name: str, specs: Sequence[HardwareSpec] | None = None
) -> Catalogue:
    """As ``read_catalogue``, for the bytes of a file called ``name``."""
    header, rows = parse_rows(data, name)
    check_columns(name, header, REQUIRED_COLUMNS)
    drafts: list[Draft] = []
    refused: list[RefusedRow] = []
    for row in rows:
        if row.problem:
            refused.append(RefusedRow(row.line, "", row.problem))
        else:
            drafts.append(Draft(row.line, row.fields))
    return collect(drafts, refused, "breakeven", specs=specs)


def collect(
    drafts: Iterable[Draft],
    refused: Iterable[RefusedRow],
    format: str,
    notes: Sequence[str] = (),
    specs: Sequence[HardwareSpec] | None = None,
) -> Catalogue:
    """Check each draft: the valid ones become instances, the others join ``refused``."""
    hardware = shipped_hardware() if specs is None else tuple(specs)
    instances: list[Instance] = []
    bad = list(refused)
    seen: dict[str, int] = {}
    for draft in drafts:
        where = f"row {draft.row}"
        try:
            instance = parse_instance(where, draft.columns, hardware)
        except CatalogueError as error:
            reason = str(error).removeprefix(f"{where}: ")
            bad.append(RefusedRow(draft.row, draft.name, reason))
            continue
        key = instance.key.casefold()
        if key in seen:
            reason = f"repeats {draft.name} of row {seen[key]}; keep one price"
            bad.append(RefusedRow(draft.row, draft.name, reason))
            continue
        seen[key] = draft.row
        instances.append(instance)
    bad.sort(key=lambda row: row.row)
    return Catalogue(tuple(instances), tuple(bad), format, tuple(notes))


def catalogue_text(instances: Iterable[Instance]) -> str:
    """Instances as CSV text that ``parse_catalogue`` reads back equal.

    Raises CatalogueError for an instance that no catalogue may hold, so that no field is one
    that a spreadsheet runs as a formula.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(INSTANCE_COLUMNS)
    for instance in instances:
        check_instance(instance.key, instance)
        writer.writerow([_field(getattr(instance, column)) for column in INSTANCE_COLUMNS])
    return text.getvalue()


def _field(value: str | float | None) -> str:
    if value is None:
        return ""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def write_catalogue(path: str | Path, instances: Iterable[Instance]) -> None:
    """Write a catalogue so that it is there whole or not at all. Raises OutputError."""
    path = Path(path)
    text = catalogue_text(instances)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
