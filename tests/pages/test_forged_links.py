"""Links with values that no control could have said."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pages.conftest import PAGES, OpenPage

FORGED = ["", "nonsense", "-1", "1e999", "nan", "99999999999999999999", "<b>x</b>", "a,b", "\u202e"]


def bound_keys(app: Any) -> list[str]:
    """Names in the URL of all controls of a page, those in closed expanders too."""
    found = []
    todo = [app.main]
    while todo:
        node = todo.pop()
        children = getattr(node, "children", None)
        if children:
            todo.extend(children.values())
        key = getattr(getattr(node, "proto", None), "query_param_key", "")
        if key:
            found.append(str(key))
    return sorted(set(found))


@pytest.mark.parametrize("page", PAGES)
def test_forged_link_opens_the_page(open_page: OpenPage, page: str) -> None:
    """Whatever a link says of every control at once, the page has its contents.

    Text that a field for text takes is refused beside it, in one line.
    """
    keys = bound_keys(open_page(page))
    for value in FORGED:
        app = open_page(page, **dict.fromkeys(keys, value))
        assert not app.exception, value
        assert all(len(error.value) < 200 for error in app.error), value
        assert app.get("vega_lite_chart") or app.dataframe
    app.run()  # a second look at each value is the widgets' own test
    assert not app.exception
