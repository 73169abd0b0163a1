"""The table of measured cells, and the same as files."""

from __future__ import annotations

import io
import re
from functools import partial

import pandas as pd
import streamlit as st

from app_pages.frame import widgets
from app_pages.frame.text import reasons_text, spreadsheet_safe, time_unit
from app_pages.measurements.cells import is_first

#: Columns of the table that go where no row has a value.
OPTIONAL = ("Energy", "Noisy because", "Outliers", "95 % from", "95 % to", "Spread")
SPREADS = ("ci95_low_s", "ci95_high_s", "spread")


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
    export = frame.drop(columns=["precision", "machine", "place"])
    export = export.rename(columns={"series": "series_name"})
    with st.container(horizontal=True):
        st.download_button(
            "Download CSV",
            partial(csv_of, export),
            file_name=f"breakeven-{_word(workload)}.csv",
            mime="text/csv",
            on_click="ignore",
            help="The cells of the table with all their columns",
        )
        st.download_button(
            "Download Parquet",
            partial(parquet_of, export),
            file_name=f"breakeven-{_word(workload)}.parquet",
            mime="application/vnd.apache.parquet",
            on_click="ignore",
            help="The same with types kept",
        )
    st.caption("Times in the files are in seconds. Text that a spreadsheet would run is quoted.")


def csv_of(frame: pd.DataFrame) -> bytes:
    """The frame as CSV in which no text is a spreadsheet's formula."""
    return spreadsheet_safe(frame).to_csv(index=False).encode("utf-8")


def parquet_of(frame: pd.DataFrame) -> bytes:
    """The frame as a Parquet file."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _word(name: str) -> str:
    """Fit for a file's name, whatever a dataset calls a family."""
    return re.sub(r"[^a-z0-9_]+", "-", name.lower())[:40] or "cells"


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
