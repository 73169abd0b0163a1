"""What a table of costs rests on, as text for a terminal: dates, terms, what is unknown. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import pandas as pd

from estimator.cost_table import priced
from estimator.instance_costs import OWN
from estimator.rental_terms import OTHERS, TERM_WORDS, TERMS, RentalTerms
from estimator.report import WIDTH

_TERM_OPTIONS = {
    "billing_increment_s": "--increment",
    "minimum_billed_s": "--minimum",
    "start_up_s": "--start-up",
    "interruptions_per_h": "--interruptions",
    "storage_usd_per_gib_month": "--storage-price",
    "egress_usd_per_gib": "--egress-price",
}


def assumption_lines(
    table: pd.DataFrame,
    terms: Mapping[str, RentalTerms],
    given: Sequence[str],
    used: Sequence[str] = tuple(TERMS),
) -> list[str]:
    """What the rows rest on: dates of prices, the providers' terms with sources, what is unknown.

    ``given``: terms that the user set; ``used``: those that matter to this job.
    """
    able = priced(table)
    dates = sorted(set(able["as_of"]))
    paragraphs = [
        f"Prices: catalogue, {_span(dates)}. They change: check the provider's before you rent.",
        "Jobs run one on each GPU and share the host; a machine that is not filled is paid in "
        "full. Start-up counts as billed, which is pessimistic: providers begin to bill when the "
        "machine runs.",
    ]
    if (able["machines"] > 1).any():
        paragraphs.append(
            "Several machines: the time is the mean of the last one's; the spread of interruptions "
            "is approximated by a gamma distribution."
        )
    open_terms = [name for name in used if name not in given]
    found = [
        _terms_of(provider, known, open_terms)
        for provider in sorted(set(able["provider"]) - {OWN})
        if (known := terms.get(provider, terms.get(OTHERS))) is not None
    ]
    unknown = [
        f"{_NOT_KNOWN[name]} of {', '.join(who)}"
        for name in _NOT_KNOWN
        if name in open_terms and (who := _without(set(able["provider"]) - {OWN}, terms, name))
    ]
    if unknown:
        paragraphs.append(f"Not known and counted as 0: {'; '.join(unknown)}.")
    if any(found):
        options = ", ".join(_TERM_OPTIONS[name] for name in open_terms)
        paragraphs.append(f"Providers' terms; {options} set them, --no-terms leaves them out:")
        paragraphs += [text for text in found if text]
    lines = ["What this rests on:"]
    for paragraph in paragraphs:
        lines += textwrap.wrap(
            paragraph,
            WIDTH,
            initial_indent="- ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


_NOT_KNOWN = {
    "interruptions_per_h": "spot interruptions",
    "storage_usd_per_gib_month": "the price of storage",
    "egress_usd_per_gib": "the price of data out",
}


def _without(providers: set[str], terms: Mapping[str, RentalTerms], name: str) -> list[str]:
    """Providers of which nobody knows a figure."""
    known = {one: terms.get(one, terms.get(OTHERS)) for one in providers}
    return sorted(one for one, of in known.items() if of is None or getattr(of, name) is None)


def _terms_of(provider: str, known: RentalTerms, names: Sequence[str]) -> str:
    """One sentence: each figure with its source, once for figures of one source."""
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    figure_names: dict[tuple[str, str], str] = {}
    for name in names:
        value = getattr(known, name)
        if value is not None:
            where, _, what = known.source(name).partition(" : ")
            words = TERM_WORDS[name].format(value)
            group = where, known.as_of(name)
            figure_names[group] = name
            groups.setdefault(group, []).append((words, what))
    parts = []
    for (where, day), figures in groups.items():
        found = ", ".join(words for words, _ in figures)
        if known.borrowed(figure_names[where, day]):
            parts.append(f"{found} ({where})")
            continue
        details = "; ".join(what for _, what in figures if what)
        parts.append(
            f"{found} ({details}; {where}, {day})" if details else f"{found} ({where}, {day})"
        )
    return f"{provider}: {'; '.join(parts)}" if parts else ""


def _span(dates: Sequence[str]) -> str:
    dated = [day for day in dates if day != "undated"]
    parts = (
        [f"of {dated[0]}" if len(dated) == 1 else f"of {dated[0]} to {dated[-1]}"] if dated else []
    )
    if "undated" in dates:
        parts.append("some of them undated" if dated else "undated")
    return ", ".join(parts)
