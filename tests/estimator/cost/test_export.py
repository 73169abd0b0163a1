"""Exports: every row with its dated price and what made it, and nothing that a spreadsheet runs."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import __version__
from collector.errors import OutputError, SelectionError
from estimator.cost.export import EXPORT_COLUMNS, export_bytes, export_table, write_table
from estimator.cost.inputs import Job
from estimator.cost.instance_costs import instance_costs
from tests.estimator.priced_rows import instance, timings

BOTH = [instance("cheap", 1.0), instance("none", 2.0)]
TABLE = instance_costs(timings(BOTH, [1.0, "does not fit"]), BOTH, Job(steps=3600))


def test_each_row_has_its_dated_price_and_what_made_it():
    row = export_table(TABLE, "abc123", "2026-11-21").iloc[0]
    assert (row["price_usd_per_h"], row["as_of"], row["source"]) == (
        *(1.0, "2026-07-20", "a price list"),
    )
    assert (row["dataset_fingerprint"], row["estimator_version"]) == ("abc123", __version__)
    assert row["exported_on"] == "2026-11-21"
    assert row["basis"] == "same_gpu_measured"
    assert tuple(row.index) == EXPORT_COLUMNS


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_every_format_reads_back_the_same_rows(tmp_path, ending):
    path = tmp_path / f"costs.{ending}"
    write_table(TABLE, "abc123", path)
    readers = {"csv": pd.read_csv, "json": pd.read_json, "parquet": pd.read_parquet}
    found = readers[ending](path)
    assert list(found["instance"]) == ["cheap", "none"]
    assert found["cost_usd_p50"].iloc[0] == 1.0
    assert pd.isna(found["cost_usd_p50"].iloc[1])
    assert found["excluded"].iloc[1] == "does not fit"


def test_json_has_no_number_that_json_does_not_know():
    rows = json.loads(export_bytes(TABLE, "abc123", "json"))
    assert rows[1]["cost_usd_p50"] is None
    assert rows[0]["on_front"] is True


@given(st.sampled_from(["=", "+", "-", "@", "\t", "\r", " ="]), st.text(max_size=10))
def test_no_cell_of_text_is_a_formula(start, rest):
    hostile = start + rest
    bad = replace(BOTH[0], instance=hostile, source=hostile)
    rows = timings([bad], [1.0], note=hostile, machine=hostile)
    found = export_table(instance_costs(rows, [bad], Job(1)), hostile)
    for name in ("instance", "source", "note", "machine", "dataset_fingerprint"):
        assert found[name].iloc[0] == f"'{hostile}"
    back = pd.read_csv(io.BytesIO(export_bytes(TABLE.assign(note=hostile), "a", "csv")))
    assert str(back["note"].iloc[0]).startswith("'")


def test_a_file_that_cannot_be_is_a_clear_line():
    with pytest.raises(SelectionError, match=r"\.csv, \.json, \.parquet"):
        write_table(TABLE, "abc123", Path("costs.xlsx"))
    with pytest.raises(OutputError, match="cannot be written"):
        write_table(TABLE, "abc123", Path("/nowhere/costs.csv"))
    with pytest.raises(SelectionError, match="unknown format"):
        export_bytes(TABLE, "abc123", "xlsx")
