"""The two calculators of the page Rules of thumb: their inputs, filled in and open to change."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import streamlit as st

from app_pages.frame import widgets
from app_pages.frame.text import escape, seconds
from collector.errors import BreakevenError
from estimator.rules.cases import RuleCase
from estimator.rules.inputs import INPUT_SOURCES, InputSource
from estimator.rules.inputs import cores_inputs as cores_inputs_of
from estimator.rules.inputs import throughput_inputs as throughput_inputs_of
from estimator.rules.report import ADVICE_TEXT
from estimator.rules.rules_of_thumb import (
    WORKED_EXAMPLES,
    Comparison,
    CoresConstants,
    CoresInputs,
    ThroughputInputs,
    cores_rule,
    implied_constants,
    throughput_rule,
)

SOURCE_NAMES: dict[str, str] = {
    "sheets": "data sheets",
    "fitted": "fitted here",
    "examples": "its own example",
}
_MOST = 1e18
_LEAST = 1e-12
# Where nothing fills them in: the middle of the ranges that the second calculator lists.
_NO_CASE = ThroughputInputs(54.0, 250.0, 20.0)


def choose_inputs() -> InputSource:
    """Where the calculators' inputs come from."""
    picked = widgets.choose(
        "Fill the calculators from",
        list(INPUT_SOURCES),
        "rules_inputs",
        names=SOURCE_NAMES,
        help="Data sheets: peak rates, and what the calculators guess (65 % of the GPU's peak). "
        "Fitted here: rates, copies and efficiency that the model has from the measurements. Its "
        "own example: the constants that the first calculator's worked example implies. Every "
        "figure can be changed below.",
    )
    return next(source for source in INPUT_SOURCES if source == picked)


def cores_form(case: RuleCase | None, source: InputSource) -> Comparison | None:
    """The first calculator. None where its inputs give no answer."""
    st.markdown("**Cores rule** (first calculator)")
    asked = cores_inputs_of(case, source) if case is not None else None
    if asked is None:
        example = WORKED_EXAMPLES[1]
        if case is not None:
            st.caption("Data sheets do not tell these rates: its own worked example instead.")
        asked = example.inputs, implied_constants(example)
    inputs, constants = asked
    tag = _tag(inputs, constants)
    size = _positive(
        "Data size (elements)",
        f"rules_size_{tag}",
        inputs.data_size,
        "Elements that one call reads and writes, or operations: the calculator takes either.",
    )
    cores = _positive(
        "GPU cores",
        f"rules_cores_{tag}",
        inputs.gpu_cores,
        "Cores as the data sheet counts them: float32 lanes of all multiprocessors.",
    )
    factor = _positive(
        "CPU factor",
        f"rules_factor_{tag}",
        inputs.cpu_factor,
        "Speed of the CPU for this task; 1 is average, 2 twice as fast. The calculator does not "
        "say what average is: the constants below do.",
    )
    transfer = _at_least_zero(
        "Transfers (ms)",
        f"rules_transfer_{tag}",
        inputs.transfer_ms,
        "Its formula: size over the GPU's memory bandwidth, there and back. The copies cross the "
        "host link in fact, which is far slower.",
    )
    bandwidth = _positive(
        "GPU memory bandwidth (GB/s)",
        f"rules_bandwidth_{tag}",
        inputs.gpu_bandwidth_gb_per_s,
        "From the data sheet. It asks for it, but for an operation bound by arithmetic it enters "
        "the transfers only, as given above.",
    )
    changed = replace(
        inputs,
        data_size=size,
        gpu_cores=cores,
        cpu_factor=factor,
        gpu_bandwidth_gb_per_s=bandwidth,
        transfer_ms=transfer,
    )
    result = _answer(cores_rule, changed, constants)
    st.caption(_constants_text(constants))
    return result


def throughput_form(case: RuleCase | None, source: InputSource) -> Comparison | None:
    """The second calculator. None where its inputs give no answer."""
    st.markdown("**Throughput rule** (second calculator)")
    inputs = throughput_inputs_of(case, source) if case is not None else None
    if inputs is None:
        inputs = _NO_CASE
        if case is not None and case.flop > 0.0:
            st.caption("Data sheets do not tell these rates: type them in.")
        elif case is not None:
            st.info("This operation has no arithmetic: a rule that counts FLOP says nothing of it.")
            return None
    tag = _tag(inputs)
    changed = ThroughputInputs(
        _positive(
            "Work (GFLOP)",
            f"rules_gflop_{tag}",
            inputs.work_gflop,
            "Floating-point operations of one call, in thousand millions.",
        ),
        _positive(
            "CPU rate (GFLOP/s)",
            f"rules_rate_{tag}",
            inputs.cpu_gflop_per_s,
            "What the CPU sustains. Its table has 50 to 500 GFLOP/s for a cloud instance.",
        ),
        _positive(
            "GPU peak (TFLOP/s)",
            f"rules_peak_{tag}",
            inputs.gpu_peak_tflop_per_s,
            "The data sheet's peak for this element type.",
        ),
        widgets.number(
            "Efficiency (share of the peak)",
            f"rules_efficiency_{tag}",
            _figures(inputs.efficiency),
            1e-6,
            1.0,
            "The calculator guesses 0.65. The share that this case reaches is fitted here: fill "
            "the calculators from the fit to see it.",
            step=0.05,
            format="%.4g",
        ),
        _at_least_zero(
            "Overhead (s)",
            f"rules_overhead_{tag}",
            inputs.overhead_s,
            "Copies and starts of kernels, in seconds, added to the GPU's time.",
        ),
    )
    return _answer(throughput_rule, changed)


def _answer(rule: Any, *inputs: Any) -> Comparison | None:
    try:
        result: Comparison = rule(*inputs)
        word = result.advice
    except BreakevenError as error:
        st.info(f"No answer: {escape(error)}")
        return None
    with st.container(horizontal=True):
        st.metric("It says", f"{result.speedup:,.3g}x", border=True)
        st.metric("CPU", seconds(result.cpu_s), border=True)
        st.metric("GPU with copies", seconds(result.gpu_total_s), border=True)
    st.caption(f"By the rule, {ADVICE_TEXT[word]}.")
    return result


def _constants_text(constants: CoresConstants) -> str:
    return (
        f"Constants in use: GPU {1e6 * constants.gpu_core_ms:.3g} ns per element and core, CPU "
        f"{1e6 * constants.cpu_ms:.3g} ns per element at factor 1. The calculator states neither."
    )


def _positive(label: str, key: str, value: float, help: str) -> float:
    default = min(max(_figures(value), _LEAST), _MOST)
    return widgets.number(label, key, default, _LEAST, _MOST, help, format="%.6g")


def _at_least_zero(label: str, key: str, value: float, help: str) -> float:
    default = min(_figures(value), _MOST)
    return widgets.number(label, key, default, 0.0, _MOST, help, format="%.4g")


def _figures(value: float) -> float:
    """Six digits, as the field shows them."""
    return float(f"{value:.6g}")


def _tag(inputs: CoresInputs | ThroughputInputs, constants: CoresConstants | None = None) -> str:
    """Short name of what fills a form, so that another case is filled in anew."""
    text = repr((inputs, constants)).encode()
    return hashlib.blake2s(text, digest_size=3).hexdigest()
