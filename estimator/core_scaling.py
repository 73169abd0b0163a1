"""A CPU's times on another CPU, or on other numbers of its cores: one formula for all of them.

    what a call costs   1 / (clock x work per clock)
    products            1 / (clock x (FLOP per cycle)^1/2 x workers^e)
    other arithmetic    1 / (clock x work per clock x workers^e)
    memory              1 / rate of so many cores (a gain from more cores to the power e)
    data in caches      1 / (clock x workers^e)

with the clock that a donor *ran* at (``machine_facts``: hosts report 2.1 and 2.6 GHz and ran at 3.6
and 3.7) and that of the target's data sheet: the highest for one thread, where it is published,
else the sustained one.

The exponent is e = s^1/2 / (s^1/2 + s0^1/2) of an operation of s seconds on one core: 1 for long
ones, half at s0 = 1.8 ms, as dividing costs more than it saves (0.2 ms where memory is read: there
is less to tell the threads). The figures are the best of a grid for the 204 cells of products,
layers, attention and convolutions, and the 242 of other families, that machines of data/runs
measured on one thread and on all (2 cores of Zen 4, 16 of Emerald Rapids); a time is in doubt by
``_DOUBT`` in log units per square root of a doubling. Others measured 0.99 to 1.0 of a core per
core for stress-ng on 1,400 cloud types, 0.9 to 1 for prompts of llama.cpp.

A doubled vector width is worth half a doubling, between nothing and all of it: prompts of
llama.cpp on 213 types agree best with the square root.

Memory: cores of one L3 slice share its link (AMD), others reach so much each (Intel, Arm), until
the socket's channels saturate at 0.8 of the sheet: 1 / rate^b = 1 / links^b + 1 / (0.8 sheet)^b,
with b = 2 for cores, which queue for the channels long before those are full, and 4 for slices,
whose links are the narrower part. Reads of 64 to 96 cores reach 0.65 to 0.85 of their sheets.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from estimator.cpu_architectures import ARCHITECTURES
from estimator.cpu_rates import flop_per_cycle, has_instructions, sockets
from estimator.donor_pairs import Pairs
from estimator.hardware_specs import MATRIX_WORKLOADS, CpuSpec
from estimator.kernel_model import Array
from estimator.machine_facts import MachineFacts

# Seconds of one core, for which an operation has half the exponent
_HALF_S, _READ_HALF_S = 1.8e-3, 2e-4
#: Deviation in log units of a time that is one doubling of the threads away from measured ones.
_DOUBT = 0.29
_WIDTH = 0.5  # exponent of the FLOP per cycle
#: Sorts of one array, which libraries do on one core: 0.8 million floats take torch 84 ms on 16
#: threads of a Xeon and 79 ms on 2 of an EPYC (data/runs).
_SERIAL_SORTS = ("sort", "argsort")
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
    serial = np.flatnonzero((asked["workload"] == "sort") & asked["operation"].isin(_SERIAL_SORTS))
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
