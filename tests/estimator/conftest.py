"""A fitted model and a dataset on disk, made up, shared by the tests of the estimator."""

import pytest

from estimator.dataset.measurements import load
from estimator.model.fit import fit_table
from estimator.validation.splits import ANOTHER_RUN, BETWEEN, LARGER, SAME
from estimator.validation.validate import run_validation
from tests.estimator import made_up

FACTS = {
    "gpu_model": "NVIDIA H200",
    "gpu_count": 1,
    "gpu_memory_bytes": 141 * 10**9,
    "cpu_model": "INTEL(R) XEON(R) PLATINUM 8581C CPU @ 2.10GHz",
    "physical_cores": 2,
    "memory_bytes": 2**36,
    "cpu_mhz": 3000.0,
}


@pytest.fixture(scope="session")
def cells():
    """Questions: every made-up cell of four families on one machine with a GPU."""
    families = ("matmul", "elementwise", "python_loop", "transfer")
    backends = (*made_up.CPU, ("python", "cpu"), *made_up.GPU)
    return made_up.make_cells(backends, families)


@pytest.fixture(scope="session")
def table(cells):
    return made_up.described(cells)


@pytest.fixture(scope="session")
def model(table):
    return fit_table(table, fingerprint="made up")


@pytest.fixture(scope="session")
def stored(cells):
    """The cells of ``dataset``: few enough to be fitted again and again."""
    chosen = cells["case"].isin(["square", "add"]) & (cells["dtype"] != "float16")
    return cells[chosen & (cells["backend"] != "python")].reset_index(drop=True)


@pytest.fixture(scope="session")
def dataset(stored, tmp_path_factory):
    """A directory of two runs of one machine, and a damaged file."""
    root = tmp_path_factory.mktemp("runs")
    for seed in (1, 2):
        seconds = made_up.true_seconds(stored, seed=seed)
        path = root / "made" / f"r{seed}.parquet"
        made_up.write_run(path, stored, seconds, FACTS, run=f"r{seed}")
    (root / "made" / "broken.parquet").write_bytes(b"not a Parquet file")
    return root


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory):
    """Two runs of one backend and family, for what would take long on all."""
    root = tmp_path_factory.mktemp("small")
    cells = made_up.make_cells((("numpy", "cpu"),), ("elementwise",))
    for seed in (1, 2):
        seconds = made_up.true_seconds(cells, seed=seed)
        made_up.write_run(root / f"r{seed}.parquet", cells, seconds, FACTS, run=f"r{seed}")
    return root


@pytest.fixture(scope="session")
def validation(small_dataset):
    """The validation of the small dataset: four splits."""
    return run_validation(load(small_dataset), (SAME, BETWEEN, LARGER, ANOTHER_RUN))


@pytest.fixture(scope="session")
def measurements(dataset):
    return load(dataset)
