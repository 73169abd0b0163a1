"""From measured cells to a model: fit the groups, calibrate the intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from estimator.catalogue.sheet_rates import sheet_rates
from estimator.cells.features import describe, dimensions, kernel_work
from estimator.dataset.measurements import GPU_FACTS, empty_machines
from estimator.dataset.tables import CELL_COLUMNS, WORK_COLUMNS
from estimator.fitting.corrections import (
    copy_cells,
    fit_corrections,
    kernel_cells,
    kinds_of,
    merged,
)
from estimator.fitting.evaluate import (
    bus_parameters,
    copy_work,
    kernel_parameters,
    predict_base,
    with_added,
)
from estimator.fitting.fitted import Fitted
from estimator.fitting.intervals import (
    ALL,
    REHEARSAL,
    between_run_spread,
    calibrate,
    held_out_scores,
    rehearsal_fold,
    rehearsal_scores,
    rehearsed,
    replicate,
)
from estimator.fitting.levels import Fit, Level, fit_kernels, fit_transfers
from estimator.fitting.priors import (
    BUS_LEVELS,
    GROUP,
    LEVELS,
    MODEL_SIGMA,
    next_level,
    transfer_level,
    with_kind,
)
from estimator.fitting.solver import one_blas_thread
from estimator.formula.copies import transfer_log_seconds
from estimator.formula.kernel import kernel_log_seconds

_MOST_NOISE = 0.5  # a cell noisier than this still counts a little
_RUN_WEIGHT = 4.0  # a family's spread between runs weighs as much as that of so many runs more


def describe_cells(cells: pd.DataFrame, machines: pd.DataFrame | None = None) -> pd.DataFrame:
    """Measured cells (``measurements.measured_cells``) with their features and ``sigma``.

    ``sigma`` is what a fit may miss a cell by: the model's own error and the cell's noise.
    ``machines`` (``Measurements.machines``) tells sizes that the features depend on.
    """
    if machines is None:
        machines = empty_machines(sorted(set(cells["machine_id"])))
    facts = machines[["machine_id", "machine_type_id", "last_level_cache_bytes", *GPU_FACTS]]
    cells = cells.merge(facts, on="machine_id", how="left")
    times = cells["log_seconds"].to_numpy(dtype=float)
    if not np.isfinite(times).all():
        row = cells.iloc[int(np.flatnonzero(~np.isfinite(times))[0])]
        raise EstimateError(
            f"{row['workload']} {row['case']} on {row['machine_id']}: the measured time is not a "
            f"positive number; leave such rows out ({int((~np.isfinite(times)).sum())} of them)"
        )
    features = describe(cells).drop(columns=["workload", *WORK_COLUMNS])
    noise = cells["noise"].fillna(0.0).clip(0.0, _MOST_NOISE)
    table = cells.drop(columns=["params", "noise", "multiprocessors"]).join(features)
    sheet = sheet_rates(table, machines)["flop_per_s"]
    sigma = np.hypot(MODEL_SIGMA, noise)
    return table.assign(sigma=sigma, noise=noise, sheet_flop_per_s=sheet)


@one_blas_thread
def fit_cells(
    table: pd.DataFrame, machines: pd.DataFrame | None = None, fingerprint: str = ""
) -> Fitted:
    """Fit described cells (``describe_cells``), and calibrate with errors of cells left out.

    ``machines`` (``Measurements.machines``) tells what the machines are; without it their
    identifiers are their labels.
    """
    if machines is None:
        machines = empty_machines(sorted(set(table["machine_id"])))
    if table.empty:
        raise EstimateError("no measured cell to fit a model to")
    between = _between(table)
    table = _with_run_noise(table.reset_index(drop=True).assign(replica=ALL), between)
    nothing = np.zeros(len(table), dtype=bool)
    held = rehearsal_fold(table)
    both = fit_levels(replicate(table, {ALL: nothing, REHEARSAL: held}) if held.any() else table)
    fitted = _only_all(both)
    scores = held_out_scores(fitted, table)
    if held.any():
        scores = rehearsed(scores, rehearsal_scores(both, table[held]))
    return Fitted(
        fingerprint=fingerprint,
        machines=machines,
        fit=fitted,
        calibration=calibrate(scores),
        between=between,
        measured=measured_table(table),
        errors=_errors(fitted, table),
    )


def fit_levels(table: pd.DataFrame) -> Fit:
    """Fit the kernel formula to all rows but those with copies, then the copies on top.

    What the formula leaves over is corrected after each (``corrections``).
    """
    table = with_kind(table).assign(position=np.arange(len(table)))
    with_copies = ((table["device"] == "cuda") & (table["answer_mode"] == "end_to_end")).to_numpy()
    rest = table[~with_copies]
    if rest.empty:
        raise EstimateError(
            "the dataset has rows of mode end_to_end only; measure hot or resident too"
        )
    kernels = fit_kernels(rest)
    kernels = replace(kernels, group=_with_ranges(kernels.group, rest))
    kernels = _corrected_kernels(kernels, rest)
    copies = table[with_copies]
    if not len(copies):
        return kernels
    base = predict_base(kernels, copies)
    doubt = np.nan_to_num(base.deviation)
    copies = copies.assign(base_s=np.where(base.known, base.seconds, np.nan), doubt=doubt)
    copies = copies.dropna(subset=["base_s"])
    if not len(copies):
        return kernels
    bus = fit_transfers(copies)
    fitted = replace(kernels, bus=(*bus[:-1], _with_ranges(bus[-1], copies)))
    return _corrected_copies(fitted, copies)


def _only_all(fitted: Fit) -> Fit:
    """What was fitted to everything, without the copies for a rehearsal."""

    def keep(level: Level) -> Level:
        return level.keep(np.flatnonzero(level.index["replica"] == ALL))

    modes = fitted.modes
    return replace(
        fitted,
        dtype=keep(fitted.dtype),
        case=keep(fitted.case),
        group=keep(fitted.group),
        modes=modes[modes["replica"] == ALL].reset_index(drop=True),
        bus=tuple(keep(level) for level in fitted.bus),
        corrections=fitted.corrections.of_replica(ALL),
    )


def _corrected_kernels(fitted: Fit, table: pd.DataFrame) -> Fit:
    theta, pull, group, *_ = kernel_parameters(fitted, table)
    predicted, jacobian = kernel_log_seconds(theta, kernel_work(with_added(fitted, table)))
    residual = table["log_seconds"].to_numpy(dtype=float) - predicted

    index, centre = fitted.group.index, fitted.group.theta
    spreads = np.stack([next_level(index, centre, name).spread for name in LEVELS[1:]], axis=1)
    cells = kernel_cells(table, kinds_of(table))
    found = fit_corrections(cells, residual, jacobian, pull, spreads[group])
    return replace(fitted, corrections=found)


def _corrected_copies(fitted: Fit, table: pd.DataFrame) -> Fit:
    theta, pull, _ = bus_parameters(fitted, table)
    work = copy_work(table, table["base_s"].to_numpy(dtype=float))
    predicted, jacobian = transfer_log_seconds(theta, work)
    residual = table["log_seconds"].to_numpy(dtype=float) - predicted
    # what the call without its copies may be off by counts as noise of the copies' rows
    share = work.base_s / np.exp(predicted)
    table = table.assign(sigma=np.hypot(table["sigma"], share * table["doubt"]))
    levels = [transfer_level(len(table), name, theta).spread for name in BUS_LEVELS]
    cells = copy_cells(table, kinds_of(table))
    found = fit_corrections(cells, residual, jacobian, pull, np.stack(levels, axis=1))
    return replace(fitted, corrections=merged(fitted.corrections, found))


def _with_ranges(level: Level, table: pd.DataFrame) -> Level:
    """Add the count of rows and the range of each parameter (logs) to a level's index."""
    group = level.find(table)
    asked = dimensions(table)
    index = level.index.copy()
    index["n_fit"] = np.bincount(group, minlength=len(index))
    for i in range(asked.shape[1]):
        by_group = pd.Series(asked[:, i]).groupby(group)
        index[f"low_{i}"] = by_group.min().reindex(range(len(index))).to_numpy()
        index[f"high_{i}"] = by_group.max().reindex(range(len(index))).to_numpy()
    return replace(level, index=index)


def _between(table: pd.DataFrame) -> pd.DataFrame:
    """Spread between runs of one machine, by device and family (0 where there is one run).

    Columns: the keys, ``spread`` in log units, ``cells`` of several runs behind it, and
    ``excess``: what one more run has of it beyond what the median of the runs has.
    """
    keys = ["machine_id", "device", "workload"]
    rows = []
    for names, group in table.groupby(keys, sort=False):
        spread = between_run_spread(group["spread"], group["runs"])
        share = 1.0 - 1.0 / group["runs"].mean()
        rows.append((*names, spread, int((group["runs"] > 1).sum()), spread * np.sqrt(share)))
    return pd.DataFrame(rows, columns=[*keys, "spread", "cells", "excess"])


def _with_run_noise(table: pd.DataFrame, between: pd.DataFrame) -> pd.DataFrame:
    """``sigma`` with what a cell's median over its runs still has of the spread between them.

    The spread is its family's on the machine, where no cell of it has two runs that of the
    device on other machines; and a cell's own where its runs differ by more.
    """
    keys = ["machine_id", "device", "workload"]
    usual = table[keys].merge(between, on=keys, how="left")
    several = between[between["cells"] > 0]
    of_device = table["device"].map(several.groupby("device")["spread"].median()).fillna(0.0)
    family = usual["spread"].where(usual["cells"] > 0, of_device).to_numpy(dtype=float)
    runs = table["runs"].to_numpy(dtype=float)
    own = np.nan_to_num(table["spread"].to_numpy(dtype=float), nan=0.0) ** 2
    freedom = np.where(runs > 1, runs - 1.0, 0.0)
    variance = (_RUN_WEIGHT * family**2 + freedom * own) / (_RUN_WEIGHT + freedom)
    return table.assign(sigma=np.hypot(table["sigma"], np.sqrt(variance / runs)))


def measured_table(table: pd.DataFrame) -> pd.DataFrame:
    """Every measured cell: keys, ``median_s`` (of the runs' medians), samples and runs.

    ``noise`` is the standard error of a run's median and ``spread`` the deviation between runs
    (NaN for one run), both in log units.
    """
    columns = table[[*CELL_COLUMNS, "params_key", "samples", "runs", "spread", "noise"]]
    return columns.assign(
        spread=columns["spread"].astype(float),
        median_s=np.exp(table["log_seconds"].to_numpy(dtype=float)),
    )


def _errors(fitted: Fit, table: pd.DataFrame) -> pd.DataFrame:
    """In-sample percentage errors by case group: median and 90th percentile."""
    error = np.full(len(table), np.nan)
    for found in fitted.corrections.blocks.values():
        error[found.members] = found.fitted_error()
    percent = 100.0 * np.abs(np.expm1(-error))
    grouped = table.assign(percent=percent).groupby(list(GROUP), sort=False)["percent"]
    return pd.DataFrame(
        {
            "n": grouped.size(),
            "median_abs_pct_error": grouped.median(),
            "p90_abs_pct_error": grouped.quantile(0.9),
        }
    ).reset_index()
