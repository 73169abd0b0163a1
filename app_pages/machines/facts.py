"""What a machine is: its fingerprint as a table, side by side with another's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app_pages.frame import queries, shared, widgets
from app_pages.frame.text import NO_VALUE, gibibytes, is_known

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
        last = max(runs, key=lambda run: str(run.run.get("started_at") or ""))
        for key, value in flatten(last.machine).items():
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
        only = widgets.toggle(
            "Only what differs",
            "machines_differs",
            help="Leave out the properties in which the two machines agree.",
        )
        if only:
            table = table[~table["Same"]]
        if table.empty:
            st.info("The two machines agree in every property. Switch off “Only what differs”.")
            return
    table.insert(0, "Property", table.index)
    widgets.table(
        table,
        columns={"Property": st.column_config.TextColumn(pinned=True)},
        alt="Fingerprint of the chosen machines",
    )
    st.caption("Read from the system and the driver at the machine's last run.")
