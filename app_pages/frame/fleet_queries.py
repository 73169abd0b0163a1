"""SQL over the small tables (``estimator.dataset.index``) for the pages about machines and runs.

Each function takes a DuckDB connection and returns a small DataFrame, as those of ``queries`` do.
"""

from __future__ import annotations

import duckdb
import pandas as pd

from app_pages.frame.query_cache import run


def health(connection: duckdb.DuckDBPyConnection, machine_ids: list[str]) -> pd.DataFrame:
    """Signs of a disturbed, hot or throttled machine, one row per machine."""
    return run(
        connection,
        """
        SELECT machine_id, cells, noisy_share, median_spread, worst_steal, involuntary_switches,
               throttled_share, hottest_c, median_sm_clock_mhz, highest_power_w
        FROM health WHERE list_contains(?, machine_id)
        """,
        [machine_ids],
    )


def reasons(
    connection: duckdb.DuckDBPyConnection, machine_ids: list[str], kind: str
) -> pd.DataFrame:
    """Reasons that were named (``kind``: throttle or noise), with the count of rows."""
    return run(
        connection,
        """
        SELECT machine_id, reason, cells FROM reasons
        WHERE kind = ? AND list_contains(?, machine_id) ORDER BY cells DESC, reason
        """,
        [kind, machine_ids],
    )


def drift(connection: duckdb.DuckDBPyConnection, machine_ids: list[str]) -> pd.DataFrame:
    """Medians of the operation that is repeated along each run, in the order of the run.

    ``relative`` is the deviation from the first repetition of that run, device and library
    (0.01: 1 % slower).
    """
    return run(
        connection,
        """
        SELECT machine_id, run_id, started_at, device, backend, threads, repetition, median_s,
               relative
        FROM anchors WHERE list_contains(?, machine_id)
        ORDER BY started_at, machine_id, run_id, device, backend, repetition
        """,
        [machine_ids],
    )


def noise_by_workload(
    connection: duckdb.DuckDBPyConnection, machine_ids: list[str]
) -> pd.DataFrame:
    """Share of noisy cells and median spread per machine, workload and device."""
    return run(
        connection,
        """
        SELECT machine_id, workload, device, cells, noisy_share, median_spread
        FROM noise WHERE list_contains(?, machine_id) ORDER BY noisy_share DESC, workload
        """,
        [machine_ids],
    )


def times_of(connection: duckdb.DuckDBPyConnection, machine_id: str) -> pd.DataFrame:
    """Medians and intervals of a machine's cells; first calls are left out."""
    return run(
        connection,
        """
        SELECT cell_id, median_s, ci95_low_s, ci95_high_s FROM cells
        WHERE machine_id = ? AND mode <> 'first_call' AND cell_id IS NOT NULL
        """,
        [machine_id],
    )


def coverage(connection: duckdb.DuckDBPyConnection, machine_ids: list[str]) -> pd.DataFrame:
    """Rows with and without a time per machine and workload; 'unsupported' does not count."""
    return run(
        connection,
        """
        SELECT machine_id, workload, CAST(sum(ok) AS BIGINT) AS ok,
               CAST(sum(failed) AS BIGINT) AS failed
        FROM coverage WHERE list_contains(?, machine_id)
        GROUP BY machine_id, workload ORDER BY workload, machine_id
        """,
        [machine_ids],
    )


def statuses(connection: duckdb.DuckDBPyConnection, machine_ids: list[str]) -> pd.DataFrame:
    """Rows per machine and status."""
    return run(
        connection,
        "SELECT machine_id, status, cells FROM statuses WHERE list_contains(?, machine_id) "
        "ORDER BY status",
        [machine_ids],
    )


def runs(connection: duckdb.DuckDBPyConnection, machine_ids: list[str], limit: int) -> pd.DataFrame:
    """Runs of these machines, the latest first; ``failed`` counts what a library does not explain.

    Columns: machine_id, run_id, suite, started_at, collector_version, ok, failed, cells_planned,
    wall_s, finished, ended.
    """
    return run(
        connection,
        """
        WITH failed AS (
            SELECT machine_id, run_id, count(*) AS failed FROM failures
            WHERE status <> 'unsupported' GROUP BY ALL
        )
        SELECT machine_id, run_id, suite, started_at, collector_version, ok,
               coalesce(failed, 0) AS failed, cells_planned, wall_s, finished, ended
        FROM runs LEFT JOIN failed USING (machine_id, run_id)
        WHERE list_contains(?, machine_id)
        ORDER BY started_at DESC NULLS LAST, run_id LIMIT ?
        """,
        [machine_ids, limit],
    )


def failures(
    connection: duckdb.DuckDBPyConnection, machine_ids: list[str], limit: int
) -> pd.DataFrame:
    """Cells without a time, and why; 'unsupported' ones come last."""
    return run(
        connection,
        """
        SELECT machine_id, status, workload, "case", params, dtype, backend, device, mode,
               error, started_at
        FROM failures WHERE list_contains(?, machine_id)
        ORDER BY status = 'unsupported', started_at DESC, order_index LIMIT ?
        """,
        [machine_ids, limit],
    )


def matmul_ceilings(connection: duckdb.DuckDBPyConnection, machine_ids: list[str]) -> pd.DataFrame:
    """Best matrix product rate (FLOP/s) per machine, device and element type."""
    return run(
        connection,
        """
        WITH rates AS (
            SELECT *, flop_count / best_median_s AS rate FROM cells
            WHERE workload = 'matmul' AND list_contains(?, machine_id) AND flop_count > 0
                -- numpy computes X X^T with half the operations that its definition counts
                AND "case" <> 'x_xt_1000_float32' AND mode IN ('hot', 'resident')
        )
        SELECT machine_id, device, dtype, math_mode, max(rate) AS rate,
               arg_max(backend, rate) AS backend, arg_max("case", rate) AS "case",
               arg_max(params, rate) AS params, count(*) AS cells
        FROM rates GROUP BY machine_id, device, dtype, math_mode
        ORDER BY device DESC, rate DESC, machine_id
        """,
        [machine_ids],
    )


def bandwidth_ceilings(
    connection: duckdb.DuckDBPyConnection, machine_ids: list[str], least_bytes: float
) -> pd.DataFrame:
    """Best memory rate (B/s) per machine and device over cells that move ``least_bytes`` or more.

    Small working sets stay in a cache and would show the cache's rate.
    """
    return run(
        connection,
        """
        WITH rates AS (
            SELECT *, memory_bytes / best_median_s AS rate FROM cells
            -- softmax and layer norm read intermediate results from a cache
            WHERE (workload IN ('elementwise', 'reduction')
                       AND "case" NOT IN ('softmax', 'layer_norm')
                   OR (workload = 'transfer' AND "case" = 'd2d'))
                  AND mode IN ('hot', 'cold') AND memory_bytes >= ?
                  AND list_contains(?, machine_id)
        )
        SELECT machine_id, device, max(rate) AS rate,
               arg_max(workload || ' ' || "case", rate) AS "case",
               arg_max(backend, rate) AS backend, arg_max(params, rate) AS params,
               arg_max(memory_bytes, rate) AS moved_bytes, count(*) AS cells
        FROM rates GROUP BY machine_id, device ORDER BY device DESC, machine_id
        """,
        [least_bytes, machine_ids],
    )


def transfer_ceilings(
    connection: duckdb.DuckDBPyConnection, machine_ids: list[str]
) -> pd.DataFrame:
    """Best rate over the bus (B/s) per machine and kind of copy."""
    return run(
        connection,
        """
        WITH rates AS (
            SELECT *, size / best_median_s AS rate FROM cells
            WHERE workload = 'transfer' AND "case" <> 'd2d' AND mode <> 'first_call'
                  AND list_contains(?, machine_id)
        )
        SELECT machine_id, "case", max(rate) AS rate, arg_max(backend, rate) AS backend,
               arg_max(params, rate) AS params, count(*) AS cells
        FROM rates GROUP BY machine_id, "case" ORDER BY "case" DESC, machine_id
        """,
        [machine_ids],
    )


def cases(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Workloads and cases that have at least one time; first calls do not count."""
    return run(
        connection,
        """
        SELECT workload, "case", count(*) AS cells FROM cells WHERE mode <> 'first_call'
        GROUP BY workload, "case" ORDER BY workload, "case"
        """,
    )


def series_of_case(connection: duckdb.DuckDBPyConnection, workload: str, case: str) -> pd.DataFrame:
    """What was measured of a case, one row per machine, library, threads, element type and mode.

    Columns: machine_id, dtype, math_mode, backend, device, threads, mode, cells.
    """
    return run(
        connection,
        """
        SELECT machine_id, dtype, math_mode, backend, device, threads, mode, count(*) AS cells
        FROM cells WHERE workload = ? AND "case" = ?
        GROUP BY ALL ORDER BY ALL
        """,
        [workload, case],
    )


def cells_of_case(
    connection: duckdb.DuckDBPyConnection, workload: str, case: str, machine_ids: list[str]
) -> pd.DataFrame:
    """The measured cells of a case on some machines, first calls included."""
    return run(
        connection,
        """
        SELECT machine_id, workload, "case", params, size, dtype, math_mode, backend, device,
               threads, mode, cell_id, median_s, ci95_low_s, ci95_high_s, min_s, p95_s, spread, n,
               launches, noisy, noise_reasons, outliers, energy_j, flop_count, memory_bytes,
               bus_bytes, started_at
        FROM cells WHERE workload = ? AND "case" = ? AND list_contains(?, machine_id)
        ORDER BY size, machine_id, backend, device, mode
        """,
        [workload, case, machine_ids],
    )
