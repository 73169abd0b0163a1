"""``pays``: does a GPU pay for one operation, against a CPU?"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from collector.errors import SelectionError
from estimator.cells.defaults import IN_SHORT
from estimator.commands.options import (
    add_data,
    add_model,
    add_question,
    asked_on,
    find_one,
    open_model,
    place_question,
    print_json,
    read_job_file,
    read_question,
)
from estimator.text import duration

if TYPE_CHECKING:
    import pandas as pd

    from estimator.commands import Subparsers
    from estimator.decide.pairs import Pair, PairAnswer


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser(
        "pays",
        help="does a GPU pay? speed-up, its probability and the break-even size",
        epilog=IN_SHORT,
    )
    add_question(parser, jobs=True)
    parser.add_argument(
        "--machine", metavar="NAME", help="of the GPU: id of a box or machine type, part of the "
        "label, or a name of data/hardware.csv (default: the type of the fastest well known GPU)"
    )  # fmt: skip
    parser.add_argument(
        "--cpu-machine", metavar="NAME", help="of the CPU (default: that of the GPU if it can)"
    )
    parser.add_argument("--backend", help="library on the GPU (default: the fastest)")
    parser.add_argument("--cpu-backend", help="library on the CPU (default: the fastest)")
    parser.add_argument("--threads", type=int, metavar="N", help="on the CPU (default: all cores)")
    parser.add_argument(
        "--reuse",
        type=float,
        default=1.0,
        metavar="N",
        help="calls that share one transfer, of data in host memory (default: 1)",
    )
    parser.add_argument(
        "--about",
        choices=("machine", "type"),
        help="answer for each box by itself, or for boxes with the interval of any machine of "
        "their type (default: for types, and a box that is named for itself)",
    )
    parser.add_argument(
        "--vary", metavar="NAME", help="parameter for the break-even size (default: the first)"
    )
    add_data(parser)
    add_model(parser)
    parser.set_defaults(command=pays)


def pays(arguments: argparse.Namespace) -> None:
    """Print the verdict."""
    from estimator.decide.breakeven import Place
    from estimator.decide.pairs import Wanted, compare_places, find_pair, find_pair_beside

    if arguments.job is not None:
        pays_job_file(arguments)
        return
    asked = read_question(arguments)
    if arguments.reuse > 1.0 and asked.setdefault("mode", "end_to_end") != "end_to_end":
        raise SelectionError(
            f"--reuse {arguments.reuse:g} shares a transfer, which --mode {asked['mode']} has "
            "not; leave one of them out"
        )
    model = open_model(arguments)
    gpu, cpu = (find_one(model, name) for name in (arguments.machine, arguments.cpu_machine))
    question = place_question(
        arguments,
        asked,
        (gpu, cpu),
        threads="most" if arguments.threads is None else arguments.threads,
        each_box=arguments.about == "machine" and gpu is None and cpu is None,
        about=arguments.about or "machine",
        reuse=arguments.reuse,
    )
    wanted = Wanted(cpu, arguments.cpu_backend, arguments.threads), Wanted(gpu, arguments.backend)
    pair = find_pair(model, question, *wanted)
    beside = find_pair_beside(model, question, *wanted)
    on_cpu, on_gpu = pair.cpu, pair.gpu
    vary = arguments.vary or (question.given[0][0] if question.given else "")
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
        result["beside"] = None if beside is None else {
            **{"cpu": dict(beside.cpu), "gpu": dict(beside.gpu)},
            "speedup": asdict(beside.speedup),
        }  # fmt: skip
        print_json(result)
        return
    libraries = {"GPU": arguments.backend, "CPU": arguments.cpu_backend}
    print(asked_on(question, libraries, arguments.threads))
    print(_report(pair, answer))
    if beside is not None:
        print(_beside_text(beside))
    for row in (on_gpu, on_cpu):
        text = _faster_text(pair.answers.table, row)
        if text:
            print(text)


def pays_job_file(arguments: argparse.Namespace) -> None:
    """Print whether a GPU pays for a job, step by step."""
    from estimator.decide import job_words
    from estimator.decide.job_reasons import reason
    from estimator.decide.jobs import job_pair
    from estimator.decide.more_cores import more_cores
    from estimator.jobs.estimate import as_json
    from estimator.model.jobs import check_library

    job = read_job_file(arguments, "threads", "vary", "about")
    if arguments.reuse != 1.0:
        raise SelectionError("--reuse and --job: a job says itself what it copies; leave one out")
    for backend in (arguments.backend, arguments.cpu_backend):
        check_library(job, backend)
    model = open_model(arguments)
    gpu, cpu = (find_one(model, name) for name in (arguments.machine, arguments.cpu_machine))
    pair = job_pair(model, job, gpu, cpu)
    if arguments.json:
        sides = {"cpu": as_json(pair.cpu), "gpu": as_json(pair.gpu)}
        print_json({**sides, "speedup": asdict(pair.speedup)})
        return
    print(job_words.coverage_line(pair.gpu))
    print(job_words.asked_job(job))
    print(job_words.job_verdict(pair.speedup))
    if job.scope == "run":
        why = reason(job, pair.cpu, pair.gpu)
        print(job_words.why_line(pair.gpu, pair.cpu, why))
    for side in (pair.gpu, pair.cpu):
        print()
        print("\n".join(job_words.estimate_lines(side)))
    if job.scope == "run":
        print("\n".join(["", *job_words.more_cores_lines(more_cores(model, job, [pair.cpu]))]))


def _report(pair: Pair, answer: PairAnswer) -> str:
    from estimator.decide.words import place_text, verdict_line

    crossing = answer.crossing
    lines = [verdict_line(answer.speedup)]
    for side, row in (("CPU", pair.cpu), ("GPU", pair.gpu)):
        text = f"{side}: {place_text(row, row['label'])}"
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


def _beside_text(beside: Pair) -> str:
    """The answer where the data is in the other place, and what computes it there."""
    from estimator.decide.words import DATA_PLACES, verdict_line

    gpu, cpu = beside.gpu, beside.cpu
    return (
        f"with {DATA_PLACES[gpu['mode']]}: {verdict_line(beside.speedup)} "
        f"({gpu['backend']} on {gpu['label']}, {duration(float(gpu['seconds_p50']))}, against "
        f"{cpu['backend']}, {duration(float(cpu['seconds_p50']))})"
    )


def _faster_text(table: pd.DataFrame, chosen: pd.Series[Any]) -> str:
    """One line where another place of the device is faster by estimate; else empty."""
    from estimator.decide.pairs import faster_than

    faster = faster_than(table, chosen)
    if faster is None:
        return ""
    row = table.iloc[faster.at]
    where = "the same machine" if faster.same_machine else row["label"]
    cells = int(row["n_fit"])
    return (
        f"faster {'GPU' if row['device'] == 'cuda' else 'CPU'} by estimate: {row['backend']} on "
        f"{where}, {duration(float(row['seconds_p50']))}, {faster.ratio:.3g}x as fast "
        f"({row['basis']}; fitted to {cells} measured cell{'' if cells == 1 else 's'})"
    )
