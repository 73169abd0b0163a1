"""The fitted parameters as a table for people."""

from __future__ import annotations

import numpy as np
import pandas as pd

from collector.workloads import Limit, limited_by
from estimator.answer import NORMAL_95
from estimator.dataset.tables import CELL_COLUMNS
from estimator.fitting.fitted import Fitted
from estimator.fitting.levels import SPREAD_OF, UNCERTAIN
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
