"""Larger work of one shape never takes less time: estimates held against other sizes of theirs.

A correction by measured neighbours may fall where the formula hardly rises, as for operations so
short that their launch is most of the time, and a step between two forms of a kernel may go down.
A machine's own estimate is therefore the geometric mean of the longest at its size and below and of
the shortest at its size and above, each of which never falls. Sizes are a half, a quarter and so
on, twice and so on of the parameter by which the work grows: of n, of a batch, of rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from collector.errors import SelectionError
from collector.workloads import get_workload
from estimator.answer import PARTS
from estimator.arrays import Array, Indices
from estimator.dataset.tables import CELL_COLUMNS

_STEPS = (2, 4, 8, 32)
#: Share of the launch from which an estimate is held against other sizes: what is mostly work
#: grows faster than corrections fall. A choice.
_LAUNCH_SHARE = 0.15


@dataclass(frozen=True)
class OtherSizes:
    """Questions for other sizes of some cells.

    ``asked`` (q,): questions, ``group`` (q,) of which family of sizes, ``sizes`` (q,) relative to
    the cells' (a half is 0.5, about). ``rows`` (r,): cells, ``of`` (r,) their families.
    """

    asked: pd.DataFrame
    group: Indices
    sizes: Array
    rows: Indices
    of: Indices


def other_sizes(
    table: pd.DataFrame, answer: pd.DataFrame, as_fitted: bool = False
) -> OtherSizes | None:
    """Other sizes of the cells that may need them; None where no cell does.

    ``table``: described questions, ``answer`` has the columns of ``Model.predict``. A cell that
    was measured stands for itself unless ``as_fitted``. Cells of nearly one size share theirs.
    """
    seconds = answer["seconds_p50"].to_numpy(dtype=float)
    launch = answer["launch_s"].to_numpy(dtype=float)
    unmeasured = as_fitted | ~np.isfinite(answer["measured_median_s"].to_numpy(dtype=float))
    chosen = np.flatnonzero(unmeasured & (launch > _LAUNCH_SHARE * seconds))
    keys = [name for name in CELL_COLUMNS if name in table]
    place = table.groupby(keys, sort=False, dropna=False).ngroup().to_numpy()
    families: dict[Any, int] = {}
    firsts, rows, of = [], [], []
    for row, workload, case, params in zip(
        chosen.tolist(),
        *(table[name].iloc[chosen] for name in ("workload", "case", "params")),
        strict=True,
    ):
        shape = _shape(workload, case, params)
        if shape is None:
            continue
        key = (int(place[row]), *shape)
        if key not in families:
            families[key] = len(families)
            firsts.append((row, workload, case, shape))
        rows.append(row)
        of.append(families[key])
    found = [
        (row, family, size, params)
        for family, (row, workload, case, shape) in enumerate(firsts)
        for size, params in _sizes(workload, case, *shape).items()
    ]
    if not found:
        return None
    at, group, sizes, asked = zip(*found, strict=True)
    questions = table[keys].iloc[list(at)].assign(params=pd.Series(asked, dtype=object).to_numpy())
    return OtherSizes(
        questions,
        np.array(group, dtype=np.intp),
        np.array(sizes, dtype=float),
        np.array(rows, dtype=np.intp),
        np.array(of, dtype=np.intp),
    )


def rising(answer: pd.DataFrame, sizes: OtherSizes, others: pd.DataFrame) -> pd.DataFrame:
    """Answers between the longest of smaller sizes and the shortest of larger ones.

    ``others`` are the answers to ``sizes.asked``. All ends of an interval move alike. The parts
    are those of the size that holds the answer there: what limits it limits it on another
    machine too.
    """
    seconds = answer["seconds_p50"].to_numpy(dtype=float)
    theirs = others["seconds_p50"].to_numpy(dtype=float)
    known = np.isfinite(theirs)
    families = int(sizes.group.max()) + 1
    below, above = np.full(families, -np.inf), np.full(families, np.inf)
    smaller, larger = known & (sizes.sizes < 1.0), known & (sizes.sizes > 1.0)
    np.maximum.at(below, sizes.group[smaller], theirs[smaller])
    np.minimum.at(above, sizes.group[larger], theirs[larger])
    rows, held = sizes.rows, seconds.copy()
    longest = np.fmax(seconds[rows], below[sizes.of])
    held[rows] = np.sqrt(longest * np.fmin(seconds[rows], above[sizes.of]))
    with np.errstate(invalid="ignore"):
        factor = np.where(np.isfinite(held), held / seconds, 1.0)
    names = [f"{part}_s" for part in PARTS]
    parts = answer[names].to_numpy(dtype=float) * factor[:, None]
    holder = np.full(families, -1)
    at_longest = np.flatnonzero(smaller & (theirs == below[sizes.group]))
    holder[sizes.group[at_longest]] = at_longest
    lifted = (held[rows] > seconds[rows]) & (holder[sizes.of] >= 0)
    by, at = holder[sizes.of[lifted]], rows[lifted]
    shares = others[names].to_numpy(dtype=float)[by] / theirs[by][:, None]
    parts[at] = shares * held[at][:, None]
    columns = {
        f"seconds_{end}": answer[f"seconds_{end}"].to_numpy(dtype=float) * factor
        for end in ("p5", "p50", "p95")
    }
    return answer.assign(**columns, **dict(zip(names, parts.T, strict=True)))


@lru_cache(maxsize=256)
def size_parameter(workload: str, case: str) -> str | None:
    """The parameter by which work of one shape grows: a count of rows taken, else the first."""
    family = get_workload(workload)
    names = [name for name, default in family.signatures[case].items() if default is None]
    if case in family.unordered:
        return None
    return "count" if "count" in names else next(iter(names), None)


def _shape(
    workload: str, case: str, params: Mapping[str, Any]
) -> tuple[int, tuple[tuple[str, Any], ...]] | None:
    """The size of an operation in four binary digits, and its other parameters.

    None where sizes are no versions of one shape, and for canonical parameters, which hang
    together.
    """
    name = size_parameter(workload, case)
    signature = get_workload(workload).signatures[case]
    if name is None or name not in params or not signature.keys() >= params.keys():
        return None
    value = int(params[name])
    step = 1 << max(0, value.bit_length() - 4)
    rest = tuple((other, params[other]) for other in params if other != name)
    return value // step * step, rest


def _sizes(
    workload: str, case: str, value: int, rest: tuple[tuple[str, Any], ...]
) -> dict[float, dict[str, Any]]:
    """Relative size -> parameters of other sizes of the same shape that there are."""
    name = str(size_parameter(workload, case))
    smaller = {1.0 / step: value // step for step in _STEPS if value >= step}
    larger = {float(step): value * step for step in _STEPS}
    asked = {size: {**dict(rest), name: size_of} for size, size_of in {**smaller, **larger}.items()}
    return {size: params for size, params in asked.items() if _is_allowed(workload, case, params)}


def _is_allowed(workload: str, case: str, params: Mapping[str, int]) -> bool:
    """Whether there is such an operation: a sparse row has no more nonzeros than columns."""
    try:
        get_workload(workload).complete(case, params)
    except SelectionError:
        return False
    return True
