"""How far estimates are from measurements that the fit did not see, beside simpler rules.

``run_validation`` fits the model again for every fold of ``splits`` and asks it, a plain roofline,
the nearest neighbour and two rules of thumb for the cells that were held out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from collector.errors import DatasetError, EstimateError, SelectionError
from estimator.catalogue.sheet_rates import sheet_rates
from estimator.dataset.attach import VIEW
from estimator.dataset.measurements import Measurements, empty_machines, load, measured_cells
from estimator.dataset.tables import CELL_COLUMNS
from estimator.fitting.fit import describe_cells
from estimator.model.fit import fit_table
from estimator.model.model import predict_each
from estimator.others.probes import choose_probes
from estimator.rules.gaps import rule_seconds
from estimator.validation.goals import Verdict, verdicts
from estimator.validation.roofline import nearest_seconds, roofline_seconds
from estimator.validation.scores import (
    PREDICTORS,
    clocks,
    compare,
    coverage,
    decisions,
    floors,
    run_cells,
    run_pairs,
    summarise,
    with_clock,
)
from estimator.validation.splits import ANOTHER_RUN, SPLITS, Fold, folds

#: What a row of the answers tells of its cell, besides ``row``, ``measured_s`` and the answer.
CELL_NAMES = (*CELL_COLUMNS, "params_key", "operation", "amount", "clock", "machine_type")

#: Told of every fold as it is done: its name, and its seconds.
Progress = Callable[[str, float], None]


def fold_answers(
    table: pd.DataFrame,
    machines: pd.DataFrame,
    sheets: pd.DataFrame,
    fold: Fold,
    progress: Progress | None,
) -> pd.DataFrame:
    """Fit without what the fold holds out; ask each predictor for what its splits ask."""
    start = time.perf_counter()
    wanted = np.any(list(fold.asked.values()), axis=0)
    train, asked = table[fold.train], table[wanted]
    answers = _answers(train, asked, machines, sheets)
    rows = np.flatnonzero(wanted)
    parts = []
    for split, mask in fold.asked.items():
        chosen = answers[answers["row"].isin(np.flatnonzero(mask[rows]))]
        parts.append(chosen.assign(split=split, turn=fold.turn))
    if progress is not None:
        progress(fold.turn, time.perf_counter() - start)
    return pd.concat(parts, ignore_index=True)


def _answers(
    train: pd.DataFrame, asked: pd.DataFrame, machines: pd.DataFrame, sheets: pd.DataFrame
) -> pd.DataFrame:
    """One row per asked cell and predictor; ``row`` counts the asked cells from 0."""
    shared = asked[list(CELL_NAMES)].reset_index(drop=True)
    shared = shared.assign(
        row=np.arange(len(asked)), measured_s=np.exp(asked["log_seconds"].to_numpy(dtype=float))
    )
    params = pd.Series([dict(key) for key in asked["params_key"]], dtype=object)
    cells = shared[list(CELL_COLUMNS)].assign(params=params)
    estimate = predict_each(fit_table(train, machines), cells)
    low, high = estimate["seconds_p5"].astype(float), estimate["seconds_p95"].astype(float)
    measured = shared["measured_s"]
    inside = ((measured >= low) & (measured <= high)).astype(float).where(low.notna())
    mine = shared.assign(
        predictor="breakeven",
        predicted_s=estimate["seconds_p50"].astype(float),
        inside=inside,
        width=high / low,
        bound=estimate["bound"],
        basis=estimate["basis"],
    )
    known = sheets.loc[asked.index]
    others = {
        "roofline": roofline_seconds(train, asked, known),
        "nearest": nearest_seconds(train, asked, sheets.loc[train.index], known),
        **rule_seconds(asked, known),
    }
    simple = [shared.assign(predictor=name, predicted_s=s) for name, s in others.items()]
    return pd.concat([mine, *simple], ignore_index=True)


_FEWEST_REPEATED = 20  # cells of a run that other runs measured too, to be worth a fit
_MOST_RUNS = 2  # runs of one machine, the latest, that take a turn as the other run


@dataclass(frozen=True)
class Validation:
    """Everything a report tells. ``table`` has ``scores.COLUMNS``.

    ``results`` are the held-out cells; ``beside`` compares with each simple predictor;
    ``machines`` are those of the dataset with ``runs``, ``cpu_cells`` and ``gpu_cells``;
    ``libraries`` maps measured libraries to their versions.
    """

    table: pd.DataFrame
    verdicts: tuple[Verdict, ...]
    coverage: pd.DataFrame
    decisions: pd.DataFrame
    beside: dict[str, pd.DataFrame]
    floors: pd.DataFrame
    results: pd.DataFrame
    machines: pd.DataFrame
    libraries: dict[str, str]
    fingerprint: str
    cells: int
    runs: int
    seconds: float


def validate(measurements: Measurements, splits: Sequence[str] = SPLITS) -> pd.DataFrame:
    """Errors by family, clock, split and predictor: ``run_validation(...).table``."""
    return run_validation(measurements, splits).table


def run_validation(
    measurements: Measurements,
    splits: Sequence[str] = SPLITS,
    repeats: Measurements | None = None,
    progress: Progress | None = None,
) -> Validation:
    """Fit, hold out and score. ``repeats`` are further runs that only the floors read.

    Raises SelectionError for an unknown split, EstimateError where nothing was measured.
    """
    unknown = [name for name in splits if name not in SPLITS]
    if unknown:
        raise SelectionError(f"unknown split {unknown[0]!r}; choose from {', '.join(SPLITS)}")
    start = time.perf_counter()
    machines = measurements.machines
    table = describe_cells(measured_cells(measurements), machines)
    results = held_out(table, machines, splits, progress)
    if ANOTHER_RUN in splits:
        others = _another_run(measurements, machines, clocks(table), table, progress)
        results = pd.concat([results, others], ignore_index=True)
    results = _in_order(results)
    between_runs = floors(_pairs(measurements, repeats))
    scores = summarise(results, between_runs)
    choices = decisions(results)
    covered = coverage(results)
    beside = {name: compare(results, name) for name in PREDICTORS[1:]}
    return Validation(
        table=scores,
        verdicts=verdicts(results, covered, choices, beside, between_runs),
        coverage=covered,
        decisions=choices,
        beside=beside,
        floors=between_runs,
        results=results,
        machines=_with_counts(machines, measurements, table),
        libraries=_libraries(measurements),
        fingerprint=measurements.fingerprint,
        cells=len(table),
        runs=len(measurements.runs),
        seconds=time.perf_counter() - start,
    )


def held_out(
    table: pd.DataFrame,
    machines: pd.DataFrame | None = None,
    splits: Sequence[str] = SPLITS,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """One row per held-out cell, split and predictor (``scores`` names the columns).

    ``table`` is that of ``fit.describe_cells``. Folds are fitted one after the other.
    """
    table = table.reset_index(drop=True)
    if machines is None:
        machines = empty_machines(sorted(set(table["machine_id"])))
    clock = clocks(table)
    types = machines.set_index("machine_id")["machine_type_id"]
    kind = table["machine_id"].map(types).fillna(table["machine_id"])
    sheets = sheet_rates(table, machines)
    parts = [
        fold_answers(table.assign(clock=clock, machine_type=kind), machines, sheets, fold, progress)
        for fold in folds(table, machines, _probes, splits)
    ]
    return pd.concat(parts, ignore_index=True) if parts else _no_results()


def _another_run(
    measurements: Measurements,
    machines: pd.DataFrame,
    clock: pd.Series[str],
    table: pd.DataFrame,
    progress: Progress | None,
) -> pd.DataFrame:
    """Fits without one run, asked for those of its cells that other runs of its machine have."""
    keys = [*CELL_COLUMNS, "params_key"]
    clocked = table[keys].assign(clock=clock)
    runs = [run for run in measurements.runs if run.machine.get("machine_id")]
    parts = []
    for machine in sorted({str(run.machine["machine_id"]) for run in runs}):
        mine = [run for run in runs if run.machine["machine_id"] == machine]
        for run in mine[-_MOST_RUNS:] if len(mine) > 1 else []:
            rest = [other.path for other in runs if other.run_id != run.run_id]
            try:
                train, asked = (
                    describe_cells(measured_cells(load(*paths)), machines)
                    for paths in (rest, [run.path])
                )
            except (DatasetError, EstimateError):
                continue  # a run without a row that could be asked
            asked = asked.merge(train[keys], on=keys).merge(clocked, on=keys)
            if len(asked) < _FEWEST_REPEATED:
                continue
            both = pd.concat([train, asked], ignore_index=True)
            seen = np.arange(len(both)) < len(train)
            types = machines.set_index("machine_id")["machine_type_id"]
            both["machine_type"] = both["machine_id"].map(types).fillna(both["machine_id"])
            fold = Fold(f"{ANOTHER_RUN} {run.run_id}", seen, {ANOTHER_RUN: ~seen})
            sheets = sheet_rates(both, machines)
            parts.append(fold_answers(both, machines, sheets, fold, progress))
    return pd.concat(parts, ignore_index=True) if parts else _no_results()


def _with_counts(
    machines: pd.DataFrame, measurements: Measurements, table: pd.DataFrame
) -> pd.DataFrame:
    runs = pd.Series(
        [str(run.machine.get("machine_id")) for run in measurements.runs], dtype=object
    )
    counts = {"runs": runs.value_counts()}
    for name, device in (("cpu_cells", "cpu"), ("gpu_cells", "cuda")):
        counts[name] = table.loc[table["device"] == device, "machine_id"].value_counts()
    columns = {
        name: machines["machine_id"].map(count).fillna(0).astype(int)
        for name, count in counts.items()
    }
    return machines.assign(**columns)


def _libraries(measurements: Measurements) -> dict[str, str]:
    """Name of each measured library -> its versions."""
    found: dict[str, set[str]] = {}
    rows = measurements.query(f"select distinct library_versions from {VIEW}")
    for versions in rows["library_versions"].dropna():
        for name, version in dict(versions).items():
            found.setdefault(str(name), set()).add(str(version))
    return {name: " and ".join(sorted(found[name])) for name in sorted(found)}


def _pairs(measurements: Measurements, repeats: Measurements | None) -> pd.DataFrame:
    """Every two runs of a machine on the cells they share, of both datasets, clocks told."""
    parts = []
    for source in (measurements, repeats):
        if source is not None:
            table = describe_cells(measured_cells(source), source.machines)
            parts.append(run_pairs(with_clock(run_cells(source), table)))
    return pd.concat(parts, ignore_index=True)


def _probes(table: pd.DataFrame, count: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    """The cells to measure first, of a machine that may have fewer."""
    return choose_probes(table.reset_index(drop=True), min(count, len(table)))


def _in_order(results: pd.DataFrame) -> pd.DataFrame:
    """Rows by split in the order of ``SPLITS``."""
    order = {name: i for i, name in enumerate(SPLITS)}
    return results.sort_values(
        "split", key=lambda names: names.map(order), kind="stable", ignore_index=True
    )


def _no_results() -> pd.DataFrame:
    names = [*CELL_NAMES, "row", "measured_s", "predictor", "predicted_s", "inside", "width"]
    names += ["bound", "basis"]
    return pd.DataFrame(columns=[*names, "split", "turn"])
