"""The best rates that each machine reached, beside those of its data sheets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app_pages.frame import datasheet, fleet_queries, shared, widgets
from app_pages.frame.shared import Source
from app_pages.frame.text import dtype_name, escape, is_known, params_text, si
from charts.ceilings import ceiling_bars

# Memory rates count from cells that move this much; the best one is marked where it moves less
# than so many times the processor's last-level cache.
LEAST_BYTES = 256e6
CACHES = 2.0
CPU_FACTS = ("family", "model_number", "last_level_cache_bytes")


def facts_by_id(source: Source, chosen: list[str]) -> dict[str, dict[str, Any]]:
    """Machine id -> what the data sheets are looked up by, for the machines of these names."""
    rows = source.machines[source.machines["name"].isin(chosen)]
    facts: dict[str, dict[str, Any]] = {
        str(row["machine_id"]): {str(key): value for key, value in row.items()}
        for row in rows.to_dict("records")
    }
    for run in source.measurements.runs:
        known = facts.get(str(run.machine.get("machine_id")))
        processor = run.machine.get("cpu")
        if known is not None and isinstance(processor, Mapping):
            known |= {key: processor.get(key) for key in CPU_FACTS}
    return facts


def matmul_frame(source: Source, chosen: list[str]) -> pd.DataFrame:
    """Best matrix product rates of the chosen machines beside the data sheet's."""
    facts = facts_by_id(source, chosen)
    frame = fleet_queries.matmul_ceilings(source.connection, list(facts))
    frame["machine"] = frame["machine_id"].map(source.names)
    precision = [dtype_name(*pair) for pair in zip(frame["dtype"], frame["math_mode"], strict=True)]
    frame["specified"] = [
        datasheet.peak_flop_per_s(facts[machine], device, name)
        for machine, device, name in zip(
            frame["machine_id"], frame["device"], precision, strict=True
        )
    ]
    frame["quantity"] = [
        f"{device} {name}" for device, name in zip(frame["device"], precision, strict=True)
    ]
    return with_detail(frame)


def cache_note(moved_bytes: float, facts: Mapping[str, Any]) -> str:
    """A warning where the best cell's data may have stayed in the processor's cache."""
    cache: Any = facts.get("last_level_cache_bytes")
    if is_known(cache) and moved_bytes < CACHES * cache:
        return f" (may lie in the {cache / 2**20:,.0f} MiB cache)"
    return ""


def bandwidth_frame(source: Source, chosen: list[str]) -> pd.DataFrame:
    """Best memory and bus rates of the chosen machines beside the data sheet's."""
    facts = facts_by_id(source, chosen)
    memory = fleet_queries.bandwidth_ceilings(source.connection, list(facts), LEAST_BYTES)
    memory["note"] = [
        cache_note(moved, facts[machine]) if device == "cpu" else ""
        for moved, machine, device in zip(
            memory["moved_bytes"], memory["machine_id"], memory["device"], strict=True
        )
    ]
    bus = fleet_queries.transfer_ceilings(source.connection, list(facts))
    memory["quantity"] = memory["device"] + " memory"
    bus["quantity"] = bus["case"].str.replace("_", " ")
    memory["specified"] = [
        datasheet.memory_bytes_per_s(facts[machine], device)
        for machine, device in zip(memory["machine_id"], memory["device"], strict=True)
    ]
    bus["specified"] = [datasheet.link_bytes_per_s(facts[one]) for one in bus["machine_id"]]
    frame = pd.concat([memory, bus], ignore_index=True)
    frame["machine"] = frame["machine_id"].map(source.names)
    return with_detail(frame)


def with_detail(frame: pd.DataFrame) -> pd.DataFrame:
    """Add which cell gave the best rate, as text."""
    notes = frame["note"].fillna("") if "note" in frame else [""] * len(frame)
    detail = [
        f"{backend} {case} {params_text(params)}{note}"
        for backend, case, params, note in zip(
            frame["backend"], frame["case"], frame["params"], notes, strict=True
        )
    ]
    return frame.assign(detail=detail).rename(columns={"rate": "measured"})


def show_ceilings(source: shared.Source, chosen: list[str]) -> None:
    """Two charts (arithmetic; memory and bus) and the table behind them."""
    st.subheader("How fast it gets at best", anchor=False)
    order = [name for name in source.machine_names if name in chosen]
    arithmetic, bandwidth = matmul_frame(source, chosen), bandwidth_frame(source, chosen)
    if arithmetic.empty and bandwidth.empty:
        st.info("No matrix product, element-wise operation or copy was measured here.")
        return
    left, right = st.columns(2)
    for column, frame, unit, title, name in (
        (left, arithmetic, "FLOP/s", "Arithmetic: matrix products", "ceilings-arithmetic"),
        (right, bandwidth, "B/s", "Memory and bus", "ceilings-memory"),
    ):
        with column:
            st.markdown(f"**{title}**")
            if frame.empty:
                st.caption("Not measured on the chosen machines.")
                continue
            fields = ["machine", "quantity", "measured", "specified", "detail"]
            widgets.chart(
                ceiling_bars,
                frame[fields],
                unit,
                order,
                alt=f"{title}: best measured rate and data sheet",
                name=name,
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
    facts = facts_by_id(source, order)
    sources = datasheet.sources(facts[source.machine_id(name)] for name in order)
    if not sources:
        st.caption("No data sheet matches these machines.")
        return
    with st.expander("Sources of the data sheet's values"):
        st.caption(
            "Dense rates, without sparsity; CPU arithmetic: all physical cores; CPU memory: the "
            "whole socket, of which a virtual machine has a share."
        )
        for line in sources:
            st.caption(escape(line))
