"""Tables for the terminal, at most ``WIDTH`` columns. Pure: DataFrame in, text out."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

WIDTH = 100
_LONG = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))
_SMALLEST_PART = 1e-3  # of the time: a smaller part is not worth a line
_SCALES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


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


def dollars(amount: float) -> str:
    """Three significant digits: $0.00123, $45.6."""
    if not math.isfinite(amount):
        return "-"
    return f"${amount:,.0f}" if amount >= 1000 else f"${amount:.3g}"


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned first column, right-aligned others, two spaces between."""
    widths = [max(len(str(line[i])) for line in (header, *rows)) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "  ".join(padded).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(header), rule, *(line(row) for row in rows)])


def prediction_report(estimate: dict[str, Any], label: str) -> str:
    """One estimate: time with its interval, parts, bound, basis, and the measurement."""
    low, middle, high = (duration(estimate[f"seconds_{name}"]) for name in ("p5", "p50", "p95"))
    whose = _BASIS.get(estimate["basis"], estimate["basis"])
    whose = whose.replace("this machine,", "these machines,") if estimate["boxes"] > 1 else whose
    lines = [
        *textwrap.wrap(f"{label}:", WIDTH, subsequent_indent="  "),
        f"{middle}  (90 % interval {low} to {high})",
        "parts: "
        + ", ".join(
            f"{name} {duration(estimate[f'{name}_s'])}"
            for name in ("launch", "compute", "memory", "transfer")
            if estimate[f"{name}_s"] > _SMALLEST_PART * estimate["seconds_p50"]
        )
        + f"; bound by {estimate['bound']}",
        f"basis: {whose}; the fit of its group saw {estimate['n_fit']} cells",
    ]
    measured = estimate["measured_median_s"]
    if math.isfinite(measured):
        note = ""
        if measured in (estimate["seconds_p5"], estimate["seconds_p95"]):
            note = "; the model contradicts it: one of the two is wrong here"
        lines.append(
            f"measured: {duration(measured)} (median of {estimate['measured_n']} samples){note}"
        )
    return "\n".join(lines)


#: what stands behind the model's time, in words
_BASIS = {
    "measured": "model of this machine, this very cell was measured too",
    "interpolated": "model of this machine, between measured sizes",
    "extrapolated": "model of this machine, beyond measured sizes",
    "new_workload": "model of this machine, no cell like this was measured",
    "probed": "through other machines, corrected by this one's own cells",
    "from_specs": "from specs: measured machines scaled by data sheets",
}
