"""Prices typed over those of a catalogue: the table to type into, and what follows. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from app_pages.cost_words import PROVIDERS, TYPED
from collector.errors import CatalogueError
from estimator.catalogue import RefusedRow
from estimator.instances import Instance


def editor_frame(instances: Sequence[Instance]) -> pd.DataFrame:
    """The prices to type over, a row per instance."""
    return pd.DataFrame(
        {
            "Instance": [
                f"{PROVIDERS.get(one.provider, one.provider)} {one.instance}" for one in instances
            ],
            "Region": [one.region for one in instances],
            "On demand": [one.on_demand_usd_per_h for one in instances],
            "Spot": pd.array([one.spot_usd_per_h for one in instances], dtype="Float64"),
            "Price of": [one.as_of for one in instances],
        }
    )


def edited_instances(
    instances: tuple[Instance, ...], given: pd.DataFrame, entered: pd.DataFrame, today: str
) -> tuple[tuple[Instance, ...], tuple[RefusedRow, ...]]:
    """The instances with the prices of the rows that were changed, and the rows refused.

    A changed row's source is ``TYPED`` and its date ``today``; a refused one keeps its price.
    """
    prices = {name: entered[name].tolist() for name in ("On demand", "Spot")}
    before = {name: given[name].tolist() for name in ("On demand", "Spot")}
    result, refused = list(instances), []
    for i, instance in enumerate(instances):
        now = [_price(prices[name][i]) for name in ("On demand", "Spot")]
        if now == [_price(before[name][i]) for name in ("On demand", "Spot")]:
            continue
        on_demand, spot = now
        try:
            if on_demand is None:
                raise CatalogueError(f"{instance.key}: the price on demand is empty")
            result[i] = instance.with_price(on_demand, spot, today, TYPED)
        except CatalogueError as error:
            refused.append(RefusedRow(i + 1, instance.key, str(error)))
    return tuple(result), tuple(refused)


def _price(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
