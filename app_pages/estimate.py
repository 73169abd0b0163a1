"""Estimate: the time of one operation on each measured machine, and whether a GPU pays."""

from __future__ import annotations

import shlex
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import streamlit as st

from app_pages import shared, widgets
from app_pages.job_form import Job, job_form
from app_pages.places import THREADS, estimates, places
from app_pages.text import BASIS_NAMES, escape, is_known, seconds, time_unit, with_params
from charts.crossing import crossing_chart
from charts.estimate_intervals import estimate_intervals
from charts.parts import PARTS, part_shares
from collector.errors import BreakevenError
from collector.workloads import get_workload
from collector.workloads.base import LARGEST_PARAMETER
from estimator import Place

Row: TypeAlias = "pd.Series[Any]"
Pair: TypeAlias = tuple[Row, Row]

CURVE_POINTS = 61
CURVE_REACH = 16.0

METHOD = """
**Estimates** come from the model that is fitted to the measurements: launch cost plus arithmetic
and memory time, plus copies over the bus. The interval holds the truth in about 90 of 100 cases;
the page *Model* shows how that was checked.

**Basis.** *This cell was measured*: the dot is still the model's value, and the diamond beside it
is the measured median. *Between measured sizes*, *beyond measured sizes*, *case not measured
here*: further and further from a measurement, with a wider interval.

**Speed-up** is CPU time over GPU time; its interval takes the two errors as independent. The
verdict names a side only if the whole interval lies on it. **Break-even size** is where the two
times are equal; below it the CPU is faster.
"""

VERDICTS = {"gpu": "GPU is faster", "cpu": "CPU is faster", "unclear": "Too close to call"}


def show_estimates(found: pd.DataFrame, machine_names: list[str]) -> None:
    """Chart and table of all places."""
    st.subheader("Time on each machine", anchor=False)
    options = list(found["option"])
    used = [name for name in machine_names if name in set(found["machine"])]
    fields = [
        "option",
        "machine",
        "seconds_p5",
        "seconds_p50",
        "seconds_p95",
        "measured_median_s",
        "basis",
    ]
    shown = found.assign(basis=found["basis"].map(lambda basis: BASIS_NAMES.get(basis, basis)))
    st.altair_chart(
        estimate_intervals(shown[fields], options, used),
        alt=f"Estimated time with 90 % interval for {len(options)} places",
    )
    factor, unit = time_unit(found["seconds_p50"])
    table = pd.DataFrame(
        {
            "Option": shown["option"],
            f"Estimate ({unit})": shown["seconds_p50"] * factor,
            f"90 % from ({unit})": shown["seconds_p5"] * factor,
            f"90 % to ({unit})": shown["seconds_p95"] * factor,
            f"Measured ({unit})": shown["measured_median_s"] * factor,
            "Samples": shown["measured_n"].where(shown["measured_median_s"].notna()),
            "Limited by": shown["bound"],
            "Basis": shown["basis"],
            "Fitted to": shown["n_fit"],
        }
    )
    number = st.column_config.NumberColumn(format="%.4g")
    widgets.table(
        table,
        columns={
            **{name: number for name in table.columns if name.endswith(f"({unit})")},
            "Samples": st.column_config.NumberColumn(help="Samples behind the measured median"),
            "Fitted to": st.column_config.NumberColumn(help="Measured cells behind the estimate"),
        },
        alt="Estimate, interval and measurement for each place",
    )
    measured = int(found["measured_median_s"].notna().sum())
    st.caption(
        "Dot: the model's estimate; bar: its 90 % interval; diamond: measured median. "
        f"{measured} of {len(found)} places measured this very cell."
    )


def show_parts(found: pd.DataFrame) -> None:
    """Where the time goes."""
    st.subheader("Where the time goes", anchor=False)
    columns = [f"{part}_s" for part in PARTS]
    long = found.melt(
        id_vars=["option", "seconds_p50"], value_vars=columns, var_name="part", value_name="seconds"
    )
    long["part"] = long["part"].str.removesuffix("_s")
    long["part_order"] = long["part"].map({part: index for index, part in enumerate(PARTS)})
    long["share"] = long["seconds"] / long["seconds_p50"]
    st.altair_chart(
        part_shares(long, list(found["option"])),
        alt="Share of launch, compute, memory and transfer in each estimate",
    )
    st.caption(
        "Shares of the estimate: launch = fixed cost of a call, compute and memory = the "
        "operation, transfer = copies between host and GPU."
    )


def pick_pair(found: pd.DataFrame) -> Pair | None:
    """The CPU and GPU place to compare; the fastest of each unless chosen otherwise."""
    sides = [list(found.loc[found["device"] == device, "option"]) for device in ("cpu", "cuda")]
    if not all(sides):
        return None
    left, right = st.columns(2)
    with left:
        cpu = widgets.select("CPU", sides[0], "estimate_cpu")
    with right:
        gpu = widgets.select("GPU", sides[1], "estimate_gpu")
    options = list(found["option"])
    return found.iloc[options.index(cpu)], found.iloc[options.index(gpu)]


def break_even(model: Any, job: Job, cpu: Row, gpu: Row, vary: str) -> Any:
    """The model's break-even size along one parameter; the others stay as they are."""
    fixed = {name: value for name, value in job.given if name != vary}
    return model.breakeven_size(
        job.workload,
        job.case,
        job.dtype,
        Place(str(cpu["machine_id"]), str(cpu["backend"]), int(cpu["threads"])),
        Place(str(gpu["machine_id"]), str(gpu["backend"]), mode=job.gpu_mode),
        params=fixed,
        vary=vary,
        math_mode=job.math_mode,
    )


def curves(model: Any, job: Job, pair: Pair, vary: str, values: list[int]) -> pd.DataFrame:
    """The model's times of both places over one parameter."""
    workload = get_workload(job.workload)
    jobs = [job.with_value(vary, value) for value in values]
    frames: list[pd.DataFrame] = []
    for place in pair:
        columns = [
            "machine_id",
            "workload",
            "case",
            "dtype",
            "math_mode",
            "backend",
            "device",
            "threads",
            "mode",
        ]
        question = pd.DataFrame([place[columns]] * len(jobs)).reset_index(drop=True)
        question = with_params(question, [dict(one.params) for one in jobs])
        answer = model.predict(question)[["seconds_p5", "seconds_p50", "seconds_p95"]]
        answer["size"] = [workload.size(one.case, dict(one.params)) for one in jobs]
        frames.append(answer.assign(option=place["option"]))
    return pd.concat(frames, ignore_index=True)


def show_comparison(model: Any, job: Job, found: pd.DataFrame) -> None:
    """Speed-up, verdict, break-even size and the two curves."""
    st.subheader("Does the GPU pay?", anchor=False)
    pair = pick_pair(found)
    if pair is None and not any(
        device == "cpu" for _, device in get_workload(job.workload).support
    ):
        st.info("This operation exists on a GPU only, so there is no CPU to compare with.")
        return
    if pair is None:
        st.info(
            "A comparison needs this workload measured on a CPU and on a GPU with this element "
            "type. Choose another element type, or add a machine with a GPU to the data."
        )
        return
    cpu, gpu = pair
    signature = [name for name, _ in job.given]
    vary = signature[0] if signature else ""
    if len(signature) > 1:
        vary = widgets.choose("Parameter that grows", signature, f"estimate_vary_{job.case}")
    try:
        ratio = model.speedup(cpu, gpu)
        crossing = break_even(model, job, cpu, gpu, vary) if vary else None
    except BreakevenError as error:
        st.info(f"These two cannot be compared: {escape(error)}")
        return
    with st.container(horizontal=True):
        st.metric("Verdict", VERDICTS[ratio.verdict], border=True)
        st.metric(
            "Speed-up of the GPU",
            f"{ratio.ratio_p50:,.3g}x",
            help=f"90 % interval {ratio.ratio_p5:,.3g}x to {ratio.ratio_p95:,.3g}x",
            border=True,
        )
        size = crossing.size if crossing else None
        st.metric("Break-even size", "none" if size is None else f"{size:,}", border=True)
        st.metric("Size of this job", f"{job.size:,}", border=True)
    st.caption(
        f"Estimated. Speed-up {ratio.ratio_p5:,.3g}x to {ratio.ratio_p95:,.3g}x with 90 % "
        f"confidence: {escape(cpu['option'])} takes {seconds(cpu['seconds_p50'])}, "
        f"{escape(gpu['option'])} takes {seconds(gpu['seconds_p50'])}. "
        + (_crossing_text(crossing) if crossing else "")
    )
    if crossing is None:
        return
    value = dict(job.given)[vary]
    ends = [value] if crossing.value is None else [value, crossing.value]
    steps = np.geomspace(
        max(1.0, min(ends) / CURVE_REACH),
        min(LARGEST_PARAMETER, max(ends) * CURVE_REACH),
        CURVE_POINTS,
    )
    values = sorted({round(step) for step in steps})
    st.altair_chart(
        crossing_chart(
            curves(model, job, pair, vary, values),
            [str(cpu["option"]), str(gpu["option"])],
            "Size (log scale)",
            float(job.size),
            None if crossing.size is None else float(crossing.size),
        ),
        alt="Estimated time on the CPU and on the GPU over the size, with the break-even size",
    )
    st.caption(
        "Bands: 90 % intervals. Solid upright line: this job; dashed: break-even. "
        f"Size: {get_workload(job.workload).size_meaning}."
    )


def _crossing_text(crossing: Any) -> str:
    text = escape(crossing.reason[:1].upper() + crossing.reason[1:])
    if crossing.size is None:
        return f"No break-even: {escape(crossing.reason)}."
    bounds = [
        f"{bound:,}" if is_known(bound) else "open" for bound in (crossing.low, crossing.high)
    ]
    return f"{text}; 90 % interval of the break-even size {bounds[0]} to {bounds[1]}."


def show_commands(source: shared.Source, job: Job, found: pd.DataFrame) -> None:
    """The command lines that give the same numbers."""
    with st.expander("The same on the command line"):
        best = found.groupby("device", sort=False).head(1)
        lines = []
        for row in best.to_dict("records"):
            line = (
                f"python -m estimator predict {job.command_arguments()} "
                f"--backend {shlex.quote(row['backend'])} --device {shlex.quote(row['device'])} "
                f"--machine {shlex.quote(row['machine_id'])} --mode {row['mode']}"
            )
            if row["math_mode"] != "ieee":
                line += f" --math-mode {row['math_mode']}"
            if row["device"] == "cpu":
                line += f" --threads {int(row['threads'])}"
            line += shared.data_argument(source)
            lines.append(line)
        st.code("\n".join(lines), language="bash", wrap_lines=True)


source = shared.open_dataset()
shared.header("Estimate", "How long does it take on each machine, and does a GPU pay?", METHOD)
shared.provenance(source, "estimates come from a model fitted to these measurements")
model = shared.open_model(source)
job = job_form(model.groups)
threads = widgets.choose("CPU threads", list(THREADS), "estimate_threads", names=THREADS)
found, refused = estimates(model, places(model.groups, job, source.names, threads))
if found.empty:
    st.info("No measured machine can answer this. Choose another element type or workload.")
    for option, reason in refused:
        st.text(f"{option}: {reason}")
    st.stop()
show_comparison(model, job, found)
show_estimates(found, source.machine_names)
show_parts(found)
if refused:
    with st.expander(f"{shared.plural(len(refused), 'place')} could not be estimated"):
        widgets.table(
            pd.DataFrame(refused, columns=["Option", "Reason"]),
            alt="Places without an estimate and the reason",
        )
show_commands(source, job, found)
