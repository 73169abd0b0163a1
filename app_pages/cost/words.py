"""Words and figures of the page Cost: money, names of instances, bases and markets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from app_pages.frame.text import NO_VALUE, is_known

ALL = "all"
MARKETS = {"on-demand": "on demand", "spot": "spot", "cheaper": "whichever is cheaper"}
PROVIDERS = {
    ALL: "all providers",
    "aws": "AWS",
    "azure": "Azure",
    "gcp": "GCP",
    "lambda": "Lambda",
    "own": "your own",
    "runpod": "RunPod",
}
TYPED = "price typed in"

# What the estimator's basis means for an instance that was not itself measured.
BASIS_NAMES = {
    "measured": "measured on the same GPU",
    "interpolated": "same GPU, between measured sizes",
    "extrapolated": "same GPU, beyond measured sizes",
    "new_workload": "same GPU, case not measured",
    "probed": "same GPU, through other machines",
    "from_specs": "estimated from data sheets",
}
#: Three words for a glance, as every figure of the pages says which of them it is.
BASIS_KINDS = {
    "measured": "measured",
    "interpolated": "estimated",
    "extrapolated": "estimated",
    "new_workload": "estimated",
    "probed": "estimated",
    "from_specs": "from data sheets",
}


def dollars(amount: Any) -> str:
    """US dollars for reading: cents from a dollar up, three digits below."""
    if not is_known(amount):
        return NO_VALUE
    value = float(amount)
    if value == 0.0 or abs(value) >= 1.0:
        return f"${value:,.0f}" if abs(value) >= 10_000 else f"${value:,.2f}"
    digits = max(2, 2 - math.floor(math.log10(abs(value))))
    return f"${value:.{digits}f}"


def basis_name(row: Mapping[Any, Any]) -> str:
    """How the time is known, and whether the price was typed in."""
    name = BASIS_NAMES.get(str(row["basis"]), str(row["basis"]))
    return f"{name}; {TYPED}" if row.get("source") == TYPED else name


def instance_name(row: Mapping[Any, Any], with_market: bool = True) -> str:
    """One instance for people; plain text, not Markdown."""
    provider = PROVIDERS.get(str(row["provider"]), str(row["provider"]))
    name = f"{provider} {row['instance']}"
    if row["provider"] != "own":
        name += f", {row['region']}"
        if with_market:
            name += f", {MARKETS.get(str(row['market']), row['market'])}"
    return name
