"""Fit measurements of machines, predict the time of an operation, and price it.

    model = fit(load("data/runs"))
    model.predict(cells)

Names are imported on first use, so that the command line answers --help without pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collector.jobs import read_job
    from estimator.catalogue.hardware import match_gpu
    from estimator.dataset.measurements import Measurements, load
    from estimator.decide.breakeven import Breakeven, Place, Speedup, breakeven_size, speedup
    from estimator.model.fit import fit, fit_cached
    from estimator.model.model import Model
    from estimator.validation.validate import validate

__all__ = [
    "Breakeven",
    "Measurements",
    "Model",
    "Place",
    "Speedup",
    "breakeven_size",
    "fit",
    "fit_cached",
    "load",
    "match_gpu",
    "read_job",
    "speedup",
    "validate",
]

_HOMES = {
    "Breakeven": "estimator.decide.breakeven",
    "Measurements": "estimator.dataset.measurements",
    "Model": "estimator.model.model",
    "Place": "estimator.decide.breakeven",
    "Speedup": "estimator.decide.breakeven",
    "breakeven_size": "estimator.decide.breakeven",
    "fit": "estimator.model.fit",
    "fit_cached": "estimator.model.fit",
    "load": "estimator.dataset.measurements",
    "match_gpu": "estimator.catalogue.hardware",
    "read_job": "collector.jobs",
    "speedup": "estimator.decide.breakeven",
    "validate": "estimator.validation.validate",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'estimator' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
