"""The table of measured cells, and the same as files."""

from __future__ import annotations

import io

import pandas as pd
import streamlit as st

from app_pages import widgets
from app_pages.text import reasons_text, spreadsheet_safe, time_unit

#: Columns of the table that go where no row has a value.
OPTIONAL = ("Energy", "Noisy because", "Outliers", "95 % from", "95 % to", "Spread")
SPREADS = ("ci95_low_s", "ci95_high_s", "spread")


def is_first(frame: pd.DataFrame) -> pd.Series:
    """Which rows are first calls: one sample a run, no interval."""
    return frame["mode"] == "first_call"


def show_table(frame: pd.DataFrame, workload: str) -> None:
    """Table of the chosen cells, and the same as files."""
    st.subheader("Table", anchor=False)
    sure = ~is_first(frame)  # a first call is one sample: it has neither interval nor spread
    frame = frame.assign(**{name: frame[name].where(sure) for name in SPREADS})
    factor, unit = time_unit(frame["median_s"])
    energy, energy_unit = energy_column(frame["energy_j"])
    table = pd.DataFrame(
        {
            "Series": frame["series"],
            "Parameters": frame["params"],
            "Samples": frame["n"],
            f"Median ({unit})": frame["median_s"] * factor,
            f"95 % from ({unit})": frame["ci95_low_s"] * factor,
            f"95 % to ({unit})": frame["ci95_high_s"] * factor,
            "Spread": 100 * frame["spread"],
            f"Energy ({energy_unit})": energy,
            "Noisy": frame["noisy"],
            "Noisy because": frame["noise_reasons"].map(reasons_text),
            "Outliers": frame["outliers"],
            "Measured": frame["started_at"],
        }
    )
    absent = [name for name in OPTIONAL if table.filter(like=name).isna().all(axis=None)]
    table = table.drop(columns=[name for name in table if str(name).startswith(tuple(absent))])
    number = st.column_config.NumberColumn(format="%.4g")
    widgets.table(
        table,
        columns={
            **{name: number for name in table.columns if name.endswith(f"({unit})")},
            f"Energy ({energy_unit})": st.column_config.NumberColumn(
                format="%.4g", help="GPU energy of one call, from its energy counter"
            ),
            "Outliers": st.column_config.NumberColumn(
                help="Samples further than 14.8 median absolute deviations from the median"
            ),
            "Spread": st.column_config.NumberColumn(
                format="%.2g %%", help="Standard deviation of the samples over their mean"
            ),
            "Measured": st.column_config.DatetimeColumn(
                "Measured (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC"
            ),
        },
        alt="Measured cells with samples, median, interval and spread",
    )
    export = frame.drop(columns=["precision", "machine"]).rename(columns={"series": "series_name"})
    buffer = io.BytesIO()
    export.to_parquet(buffer, index=False)
    with st.container(horizontal=True):
        st.download_button(
            "Download CSV",
            spreadsheet_safe(export).to_csv(index=False).encode("utf-8"),
            file_name=f"breakeven-{workload}.csv",
            mime="text/csv",
            on_click="ignore",
        )
        st.download_button(
            "Download Parquet",
            buffer.getvalue(),
            file_name=f"breakeven-{workload}.parquet",
            mime="application/vnd.apache.parquet",
            on_click="ignore",
        )
    st.caption("Times in the files are in seconds. Text that a spreadsheet would run is quoted.")


def energy_column(joules: pd.Series) -> tuple[pd.Series, str]:
    """Energy in the unit that shows most values as figures of ordinary length."""
    values = joules.astype(float)
    middle = values.median()
    factor, unit = next(
        (
            (factor, unit)
            for limit, factor, unit in ((1e-4, 1e6, "µJ"), (0.1, 1e3, "mJ"))
            if middle < limit
        ),
        (1.0, "J"),
    )
    return values * factor, unit
