"""Two rules of thumb for "how much faster is a GPU?", as two public calculators state them.

The **cores rule** takes time in proportion to the size of the data, over the count of cores or a
relative CPU factor, or over the memory bandwidth where an operation is bound by memory; copies
take size over bandwidth, there and back:

    compute_bound = c * size / cores          memory_bound = bytes / bandwidth
    cpu = k * size / cpu_factor               transfer = 2 * bytes / bandwidth
    speedup = cpu / (gpu + transfer)          or (cpu + transfer) / (gpu + transfer)

It states both forms of the speed-up and uses either in its two worked examples; it gives c and k
only through those examples.

The **throughput rule** takes FLOP over a rate, and discounts a GPU's peak by a guessed
efficiency:

    cpu = FLOP / cpu_rate       gpu = FLOP / (peak * efficiency) + overhead

Both are pure: typed-in values or fitted ones. Times in seconds where a name says ``_s``, in
milliseconds where it says ``_ms`` (the first calculator's unit).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import inf, isfinite, nextafter

from collector.errors import EstimateError

_ABOVE_0 = nextafter(0.0, 1.0)

#: Advice of the first calculator, best first: word -> (least speed-up, what it says).
ADVICE: dict[str, tuple[float, str]] = {
    "significant": (nextafter(5.0, inf), "over 5x: significant, likely worth it"),
    "noticeable": (2.0, "2x to 5x: noticeable, weigh it against the effort"),
    "marginal": (1.0, "under 2x: marginal"),
    "slower": (0.0, "under 1x: the GPU is slower"),
}

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
#: The first calculator counts every transfer there and back.
COPIES = 2.0


def advice(speedup: float) -> str:
    """Band of a speed-up: "significant" (> 5x), "noticeable" (2-5x), "marginal", "slower" (< 1x).

    Raises EstimateError unless the speed-up is a positive number.
    """
    _check("speedup", speedup)
    return next(word for word, (least, _) in ADVICE.items() if speedup >= least)


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


@dataclass(frozen=True, slots=True)
class CoresInputs:
    """What the first calculator asks for, and the constants that it never states.

    ``gpu_core_ms`` is per element and core, ``cpu_ms`` per element at a CPU factor of 1.
    """

    data_size: float
    gpu_cores: float
    cpu_factor: float
    transfer_ms: float
    gpu_bandwidth_gb_per_s: float
    gpu_core_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class ThroughputInputs:
    """What the second calculator asks for; ``efficiency`` is a share of the GPU's peak."""

    work_gflop: float
    cpu_gflop_per_s: float
    gpu_peak_tflop_per_s: float
    efficiency: float = GUESSED_EFFICIENCY
    overhead_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Ask:
    """How an input is asked for, on the command line and on the page, and its bounds."""

    label: str
    help: str
    least: float = _ABOVE_0
    most: float = inf


CORES_ASKS = {
    "data_size": Ask(
        "Data size (elements)",
        "Elements that one call reads and writes, or operations: the calculator takes either.",
    ),
    "gpu_cores": Ask(
        "GPU cores", "Cores as the data sheet counts them: float32 lanes of all multiprocessors."
    ),
    "cpu_factor": Ask(
        "CPU factor",
        "Speed of the CPU for this task; 1 is average, 2 twice as fast. The calculator does not "
        "say what average is: the constants below do.",
    ),
    "transfer_ms": Ask(
        "Transfers (ms)",
        "Its formula: size over the GPU's memory bandwidth, there and back. The copies cross the "
        "host link in fact, which is far slower.",
        least=0.0,
    ),
    "gpu_bandwidth_gb_per_s": Ask(
        "GPU memory bandwidth (GB/s)",
        "From the data sheet. It asks for it, but for an operation bound by arithmetic it enters "
        "the transfers only, as given above.",
    ),
}
THROUGHPUT_ASKS = {
    "work_gflop": Ask(
        "Work (GFLOP)", "Floating-point operations of one call, in thousand millions."
    ),
    "cpu_gflop_per_s": Ask(
        "CPU rate (GFLOP/s)",
        "What the CPU sustains. Its table has 50 to 500 GFLOP/s for a cloud instance.",
    ),
    "gpu_peak_tflop_per_s": Ask(
        "GPU peak (TFLOP/s)", "The data sheet's peak for this element type."
    ),
    "efficiency": Ask(
        "Efficiency (share of the peak)",
        "The calculator guesses 0.65. The share that this case reaches is fitted here: fill the "
        "calculators from the fit to see it.",
        most=1.0,
    ),
    "overhead_s": Ask(
        "Overhead (s)",
        "Copies and starts of kernels, in seconds, added to the GPU's time.",
        least=0.0,
    ),
}


@dataclass(frozen=True, slots=True)
class WorkedExample:
    """A worked example of the first calculator and what it prints for it.

    The constants of ``inputs`` are those that its times imply.
    """

    operation: str
    inputs: CoresInputs
    cpu_total_ms: float
    gpu_total_ms: float
    printed: float

    @property
    def formula(self) -> float:
        """What its own formula gives for its own totals."""
        return self.cpu_total_ms / self.gpu_total_ms


def _with_constants(inputs: CoresInputs, gpu_ms: float, cpu_ms: float) -> CoresInputs:
    """Inputs with the constants that an example's times without copies imply."""
    return replace(
        inputs,
        gpu_core_ms=gpu_ms * inputs.gpu_cores / inputs.data_size,
        cpu_ms=cpu_ms * inputs.cpu_factor / inputs.data_size,
    )


WORKED_EXAMPLES = (
    WorkedExample(
        "Convolution",
        _with_constants(CoresInputs(5e6, 3584, 1.5, 8.0, 448.0, 1.0, 1.0), 45.0, 700.0),
        *(708.0, 53.0, 15.2),
    ),
    WorkedExample(
        "Matrix Multiplication",
        _with_constants(CoresInputs(1e7, 5120, 2.0, 12.0, 1555.0, 1.0, 1.0), 60.0, 2750.0),
        *(2750.0, 72.0, 45.8),
    ),
)


def cores_rule(inputs: CoresInputs) -> Comparison:
    """The cores rule for an operation bound by arithmetic. Raises EstimateError on bad values."""
    _check_all(inputs)
    return Comparison(
        cpu_s=inputs.cpu_ms * inputs.data_size / inputs.cpu_factor / 1e3,
        gpu_s=inputs.gpu_core_ms * inputs.data_size / inputs.gpu_cores / 1e3,
        transfer_s=inputs.transfer_ms / 1e3,
    )


def copy_seconds(data_bytes: float, bandwidth_gb_per_s: float) -> float:
    """The cores rule's transfer time: there and back, at the bandwidth of the memory."""
    return COPIES * data_bytes / (1e9 * bandwidth_gb_per_s)


def throughput_rule(inputs: ThroughputInputs) -> Comparison:
    """The throughput rule; its overhead stands where copies do. Raises EstimateError."""
    _check_all(inputs)
    return Comparison(
        cpu_s=inputs.work_gflop / inputs.cpu_gflop_per_s,
        gpu_s=inputs.work_gflop / (1e3 * (inputs.gpu_peak_tflop_per_s * inputs.efficiency)),
        transfer_s=inputs.overhead_s,
    )


def cost_ratio(speedup: float, price_ratio: float) -> float:
    """Cost of the completed job on the GPU over the CPU's: price ratio over speed-up.

    The second calculator's example: five times the price and twelve times the speed costs 0.42.
    """
    _check("speedup", speedup)
    _check("price_ratio", price_ratio)
    return price_ratio / speedup


def _check_all(inputs: CoresInputs | ThroughputInputs) -> None:
    asks = CORES_ASKS | THROUGHPUT_ASKS
    for one in fields(inputs):
        bounds = asks.get(one.name, Ask("", ""))
        _check(one.name, getattr(inputs, one.name), bounds.least, bounds.most)


def _check(name: str, value: float, least: float = _ABOVE_0, most: float = inf) -> None:
    if not isfinite(value) or value < least:
        needed = "a positive number" if least > 0.0 else "a number of at least 0"
        raise EstimateError(f"{name} is {value:g}; the rule needs {needed}")
    if value > most:
        raise EstimateError(f"{name} is {value:g}; it is a share of the peak, at most {most:g}")
