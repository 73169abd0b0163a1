"""How far the cost of a job moves with each of its inputs, and whether another instance wins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from collector.errors import EstimateError
from estimator.catalogue.instances import Instance
from estimator.catalogue.rental_terms import RentalTerms
from estimator.checks import check_number
from estimator.cost.inputs import MOST_JOBS, CostOptions, Job, Timing
from estimator.cost.instance_costs import SPOT, instance_costs
from estimator.cost.job_cost import job_cost
from estimator.cost.table import Row, cheapest, cheapest_in_time

# Instances that are tried as winners: those nearest to winning in the base case.
_CANDIDATES = 50
_SECONDS = ["seconds_p5", "seconds_p50", "seconds_p95"]
SENSITIVITY_COLUMNS = (
    *("input", "low_input", "base_input", "high_input"),
    *("low_usd", "base_usd", "high_usd"),
    *("low_key", "low_market", "high_key", "high_market", "changes"),
)


def sensitivity(
    instance: Instance,
    timing: Timing,
    job: Job,
    options: CostOptions | None = None,
    change: float = 0.2,
) -> dict[str, tuple[float, float]]:
    """USD per job (median) with one input at a time lowered and raised by the share ``change``."""
    check_number("change", change, 0.0, 1.0)
    how = CostOptions() if options is None else options

    def at(name: str, factor: float) -> float:
        rented, step, rules = instance, timing, how
        if name == "price":
            rented = scaled_price(instance, factor)
        elif name == "seconds_per_step":
            step = timing.scaled(factor)
        elif name == "start_up_s":
            rules = replace(how, start_up_s=factor * how.term("start_up_s"))
        else:
            rules = replace(how, interruptions_per_h=factor * how.term("interruptions_per_h"))
        return job_cost(rented, step, job, rules).cost_usd[1]

    names = ["price", "seconds_per_step", "start_up_s"]
    if how.spot:
        names.append("interruptions_per_h")
    return {name: (at(name, 1.0 - change), at(name, 1.0 + change)) for name in names}


def scaled_price(instance: Instance, factor: float) -> Instance:
    """The same machine at ``factor`` times its prices."""
    spot = instance.spot_usd_per_h
    return replace(
        instance,
        on_demand_usd_per_h=factor * instance.on_demand_usd_per_h,
        spot_usd_per_h=None if spot is None else factor * spot,
    )


@dataclass(frozen=True, slots=True)
class _Case:
    """Everything that a table of costs is made from."""

    timings: pd.DataFrame
    instances: tuple[Instance, ...]
    job: Job
    options: CostOptions
    terms: Mapping[str, RentalTerms]
    markets: tuple[str, ...] | None

    def table(self) -> pd.DataFrame:
        return instance_costs(
            self.timings, self.instances, self.job, self.options, self.terms, self.markets
        )


def sensitivity_table(
    timings: pd.DataFrame,
    instances: Sequence[Instance],
    job: Job,
    options: CostOptions | None = None,
    terms: Mapping[str, RentalTerms] | None = None,
    markets: Sequence[str] | None = None,
    change: float = 0.2,
) -> pd.DataFrame:
    """USD per job on the best instance with one input lowered and raised, and who wins then.

    The best is the cheapest that meets the deadline and the budget, or the cheapest if none does.
    Rows: price and seconds_per_step of that instance alone; start_up_s, interruptions_per_h (on
    spot) and jobs of all; an input that is 0 is left out. Columns: input; low_input, base_input,
    high_input; low_usd, base_usd, high_usd (medians, on the base case's best); low_key,
    low_market, high_key, high_market (the best then, of the 50 nearest to it); changes (bool).
    ``attrs``: key and market of the best, and margin, the share by which its price may rise until
    another instance is as cheap (infinite if there is no other).
    Raises EstimateError if nothing can be priced.
    """
    check_number("change", change, 0.0, 0.99)
    how = CostOptions() if options is None else options
    asked = None if markets is None else tuple(markets)
    case = _Case(timings, tuple(instances), job, how, {} if terms is None else terms, asked)
    table = case.table()
    best = _best(table)
    if best is None:
        raise EstimateError("no instance can be priced; there is nothing to vary")
    case = _nearest(case, table)
    rows = [_moved(case, best, name, base, change) for name, base in _inputs(case, best).items()]
    found = pd.DataFrame(rows, columns=[*SENSITIVITY_COLUMNS])
    found.attrs |= {
        "key": best["key"],
        "market": best["market"],
        "margin": price_margin(table, best),
    }
    return found


def _best(table: pd.DataFrame) -> Row | None:
    in_time = cheapest_in_time(table)
    return cheapest(table) if in_time is None else in_time


def _nearest(case: _Case, table: pd.DataFrame) -> _Case:
    able = table[table["excluded"] == ""]
    in_time = able[(able["meets_deadline"] != "no") & (able["meets_budget"] != "no")]
    keys = {*able["key"].head(_CANDIDATES), *in_time["key"].head(_CANDIDATES)}
    return replace(
        case,
        timings=case.timings[case.timings["key"].isin(keys)],
        instances=tuple(instance for instance in case.instances if instance.key in keys),
    )


def _inputs(case: _Case, best: Row) -> dict[str, float]:
    inputs = {
        "price": float(best["price_usd_per_h"]),
        "seconds_per_step": float(best["seconds_p50"]),
        "start_up_s": float(best["start_up_s"]),
    }
    if best["market"] == SPOT:
        inputs["interruptions_per_h"] = float(best["interruptions_per_h"])
    inputs = {name: value for name, value in inputs.items() if value > 0.0}
    return inputs | {"jobs": float(case.job.jobs)}


def _moved(case: _Case, best: Row, name: str, base: float, change: float) -> dict[str, object]:
    factors = (1.0 - change, 1.0 + change)
    row: dict[str, object] = {"input": name, "base_input": base, "base_usd": best["cost_usd_p50"]}
    changes = False
    for end, factor in zip(("low", "high"), factors, strict=True):
        value = _count(case.job.jobs, factor) if name == "jobs" else factor * base
        table = _with(case, str(best["key"]), name, factor).table()
        same = table[(table["key"] == best["key"]) & (table["market"] == best["market"])]
        winner = _best(table)
        row |= {
            f"{end}_input": float(value),
            f"{end}_usd": float(same["cost_usd_p50"].iloc[0]),
            f"{end}_key": "" if winner is None else winner["key"],
            f"{end}_market": "" if winner is None else winner["market"],
        }
        changes |= winner is not None and (
            (winner["key"], winner["market"]) != (best["key"], best["market"])
        )
    return row | {"changes": changes}


def _count(jobs: int, factor: float) -> int:
    """At least one job more or fewer, and never none."""
    moved = math.ceil(jobs * factor) if factor > 1.0 else math.floor(jobs * factor)
    return min(MOST_JOBS, max(1, moved))


def _with(case: _Case, key: str, name: str, factor: float) -> _Case:
    """The case with one input scaled."""
    if name == "price":
        scaled = [scaled_price(i, factor) if i.key == key else i for i in case.instances]
        return replace(case, instances=tuple(scaled))
    if name == "seconds_per_step":
        timings = case.timings.copy()
        mine = timings["key"] == key
        timings.loc[mine, _SECONDS] = timings.loc[mine, _SECONDS].astype(float) * factor
        return replace(case, timings=timings)
    if name == "jobs":
        return replace(case, job=replace(case.job, jobs=_count(case.job.jobs, factor)))
    given = getattr(case.options, name)
    if given is not None:
        return replace(case, options=replace(case.options, **{name: factor * given}))
    terms: dict[str, RentalTerms] = {}
    for provider, known in case.terms.items():
        scaled_term: dict[str, Any] = {name: factor * (getattr(known, name) or 0.0)}
        terms[provider] = replace(known, **scaled_term)
    return replace(case, terms=terms)


def runner_up(table: pd.DataFrame, best: Row) -> Row | None:
    """The cheapest row of another instance or region that meets the deadline and the budget."""
    others = table[(table["key"] != best["key"]) & (table["excluded"] == "")]
    return cheapest(others[(others["meets_deadline"] != "no") & (others["meets_budget"] != "no")])


def price_margin(table: pd.DataFrame, best: Row) -> float:
    """Share by which the best one's price may rise until :func:`runner_up` is as cheap.

    Infinite if there is no other, or if nothing is paid by the hour.
    """
    other = runner_up(table, best)
    unpriced = (best["part_storage_usd"] + best["part_egress_usd"]) / best["total_usd_p50"]
    rented_usd = best["cost_usd_p50"] * (1.0 - unpriced)
    if other is None or rented_usd <= 0.0:
        return math.inf
    return float((other["cost_usd_p50"] - best["cost_usd_p50"]) / rented_usd)
