"""A CPU place against a GPU place: which to compare, speed-up, break-even, renting either twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from collector.errors import BreakevenError, EstimateError
from collector.workloads import LARGEST_PARAMETER
from estimator.answer import NORMAL_95
from estimator.cells.defaults import MATH_MODE, cpu_mode, fastest_first, other_place
from estimator.decide.breakeven import (
    Breakeven,
    Place,
    Speedup,
    breakeven_size,
    largest_that_fits,
    ratio_of_times,
)
from estimator.decide.places import (
    TIMES,
    PlaceAnswers,
    PlaceQuestion,
    amortised,
    answer_places,
)
from estimator.model.ask import ask
from estimator.others.facts import relation
from estimator.others.spread import machine_deviation, typical_difference

if TYPE_CHECKING:
    from estimator.model.model import Model


@dataclass(frozen=True)
class RentedTwice:
    """What renting the same machine type twice does to a time.

    ``factor_p50`` and ``factor_p90``: by what factor two machines of the type differ in half and
    in nine tenths of the cases. ``machines``: label (with the id's start) and seconds of each
    measured machine of the type. ``measured``: False where the factors are the general fallback.
    """

    factor_p50: float
    factor_p90: float
    machines: tuple[tuple[str, float], ...]
    measured: bool


def rented_twice(model: Model, cell: dict[str, Any]) -> RentedTwice:
    """What the spread between machines of one type does to a cell (a question to ``predict``).

    Raises SelectionError and EstimateError as ``Model.predict`` does.
    """
    asked = pd.DataFrame([cell])
    answer = model.predict(asked)
    device = str(cell["device"])
    mode = cell.get("mode") or ("hot" if device == "cpu" else "resident")
    described = asked.assign(answer_mode=mode)
    deviation = float(machine_deviation(model.spread, answer, described)[0])
    seen = typical_difference(model.spread, described)
    facts = model.donors.facts
    own = model.donors.target(str(cell["machine_id"]))
    alike = [
        machine
        for machine in facts.values()
        if machine.cells.get(device, 0)
        and (machine.machine_id == own.machine_id or relation(own, machine, device) == "same")
    ]
    places = [{**cell, "machine_id": machine.machine_id} for machine in alike]
    times = model.predict(pd.DataFrame(places), strict=False)["seconds_p50"] if alike else ()
    listed = tuple(
        (f"{machine.label} ({machine.machine_id[:8]})", float(seconds))
        for machine, seconds in zip(alike, times, strict=True)
        if np.isfinite(seconds)
    )
    median, p90 = seen or (0.6745 * deviation, NORMAL_95 * deviation)
    return RentedTwice(float(np.exp(median)), float(np.exp(p90)), listed, seen is not None)


_NOTICEABLE = 1.01  # times as fast: less is none of a reader's business
_MOST_REASONS = 3


@dataclass(frozen=True)
class Wanted:
    """What somebody asks of one side: machine (as ``PlaceQuestion`` names it), library, threads."""

    machine_id: str | None = None
    backend: str | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Pair:
    """A CPU and a GPU place, rows of ``PlaceAnswers.table``, and the answers that they are of."""

    cpu: pd.Series[Any]
    gpu: pd.Series[Any]
    answers: PlaceAnswers

    @property
    def speedup(self) -> Speedup:
        """Of the GPU over the CPU."""
        return pair_speedup(self.cpu, self.gpu)


@dataclass(frozen=True)
class Faster:
    """A place that is ``ratio`` times as fast as a chosen one by estimate, but less well known.

    ``at`` is its position in the table, ``same_machine`` whether it is the chosen one's.
    """

    at: int
    ratio: float
    same_machine: bool


def find_pair(
    model: Model, question: PlaceQuestion, cpu: Wanted = Wanted(), gpu: Wanted = Wanted()
) -> Pair:
    """The places that answer whether a GPU pays: ``fair_pair`` of those that are wanted.

    Raises SelectionError for an impossible operation, EstimateError where a side has no place.
    """
    found = answer_places(model, question)
    table = _narrowed(_narrowed(found.table, "cuda", gpu), "cpu", cpu)
    pair = fair_pair(table)
    if pair is None:
        reason = "" if found.refused.empty else f": {reasons_in_short(found.refused)}"
        raise EstimateError(
            f"{question.workload} {question.case}: no CPU and GPU to compare with these options"
            f"{reason}"
        )
    return Pair(table.iloc[pair[0]], table.iloc[pair[1]], found)


def find_pair_beside(
    model: Model, question: PlaceQuestion, cpu: Wanted = Wanted(), gpu: Wanted = Wanted()
) -> Pair | None:
    """The pair of the same question with the data in the other place; None where there is none.

    As ``find_pair`` answers that question by itself, whichever library is then the fastest.
    """
    other = other_place(question.gpu_mode)
    if other is None:
        return None
    try:
        return find_pair(model, replace(question, gpu_mode=other, reuse=1.0), cpu, gpu)
    except EstimateError:
        return None


def pair_speedup(cpu: Mapping[str, Any] | pd.Series[Any], gpu: Any) -> Speedup:
    """Speed-up of the GPU of two rows of ``PlaceAnswers.table``."""
    slow, fast = (tuple(float(row[name]) for name in TIMES) for row in (cpu, gpu))
    return ratio_of_times(slow, fast)


def _narrowed(table: pd.DataFrame, device: str, wanted: Wanted) -> pd.DataFrame:
    """The places of one device that were asked for, and all of the other."""
    pairs = {
        "machine_id": wanted.machine_id,
        "backend": wanted.backend,
        "threads": wanted.threads,
    }
    for name, value in pairs.items():
        if value is not None and len(table):
            same = table[name] == value
            if name == "machine_id":  # a CPU of the catalogue carries its cores in its name
                same |= table[name].str.startswith(f"{value}, ")
            table = table[(table["device"] != device) | same]
    return table.reset_index(drop=True)


def fair_pair(table: pd.DataFrame) -> tuple[int, int] | None:
    """Positions of the CPU and the GPU place of ``PlaceAnswers.table`` to compare by default.

    Those of one machine if any has both: of the machines whose two sides are best known, the one
    with the fastest GPU. On each side the place that speaks for it (``fastest_first``). The
    fastest of each side where no machine has both; None where a side has no place.
    """
    if table.empty:
        return None
    ranked = table.reset_index(drop=True)
    ranked = fastest_first(ranked.assign(at=np.arange(len(ranked))))
    sides = [
        ranked[ranked["device"] == device].drop_duplicates("machine_id")
        for device in ("cpu", "cuda")
    ]
    if not all(len(side) for side in sides):
        return None
    both = sides[0].merge(sides[1], on="machine_id", suffixes=("_cpu", "_gpu"))
    if both.empty:
        on_cpu, on_gpu = (side["at"].iloc[0] for side in sides)
        return int(on_cpu), int(on_gpu)
    guessed = both["guessed_cpu"] + both["guessed_gpu"]
    order = ["guessed", "seconds_p50_gpu", "seconds_p50_cpu", "at_gpu"]
    best = both.assign(guessed=guessed).sort_values(order).iloc[0]
    return int(best["at_cpu"]), int(best["at_gpu"])


def faster_than(table: pd.DataFrame, chosen: Mapping[str, Any] | pd.Series[Any]) -> Faster | None:
    """The fastest place by estimate of a chosen one's device, if it is noticeably faster.

    ``chosen``: a row of ``table`` (``PlaceAnswers.table``).
    """
    ranked = table.reset_index(drop=True)
    same = ranked[ranked["device"] == chosen["device"]]
    best = same["seconds_p50"].astype(float).idxmin()
    ratio = float(chosen["seconds_p50"]) / float(ranked["seconds_p50"].loc[best])
    if ratio < _NOTICEABLE:
        return None
    machine = ranked["machine_id"].loc[best]
    return Faster(int(best), ratio, bool(machine == chosen["machine_id"]))


def reasons_in_short(refused: pd.DataFrame) -> str:
    """The commonest reasons of ``PlaceAnswers.refused`` with their counts; "" for none."""
    counts = refused["reason"].value_counts()
    parts = [
        f"{reason} ({count} place{'' if count == 1 else 's'})"
        for reason, count in counts.iloc[:_MOST_REASONS].items()
    ]
    more = int(counts.iloc[_MOST_REASONS:].sum())
    return "; ".join([*parts, *([f"{more} more for other reasons"] if more else [])])


_CURVE_POINTS = 61
_CURVE_REACH = 16.0  # times below and above the sizes that matter


@dataclass(frozen=True)
class PairAnswer:
    """A CPU place against a GPU place.

    ``crossing`` is None where nothing varies, ``crossing_problem`` says why it could not be
    found. ``curves``: side ("cpu", "gpu"), size and ``TIMES`` over the varied parameter.
    ``twice`` says what renting the machine twice does to each side, where that is known.
    """

    speedup: Speedup
    crossing: Breakeven | None
    crossing_problem: str
    curves: pd.DataFrame
    twice: Mapping[str, RentedTwice] = field(default_factory=dict)


def compare_places(
    model: Model, question: PlaceQuestion, cpu: Place, gpu: Place, vary: str = ""
) -> PairAnswer:
    """A CPU place against a GPU place: speed-up, break-even along ``vary``, curves, twice.

    Raises SelectionError and EstimateError as ``Model.predict`` does.
    """
    answer = amortised(ask(model, _pair(question, cpu, gpu), question.about), question.reuse)
    times = [tuple(row) for row in answer[list(TIMES)].to_numpy(dtype=float).tolist()]
    crossing, problem = None, ""
    if vary:
        fixed = {name: value for name, value in question.given if name != vary}
        try:
            crossing = breakeven_size(
                model,
                *(question.workload, question.case, question.dtype),
                *(cpu, gpu, question.reuse),
                params=fixed,
                vary=vary,
                math_mode=question.math_mode,
                about=question.about,
            )
        except BreakevenError as error:
            problem = str(error)
    curves = pd.DataFrame(columns=["side", "size", *TIMES])
    if crossing is not None:
        curves = _curves(model, question, cpu, gpu, vary, crossing.value)
    return PairAnswer(
        ratio_of_times(times[0], times[1]),
        crossing,
        problem,
        curves,
        _twice(model, question, cpu, gpu),
    )


def _pair(question: PlaceQuestion, cpu: Place, gpu: Place) -> pd.DataFrame:
    """Both places as questions to ``machine_types.ask``, the CPU's first."""
    params: Any = [question.params] * 2
    return pd.DataFrame(
        {
            "machine_id": [cpu.machine_id, gpu.machine_id],
            "backend": [cpu.backend, gpu.backend],
            "device": ["cpu", "cuda"],
            "threads": [cpu.threads, gpu.threads],
            "math_mode": [MATH_MODE, question.math_mode],
            "mode": [cpu_mode(gpu.mode), gpu.mode],
            "workload": question.workload,
            "case": question.case,
            "dtype": question.dtype,
            "params": params,
        }
    )


def _curves(
    model: Model, question: PlaceQuestion, cpu: Place, gpu: Place, vary: str, value: int | None
) -> pd.DataFrame:
    """The model's times of both over one parameter, about the asked and the break-even value."""
    ends = [dict(question.given)[vary], *([] if value is None else [value])]
    low, high = max(1.0, min(ends) / _CURVE_REACH), max(ends) * _CURVE_REACH
    high = largest_that_fits(
        model,
        lambda value: _pair(question.with_value(vary, value), cpu, gpu),
        max(ends),
        min(LARGEST_PARAMETER, high),
    )
    steps = np.geomspace(low, high, _CURVE_POINTS).round()
    asked = [question.with_value(vary, int(step)) for step in np.unique(steps)]
    cells = pd.concat([_pair(one, cpu, gpu) for one in asked], ignore_index=True)
    answer = amortised(ask(model, cells, question.about), question.reuse)
    sizes = np.repeat([float(one.size) for one in asked], 2)
    sides = np.tile(["cpu", "gpu"], len(asked))
    return answer[list(TIMES)].astype(float).assign(side=sides, size=sizes)


def _twice(model: Model, question: PlaceQuestion, cpu: Place, gpu: Place) -> dict[str, RentedTwice]:
    found: dict[str, RentedTwice] = {}
    rows = model.types.on_boxes(_pair(question, cpu, gpu)).to_dict("records")
    for side, row in zip(("cpu", "gpu"), rows, strict=True):
        cell = {str(name): value for name, value in row.items()}
        try:
            found[side] = rented_twice(model, cell)
        except BreakevenError:
            continue  # a data sheet alone says nothing of two machines of its type
    return found
