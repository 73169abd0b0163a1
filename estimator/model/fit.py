"""From a dataset to a ``Model``."""

from __future__ import annotations

from dataclasses import fields

import pandas as pd

from estimator.dataset.measurements import Measurements, measured_cells
from estimator.fitting.fit import describe_cells, fit_cells
from estimator.model.model import Model


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
