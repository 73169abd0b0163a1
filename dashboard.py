"""Entry of the dashboard: page settings and navigation, nothing else.

Start it with ``python -m streamlit run dashboard.py``. It reads the dataset that the environment
variable BREAKEVEN_DATA names (several directories are separated as in PATH), else ``data/runs``.
"""

import os

import streamlit as st

from app_pages.frame.garbage import settle, spare_memory
from app_pages.frame.navigation import navigate

# Read when pyarrow is first imported: its own allocator keeps what it once had.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

st.set_page_config(page_title="Breakeven", page_icon="⚖️", layout="wide")

spare_memory()
page = navigate()
try:
    page.run()
finally:
    settle(page.url_path)  # its modules and what it caches stay
