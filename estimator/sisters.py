"""Cards of one chip in their order: a smaller one is never ranked above its bigger sister.

Cards of a chip differ in how much of it is switched on, in clocks, power and memory. Times that
are scaled from other cards know nothing of power, and the last round of tiles of a product may by
chance fill fewer multiprocessors better; neither makes the smaller card the faster one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd

from estimator.answers import Answers
from estimator.donor_pairs import Indices
from estimator.hardware import shipped_hardware
from estimator.hardware_specs import GpuSpec
from estimator.kernel_model import Array
from estimator.machine_facts import MachineFacts, facts_of_name

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
