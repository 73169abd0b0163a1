"""``rules``: two rules of thumb beside the estimate and the measurement of the same case."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
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
    from estimator.commands import Subparsers
    from estimator.model import Model
    from estimator.rule_cases import RuleCase
    from estimator.rules_of_thumb import Comparison

_DEFAULT = {"param": ["n=3000"], "dtype": "float32"}  # of matmul, where no workload is named
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
        "rules", help="two rules of thumb beside the estimate and the measurement of one case"
    )
    add_question(parser, default="matmul")
    parser.add_argument(
        "--machine", metavar="NAME", help="of the GPU: id or part of the label (default: the "
        "machine with most cases measured on both)"
    )  # fmt: skip
    parser.add_argument(
        "--cpu-machine", metavar="NAME", help="of the CPU (default: the GPU's machine)"
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
    from estimator.rule_cases import rule_case
    from estimator.rule_gaps import claim_table, gap_table, rule_pairs
    from estimator.rule_report import (
        answers,
        case_report,
        claims_report,
        examples_report,
        gaps_report,
        price_line,
    )

    if arguments.workload == "matmul" and not arguments.param:
        arguments.param, arguments.dtype = _DEFAULT["param"], arguments.dtype or _DEFAULT["dtype"]
    question = read_question(arguments)
    question["mode"] = question.get("mode") or "end_to_end"
    model = open_model(arguments)
    gpu = _machine(model, arguments.machine) if arguments.machine else _default_machine(model)
    cpu = _machine(model, arguments.cpu_machine) if arguments.cpu_machine else gpu
    case = rule_case(model, question, gpu, cpu)
    cores, throughput = _rules(arguments, case)
    found = answers(case, cores, throughput)
    pairs = None
    if arguments.all:
        pairs = rule_pairs(model, question["mode"], None if cpu == gpu else cpu)
    if arguments.json:
        result: dict[str, Any] = {
            **{"question": question, "case": asdict(case)},
            "answers": [{**asdict(one), "advice": one.advice} for one in found],
        }
        if pairs is not None:
            result["gaps"] = gap_table(pairs).to_dict("records")
            result["claims"] = claim_table(pairs).to_dict("records")
        print_json(result)
        return
    parts = [_headline(model, question, case), case_report(found)]
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
    from estimator.rule_inputs import cores_inputs, throughput_inputs
    from estimator.rules_of_thumb import ThroughputInputs, cores_rule, throughput_rule

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


def _headline(model: Model, question: dict[str, Any], case: RuleCase) -> str:
    from estimator.report import question_line

    asked = {**question, "device": "cuda", "backend": case.gpu.backend}
    sides = [
        f"{name}: {side.backend}, {_name(model, side.machine_id)}"
        + (f", {side.threads} threads" if name == "CPU" else "")
        for name, side in (("CPU", case.cpu), ("GPU", case.gpu))
    ]
    share = case.efficiency
    line = f"share of the GPU's peak that is reached (fitted): {share:.0%}; the rule guesses 65 %"
    return "\n".join([question_line(asked), *sides, *([line] if share == share else [])])


def _name(model: Model, machine: str) -> str:
    return f"{model.labels[machine]} ({machine[:8]})" if machine in model.labels else machine


def _default_machine(model: Model) -> str:
    """The machine with most cases measured on both of its devices. Raises EstimateError."""
    from estimator.rule_gaps import rule_pairs

    pairs = rule_pairs(model, "resident")
    if pairs.empty:
        raise EstimateError(
            "no machine measured one operation on its CPU and on its GPU; name --machine and "
            "--cpu-machine"
        )
    return str(pairs["gpu_machine"].mode().iloc[0])


def _machine(model: Model, name: str) -> str:
    """A measured machine, or a name of data/hardware.csv. Raises SelectionError."""
    from estimator.machine_facts import facts_of_name

    found = model.machines_like(name)
    if len(found) > 1:
        raise SelectionError(
            f"machine {name!r} fits several machines; choose one of {', '.join(found)}"
        )
    if found:
        return found[0]
    return name if facts_of_name(name) is not None else model.find_machine(name)
