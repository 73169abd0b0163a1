"""Which instances the page Cost prices: the shipped catalogue or an uploaded one, prices typed in,
and a machine of one's own. Nothing of it is stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from app_pages.cost.own import own_form
from app_pages.cost.words import PROVIDERS, TYPED
from app_pages.frame.text import escape
from app_pages.frame.uploads import MAX_CATALOGUE_BYTES, read_uploaded_catalogue
from collector.errors import BreakevenError, CatalogueError
from estimator.catalogue.instances import INSTANCES_PATH, Instance, read_instances
from estimator.catalogue.local import Catalogue, RefusedRow, catalogue_text
from estimator.cost.ownership import OwnMachine
from estimator.text import plural

MOST_EDITED = 500


@dataclass(frozen=True)
class Offer:
    """The instances as they are priced, and as they are timed (whatever their price)."""

    instances: tuple[Instance, ...]
    timed: tuple[Instance, ...]
    own: OwnMachine | None
    own_arguments: str
    file: str  # catalogue for the command line, "" for the shipped one


@st.cache_resource(max_entries=1, show_spinner=False)
def _shipped(stamp: float) -> tuple[Instance, ...]:
    """The priced instances; read again when the file changes."""
    return read_instances()


def shipped_instances() -> tuple[Instance, ...]:
    """The catalogue, or a message, and the page ends there."""
    try:
        return _shipped(INSTANCES_PATH.stat().st_mtime)
    except (BreakevenError, OSError) as error:
        st.error(f"The instance catalogue cannot be read: {escape(error)}")
        st.stop()


@st.cache_data(max_entries=2, show_spinner="Reading the catalogue", scope="session")
def _uploaded(data: bytes, name: str, provider: str) -> Catalogue:
    return read_uploaded_catalogue(data, name, provider)


def offer_form(machines: pd.DataFrame) -> Offer:
    """The expander with catalogue, prices and own machine; what is then on offer."""
    with st.expander("Your own machine, prices and catalogue"):
        own, own_arguments = own_form(machines)
        st.divider()
        base, name = _catalogue_form()
        edited = _price_form(base)
    mine = () if own is None else (own.instance(f"{datetime.now(UTC):%Y-%m-%d}"),)
    changed = edited != base
    file = "my-prices.csv" if changed else name
    return Offer((*mine, *edited), (*mine, *base), own, own_arguments, file)


def _catalogue_form() -> tuple[tuple[Instance, ...], str]:
    """The instances of an uploaded file, else the shipped ones, and the file's name."""
    st.markdown("**Another catalogue**")
    left, right = st.columns([3, 1])
    with left:
        file = st.file_uploader(
            "Catalogue (CSV of Breakeven, SkyPilot or gpuhunt)",
            type="csv",
            key="cost_upload",
            max_upload_size=max(1, MAX_CATALOGUE_BYTES // 2**20),
            help="Priced instead of the shipped catalogue, for this visit only; it is not stored.",
        )
    with right:
        provider = st.text_input(
            "Its provider",
            key="cost_upload_provider",
            bind="query-params",
            max_chars=40,
            placeholder="as the file says",
            help="For a file that does not name one, such as SkyPilot's: aws, gcp, azure, lambda.",
        )
    if file is None:
        _uploaded.clear()  # of this session; who removes a file means it
        return shipped_instances(), ""
    try:
        found = _uploaded(file.getvalue(), file.name, (provider or "").strip())
    except BreakevenError as error:
        st.error(f"The catalogue is not used: {escape(error)}")
        return shipped_instances(), ""
    _show_refused(found.refused, "of the file")
    for note in found.notes[:5]:
        st.caption(escape(note))
    if not found.instances:
        st.error("The catalogue is not used: it has no row that can be priced.")
        return shipped_instances(), ""
    st.caption(
        f"{plural(len(found.instances), 'instance')} of {escape(file.name)} "
        f"({escape(found.format)}) are priced instead of the shipped catalogue."
    )
    return found.instances, file.name


def _price_form(base: tuple[Instance, ...]) -> tuple[Instance, ...]:
    """The instances with the prices that were typed into the table."""
    st.markdown("**Your prices**")
    st.caption(
        "Type a price over one of these; the row is then marked *price typed in*. A price of zero, "
        "far out of its band, or a spot price above the one on demand is refused."
    )
    shown = base[:MOST_EDITED]
    if len(base) > len(shown):
        st.caption(f"The first {MOST_EDITED} of {len(base):,} rows can be changed here.")
    frame = _editor_frame(_key(shown), shown)
    entered = st.data_editor(
        frame,
        hide_index=True,
        num_rows="fixed",
        disabled=["Instance", "Region", "Price of"],
        column_config={
            name: st.column_config.NumberColumn(
                format="%.4f", min_value=0.0, help=f"USD per hour, {kind}"
            )
            for name, kind in (("On demand", "on demand"), ("Spot", "spot; empty: none"))
        },
        key=f"cost_prices_{_rows_digest(shown)}",  # other rows take none of these edits
        height=260,
        alt="Prices of the instances, which can be typed over",
    )
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    edited, refused = edited_instances(shown, frame, entered, today)
    _show_refused(refused, "typed in")
    if edited != shown:
        st.download_button(
            "Catalogue with your prices",
            data=lambda: catalogue_text((*edited, *base[len(shown) :])),
            file_name="my-prices.csv",
            mime="text/csv",
            key="cost_download_prices",
            help="For --instances on the command line, or to upload here again",
            on_click="ignore",
        )
    return (*edited, *base[len(shown) :])


def _rows_digest(instances: tuple[Instance, ...]) -> str:
    """Says which instance is in which row."""
    text = "\n".join(one.key for one in instances)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _key(instances: tuple[Instance, ...]) -> int:
    return hash(instances)


@st.cache_data(max_entries=4, show_spinner=False)
def _editor_frame(key: int, _instances: tuple[Instance, ...]) -> pd.DataFrame:
    return editor_frame(_instances)


def _show_refused(refused: tuple[RefusedRow, ...], where: str) -> None:
    if not refused:
        return
    listed = [f"row {one.row} {one.name}: {one.reason}" for one in refused[:3]]
    more = f" … and {len(refused) - 3} more." if len(refused) > 3 else ""
    st.warning(
        f"{plural(len(refused), 'row')} {where} refused; the rest stays. "
        + " ".join(f"{escape(line[:300])}." for line in listed)
        + more
    )


def provider_list(instances: tuple[Instance, ...]) -> list[str]:
    """Providers on offer, one's own machine left out."""
    return sorted({one.provider for one in instances} - {"own"}, key=lambda p: PROVIDERS.get(p, p))


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
