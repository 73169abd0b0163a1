"""How well cores of the same family answer for another CPU: coverage on machines left out.

    python -m benchmarks.same_cores [--data data/runs]

Each machine's CPU is asked as a CPU of another name, through the other machines of its type with
its own cells left out; and on all of its cores, through cells of one thread alone. Prints for
each the cells, the share inside the 90 % interval, the medians of the absolute and of the signed
log error, and the median half-width.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from estimator.dataset.measurements import load, measured_cells
from estimator.fitting.fit import describe_cells
from estimator.model.fit import fit_table

_STAND_IN = "stand-in"
_QUESTION = [
    *("machine_id", "workload", "case", "params", "dtype"),
    *("math_mode", "backend", "device", "threads", "mode"),
]


def main() -> None:
    """Print a line for each machine and experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path("data/runs"))
    measurements = load(parser.parse_args().data)
    machines = measurements.machines
    table = describe_cells(measured_cells(measurements), machines)
    cpu = (table["device"] == "cpu").to_numpy()
    kinds = machines.set_index("machine_id")["machine_type_id"]
    for machine in sorted(set(table.loc[cpu, "machine_id"])):
        own = cpu & (table["machine_id"] == machine).to_numpy()
        alike = cpu & table["machine_id"].map(kinds).eq(kinds[machine]).to_numpy()
        many = (table["threads"] > 1).to_numpy()
        if (alike & ~own).any():
            _report(f"{machine[:8]} through others", table, machines, machine, ~own, own)
            kept, asked = ~(own | (alike & many)), own & many
            _report(
                f"{machine[:8]} all cores through others' one",
                table,
                machines,
                machine,
                kept,
                asked,
            )
        else:
            asked = own & many
            _report(
                f"{machine[:8]} all cores through its one", table, machines, machine, ~asked, asked
            )


def _report(
    name: str,
    table: pd.DataFrame,
    machines: pd.DataFrame,
    machine: str,
    kept: np.ndarray[tuple[int], np.dtype[np.bool_]],
    asked: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> None:
    other = machines[machines["machine_id"] == machine].assign(
        machine_id=_STAND_IN, machine_type_id=_STAND_IN, cpu_model="another name"
    )
    model = fit_table(table[kept], pd.concat([machines, other], ignore_index=True))
    cells = table[asked].reset_index(drop=True)
    params = pd.Series([dict(key) for key in cells["params_key"]], dtype=object)
    cells = cells.assign(machine_id=_STAND_IN, params=params)
    answer = model.predict(cells[_QUESTION], strict=False)
    chosen = (answer["basis"] == "from_specs").to_numpy()
    apart = cells["log_seconds"].to_numpy() - np.log(answer["seconds_p50"].to_numpy())
    error = np.abs(apart)
    half = np.log((answer["seconds_p95"] / answer["seconds_p50"]).to_numpy())
    inside = (error <= half)[chosen].mean()
    print(
        f"{name:40} cells {chosen.sum():5} inside {inside:6.1%} "
        f"median error {np.median(error[chosen]):.2f} bias {np.median(apart[chosen]):+.2f} "
        f"half-width {np.median(half[chosen]):.2f}"
    )


if __name__ == "__main__":
    main()
