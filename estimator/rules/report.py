"""What the rules of thumb, the fitted model and the measurement say, in tables and words. Pure.

A ``Column`` names a column in the terminal and on the page alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from estimator.decide.words import OPENINGS, place_text, speedup_text
from estimator.rules.cases import RuleCase
from estimator.rules.rules_of_thumb import (
    GUESSED_EFFICIENCY,
    RULES,
    WORKED_EXAMPLES,
    Rule,
    advice,
    cost_ratio,
)
from estimator.text import duration, text_table

#: Who states a speed-up.
NAMES = {
    "measured": "Measured",
    "estimate": "Estimated by the model",
    **{rule.name: f"{rule.name.capitalize()} rule" for rule in RULES},
}
_TEXTS = {
    "n": "{:,.0f}".format,
    "s": duration,
    "ms": "{:g} ms".format,
    "x": "{:,.3g}x".format,
    "ratio": "{:.3g}".format,
    "%": "{:.0%}".format,
}


@dataclass(frozen=True)
class Column:
    """Its label, its unit ("": text, "n": a count, or one of ``_TEXTS``) and what it means."""

    label: str
    unit: str = ""
    help: str = ""

    def text(self, value: Any) -> str:
        """A value for the terminal, a dash where there is none."""
        if isinstance(value, str):
            return value
        return _TEXTS[self.unit](value) if math.isfinite(value) else "-"


Columns = Mapping[str, Column]

ANSWERS: Columns = {
    "source": Column("Source"),
    "cpu_s": Column("CPU", "s"),
    "gpu_s": Column("GPU alone", "s"),
    "copies_s": Column("Copies", "s"),
    "gpu_total_s": Column("GPU in all", "s"),
    "speedup": Column("Speed-up", "x"),
    "low": Column("90 % from", "x"),
    "high": Column("90 % to", "x"),
    "advice": Column("Advice"),
    "off_by": Column("Off by"),
    "cost": Column("Cost ratio", "ratio", "Of the job: price ratio over speed-up"),
}
EXAMPLES: Columns = {
    "operation": Column("Its example"),
    "data_size": Column("Data size", "n"),
    "gpu_cores": Column("GPU cores", "n"),
    "cpu_total_ms": Column("CPU in all", "ms"),
    "gpu_total_ms": Column("GPU in all", "ms"),
    "printed": Column("It prints", "x"),
    "formula": Column("Its formula gives", "x"),
    "speedup": Column("CPU without copies", "x"),
}
#: of ``gaps.gap_table``
GAPS: Columns = {
    "workload": Column("Family"),
    "source": Column("Who states it"),
    "pairs": Column("Cases", "n"),
    "factor_p50": Column("Off by", "x", "Median"),
    "factor_p90": Column("90 % within", "x"),
    "bias": Column("Stated over measured", "x", "Median; above 1 it promises too much"),
    "side_right": Column("Faster side right", "%"),
    "advice_right": Column("Advice right", "%"),
}
#: of ``gaps.claim_table``
CLAIMS: Columns = {
    "kind": Column("Claimed for"),
    "low": Column("From", "x"),
    "high": Column("To", "x"),
    "pairs": Column("Cases", "n"),
    "p5": Column("Measured, p5", "x"),
    "p50": Column("Median", "x"),
    "p95": Column("p95", "x"),
    "below": Column("Below the claim", "%"),
    "inside": Column("Inside", "%"),
    "above": Column("Above", "%"),
}


def answers(
    case: RuleCase, rules: Iterable[Rule | None], price_ratio: float | None = None
) -> pd.DataFrame:
    """What each source says, ``ANSWERS``; who says nothing is left out, and costs without a price.

    Measurement first, then the model, then the rules. Times in seconds, NaN and "": not said.
    """
    cpu, gpu, ratio, nothing = case.cpu, case.gpu, case.estimate, (math.nan, math.nan)
    rows: list[tuple[str | float, ...]] = []
    measured = case.measured_speedup
    if math.isfinite(measured):
        times = (cpu["measured_s"], *nothing, gpu["measured_s"])
        rows.append(("measured", *times, measured, *nothing))
    times = (cpu["seconds"][1], gpu["alone_s"] + gpu["start_s"], gpu["copies_s"], gpu["seconds"][1])
    rows.append(("estimate", *times, ratio.ratio_p50, ratio.ratio_p5, ratio.ratio_p95))
    for rule in rules:
        if rule is not None:
            total_s = rule.times[1] + rule.times[2]
            rows.append((rule.name, *rule.times, total_s, rule.speedup, *nothing))
    table = pd.DataFrame(rows, columns=list(ANSWERS)[:8])
    table["advice"] = table["speedup"].map(advice)
    table["off_by"] = [
        off_by(one, measured) if math.isfinite(measured) and source != "measured" else ""
        for source, one in zip(table["source"], table["speedup"], strict=True)
    ]
    if price_ratio is not None:
        table["cost"] = [cost_ratio(one, price_ratio) for one in table["speedup"]]
    return table


def headline(
    case: RuleCase, found: pd.DataFrame, names: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The answer in a few sentences, plain text by label: verdict, measurement, rules, efficiency.

    ``found`` is of ``answers``; ``names`` are those of machines, where not the places' labels.
    """
    gpu, cpu = case.gpu, case.cpu
    by_gpu, by_cpu = (
        f"{duration(side['seconds'][1])} by "
        + place_text(side, (names or {}).get(side["machine_id"], side["label"]))
        for side in (gpu, cpu)
    )
    ratio = case.estimate
    verdict = (
        f"the model says {speedup_text(ratio)}, and the faster one with a probability of "
        f"{ratio.gpu_probability:.1%}: {by_gpu}, against {by_cpu}."
    )
    parts = {OPENINGS[ratio.verdict]: verdict, "Measured": "not on both sides."}
    if math.isfinite(case.measured_speedup):
        with_gpu, with_cpu = (
            f"{duration(side['measured_s'])} with {side['measured_backend']}" for side in (gpu, cpu)
        )
        parts["Measured"] = f"{case.measured_speedup:,.3g}x ({with_gpu} against {with_cpu})."
    for row in found[~found["source"].isin(["measured", "estimate"])].to_dict("records"):
        words = (f"{row['speedup']:,.3g}x", row["off_by"])
        parts[NAMES[row["source"]]] = f"{', '.join(filter(None, words))}."
    shares = [
        f"the {name} reaches {case.efficiency(side):.0%} of its data sheet's peak"
        for name, side in (("GPU", gpu), ("CPU", cpu))
        if math.isfinite(case.efficiency(side))
    ]
    if gpu["mode"] == "end_to_end" and gpu["copies_s"] > 0.0:
        rate, link = case.bus_bytes / gpu["copies_s"] / 1e9, case.link_gb_per_s
        of_link = f" of the link's nominal {link:.3g}" if math.isfinite(link) else ""
        shares.append(f"copies run at {rate:.3g} GB/s{of_link}")
    shares.append(f"the throughput rule guesses {GUESSED_EFFICIENCY:.0%} for the GPU")
    return parts | {"Fitted here": f"{'; '.join(shares)}."}


def off_by(stated: float, measured: float) -> str:
    """By what factor a speed-up is off: "as measured" within 5 %, "8x too high", "3x too low"."""
    ratio = stated / measured
    if abs(math.log(ratio)) < math.log(1.05):
        return "as measured"
    return f"{max(ratio, 1.0 / ratio):,.3g}x too {'high' if ratio > 1.0 else 'low'}"


def worked_examples() -> pd.DataFrame:
    """``EXAMPLES``. ``formula`` is the calculator's own on its own printed totals, ``speedup`` its
    other form (the CPU's time without copies, over the GPU's with them)."""
    rows = [
        (name, one.data_size, one.gpu_cores, cpu_ms, gpu_ms, says, cpu_ms / gpu_ms, one.speedup)
        for name, (one, cpu_ms, gpu_ms, says) in WORKED_EXAMPLES.items()
    ]
    return pd.DataFrame(rows, columns=list(EXAMPLES)).round(1)


def as_text(table: pd.DataFrame, columns: Columns) -> str:
    """A table for the terminal."""
    shown = {name: one for name, one in columns.items() if name in table}
    rows = [
        [one.text(NAMES.get(row[name], row[name])) for name, one in shown.items()]
        for row in table.to_dict("records")
    ]
    return text_table([one.label for one in shown.values()], rows)
