"""A CPU's times on more or fewer cores of the same architecture, from its own measured cores.

Of two CPUs of one architecture (one ``architecture`` of data/hardware.csv: the same cores, sold
under several names) a core is taken to do the same: clocks are not compared, as hosts report a
base clock (the measured ones 2.6 and 2.1 GHz, where their best products on one core need 3.3 and
3.1 GHz at least by the FLOP per cycle of the data sheet). With the number of threads n

    arithmetic ~ workers^-e    memory ~ n^-p    what a call costs stays

where ``workers`` are the threads that the operation is divided among, e is 0.7 for long
operations and less for short ones (half of it for 0.1 ms of one core, as dividing costs more than
it saves), and p is the donor's own exponent (streaming rates at its fewest and most threads)
leaning on 0.8 with the weight of one doubling. Between two measured numbers of threads both
answer, and the exponents nearly cancel out.

The exponents and ``_DOUBT`` come from the 512 cells of data/runs that a machine measured both on
one thread and on all its cores (208 on 2 cores of Zen 4, 304 on 16 cores of Emerald Rapids).
Times on all cores predicted from one thread with e = p = 1 are short by 0.24 and 0.83 in the mean
of the logarithms and err by 0.45 and 0.57 per square root of a doubling; with the exponents they
are short by 0.03 and 0.25, err by 0.36 and 0.33, and nine tenths lie within 1.645 x 0.34.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from estimator.donor_pairs import Pairs
from estimator.kernel_model import Array
from estimator.machine_facts import MachineFacts, relation

_ARITHMETIC, _MEMORY = 0.7, 0.8
_SHORT_S = 1e-4  # of one core, for which an operation has half the exponent of arithmetic
#: Deviation in log units of a time that is one doubling of the threads away from measured ones.
_DOUBT = 0.34
_OWN_DOUBLINGS = 1.0  # what _MEMORY weighs beside the donor's own doublings


def family_rows(pairs: Pairs, device: pd.Series[str]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Rows on a CPU whose donor has cores of the same architecture, (n,)."""
    alike = pairs.each(lambda to, of: relation(to, of, "cpu") == "family", bool)
    rows: np.ndarray[tuple[int], np.dtype[np.bool_]] = alike & (device == "cpu").to_numpy()
    return rows


def core_ratios(pairs: Pairs, asked: pd.DataFrame, put: pd.DataFrame, seconds: Array) -> Array:
    """Target over donor for launch, compute, memory and transfer, (n, 4).

    ``asked`` and ``put`` are described with the target's threads and with the donor's, whose
    times (n,) are ``seconds``.
    """
    ratios = np.ones((len(pairs), 4))
    threads, known = (table["threads"].to_numpy(dtype=float) for table in (asked, put))
    wanted, had = (
        np.maximum(count * table["busy"].to_numpy(dtype=float), 1.0)
        for count, table in ((threads, asked), (known, put))
    )
    of_one_core = seconds * had
    ratios[:, 1] = (wanted / had) ** (-_ARITHMETIC * of_one_core / (of_one_core + _SHORT_S))
    ratios[:, 2] = (threads / known) ** -pairs.each(lambda _, donor: memory_exponent(donor))
    return ratios


def memory_exponent(donor: MachineFacts) -> float:
    """By what power of its threads the donor's memory streams faster, 0 to 1."""
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
