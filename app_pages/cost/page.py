"""Cost: which instance finishes a job cheapest, which fastest, how sure that is, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import streamlit as st

from app_pages.cost import command as cost_command
from app_pages.cost.answer import show_answer
from app_pages.cost.catalogue import Offer, offer_form, provider_list
from app_pages.cost.compare import Priced, show_break_even, show_rented_twice, show_sensitivity
from app_pages.cost.rental_form import Rental, rental_form
from app_pages.cost.show import (
    filter_form,
    no_rows,
    show_downloads,
    show_excluded,
    show_front,
    show_table,
)
from app_pages.cost.tables import Filters, Looked, looked_at, of_filters
from app_pages.frame import shared, widgets
from app_pages.frame.text import escape
from app_pages.job.form import Job, job_form
from app_pages.job.program import estimates, plain, show_asked, uploaded_program
from collector.errors import BreakevenError
from collector.jobs import Job as Program
from estimator.catalogue.instances import Instance
from estimator.catalogue.rental_terms import all_rental_terms
from estimator.cost.instance_costs import instance_costs
from estimator.cost.job_timings import job_timings
from estimator.cost.ownership import measured_energy, with_energy
from estimator.cost.program import unit_price_lines, with_unit_prices
from estimator.cost.table import fastest
from estimator.cost.timings import instance_timings

METHOD = """
**Cost of one completed job** = price per hour x billed time / jobs done in that time, plus storage
and data out. The billed time is start-up, set-up, transfers and the steps, rounded up as the
provider bills; one job runs on each GPU, so an instance that is not filled is paid for all the
same.

**Spot.** Interruptions come at random at the given rate; what is lost since the last checkpoint is
done again. The mean time under interruptions is that of J. T. Daly, *Future Generation Computer
Systems* 22 (2006) 303-312, the best distance between checkpoints that of J. W. Young,
*Communications of the ACM* 17 (1974) 530-531. Of several machines the time is the mean of the
last one's, and "in time" means all of them; the spread is a gamma distribution with the exact mean
and variance. A failed run is done again, and counts in the chance of being in time.

**The time of a step** is the model's. On an instance whose GPU was measured it comes from that
machine, and its interval is widened by what two machines of one name differ by. On any other it is
scaled from the nearest measured machine by data sheets, with a wider interval. The interval in
dollars is that of the time; prices are taken as they are.

**Prices** are those of `data/instances.csv`, terms those of `data/rental_terms.csv`, each with its
date and source. They change: look at the date, and check the provider before you rent.
"""

Question = tuple[tuple[str, Any], ...]


@st.cache_data(max_entries=32, max_size="16MiB", show_spinner="Timing the job on each instance")
def timings(
    fingerprint: str,
    stamp: int,
    question: Question,
    _model: Any,
    _instances: tuple[Instance, ...],
) -> pd.DataFrame:
    """Seconds of one step on each instance; ``stamp`` and ``question`` are the cache's key."""
    asked = dict(question)
    asked["params"] = dict(asked["params"])
    found: pd.DataFrame = _model.apply(instance_timings, _instances, asked)
    return found


@st.cache_resource(max_entries=4, show_spinner="Pricing the job on each instance")
def priced_table(
    stamp: int, _ask: Callable[[], pd.DataFrame], _offer: Offer, _rental: Rental
) -> tuple[Priced, pd.DataFrame]:
    """The table of costs and what it was made from, both only to be read."""
    times = _ask()
    dates = {one.key: one.as_of for one in _offer.instances}
    made = Priced(
        stamp,
        times.assign(as_of=times["key"].map(dates)),
        _offer.instances,
        _rental.job,
        _rental.options,
        _rental.markets,
    )
    table = instance_costs(
        made.timings,
        made.instances,
        made.job,
        made.options,
        all_rental_terms(),
        made.markets,
    )
    return made, table


@st.cache_data(max_entries=16, max_size="16MiB", show_spinner="Timing the job on each instance")
def program_timings(
    fingerprint: str,
    stamp: int,
    program: Program,
    _model: Any,
    _instances: tuple[Instance, ...],
) -> pd.DataFrame:
    """Seconds of one step of a visitor's own job on each instance."""
    found: pd.DataFrame = _model.apply(job_timings, _instances, program)
    return found


def time_and_price(
    source: shared.Source,
    model: Any,
    question: Question | Program,
    offer: Offer,
    rental: Rental,
) -> tuple[Priced, pd.DataFrame]:
    """The table of costs and what it was made from; a message instead, and the page ends there."""

    def ask() -> pd.DataFrame:
        if isinstance(question, Program):
            stamp = _what_is_timed(offer.timed)
            return program_timings(source.fingerprint, stamp, question, model, offer.timed)
        rented = tuple(one for one in offer.timed if one.provider != "own")
        mine = tuple(one for one in offer.timed if one.provider == "own")
        parts = [
            timings(source.fingerprint, _what_is_timed(group), question, model, group)
            for group in (rented, mine)
            if group
        ]
        asked = dict(question)
        energy = measured_energy(source.connection, asked | {"params": dict(asked["params"])})
        return with_energy(pd.concat(parts, ignore_index=True), offer.timed, energy)

    asked = (question, offer.instances, rental.job, rental.options, rental.market)
    try:
        return priced_table(hash((source.fingerprint, *asked)), ask, offer, rental)
    except BreakevenError as error:
        st.error(f"This job cannot be priced: {escape(error)}")
        st.stop()


@st.cache_resource(max_entries=4, show_spinner=False)
def looked_at_once(
    stamp: int, filters: Filters, _table: pd.DataFrame, _instances: tuple[Instance, ...]
) -> Looked:
    """The rows of the filters, made once."""
    return looked_at(hash((stamp, filters)), _table, filters, _instances)


def _what_is_timed(instances: tuple[Instance, ...]) -> int:
    """A stamp of what a time depends on: not of the prices."""
    return hash(
        tuple(
            (one.key, one.hardware, one.gpu_count, one.gpu_memory_gib, one.vcpu, one.memory_gib)
            for one in instances
        )
    )


def question_of(job: Job) -> Question:
    """The job as the estimator is asked, in a form that a cache can keep."""
    return (
        ("workload", job.workload),
        ("case", job.case),
        ("params", job.params),
        ("dtype", job.dtype),
        ("math_mode", job.math_mode),
        ("mode", job.gpu_mode),
    )


@dataclass(frozen=True)
class Work:
    """What is priced: a question of the estimator, in words, and as a command line names it."""

    question: Question | Program
    asked: str
    command: str


def operation_form(source: shared.Source) -> Work:
    """The form of an operation."""
    job = job_form(shared.measured_groups(source))
    return Work(question_of(job), job.asked, cost_command.of_operation(job))


def of_program(program: Program) -> Work:
    """A visitor's own job."""
    return Work(program, f"a {program.scope} of {program.name}", cost_command.of_program(program))


def show_coverage(source: shared.Source, program: Program, model: Any) -> None:
    """What share of the job is covered, on the fastest machine that was measured."""
    known = [one for one in estimates(source.fingerprint, program, None, model) if one.answered]
    if known:
        show_asked(program, known[0])


def page() -> None:
    """The forms of a job and of how it is rented, then what it costs on each instance."""
    source = shared.open_dataset()
    shared.header(
        "Cost",
        "Which instance finishes the job cheapest, which fastest, and how sure is that?",
        METHOD,
    )
    shared.provenance(source, "times are estimated, prices are dated in the table")
    answer_box = st.container()
    with st.container(border=True):
        program = uploaded_program()
        work = operation_form(source) if program is None else of_program(program)
        rental_box, offer_box = st.container(), st.container()
        with offer_box:
            offer = offer_form(source.machines)
        with rental_box:
            rental = rental_form(provider_list(offer.instances))
    model = shared.open_model(source)
    question = work.question
    made, table = time_and_price(source, model, question, offer, rental)
    filters = filter_form(offer.instances, rental.provider)
    looked = looked_at_once(made.key, filters, table, offer.instances)
    if looked.priced.empty:
        with answer_box:
            no_rows(looked.excluded, filters, rental.market)
        show_excluded(looked.excluded)
        return
    with answer_box:
        if isinstance(question, Program):
            show_coverage(source, question, model)
        first = show_answer(looked.priced, rental.options, rental.job.jobs, work.asked)
        if isinstance(question, Program):
            units = with_unit_prices(looked.priced, question, rental.job)
            st.caption(plain(" ".join(unit_price_lines(units))))
    show_front(looked, rental.options, [*provider_list(offer.instances), "own"])
    baseline = show_table(looked)
    show_excluded(looked.excluded)
    every = of_filters(table, replace(filters, one_each=False), offer.instances)
    show_downloads(every, source.fingerprint)
    fast = fastest(looked.priced)
    assert fast is not None  # there are priced rows
    show_break_even(looked, offer.own, first, fast.to_dict())
    of_rows = made.timings["key"].isin(set(looked.priced["key"]))
    change = show_sensitivity(replace(made, key=looked.key, timings=made.timings[of_rows]))
    by_key = {one.key: one for one in offer.instances}
    if not isinstance(question, Program):
        instance = by_key[first["key"]]
        show_rented_twice(source.fingerprint, model, first, instance, dict(question))
    view = cost_command.View(filters, baseline, change)
    widgets.command(
        cost_command.command_line(work.command, rental, offer, view, shared.data_argument(source)),
        cost_command.note(offer),
    )
