"""Words and figures of the page Cost: money, names of instances, bases and markets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app_pages.frame.text import NO_VALUE, is_known
from estimator.text import basis_words
from estimator.text import dollars as dollars_text

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


def dollars(amount: Any) -> str:
    """US dollars for reading: cents from a dollar up, three digits below."""
    return dollars_text(float(amount), cents=True) if is_known(amount) else NO_VALUE


def basis_name(row: Mapping[Any, Any]) -> str:
    """How the time is known, and whether the price was typed in."""
    name = basis_words(str(row["basis"])).instance
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
