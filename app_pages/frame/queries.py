"""SQL over the small tables of a dataset (``estimator.dataset.index``): what the pages show.

Each function takes a DuckDB connection, opens its own cursor, binds its parameters and returns a
DataFrame. Times are seconds of one call. Only ``samples`` and ``libraries`` read rows, and only
those of the files that hold them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import pandas as pd

from app_pages.frame import query_cache
from estimator.dataset.attach import rows_in


def run(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()
) -> pd.DataFrame:
    """One statement (``query_cache.run``)."""
    return query_cache.run(connection, sql, parameters)


def totals(connection: duckdb.DuckDBPyConnection) -> pd.Series:
    """One row: machines, runs, rows, cells with a time, rows without one, first and last start."""
    return run(
        connection,
        """
        SELECT count(DISTINCT machine_id) AS machines, count(DISTINCT run_id) AS runs,
               CAST(coalesce(sum(regular), 0) AS BIGINT) AS row_count,
               CAST(coalesce(sum(ok), 0) AS BIGINT) AS ok,
               CAST(coalesce(sum(not_ok), 0) AS BIGINT) AS not_ok,
               CAST(coalesce(sum(samples), 0) AS BIGINT) AS samples,
               min(first_at) AS first_at, max(last_at) AS last_at
        FROM runs WHERE regular > 0
        """,
    ).iloc[0]


def machines(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """One row per machine with what identifies it, from its latest run."""
    return run(connection, "SELECT * FROM machines ORDER BY label, machine_id")


def coverage(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Rows with and without a time per machine and workload; 'unsupported' does not count."""
    return run(
        connection,
        """
        SELECT machine_id, workload, CAST(sum(ok) AS BIGINT) AS ok,
               CAST(sum(failed) AS BIGINT) AS failed
        FROM coverage GROUP BY ALL ORDER BY workload, machine_id
        """,
    )


def statuses(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Rows per machine and status."""
    return run(
        connection, "SELECT machine_id, status, cells FROM statuses ORDER BY status, machine_id"
    )


def failures(connection: duckdb.DuckDBPyConnection, limit: int = 500) -> pd.DataFrame:
    """Cells without a time, and why; 'unsupported' ones come last. At most 500 of a machine."""
    return run(
        connection,
        """
        SELECT machine_id, status, workload, "case", params, dtype, backend, device, mode,
               error, started_at
        FROM failures ORDER BY status = 'unsupported', started_at DESC, order_index LIMIT ?
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
    conditions = ["true"] if first_calls else ["mode <> 'first_call'"]
    parameters = []
    for column, value in (("workload", workload), ("case", case)):
        if value is not None:
            conditions.append(f'"{column}" = ?')
            parameters.append(value)
    return run(
        connection,
        f"""
        SELECT * FROM cells WHERE {" AND ".join(conditions)}
        ORDER BY workload, "case", size, machine_id, backend, device, mode
        """,
        parameters,
    )


def cases(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Workloads and cases that have at least one time, with the number of rows that have one."""
    return run(
        connection,
        """
        SELECT workload, "case", CAST(sum(launches) AS BIGINT) AS cells FROM cells
        WHERE mode <> 'first_call' GROUP BY ALL ORDER BY workload, "case"
        """,
    )


def groups(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """What was timed on any machine: what a form can offer without a model."""
    return run(
        connection,
        """
        SELECT DISTINCT workload, "case", dtype, math_mode, backend, device, mode
        FROM cells WHERE mode <> 'first_call' ORDER BY ALL
        """,
    )


def samples(
    connection: duckdb.DuckDBPyConnection, machine_id: str, cell_id: str, limit: int = 20
) -> pd.DataFrame:
    """The launches of one cell on one machine, each with its raw samples in order."""
    found = run(
        connection,
        "SELECT path FROM runs WHERE machine_id = ? GROUP BY path ORDER BY max(started_at) DESC",
        [machine_id],
    )
    return run(
        connection,
        f"""
        SELECT run_id, launch_index, started_at, samples_s, warmup_s, calls_per_sample, n,
               median_s, ci95_low_s, ci95_high_s, stop_reason, noisy, noise_reasons,
               throttle_reasons
        FROM ({rows_in(connection, found["path"])})
        WHERE status = 'ok' AND machine_id = ? AND cell_id = ?
        ORDER BY started_at DESC, launch_index LIMIT ?
        """,
        [machine_id, cell_id, limit],
    )


def libraries(connection: duckdb.DuckDBPyConnection, machine_id: str) -> dict[str, str]:
    """Library versions of a machine's latest run."""
    latest = run(
        connection,
        "SELECT path FROM runs WHERE machine_id = ? ORDER BY started_at DESC LIMIT 1",
        [machine_id],
    )
    found = run(
        connection,
        f"""
        SELECT library_versions FROM ({rows_in(connection, latest["path"])})
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
               max(flop_count / best_median_s) AS rate,
               arg_max(backend, flop_count / best_median_s) AS backend,
               arg_max("case", flop_count / best_median_s) AS "case",
               arg_max(params, flop_count / best_median_s) AS params,
               CAST(sum(launches) AS BIGINT) AS cells
        FROM cells WHERE workload = 'matmul' AND flop_count > 0
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
               arg_max(memory_bytes, rate) AS moved_bytes,
               CAST(sum(launches) AS BIGINT) AS cells
        FROM (SELECT *, memory_bytes / best_median_s AS rate FROM cells
              -- softmax and layer norm read intermediate results from a cache
              WHERE (workload IN ('elementwise', 'reduction')
                         AND "case" NOT IN ('softmax', 'layer_norm')
                         OR (workload = 'transfer' AND "case" = 'd2d'))
                    AND mode IN ('hot', 'cold') AND memory_bytes >= ?)
        GROUP BY machine_id, device ORDER BY device DESC
        """,
        [least_bytes],
    )


def transfer_ceilings(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Best rate over the bus (B/s) per machine and kind of copy."""
    return run(
        connection,
        """
        SELECT machine_id, "case", max(size / best_median_s) AS rate,
               arg_max(backend, size / best_median_s) AS backend,
               arg_max(params, size / best_median_s) AS params,
               CAST(sum(launches) AS BIGINT) AS cells
        FROM cells
        WHERE workload = 'transfer' AND "case" <> 'd2d' AND mode <> 'first_call'
        GROUP BY machine_id, "case" ORDER BY "case" DESC
        """,
    )
