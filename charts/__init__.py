"""Charts: pure functions, a DataFrame in and an ``alt.Chart`` out. Nothing here knows Streamlit.

Colours come from the theme (`.streamlit/config.toml`); a function only fixes which category takes
which place in the palette. Callers aggregate first: no chart gets more than a few thousand rows.
"""
