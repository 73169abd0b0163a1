"""How far estimates are from measurements that the fit did not see, beside simpler rules."""

from __future__ import annotations

import numpy as np
import pandas as pd

from estimator.dataset import CELL_COLUMNS, Measurements, measured_cells
from estimator.fitting import describe_cells, fit_table
from estimator.roofline import nearest_seconds, roofline_seconds
from estimator.splits import Mask, interior_folds, larger_half, within_reach

PREDICTORS = ("breakeven", "roofline", "nearest")


def validate(measurements: Measurements) -> pd.DataFrame:
    """Errors by family, device, split and predictor.

    Splits: "between" holds out every other interior size of each group, in two turns; "larger"
    trains on the smaller half of each group's sizes and asks for the others up to 16 times the
    work. Columns: family, device, split, predictor, n, mape, median_ape, p90_ape, bias (mean
    signed error; negative is optimistic), all in percent, and coverage90 (share of
    measurements inside the 90 % interval; NaN for the predictors that give none). A cell that
    a predictor cannot answer is left out of its row, which n shows.
    """
    machines = measurements.machines
    table = describe_cells(measured_cells(measurements), machines)
    return summarise(held_out(table, machines))


def held_out(table: pd.DataFrame, machines: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row per held-out cell and predictor: keys, split, seconds measured and predicted."""
    results = []
    for name, mask in interior_folds(table).items():
        results.append(_one_split(table, machines, mask, mask).assign(split="between", turn=name))
    mask = larger_half(table)
    larger = _one_split(table, machines, mask, within_reach(table, mask))
    results.append(larger.assign(split="larger"))
    return pd.concat(results, ignore_index=True)


def summarise(results: pd.DataFrame) -> pd.DataFrame:
    """The table of ``validate`` from the held-out cells."""
    error = 100.0 * (results["predicted_s"] / results["measured_s"] - 1.0)
    table = results.assign(error=error, size_of_error=error.abs())
    table = table[np.isfinite(table["error"])]
    keys = ["workload", "device", "split", "predictor"]
    groups = table.groupby(keys, sort=True)
    summary = pd.DataFrame(
        {
            "n": groups.size(),
            "mape": groups["size_of_error"].mean(),
            "median_ape": groups["size_of_error"].median(),
            "p90_ape": groups["size_of_error"].quantile(0.9),
            "bias": groups["error"].mean(),
            "coverage90": groups["inside"].mean(),
        }
    ).reset_index()
    order = {name: i for i, name in enumerate(PREDICTORS)}
    summary["_order"] = summary["predictor"].map(order)
    summary = summary.sort_values(["workload", "device", "split", "_order"], ignore_index=True)
    return summary.drop(columns="_order").rename(columns={"workload": "family"})


def _one_split(
    table: pd.DataFrame, machines: pd.DataFrame | None, held: Mask, asked: Mask
) -> pd.DataFrame:
    """Fit without ``held``, predict ``asked``, with each predictor."""
    train, test = table[~held], table[asked].reset_index(drop=True)
    keys = [*CELL_COLUMNS, "params_key", "operation", "amount"]
    shared = test[keys].assign(measured_s=np.exp(test["log_seconds"]), inside=np.nan)
    if test.empty:
        return shared.assign(predictor="breakeven", predicted_s=np.nan)
    model = fit_table(train, machines)
    params = pd.Series(list(map(dict, test["params_key"])), dtype=object)
    cells = test[list(CELL_COLUMNS)].assign(params=params)
    estimate = model.predict(cells)
    measured = shared["measured_s"]
    inside = (measured >= estimate["seconds_p5"]) & (measured <= estimate["seconds_p95"])
    return pd.concat(
        [
            shared.assign(
                predictor="breakeven",
                predicted_s=estimate["seconds_p50"],
                inside=inside.astype(float),
                bound=estimate["bound"],
                basis=estimate["basis"],
            ),
            shared.assign(predictor="roofline", predicted_s=roofline_seconds(train, test)),
            shared.assign(predictor="nearest", predicted_s=nearest_seconds(train, test)),
        ],
        ignore_index=True,
    )
