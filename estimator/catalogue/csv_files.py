"""Reading a catalogue's CSV file so that every mistake is named by file, row and reason.

A catalogue may come from anywhere, so what a file may cost is bounded before it is parsed: bytes,
rows, columns, the length of a line, the lines of one row. Text is brought to one form (blanks
collapsed); what cannot be printed, and what a spreadsheet would run as a formula, is refused.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from collector.errors import CatalogueError

MAX_BYTES = 32 * 2**20
MAX_ROWS = 200_000
MAX_COLUMNS = 100
MAX_LINE = 65_536
MAX_LINES_A_ROW = 50

#: A spreadsheet runs a cell that begins so.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line it ends on (the heading is line 1), and column -> text.

    ``problem`` says why the row cannot be read at all; it is empty for a row that can.
    """

    line: int
    fields: Mapping[str, str]
    problem: str = ""


def read_bytes(path: str | Path, most: int = MAX_BYTES) -> bytes:
    """A file's bytes. Raises CatalogueError if it cannot be read or has more than ``most``."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise CatalogueError(
            f"{path.name}: cannot be read as a CSV file: {error.strerror or error}"
        ) from error
    check_size(data, path.name, most)
    return data


def check_size(data: bytes, name: str, most: int) -> None:
    """Raises CatalogueError for more than ``most`` bytes, and for a known binary format."""
    if len(data) > most:
        raise CatalogueError(f"{name}: larger than {most / 2**20:g} MiB; split the catalogue")
    if data.startswith((b"PAR1", b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
        raise CatalogueError(f"{name}: not a CSV file but Parquet or an archive; unpack it first")


def parse_rows(data: bytes, name: str) -> tuple[tuple[str, ...], Iterator[Row]]:
    """The heading and the rows of a CSV file, the rows lazily.

    Raises CatalogueError at once for a heading that cannot be one, and while the rows are read
    for a file that is not UTF-8, that breaks the quoting rules or that is beyond the bounds.
    """
    check_size(data, name, MAX_BYTES)
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
    records = _records(text, name)
    header = tuple(shown(column, 60) for column in next(records, (0, []))[1])
    if not header:
        raise CatalogueError(f"{name}: it is empty; the first line must name the columns")
    if len(header) > MAX_COLUMNS:
        raise CatalogueError(
            f"{name}: {len(header):,} columns; a catalogue has {MAX_COLUMNS} at most"
        )
    repeated = [column for column, count in Counter(header).items() if column and count > 1]
    if repeated:
        raise CatalogueError(f"{name}: the column {repeated[0]!r} is there twice")
    if len(header) == 1 and header[0].count(";") > 2:
        raise CatalogueError(f"{name}: separated by semicolons; save it separated by commas")
    return header, _rows(header, records, name)


def _rows(
    header: tuple[str, ...], records: Iterator[tuple[int, list[str]]], name: str
) -> Iterator[Row]:
    count = 0
    for line, cells in records:
        if not cells:
            continue
        count += 1
        if count > MAX_ROWS:
            raise CatalogueError(f"{name}: more than {MAX_ROWS:,} rows; split the catalogue")
        if len(cells) != len(header):
            yield Row(line, {}, "has not as many fields as the heading")
            continue
        yield Row(line, {c: " ".join(t.split()) for c, t in zip(header, cells, strict=True)})


def _records(text: TextIO, name: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of each record, within the bounds on lines."""
    taken = 0  # physical lines since the last record: a lone quote would swallow the file

    def lines() -> Iterator[str]:
        nonlocal taken
        for number in range(1, 10**9):
            line = text.readline(MAX_LINE + 1)
            if not line:
                return
            taken += 1
            if len(line) > MAX_LINE:
                raise CatalogueError(f"{name} row {number}: longer than {MAX_LINE:,} characters")
            if taken > MAX_LINES_A_ROW:
                raise CatalogueError(
                    f"{name} row {number}: a quotation mark was not closed within "
                    f"{MAX_LINES_A_ROW} lines"
                )
            yield line

    reader = csv.reader(lines(), strict=True)
    try:
        for cells in reader:
            taken = 0
            yield reader.line_num, cells
    except csv.Error as error:
        raise CatalogueError(
            f"{name} row {reader.line_num}: cannot be read as a CSV file: {error}"
        ) from error
    except UnicodeDecodeError as error:
        raise CatalogueError(
            f"{name}: cannot be read as a CSV file: not UTF-8 text; save it as UTF-8"
        ) from error


def read_rows(path: str | Path, required: Iterable[str]) -> list[tuple[str, dict[str, str]]]:
    """Rows of a CSV catalogue as ("file row n", {column: stripped text}); n counts the heading.

    Raises CatalogueError for a file that cannot be read, or that lacks a required column, and at
    the first row that has not as many fields as the heading.
    """
    name = Path(path).name
    header, rows = parse_rows(read_bytes(path), name)
    check_columns(name, header, required)
    found = []
    for row in rows:
        where = f"{name} row {row.line}"
        if row.problem:
            raise CatalogueError(f"{where}: {row.problem}")
        found.append((where, dict(row.fields)))
    return found


def check_columns(name: str, header: Iterable[str], required: Iterable[str]) -> None:
    """Raises CatalogueError that lists the required columns that are not there."""
    present = set(header)
    missing = [column for column in required if column not in present]
    if missing:
        raise CatalogueError(f"{name}: missing columns: {', '.join(missing)}")


def parse_number(
    where: str, row: Mapping[str, str], column: str, low: float, high: float
) -> float | None:
    """The number in a field, None if it is empty; CatalogueError unless low <= number <= high.

    A number is written with digits and a point ("0.5", "1e-3"); "1,5", "1_000" and "nan" are not.
    """
    text = row[column]
    if not text:
        return None
    if text.strip("+-").casefold() in ("inf", "infinity", "nan"):
        raise CatalogueError(f"{where}: {column} is {text}; it must lie from {low:g} to {high:g}")
    if not _NUMBER.fullmatch(text):
        raise CatalogueError(f"{where}: {column} is {shown(text)!r}; it must be a number")
    value = float(text)
    if not math.isfinite(value) or not low <= value <= high:
        raise CatalogueError(
            f"{where}: {column} is {shown(text)}; it must lie from {low:g} to {high:g}"
        )
    return value


def check_text(where: str, column: str, text: str, most: int) -> None:
    """CatalogueError for a text that is too long, cannot be printed, or begins a formula."""
    if len(text) > most:
        raise CatalogueError(f"{where}: {column} has {len(text):,} characters; {most} at most")
    if text != " ".join(text.split()) or not text.isprintable():
        raise CatalogueError(f"{where}: {column} has characters that cannot be printed")
    if text.startswith(FORMULA_STARTS):
        raise CatalogueError(
            f"{where}: {column} is {shown(text)!r}, which a spreadsheet would run as a formula"
        )


def shown(text: str, most: int = _SHOWN) -> str:
    """A foreign text for one line of a message: short, and only what can be printed."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: most + 1])
    plain = plain.strip()
    return plain if len(text) <= most else f"{plain[:most]}..."
