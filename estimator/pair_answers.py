"""A CPU place against a GPU place: speed-up, break-even, curves, and renting either twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from collector.errors import BreakevenError
from collector.workloads.base import LARGEST_PARAMETER
from estimator.breakeven import Breakeven, Place, Speedup, breakeven_size, ratio_of_times
from estimator.defaults import MATH_MODE, cpu_mode
from estimator.fitting_sizes import largest_that_fits
from estimator.machine_types import ask
from estimator.place_answers import TIMES, PlaceQuestion, amortised

if TYPE_CHECKING:
    from estimator.model import Model
    from estimator.spread import RentedTwice

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
    from estimator.spread import rented_twice

    found: dict[str, RentedTwice] = {}
    rows = model.types.on_boxes(_pair(question, cpu, gpu)).to_dict("records")
    for side, row in zip(("cpu", "gpu"), rows, strict=True):
        cell = {str(name): value for name, value in row.items()}
        try:
            found[side] = rented_twice(model, cell)
        except BreakevenError:
            continue  # a data sheet alone says nothing of two machines of its type
    return found
