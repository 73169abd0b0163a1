"""Two rules of thumb for "how much faster is a GPU?", as two public calculators state them.

A ``Rule`` holds the inputs that its calculator asks for and makes times of them; ``method`` says
how. Times are in seconds where a name says ``_s``, in milliseconds where it says ``_ms``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import inf, isfinite, isnan, nan, nextafter
from typing import TYPE_CHECKING, Any, ClassVar

from collector.errors import EstimateError

if TYPE_CHECKING:
    from estimator.rules.cases import RuleCase

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
    ["matmul", "conv2d", "fft", "dense_layer", "attention", "training_step", "inference_step"]
)
#: The first calculator counts every transfer there and back.
COPIES = 2.0


def advice(speedup: float) -> str:
    """Word of a speed-up's band in ``ADVICE``. Raises EstimateError unless it is positive."""
    _check("speedup", speedup)
    return next(word for word, (least, _) in ADVICE.items() if speedup >= least)


def cost_ratio(speedup: float, price_ratio: float) -> float:
    """Cost of the completed job on the GPU over the CPU's. Raises EstimateError on bad values."""
    _check("speedup", speedup)
    _check("price_ratio", price_ratio)
    return price_ratio / speedup


def _check(name: str, value: float, least: float = _ABOVE_0, most: float = inf) -> None:
    if not (isfinite(value) and least <= value <= most):
        needed = "a positive number" if least > 0.0 else "a number of at least 0"
        limit = f", at most {most:g}" if isfinite(most) else ""
        raise EstimateError(f"{name} is {value:g}; the rule needs {needed}{limit}")


@dataclass(frozen=True, slots=True)
class Ask:
    """How an input is asked for, on the command line and on the page, and its bounds."""

    label: str
    help: str
    least: float
    most: float


def _asked(
    label: str, help: str, least: float = _ABOVE_0, most: float = inf, **options: Any
) -> Any:
    return field(metadata={"ask": Ask(label, help, least, most)}, **options)


@dataclass(frozen=True)
class Rule(ABC):
    """A rule and its inputs. Raises EstimateError where one is out of its bounds."""

    name: ClassVar[str]
    calculator: ClassVar[str]
    method: ClassVar[str]

    def __post_init__(self) -> None:
        for name, ask in self.asks().items():
            _check(name, getattr(self, name), ask.least, ask.most)

    @classmethod
    def asks(cls) -> dict[str, Ask]:
        """Every input by name."""
        return {one.name: one.metadata["ask"] for one in fields(cls)}

    @classmethod
    @abstractmethod
    def inputs(cls, case: RuleCase) -> dict[str, float]:
        """The inputs of a case by data sheets and the rule's own guesses; NaN: not known."""

    @classmethod
    def filled(cls, case: RuleCase, typed: Mapping[str, float]) -> Rule | None:
        """The rule of a case; what is ``typed`` in goes before. None where an input is unknown."""
        inputs = cls.inputs(case)
        unknown = any(isnan(one) for name, one in inputs.items() if name not in typed)
        given = {name: typed[name] for name in inputs if name in typed}
        return None if unknown else cls(**{**inputs, **given})

    @property
    @abstractmethod
    def times(self) -> tuple[float, float, float]:
        """Seconds of the CPU, of the GPU alone, and of its copies or overhead."""

    @property
    def speedup(self) -> float:
        """CPU time over the GPU's with its copies: the form that advice goes by."""
        cpu_s, gpu_s, copies_s = self.times
        return cpu_s / (gpu_s + copies_s)


@dataclass(frozen=True)
class CoresRule(Rule):
    """The first calculator, for an operation bound by arithmetic."""

    name = "cores"
    calculator = "first calculator"
    method = (
        'a public "force Python to use the GPU" calculator: time is in proportion to the size of '
        "the data, over the GPU's cores or a relative CPU factor; memory-bound operations take "
        "bytes over bandwidth, copies twice. Speed-up = CPU time / (GPU time + copies); its "
        "examples, which alone tell its constants, have (CPU + copies) / (GPU + copies) too."
    )
    data_size: float = _asked("Data size (elements)", "Read and written by one call.")
    gpu_cores: float = _asked("GPU cores", "Float32 lanes of all multiprocessors.")
    cpu_factor: float = _asked("CPU factor", "1 is an average CPU for the task, 2 twice as fast.")
    transfer_ms: float = _asked(
        "Transfers (ms)", "Size over memory bandwidth, twice; the host link is far slower.", 0.0
    )
    gpu_bandwidth_gb_per_s: float = _asked(
        "GPU memory bandwidth (GB/s)",
        "Changes nothing: of an operation bound by arithmetic it enters the transfers only.",
    )
    gpu_core_ms: float = _asked("GPU constant (ms)", "Per element and core; not stated by it.")
    cpu_ms: float = _asked("CPU constant (ms)", "Per element at a factor of 1; not stated by it.")

    @classmethod
    def inputs(cls, case: RuleCase) -> dict[str, float]:
        """Its constants are those that reproduce the rates of arithmetic or of memory."""
        bound = case.workload in COMPUTE_BOUND
        work, rate = (case.flop, "flop") if bound else (case.moved_bytes, "bytes")
        cpu_ms, gpu_ms = (1e3 * work / one[f"sheet_{rate}_per_s"] for one in (case.cpu, case.gpu))
        elements, bandwidth = case.elements or nan, case.gpu["sheet_bytes_per_s"]
        copies = COPIES if case.gpu["mode"] == "end_to_end" else 0.0
        return {
            "data_size": elements,
            "gpu_cores": case.gpu_cores,
            "cpu_factor": 1.0,
            "transfer_ms": 1e3 * copies * case.bus_bytes / bandwidth,
            "gpu_bandwidth_gb_per_s": bandwidth / 1e9,
            "gpu_core_ms": gpu_ms * case.gpu_cores / elements,
            "cpu_ms": cpu_ms / elements,
        }

    @property
    def times(self) -> tuple[float, float, float]:
        cpu_ms = self.cpu_ms * self.data_size / self.cpu_factor
        gpu_ms = self.gpu_core_ms * self.data_size / self.gpu_cores
        return cpu_ms / 1e3, gpu_ms / 1e3, self.transfer_ms / 1e3


@dataclass(frozen=True)
class ThroughputRule(Rule):
    """The second calculator; its overhead stands where copies do."""

    name = "throughput"
    calculator = "second calculator"
    method = (
        'a public "Python GPU calculation" calculator: FLOP over the CPU\'s rate, against FLOP '
        "over the GPU's peak times a guessed efficiency, plus overhead. Cost of the completed job "
        "on the GPU over the CPU's = price ratio / speed-up."
    )
    work_gflop: float = _asked("Work (GFLOP)", "Floating-point operations of one call, in 1e9.")
    cpu_gflop_per_s: float = _asked(
        "CPU rate (GFLOP/s)", "Sustained; its table has 50 to 500 for a cloud instance."
    )
    gpu_peak_tflop_per_s: float = _asked("GPU peak (TFLOP/s)", "By the data sheet, for this type.")
    efficiency: float = _asked(
        "Efficiency (share of the peak)",
        "It guesses 0.65; what is reached stands above.",
        most=1.0,
        default=GUESSED_EFFICIENCY,
    )
    overhead_s: float = _asked("Overhead (s)", "Copies and starts of kernels.", 0.0, default=0.0)

    @classmethod
    def inputs(cls, case: RuleCase) -> dict[str, float]:
        """Its overhead is that of the copies at the host link's nominal rate."""
        copies = case.gpu["mode"] == "end_to_end"
        return {
            "work_gflop": case.flop / 1e9 or nan,
            "cpu_gflop_per_s": case.cpu["sheet_flop_per_s"] / 1e9,
            "gpu_peak_tflop_per_s": case.gpu["sheet_flop_per_s"] / 1e12,
            "efficiency": GUESSED_EFFICIENCY,
            "overhead_s": case.bus_bytes / (1e9 * case.link_gb_per_s) if copies else 0.0,
        }

    @property
    def times(self) -> tuple[float, float, float]:
        gpu_rate = 1e3 * (self.gpu_peak_tflop_per_s * self.efficiency)
        return self.work_gflop / self.cpu_gflop_per_s, self.work_gflop / gpu_rate, self.overhead_s


_CONVOLUTION = CoresRule(5e6, 3584, 1.5, 8.0, 448.0, 45.0 * 3584 / 5e6, 700.0 * 1.5 / 5e6)
_PRODUCT = CoresRule(1e7, 5120, 2.0, 12.0, 1555.0, 60.0 * 5120 / 1e7, 2750.0 * 2.0 / 1e7)
#: The first calculator's worked examples by operation: its inputs, with the constants that its
#: times without copies imply, its milliseconds of CPU and GPU in all, and its speed-up.
WORKED_EXAMPLES: dict[str, tuple[CoresRule, float, float, float]] = {
    "Convolution": (_CONVOLUTION, 708.0, 53.0, 15.2),
    "Matrix Multiplication": (_PRODUCT, 2750.0, 72.0, 45.8),
}
#: The rules, each with inputs for where nothing fills them in: the first calculator's example,
#: and the middle of the ranges that the second one lists.
RULES: dict[type[Rule], Rule] = {
    CoresRule: _PRODUCT,
    ThroughputRule: ThroughputRule(54.0, 250.0, 20.0),
}
