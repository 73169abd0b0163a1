"""What a job costs on each instance of a catalogue: a table, from the times of one step on each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from estimator.catalogue.instances import Instance
from estimator.catalogue.rental_terms import OTHERS, TERM_WORDS, RentalTerms
from estimator.cost.inputs import PLAIN_TERMS, CostOptions, Job, Timing
from estimator.cost.job_cost import JobCost, job_cost
from estimator.cost.table import mark_front

ON_DEMAND, SPOT = "on-demand", "spot"
MARKETS = (ON_DEMAND, SPOT)
OWN = "own"  # provider of machines of one's own

_ENDS = ("p5", "p50", "p95")
_INTERVALS = ("cost_usd", "total_usd", "wall_s", "billed_s")
_USED_TERMS = ("start_up_s", "billing_increment_s", "minimum_billed_s", "interruptions_per_h")
_PARTS = ("start", "transfer", "steps", "interruptions", "rounding", "storage", "egress")
_NUMBERS = (
    "price_usd_per_h",
    *(f"{name}_{end}" for name in _INTERVALS for end in _ENDS),
    *("machines", "rounds", "jobs_at_once", "share_used"),
    *_USED_TERMS,
    *("checkpoint_interval_s", "expected_interruptions", "interruption_overhead_s"),
    "uninterrupted_probability",
    *(f"part_{name}_usd" for name in _PARTS),
    *("storage_usd", "egress_usd", "energy_kwh", "energy_usd"),
    *("in_time_probability", "slots", "round_s", "round_usd"),
    *("fixed_usd", "marginal_usd_per_job"),
)
_TEXTS = ("market", "source", "meets_deadline", "meets_budget", "assumed")
# Terms of a cloud that a machine of one's own does not know; it is there, and its hour is paid.
_NO_BILL: dict[str, Any] = {
    "start_up_s": 0.0,
    "billing_increment_s": 0.0,
    "minimum_billed_s": 0.0,
    "storage_usd_per_gib_month": 0.0,
    "egress_usd_per_gib": 0.0,
}
COST_COLUMNS = (*_TEXTS, *_NUMBERS, "on_front")


def instance_costs(
    timings: pd.DataFrame,
    instances: Sequence[Instance],
    job: Job,
    options: CostOptions | None = None,
    terms: Mapping[str, RentalTerms] | None = None,
    markets: Sequence[str] | None = None,
) -> pd.DataFrame:
    """``timings`` with the cost of the job, a row per instance and market, cheapest first.

    ``terms`` (by provider, as ``all_rental_terms()`` gives them) stand in for what ``options``
    leave open. ``markets``: "on-demand",
    "spot" or both; None follows ``options.spot``; a machine of one's own has its one price in each.
    Rows that cannot be priced come last, with the reason in ``excluded``.

    Adds: market, source (of the price), price_usd_per_h; cost_usd (one job), total_usd, wall_s
    (all jobs), billed_s (of all machines), each with _p5, _p50, _p95; machines, rounds,
    jobs_at_once (on one machine), share_used; the terms as used; checkpoint_interval_s (NaN:
    none), expected_interruptions, interruption_overhead_s, uninterrupted_probability (NaN: the
    rate of spot interruptions is not known, and then no limit is met with "yes");
    in_time_probability (NaN without a deadline, or likewise); slots, round_s and round_usd
    (:mod:`estimator.cost.table`); part_*_usd,
    which sum to total_usd_p50; energy_kwh (NaN: not measured) and energy_usd (own machines; part
    of the price); fixed_usd and marginal_usd_per_job for break-even counts; meets_deadline and
    meets_budget ("" where none was asked), on_front, and assumed: which terms are the provider's,
    and what is not known.
    """
    how = CostOptions() if options is None else options
    asked = (SPOT if how.spot else ON_DEMAND,) if markets is None else tuple(markets)
    by_key = {instance.key: instance for instance in instances}
    rentals: dict[tuple[str, str], _Rental] = {}
    positions: list[int] = []
    added: list[dict[str, Any]] = []
    for position, row in enumerate(timings.to_dict("records")):
        instance = by_key[row["key"]]
        own = instance.provider == OWN and instance.spot_usd_per_h is None
        for market in (ON_DEMAND,) if own else asked:
            place = instance.provider, market
            if place not in rentals:
                known = None if terms is None else _terms_of(instance.provider, terms)
                rentals[place] = _rental(instance.provider, market, job, how, known)
            positions.append(position)
            added.append(_priced(row, instance, job, rentals[place]))
    table = timings.iloc[positions].reset_index(drop=True)
    columns = pd.DataFrame(added, columns=[*COST_COLUMNS, "excluded"])
    table = table.assign(excluded=columns.pop("excluded"))
    columns = columns.astype(dict.fromkeys(_NUMBERS, float))
    table = pd.concat([table, columns], axis="columns").sort_values(
        ["cost_usd_p50", "wall_s_p50"], na_position="last", kind="stable", ignore_index=True
    )
    return mark_front(table)


@dataclass(frozen=True, slots=True)
class _Rental:
    """How a provider's machines are rented in one market: its terms where nothing else is said."""

    market: str
    options: CostOptions
    assumed: str

    @property
    def unknown_rate(self) -> bool:
        """Whether nobody knows how often a machine is taken away."""
        return self.options.spot and self.options.interruptions_per_h is None


def _terms_of(provider: str, terms: Mapping[str, RentalTerms]) -> RentalTerms | None:
    return terms.get(provider, None if provider == OWN else terms.get(OTHERS))


def _rental(
    provider: str, market: str, job: Job, how: CostOptions, terms: RentalTerms | None
) -> _Rental:
    asked = replace(how, spot=market == SPOT)
    if provider == OWN:  # one owns one machine of it, and no cloud bills it
        asked = replace(asked, most_machines=1, **_NO_BILL)
    rules = asked.with_terms(terms)
    return _Rental(market, rules, _assumed(asked, rules, job, provider, terms))


def _priced(
    row: Mapping[Any, Any], instance: Instance, job: Job, rental: _Rental
) -> dict[str, Any]:
    """The added columns of one row, and ``excluded`` with the reason where there is no price."""
    blank: dict[str, Any] = dict.fromkeys(_NUMBERS, np.nan) | dict.fromkeys(_TEXTS, "")
    blank |= {"market": rental.market, "source": instance.source, "excluded": row["excluded"]}
    rules = rental.options
    if row["excluded"]:
        return blank
    if rules.spot and instance.spot_usd_per_h is None:
        return blank | {"excluded": "no spot price is known"}
    try:
        timing = Timing(row["seconds_p5"], row["seconds_p50"], row["seconds_p95"], row["basis"])
        cost = job_cost(instance, timing, job, rules)
    except EstimateError as error:
        return blank | {"excluded": str(error)}
    joules = float(row.get("energy_j", math.nan)) * job.steps * job.jobs
    columns = _columns(cost, rules)
    if rental.unknown_rate:
        limits = ("meets_deadline", "meets_budget")
        columns |= {name: "likely" for name in limits if columns[name] == "yes"}
        columns |= dict.fromkeys(("uninterrupted_probability", "in_time_probability"), math.nan)
    columns["energy_kwh"] = joules / 3.6e6
    columns["energy_usd"] = _energy_usd(instance, joules, rules)
    columns["assumed"] = rental.assumed
    return blank | columns


def _columns(cost: JobCost, rules: CostOptions) -> dict[str, Any]:
    found: dict[str, Any] = {
        f"{name}_{end}": getattr(cost, name)[i]
        for name in _INTERVALS
        for i, end in enumerate(_ENDS)
    }
    found |= {name: rules.term(name) for name in _USED_TERMS}
    found |= {f"part_{name}_usd": getattr(cost.parts, name) for name in _PARTS}
    found |= {
        name: getattr(cost, name)
        for name in ("price_usd_per_h", "machines", "rounds", "jobs_at_once", "share_used")
    }
    deadline_s, budget_usd = rules.deadline_s, rules.budget_usd
    interval_s = cost.checkpoint_interval_s
    return found | {
        "interruptions_per_h": rules.term("interruptions_per_h") if cost.spot else 0.0,
        "checkpoint_interval_s": math.nan if interval_s is None else interval_s,
        "expected_interruptions": cost.expected_interruptions,
        "interruption_overhead_s": cost.interruption_overhead_s,
        "uninterrupted_probability": cost.uninterrupted,
        "storage_usd": cost.parts.storage,
        "egress_usd": cost.parts.egress,
        "in_time_probability": (
            math.nan if deadline_s is None else cost.in_time_probability(deadline_s)
        ),
        "slots": cost.slots,
        "round_s": cost.round_s,
        "round_usd": cost.round_usd,
        "fixed_usd": cost.fixed_usd,
        "marginal_usd_per_job": cost.marginal_usd_per_job,
        "meets_deadline": "" if deadline_s is None else cost.meets_deadline(deadline_s),
        "meets_budget": "" if budget_usd is None else cost.meets_budget(budget_usd),
    }


def _energy_usd(instance: Instance, joules: float, rules: CostOptions) -> float:
    if instance.provider != OWN or rules.usd_per_kwh is None:
        return math.nan
    return joules / 3.6e6 * rules.usd_per_kwh


def _assumed(
    how: CostOptions, rules: CostOptions, job: Job, provider: str, terms: RentalTerms | None
) -> str:
    """Which terms are the provider's own, which are others', and what is unknown: counted as 0.

    A machine of one's own has no such terms.
    """
    if provider == OWN:
        return ""
    relevant = {
        "interruptions_per_h": how.spot,
        "storage_usd_per_gib_month": job.storage_gib > 0.0,
        "egress_usd_per_gib": job.egress_gib > 0.0,
    }
    theirs: list[str] = []
    others: list[str] = []
    unknown: list[str] = []
    for name, words in TERM_WORDS.items():
        if getattr(how, name) is not None or not relevant.get(name, True):
            continue
        value = getattr(rules, name)
        if value is not None:
            borrowed = terms is not None and terms.borrowed(name)
            (others if borrowed else theirs).append(words.format(value))
        elif name in relevant:
            unknown.append(words.format(PLAIN_TERMS[name]))
    parts = [f"{provider}: {', '.join(theirs)}"] if theirs else []
    parts += (
        [f"not known, so the longest or dearest of others: {', '.join(others)}"] if others else []
    )
    parts += [f"not known, so {', '.join(unknown)}"] if unknown else []
    return "; ".join(parts)
