"""Two rules of thumb for "how much faster is a GPU?", as two public calculators state them.

The **cores rule** takes time in proportion to the size of the data, over the count of cores or a
relative CPU factor, or over the memory bandwidth where an operation is bound by memory; copies
take size over bandwidth, there and back:

    compute_bound = c * size / cores          memory_bound = bytes / bandwidth
    cpu = k * size / cpu_factor               transfer = 2 * bytes / bandwidth
    speedup = cpu / (gpu + transfer)          or (cpu + transfer) / (gpu + transfer)

It states both forms of the speed-up and uses either in its two worked examples; it gives c and k
only through those examples (``implied_constants``).

The **throughput rule** takes FLOP over a rate, and discounts a GPU's peak by a guessed
efficiency:

    cpu = FLOP / cpu_rate       gpu = FLOP / (peak * efficiency) + overhead

Both are pure: typed-in values or fitted ones. ``rule_seconds`` answers described cells from data
sheets, for ``validate``. Times in seconds where a name says ``_s``, in milliseconds where it says
``_ms`` (the first calculator's unit).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from estimator.arrays import Array

#: Least speed-up of each piece of advice, best first, as the first calculator words them.
ADVICE_BANDS: tuple[tuple[float, str], ...] = (
    (5.0, "significant"),
    (2.0, "noticeable"),
    (1.0, "marginal"),
    (0.0, "slower"),
)

#: Share of a GPU's peak that the second calculator guesses in its worked example.
GUESSED_EFFICIENCY = 0.65

#: Speed-up of a GPU that the second calculator claims: kind of work -> (low, high, families).
CLAIMED_SPEEDUPS: dict[str, tuple[float, float, tuple[str, ...]]] = {
    "Large matrix multiplication": (10.0, 50.0, ("matmul",)),
    "Deep learning training": (4.0, 20.0, ("training_step",)),
    "Deep learning inference": (2.0, 15.0, ("inference_step",)),
    "Image processing pipelines": (2.0, 12.0, ("image_pipeline",)),
    "General Python loops": (0.8, 3.0, ("python_loop",)),
}

#: Families that the first calculator names or implies as bound by arithmetic.
COMPUTE_BOUND = frozenset(
    {
        *("matmul", "conv2d", "fft", "dense_layer", "attention"),
        *("training_step", "inference_step"),
    }
)
_COPIES = 2.0  # the first calculator counts every transfer there and back


def advice(speedup: float) -> str:
    """Band of a speed-up: "significant" (> 5x), "noticeable" (2-5x), "marginal", "slower" (< 1x).

    Raises EstimateError unless the speed-up is a positive number.
    """
    _require(speedup=speedup)
    if speedup > ADVICE_BANDS[0][0]:
        return ADVICE_BANDS[0][1]
    return next(word for least, word in ADVICE_BANDS[1:] if speedup >= least)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a rule gives: seconds of arithmetic on each side, and of copies or overhead."""

    cpu_s: float
    gpu_s: float
    transfer_s: float

    @property
    def gpu_total_s(self) -> float:
        return self.gpu_s + self.transfer_s

    @property
    def speedup(self) -> float:
        """CPU time over the GPU's with its copies: the form that advice goes by."""
        return self.cpu_s / self.gpu_total_s

    @property
    def advice(self) -> str:
        return advice(self.speedup)


# --- the first calculator ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CoresInputs:
    """What the first calculator asks for. ``data_size`` in elements or operations."""

    operation: str
    data_size: float
    gpu_cores: float
    cpu_factor: float
    gpu_bandwidth_gb_per_s: float
    transfer_ms: float


@dataclass(frozen=True, slots=True)
class CoresConstants:
    """``gpu_core_ms`` per element and core, ``cpu_ms`` per element at a CPU factor of 1."""

    gpu_core_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class WorkedExample:
    """Inputs and printed results of one worked example of the first calculator."""

    inputs: CoresInputs
    gpu_ms: float
    cpu_ms: float
    printed_gpu_total_ms: float
    printed_cpu_total_ms: float
    printed_speedup: float

    @property
    def speedup(self) -> float:
        """What its own formula gives for its own totals."""
        return self.printed_cpu_total_ms / self.printed_gpu_total_ms


WORKED_EXAMPLES = (
    WorkedExample(
        CoresInputs("Convolution", 5e6, 3584, 1.5, 448.0, 8.0), 45.0, 700.0, 53.0, 708.0, 15.2
    ),
    WorkedExample(
        CoresInputs("Matrix Multiplication", 1e7, 5120, 2.0, 1555.0, 12.0),
        *(60.0, 2750.0, 72.0, 2750.0, 45.8),
    ),
)


def implied_constants(example: WorkedExample) -> CoresConstants:
    """The constants of proportionality that a worked example implies and the rule never states."""
    asked = example.inputs
    return CoresConstants(
        gpu_core_ms=example.gpu_ms * asked.gpu_cores / asked.data_size,
        cpu_ms=example.cpu_ms * asked.cpu_factor / asked.data_size,
    )


def cores_rule(inputs: CoresInputs, constants: CoresConstants) -> Comparison:
    """The cores rule for an operation bound by arithmetic. Raises EstimateError on bad values."""
    _require(
        data_size=inputs.data_size,
        gpu_cores=inputs.gpu_cores,
        cpu_factor=inputs.cpu_factor,
        gpu_core_ms=constants.gpu_core_ms,
        cpu_ms=constants.cpu_ms,
    )
    _require_not_negative(transfer_ms=inputs.transfer_ms)
    return Comparison(
        cpu_s=constants.cpu_ms * inputs.data_size / inputs.cpu_factor / 1e3,
        gpu_s=constants.gpu_core_ms * inputs.data_size / inputs.gpu_cores / 1e3,
        transfer_s=inputs.transfer_ms / 1e3,
    )


def bandwidth_seconds(data_bytes: float, bandwidth_gb_per_s: float) -> float:
    """The cores rule for an operation bound by memory: bytes over bandwidth."""
    _require(bandwidth_gb_per_s=bandwidth_gb_per_s)
    _require_not_negative(data_bytes=data_bytes)
    return data_bytes / (1e9 * bandwidth_gb_per_s)


def copy_seconds(data_bytes: float, bandwidth_gb_per_s: float) -> float:
    """The cores rule's transfer time: there and back, at the bandwidth of the memory."""
    return _COPIES * bandwidth_seconds(data_bytes, bandwidth_gb_per_s)


# --- the second calculator -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ThroughputInputs:
    """What the second calculator asks for; ``efficiency`` is a share of the GPU's peak."""

    work_gflop: float
    cpu_gflop_per_s: float
    gpu_peak_tflop_per_s: float
    efficiency: float = GUESSED_EFFICIENCY
    overhead_s: float = 0.0


def effective_tflop_per_s(peak_tflop_per_s: float, efficiency: float) -> float:
    """Peak times efficiency: 20 TFLOP/s at 65 % are 13. Raises EstimateError on bad values."""
    _require(peak_tflop_per_s=peak_tflop_per_s, efficiency=efficiency)
    if efficiency > 1.0:
        raise EstimateError(f"efficiency is {efficiency:g}; it is a share of the peak, at most 1")
    return peak_tflop_per_s * efficiency


def throughput_rule(inputs: ThroughputInputs) -> Comparison:
    """The throughput rule; its overhead stands where copies do. Raises EstimateError."""
    _require(work_gflop=inputs.work_gflop, cpu_gflop_per_s=inputs.cpu_gflop_per_s)
    _require_not_negative(overhead_s=inputs.overhead_s)
    rate = effective_tflop_per_s(inputs.gpu_peak_tflop_per_s, inputs.efficiency)
    return Comparison(
        cpu_s=inputs.work_gflop / inputs.cpu_gflop_per_s,
        gpu_s=inputs.work_gflop / (1e3 * rate),
        transfer_s=inputs.overhead_s,
    )


def cost_ratio(speedup: float, price_ratio: float) -> float:
    """Cost of the completed job on the GPU over the CPU's: price ratio over speed-up.

    The second calculator's example: five times the price and twelve times the speed costs 0.42.
    """
    _require(speedup=speedup, price_ratio=price_ratio)
    return price_ratio / speedup


# --- both, on measured cells ---------------------------------------------------------------


def rule_seconds(cells: pd.DataFrame, rates: pd.DataFrame) -> dict[str, Array]:
    """Seconds of described cells, (n,) by rule ("cores", "throughput"), NaN where it cannot say.

    ``rates`` are those of ``sheet_rates.sheet_rates`` for the same cells. A CPU's time is work
    over its peak in both. Modes with copies add them: the cores rule at the GPU's memory
    bandwidth, there and back, as it says; the throughput rule at the host link's nominal rate.
    A copy in itself is its bytes over the same rates.
    """
    flop = cells["flop_count"].to_numpy(dtype=float)
    moved = (cells["bytes_read"] + cells["bytes_written"]).to_numpy(dtype=float)
    bus = (cells["h2d_bytes"] + cells["d2h_bytes"]).to_numpy(dtype=float)
    on_gpu = (cells["device"] == "cuda").to_numpy()
    is_copy = (cells["workload"] == "transfer").to_numpy() & (bus > 0.0)
    peak, bandwidth, link = (
        rates[name].to_numpy(dtype=float)
        for name in ("flop_per_s", "bytes_per_s", "bus_bytes_per_s")
    )
    compute_bound = cells["workload"].isin(COMPUTE_BOUND).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        by_cores = np.where(compute_bound, flop / peak, moved / bandwidth)
        by_cores = np.where(is_copy, 0.0, by_cores)
        by_cores += np.where(bus > 0.0, np.where(is_copy, 1.0, _COPIES) * bus / bandwidth, 0.0)
        efficiency = np.where(on_gpu, GUESSED_EFFICIENCY, 1.0)
        by_rate = np.where(is_copy, 0.0, flop / (peak * efficiency))
        by_rate += np.where(bus > 0.0, bus / link, 0.0)
    answers = {"cores": by_cores, "throughput": by_rate}
    return {name: np.where(seconds > 0.0, seconds, np.nan) for name, seconds in answers.items()}


def _require(**values: float) -> None:
    for name, value in values.items():
        if not isfinite(value) or value <= 0.0:
            raise EstimateError(f"{name} is {value:g}; the rule needs a positive number")


def _require_not_negative(**values: float) -> None:
    for name, value in values.items():
        if not isfinite(value) or value < 0.0:
            raise EstimateError(f"{name} is {value:g}; the rule needs a number of at least 0")
