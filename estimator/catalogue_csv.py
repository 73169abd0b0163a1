"""Reading a catalogue's CSV file so that every mistake is named by file, row and reason."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from collector.errors import CatalogueError


def read_rows(path: str | Path, required: Iterable[str]) -> list[tuple[str, dict[str, str]]]:
    """Rows of a CSV catalogue as ("file row n", {column: stripped text}); n counts the heading.

    Raises CatalogueError for a file that cannot be read, or that lacks a required column.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = list(reader.fieldnames or ())
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CatalogueError(f"{path.name}: cannot be read as a CSV file: {error}") from error
    missing = [column for column in required if column not in header]
    if missing:
        raise CatalogueError(f"{path.name}: missing columns: {', '.join(missing)}")
    result = []
    for line, row in rows:
        where = f"{path.name} row {line}"
        if None in row or None in row.values():
            raise CatalogueError(f"{where}: has not as many fields as the heading")
        result.append((where, {column: text.strip() for column, text in row.items()}))
    return result


def parse_number(
    where: str, row: Mapping[str, str], column: str, low: float, high: float
) -> float | None:
    """The number in a field, None if it is empty; CatalogueError unless low <= number <= high."""
    text = row[column]
    if not text:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise CatalogueError(f"{where}: {column} is {text!r}; it must be a number") from error
    if not math.isfinite(value) or not low <= value <= high:
        raise CatalogueError(f"{where}: {column} is {text}; it must lie from {low:g} to {high:g}")
    return value
