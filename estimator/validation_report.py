"""The validation as text for the terminal. Pure: data in, text out."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from estimator.validation_goals import LEAST_COMPARED, Verdict
from estimator.validation_scores import PREDICTORS

if TYPE_CHECKING:
    from estimator.validation import Validation

WIDTH = 100
_SHORT = {"roofline": "roof", "nearest": "near", "cores": "cores", "throughput": "FLOP"}
_OTHERS = PREDICTORS[1:]
ERROR_HEADER = (
    *("family", "clock", "n", "MAPE", "med", "p90", "bias", "cov", "rank", "regr", "floor"),
    *(_SHORT[name] for name in _OTHERS),
)
_LEGEND = """\
Errors in % of the measured median. n: cells answered (/ asked, where fewer). bias: mean signed \
error. cov: % inside the 90 % interval. rank: Spearman, within one machine, library, type and \
mode. regr: how much slower the chosen library or machine is than the best, mean %. floor: mean \
difference between two runs of a machine. Right: MAPE of the plain roofline, the nearest \
neighbour and the two rules of thumb."""


def terminal_report(validation: Validation) -> str:
    """Verdicts on the goals, then a table for each split; at most 100 columns wide."""
    table = validation.table
    if table.empty:
        return "too few sizes to hold any out: measure with `python -m collector run`"
    parts = [verdict_table(validation.verdicts)]
    for split, rows in table.groupby("split", sort=False):
        parts.append(f"{split}\n{error_table(rows)}")
    legend = textwrap.fill(_LEGEND, WIDTH)
    return "\n\n".join([*parts, f"{legend}\n{validation.seconds:.0f} s"])


def validation_object(validation: Validation) -> dict[str, Any]:
    """Everything as plain lists and dicts: goals, errors, coverage, choices, floors."""
    return {
        "fingerprint": validation.fingerprint,
        "seconds": validation.seconds,
        "goals": [asdict(one) | {"target": one.target} for one in validation.verdicts],
        "errors": validation.table.to_dict("records"),
        "coverage": validation.coverage.to_dict("records"),
        "choices": validation.decisions.to_dict("records"),
        "floors": validation.floors.to_dict("records"),
    }


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """One line for each goal: target, figure, cells, met or not."""
    return _aligned(VERDICT_HEADER, [verdict_row(one) for one in verdicts], left=3)


VERDICT_HEADER = ("split", "figure", "of", "goal", "is", "cells", "met")


def verdict_row(one: Verdict) -> tuple[str, ...]:
    """The cells of ``VERDICT_HEADER``."""
    met = {None: "-", True: "yes", False: "NO"}[one.met]
    cells = str(one.n) if one.n == one.asked else f"{one.n}/{one.asked}"
    return one.split, one.statistic, one.scope, one.target, percent(one.figure), cells, met


def _aligned(header: Sequence[str], lines: Sequence[Sequence[str]], left: int) -> str:
    """Columns one space apart, the first ``left`` of them to the left."""
    widths = [max(len(line[i]) for line in (header, *lines)) for i in range(len(header))]

    def text(cells: Sequence[str]) -> str:
        pairs = list(zip(cells, widths, strict=True))
        padded = [cell.ljust(width) for cell, width in pairs[:left]]
        padded += [cell.rjust(width) for cell, width in pairs[left:]]
        return " ".join(padded).rstrip()

    return "\n".join([text(header), " ".join("-" * width for width in widths), *map(text, lines)])


def error_table(rows: pd.DataFrame) -> str:
    """Rows of one split: the model's figures, and the simple methods' mean errors beside them."""
    return _aligned(ERROR_HEADER, [error_line(one) for one in by_family(rows)], left=2)


def by_family(rows: pd.DataFrame) -> list[dict[str, dict[str, Any]]]:
    """Of rows of one split, per family and clock: predictor -> its row."""
    keys = ["family", "device", "host_bound"]
    return [
        {str(row["predictor"]): row for row in group.to_dict("records")}  # type: ignore[misc]
        for _, group in rows.groupby(keys, sort=False)
    ]


def error_line(one: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    """The cells of ``ERROR_HEADER``."""
    mine = one["breakeven"]
    n, asked = int(mine["n"]), int(mine["asked"])
    return (
        str(mine["family"]),
        clock_name(mine),
        str(n) if n == asked else f"{n}/{asked}",
        *(percent(mine[name]) for name in ("mape", "median_ape", "p90_ape")),
        percent(mine["bias"], "+"),
        _number(100.0 * mine["coverage90"], "{:.0f}"),
        _number(mine["rank_correlation"], "{:.2f}"),
        percent(mine["regret"]),
        percent(mine["floor_mean"]),
        *(percent(one[name]["mape"]) if name in one else "-" for name in _OTHERS),
    )


def clock_name(row: Mapping[Any, Any]) -> str:
    """cpu, gpu, or gpu host for a GPU's cells that wait for the host."""
    if row["device"] == "cpu":
        return "cpu"
    return "gpu host" if row["host_bound"] else "gpu"


def losses(beside: dict[str, pd.DataFrame], order: Sequence[str]) -> list[tuple[str, ...]]:
    """Where a simple method is nearer on the same cells: split, family, clock, method, errors.

    ``order`` is that of the splits.
    """
    found: list[tuple[str, ...]] = []
    for name in _OTHERS:
        table = beside[name]
        worse = table[(table["n"] >= LEAST_COMPARED) & (table["ours"] > table["theirs"])]
        found += [
            (
                *(str(row["split"]), str(row["family"]), clock_name(row), name),
                *(str(row["n"]), percent(row["ours"]), percent(row["theirs"])),
            )
            for row in worse.to_dict("records")
        ]
    return sorted(found, key=lambda row: (order.index(row[0]), *row[1:3]))


def percent(value: float, sign: str = "") -> str:
    """A figure in percent to one digit below 100; "-" where there is none."""
    if not math.isfinite(value):
        return "-"
    if abs(value) >= 999.5:
        return ">999" if value > 0 else "<-999"
    return f"{value:{sign}.1f}" if abs(value) < 99.95 else f"{value:{sign}.0f}"


def _number(value: float, form: str) -> str:
    return form.format(value) if math.isfinite(value) else "-"
