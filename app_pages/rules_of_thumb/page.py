"""Rules of thumb: two public calculators beside the fitted estimate and the measurement."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd
import streamlit as st

from app_pages.frame import shared, widgets
from app_pages.frame.text import escape, seconds
from app_pages.job.form import place_form
from app_pages.job.places import linked_texts, named_boxes
from app_pages.rules_of_thumb.case_form import given_params, pick_pair
from app_pages.rules_of_thumb.evidence import rule_table, show_claims, show_examples, show_gaps
from app_pages.rules_of_thumb.forms import choose_inputs, cores_form, throughput_form
from collector.errors import BreakevenError
from estimator.cells.defaults import MATH_MODE
from estimator.decide.places import PlaceQuestion
from estimator.decide.words import OPENINGS, place_text, speedup_text
from estimator.rules.cases import InputSource, RuleCase, rule_case
from estimator.rules.gaps import claim_table, gap_table, rule_pairs
from estimator.rules.report import ANSWERS, NAMES, answers, with_cost

MOST_PAIRS = 5_000
OWN_CPU = "the GPU's own machine"

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

**Measured** is the median of the fastest library on each side, over the boxes of a machine type;
**estimated** the model's value with its 90 % interval, for the pair that Estimate compares too.
The efficiency that the second calculator guesses is fitted here: FLOP over the time without starts
and copies, over the data sheet's peak.
"""


@st.cache_data(max_entries=8, show_spinner="Comparing the rules with the measurements")
def evidence(
    fingerprint: str, mode: str, cpu: str | None, boxes: tuple[str, ...], _model: Any
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """All pairs, how far the rules are from those of types, and the claims beside them."""
    pairs: pd.DataFrame = _model.apply(rule_pairs, mode, cpu, MOST_PAIRS, boxes)
    of_types = pairs[~pairs["gpu_machine"].isin(boxes)]
    return pairs, gap_table(of_types), claim_table(of_types)


@st.cache_data(max_entries=4, show_spinner=False)
def machine_types(fingerprint: str, _model: Any) -> dict[str, str]:
    """Machine type -> its name."""
    found: dict[str, str] = _model.apply("estimator.decide.places:type_labels")
    return found


@st.cache_data(max_entries=64, show_spinner="Estimating the case")
def case_of_pair(
    fingerprint: str, question: PlaceQuestion, gpu: str | None, cpu: str | None, _model: Any
) -> RuleCase:
    """The chosen case with its estimate and what the rules read of it."""
    found: RuleCase = _model.apply(rule_case, question, gpu, cpu)
    return found


def question_of(pair: Mapping[str, Any], mode: str) -> PlaceQuestion:
    """The operation of a pair as the estimator is asked; ``mode`` of the GPU's cells."""
    given = given_params(pair["workload"], pair["case"], pair["params_key"])
    return PlaceQuestion(
        *(pair["workload"], pair["case"], tuple(given.items()), pair["dtype"], pair["math_mode"]),
        gpu_mode=mode,
    )


def headline(case: RuleCase, found: pd.DataFrame, names: Mapping[str, str]) -> str:
    """The answer in a few sentences, for Markdown: verdict, pair, measurement, both rules."""
    gpu, cpu = (
        escape(place_text(asdict(side), names.get(side.machine_id, side.label)))
        for side in (case.gpu, case.cpu)
    )
    text = (
        f"**{OPENINGS[case.estimate.verdict]}.** The model says {speedup_text(case.estimate)}: "
        f"{seconds(case.gpu.seconds[1])} by {gpu}, against {seconds(case.cpu.seconds[1])} by {cpu}."
    )
    if not (case.gpu.is_measured and case.cpu.is_measured):
        return text + " This case was not measured on both sides, so that is all there is."
    text += (
        f" **Measured: {case.measured_speedup:,.3g}x** ({seconds(case.gpu.measured_s)} with "
        f"{escape(case.gpu.measured_backend)} against {seconds(case.cpu.measured_s)} with "
        f"{escape(case.cpu.measured_backend)})."
    )
    for row in found[found["source"].isin(["cores", "throughput"])].to_dict("records"):
        name = NAMES[row["source"]].lower()
        text += f" The {name} says {row['speedup']:,.3g}x: {row['off_by']}."
    return text


def show_efficiency(case: RuleCase) -> None:
    """What the calculators ask to guess, as it is here."""
    if not math.isfinite(case.efficiency):
        return
    text = f"Fitted here: the GPU reaches {case.efficiency:.0%} of its data sheet's peak"
    if math.isfinite(case.cpu_efficiency):
        text += f", the CPU {case.cpu_efficiency:.0%} of its own"
    if case.gpu.mode == "end_to_end" and case.gpu.copies_s > 0.0:
        text += f"; copies run at {case.bus_bytes / case.gpu.copies_s / 1e9:.3g} GB/s"
        if math.isfinite(case.link_gb_per_s):
            text += f" of the link's nominal {case.link_gb_per_s:.3g}"
    st.caption(text + ". The throughput rule guesses 65 %.")


def show_command(
    pair: dict[str, Any], mode: str, source: InputSource, price: float, data: str
) -> None:
    """The command that prints the same; ``data``: the part that names the dataset."""
    given = given_params(pair["workload"], pair["case"], pair["params_key"])
    params = "".join(f" --param {name}={value}" for name, value in given.items())
    line = (
        f"python -m estimator rules {pair['workload']} --case {pair['case']}{params} "
        f"--dtype {shlex.quote(str(pair['dtype']))} --mode {mode} "
        f"--machine {shlex.quote(str(pair['gpu_machine']))}"
    )
    if pair["math_mode"] != MATH_MODE:
        line += f" --math-mode {pair['math_mode']}"
    if pair["cpu_machine"] != pair["gpu_machine"]:
        line += f" --cpu-machine {shlex.quote(str(pair['cpu_machine']))}"
    line += f" --inputs {source} --price-ratio {price:g} --all{data}"
    widgets.command(line, "Typed-in figures have options of their own: `--efficiency`, ...")


def page() -> None:
    """A measured case and what is said of it, both calculators, and how far they are from all."""
    data = shared.open_dataset()
    shared.header(
        "Rules of thumb", "What do the rules of thumb promise, and what was measured?", METHOD
    )
    shared.provenance(data, "the rules' own figures are marked as theirs")
    model = shared.open_model(data)
    left, right = st.columns(2)
    with left:
        mode = place_form("rules_mode")
    boxes = named_boxes(data.names, linked_texts("rules_machine"))
    hosts = named_boxes(data.names, linked_texts("rules_cpu"))
    names = {box: data.names[box] for box in (*boxes, *hosts)}
    names |= machine_types(data.fingerprint, model)
    with right:
        cpu_name = widgets.select(
            "CPU of",
            [OWN_CPU, *names.values()],
            "rules_cpu",
            OWN_CPU,
            help="A GPU's host is often a fast CPU; compare with another machine's here.",
        )
    cpu = next((key for key, name in names.items() if name == cpu_name), None)
    try:
        pairs, gaps, claims = evidence(data.fingerprint, mode, cpu, boxes, model)
    except BreakevenError as error:
        st.error(f"The rules cannot be compared: {escape(error)}")
        return
    case, pair = pick_case(data, model, pairs, names, mode, cpu)
    top = st.container()
    inputs = choose_inputs() if case is not None else "examples"
    left, right = st.columns(2)
    with left, st.container(border=True):
        cores = cores_form(case, inputs)
    with right, st.container(border=True):
        throughput = throughput_form(case, inputs)
    price = 0.0
    if case is not None:
        with top:
            found = answers(case, cores, throughput)
            st.markdown(headline(case, found, data.names))
            price = price_form()
            alt = "Times, speed-up and advice by the measurement, the model and both rules"
            rule_table(with_cost(found, price), ANSWERS, alt)
            show_efficiency(case)
    if not pairs.empty:
        show_gaps(pairs, gaps, pair, names)
        show_claims(claims)
    show_examples()
    if case is not None:
        show_command(pair, mode, inputs, price, shared.data_argument(data))


def pick_case(
    data: shared.Source,
    model: Any,
    pairs: pd.DataFrame,
    names: dict[str, str],
    mode: str,
    cpu: str | None,
) -> tuple[RuleCase | None, dict[str, Any]]:
    """The chosen case, None where the model has none, and its row of ``pairs``."""
    if pairs.empty:
        st.info(
            "No operation was measured both on this CPU and on a GPU where the data is as chosen. "
            "Choose another place of the data or another CPU, or measure a machine with a GPU. The "
            "calculators below work on what is typed in."
        )
        return None, {}

    def case_of(row: Mapping[str, Any], gpu: str | None, host: str | None) -> RuleCase:
        return case_of_pair(data.fingerprint, question_of(row, mode), gpu, host, model)

    def default_machine(row: Mapping[str, Any]) -> str | None:
        """The GPU that speaks for a row's operation where none is chosen, as on Estimate."""
        try:
            return case_of(row, None, cpu).gpu.machine_id
        except BreakevenError:
            return None

    pair = pick_pair(pairs, names, default_machine)
    try:
        case = case_of(pair, pair["gpu_machine"], pair["cpu_machine"])
    except BreakevenError as error:
        st.info(f"The model has no estimate of this case: {escape(error)}")
        return None, pair
    return case, pair | {"estimate": case.estimate.ratio_p50}


def price_form() -> float:
    """The ratio of prices."""
    return widgets.number(
        "Price of the GPU's hour over the CPU's",
        "rules_price",
        5.0,
        0.001,
        10_000.0,
        "The second calculator's example: five times the price. The cost of the completed "
        "job on the GPU over the CPU's is this over the speed-up.",
    )
