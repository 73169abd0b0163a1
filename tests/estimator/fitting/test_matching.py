import numpy as np
import pandas as pd

from estimator.fitting import levels as matching
from estimator.fitting.levels import Places, match

INDEX = pd.DataFrame({"name": ["a", "a", "b"], "threads": [1, 2, 1], "key": [(1,), (2,), (1,)]})
KEYS = ["name", "threads", "key"]


def test_rows_are_found_by_all_of_their_keys():
    asked = INDEX.iloc[[2, 0, 1, 1]].reset_index(drop=True)
    assert match(asked, INDEX, KEYS).tolist() == [2, 0, 1, 1]


def test_unknown_values_and_unknown_combinations_are_not_found():
    asked = pd.DataFrame({"name": ["c", "b", "a"], "threads": [1, 2, 1], "key": [(1,)] * 3})
    assert match(asked, INDEX, KEYS).tolist() == [-1, -1, 0]


def test_an_empty_table_has_nothing_and_no_question_no_answer():
    assert match(INDEX, INDEX.iloc[:0], KEYS).tolist() == [-1, -1, -1]
    assert len(match(INDEX.iloc[:0], INDEX, KEYS)) == 0


def test_numbers_too_large_for_one_are_merged(monkeypatch):
    monkeypatch.setattr(matching, "_LARGEST", 8)
    generator = np.random.default_rng(0)
    table = pd.DataFrame(generator.integers(5, size=(60, 4)), columns=list("abcd"))
    table = table.drop_duplicates(ignore_index=True)
    places = Places(table.iloc[10:].reset_index(drop=True), list("abcd"))
    expected = [*[-1] * 10, *range(len(table) - 10)]
    assert places.find(table).tolist() == expected
