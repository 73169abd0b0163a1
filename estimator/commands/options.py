"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector.errors import SelectionError
from estimator.commands.selecting import asks_selection, read_selection
from estimator.defaults import DATA_PLACE, DTYPE, MATH_MODE

if TYPE_CHECKING:
    from estimator.dataset import Measurements
    from estimator.model import Model

DATA = Path("data/runs")
#: where `make run` puts this machine's own runs
OWN_RUNS = Path("runs")
#: directories to read instead, separated as in PATH; the dashboard reads it too
DATA_VARIABLE = "BREAKEVEN_DATA"
REPEATS = Path("data/repeats")


def add_data(parser: argparse.ArgumentParser) -> None:
    """``--data`` and ``--json``."""
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        metavar="PATH",
        help="directory of runs, or one file; repeatable (default: what the variable "
        f"{DATA_VARIABLE} lists, else {DATA} and, where there is one, {OWN_RUNS})",
    )
    parser.add_argument("--json", action="store_true", help="JSON on standard output")


def add_model(parser: argparse.ArgumentParser) -> None:
    """``--model``: a model file instead of a dataset."""
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="what `fit -o FILE` wrote, instead of a dataset"
    )


def add_question(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """The operation: workload (``default`` where none is named), case, parameters, type, mode."""
    parser.add_argument(
        "workload",
        metavar="WORKLOAD",
        nargs=None if default is None else "?",
        default=default,
        help="family, such as matmul" + (f" (default: {default})" if default else ""),
    )
    parser.add_argument("--case", help="case of the family (default: its first)")
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="parameter of the case; may be given several times",
    )
    parser.add_argument(
        "--dtype", help=f"element type (default: {DTYPE}, or the family's first without it)"
    )
    parser.add_argument(
        "--math-mode", choices=("ieee", "tf32"), default=MATH_MODE, help=f"default: {MATH_MODE}"
    )
    parser.add_argument(
        "--mode",
        choices=("hot", "cold", "resident", "end_to_end"),
        help="where a GPU's data is: resident on the device, or in host memory and copied both "
        f"ways (end_to_end); or its kernels alone, hot or cold (default: {DATA_PLACE})",
    )


def read_question(arguments: argparse.Namespace) -> dict[str, Any]:
    """The columns of a question that do not depend on the place. Raises SelectionError."""
    from collector.workloads import get_workload
    from estimator.defaults import default_dtype
    from estimator.names import dtype_of

    family = get_workload(arguments.workload)
    case = arguments.case or family.cases[0]
    params: dict[str, int] = {}
    for text in arguments.param:
        name, _, value = text.partition("=")
        if name in params:
            raise SelectionError(f"--param {text}: {name} is given twice")
        try:
            params[name] = int(float(value))
            if params[name] != float(value):
                raise ValueError
        except (ValueError, OverflowError):
            raise SelectionError(
                f"--param {text}: write NAME=VALUE with a whole number, such as n=3000"
            ) from None
    known = sorted({dtype for pairs in family.support.values() for dtype, _ in pairs})
    dtype = dtype_of(arguments.dtype) if arguments.dtype else default_dtype(family, case)
    if dtype not in known:
        raise SelectionError(
            f"{family.name}: unknown dtype {dtype!r}; choose one of {', '.join(known)}"
        )
    question = {
        "workload": family.name,
        "case": case,
        "params": family.complete(case, params),
        "dtype": dtype,
        "math_mode": arguments.math_mode,
    }
    return question if arguments.mode is None else question | {"mode": arguments.mode}


def default_data() -> list[Path]:
    """What is read without ``--data``: as the dashboard does, this machine's own runs too."""
    listed = [Path(part) for part in os.environ.get(DATA_VARIABLE, "").split(os.pathsep) if part]
    if listed:
        return [path for path in listed if path.exists()] or listed
    return [DATA, OWN_RUNS] if any(OWN_RUNS.rglob("*.parquet")) else [DATA]


def open_measurements(arguments: argparse.Namespace) -> Measurements:
    """The dataset of ``--data``; names on standard error what was set aside."""
    from estimator.dataset import load

    measurements = load(*(arguments.data or default_data()))
    warn(measurements.problems)
    return measurements


def open_model(arguments: argparse.Namespace) -> Model:
    """The model of ``--model``, or a fit of the dataset."""
    from estimator.cache import fit_cached, user_cache_directory

    if getattr(arguments, "model", None) is not None:
        from estimator.model import Model

        if asks_selection(arguments):
            raise SelectionError("--model is fitted already: select measurements of a --data")
        return Model.read(arguments.model)
    measurements = open_measurements(arguments)
    if asks_selection(arguments):
        from estimator.selection import fit_selected

        return fit_selected(measurements, read_selection(arguments, measurements))
    return fit_cached(measurements, user_cache_directory())


def warn(problems: Sequence[Any]) -> None:
    """Name files that were set aside, on standard error."""
    for problem in problems:
        print(f"warning: {problem.path}: {problem.reason}", file=sys.stderr)


def print_json(value: Any) -> None:
    """A value as JSON on standard output."""
    print(json.dumps(plain(value), indent=2, allow_nan=False))


def plain(value: Any) -> Any:
    """JSON values: numpy's numbers become Python's, NaN and infinity null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
