"""Fourier transforms, complex and of real numbers: batches of vectors, images, one volume."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.jobs import Operation
from collector.workloads._base import (
    Arrays,
    Check,
    Function,
    GridPoint,
    Params,
    Workload,
    points,
    sizes,
    uniform,
)
from collector.workloads._job_memory import JobMemory
from collector.workloads._labels import Label
from collector.workloads._limits import Limit
from collector.workloads._operations import Measured, contiguous
from collector.workloads._products import relative_l2
from collector.workloads._projection import probe, projected, times
from collector.workloads._shape import Question, Shape
from collector.workloads._survey import Space
from collector.workloads._transforms import transform_shape
from collector.workloads._types import C64, C128, ITEM_BYTES, UNIT_ROUNDOFF
from collector.workloads._work import Count, Floats, Work

if TYPE_CHECKING:
    from collector.backends.base import Backend

# powers of two, products of small primes, and primes (1009, 2003, 10007)
_CPU_1D = ((1, 1024), (64, 1024), (100, 1000), (16, 1009), (1, 65_536), (16, 65_536), (10, 10_007))
_CPU_1D_JAX = ((100, 1000), (16, 65_536))
_CPU_2D: tuple[int, ...] = (64, 100, 256, 500, 512, 1000, 1024)
_CUDA_1D = (
    *((64, 1024), (1000, 1000), (1024, 1024), (100, 1009), (16, 65_536), (10, 100_000)),
    *((1024, 4096), (16, 262_144), (1, 5_000_000), (500, 10_007)),
)
_CUDA_2D = (64, 256, 500, 512, 1000, 1024, 2048, 3000, 4096)
_CUDA_2D_JAX = (500, 1024, 3000)
# of real numbers, and volumes: as scripts have them, in float64
_CPU_REAL_1D = ((1, 100), (1, 1000), (100, 1000), (1, 1_000_000))
_CUDA_REAL_1D = ((1, 1000), (100, 1000), (1, 1_000_000), (16, 262_144))
_CPU_REAL_2D: tuple[int, ...] = (64, 500, 1024)
_CUDA_REAL_2D: tuple[int, ...] = (64, 500, 1024, 4096)
_CPU_3D: tuple[int, ...] = (16, 64, 100)
_CUDA_3D: tuple[int, ...] = (32, 100, 256)
_SINGLE_BINS = 8
_LARGEST_DIRECT_PRIME = 127

#: case -> dimensions that are transformed; and the types of real numbers
_DIMENSIONS = {"batched_1d": 1, "fft2": 2, "real_1d": 1, "real_2d": 2, "fft_3d": 3}
_REAL = ("real_1d", "real_2d")
_REAL_TYPES = {"complex64": "float32", "complex128": "float64"}
_IMAGE_SIDE: Label = ("Side of the image", "Height and width of the transformed image.")


class Fft(Workload):
    """Transforms in the library's own normalisation (forward, unscaled).

    Of real numbers the element type is that of the result, and the library returns the half of
    it that is not the conjugate of another.
    """

    name = "fft"
    summary = "FFT, complex and real, batched 1-D, 2-D and 3-D, powers of two and not"
    size_meaning = "points of all transforms together"
    signatures = {
        "batched_1d": {"batch": None, "n": None},
        "fft2": {"n": None},
        "real_1d": {"batch": None, "n": None},
        "real_2d": {"n": None},
        "fft_3d": {"n": None},
    }
    support = {
        ("numpy", "cpu"): (C64, C128),
        ("torch", "cpu"): (C64, C128),
        ("jax", "cpu"): (C64, C128),
        ("torch", "cuda"): (C64, C128),
        ("cupy", "cuda"): (C64, C128),
        ("jax", "cuda"): (C64, C128),
    }
    threaded_backends = frozenset({"torch", "jax"})
    rank = 120
    label = "Fourier transform"
    case_labels = {
        "batched_1d": "Many vectors",
        "fft2": "One square image",
        "real_1d": "Many vectors of real numbers",
        "real_2d": "One square image of real numbers",
        "fft_3d": "One cubic volume",
    }
    parameter_labels = {
        "batch": ("Transforms", "Vectors that one call transforms."),
        "n": ("Points of a transform", "Length of each transformed vector."),
    }
    labels_of_cases = {
        "fft2": {"n": _IMAGE_SIDE},
        "real_2d": {"n": _IMAGE_SIDE},
        "fft_3d": {"n": ("Side of the volume", "Points of the volume in each direction.")},
    }
    start_values = {"batch": 64, "n": 1024}
    survey = {
        "cuda": (
            Space("batched_1d", {"batch": (1, 4096), "n": (64, 1_000_000)}, {C64: 60, C128: 30}),
            Space("fft2", {"n": (32, 4096)}, {C64: 30, C128: 16}),
            Space("real_1d", {"batch": (1, 2048), "n": (64, 1_000_000)}, {C128: 15, C64: 6}),
            Space("real_2d", {"n": (32, 4096)}, {C128: 12, C64: 6}),
            Space("fft_3d", {"n": (8, 256)}, {C128: 9}),
        ),
        "cpu": (
            Space("batched_1d", {"batch": (1, 1024), "n": (64, 300_000)}, {C64: 24, C128: 12}),
            Space("fft2", {"n": (16, 1500)}, {C64: 14, C128: 7}),
            Space("real_1d", {"batch": (1, 512), "n": (16, 300_000)}, {C128: 12, C64: 4}),
            Space("real_2d", {"n": (16, 1500)}, {C128: 8, C64: 3}),
            Space("fft_3d", {"n": (8, 128)}, {C128: 7}),
        ),
    }
    limits = frozenset({Limit.SCATTERED, Limit.TRANSFORMS, Limit.AWKWARD})
    nvidia_library = "cufft"
    recognised_kinds = frozenset({"_fft_c2c"})
    unordered = frozenset(
        {"fft2", "real_2d", "fft_3d"}
    )  # twice a prime is far quicker than the prime

    def recognise(self, operation: Operation) -> Measured | None:
        """Complex transforms of the last dimension, or of one square image, not scaled.

        PyTorch scales by a kernel of its own.
        """
        if not operation.inputs or not operation.inputs[0].shape:
            return None
        x, dims = operation.inputs[0], operation.attribute("dim", (-1,))
        if not contiguous(x) or operation.attribute("normalization", 0) != 0:
            return None
        sides = len(x.shape)
        places = {int(dim) % sides for dim in dims} if isinstance(dims, tuple) else set()
        n = x.shape[-1]
        if places == {sides - 1}:
            return self.measured("batched_1d", {"batch": x.count // max(n, 1), "n": n}, x.dtype)
        if places == {sides - 2, sides - 1} and x.count == n * n == x.shape[-2] ** 2:
            return self.measured("fft2", {"n": n}, x.dtype)
        return None

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        n, dimensions = params["n"], _DIMENSIONS[case]
        return params["batch"] * n if dimensions == 1 else n**dimensions

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        if not self.dtypes(backend, device) or (suite == "quick" and backend == "jax"):
            return  # JAX takes longer to start and to compile than its quick cells would
        if suite == "quick":
            yield from points("fft2", sizes("n", (100, 512)), [C64], ("hot",))
            modes = ("hot",) if device == "cpu" else ("hot", "resident")
            yield from points("fft2", sizes("n", (1000,)), [C64], modes)
        elif device == "cpu":
            yield from _cpu_grid(suite, backend)
        elif backend == "jax":
            yield from points("batched_1d", _batches(_CUDA_1D[1:5:3]), [C64], ("resident",))
            modes = ("resident", "end_to_end")
            yield from points("fft2", sizes("n", _CUDA_2D_JAX), [C64], modes)
        else:
            yield from _cuda_grid(suite, backend)

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """5 N log2 N FLOP for N points (Van Loan 1992), half of that where they are real.

        The bytes are the least that any algorithm moves: each point read once and written
        once per dimension, of real numbers half of each result.
        """
        n, dimensions = params["n"], _DIMENSIONS[case]
        transforms = params["batch"] if dimensions == 1 else n // n
        count = n**dimensions
        flop = 5.0 * transforms * count * np.log2(np.maximum(1.0 * count, 2.0))
        result = 1.0 * (_returned(case, params) * ITEM_BYTES[dtype])
        operand = 1.0 * (transforms * count * ITEM_BYTES[dtype])
        if case in _REAL:
            flop, operand = flop / 2.0, operand / 2.0
        read = operand + (dimensions - 1) * result
        return Work(flop, read, dimensions * result, operand, result, dimensions)

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Operand and result; cuFFT's work area; NumPy's first pass of two dimensions.

        The work area of cuFFT is as large as the data where one kernel does not hold a transform
        (an H200: of 1,048,576 points, not of 10,000 nor of images of 4096 x 4096), and up to
        eight times that in the worst case (cuFFT's manual, on cufftPlanMany), which are lengths
        of large primes (10,007 points: four times). NumPy multiplies by a float64 factor, so that
        complex64 goes through whole copies of complex128 (2.4), of real numbers as well.
        """
        own = super().operation_memory(case, params, dtype, backend, device).bytes
        data = own / 2.0
        if device == "cuda":
            direct = max(_prime_factors(params["n"]), default=2) <= _LARGEST_DIRECT_PRIME
            return JobMemory(own, own + (1.0 if direct else 8.0) * data)
        if backend != "numpy":
            return JobMemory(own, own + data)
        own += (data if _DIMENSIONS[case] > 1 else 0.0) + (
            4 * data if dtype == "complex64" else 0.0
        )
        return JobMemory(own, own)

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """Passes over memory and arithmetic of the algorithm that the length's factors allow.

        Bluestein's algorithm makes a transform of a large prime from two of about twice the length,
        between two products by a chirp. Awkward: 0 for powers of two, 1/2 for all others.
        """
        case, points = asked.case, self.principal_size(asked.case, params)
        returned = _returned(case, params)
        return transform_shape(asked, params["n"], points, returned, _DIMENSIONS[case])

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        n, dimensions = params["n"], _DIMENSIONS[case]
        shape = (params["batch"], n) if dimensions == 1 else (n,) * dimensions
        return (uniform(shape, _REAL_TYPES[dtype] if case in _REAL else dtype, seed),)

    def host_operands(self, backend: Backend, inputs: Arrays, dtype: str) -> tuple[Any, ...]:
        """Real numbers stay real."""
        return tuple(
            backend.host(x, dtype if x.dtype.kind == "c" else _REAL_TYPES[dtype]) for x in inputs
        )

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        fft = backend.module.fft
        name = _FUNCTIONS[case]
        return backend.compile(lambda x: getattr(fft, name)(x))

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Shape; the product of the spectrum and the probe v; eight single bins.

        The spectrum of rows is X = x W with the symmetric Fourier matrix W, so X v = x (W v);
        of more dimensions the others are transformed after that: no large transform is needed.
        Of real numbers X has the first columns only, as if v went on with zeros.
        The bins follow the defining sum, without any FFT. One pass over x makes all of them.
        """
        x = inputs[0]
        n, dimensions = x.shape[-1], _DIMENSIONS[case]
        shape = (*x.shape[:-1], n // 2 + 1 if case in _REAL else n)
        bins = _bins(shape)
        weights = np.zeros(n)
        weights[: shape[-1]] = probe(shape[-1])[:, 0]
        transformed = np.fft.fft(weights)[:, None]
        if dimensions == 1:
            values = [_single_bin(x[row], column) for row, column in bins]
            return shape, times(x, transformed), np.array(values)
        columns = [_twiddle(n, place[-1])[:, None] for place in bins]
        sums = times(x, np.hstack([transformed, *columns]))
        axes = tuple(range(dimensions - 1))
        values = [
            _bin_of_others(sums[..., 1 + index], place[:-1]) for index, place in enumerate(bins)
        ]
        return shape, np.fft.fftn(sums[..., :1], axes=axes), np.array(values)

    def fetch(self, backend: Backend, output: Any) -> Any:
        """Shape of the spectrum X, X v in complex128, and single bins: what the check needs."""
        shape = tuple(output.shape)
        if len(shape) not in (2, 3):
            return shape, None, None
        if backend.name == "jax":  # would compile each step
            output = backend.to_numpy(output)
        values = [complex(backend.to_numpy(output[place])) for place in _bins(shape)]
        return shape, projected(backend, output), np.array(values)

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Relative L2 error of X v, in which each point enters, and of single bins.

        A bin's error is relative to the root-mean-square bin. Tolerance: ``_rounding`` times u.
        """
        shape, expected, bins = reference
        actual_shape, product, actual_bins = output
        if actual_shape != shape:
            return Check(math.inf, 0.0)
        # of bins that are alike in size, |X v|^2 is |v|^2 times the mean square of a bin
        rms = math.sqrt(
            float(np.mean(np.abs(expected) ** 2)) / float(np.sum(probe(shape[-1]) ** 2))
        )
        errors = [relative_l2(product, expected), *(np.abs(actual_bins - bins) / rms)]
        stages = _DIMENSIONS[case] * _rounding(params["n"])
        tolerance = stages * UNIT_ROUNDOFF[dtype]
        worst = math.nan if np.isnan(errors).any() else max(errors)
        return Check(float(worst), tolerance)


#: case -> the libraries' function
_FUNCTIONS = {
    **{"batched_1d": "fft", "fft2": "fft2", "fft_3d": "fftn"},
    **{"real_1d": "rfft", "real_2d": "rfft2"},
}


def _returned(case: str, params: Mapping[str, Any]) -> Any:
    """Elements of the result: of real numbers half of each row and one more."""
    n, dimensions = params["n"], _DIMENSIONS[case]
    rows = params["batch"] if dimensions == 1 else n ** (dimensions - 1)
    return rows * (n // 2 + 1 if case in _REAL else n)


def _cpu_grid(suite: str, backend: str) -> Iterator[GridPoint]:
    if backend == "jax":
        yield from points("batched_1d", _batches(_CPU_1D_JAX), [C64], ("hot",))
        yield from points("fft2", sizes("n", (500, 1024)), [C64], ("hot",))
        return
    few, wide = _CPU_2D[::2], _CPU_2D[2::4]
    if suite == "full":
        few = wide = _CPU_2D
    yield from points("batched_1d", _batches(_CPU_1D), [C64], ("hot",))
    yield from points("fft2", sizes("n", few), [C64], ("hot",))
    yield from points("fft2", sizes("n", wide), [C128], ("hot",))
    if backend == "numpy" or suite == "full":
        yield from points("batched_1d", _batches(_CPU_1D[:5:2]), [C128], ("hot",))
        yield from points("real_1d", _batches(_CPU_REAL_1D), [C128], ("hot",))
        yield from points("fft_3d", sizes("n", _CPU_3D), [C128], ("hot",))
    few = _CPU_REAL_2D if backend == "numpy" or suite == "full" else _CPU_REAL_2D[1:2]
    yield from points("real_2d", sizes("n", few), [C128], ("hot",))


def _cuda_grid(suite: str, backend: str) -> Iterator[GridPoint]:
    torch, full = backend == "torch", suite == "full"
    batches = _batches(_CUDA_1D if torch or full else _CUDA_1D[::2])
    yield from points("batched_1d", batches, [C64], ("hot",))
    yield from points("fft2", sizes("n", _CUDA_2D[:: 1 if full else 3]), [C128], ("hot",))
    for index, n in enumerate(_CUDA_2D if torch or full else _CUDA_2D[::2]):
        modes: tuple[str, ...] = ("hot",)
        if index % 3 == 1 or full:
            modes = ("hot", "cold", "resident", "end_to_end") if torch else ("hot", "resident")
        yield from points("fft2", sizes("n", (n,)), [C64], modes)
    every = slice(0, None) if backend == "cupy" or full else slice(1, None, 2)
    real = _batches(_CUDA_REAL_1D)[every]
    yield from points("real_1d", real, [C128], ("hot",))
    yield from points("real_2d", sizes("n", _CUDA_REAL_2D[every]), [C128], ("hot",))
    yield from points("fft_3d", sizes("n", _CUDA_3D[every]), [C128], ("hot",))


def _batches(pairs: tuple[tuple[int, int], ...]) -> list[dict[str, int]]:
    return [{"batch": batch, "n": n} for batch, n in pairs]


def _bins(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Places of the bins that are checked alone."""
    generator = np.random.default_rng(11)
    return [tuple(int(generator.integers(n)) for n in shape) for _ in range(_SINGLE_BINS)]


def _bin_of_others(sums: np.ndarray[Any, Any], place: tuple[int, ...]) -> complex:
    """A bin of what is left when the last dimension is transformed, by the defining sum."""
    for frequency in place:
        sums = np.tensordot(_twiddle(len(sums), frequency), sums, axes=1)
    return complex(sums)


def _single_bin(values: np.ndarray[Any, Any], frequency: int) -> complex:
    """sum_j x_j exp(-2 pi i j f / n) in complex128, with j = a w + b and w about sqrt(n).

    The factor is a product of one of a and one of b, so that 2 sqrt(n) exponentials suffice.
    """
    n = len(values)
    width = math.isqrt(n - 1) + 1
    rows = -(-n // width)
    padded = np.zeros(rows * width, np.complex128)
    padded[:n] = values
    inner = padded.reshape(rows, width) @ _twiddle(n, frequency, width)
    return complex(_twiddle(n, frequency * width % n, rows) @ inner)


def _twiddle(n: int, frequency: int, count: int | None = None) -> np.ndarray[Any, Any]:
    """exp(-2 pi i j f / n) for j < count (n), complex128, the phase reduced before rounding."""
    phase = (np.arange(n if count is None else count) * frequency) % n / n
    twiddle: np.ndarray[Any, Any] = np.exp(-2j * np.pi * phase)
    return twiddle


def _rounding(n: int) -> float:
    """Rounding error of a transform of n points in units of u, at most.

    4 for each factor 2, and 1.06 (2 p)^(3/2) for each other prime factor p, as a transform of p
    points is then a sum of p terms (Gentleman and Sande 1966, "Fast Fourier transforms: for fun
    and profit", section on rounding). Primes above 127 go through two transforms of more than
    twice the length (Bluestein), with twice the error of powers of two.
    """
    factors = _prime_factors(n)
    if max(factors, default=2) > _LARGEST_DIRECT_PRIME:
        return 8 * math.log2(n)
    return sum(4.0 if p == 2 else 1.06 * (2 * p) ** 1.5 for p in factors) or 4.0


def _prime_factors(n: int) -> list[int]:
    """With multiplicity, from small to large."""
    factor, factors = 2, []
    while factor * factor <= n:
        while n % factor == 0:
            n //= factor
            factors.append(factor)
        factor += 1
    return factors if n == 1 else [*factors, n]
