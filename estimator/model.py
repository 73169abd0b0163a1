"""A fitted model: what it answers, and how it lies on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from collector.errors import SelectionError
from estimator.blas import one_blas_thread
from estimator.bounds import bounded, least_seconds
from estimator.dataset import CELL_COLUMNS
from estimator.donor_cells import PARAMS
from estimator.donor_choice import with_donors
from estimator.donors import Donors
from estimator.effect_spread import Differences
from estimator.forms import Forms, check_forms, known_forms
from estimator.intervals import NORMAL_95, half_widths
from estimator.kernel_model import Array
from estimator.levels import Fit
from estimator.machine_facts import unknown_machine
from estimator.matching import Places
from estimator.monotone import other_sizes, rising
from estimator.predict import predict_points
from estimator.questions import used_threads
from estimator.spread import Spread, about_type, estimate_spread
from estimator.unanswered import require_known

if TYPE_CHECKING:
    from estimator.breakeven import Breakeven, Place, Speedup
    from estimator.machine_types import MachineTypes

BASES = (
    *("measured", "interpolated", "extrapolated", "new_workload"),
    *("probed", "from_specs"),
)
BOUNDS = ("launch", "compute", "memory", "transfer")

PREDICTION_COLUMNS = (
    *("seconds_p5", "seconds_p50", "seconds_p95"),
    *("launch_s", "compute_s", "memory_s", "transfer_s"),
    *("bound", "basis", "measured_median_s", "measured_n", "n_fit"),
)

#: Of what a question asks: this very machine, or any machine of its type.
About = Literal["machine", "type"]

_QUESTION = ("machine_id", "workload", "case", "params", "dtype", "backend", "device")


@dataclass(frozen=True)
class Model:
    """Fitted groups with calibrated intervals. Make one with ``fit`` or ``Model.read``.

    ``known_differences`` between machines come with a model that was read; without them they are
    estimated when first needed, which takes about a second.
    """

    fingerprint: str
    machines: pd.DataFrame
    fit: Fit
    calibration: pd.DataFrame
    between: pd.DataFrame
    measured: pd.DataFrame
    errors: pd.DataFrame
    known_differences: Differences | None = None

    @one_blas_thread
    def predict(
        self, cells: pd.DataFrame, *, about: About = "machine", strict: bool = True
    ) -> pd.DataFrame:
        """Estimate cells; same index and order.

        Input: machine_id, workload, case, params (dict), dtype, backend, device, and where
        present math_mode ("ieee"), threads (the most measured) and mode ("hot" on a CPU,
        "resident" on a GPU). Output, times in seconds: seconds_p5, seconds_p50, seconds_p95,
        launch_s, compute_s, memory_s, transfer_s (they add up to seconds_p50), bound, basis,
        measured_median_s, measured_n (samples), n_fit (rows behind the group's fit).

        What a machine has not measured itself is answered through machines that have
        (``donors``): basis "probed" where cells of its own correct the answer, else "from_specs".
        A machine_id may also be a GPU or a CPU of data/hardware.csv; ``threads`` are then the
        cores used of that CPU (default: all of a socket).

        No time is shorter than the hardware allows (``bounds``), at either end of an interval,
        nor than that of smaller work of the same shape (``monotone``).

        The interval is that of one more run on this very machine; with ``about`` "type" it is
        that of any machine of its type, wider by the spread between them (``spread``).

        Raises SelectionError for a machine, family, case or parameter that is unknown, and
        EstimateError where the library has no form of the case, or no machine a measurement
        that could answer. ``strict`` False leaves NaN in the times of the latter's rows instead.
        """
        asked = self._complete(cells)
        if asked.empty:
            return pd.DataFrame(columns=list(PREDICTION_COLUMNS), index=cells.index)
        check_forms(asked, self.forms)
        _require_values(asked, ["params"])
        targets = {
            name: self.donors.target(name) for name in asked["machine_id"].astype(str).unique()
        }
        table = self.donors.table(asked)
        answer = with_donors(self.donors, table, self.own_estimates(table))
        if strict:
            require_known(self, table, answer)
        if about == "type":
            answer = about_type(self.spread, answer, table)
        return bounded(answer, least_seconds(targets, table)).set_axis(cells.index)

    @cached_property
    def forms(self) -> Forms:
        """What was measured, as ``forms.check_forms`` asks for it."""
        return known_forms(self.measured)

    @cached_property
    def donors(self) -> Donors:
        """The machines that answer for others."""
        return Donors(self)

    @cached_property
    def spread(self) -> Spread:
        """Spread within runs, between runs and between machines of one type."""
        if self.known_differences is not None:
            return self.known_differences.spread
        return estimate_spread(self.measured, self.donors.facts)

    @property
    def differences(self) -> Differences:
        """How its machines differ (``effect_spread``)."""
        return Differences(self.donors.deviations, self.spread)

    def speedup(
        self, cpu: Mapping[str, Any], gpu: Mapping[str, Any], about: About = "machine"
    ) -> Speedup:
        """How many times faster the second cell is than the first (``breakeven.speedup``)."""
        from estimator.breakeven import speedup

        return speedup(self, cpu, gpu, about)

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

    @cached_property
    def types(self) -> MachineTypes:
        """Its machine types, which answer for their boxes (``machine_types.ask``)."""
        from estimator.machine_types import MachineTypes

        return MachineTypes(self)

    def find_machine(self, name: str) -> str:
        """machine_id of an id, or of the only one whose id starts so or whose label has it in it.

        Raises SelectionError, which lists the machines.
        """
        found = self.machines_like(name)
        if len(found) == 1:
            return found[0]
        if not found:
            raise SelectionError(unknown_machine(name, self.labels))
        listed = ", ".join(f"{machine} ({self.labels[machine]})" for machine in found)
        raise SelectionError(f"machine {name!r} fits several machines; choose one of {listed}")

    def machines_like(self, name: str) -> list[str]:
        """Machines whose id is or starts with a name, or whose label has it in it."""
        if name in self.labels:
            return [name]
        return [
            machine
            for machine, label in self.labels.items()
            if name and (machine.startswith(name) or name.lower() in label.lower())
        ]

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

    def label(self, machine_id: object) -> str:
        """A machine's label; of one that is not in the dataset its own name."""
        return self.labels.get(str(machine_id), str(machine_id))

    def _complete(self, cells: pd.DataFrame) -> pd.DataFrame:
        """The question with defaults for threads, math mode and mode filled in."""
        missing = [name for name in _QUESTION if name not in cells.columns]
        if missing:
            raise SelectionError(f"a question needs the columns {', '.join(missing)}")
        _require_values(cells, [name for name in _QUESTION if name != "params"])
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
            given = given.astype(float).fillna(found.astype(float))
        if given.isna().any():
            given = given.fillna(self.donors.default_threads(asked))
        self._check_threads(asked, given)
        asked["threads"] = given.astype("int64")
        asked["threads"] = used_threads(asked, self._measured_threads)
        return asked

    @cached_property
    def _measured_threads(self) -> frozenset[tuple[str, str, int]]:
        """(workload, backend, threads) of every group."""
        columns = self.fit.group.index[["workload", "backend", "threads"]]
        return frozenset(columns.drop_duplicates().itertuples(index=False, name=None))

    def _check_threads(self, asked: pd.DataFrame, given: pd.Series[Any]) -> None:
        """Whole numbers of at least 1, on a CPU no more than it has cores. SelectionError."""
        threads = pd.to_numeric(given, errors="coerce").to_numpy(dtype=float)
        wrong = ~np.isfinite(threads) | (threads < 1.0) | (threads != np.floor(threads))
        if wrong.any():
            value = given.iloc[int(np.flatnonzero(wrong)[0])]
            raise SelectionError(f"threads={value}: write a whole number of at least 1")
        on_cpu = (asked["device"] == "cpu").to_numpy()
        machines = asked["machine_id"].astype(str).to_numpy()
        for machine in np.unique(machines[on_cpu]):
            cores = self.donors.target(machine).physical_cores
            most = threads[on_cpu & (machines == machine)].max()
            if cores is not None and most > cores:
                raise SelectionError(
                    f"threads={most:.0f}: {self.label(machine)} has {cores:.0f} cores"
                )

    def own_estimates(
        self, table: pd.DataFrame, *, as_fitted: bool = False, alone: bool = False
    ) -> pd.DataFrame:
        """What the machines' own groups say of described questions (``Donors.table``).

        In the columns of ``predict``; NaN where a machine has no group that answers. The interval
        of a cell that was measured has that measurement in it. No larger work is faster
        (``monotone``) unless each is asked for ``alone``; a measured cell stands for itself
        unless ``as_fitted``.
        """
        if alone:
            return self._each_alone(table)
        # donors answer the same for each of their targets
        codes = table.groupby([*CELL_COLUMNS, PARAMS], sort=False, dropna=False).ngroup()
        _, first = np.unique(codes.to_numpy(), return_index=True)
        table = table.iloc[first].reset_index(drop=True)
        answer = self._each_alone(table)
        sizes = other_sizes(table, answer, as_fitted)
        if sizes is not None:
            answer = rising(answer, sizes, self._each_alone(self.donors.table(sizes.asked)))
        return answer.iloc[codes.to_numpy()].reset_index(drop=True)

    def _each_alone(self, table: pd.DataFrame) -> pd.DataFrame:
        points = predict_points(self.fit, table)
        seconds = points.seconds
        median, samples = self.look_up(table)
        seen = (points.group >= 0) & points.direct
        regime = np.where(points.distance > 0.0, "extrapolated", "interpolated").astype(object)
        regime[~seen] = "new_workload"
        asked = table[["device", "workload"]].assign(regime=regime)
        half = half_widths(self.calibration, asked, points.deviation)
        keys = ["machine_id", "device", "workload"]
        # errors against the median of several runs have a part of the spread in them already
        spread = table[keys].merge(self.between, on=keys, how="left")["excess"].fillna(0.0)
        half = np.hypot(half, NORMAL_95 * spread.to_numpy())
        low, high = seconds * np.exp(-half), seconds * np.exp(half)
        # where model and measurement of this very cell contradict each other, either may be wrong
        low, high = np.fmin(low, median), np.fmax(high, median)
        parts = np.stack([points.launch_s, points.compute_s, points.memory_s, points.transfer_s])
        counts = self.fit.group.index["n_fit"].to_numpy()
        return pd.DataFrame(
            {
                "seconds_p5": low,
                "seconds_p50": seconds,
                "seconds_p95": high,
                "launch_s": points.launch_s,
                "compute_s": points.compute_s,
                "memory_s": points.memory_s,
                "transfer_s": points.transfer_s,
                "bound": np.array(BOUNDS, dtype=object)[np.nan_to_num(parts).argmax(axis=0)],
                "basis": np.where(np.isfinite(median), "measured", regime),
                "measured_median_s": median,
                "measured_n": samples,
                "n_fit": np.where(points.group >= 0, counts[points.group], 0),
            }
        )

    def look_up(self, table: pd.DataFrame) -> tuple[Array, np.ndarray[Any, Any]]:
        """Median and samples of each cell where that very cell was measured."""
        found = self._places.find(table)
        known = self.measured
        median = np.where(found >= 0, known["median_s"].to_numpy(dtype=float)[found], np.nan)
        samples = np.where(found >= 0, known["samples"].to_numpy(dtype="int64")[found], 0)
        return median, samples

    @cached_property
    def _places(self) -> Places:
        """Where a described question stands in ``measured``."""
        keys = [*(name for name in CELL_COLUMNS if name != "mode"), "answer_mode", "params_key"]
        return Places(self.measured.rename(columns={"mode": "answer_mode"}), keys)


def _require_values(cells: pd.DataFrame, names: list[str]) -> None:
    """Raises SelectionError where a question leaves one of the columns empty."""
    for name in names:
        if cells[name].isna().any():
            raise SelectionError(f"a question needs {name}; one of them has none")
