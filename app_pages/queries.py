"""SQL over the view ``measurements``: every aggregation that the pages show.

Each function takes a DuckDB connection, opens its own cursor, binds its parameters and returns a
DataFrame. Times are seconds of one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import pandas as pd

# Rows that have a time and say what it is the time of; the others are counted, not shown. First
# calls are single samples that also load and compile, and anchors repeat one operation to show
# drift: only the queries that are about them read them.
_USABLE = """
WITH regular AS (
    SELECT * FROM measurements
    WHERE mode IS DISTINCT FROM 'first_call' AND workload IS DISTINCT FROM 'anchor'
),
timed AS (
    SELECT * FROM measurements
    WHERE status = 'ok' AND median_s > 0 AND isfinite(median_s)
          AND workload IS NOT NULL AND "case" IS NOT NULL AND params IS NOT NULL
          AND dtype IS NOT NULL AND backend IS NOT NULL AND device IS NOT NULL
          AND mode IS NOT NULL AND workload <> 'anchor'
),
usable AS (SELECT * FROM timed WHERE mode <> 'first_call')
"""

# One row per cell and machine. Where a cell was measured in several launches or runs, the
# interval is the widest one: from the lowest low end to the highest high end.
_CELLS = """
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
       string_agg(DISTINCT nullif(noise_reasons, ''), ',') AS noise_reasons,
       CAST(sum(outliers) AS BIGINT) AS outliers, median(energy_j) AS energy_j,
       any_value(flop_count) AS flop_count,
       any_value(bytes_read + bytes_written) AS memory_bytes,
       any_value(h2d_bytes + d2h_bytes) AS bus_bytes,
       max(started_at) AS started_at
FROM {source} WHERE true {where}
GROUP BY machine_id, workload, "case", params, dtype, ALL_MATH, backend, device, ALL_THREADS, mode
ORDER BY workload, "case", size, machine_id, backend, device, mode
""".replace("ALL_MATH", "coalesce(math_mode, 'ieee')").replace(
    "ALL_THREADS", "coalesce(threads, 1)"
)


def run(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()
) -> pd.DataFrame:
    """One statement on its own cursor, so that sessions do not disturb each other.

    Moments come back in UTC, whatever the time zone of the server.
    """
    with connection.cursor() as cursor:
        frame: pd.DataFrame = (
            cursor.sql(_USABLE + sql, params=list(parameters)).to_arrow_table().to_pandas()
        )
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.DatetimeTZDtype):
            frame[name] = frame[name].dt.tz_convert("UTC")
    return frame


def totals(connection: duckdb.DuckDBPyConnection) -> pd.Series:
    """One row: machines, runs, rows, cells with a time, rows without one, first and last start."""
    return run(
        connection,
        """
        SELECT count(DISTINCT machine_id) AS machines, count(DISTINCT run_id) AS runs,
               count(*) AS row_count,
               count(*) FILTER (status = 'ok') AS ok,
               count(*) FILTER (status <> 'ok') AS not_ok,
               CAST(coalesce(sum(n) FILTER (status = 'ok'), 0) AS BIGINT) AS samples,
               min(started_at) AS first_at, max(started_at) AS last_at
        FROM regular
        """,
    ).iloc[0]


def machines(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """One row per machine with what identifies it, from its latest run."""
    return run(
        connection,
        """
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
               count(*) FILTER (status = 'ok' AND mode IS DISTINCT FROM 'first_call'
                                AND workload IS DISTINCT FROM 'anchor') AS ok,
               string_agg(DISTINCT suite, ', ') AS suites,
               min(started_at) AS first_at, max(started_at) AS last_at
        FROM measurements GROUP BY machine_id ORDER BY label, machine_id
        """,
    )


def coverage(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Rows with and without a time per machine and workload; 'unsupported' does not count."""
    return run(
        connection,
        """
        SELECT machine_id, coalesce(workload, 'unknown') AS workload,
               count(*) FILTER (status = 'ok') AS ok,
               count(*) FILTER (status NOT IN ('ok', 'unsupported')) AS failed
        FROM regular GROUP BY ALL ORDER BY workload
        """,
    )


def statuses(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Rows per machine and status."""
    return run(
        connection,
        "SELECT machine_id, status, count(*) AS cells FROM regular "
        "GROUP BY machine_id, status ORDER BY status",
    )


def failures(connection: duckdb.DuckDBPyConnection, limit: int = 500) -> pd.DataFrame:
    """Cells without a time, and why; 'unsupported' ones come last."""
    return run(
        connection,
        """
        SELECT machine_id, status, workload, "case", params, dtype, backend, device, mode,
               error, started_at
        FROM regular WHERE status <> 'ok'
        ORDER BY status = 'unsupported', started_at DESC, order_index LIMIT ?
        """,
        [limit],
    )


def cells(
    connection: duckdb.DuckDBPyConnection,
    workload: str | None = None,
    case: str | None = None,
    first_calls: bool = False,
) -> pd.DataFrame:
    """One row per measured cell and machine, of one workload and case or of all.

    ``first_calls`` adds those of mode first_call, which have one sample a run and no interval.
    """
    where, parameters = "", []
    if workload is not None:
        where, parameters = " AND workload = ?", [workload]
    if case is not None:
        where, parameters = where + ' AND "case" = ?', [*parameters, case]
    source = "timed" if first_calls else "usable"
    return run(connection, _CELLS.format(source=source, where=where), parameters)


def cases(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Workloads and cases that have at least one time."""
    return run(
        connection,
        """
        SELECT workload, "case", count(*) AS cells FROM usable
        GROUP BY ALL ORDER BY workload, "case"
        """,
    )


def samples(
    connection: duckdb.DuckDBPyConnection, machine_id: str, cell_id: str, limit: int = 20
) -> pd.DataFrame:
    """The launches of one cell on one machine, each with its raw samples in order."""
    return run(
        connection,
        """
        SELECT run_id, launch_index, started_at, samples_s, warmup_s, calls_per_sample, n,
               median_s, ci95_low_s, ci95_high_s, stop_reason, noisy, noise_reasons,
               throttle_reasons
        FROM measurements
        WHERE status = 'ok' AND machine_id = ? AND cell_id = ?
        ORDER BY started_at DESC, launch_index LIMIT ?
        """,
        [machine_id, cell_id, limit],
    )


def libraries(connection: duckdb.DuckDBPyConnection, machine_id: str) -> dict[str, str]:
    """Library versions of a machine's latest run."""
    found = run(
        connection,
        """
        SELECT library_versions FROM measurements
        WHERE machine_id = ? AND library_versions IS NOT NULL ORDER BY started_at DESC LIMIT 1
        """,
        [machine_id],
    )
    return {str(name): str(version) for name, version in _pairs(found["library_versions"])}


def _pairs(column: pd.Series[Any]) -> list[Any]:
    """The pairs of the map in the first row, none if there is no row."""
    return list(column.iloc[0]) if len(column) else []


def matmul_ceilings(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Best matrix product rate (FLOP/s) per machine, device and element type."""
    return run(
        connection,
        """
        SELECT machine_id, device, dtype, coalesce(math_mode, 'ieee') AS math_mode,
               max(flop_count / median_s) AS rate,
               arg_max(backend, flop_count / median_s) AS backend,
               arg_max("case", flop_count / median_s) AS "case",
               arg_max(params, flop_count / median_s) AS params,
               count(*) AS cells
        FROM usable WHERE workload = 'matmul' AND flop_count > 0
            -- numpy computes X X^T with half the operations that its definition counts
            AND "case" <> 'x_xt_1000_float32'
              AND mode IN ('hot', 'resident')
        GROUP BY ALL ORDER BY device DESC, rate DESC
        """,
    )


def bandwidth_ceilings(connection: duckdb.DuckDBPyConnection, least_bytes: float) -> pd.DataFrame:
    """Best memory rate (B/s) per machine and device over cells that move ``least_bytes`` or more.

    Small working sets stay in a cache and would show the cache's rate.
    """
    return run(
        connection,
        """
        SELECT machine_id, device, max(rate) AS rate,
               arg_max(workload || ' ' || "case", rate) AS "case",
               arg_max(backend, rate) AS backend, arg_max(params, rate) AS params,
               arg_max(bytes_read + bytes_written, rate) AS moved_bytes,
               count(*) AS cells
        FROM (SELECT *, (bytes_read + bytes_written) / median_s AS rate FROM usable
              -- softmax and layer norm read intermediate results from a cache
              WHERE (workload IN ('elementwise', 'reduction')
                         AND "case" NOT IN ('softmax', 'layer_norm')
                         OR (workload = 'transfer' AND "case" = 'd2d'))
                    AND mode IN ('hot', 'cold') AND bytes_read + bytes_written >= ?)
        GROUP BY machine_id, device ORDER BY device DESC
        """,
        [least_bytes],
    )


def transfer_ceilings(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Best rate over the bus (B/s) per machine and kind of copy."""
    return run(
        connection,
        """
        SELECT machine_id, "case", max(size / median_s) AS rate,
               arg_max(backend, size / median_s) AS backend,
               arg_max(params, size / median_s) AS params, count(*) AS cells
        FROM usable WHERE workload = 'transfer' AND "case" <> 'd2d'
        GROUP BY machine_id, "case" ORDER BY "case" DESC
        """,
    )
