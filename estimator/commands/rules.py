"""``rules``: two rules of thumb beside the estimate and the measurement of the same case."""

from __future__ import annotations

import argparse
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

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
    read_question,
)
from estimator.rules.rules_of_thumb import RULES
from estimator.text import WIDTH

if TYPE_CHECKING:
    from estimator.commands import Subparsers

_CHANGES_NOTHING = "gpu_bandwidth_gb_per_s"  # the copies are given as a time


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser(
        "rules",
        help="two rules of thumb beside the estimate and the measurement of one case",
        epilog=IN_SHORT,
    )
    add_question(parser, default="matmul")
    parser.add_argument(
        "--machine", metavar="NAME", help="of the GPU: id of a box or machine type, part of the "
        "label, or a name of data/hardware.csv (default: the type of the fastest well known GPU)"
    )  # fmt: skip
    cpu = "of the CPU (default: that of the GPU if it can)"
    parser.add_argument("--cpu-machine", metavar="NAME", help=cpu)
    over_all = "also over every case measured on a CPU and a GPU"
    parser.add_argument("--all", action="store_true", help=over_all)
    price = "price of the GPU's hour over the CPU's"
    parser.add_argument("--price-ratio", type=float, metavar="X", help=price)
    for rule in RULES:
        group = parser.add_argument_group(f"inputs of the {rule.name} rule")
        for name, ask in rule.asks().items():
            if name != _CHANGES_NOTHING:
                option = f"--{name.replace('_', '-')}"
                group.add_argument(option, type=float, metavar="X", help=ask.label)
    add_data(parser)
    add_model(parser)
    parser.set_defaults(command=rules)


def rules(arguments: argparse.Namespace) -> None:
    """Print the answers."""
    from estimator.rules import report
    from estimator.rules.cases import rule_case
    from estimator.rules.gaps import evidence

    if arguments.workload == "matmul" and not arguments.param:
        arguments.param = ["n=3000"]
    asked = read_question(arguments)
    model = open_model(arguments)
    gpu, cpu = (find_one(model, name) for name in (arguments.machine, arguments.cpu_machine))
    question = place_question(arguments, asked, ())
    case = rule_case(model, question, gpu, cpu)
    typed = {name: value for name, value in vars(arguments).items() if value is not None}
    said = [rule.filled(case, typed) for rule in RULES]
    found = report.answers(case, said, arguments.price_ratio)
    question_asked = {**asked, "mode": question.gpu_mode}
    result: dict[str, Any] = {"question": question_asked, "case": asdict(case)}
    result["answers"] = found.to_dict("records")
    tables = [(found, report.ANSWERS), (report.worked_examples(), report.EXAMPLES)]
    if arguments.all:
        one = None if case.cpu["machine_id"] == case.gpu["machine_id"] else case.cpu["machine_id"]
        _, gaps, claims = evidence(model, question.gpu_mode, one)
        result |= {"gaps": gaps.to_dict("records"), "claims": claims.to_dict("records")}
        tables += [(gaps, report.GAPS), (claims, report.CLAIMS)]
    if arguments.json:
        print_json(result)
        return
    lines = [f"{label}: {text}" for label, text in report.headline(case, found).items()]
    wrapped = [textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in lines]
    print("\n".join([asked_on(question), *wrapped]))
    for table, columns in tables:
        print(f"\n{report.as_text(table, columns)}")
