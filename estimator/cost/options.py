"""The options of a cost, each declared once: what its parser, its form and its command line say.

An option sets one field of ``inputs.Job`` or ``CostOptions``. The parser of ``cost``
(``commands.cost_arguments``), the form of the page Cost (``app_pages.cost.rental_form``) and the
command line that the page prints are made from :data:`OPTIONS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # so that --help is quick
    from estimator.cost.inputs import CostOptions, Job

Kind = Literal["count", "time", "amount", "rate", "share"]

_METAVARS: dict[Kind, str] = {"count": "N", "time": "TIME", "rate": "RATE", "share": "SHARE"}


@dataclass(frozen=True, slots=True)
class Option:
    """One option: ``field`` of the inputs, ``name`` on the command line, ``label`` on the page.

    ``kind`` says how it is typed: a whole number, a time (90m, 2h), an amount in ``unit``, a rate
    or a share from 0 to 1. ``default`` holds where nothing is said (None: the provider's terms, no
    limit, or what ``default_words`` say). ``help`` has neither a capital nor a stop. ``most`` is
    the most that the page takes.
    """

    field: str
    name: str
    kind: Kind
    default: float | None
    label: str
    help: str
    unit: str = ""
    most: float = 1e9
    default_words: str = ""

    @property
    def metavar(self) -> str:
        """What stands for the value in ``--help``."""
        return _METAVARS.get(self.kind) or self.unit.split()[0].upper()

    @property
    def long_help(self) -> str:
        """The help with the default."""
        words = self.default_words or ("" if self.default is None else f"{self.default:g}")
        return f"{self.help} (default: {words})" if words else self.help


#: what the length of a traced job may be given in, beside steps
AMOUNTS = ("samples", "tokens", "epochs")

JOB_OPTIONS = (
    Option(
        *("steps", "steps", "count", None, "Steps in one job"),
        help="how often one job repeats the operation, such as its training steps",
        most=1e12,
    ),
    Option(*("jobs", "jobs", "count", 1, "Jobs"), help="equal jobs; one runs on each GPU"),
    Option(
        *("set_up_s", "set-up", "time", 0.0, "Set-up"),
        help="installing, loading data; once for each machine rented",
    ),
    Option(
        *("transfer_s", "transfer", "time", 0.0, "Transfers"),
        help="copying data in and results out, once for each job",
    ),
    Option(
        *("storage_gib", "storage", "amount", 0.0, "Storage"),
        *("disk kept on each machine meanwhile", "GiB"),
    ),
    Option(
        *("egress_gib", "egress", "amount", 0.0, "Data out"),
        *("what each job sends out of the provider's network", "GiB"),
    ),
    Option(
        *("deadline_s", "deadline", "time", None, "Deadline"),
        help="all jobs must be done by then, start-up included, such as 2h, 90min or 1d",
    ),
    Option(
        *("budget_usd", "budget", "amount", None, "Budget", "for all jobs together", "USD"),
    ),
    Option(
        *("most_machines", "most-machines", "count", 100, "Machines at most"),
        help="machines of one kind that may share the jobs if the deadline asks for it",
        most=1000,
    ),
)
RENTAL_OPTIONS = (
    Option(
        *("start_up_s", "start-up", "time", None, "Start-up"),
        *("from the request until the machine answers; counted as billed", "s"),
    ),
    Option(
        *("billing_increment_s", "increment", "time", None, "Billing increment"),
        *("the billed time is rounded up to a multiple of it; 1h: by the hour", "s"),
    ),
    Option(
        *("minimum_billed_s", "minimum", "time", None, "Shortest time billed"),
        *("shortest time billed; a shorter rental costs as much", "s"),
    ),
    Option(
        *("interruptions_per_h", "interruptions", "rate", None, "Spot interruptions"),
        "mean rate per hour at which a spot machine is taken away; 0.05 is once in 20 hours",
        *("per hour", 100.0),
    ),
    Option(
        *("checkpoint_interval_s", "checkpoint-interval", "time", None, "Checkpoint every"),
        'work between two checkpoints, counted at any rate of interruptions; "auto": the distance '
        "that costs least (Young 1974, Daly 2006), none where the rate is not known",
        default_words="none; an interrupted job starts over",
    ),
    Option(
        *("checkpoint_s", "checkpoint", "time", 0.0, "Time to write a checkpoint"),
        "to write one, on spot; without a distance between two none is written, and the job "
        "starts over when a spot machine is taken away",
    ),
    Option(
        *("restart_s", "restart", "time", None, "Restart", "after an interruption"),
        default_words="start-up and set-up",
    ),
    Option(
        *("probability_of_completion", "completion", "share", 1.0, "Runs that succeed"),
        *("share of jobs that end well; the others are run again", "%"),
    ),
    Option(
        *("storage_usd_per_gib_month", "storage-price", "amount", None, "Storage"),
        *("per GiB and month", "USD per GiB and month"),
    ),
    Option(
        *("egress_usd_per_gib", "egress-price", "amount", None, "Data out"),
        *("per GiB", "USD per GiB"),
    ),
)
#: In the order of the printed command line.
OPTIONS = (*JOB_OPTIONS[:-1], *RENTAL_OPTIONS, JOB_OPTIONS[-1])
BY_FIELD = {option.field: option for option in OPTIONS}


def command_options(job: Job, options: CostOptions) -> list[str]:
    """``--name value`` for each field that differs from the option's default."""
    from estimator.cost.inputs import AUTO

    said = []
    for option in OPTIONS:
        value = getattr(job if hasattr(job, option.field) else options, option.field)
        if value is not None and value != option.default:
            said.append(f"--{option.name} {value if value == AUTO else format(value, '.15g')}")
    return said
