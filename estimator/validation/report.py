"""A validation as text for the terminal and as a Markdown document. Pure."""

from __future__ import annotations

import math
import platform
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pandas as pd

from estimator.validation.goals import (
    COVERAGE_BAND,
    COVERAGE_LEAST_CELLS,
    LEAST_ANSWERED,
    LEAST_COMPARED,
    Verdict,
)
from estimator.validation.scores import PREDICTORS, coverage, totals
from estimator.validation.splits import DESCRIPTIONS, SPECS
from estimator.validation.validate import Validation

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


PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "duckdb", "pyarrow")

_INTRO = """# Validation of the estimator

Date: {date}. Regenerate with `{command}` ({seconds:.0f} s here). Do not edit: every figure below \
comes from that command.

Dataset: {cells:,} cells from {runs} runs on {machines} machines, fingerprint `{fingerprint}`. \
Packages of the estimator: {packages}.

Every figure is of cells that the fit did not see. A held-out shape is out in all libraries, \
element types, modes and machines at once, but for the splits about machines. Errors are in \
percent of the measured median.

| split | what is held out, and what is asked |
|---|---|
{splits}

- **cpu**, **gpu**, **gpu host**: cells on a CPU; on a GPU; on a GPU and timed by the host, whose \
device time and copies make up less than half of it. The clock of the first and the last is the \
host's, so they are judged by the goal or the **floor**, whichever is larger: the mean (for p90: \
the 90th percentile; for a median: the median) difference between two runs of one machine on the \
same cells.
- **n**: cells answered, of those asked where fewer. A goal counts as met only where at least \
{answered:.0f} % of the asked cells were answered.
- **bias**: mean signed error, negative where the estimate is too short. **cov**: share of \
measurements inside the 90 % interval. **rank**: Spearman's correlation within one machine, \
library, element type and mode. **regr**: how much slower than the best measured the library or \
machine is that the estimate would choose, mean.
- **roof**, **near**, **cores**, **FLOP**: mean errors of the simple methods. Plain roofline: the \
longest of FLOP, bytes and copies over the best rates measured on that machine, or else of its \
data sheet. Nearest neighbour: the nearest cell of the same group, or else of another machine \
times the ratio of the data sheets' rooflines. The two rules of thumb \
(`estimator/rules/rules_of_thumb.py`) read data sheets and the calculators' guessed efficiency.
"""


def document(validation: Validation, command: str, date: str) -> str:
    """The report; ``command`` is the one that makes it again, ``date`` the day's."""
    return (
        "\n\n".join(
            [
                _intro(validation, command, date),
                _section("Machines", _machines(validation)),
                _section("Goals", _goals(validation)),
                _section("All families together", _totals(validation)),
                _section("Where a simple method is nearer", _losses(validation)),
                _section("Intervals", _intervals(validation)),
                _section("Choices", _choices(validation)),
                _section("Difference between runs", _floors(validation)),
                _section("What is not covered", _uncovered(validation)),
                *_splits(validation),
            ]
        ).rstrip("\n")
        + "\n"
    )


def _intro(validation: Validation, command: str, date: str) -> str:
    shown = set(validation.results["split"])
    return _INTRO.format(
        date=date,
        command=command,
        seconds=validation.seconds,
        cells=validation.cells,
        runs=validation.runs,
        machines=len(validation.machines),
        fingerprint=validation.fingerprint[:16],
        packages=", ".join(_versions()),
        splits="\n".join(f"| {k} | {v} |" for k, v in DESCRIPTIONS.items() if k in shown),
        answered=100.0 * LEAST_ANSWERED,
    ).rstrip("\n")


def _versions() -> list[str]:
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found


def _machines(validation: Validation) -> str:
    rows = [
        (
            *(_short(machine["machine_id"]), str(machine["label"])),
            *(_short(machine["machine_type_id"]), str(machine["runs"])),
            *(str(machine[name]) for name in ("cpu_cells", "gpu_cells")),
        )
        for machine in validation.machines.to_dict("records")
    ]
    header = ("machine", "label", "type", "runs", "cells, CPU", "cells, GPU")
    libraries = ", ".join(f"{k} {v}" for k, v in validation.libraries.items()) or "not told"
    return f"{markdown_table(header, rows, left=3)}\n\nMeasured libraries: {libraries}."


def _goals(validation: Validation) -> str:
    met = [one.met for one in validation.verdicts]
    summary = f"{met.count(True)} of {len(met)} met, {met.count(False)} not"
    if met.count(None):
        summary += f", {met.count(None)} without an answered cell"
    rows = [verdict_row(one) for one in validation.verdicts]
    return f"{summary}.\n\n{markdown_table(VERDICT_HEADER, rows, left=3)}"


def _totals(validation: Validation) -> str:
    table = totals(validation.results)
    header = ("split", "clock", "predictor", "n", "MAPE", "median", "p90", "bias", "cov")
    rows = [
        (
            *(str(row["split"]), str(row["clock"]), str(row["predictor"]), _count(row)),
            *(percent(row[name]) for name in ("mape", "median_ape", "p90_ape")),
            percent(row["bias"], "+"),
            percent(100.0 * row["coverage90"]),
        )
        for row in table.to_dict("records")
    ]
    return markdown_table(header, rows, left=3)


def _losses(validation: Validation) -> str:
    rows = losses(validation.beside, list(DESCRIPTIONS))
    if not rows:
        return "Nowhere, of families and clocks with at least five cells that both answered."
    header = ("split", "family", "clock", "method", "n", "ours", "theirs")
    told = "Mean errors on the cells that both answered, where there are at least five."
    return f"{told}\n\n{markdown_table(header, rows, left=4)}"


def _intervals(validation: Validation) -> str:
    told = (
        "Share of measurements inside the 90 % interval, and the median of its upper end over its "
        f"lower end. The goal is {COVERAGE_BAND[0]:g} to {COVERAGE_BAND[1]:g} % where at least "
        f"{COVERAGE_LEAST_CELLS} cells were asked."
    )
    also = "The same cells by what the model says that its answer rests on:"
    by_split = _coverage_table(validation.coverage, "split")
    by_basis = _coverage_table(coverage(validation.results, "basis"), "basis")
    return f"{told}\n\n{by_split}\n\n{also}\n\n{by_basis}"


def _coverage_table(table: pd.DataFrame, by: str) -> str:
    rows = [
        (
            *(str(row[by]), str(row["device"]), str(row["n"])),
            percent(100.0 * row["coverage90"]),
            f"{row['width']:.2f}",
        )
        for row in table.to_dict("records")
    ]
    return markdown_table((by, "device", "n", "cov", "p95/p5"), rows, left=2)


def _choices(validation: Validation) -> str:
    rows = [
        (
            *(str(row["split"]), str(row["kind"]), str(row["predictor"]), str(row["n"])),
            str(row["clear"]),
            percent(100.0 * row["right"]),
            percent(row["regret"]),
            percent(row["worst"]),
        )
        for row in validation.decisions.to_dict("records")
    ]
    told = (
        "Choices among held-out cells of the same question: between libraries on one machine and "
        "device, between types of machine, and between CPU and GPU (then with the copies both "
        "ways). Clear: the second best takes over 15 % longer; right: the best was chosen of those."
        " Regret: time of the chosen over the best, in percent, mean of all, and the worst: a "
        "single disturbed measurement can make a choice look bad."
    )
    header = ("split", "choice", "predictor", "n", "clear", "right %", "regret %", "worst %")
    return f"{told}\n\n{markdown_table(header, rows, left=3)}"


def _floors(validation: Validation) -> str:
    rows = [
        (
            *(str(row["clock"]), "all" if row["family"] == "*" else str(row["family"])),
            str(row["pairs"]),
            *(percent(row[name]) for name in ("mean", "median", "p90")),
        )
        for row in validation.floors.to_dict("records")
    ]
    if not rows:
        return "No machine was measured twice."
    told = (
        "Two runs of one machine on the same cell, in percent of either; with the repeated runs in "
        "`data/repeats` where the whole dataset was validated."
    )
    header = ("clock", "family", "pairs", "mean", "median", "p90")
    return f"{told}\n\n{markdown_table(header, rows, left=2)}"


def _uncovered(validation: Validation) -> str:
    """What the dataset cannot tell, from the dataset."""
    lines = []
    mine = validation.table[validation.table["predictor"] == "breakeven"]
    for split, rows in mine.groupby("split", sort=False):
        missing = rows[rows["n"] < rows["asked"]]
        if len(missing):
            count = int((missing["asked"] - missing["n"]).sum())
            names = ", ".join(sorted({str(name) for name in missing["family"]}))
            asked = int(rows["asked"].sum())
            lines.append(f"- {split}: {count} of {asked} cells without an answer ({names}).")
    few = mine[(mine["n"] > 0) & (mine["n"] < 5)]
    lines.append(
        f"- {len(few)} of {len(mine)} rows below rest on fewer than five cells: read them as "
        "examples, not as figures."
    )
    for device, column in (("CPU", "cpu_model"), ("GPU", "gpu_model")):
        models = sorted({str(name) for name in validation.machines[column].dropna()})
        lines.append(f"- {device}s measured: {', '.join(models) or 'none'}.")
    floors = validation.floors
    told = set(floors.loc[floors["family"] != "*", "family"]) if len(floors) else set()
    untold = sorted({str(name) for name in mine["family"]} - told)
    if untold:
        lines.append(
            f"- Families of fewer than five pairs of runs on any clock: {', '.join(untold)}. Their "
            "floor is that of all families."
        )
    if SPECS in set(mine["split"]):
        lines.append(
            "- Several GPU types: see `docs/published_kernels.md` for six, on published times."
        )
    return "\n".join(lines)


def _splits(validation: Validation) -> list[str]:
    sections = []
    for split, rows in validation.table.groupby("split", sort=False):
        lines = [error_line(one) for one in by_family(rows)]
        told = DESCRIPTIONS.get(str(split), "")
        body = f"{told}\n\n{markdown_table(ERROR_HEADER, lines, left=2)}"
        sections.append(_section(f"Split: {split}", body))
    return sections


def _short(identifier: Any) -> str:
    return identifier[:8] if isinstance(identifier, str) else "-"


def _count(row: dict[Any, Any]) -> str:
    return str(row["n"]) if row["n"] == row["asked"] else f"{row['n']}/{row['asked']}"


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """The first ``left`` columns to the left, the others to the right."""
    rule = ["---"] * left + ["---:"] * (len(header) - left)
    lines = [header, rule, *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
