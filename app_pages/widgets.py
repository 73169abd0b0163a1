"""Widgets whose state lives in the URL, and tables, as every page uses them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from app_pages.text import NO_VALUE, escape, spreadsheet_safe


def select(
    label: str,
    options: list[str],
    key: str,
    default: str | None = None,
    names: dict[str, str] | None = None,
    help: str | None = None,
) -> str:
    """A select box kept in the URL. It shows raw text, so strings from a dataset are safe in it.

    A value that is not among the options (an old link, a forged one) becomes the default.
    """
    first = default if default in options else options[0]
    shown = names or {}
    picked = st.selectbox(
        label,
        options,
        index=options.index(first),
        format_func=lambda option: shown.get(option, option),
        key=key,
        bind="query-params",
        help=help,
    )
    return picked if picked in options else first


def choose(
    label: str,
    options: list[str],
    key: str,
    default: str | None = None,
    names: dict[str, str] | None = None,
    help: str | None = None,
) -> str:
    """One of a few words: pills up to five, else a select box; kept in the URL.

    Pills render Markdown: ``names`` are the page's own words, other options are escaped.
    """
    if len(options) > 5:
        return select(label, options, key, default, names, help)
    first = default if default in options else options[0]
    shown = names or {}
    picked = st.pills(
        label,
        options,
        default=first,
        required=True,
        format_func=lambda option: shown.get(option) or escape(option),
        key=key,
        bind="query-params",
        help=help,
        wrap=True,
    )
    return picked if picked in options else first


def table(frame: pd.DataFrame, alt: str, columns: dict[str, Any] | None = None) -> None:
    """A table without an index; a dash stands where there is no value.

    Its toolbar offers a CSV file, so text that a spreadsheet would run is made harmless here too.
    """
    frame = spreadsheet_safe(frame)
    st.dataframe(frame, hide_index=True, column_config=columns, placeholder=NO_VALUE, alt=alt)
