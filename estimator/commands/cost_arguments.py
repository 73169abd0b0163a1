"""The options of ``cost``, and what they stand for: a job, how it is rented, which instances."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector.errors import EstimateError, SelectionError
from estimator.cost.options import JOB_OPTIONS, OPTIONS, RENTAL_OPTIONS, Option
from estimator.text import parse_duration

if TYPE_CHECKING:
    from estimator.catalogue.instances import Instance
    from estimator.cost.inputs import CostOptions, Job
    from estimator.cost.own_machines import OwnMachine


def add_job(parser: argparse.ArgumentParser) -> None:
    """What has to be done."""
    group = parser.add_argument_group("the job (times as 45s, 90m, 2h, 1.5d or seconds)")
    _add_options(group, JOB_OPTIONS)
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
            required=option.field == "steps",
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


def read_job(arguments: argparse.Namespace) -> Job:
    """Raises SelectionError for text that is no number, EstimateError for an absurd one."""
    from estimator.cost.inputs import Job

    values = _values(arguments, Job)
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
    from estimator.cost.own_machines import parse_own_machine

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
