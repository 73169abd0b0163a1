"""SQL over the view ``measurements`` that tells whether a machine was quiet.

Each function takes a DuckDB connection and returns a DataFrame, as those of ``queries`` do.
"""

from __future__ import annotations

import duckdb
import pandas as pd

from app_pages.queries import run


def health(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Signs of a disturbed, hot or throttled machine, per machine."""
    return run(
        connection,
        """
        SELECT machine_id, count(*) AS cells,
               avg(CAST(noisy AS DOUBLE)) AS noisy_share,
               quantile_cont(std_s / nullif(mean_s, 0), 0.5) AS median_spread,
               max(steal_fraction) AS worst_steal,
               CAST(coalesce(sum(involuntary_switches), 0) AS BIGINT) AS involuntary_switches,
               avg(CAST(coalesce(throttle_reasons, '') <> '' AS DOUBLE))
                   FILTER (device = 'cuda') AS throttled_share,
               max(temperature_c) AS hottest_c,
               median(sm_clock_mhz) AS median_sm_clock_mhz,
               max(power_w) AS highest_power_w
        FROM regular WHERE status = 'ok' GROUP BY machine_id
        """,
    )


def throttling(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Which throttle reasons were seen, in how many cells."""
    return run(
        connection,
        """
        SELECT machine_id, trim(reason) AS reason, count(*) AS cells
        FROM (SELECT machine_id, unnest(string_split(throttle_reasons, ',')) AS reason
              FROM regular WHERE status = 'ok' AND throttle_reasons <> '')
        WHERE trim(reason) <> '' GROUP BY ALL ORDER BY cells DESC
        """,
    )


def noise_reasons(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Why cells were flagged noisy, with the count of cells; one cell may have several reasons."""
    return run(
        connection,
        """
        SELECT machine_id, trim(reason) AS reason, count(*) AS cells
        FROM (SELECT machine_id, unnest(string_split(noise_reasons, ',')) AS reason
              FROM regular WHERE status = 'ok' AND noise_reasons <> '')
        WHERE trim(reason) <> '' GROUP BY ALL ORDER BY cells DESC
        """,
    )


def drift(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Medians of the operation that is repeated along each run, in the order of the run.

    ``relative`` is the deviation from the first repetition of that run, device and library
    (0.01: 1 % slower).
    """
    return run(
        connection,
        """
        SELECT machine_id, run_id, started_at, device, backend, coalesce(threads, 1) AS threads,
               CAST(row_number() OVER along AS BIGINT) AS repetition, median_s,
               median_s / first_value(median_s) OVER along - 1 AS relative
        FROM measurements
        WHERE workload = 'anchor' AND status = 'ok' AND median_s > 0 AND isfinite(median_s)
              AND mode IS DISTINCT FROM 'first_call' AND device IS NOT NULL
              AND backend IS NOT NULL
        WINDOW along AS (PARTITION BY machine_id, run_id, device, backend, threads
                         ORDER BY size, order_index)
        ORDER BY started_at, machine_id, run_id, device, backend, repetition
        """,
    )


def noise_by_workload(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Share of noisy cells and median spread per machine, workload and device."""
    return run(
        connection,
        """
        SELECT machine_id, workload, device, count(*) AS cells,
               avg(CAST(noisy AS DOUBLE)) AS noisy_share,
               quantile_cont(std_s / nullif(mean_s, 0), 0.5) AS median_spread
        FROM regular WHERE status = 'ok' GROUP BY ALL
        ORDER BY noisy_share DESC, workload
        """,
    )
