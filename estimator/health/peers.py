"""Slower than machines of the same type? Shifts of families against what machines differ in.

A machine's *shift* in a family is the median over cells of ln(its time) less the median of its
peers' ln(times). Whether a shift is more than machines of one type differ in anyway is judged by
the spread of the other machines' shifts in that family, with the weight of one more machine for
what the shipped runs say of that kind, and by the scatter of the machine's own cells. First all
families of a kind together (one cause, one finding), then each family for what remains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from collector.compare.difference import p_value
from collector.compare.run_spread import Scale
from collector.measure.statistics import false_discovery_rates
from estimator.arrays import Array
from estimator.health.rows import Finding, chance, severity_of

#: Fewer cells of a family, or families of a kind, say too little for a finding.
FEWEST_CELLS = 5
FEWEST_FAMILIES = 3

#: Standard deviation of machines' shifts in log units, of all families together and of one
#: family: the five H200 machines and three of their processors in data/runs, measured November
#: 2026 (families' shifts of kernels 0.007, of what the host does 0.08, of processors 0.06).
PRIOR = {"gpu kernel": (0.006, 0.010), "gpu host": (0.05, 0.08), "cpu": (0.05, 0.06)}
_PRIOR_MACHINES = 1.0  # how many machines the prior counts for

#: A difference below this (relative) is of no interest, as in ``collector compare``.
SMALLEST_EFFECT = 0.02
_NORMAL_95 = 1.96
_IQR_SIGMAS = 1.349  # interquartile range of a normal distribution in standard deviations
_MEDIAN_LOSS = 1.2533  # standard error of a median over that of a mean

#: Kinds of cells in words.
KIND_NAMES = {
    "gpu kernel": "GPU kernels",
    "gpu host": "host side of the GPU",
    "cpu": "processor",
}
_ADVICE = {
    "gpu kernel": "Compare clocks, power limit and temperature (nvidia-smi -q -d CLOCK,POWER), "
    "look for another process, then measure again.",
    "gpu host": "Compare host load, governor and library versions; measure again on a quiet host.",
    "cpu": "Look for other load, the governor and the BLAS library; ask the provider for another "
    "host if it stays.",
}


@dataclass(frozen=True)
class _Test:
    """One machine, one kind, one family (or all): its shift and what to judge it by."""

    machine_id: str
    kind: str
    workload: str  # "" for all families
    shift: float
    error: float  # of the shift, from the machine's own cells
    between: float  # what machines of the type differ in
    degrees: float
    cells: int
    families: int
    peers: int

    @property
    def scale(self) -> Scale:
        # the peers' median carries their own share of the spread
        share = 1.0 + (math.pi / 2 if self.peers > 2 else 1.0) / max(self.peers, 1)
        return Scale(self.between**2 * share + self.error**2, self.degrees)

    @property
    def p(self) -> float:
        """That the true shift is no larger than ``SMALLEST_EFFECT``, slower side only."""
        if self.shift <= math.log1p(SMALLEST_EFFECT):
            return 1.0
        return p_value(self.shift, self.scale, math.log1p(SMALLEST_EFFECT))


def peer_findings(shifts: pd.DataFrame) -> list[Finding]:
    """Findings "slower than its peers", overall per kind, then per family beyond that.

    ``shifts`` as in ``FleetTables`` with ``group`` (machines with the same value are peers).
    """
    usable = shifts[(shifts["peers"] > 0) & (shifts["cells"] >= FEWEST_CELLS)]
    if usable.empty:
        return []
    overall = _overall_tests(usable)
    found, explained = [], {}
    for test, rate in _judged(overall):
        finding = _finding(test, rate)
        if finding is not None:
            found.append(finding)
            explained[test.machine_id, test.kind] = test.shift
    remaining = usable.assign(
        median=[
            median - explained.get((machine, kind), 0.0)
            for machine, kind, median in zip(
                usable["machine_id"], usable["kind"], usable["median"], strict=True
            )
        ]
    )
    for test, rate in _judged(_family_tests(remaining)):
        finding = _finding(test, rate)
        if finding is not None:
            found.append(finding)
    return found


def _judged(tests: list[_Test]) -> list[tuple[_Test, float]]:
    """Each test with its false discovery rate among all."""
    rates = false_discovery_rates([test.p for test in tests]) if tests else []
    return list(zip(tests, rates, strict=True))


def _overall_tests(shifts: pd.DataFrame) -> list[_Test]:
    """One test per machine and kind: the median over families of their shifts."""
    columns = ["group", "kind", "machine_id"]
    rows = shifts.groupby(columns, sort=True, as_index=False).agg(
        shift=("median", "median"),
        scatter=("median", lambda values: _iqr(values.to_numpy(dtype=float))),
        families=("workload", "size"),
        cells=("cells", "sum"),
        peers=("peers", "max"),
    )
    rows = rows[rows["families"] >= FEWEST_FAMILIES]
    rows["error"] = _MEDIAN_LOSS * rows["scatter"] / _IQR_SIGMAS / np.sqrt(rows["families"])
    return _tests(rows.assign(workload=""), prior=0)


def _family_tests(shifts: pd.DataFrame) -> list[_Test]:
    error = _MEDIAN_LOSS * (shifts["high"] - shifts["low"]) / _IQR_SIGMAS / np.sqrt(shifts["cells"])
    return _tests(shifts.assign(shift=shifts["median"], error=error, families=1), prior=1)


def _tests(rows: pd.DataFrame, prior: int) -> list[_Test]:
    tests = []
    for (_, kind, workload), of_group in rows.groupby(["group", "kind", "workload"], sort=True):
        values = of_group["shift"].to_numpy(dtype=float)
        for index, row in enumerate(of_group.itertuples()):
            between, degrees = math.nan, math.nan
            if values[index] > math.log1p(SMALLEST_EFFECT):  # else nothing is to be judged
                between, degrees = _between(np.delete(values, index), PRIOR[str(kind)][prior])
            tests.append(
                _Test(
                    str(row.machine_id),
                    str(kind),
                    str(workload),
                    float(values[index]),
                    float(row.error),  # type: ignore[arg-type]
                    between,
                    degrees,
                    int(row.cells),  # type: ignore[arg-type]
                    int(row.families),  # type: ignore[arg-type]
                    int(row.peers),  # type: ignore[arg-type]
                )
            )
    return tests


def _between(others: Array, prior: float) -> tuple[float, float]:
    """What machines of the type differ in, from the others and the prior; degrees of freedom."""
    known = max(len(others) - 1, 0)
    variance = 0.0
    if known == 1:
        variance = float(np.var(others, ddof=1))
    elif known > 1:
        variance = (1.4826 * float(np.median(np.abs(others - np.median(others))))) ** 2
    degrees = known + _PRIOR_MACHINES
    return math.sqrt((_PRIOR_MACHINES * prior**2 + known * variance) / degrees), degrees


def _iqr(values: Array) -> float:
    low, high = np.quantile(values, [0.25, 0.75])
    return float(high - low)


def _finding(test: _Test, rate: float) -> Finding | None:
    severity = severity_of(rate, math.expm1(test.shift))
    if severity is None:
        return None
    half = _NORMAL_95 * test.error
    low, middle, high = (100 * math.expm1(test.shift + part) for part in (-half, 0.0, half))
    where = KIND_NAMES[test.kind]
    what = f"slower than its peers: {where}"
    counted = f"{test.cells} cells of {test.families} families"
    if test.workload:
        what = f"slower than its peers in {test.workload}: {where}"
        counted = f"{test.cells} cells"
    plural = "s" if test.peers != 1 else ""
    return Finding(
        machine_id=test.machine_id,
        severity=severity,
        check=f"slower {test.kind} {test.workload}".strip(),
        what=what,
        amount=f"{middle:.1f} % longer ({low:.1f} to {high:.1f} %)",
        size=math.expm1(test.shift),
        evidence=f"median ratio over {counted} that {test.peers} peer{plural} measured too; "
        f"machines of the type differ by {100 * test.between:.1f} %, one standard deviation",
        advice=_ADVICE[test.kind],
        sure=chance(rate),
        cells=test.cells,
        peers=test.peers,
    )
