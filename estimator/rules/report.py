"""What the rules of thumb, the fitted model and the measurement say, as tables. Pure.

``Column`` says how a column is named in the terminal and on the page; both are made from it.
Worked examples are shown with what the calculator printed beside what its own formula gives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from collector.errors import EstimateError
from estimator.rules.cases import RuleCase
from estimator.rules.rules_of_thumb import (
    ADVICE,
    WORKED_EXAMPLES,
    Comparison,
    advice,
    cores_rule,
    cost_ratio,
)
from estimator.text import duration, text_table

NAMES = {
    "measured": "Measured",
    "estimate": "Estimated by the model",
    "cores": "Cores rule",
    "throughput": "Throughput rule",
}


_NO_2 = (math.nan, math.nan)


@dataclass(frozen=True)
class Column:
    """Its head in the terminal and its label on the page ("": not there), and its unit.

    Units: "" text, "n" a count, "s" seconds (the page has ms), "ms", "x" a factor, "%" a share.
    """

    head: str
    label: str
    unit: str = ""
    help: str = ""

    def text(self, value: Any) -> str:
        """A value for the terminal, a dash where there is none."""
        if isinstance(value, str):
            return value
        if not math.isfinite(value):
            return "-"
        shown = {
            "s": duration,
            "ms": "{:g} ms".format,
            "x": "{:,.3g}x".format,
            "%": "{:.0%}".format,
        }
        return shown.get(self.unit, "{:,}".format)(value)


Columns = Mapping[str, Column]

ANSWERS: Columns = {
    "source": Column("source", "Source"),
    "cpu_s": Column("CPU", "CPU (ms)", "s"),
    "gpu_s": Column("GPU alone", "GPU alone (ms)", "s"),
    "copies_s": Column("copies", "Copies (ms)", "s"),
    "gpu_total_s": Column("GPU in all", "GPU in all (ms)", "s"),
    "speedup": Column("speed-up", "Speed-up", "x"),
    "low": Column("90 % from", "90 % from", "x"),
    "high": Column("90 % to", "90 % to", "x"),
    "advice": Column("advice", ""),
    "says": Column("", "Advice"),
    "off_by": Column("off by", "Off by"),
    "cost": Column(
        *("", "Cost, GPU over CPU", "ratio"),
        "Price ratio over speed-up; below 1 the GPU's job is cheaper",
    ),
}
EXAMPLES: Columns = {
    "operation": Column("its example", "Operation"),
    "data_size": Column("", "Data size"),
    "gpu_cores": Column("", "GPU cores"),
    "cpu_total_ms": Column("CPU in all", "CPU in all (ms)", "ms"),
    "gpu_total_ms": Column("GPU in all", "GPU in all (ms)", "ms"),
    "printed": Column("it prints", "It prints", "x"),
    "formula": Column("formula", "Its formula gives", "x"),
    "without_copies": Column("", "Without copies on the CPU", "x"),
}
#: of ``rule_gaps.gap_table``
GAPS: Columns = {
    "workload": Column("family", "Family"),
    "source": Column("source", "Who states it"),
    "pairs": Column("pairs", "Cases", "n"),
    "factor_p50": Column("off by", "Off by (median)", "x"),
    "factor_p90": Column("90 % within", "Off by (9 of 10 within)", "x"),
    "bias": Column(
        "median of ratio", "Stated over measured", "x", "Median; above 1 it promises too much"
    ),
    "side_right": Column("side right", "Names the faster side", "%"),
    "advice_right": Column("advice right", "Same advice", "%"),
}
#: of ``rule_gaps.claim_table``
CLAIMS: Columns = {
    "kind": Column("claimed for", "Claimed for"),
    "low": Column("from", "Claimed from", "x"),
    "high": Column("to", "Claimed to", "x"),
    "pairs": Column("pairs", "Cases", "n"),
    "p5": Column("p5", "Measured, 5 % below", "x"),
    "p50": Column("median", "Measured, median", "x"),
    "p95": Column("p95", "Measured, 95 % below", "x"),
    "below": Column("below", "Below the claim", "%"),
    "inside": Column("inside", "Inside", "%"),
    "above": Column("above", "Above", "%"),
}


def answers(
    case: RuleCase | None, cores: Comparison | None, throughput: Comparison | None
) -> pd.DataFrame:
    """What each source says, ``ANSWERS`` but for the cost; who says nothing is left out.

    Measurement first, then the model, then the rules. Times in seconds, NaN and "": not said.
    """
    rows: list[tuple[str | float, ...]] = []
    measured = math.nan
    if case is not None:
        cpu, gpu, ratio = case.cpu, case.gpu, case.estimate
        if cpu.is_measured and gpu.is_measured:
            measured = case.measured_speedup
            rows.append(("measured", cpu.measured_s, *_NO_2, gpu.measured_s, measured, *_NO_2))
        times = (cpu.seconds[1], gpu.alone_s + gpu.start_s, gpu.copies_s, gpu.seconds[1])
        rows.append(("estimate", *times, ratio.ratio_p50, ratio.ratio_p5, ratio.ratio_p95))
    for name, rule in (("cores", cores), ("throughput", throughput)):
        if rule is not None:
            times = (rule.cpu_s, rule.gpu_s, rule.transfer_s, rule.gpu_total_s)
            rows.append((name, *times, rule.speedup, *_NO_2))
    table = pd.DataFrame(rows, columns=list(ANSWERS)[:8])
    words = [advice(one) for one in table["speedup"]]
    compared = [
        off_by(speedup, measured) if measured > 0.0 and source != "measured" else ""
        for source, speedup in zip(table["source"], table["speedup"], strict=True)
    ]
    return table.assign(advice=words, says=[ADVICE[word][1] for word in words], off_by=compared)


def with_cost(found: pd.DataFrame, price_ratio: float) -> pd.DataFrame:
    """Add the cost of the job on the GPU over the CPU's. Raises EstimateError on bad values."""
    return found.assign(cost=[cost_ratio(one, price_ratio) for one in found["speedup"]])


def with_names(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the names of its sources."""
    return table.assign(source=table["source"].map(NAMES)) if "source" in table else table


def off_by(stated: float, measured: float) -> str:
    """By what factor a speed-up is off: "as measured" within 5 %, "8x too high", "3x too low"."""
    if not (stated > 0.0 and measured > 0.0):
        raise EstimateError(f"speed-ups are {stated:g} and {measured:g}; both must be positive")
    ratio = stated / measured
    if abs(math.log(ratio)) < math.log(1.05):
        return "as measured"
    return f"{max(ratio, 1.0 / ratio):,.3g}x too {'high' if ratio > 1.0 else 'low'}"


def worked_examples() -> pd.DataFrame:
    """``EXAMPLES``: the first calculator's inputs, its printed times and speed-up, the formula's.

    ``formula`` is its own formula on its own printed totals, ``without_copies`` its other form
    (the CPU's time without copies, over the GPU's with them).
    """
    rows = [
        (
            one.operation,
            *(f"{size:,.0f}" for size in (one.inputs.data_size, one.inputs.gpu_cores)),
            *(one.cpu_total_ms, one.gpu_total_ms, one.printed, round(one.formula, 1)),
            round(cores_rule(one.inputs).speedup, 1),
        )
        for one in WORKED_EXAMPLES
    ]
    return pd.DataFrame(rows, columns=list(EXAMPLES))


def as_text(table: pd.DataFrame, columns: Columns) -> str:
    """A table for the terminal."""
    shown = {name: one for name, one in columns.items() if one.head}
    table = with_names(table)
    rows = [
        [one.text(row[name]) for name, one in shown.items()] for row in table.to_dict("records")
    ]
    return text_table([one.head for one in shown.values()], rows)
