"""``rules``: two rules of thumb beside the estimate and the measurement of the same case."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
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
from estimator.rules.rules_of_thumb import (
    CORES_ASKS,
    THROUGHPUT_ASKS,
    Comparison,
    ThroughputInputs,
    cores_rule,
    throughput_rule,
)

if TYPE_CHECKING:
    from estimator.commands import Subparsers
    from estimator.decide.places import PlaceQuestion
    from estimator.rules.cases import RuleCase

_DEFAULT = ["n=3000"]  # of matmul, where no workload is named
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
    parser.add_argument(
        "--cpu-machine", metavar="NAME", help="of the CPU (default: that of the GPU if it can)"
    )
    parser.add_argument(
        "--inputs",
        choices=("sheets", "fitted", "examples"),
        default="sheets",
        help="where the rules' inputs come from: data sheets and the rules' guesses, the model "
        "fitted to the measurements, or the constants of their worked examples (default: sheets)",
    )
    parser.add_argument(
        "--all", action="store_true", help="also over every case measured on a CPU and a GPU"
    )
    parser.add_argument(
        "--price-ratio", type=float, metavar="X", help="price of the GPU's hour over the CPU's"
    )
    for rule, asks in (("cores", CORES_ASKS), ("throughput", THROUGHPUT_ASKS)):
        group = parser.add_argument_group(f"inputs of the {rule} rule")
        for name, ask in asks.items():
            option = f"--{name.replace('_', '-')}"
            if name != _CHANGES_NOTHING:
                group.add_argument(option, type=float, metavar="X", help=ask.label)
    add_data(parser)
    add_model(parser)
    parser.set_defaults(command=rules)


def rules(arguments: argparse.Namespace) -> None:
    """Print the answers."""
    from estimator.rules.cases import rule_case
    from estimator.rules.gaps import claim_table, gap_table, rule_pairs
    from estimator.rules.report import (
        ANSWERS,
        CLAIMS,
        EXAMPLES,
        GAPS,
        NAMES,
        answers,
        as_text,
        with_cost,
        worked_examples,
    )

    if arguments.workload == "matmul" and not arguments.param:
        arguments.param = _DEFAULT
    asked = read_question(arguments)
    model = open_model(arguments)
    gpu, cpu = (find_one(model, name) for name in (arguments.machine, arguments.cpu_machine))
    question = place_question(arguments, asked, ())
    case = rule_case(model, question, gpu, cpu)
    cores, throughput = _rules(arguments, case)
    found = answers(case, cores, throughput)
    gaps = claims = None
    if arguments.all:
        one = None if case.cpu.machine_id == case.gpu.machine_id else case.cpu.machine_id
        pairs = rule_pairs(model, question.gpu_mode, one, boxes=(case.gpu.machine_id,))
        gaps, claims = gap_table(pairs), claim_table(pairs)
    if arguments.json:
        result: dict[str, Any] = {
            **{"question": {**asked, "mode": question.gpu_mode}, "case": asdict(case)},
            "answers": found[[*list(ANSWERS)[:8], "advice"]].to_dict("records"),
        }
        if gaps is not None and claims is not None:
            result |= {"gaps": gaps.to_dict("records"), "claims": claims.to_dict("records")}
        print_json(result)
        return
    parts = [_headline(question, case), as_text(found, ANSWERS)]
    price = arguments.price_ratio
    if price is not None:
        priced = zip(found["source"], with_cost(found, price)["cost"], strict=True)
        costs = [f"{NAMES[source]} {cost:.3g}" for source, cost in priced]
        start = f"cost on the GPU over the CPU's, at {price:g}x the price: "
        parts.append(start + ", ".join(costs))
    parts.append(as_text(worked_examples(), EXAMPLES))
    if gaps is not None and claims is not None:
        parts += [as_text(gaps, GAPS), as_text(claims, CLAIMS)]
    print("\n\n".join(parts))


def _rules(
    arguments: argparse.Namespace, case: RuleCase
) -> tuple[Comparison | None, Comparison | None]:
    """Both rules with the inputs of the case, those typed in before. Raises EstimateError."""
    from estimator.rules.cases import cores_inputs, throughput_inputs

    typed = {name: value for name, value in vars(arguments).items() if value is not None}
    given = {name: typed[name] for name in CORES_ASKS if name in typed}
    cores = cores_inputs(case, arguments.inputs)
    given_rates = {name: typed[name] for name in THROUGHPUT_ASKS if name in typed}
    throughput = throughput_inputs(case, arguments.inputs)
    if throughput is not None:
        throughput = replace(throughput, **given_rates)
    elif {"work_gflop", "cpu_gflop_per_s", "gpu_peak_tflop_per_s"} <= set(given_rates):
        throughput = ThroughputInputs(**given_rates)
    return (
        None if cores is None else cores_rule(replace(cores, **given)),
        None if throughput is None else throughput_rule(throughput),
    )


def _headline(question: PlaceQuestion, case: RuleCase) -> str:
    """What was asked, the verdict by the model, both sides, and what the rules guess."""
    from estimator.decide.words import place_text, verdict_line

    sides = [
        f"{name}: {place_text(asdict(side), side.label)}"
        + (f"; measured with {side.measured_backend}" if side.is_measured else "; not measured")
        for name, side in (("CPU", case.cpu), ("GPU", case.gpu))
    ]
    share = case.efficiency
    line = f"share of the GPU's peak that is reached (fitted): {share:.0%}; the rule guesses 65 %"
    known = [line] if share == share else []
    return "\n".join([asked_on(question), verdict_line(case.estimate), *sides, *known])
