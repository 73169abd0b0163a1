"""Which cells answer a call of NumPy: what its operands say, and only what families have."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.jobs import ITEM_BYTES, Operation, Tensor
from collector.workloads import accepted, place
from estimator.jobs.array_calls import _WAYS, array_call
from estimator.jobs.stand_ins import answered_by
from tests.estimator.made_up_run import call

_TYPES = sorted(name for name in ITEM_BYTES if not name.startswith(("float8", "bfloat")))


def only_cell(operation: Operation) -> tuple[str, str, dict[str, int], str]:
    answer = answered_by(operation)
    ((cell, times),) = answer.cells
    assert times == 1.0
    return cell.workload, cell.case, dict(cell.params), cell.dtype


@pytest.mark.parametrize(
    ("operation", "cell"),
    [
        (call("exp", (10, 20), (10, 20)), ("map", "exp", {"n": 200}, "float64")),
        (
            call("subtract", (100,), (100,), (100,), dtype="float32"),
            ("map", "multiply", {"n": 100}, "float32"),
        ),
        (
            call("add", (100,), (100,), (100,), dtype="int64"),
            ("map", "add_integers", {"n": 100}, "int64"),
        ),
        (
            call("power", (50,), (50,), attributes=(("exponent", 2),)),
            ("map", "multiply", {"n": 50}, "float64"),
        ),
        (
            call("power", (50,), (50,), attributes=(("exponent", 2.5),)),
            ("map", "power", {"n": 50}, "float64"),
        ),
        (
            call("multiply", (300, 1), (300, 40), (300, 40)),
            ("map", "multiply_column", {"rows": 300, "cols": 40}, "float64"),
        ),
        (
            call("sum", (30, 40), (30,), attributes=(("axis", 1),)),
            ("reduction", "row_sum", {"rows": 30, "cols": 40}, "float64"),
        ),
        (
            call("sum", (30, 40), (40,), attributes=(("axis", 0),)),
            ("reduction", "column_sum", {"rows": 30, "cols": 40}, "float64"),
        ),
        (
            call("matmul", (30, 40), (40, 50), (30, 50)),
            ("matmul", "skinny", {"m": 30, "n": 50, "k": 40}, "float64"),
        ),
        (
            call("dot", (100,), (100,), ()),
            ("matmul", "skinny", {"m": 1, "n": 1, "k": 100}, "float64"),
        ),
        (
            call("einsum", (30, 40), (30, 40), (30,), attributes=(("subscripts", "ij,ij->i"),)),
            ("einsum", "row_dots", {"rows": 30, "cols": 40}, "float64"),
        ),
        (
            call("einsum", (30, 40), (40, 50), (30, 50), attributes=(("subscripts", "ij,jk"),)),
            ("einsum", "matrix_product", {"m": 30, "n": 50, "k": 40}, "float64"),
        ),
        (
            call("linalg.solve", (30, 30), (30, 7), (30, 7)),
            ("linear_algebra", "solve", {"n": 30, "rhs": 7}, "float64"),
        ),
        (
            call("linalg.svd", (30, 80), (30, 30)),
            ("linear_algebra", "svd", {"rows": 80, "cols": 30}, "float64"),
        ),
        (
            call("random.standard_normal", (99,), attributes=(("legacy", True),)),
            ("random", "legacy_normal", {"n": 99}, "float64"),
        ),
        (call("sort", (99,), (99,)), ("sort", "sort", {"n": 99}, "float64")),
        (
            call("fft.rfft2", (64, 64), (64, 33)),
            ("fft", "real_2d", {"n": 64}, "complex128"),
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, Operation) else "",
)
def test_a_call_is_the_cell_of_its_sizes(operation, cell):
    assert only_cell(operation) == cell
    assert answered_by(operation).exact


def test_neighbours_that_do_not_lie_side_by_side_cost_a_transposed_copy():
    turned = Tensor((300, 400), "float64", (1, 300))
    plain = call("copy", (300, 400), (300, 400))
    moved = replace(plain, inputs=(turned,))
    assert only_cell(moved)[:2] == ("map", "copy_transposed")
    assert answered_by(plain).cells[0][0].case != "copy_transposed"


@pytest.mark.parametrize("kind", ["view", "item", "empty"])
def test_what_computes_nothing_has_no_cells(kind):
    answer = array_call(call(kind, (1000,), (1000,)))
    assert answer.cells == ()
    assert answer.known


def test_a_call_that_nobody_thought_about_is_not_known():
    answer = array_call(call("scipy.odd.thing", (1000,), (1000,)))
    assert (answer.cells, answer.known) == ((), False)


@given(
    kind=st.sampled_from(sorted(_WAYS)),
    shape=st.lists(st.integers(1, 50), min_size=0, max_size=3).map(tuple),
    dtype=st.sampled_from(_TYPES),
    axis=st.none() | st.integers(-3, 2),
    on_gpu=st.booleans(),
    operands=st.integers(0, 2),
)
def test_whatever_the_operands_are_the_cells_are_such_as_libraries_have(
    kind, shape, dtype, axis, on_gpu, operands
):
    attributes = () if axis is None else (("axis", axis),)
    shapes = [shape] * (operands + 1)
    operation = call(kind, *shapes, dtype=dtype, attributes=attributes)
    operation = replace(operation, device="gpu" if on_gpu else "cpu")
    backend, device = place(operation)
    for cell, times in array_call(operation).cells:
        assert times > 0.0
        if cell.case == "eig" and backend == "cupy":
            continue  # CuPy has none: a recording has the host do it
        assert accepted(cell, backend, device), cell
