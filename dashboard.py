"""Entry of the dashboard: page settings and navigation, nothing else.

Start it with ``python -m streamlit run dashboard.py``. It reads the dataset that the environment
variable BREAKEVEN_DATA names (several directories are separated as in PATH), else ``data/runs``.
"""

import os

import streamlit as st

from app_pages.frame.garbage import settle, spare_memory

# Read when pyarrow is first imported: its own allocator keeps what it once had.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

st.set_page_config(page_title="Breakeven", page_icon="⚖️", layout="wide")

PAGES = [
    st.Page(
        "app_pages/overview/page.py",
        title="Overview",
        url_path="overview",
        default=True,
        help="What was measured, on which machines, when, and what failed.",
    ),
    st.Page(
        "app_pages/machines/page.py",
        title="Machines",
        url_path="machines",
        help="What each machine is, how fast it gets at best, and whether it was quiet.",
    ),
    st.Page(
        "app_pages/measurements/page.py",
        title="Measurements",
        url_path="measurements",
        help="Time against size with its spread, ratios of two series, raw samples, export.",
    ),
    st.Page(
        "app_pages/model/page.py",
        title="Model",
        url_path="model",
        help="How far the fitted model is from what was measured, and its parameters.",
    ),
    st.Page(
        "app_pages/estimate/page.py",
        title="Estimate",
        url_path="estimate",
        help="The time of one operation on each measured machine, and whether a GPU pays.",
    ),
    st.Page(
        "app_pages/cost/page.py",
        title="Cost",
        url_path="cost",
        help="The price of one completed job on each cloud instance.",
    ),
    st.Page(
        "app_pages/rules_of_thumb/page.py",
        title="Rules of thumb",
        url_path="rules-of-thumb",
        help="What two public calculators promise, beside the estimate and the measurement.",
    ),
]

spare_memory()
page = st.navigation(PAGES, position="top")
try:
    page.run()
finally:
    settle(page.url_path)  # its modules and what it caches stay
