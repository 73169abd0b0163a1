"""What the parameters of each family mean for its speed: one function per family. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, gcd, log2

from collector.workloads import ITEM_BYTES, get_workload
from estimator import data_shapes, layer_shapes
from estimator.shape import ParamsKey, Question, Shape, misalignment, product_shape

__all__ = ["AWKWARD_FAMILIES", "ParamsKey", "Question", "Shape", "shape_of"]

#: Families in which some shapes are awkward.
AWKWARD_FAMILIES = (
    *("matmul", "conv2d", "dense_layer", "attention", "reduction", "scatter_add", "fft"),
    *("training_step", "inference_step"),
)

#: A transform longer than this does not fit a multiprocessor's shared memory and goes through
#: memory once more for each such factor (2^13 points of complex64 take 64 KiB).
_FFT_POINTS_PER_PASS = 2**13
_LARGEST_DIRECT_PRIME = 127  # cuFFT: longer prime factors take Bluestein's algorithm

#: Most threads of numba's counting kernel in the python_loop family: 1024 blocks of 256.
_NUMBA_GRID_THREADS = 1024 * 256


def shape_of(asked: Question, params: Mapping[str, int]) -> Shape:
    """Shape of a question with canonical parameters; the plain one for families without."""
    return _SHAPES.get(asked.workload, _shapeless)(asked, params)


def _matmul_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """A product; the rows of row-major operands are k and n elements long."""
    batch, m, n, k = (params[name] for name in ("batch", "m", "n", "k"))
    result_dtype = "int32" if asked.dtype == "int8" else asked.dtype
    result = float(batch * m * n * ITEM_BYTES[result_dtype])
    awkward = misalignment(gcd(n, k), asked.dtype)
    return product_shape(asked, batch, m, n, k, awkward=awkward, fresh=result, block=result)


def _fft_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """Awkward: 0 for powers of two, 1/2 for products of small primes, 1 for large primes."""
    n = params["n"]
    largest = _largest_prime_factor(n)
    awkward = 0.0 if largest <= 2 else 0.5 if largest <= _LARGEST_DIRECT_PRIME else 1.0
    passes = 1.0
    if asked.device == "cuda":
        passes = float(ceil(log2(max(n, 2)) / log2(_FFT_POINTS_PER_PASS)))
    points = float(get_workload("fft").size(asked.case, params))
    result = points * ITEM_BYTES[asked.dtype] if asked.device == "cpu" else 0.0
    return Shape(
        width=points,
        awkward=awkward,
        passes=passes,
        distinct=0.5 if asked.case == "fft2" else 1.0,
        fresh=result,
        block=result,
    )


def _loop_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """On a GPU each thread of numba's kernel adds once to one counter, which takes turns.

    The grid stops growing at a number of threads, from where on each counts more points.
    """
    if asked.backend == "numba" and asked.device == "cuda":
        return Shape(serial=min(1.0, _NUMBA_GRID_THREADS / params["n"]))
    if asked.backend in ("python", "numba", "jax"):
        return Shape()
    # of 66 bytes a point: x and y, two squares and their sum of 8, the comparison's of 1
    if asked.device == "cuda":
        return Shape(distinct=41.0 / 66.0)
    return Shape(distinct=41.0 / 66.0, fresh=25.0 * params["n"], block=8.0 * params["n"])


def _elementwise_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """An expression of arrays reads its intermediate results again, and allocates them.

    The polynomial's four calls move nine vectors, of which three are alive at a time; the
    triad of NumPy and CuPy is two calls that move five, three of them distinct. JAX makes one
    pass of either into a new array.
    """
    size = get_workload("elementwise").size(asked.case, params)
    block = float(size * ITEM_BYTES[asked.dtype]) if asked.device == "cpu" else 0.0
    if asked.backend == "numba":
        return Shape()
    if asked.backend == "jax":
        return Shape(fresh=block, block=block)
    if not asked.case.startswith("polynomial"):
        twice = asked.case == "triad" and asked.backend != "torch"
        return Shape(distinct=3.0 / 5.0 if twice else 1.0)
    return Shape(distinct=3.0 / 9.0, fresh=4.0 * block, block=block)


def _launch_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """A view starts no kernel, and an optimizer one for many tensors: the host's calls count."""
    if asked.case == "dispatch_views":
        return Shape(starts=float(params["length"]))
    if asked.case == "optimizer_step":
        return Shape(starts=float(params["tensors"]))
    return Shape()


def _shapeless(asked: Question, params: Mapping[str, int]) -> Shape:
    return Shape()


def _largest_prime_factor(n: int) -> int:
    factor, largest = 2, 1
    while factor * factor <= n:
        while n % factor == 0:
            n //= factor
            largest = factor
        factor += 1
    return max(largest, n)


_SHAPES: Mapping[str, Callable[[Question, Mapping[str, int]], Shape]] = {
    "matmul": _matmul_shape,
    "conv2d": layer_shapes.conv2d_shape,
    "dense_layer": layer_shapes.dense_layer_shape,
    "attention": layer_shapes.attention_shape,
    "elementwise": _elementwise_shape,
    "reduction": layer_shapes.reduction_shape,
    "sort": data_shapes.sort_shape,
    "gather": data_shapes.gather_shape,
    "scatter_add": data_shapes.scatter_add_shape,
    "spmm": data_shapes.spmm_shape,
    "random": data_shapes.random_shape,
    "fft": _fft_shape,
    "image_pipeline": data_shapes.image_pipeline_shape,
    "launch": _launch_shape,
    "python_loop": _loop_shape,
    "training_step": layer_shapes.network_shape,
    "inference_step": layer_shapes.network_shape,
}
