"""Plain text for people: times, money, counts, tables for a terminal, how a time is known.

Pure, and at the bottom of the estimator: every module may use it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector.errors import SelectionError

#: Columns of a terminal that reports keep to.
WIDTH = 100

_LONG = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))
_SCALES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
_UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = r"([0-9.]+(?:e[+-]?[0-9]+)?)\s*(s|min|m|h|d)?\s*"


@dataclass(frozen=True, slots=True)
class BasisWords:
    """How an estimated time is known, in words.

    ``short`` and ``long``: of the machine that was asked about. ``instance`` and
    ``instance_long``: of an instance, of which at best a machine with the same GPU was measured;
    ``instance_source`` names that in two words.
    """

    short: str
    long: str
    instance: str
    instance_long: str
    instance_source: str = "same GPU"


#: What ``Model.predict`` calls ``basis``, from the best known to the least; the last is a job's.
BASIS: Mapping[str, BasisWords] = {
    "measured": BasisWords(
        "this cell was measured",
        "model of this machine, this very cell was measured too",
        "measured on the same GPU",
        "this very case was measured on a machine with the same GPU",
    ),
    "interpolated": BasisWords(
        "between measured sizes",
        "model of this machine, between measured sizes",
        "same GPU, between measured sizes",
        "from a machine with the same GPU, between measured sizes",
    ),
    "extrapolated": BasisWords(
        "beyond measured sizes",
        "model of this machine, beyond measured sizes",
        "same GPU, beyond measured sizes",
        "from a machine with the same GPU, beyond the measured sizes",
    ),
    "new_workload": BasisWords(
        "case not measured here",
        "model of this machine, no cell like this was measured",
        "same GPU, case not measured",
        "from a machine with the same GPU; no such case was measured there",
    ),
    "probed": BasisWords(
        "through other machines, corrected by a few cells of this one",
        "through other machines, corrected by this one's own cells",
        "same GPU, through other machines",
        "from a machine with the same GPU, through other machines",
    ),
    "from_specs": BasisWords(
        "from data sheets",
        "from specs: measured machines scaled by data sheets",
        "estimated from data sheets",
        "estimated from data sheets: no machine with this processor was measured",
        "data sheets",
    ),
    "nearest_kind": BasisWords(
        "by the nearest kind measured",
        "an operation that no family measures is answered by the nearest kind, with its work",
        "by the nearest kind measured",
        "in part by the nearest kinds of operations that were measured",
        "nearest kind",
    ),
}


def basis_words(basis: str) -> BasisWords:
    """The words of a basis; one that is not known stands for itself."""
    return BASIS.get(basis, BasisWords(basis, basis, basis, basis))


def duration(seconds: float) -> str:
    """Three digits and a unit: 12.3 ms; minutes, hours and days for what takes long."""
    if not math.isfinite(seconds):
        return "-"
    for limit, unit in _LONG:
        if seconds >= 2 * limit:
            return f"{seconds / limit:.3g} {unit}"
    for scale, unit in _SCALES:
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def parse_duration(text: str) -> float:
    """Seconds of "2h", "90m", "45s", "1.5d", "1h30m" or "7200". Raises SelectionError."""
    lowered = text.strip().lower()
    parts = re.findall(_PART, lowered)
    try:
        if not parts or not re.fullmatch(f"(?:{_PART})+", lowered):
            raise ValueError
        if len(parts) > 1 and not all(unit for _, unit in parts):
            raise ValueError
        seconds = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
        if not math.isfinite(seconds):
            raise ValueError
    except ValueError:
        raise SelectionError(
            f"{text[:40]!r} is no time; write seconds, or a number with s, m, h or d, such as 90m"
        ) from None
    return seconds


def dollars(amount: float, cents: bool = False) -> str:
    """US dollars to three digits: $0.00123, $45.6. ``cents``: to the cent from a dollar up."""
    if not math.isfinite(amount):
        return "-"
    if not cents:
        return f"${amount:,.0f}" if amount >= 1000 else f"${amount:.3g}"
    if amount == 0.0 or abs(amount) >= 1.0:
        return f"${amount:,.0f}" if abs(amount) >= 10_000 else f"${amount:,.2f}"
    digits = max(2, 2 - math.floor(math.log10(abs(amount))))
    return f"${amount:.{digits}f}"


def plural(count: int, noun: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def shortened(text: str, width: int, mark: str = "..") -> str:
    """At most ``width`` characters, the last ones a mark where some are left out."""
    return text if len(text) <= width else text[: width - len(mark)] + mark


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned first column, right-aligned others, two spaces between."""
    widths = [max(len(str(line[i])) for line in (header, *rows)) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "  ".join(padded).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(header), rule, *(line(row) for row in rows)])
