"""What the two rules of thumb ask for, of one case. Pure.

Their inputs come either from data sheets and the rules' own guesses, or from what was fitted here,
which is what they ask a reader to guess.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from estimator.rules.cases import RuleCase
from estimator.rules.rules_of_thumb import (
    GUESSED_EFFICIENCY,
    WORKED_EXAMPLES,
    CoresConstants,
    CoresInputs,
    ThroughputInputs,
    copy_seconds,
    implied_constants,
)

#: Where the rules' inputs come from: data sheets and the rules' own guesses, the model fitted to
#: the measurements, or the constants of the first calculator's worked examples.
InputSource = Literal["sheets", "fitted", "examples"]
INPUT_SOURCES: tuple[InputSource, ...] = get_args(InputSource)


def cores_inputs(
    case: RuleCase, source: InputSource = "sheets"
) -> tuple[CoresInputs, CoresConstants] | None:
    """What the first calculator asks for, and the constants that it does not state.

    The constants are those that reproduce the data sheets' peaks (rates of arithmetic or of
    memory, by what it takes the operation to be bound by), the estimate ("fitted"), or its own
    worked example nearest in kind ("examples"). Copies go there and back at the rate of the GPU's
    memory, as it says, but fitted ones are the estimate's. None where a data sheet is not known.
    """
    bandwidth = case.gpu.sheet_bytes_per_s / 1e9
    example = WORKED_EXAMPLES[0 if case.workload == "conv2d" else 1]
    cores = case.gpu_cores if np.isfinite(case.gpu_cores) else example.inputs.gpu_cores
    copies_ms = 0.0
    if case.gpu.mode == "end_to_end":
        copies_ms = 1e3 * copy_seconds(case.bus_bytes, bandwidth) if bandwidth > 0.0 else np.nan
    if source == "examples":
        constants = implied_constants(example)
    else:
        if source == "fitted":
            times = case.gpu.alone_s + case.gpu.start_s, case.cpu.seconds[1]
            copies_ms = 1e3 * case.gpu.copies_s
        elif case.compute_bound:
            times = (
                case.flop / case.gpu.sheet_flop_per_s,
                case.flop / case.cpu.sheet_flop_per_s,
            )
        else:
            times = (
                case.moved_bytes / case.gpu.sheet_bytes_per_s,
                case.moved_bytes / case.cpu.sheet_bytes_per_s,
            )
        if not (min(times) > 0.0 and case.elements > 0.0):
            return None
        constants = CoresConstants(
            1e3 * times[0] * cores / case.elements, 1e3 * times[1] / case.elements
        )
    if not (np.isfinite(copies_ms) and case.elements > 0.0):
        return None
    known = bandwidth if bandwidth > 0.0 else example.inputs.gpu_bandwidth_gb_per_s
    return CoresInputs(case.workload, case.elements, cores, 1.0, known, copies_ms), constants


def throughput_inputs(case: RuleCase, source: InputSource = "sheets") -> ThroughputInputs | None:
    """What the second calculator asks for; None where there is no arithmetic or no data sheet.

    From data sheets: the peaks of both, its guessed efficiency, and the copies at the host link's
    nominal rate as overhead; "examples" are the same. Fitted: the CPU's rate, the efficiency and
    the overhead (starts of calls and copies) that the model has for this case.
    """
    peak = case.gpu.sheet_flop_per_s
    if not (case.flop > 0.0 and peak > 0.0):
        return None
    gflop = case.flop / 1e9
    if source == "fitted":
        # a peak that is too low for what was measured stays the peak: the rest is overhead
        efficiency = min(1.0, case.efficiency)
        cpu_rate = gflop / case.cpu.seconds[1]
        overhead = max(0.0, case.gpu.seconds[1] - case.flop / peak / efficiency)
    elif not case.cpu.sheet_flop_per_s > 0.0:
        return None
    else:
        efficiency, cpu_rate = GUESSED_EFFICIENCY, case.cpu.sheet_flop_per_s / 1e9
        copies = case.gpu.mode == "end_to_end"
        overhead = case.bus_bytes / (1e9 * case.link_gb_per_s) if copies else 0.0
        if not np.isfinite(overhead):
            return None
    return ThroughputInputs(gflop, cpu_rate, peak / 1e12, efficiency, overhead)
