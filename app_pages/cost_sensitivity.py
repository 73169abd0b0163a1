"""What the chart of the sensitivity reads, and what the model calls an instance. Pure."""

from __future__ import annotations

import pandas as pd

from app_pages.cost_tables import Row
from app_pages.cost_words import instance_name
from charts.sensitivity import ENDS
from estimator.hardware import CpuSpec, shipped_hardware
from estimator.instances import Instance
from estimator.machine_facts import cpu_name


def instance_of_key(instance: Instance) -> str:
    """The name under which the model knows the instance's processor."""
    if instance.gpu_count:
        return instance.hardware
    spec = next((one for one in shipped_hardware() if one.name == instance.hardware), None)
    if not isinstance(spec, CpuSpec):
        return instance.hardware
    return cpu_name(spec, max(1, instance.vcpu // (spec.vcpus_per_core or 1)))


_INPUTS = {
    "price": "Price per hour",
    "seconds_per_step": "Time of a step",
    "start_up_s": "Start-up",
    "interruptions_per_h": "Interruptions per hour",
    "jobs": "Number of jobs",
}


def sensitivity_frame(table: pd.DataFrame, cheapest: str) -> pd.DataFrame:
    """Two rows an input (lower, higher) for the chart, the widest first.

    ``cheapest`` is the row key of the base case's winner, the cheapest in time. Inputs that
    change neither the cost nor the winner are left out.
    """
    width = (table[["low_usd", "high_usd"]].sub(table["base_usd"], axis=0)).abs().max(axis=1)
    moved = table[(width > 1e-6 * table["base_usd"]) | table["changes"].astype(bool)]
    width = width[moved.index]
    rows = []
    for row in moved.loc[width.sort_values(ascending=False).index].to_dict("records"):
        for side, end in zip(("low", "high"), ENDS, strict=True):
            rows.append(
                {
                    "input": _INPUTS.get(row["input"], row["input"]),
                    "end": end,
                    "direction": "lower" if side == "low" else "higher",
                    "usd": row[f"{side}_usd"],
                    "base_usd": row["base_usd"],
                    "winner": _winner(row, side),
                    "changes": f"{row[f'{side}_key']} {row[f'{side}_market']}" != cheapest,
                }
            )
    return pd.DataFrame(rows)


def _winner(row: Row, side: str) -> str:
    provider, _, rest = str(row[f"{side}_key"]).partition("/")
    instance, _, region = rest.rpartition("/")
    named = {"provider": provider, "instance": instance, "region": region}
    return instance_name(named | {"market": row[f"{side}_market"]})
