"""Scaled dot product attention, full and causal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.jobs import Operation
from collector.workloads._attention_reference import (
    exact_error,
    exact_rows,
    rough_error,
    rough_sums,
)
from collector.workloads._base import (
    Arrays,
    Check,
    Function,
    GridPoint,
    Params,
    Workload,
    points,
    uniform,
)
from collector.workloads._job_memory import JobMemory
from collector.workloads._labels import BATCH, SEQUENCE
from collector.workloads._limits import Limit
from collector.workloads._operations import ATTENTION_KINDS, Measured, attention_sizes
from collector.workloads._products import product_tolerance
from collector.workloads._shape import (
    LEAST_TILE,
    Product,
    Question,
    Shape,
    misalignment,
    product_shape,
)
from collector.workloads._survey import Space
from collector.workloads._types import BF16, F16, F32, ITEM_BYTES
from collector.workloads._work import Count, Floats, Work

if TYPE_CHECKING:
    from collector.backends.base import Backend

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

#: Widths of a head that fused kernels are compiled for: others are padded to the next.
_HEAD_STEP = {2: 32, 4: 64, 8: 1}


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
        ("numpy", "cpu"): (F32,),
        ("torch", "cpu"): (F32,),
        ("torch", "cuda"): (F32, F16, BF16),
        ("cupy", "cuda"): (F32,),
        ("jax", "cpu"): (F32,),
        ("jax", "cuda"): (F32,),
    }
    threaded_backends = frozenset({"numpy", "torch", "jax"})
    case_backends = {"causal": frozenset({"torch", "jax"})}
    rank = 40
    label = "Attention"
    case_labels = {
        "full": "Full",
        "causal": "Causal, no look ahead",
    }
    parameter_labels = {
        "batch": BATCH,
        "heads": ("Heads", "Attention heads."),
        "sequence": SEQUENCE,
        "head_dim": ("Head width", "Values of one head for each token."),
    }
    start_values = {"batch": 8, "heads": 8, "sequence": 512, "head_dim": 64}
    survey = {
        "cuda": (
            Space(
                "full",
                {
                    "batch": (1, 32),
                    "heads": (1, 32),
                    "sequence": (64, 8192),
                    "head_dim": [64, 128, 32, 80, 96],
                },
                {F32: 24, BF16: 24},
            ),
            Space(
                "causal",
                {
                    "batch": (1, 32),
                    "heads": (1, 32),
                    "sequence": (64, 8192),
                    "head_dim": [64, 128, 32],
                },
                {F32: 18, BF16: 18},
            ),
        ),
        "cpu": (
            Space(
                "full",
                {
                    "batch": (1, 8),
                    "heads": (1, 16),
                    "sequence": (32, 1024),
                    "head_dim": [64, 128, 32, 80],
                },
                {F32: 12},
            ),
        ),
    }
    limits = frozenset({Limit.PRODUCTS, Limit.AWKWARD})
    recognised_kinds = ATTENTION_KINDS

    def recognise(self, operation: Operation) -> Measured | None:
        """Fused kernels forward, as many queries, heads and widths as keys, nothing added.

        Their arithmetic does not ask whether products may round to TensorFloat-32.
        """
        sizes = attention_sizes(operation)
        if sizes is None or sizes.bias or sizes.dropout:
            return None
        if (sizes.queries, sizes.heads, sizes.head_dim) != (
            *(sizes.keys, sizes.key_heads),
            sizes.value_dim,
        ):
            return None
        params = {
            "batch": sizes.batch,
            "heads": sizes.heads,
            "sequence": sizes.queries,
            "head_dim": sizes.head_dim,
        }
        case = "causal" if sizes.causal else "full"
        return self.measured(case, params, operation.inputs[0].dtype)

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return params["batch"] * params["heads"] * params["sequence"] ** 2

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        if not self.dtypes(backend, device):
            return
        if suite == "quick":
            if backend == "torch":
                kept = [F32] if device == "cpu" else [F32, BF16]
                yield from points("full", _shapes((_IMAGES,)), kept, ("hot",))
        elif device == "cpu":
            yield from self._cpu_grid(suite, backend)
        else:
            yield from self._cuda_grid(suite, backend)

    def _cpu_grid(self, suite: str, backend: str) -> Iterator[GridPoint]:
        hot = ("hot",)
        if backend == "numpy":
            yield from points("full", _shapes(_CPU_NUMPY), [F32], hot)
        elif backend == "jax":
            yield from points("full", _shapes(_CPU_NUMPY[1:]), [F32], hot)
        else:
            yield from points("full", _shapes((_IMAGES,)), [F32], hot)
            yield from points("causal", _shapes(((1, 16, 1000, 64),)), [F32], hot)
        if suite == "full" and backend == "torch":
            yield from points("full", _shapes((*_CPU_FULL_SUITE, _NARROW)), [F32], hot)
            yield from points("causal", _shapes(_CPU_FULL_SUITE), [F32], hot)

    def _cuda_grid(self, suite: str, backend: str) -> Iterator[GridPoint]:
        hot, resident = ("hot",), ("resident",)
        if backend == "cupy":
            yield from points("full", _shapes((_SHORT, _NARROW, _TEXTS)), [F32], hot)
            return
        if backend == "jax":
            yield from points("full", _shapes((_SHORT, _TEXTS)), [F32], resident)
            yield from points("causal", _shapes((_TEXTS,)), [F32], resident)
            return
        yield from points("full", _shapes((_SHORT,)), [F32, BF16], hot + resident)
        yield from points("full", _shapes((_IMAGES,)), [F32, BF16], hot)
        yield from points("full", _shapes((_TEXTS,)), [F32, F16], hot)
        yield from points("full", _shapes((_TEXTS,)), [BF16], ("hot", "cold", "end_to_end"))
        yield from points("full", _shapes((_WIDE,)), [F32, F16, BF16], hot)
        yield from points("full", _shapes((_LONG,)), [BF16], hot)
        yield from points("causal", _shapes((_SHORT,)), [BF16], hot)
        yield from points("causal", _shapes((_TEXTS, _WIDE)), [F32, BF16], hot)
        yield from points("causal", _shapes((_WIDE,)), [F16], hot)
        yield from points("causal", _shapes((_LONG,)), [BF16], hot)
        if suite == "full":
            yield from points("full", _shapes((_NARROW,)), [F32, F16, BF16], hot)
            yield from points("full", _shapes((_LONG,)), [F16], hot)
            yield from points("causal", _shapes((_NARROW, _IMAGES)), [F32, F16, BF16], hot)

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
        pairs = length * (length + 1) / 2 if case == "causal" else 1.0 * length**2
        once = 1.0 * (ITEM_BYTES[dtype] * batch * heads * length * width)
        scores = 1.0 * (ITEM_BYTES[dtype] * batch * heads * length**2)
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

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """s^2 work; a fused kernel gives each block of queries of each head to one multiprocessor.

        Libraries that write the scores to memory hold up to three arrays of them at a time.
        """
        names = ("batch", "heads", "sequence", "head_dim")
        batch, heads, sequence, width = (params[name] for name in names)
        work = self.operation_work(asked.case, params, asked.dtype, asked.backend)
        moved = work.bytes_read + work.bytes_written
        once = work.h2d_bytes + work.d2h_bytes
        scores = batch * heads * sequence**2 * ITEM_BYTES[asked.dtype]
        fused = asked.backend == "torch" and asked.device == "cuda"
        step = _HEAD_STEP[ITEM_BYTES[asked.dtype]] if fused else 1
        depth = sequence / 2.0 if fused and asked.case == "causal" else sequence
        padded = step * np.ceil(width / step)
        product = Product(batch * heads, sequence, padded, depth)
        if fused:
            product = replace(product, most_pieces=1.0, least_tile=LEAST_TILE)
        return product_shape(
            asked,
            [product],
            serial=padded / width,
            awkward=misalignment(width, asked.dtype),
            fresh=work.bytes_written,
            block=once / 4.0 if asked.backend == "torch" else scores,
            distinct=np.minimum(1.0, (once + 3.0 * scores) / moved),
        )

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
