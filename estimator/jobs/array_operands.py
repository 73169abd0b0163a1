"""Operands of NumPy's calls: the largest, the element type of the work, rows of an axis, names."""

from __future__ import annotations

import math
from collections.abc import Sequence

from collector.jobs import ITEM_BYTES, Operation, Tensor
from collector.workloads import FAMILIES
from estimator.jobs.answered import Cells, cell_of

FLOATS = ("float64", "float32")
_INTEGERS = ("int", "uint", "bool")


def result_of(operation: Operation) -> Tensor:
    """The largest result, else the largest operand."""
    return max(operation.outputs or operation.inputs, key=lambda tensor: tensor.count)


def largest_operand(operation: Operation) -> Tensor:
    """The largest operand, else the largest result."""
    return max(operation.inputs or operation.outputs, key=lambda tensor: tensor.count)


def is_whole(dtype: str) -> bool:
    return dtype.startswith(_INTEGERS)


def is_complex(dtype: str) -> bool:
    return dtype.startswith("complex")


def computed_in(operation: Operation) -> str:
    """The element type of the work: the widest floating-point one, else of the first operand."""
    types = [tensor.dtype for tensor in (*operation.inputs, *operation.outputs)]
    floating = [name for name in types if not is_whole(name)]
    if not floating:
        return types[0] if types else "float64"
    return max(floating, key=lambda name: (is_complex(name), ITEM_BYTES[name]))


def sides_of(x: Tensor, axis: object) -> tuple[int, int, bool]:
    """Rows and columns where the axis is laid as columns, and whether it lies side by side."""
    if not x.shape:
        return 1, 1, True
    axes = axis if isinstance(axis, tuple) else (axis,)
    named = [int(one) % len(x.shape) for one in axes if isinstance(one, int | float)]
    if not named or len(named) == len(x.shape):
        return 1, x.count, True
    cols = math.prod(x.shape[one] for one in named)
    last = len(x.shape) - 1 in named
    return x.count // max(cols, 1), cols, last


def one_cell(operation: Operation, workload: str, case: str, dtype: str, **sizes: float) -> Cells:
    """A cell, once; in float64 where the case has no such element type."""
    dtype = dtype if FAMILIES[workload].takes(case, dtype) else "float64"
    return ((cell_of(operation, workload, case, dtype, **sizes), 1.0),)


def scaled(cells: Cells, factor: float) -> Cells:
    return tuple((cell, times * factor) for cell, times in cells)


def float_of(dtype: str) -> str:
    return "float32" if dtype in ("float32", "complex64") else "float64"


#: names of SciPy's that do what NumPy's do
_SAME = {"scipy.linalg.": "linalg.", "scipy.fft.": "fft.", "scipy.fftpack.": "fft."}


def plain_name(kind: str) -> str:
    """The name without the in-place mark; SciPy's that NumPy has too under NumPy's name."""
    for prefix, name in _SAME.items():
        if kind.startswith(prefix):
            return name + kind.removeprefix(prefix)
    return kind


def alike(tensors: Sequence[Tensor]) -> bool:
    """Whether the elements of all lie side by side along the same dimension."""
    axes = set()
    for tensor in tensors:
        wide = [at for at, size in enumerate(tensor.shape) if size > 1]
        if not wide or (len(tensor.shape) > 1 and tensor.shape[-1] == 1):
            continue  # one element goes with many
        if tensor.strides is None:
            axes.add(wide[-1] - len(tensor.shape))
            continue
        beside = [at for at in wide if tensor.strides[at] in (0, 1)]
        if not beside:
            return False
        axes.add(beside[-1] - len(tensor.shape))
    return len(axes) <= 1 or all(len(tensor.shape) < 2 for tensor in tensors)
