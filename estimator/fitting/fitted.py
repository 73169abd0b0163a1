"""What a fit gives: groups with calibrated intervals, and a machine's own answers from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from collector.workloads import Limit, limited_by
from estimator.answer import NORMAL_95, PARTS
from estimator.arrays import Array
from estimator.cells.features import describe
from estimator.cells.questions import Forms, known_forms
from estimator.dataset.tables import CELL_COLUMNS
from estimator.fitting.evaluate import predict_points
from estimator.fitting.intervals import ALL, half_widths
from estimator.fitting.levels import SPREAD_OF, UNCERTAIN, Fit, Places
from estimator.fitting.monotone import other_sizes, rising
from estimator.formula.copies import TRANSFER_PARAMETERS
from estimator.formula.kernel import KERNEL_PARAMETERS


def group_table(fitted: Fitted) -> pd.DataFrame:
    """``Model.groups``: keys, rows, parameters in natural units and errors of each group.

    A parameter that a group's operations do not read is NaN. Columns with ``p5`` and ``p95``
    before the unit are the ends of the 90 % interval of the main parameters, from the posterior
    variance of the fit (of the group and of all levels above it).
    """

    index = fitted.fit.group.index
    values = {
        name: np.exp(fitted.fit.group.theta[:, i]) for i, name in enumerate(KERNEL_PARAMETERS)
    }
    kernels = _group_keys(index).assign(**values)
    kernels["cache_bytes_per_s"] = kernels["memory_bytes_per_s"] * kernels.pop("cache_gain")
    inner = kernels["cache_bytes_per_s"] * kernels.pop("inner_cache_gain")
    kernels["inner_cache_bytes_per_s"] = inner
    reads: dict[str, pd.Series[bool]] = {
        "compute_flop_per_s": index["flop"] > 0,
        "dispatch_s": index["forks"] > 0,
        "overlap_q": index["device"] == "cuda",
        "algorithm_factor": (index["product_0_winograd"] > 0)
        | index["family"].isin(limited_by(Limit.TRANSFORMS)),
        "width_half": (index["width"].astype(float) < np.inf) & (index["share_floor"] < 1),
        "tile_half": (index["product_batch"] > 0) & (index["multiprocessors"] > 0),
        "area_half": (index["product_batch"] > 0) & (index["multiprocessors"] > 0),
        "depth_half": index["depth"].astype(float) < np.inf,
        "memory_bytes_per_s": index["bytes"] > 0,
        "cache_bytes_per_s": index["bytes"] > 0,
        "cache_bytes": index["bytes"] > 0,
        "cache_steepness": index["bytes"] > 0,
        "fault_bytes_per_s": index["fresh"] > 0,
        "fault_block_bytes": index["fresh"] > 0,
        "inner_cache_bytes_per_s": (index["bytes"] > 0) & (index["device"] == "cpu"),
        "inner_cache_bytes": (index["bytes"] > 0) & (index["device"] == "cpu"),
        "exponent_p": (index["bytes"] > 0) & (index["flop"] > 0),
        "awkward_factor": index["workload"].isin(limited_by(Limit.AWKWARD)),
        "call_s": index["workload"].isin(limited_by(Limit.CALLS)),
    }
    for name, applies in reads.items():
        kernels[name] = kernels[name].where(applies.to_numpy())
    for name in UNCERTAIN:
        half = np.exp(NORMAL_95 * index[f"{SPREAD_OF}{name}"].to_numpy(dtype=float))
        first, _, unit = name.partition("_")
        kernels[f"{first}_p5_{unit}"] = kernels[name] / half
        kernels[f"{first}_p95_{unit}"] = kernels[name] * half
    tables = [kernels]
    if fitted.fit.bus:
        level = fitted.fit.bus[-1]
        copies = {name: np.exp(level.theta[:, i]) for i, name in enumerate(TRANSFER_PARAMETERS)}
        tables.append(_group_keys(level.index).assign(**copies))
    table = pd.concat(tables, ignore_index=True)
    table.insert(1, "label", table["machine_id"].map(fitted.label))
    errors = fitted.errors.rename(columns={"answer_mode": "mode", "operation": "case"})
    return table.merge(errors.drop(columns="replica"), how="left")


def _group_keys(index: pd.DataFrame) -> pd.DataFrame:
    """Key columns of a level in the order of the public table, the operation as its case."""
    keys = index.assign(case=index["operation"], mode=index["answer_mode"])
    return keys[[*CELL_COLUMNS]].assign(mode=keys["mode"])


PARAMS = "params_number"  # column of described questions: one for each map of parameters


@dataclass(frozen=True)
class Fitted:
    """Fitted groups, what they were fitted to, and how far off they are.

    ``machines`` and ``measured`` are tables of the dataset (``Measurements.machines``,
    ``fit.measured_table``); ``calibration`` has the half-widths of intervals, ``between`` the
    spread between runs, ``errors`` the in-sample errors by group.
    """

    fingerprint: str
    machines: pd.DataFrame
    fit: Fit
    calibration: pd.DataFrame
    between: pd.DataFrame
    measured: pd.DataFrame
    errors: pd.DataFrame

    @cached_property
    def labels(self) -> dict[str, str]:
        """machine_id -> label."""
        pairs = zip(self.machines["machine_id"], self.machines["label"], strict=True)
        return {str(machine): str(label) for machine, label in pairs}

    def label(self, machine_id: object) -> str:
        """A machine's label; of one that is not in the dataset its own name."""
        return self.labels.get(str(machine_id), str(machine_id))

    @cached_property
    def forms(self) -> Forms:
        """What was measured, as ``questions.check_forms`` asks for it."""
        return known_forms(self.measured)

    @cached_property
    def params_numbers(self) -> dict[Any, int]:
        """The number of each map of parameters, the measured ones first; grows with questions."""
        _, keys = pd.factorize(self.measured["params_key"])
        return {key: i for i, key in enumerate(keys)}

    @cached_property
    def multiprocessors(self) -> dict[str, float]:
        """machine_id -> multiprocessors of its GPU, NaN where not known."""
        counts = self.machines["multiprocessors"].astype(float)
        return dict(zip(self.machines["machine_id"].astype(str), counts, strict=True))

    def described(self, asked: pd.DataFrame) -> pd.DataFrame:
        """Completed questions with their features, as ``predict_points`` takes them."""
        asked = asked.reset_index(drop=True)
        units = asked["machine_id"].map(self.multiprocessors).astype(float)
        features = describe(asked.assign(multiprocessors=units))
        keys = asked[list(CELL_COLUMNS)]
        table = pd.concat([keys, features.drop(columns=["workload"])], axis=1)
        known = self.params_numbers
        codes = [known.setdefault(key, len(known)) for key in features["params_key"]]
        return table.assign(replica=ALL, params=asked["params"], **{PARAMS: codes})

    def own_estimates(
        self, table: pd.DataFrame, *, as_fitted: bool = False, alone: bool = False
    ) -> pd.DataFrame:
        """What the machines' own groups say of described questions (``described``).

        In the columns of ``Model.predict``; NaN where a machine has no group that answers. The
        interval of a cell that was measured has that measurement in it. No larger work is faster
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
            answer = rising(answer, sizes, self._each_alone(self.described(sizes.asked)))
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
                "bound": np.array(PARTS, dtype=object)[np.nan_to_num(parts).argmax(axis=0)],
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
