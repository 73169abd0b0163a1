"""Questions to the table of costs: the front, the cheapest, the fastest, one against the others.

The table is that of :func:`estimator.instance_costs.instance_costs`; rows with a reason in
``excluded`` never win.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from collector.errors import SelectionError
from estimator.ownership import CostLine, breakeven_jobs

Row: TypeAlias = "pd.Series[Any]"


def priced(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with a cost."""
    return table[table["excluded"] == ""]


def mark_front(table: pd.DataFrame) -> pd.DataFrame:
    """The table with ``on_front``: no other row is as fast and as cheap, and better in one.

    Medians of wall_s and cost_usd; rows that tie in both are all on it. Keeps the order.
    """
    able = priced(table).sort_values(["wall_s_p50", "cost_usd_p50"], kind="stable")
    cost, wall = able["cost_usd_p50"].to_numpy(float), able["wall_s_p50"].to_numpy(float)
    before = np.minimum.accumulate(np.concatenate([[np.inf], cost]))[:-1]
    front = cost < before
    for i in range(1, len(front)):  # a twin of the row before it shares its place
        front[i] |= front[i - 1] and cost[i] == cost[i - 1] and wall[i] == wall[i - 1]
    marked = pd.Series(front, index=able.index, dtype=bool).reindex(table.index, fill_value=False)
    return table.assign(on_front=marked)


def cheapest(table: pd.DataFrame) -> Row | None:
    """The row of the lowest cost (median), the faster of equals; None if nothing is priced."""
    return _first(priced(table), ["cost_usd_p50", "wall_s_p50"])


def fastest(table: pd.DataFrame) -> Row | None:
    """The row of the shortest time (median), the cheaper of equals; None if nothing is priced."""
    return _first(priced(table), ["wall_s_p50", "cost_usd_p50"])


def cheapest_in_time(table: pd.DataFrame, certain: bool = False) -> Row | None:
    """The cheapest row that meets the deadline and the budget, as far as they were asked for.

    ``certain`` asks the far ends of the intervals to meet them, not just the medians.
    """
    enough = ["", "yes"] if certain else ["", "yes", "likely"]
    able = priced(table)
    meets = able["meets_deadline"].isin(enough) & able["meets_budget"].isin(enough)
    return cheapest(able[meets])


def _first(able: pd.DataFrame, order: list[str]) -> Row | None:
    if able.empty:
        return None
    return able.sort_values(order, kind="stable").iloc[0]


def overlapping(table: pd.DataFrame) -> int:
    """Other rows whose 90 % interval of cost begins at or below the upper end of the cheapest's."""
    best = cheapest(table)
    if best is None:
        return 0
    return int((priced(table)["cost_usd_p5"] <= best["cost_usd_p95"]).sum()) - 1


def compare_with(table: pd.DataFrame, key: str, market: str | None = None) -> pd.DataFrame:
    """The table with each priced row set against the baseline ``key`` (provider/instance/region).

    Adds cost_ratio and time_ratio (to the baseline's medians; below 1 is better),
    cheaper_from_jobs (count of jobs from which the row costs less than the baseline, missing if
    never) and verdict. The counts are of :func:`breakeven_jobs`, one machine of each kind.
    Raises SelectionError if the baseline is not in the table, or has no cost.
    """
    able = priced(table)
    found = able[able["key"] == key]
    found = found if market is None else found[found["market"] == market]
    if found.empty:
        raise SelectionError(f"{key}: no priced instance of this table to compare with")
    base = found.iloc[0]
    line = CostLine(float(base["fixed_usd"]), float(base["marginal_usd_per_job"]))
    counts: list[int | None] = []
    verdicts: list[str] = []
    for position, row in zip(table.index, table.to_dict("records"), strict=True):
        count, verdict = (None, "")
        if position == base.name:
            verdict = "the baseline"
        elif not row["excluded"]:
            other = CostLine(float(row["fixed_usd"]), float(row["marginal_usd_per_job"]))
            count, verdict = _verdict(other, line)
        counts.append(count)
        verdicts.append(verdict)
    return table.assign(
        cost_ratio=table["cost_usd_p50"] / base["cost_usd_p50"],
        time_ratio=table["wall_s_p50"] / base["wall_s_p50"],
        cheaper_from_jobs=pd.array(counts, dtype="Int64"),
        verdict=verdicts,
    )


def _verdict(one: CostLine, base: CostLine) -> tuple[int | None, str]:
    """From how many jobs ``one`` is cheaper than ``base``, and that in words."""
    less_fixed = one.fixed_usd <= base.fixed_usd
    less_each = one.marginal_usd_per_job <= base.marginal_usd_per_job
    if one == base:
        return None, "costs the same"
    if less_fixed and less_each:
        return 1, "always cheaper"
    if not less_fixed and not less_each:
        return None, "never cheaper"
    count = breakeven_jobs(one, base)
    if less_fixed:  # cheaper until the other's lower cost per job has paid its start
        if count is None:
            return 1, "always cheaper"
        if count <= 1:
            return None, "never cheaper"
        return 1, "cheaper up to 1 job" if count == 2 else f"cheaper up to {count - 1:,} jobs"
    if count is None:
        return None, "never cheaper"
    return count, "always cheaper" if count == 1 else f"cheaper from {count:,} jobs on"
