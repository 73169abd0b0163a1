"""The pages of the dashboard: their addresses, titles and order, and the links between them.

A page is the folder of its address, whose ``page.page`` draws it; it is imported when it is opened,
so that the first paint waits for no other.
"""

from __future__ import annotations

from importlib import import_module

import streamlit as st
from streamlit.navigation.page import StreamlitPage

#: Address -> title and what the page shows, in the order of the menu.
PAGES = {
    "overview": ("Overview", "What was measured, on which machines, when, and what failed."),
    "machines": (
        "Machines",
        "What each machine is, how fast it gets at best, and whether it was quiet.",
    ),
    "measurements": (
        "Measurements",
        "Time against size with its spread, ratios of two series, raw samples, export.",
    ),
    "model": ("Model", "How far the fitted model is from what was measured, and its parameters."),
    "estimate": (
        "Estimate",
        "The time of one operation on each measured machine, and whether a GPU pays.",
    ),
    "cost": ("Cost", "The price of one completed job on each cloud instance."),
    "rules-of-thumb": (
        "Rules of thumb",
        "What two public calculators promise, beside the estimate and the measurement.",
    ),
}


def module_of(address: str) -> str:
    """The module that draws the page at an address."""
    return f"app_pages.{address.replace('-', '_')}.page"


def page_at(address: str, default: bool = False) -> StreamlitPage:
    """The page at an address, as Streamlit registers and links it; made anew in each run."""
    title, shows = PAGES[address]

    def draw() -> None:
        import_module(module_of(address)).page()

    return st.Page(draw, title=title, url_path=address, default=default, help=shows)


def navigate(first: str = "overview") -> StreamlitPage:
    """Register all pages in the menu; returns the one that is open, ``first`` at the root."""
    pages = [page_at(address, address == first) for address in PAGES]
    return st.navigation(pages, position="top")


def link(address: str, label: str) -> None:
    """A link to another page."""
    st.page_link(page_at(address), label=label)
