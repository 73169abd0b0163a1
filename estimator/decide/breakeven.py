"""Speed-up of one place over another, and the size from which the GPU is faster and still fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import exp, hypot, log
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from collector.errors import EstimateError, SelectionError
from collector.workloads import get_workload
from estimator.answer import NORMAL_95
from estimator.cells.defaults import DATA_PLACE, MATH_MODE, cpu_mode
from estimator.cells.questions import operation
from estimator.decide.memory import memories
from estimator.model.ask import ask

if TYPE_CHECKING:
    from estimator.answer import About
    from estimator.model.model import Model


Verdict = Literal["gpu", "cpu", "unclear"]

_SIZES_EXAMINED = 97
_SIZES_BETWEEN = 33
_BEYOND_MEASURED = 16.0  # sizes are examined to so many times what was measured, both ways


@dataclass(frozen=True)
class Speedup:
    """Time on the CPU divided by time on the GPU, with its 90 % interval.

    ``verdict`` names the faster place where the interval leaves no doubt. ``gpu_probability``
    is how likely the GPU is the faster one.
    """

    ratio_p5: float
    ratio_p50: float
    ratio_p95: float
    verdict: Verdict
    gpu_probability: float


@dataclass(frozen=True)
class Place:
    """Where a family runs: the CPU or GPU of a machine or machine type through a library.

    ``threads`` None: the most that were measured. ``mode`` is read on a GPU only.
    """

    machine_id: str
    backend: str
    threads: int | None = None
    mode: str = DATA_PLACE


@dataclass(frozen=True)
class Breakeven:
    """The size from which the GPU is faster up to the largest size examined.

    ``size`` is in the units of ``Workload.size``, None where the two never change places;
    ``low`` and ``high`` bound it (90 %): below ``low`` the CPU is surely faster, above ``high``
    the GPU; None where that side is open. ``parameter`` is the one that was varied and
    ``value`` its value at ``size``.
    """

    size: int | None
    low: int | None
    high: int | None
    reason: str
    parameter: str
    value: int | None


def speedup(
    model: Model, cpu: Mapping[str, Any], gpu: Mapping[str, Any], about: About = "machine"
) -> Speedup:
    """Compare two cells, each a mapping with the columns of ``Model.predict``'s input.

    The errors of the two estimates are taken as independent. ``about`` is that of
    ``Model.predict``: the very machines of the cells, or any of their types.
    """
    rows = pd.DataFrame([dict(cpu), dict(gpu)])
    estimate = model.predict(rows, about=about)
    times = estimate[["seconds_p5", "seconds_p50", "seconds_p95"]].to_numpy(dtype=float)
    return ratio_of_times(tuple(times[0].tolist()), tuple(times[1].tolist()))


def ratio_of_times(slow: tuple[float, ...], fast: tuple[float, ...]) -> Speedup:
    """Ratio of two times given as (p5, p50, p95), errors independent in logarithms.

    The probability takes each side of the ratio's logarithm as half of a normal distribution.
    """
    ratio = slow[1] / fast[1]
    down = hypot(log(slow[1] / slow[0]), log(fast[2] / fast[1]))
    up = hypot(log(slow[2] / slow[1]), log(fast[1] / fast[0]))
    low, high = ratio * exp(-down), ratio * exp(up)
    verdict: Verdict = "gpu" if low > 1.0 else "cpu" if high < 1.0 else "unclear"
    side = down if ratio > 1.0 else up
    certain = 1.0 if ratio > 1.0 else 0.0 if ratio < 1.0 else 0.5
    probability = NormalDist().cdf(NORMAL_95 * log(ratio) / side) if side > 0.0 else certain
    return Speedup(low, ratio, high, verdict, probability)


def breakeven_size(
    model: Model,
    workload: str,
    case: str,
    dtype: str,
    cpu: Place,
    gpu: Place,
    reuse: float = 1.0,
    *,
    params: Mapping[str, int] | None = None,
    vary: str | None = None,
    math_mode: str = MATH_MODE,
    about: About = "machine",
) -> Breakeven:
    """Find where t_cpu = t_gpu + t_transfer / reuse as one parameter of the case grows.

    ``reuse`` is the number of calls that share one transfer of the operands. ``params`` holds
    the parameters that stay (by default those of the middle measured cell), ``vary`` names the
    one that grows (by default the first that is not fixed), ``about`` is that of
    ``Model.predict``. Sizes beyond the memory of either place are not examined. Raises
    SelectionError and EstimateError as ``Model.predict`` does.
    """
    if not reuse >= 1.0:
        raise SelectionError(f"reuse={reuse}: one transfer serves at least one call")
    varied, fixed, smallest, largest = _range(model, workload, case, params, vary, cpu, gpu)

    def cells(values: np.ndarray[Any, Any]) -> pd.DataFrame:
        shared = {"workload": workload, "case": case, "dtype": dtype}
        columns = {
            "params": [{**fixed, varied: int(value)} for value in values],
            **shared,
        }
        on_cpu = pd.DataFrame(columns).assign(
            machine_id=cpu.machine_id,
            backend=cpu.backend,
            device="cpu",
            threads=np.nan if cpu.threads is None else cpu.threads,
            mode=cpu_mode(gpu.mode),
            math_mode=MATH_MODE,
        )
        on_gpu = pd.DataFrame(columns).assign(
            machine_id=gpu.machine_id,
            backend=gpu.backend,
            device="cuda",
            threads=np.nan if gpu.threads is None else gpu.threads,
            mode=gpu.mode,
            math_mode=math_mode,
        )
        return pd.concat([on_cpu, on_gpu], ignore_index=True)

    def log_ratios(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """log(t_cpu / t_gpu) at each value: the estimate, its low and its high end, (n, 3)."""
        estimate = ask(model, cells(values), about)
        count = len(values)
        seconds = estimate["seconds_p50"].to_numpy(dtype=float)
        half = np.log(estimate["seconds_p95"].to_numpy(dtype=float) / seconds)
        saved = estimate["transfer_s"].to_numpy(dtype=float)[count:] * (1.0 - 1.0 / reuse)
        centre = np.log(seconds[:count] / (seconds[count:] - saved))
        width = np.hypot(half[:count], half[count:])
        return np.stack([centre, centre - width, centre + width], axis=1)

    largest = largest_that_fits(model, lambda value: cells(np.array([value])), smallest, largest)
    grid = np.unique(np.geomspace(smallest, largest, _SIZES_EXAMINED).round().astype("int64"))
    ratios = log_ratios(grid)
    crossings = _last_crossings(grid, ratios, log_ratios)
    family = get_workload(workload)

    def size(value: float | None) -> int | None:
        if value is None:
            return None
        return family.size(case, {**fixed, varied: round(value)})

    ends = [family.size(case, {**fixed, varied: int(value)}) for value in grid[[0, -1]]]
    value = crossings[0]
    return Breakeven(
        size=size(value),
        low=size(crossings[2]),
        high=size(crossings[1]),
        reason=_reason(ratios[:, 0], value, ends),
        parameter=varied,
        value=None if value is None else round(value),
    )


def _last_crossings(
    grid: np.ndarray[Any, Any],
    ratios: np.ndarray[Any, Any],
    exact: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]],
) -> list[float | None]:
    """Where each column of ``ratios`` last turns positive and stays so; None if it does not.

    The brackets of the grid are filled with further sizes, all of them asked at once, and the
    root found on the curve through them: sizes are whole numbers, so the curve is linear between.
    """
    from scipy.optimize import brentq

    brackets: dict[int, int] = {}
    fine: dict[int, np.ndarray[Any, Any]] = {}
    for column in range(ratios.shape[1]):
        negative = np.flatnonzero(ratios[:, column] <= 0.0)
        if len(negative) and negative[-1] < len(grid) - 1:
            at = brackets[column] = int(negative[-1])
            steps = np.geomspace(grid[at], grid[at + 1], _SIZES_BETWEEN)
            fine[column] = np.unique(steps.round().astype("int64"))
    found: list[float | None] = [None] * ratios.shape[1]
    if not fine:
        return found
    asked = np.unique(np.concatenate(list(fine.values())))
    answers = exact(asked)
    for column, sizes in fine.items():
        values = answers[np.searchsorted(asked, sizes), column]
        values[[0, -1]] = ratios[brackets[column] : brackets[column] + 2, column]
        last = int(np.flatnonzero(values <= 0.0)[-1])
        curve = partial(np.interp, xp=sizes, fp=values)
        found[column] = float(brentq(curve, sizes[last], sizes[last + 1]))
    return found


def _reason(ratio: np.ndarray[Any, Any], value: float | None, ends: list[int]) -> str:
    span = f"sizes {ends[0]:,} to {ends[1]:,}"
    if value is not None:
        turns = int((np.diff(np.sign(ratio)) != 0).sum())
        often = "" if turns == 1 else f"; the two change places {turns} times, the last one counts"
        return f"the GPU is faster above this size ({span} examined{often})"
    if ratio[-1] > 0.0:
        return f"the GPU is faster at every one of {span}"
    if (ratio > 0.0).any():
        return f"the GPU is faster only in the middle of {span}, the CPU at the largest"
    return f"the CPU is faster at every one of {span}"


def _range(
    model: Model,
    workload: str,
    case: str,
    params: Mapping[str, int] | None,
    vary: str | None,
    cpu: Place,
    gpu: Place,
) -> tuple[str, dict[str, int], float, float]:
    """The parameter to vary, the values of the others, and the smallest and largest value."""
    family = get_workload(workload)
    signature = family.signatures.get(case)
    if signature is None:
        family.complete(case, {})  # raises, and lists the cases
        raise SelectionError(f"{workload}: unknown case {case!r}")
    names = list(signature)
    given = dict(params or {})
    free = [name for name in names if name not in given]
    varied = vary or (free[0] if free else names[0] if names else "")
    if varied not in names:
        takes = ", ".join(names) or "no parameters"
        raise SelectionError(f"{workload} {case}: {vary!r} cannot be varied; it takes {takes}")
    known = model.measured
    same = [operation(workload, name) == operation(workload, case) for name in known["case"]]
    rows = known[(known["workload"] == workload) & np.array(same, dtype=bool)]
    types = model.types
    boxes = [
        *types.boxes_of(cpu.machine_id, "cpu", workload),
        *types.boxes_of(gpu.machine_id, "cuda", workload),
    ]
    places = rows["machine_id"].isin(boxes)
    if places.any():  # else these are machines that others answer for, and whose sizes serve
        rows = rows[places]
    measured = [dict(key) for key in rows["params_key"]]
    values = sorted(row[varied] for row in measured if varied in row)
    if not values:
        raise EstimateError(f"{workload} {case}: no machine has measured it, so no break-even size")
    fixed: dict[str, int] = {}
    for name in names:
        if name == varied:
            continue
        default = sorted(row[name] for row in measured)[len(measured) // 2]
        fixed[name] = int(given.get(name, default))
    smallest = max(1.0, values[0] / _BEYOND_MEASURED)
    return varied, fixed, smallest, values[-1] * _BEYOND_MEASURED


def largest_that_fits(
    model: Model, cells: Callable[[int], pd.DataFrame], smallest: float, largest: float
) -> float:
    """The largest value up to ``largest`` that fits; ``smallest`` if nothing above it does.

    ``cells(value)`` is the operation with that value on each place, in the columns that
    ``memories`` reads. Memory grows with every parameter, so that it is bisected.
    """

    def fits(value: int) -> bool:
        places = model.types.on_boxes(cells(value))
        return not any(memory.shortage for memory in memories(model, places))

    low, high = round(smallest), round(largest)
    if high <= low or fits(high):
        return largest
    while high - low > max(1, low // 1000):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return float(low)
