"""Covered: the same operation, type, math mode, library and device within a factor of two."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.jobs.coverage import covered

FORM = {"dtype": "float32", "math_mode": "ieee", "backend": "torch", "device": "cuda"}


def questions(*cells, **form):
    return pd.DataFrame(
        [
            {"workload": workload, "case": case, "params": params, **FORM, **form}
            for workload, case, params in cells
        ]
    )


def measured(*cells, **form):
    """As ``Fitted.measured`` has them: canonical parameters in order of name."""
    table = questions(*cells, **form)
    keys = [tuple(sorted(params.items())) for params in table["params"]]
    return table.drop(columns="params").assign(params_key=keys, median_s=1e-3)


PRODUCT = ("matmul", "skinny", {"batch": 1, "m": 1000, "n": 2000, "k": 3000})
SUM = ("elementwise", "add", {"n": 10_000})


@pytest.mark.parametrize(
    ("sizes", "near"),
    [
        ({"m": 1000, "n": 2000, "k": 3000}, True),
        ({"m": 2000, "n": 1000, "k": 6000}, True),
        ({"m": 500, "n": 4000, "k": 1500}, True),
        ({"m": 2001, "n": 2000, "k": 3000}, False),
        ({"m": 1000, "n": 2000, "k": 1499}, False),
    ],
)
def test_every_dimension_is_within_a_factor_of_two(sizes, near):
    assert covered(questions(("matmul", "skinny", sizes)), measured(PRODUCT)).tolist() == [near]


def test_cases_of_one_operation_cover_each_other():
    """A square product and one of any sizes are one routine; a batch of them is another."""
    asked = questions(
        ("matmul", "square", {"n": 1500}),
        ("matmul", "batched", {"batch": 1, "m": 1500, "n": 1500, "k": 1500}),
    )
    assert covered(asked, measured(PRODUCT)).tolist() == [True, False]


@pytest.mark.parametrize(
    "other",
    [{"dtype": "bfloat16"}, {"math_mode": "tf32"}, {"backend": "cupy"}, {"device": "cpu"}],
)
def test_another_form_covers_nothing(other):
    same = ("matmul", "skinny", {"m": 1000, "n": 2000, "k": 3000})
    assert covered(questions(same), measured(PRODUCT)).all()
    assert not covered(questions(same, **other), measured(PRODUCT)).any()


def test_one_cell_is_near_in_all_dimensions_and_not_one_in_each():
    cells = [
        ("elementwise", "broadcast_add", {"rows": r, "cols": c}) for r, c in ((8, 900), (900, 8))
    ]
    asked = questions(("elementwise", "broadcast_add", {"rows": 900, "cols": 900}))
    assert not covered(asked, measured(*cells)).any()


def test_answers_keep_the_order_of_the_questions():
    near, far = ("elementwise", "add", {"n": 9000}), ("elementwise", "add", {"n": 90})
    product = ("matmul", "skinny", {"m": 1000, "n": 2000, "k": 3000})
    asked = questions(far, product, near, far, near).set_index(np.array([7, 3, 5, 1, 9]))
    found = covered(asked, measured(SUM, PRODUCT))
    assert found.tolist() == [False, True, True, False, True]


def test_nothing_covers_nothing():
    assert covered(questions(SUM), measured(SUM).iloc[:0]).tolist() == [False]
    assert covered(questions(SUM).iloc[:0], measured(SUM)).tolist() == []


@given(
    sizes=st.lists(st.integers(1, 10**6), min_size=1, max_size=30),
    asked=st.lists(st.integers(1, 10**6), min_size=1, max_size=30),
)
def test_it_is_what_a_loop_over_all_cells_says(sizes, asked):
    cells = measured(*(("elementwise", "add", {"n": n}) for n in sizes))
    found = covered(questions(*(("elementwise", "add", {"n": n}) for n in asked)), cells)
    expected = [any(n <= 2 * size and size <= 2 * n for size in sizes) for n in asked]
    assert found.tolist() == expected
