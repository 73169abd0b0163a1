"""The command line that gives the numbers of the page Cost."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from app_pages.cost.catalogue import Offer
from app_pages.cost.rental_form import MACHINES, Rental
from app_pages.cost.tables import CPUS, GPUS, Filters
from app_pages.cost.words import ALL
from app_pages.job.form import Job
from estimator.cost.inputs import CostOptions
from estimator.cost.inputs import Job as PricedJob


@dataclass(frozen=True)
class View:
    """What of the table is looked at; ``baseline`` is a row key, ``change`` in percent."""

    filters: Filters
    baseline: str
    change: str


def command_line(job: Job, rental: Rental, offer: Offer, view: View, data: str) -> str:
    """``python -m estimator cost`` with every option that differs from its default."""
    parts = [f"python -m estimator cost {job.command_arguments()}", f"--mode {job.gpu_mode}"]
    if job.math_mode != "ieee":
        parts.append(f"--math-mode {job.math_mode}")
    parts += _job(rental.job)
    parts += _options(rental.options)
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


def _job(job: PricedJob) -> list[str]:
    parts = [f"--steps {job.steps:.15g}"]
    if job.jobs != 1:
        parts.append(f"--jobs {job.jobs}")
    for option, value in (
        ("set-up", job.set_up_s),
        ("transfer", job.transfer_s),
        ("storage", job.storage_gib),
        ("egress", job.egress_gib),
    ):
        if value:
            parts.append(f"--{option} {value:.15g}")
    return parts


def _options(options: CostOptions) -> list[str]:
    """Options that were set; 0 is a setting, nothing is the provider's terms."""
    every = options.checkpoint_interval_s
    succeed = options.probability_of_completion
    settings: dict[str, float | str | None] = {
        "deadline": options.deadline_s,
        "budget": options.budget_usd,
        "start-up": options.start_up_s,
        "increment": options.billing_increment_s,
        "minimum": options.minimum_billed_s,
        "interruptions": options.interruptions_per_h,
        "checkpoint-interval": every,
        "checkpoint": options.checkpoint_s or None,
        "completion": succeed if succeed < 1.0 else None,
        "most-machines": options.most_machines if options.most_machines != MACHINES else None,
    }
    return [
        f"--{name} {value if isinstance(value, str) else format(value, '.15g')}"
        for name, value in settings.items()
        if value is not None
    ]


def _choice(filters: Filters) -> list[str]:
    parts = [
        f"--{name} {shlex.quote(value)}"
        for name, value in (("provider", filters.provider), ("region", filters.region))
        if value != ALL
    ]
    known = {ALL: [], GPUS: ["--gpu-only"], CPUS: ["--cpu-only"]}
    return parts + known.get(filters.processor, [f"--gpu {shlex.quote(filters.processor)}"])
