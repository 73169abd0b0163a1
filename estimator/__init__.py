"""Fit measurements of machines, predict the time of an operation, and price it.

    model = fit(load("data/runs"))
    model.predict(cells)

Names are imported on first use, so that the command line answers --help without pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from estimator.breakeven import Breakeven, Place, Speedup
    from estimator.cache import fit_cached
    from estimator.dataset import Measurements, load
    from estimator.fitting import fit
    from estimator.model import Model
    from estimator.validation import validate

__all__ = [
    "Breakeven",
    "Measurements",
    "Model",
    "Place",
    "Speedup",
    "fit",
    "fit_cached",
    "load",
    "validate",
]

_HOMES = {
    "Breakeven": "estimator.breakeven",
    "Measurements": "estimator.dataset",
    "Model": "estimator.model",
    "Place": "estimator.breakeven",
    "Speedup": "estimator.breakeven",
    "fit": "estimator.fitting",
    "fit_cached": "estimator.cache",
    "load": "estimator.dataset",
    "validate": "estimator.validation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'estimator' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
