"""Results that are remembered: asked once, safe to change, forgotten in time."""

from __future__ import annotations

import duckdb
import pandas as pd
import pytest

from app_pages.frame.prepared import prepared
from app_pages.frame.query_cache import Results, run


def test_a_query_is_asked_once() -> None:
    """The connection's data do not change, so neither does an answer."""
    connection = duckdb.connect(":memory:")
    first = run(connection, "select ? as a, random() as b", [1])
    assert run(connection, "select ? as a, random() as b", [1]).equals(first)
    other = run(connection, "select ? as a, random() as b", [2])
    assert other["b"].iloc[0] != first["b"].iloc[0]
    fresh = run(duckdb.connect(":memory:"), "select ? as a, random() as b", [1])
    assert fresh["b"].iloc[0] != first["b"].iloc[0]


def test_a_changed_answer_changes_no_other() -> None:
    connection = duckdb.connect(":memory:")
    first = run(connection, "select 1 as a")
    first["a"] = 5
    second = run(connection, "select 1 as a")
    second.loc[0, "a"] = 7
    second["b"] = 1
    assert run(connection, "select 1 as a").to_dict("list") == {"a": [1]}


def test_least_used_results_go_first() -> None:
    """By their number, and by their memory; one that is too large is not kept at all."""
    results = Results(most_kept=2, most_bytes=100_000)
    for name in "abc":
        results.put(("q", name), pd.DataFrame({"x": [1]}))
    assert results.get(("q", "a")) is None
    assert results.get(("q", "b")) is not None
    results.put(("q", "large"), pd.DataFrame({"x": range(20_000)}))
    assert results.get(("q", "large")) is None
    assert results.get(("q", "b")) is not None
    results.put(("q", "half"), pd.DataFrame({"x": range(12_400)}))
    assert results.get(("q", "c")) is None


def test_prepared_is_made_once_for_its_choices() -> None:
    """Arguments that begin with an underscore do not count."""
    made: list[str] = []

    @prepared
    def table(fingerprint: str, names: tuple[str, ...], _helper: object = None) -> pd.DataFrame:
        made.append(fingerprint)
        return pd.DataFrame({"name": names})

    first = table("f", ("a", "b"), object())
    first["name"] = "changed"
    assert list(table("f", names=("a", "b"), _helper=object())["name"]) == ["a", "b"]
    assert made == ["f"]
    with pytest.raises(TypeError, match="no plain value"):
        table("f", object())  # type: ignore[arg-type]
    table("f", ("a",))
    table("g", ("a",))
    assert made == ["f", "f", "g"]


def test_prepared_compares_tables_by_their_contents() -> None:
    made: list[int] = []

    @prepared
    def total(rows: pd.DataFrame, column: str) -> int:
        made.append(1)
        return int(rows[column].sum())

    assert total(pd.DataFrame({"x": [1, 2]}), "x") == 3
    assert total(pd.DataFrame({"x": [1, 2]}), "x") == 3
    assert len(made) == 1
    assert total(pd.DataFrame({"x": [1, 3]}), column="x") == 4
    assert len(made) == 2
