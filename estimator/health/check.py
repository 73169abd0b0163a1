"""Which machines of a fleet are unwell? Checks of small tables of figures.

``estimator.health.rows`` says what the severities mean. The checks: slower than peers
(``health_peers``); link and memory (``health_links``, ``health_sheet``); heat, power and lanes
(``health_gpu``); noise (``health_noise``), drift (``health_drift``) and rows without a time
(``health_history``); software, and whether there is anybody to compare with
(``health_software``). What follows from a throttled GPU is part of that finding
(``health_throttle``). The fingerprint has no ECC counters: a
fault of the memory shows as a wrong result.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from estimator.health.drift import drift_beside_peers, drift_findings, failure_findings
from estimator.health.gpu import absorb_consequences, gpu_findings
from estimator.health.noise import noise_findings
from estimator.health.peers import peer_findings
from estimator.health.rows import Finding, ranked, rows_of
from estimator.health.sheet import link_findings, memory_findings
from estimator.health.software import alone_findings, software_findings


@dataclass(frozen=True)
class FleetTables:
    """What the checks read: small tables, made by ``estimator.health.tables``.

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
