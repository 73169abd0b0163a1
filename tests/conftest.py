"""Settings and fitted models that every test shares."""

import fcntl
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# no deadline: a busy machine is not a failure
settings.register_profile(
    "breakeven", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("breakeven")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Fitted models of the tests' datasets: one cache for all workers, not the user's."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        yield


@pytest.fixture(scope="session")
def shipped_runs():
    """The measurements of ``data/runs``."""
    from estimator.dataset.measurements import load  # a GPU machine may have no duckdb

    return load(Path(__file__).parents[1] / "data" / "runs")


@pytest.fixture(scope="session")
def shipped_model(own_cache, shipped_runs):
    """The model of the shipped runs; the first worker that asks fits it, the others wait."""
    from estimator.dataset.cache_directory import user_cache_directory
    from estimator.model.fit import fit_cached

    folder = user_cache_directory()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "shipped.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return fit_cached(shipped_runs, folder)
