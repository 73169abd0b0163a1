"""Three layers of spread: within a run, between runs, between machines of one type."""

import numpy as np
import pandas as pd
import pytest

from estimator.decide.pairs import rented_twice
from estimator.model.fit import fit_table
from estimator.others.spread import SPREAD_COLUMNS, estimate_spread, kinds_of_cells
from tests.estimator import two_machines
from tests.estimator.two_machines import machine

RUNS, MACHINES = 0.05, 0.20  # deviations behind the made-up measurements


@pytest.fixture(scope="module")
def machines():
    lone = machine("lone", machine_type_id="type B", gpu_model="L4", cpu_model="AMD EPYC 9R14")
    return pd.concat([machine("a"), machine("b"), lone], ignore_index=True)


@pytest.fixture(scope="module")
def model(machines):
    rng = np.random.default_rng(3)
    rows = []
    for name in ("a", "b", "lone"):
        cells = two_machines.cells_of(name)
        own = np.exp(rng.normal(0.0, MACHINES, len(cells)))
        factor = own * np.exp(rng.normal(0.0, RUNS / np.sqrt(2.0), len(cells)))
        spread = RUNS * np.sqrt(rng.chisquare(1, len(cells)))
        rows.append(two_machines.rows_of(cells, factor, noise=1e-6, spread=spread, runs=2))
    return fit_table(two_machines.described(rows, machines), machines)


def test_each_layer_is_found(model):
    table = model.spread.table
    assert tuple(table.columns) == SPREAD_COLUMNS
    figure = table[table["workload"] == "*"].set_index(["layer", "kind"])["deviation"]
    for kind in ("cpu", "gpu kernel", "gpu host"):
        assert figure["within", kind] == pytest.approx(0.005, rel=0.1)
        assert figure["runs", kind] == pytest.approx(RUNS, rel=0.3)
        assert figure["machines", kind] == pytest.approx(MACHINES, rel=0.35)


def test_figures_come_with_counts(model):
    table = model.spread.table
    assert (table["cells"] > 0).all()
    assert (table.loc[table["layer"] == "machines", "units"] == 2).all()
    assert (table.loc[table["layer"] == "runs", "units"] == 2).all()


def test_families_of_few_cells_lean_on_their_kind(model, machines):
    measured = model.measured.copy()
    few = (measured["workload"] == "python_loop") & (measured["device"] == "cpu")
    measured.loc[few & (measured["machine_id"] == "a"), "median_s"] *= 100.0
    table = estimate_spread(measured, model.donors.facts).table
    rows = table[(table["layer"] == "machines") & (table["kind"] == "cpu")].set_index("workload")
    family, kind = rows.loc["python_loop", "p90"], rows.loc["*", "p90"]
    assert kind < family < np.log(100.0) + 1.0


def test_a_question_about_a_type_has_a_wider_interval_and_the_same_median(model):
    cells = two_machines.cells_of("a").iloc[::7]
    own, of_type = model.predict(cells), model.predict(cells, about="type")
    assert np.allclose(own["seconds_p50"], of_type["seconds_p50"])
    assert (of_type["seconds_p95"] > own["seconds_p95"]).all()
    # neither end is faster than the hardware allows: there they are the same
    lower = of_type["seconds_p5"] < own["seconds_p5"]
    assert (lower | (of_type["seconds_p5"] == own["seconds_p5"])).all()
    assert lower.mean() > 0.9


def test_a_type_of_one_machine_has_figures_too(model):
    cells = two_machines.cells_of("lone").iloc[::9]
    own, of_type = model.predict(cells), model.predict(cells, about="type")
    assert (of_type["seconds_p95"] > own["seconds_p95"]).all()


def test_without_two_machines_of_a_type_the_stated_fallback_is_used(machines):
    rows = two_machines.rows_of(two_machines.cells_of("a"))
    model = fit_table(two_machines.described([rows], machines), machines)
    assert not (model.spread.table["layer"] == "machines").any()
    cells = two_machines.cells_of("a").iloc[::9]
    own, of_type = model.predict(cells), model.predict(cells, about="type")
    assert (of_type["seconds_p95"] > own["seconds_p95"]).all()
    twice = rented_twice(model, cells.iloc[0].to_dict())
    assert not twice.measured
    assert twice.factor_p90 == pytest.approx(1.40)


def test_renting_twice_shows_both_machines(model):
    twice = rented_twice(model, two_machines.cells_of("a").iloc[0].to_dict())
    assert twice.measured
    assert [label[:1] for label, _ in twice.machines] == ["a", "b"]
    assert 1.0 < twice.factor_p50 < twice.factor_p90


def test_kinds_follow_device_and_mode():
    cells = pd.DataFrame(
        {"device": ["cpu", "cuda", "cuda", "cuda"], "mode": ["hot", "hot", "resident", "cold"]}
    )
    assert list(kinds_of_cells(cells)) == ["cpu", "gpu kernel", "gpu host", "gpu kernel"]
