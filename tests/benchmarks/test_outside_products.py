"""The comparison with kernels that others published: its rows, its scores, its one clear line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.outside_products import PAIR, both_timed, main, read_products, sample, scores


def test_missing_tables_are_one_line_that_says_what_to_do(tmp_path, capsys):
    assert main(["--reference", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert "not there" in line
    assert "--reference" in line


def test_a_published_product_counts_each_operand_once(tmp_path):
    (tmp_path / "published").mkdir()
    row = {"device": "G", "m": 2, "n": 3, "k": 5, "latency_ms_median": 4.0}
    pd.DataFrame([row]).to_parquet(tmp_path / "published" / "gemm_bf16.parquet")
    (cell,) = read_products(tmp_path).to_dict("records")
    assert cell["params"] == {"m": 2, "n": 3, "k": 5}
    assert cell["flop"] == 60.0
    assert cell["bytes"] == 2.0 * (10 + 15 + 6)
    assert cell["median_s"] == pytest.approx(4e-3)


def answered(p50, least=0.0):
    return pd.DataFrame(
        {
            "median_s": [1.0, 1.0],
            "p5": [0.5 * p50] * 2,
            "p50": [p50] * 2,
            "p95": [2.0 * p50] * 2,
            "roofline": [0.5] * 2,
            "least": [least] * 2,
            "reason": [""] * 2,
        }
    )


def test_scores_say_error_bias_coverage_width_and_what_is_above_a_peak():
    assert scores(answered(1.2)) == [
        *("2", "20.0", "20.0", "1.20", "100", "4.00", "50.0", "50.0", "0.0", "0.0")
    ]
    assert scores(answered(4.0))[4] == "0"
    assert scores(answered(1.2, least=0.7))[-2:] == ["0.0", "100.0"]
    assert scores(answered(1.2, least=1.3))[-2:] == ["100.0", "100.0"]
    refused = answered(np.nan).assign(reason="no such GPU")
    assert scores(refused) == "no such GPU"


def kernels():
    shape = {"operation": "linear", "case": "forward", "batch": 1.0, "m": 8.0, "n": 8.0}
    rows = [
        {**shape, "k": k, "rows": np.nan, "cols": np.nan, "gpu": gpu, "median_s": seconds}
        for k, gpu, seconds in (
            (4.0, PAIR[0], 2.0),
            (4.0, PAIR[1], 1.0),
            (5.0, PAIR[0], 3.0),
            (6.0, PAIR[1], 1.0),
        )
    ]
    return pd.DataFrame(rows)


def test_only_kernels_timed_on_both_gpus_are_compared():
    (row,) = both_timed(kernels()).to_dict("records")
    assert (row["median_s"], row["other_s"]) == (2.0, 1.0)


def test_a_sample_is_seeded_and_bounded_by_gpu_and_operation():
    one, two = sample(kernels(), 1), sample(kernels(), 1)
    assert len(one) == 2
    pd.testing.assert_frame_equal(one, two)
    assert len(sample(kernels(), 0)) == 4
