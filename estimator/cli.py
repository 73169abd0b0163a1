"""Command line of the estimator. Imports what a command needs only when it runs."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from collector.errors import BreakevenError, EstimateError, OutputError, SelectionError
from estimator.cli_parser import DATA, REPEATS, build_parser

if TYPE_CHECKING:
    from estimator.model import Model
    from estimator.validation import Validation

_INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; errors become one line on standard error and an exit code."""
    arguments = build_parser().parse_args(argv)
    try:
        _COMMANDS[arguments.command](arguments)
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
    from estimator.validation import run_validation
    from estimator.validation_report import terminal_report, validation_object
    from estimator.validation_splits import SPLITS

    measurements = load(*(arguments.data or [DATA]))
    _warn(measurements.problems)
    repeats = arguments.repeats
    if repeats is None and not arguments.data and REPEATS.is_dir():
        repeats = REPEATS
    validation = run_validation(
        measurements,
        tuple(arguments.split or SPLITS),
        None if repeats is None else load(repeats),
        _progress if sys.stderr.isatty() else None,
    )
    if sys.stderr.isatty():
        _progress("", 0.0)
    if arguments.out is not None:
        _write_report(validation, arguments)
    if arguments.json:
        _print_json(validation_object(validation))
    else:
        print(terminal_report(validation))


def _progress(turn: str, _: float) -> None:
    """The fold just done, on one line of a terminal that is written over."""
    print(f"\r{turn:<60}\r", end="", file=sys.stderr, flush=True)


def _write_report(validation: Validation, arguments: argparse.Namespace) -> None:
    """Write the document. Raises OutputError."""
    import datetime

    from estimator.validation_document import document

    words = ["python -m estimator validate"]
    words += [f"--data {path}" for path in arguments.data or ()]
    words += [f"--repeats {arguments.repeats}"] if arguments.repeats else []
    words += [f"--split '{split}'" for split in arguments.split or ()]
    command = " ".join([*words, f"-o {arguments.out}"])
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    try:
        arguments.out.write_text(document(validation, command, today), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{arguments.out}: cannot be written: {error.strerror}") from error


def _probes(arguments: argparse.Namespace) -> None:
    from estimator.probe_report import probe_cells, probe_report

    if arguments.cores < 1 or arguments.n < 1:
        raise SelectionError("--cores and -n are whole numbers of at least 1")
    cells = probe_cells(
        tuple(arguments.device or ("cpu", "cuda")),
        backends=tuple(arguments.backend or ("numpy", "torch")),
        physical_cores=arguments.cores,
        n=arguments.n,
    )
    if arguments.json:
        _print_json(cells.to_dict("records"))
    else:
        print(probe_report(cells))


def _predict(arguments: argparse.Namespace) -> None:
    import pandas as pd

    from estimator.memory import check_memory
    from estimator.report import prediction_report, question_line

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
    reports = []
    for asked, estimate in answers:
        name = asked["machine_id"]
        label = f"{model.labels[name]} ({name[:8]})" if name in model.labels else name
        reports.append(prediction_report(estimate, label))
    print("\n\n".join([question_line(answers[0][0]), *reports]))


def _cost(arguments: argparse.Namespace) -> None:
    from estimator.cost import CostOptions, Job
    from estimator.instances import INSTANCES_PATH, read_instances
    from estimator.job_timings import instance_costs, instance_timings
    from estimator.report import cost_report

    if arguments.steps == 0:
        raise EstimateError("steps is 0; a job has at least one")
    if arguments.top < 0:
        raise SelectionError(f"--top {arguments.top}: write 0 (all) or more")
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
        same = table["basis"].isin(
            ["measured", "interpolated", "extrapolated", "new_workload", "probed"]
        )
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
    """The model of ``--model``, or a fit of the dataset."""
    from estimator.cache import fit_cached, user_cache_directory
    from estimator.dataset import load

    if getattr(arguments, "model", None) is not None:
        from estimator.model import Model

        return Model.read(arguments.model)
    measurements = load(*(arguments.data or [DATA]))
    _warn(measurements.problems)
    return fit_cached(measurements, user_cache_directory())


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
    """The machines of that name (or a GPU or CPU of the catalogue), or all that can answer.

    Raises SelectionError.
    """
    if name is not None:
        several = model.machines_like(name)
        if len(several) > 1:
            return several
        if several:
            return [model.find_machine(name)]
        from estimator.machine_facts import facts_of_name

        found = facts_of_name(name)
        if found is None:
            return [model.find_machine(name)]  # raises, and lists the machines
        if not found.has(device):
            raise SelectionError(
                f"{name}: a catalogue row of a {'GPU' if device == 'cpu' else 'CPU'}; "
                f"ask with --device {'cuda' if device == 'cpu' else 'cpu'}"
            )
        return [name]
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


_COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "fit": _fit,
    "validate": _validate,
    "probes": _probes,
    "predict": _predict,
    "cost": _cost,
}
