"""A fitted model kept on disk, so that a dataset is fitted once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from functools import cache
from pathlib import Path

from collector.errors import DatasetError, OutputError
from estimator.dataset import Measurements
from estimator.fitting import fit
from estimator.model import Model
from estimator.storage import read_model, write_model

_MOST_KEPT = 8  # models of older datasets; each is a few MB


def user_cache_directory() -> Path:
    """``$XDG_CACHE_HOME/breakeven``, or below ~/.cache (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "breakeven"
    try:
        return Path.home() / ".cache" / "breakeven"
    except RuntimeError:  # a user without a home, as in containers
        return Path(tempfile.gettempdir()) / "breakeven"


def fit_cached(measurements: Measurements, cache_dir: str | Path) -> Model:
    """The model of this dataset: read from ``cache_dir``, or fitted and written there.

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
    model = fit(measurements)
    with contextlib.suppress(OutputError):
        write_model(model, path)
        _forget_old(folder)
    return model


@cache
def _code_stamp() -> str:
    """What the fit depends on beside the dataset: the code, the work formulas, the data sheets."""
    package = Path(__file__).parent
    root = package.parent
    formulas = sorted((root / "collector" / "workloads").glob("*.py"))
    digest = hashlib.sha256()
    for file in [*sorted(package.glob("*.py")), *formulas, root / "data" / "hardware.csv"]:
        with contextlib.suppress(OSError):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _forget_old(folder: Path) -> None:
    """Delete the oldest models beyond the most that are kept."""
    with contextlib.suppress(OSError):
        files = sorted(folder.glob("model-*.json"), key=lambda file: file.stat().st_mtime)
        for file in files[:-_MOST_KEPT]:
            file.unlink()
