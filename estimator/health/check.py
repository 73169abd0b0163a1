"""Which machines of a fleet are unwell? Checks of small tables of a dataset's index.

``rows`` says what the severities mean. The checks: slower than peers (``peers``); link and memory
(``sheet``); heat, power and lanes (``gpu``); noise (``noise``), drift and rows without a time
(``drift``); software, and whether there is anybody to compare with (``software``). The fingerprint
has no ECC counters: a fault of the memory shows as a wrong result.

Findings are kept on disk, so that a fleet is compared once for each state of its dataset.
``python -m estimator.health.check PATH...`` compares in a process of its own, which gives its
memory back; the dashboard starts it for large datasets.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from collector.shipped import ROOT, shipped
from estimator.dataset.cache_directory import stamp_of, user_cache_directory
from estimator.dataset.measurements import Measurements, load
from estimator.health.drift import drift_beside_peers, drift_findings, failure_findings
from estimator.health.gpu import absorb_consequences, gpu_findings
from estimator.health.noise import noise_findings
from estimator.health.peers import peer_findings
from estimator.health.rows import Finding, ranked, rows_of
from estimator.health.sheet import link_findings, memory_findings
from estimator.health.software import alone_findings, software_findings

#: Datasets with more cells are compared in a process of their own.
MOST_CELLS_HERE = 50_000
_MOST_KEPT = 6
_CHILD_S = 600.0


@dataclass(frozen=True)
class Health:
    """What is kept: the findings, worst first, and the shifts against peers."""

    findings: tuple[Finding, ...]
    shifts: pd.DataFrame


def health_of(measurements: Measurements, paths: Sequence[Path]) -> Health:
    """From disk, or compared now and written there; ``paths``: where the dataset lies.

    A directory that cannot be written costs the next comparison, not this one.
    """
    path = _path(measurements.fingerprint)
    kept = _read(path)
    if kept is not None:
        return kept
    counted = measurements.query("SELECT count(*) AS cells FROM cells")["cells"]
    if int(counted.iloc[0]) > MOST_CELLS_HERE and _in_a_child(paths):
        kept = _read(path)
        if kept is not None:
            return kept
    return _compare(measurements)


def _compare(measurements: Measurements) -> Health:
    health = Health(tuple(findings(measurements)), peer_shifts(measurements))
    with contextlib.suppress(OSError, ValueError, TypeError):
        _write(_path(measurements.fingerprint), health)
    return health


def _in_a_child(paths: Sequence[Path]) -> bool:
    command = [sys.executable, "-m", "estimator.health.check", *(str(p.resolve()) for p in paths)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=_CHILD_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _path(fingerprint: str) -> Path:
    return user_cache_directory() / f"health-{_code_stamp()}-{fingerprint[:32]}.json"


@cache
def _code_stamp() -> str:
    """What findings depend on beside the dataset: the checks and the data sheets."""
    package = ROOT / "estimator"
    return stamp_of(
        *(package / "health", package / "catalogue", package / "dataset" / "tables.py"),
        shipped("hardware.csv"),
    )


def _read(path: Path) -> Health | None:
    """None where there is no file or it is damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        found = tuple(
            Finding(**{**row, "since": _moment(row["since"])}) for row in kept["findings"]
        )
        shifts = pd.DataFrame(kept["shifts"])
        return Health(found, shifts.astype(dict.fromkeys(("low", "median", "high"), float)))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _write(path: Path, health: Health) -> None:
    """Whole or not at all."""
    rows = [
        {**vars(one), "since": None if one.since is None else one.since.isoformat()}
        for one in health.findings
    ]
    shifts = {str(name): list(map(_plain, values)) for name, values in health.shifts.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        text = json.dumps({"findings": rows, "shifts": shifts}, default=_plain)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    kept = sorted(path.parent.glob("health-*.json"), key=lambda file: file.stat().st_mtime)
    for old in kept[:-_MOST_KEPT]:
        old.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


#: Smaller copies are bound by their start; smaller working sets may stay in a cache.
LEAST_COPY_BYTES = 2**24
LEAST_MEMORY_BYTES = 256e6

# Peers of a kind of cells: the same GPU for kernels, the same processor with its cores, or both.
_GROUPED = """
WITH kinds AS (
    SELECT machine_id, cell_id, workload, ln(median_s) AS log_s, ln(last_median_s) AS last_log_s,
           CASE WHEN device = 'cpu' THEN 'cpu'
                WHEN mode IN ('resident', 'end_to_end') THEN 'gpu host'
                ELSE 'gpu kernel' END AS kind
    FROM cells
    WHERE mode <> 'first_call' AND cell_id IS NOT NULL AND median_s > 0
),
grouped AS (
    SELECT kinds.*,
           CASE kind WHEN 'gpu kernel' THEN gpu_model
                     WHEN 'cpu' THEN cpu_model || ' | ' || physical_cores
                     ELSE gpu_model || ' | ' || cpu_model || ' | ' || physical_cores
                     END AS peer_group
    FROM kinds JOIN machines USING (machine_id)
),
"""
# A machine's latest times, for it may have become slow, against the others' over all their runs.
# The median of the others from the order statistics about the middle: own place r of n, h = n // 2.
_SHIFTS = (
    _GROUPED
    + """
ranked AS (
    SELECT *, row_number() OVER along AS place,
           count(*) OVER (PARTITION BY peer_group, kind, cell_id) AS total
    FROM grouped WHERE peer_group IS NOT NULL
    WINDOW along AS (PARTITION BY peer_group, kind, cell_id ORDER BY log_s, machine_id)
),
middles AS (
    SELECT peer_group, kind, cell_id,
           max(log_s) FILTER (place = total // 2) AS low,
           max(log_s) FILTER (place = total // 2 + 1) AS middle,
           max(log_s) FILTER (place = total // 2 + 2) AS high
    FROM ranked WHERE total > 1 GROUP BY ALL
),
beside AS (
    SELECT machine_id, peer_group, kind, workload, total - 1 AS peers,
           last_log_s - CASE
               WHEN total % 2 = 0 THEN CASE WHEN place > total // 2 THEN low ELSE middle END
               WHEN place <= total // 2 THEN (middle + high) / 2
               WHEN place = total // 2 + 1 THEN (low + high) / 2
               ELSE (low + middle) / 2 END AS shift
    FROM ranked JOIN middles USING (peer_group, kind, cell_id) WHERE total > 1
)
SELECT machine_id, peer_group AS "group", kind, workload, count(*) AS cells, max(peers) AS peers,
       quantile_cont(shift, 0.25) AS low, median(shift) AS median,
       quantile_cont(shift, 0.75) AS high
FROM beside GROUP BY ALL ORDER BY ALL
"""
)

_COPIES = f"""
SELECT machine_id, "case", size, max(size / last_median_s) AS rate FROM cells
WHERE workload = 'transfer' AND "case" <> 'd2d' AND mode <> 'first_call'
      AND size >= {LEAST_COPY_BYTES}
GROUP BY ALL ORDER BY ALL
"""

_MEMORY = f"""
SELECT machine_id, max(memory_bytes / last_median_s) AS rate, count(*) AS cells FROM cells
WHERE device = 'cuda' AND mode IN ('hot', 'cold') AND memory_bytes >= {LEAST_MEMORY_BYTES}
      -- softmax and layer norm read intermediate results from a cache
      AND (workload IN ('elementwise', 'reduction') AND "case" NOT IN ('softmax', 'layer_norm')
           OR workload = 'transfer' AND "case" = 'd2d')
GROUP BY machine_id ORDER BY machine_id
"""

_RUNS = """
SELECT machine_id, run_id, started_at, device, cells, noisy_share, throttled_share, hottest_c,
       median_sm_clock_mhz, pcie_generation, pcie_width
FROM run_health WHERE device IS NOT NULL ORDER BY machine_id, started_at, run_id, device
"""

_ANCHORS = """
SELECT machine_id, run_id, started_at, device, backend, threads, repetition, median_s
FROM anchors ORDER BY machine_id, started_at, run_id, device, backend, repetition
"""

# A cell without a time counts as right elsewhere if a peer has a time for it.
_FAILURES = """
WITH parts AS (
    SELECT machine_id, 'cuda' AS device, gpu_model AS part FROM machines WHERE gpu_model <> ''
    UNION ALL
    SELECT machine_id, 'cpu', cpu_model || ' | ' || physical_cores FROM machines
),
peers AS (SELECT part, count(*) - 1 AS peers FROM parts GROUP BY part),
named AS (
    SELECT failures.*, CAST(params AS VARCHAR) AS said, part
    FROM failures LEFT JOIN parts USING (machine_id, device) WHERE status <> 'unsupported'
),
kept AS (
    SELECT cells.machine_id, workload, "case", CAST(params AS VARCHAR) AS said, dtype, backend,
           device, mode, part
    FROM cells JOIN parts USING (machine_id, device)
    WHERE (workload, "case", dtype, backend, device, mode) IN
          (SELECT DISTINCT workload, "case", dtype, backend, device, mode FROM named)
),
right_ones AS (
    SELECT workload, "case", said, dtype, backend, device, mode, part,
           min(machine_id) AS one, max(machine_id) AS another
    FROM kept GROUP BY ALL
),
judged AS (
    SELECT named.*, (one <> machine_id OR another <> machine_id) AS peer_is_right, peers
    FROM named
    LEFT JOIN right_ones USING (workload, "case", said, dtype, backend, device, mode, part)
    LEFT JOIN peers USING (part)
),
tried AS (
    SELECT machine_id, CAST(sum(cells) AS BIGINT) AS tried FROM statuses
    WHERE status <> 'unsupported' GROUP BY machine_id
)
SELECT machine_id, status, count(*) AS cells, any_value(tried) AS tried,
       coalesce(max(peers), 0) AS peers,
       count(*) FILTER (peer_is_right) AS peers_right,
       string_agg(DISTINCT workload, ', ' ORDER BY workload) AS families,
       min(started_at) AS first_at
FROM judged JOIN tried USING (machine_id)
GROUP BY machine_id, status ORDER BY machine_id, status
"""


def fleet_tables(measurements: Measurements) -> FleetTables:
    """Every table of ``FleetTables`` of a dataset."""
    query = measurements.query
    return FleetTables(
        machines=machine_rows(measurements),
        shifts=peer_shifts(measurements),
        copies=query(_COPIES),
        memory=query(_MEMORY),
        runs=query(_RUNS),
        reasons=query("SELECT machine_id, kind, reason, cells FROM reasons ORDER BY ALL"),
        anchors=query(_ANCHORS),
        failures=query(_FAILURES),
    )


def peer_shifts(measurements: Measurements) -> pd.DataFrame:
    """Each machine's shifts against its peers, as ``FleetTables.shifts``."""
    return measurements.query(_SHIFTS)


def machine_rows(measurements: Measurements) -> pd.DataFrame:
    """Machines of the index with what only the fingerprint of their last run tells."""
    table = measurements.query(
        "SELECT machine_id, cpu_model, physical_cores, gpu_model, driver FROM machines "
        "WHERE machine_id IS NOT NULL ORDER BY machine_id"
    )
    last: dict[str, Mapping[str, Any]] = {}
    for run in sorted(measurements.runs, key=lambda run: str(run.run.get("started_at") or "")):
        last[str(run.machine.get("machine_id"))] = run.machine
    known = [last.get(str(machine), {}) for machine in table["machine_id"]]
    for name in ("power_limit_w", "pcie_generation", "pcie_width"):
        values = [_of(machine, "gpu").get(name) for machine in known]
        table[name] = pd.to_numeric(pd.Series(values, table.index, dtype=object), errors="coerce")
    libraries: Any = [dict(_of(machine, "library_versions")) for machine in known]
    governors: Any = [_of(machine, "cpu").get("governor") for machine in known]
    return table.assign(governor=governors, libraries=libraries)


def findings(measurements: Measurements) -> list[Finding]:
    """All findings of a dataset, worst first; those about slowness say since when."""
    found = find_unwell(fleet_tables(measurements))
    return [
        replace(one, since=slower_since(measurements, one))
        if one.check.startswith("slower ") and one.severity != "note"
        else one
        for one in found
    ]


def slower_since(measurements: Measurements, finding: Finding) -> datetime | None:
    """Start of the first run from which on the machine is slower by half of what was found.

    Reads that machine's own files and its peers' cells. None where no run has such cells.
    """
    _, rest = finding.check.split(" ", 1)
    kind = next(kind for kind in ("gpu kernel", "gpu host", "cpu") if rest.startswith(kind))
    workload = rest.removeprefix(kind).strip()
    files = measurements.query(
        "SELECT DISTINCT path FROM runs WHERE machine_id = ? AND path LIKE '%.parquet'",
        [finding.machine_id],
    )["path"]
    if files.empty:
        return None
    listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in files)
    own = finding.machine_id
    runs = measurements.query(
        _GROUPED
        + f"""
        others AS (
            SELECT cell_id, median(log_s) AS usual FROM grouped
            WHERE kind = ? AND machine_id <> ? AND (? = '' OR workload = ?)
                  AND peer_group = (SELECT any_value(peer_group) FROM grouped
                                    WHERE machine_id = ? AND kind = ?)
            GROUP BY cell_id
        )
        SELECT run_id, any_value(started_at) AS started_at, median(ln(median_s) - usual) AS shift
        FROM read_parquet([{listed}], union_by_name = true) JOIN others USING (cell_id)
        WHERE status = 'ok' AND median_s > 0 AND machine_id = ?
        GROUP BY run_id ORDER BY 2, run_id
        """,
        [kind, own, workload, workload, own, kind, own],
    )
    return first_of_the_rest(
        list(runs["started_at"]), list(runs["shift"]), 0.5 * finding.size / (1 + finding.size)
    )


def first_of_the_rest(
    dates: Sequence[Any], shifts: Sequence[float], least: float
) -> datetime | None:
    """Date of the first entry from which on every shift is at least ``least``; dates ascend."""
    since = None
    for at, shift in zip(reversed(dates), reversed(shifts), strict=True):
        if not shift >= least:
            break
        since = at
    return None if since is None or pd.isna(since) else since


def _of(machine: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = machine.get(key)
    return part if isinstance(part, Mapping) else {}


@dataclass(frozen=True)
class FleetTables:
    """What the checks read: small tables, made by ``estimator.health.check``.

    machines   one row per machine: machine_id, cpu_model, physical_cores, gpu_model, driver,
               power_limit_w, pcie_generation, pcie_width (what slot and GPU allow), governor,
               libraries (a mapping of versions)
    shifts     machine_id, group (machines of one group are peers), kind ("cpu", "gpu kernel",
               "gpu host"), workload, cells, peers, and quartiles low, median, high over the
               cells of ln(time) less the median of the peers' ln(time)
    copies     machine_id, case, size (bytes), rate (B/s): large copies between host and GPU
    memory     machine_id, rate (B/s), cells: best rate of the GPU's memory over large cells
    runs       machine_id, run_id, started_at, device, cells, noisy_share, throttled_share,
               hottest_c, median_sm_clock_mhz, pcie_generation, pcie_width
    reasons    machine_id, kind ("noise", "throttle"), reason, cells
    anchors    machine_id, run_id, started_at, device, backend, threads, repetition, median_s
    failures   machine_id, status, cells, tried, peers, peers_right (of these cells: how many a
               peer measured), families (text), first_at
    """

    machines: pd.DataFrame
    shifts: pd.DataFrame
    copies: pd.DataFrame
    memory: pd.DataFrame
    runs: pd.DataFrame
    reasons: pd.DataFrame
    anchors: pd.DataFrame
    failures: pd.DataFrame


def find_unwell(tables: FleetTables) -> list[Finding]:
    """All findings about all machines, worst first."""
    machines = rows_of(tables.machines)
    links = link_findings(machines, tables.copies)
    slow_links = {one.machine_id for one in links if one.severity != "note"}
    slower = [
        one
        for one in peer_findings(tables.shifts)
        # a slow link is one cause: the copies' families say nothing more
        if not (one.machine_id in slow_links and one.check.endswith(" transfer"))
    ]
    along, judged = drift_beside_peers(machines, tables.anchors)
    found = [
        *slower,
        *links,
        *memory_findings(machines, tables.memory),
        *gpu_findings(machines, tables.reasons, tables.runs),
        *noise_findings(machines, tables.runs, tables.reasons),
        *along,
        *drift_findings(tables.anchors, judged),
        *failure_findings(tables.failures),
        *software_findings(machines),
        *alone_findings(machines),
    ]
    return ranked(absorb_consequences(found))


if __name__ == "__main__":
    _compare(load(*sys.argv[1:]))
