"""The two calculators of the page Rules of thumb: their inputs, filled in and open to change."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import streamlit as st

from app_pages.frame import widgets
from app_pages.frame.text import escape, seconds
from collector.errors import BreakevenError
from estimator.rules.cases import (
    INPUT_SOURCES,
    InputSource,
    RuleCase,
    cores_inputs,
    throughput_inputs,
)
from estimator.rules.rules_of_thumb import (
    ADVICE,
    CORES_ASKS,
    THROUGHPUT_ASKS,
    WORKED_EXAMPLES,
    Ask,
    Comparison,
    CoresInputs,
    ThroughputInputs,
    advice,
    cores_rule,
    throughput_rule,
)

Inputs = TypeVar("Inputs", CoresInputs, ThroughputInputs)

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
    inputs = cores_inputs(case, source) if case is not None else None
    if inputs is None:
        inputs = WORKED_EXAMPLES[1].inputs
        if case is not None:
            st.caption("Data sheets do not tell these rates: its own worked example instead.")
    result = _answer(cores_rule, _changed(inputs, CORES_ASKS))
    st.caption(
        f"Constants in use: GPU {1e6 * inputs.gpu_core_ms:.3g} ns per element and core, CPU "
        f"{1e6 * inputs.cpu_ms:.3g} ns per element at factor 1. The calculator states neither."
    )
    return result


def throughput_form(case: RuleCase | None, source: InputSource) -> Comparison | None:
    """The second calculator. None where its inputs give no answer."""
    st.markdown("**Throughput rule** (second calculator)")
    inputs = throughput_inputs(case, source) if case is not None else None
    if inputs is None and case is not None:
        if not case.flop > 0.0:
            st.info("This operation has no arithmetic: a rule that counts FLOP says nothing of it.")
            return None
        st.caption("Data sheets do not tell these rates: type them in.")
    return _answer(throughput_rule, _changed(inputs or _NO_CASE, THROUGHPUT_ASKS))


def _changed(inputs: Inputs, asks: Mapping[str, Ask]) -> Inputs:
    """A field for each input; keys have a mark of what fills them, so another case fills anew."""
    mark = hashlib.blake2s(repr(inputs).encode(), digest_size=3).hexdigest()
    typed = {}
    for name, ask in asks.items():
        low, high = (_LEAST if ask.least > 0.0 else 0.0), min(ask.most, _MOST)
        start = min(max(float(f"{getattr(inputs, name):.6g}"), low), high)  # as the field shows it
        step = 0.05 if high == 1.0 else None
        key = f"rules_{name}_{mark}"
        typed[name] = widgets.number(ask.label, key, start, low, high, ask.help, step, "%.6g")
    return replace(inputs, **typed)


def _answer(rule: Callable[[Inputs], Comparison], inputs: Inputs) -> Comparison | None:
    try:
        result = rule(inputs)
        says = ADVICE[advice(result.speedup)][1]
    except BreakevenError as error:
        st.info(f"No answer: {escape(error)}")
        return None
    with st.container(horizontal=True):
        st.metric("It says", f"{result.speedup:,.3g}x", border=True)
        st.metric("CPU", seconds(result.cpu_s), border=True)
        st.metric("GPU with copies", seconds(result.gpu_total_s), border=True)
    st.caption(f"By the rule, {says}.")
    return result
