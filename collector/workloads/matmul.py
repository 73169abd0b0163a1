"""Matrix product C = A B, the operation that most GPU advice is about."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.errors import SelectionError
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

_DIMENSIONS = ("batch", "m", "n", "k")
_F64 = ("float64", "ieee")
_F32 = ("float32", "ieee")
_TF32 = ("float32", "tf32")
_F16 = ("float16", "ieee")
_BF16 = ("bfloat16", "ieee")

# Sizes that are not multiples of 8 stand beside those that are: 16-bit tensor-core products
# of unaligned dimensions run several times slower, which powers of two never show.
_CPU_SQUARE = (64, 100, 128, 256, 500, 512, 1000, 1024, 1501, 2048, 3000)
_CUDA_SQUARE = (
    *(64, 100, 128, 256, 384, 500, 512, 1000, 1001, 1024, 2000, 2048, 3000, 3001),
    *(4096, 6144, 8192),
)
_LARGEST_END_TO_END = 4096
_SKINNY = ((4096, 16, 4096), (1, 4096, 4096), (8192, 100, 1024))
_LONG_K = ((64, 64, 65536), (256, 256, 32768), (100, 100, 100_000))
_BATCHED = ((256, 64), (64, 250), (32, 512), (1024, 32))


class Matmul(Workload):
    """Square, skinny, long-K and batched products, and two programs at their own sizes."""

    name = "matmul"
    summary = "matrix product, square, skinny, long inner dimension and batched"
    size_meaning = "geometric mean of the dimensions, times the cube root of the batch"
    signatures = {
        "square": {"n": None},
        "skinny": {"m": None, "n": None, "k": None},
        "long_k": {"m": None, "n": None, "k": None},
        "batched": {"batch": None, "n": None},
        "dot_2000_float64": {"n": 2000},
        "x_xt_1000_float32": {"n": 1000},
    }
    support = {
        ("numpy", "cpu"): (_F64, _F32),
        ("torch", "cpu"): (_F64, _F32, _BF16),
        ("torch", "cuda"): (_F64, _F32, _TF32, _F16, _BF16),
        ("cupy", "cuda"): (_F64, _F32, _F16),
    }
    threaded_backends = frozenset({"numpy", "torch"})

    def complete(self, case: str, params: Params) -> dict[str, int]:
        """Canonical parameters batch, m, n, k; a square case may be given by n alone."""
        signature = self.signatures.get(case, {})
        if case in self.signatures and set(params) == set(_DIMENSIONS):
            params = {name: params[name] for name in signature}
        given = super().complete(case, params)
        n = given["n"]
        m, k = given.get("m", n), given.get("k", n)
        return {"batch": given.get("batch", 1), "m": m, "n": n, "k": k}

    def size(self, case: str, params: Params) -> int:
        p = self.complete(case, params)
        return round(math.cbrt(p["batch"] * p["m"] * p["n"] * p["k"]))

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        dtypes = self.dtypes(backend, device)
        if not dtypes:
            return
        if device == "cpu":
            yield from self._cpu_grid(suite, backend, dtypes)
        else:
            yield from self._cuda_grid(suite, backend, dtypes)
        modes = ("hot",) if device == "cpu" else ("hot", "resident", "end_to_end")
        yield from points("dot_2000_float64", [{"n": 2000}], [_F64], modes)
        yield from points("x_xt_1000_float32", [{"n": 1000}], [_F32], modes)

    def _cpu_grid(
        self, suite: str, backend: str, dtypes: tuple[tuple[str, str], ...]
    ) -> Iterator[GridPoint]:
        if suite == "quick":
            wanted = [_F32, _F64] if backend == "numpy" else [_F32]
            kept = [dtype for dtype in dtypes if dtype in wanted]
            yield from points("square", sizes("n", (64, 250, 512, 1000)), kept, ("hot",))
            return
        wide = [dtype for dtype in dtypes if dtype != _BF16]
        yield from points("square", sizes("n", _CPU_SQUARE), wide, ("hot",))
        if _BF16 in dtypes:
            yield from points("square", sizes("n", _CPU_SQUARE[::2]), [_BF16], ("hot",))
        yield from self._other_shapes([_F32], ("hot",))

    def _cuda_grid(
        self, suite: str, backend: str, dtypes: tuple[tuple[str, str], ...]
    ) -> Iterator[GridPoint]:
        if suite == "quick":
            wanted = (_F32, _BF16) if backend == "torch" else (_F32,)
            kept = [dtype for dtype in dtypes if dtype in wanted]
            modes = ("hot", "resident", "end_to_end")
            yield from points("square", sizes("n", (256, 1001, 2048, 4096)), kept, modes)
            return
        chosen = _CUDA_SQUARE if backend == "torch" else _CUDA_SQUARE[1::3]
        for dtype in dtypes:
            for index, n in enumerate(chosen):
                kept_modes = ["hot"]
                if index % 2 == 0:
                    if dtype == _F32:
                        kept_modes.append("cold")
                    kept_modes.append("resident")
                    if dtype in (_F32, _F64) and n <= _LARGEST_END_TO_END:
                        kept_modes.append("end_to_end")
                yield from points("square", sizes("n", (n,)), [dtype], tuple(kept_modes))
        if backend == "torch":
            yield from self._other_shapes([_F32, _BF16], ("hot",))

    def _other_shapes(
        self, dtypes: list[tuple[str, str]], modes: tuple[str, ...]
    ) -> Iterator[GridPoint]:
        for case, shapes in (("skinny", _SKINNY), ("long_k", _LONG_K)):
            params = [dict(zip("mnk", shape, strict=True)) for shape in shapes]
            yield from points(case, params, dtypes, modes)
        batches = [{"batch": batch, "n": n} for batch, n in _BATCHED]
        yield from points("batched", batches, dtypes, modes)

    def operation_work(self, case: str, params: Params, dtype: str, backend: str) -> Work:
        """2 b m n k FLOP; each operand read once and the result written once.

        The program x_xt reads one operand only, as its second one is a view of the first.
        """
        batch, m, n, k = (params[name] for name in _DIMENSIONS)
        item = ITEM_BYTES[dtype]
        operands = m * k if case == "x_xt_1000_float32" else m * k + k * n
        read, written = float(batch * operands * item), float(batch * m * n * item)
        return Work(2.0 * batch * m * n * k, read, written, read, written, 1)

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        p = self.complete(case, params)
        lead = (p["batch"],) if case == "batched" else ()
        a = uniform((*lead, p["m"], p["k"]), dtype, seed)
        if case == "x_xt_1000_float32":
            return (a,)
        return a, uniform((*lead, p["k"], p["n"]), dtype, seed + 1)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        if backend.name not in ("numpy", "torch", "cupy"):
            raise SelectionError(f"matmul has no form for backend {backend.name!r}")
        matmul = backend.module.matmul
        if case == "x_xt_1000_float32":
            return lambda x: matmul(x, x.T)
        return lambda a, b: matmul(a, b)

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Shape of the product, a random probe v of +-1, and A (B v)."""
        a = inputs[0]
        b = inputs[1] if len(inputs) > 1 else np.swapaxes(a, -1, -2)
        probe = np.random.default_rng(7).choice([-1.0, 1.0], size=(b.shape[-1], 2))
        return (*a.shape[:-1], b.shape[-1]), probe, _times(a, _times(b, probe))

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Freivalds' check: ||C v - A (B v)|| / ||A (B v)|| for random v in float64.

        Each element of C enters, at O(n^2) cost; in expectation over v the quotient is the
        relative Frobenius error. Tolerance: 4 u_in + 4 sqrt(K) u_acc + u_out.
        """
        shape, probe, expected = reference
        k = self.complete(case, params)["k"]
        if output.shape != shape:
            return Check(math.inf, 0.0)
        error = relative_l2(_times(output, probe), expected)
        u_in = UNIT_ROUNDOFF["tf32"] if math_mode == "tf32" else UNIT_ROUNDOFF[dtype]
        u_sum = UNIT_ROUNDOFF["float64"] if dtype == "float64" else UNIT_ROUNDOFF["float32"]
        if dtype == "float16":  # libraries may accumulate split parts of K in half precision
            u_sum = UNIT_ROUNDOFF["float16"] / 8
        return Check(error, 4 * u_in + 4 * math.sqrt(k) * u_sum + UNIT_ROUNDOFF[dtype])


def _times(matrix: np.ndarray[Any, Any], vectors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """matrix @ vectors in float64, a few rows at a time so that no float64 copy is needed."""
    if matrix.dtype == np.float64 or matrix.size < 2**18:
        product: np.ndarray[Any, Any] = matrix.astype(np.float64, copy=False) @ vectors
        return product
    if matrix.ndim == 3:
        pairs = zip(
            matrix, np.broadcast_to(vectors, (len(matrix), *vectors.shape[-2:])), strict=True
        )
        return np.stack([_times(part, own) for part, own in pairs])
    rows = max(1, 2**18 // matrix.shape[1])
    blocks = [
        matrix[start : start + rows].astype(np.float64) @ vectors
        for start in range(0, len(matrix), rows)
    ]
    return np.concatenate(blocks)
