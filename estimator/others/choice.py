"""Who answers a cell: the machine itself, or others that were measured (``donors``).

Of cards of one chip, which differ in how much of it is switched on, in clocks, power and memory,
a smaller one is never ranked above its bigger sister: times that are scaled from other cards know
nothing of power, and the last round of tiles of a product may by chance fill fewer multiprocessors
better; neither makes the smaller card the faster one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from estimator.answer import NORMAL_95, PARTS
from estimator.arrays import Array, Flags, Indices
from estimator.catalogue.hardware import shipped_hardware
from estimator.catalogue.hardware_specs import GpuSpec
from estimator.others.donor_cells import deviation_of
from estimator.others.donors import Donors
from estimator.others.facts import FEW_CELLS, MachineFacts, facts_of_name
from estimator.others.pairs import Answers

_RATES = (
    *("fp32_tflops", "fp64_tflops", "tf32_tflops", "fp16_tflops", "bf16_tflops", "int8_tops"),
    *("memory_bandwidth_gb_per_s", "last_level_cache_mib", "sm_count", "tdp_w", "h2d_gb_per_s"),
)
_ROUNDING = 0.01  # of data sheets: 494 and 494.5 TFLOP/s are one figure


@lru_cache(maxsize=256)
def bigger_sisters(gpu: GpuSpec) -> tuple[GpuSpec, ...]:
    """The catalogue's cards of the same chip with no figure smaller and one that is larger.

    Figures that one of the two rows leaves empty are not compared.
    """
    if not gpu.chip:
        return ()
    cards = [spec for spec in shipped_hardware() if isinstance(spec, GpuSpec)]
    return tuple(card for card in cards if card.chip == gpu.chip and _is_bigger(card, gpu))


def _is_bigger(card: GpuSpec, than: GpuSpec) -> bool:
    pairs = [(getattr(card, name), getattr(than, name)) for name in _RATES]
    ratios = [new / old for new, old in pairs if new is not None and old is not None]
    return min(ratios, default=1.0) > 1.0 - _ROUNDING and max(ratios, default=1.0) > 1.0 + _ROUNDING


@dataclass(frozen=True)
class Sisters:
    """Questions of GPUs without a cell of their own, asked again of their bigger sisters.

    ``machines`` are the sisters, ``rows`` (s,) places in the questions and ``which`` (s,) in
    ``machines``.
    """

    machines: tuple[MachineFacts, ...]
    rows: Indices
    which: Indices


def sisters_of(targets: Sequence[MachineFacts], which: Indices, asked: pd.DataFrame) -> Sisters:
    """The sisters of ``targets[which[i]]`` for those questions that are of a GPU."""
    on_gpu = (asked["device"] == "cuda").to_numpy()
    rows, places = [np.zeros(0, dtype=np.intp)], [np.zeros(0, dtype=np.intp)]
    names: dict[str, int] = {}
    for number, target in enumerate(targets):
        if target.gpu is None or target.cells.get("cuda", 0):
            continue
        here = np.flatnonzero(on_gpu & (which == number))
        for sister in bigger_sisters(target.gpu) if len(here) else ():
            place = names.setdefault(sister.name, len(names))
            rows.append(here)
            places.append(np.full(len(here), place))
    machines = tuple(facts for name in names if (facts := facts_of_name(name)) is not None)
    return Sisters(machines, np.concatenate(rows), np.concatenate(places))


def not_above(sisters: Sisters, found: Answers, theirs: Array) -> Answers:
    """Answers none of which is faster than the log seconds of its sisters, ``theirs`` (s,)."""
    slower, at = found.log_seconds.copy(), sisters.rows
    np.fmax.at(slower, at, np.where(np.isfinite(slower[at]), theirs, np.nan))
    factor = np.exp(slower - found.log_seconds)
    return replace(found, log_seconds=slower, parts=found.parts * factor[:, None])


_MOST_ROWS = 20_000  # put to donors at once


def with_donors(donors: Donors, asked: pd.DataFrame, answer: pd.DataFrame) -> pd.DataFrame:
    """The machines' own answers, with donors' where those are surer.

    Donors are asked for cells that the machine's own groups do not answer or only from other
    cases, and for all but its measured cells on a machine of few. The smaller deviation answers.
    ``asked``: described questions (``Donors.table``).
    """
    asked = asked.reset_index(drop=True)
    wanted = _wanted(donors, asked, answer)
    if not wanted.any():
        return answer
    answer = answer.copy()
    rows = np.flatnonzero(wanted)
    # together, as donors of many machines are the same; in parts, so that the memory is bounded
    for places in np.split(rows, range(_MOST_ROWS, len(rows), _MOST_ROWS)):
        part = asked.iloc[places]
        which, machines = pd.factorize(part["machine_id"])
        targets = [donors.target(str(machine)) for machine in machines]
        sisters, count = sisters_of(targets, which, part), len(part)
        every = donors.answers(
            [*targets, *sisters.machines],
            np.concatenate([which, len(targets) + sisters.which]),
            part.iloc[np.concatenate([np.arange(count), sisters.rows])],
        )
        found = not_above(sisters, every.first(count), every.log_seconds[count:])
        pairs = zip(which.tolist(), part["device"], strict=True)
        few = np.array([_is_few(targets[machine], device) for machine, device in pairs])
        better = found.known & (few | ~(deviation_of(answer.iloc[places]) <= found.deviation))
        _put(answer, places[better], found, better)
    return answer


def _wanted(donors: Donors, asked: pd.DataFrame, answer: pd.DataFrame) -> Flags:
    known = np.isfinite(answer["seconds_p50"].to_numpy(dtype=float))
    measured = np.isfinite(answer["measured_median_s"].to_numpy(dtype=float))
    wanted = (answer["basis"] == "new_workload").to_numpy()
    counts = donors.fitted.measured.groupby(["machine_id", "device"]).size()
    few = set(counts[counts <= FEW_CELLS].index)
    keys = zip(asked["machine_id"].astype(str), asked["device"], strict=True)
    if few:
        wanted = wanted | np.array([key in few for key in keys])
    result: Flags = ~known | (wanted & ~measured)
    return result


def _is_few(target: MachineFacts, device: str) -> bool:
    return target.cells.get(device, 0) <= FEW_CELLS


def _put(answer: pd.DataFrame, places: Any, found: Answers, chosen: Flags) -> None:
    seconds = np.exp(found.log_seconds[chosen])
    half = NORMAL_95 * found.deviation[chosen]
    parts = found.parts[chosen]
    columns: dict[str, Any] = {
        "seconds_p5": seconds * np.exp(-half),
        "seconds_p50": seconds,
        "seconds_p95": seconds * np.exp(half),
        **{f"{name}_s": parts[:, i] for i, name in enumerate(PARTS)},
        "bound": np.array(PARTS, dtype=object)[parts.argmax(axis=1)],
        "basis": np.where(found.probes[chosen] > 0, "probed", "from_specs"),
        "n_fit": found.n[chosen],
    }
    for name, values in columns.items():
        answer.loc[places, name] = values
