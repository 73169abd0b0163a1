"""A fitted model kept on disk, so that a dataset is fitted once."""

from __future__ import annotations

import contextlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from collector.errors import DatasetError, OutputError
from collector.shipped import ROOT, shipped
from estimator.dataset.cache_directory import stamp_of

if TYPE_CHECKING:
    from estimator.dataset.measurements import Measurements
    from estimator.model.model import Model


_MOST_KEPT = 8  # models of older datasets; each is a few MB


def fit_cached(measurements: Measurements, cache_dir: str | Path) -> Model:
    """The model of this dataset: read from ``cache_dir``, or fitted and written there.

    A large fleet is fitted to representatives (``selection``).

    Files are named by the dataset's fingerprint and by that of the code and of the data sheets
    it fits with, so that new runs and new versions are fitted anew; a damaged file is too. A
    directory that cannot be written costs the next fit, not this one. Raises EstimateError where
    there is nothing to fit.
    """
    from estimator.model.storage import read_model, write_model

    folder = Path(cache_dir)
    path = folder / f"model-{_code_stamp()}-{measurements.fingerprint[:32]}.json"
    with contextlib.suppress(DatasetError):
        model = read_model(path)
        if model.fingerprint == measurements.fingerprint:
            return model
    # not for those who only ask for the folder
    from estimator.model.selection import fit_selected, fleet_selection

    model = fit_selected(measurements, fleet_selection(measurements))
    with contextlib.suppress(OutputError, DatasetError):
        write_model(model, path)
        _forget_old(folder)
        # as every later process has it, and without what the fit holds
        return read_model(path)
    return model


@cache
def _code_stamp() -> str:
    """What the fit depends on beside the dataset: the code, the work formulas, the data sheets."""
    return stamp_of(ROOT / "estimator", ROOT / "collector" / "workloads", shipped("hardware.csv"))


def _forget_old(folder: Path) -> None:
    """Delete the oldest models beyond the most that are kept."""
    with contextlib.suppress(OSError):
        files = sorted(folder.glob("model-*.json"), key=lambda file: file.stat().st_mtime)
        for file in files[:-_MOST_KEPT]:
            file.unlink()
