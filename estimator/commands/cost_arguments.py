"""The options of ``cost``, and what they stand for: a job, how it is rented, which instances."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from collector.errors import EstimateError, SelectionError

if TYPE_CHECKING:
    from estimator.catalogue.instances import Instance
    from estimator.cost.inputs import CostOptions, Job
    from estimator.cost.own_machines import OwnMachine

#: option -> field of the rental terms that it sets
TERM_OPTIONS = {
    "start_up": "start_up_s",
    "increment": "billing_increment_s",
    "minimum": "minimum_billed_s",
    "interruptions": "interruptions_per_h",
    "storage_price": "storage_usd_per_gib_month",
    "egress_price": "egress_usd_per_gib",
}


def add_job(parser: argparse.ArgumentParser) -> None:
    """What has to be done."""
    group = parser.add_argument_group("the job (times as 45s, 90m, 2h, 1.5d or seconds)")
    group.add_argument(
        "--steps", required=True, metavar="N", help="calls of the operation in one job"
    )
    group.add_argument("--jobs", default="1", metavar="N", help="equal jobs (default: 1)")
    group.add_argument("--set-up", metavar="TIME", help="once for each machine rented (default: 0)")
    group.add_argument("--transfer", metavar="TIME", help="data in and out, per job (default: 0)")
    group.add_argument("--storage", metavar="GIB", help="kept on each machine (default: 0)")
    group.add_argument("--egress", metavar="GIB", help="leaves the provider, per job (default: 0)")
    group.add_argument("--deadline", metavar="TIME", help="all jobs must be done by then")
    group.add_argument("--budget", metavar="USD", help="for all jobs together")
    group.add_argument(
        "--most-machines",
        default="100",
        metavar="N",
        help="machines of one kind that may share the jobs if the deadline asks for it "
        "(default: 100)",
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
    group.add_argument("--start-up", metavar="TIME", help="from the request to a machine, billed")
    group.add_argument("--increment", metavar="TIME", help="billed time is rounded up to this")
    group.add_argument("--minimum", metavar="TIME", help="shortest time billed")
    group.add_argument("--interruptions", metavar="RATE", help="of a spot machine, per hour")
    group.add_argument(
        "--checkpoint-interval",
        metavar="TIME",
        help='work between two checkpoints, or "auto" for the best one (default: none; an '
        "interrupted job starts over)",
    )
    group.add_argument("--checkpoint", metavar="TIME", help="that writing one takes (default: 0)")
    group.add_argument(
        "--restart", metavar="TIME", help="after an interruption (default: start-up and set-up)"
    )
    group.add_argument(
        "--completion", metavar="SHARE", help="of the attempts that succeed (default: 1)"
    )
    group.add_argument("--storage-price", metavar="USD", help="per GiB and month")
    group.add_argument("--egress-price", metavar="USD", help="per GiB")
    group.add_argument("--no-terms", action="store_true", help="leave the providers' terms out")


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

    steps = number("--steps", arguments.steps)
    if steps == 0.0:
        raise EstimateError("steps is 0; a job has at least one")
    return Job(
        steps=steps,
        jobs=_whole("--jobs", arguments.jobs),
        set_up_s=_time("--set-up", arguments.set_up) or 0.0,
        transfer_s=_time("--transfer", arguments.transfer) or 0.0,
        storage_gib=_amount("--storage", arguments.storage) or 0.0,
        egress_gib=_amount("--egress", arguments.egress) or 0.0,
    )


def read_options(arguments: argparse.Namespace) -> CostOptions:
    """Raises SelectionError for text that is no number, EstimateError for an absurd one."""
    from estimator.cost.inputs import AUTO, CostOptions

    if arguments.spot and arguments.spot_allowed:
        raise SelectionError("--spot and --spot-allowed: give one of them")
    interval = arguments.checkpoint_interval
    completion = _amount("--completion", arguments.completion)
    if completion == 0.0:
        raise SelectionError("--completion 0: such a job never completes; write a share above 0")
    checkpoint_s = _time("--checkpoint", arguments.checkpoint) or 0.0
    if interval == AUTO and checkpoint_s == 0.0:
        raise SelectionError(
            "--checkpoint-interval auto: say how long one takes, such as --checkpoint 30s"
        )
    return CostOptions(
        spot=arguments.spot,
        start_up_s=_time("--start-up", arguments.start_up),
        billing_increment_s=_time("--increment", arguments.increment),
        minimum_billed_s=_time("--minimum", arguments.minimum),
        pack_one_job_per_gpu=not arguments.no_packing,
        probability_of_completion=1.0 if completion is None else completion,
        interruptions_per_h=_amount("--interruptions", arguments.interruptions),
        checkpoint_interval_s=(
            AUTO if interval == AUTO else _time("--checkpoint-interval", interval)
        ),
        checkpoint_s=checkpoint_s,
        restart_s=_time("--restart", arguments.restart),
        storage_usd_per_gib_month=_amount("--storage-price", arguments.storage_price),
        egress_usd_per_gib=_amount("--egress-price", arguments.egress_price),
        deadline_s=_time("--deadline", arguments.deadline),
        budget_usd=_amount("--budget", arguments.budget),
        most_machines=_whole("--most-machines", arguments.most_machines),
    )


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


def _amount(option: str, text: str | None) -> float | None:
    return None if text is None else number(option, text)


def _whole(option: str, text: str) -> int:
    value = number(option, text)
    if not (value == value and abs(value) < 1e15) or value != int(value):
        raise SelectionError(f"{option} {brief(text)}: write a whole number")
    return int(value)


def _time(option: str, text: str | None) -> float | None:
    from estimator.durations import parse_duration

    if text is None:
        return None
    try:
        return parse_duration(text)
    except SelectionError as error:
        raise SelectionError(f"{option}: {error}") from None
