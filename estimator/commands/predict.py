"""``predict``: time of one operation on one machine, or on each that measured it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from collector.errors import SelectionError
from estimator.commands.options import (
    add_data,
    add_model,
    add_question,
    open_model,
    print_json,
    read_question,
)
from estimator.commands.selecting import add_selection
from estimator.names import device_of

if TYPE_CHECKING:
    from estimator.commands import Subparsers
    from estimator.model import Model


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser("predict", help="time of one operation on one machine")
    add_question(parser)
    parser.add_argument("--backend", default="torch", help="library (default: torch)")
    parser.add_argument(
        "--device", type=device_of, choices=("cpu", "cuda"), default="cpu", help="default: cpu"
    )
    parser.add_argument(
        "--machine",
        metavar="NAME",
        help="id, part of the label, a GPU or CPU of data/hardware.csv, or an instance such as "
        "g5.xlarge (default: all that measured it)",
    )
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="host threads (default: the most that were measured)",
    )
    add_data(parser)
    add_model(parser)
    add_selection(parser)
    parser.set_defaults(command=predict)


def predict(arguments: argparse.Namespace) -> None:
    """Print the estimates."""
    import pandas as pd

    from estimator.gpu_scaling import unit_note
    from estimator.memory import check_memory
    from estimator.report import prediction_report, question_line

    question = read_question(arguments)
    model = open_model(arguments)
    answers = []
    for machine in _machines(model, arguments.machine, arguments.device, question["workload"]):
        asked = question | {
            "machine_id": machine,
            "device": arguments.device,
            "backend": arguments.backend,
            "threads": arguments.threads,
        }
        memory = check_memory(model, asked)
        answers.append((asked, dict(model.predict(pd.DataFrame([asked])).iloc[0]), memory))
    if arguments.json:
        objects = [
            {
                **{**asked, **estimate, "memory_bytes": memory.needed.bytes},
                "memory_upper_bytes": memory.needed.upper_bytes,
                "memory_room_bytes": memory.room_bytes,
                "memory_warning": memory.warning,
            }
            for asked, estimate, memory in answers
        ]
        print_json(objects[0] if len(objects) == 1 else objects)
        return
    reports = []
    for asked, estimate, memory in answers:
        name = asked["machine_id"]
        label = f"{model.labels[name]} ({name[:8]})" if name in model.labels else name
        sure = f"warning: {memory.warning}" if memory.warning else f"memory: {memory.text}"
        reports.append(f"{prediction_report(estimate, label)}\n{sure}")
    kind = (question["workload"], question["dtype"], question["math_mode"])
    gpus = [model.donors.target(asked["machine_id"]).gpu for asked, _, _ in answers]
    notes = {unit_note(gpu, *kind) for gpu in gpus if arguments.device == "cuda"} - {""}
    print("\n\n".join([question_line(answers[0][0]), *reports, *sorted(notes)]))


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
