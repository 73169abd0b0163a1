"""The tables that the checks of health read, from a dataset's index (``dataset.index``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pandas as pd

from estimator.dataset.measurements import Measurements
from estimator.health.check import FleetTables, find_unwell
from estimator.health.rows import Finding

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
