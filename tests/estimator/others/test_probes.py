"""Which cells to measure on a new machine."""

import numpy as np
import pandas as pd
import pytest

from collector.errors import SelectionError
from estimator.fitting.fit import describe_cells
from estimator.others.effects import assumed
from estimator.others.probes import (
    PROBE_COLUMNS,
    choose_probes,
    plain_parts,
    probe_cells,
    probe_report,
)
from tests.estimator import two_machines


@pytest.fixture(scope="module")
def offered():
    rows = two_machines.rows_of(two_machines.cells_of("new"))
    return describe_cells(rows, two_machines.machine("new"))


def test_probes_are_different_cells_of_both_devices(offered):
    chosen = choose_probes(offered)
    assert len(chosen) == len(set(chosen)) == 12
    assert set(offered.iloc[chosen]["device"]) == {"cpu", "cuda"}
    assert offered.iloc[chosen]["workload"].nunique() >= 3


def test_no_time_is_read(offered):
    blind = offered.assign(log_seconds=np.nan, sigma=np.nan)
    assert list(choose_probes(blind)) == list(choose_probes(offered))


def test_the_choice_is_the_same_each_time_and_the_first_tell_most(offered):
    assert list(choose_probes(offered, 5)) == list(choose_probes(offered, 12)[:5])


def test_plain_parts_follow_the_work(offered):
    parts = plain_parts(offered)
    assert parts.shape == (len(offered), 4)
    assert (parts >= 0.0).all()
    assert (parts[:, 0] > 0.0).all()
    product = ((offered["workload"] == "matmul") & (offered["size"] > 2000)).to_numpy()
    assert (parts[product].argmax(axis=1) == 1).any()


def test_machines_of_one_type_need_not_the_same_probes_as_others(offered):
    chosen = choose_probes(offered, 12, deviations=assumed("same"))
    assert len(set(chosen)) == 12


@pytest.mark.parametrize("count", [0, -1, 10_000])
def test_a_count_that_cannot_be_chosen_is_an_error(offered, count):
    with pytest.raises(SelectionError, match="probes of"):
        choose_probes(offered, count)


def test_the_report_names_cells_of_the_suite():
    cells = probe_cells(("cpu",), physical_cores=2)
    assert len(cells) == 12
    assert [*PROBE_COLUMNS, "threads"] == list(cells.columns)
    text = probe_report(cells)
    assert text.count("cpu") >= 12
    assert "python -m collector run" in text
    assert set(pd.unique(cells["device"])) == {"cpu"}


def test_a_device_that_does_not_exist_is_an_error():
    with pytest.raises(SelectionError, match="unknown device 'tpu'"):
        probe_cells(("tpu",))
