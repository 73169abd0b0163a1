"""Does a GPU pay? The sentence, the figures, break-even, and renting the same machine twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import pandas as pd
import streamlit as st

from app_pages.frame import widgets
from app_pages.frame.text import escape, is_known, seconds
from app_pages.job.form import Job
from app_pages.job.pair_form import ABOUT
from charts.crossing import crossing_chart
from collector.workloads import get_workload
from estimator.decide.breakeven import Place
from estimator.decide.pairs import PairAnswer, fair_pair, faster_than, pair_speedup
from estimator.decide.places import PlaceQuestion
from estimator.decide.words import DATA_PLACES, OPENINGS, place_text
from estimator.text import basis_words, plural

Row: TypeAlias = "pd.Series[Any]"

AUTOMATIC = "Automatic"


@st.cache_data(max_entries=64, show_spinner="Comparing CPU and GPU")
def compare(
    fingerprint: str, question: PlaceQuestion, cpu: Place, gpu: Place, vary: str, _model: Any
) -> PairAnswer:
    """Speed-up, break-even and curves of two places."""
    found: PairAnswer = _model.apply(
        "estimator.decide.pairs:compare_places", question, cpu, gpu, vary
    )
    return found


def pick_options(found: pd.DataFrame) -> dict[str, str]:
    """Device -> the place that was picked for it by hand, "" for none."""
    picked = {}
    for column, title, device in zip(st.columns(2), ("CPU", "GPU"), ("cpu", "cuda"), strict=True):
        with column:
            option = widgets.select(
                title,
                [AUTOMATIC, *found.loc[found["device"] == device, "option"]],
                f"estimate_{title.lower()}",
                AUTOMATIC,
                help="Automatic: both sides of one machine, each through the library that is the "
                "fastest by estimate among those that measured this size or sizes about it. "
                "The fastest of all is the first in the table below.",
            )
        picked[device] = "" if option == AUTOMATIC else option
    return picked


def pair_of(found: pd.DataFrame, picked: Mapping[str, str]) -> tuple[Row, Row] | None:
    """The CPU and GPU place to compare: ``fair_pair`` of what was picked by hand, if anything.

    Automatic is a choice of its own: a job that changes gets its own pair, as the same link and
    the command ``pays`` give it. None where a side has no place.
    """
    for device, option in picked.items():
        if option:
            found = found[(found["device"] != device) | (found["option"] == option)]
    pair = fair_pair(found)
    return None if pair is None else (found.iloc[pair[0]], found.iloc[pair[1]])


def beside_text(pair: tuple[Row, Row] | None) -> str:
    """The same question with the data in the other place, for Markdown; "" without an answer."""
    if pair is None:
        return ""
    cpu, gpu = pair
    ratio = pair_speedup(cpu, gpu)
    return (
        f"With {DATA_PLACES[gpu['mode']]}: **{OPENINGS[ratio.verdict]}**, the GPU is "
        f"**{ratio.ratio_p50:,.3g}x** as fast ({ratio.ratio_p5:,.3g}x to {ratio.ratio_p95:,.3g}x "
        f"with 90 % confidence), {seconds(gpu['seconds_p50'])} through {escape(gpu['backend'])} on "
        f"{escape(gpu['machine'])} against {seconds(cpu['seconds_p50'])} through "
        f"{escape(cpu['backend'])}."
    )


def faster_text(found: pd.DataFrame, pair: tuple[Row, Row]) -> str:
    """Of each side one sentence where another place is faster by estimate, for Markdown."""
    texts = []
    for side, chosen in (("GPU", pair[1]), ("CPU", pair[0])):
        faster = faster_than(found, chosen)
        if faster is None:
            continue
        row = found.iloc[faster.at]
        where = "the same machine" if faster.same_machine else escape(row["machine"])
        doubt = basis_words(row["basis"]).short
        texts.append(
            f"By estimate another {side} place is faster: {escape(row['backend'])} on {where} "
            f"takes {seconds(row['seconds_p50'])}, {faster.ratio:.3g}x as fast ({escape(doubt)}; "
            f"fitted to {plural(int(row['n_fit']), 'measured cell')})."
        )
    return " ".join(texts)


def vary_form(job: Job) -> str:
    """The parameter along which the break-even size is sought; "" where there is none."""
    signature = [name for name, _ in job.given]
    if len(signature) < 2:
        return signature[0] if signature else ""
    return widgets.choose(
        "Parameter that grows",
        signature,
        f"estimate_vary_{job.case}",
        help="The break-even size is sought along it; the others stay as they are.",
    )


def places_of(cpu: Row, gpu: Row) -> tuple[Place, Place]:
    """The rows as the estimator names places."""
    return (
        Place(str(cpu["machine_id"]), str(cpu["backend"]), int(cpu["threads"])),
        Place(str(gpu["machine_id"]), str(gpu["backend"]), int(gpu["threads"]), str(gpu["mode"])),
    )


def sentence(job: Job, question: PlaceQuestion, pair: tuple[Row, Row], answer: PairAnswer) -> str:
    """The answer in words, for Markdown."""
    cpu, gpu = pair
    ratio = answer.speedup
    kind = "" if question.each_box else "on any machines of these types "
    shared = f" with one transfer for {question.reuse:,.0f} calls" if question.reuse > 1 else ""
    gpu_text, cpu_text = (escape(place_text(row, row["machine"])) for row in (gpu, cpu))
    text = (
        f"**{OPENINGS[ratio.verdict]}.** {escape(job.text)}{shared}: "
        f"{kind}the GPU is **{ratio.ratio_p50:,.3g}x** as fast ({ratio.ratio_p5:,.3g}x to "
        f"{ratio.ratio_p95:,.3g}x with 90 % confidence), {seconds(gpu['seconds_p50'])} by "
        f"{gpu_text}, against {seconds(cpu['seconds_p50'])} by {cpu_text}. "
        f"It is the faster one with a probability of {_probability(ratio.gpu_probability)}. "
        "Estimated"
    )
    measured = [row["measured_median_s"] for row in pair]
    if all(is_known(value) for value in measured):
        return text + (
            f"; measured: {seconds(measured[1])} against {seconds(measured[0])}, "
            f"{measured[0] / measured[1]:,.3g}x."
        )
    bases = dict.fromkeys(
        f"{side}: {basis_words(row['basis']).short}"
        for side, row in zip(("CPU", "GPU"), pair, strict=True)
    )
    return text + f" ({'; '.join(bases)})."


def show_figures(job: Job, answer: PairAnswer) -> None:
    """Four figures, and what the break-even is."""
    ratio, crossing = answer.speedup, answer.crossing
    with st.container(horizontal=True):
        st.metric("Verdict", OPENINGS[ratio.verdict], border=True)
        st.metric(
            "Speed-up of the GPU",
            f"{ratio.ratio_p50:,.3g}x",
            help=f"Estimated; 90 % interval {ratio.ratio_p5:,.3g}x to {ratio.ratio_p95:,.3g}x",
            border=True,
        )
        st.metric(
            "GPU is the faster one",
            _probability(ratio.gpu_probability),
            help="Probability, from the intervals of both times, errors taken as independent",
            border=True,
        )
        size = crossing.size if crossing else None
        st.metric(
            "Break-even size",
            "none" if size is None else f"{size:,}",
            help=f"From this size on the GPU is faster. This job has size {job.size:,}: "
            f"{get_workload(job.workload).size_meaning}.",
            border=True,
        )
    if answer.crossing_problem:
        st.caption(f"No break-even size: {escape(answer.crossing_problem)}.")
    elif crossing is not None:
        st.caption(_crossing_text(crossing) + f" This job has size {job.size:,}.")


def show_curves(job: Job, pair: tuple[Row, Row], answer: PairAnswer) -> None:
    """Both times over the size."""
    if answer.crossing is None or answer.curves.empty:
        return
    options = [str(row["shown"]) for row in pair]
    curves = answer.curves.assign(
        option=answer.curves["side"].map(dict(zip(("cpu", "gpu"), options, strict=True)))
    )
    widgets.chart(
        crossing_chart,
        curves.drop(columns="side"),
        options,
        "Size (log scale)",
        float(job.size),
        None if answer.crossing.size is None else float(answer.crossing.size),
        alt="Estimated time on the CPU and on the GPU over the size, with the break-even size",
        name="break-even",
    )
    st.caption(
        "Bands: 90 % intervals. Solid upright line: this job; dashed: break-even. "
        f"Size: {get_workload(job.workload).size_meaning}."
    )


def show_twice(pair: tuple[Row, Row], answer: PairAnswer) -> None:
    """What renting the same machine twice does to both times."""
    if not answer.twice:
        return
    with st.expander("What if the same machine is rented twice?"):
        rows: list[dict[str, Any]] = []
        for side, row in zip(("cpu", "gpu"), pair, strict=True):
            twice = answer.twice.get(side)
            if twice is None:
                continue
            basis = "measured" if twice.measured else "a general figure, not measured here"
            st.markdown(
                f"**{side.upper()}**, {escape(row['shown'])}: two machines of its type differ "
                f"by a factor of {twice.factor_p50:.3g} in half of the cases and of "
                f"{twice.factor_p90:.3g} in nine of ten ({basis})."
            )
            rows += [
                {"Side": side.upper(), "Machine": name, "Estimate (ms)": 1e3 * value}
                for name, value in twice.machines
            ]
        if rows:
            widgets.table(
                pd.DataFrame(rows),
                "Estimated time of this job on each measured machine of the types compared",
                {"Estimate (ms)": st.column_config.NumberColumn(format="%.4g")},
            )
        st.caption(
            f"Choose “{ABOUT['machine']}” above to see each box by itself; with "
            f"“{ABOUT['type']}” the intervals and the verdict have this difference in them."
        )


def _probability(value: float) -> str:
    if value > 0.999:
        return "over 99.9 %"
    if value < 0.001:
        return "under 0.1 %"
    return f"{100 * value:.3g} %"


def _crossing_text(crossing: Any) -> str:
    text = escape(crossing.reason[:1].upper() + crossing.reason[1:])
    if crossing.size is None:
        return f"No break-even: {escape(crossing.reason)}."
    bounds = [
        f"{bound:,}" if is_known(bound) else "open" for bound in (crossing.low, crossing.high)
    ]
    return f"{text}; estimated, 90 % interval of the break-even size {bounds[0]} to {bounds[1]}."
