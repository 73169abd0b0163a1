"""Rules of thumb: two public calculators beside the fitted estimate and the measurement."""

from __future__ import annotations

import math
import shlex
from typing import Any

import pandas as pd
import streamlit as st

from app_pages import shared, widgets
from app_pages.rule_case_form import given_params, pick_pair
from app_pages.rule_evidence import show_claims, show_examples, show_gaps
from app_pages.rule_forms import choose_inputs, cores_form, throughput_form
from app_pages.text import escape, seconds
from collector.errors import BreakevenError
from estimator.rule_cases import RuleCase, rule_case
from estimator.rule_gaps import claim_table, gap_table, rule_pairs
from estimator.rule_inputs import InputSource
from estimator.rule_report import ADVICE_TEXT, NAMES, Answer, answers, off_by
from estimator.rules_of_thumb import cost_ratio

MOST_PAIRS = 5_000
OWN_CPU = "the GPU's own machine"
MODES = {"end_to_end": "in host memory, both ways", "resident": "already on the device"}

METHOD = """
**Cores rule** (a public "force Python to use the GPU" calculator): time is in proportion to the
size of the data, over the GPU's cores or a relative CPU factor; memory-bound operations take bytes
over bandwidth; copies take size over bandwidth, twice. Speed-up = CPU time / (GPU time + copies);
it also gives (CPU + copies) / (GPU + copies), and uses either in its examples.

**Throughput rule** (a public "Python GPU calculation" calculator): FLOP over the CPU's rate,
against FLOP over the GPU's peak times a guessed efficiency, plus overhead. Cost of the completed
job on the GPU over the CPU's = price ratio / speed-up.

**Advice** by the first calculator: over 5x significant, 2x to 5x noticeable, under 2x marginal,
under 1x slower.

**Measured** is the median of the fastest library on each side, **estimated** the model's value
with its 90 % interval. The efficiency that the second calculator guesses is fitted here: FLOP
over the time without starts and copies, over the data sheet's peak.
"""


@st.cache_data(max_entries=8, show_spinner="Comparing the rules with the measurements")
def evidence(
    fingerprint: str, mode: str, cpu: str | None, _model: Any
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """All pairs, how far the rules are from them, and the claims beside them."""
    pairs: pd.DataFrame = _model.apply(rule_pairs, mode, cpu, MOST_PAIRS)
    return pairs, gap_table(pairs), claim_table(pairs)


@st.cache_data(max_entries=64, show_spinner="Estimating the case")
def case_of_pair(
    fingerprint: str, question: dict[str, Any], gpu: str, cpu: str, _model: Any
) -> RuleCase:
    """The chosen case with its estimate and what the rules read of it."""
    found: RuleCase = _model.apply(rule_case, question, gpu, cpu)
    return found


def headline(found: list[Answer], mode: str) -> str:
    """The answer in one or two sentences."""
    by = {one.source: one for one in found}
    where = "transfers included" if mode == "end_to_end" else "with the data on the device"
    measured = by.get("measured")
    if measured is None:
        return "This case was not measured on both sides, so there is nothing to compare with."
    text = (
        f"**Measured, {where}: the GPU is {measured.speedup:,.3g}x as fast** "
        f"({seconds(measured.cpu_s)} against {seconds(measured.gpu_total_s)}), "
        f"{ADVICE_TEXT[measured.advice]}."
    )
    for name in ("cores", "throughput", "estimate"):
        one = by.get(name)
        if one is not None:
            interval = f" ({one.low:,.3g}x to {one.high:,.3g}x)" if math.isfinite(one.low) else ""
            who = "The model" if name == "estimate" else f"The {NAMES[name].lower()}"
            text += (
                f" {who} says {one.speedup:,.3g}x{interval}: "
                f"{off_by(one.speedup, measured.speedup)}."
            )
    return text


def show_answers(found: list[Answer], price_ratio: float) -> None:
    """One row per source."""
    scale = 1e3
    measured = next((one.speedup for one in found if one.source == "measured"), None)
    table = pd.DataFrame(
        [
            {
                "Source": NAMES[one.source],
                "CPU (ms)": scale * one.cpu_s,
                "GPU alone (ms)": scale * one.gpu_s,
                "Copies (ms)": scale * one.copies_s,
                "GPU in all (ms)": scale * one.gpu_total_s,
                "Speed-up": one.speedup,
                "90 % from": one.low,
                "90 % to": one.high,
                "Advice": ADVICE_TEXT[one.advice],
                "Off by": ""
                if measured is None or one.source == "measured"
                else off_by(one.speedup, measured),
                "Cost, GPU over CPU": cost_ratio(one.speedup, price_ratio),
            }
            for one in found
        ]
    )
    number = st.column_config.NumberColumn(format="%.4g")
    factor = st.column_config.NumberColumn(format="%.3gx")
    widgets.table(
        table,
        "Times, speed-up and advice by the measurement, the model and both rules",
        {
            **{name: number for name in table.columns if name.endswith("(ms)")},
            **dict.fromkeys(("Speed-up", "90 % from", "90 % to"), factor),
            "Cost, GPU over CPU": st.column_config.NumberColumn(
                format="%.3g", help="Price ratio over speed-up; below 1 the GPU's job is cheaper"
            ),
        },
    )


def show_efficiency(case: RuleCase) -> None:
    """What the calculators ask to guess, as it is here."""
    if not math.isfinite(case.efficiency):
        return
    text = f"Fitted here: the GPU reaches {case.efficiency:.0%} of its data sheet's peak"
    if math.isfinite(case.cpu_efficiency):
        text += f", the CPU {case.cpu_efficiency:.0%} of its own"
    if case.gpu.mode == "end_to_end":
        rate = case.bus_bytes / case.gpu.copies_s / 1e9 if case.gpu.copies_s > 0.0 else math.nan
        nominal = f" of the link's nominal {case.link_gb_per_s:.3g}"
        text += f"; copies run at {rate:.3g} GB/s" if math.isfinite(rate) else ""
        text += nominal if math.isfinite(rate) and math.isfinite(case.link_gb_per_s) else ""
    st.caption(text + ". The throughput rule guesses 65 %.")


def show_command(pair: dict[str, Any], mode: str, source: InputSource, price: float) -> None:
    """The command that prints the same."""
    given = given_params(pair["workload"], pair["case"], pair["params_key"])
    params = "".join(f" --param {name}={value}" for name, value in given.items())
    line = (
        f"python -m estimator rules {pair['workload']} --case {pair['case']}{params} "
        f"--dtype {shlex.quote(str(pair['dtype']))} --mode {mode} "
        f"--machine {shlex.quote(str(pair['gpu_machine']))}"
    )
    if pair["math_mode"] != "ieee":
        line += f" --math-mode {pair['math_mode']}"
    if pair["cpu_machine"] != pair["gpu_machine"]:
        line += f" --cpu-machine {shlex.quote(str(pair['cpu_machine']))}"
    line += f" --inputs {source} --price-ratio {price:g} --all{shared.data_argument(data)}"
    widgets.command(line, "Typed-in figures have options of their own: `--efficiency`, ...")


data = shared.open_dataset()
shared.header(
    "Rules of thumb", "What do the rules of thumb promise, and what was measured?", METHOD
)
shared.provenance(data, "the rules' own figures are marked as theirs")
model = shared.open_model(data)
left, right = st.columns(2)
with left:
    mode = widgets.choose(
        "Where the data is",
        list(MODES),
        "rules_mode",
        "end_to_end",
        names=MODES,
        help="Whether the GPU's time includes copying operands to it and the result back.",
    )
with right:
    cpu_name = widgets.select(
        "CPU of",
        [OWN_CPU, *data.machine_names],
        "rules_cpu",
        OWN_CPU,
        help="A GPU's host is often a fast CPU; compare with another machine's here.",
    )
cpu = None if cpu_name == OWN_CPU else data.machine_id(cpu_name)
try:
    pairs, gaps, claims = evidence(data.fingerprint, mode, cpu, model)
except BreakevenError as error:
    st.error(f"The rules cannot be compared: {escape(error)}")
    st.stop()
case, found = None, list[Answer]()
pair: dict[str, Any] = {}
if pairs.empty:
    st.info(
        "No operation was measured both on this CPU and on a GPU where the data is as chosen. "
        "Choose another place of the data or another CPU, or measure a machine with a GPU. The "
        "calculators below work on what is typed in."
    )
else:
    pair = pick_pair(pairs, data.names)
    question = {
        **{name: pair[name] for name in ("workload", "case", "dtype", "math_mode")},
        **{"params": dict(pair["params_key"]), "mode": mode},
    }
    try:
        case = case_of_pair(
            data.fingerprint, question, pair["gpu_machine"], pair["cpu_machine"], model
        )
    except BreakevenError as error:
        st.info(f"The model has no estimate of this case: {escape(error)}")
top = st.container()
inputs = choose_inputs() if case is not None else "examples"
left, right = st.columns(2)
with left, st.container(border=True):
    cores = cores_form(case, inputs)
with right, st.container(border=True):
    throughput = throughput_form(case, inputs)
found = answers(case, cores, throughput)
with top:
    if found and case is not None:
        st.markdown(headline(found, mode))
        price = widgets.number(
            "Price of the GPU's hour over the CPU's",
            "rules_price",
            5.0,
            0.001,
            10_000.0,
            "The second calculator's example: five times the price. The cost of the completed "
            "job on the GPU over the CPU's is this over the speed-up.",
        )
        show_answers(found, price)
        show_efficiency(case)
if not pairs.empty:
    show_gaps(pairs, gaps, pair, data.names)
    show_claims(claims)
show_examples()
if case is not None:
    show_command(pair, mode, inputs, price)
