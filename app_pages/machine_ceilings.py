"""How fast a machine gets at best, beside its data sheets: charts and table."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app_pages import datasheet, shared, widgets
from app_pages.ceilings import bandwidth_frame, facts_by_id, matmul_frame
from app_pages.text import escape, si
from charts.ceilings import ceiling_bars


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
