"""The best rates that each machine reached, beside those of its data sheets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from app_pages import datasheet, fleet_queries
from app_pages.shared import Source
from app_pages.text import dtype_name, is_known, params_text

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
