"""``rules``: two rules of thumb beside the estimate and the measurement of the same case."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from estimator.cells.defaults import IN_SHORT
from estimator.commands.asking import asked_on, find_one, place_question
from estimator.commands.options import (
    add_data,
    add_model,
    add_question,
    open_model,
    print_json,
    read_question,
)

if TYPE_CHECKING:
    from estimator.commands import Subparsers
    from estimator.decide.places import PlaceQuestion
    from estimator.rules.cases import RuleCase
    from estimator.rules.rules_of_thumb import Comparison

_DEFAULT = ["n=3000"]  # of matmul, where no workload is named
_CORES = {
    "data_size": "elements or operations",
    "gpu_cores": "cores of the GPU",
    "cpu_factor": "speed of the CPU, 1 = average",
    "transfer_ms": "milliseconds of copies",
}
_THROUGHPUT = {
    "work_gflop": "GFLOP of the job",
    "cpu_gflop_per_s": "rate of the CPU",
    "gpu_peak_tflop_per_s": "peak of the GPU",
    "efficiency": "share of the GPU's peak, at most 1",
    "overhead_s": "seconds of overhead",
}


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
    cores = parser.add_argument_group("inputs of the cores rule")
    throughput = parser.add_argument_group("inputs of the throughput rule")
    for group, inputs in ((cores, _CORES), (throughput, _THROUGHPUT)):
        for name, text in inputs.items():
            group.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="X", help=text)
    add_data(parser)
    add_model(parser)
    parser.set_defaults(command=rules)


def rules(arguments: argparse.Namespace) -> None:
    """Print the answers."""
    from estimator.rules.cases import rule_case
    from estimator.rules.gaps import claim_table, gap_table, rule_pairs
    from estimator.rules.report import (
        answers,
        case_report,
        claims_report,
        examples_report,
        gaps_report,
        price_line,
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
    pairs = None
    if arguments.all:
        one = None if case.cpu.machine_id == case.gpu.machine_id else case.cpu.machine_id
        pairs = rule_pairs(model, question.gpu_mode, one, boxes=(case.gpu.machine_id,))
    if arguments.json:
        result: dict[str, Any] = {
            **{"question": {**asked, "mode": question.gpu_mode}, "case": asdict(case)},
            "answers": [{**asdict(one), "advice": one.advice} for one in found],
        }
        if pairs is not None:
            result["gaps"] = gap_table(pairs).to_dict("records")
            result["claims"] = claim_table(pairs).to_dict("records")
        print_json(result)
        return
    parts = [_headline(question, case), case_report(found)]
    if arguments.price_ratio is not None:
        parts.append(price_line(found, arguments.price_ratio))
    parts.append(examples_report())
    if pairs is not None:
        parts += [gaps_report(gap_table(pairs)), claims_report(claim_table(pairs))]
    print("\n\n".join(parts))


def _rules(
    arguments: argparse.Namespace, case: RuleCase
) -> tuple[Comparison | None, Comparison | None]:
    """Both rules with the inputs of the case, those typed in before. Raises EstimateError."""
    from estimator.rules.inputs import cores_inputs, throughput_inputs
    from estimator.rules.rules_of_thumb import ThroughputInputs, cores_rule, throughput_rule

    typed = {name: getattr(arguments, name) for name in _CORES}
    given = {name: value for name, value in typed.items() if value is not None}
    asked = cores_inputs(case, arguments.inputs)
    cores = None if asked is None else cores_rule(replace(asked[0], **given), asked[1])
    typed = {name: getattr(arguments, name) for name in _THROUGHPUT}
    given = {name: value for name, value in typed.items() if value is not None}
    base = throughput_inputs(case, arguments.inputs)
    if base is not None:
        base = replace(base, **given)
    elif {"work_gflop", "cpu_gflop_per_s", "gpu_peak_tflop_per_s"} <= set(given):
        base = ThroughputInputs(**given)
    return cores, None if base is None else throughput_rule(base)


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
