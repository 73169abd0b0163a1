"""A fitted model as one plain JSON file: tables as columns of numbers and strings, no pickle."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from collector.errors import DatasetError, OutputError
from estimator.arrays import Array
from estimator.dataset.tables import CELL_COLUMNS
from estimator.fitting.corrections import COPIES, DIGITS, KERNELS, Corrections, Gathered
from estimator.fitting.levels import SPREAD_OF, Fit, Level
from estimator.fitting.residuals import Block, Rows
from estimator.formula.copies import TRANSFER_PARAMETERS
from estimator.formula.kernel import KERNEL_PARAMETERS
from estimator.model.model import Model
from estimator.others.effects import KINDS, Deviations, Differences
from estimator.others.facts import Relation
from estimator.others.spread import Spread

FORMAT = "breakeven.model"
VERSION = 5

#: Of a group's index, what is read of it after the fit beside its keys (``group_table``), and
#: how the names of its ranges, counts and deviations begin.
_NAMES = (*CELL_COLUMNS, "operation", "answer_mode")
_READ = (
    *("flop", "bytes", "fresh", "width", "depth", "share_floor", "multiprocessors"),
    *("product_batch", "product_0_winograd", "forks"),
)
_PREFIXES = ("low_", "high_", "n_fit", SPREAD_OF)


def write_model(model: Model, path: str | Path) -> None:
    """Write atomically (temporary name, then rename). Raises OutputError."""
    path = Path(path)
    text = json.dumps(to_json(model), allow_nan=False, separators=(",", ":"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError as error:
        raise OutputError(f"{path}: the model cannot be written: {error.strerror}") from None


def read_model(path: str | Path) -> Model:
    """Read and check a model file. Raises DatasetError, which names the file and what to do."""
    path = Path(path)
    hint = "fit it anew with `python -m estimator fit`"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"{path}: the model cannot be read: {error.strerror}") from None
    except ValueError:
        raise DatasetError(f"{path}: not a model file (no JSON in it); {hint}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DatasetError(f"{path}: not a model file of Breakeven; {hint}")
    if document.get("version") != VERSION:
        raise DatasetError(
            f"{path}: model version {document.get('version')}, this reads {VERSION}; {hint}"
        )
    try:
        return from_json(document)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DatasetError(f"{path}: damaged model file ({error!r}); {hint}") from None


def to_json(model: Model) -> dict[str, Any]:
    """The model as JSON values; NaN and infinity become null and "inf"."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "fingerprint": model.fingerprint,
        "machines": _table_to_json(model.machines),
        "kernel_parameters": list(KERNEL_PARAMETERS),
        "transfer_parameters": list(TRANSFER_PARAMETERS),
        "dtype": _level_to_json(model.fit.dtype),
        "case": _level_to_json(model.fit.case),
        "group": _level_to_json(model.fit.group, (*_NAMES, *_READ)),
        "modes": _table_to_json(model.fit.modes),
        "bus": [_level_to_json(level, _NAMES) for level in model.fit.bus],
        "corrections": _corrections_to_json(model.fit.corrections),
        "calibration": _table_to_json(model.calibration),
        "between": _table_to_json(model.between),
        "measured": _table_to_json(model.measured),
        "errors": _table_to_json(model.errors),
        "differences": _differences_to_json(model.differences),
    }


def from_json(document: dict[str, Any]) -> Model:
    """The inverse of ``to_json``. Raises KeyError, TypeError or ValueError on damage."""
    names = (document["kernel_parameters"], document["transfer_parameters"])
    if names != (list(KERNEL_PARAMETERS), list(TRANSFER_PARAMETERS)):
        raise ValueError("its parameters are not those of this version")
    return Model(
        fingerprint=str(document["fingerprint"]),
        machines=_table_from_json(document["machines"]),
        fit=Fit(
            _level_from_json(document["dtype"]),
            _level_from_json(document["case"]),
            _level_from_json(document["group"]),
            _table_from_json(document["modes"]),
            tuple(_level_from_json(level) for level in document["bus"]),
            _corrections_from_json(document["corrections"]),
        ),
        calibration=_table_from_json(document["calibration"]),
        between=_table_from_json(document["between"]),
        measured=_table_from_json(document["measured"]),
        errors=_table_from_json(document["errors"]),
        known_differences=_differences_from_json(document["differences"]),
    )


def _differences_to_json(differences: Differences) -> dict[str, Any]:
    return {
        "deviations": {kind: vars(found) for kind, found in differences.deviations.items()},
        "spread": _table_to_json(differences.spread.table),
    }


def _differences_from_json(document: dict[str, Any]) -> Differences:
    relations: tuple[Relation, ...] = get_args(Relation)
    found = {}
    for relation in relations:
        stored = document["deviations"][relation]
        values, scales = (
            {str(kind): float(value) for kind, value in stored[name].items()}
            for name in ("values", "scales")
        )
        counts = {str(kind): int(count) for kind, count in stored["counts"].items()}
        if set(values) != set(KINDS) or not all(value > 0.0 for value in values.values()):
            raise ValueError("the differences between machines are not those of this version")
        found[relation] = Deviations(values, counts, scales)
    return Differences(found, Spread(_table_from_json(document["spread"])))


def _level_to_json(level: Level, kept: Sequence[str] = ()) -> dict[str, Any]:
    names = [name for name in level.index.columns if _is_kept(str(name), level.keys, kept)]
    return {
        "keys": list(level.keys),
        "index": _table_to_json(level.index[names]),
        "theta": np.round(level.theta, 7).tolist(),
        "sensitivity": np.round(level.sensitivity, 3).tolist(),
        "pull": np.round(level.pull, 6).tolist(),
    }


def _is_kept(name: str, keys: Sequence[str], kept: Sequence[str]) -> bool:
    return name in keys or name in kept or (bool(kept) and name.startswith(_PREFIXES))


def _level_from_json(document: dict[str, Any]) -> Level:
    index = _table_from_json(document["index"])
    theta = np.array(document["theta"], dtype=float)
    sensitivity = np.array(document["sensitivity"], dtype=float)
    pull = np.array(document["pull"], dtype=float)
    if theta.ndim != 2 or not theta.shape == sensitivity.shape == pull.shape:
        raise ValueError("parameters do not fit together")
    if len(theta) != len(index):
        raise ValueError("parameters and groups do not fit together")
    if not (np.isfinite(theta).all() and np.isfinite(pull).all()):
        raise ValueError("a parameter is not a finite number")
    return Level(tuple(document["keys"]), index, theta, sensitivity, pull)


def _corrections_to_json(corrections: Corrections) -> dict[str, Any]:
    blocks = []
    for key, found in corrections.blocks.items():
        block = found.block
        both = np.column_stack([block.rows.position, block.rows.classes])
        # many rows are of one shape
        shapes, shape = np.unique(both, axis=0, return_inverse=True)
        blocks.append(
            {
                "key": list(key),
                "copies": block.relation == COPIES,
                "names": [list(names) for names in found.names],
                "shapes": _scaled(shapes),
                "classes": block.rows.classes.shape[1],
                "shape": shape.ravel().tolist(),
                "codes": block.rows.codes.tolist(),
                "jacobian": _scaled(block.rows.jacobian),
                "spreads": block.spreads.tolist(),
                "scales": list(block.scales),
                "noise": block.noise.tolist(),
                "weights": np.round(block.weights, 6).tolist(),
            }
        )
    return {
        "blocks": blocks,
        "kinds": dict(corrections.kinds),
        "depths": dict(corrections.depths),
    }


def _corrections_from_json(document: dict[str, Any]) -> Corrections:
    blocks = {}
    for stored in document["blocks"]:
        names = tuple(tuple(str(name) for name in column) for column in stored["names"])
        shapes, jacobian = (
            np.array(stored[name], dtype=float) / 10**DIGITS for name in ("shapes", "jacobian")
        )
        shapes = shapes[np.array(stored["shape"], dtype=np.intp)]
        width = shapes.shape[1] - int(stored["classes"])
        codes = np.array(stored["codes"], dtype=np.int64)
        rows = Rows(shapes[:, :width], shapes[:, width:], codes, jacobian)
        spreads = np.array(stored["spreads"], dtype=float)
        scales = tuple(float(value) for value in stored["scales"])
        noise, weights = (np.array(stored[name], dtype=float) for name in ("noise", "weights"))
        relation = COPIES if stored["copies"] else KERNELS
        _check_block(rows, spreads, noise, weights, len(relation.levels))
        block = Block(relation, rows, spreads, scales, noise, weights)
        blocks[tuple(str(part) for part in stored["key"])] = Gathered(names, block)
    depths = {str(name): int(depth) for name, depth in document["depths"].items()}
    kinds = {str(machine): str(kind) for machine, kind in document["kinds"].items()}
    return Corrections(blocks, kinds, depths)


def _check_block(rows: Rows, spreads: Array, noise: Array, weights: Array, levels: int) -> None:
    count = len(noise)
    if {len(values) for values in (weights, *vars(rows).values())} != {count}:
        raise ValueError("rows of a correction do not fit together")
    if spreads.shape != (levels, rows.jacobian.shape[1]):
        raise ValueError("a correction's parameters do not fit together")
    numbers = (rows.position, rows.classes, rows.jacobian, spreads, noise, weights)
    if not all(np.isfinite(values).all() for values in numbers):
        raise ValueError("a correction is not a finite number")


def _scaled(values: Array) -> list[Any]:
    """Whole numbers of the last digit kept: shorter than decimals."""
    found: list[Any] = np.rint(values * 10**DIGITS).astype(np.int64).tolist()
    return found


def _table_to_json(table: pd.DataFrame) -> dict[str, Any]:
    return {str(name): _column_to_json(table[name]) for name in table.columns}


def _column_to_json(column: pd.Series[Any]) -> dict[str, Any]:
    """Values that are no numbers once each, with their places: most are repeated often."""
    kind = column.dtype.kind
    if kind == "f":
        return {"kind": kind, "values": [_plain(_short(value)) for value in column]}
    if kind in "iu":
        return {"kind": kind, "values": column.tolist()}
    codes, values = pd.factorize(column, use_na_sentinel=False)
    return {"kind": kind, "values": [_plain(v) for v in values], "codes": codes.tolist()}


def _short(value: float) -> float:
    """Twelve significant digits: logarithms of ranges are compared to 1e-9."""
    return float(f"{value:.12g}")


def _table_from_json(document: dict[str, Any]) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for name, column in document.items():
        values, kind = column["values"], column["kind"]
        if "codes" in column:
            if name == "params_key":
                values = [tuple((str(k), int(v)) for k, v in pairs) for pairs in values]
            columns[name] = [values[code] for code in column["codes"]]
        elif kind == "f":
            columns[name] = np.array(
                [np.nan if value is None else float(value) for value in values], dtype=float
            )
        elif kind in "iu":
            columns[name] = np.array([int(value) for value in values], dtype="int64")
        else:
            columns[name] = values
    return pd.DataFrame(columns)


def _plain(value: Any) -> Any:
    """A JSON value; numpy's numbers become Python's, tuples lists."""
    if isinstance(value, tuple):
        return [list(pair) for pair in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else str(value)
    return None if value is pd.NA or value is pd.NaT else value
