"""What the rules of thumb, the fitted model and the measurement say, as tables and as text. Pure.

Worked examples are shown with what the calculator printed beside what its own formula gives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from collector.errors import EstimateError
from estimator.rules.cases import RuleCase
from estimator.rules.rules_of_thumb import WORKED_EXAMPLES, Comparison, advice, cost_ratio
from estimator.text import duration, text_table

NAMES = {
    "measured": "Measured",
    "estimate": "Estimated by the model",
    "cores": "Cores rule",
    "throughput": "Throughput rule",
}
#: Band of advice -> its bounds and words, as the first calculator has them.
ADVICE_TEXT = {
    "significant": "over 5x: significant, likely worth it",
    "noticeable": "2x to 5x: noticeable, weigh it against the effort",
    "marginal": "under 2x: marginal",
    "slower": "under 1x: the GPU is slower",
}


@dataclass(frozen=True)
class Answer:
    """A speed-up that one source states, with its times in seconds (NaN: not said)."""

    source: str
    cpu_s: float
    gpu_s: float
    copies_s: float
    gpu_total_s: float
    speedup: float
    low: float = math.nan
    high: float = math.nan

    @property
    def advice(self) -> str:
        return advice(self.speedup)


def answers(
    case: RuleCase | None, cores: Comparison | None, throughput: Comparison | None
) -> list[Answer]:
    """Measurement first, then the model, then the rules; what is not known is left out."""
    found: list[Answer] = []
    if case is not None:
        if case.cpu.is_measured and case.gpu.is_measured:
            total = case.gpu.measured_s
            times = (case.cpu.measured_s, math.nan, math.nan, total)
            found.append(Answer("measured", *times, case.measured_speedup))
        ratio = case.estimate
        alone = case.gpu.alone_s + case.gpu.start_s
        times = (case.cpu.seconds[1], alone, case.gpu.copies_s, case.gpu.seconds[1])
        bounds = (ratio.ratio_p50, ratio.ratio_p5, ratio.ratio_p95)
        found.append(Answer("estimate", *times, *bounds))
    for name, rule in (("cores", cores), ("throughput", throughput)):
        if rule is not None:
            times = (rule.cpu_s, rule.gpu_s, rule.transfer_s, rule.gpu_total_s)
            found.append(Answer(name, *times, rule.speedup))
    return found


def off_by(stated: float, measured: float) -> str:
    """By what factor a speed-up is off: "as measured" within 5 %, "8x too high", "3x too low"."""
    if not (stated > 0.0 and measured > 0.0):
        raise EstimateError(f"speed-ups are {stated:g} and {measured:g}; both must be positive")
    ratio = stated / measured
    if abs(math.log(ratio)) < math.log(1.05):
        return "as measured"
    factor = max(ratio, 1.0 / ratio)
    return f"{factor:,.3g}x too {'high' if ratio > 1.0 else 'low'}"


def worked_examples() -> pd.DataFrame:
    """The first calculator's examples: inputs, its printed times and speed-up, and the formula's.

    ``formula`` is its own formula on its own printed totals, ``without_copies`` its other form
    (the CPU's time without copies, over the GPU's with them).
    """
    return pd.DataFrame(
        [
            {
                "operation": one.inputs.operation,
                "data_size": one.inputs.data_size,
                "gpu_cores": one.inputs.gpu_cores,
                "cpu_factor": one.inputs.cpu_factor,
                "bandwidth_gb_per_s": one.inputs.gpu_bandwidth_gb_per_s,
                "transfer_ms": one.inputs.transfer_ms,
                "cpu_total_ms": one.printed_cpu_total_ms,
                "gpu_total_ms": one.printed_gpu_total_ms,
                "printed": one.printed_speedup,
                "formula": one.speedup,
                "without_copies": one.cpu_ms / one.printed_gpu_total_ms,
            }
            for one in WORKED_EXAMPLES
        ]
    )


def case_report(found: list[Answer]) -> str:
    """The answers as a table for the terminal."""
    measured = next((one.speedup for one in found if one.source == "measured"), math.nan)
    rows = []
    for one in found:
        interval = f" ({one.low:.3g} to {one.high:.3g})" if math.isfinite(one.low) else ""
        compared = one.source != "measured" and math.isfinite(measured)
        rows.append(
            [
                NAMES[one.source],
                *(duration(one.cpu_s), duration(one.gpu_s), duration(one.copies_s)),
                *(duration(one.gpu_total_s), f"{one.speedup:.3g}x{interval}", one.advice),
                off_by(one.speedup, measured) if compared else "",
            ]
        )
    head = ["source", "CPU", "GPU alone", "copies", "GPU in all", "speed-up", "advice", "off by"]
    return text_table(head, rows)


def examples_report() -> str:
    """The worked examples: printed, and by the formula."""
    table = worked_examples()
    rows = [
        [
            str(row["operation"]),
            f"{row['cpu_total_ms']:g} ms",
            f"{row['gpu_total_ms']:g} ms",
            f"{row['printed']:.1f}x",
            f"{row['formula']:.1f}x",
        ]
        for row in table.to_dict("records")
    ]
    return text_table(["its example", "CPU in all", "GPU in all", "it prints", "formula"], rows)


def gaps_report(gaps: pd.DataFrame) -> str:
    """``rule_gaps.gap_table`` for the terminal."""
    rows = [
        [
            str(row["workload"]),
            NAMES[str(row["source"])],
            f"{row['pairs']:,}",
            *(f"{row[name]:,.3g}x" for name in ("factor_p50", "factor_p90", "bias")),
            *(f"{row[name]:.0%}" for name in ("side_right", "advice_right")),
        ]
        for row in gaps.to_dict("records")
    ]
    head = ["family", "source", "pairs", "off by", "90 % within", "median of ratio"]
    return text_table([*head, "side right", "advice right"], rows)


def claims_report(claims: pd.DataFrame) -> str:
    """``rule_gaps.claim_table`` for the terminal."""
    rows = []
    for row in claims.to_dict("records"):
        known = bool(row["pairs"])
        measured = [f"{row[name]:.3g}x" if known else "-" for name in ("p5", "p50", "p95")]
        shares = [f"{row[name]:.0%}" if known else "-" for name in ("below", "inside", "above")]
        claim = f"{row['low']:g}x to {row['high']:g}x"
        rows.append([str(row["kind"]), claim, f"{row['pairs']:,}", *measured, *shares])
    head = ["claimed for", "claim", "pairs", "p5", "median", "p95", "below", "inside", "above"]
    return text_table(head, rows)


def price_line(found: list[Answer], price_ratio: float) -> str:
    """Cost of the job on the GPU over the CPU's, by each source. Raises EstimateError."""
    parts = [f"{NAMES[one.source]} {cost_ratio(one.speedup, price_ratio):.3g}" for one in found]
    return f"cost on the GPU over the CPU's, at {price_ratio:g}x the price: " + ", ".join(parts)
