"""A made-up machine measured in full, and others known by less. They never leave the tests."""

from __future__ import annotations

import numpy as np
import pandas as pd

from estimator.cells.features import describe
from estimator.dataset.measurements import empty_machines
from estimator.dataset.tables import CELL_COLUMNS
from estimator.fitting.fit import describe_cells
from tests.estimator import made_up

FAMILIES = ("matmul", "elementwise", "python_loop", "transfer")
BACKENDS = (*made_up.CPU, *made_up.GPU)


def machine(machine_id, **facts):
    """A row of ``Measurements.machines``."""
    row = empty_machines([machine_id])
    known = {
        "cpu_model": "INTEL(R) XEON(R) PLATINUM 8581C CPU @ 2.10GHz",
        "gpu_model": "NVIDIA H200",
        "machine_type_id": "type A",
        "physical_cores": 2,
        "cpu_mhz": 3000.0,
        **facts,
    }
    return row.assign(**known)


def cells_of(machine_id, backends=BACKENDS, families=FAMILIES):
    """Fewer than the grid has, so that many models fit in a test's time."""
    cells = made_up.make_cells(backends, families, machine_id=machine_id)
    few = (cells["dtype"] == "float32") & (cells["math_mode"] == "ieee")
    few |= cells["workload"].isin(["fft", "python_loop"])
    return cells[few & (cells["mode"] != "end_to_end")].reset_index(drop=True)


def rows_of(cells, factor=1.0, seed=1, noise=0.02, **columns):
    """Measured cells whose times are those of the formula times ``factor`` (n,)."""
    seconds = made_up.true_seconds(cells, noise, seed) * factor
    return made_up.measured(cells, seconds).assign(**columns)


def described(rows, machines):
    return describe_cells(pd.concat(rows, ignore_index=True), machines)


def host_factor(cells, factor):
    """``factor`` where a host's processor does the work, 1 in a GPU's kernels."""
    on_host = (cells["device"] == "cpu") | cells["mode"].isin(["resident", "end_to_end"])
    return np.where(on_host, factor, 1.0)


def questions(cells):
    return cells[[*CELL_COLUMNS, "params"]].reset_index(drop=True)


def sizes(cells):
    return describe(cells)["size"]
