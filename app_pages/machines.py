"""Machines: what each one is, how fast it gets at best, and whether it was quiet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app_pages import datasheet, health_queries, queries, shared, widgets
from app_pages.ceilings import LEAST_BYTES, bandwidth_frame, facts_by_id, matmul_frame
from app_pages.drift import show_drift
from app_pages.text import NO_VALUE, escape, gibibytes, is_known, reasons_text, si
from charts.ceilings import ceiling_bars

NOBODY = "no comparison"
METHOD = f"""
**Measured ceilings** are the best rate that any cell of the dataset reached: matrix products for
arithmetic; element-wise operations, sums and device copies that move at least
{LEAST_BYTES / 1e6:.0f} MB for memory; copies for the bus. The rate is the counted work over the
measured median, so an operation that moves more bytes than it must shows a lower rate.

**Data sheet** values come from `data/hardware.csv`, each with its source; a ceiling that the
measurement does not reach is normal, one that it passes points at a wrong match.

**Health.** *Noisy*: the interval of the median stayed wider than its target, or the samples
spread by more than 10 %, or another sign of disturbance was seen; the reasons stand below.
*Stolen*: share of processor time that the hypervisor gave to others.
*Throttled*: the driver named a reason to lower the clock while the cell ran. *Drift*: one
operation is repeated along each run; a machine that holds its speed shows a flat line.
"""


# What the table says in its own words, or what only tells machines apart.
SAID_OTHERWISE = {
    *("machine_id", "label", "memory_bytes", "instance_type", "library_versions"),
    *("cpu.model", "cpu.physical_cores", "cpu.logical_cores"),
    *("gpu.model", "gpu.count", "gpu.memory_bytes", "gpu.driver", "gpu.cuda", "gpu.uuid_hash"),
}


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested fingerprint as text: ``gpu.pcie_width`` -> ``gpu pcie width``."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        if path in SAID_OTHERWISE or value is None or value in ("", [], (), {}):
            continue
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{path}.")
        elif key.endswith("_bytes") and is_known(value):
            name = path.removesuffix("_bytes")
            flat[_words(name)] = f"{value / 2**20:,.0f} MiB"
        elif isinstance(value, (list, tuple)):
            flat[_words(path)] = ", ".join(str(entry) for entry in value)
        else:
            flat[_words(path)] = str(value)
    return flat


def _words(path: str) -> str:
    return path.replace(".", " ").replace("_", " ")


def fingerprint(source: shared.Source, name: str) -> dict[str, str]:
    """Facts about a machine from its latest run: first the main ones, then all the rest."""
    row = source.machine(name)
    facts = {
        "processor": row["cpu_model"],
        "physical cores": row["physical_cores"],
        "logical cores": row["logical_cores"],
        "memory": gibibytes(row["memory_bytes"]),
        "GPU": row["gpu_model"],
        "GPUs": row["gpu_count"],
        "GPU memory": gibibytes(row["gpu_memory_bytes"]),
        "GPU driver": row["driver"],
        "CUDA of the driver": row["cuda"],
        "instance type": row["instance_type"],
        "machine id": row["machine_id"],
    }
    known = {key: str(value) for key, value in facts.items() if not _absent(value)}
    if not known.get("GPU"):
        for key in ("GPU", "GPUs", "GPU memory"):
            known.pop(key, None)
    for library, version in sorted(queries.libraries(source.connection, row["machine_id"]).items()):
        known[f"library: {library}"] = version
    runs = [
        run
        for run in source.measurements.runs
        if run.machine.get("machine_id") == row["machine_id"]
    ]
    if runs:
        for key, value in flatten(runs[-1].machine).items():
            known.setdefault(key, value)
    return known


def _absent(value: Any) -> bool:
    return value is None or value == "" or (not isinstance(value, str) and bool(pd.isna(value)))


def show_fingerprints(source: shared.Source, chosen: list[str]) -> None:
    """One column per machine; with two, a column that says whether they agree."""
    st.subheader("What it is", anchor=False)
    columns = {name: fingerprint(source, name) for name in chosen}
    keys = list(dict.fromkeys(key for facts in columns.values() for key in facts))
    table = pd.DataFrame(
        {name: [facts.get(key, NO_VALUE) for key in keys] for name, facts in columns.items()},
        index=keys,
    )
    if len(chosen) == 2:
        table["Same"] = table[chosen[0]] == table[chosen[1]]
        only = st.toggle("Only what differs", key="machines_differs", bind="query-params")
        if only:
            table = table[~table["Same"]]
    table.insert(0, "Property", table.index)
    widgets.table(
        table,
        columns={"Property": st.column_config.TextColumn(pinned=True)},
        alt="Fingerprint of the chosen machines",
    )


def show_ceilings(source: shared.Source, chosen: list[str]) -> None:
    """Two charts (arithmetic; memory and bus) and the table behind them."""
    st.subheader("How fast it gets at best", anchor=False)
    order = [name for name in source.machine_names if name in chosen]
    arithmetic, bandwidth = matmul_frame(source, chosen), bandwidth_frame(source, chosen)
    if arithmetic.empty and bandwidth.empty:
        st.info("No matrix product, element-wise operation or copy was measured here.")
        return
    left, right = st.columns(2)
    for column, frame, unit, name in (
        (left, arithmetic, "FLOP/s", "Arithmetic: matrix products"),
        (right, bandwidth, "B/s", "Memory and bus"),
    ):
        with column:
            st.markdown(f"**{name}**")
            if frame.empty:
                st.caption("Not measured on the chosen machines.")
                continue
            fields = ["machine", "quantity", "measured", "specified", "detail"]
            st.altair_chart(
                ceiling_bars(frame[fields], unit, order),
                alt=f"{name}: best measured rate and data sheet",
            )
    st.caption("Dot: best measured rate; upright stroke: data sheet, where one is known.")
    table = pd.concat([arithmetic.assign(unit="FLOP/s"), bandwidth.assign(unit="B/s")])
    rows = pd.DataFrame(
        {
            "Machine": table["machine"],
            "Quantity": table["quantity"],
            "Measured best": [
                si(rate, unit) for rate, unit in zip(table["measured"], table["unit"], strict=True)
            ],
            "Data sheet": [
                si(rate, unit) for rate, unit in zip(table["specified"], table["unit"], strict=True)
            ],
            "Reached": 100 * table["measured"] / table["specified"],
            "Best cell": table["detail"],
            "Cells": table["cells"],
        }
    )
    if table["specified"].isna().all():
        rows = rows.drop(columns=["Data sheet", "Reached"])
    widgets.table(
        rows,
        columns={"Reached": st.column_config.NumberColumn(format="%.0f %%")},
        alt="Best measured rates beside the data sheet",
    )
    facts = facts_by_id(source)
    sources = datasheet.sources(facts[source.machine_id(name)] for name in order)
    if sources:
        st.caption(
            "Data sheets (dense rates, without sparsity; CPU arithmetic: all physical cores; CPU "
            "memory: the whole socket, of which a virtual machine has a share):"
        )
        for line in sources:
            st.caption(escape(line))
    else:
        st.caption("No data sheet matches these machines.")


def show_health(source: shared.Source, chosen: list[str]) -> None:
    """Signs of disturbance per machine, then per workload."""
    st.subheader("Was it quiet and unthrottled?", anchor=False)
    frame = health_queries.health(source.connection)
    frame["machine"] = frame["machine_id"].map(source.names)
    frame = frame[frame["machine"].isin(chosen)]
    percent = st.column_config.NumberColumn(format="%.1f %%")
    table = pd.DataFrame(
        {
            "Machine": frame["machine"],
            "Cells": frame["cells"],
            "Noisy": 100 * frame["noisy_share"],
            "Median spread": 100 * frame["median_spread"],
            "Worst stolen": 100 * frame["worst_steal"],
            "Preemptions": frame["involuntary_switches"],
            "Throttled": 100 * frame["throttled_share"],
            "Hottest": frame["hottest_c"],
            "SM clock": frame["median_sm_clock_mhz"],
            "Highest power": frame["highest_power_w"],
        }
    ).dropna(axis="columns", how="all")
    widgets.table(
        table,
        columns={
            **dict.fromkeys(("Noisy", "Median spread", "Worst stolen", "Throttled"), percent),
            "Hottest": st.column_config.NumberColumn(format="%.0f °C"),
            "SM clock": st.column_config.NumberColumn(format="%.0f MHz", help="Median"),
            "Highest power": st.column_config.NumberColumn(format="%.0f W"),
        },
        alt="Noise, stolen time, throttling, temperature and clock per machine",
    )
    reasons = health_queries.throttling(source.connection)
    _show_reasons(source, reasons, chosen, "Reasons that the driver gave for a lower clock")
    reasons = health_queries.noise_reasons(source.connection)
    reasons["reason"] = reasons["reason"].map(reasons_text)
    _show_reasons(source, reasons, chosen, "Why cells are flagged noisy")
    show_drift(source, chosen)
    noise = health_queries.noise_by_workload(source.connection)
    noise["Machine"] = noise["machine_id"].map(source.names)
    noise = noise[noise["Machine"].isin(chosen)]
    with st.expander("Noise by workload"):
        widgets.table(
            pd.DataFrame(
                {
                    "Machine": noise["Machine"],
                    "Workload": noise["workload"],
                    "Device": noise["device"],
                    "Cells": noise["cells"],
                    "Noisy": 100 * noise["noisy_share"],
                    "Median spread": 100 * noise["median_spread"],
                }
            ),
            columns={"Noisy": percent, "Median spread": percent},
            alt="Share of noisy cells per workload",
        )


def _show_reasons(
    source: shared.Source, reasons: pd.DataFrame, chosen: list[str], title: str
) -> None:
    reasons = reasons.assign(Machine=reasons["machine_id"].map(source.names))
    reasons = reasons[reasons["Machine"].isin(chosen)]
    if reasons.empty:
        return
    st.markdown(f"**{title}**")
    widgets.table(
        reasons[["Machine", "reason", "cells"]].rename(columns=str.capitalize),
        alt=f"{title}, with the number of cells",
    )


source = shared.open_dataset()
shared.header("Machines", "What is it, how fast does it get, and was it quiet?", METHOD)
shared.provenance(source, "rates are measured unless the column says data sheet")
names = source.machine_names
left, right = st.columns(2)
with left:
    machine = widgets.select("Machine", names, "machines_first")
with right:
    others = [NOBODY, *[name for name in names if name != machine]]
    other = widgets.select("Compare with", others, "machines_second", NOBODY)
picked = [machine] if other == NOBODY else [machine, other]
show_fingerprints(source, picked)
show_ceilings(source, picked)
show_health(source, picked)
