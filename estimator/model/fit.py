"""From a dataset, or a part of it, to a ``Model``; fitted once and kept on disk."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import pandas as pd

from collector.errors import DatasetError, OutputError
from collector.shipped import ROOT, shipped
from estimator.dataset.cache_directory import stamp_of
from estimator.dataset.measurements import Measurements, measured_cells
from estimator.fitting.fit import describe_cells, fit_cells
from estimator.model.model import Model
from estimator.model.selection import EVERYTHING, Selection, fleet_selection, selected_cells
from estimator.model.storage import read_model, write_model

_MOST_KEPT = 8  # models of older datasets; each is a few MB


def fit(measurements: Measurements) -> Model:
    """Fit every group of the rows with status ok. Raises EstimateError where there are none."""
    machines = measurements.machines
    table = describe_cells(measured_cells(measurements), machines)
    return fit_table(table, machines, measurements.fingerprint)


def fit_table(
    table: pd.DataFrame, machines: pd.DataFrame | None = None, fingerprint: str = ""
) -> Model:
    """``fit`` of described cells (``fit_cells``)."""
    fitted = fit_cells(table, machines, fingerprint)
    return Model(**{field.name: getattr(fitted, field.name) for field in fields(fitted)})


def fit_selected(measurements: Measurements, selection: Selection = EVERYTHING) -> Model:
    """The model of a selection; it knows all machines, but measurements of the selected ones.

    Where no machines are selected, a large fleet has its representatives (``fleet_selection``).
    The fingerprint is the dataset's where nothing else is selected, else one of dataset and
    selection. Raises EstimateError where nothing is left to fit.
    """
    fleet = fleet_selection(measurements)
    if selection.machines is None:
        thin = selection.most_per_machine or fleet.most_per_machine
        selection = replace(selection, machines=fleet.machines, most_per_machine=thin)
    machines = measurements.machines
    table = describe_cells(selected_cells(measurements, selection), machines)
    mark = measurements.fingerprint
    if selection != fleet:
        mark = hashlib.sha256(f"{mark} {selection!r}".encode()).hexdigest()
    return fit_table(table, machines, mark)


def fit_cached(measurements: Measurements, cache_dir: str | Path) -> Model:
    """The model of this dataset: read from ``cache_dir``, or fitted and written there.

    A large fleet is fitted to representatives (``selection``).

    Files are named by the dataset's fingerprint and by that of the code and of the data sheets
    it fits with, so that new runs and new versions are fitted anew; a damaged file is too. A
    directory that cannot be written costs the next fit, not this one. Raises EstimateError where
    there is nothing to fit.
    """
    folder = Path(cache_dir)
    path = folder / f"model-{_code_stamp()}-{measurements.fingerprint[:32]}.json"
    with contextlib.suppress(DatasetError):
        model = read_model(path)
        if model.fingerprint == measurements.fingerprint:
            return model
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
