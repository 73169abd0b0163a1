"""``cost``: cost of one completed job on each cloud instance."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector.errors import EstimateError, SelectionError
from estimator.cells.defaults import IN_SHORT
from estimator.commands.options import (
    add_data,
    add_model,
    add_question,
    open_measurements,
    open_model,
    print_json,
    read_job_file,
    read_question,
)
from estimator.cost.options import AMOUNTS, JOB_OPTIONS, OPTIONS, RENTAL_OPTIONS, Option
from estimator.text import parse_duration

if TYPE_CHECKING:
    import pandas as pd

    from collector.jobs import Job as Program
    from estimator.catalogue.instances import Instance
    from estimator.commands import Subparsers
    from estimator.cost.inputs import CostOptions, Job
    from estimator.cost.ownership import OwnMachine
    from estimator.model.model import Model


def add_job(parser: argparse.ArgumentParser) -> None:
    """What has to be done."""
    group = parser.add_argument_group("the job (times as 45s, 90m, 2h, 1.5d or seconds)")
    _add_options(group, JOB_OPTIONS)
    for name in AMOUNTS:
        group.add_argument(
            f"--{name}", metavar="N", help=f"with --job: how many {name} it works through"
        )
    group.add_argument(
        "--no-packing",
        action="store_true",
        help="one job on a machine at a time, however many GPUs it has",
    )


def add_rental(parser: argparse.ArgumentParser) -> None:
    """How the machines are rented."""
    group = parser.add_argument_group("the rental (default: what data/rental_terms.csv knows)")
    group.add_argument("--spot", action="store_true", help="spot prices only")
    group.add_argument(
        "--spot-allowed", action="store_true", help="spot prices beside those on demand"
    )
    _add_options(group, RENTAL_OPTIONS)
    group.add_argument("--no-terms", action="store_true", help="leave the providers' terms out")


def _add_options(group: argparse._ArgumentGroup, options: Sequence[Option]) -> None:
    for option in options:
        group.add_argument(
            f"--{option.name}",
            dest=option.field,
            metavar=option.metavar,
            help=option.long_help,
        )


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Which instances are looked at."""
    group = parser.add_argument_group("the instances")
    group.add_argument(
        "--instances", type=Path, metavar="FILE", help="catalogue (default: data/instances.csv)"
    )
    for name in ("provider", "region", "instance"):
        group.add_argument(
            f"--{name}", action="append", metavar="NAME", help="only this one; repeatable"
        )
    group.add_argument("--gpu", action="append", metavar="NAME", help="only this GPU; repeatable")
    group.add_argument("--gpu-only", action="store_true", help="no instance without a GPU")
    group.add_argument("--cpu-only", action="store_true", help="no instance with a GPU")
    group.add_argument(
        "--own",
        action="append",
        metavar="MACHINE",
        help="a machine of your own: HARDWARE,purchase=USD,years=N,utilisation=SHARE,watts=W,"
        "usd_per_kwh=USD and, if need be, idle_watts, gpus, vcpu, memory_gib, name; repeatable",
    )


def read_job(arguments: argparse.Namespace, program: Program | None = None) -> Job:
    """What has to be done, by steps; with a ``program`` also by what its steps work through.

    Raises SelectionError for text that is no number, EstimateError for an absurd one.
    """
    from estimator.cost.inputs import Job
    from estimator.cost.program import steps_of

    values = _values(arguments, Job)
    given = {name: text for name in AMOUNTS if (text := getattr(arguments, name)) is not None}
    if program is None and given:
        raise SelectionError(f"--{next(iter(given))}: only a job of --job says what that is")
    whole_run = program is not None and program.scope == "run"
    if whole_run and not given and arguments.steps is None:
        values["steps"] = 1.0
    elif len(given) + (arguments.steps is not None) != 1:
        names = ("steps", *(AMOUNTS if program else ()))
        raise SelectionError(f"say how long the job is: one of --{', --'.join(names)}")
    for name, text in given.items():
        assert program is not None  # else the first line above has raised
        values["steps"] = steps_of(program, name, number(f"--{name}", text))
    if values["steps"] == 0.0:
        raise EstimateError("steps is 0; a job has at least one")
    return Job(**values)


def read_options(arguments: argparse.Namespace) -> CostOptions:
    """Raises SelectionError for text that is no number, EstimateError for an absurd one."""
    from estimator.cost.inputs import AUTO, CostOptions

    if arguments.spot and arguments.spot_allowed:
        raise SelectionError("--spot and --spot-allowed: give one of them")
    values = _values(arguments, CostOptions)
    if values["probability_of_completion"] == 0.0:
        raise SelectionError("--completion 0: such a job never completes; write a share above 0")
    if values["checkpoint_interval_s"] == AUTO and values["checkpoint_s"] == 0.0:
        raise SelectionError(
            "--checkpoint-interval auto: say how long one takes, such as --checkpoint 30s"
        )
    return CostOptions(spot=arguments.spot, pack_one_job_per_gpu=not arguments.no_packing, **values)


def _values(arguments: argparse.Namespace, inputs: type[Job | CostOptions]) -> dict[str, Any]:
    """Field -> what was typed in, or its default, for the options of one kind of inputs."""
    names = {field.name for field in fields(inputs)}
    return {
        option.field: _read(option, getattr(arguments, option.field))
        for option in OPTIONS
        if option.field in names
    }


def _read(option: Option, text: str | None) -> float | str | None:
    from estimator.cost.inputs import AUTO

    if text is None:
        return option.default
    if text == AUTO and option.field == "checkpoint_interval_s":
        return AUTO
    if option.kind == "time":
        return _time(f"--{option.name}", text)
    value = number(f"--{option.name}", text)
    if option.kind == "count" and option.field != "steps":
        return _whole(f"--{option.name}", text, value)
    return value


def markets_of(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The prices that are looked at."""
    if arguments.spot_allowed:
        return ("on-demand", "spot")
    return ("spot",) if arguments.spot else ("on-demand",)


def read_own(arguments: argparse.Namespace) -> list[OwnMachine]:
    """The machines of ``--own``. Raises SelectionError."""
    from estimator.cost.ownership import parse_own_machine

    return [parse_own_machine(text) for text in arguments.own or ()]


def read_choice(arguments: argparse.Namespace, own: Sequence[OwnMachine]) -> tuple[Instance, ...]:
    """The instances that are asked for, machines of one's own among them.

    Raises CatalogueError, and SelectionError that lists what there is.
    """
    from estimator.catalogue.hardware import match_gpu
    from estimator.catalogue.instances import INSTANCES_PATH, read_instances

    if arguments.gpu_only and arguments.cpu_only:
        raise SelectionError("--gpu-only and --cpu-only: give one of them")
    found = list(read_instances(arguments.instances or INSTANCES_PATH))
    tests: tuple[tuple[str, Callable[[Instance], str]], ...] = (
        ("provider", lambda instance: instance.provider),
        ("region", lambda instance: instance.region),
        ("instance", lambda instance: instance.instance),
    )
    for name, value in tests:
        found = _only(found, name, getattr(arguments, name), value)
    wanted = {match.name if (match := match_gpu(text)) else text for text in arguments.gpu or ()}
    found = _only(found, "gpu", sorted(wanted) or None, lambda i: i.hardware if i.gpu else "")
    if arguments.gpu_only or arguments.cpu_only:
        found = [i for i in found if (i.gpu_count > 0) == bool(arguments.gpu_only)]
        if not found:
            kind = "with a GPU" if arguments.gpu_only else "without a GPU"
            raise SelectionError(f"no such instance {kind}; relax the other options")
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    mine = [machine.instance(today) for machine in own]
    if len({instance.key for instance in mine}) < len(mine):
        raise SelectionError("--own: two machines of one name; tell them apart with name=")
    return (*mine, *found)


def _only(
    found: list[Instance],
    name: str,
    asked: Sequence[str] | None,
    value: Callable[[Instance], str],
) -> list[Instance]:
    if not asked:
        return found
    there = sorted({value(instance) for instance in found} - {""})
    lowered = {text.casefold(): text for text in there}
    for text in asked:
        if text.casefold() not in lowered:
            shown = ", ".join(there[:40]) + (f" and {len(there) - 40} more" if there[40:] else "")
            raise SelectionError(f"--{name} {brief(text)}: there is none here; choose from {shown}")
    kept = {text.casefold() for text in asked}
    return [instance for instance in found if value(instance).casefold() in kept]


def brief(text: str) -> str:
    """What was typed in, on one line and not endless."""
    return " ".join(text.split())[:60]


def number(option: str, text: str) -> float:
    """The number of an option. Raises SelectionError."""
    try:
        return float(text)
    except ValueError:
        raise SelectionError(f"{option} {brief(text)}: write a number") from None


def _whole(option: str, text: str, value: float) -> int:
    if not (value == value and abs(value) < 1e15) or value != int(value):
        raise SelectionError(f"{option} {brief(text)}: write a whole number")
    return int(value)


def _time(option: str, text: str) -> float:
    try:
        return parse_duration(text)
    except SelectionError as error:
        raise SelectionError(f"{option}: {error}") from None


_TOP = 15


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser(
        "cost", help="cost of one completed job on each cloud instance", epilog=IN_SHORT
    )
    add_question(parser, jobs=True)
    parser.add_argument("--backend", help="library (default: the fastest of each machine)")
    add_job(parser)
    add_rental(parser)
    add_choice(parser)
    shown = parser.add_argument_group("the answer")
    shown.add_argument(
        "--baseline",
        metavar="INSTANCE",
        help='set every row against this instance (or its key; "KEY spot" for one of its prices)',
    )
    shown.add_argument(
        "--sensitivity",
        metavar="PERCENT",
        nargs="?",
        const="20",
        help="how the cost moves with each input, lowered and raised by so much (default: 20)",
    )
    shown.add_argument("--sort", choices=("cost", "time"), default="cost", help="default: cost")
    shown.add_argument(
        "--top", default=str(_TOP), metavar="N", help=f"rows to show (default: {_TOP}; 0: all)"
    )
    shown.add_argument(
        "--out", type=Path, metavar="FILE", help="also write all rows: .csv, .json or .parquet"
    )
    add_data(parser)
    add_model(parser)
    parser.set_defaults(command=cost)


def cost(arguments: argparse.Namespace) -> None:
    """Print who finishes the job cheapest and fastest, then the instances."""
    from estimator.catalogue.rental_terms import TERMS, all_rental_terms
    from estimator.cost.export import format_of, write_table
    from estimator.cost.instance_costs import instance_costs
    from estimator.cost.program import with_unit_prices
    from estimator.cost.sensitivity import sensitivity_table

    top = _top(arguments.top)
    if arguments.out is not None:
        format_of(arguments.out)  # before the fit, which takes a while
    change = None if arguments.sensitivity is None else _share(arguments.sensitivity)
    program = None if arguments.job is None else read_job_file(arguments)
    job, options = read_job(arguments, program), read_options(arguments)
    own = read_own(arguments)
    prices = {machine.usd_per_kwh for machine in own}
    options = replace(options, usd_per_kwh=prices.pop() if len(prices) == 1 else None)
    instances = read_choice(arguments, own)
    asked = (
        _ask_operation(arguments, instances, job)
        if program is None
        else _ask_program(arguments, instances, job, program)
    )
    timings = asked.timings
    terms = {} if arguments.no_terms else all_rental_terms()
    markets = markets_of(arguments)
    table = instance_costs(timings, instances, job, options, terms, markets)
    if not (table["excluded"] == "").any():
        timed = table[table["seconds_p50"].notna()]  # their reasons are about this job
        reason = (table if timed.empty else timed)["excluded"].mode().iloc[0]
        raise EstimateError(f"no instance can do this job: {reason}")
    table = _compared(table, arguments.baseline)
    table = table if program is None else with_unit_prices(table, program, job)
    moved = (
        None
        if change is None
        else sensitivity_table(timings, instances, job, options, terms, markets, change)
    )
    if arguments.out is not None:
        write_table(table, asked.model.fingerprint, arguments.out)
    if arguments.sort == "time":
        table = table.sort_values(["wall_s_p50", "cost_usd_p50"], kind="stable", ignore_index=True)
    if arguments.json:
        print_json(_object(table, moved, asked.question, job, asked.model))
        return
    given = [name for name in TERMS if getattr(options, name) is not None]
    used = _used_terms(markets, job)
    for line in _lines(table, moved, own, asked.lines, (top, terms, given, used)):
        print(line)
    if arguments.out is not None:
        print(f"\n{len(table)} rows -> {arguments.out}")


@dataclass(frozen=True)
class _Asked:
    """The times of a step on each instance, of what; and its first lines in words."""

    model: Model
    timings: pd.DataFrame
    question: Mapping[str, Any]
    lines: Sequence[str]


def _ask_operation(
    arguments: argparse.Namespace, instances: Sequence[Instance], job: Job
) -> _Asked:
    from estimator.cells.defaults import gpu_mode
    from estimator.cost.ownership import with_energy
    from estimator.cost.timings import instance_timings
    from estimator.decide.words import asked_line

    question = read_question(arguments) | {"backend": arguments.backend}
    model, energy = _open(arguments, question)
    _check_backend(model, question)
    timings = instance_timings(model, instances, question)
    timings = timings if energy is None else with_energy(timings, instances, energy)
    line = asked_line(
        question,
        gpu_mode(question["workload"], question["case"], question.get("mode")),
        count=f"{_jobs_of(job)}{job.steps:,.15g} x ",
        library=question["backend"],
    )
    return _Asked(model, timings, question, (line,))


def _ask_program(
    arguments: argparse.Namespace, instances: Sequence[Instance], job: Job, program: Program
) -> _Asked:
    from estimator.cost.job_timings import job_timings
    from estimator.decide.job_words import asked_job, coverage_line
    from estimator.decide.jobs import answered_first
    from estimator.model.jobs import check_library

    check_library(program, arguments.backend)
    model = open_model(arguments)
    timings = job_timings(model, instances, program)
    known = [one for one in answered_first(model.predict_job(program)) if one.answered]
    first = [coverage_line(known[0])] if known else []
    line = asked_job(program, f"{_jobs_of(job)}{job.steps:,.15g} {program.scope}s")
    question = {"job": program.name, "backend": program.library}
    return _Asked(model, timings, question, (*first, line))


def _jobs_of(job: Job) -> str:
    return f"{job.jobs:,} jobs of " if job.jobs > 1 else ""


def _open(
    arguments: argparse.Namespace, question: Mapping[str, Any]
) -> tuple[Model, pd.DataFrame | None]:
    """The model, and of a dataset the measured energy of the question too."""
    from estimator.cost.ownership import measured_energy
    from estimator.dataset.cache_directory import user_cache_directory
    from estimator.model.fit import fit_cached

    if arguments.model is not None:
        return open_model(arguments), None
    measurements = open_measurements(arguments)
    energy = measured_energy(measurements.connection, question)
    return fit_cached(measurements, user_cache_directory()), energy


def _top(text: str) -> int:
    value = number("--top", text)
    if not (0 <= value < 1e9) or value != int(value):
        raise SelectionError(f"--top {brief(text)}: write 0 (all) or more")
    return int(value)


def _share(text: str) -> float:
    value = number("--sensitivity", text)
    if not 0.0 < value <= 99.0:
        raise SelectionError(f"--sensitivity {brief(text)}: write a percentage above 0, up to 99")
    return value / 100.0


def _check_backend(model: Model, question: Mapping[str, Any]) -> None:
    """Raises SelectionError for a library that measured this operation nowhere."""
    asked = question["backend"]
    index = model.fit.group.index
    known = sorted(set(index.loc[index["workload"] == question["workload"], "backend"]))
    if asked is not None and known and asked not in known:
        raise SelectionError(
            f"--backend {brief(asked)}: {question['workload']} was measured with "
            f"{', '.join(known)}; choose one of them or leave it out"
        )


def _compared(table: pd.DataFrame, baseline: str | None) -> pd.DataFrame:
    from estimator.cost.instance_costs import MARKETS
    from estimator.cost.table import cheapest, compare_with, priced

    if baseline is None:
        return table
    able = priced(table)
    name, _, market = baseline.rpartition(" ")
    if market in MARKETS:
        able, baseline = able[able["market"] == market], name
    mine = able[(able["key"] == baseline) | (able["instance"] == baseline)]
    best = cheapest(mine)  # the cheapest region, where the name alone is given
    if best is None:
        raise SelectionError(
            f"--baseline {brief(baseline)}: no priced instance here has this name; "
            "the table (--top 0) lists them"
        )
    return compare_with(table, str(best["key"]), str(best["market"]))


def _used_terms(markets: Sequence[str], job: Job) -> list[str]:
    from estimator.catalogue.rental_terms import TERMS

    unused = {
        "interruptions_per_h": "spot" not in markets,
        "storage_usd_per_gib_month": job.storage_gib == 0.0,
        "egress_usd_per_gib": job.egress_gib == 0.0,
    }
    return [name for name in TERMS if not unused.get(name, False)]


def _object(
    table: pd.DataFrame,
    moved: pd.DataFrame | None,
    question: Mapping[str, Any],
    job: Job,
    model: Model,
) -> dict[str, Any]:
    """What ``--json`` prints."""
    from collector import __version__
    from estimator.cost.export import own_basis
    from estimator.cost.table import cheapest, cheapest_in_time, fastest

    def named(row: Any) -> dict[str, Any] | None:
        names = ("key", "market", "cost_usd_p50", "wall_s_p50")
        return None if row is None else {name: row[name] for name in names}

    shown = table.assign(basis=[own_basis(str(basis)) for basis in table["basis"]])
    return {
        "question": dict(question),
        "job": asdict(job),
        "dataset_fingerprint": model.fingerprint,
        "estimator_version": __version__,
        "answer": {
            "cheapest": named(cheapest(table)),
            "fastest": named(fastest(table)),
            "cheapest_in_time": named(cheapest_in_time(table)),
            "surely_in_time": named(cheapest_in_time(table, certain=True)),
        },
        "sensitivity": None if moved is None else moved.to_dict("records"),
        "rows": shown.astype(object).where(shown.notna(), None).to_dict("records"),
    }


def _lines(
    table: pd.DataFrame,
    moved: pd.DataFrame | None,
    own: Sequence[OwnMachine],
    asked: Sequence[str],
    shown: tuple[int, Mapping[str, Any], Sequence[str], Sequence[str]],
) -> list[str]:
    """The report for a terminal."""
    from estimator.cost import words as cost_assumptions
    from estimator.cost import words as cost_change_report
    from estimator.cost import words as cost_report
    from estimator.cost.program import unit_price_lines

    top, terms, given, used = shown
    lines = [
        *asked,
        "",
        *cost_report.answer_lines(table),
        *unit_price_lines(table),
        "",
        *cost_report.table_lines(table, top),
    ]
    bought = cost_change_report.purchase_lines(table, own)
    left_out = cost_report.left_out_lines(table)
    change = [] if moved is None else cost_change_report.sensitivity_lines(moved)
    for part in (bought, change, left_out):
        lines += ["", *part] if part else []
    return [*lines, "", *cost_assumptions.assumption_lines(table, terms, given, used)]
