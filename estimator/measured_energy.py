"""Energy of one call as a GPU's own counter measured it: only for the very cell that was measured.

It is the GPU's alone (no host), of calls in a row, and nothing is estimated: where no machine with
that GPU measured the cell with that library, there is no energy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from estimator.hardware import match_gpu
from estimator.instances import Instance

if TYPE_CHECKING:
    import duckdb

ENERGY_COLUMNS = ("gpu", "backend", "energy_j")

_QUERY = """
SELECT machines.gpu_model, cells.backend, cells.params, cells.energy_j
FROM cells JOIN machines USING (machine_id)
WHERE cells.device = 'cuda' AND cells.mode = 'hot' AND cells.energy_j IS NOT NULL
    AND cells.workload = ? AND cells."case" = ? AND cells.dtype = ?
    AND coalesce(cells.math_mode, 'ieee') = ?
LIMIT 100000
"""


def measured_energy(
    connection: duckdb.DuckDBPyConnection, question: Mapping[str, Any]
) -> pd.DataFrame:
    """The columns :data:`ENERGY_COLUMNS`: median joules of one call by GPU and library.

    ``connection`` has the tables ``cells`` and ``machines`` of :mod:`estimator.index`; ``gpu`` is
    a name of data/hardware.csv. ``question``: workload, case, complete params, dtype, math_mode.
    """
    params = dict(question["params"])
    asked = [question["workload"], question["case"], question["dtype"], question["math_mode"]]
    with connection.cursor() as cursor:  # sessions share the connection
        cells = cursor.execute(_QUERY, asked).fetchall()
    rows = [
        (gpu.name, str(backend), float(joules))
        for model, backend, known, joules in cells
        if known == params and joules > 0.0 and (gpu := match_gpu(str(model))) is not None
    ]
    found = pd.DataFrame(rows, columns=[*ENERGY_COLUMNS])
    return found.groupby(["gpu", "backend"], as_index=False).median()


def with_energy(
    timings: pd.DataFrame, instances: Sequence[Instance], energy: pd.DataFrame
) -> pd.DataFrame:
    """``timings`` with ``energy_j``, joules of one call; NaN where it was not measured."""
    hardware = {instance.key: instance.hardware for instance in instances if instance.gpu_count}
    known = {(row["gpu"], row["backend"]): row["energy_j"] for row in energy.to_dict("records")}
    places = zip(timings["key"], timings["backend"], strict=True)
    joules = [known.get((hardware.get(key), backend), math.nan) for key, backend in places]
    return timings.assign(energy_j=pd.Series(joules, timings.index, dtype=float))
