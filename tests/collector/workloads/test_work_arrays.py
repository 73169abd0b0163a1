"""Formulas on arrays of sizes give what they give for each size alone."""

import itertools
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import SelectionError
from collector.workloads import FAMILIES, LARGEST_PARAMETER, Work

MODES = ("hot", "resident", "end_to_end")
CASES = [(family, case) for family in FAMILIES.values() for case in family.signatures]
PARAMETER = st.one_of(
    st.integers(1, 300), st.integers(1, 2**17), st.sampled_from((2**20, 2**26 + 1, 2**40))
)
#: of products of whole numbers beyond 2**53, which float64 rounds
ROUNDING = 1e-13
WRONG = (0.0, -1.0, 2.5, np.nan, np.inf, LARGEST_PARAMETER + 1.0)


def operations(draw, family, case):
    """A few operations of one case, all with the same parameters given."""
    signature = family.signatures[case].items()
    names = [name for name, default in signature if default is None or draw(st.booleans())]
    several = [{name: draw(PARAMETER) for name in names} for _ in range(draw(st.integers(1, 5)))]
    return [family.possible(params) for params in several]


def as_arrays(several):
    arrays = {name: np.array([float(p[name]) for p in several]) for name in several[0]}
    for array in arrays.values():
        array.flags.writeable = False  # formulas leave what they are given alone
    return arrays


def check_arrays(family, case, several, place, dtype, mode):
    """Canonical parameters, size and work of arrays are those of each operation alone."""
    backend, device = place
    asked = f"{family.name} {case} {dtype} {place} {mode}: {several}"
    complete = family.complete_arrays(case, as_arrays(several))
    single = [family.complete(case, params) for params in several]
    assert list(complete) == list(single[0]), asked
    for name, values in complete.items():
        assert np.broadcast_to(values, len(several)).tolist() == [p[name] for p in single], asked
    size = family.principal_size(case, complete)
    sizes = [float(family.size(case, params)) for params in several]
    np.testing.assert_allclose(np.broadcast_to(size, len(several)), sizes, ROUNDING, err_msg=asked)
    work = family.call_work(case, complete, dtype, backend, device, mode)
    works = [family.work(case, params, dtype, backend, device, mode) for params in several]
    for field in fields(Work):
        values = np.broadcast_to(getattr(work, field.name), len(several))
        expected = [float(getattr(one, field.name)) for one in works]
        np.testing.assert_allclose(values, expected, ROUNDING, err_msg=f"{field.name} of {asked}")


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_arrays_give_what_single_numbers_give(data):
    """Of every case in each example: a family that is added is tried at once."""
    for family, case in CASES:
        several = operations(data.draw, family, case)
        forms = [
            (place, dtype)
            for place in sorted(family.support)
            for dtype, _ in family.support[place]
            if family.supports(*place, case) and family.takes(case, dtype)
        ]
        place, dtype = data.draw(st.sampled_from(forms))
        check_arrays(family, case, several, place, dtype, data.draw(st.sampled_from(MODES)))


def test_whole_numbers_stay_exact_where_float64_rounds():
    """A size beyond 2**53 is a whole number to its last digit, and so is a count of kernels."""
    n, batch = 2**40 - 1, 2**39 - 7
    assert FAMILIES["fft"].size("batched_1d", {"batch": batch, "n": n}) == batch * n
    assert FAMILIES["fft"].size("fft2", {"n": n}) == n**2
    rows = {"rows": n, "cols": 2_000_001}
    work = FAMILIES["sort"].work("sort_rows", rows, "float32", "torch", "cuda", "hot")
    assert (work.kernel_count, type(work.kernel_count)) == (1 + 6 * n, int)
    assert FAMILIES["matmul"].size("square", {"n": n}) == n


def test_the_first_wrong_operation_is_named():
    for family, case in CASES:
        for name, wrong in itertools.product(family.signatures[case], WRONG):
            several = [dict.fromkeys(family.signatures[case], 16.0) for _ in range(4)]
            several[2][name] = wrong
            several[3][name] = -7.0
            first = {key: int(v) if v.is_integer() else v for key, v in several[2].items()}
            asked = f"{family.name} {case} {name}={wrong}"
            with pytest.raises(SelectionError) as alone:
                family.complete(case, first)
            with pytest.raises(SelectionError) as among_others:
                family.complete_arrays(case, as_arrays(several))
            assert str(among_others.value) == str(alone.value), asked


def test_a_wrong_case_or_parameter_is_named():
    for workload in FAMILIES.values():
        with pytest.raises(SelectionError, match=f"{workload.name}: unknown case 'nonsense'"):
            workload.complete_arrays("nonsense", {})
        for case, signature in workload.signatures.items():
            good = {name: np.full(2, 16.0) for name in signature}
            with pytest.raises(SelectionError, match="unknown parameter 'colour'"):
                workload.complete_arrays(case, {**good, "colour": np.ones(2)})
            for name in (name for name, default in signature.items() if default is None):
                rest = {key: value for key, value in good.items() if key != name}
                with pytest.raises(SelectionError, match=f"parameter '{name}' is missing"):
                    workload.complete_arrays(case, rest)


def test_odd_images_and_overfull_rows_are_named():
    with pytest.raises(SelectionError, match="image=225 is odd"):
        FAMILIES["image_pipeline"].complete_arrays(
            "resize_blur_normalise", {"batch": np.ones(2), "image": np.array([224.0, 225.0])}
        )
    params = {"rows": 8.0, "nonzeros_per_row": np.array([8.0, 9.0]), "width": 1.0}
    with pytest.raises(SelectionError, match="nonzeros_per_row=9 is more than the 8 columns"):
        FAMILIES["spmm"].complete_arrays(
            "csr_dense", {name: np.broadcast_to(value, 2) for name, value in params.items()}
        )


def test_all_dimensions_of_a_square_product_may_be_given():
    given_all = {name: np.array([64.0, 128.0]) for name in ("m", "n", "k")}
    complete = FAMILIES["matmul"].complete_arrays("square", {"batch": np.ones(2), **given_all})
    assert {name: values.tolist() for name, values in complete.items()} == {
        "batch": [1.0, 1.0],
        **{name: [64.0, 128.0] for name in ("m", "n", "k")},
    }
