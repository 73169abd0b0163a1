"""The small tables of a dataset, each as one SQL statement over its rows.

Their columns are described in ``dataset.index``. Every table has a row's ``machine_id`` among
its keys, so that the tables of some machines can be made without the rows of the others. The
statements read ``source_rows`` (the columns of the schema and ``path``, the file of the row) and
``run_files`` (what the runs' summaries say).
"""

from __future__ import annotations

from typing import Final

from collector.workloads import ITEM_BYTES

#: Medians outside are no times of an operation: below any clock's step, or some thirty years.
SHORTEST_S: Final = 1e-12
LONGEST_S: Final = 1e9
_MOST_FAILURES: Final = 500  # kept of each machine

CELL_COLUMNS = (
    "machine_id",
    "device",
    "backend",
    "threads",
    "workload",
    "case",
    "dtype",
    "math_mode",
    "mode",
)
WORK_COLUMNS = (
    "flop_count",
    "bytes_read",
    "bytes_written",
    "h2d_bytes",
    "d2h_bytes",
    "kernel_count",
)
MACHINE_COLUMNS = (
    "label",
    "machine_type_id",
    "instance_type",
    "cpu_model",
    "physical_cores",
    "memory_bytes",
    "gpu_model",
    "gpu_count",
    "gpu_memory_bytes",
)

# Rows that have a time and say what it is the time of; the others are counted, not shown. First
# calls are single samples that also load and compile, and anchors repeat one operation to show
# drift: only the tables that are about them read them.
COMMON = """
WITH regular AS (
    SELECT * FROM source_rows
    WHERE mode IS DISTINCT FROM 'first_call' AND workload IS DISTINCT FROM 'anchor'
),
timed AS (
    SELECT * FROM source_rows
    WHERE status = 'ok' AND median_s > 0 AND isfinite(median_s)
          AND workload IS NOT NULL AND "case" IS NOT NULL AND params IS NOT NULL
          AND dtype IS NOT NULL AND backend IS NOT NULL AND device IS NOT NULL
          AND mode IS NOT NULL AND workload <> 'anchor'
)
"""

_RUNS = """
SELECT machine_id, run_id, any_value(label) AS label, any_value(suite) AS suite,
       min(started_at) AS started_at, any_value(collector_version) AS collector_version,
       count(*) AS "rows",
       count(*) FILTER (is_regular) AS regular,
       count(*) FILTER (is_regular AND status = 'ok') AS ok,
       count(*) FILTER (is_regular AND status <> 'ok') AS not_ok,
       CAST(coalesce(sum(n) FILTER (is_regular AND status = 'ok'), 0) AS BIGINT) AS samples,
       min(started_at) FILTER (is_regular) AS first_at,
       max(started_at) FILTER (is_regular) AS last_at,
       path, any_value(finished) AS finished, any_value(cells_planned) AS cells_planned,
       any_value(wall_s) AS wall_s, any_value(ended) AS ended
FROM (SELECT *, mode IS DISTINCT FROM 'first_call' AND workload IS DISTINCT FROM 'anchor'
                AS is_regular FROM source_rows)
     LEFT JOIN run_files USING (path)
GROUP BY machine_id, run_id, path
"""

_MACHINES = """
SELECT machine_id, coalesce(arg_max(label, started_at), '') AS label,
       arg_max(instance_type, started_at) AS instance_type,
       arg_max(cpu_model, started_at) AS cpu_model,
       max(physical_cores) AS physical_cores, max(logical_cores) AS logical_cores,
       max(memory_bytes) AS memory_bytes,
       arg_max(gpu_model, started_at) FILTER (gpu_model <> '') AS gpu_model,
       max(gpu_count) AS gpu_count, max(gpu_memory_bytes) AS gpu_memory_bytes,
       arg_max(driver, started_at) FILTER (driver <> '') AS driver,
       arg_max(cuda, started_at) FILTER (cuda <> '') AS cuda,
       count(DISTINCT run_id) AS runs,
       count(*) FILTER (is_regular AND status = 'ok') AS ok,
       count(*) FILTER (is_regular AND status <> 'ok') AS not_ok,
       string_agg(DISTINCT suite, ', ') AS suites,
       min(started_at) AS first_at, max(started_at) AS last_at,
       arg_max(machine_type_id, started_at) AS machine_type_id
FROM (SELECT *, mode IS DISTINCT FROM 'first_call' AND workload IS DISTINCT FROM 'anchor'
                AS is_regular FROM source_rows)
GROUP BY machine_id
"""

_FACTS = ", ".join(
    f"coalesce(arg_max({name}, started_at), any_value({name})) AS {name}"
    for name in MACHINE_COLUMNS
)
_MACHINE_FACTS = f"""
SELECT machine_id, {_FACTS}, median(cpu_mhz) AS cpu_mhz
FROM source_rows WHERE machine_id IS NOT NULL GROUP BY machine_id
"""

_COVERAGE = f"""{COMMON}
SELECT machine_id, coalesce(workload, 'unknown') AS workload, device,
       count(*) FILTER (status = 'ok') AS ok,
       count(*) FILTER (status NOT IN ('ok', 'unsupported')) AS failed,
       count(*) FILTER (status = 'unsupported') AS unsupported
FROM regular GROUP BY ALL
"""

_STATUSES = f"""{COMMON}
SELECT machine_id, status, count(*) AS cells FROM regular GROUP BY ALL
"""

_FAILURES = f"""{COMMON}
SELECT machine_id, run_id, status, workload, "case", params, dtype, backend, device, mode,
       error, started_at, order_index
FROM regular WHERE status <> 'ok'
QUALIFY row_number() OVER (PARTITION BY machine_id ORDER BY status = 'unsupported',
                           started_at DESC, order_index) <= {_MOST_FAILURES}
"""

# One row per cell and machine. Where a cell was measured in several launches or runs, the
# interval is the widest one: from the lowest low end to the highest high end.
_CELLS = f"""{COMMON}
SELECT machine_id, workload, "case", params, any_value(size) AS size, dtype,
       coalesce(math_mode, 'ieee') AS math_mode, backend, device,
       coalesce(threads, 1) AS threads, mode,
       any_value(cell_id) AS cell_id,
       median(median_s) AS median_s,
       min(coalesce(ci95_low_s, median_s)) AS ci95_low_s,
       max(coalesce(ci95_high_s, median_s)) AS ci95_high_s,
       min(min_s) AS min_s, max(p95_s) AS p95_s,
       median(std_s / nullif(mean_s, 0)) AS spread,
       CAST(sum(n) AS BIGINT) AS n, count(*) AS launches,
       coalesce(bool_or(noisy), false) AS noisy,
       array_to_string(list_sort(list_distinct(
           list(noise_reasons) FILTER (noise_reasons <> ''))), ',') AS noise_reasons,
       CAST(sum(outliers) AS BIGINT) AS outliers, median(energy_j) AS energy_j,
       any_value(flop_count) AS flop_count,
       any_value(bytes_read + bytes_written) AS memory_bytes,
       any_value(h2d_bytes + d2h_bytes) AS bus_bytes,
       max(started_at) AS started_at,
       min(median_s) AS best_median_s,
       coalesce(arg_max(median_s, started_at), median(median_s)) AS last_median_s,
       any_value(kernel_count) AS kernel_count,
       coalesce(bool_or(throttle_reasons <> ''), false) AS throttled
FROM timed
GROUP BY machine_id, workload, "case", params, dtype, coalesce(math_mode, 'ieee'), backend,
         device, coalesce(threads, 1), mode
"""

_KEYS = ", ".join(f'"{name}"' for name in (*CELL_COLUMNS, "cell_id"))
_WORK = ", ".join(f"any_value({name}) AS {name}" for name in ("params", *WORK_COLUMNS))
# a row without a key, or with negative work, cannot enter a fit
_COMPLETE = " AND ".join(f'"{name}" IS NOT NULL' for name in (*CELL_COLUMNS, "params"))
_SOUND = " AND ".join(f"coalesce({name}, 0) >= 0" for name in WORK_COLUMNS)
_DTYPES = ", ".join(f"'{name}'" for name in ITEM_BYTES)
_FIT_CELLS = f"""
SELECT {_KEYS}, {_WORK},
       median(ln(median_s)) AS log_seconds,
       coalesce(median(ln(ci95_high_s / ci95_low_s)), 0) AS log_width,
       stddev_samp(ln(median_s)) AS spread,
       count(*) AS runs,
       CAST(sum(n) AS BIGINT) AS samples
FROM source_rows
WHERE status = 'ok' AND median_s BETWEEN {SHORTEST_S} AND {LONGEST_S}
      AND {_COMPLETE} AND {_SOUND} AND threads >= 1 AND dtype IN ({_DTYPES})
      AND mode <> 'first_call' AND workload <> 'anchor'
GROUP BY {_KEYS}
"""

_ANCHORS = """
SELECT machine_id, run_id, started_at, device, backend, coalesce(threads, 1) AS threads,
       CAST(row_number() OVER along AS BIGINT) AS repetition, median_s,
       median_s / first_value(median_s) OVER along - 1 AS relative
FROM source_rows
WHERE workload = 'anchor' AND status = 'ok' AND median_s > 0 AND isfinite(median_s)
      AND mode IS DISTINCT FROM 'first_call' AND device IS NOT NULL AND backend IS NOT NULL
WINDOW along AS (PARTITION BY machine_id, run_id, device, backend, threads
                 ORDER BY size, order_index)
"""

_SIGNS = """
       count(*) AS cells,
       avg(CAST(noisy AS DOUBLE)) AS noisy_share,
       quantile_cont(std_s / nullif(mean_s, 0), 0.5) AS median_spread,
       max(steal_fraction) AS worst_steal,
       CAST(coalesce(sum(involuntary_switches), 0) AS BIGINT) AS involuntary_switches,
       avg(CAST(coalesce(throttle_reasons, '') <> '' AS DOUBLE))
           FILTER (device = 'cuda') AS throttled_share,
       max(temperature_c) AS hottest_c,
       median(sm_clock_mhz) AS median_sm_clock_mhz,
       max(power_w) AS highest_power_w,
       max(pcie_generation) AS pcie_generation, max(pcie_width) AS pcie_width,
       max(other_gpu_processes) AS other_gpu_processes,
       max(relative_error) AS worst_relative_error
"""
_HEALTH = f"""{COMMON}
SELECT machine_id, {_SIGNS} FROM regular WHERE status = 'ok' GROUP BY machine_id
"""
_RUN_HEALTH = f"""{COMMON}
SELECT machine_id, run_id, min(started_at) AS started_at, device, {_SIGNS}
FROM regular WHERE status = 'ok' GROUP BY machine_id, run_id, device
"""

_NOISE = f"""{COMMON}
SELECT machine_id, workload, device, count(*) AS cells,
       avg(CAST(noisy AS DOUBLE)) AS noisy_share,
       quantile_cont(std_s / nullif(mean_s, 0), 0.5) AS median_spread
FROM regular WHERE status = 'ok' GROUP BY ALL
"""

_REASONS = f"""{COMMON},
named AS (
    SELECT machine_id, 'noise' AS kind, unnest(string_split(noise_reasons, ',')) AS reason
    FROM regular WHERE status = 'ok' AND noise_reasons <> ''
    UNION ALL
    SELECT machine_id, 'throttle' AS kind, unnest(string_split(throttle_reasons, ',')) AS reason
    FROM regular WHERE status = 'ok' AND throttle_reasons <> ''
)
SELECT machine_id, kind, trim(reason) AS reason, count(*) AS cells
FROM named WHERE trim(reason) <> '' GROUP BY ALL
"""

#: the columns of ``source_rows`` that the statements read: without samples and other long ones
ROW_COLUMNS: Final = (
    *("path", "run_id", "started_at", "collector_version", "suite", "order_index"),
    *("machine_id", *MACHINE_COLUMNS, "logical_cores", "driver", "cuda"),
    *("cell_id", *CELL_COLUMNS[1:], "params", "size", *WORK_COLUMNS),
    *("status", "error", "n", "median_s", "ci95_low_s", "ci95_high_s", "mean_s", "std_s"),
    *("min_s", "p95_s", "noisy", "noise_reasons", "outliers", "throttle_reasons"),
    *("pcie_generation", "pcie_width", "other_gpu_processes", "sm_clock_mhz", "temperature_c"),
    *("power_w", "energy_j", "cpu_mhz", "steal_fraction", "involuntary_switches"),
    "relative_error",
)

TABLES: Final[dict[str, str]] = {
    "runs": _RUNS,
    "machines": _MACHINES,
    "machine_facts": _MACHINE_FACTS,
    "coverage": _COVERAGE,
    "statuses": _STATUSES,
    "failures": _FAILURES,
    "cells": _CELLS,
    "fit_cells": _FIT_CELLS,
    "anchors": _ANCHORS,
    "health": _HEALTH,
    "run_health": _RUN_HEALTH,
    "noise": _NOISE,
    "reasons": _REASONS,
}
