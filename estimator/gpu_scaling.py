"""From one GPU to another: ratios of the parts of a kernel's time, from their data sheets.

    compute  peak rates of the units that do the work (``gpu_units``), on the FP32 units each times
             the share of it that profiled kernels sustain (``gpu_profiles``)
    memory   bandwidths, each times the share that profiled kernels reach
    bus      nominal host links

Each ratio has a deviation for what the sheets leave open. A figure that a data sheet does not
give is never another GPU's: the ratio is then NaN, and ``joined`` gives no answer where that part
matters and a wide one where it does not, or where the target has measured cells of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from collector.errors import EstimateError
from estimator.gpu_profiles import memory_share, operation_of, sustained
from estimator.hardware_specs import MATRIX_WORKLOADS, GpuSpec
from estimator.kernel_model import KERNEL_PARAMETERS, Array, norm
from estimator.machine_facts import MachineFacts

#: Deviations of the logarithm of a part's time where a figure is not known: stated choices.
#: An emulated type is converted besides, by kernels of their own or on the way: a factor of 1.8 at
#: the ends of the interval. A last-level cache of unknown size gains up to what published kernels
#: gain from one (2 in the middle of data/gpu_profiles.csv), an unknown count of multiprocessors
#: leaves the last wave of tiles open.
EMULATED_DEVIATION, _NO_CACHE_SIZE, _NO_UNITS = 0.36, 0.42, 0.2
#: Of a rate that is not known: a factor of 10 at either end.
_NO_RATE = 1.4
#: Share of a time from which on a part without a known rate leaves the whole without an answer.
_MATTERS = 0.05

_EXPONENTS = [KERNEL_PARAMETERS.index(name) for name in ("overlap_q", "exponent_p")]


@dataclass(frozen=True)
class GpuRatios:
    """target / donor of the compute, memory and transfer parts, and deviations of their logs."""

    ratios: tuple[float, float, float]
    deviations: tuple[float, float, float]


_SAME = GpuRatios((1.0, 1.0, 1.0), (0.0, 0.0, 0.0))


def gpu_ratios(
    target: MachineFacts,
    donor: MachineFacts,
    workload: str,
    case: str,
    dtype: str,
    math_mode: str,
) -> GpuRatios:
    """Ratios between two machines' GPUs; NaN where a figure of one is not known.

    A target with measured cells of its own has a wide ratio of 1 instead: they tell the rest.
    """
    new, old = target.gpu, donor.gpu
    measured = target.cells.get("cuda", 0) > 0
    if new is None or old is None:
        alike = target.gpu_model == donor.gpu_model != ""
        if alike:
            return _SAME
        return GpuRatios((1.0 if measured else np.nan,) * 3, (_NO_RATE,) * 3)
    if new.name == old.name:
        return _SAME
    matrix = workload in MATRIX_WORKLOADS
    operation = operation_of(workload, case, matrix)
    found = (
        _compute(old, new, dtype, math_mode, matrix, operation),
        # products seldom wait for memory: their own share of it is poorly known
        _memory(old, new, "elementwise" if matrix else operation),
        (_ratio(lambda: old.h2d_bytes_per_s, lambda: new.h2d_bytes_per_s), 0.0),
    )
    compute, memory, transfer = (_known(ratio, doubt, measured) for ratio, doubt in found)
    return GpuRatios((compute[0], memory[0], transfer[0]), (compute[1], memory[1], transfer[1]))


def _known(ratio: float, deviation: float, measured: bool) -> tuple[float, float]:
    """A ratio and its deviation; a wide one for what is not known, of 1 on a measured target."""
    if np.isfinite(ratio):
        return ratio, deviation
    return (1.0 if measured else np.nan), _NO_RATE


def _compute(
    old: GpuSpec, new: GpuSpec, dtype: str, math_mode: str, matrix: bool, operation: str
) -> tuple[float, float]:
    try:
        units = [gpu.unit_for(dtype, math_mode, matrix) for gpu in (old, new)]
    except EstimateError:
        return np.nan, 0.0
    ratio = units[0].flop_per_s / units[1].flop_per_s
    doubts = [
        EMULATED_DEVIATION * (units[0].emulated != units[1].emulated),
        _NO_UNITS * (None in (old.sm_count, new.sm_count)),
    ]
    # the profiles are of float32 kernels: of what other units sustain they say nothing
    if matrix and any(unit.name == "FP32 units" for unit in units):
        shares = [sustained(gpu, operation) for gpu in (old, new)]
        if shares[0] is not None and shares[1] is not None:
            ratio *= shares[0].share / shares[1].share
            doubts += [shares[0].deviation, shares[1].deviation]
    return ratio, float(np.linalg.norm(doubts))


def _memory(old: GpuSpec, new: GpuSpec, operation: str) -> tuple[float, float]:
    ratio = _ratio(lambda: old.memory_bytes_per_s, lambda: new.memory_bytes_per_s)
    shares = memory_share(old, operation), memory_share(new, operation)
    if shares[0] is not None and shares[1] is not None:
        ratio *= shares[0] / shares[1]
    caches = old.last_level_cache_mib, new.last_level_cache_mib
    return ratio, _NO_CACHE_SIZE if None in caches else 0.0


def _ratio(reference: Callable[[], float], target: Callable[[], float]) -> float:
    try:
        return reference() / target()
    except EstimateError:
        return np.nan


def unit_note(gpu: GpuSpec | None, workload: str, dtype: str, math_mode: str) -> str:
    """What to say of the unit that does an operation: that it is not the one asked for, or ""."""
    if gpu is None or why_not(gpu, workload, dtype, math_mode):
        return ""
    note = gpu.unit_for(dtype, math_mode, workload in MATRIX_WORKLOADS).note
    return f"{gpu.name}: {note}" if note else ""


def why_not(gpu: GpuSpec, workload: str, dtype: str, math_mode: str) -> str:
    """Why its data sheet does not answer for an operation; "" where it does."""
    try:
        gpu.unit_for(dtype, math_mode, workload in MATRIX_WORKLOADS)
        _ = gpu.memory_bytes_per_s, gpu.h2d_bytes_per_s
    except EstimateError as error:
        return str(error)
    return ""


def joined(
    parts: Array, ratios: Array, deviations: Array, theta: Array, added: Array
) -> tuple[Array, Array]:
    """Parts of times on the target, (n, 4), and what their sums are in doubt by, (n,) in logs.

    ``parts`` (n, 4) are the donor's, as ``kernel_model.kernel_parts`` splits them: launch against
    the body, and in it compute against memory, each by its power in a norm. Those norms, with the
    exponents in the donor's ``theta`` (n, 20), are taken apart, each time is scaled, and the norms
    are taken again: what hid behind the arithmetic on the donor may be what limits the target.
    ``added`` (n,) seconds of the launch are the mode's and hide behind nothing.
    NaN where a ratio is, unless its part is too small to matter.
    """
    small = parts <= _MATTERS * parts.sum(axis=1)[:, None]
    ratios = np.where(np.isnan(ratios) & small, 1.0, ratios)
    launch, compute, memory, transfer = parts.T
    added = np.minimum(added, launch)
    launch = launch - added
    total = launch + compute + memory
    q, p = np.exp(theta[:, _EXPONENTS]).T
    with np.errstate(divide="ignore", invalid="ignore"):
        host_share = np.nan_to_num(launch / total)
        inner = np.nan_to_num(compute / (compute + memory))
    body = total * (1.0 - host_share) ** (1.0 / q)
    times = np.stack(
        [
            total * host_share ** (1.0 / q),
            body * inner ** (1.0 / p),
            body * (1.0 - inner) ** (1.0 / p),
        ]
    )
    host, of_compute, of_memory = times * ratios[:, :3].T
    new_body, inner = norm(of_compute, of_memory, p)
    seconds, host_share = norm(host, new_body, q)
    rest = seconds * (1.0 - host_share)
    found = np.stack(
        [
            seconds * host_share + added * ratios[:, 0],
            rest * inner,
            rest * (1.0 - inner),
            transfer * ratios[:, 3],
        ],
        axis=1,
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.nan_to_num(found / found.sum(axis=1)[:, None])
    return found, np.asarray(np.linalg.norm(weight * deviations, axis=1))
