"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector.errors import SelectionError
from collector.shipped import shipped
from estimator.cells.defaults import DATA_PLACE, DTYPE, MATH_MODE

if TYPE_CHECKING:
    from collector.jobs import Job
    from estimator.dataset.measurements import Measurements
    from estimator.decide.places import PlaceQuestion
    from estimator.model.model import Model
    from estimator.model.selection import Selection


def place_question(
    arguments: argparse.Namespace,
    asked: Mapping[str, Any],
    names: Sequence[str | None],
    **options: Any,
) -> PlaceQuestion:
    """The question of ``read_question`` on all places; ``options`` are ``PlaceQuestion``'s.

    ``names`` are machines as ``find_one`` and ``MachineTypes.find`` give them.
    """
    from collector.workloads import get_workload
    from estimator.cells.defaults import gpu_mode
    from estimator.decide.places import PlaceQuestion

    threads = options.get("threads")
    if isinstance(threads, int) and threads < 1:
        raise SelectionError(f"--threads {threads}: write a whole number of at least 1")
    workload, case = asked["workload"], asked["case"]
    texts = (text.partition("=") for text in arguments.param)
    values = asked["params"] | {name: int(float(value)) for name, _, value in texts}
    known = get_workload(workload).signatures[case]
    given = {name: values[name] for name in known if name in values}
    return PlaceQuestion(
        workload,
        case,
        tuple(given.items()),
        asked["dtype"],
        asked["math_mode"],
        gpu_mode(workload, case, asked.get("mode")),
        named=tuple(dict.fromkeys(name for name in names if name is not None)),
        **options,
    )


def find_one(model: Model, name: str | None) -> str | None:
    """The machine type, box or catalogue name that a name stands for. Raises SelectionError."""
    if name is None:
        return None
    found = model.types.find(name)
    if len(found) > 1:
        raise SelectionError(
            f"machine {name!r} fits several machines; choose one of {', '.join(found)}"
        )
    return found[0]


def asked_on(
    question: PlaceQuestion,
    libraries: Mapping[str, str | None] | None = None,
    threads: int | None = None,
) -> str:
    """The first line of an answer: what was asked, with every default (``asked_line``).

    ``libraries`` and ``threads`` are those that somebody named; a library by device.
    """
    from estimator.decide.words import asked_line

    operation = {
        **{name: getattr(question, name) for name in ("workload", "case", "dtype", "math_mode")},
        "params": dict(question.given),
    }
    named = [f"{name} on the {side}" for side, name in (libraries or {}).items() if name]
    boxes = "each box for itself" if question.each_box else "boxes of a type as one"
    return asked_line(
        operation,
        question.gpu_mode,
        library=" and ".join(named) or None,
        threads=threads,
        boxes=boxes,
    )


_WHAT = ("machine", "run", "workload")
_NAMES = {
    "machine": "machines of this id or label",
    "run": "the run of this id",
    "workload": "this family",
}


def add_selection(parser: argparse.ArgumentParser) -> None:
    """``--only-machine``, ``--leave-out-machine`` and the same of runs and families."""
    group = parser.add_argument_group("which measurements to fit (default: all)")
    for what in _WHAT:
        for start, words in (("only", "only"), ("leave-out", "all but")):
            group.add_argument(
                f"--{start}-{what}",
                action="append",
                default=[],
                metavar="NAME",
                help=f"{words} {_NAMES[what]}; repeatable",
            )


def asks_selection(arguments: argparse.Namespace) -> bool:
    """Whether any of the options was given."""
    return any(
        getattr(arguments, f"{start}_{what}", [])
        for start in ("only", "leave_out")
        for what in _WHAT
    )


def read_selection(arguments: argparse.Namespace, measurements: Measurements) -> Selection:
    """What the options select. Raises SelectionError for a name that the dataset does not have."""
    from estimator.model.selection import Selection, find_machines

    machines = measurements.machines
    runs = measurements.query("select distinct run_id from runs order by run_id")
    known = {
        "run": [str(run) for run in runs["run_id"]],
        "workload": [str(name) for name in _workloads(measurements)],
    }
    for what, names in known.items():
        for name in [*getattr(arguments, f"only_{what}"), *getattr(arguments, f"leave_out_{what}")]:
            if name not in names:
                raise SelectionError(
                    f"{what} {name!r} is not in the dataset; it has {_listed(names)}"
                )
    only = find_machines(machines, arguments.only_machine)
    return Selection(
        machines=only or None,
        without_machines=find_machines(machines, arguments.leave_out_machine),
        runs=tuple(arguments.only_run) or None,
        without_runs=tuple(arguments.leave_out_run),
        workloads=tuple(arguments.only_workload) or None,
        without_workloads=tuple(arguments.leave_out_workload),
    )


def _workloads(measurements: Measurements) -> list[str]:
    found = measurements.query("select distinct workload from fit_cells order by workload")
    return [str(name) for name in found["workload"]]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


DATA = Path("data/runs")
#: where `make run` puts this machine's own runs
OWN_RUNS = Path("runs")
#: directories to read instead, separated as in PATH; the dashboard reads it too
DATA_VARIABLE = "BREAKEVEN_DATA"
REPEATS = Path("data/repeats")


def add_data(parser: argparse.ArgumentParser) -> None:
    """``--data`` and ``--json``."""
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        metavar="PATH",
        help="directory of runs, or one file; repeatable (default: what the variable "
        f"{DATA_VARIABLE} lists, else {DATA} and, where there is one, {OWN_RUNS})",
    )
    parser.add_argument("--json", action="store_true", help="JSON on standard output")


def add_model(parser: argparse.ArgumentParser) -> None:
    """``--model``: a model file instead of a dataset."""
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="what `fit -o FILE` wrote, instead of a dataset"
    )


def add_question(
    parser: argparse.ArgumentParser, default: str | None = None, jobs: bool = False
) -> None:
    """The operation: workload (``default`` where none is named), case, parameters, type, mode.

    ``jobs``: or a job, in its place.
    """
    parser.add_argument(
        "workload",
        metavar="WORKLOAD",
        nargs="?" if jobs or default else None,
        default=default,
        help="family, such as matmul" + (f" (default: {default})" if default else ""),
    )
    if jobs:
        parser.add_argument(
            "--job", type=Path, metavar="FILE", help="a job, as `trace` writes it, in its place"
        )
    parser.add_argument("--case", help="case of the family (default: its first)")
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="parameter of the case; may be given several times",
    )
    parser.add_argument(
        "--dtype", help=f"element type (default: {DTYPE}, or the family's first without it)"
    )
    parser.add_argument("--math-mode", choices=("ieee", "tf32"), help=f"default: {MATH_MODE}")
    parser.add_argument(
        "--mode",
        choices=("hot", "cold", "resident", "end_to_end"),
        help="where a GPU's data is: resident on the device, or in host memory and copied both "
        f"ways (end_to_end); or its kernels alone, hot or cold (default: {DATA_PLACE})",
    )


def read_question(arguments: argparse.Namespace) -> dict[str, Any]:
    """The columns of a question that do not depend on the place. Raises SelectionError."""
    from collector.workloads import get_workload
    from estimator.catalogue.names import dtype_of
    from estimator.cells.defaults import default_dtype

    if arguments.workload is None:
        raise SelectionError("name a family, such as matmul, or a job with --job FILE")
    family = get_workload(arguments.workload)
    case = arguments.case or family.cases[0]
    params: dict[str, int] = {}
    for text in arguments.param:
        name, _, value = text.partition("=")
        if name in params:
            raise SelectionError(f"--param {text}: {name} is given twice")
        try:
            params[name] = int(float(value))
            if params[name] != float(value):
                raise ValueError
        except (ValueError, OverflowError):
            raise SelectionError(
                f"--param {text}: write NAME=VALUE with a whole number, such as n=3000"
            ) from None
    known = sorted({dtype for pairs in family.support.values() for dtype, _ in pairs})
    dtype = dtype_of(arguments.dtype) if arguments.dtype else default_dtype(family, case)
    if dtype not in known:
        raise SelectionError(
            f"{family.name}: unknown dtype {dtype!r}; choose one of {', '.join(known)}"
        )
    question = {
        "workload": family.name,
        "case": case,
        "params": family.complete(case, params),
        "dtype": dtype,
        "math_mode": arguments.math_mode or MATH_MODE,
    }
    return question if arguments.mode is None else question | {"mode": arguments.mode}


def read_job_file(arguments: argparse.Namespace, *others: str) -> Job:
    """The job of ``--job``. Raises JobError, and SelectionError for options of an operation.

    ``others`` are options of the command, by their fields, that a job has no use for.
    """
    from collector.jobs import read_job

    if arguments.workload is not None:
        raise SelectionError(
            f"{' '.join(arguments.workload.split())[:40]} and --job: give a family or a job"
        )
    for name in (*_OF_OPERATIONS, *others):
        if getattr(arguments, name) not in (None, []):
            option = f"--{name.replace('_', '-')}"
            raise SelectionError(f"{option} and --job: a job says that itself; leave one out")
    return read_job(arguments.job)


_OF_OPERATIONS = ("case", "param", "dtype", "math_mode", "mode")


def default_data() -> list[Path]:
    """What is read without ``--data``: as the dashboard does, this machine's own runs too."""
    listed = [Path(part) for part in os.environ.get(DATA_VARIABLE, "").split(os.pathsep) if part]
    if listed:
        return [path for path in listed if path.exists()] or listed
    own = [OWN_RUNS] if any(OWN_RUNS.rglob("*.parquet")) else []
    return [shipped_runs(), *own]


def shipped_runs() -> Path:
    """The runs that ship: in a checkout ``DATA``, elsewhere those of the installed package."""
    return DATA if DATA.exists() else shipped("runs")


def open_measurements(arguments: argparse.Namespace) -> Measurements:
    """The dataset of ``--data``; names on standard error what was set aside."""
    from estimator.dataset.measurements import load

    measurements = load(*(arguments.data or default_data()))
    warn(measurements.problems)
    return measurements


def open_model(arguments: argparse.Namespace) -> Model:
    """The model of ``--model``, or a fit of the dataset."""
    from estimator.dataset.cache_directory import user_cache_directory
    from estimator.model.fit import fit_cached

    if getattr(arguments, "model", None) is not None:
        from estimator.model.storage import read_model

        if asks_selection(arguments):
            raise SelectionError("--model is fitted already: select measurements of a --data")
        return read_model(arguments.model)
    measurements = open_measurements(arguments)
    if asks_selection(arguments):
        from estimator.model.fit import fit_selected

        return fit_selected(measurements, read_selection(arguments, measurements))
    return fit_cached(measurements, user_cache_directory())


def warn(problems: Sequence[Any]) -> None:
    """Name files that were set aside, on standard error."""
    for problem in problems:
        print(f"warning: {problem.path}: {problem.reason}", file=sys.stderr)


def print_json(value: Any) -> None:
    """A value as JSON on standard output."""
    print(json.dumps(plain(value), indent=2, allow_nan=False))


def plain(value: Any) -> Any:
    """JSON values: numpy's numbers become Python's, NaN and infinity null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
