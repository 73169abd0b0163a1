"""Which machines, runs or sizes a fit uses."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import EstimateError, SelectionError
from estimator.commands.cli import main
from estimator.model.fit import fit_cached, fit_selected
from estimator.model.selection import (
    Selection,
    cell_counts,
    coverage,
    find_machines,
    fleet_selection,
    representatives,
    selected_cells,
)
from estimator.model.storage import read_model

fleets = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", None]), st.integers(1, 5000)), min_size=1, max_size=60
)


def fleet(rows):
    names = [f"{i:04x}" for i in range(len(rows))]
    machines = pd.DataFrame({"machine_id": names, "machine_type_id": [kind for kind, _ in rows]})
    cells = pd.DataFrame({"machine_id": names, "cells": [count for _, count in rows]})
    return machines, cells


@given(fleets, st.integers(1, 20), st.integers(100, 20_000))
def test_representatives_keep_to_both_limits_but_for_the_first(rows, machines, cells):
    table, counts = fleet(rows)
    chosen = representatives(table, counts, most_machines=machines, most_cells=cells)
    assert 1 <= len(chosen) <= machines
    assert len(set(chosen)) == len(chosen)
    total = counts.set_index("machine_id")["cells"][list(chosen)].sum()
    assert total <= cells or len(chosen) == 1


@given(fleets, st.randoms())
def test_the_order_of_the_tables_does_not_matter(rows, random):
    table, counts = fleet(rows)
    order = list(range(len(rows)))
    random.shuffle(order)
    again = representatives(table.iloc[order], counts.iloc[order[::-1]], most_machines=5)
    assert representatives(table, counts, most_machines=5) == again


def test_the_best_measured_machine_of_each_type_comes_first_then_second_ones():
    rows = [("a", 10), ("a", 30), ("a", 20), ("b", 5), ("b", 4), ("c", 1), (None, 2)]
    table, counts = fleet(rows)
    chosen = representatives(table, counts, most_machines=6, most_cells=1000)
    assert chosen == ("0001", "0003", "0006", "0005", "0002", "0004")


def test_machines_without_cells_do_not_stand_for_others():
    table, counts = fleet([("a", 10), ("b", 5)])
    more = pd.concat([counts, pd.DataFrame({"machine_id": ["ffff"], "cells": [0]})])
    assert representatives(table, more) == ("0000", "0001")


def test_a_small_dataset_is_used_whole(measurements, tmp_path):
    assert fleet_selection(measurements) == Selection()
    model = fit_cached(measurements, tmp_path)
    assert coverage(model) == ""
    assert len(model.measured) == cell_counts(measurements)["cells"].sum()


def test_a_limit_makes_a_selection_of_representatives(measurements):
    assert fleet_selection(measurements, most_cells=1).machines == ("made",)


def test_what_is_selected_is_what_is_left(measurements):
    every = selected_cells(measurements)
    products = selected_cells(measurements, Selection(workloads=("matmul",)))
    rest = selected_cells(measurements, Selection(without_workloads=("matmul",)))
    assert set(products["workload"]) == {"matmul"}
    assert len(products) + len(rest) == len(every)
    large = selected_cells(measurements, Selection(workloads=("matmul",), smallest=1000.0))
    small = selected_cells(measurements, Selection(workloads=("matmul",), largest=999.0))
    assert len(large) + len(small) == len(products)


def test_one_run_is_fitted_without_the_others(measurements):
    one = selected_cells(measurements, Selection(runs=("r1",)))
    rest = selected_cells(measurements, Selection(without_runs=("r2",)))
    assert set(one["runs"]) == {1}
    pd.testing.assert_frame_equal(one.drop(columns="params"), rest.drop(columns="params"))


def test_nothing_left_is_one_line(measurements):
    for selection in (Selection(machines=("x",)), Selection(smallest=1e30), Selection(runs=())):
        with pytest.raises(EstimateError):
            selected_cells(measurements, selection)


def test_a_refit_has_a_fingerprint_of_its_own(measurements):
    whole = fit_selected(measurements)
    part = fit_selected(measurements, Selection(workloads=("matmul",)))
    assert whole.fingerprint == measurements.fingerprint != part.fingerprint
    assert set(part.measured["workload"]) == {"matmul"}


def test_coverage_names_how_many_machines_were_fitted(measurements):
    model = fit_selected(measurements)
    more = pd.concat([model.machines, model.machines.assign(machine_id="another")])
    object.__setattr__(model, "machines", more)
    assert coverage(model) == "fitted to 1 of 2 machines"


def test_machines_are_found_by_parts_of_their_names():
    machines = pd.DataFrame({"machine_id": ["ab1", "ab2"], "label": ["An EPYC", "A Xeon"]})
    assert find_machines(machines, ["epyc"]) == ("ab1",)
    assert find_machines(machines, ["ab"]) == ("ab1", "ab2")
    assert find_machines(machines, ["ab2", "xeon"]) == ("ab2",)
    with pytest.raises(SelectionError, match="not in the dataset"):
        find_machines(machines, ["nothing"])


@pytest.fixture
def fitted(dataset, tmp_path, capsys):
    """``fit`` on the command line with options: its exit code, model file and error."""

    def run(*options):
        out = tmp_path / "model.json"
        code = main(["fit", "--data", str(dataset), "-o", str(out), *options])
        return code, out, capsys.readouterr().err

    return run


def test_the_command_line_fits_a_part(fitted):
    code, out, _ = fitted("--only-workload", "matmul", "--leave-out-run", "r2")
    assert code == 0
    measured = read_model(out).measured
    assert set(measured["workload"]) == {"matmul"}
    assert set(measured["runs"]) == {1}


@pytest.mark.parametrize("what", ["machine", "run", "workload"])
def test_a_name_that_is_not_there_is_one_line(fitted, what):
    for start in ("only", "leave-out"):
        code, out, error = fitted(f"--{start}-{what}", "nothing")
        assert code == 2
        assert "not in the dataset; it has" in error
        assert not out.exists()


def test_a_model_file_cannot_be_narrowed(fitted, capsys):
    _, out, _ = fitted()
    asked = ["predict", "matmul", "--param", "n=64", "--model", str(out), "--only-machine", "made"]
    assert main(asked) == 2
    assert "fitted already" in capsys.readouterr().err
