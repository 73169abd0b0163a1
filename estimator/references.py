"""The keys of the levels, and the rates and launch costs that a fit is relative to. Pure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from estimator.features import kernel_work
from estimator.kernel_model import KernelWork
from estimator.operations import HOST_MODES
from estimator.priors import has_sheet, takes_steps

PLACE = ("replica", "machine_id", "device", "threads")
LIBRARY = (*PLACE, "backend")
MODE = (*LIBRARY, "answer_mode")
FAMILY = (*PLACE, "backend", "family")
DTYPE = (*FAMILY, "dtype", "math_mode")
CASE = (*DTYPE, "operation")
GROUP = (*CASE, "answer_mode")
BUS = ("replica", "machine_id", "backend", "threads")
BUS_FAMILY = (*BUS, "workload")
BUS_CASE = (*BUS_FAMILY, "dtype", "math_mode", "operation")

TYPE = ("replica", "kind", "device", "threads")
TYPE_FAMILY = (*TYPE, "library", "family")
TYPE_DTYPE = (*TYPE_FAMILY, "dtype", "math_mode")
TYPE_CASE = (*TYPE_DTYPE, "operation")
STEPS = (TYPE, TYPE_FAMILY, TYPE_DTYPE, TYPE_CASE, GROUP)

#: Families that only stream through memory, from which a place's caches are known.
STREAMING = ("elementwise", "reduction", "device_copy")

_NOT_STREAMING = ("softmax", "layer_norm")  # cases of those families with much arithmetic

#: Element types whose arithmetic, outside of matrix units, is that of another.
_PRECISIONS = {"complex64": "float32", "complex128": "float64"}
_MATRIX_UNITS = {"bfloat16": "float16", "int8": "float16"}  # on a GPU

_HOT = "hot"  # the mode to which others add
#: Operations that tell what a mode adds: one kernel, so short that its own time hides little of it.
_SHORT_S = 5e-5
_FEWEST_PAIRS = 3
#: Share of what the quickest operations take longer by the host's clock that is the wait for the
#: device; the rest is their dispatch, which each operation has of its own. A choice.
_WAIT_SHARE, _QUICKEST = 0.5, 0.1

_SISTERS_ROOM = 1.5  # times the smallest launch on any machine of the type
_LEAST_NET = 0.5  # of a time is work, where its rate is told without its starts


def with_kind(table: pd.DataFrame) -> pd.DataFrame:
    """Add the type of the machine: itself where it is not known."""
    bad = ~np.isfinite(table[["log_seconds", "sigma"]].to_numpy(dtype=float)).all(axis=1)
    if bad.any():
        row = table.iloc[int(np.flatnonzero(bad)[0])]
        raise EstimateError(
            f"{row['workload']} {row['case']} on {row['machine_id']}: the measured time is not a "
            f"number ({int(bad.sum())} rows); leave those rows out"
        )
    machine = table["machine_id"].astype(str)
    kind = table.get("machine_type_id", machine)
    return table.assign(kind=kind.where(kind.notna(), machine).astype(str))


def with_references(table: pd.DataFrame) -> pd.DataFrame:
    """Add the rates and the launch cost that the fit is relative to.

    Copies over a bus have nothing to do with the rate of a device's memory: each is relative
    to its own best.
    """
    is_copy = table["family"] == "bus"
    seconds = np.exp(table["log_seconds"])
    scaled = table.assign(_launch=seconds / table["launches"])
    # a start that is no kernel (a view) says nothing of what a kernel's costs
    plain = scaled["_launch"].where(scaled["starts"] == 0.0)
    by_device = ~scaled["answer_mode"].isin(HOST_MODES)
    # on a CPU emptied caches are no cost of the call: what is cold says nothing of the rest
    own_mode = scaled["answer_mode"].where(scaled["device"] == "cpu", "")
    library = [*(scaled[name] for name in LIBRARY), own_mode]
    floor = plain.where(by_device).groupby(library).transform("min")
    floor = floor.fillna(plain.groupby(library).transform("min"))
    floor = floor.fillna(scaled["_launch"].groupby(library).transform("min"))
    # a machine of few rows may have measured nothing that is short
    sisters = [*(scaled[name] for name in (*TYPE, "backend")), own_mode]
    floor = floor.clip(upper=_SISTERS_ROOM * floor.groupby(sisters).transform("min"))
    added = _added_by_mode(scaled.assign(_seconds=seconds))
    # what is left of a time without its starts, where they do not take most of it
    starts = table["launches"] * floor + added
    net = seconds - starts.where(starts < _LEAST_NET * seconds, 0.0)
    scaled["_flop_rate"], scaled["_byte_rate"] = table["flop"] / net, table["bytes"] / net
    place = [scaled[name] for name in TYPE]
    streamed = scaled["_byte_rate"].where(is_streaming(table)).groupby(place).transform("max")
    byte_rate = streamed.fillna(
        scaled["_byte_rate"].where(~is_copy).groupby(place).transform("max")
    )
    own = scaled.groupby(list(TYPE_CASE))["_byte_rate"].transform("max")
    byte_rate = own.where(is_copy | byte_rate.isna(), byte_rate).clip(lower=1.0)
    flop_rate, share = _compute_references(scaled)
    return table.assign(
        launch_floor_s=floor,
        added_s=added,
        flop_rate=flop_rate,
        byte_rate=byte_rate,
        best_share=share,
    )


def _added_by_mode(scaled: pd.DataFrame) -> pd.Series[float]:
    """Seconds that each row's mode adds to a call on a GPU; 0 for the plainest mode of a library.

    From short operations of one kernel that a machine measured in both modes (``_more_than_hot``):
    with the caches emptied the median of what they take longer, by the host's clock the wait alone
    (``_WAIT_SHARE``). Told by the type of machine and library, else by the type, else by all.
    """
    added = pd.Series(0.0, scaled.index)
    gpu = scaled[scaled["device"] == "cuda"]
    if gpu.empty:
        return added
    more = _more_than_hot(gpu)
    library = [*TYPE, "backend"]
    able = set(gpu.loc[gpu["answer_mode"] == _HOT, library].itertuples(index=False, name=None))
    for key, group in gpu.groupby([*library, "answer_mode"]):
        mode = key[-1]
        if mode == _HOT or key[:-1] not in able:
            continue
        same = more[(more["replica"] == key[0]) & (more["answer_mode"] == mode)]
        of_type = same[same["kind"] == key[1]]
        own = of_type[of_type["backend"] == key[-2]]
        told = next((of for of in (own, of_type) if len(of) >= _FEWEST_PAIRS), same)["more_s"]
        if len(told):
            of_host = mode in HOST_MODES
            cost = _WAIT_SHARE * told.quantile(_QUICKEST) if of_host else told.median()
            added.loc[group.index] = float(cost)
    return added


def modes_of_places(table: pd.DataFrame) -> pd.DataFrame:
    """``MODE`` and ``added_s``: the modes that machines of its type measured, of each place.

    ``table`` comes from ``with_references``.
    """
    library = [*TYPE, "backend"]
    places = table[[*LIBRARY, "kind"]].drop_duplicates()
    modes = table[[*library, "answer_mode", "added_s"]].drop_duplicates([*library, "answer_mode"])
    return places.merge(modes, on=library)[[*MODE, "added_s"]]


def _more_than_hot(gpu: pd.DataFrame) -> pd.DataFrame:
    """What short operations of one kernel take longer in other modes: ``more_s`` of each pair."""
    keys = ["replica", "kind", "machine_id", "threads", "backend", "workload", "operation"]
    keys += ["dtype", "math_mode", "params_key"]
    rows = gpu.loc[gpu["launches"] == 1.0, [*keys, "answer_mode", "_seconds"]]
    hot = rows[(rows["answer_mode"] == _HOT) & (rows["_seconds"] < _SHORT_S)]
    hot = hot.drop_duplicates(keys).drop(columns="answer_mode")
    pairs = rows[rows["answer_mode"] != _HOT].merge(hot, on=keys, suffixes=("", "_hot"))
    return pairs.assign(more_s=(pairs["_seconds"] - pairs["_seconds_hot"]).clip(lower=0.0))


def _compute_references(scaled: pd.DataFrame) -> tuple[pd.Series[float], pd.Series[float]]:
    """FLOP/s that rates are relative to, and the best rate of the family in those units.

    For products on a GPU the peak of its data sheet, else the best of the place in that
    precision, as efficiencies carry over between element types; where work is counted in steps
    that are no FLOP, the best of the family.
    """
    precision = scaled["dtype"].map(_PRECISIONS).fillna(scaled["dtype"])
    units = precision.map(_MATRIX_UNITS).where(scaled["device"] == "cuda")
    precision = units.fillna(precision)
    alone = takes_steps(scaled)
    family = [scaled[name] for name in TYPE_FAMILY]
    place = [*(scaled[name] for name in TYPE), precision, scaled["math_mode"], alone]
    rate = scaled["_flop_rate"].groupby(place).transform("max")
    rate = rate.where(~alone, scaled["_flop_rate"].groupby(family).transform("max"))
    rate = rate.where(~has_sheet(scaled), scaled.get("sheet_flop_per_s", rate)).clip(lower=1.0)
    best = (scaled["_flop_rate"] / rate).groupby(family).transform("max")
    return rate, best


def is_streaming(table: pd.DataFrame) -> pd.Series[bool]:
    """Which rows only stream through memory."""
    return table["family"].isin(STREAMING) & ~table["operation"].isin(_NOT_STREAMING)


def relative_work(table: pd.DataFrame) -> KernelWork:
    """Work in units of what the references do in one second.

    The cost per call and per launch is scaled through ``launches``: with a time of 1 s scaled
    to the floor's, a launch of the floor's cost has the relative cost 1.
    """
    work = kernel_work(table)
    floor = table["launch_floor_s"].to_numpy()
    byte_unit = table["byte_rate"].to_numpy() * floor
    return replace(
        work,
        flop=work.flop / (table["flop_rate"].to_numpy() * floor),
        bytes=work.bytes / byte_unit,
        fresh=work.fresh / floor,
        forks=work.forks / floor,
        added=work.added / floor,
        byte_unit=byte_unit,
    )
