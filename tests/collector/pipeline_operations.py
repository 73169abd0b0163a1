"""Small operations of the families of data pipelines, for their tests."""

import numpy as np

from collector.backends.host_backends import NumpyBackend
from collector.cells import Operation
from collector.workloads import get_workload

NAMES = ("sort", "gather", "scatter_add", "spmm", "random", "image_pipeline")
SEED = 3

# family, case, params, element type; small, and odd where that is allowed
OPERATIONS = [
    ("sort", "sort", {"n": 1001}, "float32"),
    ("sort", "sort", {"n": 1001}, "float64"),
    ("sort", "sort", {"n": 1001}, "int64"),
    ("sort", "argsort", {"n": 1001}, "float32"),
    ("sort", "argsort", {"n": 1001}, "int64"),
    ("sort", "sort_rows", {"rows": 7, "cols": 101}, "float32"),
    ("gather", "rows", {"rows": 101, "width": 7, "count": 53}, "float32"),
    ("gather", "rows", {"rows": 101, "width": 1, "count": 333}, "float64"),
    ("scatter_add", "histogram", {"count": 1001, "bins": 13}, "float32"),
    ("scatter_add", "histogram", {"count": 11, "bins": 130}, "float64"),
    ("scatter_add", "rows", {"rows": 17, "width": 5, "count": 101}, "float32"),
    ("spmm", "csr_dense", {"rows": 101, "nonzeros_per_row": 7, "width": 9}, "float32"),
    ("spmm", "csr_dense", {"rows": 12, "nonzeros_per_row": 12, "width": 1}, "float64"),
    ("random", "uniform", {"n": 5001}, "float32"),
    ("random", "uniform", {"n": 5001}, "float64"),
    ("random", "normal", {"n": 5001}, "float32"),
    ("random", "normal", {"n": 5001}, "float64"),
    ("random", "integers", {"n": 5001}, "int64"),
    ("random", "exponential", {"n": 5001}, "float64"),
    ("random", "permutation", {"n": 5001}, "int64"),
    ("random", "legacy_uniform", {"n": 5001}, "float64"),
    ("random", "legacy_normal", {"n": 5001}, "float64"),
    ("random", "legacy_integers", {"n": 5001}, "int64"),
    ("image_pipeline", "resize_blur_normalise", {"batch": 2, "image": 22}, "float32"),
    ("image_pipeline", "resize_blur_normalise", {"batch": 1, "image": 2}, "float64"),
]
CPU_BACKENDS = ("numpy", "torch", "jax")


def operation_of(row, backend="numpy"):
    workload, case, params, dtype = row
    return Operation(
        workload, case, tuple(sorted(params.items())), dtype, "ieee", backend, "cpu", 1
    )


def computed(row):
    """Family, complete parameters, reference and a right output, by numpy."""
    workload, case, params, dtype = row
    family, backend = get_workload(workload), NumpyBackend("cpu")
    params = family.complete(case, params)
    inputs = family.inputs(case, params, dtype, SEED)
    operands = family.host_operands(backend, inputs, dtype)
    output = np.asarray(family.build(backend, case, params, dtype)(*operands))
    return family, params, family.reference(inputs, case, params, dtype), output


def passes(row, family, params, reference, output):
    fetched = family.fetch(NumpyBackend("cpu"), output)
    return family.check(reference, fetched, row[1], params, row[3], "ieee").passed
