"""A comparison as text for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from collector.compare.compare import CellComparison, Comparison, Settings, Shift
from collector.compare.runs import MeasuredRun

_SHOWN = 20


def report_lines(
    a: Sequence[MeasuredRun], b: Sequence[MeasuredRun], result: Comparison, show_all: bool
) -> Iterator[str]:
    """The whole report: who, families, the largest differences, the verdict."""
    for side, runs in (("A", a), ("B", b)):
        for run in runs:
            facts = run.info.run
            yield (
                f"{side}  {run.run_id}  {run.label}  {facts.get('suite', '?')}  "
                f"{str(facts.get('started_at', '?'))[:19]}  {len(run.cells)} cells"
            )
    yield _sameness(a[0], b[0])
    yield from _differing_versions(a[0], b[0])
    if result.spread_from:
        yield f"run-to-run spread from {result.spread_from}"
    else:
        yield (
            "run-to-run spread unknown: no machine was measured twice; ratios are shown, no "
            "difference is called (measure again, or name repeated runs with --repeats)"
        )
    for side, only in (("A", result.only_a), ("B", result.only_b)):
        if only:
            told = ", ".join(f"{n} {name}" for name, n in sorted(only.items()))
            yield f"only in {side}: {sum(only.values())} cells ({told})"
    yield ""
    yield from _family_lines(result, _spread_name(a[0], b[0]))
    yield ""
    for shift in result.shifts:
        yield _shift_line(shift, result.settings)
    yield ""
    yield from _cell_lines(result, show_all)
    yield f"verdict: {verdict(result)}"


def verdict(result: Comparison) -> str:
    """One line: different or not, and by how much."""
    judged, different = result.judged, result.different
    if not result.cells:
        return "nothing to compare, no cell was measured on both sides"
    if not judged:
        return f"cannot be said, the spread of all {len(result.cells)} cells is unknown"
    unknown = len(result.cells) - judged
    beside = f"; the spread of {unknown} more is unknown" if unknown else ""
    moved = [
        f"{shift.kind} x{shift.ratio:.3f}" for shift in result.shifts if shift.different is True
    ]
    as_whole = f"; as a whole different: {', '.join(moved)}" if moved else ""
    if not different:
        return f"no difference beyond run-to-run spread in {judged} cells{as_whole}{beside}"
    slower = sum(cell.ratio > 1 for cell in different)
    return (
        f"{len(different)} of {judged} cells differ ({len(different) / judged:.1%}): B is "
        f"slower in {slower}, faster in {len(different) - slower}{as_whole}{beside}"
    )


def report_json(
    a: Sequence[MeasuredRun], b: Sequence[MeasuredRun], result: Comparison, show_all: bool
) -> dict[str, Any]:
    """The same as JSON-ready objects; ``cells`` are those called different, or all."""
    return {
        "a": [_run_json(run) for run in a],
        "b": [_run_json(run) for run in b],
        "same_machine": a[0].machine_id == b[0].machine_id,
        "same_machine_type": _type(a[0]) == _type(b[0]),
        "versions_that_differ": {
            name: list(values) for name, values in differing_versions(a[0], b[0]).items()
        },
        "settings": asdict(result.settings),
        "spread_from": result.spread_from or None,
        "cells_compared": len(result.cells),
        "cells_judged": result.judged,
        "cells_different": len(result.different),
        "only_a": dict(result.only_a),
        "only_b": dict(result.only_b),
        "families": [asdict(family) for family in result.families],
        "shifts": [asdict(shift) for shift in result.shifts],
        "cells": [
            {**asdict(cell), "name": {**asdict(cell.name), "params": dict(cell.name.params)}}
            for cell in (result.cells if show_all else result.different)
        ],
        "verdict": verdict(result),
    }


def differing_versions(a: MeasuredRun, b: MeasuredRun) -> Mapping[str, tuple[str, str]]:
    """Libraries, Python, driver and collector whose versions are not the same: (in A, in B)."""
    one, other = dict(a.versions), dict(b.versions)
    return {
        name: (one.get(name, "none"), other.get(name, "none"))
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    }


def _differing_versions(a: MeasuredRun, b: MeasuredRun) -> Iterator[str]:
    changed = differing_versions(a, b)
    if changed:
        told = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in changed.items())
        yield f"versions differ: {told}"
    else:
        yield "versions of libraries, driver, Python and collector are the same"


def _sameness(a: MeasuredRun, b: MeasuredRun) -> str:
    if a.machine_id == b.machine_id:
        return "the same machine"
    if _type(a) is not None and _type(a) == _type(b):
        return "two machines of one type"
    return "machines of different types"


def _spread_name(a: MeasuredRun, b: MeasuredRun) -> str:
    return {
        "the same machine": "between runs of one machine",
        "two machines of one type": "between two machines of one type",
    }.get(_sameness(a, b), "between machines of different types")


def _type(run: MeasuredRun) -> Any:
    return run.info.machine.get("machine_type_id")


def _run_json(run: MeasuredRun) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "machine_id": run.machine_id,
        "label": run.label,
        "suite": run.info.run.get("suite"),
        "started_at": run.info.run.get("started_at"),
        "cells": len(run.cells),
    }


def _family_lines(result: Comparison, caption: str) -> Iterator[str]:
    yield f"half and 90 % of the cells are within these ratios of 1 ({caption}):"
    yield (
        f"{'device':<7}{'family':<16}{'cells':>6}{'slower':>8}{'faster':>8}"
        f"{'median B/A':>12}{'half within':>13}{'90 % within':>13}"
    )
    for row in result.families:
        yield (
            f"{row.device:<7}{row.workload:<16}{row.cells:>6}{row.slower:>8}{row.faster:>8}"
            f"{row.median_ratio:>12.3f}{row.half_within:>13.1%}{row.ninety_within:>13.1%}"
        )


def _shift_line(shift: Shift, settings: Settings) -> str:
    text = f"all cells, {shift.kind}: B/A {shift.ratio:.3f}"
    if shift.ratio_low is None or shift.ratio_high is None:
        return f"{text} (run-to-run spread of these cells unknown)"
    level = (
        f"more than {settings.smallest_effect:.0%} at the {settings.false_discovery_rate:.0%} level"
    )
    said = f"different by {level}" if shift.different else f"no difference of {level} is shown"
    return f"{text}, 95 % interval {shift.ratio_low:.3f} to {shift.ratio_high:.3f}: {said}"


def _cell_lines(result: Comparison, show_all: bool) -> Iterator[str]:
    shown = result.cells if show_all else result.different or result.cells[:3]
    if not shown:
        return
    if show_all:
        yield "all cells, the largest ratio first:"
    elif result.different:
        yield "the largest differences:"
    else:
        yield "the largest ratios, none called different:"
    for cell in shown if show_all else shown[:_SHOWN]:
        yield _cell_line(cell)
    if not show_all and len(shown) > _SHOWN:
        yield f"  and {len(shown) - _SHOWN} more (--all)"


def _cell_line(cell: CellComparison) -> str:
    interval = (
        "(spread unknown)"
        if cell.ratio_low is None or cell.ratio_high is None
        else f"({cell.ratio_low:.3g} to {cell.ratio_high:.3g})"
    )
    mark = "*" if cell.different else " "
    return (
        f"{mark} {cell.ratio:8.3f} {interval:<20} {_seconds(cell.a_median_s)} -> "
        f"{_seconds(cell.b_median_s)}  {cell.name}"
    )


def _seconds(value: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"
