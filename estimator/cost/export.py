"""The table of costs as a file: every row with its dated price, its source and what made it.

Pure but for :func:`write_table`. A cell of text that a spreadsheet would run as a formula is
quoted, whatever the catalogue or the dataset held.
"""

from __future__ import annotations

import datetime
import io
import json
import math
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pandas as pd

from collector import __version__
from collector.errors import OutputError, SelectionError
from estimator.catalogue.csv_files import FORMULA_STARTS
from estimator.cost.instance_costs import COST_COLUMNS

Format: TypeAlias = Literal["csv", "json", "parquet"]
FORMATS: tuple[Format, ...] = ("csv", "json", "parquet")

_PLACE = ("provider", "instance", "region", "market", "gpu", "gpu_count", "vcpu")
_MONEY = ("price_usd_per_h", "as_of", "source")
_TIME = (
    *("backend", "machine", "basis", "note"),
    *("seconds_p5", "seconds_p50", "seconds_p95"),
)
EXPORT_COLUMNS = (
    *_PLACE,
    *_MONEY,
    *(name for name in COST_COLUMNS if name not in (*_PLACE, *_MONEY)),
    *_TIME,
    *("excluded", "dataset_fingerprint", "estimator_version", "exported_on"),
)

#: what an instance that nobody measured has from a machine with the same GPU
_OF_THE_SAME_GPU = ("measured", "interpolated", "extrapolated", "new_workload", "probed")


def own_basis(basis: str) -> str:
    """The basis of an instance's time: at best a machine with the same GPU was measured."""
    return f"same_gpu_{basis}" if basis in _OF_THE_SAME_GPU else basis


def export_table(table: pd.DataFrame, fingerprint: str, exported_on: str = "") -> pd.DataFrame:
    """The columns :data:`EXPORT_COLUMNS`; ``exported_on`` is an ISO date (default: today, UTC)."""
    today = exported_on or datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    found = table.assign(
        basis=[own_basis(str(basis)) for basis in table["basis"]],
        dataset_fingerprint=fingerprint,
        estimator_version=__version__,
        exported_on=today,
    )
    found = found[[*EXPORT_COLUMNS]].reset_index(drop=True)
    texts = [name for name in found if not pd.api.types.is_numeric_dtype(found[name].dtype)]
    return found.assign(**{str(name): found[name].map(_harmless) for name in texts})


def _harmless(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


def export_bytes(table: pd.DataFrame, fingerprint: str, format: Format) -> bytes:
    """The exported table as the content of a file. Raises SelectionError for another format."""
    found = export_table(table, fingerprint)
    if format == "csv":
        return found.to_csv(index=False, lineterminator="\n").encode()
    if format == "json":
        rows = [
            {name: None if _missing(value) else value for name, value in row.items()}
            for row in found.to_dict("records")
        ]
        return (json.dumps(rows, indent=2, allow_nan=False, default=str) + "\n").encode()
    if format == "parquet":
        buffer = io.BytesIO()
        found.to_parquet(buffer, index=False)
        return buffer.getvalue()
    raise SelectionError(f"unknown format {format!r}; one of {', '.join(FORMATS)}")


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def format_of(path: Path) -> Format:
    """The format that a file's name ends in. Raises SelectionError for another ending."""
    for known in FORMATS:
        if path.suffix.lower() == f".{known}":
            return known
    endings = ", ".join(f".{known}" for known in FORMATS)
    raise SelectionError(f"--out {path}: the name must end in one of {endings}")


def write_table(table: pd.DataFrame, fingerprint: str, path: Path) -> None:
    """Write the export in the format that the file's name ends in.

    Raises SelectionError for another ending, OutputError if the file cannot be written.
    """
    content = export_bytes(table, fingerprint, format_of(path))
    try:
        path.write_bytes(content)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
