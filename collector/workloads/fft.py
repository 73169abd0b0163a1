"""Complex Fourier transforms: batches of one-dimensional ones, and two-dimensional ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.workloads.base import (
    ITEM_BYTES,
    UNIT_ROUNDOFF,
    Arrays,
    Check,
    Function,
    GridPoint,
    Params,
    Work,
    Workload,
    points,
    relative_l2,
    sizes,
    uniform,
)

if TYPE_CHECKING:
    from collector.backends.base import Backend

_C64 = ("complex64", "ieee")
_C128 = ("complex128", "ieee")

# powers of two, products of small primes, and (1009, 2003, 10007) primes
_CPU_1D = ((1, 1024), (64, 1024), (100, 1000), (16, 1009), (1, 65_536), (16, 65_536), (1, 100_000))
_CPU_2D = (64, 100, 256, 500, 512, 1000, 1024)
_CUDA_1D = (
    *((64, 1024), (1000, 1000), (1024, 1024), (100, 1009), (16, 65_536), (10, 100_000)),
    *((1024, 4096), (16, 262_144), (1, 5_000_000), (500, 2003)),
)
_CUDA_2D = (64, 256, 500, 512, 1000, 1024, 2048, 3000, 4096)


class Fft(Workload):
    """Transforms in the library's own normalisation (forward, unscaled)."""

    name = "fft"
    summary = "complex FFT, batched 1-D and 2-D, powers of two and not"
    size_meaning = "points of all transforms together"
    signatures = {"batched_1d": {"batch": None, "n": None}, "fft2": {"n": None}}
    support = {
        ("numpy", "cpu"): (_C64, _C128),
        ("torch", "cpu"): (_C64, _C128),
        ("torch", "cuda"): (_C64, _C128),
        ("cupy", "cuda"): (_C64, _C128),
    }

    def size(self, case: str, params: Params) -> int:
        p = self.complete(case, params)
        return p["n"] ** 2 if case == "fft2" else p["batch"] * p["n"]

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        dtypes = self.dtypes(backend, device)
        if not dtypes:
            return
        if suite == "quick":
            modes = ("hot",) if device == "cpu" else ("hot", "resident")
            yield from points("fft2", sizes("n", (100, 512, 1000)), [_C64], modes)
            return
        cpu = device == "cpu"
        batches = [{"batch": b, "n": n} for b, n in (_CPU_1D if cpu else _CUDA_1D)]
        lengths = _CPU_2D if cpu else _CUDA_2D
        if cpu:
            yield from points("batched_1d", batches, [_C64], ("hot",))
            yield from points("fft2", sizes("n", lengths), [_C64, _C128], ("hot",))
            return
        yield from points("batched_1d", batches, [_C64], ("hot",))
        yield from points("fft2", sizes("n", lengths[::2]), [_C128], ("hot",))
        yield from points("fft2", sizes("n", lengths), [_C64], ("hot", "resident"))
        if backend == "torch":
            yield from points("fft2", sizes("n", lengths[:-3]), [_C64], ("cold", "end_to_end"))

    def operation_work(self, case: str, params: Params, dtype: str, backend: str) -> Work:
        """5 N log2 N FLOP for N points (Van Loan 1992); two passes over memory for 2-D.

        The bytes are the least that any algorithm moves: each point read once and written
        once per dimension.
        """
        n = params["n"]
        transforms = 1 if case == "fft2" else params["batch"]
        count = n * n if case == "fft2" else n
        passes = 2 if case == "fft2" else 1
        flop = 5.0 * transforms * count * math.log2(max(count, 2))
        once = float(transforms * count * ITEM_BYTES[dtype])
        return Work(flop, passes * once, passes * once, once, once, passes)

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        n = params["n"]
        return (uniform((n if case == "fft2" else params["batch"], n), dtype, seed),)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        fft = backend.module.fft
        if case == "fft2":
            return lambda x: fft.fft2(x)
        return lambda x: fft.fft(x)

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Shape; a probe v of +-1 with the product of the spectrum and v; eight single bins.

        The spectrum of rows is X = x W with the symmetric Fourier matrix W, so X v = x (W v);
        the two-dimensional one is W' x W, so X v = W' (x (W v)): no large transform is needed.
        The bins follow the defining sum, without any FFT.
        """
        x = inputs[0]
        rows, n = x.shape
        probe = np.random.default_rng(7).choice([-1.0, 1.0], size=(n, 2))
        expected = _times(x, np.fft.fft(probe, axis=0))
        if case == "fft2":
            expected = np.fft.fft(expected, axis=0)
        generator = np.random.default_rng(11)
        bins = []
        for _ in range(8):
            row, column = int(generator.integers(rows)), int(generator.integers(n))
            if case == "fft2":
                value = _twiddle(rows, row) @ _times(x, _twiddle(n, column))
            else:
                value = x[row] @ _twiddle(n, column)
            bins.append((row, column, value))
        return x.shape, probe, expected, bins

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

        A bin's error is relative to the root-mean-square bin. Tolerance 4 log2(N) u, doubled
        for lengths with a large prime factor (Bluestein's algorithm makes two longer ones).
        """
        shape, probe, expected, bins = reference
        if output.shape != shape:
            return Check(math.inf, 0.0)
        rows, n = shape
        count = rows * n if case == "fft2" else n
        errors = [relative_l2(_times(output, probe), expected)]
        rms = math.sqrt(float(np.mean(np.abs(expected) ** 2)) / n)
        errors += [abs(complex(output[row, column]) - value) / rms for row, column, value in bins]
        slack = 2 if _largest_prime_factor(n) > 127 else 1
        tolerance = 4 * math.log2(max(count, 2)) * UNIT_ROUNDOFF[dtype] * slack
        worst = math.nan if np.isnan(errors).any() else max(errors)
        return Check(float(worst), tolerance)


def _times(matrix: np.ndarray[Any, Any], vectors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """matrix @ vectors in complex128, a few rows at a time so that no wide copy is needed."""
    rows = max(1, 2**17 // matrix.shape[1])
    blocks = [
        matrix[start : start + rows].astype(np.complex128) @ vectors
        for start in range(0, len(matrix), rows)
    ]
    return np.concatenate(blocks)


def _twiddle(n: int, frequency: int) -> np.ndarray[Any, Any]:
    """exp(-2 pi i j f / n) for j < n in complex128, the phase reduced before rounding."""
    phase = (np.arange(n) * frequency) % n / n
    twiddle: np.ndarray[Any, Any] = np.exp(-2j * np.pi * phase)
    return twiddle


def _largest_prime_factor(n: int) -> int:
    factor, largest = 2, 1
    while factor * factor <= n:
        while n % factor == 0:
            n //= factor
            largest = factor
        factor += 1
    return max(largest, n)
