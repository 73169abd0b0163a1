"""How each provider bills: increment, minimum charge, egress, storage, start-up, interruptions.

``data/rental_terms.csv`` holds one row per provider and figure, each with the date of its source
and the source. A figure for which no source was found has no row, and counts as unknown.

Reading is the only input/output here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from collector.errors import CatalogueError
from collector.shipped import shipped
from estimator.catalogue.csv_files import parse_number, read_rows

RENTAL_TERMS_PATH = shipped("rental_terms.csv")

# The largest plausible value of each figure; the smallest is 0.
TERMS = {
    "billing_increment_s": 3600.0,
    "minimum_billed_s": 86400.0,
    "start_up_s": 3600.0,
    "interruptions_per_h": 10.0,
    "storage_usd_per_gib_month": 1.0,
    "egress_usd_per_gib": 1.0,
}
UNDATED = "undated"
# Where one provider's figure is not known, the longest or dearest of the others' stands in for it,
# so that nobody looks cheaper for what is not known of it. OTHERS is any provider without a row.
_BORROWED = (
    *("billing_increment_s", "minimum_billed_s", "start_up_s"),
    *("storage_usd_per_gib_month", "egress_usd_per_gib"),
)
_BORROWED_SOURCE = "not known; the longest or dearest of the other providers'"
# A figure of each term in words.
TERM_WORDS = {
    "start_up_s": "start-up {:g} s",
    "billing_increment_s": "billed by {:g} s",
    "minimum_billed_s": "at least {:g} s",
    "interruptions_per_h": "{:.3g} interruptions per hour",
    "storage_usd_per_gib_month": "storage {:g} USD per GiB and month",
    "egress_usd_per_gib": "egress {:g} USD per GiB",
}
OTHERS = "any other provider"
_COLUMNS = ("provider", "term", "value", "as_of", "source")


@dataclass(frozen=True, slots=True)
class RentalTerms:
    """What one provider's price list says; None where no source was found."""

    provider: str
    billing_increment_s: float | None = None
    minimum_billed_s: float | None = None
    start_up_s: float | None = None
    interruptions_per_h: float | None = None
    storage_usd_per_gib_month: float | None = None
    egress_usd_per_gib: float | None = None
    sources: tuple[tuple[str, str, str], ...] = ()  # (term, date, source)

    def source(self, term: str) -> str:
        """Where the figure is from; empty if it is not known."""
        return next((source for name, _, source in self.sources if name == term), "")

    def borrowed(self, term: str) -> bool:
        """Whether the figure is not the provider's own but the most of the others'."""
        return self.source(term) == _BORROWED_SOURCE

    def as_of(self, term: str) -> str:
        """Date of that source, or "undated"; empty if the figure is not known."""
        return next((day for name, day, _ in self.sources if name == term), "")


def read_rental_terms(path: str | Path = RENTAL_TERMS_PATH) -> dict[str, RentalTerms]:
    """Provider -> its terms.

    Raises CatalogueError, naming file, row and reason, for: a file that cannot be read, a missing
    column, an empty provider, source or value, an unknown term, a value that is no number or out
    of bounds, a date that is neither ISO nor "undated", and a term that is given twice.
    """
    found: dict[str, dict[str, tuple[float, str, str]]] = {}
    for where, row in read_rows(path, _COLUMNS):
        provider, term = row["provider"], row["term"]
        for column in ("provider", "source", "value"):
            if not row[column]:
                raise CatalogueError(f"{where}: {column} is empty; leave the whole row out")
        if term not in TERMS:
            raise CatalogueError(f"{where}: unknown term {term!r}; one of {', '.join(TERMS)}")
        value = parse_number(where, row, "value", 0.0, TERMS[term])
        assert value is not None  # an empty value was refused above
        if not _is_date(row["as_of"]):
            raise CatalogueError(
                f"{where}: as_of is {row['as_of']!r}; give an ISO date (2026-07-30) or {UNDATED!r}"
            )
        known = found.setdefault(provider, {})
        if term in known:
            raise CatalogueError(f"{where}: repeats {term} of {provider}; keep one")
        known[term] = value, row["as_of"], row["source"]
    return {provider: _terms(provider, known) for provider, known in found.items()}


def _terms(provider: str, known: Mapping[str, tuple[float, str, str]]) -> RentalTerms:
    sources = tuple((term, day, source) for term, (_, day, source) in known.items())
    values = {term: value for term, (value, _, _) in known.items()}
    return RentalTerms(provider, **values, sources=sources)


def _is_date(text: str) -> bool:
    if text == UNDATED:
        return True
    try:
        return bool(re.fullmatch(r"\d{4}-\d{2}-\d{2}", text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


def filled_terms(known: Mapping[str, RentalTerms]) -> dict[str, RentalTerms]:
    """The same terms, and for what is not known of one provider the most of the others'.

    That holds for start-up, increment, minimum charge, storage and egress; interruptions stay
    unknown. Adds the provider :data:`OTHERS`, which stands for all that have no row.
    """
    longest = {
        term: max(values)
        for term in _BORROWED
        if (values := [v for one in known.values() if (v := getattr(one, term)) is not None])
    }
    filled = {}
    for one in (*known.values(), RentalTerms(OTHERS)):
        missing: dict[str, Any] = {
            term: value for term, value in longest.items() if getattr(one, term) is None
        }
        sources = tuple((term, UNDATED, _BORROWED_SOURCE) for term in missing)
        filled[one.provider] = replace(one, **missing, sources=(*one.sources, *sources))
    return filled


@lru_cache(maxsize=1)
def all_rental_terms() -> Mapping[str, RentalTerms]:
    """The terms that ship with Breakeven, by provider, as :func:`filled_terms` fills them."""
    return filled_terms(read_rental_terms())
