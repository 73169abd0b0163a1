"""Scaled dot product attention, full and causal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.workloads.attention_reference import exact_error, exact_rows, rough_error, rough_sums
from collector.workloads.base import (
    ITEM_BYTES,
    Arrays,
    Check,
    Function,
    GridPoint,
    Params,
    Workload,
    points,
    uniform,
)
from collector.workloads.job_memory import JobMemory
from collector.workloads.products import product_tolerance
from collector.workloads.work import Count, Work, real

if TYPE_CHECKING:
    from collector.backends.base import Backend

_F32 = ("float32", "ieee")
_F16 = ("float16", "ieee")
_BF16 = ("bfloat16", "ieee")
_NAMES = ("batch", "heads", "sequence", "head_dim")
_ROUGH_LIMIT = 0.25
_ALIGNED_BYTES = 16  # of a head's rows, which fused kernels load

# Sequences of vision transformers (197) and of language models, 1000 and 1001 tokens as real
# texts have them beside powers of two; head_dim 40 as in image diffusion. From small to large.
_CPU_NUMPY = ((1, 4, 128, 64), (1, 8, 500, 64))
_CPU_FULL_SUITE = ((1, 4, 128, 64), (1, 16, 2048, 64))
_SHORT = (1, 8, 128, 64)
_IMAGES = (8, 12, 197, 64)
_TEXTS = (4, 16, 1000, 64)
_WIDE = (1, 16, 2048, 128)
_LONG = (1, 8, 8192, 64)
_NARROW = (2, 8, 1001, 40)


class Attention(Workload):
    """softmax(Q K^T / sqrt(head_dim)) V for each head, without mask or dropout.

    Case causal lets each query see the keys up to its own position. Operands are (batch, heads,
    sequence, head_dim); JAX wants heads behind the sequence and gets them so.
    """

    name = "attention"
    summary = "scaled dot product attention, full and causal"
    size_meaning = "scores (batch x heads x sequence squared)"
    signatures = {"full": dict.fromkeys(_NAMES), "causal": dict.fromkeys(_NAMES)}
    support = {
        ("numpy", "cpu"): (_F32,),
        ("torch", "cpu"): (_F32,),
        ("torch", "cuda"): (_F32, _F16, _BF16),
        ("cupy", "cuda"): (_F32,),
        ("jax", "cpu"): (_F32,),
        ("jax", "cuda"): (_F32,),
    }
    threaded_backends = frozenset({"numpy", "torch", "jax"})
    case_backends = {"causal": frozenset({"torch", "jax"})}

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return params["batch"] * params["heads"] * params["sequence"] ** 2

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        if not self.dtypes(backend, device):
            return
        if suite == "quick":
            if backend == "torch":
                kept = [_F32] if device == "cpu" else [_F32, _BF16]
                yield from points("full", _shapes((_IMAGES,)), kept, ("hot",))
        elif device == "cpu":
            yield from self._cpu_grid(suite, backend)
        else:
            yield from self._cuda_grid(suite, backend)

    def _cpu_grid(self, suite: str, backend: str) -> Iterator[GridPoint]:
        hot = ("hot",)
        if backend == "numpy":
            yield from points("full", _shapes(_CPU_NUMPY), [_F32], hot)
        elif backend == "jax":
            yield from points("full", _shapes(_CPU_NUMPY[1:]), [_F32], hot)
        else:
            yield from points("full", _shapes((_IMAGES,)), [_F32], hot)
            yield from points("causal", _shapes(((1, 16, 1000, 64),)), [_F32], hot)
        if suite == "full" and backend == "torch":
            yield from points("full", _shapes((*_CPU_FULL_SUITE, _NARROW)), [_F32], hot)
            yield from points("causal", _shapes(_CPU_FULL_SUITE), [_F32], hot)

    def _cuda_grid(self, suite: str, backend: str) -> Iterator[GridPoint]:
        hot, resident = ("hot",), ("resident",)
        if backend == "cupy":
            yield from points("full", _shapes((_SHORT, _NARROW, _TEXTS)), [_F32], hot)
            return
        if backend == "jax":
            yield from points("full", _shapes((_SHORT, _TEXTS)), [_F32], resident)
            yield from points("causal", _shapes((_TEXTS,)), [_F32], resident)
            return
        yield from points("full", _shapes((_SHORT,)), [_F32, _BF16], hot + resident)
        yield from points("full", _shapes((_IMAGES,)), [_F32, _BF16], hot)
        yield from points("full", _shapes((_TEXTS,)), [_F32, _F16], hot)
        yield from points("full", _shapes((_TEXTS,)), [_BF16], ("hot", "cold", "end_to_end"))
        yield from points("full", _shapes((_WIDE,)), [_F32, _F16, _BF16], hot)
        yield from points("full", _shapes((_LONG,)), [_BF16], hot)
        yield from points("causal", _shapes((_SHORT,)), [_BF16], hot)
        yield from points("causal", _shapes((_TEXTS, _WIDE)), [_F32, _BF16], hot)
        yield from points("causal", _shapes((_WIDE,)), [_F16], hot)
        yield from points("causal", _shapes((_LONG,)), [_BF16], hot)
        if suite == "full":
            yield from points("full", _shapes((_NARROW,)), [_F32, _F16, _BF16], hot)
            yield from points("full", _shapes((_LONG,)), [_F16], hot)
            yield from points("causal", _shapes((_NARROW, _IMAGES)), [_F32, _F16, _BF16], hot)

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """Two products of 2 d FLOP for each pair of query and key: 4 b h s^2 d.

        Causal attention has s (s + 1) / 2 pairs instead of s^2; a library that computes all and
        then discards is not credited with them. The softmax, a few FLOP a pair, is not counted,
        and neither counts torch's own counter it (which takes causal attention for full).

        Bytes: operands read once, the result written once. torch keeps the scores in its kernel
        (flash or memory-efficient attention, 1 kernel) and moves no others; it falls back to
        separate products only where no fused kernel takes the operands. numpy and cupy write
        the scores 5 times and read them 7 times, in 8 calls: product, division, largest of a
        row, difference, exp, sum of a row, division, product. JAX's compiler makes one pass of
        the softmax: 2 writings, 2 readings, 3 kernels.
        """
        batch, heads, length, width = (params[name] for name in _NAMES)
        pairs = length * (length + 1) / 2 if case == "causal" else real(length**2)
        once = real(ITEM_BYTES[dtype] * batch * heads * length * width)
        scores = real(ITEM_BYTES[dtype] * batch * heads * length**2)
        written, read, kernels = {"torch": (0, 0, 1), "jax": (2, 2, 3)}.get(backend, (5, 7, 8))
        return Work(
            4.0 * batch * heads * pairs * width,
            3 * once + read * scores,
            once + written * scores,
            3 * once,
            once,
            kernels,
        )

    def measuring_bytes(self, case: str, params: Params, dtype: str, backend: str) -> float:
        """Operands and result twice; the scores too, but for fused kernels.

        numpy, cupy and jax hold three arrays of scores at once. torch holds two for float32, if
        it falls back to separate products; its 16-bit kernels are fused (on GPUs from Ampere
        on), and need no scores.
        """
        p = self.complete(case, params)
        once = float(ITEM_BYTES[dtype] * math.prod(p.values()))
        scores = float(ITEM_BYTES[dtype] * self.size(case, params))
        held = 3 if backend != "torch" else 2 if dtype == "float32" else 0
        return 8 * once + held * scores

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Operands and result; scores only where they are written out.

        torch's fused kernels (flash, memory-efficient, and that of CPUs) hold no scores. On a GPU
        they take heads whose rows are multiples of 16 bytes: 16-bit operands and results are
        padded to that, float32 ones fall back to separate products, which hold the scores and
        their softmax beside scaled operands (ATen/native/transformers, sdp_utils.cpp). NumPy and
        CuPy hold scores, differences and powers at once, XLA two of them or three.
        """
        item = ITEM_BYTES[dtype]
        once = float(item * math.prod(params.values()))
        scores = float(item * self.size(case, params))
        if backend == "jax":
            return JobMemory(4 * once + 2 * scores, 4 * once + 3 * scores)
        if backend != "torch":
            return JobMemory(4 * once + 3 * scores, 4 * once + 3 * scores)
        width = params["head_dim"]
        missing = -width % (_ALIGNED_BYTES // item) if device == "cuda" else 0
        if missing and item == 4:
            return JobMemory(6 * once + 2 * scores, 6 * once + 3 * scores)
        own = 3 * once + 4 * once * (1.0 + missing / width) if missing else 4 * once
        return JobMemory(own, own)

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """Queries, keys and values; their scores have a standard deviation of 1/3."""
        shape = tuple(params[name] for name in _NAMES)
        return tuple(uniform(shape, dtype, seed + index) for index in range(3))

    def host_operands(self, backend: Backend, inputs: Arrays, dtype: str) -> tuple[Any, ...]:
        if backend.name == "jax":
            inputs = tuple(np.ascontiguousarray(array.swapaxes(1, 2)) for array in inputs)
        return super().host_operands(backend, inputs, dtype)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        causal = case == "causal"
        if backend.name == "torch":
            attention = backend.module.nn.functional.scaled_dot_product_attention
            return lambda q, k, v: attention(q, k, v, is_causal=causal)
        if backend.name == "jax":
            import jax

            return backend.compile(
                lambda q, k, v: jax.nn.dot_product_attention(q, k, v, is_causal=causal)
            )
        if causal or backend.name not in ("numpy", "cupy"):
            raise NotImplementedError(f"attention {case} has no form for backend {backend.name}")
        return _separate_products(backend, params["head_dim"])

    def fetch(self, backend: Backend, output: Any) -> Any:
        array = backend.to_numpy(output)
        return array.swapaxes(1, 2) if backend.name == "jax" else array

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Sampled rows of each head in float64, and all rows to first order in the scores."""
        q, k, v = (array.reshape(-1, *array.shape[2:]) for array in inputs)
        exact = exact_rows(q, k, v, case == "causal")
        if exact.rows.shape[1] >= q.shape[1]:
            return exact, None
        return exact, rough_sums(q, k, v, case == "causal")

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Sampled query rows of each batch and head, the worst one counting; the others roughly.

        Tolerance of the sampled rows: 4 u_in + 4 sqrt(K) u_acc + u_out with K = sequence +
        head_dim, the products on an element's way. Between them, 32 rows in a line may be off
        the first-order value by 0.25 of the size of a sum of random values: right results are
        off by 0.1 to 0.15, exchanged rows by 0.3 and more, zeros by at least as much.
        """
        exact, rough = reference
        if output.shape != tuple(params[name] for name in _NAMES):
            return Check(math.inf, 0.0)
        heads = output.reshape(-1, *output.shape[2:])
        terms = params["sequence"] + params["head_dim"]
        tolerance = product_tolerance(terms, dtype, math_mode)
        if rough is not None and not rough_error(rough, heads) <= _ROUGH_LIMIT:
            return Check(math.inf, tolerance)
        return Check(exact_error(exact, heads), tolerance)


def _separate_products(backend: Backend, head_dim: int) -> Function:
    """What numpy's and cupy's users write out."""
    module, root = backend.module, math.sqrt(head_dim)

    def attention(q: Any, k: Any, v: Any) -> Any:
        scores = module.matmul(q, k.swapaxes(-1, -2)) / root
        weights = module.exp(scores - scores.max(axis=-1, keepdims=True))
        return module.matmul(weights / weights.sum(axis=-1, keepdims=True), v)

    return attention


def _shapes(shapes: tuple[tuple[int, ...], ...]) -> list[dict[str, int]]:
    return [dict(zip(_NAMES, shape, strict=True)) for shape in shapes]
