"""A fitted model: what it answers for machines that measured a question and for others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from collector.errors import EstimateError, SelectionError
from collector.jobs import Job
from estimator.answer import PREDICTION_COLUMNS, About
from estimator.cells.questions import check_forms, used_threads
from estimator.fitting.fitted import Fitted, group_table
from estimator.fitting.solver import one_blas_thread
from estimator.jobs.estimate import JobEstimate
from estimator.jobs.place import Device
from estimator.model.jobs import predict_job
from estimator.others.bounds import bounded, least_seconds
from estimator.others.choice import with_donors
from estimator.others.donors import Donors
from estimator.others.effects import Differences
from estimator.others.facts import find_machine
from estimator.others.machine_types import MachineTypes
from estimator.others.spread import Spread, about_type
from estimator.others.unanswered import require_known

_FORM = ["workload", "case", "dtype", "backend", "device"]
_QUESTION = ("machine_id", "workload", "case", "params", "dtype", "backend", "device")
_ROOM = {"cuda": "gpu_memory_bytes", "cpu": "memory_bytes"}


@dataclass(frozen=True)
class Model(Fitted):
    """What was fitted, and answers for other machines. Made by ``fit`` or ``read_model``.

    ``known_differences`` between machines come with a model that was read; without them they are
    estimated when first needed, which takes about a second.
    """

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
        table = self.described(asked)
        answer = with_donors(self.donors, table, self.own_estimates(table))
        if strict:
            require_known(self.donors, table, answer)
        if about == "type":
            answer = about_type(self.spread, answer, table)
        return bounded(answer, least_seconds(targets, table)).set_axis(cells.index)

    def predict_job(
        self,
        job: Job,
        machines: Sequence[str] | None = None,
        backend: str | None = None,
        device: Device | None = None,
    ) -> list[JobEstimate]:
        """One step of a job on each machine: seconds, what bounds it, memory, what is covered.

        ``machines`` are types, boxes, or names of data/hardware.csv or data/instances.csv (None:
        all types); of each its GPU answers, or its CPU where it has none or ``device`` says so.
        A machine that cannot do the job has a ``reason``. Raises SelectionError for a library that
        cannot run the job, or a name that is nobody's. A NumPy program is answered on both devices.
        """
        return predict_job(self, job, machines, backend, device)

    @cached_property
    def donors(self) -> Donors:
        """The machines that answer for others."""
        return Donors(self, self.known_differences)

    @cached_property
    def spread(self) -> Spread:
        """Spread within runs, between runs and between machines of one type."""
        return self.donors.spread

    @property
    def differences(self) -> Differences:
        """How its machines differ (``effects``)."""
        return Differences(self.donors.deviations, self.spread)

    @cached_property
    def types(self) -> MachineTypes:
        """Its machine types, which answer for their boxes (``machine_types.ask``)."""
        return MachineTypes(self.donors)

    def find_machine(self, name: str) -> str:
        """machine_id of an id, or of the only one whose id starts so or whose label has it in it.

        Raises SelectionError, which lists the machines.
        """
        return find_machine(self.labels, name)

    def room_bytes(self, machine: str, device: str) -> float:
        """Memory of a measured machine's device, or of a GPU by its data sheet; NaN: not known."""
        rows = self.machines[self.machines["machine_id"] == machine]
        if not rows.empty:
            return float(pd.to_numeric(rows[_ROOM[device]], errors="coerce").iloc[0])
        spec = self.donors.target(machine).gpu if device == "cuda" else None
        known = None if spec is None else spec.memory_gib
        return np.nan if known is None else known * 2.0**30

    @cached_property
    def groups(self) -> pd.DataFrame:
        """One row per fitted group: keys, rows, parameters in natural units, errors.

        A parameter that the group's operations do not read (the width of a copy) is NaN.
        Groups with mode end_to_end have the parameters of their copies.
        """
        return group_table(self)

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


def predict_each(model: Model, cells: pd.DataFrame) -> pd.DataFrame:
    """``Model.predict``, but a row of NaN for a cell that the model cannot or will not answer."""
    try:
        return model.predict(cells, strict=False)
    except (EstimateError, SelectionError):
        pass  # one form that a library does not have refuses the whole table
    parts = []
    for _, form in cells.groupby(_FORM, sort=False):
        try:
            parts.append(model.predict(form, strict=False))
        except (EstimateError, SelectionError):
            continue
    empty = pd.DataFrame(index=cells.index, columns=list(PREDICTION_COLUMNS), dtype=float)
    return pd.concat(parts).reindex(cells.index) if parts else empty


def _require_values(cells: pd.DataFrame, names: list[str]) -> None:
    """Raises SelectionError where a question leaves one of the columns empty."""
    for name in names:
        if cells[name].isna().any():
            raise SelectionError(f"a question needs {name}; one of them has none")
