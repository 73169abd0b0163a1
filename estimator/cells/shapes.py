"""What the parameters of each family mean for its speed: one function per family. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from collector.workloads import ITEM_BYTES, get_workload
from collector.workloads.work import Floats
from estimator.cells import data_shapes, layer_shapes, transforms
from estimator.cells.questions import Question
from estimator.cells.shape import Product, Shape, common_divisor, misalignment, product_shape

#: Families in which some shapes are awkward.
AWKWARD_FAMILIES = (
    *("matmul", "conv2d", "dense_layer", "attention", "reduction", "scatter_add", "fft"),
    *("training_step", "inference_step"),
)

#: Most threads of numba's counting kernel in the python_loop family: 1024 blocks of 256.
_NUMBA_GRID_THREADS = 1024 * 256


def shape_of(asked: Question, params: Mapping[str, Floats]) -> Shape:
    """Shapes of questions with canonical parameters; the plain one for families without."""
    return _SHAPES.get(asked.workload, _shapeless)(asked, params)


def _matmul_shape(asked: Question, params: Mapping[str, Floats]) -> Shape:
    """A product; the rows of row-major operands are k and n elements long."""
    batch, m, n, k = (params[name] for name in ("batch", "m", "n", "k"))
    result_dtype = "int32" if asked.dtype == "int8" else asked.dtype
    result = batch * m * n * ITEM_BYTES[result_dtype]
    awkward = misalignment(common_divisor(n, k), asked.dtype)
    product = Product(batch, m, n, k)
    return product_shape(asked, [product], awkward=awkward, fresh=result, block=result)


def _loop_shape(asked: Question, params: Mapping[str, Floats]) -> Shape:
    """On a GPU each thread of numba's kernel adds once to one counter, which takes turns.

    The grid stops growing at a number of threads, from where on each counts more points.
    """
    if asked.backend == "numba" and asked.device == "cuda":
        return Shape(serial=np.minimum(1.0, _NUMBA_GRID_THREADS / params["n"]))
    if asked.backend in ("python", "numba", "jax"):
        return Shape()
    # of 66 bytes a point: x and y, two squares and their sum of 8, the comparison's of 1
    if asked.device == "cuda":
        return Shape(distinct=41.0 / 66.0)
    return Shape(distinct=41.0 / 66.0, fresh=25.0 * params["n"], block=8.0 * params["n"])


def _elementwise_shape(asked: Question, params: Mapping[str, Floats]) -> Shape:
    """An expression of arrays reads its intermediate results again, and allocates them.

    The polynomial's four calls move nine vectors, of which three are alive at a time; the
    triad of NumPy and CuPy is two calls that move five, three of them distinct. JAX makes one
    pass of either into a new array.
    """
    size = get_workload("elementwise").principal_size(asked.case, params)
    block = size * ITEM_BYTES[asked.dtype] if asked.device == "cpu" else 0.0
    if asked.backend == "numba":
        return Shape()
    if asked.backend == "jax":
        return Shape(fresh=block, block=block)
    if not asked.case.startswith("polynomial"):
        twice = asked.case == "triad" and asked.backend != "torch"
        return Shape(distinct=3.0 / 5.0 if twice else 1.0)
    return Shape(distinct=3.0 / 9.0, fresh=4.0 * block, block=block)


def _launch_shape(asked: Question, params: Mapping[str, Floats]) -> Shape:
    """A view starts no kernel, and an optimizer one for many tensors: the host's calls count."""
    if asked.case == "dispatch_views":
        return Shape(starts=params["length"])
    if asked.case == "optimizer_step":
        return Shape(starts=params["tensors"])
    return Shape()


def _shapeless(asked: Question, params: Mapping[str, Floats]) -> Shape:
    return Shape()


_SHAPES: Mapping[str, Callable[[Question, Mapping[str, Floats]], Shape]] = {
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
    "fft": transforms.fft_shape,
    "image_pipeline": data_shapes.image_pipeline_shape,
    "launch": _launch_shape,
    "python_loop": _loop_shape,
    "training_step": layer_shapes.network_shape,
    "inference_step": layer_shapes.network_shape,
}
