"""Controls whose state lives in the URL, charts and tables, as every page uses them.

What a link says that no control could say (an unknown word, a number out of bounds, no number at
all) counts as not said: the control has its default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa
import streamlit as st

from app_pages.frame.prepared import digest
from app_pages.frame.text import NO_VALUE, escape, spreadsheet_safe
from charts.look import Look, vega_config
from charts.spec import ChartSpec, build_spec
from charts.svg import to_svg

Number = TypeVar("Number", int, float)

_SPECS_KEPT = 64
_TABLES_KEPT = 64
_NOT_ARROW = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError)
_FILE_WORD = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def select(
    label: str,
    options: list[str],
    key: str,
    default: str | None = None,
    names: dict[str, str] | None = None,
    help: str | None = None,
) -> str:
    """A select box. It shows raw text, so strings from a dataset are safe in it."""
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
    """One of a few words: pills up to five, else a select box.

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


def number(
    label: str,
    key: str,
    default: Number,
    low: Number,
    high: Number,
    help: str,
    step: Number | None = None,
    format: str | None = None,
) -> Number:
    """A number within [``low``, ``high``]: whole if ``default`` is an int, else a float.

    ``format`` is a printf pattern, such as ``%.4f``. All numbers must be of one type.
    """
    draw = partial(
        st.number_input,
        label,
        min_value=low,
        max_value=high,
        value=default,
        step=step,
        format=format,
        help=help,
    )
    try:
        entered = draw(key=key, bind="query-params")
    except OverflowError:  # Streamlit 1.67 fails on a link that gives a whole number as 1e999
        entered = draw(key=f"{key}_unbound")
    value = default if entered is None else type(default)(entered)
    return value if low <= value <= high else default


def toggle(label: str, key: str, default: bool = False, help: str | None = None) -> bool:
    """A switch."""
    return bool(st.toggle(label, value=default, key=key, bind="query-params", help=help))


def chart(builder: Callable[..., Any], *args: Any, alt: str, name: str, **kwargs: Any) -> None:
    """The Altair chart that ``builder(*args, **kwargs)`` makes, with an SVG file to download.

        widgets.chart(parity_chart, frame, "workload", used, alt="...", name="parity")

    ``builder`` is a module-level function of ``charts`` that reads nothing but its arguments.
    It runs only when they differ from before, so pages pass it small tables with the columns
    that it reads. ``alt`` describes the chart to who cannot see it; ``name`` (lower case, unique
    on the page) makes the file's name. PNG and the data are in the chart's own toolbar.
    """
    if not _FILE_WORD.fullmatch(name):
        raise ValueError(f"a chart's name is lower-case words with hyphens, not {name!r}")
    drawn = _spec(f"{builder.__module__}.{builder.__qualname__}", builder, args, kwargs)
    with st.container(gap=None):
        st.vega_lite_chart(spec={**drawn.spec, "datasets": dict(drawn.tables)}, alt=alt)
        with st.container(horizontal=True, horizontal_alignment="right"):
            st.download_button(
                "SVG",
                data=partial(_svg, drawn, alt),
                file_name=f"breakeven-{name}.svg",
                mime="image/svg+xml",
                key=f"svg_{name}",
                help="This chart as a vector image, for a document",
                on_click="ignore",
                type="tertiary",
                icon=":material/download:",
            )


def table(frame: pd.DataFrame, alt: str, columns: dict[str, Any] | None = None) -> None:
    """A table without an index; a dash stands where there is no value.

    Its toolbar offers a CSV file, so text that a spreadsheet would run is made harmless here too.
    """
    st.dataframe(
        _safe(frame), hide_index=True, column_config=columns, placeholder=NO_VALUE, alt=alt
    )


def pick_row(
    frame: pd.DataFrame,
    alt: str,
    key: str,
    picked: Callable[[int], None],
    columns: dict[str, Any] | None = None,
) -> None:
    """A table in which one row can be marked; ``picked`` gets its number before the page reruns."""

    def on_select() -> None:
        rows = st.session_state[key].selection.rows
        if rows and rows[0] < len(frame):
            picked(int(rows[0]))

    st.dataframe(
        spreadsheet_safe(frame),
        hide_index=True,
        column_config=columns,
        placeholder=NO_VALUE,
        alt=alt,
        key=key,
        on_select=on_select,
        selection_mode="single-row",
    )


def command(lines: str | Sequence[str], note: str = "") -> None:
    """An expander with the command lines that give what the page shows, and a note in Markdown."""
    text = lines if isinstance(lines, str) else "\n".join(lines)
    with st.expander("The same on the command line"):
        st.code(text, language="bash", wrap_lines=True)
        if note:
            st.caption(note)


@st.cache_resource(max_entries=_TABLES_KEPT, show_spinner=False, hash_funcs={pd.DataFrame: digest})
def _safe(frame: pd.DataFrame) -> pa.Table | pd.DataFrame:
    """The table as Streamlit sends it, harmless to spreadsheets; made once for equal ones."""
    safe = spreadsheet_safe(frame)
    try:
        return pa.Table.from_pandas(safe, preserve_index=False, nthreads=1)
    except _NOT_ARROW:
        return safe


@st.cache_resource(max_entries=_SPECS_KEPT, show_spinner=False, hash_funcs={pd.DataFrame: digest})
def _spec(
    name: str, _builder: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> ChartSpec:
    return build_spec(_builder, *args, **kwargs)


def _svg(drawn: ChartSpec, alt: str) -> bytes:
    return to_svg(drawn.spec, drawn.tables, vega_config(_look()), alt).encode()


def _look() -> Look:
    """The page's light look: a document is white."""

    def of(name: str) -> Any:
        return st.get_option(f"theme.light.{name}")

    return Look(
        background=str(of("backgroundColor")),
        text=str(of("textColor")),
        grid=str(of("borderColor")),
        categories=of("chartCategoricalColors"),
        ramp=of("chartSequentialColors"),
        diverging=of("chartDivergingColors"),
        base_px=float(st.get_option("theme.baseFontSize") or 16),
    )
