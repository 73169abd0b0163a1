"""Ceilings from made-up rows."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.ceilings import ceilings, table

FACTS = {
    "label": "made up",
    "gpu_model": "NVIDIA H100 80GB HBM3",
    "cpu_model": "no such processor",
    "cpu_family": None,
    "cpu_model_number": float("nan"),
    "physical_cores": 4,
    "last_level_cache_bytes": 2**25,
}


def row(**changes: Any) -> dict[str, Any]:
    return {
        "workload": "matmul",
        "case": "square",
        "params": {"n": 8192},
        "dtype": "bfloat16",
        "math_mode": "ieee",
        "backend": "torch",
        "device": "cuda",
        "threads": 1,
        "mode": "hot",
        "median_s": 2e-3,
        "flop_count": 2.0 * 8192**3,
        "bytes_read": 0.0,
        "bytes_written": 0.0,
        "h2d_bytes": 0.0,
        "d2h_bytes": 0.0,
        **changes,
    }


def triad(n: int, rate: float) -> dict[str, Any]:
    return row(
        workload="elementwise",
        case="triad",
        params={"n": n},
        dtype="float32",
        device="cpu",
        flop_count=2.0 * n,
        bytes_read=8.0 * n,
        bytes_written=4.0 * n,
        median_s=12.0 * n / rate,
    )


def test_a_product_stands_beside_its_data_sheet() -> None:
    """2 x 8192^3 FLOP in 2 ms are 549.8 TFLOP/s."""
    rows = [row(), row(params={"n": 4096}, flop_count=2.0 * 4096**3), row(mode="resident")]
    exact, best = ceilings(rows, FACTS)
    assert exact.measured == best.measured == pytest.approx(549.76, rel=1e-4)
    assert 0.5 < exact.share < 0.6
    assert "8192" in exact.cell


def test_a_rate_from_the_cache_counts_only_where_there_is_no_other() -> None:
    small, large = triad(100_000, 200e9), triad(10_000_000, 40e9)
    (both,) = ceilings([small, large], FACTS)
    assert both.measured == pytest.approx(40.0)
    assert both.note == ""
    (only,) = ceilings([small], FACTS)
    assert only.measured == pytest.approx(200.0)
    assert "cache" in only.note


def test_an_unknown_data_sheet_is_said_to_be_unknown() -> None:
    text = table(ceilings([triad(10_000_000, 40e9)], FACTS))
    assert "unknown" in text
    assert "nan" not in text


def test_nothing_measured_gives_nothing() -> None:
    assert ceilings([], FACTS) == []
    assert table([]) == ""
