"""The answers of every predictor to the cells that a fold holds out."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from estimator.dataset.tables import CELL_COLUMNS
from estimator.model.fit import fit_table
from estimator.model.model import predict_each
from estimator.rules.gaps import rule_seconds
from estimator.validation.roofline import nearest_seconds, roofline_seconds
from estimator.validation.splits import Fold

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
