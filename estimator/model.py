"""A fitted model: what it answers, and how it lies on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from collector.errors import EstimateError, SelectionError
from estimator.dataset import CELL_COLUMNS
from estimator.features import describe
from estimator.forms import check_forms
from estimator.intervals import NORMAL_95, half_widths
from estimator.kernel_model import Array
from estimator.levels import Fit, match
from estimator.predict import Points, predict_points
from estimator.splits import ALL

if TYPE_CHECKING:
    from estimator.breakeven import Breakeven, Place, Speedup

BASES = ("measured", "interpolated", "extrapolated", "new_workload", "from_specs")
BOUNDS = ("launch", "compute", "memory", "transfer")

PREDICTION_COLUMNS = (
    *("seconds_p5", "seconds_p50", "seconds_p95"),
    *("launch_s", "compute_s", "memory_s", "transfer_s"),
    *("bound", "basis", "measured_median_s", "measured_n", "n_fit"),
)

_QUESTION = ("machine_id", "workload", "case", "params", "dtype", "backend", "device")


@dataclass(frozen=True)
class Model:
    """Fitted groups with calibrated intervals. Make one with ``fit`` or ``Model.read``."""

    fingerprint: str
    machines: pd.DataFrame
    fit: Fit
    calibration: pd.DataFrame
    between: pd.DataFrame
    measured: pd.DataFrame
    errors: pd.DataFrame

    def predict(self, cells: pd.DataFrame) -> pd.DataFrame:
        """Estimate cells; same index and order.

        Input: machine_id, workload, case, params (dict), dtype, backend, device, and where
        present math_mode ("ieee"), threads (the most measured) and mode ("hot" on a CPU,
        "resident" on a GPU). Output, times in seconds: seconds_p5, seconds_p50, seconds_p95,
        launch_s, compute_s, memory_s, transfer_s (they add up to seconds_p50), bound, basis,
        measured_median_s, measured_n (samples), n_fit (rows behind the group's fit).

        A machine_id that is no measured machine but the name of a GPU in data/hardware.csv is
        answered from its data sheet (``from_specs.predict_from_specs``), for device cuda.

        Raises SelectionError for a machine, family, case or parameter that is unknown, and
        EstimateError where the library has no form of the case, or this machine no measurement
        that could answer.
        """
        asked = self._complete(cells)
        if asked.empty:
            return pd.DataFrame(columns=list(PREDICTION_COLUMNS), index=cells.index)
        check_forms(asked, self.measured)
        measured = asked["machine_id"].isin(self.fit.group.index["machine_id"]).to_numpy()
        if not measured.all():
            return self._with_data_sheets(asked, measured).set_axis(cells.index)
        return self._predict_measured(asked).set_axis(cells.index)

    def _predict_measured(self, asked: pd.DataFrame) -> pd.DataFrame:
        units = self.machines.set_index("machine_id")["multiprocessors"]
        features = describe(asked.assign(multiprocessors=asked["machine_id"].map(units)))
        table = pd.concat(
            [
                asked[list(CELL_COLUMNS)].reset_index(drop=True),
                features.drop(columns=["workload"]).reset_index(drop=True),
            ],
            axis=1,
        ).assign(replica=ALL)
        points = predict_points(self.fit, table)
        self._require_known(table, points)
        return self._assemble(table, points)

    def _with_data_sheets(
        self, asked: pd.DataFrame, measured: np.ndarray[Any, np.dtype[np.bool_]]
    ) -> pd.DataFrame:
        """Cells of measured machines and of GPUs known by their data sheets, in order."""
        from estimator.from_specs import predict_from_specs

        parts = [predict_from_specs(self, asked[~measured])]
        if measured.any():
            parts.append(self._predict_measured(asked[measured]))
        places = np.concatenate([np.flatnonzero(~measured), np.flatnonzero(measured)])
        return pd.concat(parts, ignore_index=True).set_axis(places).sort_index()

    def speedup(self, cpu: Mapping[str, Any], gpu: Mapping[str, Any]) -> Speedup:
        """How many times faster the second cell is than the first (``breakeven.speedup``)."""
        from estimator.breakeven import speedup

        return speedup(self, cpu, gpu)

    def breakeven_size(
        self,
        workload: str,
        case: str,
        dtype: str,
        cpu: Place,
        gpu: Place,
        reuse: float = 1.0,
        **options: Any,
    ) -> Breakeven:
        """The size from which the GPU is faster (``breakeven.breakeven_size``)."""
        from estimator.breakeven import breakeven_size

        return breakeven_size(self, workload, case, dtype, cpu, gpu, reuse, **options)

    @cached_property
    def labels(self) -> dict[str, str]:
        """machine_id -> label."""
        pairs = zip(self.machines["machine_id"], self.machines["label"], strict=True)
        return {str(machine): str(label) for machine, label in pairs}

    def find_machine(self, name: str) -> str:
        """machine_id of an id, or of the only one whose id starts so or whose label has it in it.

        Raises SelectionError, which lists the machines.
        """
        measured = set(self.fit.group.index["machine_id"])
        known = {machine: label for machine, label in self.labels.items() if machine in measured}
        if name in known:
            return name
        found = [
            machine
            for machine, label in known.items()
            if machine.startswith(name) or name.lower() in label.lower()
        ]
        if len(found) == 1:
            return found[0]
        listed = ", ".join(f"{machine} ({label})" for machine, label in known.items())
        problem = "is not measured" if not found else "fits several machines"
        raise SelectionError(f"machine {name!r} {problem}; choose one of {listed}")

    @cached_property
    def groups(self) -> pd.DataFrame:
        """One row per fitted group: keys, rows, parameters in natural units, errors.

        A parameter that the group's operations do not read (the width of a copy) is NaN.
        Groups with mode end_to_end have the parameters of their copies.
        """
        from estimator.group_table import group_table

        return group_table(self)

    def save(self, path: str | Path) -> None:
        """Write the model as plain JSON (``storage.write_model``)."""
        from estimator.storage import write_model

        write_model(self, Path(path))

    @classmethod
    def read(cls, path: str | Path) -> Model:
        """Read what ``save`` wrote. Raises DatasetError on a damaged or foreign file."""
        from estimator.storage import read_model

        return read_model(Path(path))

    def _label(self, machine_id: object) -> str:
        return self.labels.get(str(machine_id), str(machine_id))

    def _complete(self, cells: pd.DataFrame) -> pd.DataFrame:
        """The question with defaults for threads, math mode and mode filled in."""
        missing = [name for name in _QUESTION if name not in cells.columns]
        if missing:
            raise SelectionError(f"a question needs the columns {', '.join(missing)}")
        asked = cells.copy()
        if "math_mode" not in asked:
            asked["math_mode"] = "ieee"
        default = pd.Series(
            np.where(asked["device"] == "cpu", "hot", "resident"), index=asked.index
        )
        asked["mode"] = default if "mode" not in asked else asked["mode"].fillna(default)
        given = asked["threads"] if "threads" in asked else pd.Series(np.nan, asked.index)
        if given.isna().any():
            keys = ["machine_id", "device", "backend", "workload"]
            most = self.fit.group.index.groupby(keys, as_index=False)["threads"].max()
            found = asked[keys].merge(most, on=keys, how="left")["threads"].set_axis(asked.index)
            given = given.astype(float).fillna(found.astype(float)).fillna(1.0)
        asked["threads"] = given.astype("int64")
        return asked

    def _assemble(self, table: pd.DataFrame, points: Points) -> pd.DataFrame:
        seconds = points.seconds
        median, samples = self._look_up(table)
        seen = (points.group >= 0) & points.direct
        regime = np.where(points.distance > 0.0, "extrapolated", "interpolated").astype(object)
        regime[~seen] = "new_workload"
        asked = table[["device", "workload"]].assign(regime=regime)
        half = half_widths(self.calibration, asked, points.distance)
        keys = ["machine_id", "device", "workload"]
        spread = table[keys].merge(self.between, on=keys, how="left")["spread"].fillna(0.0)
        half = np.hypot(half, NORMAL_95 * spread.to_numpy())
        parts = np.stack([points.launch_s, points.compute_s, points.memory_s, points.transfer_s])
        counts = self.fit.group.index["n_fit"].to_numpy()
        return pd.DataFrame(
            {
                "seconds_p5": seconds * np.exp(-half),
                "seconds_p50": seconds,
                "seconds_p95": seconds * np.exp(half),
                "launch_s": points.launch_s,
                "compute_s": points.compute_s,
                "memory_s": points.memory_s,
                "transfer_s": points.transfer_s,
                "bound": np.array(BOUNDS, dtype=object)[parts.argmax(axis=0)],
                "basis": np.where(np.isfinite(median), "measured", regime),
                "measured_median_s": median,
                "measured_n": samples,
                "n_fit": np.where(points.group >= 0, counts[points.group], 0),
            }
        )

    def _look_up(self, table: pd.DataFrame) -> tuple[Array, np.ndarray[Any, Any]]:
        """Median and samples of each cell where that very cell was measured."""
        keys = [*(name for name in CELL_COLUMNS if name != "mode"), "answer_mode", "params_key"]
        known = self.measured.rename(columns={"mode": "answer_mode"})
        found = match(table, known, keys)
        median = np.where(found >= 0, known["median_s"].to_numpy(dtype=float)[found], np.nan)
        samples = np.where(found >= 0, known["samples"].to_numpy(dtype="int64")[found], 0)
        return median, samples

    def _require_known(self, table: pd.DataFrame, points: Points) -> None:
        """One clear line on the first cell that no group answers."""
        if points.known.all():
            return
        row = table.iloc[int(np.flatnonzero(~points.known)[0])]
        place = self.fit.group.index
        steps = ("machine_id", "device", "backend", "workload", "dtype", "math_mode", "threads")
        for name in steps:
            kept = place[place[name] == row[name]]
            if kept.empty:
                options = ", ".join(str(value) for value in sorted(place[name].unique()))
                if name == "machine_id":
                    self.find_machine(str(row[name]))
                where = self._label(row["machine_id"])
                if name == "workload":
                    raise EstimateError(
                        f"{where}: {row['workload']} was not measured with {row['backend']} on "
                        f"{row['device']}; measured there: {options}"
                    )
                raise EstimateError(
                    f"{where}: {row['workload']} was not measured with {name} '{row[name]}'"
                    f" ({row['backend']} on {row['device']}); it has {options}"
                )
            place = kept
        modes = ", ".join(sorted(place["answer_mode"].unique()))
        raise EstimateError(
            f"{self._label(row['machine_id'])}: no measurement of {row['workload']} answers mode "
            f"{row['mode']!r} ({row['backend']} on {row['device']}); it has {modes}"
        )
