"""Energy of a call: of the very cell that was measured with that library on that GPU, or none."""

from __future__ import annotations

import math

import duckdb
import pytest

from estimator.cost.ownership import measured_energy, with_energy
from tests.estimator.priced_rows import instance, timings

QUESTION = {
    **{"workload": "matmul", "case": "square", "params": {"n": 8, "m": 8}},
    **{"dtype": "float32", "math_mode": "ieee"},
}


@pytest.fixture
def connection():
    made = duckdb.connect()
    made.execute("CREATE TABLE machines (machine_id VARCHAR, gpu_model VARCHAR)")
    made.execute("INSERT INTO machines VALUES ('a', 'Tesla T4'), ('b', 'Tesla T4'), ('c', 'Odd 1')")
    made.execute(
        'CREATE TABLE cells (machine_id VARCHAR, workload VARCHAR, "case" VARCHAR, '
        "params MAP(VARCHAR, BIGINT), dtype VARCHAR, math_mode VARCHAR, device VARCHAR, "
        "mode VARCHAR, backend VARCHAR, energy_j DOUBLE)"
    )
    rows = [
        ("a", 8, "cuda", "hot", "torch", 1.0),
        ("b", 8, "cuda", "hot", "torch", 3.0),
        ("a", 9, "cuda", "hot", "torch", 50.0),  # another size
        ("a", 8, "cuda", "cold", "torch", 50.0),
        ("a", 8, "cuda", "hot", "cupy", None),
        ("c", 8, "cuda", "hot", "torch", 50.0),  # a GPU that no catalogue knows
    ]
    for machine, n, device, mode, backend, joules in rows:
        made.execute(
            "INSERT INTO cells VALUES (?, 'matmul', 'square', MAP {'m': 8, 'n': ?}, 'float32', "
            "NULL, ?, ?, ?, ?)",
            [machine, n, device, mode, backend, joules],
        )
    return made


def test_the_median_of_machines_with_that_gpu(connection):
    found = measured_energy(connection, QUESTION)
    assert found.to_dict("records") == [{"gpu": "T4", "backend": "torch", "energy_j": 2.0}]
    other = measured_energy(connection, QUESTION | {"math_mode": "tf32"})
    assert other.empty


def test_only_the_measured_gpu_and_library_have_an_energy(connection):
    same, cpu = instance("same", 1.0), instance("cpu", 1.0, gpus=0)
    energy = measured_energy(connection, QUESTION)
    rows = with_energy(timings([same, cpu], [1.0, 1.0]), [same, cpu], energy)
    assert rows["energy_j"].iloc[0] == 2.0
    assert math.isnan(rows["energy_j"].iloc[1])
    cupy = timings([same], [1.0]).assign(backend="cupy")
    assert with_energy(cupy, [same], energy)["energy_j"].isna().all()


def test_it_leaves_the_connection_to_who_uses_it(connection):
    """Sessions share one connection; what another one has asked and not yet read stays there."""
    connection.execute("SELECT 42")
    measured_energy(connection, QUESTION)
    assert connection.fetchone() == (42,)
