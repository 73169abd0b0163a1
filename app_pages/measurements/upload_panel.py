"""Look at a run without storing it: what a file holds, beside a machine of the dataset."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app_pages.frame import fleet_queries, shared, widgets
from app_pages.frame.text import MODE_NAMES, dtype_name, escape, gibibytes, params_text, time_unit
from app_pages.frame.uploads import MAX_RUN_BYTES, UploadedRun, read_uploaded_run
from charts.peer_shifts import peer_shifts
from collector.errors import DatasetError
from estimator.health.peers import KIND_NAMES
from estimator.text import plural

#: Cells listed in a table; the file of the table has as many.
MOST_LISTED = 500
_COLUMNS = (
    *("cell_id", "workload", "case", "params", "dtype", "math_mode", "backend", "device"),
    *("threads", "mode", "status", "n", "median_s", "ci95_low_s", "ci95_high_s", "noisy"),
)
_HOST_MODES = ("resident", "end_to_end")
_NOTHING = "nothing"


@st.cache_data(max_entries=2, show_spinner="Reading the file", scope="session")
def _read(data: bytes, name: str) -> tuple[dict[str, str], pd.DataFrame, dict[str, int]]:
    run = read_uploaded_run(data, name)
    return facts_of(run), cells_of(run), statuses_of(run)


def facts_of(run: UploadedRun) -> dict[str, str]:
    """What the file says of its machine and its run; text of a stranger."""
    cpu, gpu = (part if isinstance(part, dict) else {} for part in map(run.machine.get, _PARTS))
    found = {
        "file": run.name,
        "machine": run.machine.get("label"),
        "processor": cpu.get("model"),
        "physical cores": cpu.get("physical_cores"),
        "memory": _gibibytes(run.machine.get("memory_bytes")),
        "GPU": gpu.get("model"),
        "GPUs": gpu.get("count"),
        "GPU driver": gpu.get("driver"),
        "suite": run.run.get("suite"),
        "started (UTC)": run.run.get("started_at"),
        "collector": run.run.get("collector_version"),
        "run": run.run.get("run_id"),
        "rows": len(run.table),
    }
    return {name: str(value)[:200] for name, value in found.items() if value not in (None, "")}


_PARTS = ("cpu", "gpu")


def _gibibytes(value: Any) -> str | None:
    return gibibytes(value) if isinstance(value, int | float) else None


def statuses_of(run: UploadedRun) -> dict[str, int]:
    """Rows by status, the most frequent first."""
    counts = run.table["status"].to_pandas().fillna("unknown").value_counts()
    return {str(name)[:40]: int(count) for name, count in counts.head(12).items()}


def cells_of(run: UploadedRun) -> pd.DataFrame:
    """One row per cell with a time; first calls and the anchor are left out.

    Columns: cell_id, workload, case, params (text), precision, backend, device, threads, mode,
    median_s, ci95_low_s, ci95_high_s, n, noisy.
    """
    frame = run.table.select(list(_COLUMNS)).to_pandas(maps_as_pydicts="lossy")
    named = frame[["cell_id", "workload", "case", "dtype", "backend", "device", "mode"]]
    times = frame["median_s"].astype(float)
    kept = (
        (frame["status"] == "ok").to_numpy()
        & named.notna().all(axis=1).to_numpy()
        & (np.isfinite(times) & (times > 0)).to_numpy()
        & ~frame["mode"].isin(["first_call"]).to_numpy()
        & ~frame["workload"].isin(["anchor"]).to_numpy()
    )
    frame = frame[kept]
    if frame.empty:
        return pd.DataFrame(columns=[*_COLUMNS, "precision"])
    frame = frame.assign(
        precision=[
            dtype_name(*pair) for pair in zip(frame["dtype"], frame["math_mode"], strict=True)
        ],
        params=frame["params"].map(params_text),
        low=frame["ci95_low_s"].fillna(frame["median_s"]),
        high=frame["ci95_high_s"].fillna(frame["median_s"]),
    )
    groups = frame.groupby("cell_id", sort=False)
    firsts = groups[
        ["workload", "case", "params", "precision", "backend", "device", "threads", "mode"]
    ].first()
    cells: pd.DataFrame = firsts.assign(
        median_s=groups["median_s"].median(),
        ci95_low_s=groups["low"].min(),
        ci95_high_s=groups["high"].max(),
        n=groups["n"].sum(),
        noisy=groups["noisy"].max(),
    ).reset_index()
    return cells


def ratios(own: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Cells that both have, with ``ratio`` = own time over the other's, and its ends.

    ``own`` as ``cells_of`` gives it; ``other``: cell_id, median_s, ci95_low_s, ci95_high_s.
    """
    joined = own.merge(other, on="cell_id", suffixes=("", "_other"))
    return joined.assign(
        ratio=joined["median_s"] / joined["median_s_other"],
        ratio_low=joined["ci95_low_s"] / joined["ci95_high_s_other"],
        ratio_high=joined["ci95_high_s"] / joined["ci95_low_s_other"],
    )


def by_family(joined: pd.DataFrame) -> pd.DataFrame:
    """Rows for ``charts.peer_shifts``: median and quartiles of the ratio by kind and family."""
    kinds = np.where(
        joined["device"] == "cpu",
        KIND_NAMES["cpu"],
        np.where(
            joined["mode"].isin(_HOST_MODES), KIND_NAMES["gpu host"], KIND_NAMES["gpu kernel"]
        ),
    )
    groups = joined.assign(kind=kinds).groupby(["kind", "workload"])["ratio"]
    table = groups.quantile(np.array([0.25, 0.5, 0.75])).unstack()
    frame = pd.DataFrame(
        {
            "row": [f"{workload}, {kind}" for kind, workload in table.index],
            "kind": [kind for kind, _ in table.index],
            "percent": 100 * (table[0.5].to_numpy() - 1),
            "low": 100 * (table[0.25].to_numpy() - 1),
            "high": 100 * (table[0.75].to_numpy() - 1),
            "peers_low": np.nan,
            "peers_high": np.nan,
            "cells": groups.size().to_numpy(),
            "peers": 1,
        }
    )
    return frame.sort_values(["kind", "percent"], ascending=[True, False], ignore_index=True)


def show_upload(source: shared.Source) -> None:
    """The panel: nothing of the file is written, and no other page sees it."""
    st.subheader("Look at a run without storing it", anchor="upload")
    uploaded = st.file_uploader(
        "A run's Parquet file",
        type=["parquet"],
        key="upload_run",
        max_upload_size=max(1, MAX_RUN_BYTES // 2**20),
        help="It is read in memory, shown to you only, and forgotten when you remove it or close "
        "the dashboard. Nothing is written to disk, and no page counts it.",
    )
    if uploaded is None:
        _read.clear()  # of this session
        st.caption(
            "The file that `python -m collector run` writes. It is neither stored nor added to "
            "the dataset."
        )
        return
    try:
        facts, cells, statuses = _read(uploaded.getvalue(), uploaded.name)
    except DatasetError as error:
        st.error(f"The file cannot be shown: {escape(error)}")
        return
    said = [f"{count:,} {name.replace('_', ' ')}" for name, count in statuses.items()]
    widgets.table(
        pd.DataFrame({"Property": list(facts), "The file says": list(facts.values())}),
        alt="What the uploaded file says of its machine and run",
    )
    st.caption(f"Rows by status: {escape(', '.join(said))}. Nothing of this is stored.")
    if cells.empty:
        st.info("No row of the file has a time, so that there is nothing to compare.")
        return
    _show_cells(cells)
    _show_comparison(source, cells, facts)
    widgets.command(
        "python -m collector compare data/runs/MACHINE uploaded.parquet",
        "Tells differences from run-to-run spread, cell by cell; MACHINE is a directory.",
    )


def _show_cells(cells: pd.DataFrame) -> None:
    factor, unit = time_unit(cells["median_s"])
    shown = cells.head(MOST_LISTED)
    with st.expander(f"Its cells ({len(shown):,} of {len(cells):,})"):
        widgets.table(
            pd.DataFrame(
                {
                    **_names(shown),
                    "Samples": shown["n"],
                    f"Median ({unit})": shown["median_s"] * factor,
                    f"95 % from ({unit})": shown["ci95_low_s"] * factor,
                    f"95 % to ({unit})": shown["ci95_high_s"] * factor,
                    "Noisy": shown["noisy"],
                }
            ),
            alt="Measured cells of the uploaded run",
        )


def _names(cells: pd.DataFrame) -> dict[str, Any]:
    """Columns that say what a cell is."""
    return {
        "Workload": cells["workload"],
        "Case": cells["case"],
        "Parameters": cells["params"],
        "Element type": cells["precision"],
        "Library": cells["backend"],
        "Device": cells["device"],
        "Threads": cells["threads"],
        "Timed": cells["mode"].map(lambda mode: MODE_NAMES.get(mode, mode)),
    }


def _show_comparison(source: shared.Source, cells: pd.DataFrame, facts: dict[str, str]) -> None:
    alike = source.machines[source.machines["gpu_model"].fillna("") == facts.get("GPU", "")]
    options = [_NOTHING, *source.machine_names]
    other = widgets.select(
        "Compare with",
        options,
        "upload_other",
        str(alike["name"].iloc[0]) if len(alike) else options[-1],
        help="A machine of the dataset; the file's times are divided by its times, cell by cell.",
    )
    if other == _NOTHING:
        return
    joined = ratios(cells, fleet_queries.times_of(source.connection, source.machine_id(other)))
    if joined.empty:
        st.info(
            "The file and this machine have no cell in common. Choose another machine, or "
            "measure the same suite on both."
        )
        return
    middle = float(joined["ratio"].median())
    slower = "longer" if middle >= 1 else "shorter"
    st.markdown(
        f"Over {plural(len(joined), 'cell')} that both measured, the file's times are "
        f"**{abs(100 * (middle - 1)):.1f} % {slower}** than those of {escape(other)} (median)."
    )
    frame = by_family(joined)
    widgets.chart(
        peer_shifts,
        frame,
        [name for name in KIND_NAMES.values() if name in set(frame["kind"])],
        against="the other machine",
        alt=f"Ratio of times by family, {len(frame)} groups of cells",
        name="uploaded-ratio",
    )
    st.caption(
        "Measured on both. Dot: median over cells; line: half of them. Right of 0 is slower."
    )
    order = np.abs(np.log(joined["ratio"])).sort_values(ascending=False).index
    shown = joined.loc[order].head(MOST_LISTED)
    widgets.table(
        pd.DataFrame(
            {
                **_names(shown),
                "Ratio": shown["ratio"],
                "At least": shown["ratio_low"],
                "At most": shown["ratio_high"],
            }
        ),
        alt="Ratio of times cell by cell, the largest difference first",
        columns={
            name: st.column_config.NumberColumn(format="%.3g", help=text)
            for name, text in (
                ("Ratio", "The file's median over the machine's"),
                ("At least", "Low end of its interval over the high end of the machine's"),
                ("At most", "High end of its interval over the low end of the machine's"),
            )
        },
    )
    if len(joined) > len(shown):
        st.caption(f"The {len(shown):,} largest differences of {len(joined):,}.")
