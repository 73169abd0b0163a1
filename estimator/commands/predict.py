"""``predict``: time of one operation or job on each machine type, or on one machine."""

from __future__ import annotations

import argparse
import math
import textwrap
from typing import TYPE_CHECKING, Any

from collector.errors import EstimateError, SelectionError
from estimator.catalogue.names import device_of
from estimator.cells.defaults import IN_SHORT
from estimator.commands.options import (
    add_data,
    add_model,
    add_question,
    add_selection,
    asked_on,
    open_model,
    place_question,
    print_json,
    read_job_file,
    read_question,
)
from estimator.text import WIDTH, basis_words, duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.jobs import Job
    from estimator.commands import Subparsers
    from estimator.decide.memory import Memory
    from estimator.decide.places import PlaceQuestion
    from estimator.jobs.estimate import JobEstimate
    from estimator.model.model import Model

_DEVICES = ("cuda", "cpu")
_SMALLEST_PART = 1e-3  # of the time: a smaller part is not worth a line


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser(
        "predict",
        help="time of an operation or a job on each machine type, or on one",
        epilog=IN_SHORT,
    )
    add_question(parser, jobs=True)
    parser.add_argument("--backend", help="library (default: on each device the fastest)")
    parser.add_argument("--device", type=device_of, choices=_DEVICES, help="default: both")
    parser.add_argument(
        "--machine",
        metavar="NAME",
        help="id of a box or machine type, part of the label, a GPU or CPU of data/hardware.csv, "
        "or an instance such as g5.xlarge (default: all types)",
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="host threads (default: all cores)"
    )
    add_data(parser)
    add_model(parser)
    add_selection(parser)
    parser.set_defaults(command=predict)


def predict(arguments: argparse.Namespace) -> None:
    """Print the estimates."""
    from estimator.decide.words import place_text

    if arguments.job is not None:
        predict_job_file(arguments)
        return
    asked = read_question(arguments)
    model = open_model(arguments)
    machines = None if arguments.machine is None else model.types.find(arguments.machine)
    threads = arguments.threads
    only = {
        "machine_id": tuple(machines or ()),
        "device": (arguments.device,) if arguments.device else (),
        "backend": (arguments.backend,) if arguments.backend else (),
    }
    question = place_question(
        arguments,
        asked,
        machines or (),
        threads="most" if threads is None else threads,
        only=tuple((name, values) for name, values in only.items() if values),
    )
    rows = _answers(model, question, arguments, machines)
    memory = [_memory(model, question, row) for row in rows]
    if arguments.json:
        for row, needed in zip(rows, memory, strict=True):
            row["params"], row["machine"] = question.params, row.pop("label")
            row["memory_bytes"] = needed.needed.bytes
            row["memory_upper_bytes"] = needed.needed.upper_bytes
            row["memory_room_bytes"], row["memory_warning"] = needed.room_bytes, needed.warning
        print_json(rows[0] if len(rows) == 1 else rows)
        return
    devices = {"cpu": "CPU", "cuda": "GPU"}
    named = {devices[str(row["device"])]: arguments.backend for row in rows}
    reports = [
        "\n".join(
            [
                _report(row, place_text(row, row["label"])),
                f"warning: {needed.warning}" if needed.warning else f"memory: {needed.text}",
            ]
        )
        for row, needed in zip(rows, memory, strict=True)
    ]
    print("\n\n".join([asked_on(question, named, threads), *reports, *_notes(model, rows)]))


def predict_job_file(arguments: argparse.Namespace) -> None:
    """Print a job's estimates, the fastest machine first."""
    from estimator.decide import job_words
    from estimator.decide.jobs import answered_first, require_answer
    from estimator.jobs.estimate import as_json
    from estimator.model.jobs import check_library

    job = read_job_file(arguments, "threads")
    check_library(job, arguments.backend)
    model = open_model(arguments)
    machines = None if arguments.machine is None else model.types.find(arguments.machine)
    found = answered_first(model.predict_job(job, machines, arguments.backend, arguments.device))
    require_answer(found)
    if arguments.json:
        print_json([as_json(one) for one in found])
        return
    best = found[0]
    lines = []
    if job.scope == "run":
        lines = _of_run(model, job, found)
    machines_text = "\n\n".join("\n".join(job_words.estimate_lines(one)) for one in found)
    print(
        f"{job_words.coverage_line(best)}\n{job_words.asked_job(job)}\n\n{machines_text}\n\n"
        f"what takes most on {job_words.place_name(best)}:"
    )
    print("\n".join(job_words.top_lines(best.top, best.scope == "step")))
    for line in lines:
        print(line)
    for note in job.notes:
        print(f"note: {note}")


def _of_run(model: Model, job: Job, found: Sequence[JobEstimate]) -> list[str]:
    """Why the GPU gains or not, and what the CPU could."""
    from estimator.decide import job_words
    from estimator.decide.more_cores import more_cores

    others = more_cores(model, job, found)
    return [*job_words.why_lines(job, found), *job_words.more_cores_lines(others)]


def _report(estimate: dict[str, Any], label: str) -> str:
    """One estimate: time with its interval, parts, bound, basis, and the measurement."""
    low, middle, high = (duration(estimate[f"seconds_{name}"]) for name in ("p5", "p50", "p95"))
    whose = basis_words(estimate["basis"]).long
    whose = whose.replace("this machine,", "these machines,") if estimate["boxes"] > 1 else whose
    lines = [
        *textwrap.wrap(f"{label}:", WIDTH, subsequent_indent="  "),
        f"{middle}  (90 % interval {low} to {high})",
        "parts: "
        + ", ".join(
            f"{name} {duration(estimate[f'{name}_s'])}"
            for name in ("launch", "compute", "memory", "transfer")
            if estimate[f"{name}_s"] > _SMALLEST_PART * estimate["seconds_p50"]
        )
        + f"; bound by {estimate['bound']}",
        f"basis: {whose}; the fit of its group saw {estimate['n_fit']} cells",
    ]
    measured = estimate["measured_median_s"]
    if math.isfinite(measured):
        note = ""
        if measured in (estimate["seconds_p5"], estimate["seconds_p95"]):
            note = "; the model contradicts it: one of the two is wrong here"
        lines.append(
            f"measured: {duration(measured)} (median of {estimate['measured_n']} samples){note}"
        )
    return "\n".join(lines)


def _memory(model: Model, question: PlaceQuestion, row: dict[str, Any]) -> Memory:
    """What the operation needs of a place's memory."""
    from estimator.decide.memory import memory_of

    device = str(row["device"])
    box = model.types.boxes_of(str(row["machine_id"]), device, question.workload)[0]
    return memory_of(model, {**row, "params": question.params, "machine_id": box})


def _notes(model: Model, rows: list[dict[str, Any]]) -> list[str]:
    """What to say of GPUs whose unit is not the one that the element type suggests."""
    from estimator.others.scaling import unit_note

    notes = set()
    for row in rows:
        if row["device"] == "cuda":
            box = model.types.boxes_of(str(row["machine_id"]), "cuda")[0]
            kind = str(row["workload"]), str(row["dtype"]), str(row["math_mode"])
            notes.add(unit_note(model.donors.target(box).gpu, *kind))
    return sorted(notes - {""})


def _answers(
    model: Model,
    question: PlaceQuestion,
    arguments: argparse.Namespace,
    machines: list[str] | None,
) -> list[dict[str, Any]]:
    """The place that speaks for each machine and device, fastest first.

    Raises what the model says of the first place that was asked for where none answers.
    """
    from estimator.cells.defaults import fastest_first
    from estimator.decide.pairs import reasons_in_short
    from estimator.decide.places import answer_places

    found = answer_places(model, question)
    if not found.table.empty:
        best = fastest_first(found.table).drop_duplicates(["machine_id", "device"])
        best = best.drop(columns="guessed").sort_values("seconds_p50", kind="stable")
        return [{str(k): v for k, v in row.items()} for row in best.to_dict("records")]
    if not found.refused.empty:
        raise EstimateError(reasons_in_short(found.refused))
    return [_alone(model, question, arguments, machines)]


def _alone(
    model: Model,
    question: PlaceQuestion,
    arguments: argparse.Namespace,
    machines: list[str] | None,
) -> dict[str, Any]:
    """A place that nobody measured like this, asked by itself. Raises EstimateError: why not."""
    import pandas as pd

    from collector.workloads import get_workload
    from estimator.cells.defaults import cpu_mode
    from estimator.decide.memory import check_memory
    from estimator.model.ask import ask

    family = get_workload(question.workload)
    pairs = [pair for pair in family.support if arguments.device in (None, pair[1])]
    if not pairs:
        raise SelectionError(f"{question.workload}: no library has it on {arguments.device}")
    having = [pair for pair in pairs if family.supports(*pair, question.case)] or pairs
    named = [pair for pair in having if pair[0] == arguments.backend] or having
    library, device = named[0]
    place = {
        "workload": question.workload,
        "case": question.case,
        "params": question.params,
        "dtype": question.dtype,
        "math_mode": question.math_mode,
        "mode": cpu_mode(question.gpu_mode) if device == "cpu" else question.gpu_mode,
        "device": device,
        "backend": arguments.backend or library,
        "threads": arguments.threads,
        "machine_id": (machines or sorted(model.types.types))[0],
    }
    cell = pd.DataFrame([place])
    check_memory(model, dict(model.types.on_boxes(cell).iloc[0]))
    answer = dict(ask(model, cell).iloc[0])
    return {**place, "label": model.types.label(place["machine_id"]), **answer}
