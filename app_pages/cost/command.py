"""The command line that gives the numbers of the page Cost."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from app_pages.cost.catalogue import Offer
from app_pages.cost.rental_form import Rental
from app_pages.cost.tables import CPUS, GPUS, Filters
from app_pages.cost.words import ALL
from app_pages.job.form import Job
from collector.jobs import Job as Program
from estimator.cost.options import command_options


@dataclass(frozen=True)
class View:
    """What of the table is looked at; ``baseline`` is a row key, ``change`` in percent."""

    filters: Filters
    baseline: str
    change: str


def of_operation(job: Job) -> str:
    """The part of the command line that names an operation."""
    math_mode = f" --math-mode {job.math_mode}" if job.math_mode != "ieee" else ""
    return f"{job.command_arguments()} --mode {job.gpu_mode}{math_mode}"


def of_program(job: Program) -> str:
    """The part of the command line that names a job's file, as far as the page knows it."""
    return f"--job {shlex.quote(f'{job.name}.json')}"


def command_line(what: str, rental: Rental, offer: Offer, view: View, data: str) -> str:
    """``python -m estimator cost`` with every option that differs from its default.

    ``what``: that of ``of_operation`` or ``of_program``.
    """
    parts = [f"python -m estimator cost {what}"]
    parts += command_options(rental.job, rental.options)
    parts += {"spot": ["--spot"], "cheaper": ["--spot-allowed"]}.get(rental.market, [])
    parts += _choice(view.filters)
    for name, value in (
        ("instances", offer.file),
        ("own", offer.own_arguments),
        ("baseline", view.baseline),
        ("sensitivity", view.change),
    ):
        if value:
            parts.append(f"--{name} {shlex.quote(value)}")
    return " ".join(parts) + data


def note(offer: Offer) -> str:
    """What the command line cannot say."""
    parts = []
    if offer.file:
        parts.append(
            f"{offer.file} is the catalogue to download under *Your own machine, prices and "
            "catalogue*."
        )
    return " ".join(parts)


def _choice(filters: Filters) -> list[str]:
    parts = [
        f"--{name} {shlex.quote(value)}"
        for name, value in (("provider", filters.provider), ("region", filters.region))
        if value != ALL
    ]
    known = {ALL: [], GPUS: ["--gpu-only"], CPUS: ["--cpu-only"]}
    return parts + known.get(filters.processor, [f"--gpu {shlex.quote(filters.processor)}"])
