"""Rules of thumb: two public calculators beside the fitted estimate and the measurement."""

from __future__ import annotations

import hashlib
import math
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd
import streamlit as st

from app_pages.frame import shared, widgets
from app_pages.frame.text import dtype_name, escape, params_text, seconds
from app_pages.job.form import place_form
from app_pages.job.places import linked_texts, named_boxes
from app_pages.rules_of_thumb.evidence import rule_table, show_evidence
from collector.errors import BreakevenError
from collector.workloads import FAMILIES
from estimator.cells.defaults import DTYPE
from estimator.decide.places import PlaceQuestion
from estimator.rules.cases import RuleCase
from estimator.rules.report import ANSWERS, NAMES, answers, headline
from estimator.rules.rules_of_thumb import ADVICE, RULES, Rule, advice

_MOST = 1e18
_LEAST = 1e-12
OWN_CPU = "the GPU's own machine"

_METHODS = "\n\n".join(f"**{NAMES[rule.name]}**: {rule.method}" for rule in RULES)
METHOD = f"""
{_METHODS}

**Advice** by the first calculator: {"; ".join(says for _, says in ADVICE.values())}.

**Measured** is the median of the fastest library on each side, over the boxes of a machine type;
**estimated** the model's value with its 90 % interval, for the pair that Estimate compares too.
The efficiency that the second calculator guesses is fitted here: FLOP over the time without starts
and copies, over the data sheet's peak.
"""


@st.cache_data(max_entries=72, show_spinner="Comparing the rules with the measurements")
def of_model(fingerprint: str, function: str, _model: Any, *arguments: Any) -> Any:
    """What a function of the estimator says of the model."""
    return _model.apply(function, *arguments)


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
    names |= of_model(data.fingerprint, "estimator.decide.places:type_labels", model)
    options = [OWN_CPU, *names.values()]
    about = "A GPU's host is often a fast CPU; compare with another machine's here."
    with right:
        cpu_name = widgets.select("CPU of", options, "rules_cpu", OWN_CPU, help=about)
    cpu = next((key for key, name in names.items() if name == cpu_name), None)
    try:
        function = "estimator.rules.gaps:evidence"
        pairs, gaps, claims = of_model(data.fingerprint, function, model, mode, cpu, boxes)
    except BreakevenError as error:
        st.error(f"The rules cannot be compared: {escape(error)}")
        return
    case, pair = pick_case(data, model, pairs, names, mode, cpu)
    top = st.container()
    rules = []
    for column, rule in zip(st.columns(len(RULES)), RULES, strict=True):
        with column, st.container(border=True):
            rules.append(rule_form(rule, case))
    price = 0.0
    if case is not None:
        with top:
            line = st.container()
            about = "Five times in the second calculator's example. Cost: this over the speed-up."
            label = "Price of the GPU's hour over the CPU's"
            price = widgets.number(label, "rules_price", 5.0, 0.001, 10_000.0, about)
            found = answers(case, rules, price)
            words = headline(case, found, data.names).items()
            line.markdown(" ".join(f"**{label}:** {escape(text)}" for label, text in words))
            rule_table(found, ANSWERS, "Times and speed-up by measurement, model and both rules")
    show_evidence(pairs, gaps, claims, pair, names)
    if case is not None:
        show_command(pairs.loc[pair], mode, price, shared.data_argument(data))


def pick_case(
    data: shared.Source,
    model: Any,
    pairs: pd.DataFrame,
    names: dict[str, str],
    mode: str,
    cpu: str | None,
) -> tuple[RuleCase | None, Any]:
    """The chosen case, None where the model has none, and its index in ``pairs``.

    ``names``: machine type (or box) -> name. The default is the product of 3,000 in float32.
    """
    if pairs.empty:
        st.info(
            "No operation was measured both on this CPU and on a GPU where the data is as chosen: "
            "choose another, or type in figures below."
        )
        return None, None

    def case_of(row: pd.Series[Any], gpu: str | None, host: str | None) -> RuleCase:
        given = tuple(dict(row["params_key"]).items())
        operation = (row["workload"], row["case"], given, row["dtype"], row["math_mode"])
        question = PlaceQuestion(*operation, gpu_mode=mode)
        function = "estimator.rules.cases:rule_case"
        found: RuleCase = of_model(data.fingerprint, function, model, question, gpu, host)
        return found

    rows = pairs.to_dict("records")
    kept = pairs.assign(
        rules_workload=pairs["workload"],
        rules_case=[f"{row['case']} {params_text(given_params(row))}".rstrip() for row in rows],
        rules_dtype=[dtype_name(row["dtype"], row["math_mode"]) for row in rows],
        rules_machine=pairs["gpu_machine"].map(names),
    )
    counts = kept["rules_machine"].value_counts()
    both = "Measured on a CPU and on a GPU."
    tf32 = "tf32: the GPU multiplies float32 with fewer digits; the CPU's time is float32's."
    asked = (
        (widgets.select, "Workload", "rules_workload", "matmul", both),
        (widgets.select, "Measured case", "rules_case", "square n=3000", both),
        (widgets.choose, "Element type", "rules_dtype", DTYPE, tf32),
    )
    for place, (draw, label, key, default, about) in zip(st.columns(3), asked, strict=True):
        with place:
            picked = draw(label, list(dict.fromkeys(kept[key])), key, default, help=about)
            kept = kept[kept[key] == picked]
    try:  # the GPU that speaks for the operation where none is chosen, as on Estimate
        first = names.get(case_of(kept.iloc[0], None, cpu).gpu["machine_id"])
    except BreakevenError:
        first = None
    key = "rules_machine"
    options = sorted(kept[key].unique(), key=lambda name: (-counts[name], name))
    about = "Machine types that measured this case."
    picked = widgets.select("Machine of the GPU", options, key, first, help=about)
    row = kept[kept[key] == picked].iloc[0]
    try:
        return case_of(row, row["gpu_machine"], row["cpu_machine"]), row.name
    except BreakevenError as error:
        st.info(f"The model has no estimate of this case: {escape(error)}")
        return None, row.name


def rule_form(rule: type[Rule], case: RuleCase | None) -> Rule | None:
    """A calculator and its answer. None where its inputs give none."""
    st.markdown(f"**{NAMES[rule.name]}** ({rule.calculator})")
    inputs = asdict(RULES[rule])
    if case is not None:
        of_case = rule.inputs(case)
        if math.isnan(of_case.get("work_gflop", 0.0)):
            st.info("This operation has no arithmetic: a rule that counts FLOP says nothing of it.")
            return None
        if any(math.isnan(one) for one in of_case.values()):
            st.caption("Data sheets do not tell these rates: its own example, to type them over.")
        else:
            inputs = of_case
    # keys have a mark of what fills them, so another case fills anew
    mark = hashlib.blake2s(repr(inputs).encode(), digest_size=3).hexdigest()
    typed = {}
    for name, ask in rule.asks().items():
        low, high = (_LEAST if ask.least > 0.0 else 0.0), min(ask.most, _MOST)
        start = min(max(float(f"{inputs[name]:.6g}"), low), high)  # as the field shows it
        step = 0.05 if high == 1.0 else None
        key = f"rules_{name}_{mark}"
        typed[name] = widgets.number(ask.label, key, start, low, high, ask.help, step, "%.6g")
    try:
        result = rule(**typed)
        says = ADVICE[advice(result.speedup)][1]
    except BreakevenError as error:
        st.info(f"No answer: {escape(error)}")
        return None
    cpu_s, gpu_s, copies_s = result.times
    with st.container(horizontal=True):
        st.metric("It says", f"{result.speedup:,.3g}x", border=True)
        st.metric("CPU", seconds(cpu_s), border=True)
        st.metric("GPU with copies", seconds(gpu_s + copies_s), border=True)
    st.caption(f"By the rule, {says}.")
    return result


def given_params(pair: Mapping[Any, Any] | pd.Series[Any]) -> dict[str, int]:
    """The parameters that a person would give: of a square product n alone."""
    params = dict(pair["params_key"])
    family = FAMILIES.get(pair["workload"])
    names = params if family is None else family.signatures.get(pair["case"], params)
    return {name: value for name, value in params.items() if name in names}


def show_command(pair: pd.Series[Any], mode: str, price: float, data: str) -> None:
    """The command that prints the same; ``data``: the part that names the dataset."""
    params = "".join(f" --param {name}={value}" for name, value in given_params(pair).items())
    names = {
        **{"dtype": pair["dtype"], "mode": mode, "machine": pair["gpu_machine"]},
        **{"math-mode": pair["math_mode"], "cpu-machine": pair["cpu_machine"]},
        "price-ratio": f"{price:g}",
    }
    options = "".join(f" --{name} {shlex.quote(str(value))}" for name, value in names.items())
    widgets.command(
        f"python -m estimator rules {pair['workload']} --case {pair['case']}{params}{options} "
        f"--all{data}",
        "Typed-in figures have options of their own: `--efficiency`, ...",
    )
