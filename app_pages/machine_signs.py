"""Was a machine quiet and unthrottled while it was measured? The figures behind the findings."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app_pages import fleet_queries, shared, widgets
from app_pages.drift import show_drift
from app_pages.text import reasons_text

STOLEN = "Most stolen, repeated cells"
_STOLEN_HELP = (
    "Largest share of processor time that the hypervisor took during one cell, first calls and "
    "the operation repeated for drift left out. `python -m collector check` counts those too and "
    "may name more"
)


def show_signs(source: shared.Source, chosen: list[str]) -> None:
    """Signs of disturbance per machine, then per workload."""
    st.subheader("Was it quiet and unthrottled?", anchor=False)
    ids = [source.machine_id(name) for name in chosen]
    frame = fleet_queries.health(source.connection, ids)
    if frame.empty:
        st.info("None of its cells has a time. The page Overview says why.")
        return
    percent = st.column_config.NumberColumn(format="%.1f %%")
    table = pd.DataFrame(
        {
            "Machine": frame["machine_id"].map(source.names),
            "Cells": frame["cells"],
            "Noisy": 100 * frame["noisy_share"],
            "Median spread": 100 * frame["median_spread"],
            STOLEN: 100 * frame["worst_steal"],
            "Preemptions": frame["involuntary_switches"],
            "Clock held down": 100 * frame["throttled_share"],
            "Hottest": frame["hottest_c"],
            "SM clock": frame["median_sm_clock_mhz"],
            "Highest power": frame["highest_power_w"],
        }
    ).dropna(axis="columns", how="all")
    widgets.table(
        table,
        columns={
            **dict.fromkeys(("Noisy", "Median spread"), percent),
            STOLEN: st.column_config.NumberColumn(format="%.1f %%", help=_STOLEN_HELP),
            "Clock held down": st.column_config.NumberColumn(
                format="%.1f %%",
                help="Cells on the GPU during which the driver named any reason for a lower "
                "clock, its power limit included",
            ),
            "Hottest": st.column_config.NumberColumn(format="%.0f °C"),
            "SM clock": st.column_config.NumberColumn(format="%.0f MHz", help="Median"),
            "Highest power": st.column_config.NumberColumn(format="%.0f W"),
        },
        alt="Noise, stolen time, throttling, temperature and clock per machine",
    )
    _show_reasons(source, ids, "throttle", "Reasons that the driver gave for a lower clock")
    _show_reasons(source, ids, "noise", "Why cells are flagged noisy")
    show_drift(source, chosen)
    noise = fleet_queries.noise_by_workload(source.connection, ids)
    with st.expander("Noise by workload"):
        widgets.table(
            pd.DataFrame(
                {
                    "Machine": noise["machine_id"].map(source.names),
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


def _show_reasons(source: shared.Source, ids: list[str], kind: str, title: str) -> None:
    reasons = fleet_queries.reasons(source.connection, ids, kind)
    if reasons.empty:
        return
    st.markdown(f"**{title}**")
    widgets.table(
        pd.DataFrame(
            {
                "Machine": reasons["machine_id"].map(source.names),
                "Reason": reasons["reason"].map(reasons_text),
                "Cells": reasons["cells"],
            }
        ),
        alt=f"{title}, with the number of cells",
    )
