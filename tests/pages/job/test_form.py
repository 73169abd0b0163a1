"""What the job form offers and starts with, without a page."""

from __future__ import annotations

import pandas as pd
import pytest

from app_pages.job.form import element_types, job_of, offered, start, start_case
from collector.errors import SelectionError
from collector.workloads import FAMILIES, get_workload

CASES = [(name, case) for name in FAMILIES if name != "anchor" for case in FAMILIES[name].cases]

GROUPS = pd.DataFrame(
    {
        "workload": ["matmul", "matmul", "matmul", "sort", "anchor"],
        "case": ["square", "square", "skinny", "sort", "anchor"],
        "dtype": ["float32", "float32", "float64", "int32", "float32"],
        "math_mode": ["ieee", "tf32", None, "ieee", "ieee"],
    }
)


@pytest.mark.parametrize(("family", "case"), CASES)
def test_start_values_make_a_job(family: str, case: str) -> None:
    """Every case has a value for each of its parameters, and they go together."""
    params = {field.name: field.start for field in start(family, case)}
    job = job_of(family, case, params, "float32")
    assert dict(job.given) == params
    assert set(params) == set(get_workload(family).signatures[case])
    assert job.size > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_first_case_is_one_of_the_family(family: str) -> None:
    assert start_case(family) in get_workload(family).cases


def test_only_fitted_families_are_offered() -> None:
    assert offered(GROUPS) == ["matmul", "sort"]


def test_element_types_are_those_of_the_case_else_of_the_family() -> None:
    assert element_types("matmul", "square", GROUPS) == ["float32", "float64", "tf32"]
    assert element_types("sort", "argsort", GROUPS) == ["int32"]
    assert element_types("fft", "fft2", GROUPS) == ["complex64"]


def test_names_in_the_url_are_unique() -> None:
    """Two families with a case of one name do not share a value."""
    keys = [field.key for family, case in CASES for field in start(family, case)]
    assert len(keys) == len(set(keys))


def test_link_with_the_size_alone_sets_what_it_stands_for() -> None:
    """Of batched products m and k are n unless the link says otherwise."""
    linked = {"job_batched_n": "77"}
    values = {field.name: field.start for field in start("matmul", "batched", linked)}
    assert (values["m"], values["k"]) == (77, 77)
    linked["job_batched_m"] = "5"
    values = {field.name: field.start for field in start("matmul", "batched", linked)}
    assert values["k"] != 77


def test_impossible_job_is_refused() -> None:
    with pytest.raises(SelectionError):
        job_of("matmul", "square", {"m": 3}, "float32")


def test_tf32_is_float32_with_another_arithmetic() -> None:
    job = job_of("matmul", "square", {"n": 8}, "tf32", end_to_end=True)
    assert (job.dtype, job.math_mode, job.gpu_mode) == ("float32", "tf32", "end_to_end")
