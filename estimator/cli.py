"""Command line of the estimator. Imports what a command needs only when it runs."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector.errors import BreakevenError, EstimateError, SelectionError

if TYPE_CHECKING:
    from estimator.model import Model

_INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended
_DATA = Path("data/runs")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; errors become one line on standard error and an exit code."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.command(arguments)
    except BreakevenError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # the reader went away: nothing more to say, and nothing to flush at exit either
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m estimator",
        description="Fit measured machines, predict the time of an operation, and price it.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    fit = commands.add_parser("fit", help="fit a dataset and save the model as JSON")
    _add_data(fit)
    fit.add_argument("--out", type=Path, required=True, metavar="FILE", help="the model file")
    fit.set_defaults(command=_fit)

    validate = commands.add_parser(
        "validate", help="errors on held-out sizes, beside a plain roofline"
    )
    _add_data(validate)
    validate.set_defaults(command=_validate)

    predict = commands.add_parser("predict", help="time of one operation on one machine")
    _add_question(predict)
    predict.add_argument("--backend", default="torch", help="library (default: torch)")
    predict.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: cpu")
    predict.add_argument(
        "--machine", metavar="NAME", help="id or part of the label (default: all that measured it)"
    )
    predict.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="host threads (default: the most that were measured)",
    )
    _add_data(predict)
    predict.set_defaults(command=_predict)

    cost = commands.add_parser("cost", help="cost of one completed job on each cloud instance")
    _add_question(cost)
    cost.add_argument("--backend", help="library (default: the fastest of each machine)")
    cost.add_argument(
        "--steps", type=float, required=True, metavar="N", help="calls of the operation in one job"
    )
    cost.add_argument("--jobs", type=int, default=1, metavar="N", help="default: 1")
    cost.add_argument(
        "--set-up",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="paid once per rental (default: 0)",
    )
    cost.add_argument("--spot", action="store_true", help="spot prices")
    cost.add_argument(
        "--top",
        type=int,
        default=25,
        metavar="N",
        help="lines to show, the cheapest (default: 25; 0: all)",
    )
    cost.add_argument(
        "--instances", type=Path, metavar="FILE", help="catalogue (default: data/instances.csv)"
    )
    _add_data(cost)
    cost.set_defaults(command=_cost)
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        metavar="PATH",
        help=f"directory of runs, or one file; repeatable (default: {_DATA})",
    )
    parser.add_argument("--json", action="store_true", help="JSON on standard output")


def _add_question(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("workload", metavar="WORKLOAD", help="family, such as matmul")
    parser.add_argument("--case", help="case of the family (default: its first)")
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="parameter of the case; may be given several times",
    )
    parser.add_argument("--dtype", help="element type (default: the family's first)")
    parser.add_argument(
        "--math-mode", choices=("ieee", "tf32"), default="ieee", help="default: ieee"
    )
    parser.add_argument(
        "--mode",
        choices=("hot", "cold", "resident", "end_to_end"),
        help="default: hot on a CPU, resident on a GPU",
    )


def _fit(arguments: argparse.Namespace) -> None:
    model = _model(arguments)
    model.save(arguments.out)
    summary = {
        "model": str(arguments.out),
        "fingerprint": model.fingerprint,
        "groups": len(model.groups),
        "cells": len(model.measured),
    }
    if arguments.json:
        _print_json(summary)
    else:
        print(f"{summary['groups']} groups from {summary['cells']} cells -> {arguments.out}")


def _validate(arguments: argparse.Namespace) -> None:
    from estimator.dataset import load
    from estimator.report import validation_report
    from estimator.validation import validate

    measurements = load(*(arguments.data or [_DATA]))
    _warn(measurements.problems)
    table = validate(measurements)
    if arguments.json:
        _print_json(table.to_dict("records"))
    else:
        print(validation_report(table))


def _predict(arguments: argparse.Namespace) -> None:
    import pandas as pd

    from estimator.memory import check_memory
    from estimator.report import prediction_report

    question = _question(arguments)
    model = _model(arguments)
    answers = []
    for machine in _machines(model, arguments.machine, arguments.device, question["workload"]):
        asked = question | {
            "machine_id": machine,
            "device": arguments.device,
            "backend": arguments.backend,
            "threads": arguments.threads,
        }
        check_memory(model, asked)
        answers.append((asked, dict(model.predict(pd.DataFrame([asked])).iloc[0])))
    if arguments.json:
        objects = [{**asked, **estimate} for asked, estimate in answers]
        _print_json(objects[0] if len(objects) == 1 else objects)
        return
    reports = [
        prediction_report(estimate, model.labels.get(asked["machine_id"], asked["machine_id"]))
        for asked, estimate in answers
    ]
    print("\n\n".join(reports))


def _cost(arguments: argparse.Namespace) -> None:
    from estimator.cost import CostOptions, Job
    from estimator.instances import INSTANCES_PATH, read_instances
    from estimator.job_timings import instance_costs, instance_timings
    from estimator.report import cost_report

    if arguments.steps == 0:
        raise EstimateError("steps is 0; a job has at least one")
    question = _question(arguments) | {"backend": arguments.backend}
    job = Job(steps=arguments.steps, jobs=arguments.jobs, set_up_s=arguments.set_up)
    instances = read_instances(arguments.instances or INSTANCES_PATH)
    model = _model(arguments)
    timings = instance_timings(model, instances, question)
    table = instance_costs(timings, instances, job, CostOptions(spot=arguments.spot))
    if not (table["excluded"] == "").any():
        reason = table["excluded"].mode().iloc[0]
        raise EstimateError(f"no instance can do this job: {reason}")
    if arguments.json:
        # nobody measured these instances: at best a machine with the same GPU was
        same = table["basis"].isin(["measured", "interpolated", "extrapolated", "new_workload"])
        table["basis"] = table["basis"].where(~same, "same_gpu_" + table["basis"])
        _print_json(table.to_dict("records"))
    else:
        kind = "spot" if arguments.spot else "on-demand"
        notes = (
            f"{kind} prices, billed by the second: start-up, a provider's minimum charge, storage "
            "and egress are not included"
        )
        print(cost_report(table, notes, arguments.top))


def _model(arguments: argparse.Namespace) -> Model:
    from estimator.dataset import load
    from estimator.fitting import fit

    measurements = load(*(arguments.data or [_DATA]))
    _warn(measurements.problems)
    return fit(measurements)


def _warn(problems: Sequence[Any]) -> None:
    for problem in problems:
        print(f"warning: {problem.path}: {problem.reason}", file=sys.stderr)


def _question(arguments: argparse.Namespace) -> dict[str, Any]:
    """The columns of a question that do not depend on the place. Raises SelectionError."""
    from collector.workloads import get_workload
    from estimator.forms import default_dtype

    family = get_workload(arguments.workload)
    case = arguments.case or family.cases[0]
    params: dict[str, int] = {}
    for text in arguments.param:
        name, _, value = text.partition("=")
        try:
            params[name] = int(float(value))
            if params[name] != float(value):
                raise ValueError
        except (ValueError, OverflowError):
            raise SelectionError(
                f"--param {text}: write NAME=VALUE with a whole number, such as n=3000"
            ) from None
    known = sorted({dtype for pairs in family.support.values() for dtype, _ in pairs})
    dtype = arguments.dtype or default_dtype(family, case)
    if dtype not in known:
        raise SelectionError(
            f"{family.name}: unknown dtype {dtype!r}; choose one of {', '.join(known)}"
        )
    question = {
        "workload": family.name,
        "case": case,
        "params": family.complete(case, params),
        "dtype": dtype,
        "math_mode": arguments.math_mode,
    }
    return question if arguments.mode is None else question | {"mode": arguments.mode}


def _machines(model: Model, name: str | None, device: str, workload: str) -> list[str]:
    """The machine of that name (or a GPU that a data sheet describes), or all that can answer.

    Raises SelectionError.
    """
    if name is not None:
        try:
            return [model.find_machine(name)]
        except SelectionError:
            from estimator.hardware import match_gpu

            if device == "cuda" and match_gpu(name) is not None:
                return [name]
            raise
    index = model.fit.group.index
    able = index[(index["device"] == device) & (index["workload"] == workload)]
    if able.empty:
        able = index  # the model says what each of them has instead
    return sorted({str(machine) for machine in able["machine_id"]})


def _print_json(value: Any) -> None:
    print(json.dumps(_plain(value), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    """JSON values: numpy's numbers become Python's, NaN and infinity null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
