"""Matrix product C = A B, the operation that most GPU advice is about."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.errors import SelectionError
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
from collector.workloads._limits import Limit
from collector.workloads._operations import PRODUCT_KINDS, Measured, product_sizes
from collector.workloads._products import product_tolerance, relative_l2, rounded_cube_root
from collector.workloads._projection import probe, projected, times
from collector.workloads._shape import (
    Product,
    Question,
    Shape,
    common_divisor,
    misalignment,
    product_shape,
)
from collector.workloads._survey import Choice, Range, Space
from collector.workloads._types import BF16, F16, F32, F64, INT8, ITEM_BYTES, PRODUCT_TYPES, TF32
from collector.workloads._work import Count, Floats, Work, product

if TYPE_CHECKING:
    from collector.backends.base import Backend

_DIMENSIONS = ("batch", "m", "n", "k")

# Sizes that are not multiples of 8 stand beside those that are: 16-bit tensor-core products
# of unaligned dimensions run several times slower, which powers of two never show.
_CPU_SQUARE = (64, 100, 128, 256, 500, 512, 1000, 1024, 1501, 2048, 3000)
_CPU_SQUARE_F64 = {"numpy": (64, 256, 500, 1024, 2048), "torch": (100, 1000)}
_CPU_SQUARE_JAX = (64, 256, 1000, 2048)
_CUDA_SQUARE = (
    *(64, 100, 128, 256, 384, 500, 512, 1000, 1001, 1024, 2000, 2048, 3000, 3001),
    *(4096, 6144, 8192),
)
_CUDA_SQUARE_FEW = {
    ("cupy", "float32"): (100, 384, 1001, 2000, 4096, 6144),
    ("cupy", "float64"): (384, 1001, 4096),
    ("cupy", "float16"): (384, 1001, 4096),
    ("jax", "float32"): (256, 1001, 2048, 4096),
    ("jax", "bfloat16"): (1001, 4096),
}
_LARGEST_END_TO_END = 4096
_SKINNY: tuple[tuple[int, ...], ...] = ((4096, 16, 4096), (1, 4096, 4096), (8192, 100, 1024))
# m, n, k as scripts multiply vectors, in float64: a matrix by one, and one by another
_CPU_VECTORS = ((1, 1, 100), (3, 1, 3), (100, 1, 100), (1, 1, 1_000_000), (2000, 1, 2000))
_CUDA_VECTORS = ((100, 1, 100), (1, 1, 1_000_000), (1000, 1, 1000), (10_000, 1, 10_000))
_LONG_K: tuple[tuple[int, ...], ...] = ((64, 64, 65536), (256, 256, 32768), (100, 100, 100_000))
_BATCHED: tuple[tuple[int, int], ...] = ((256, 64), (64, 250), (32, 512), (1024, 32))
# batch, m, n, k as attention multiplies: scores, their mixture of values, one query (decoding),
# and odd windows of a vision model
_CPU_BATCHED: tuple[tuple[int, ...], ...] = ((12, 197, 197, 64), (12, 1, 1000, 64))
_CUDA_BATCHED: tuple[tuple[int, ...], ...] = (
    *((64, 1000, 1000, 64), (128, 2048, 64, 2048), (512, 1, 2048, 128), (1024, 49, 49, 30)),
)
_INT8_SIZES = {"cpu": (500, 1000), "cuda": (512, 1000, 4096)}

# attention's products: queries by keys, one head's width deep, and their mixture of values; of
# all queries and of few (decoding), at sequences that are powers of two and that are not
_QUERIES, _KEYS, _WIDTHS = [2048, 64, 197, 1, 1000, 128, 512], [2048, 1000, 197, 512], [64, 128, 80]
_ATTENTION: tuple[dict[str, Range | Choice], ...] = (
    {"batch": (8, 1024), "m": _QUERIES, "n": _KEYS, "k": _WIDTHS},
    {"batch": (8, 1024), "m": _QUERIES, "n": _WIDTHS, "k": _KEYS},
)


class Matmul(Workload):
    """Square, skinny, long-K and batched products, and two programs at their own sizes."""

    name = "matmul"
    summary = "matrix product, square, skinny, long inner dimension and batched"
    size_meaning = "geometric mean of the dimensions, times the cube root of the batch"
    signatures = {
        "square": {"n": None},
        "skinny": {"m": None, "n": None, "k": None},
        "long_k": {"m": None, "n": None, "k": None},
        "batched": dict.fromkeys(_DIMENSIONS),
        "int8_square": {"n": None},
        "dot_2000_float64": {"n": 2000},
        "x_xt_1000_float32": {"n": 1000},
    }
    short_forms = {"batched": {"m": "n", "k": "n"}}
    canonical_names = _DIMENSIONS
    support = {
        ("numpy", "cpu"): (F64, F32),
        ("torch", "cpu"): (F64, F32, BF16, INT8),
        ("jax", "cpu"): (F64, F32, BF16),
        ("torch", "cuda"): (F64, F32, TF32, F16, BF16, INT8),
        ("cupy", "cuda"): (F64, F32, F16),
        ("jax", "cuda"): (F64, F32, TF32, F16, BF16),
    }
    threaded_backends = frozenset({"numpy", "torch", "jax"})
    case_backends = {"int8_square": frozenset({"torch"})}
    case_dtypes = {
        **dict.fromkeys(
            ("square", "skinny", "long_k", "batched", "dot_2000_float64", "x_xt_1000_float32"),
            frozenset({"float64", "float32", "float16", "bfloat16"}),
        ),
        "int8_square": frozenset({"int8"}),
    }
    rank = 10
    label = "Matrix product"
    case_labels = {
        "square": "Two square matrices",
        "skinny": "Any three dimensions",
        "long_k": "Long inner dimension",
        "batched": "Many small products",
        "int8_square": "Square, 8-bit whole numbers",
        "dot_2000_float64": "numpy.dot of 2000 x 2000",
        "x_xt_1000_float32": "x times its transpose",
    }
    case_help = "Which shapes are multiplied. Skinny and long products use less of a GPU."
    parameter_labels = {
        "n": ("Rows and columns", "Rows and columns of both square matrices."),
        "batch": ("Products", "Pairs of matrices that one call multiplies."),
        "m": ("Rows of the first", "Rows of the first matrix and of the result."),
        "k": ("Inner dimension", "Columns of the first matrix, rows of the second."),
    }
    labels_of_cases = {
        "skinny": {"n": ("Columns of the second", "Columns of the second matrix and the result.")},
        "long_k": {"n": ("Columns of the second", "Columns of the second matrix and the result.")},
    }
    start_values = {"n": 4096, "m": 4096, "k": 4096, "batch": 64}
    survey = {
        "cuda": (
            Space(
                "square", {"n": (32, 8192)}, {**dict.fromkeys(PRODUCT_TYPES, 24), F64: 12, F16: 12}
            ),
            Space(
                "skinny",
                {"m": (16, 16_384), "n": (16, 16_384), "k": (16, 16_384)},
                {**dict.fromkeys(PRODUCT_TYPES, 48), F64: 16},
            ),
            Space("skinny", {"m": (1, 10_000), "n": [1], "k": (10, 10_000)}, {F64: 9}),
            Space(
                "batched", {"batch": (2, 2048), "n": (16, 1024)}, dict.fromkeys(PRODUCT_TYPES, 24)
            ),
            Space(
                "batched",
                {"batch": (2, 1024), "m": (1, 4096), "n": (16, 4096), "k": (16, 4096)},
                dict.fromkeys(PRODUCT_TYPES, 24),
            ),
            *(
                Space("batched", products, dict.fromkeys(PRODUCT_TYPES, 12))
                for products in _ATTENTION
            ),
        ),
        "cpu": (
            Space("square", {"n": (16, 3000)}, {F32: 20, F64: 10}),
            Space("skinny", {"m": (8, 8192), "n": (8, 8192), "k": (8, 8192)}, {F32: 24, F64: 8}),
            Space("skinny", {"m": (1, 4000), "n": [1], "k": (1, 4000)}, {F64: 8}),
            Space("batched", {"batch": (2, 1024), "n": (8, 512)}, {F32: 12}),
            Space(
                "batched",
                {"batch": (2, 256), "m": (1, 1024), "n": (8, 1024), "k": (8, 1024)},
                {F32: 12},
            ),
        ),
    }
    unsurveyed = frozenset({"long_k", "int8_square", "dot_2000_float64", "x_xt_1000_float32"})
    limits = frozenset({Limit.PRODUCTS, Limit.PLAIN_PRODUCTS, Limit.AWKWARD})
    same_operation = dict.fromkeys(
        ("skinny", "long_k", "int8_square", "dot_2000_float64", "x_xt_1000_float32"), "square"
    )
    nvidia_library = "cublas"
    recognised_kinds = frozenset({*PRODUCT_KINDS, "matmul"} - {"mv", "addmv", "_scaled_mm"})

    def canonical(self, given: Mapping[str, Count]) -> dict[str, Count]:
        """batch, m, n, k."""
        n = given["n"]
        m, k = given.get("m", n), given.get("k", n)
        return {"batch": given.get("batch", n // n), "m": m, "n": n, "k": k}

    def operation(self, case: str, backend: str) -> str:
        """NumPy's X X^T calls a symmetric product of half the work, an operation of its own."""
        if (case, backend) == ("x_xt_1000_float32", "numpy"):
            return case
        return super().operation(case, backend)

    def recognise(self, operation: Operation) -> Measured | None:
        """Products of two matrices, or of a batch of pairs, and what is added to them.

        cuBLAS adds a bias to a result that it has at hand. Of a second operand that lies
        transposed rows are k elements long as well. A transposed first operand has rows of m
        elements, as in the gradient of weights: there the mirrored product may load as many
        elements at a time, else none is measured.
        """
        sizes = product_sizes(operation)
        if sizes is None or sizes.a.dtype != sizes.b.dtype:
            return None
        dtype = sizes.a.dtype
        batch, m, n, k = sizes.batch, sizes.m, sizes.n, sizes.k
        if dtype == "int8":
            square = batch == 1 and m == n == k
            return self.measured("int8_square", {"n": n}, dtype) if square else None
        if dtype not in ITEM_BYTES:
            return None
        if sizes.turned:
            loaded = _loaded(m, n, dtype)
            if _loaded(n, k, dtype) != loaded:
                if _loaded(m, k, dtype) != loaded:
                    return None
                m, n = n, m
        math_mode = operation.math_mode if dtype == "float32" else "ieee"
        if batch > 1:
            params = {"batch": batch, "m": m, "n": n, "k": k}
            return self.measured("batched", params, dtype, math_mode)
        if m == n == k:
            return self.measured("square", {"n": n}, dtype, math_mode)
        return self.measured("skinny", {"m": m, "n": n, "k": k}, dtype, math_mode)

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return rounded_cube_root(product(params[name] for name in _DIMENSIONS))

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        if not self.dtypes(backend, device) or (suite == "quick" and backend == "jax"):
            return  # JAX takes longer to start and to compile than its quick cells would
        if suite == "quick":
            yield from _quick_grid(backend, device)
        elif device == "cpu":
            yield from _cpu_grid(suite, backend)
        elif backend == "torch":
            yield from _torch_cuda_grid(suite == "full")
        else:
            yield from _few_cuda_points(backend)
        if backend == "jax":
            return
        modes = ("hot",) if device == "cpu" else ("hot", "resident", "end_to_end")
        yield from points("dot_2000_float64", [{"n": 2000}], [F64], modes)
        yield from points("x_xt_1000_float32", [{"n": 1000}], [F32], modes)

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """2 b m n k FLOP; each operand read once and the result written once.

        The program x_xt reads one operand only, as its second one is a view of the first.
        Products of int8 are integer operations, counted alike; their result is int32.
        """
        batch, m, n, k = (params[name] for name in _DIMENSIONS)
        item = ITEM_BYTES[dtype]
        operands = m * k if case == "x_xt_1000_float32" else m * k + k * n
        result_item = ITEM_BYTES["int32"] if case == "int8_square" else item
        read, written = 1.0 * (batch * operands * item), 1.0 * (batch * m * n * result_item)
        return Work(2.0 * batch * m * n * k, read, written, read, written, 1)

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Operands and result; CPU libraries may pack the operands of 16-bit products once more.

        BLAS packs blocks (OpenBLAS up to 32 MiB a thread); oneDNN reorders whole operands.
        """
        own = super().operation_memory(case, params, dtype, backend, device).bytes
        packed = self.operation_work(case, params, dtype, backend).h2d_bytes
        reorders = device == "cpu" and backend == "torch" and ITEM_BYTES[dtype] < 4
        return JobMemory(own, own + (packed if reorders else 0.0))

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """A product; the rows of row-major operands are k and n elements long."""
        batch, m, n, k = (params[name] for name in ("batch", "m", "n", "k"))
        result_dtype = "int32" if asked.dtype == "int8" else asked.dtype
        result = batch * m * n * ITEM_BYTES[result_dtype]
        awkward = misalignment(common_divisor(n, k), asked.dtype)
        product = Product(batch, m, n, k)
        return product_shape(asked, [product], awkward=awkward, fresh=result, block=result)

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        p = self.complete(case, params)
        if case == "int8_square":
            return tuple(_random_int8((p["n"], p["n"]), seed + offset) for offset in range(2))
        lead = (p["batch"],) if case == "batched" else ()
        a = uniform((*lead, p["m"], p["k"]), dtype, seed)
        if case == "x_xt_1000_float32":
            return (a,)
        return a, uniform((*lead, p["k"], p["n"]), dtype, seed + 1)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        """The product. That of int8 is A B^T: quantised layers store their weights so, and the
        integer tensor cores of some GPUs take no other layout."""
        if (backend.name, backend.device) not in self.support:
            raise SelectionError(f"matmul has no form for backend {backend.name!r}")
        if case == "int8_square":
            if backend.name != "torch" or not hasattr(backend.module, "_int_mm"):
                raise NotImplementedError(f"{backend.name} has no product of int8 with int32 sums")
            int_mm = backend.module._int_mm
            return lambda a, b: int_mm(a, b.t())
        matmul = backend.module.matmul
        if case == "x_xt_1000_float32":
            return backend.compile(lambda x: matmul(x, x.T))
        return backend.compile(lambda a, b: matmul(a, b))

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Shape of the product, and A (B v) for the probe v, in float64."""
        a = inputs[0]
        b = inputs[1] if len(inputs) > 1 else np.swapaxes(a, -1, -2)
        if case == "int8_square":
            b = b.T
        return (*a.shape[:-1], b.shape[-1]), times(a, times(b, probe(b.shape[-1])))

    def fetch(self, backend: Backend, output: Any) -> Any:
        """Shape of the output C, and C v in float64, which is all that the check needs."""
        if output.ndim < 2:
            return tuple(output.shape), None
        return tuple(output.shape), projected(backend, output)

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
        relative Frobenius error. Tolerance: that of sums of K products; of int8 it is 0, as all
        of its numbers are whole and below 2**53.
        """
        shape, expected = reference
        actual_shape, product = output
        if actual_shape != shape:
            return Check(math.inf, 0.0)
        error = relative_l2(product, expected)
        if dtype == "int8":
            return Check(error, 0.0)
        k = self.complete(case, params)["k"]
        return Check(error, product_tolerance(k, dtype, math_mode))


def _loaded(one: int, other: int, dtype: str) -> int:
    """Bytes of the units that rows of either length fill, at most 16 (``misalignment``)."""
    return math.gcd(one * ITEM_BYTES[dtype], other * ITEM_BYTES[dtype], 16)


def _random_int8(shape: tuple[int, int], seed: int) -> np.ndarray[Any, Any]:
    """Whole numbers from -127 to 127 without zeros."""
    values = np.random.default_rng(seed).integers(1, 255, shape, dtype=np.uint8)
    values[values >= 128] += 1  # leaves -128 out
    return values.view(np.int8)


def _quick_grid(backend: str, device: str) -> Iterator[GridPoint]:
    if device == "cpu":
        dtypes = [F32, F64] if backend == "numpy" else [F32]
        yield from points("square", sizes("n", (64, 250, 512, 1000)), dtypes, ("hot",))
        return
    dtypes = [F32, BF16] if backend == "torch" else [F32]
    for index, n in enumerate((256, 1001, 2048, 4096)):
        modes = ("hot", "resident", "end_to_end") if index % 2 else ("hot",)
        yield from points("square", sizes("n", (n,)), dtypes, modes)


def _cpu_grid(suite: str, backend: str) -> Iterator[GridPoint]:
    hot = ("hot",)
    if backend == "jax":
        yield from points("square", sizes("n", _CPU_SQUARE_JAX), [F32], hot)
        yield from _other_shapes([F32], hot, slice(1, 2))
        return
    full = suite == "full"
    wide = _CPU_SQUARE if full else _CPU_SQUARE_F64[backend]
    yield from points("square", sizes("n", _CPU_SQUARE), [F32], hot)
    yield from points("square", sizes("n", wide), [F64], hot)
    if backend == "torch":
        yield from points("square", sizes("n", _CPU_SQUARE[:: 2 if full else 3]), [BF16], hot)
        yield from points("int8_square", sizes("n", _INT8_SIZES["cpu"]), [INT8], hot)
    if backend == "numpy":
        yield from points("square", sizes("n", (3,)), [F64], hot)
        yield from points("skinny", _by_names(_CPU_VECTORS), [F64], hot)
    chosen = slice(None) if full else slice(0, 2) if backend == "numpy" else slice(2, 3)
    yield from _other_shapes([F32], hot, chosen, _CPU_BATCHED)


def _torch_cuda_grid(full: bool) -> Iterator[GridPoint]:
    for dtype in (F64, F32, TF32, F16, BF16):
        step = 2 if dtype in (F64, F16) and not full else 1
        for index, n in enumerate(_CUDA_SQUARE[::step]):
            modes = ["hot"]
            if index % (2 if full else 3) == 0:
                if dtype == F32:
                    modes.append("cold")
                if dtype != F16:
                    modes.append("resident")
                if dtype in (F32, F64) and n <= _LARGEST_END_TO_END:
                    modes.append("end_to_end")
            yield from points("square", sizes("n", (n,)), [dtype], tuple(modes))
    yield from points("int8_square", sizes("n", _INT8_SIZES["cuda"]), [INT8], ("hot",))
    yield from _other_shapes([F32, BF16], ("hot",), slice(None), _CUDA_BATCHED)


def _few_cuda_points(backend: str) -> Iterator[GridPoint]:
    """CuPy's products are cuBLAS's, as torch's are; JAX has no device clock."""
    always = "resident" if backend == "jax" else "hot"
    for (name, dtype), chosen in _CUDA_SQUARE_FEW.items():
        if name != backend:
            continue
        for index, n in enumerate(chosen):
            modes = [always]
            if dtype == "float32" and index % 2:
                modes += [mode for mode in ("resident", "end_to_end") if mode != always]
            yield from points("square", sizes("n", (n,)), [(dtype, "ieee")], tuple(modes))
    if backend == "jax":
        yield from points("square", sizes("n", (1001, 4096)), [TF32], (always,))
    else:
        yield from points("skinny", _by_names(_CUDA_VECTORS), [F64], (always,))


def _by_names(shapes: Iterable[tuple[int, ...]]) -> list[dict[str, int]]:
    """Parameter sets of products, from m, n, k."""
    return [dict(zip("mnk", shape, strict=True)) for shape in shapes]


def _other_shapes(
    dtypes: list[tuple[str, str]],
    modes: tuple[str, ...],
    chosen: slice,
    batched: tuple[tuple[int, ...], ...] = (),
) -> Iterator[GridPoint]:
    """Skinny, long-K and batched products, ``chosen`` of each, and ``batched`` of any shape."""
    for case, shapes in (("skinny", _SKINNY), ("long_k", _LONG_K)):
        yield from points(case, _by_names(shapes[chosen]), dtypes, modes)
    batches = [{"batch": batch, "n": n} for batch, n in _BATCHED[chosen]]
    batches += [dict(zip(_DIMENSIONS, shape, strict=True)) for shape in batched]
    yield from points("batched", batches, dtypes, modes)
