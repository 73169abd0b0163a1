"""Tables and sentences of the page Cost, from the rows of ``instance_costs``. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd

from app_pages.cost.words import ALL, MARKETS, PROVIDERS, basis_name, dollars, instance_name
from app_pages.frame.text import is_known, seconds
from estimator.catalogue.instances import UNDATED, Instance
from estimator.cost.table import cheapest_in_time, fastest, mark_front

GPUS, CPUS = "any GPU", "no GPU"
#: More dots than this are no chart for people, and longer lists no choice.
MOST_DOTS = 200
MOST_CHOICES = 300
# Columns that are read row by row; all of a wide table's would cost many times as much.
_READ = [
    *("provider", "instance", "region", "market", "gpu", "gpu_count", "basis", "source"),
    *("wall_s_p50", "checkpoint_interval_s"),
]
Row: TypeAlias = Mapping[Any, Any]


@dataclass(frozen=True)
class Filters:
    """Which rows are looked at."""

    provider: str = ALL
    region: str = ALL
    processor: str = ALL
    one_each: bool = True


@dataclass(frozen=True, eq=False)
class Looked:
    """The rows that the filters leave, and what the page makes of them; only to be read.

    ``key`` tells them from all others; ``names`` are for select boxes, ``dots`` for the chart.
    """

    key: int
    priced: pd.DataFrame
    excluded: pd.DataFrame
    names: dict[str, str]
    dots: pd.DataFrame


def looked_at(
    key: int, table: pd.DataFrame, filters: Filters, instances: Sequence[Instance]
) -> Looked:
    """The rows of the filters, priced (with their own front) and excluded."""
    rows = of_filters(table, filters, instances)
    able = (rows["excluded"] == "").to_numpy()
    priced = mark_front(rows[able].reset_index(drop=True))
    return Looked(key, priced, rows[~able], choices(priced), front_frame(priced))


def processors(instances: Sequence[Instance]) -> list[str]:
    """Choices of the filter of processors: all, any GPU, no GPU, each GPU by name."""
    return [ALL, GPUS, CPUS, *sorted({one.hardware for one in instances if one.gpu_count})]


def of_filters(
    table: pd.DataFrame, filters: Filters, instances: Sequence[Instance]
) -> pd.DataFrame:
    """The rows that the filters let through; machines of one's own always are.

    ``one_each``: of each instance (and of each reason why it is excluded) the cheapest row, and
    the rows that an answer names: its cheapest price may be too late where a dearer one is not.
    """
    own = table["provider"] == "own"
    keep = pd.Series(True, index=table.index)
    if filters.provider != ALL:
        keep &= table["provider"] == filters.provider
    if filters.region != ALL:
        keep &= table["region"] == filters.region
    if filters.processor == GPUS:
        keep &= table["gpu_count"] > 0
    elif filters.processor == CPUS:
        keep &= table["gpu_count"] == 0
    elif filters.processor != ALL:
        with_it = {
            one.key for one in instances if one.gpu_count and one.hardware == filters.processor
        }
        keep &= table["key"].isin(with_it)
    rows = table[keep | own]
    if filters.one_each:
        rows = rows.sort_values("total_usd_p50", na_position="last", kind="stable")
        done = rows["excluded"] == ""
        best = rows[done].drop_duplicates(["provider", "instance"])
        # excluded in one region or market only: the priced row speaks for it
        spoken = set(zip(best["provider"], best["instance"], strict=True))
        rest = rows[~done].drop_duplicates(["provider", "instance"])
        alone = [
            pair not in spoken for pair in zip(rest["provider"], rest["instance"], strict=True)
        ]
        named = [row.name for row in (cheapest_in_time(rows), fastest(rows)) if row is not None]
        best = rows[rows.index.isin([*best.index, *named])]
        rows = pd.concat([best, rest[alone]])
    return rows.reset_index(drop=True)


def row_key(row: Row) -> str:
    """What tells a row from every other one of the table."""
    return f"{row['key']} {row['market']}"


def choices(priced: pd.DataFrame) -> dict[str, str]:
    """Row key -> name for people, the cheapest first, for select boxes."""
    columns = ["key", "market", "provider", "instance", "region"]
    rows = priced[columns].head(MOST_CHOICES).to_dict("records")
    return {row_key(row): instance_name(row) for row in rows}


def row_of(priced: pd.DataFrame, key: str) -> dict[Any, Any]:
    """The row with this key (``row_key``), which must be there."""
    found = (priced["key"] + " " + priced["market"] == key).to_numpy()
    return priced.iloc[int(found.argmax())].to_dict()


def table_frame(priced: pd.DataFrame, baseline: str = "") -> pd.DataFrame:
    """The table for people; columns without any value are left out."""
    rows = priced[_READ].to_dict("records")
    several = bool((priced["machines"] > 1).any())
    frame = pd.DataFrame(
        {
            "Instance": [
                f"{PROVIDERS.get(row['provider'], row['provider'])} {row['instance']}"
                for row in rows
            ],
            "Cost per job": priced["cost_usd_p50"].to_numpy(),
            "90 % from": priced["cost_usd_p5"].to_numpy(),
            "90 % to": priced["cost_usd_p95"].to_numpy(),
            "Time": [seconds(row["wall_s_p50"]) for row in rows],
            "Time (s)": priced["wall_s_p50"].to_numpy(),
            "GPU": [
                f"{int(row['gpu_count'])}x {row['gpu']}" if row["gpu_count"] else "none"
                for row in rows
            ],
            "Price": [MARKETS.get(row["market"], row["market"]) for row in rows],
            "Price per hour": priced["price_usd_per_h"].to_numpy(),
            "Basis": [basis_name(row) for row in rows],
            "On the front": priced["on_front"].to_numpy(),
            "In time": priced["meets_deadline"].to_numpy(),
            "In budget": priced["meets_budget"].to_numpy(),
            "Region": priced["region"].to_numpy(),
            "Machines": priced["machines"].to_numpy() if several else None,
            "GPUs used": _share(priced),
            "Interruptions": _above_zero(priced["expected_interruptions"]),
            "Checkpoint every": [
                seconds(row["checkpoint_interval_s"])
                if is_known(row["checkpoint_interval_s"])
                else None
                for row in rows
            ],
            "Energy (kWh)": priced["energy_kwh"].to_numpy(),
            "Measured on": priced["machine"].to_numpy(),
            "Library": priced["backend"].to_numpy(),
            "Price of": priced["as_of"].to_numpy(),
            "Price source": priced["source"].to_numpy(),
            "Assumed": priced["assumed"].to_numpy(),
            "Note": priced["note"].to_numpy(),
        }
    )
    if baseline:
        frame.insert(4, "Cost, x baseline", priced["cost_ratio"].to_numpy())
        frame.insert(7, "Time, x baseline", priced["time_ratio"].to_numpy())
        frame.insert(8, "Against the baseline", priced["verdict"].to_numpy())
    empty = [name for name in frame if frame[name].isna().all() or (frame[name] == "").all()]
    return frame.drop(columns=[name for name in empty if name != "Instance"])


def _share(priced: pd.DataFrame) -> Any:
    filled = bool((priced["share_used"] >= 1.0).all())
    return None if filled else (100 * priced["share_used"]).to_numpy()


def _above_zero(values: pd.Series[float]) -> Any:
    return values.to_numpy() if bool((values > 0).any()) else None


def front_frame(priced: pd.DataFrame) -> pd.DataFrame:
    """What the chart of time against cost reads, at most ``MOST_DOTS`` rows, the front always."""
    rows = priced.sort_values("on_front", ascending=False, kind="stable").head(MOST_DOTS)
    records = rows[_READ].to_dict("records")
    return pd.DataFrame(
        {
            "name": [instance_name(row) for row in records],
            "short": [str(row["instance"]) for row in records],
            "provider": [PROVIDERS.get(row["provider"], row["provider"]) for row in records],
            "job_s": rows["wall_s_p50"].to_numpy(),
            "job_low_s": rows["wall_s_p5"].to_numpy(),
            "job_high_s": rows["wall_s_p95"].to_numpy(),
            "cost_usd": rows["total_usd_p50"].to_numpy(),
            "cost_low_usd": rows["total_usd_p5"].to_numpy(),
            "cost_high_usd": rows["total_usd_p95"].to_numpy(),
            "basis": [basis_name(row) for row in records],
            "front": rows["on_front"].to_numpy(),
        }
    )


def price_dates(as_of: pd.Series[str]) -> str:
    """First and last date of the prices, and how many have none; plain text."""
    dated = sorted(set(as_of) - {UNDATED})
    undated = int((as_of == UNDATED).sum())
    parts = []
    if dated:
        parts.append(f"prices of {dated[0] if len(dated) == 1 else f'{dated[0]} to {dated[-1]}'}")
    if undated:
        parts.append(f"{undated} prices without a date")
    return ", ".join(parts)


def rental_text(row: Row) -> str:
    """How a row is rented: "spot, 0.05 interruptions per hour, checkpoint every 10 min"."""
    if row["provider"] == "own":
        return "purchase and electricity counted in"
    if row["market"] != "spot":
        parts = ["on demand"]
    else:
        rate = row["interruptions_per_h"]
        known = is_known(rate) and rate > 0
        parts = ["spot", f"{rate:.3g} interruptions per hour" if known else "interruptions unknown"]
        every = row["checkpoint_interval_s"]
        if is_known(every) and math.isfinite(every):
            parts.append(f"checkpoint every {seconds(every)}")
        elif known:
            parts.append("no checkpoints")
    if row["machines"] > 1:
        parts.append(f"{int(row['machines'])} machines")
    return ", ".join(parts)


_PARTS = {
    "part_steps_usd": "the steps",
    "part_start_usd": "start-up and set-up",
    "part_transfer_usd": "transfers",
    "part_interruptions_usd": "interruptions and checkpoints",
    "part_rounding_usd": "rounding up to what is billed",
    "part_storage_usd": "storage",
    "part_egress_usd": "data out",
}


def why_text(row: Row) -> str:
    """Price, time and the parts of the cost that are above 1 % of it; plain text."""
    total = row["total_usd_p50"]
    parts = {words: row[name] for name, words in _PARTS.items()}
    shares = {words: usd / total for words, usd in parts.items() if total > 0}
    large = sorted((item for item in shares.items() if item[1] >= 0.01), key=lambda item: -item[1])
    listed = ", ".join(f"{words} {100 * share:.0f} %" for words, share in large)
    billed = seconds(row["billed_s_p50"])
    text = f"{dollars(row['price_usd_per_h'])} per hour for {billed} billed"
    return f"{text}: {listed}" if listed else text
