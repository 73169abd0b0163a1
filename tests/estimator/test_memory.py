"""Operations that do not fit a machine are refused."""

import pandas as pd
import pytest

from collector.errors import EstimateError
from estimator.memory import check_memory, memory_shortage


class OneMachine:
    machines = pd.DataFrame(
        {
            "machine_id": ["box"],
            "label": ["a box"],
            "memory_bytes": [64.0 * 2**30],
            "gpu_memory_bytes": [16.0 * 2**30],
        }
    )


def question(n: int, device: str, machine: str = "box") -> dict[str, object]:
    return {
        "machine_id": machine,
        "device": device,
        "workload": "matmul",
        "case": "square",
        "params": {"n": n},
        "dtype": "float64",
        "backend": "torch",
    }


def test_a_product_larger_than_the_gpu_but_not_than_the_host_fits_the_host_only():
    """Three matrices of 32,000 x 32,000 float64 are 24.6 GB, before temporaries."""
    assert memory_shortage(OneMachine(), question(32_000, "cpu")) is None
    shortage = memory_shortage(OneMachine(), question(32_000, "cuda"))
    assert shortage is not None
    assert "a box has 16 GiB" in shortage


def test_a_small_product_fits_both():
    for device in ("cpu", "cuda"):
        check_memory(OneMachine(), question(1000, device))


def test_what_does_not_fit_is_an_error_that_says_what_to_do():
    with pytest.raises(EstimateError, match=r"does not fit: .* choose smaller parameters"):
        check_memory(OneMachine(), question(1_000_000, "cpu"))


def test_a_machine_that_was_not_measured_is_not_judged():
    assert memory_shortage(OneMachine(), question(1_000_000, "cuda", "L4")) is None
