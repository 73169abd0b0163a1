"""Ratios by which the parts of a time change from one machine to another, from data sheets.

From one GPU to another (the cost of launching is what one core of the host does):

    compute  peak rates of the units that do the work (``gpu_units``), on the FP32 units each times
             the share of it that profiled kernels sustain (``gpu_profiles``)
    memory   bandwidths, each times the share that profiled kernels reach
    bus      nominal host links

Each ratio has a deviation for what the sheets leave open. A figure that a data sheet does not give
is never another GPU's: the ratio is then NaN, and ``joined`` gives no answer where that part
matters and a wide one where it does not, or where the target has measured cells of its own.

Where no GPU at all was measured, published profiles answer. Operations that were published
(products, convolutions, elementwise, softmax, layer norm; float32) are answered by their own
profile, all others by that of the nearest kind, with the work counts of the family; their interval
is wide.

From one CPU to another, or to another number of its cores:

    what a call costs   1 / (clock x work per clock)
    products            1 / (clock x (FLOP per cycle)^1/2 x workers^e)
    other arithmetic    1 / (clock x work per clock x workers^e)
    memory              1 / rate of so many cores (a gain from more cores to the power e)
    data in caches      1 / (clock x workers^e)

with the clock that a donor *ran* at (``facts``: hosts report 2.1 and 2.6 GHz and ran at 3.6
and 3.7) and that of the target's data sheet: the highest for one thread, where it is published,
else the sustained one.

The exponent is e = s^1/2 / (s^1/2 + s0^1/2) of an operation of s seconds on one core: 1 for long
ones, half at s0 = 1.8 ms, as dividing costs more than it saves (0.2 ms where memory is read: there
is less to tell the threads). The figures are the best of a grid for the 204 cells of products,
layers, attention and convolutions, and the 242 of other families, that machines of data/runs
measured on one thread and on all (2 cores of Zen 4, 16 of Emerald Rapids); a time is in doubt by
``_DOUBT`` in log units per square root of a doubling. Others measured 0.99 to 1.0 of a core per
core for stress-ng on 1,400 cloud types, 0.9 to 1 for prompts of llama.cpp.

A doubled vector width is worth half a doubling, between nothing and all of it: prompts of llama.cpp
on 213 types agree best with the square root.

Memory: cores of one L3 slice share its link (AMD), others reach so much each (Intel, Arm), until
the socket's channels saturate at 0.8 of the sheet: 1 / rate^b = 1 / links^b + 1 / (0.8 sheet)^b,
with b = 2 for cores, which queue for the channels long before those are full, and 4 for slices,
whose links are the narrower part. Reads of 64 to 96 cores reach 0.65 to 0.85 of their sheets.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from collector.workloads import FAMILIES
from estimator.arrays import Array
from estimator.catalogue.cpus import ARCHITECTURES, flop_per_cycle, has_instructions, sockets
from estimator.catalogue.hardware_specs import MATRIX_WORKLOADS, CpuSpec, GpuSpec
from estimator.cells.questions import HOST_MODES
from estimator.formula.kernel import KERNEL_PARAMETERS, norm
from estimator.others.facts import MachineFacts
from estimator.others.gpu_profiles import (
    SHORTEST_KERNEL_S,
    Kernels,
    Share,
    Sheet,
    kernel_parts,
    memory_share,
    operation_of,
    profile_of,
    sustained,
)
from estimator.others.pairs import Pairs

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

    ``parts`` (n, 4) are the donor's, as ``kernel.kernel_parts`` splits them: launch against
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


#: Share of a host link's nominal rate that copies reach: the median over the published rates of
#: ``benchmarks/derive_specs_interval.py`` (nvbandwidth on seven cloud GPUs).
_LINK_SHARE = 0.44
_LINK_CALL_S = 1e-5  # a stated choice: a copy is started and waited for
_HOST_MODES = ("resident", "end_to_end")

#: Deviation of a cell's log time: of published operations that of a GPU left out from specs (a
#: mean error of 17 to 26 % in docs/published_kernels.md, so up to 0.35), of others that of a
#: plain roofline (``intervals.UNCALIBRATED`` over 1.645).
_PUBLISHED_DEVIATION, _OTHER_DEVIATION = 0.35, 0.51
#: Factor on the arithmetic and memory time of operations that nobody published: profiles of
#: others are no better than a plain roofline for them, which is 28 to 44 % off on published times
#: and nearly always too fast (NeuSight, ASPLOS 2025): 1 / (1 - 0.36).
_OPTIMISM = 1.56
#: What stands for a size that a data sheet does not give, and the deviation that this adds: the
#: middle of data/hardware.csv's GPUs, and a stated choice (an interval wider by a factor of 2).
_MIDDLE_UNITS, _MIDDLE_CACHE_MIB, _BLANK_DEVIATION = 100, 40.0, 0.42
PUBLISHED_WORKLOADS = frozenset({"matmul", "dense_layer", "elementwise", "reduction", "conv2d"})


def profile_parts(gpu: GpuSpec, cells: pd.DataFrame) -> tuple[Array, Array]:
    """Seconds of launch, compute, memory and transfer (n, 4), and deviations (n,); NaN: unknown.

    ``cells`` are described questions on device cuda (``Donors.table``).
    """
    count = len(cells)
    parts, deviation = np.full((count, 4), np.nan), np.full(count, np.nan)
    codes = cells.groupby(["workload", "case", "dtype", "math_mode"], sort=False).ngroup()
    for code in sorted(set(codes)):
        rows = np.flatnonzero((codes == code).to_numpy())
        part = cells.iloc[rows]
        first = part.iloc[0]
        workload, matrix = str(first["workload"]), first["workload"] in MATRIX_WORKLOADS
        operation = operation_of(workload, str(first["case"]), bool(matrix))
        profile = profile_of(gpu, operation)
        if profile is None:
            continue
        try:
            unit = gpu.unit_for(str(first["dtype"]), str(first["math_mode"]), bool(matrix))
            memory, link = gpu.memory_bytes_per_s, gpu.h2d_bytes_per_s
        except EstimateError:
            continue
        limit = sustained(gpu, operation) if matrix and unit.name == "FP32 units" else None
        limited = Share(1.0) if limit is None else limit
        rate = unit.flop_per_s * limited.share / (profile.sustained_share if limit else 1.0)
        sheet = Sheet(
            rate,
            memory,
            float(gpu.sm_count or _MIDDLE_UNITS),
            2.0**20 * float(gpu.last_level_cache_mib or _MIDDLE_CACHE_MIB),
        )
        kernel = kernel_parts(profile, sheet, _kernels(part))
        kernel = kernel * (1.0 if workload in PUBLISHED_WORKLOADS else _OPTIMISM)
        host = part["answer_mode"].isin(_HOST_MODES).to_numpy()
        launches = part["launches"].to_numpy(dtype=float)
        start = np.where(host, profile.launch_s, SHORTEST_KERNEL_S) * launches
        moved = (part["h2d_bytes"] + part["d2h_bytes"]).to_numpy(dtype=float)
        # a copy over the bus is the operation itself in the transfer family
        bus = (moved > 0.0) & (workload == "transfer")
        copied = (part["answer_mode"] == "end_to_end").to_numpy() | bus
        copies = copied * (_LINK_CALL_S + moved / (_LINK_SHARE * link))
        parts[rows] = np.stack([start, kernel[:, 1], kernel[:, 2] * ~bus, copies], axis=1)
        published = workload in PUBLISHED_WORKLOADS and first["dtype"] == "float32"
        blank = _BLANK_DEVIATION * (None in (gpu.sm_count, gpu.last_level_cache_mib))
        own = _PUBLISHED_DEVIATION if published else _OTHER_DEVIATION
        emulated = EMULATED_DEVIATION * unit.emulated
        deviation[rows] = np.linalg.norm([own, limited.deviation, blank, emulated])
    return parts, deviation


def _kernels(cells: pd.DataFrame) -> Kernels:
    def column(name: str) -> Array:
        values: Array = np.nan_to_num(cells[name].to_numpy(dtype=float))
        return values

    depth = cells["depth"].to_numpy(dtype=float)
    return Kernels(
        flop=column("flop"),
        bytes=column("bytes"),
        batch=column("product_batch"),
        m=np.where(column("product_batch") > 0.0, column("product_m"), 0.0),
        n=column("product_n"),
        k=np.where(np.isfinite(depth), depth, 1e9),
    )


# Seconds of one core, for which an operation has half the exponent
_HALF_S, _READ_HALF_S = 1.8e-3, 2e-4
#: Deviation in log units of a time that is one doubling of the threads away from measured ones.
_DOUBT = 0.29
_WIDTH = 0.5  # exponent of the FLOP per cycle
#: "workload case" of what libraries do on one core: sorts of one array.
_SERIAL = frozenset(
    f"{family.name} {case}" for family in FAMILIES.values() for case in family.serial_cases
)
_SHEET_SHARE = 0.8  # of a socket's memory rate that all its cores read at
_BEND_OF_CORES, _BEND_OF_SLICES = 2.0, 4.0  # how sharply links give way to the socket's channels
_CACHED_BYTES = 3e7  # a host's share of an L3: data of so much stays in caches

_MEMORY = 0.8  # exponent of threads where an architecture is not known
_OWN_DOUBLINGS = 1.0  # what _MEMORY weighs beside the donor's own doublings

# Where one CPU has AVX-512 and the other not, libraries take other code. NumPy's sort of 10^6
# differs by 4 between Zen 3 and Zen 4 and by 8 between Zen 4 and Emerald Rapids; other families
# gain less than the doubled width. Deviations in log units (stated choices).
_SORT_DOUBT, _CODE_DOUBT = 0.9, 0.2


def cpu_rows(device: pd.Series[str]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Rows on a CPU, (n,)."""
    rows: np.ndarray[tuple[int], np.dtype[np.bool_]] = (device == "cpu").to_numpy()
    return rows


def core_ratios(pairs: Pairs, asked: pd.DataFrame, put: pd.DataFrame, seconds: Array) -> Array:
    """Target over donor for launch, compute, memory and transfer, (n, 4); NaN: no answer.

    ``asked`` and ``put`` are described with the target's threads and with the donor's, whose
    times (n,) are ``seconds``. 16-bit and int8 products have no answer where only one of the
    CPUs has instructions for them: libraries then take code that differs by 100 times and more.
    """
    threads, known = (table["threads"].to_numpy(dtype=float) for table in (asked, put))
    wanted, had = (
        np.maximum(count * table["busy"].to_numpy(dtype=float), 1.0)
        for count, table in ((threads, asked), (known, put))
    )
    of_one_core = np.sqrt(seconds * had)
    gain, read_gain = (
        of_one_core / (of_one_core + math.sqrt(half)) for half in (_HALF_S, _READ_HALF_S)
    )
    keys = asked[["workload", "dtype"]].assign(pair=pairs.code, threads=threads, known=known)
    codes = keys.groupby(list(keys.columns), sort=False, dropna=False).ngroup().to_numpy()
    _, first = np.unique(codes, return_index=True)
    table = np.ones((len(first), 5))
    for i, row in enumerate(keys.iloc[first].itertuples(index=False, name=None)):
        workload, dtype, pair, new, old = row
        target, donor = pairs.pairs[pair]
        table[i] = _ratios(target, donor, str(workload), str(dtype), float(new), float(old))
    call, core, cached, memory, more = table[codes].T
    inside = asked["footprint"].to_numpy(dtype=float) < _CACHED_BYTES
    ratios = np.ones((len(pairs), 4))
    ratios[:, 0] = call
    ratios[:, 1] = core * (wanted / had) ** -gain
    reads = np.where(inside, wanted / had, more)
    ratios[:, 2] = np.where(inside, cached, memory) * reads**-read_gain
    serial = np.flatnonzero((asked["workload"] + " " + asked["operation"]).isin(_SERIAL))
    ratios[serial, 1], ratios[serial, 2] = core[serial], cached[serial]
    return ratios


def _ratios(
    target: MachineFacts,
    donor: MachineFacts,
    workload: str,
    dtype: str,
    threads: float,
    donor_threads: float,
) -> tuple[float, float, float, float, float]:
    """For a call, one core's arithmetic, its data in caches, memory at the donor's threads, and
    the target's rate of memory at its own threads over that."""
    one, many = _clocks(target, donor, 1.0, 1.0), _clocks(target, donor, threads, donor_threads)
    core = many * _per_clock(target, donor)
    if workload in MATRIX_WORKLOADS:  # wide units keep no core above its sustained clock
        core = _clocks(target, donor, math.inf, math.inf) * _width(target, donor, dtype)
    memory, more = 1.0, (threads / donor_threads) ** memory_exponent(donor)
    if target.architecture is not None and donor.architecture is not None:
        here = _sustained(target, donor_threads)
        memory, more = _sustained(donor, donor_threads) / here, _sustained(target, threads) / here
    return one * _per_clock(target, donor), core, many, memory, more


def clock_ratio(target: MachineFacts, donor: MachineFacts) -> float:
    """How much longer what one core does takes on the target; 1 where a clock is not known."""
    return _clocks(target, donor, 1.0, 1.0) * _per_clock(target, donor)


def _clocks(
    target: MachineFacts, donor: MachineFacts, threads: float, donor_threads: float
) -> float:
    """Donor's clock over target's, with so many threads busy: of two clocks of one kind.

    What hosts report is compared with what hosts report only.
    """
    new, old = _clock(target, threads), _clock(donor, donor_threads)
    if new is None or old is None:
        new, old = target.clock_ghz, donor.clock_ghz
    return old / new if new is not None and old is not None else 1.0


def _clock(machine: MachineFacts, threads: float) -> float | None:
    """GHz with so many threads busy: what it ran at, else its data sheet's; None: not known."""
    cpu = machine.cpu
    sheet = None if cpu is None else cpu.clock_ghz
    if sheet is not None and cpu is not None and threads <= 1.0:
        sheet = cpu.boost_clock_ghz or sheet
    return machine.ran_at_ghz or sheet


def _per_clock(target: MachineFacts, donor: MachineFacts) -> float:
    new, old = target.architecture, donor.architecture
    return 1.0 if new is None or old is None else old.per_clock / new.per_clock


def _width(target: MachineFacts, donor: MachineFacts, dtype: str) -> float:
    """By what the unit's width makes a product slower on the target; NaN: it has no such unit."""
    if target.cpu is None or donor.cpu is None or target.cpu.architecture == "":
        return 1.0
    if has_instructions(target.cpu, dtype) != has_instructions(donor.cpu, dtype):
        return math.nan
    known = (
        dtype if dtype in ("float64", "complex128", "float16", "bfloat16", "int8") else "float32"
    )
    if target.cpu.fp32_flop_per_cycle is None or donor.cpu.fp32_flop_per_cycle is None:
        return 1.0
    ratio = flop_per_cycle(donor.cpu, known) / flop_per_cycle(target.cpu, known)
    return float(ratio**_WIDTH)


def _sustained(machine: MachineFacts, cores: float) -> float:
    return 1.0 if machine.cpu is None else sustained_memory_bytes_per_s(machine.cpu, cores)


def sustained_memory_bytes_per_s(cpu: CpuSpec, cores: float) -> float:
    """Rate in B/s at which so many cores read memory. EstimateError: architecture not known."""
    unit = ARCHITECTURES.get(cpu.architecture)
    if unit is None:
        raise EstimateError(f"{cpu.name}: the memory rate of {cpu.architecture} is not known")
    links = unit.one_core_gb_per_s * cores
    if unit.slice_cores is not None and unit.slice_gb_per_s is not None:
        links = min(links, unit.slice_gb_per_s * math.ceil(cores / unit.slice_cores))
    sheet = cpu.memory_bandwidth_gb_per_s
    if sheet is None:
        return 1e9 * links
    parts = float(sockets(cpu, cores))
    if unit.domain_cores is not None:
        parts = min(parts, math.ceil(cores / unit.domain_cores) / unit.domains)
    socket = _SHEET_SHARE * sheet * parts
    bend = _BEND_OF_CORES if unit.slice_cores is None else _BEND_OF_SLICES
    return 1e9 * float((links**-bend + socket**-bend) ** (-1.0 / bend))


def memory_exponent(donor: MachineFacts) -> float:
    """By what power of its threads a donor's memory streams faster, 0 to 1, by its own rates."""
    counts = sorted(donor.memory_bytes_per_s)
    if len(counts) < 2:
        return _MEMORY
    fewest, most = counts[0], counts[-1]
    rates = [donor.memory_bytes_per_s[count] for count in (fewest, most)]
    doublings = float(np.log2(most / fewest))
    slope = float(np.log2(rates[1] / rates[0])) / doublings
    leaning = (_OWN_DOUBLINGS * _MEMORY + doublings * slope) / (_OWN_DOUBLINGS + doublings)
    return float(np.clip(leaning, 0.0, 1.0))


def core_doubt(threads: Array, below: Array, above: Array) -> Array:
    """Deviation (n,) in log units of times between or beyond measured numbers of threads.

    As a random walk along the doublings: its variance grows with the doublings to the nearest
    measured number, and between two it is that of a bridge. ``below`` and ``above`` are the
    measured numbers next to ``threads`` (equal beyond the ends).
    """
    down, up = (np.abs(np.log2(threads / known)) for known in (below, above))
    apart = np.log2(above / below)
    with np.errstate(divide="ignore", invalid="ignore"):
        bridge = np.where(apart > 0.0, down * up / apart, down)
    result: Array = _DOUBT * np.sqrt(bridge)
    return result


def code_doubt(pairs: Pairs, workload: pd.Series[str]) -> Array:
    """Deviation (n,) in log units where one CPU has AVX-512 and the other not."""
    differ = pairs.each(lambda target, donor: _wide(target) != _wide(donor), bool)
    sorting = (workload == "sort").to_numpy()
    result: Array = np.where(differ, np.where(sorting, _SORT_DOUBT, _CODE_DOUBT), 0.0)
    return result


def _wide(machine: MachineFacts) -> bool | None:
    unit = machine.architecture
    return None if unit is None else "avx512" in unit.instruction_sets


def part_ratios(pairs: Pairs, asked: pd.DataFrame) -> tuple[Array, Array]:
    """target / donor for launch, compute, memory and transfer of cells on a GPU, (n, 4).

    And the deviations of their logarithms for what the data sheets leave open, (n, 4). A ratio
    is NaN where a figure that it takes is not known.

    ``asked`` has workload, case, dtype, math_mode and answer_mode.
    """
    keys = asked[["workload", "case", "dtype", "math_mode", "answer_mode"]]
    keys = keys.assign(pair=pairs.code)
    codes = keys.groupby(list(keys.columns), sort=False, dropna=False).ngroup().to_numpy()
    _, first = np.unique(codes, return_index=True)
    rows = []
    for row in keys.iloc[first].itertuples(index=False, name=None):
        workload, case, dtype, math_mode, mode, pair = row
        target, donor = pairs.pairs[pair]
        launch = clock_ratio(target, donor) if mode in HOST_MODES else 1.0
        of_gpu = gpu_ratios(target, donor, workload, case, dtype, math_mode)
        rows.append([(launch, *of_gpu.ratios), (0.0, *of_gpu.deviations)])
    table = np.array(rows, dtype=float).reshape(-1, 2, 4)[codes]
    return table[:, 0], table[:, 1]
