"""``pays``: does a GPU pay for one operation, against a CPU?"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from collector.errors import EstimateError, SelectionError
from estimator.commands.options import (
    add_data,
    add_model,
    add_question,
    open_model,
    print_json,
    read_question,
)

if TYPE_CHECKING:
    import pandas as pd

    from estimator.commands import Subparsers
    from estimator.model import Model
    from estimator.pair_answers import PairAnswer

_VERDICTS = {"gpu": "yes, the GPU pays", "cpu": "no, the CPU is faster", "unclear": "too close"}


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser(
        "pays", help="does a GPU pay? speed-up, its probability and the break-even size"
    )
    add_question(parser)
    parser.add_argument(
        "--machine", metavar="NAME", help="of the GPU: id, part of the label, or a name of "
        "data/hardware.csv (default: of the fastest well known GPU)"
    )  # fmt: skip
    parser.add_argument(
        "--cpu-machine", metavar="NAME", help="of the CPU (default: that of the GPU if it can)"
    )
    parser.add_argument(
        "--backend", help="library on the GPU (default: the fastest that measured such sizes)"
    )
    parser.add_argument(
        "--cpu-backend", help="library on the CPU (default: the fastest that measured such sizes)"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="on the CPU (default: all cores)")
    parser.add_argument(
        "--reuse",
        type=float,
        default=1.0,
        metavar="N",
        help="calls that share one transfer (default: 1)",
    )
    parser.add_argument(
        "--about",
        choices=("machine", "type"),
        default="machine",
        help="intervals of these very machines, or of any of their types (default: machine)",
    )
    parser.add_argument(
        "--vary", metavar="NAME", help="parameter for the break-even size (default: the first)"
    )
    add_data(parser)
    add_model(parser)
    parser.set_defaults(command=pays)


def pays(arguments: argparse.Namespace) -> None:
    """Print the verdict."""
    from collector.workloads import get_workload
    from estimator.breakeven import Place
    from estimator.fair_pair import fair_pair, reasons_in_short
    from estimator.pair_answers import compare_places
    from estimator.place_answers import PlaceQuestion, answer_places

    asked = read_question(arguments)
    family = get_workload(asked["workload"])
    names = list(family.signatures[asked["case"]])
    model = open_model(arguments)
    gpu, cpu = (_machine(model, name) for name in (arguments.machine, arguments.cpu_machine))
    sheets = [name for name in (gpu, cpu) if name is not None and name not in model.labels]
    question = PlaceQuestion(
        asked["workload"],
        asked["case"],
        _given(asked["params"], names, arguments.param),
        asked["dtype"],
        asked["math_mode"],
        asked.get("mode") or "end_to_end",
        threads="most" if arguments.threads is None else "both",
        sheets=tuple(sheets),
        about=arguments.about,
        reuse=arguments.reuse,
    )
    found = answer_places(model, question)
    table = _narrowed(found.table, "cuda", gpu, arguments.backend, None)
    table = _narrowed(table, "cpu", cpu, arguments.cpu_backend, arguments.threads)
    pair = fair_pair(table)
    if pair is None:
        reason = "" if found.refused.empty else f": {reasons_in_short(found.refused)}"
        raise EstimateError(
            f"{asked['workload']} {asked['case']}: no CPU and GPU to compare with these options"
            f"{reason}"
        )
    on_cpu, on_gpu = (table.iloc[at] for at in pair)
    vary = arguments.vary or (names[0] if names else "")
    answer = compare_places(
        model,
        question,
        Place(str(on_cpu["machine_id"]), str(on_cpu["backend"]), int(on_cpu["threads"])),
        Place(str(on_gpu["machine_id"]), str(on_gpu["backend"]), None, str(on_gpu["mode"])),
        vary,
    )
    if arguments.json:
        result: dict[str, Any] = {"cpu": dict(on_cpu), "gpu": dict(on_gpu), **asdict(answer)}
        del result["curves"]
        print_json(result)
    else:
        print(_report(model, on_cpu, on_gpu, answer))
        for row in (on_gpu, on_cpu):
            text = _faster_text(model, found.table, row)
            if text:
                print(text)


def _given(
    params: dict[str, int], names: list[str], texts: list[str]
) -> tuple[tuple[str, int], ...]:
    """The parameters of the case's signature: as typed, else as they are by default."""
    typed = {name: int(float(value)) for name, _, value in (text.partition("=") for text in texts)}
    values = params | typed
    return tuple((name, values[name]) for name in names if name in values)


def _narrowed(
    table: pd.DataFrame, device: str, machine: str | None, backend: str | None, threads: int | None
) -> pd.DataFrame:
    """The places of one device that were asked for, and all of the other."""
    wanted = {"machine_id": machine, "backend": backend, "threads": threads}
    for name, value in wanted.items():
        if value is not None and len(table):
            same = table[name] == value
            if name == "machine_id":  # a CPU of the catalogue carries its cores in its name
                same |= table[name].str.startswith(f"{value}, ")
            table = table[(table["device"] != device) | same]
    return table.reset_index(drop=True)


def _machine(model: Model, name: str | None) -> str | None:
    """A measured machine, or a name of data/hardware.csv. Raises SelectionError."""
    from estimator.machine_facts import facts_of_name

    if name is None:
        return None
    found = model.machines_like(name)
    if len(found) > 1:
        raise SelectionError(
            f"machine {name!r} fits several machines; choose one of {', '.join(found)}"
        )
    if found:
        return found[0]
    return name if facts_of_name(name) is not None else model.find_machine(name)


def _faster_text(model: Model, table: pd.DataFrame, chosen: pd.Series[Any]) -> str:
    """One line where another place of the device is faster by estimate; else empty."""
    from estimator.fair_pair import faster_than
    from estimator.report import duration

    faster = faster_than(table, chosen)
    if faster is None:
        return ""
    row = table.iloc[faster.at]
    name = str(row["machine_id"])
    where = "the same machine" if faster.same_machine else f"{model.label(name)} ({name[:8]})"
    cells = int(row["n_fit"])
    return (
        f"faster {'GPU' if row['device'] == 'cuda' else 'CPU'} by estimate: {row['backend']} on "
        f"{where}, {duration(float(row['seconds_p50']))}, {faster.ratio:.3g}x as fast "
        f"({row['basis']}; fitted to {cells} measured cell{'' if cells == 1 else 's'})"
    )


def _report(model: Model, cpu: pd.Series[Any], gpu: pd.Series[Any], answer: PairAnswer) -> str:
    from estimator.report import duration

    ratio, crossing = answer.speedup, answer.crossing
    lines = [
        f"{_VERDICTS[ratio.verdict]}: the GPU is {ratio.ratio_p50:,.3g}x as fast "
        f"({ratio.ratio_p5:,.3g}x to {ratio.ratio_p95:,.3g}x with 90 % confidence), and the faster "
        f"one with a probability of {ratio.gpu_probability:.1%}"
    ]
    for side, row in (("CPU", cpu), ("GPU", gpu)):
        name = str(row["machine_id"])
        label = f"{model.labels[name]} ({name[:8]})" if name in model.labels else name
        text = f"{side}: {row['backend']}, {label}"
        text += f", {row['threads']} threads" if side == "CPU" else f", {row['mode']}"
        text += f": estimated {duration(float(row['seconds_p50']))}"
        measured = float(row["measured_median_s"])
        text += f", measured {duration(measured)}" if measured == measured else ""
        twice = answer.twice.get(side.lower())
        if twice is not None:
            text += (
                f"; two machines of its type differ {twice.factor_p50:.3g}x in half of the cases, "
                f"{twice.factor_p90:.3g}x in nine of ten"
            )
        text += f"; {row['memory_warning']}" if row["memory_warning"] else ""
        lines.append(text)
    if crossing is not None:
        size = "none" if crossing.size is None else f"{crossing.size:,}"
        bounds = [
            "open" if bound is None else f"{bound:,}" for bound in (crossing.low, crossing.high)
        ]
        lines.append(
            f"break-even size: {size} (90 % interval {bounds[0]} to {bounds[1]}); {crossing.reason}"
        )
    elif answer.crossing_problem:
        lines.append(f"no break-even size: {answer.crossing_problem}")
    return "\n".join(lines)
