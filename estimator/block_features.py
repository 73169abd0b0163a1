"""The numbers and names of one block of questions, as ``features.describe`` gives them. Pure."""

from __future__ import annotations

from dataclasses import fields
from math import inf
from typing import Any

import numpy as np

from collector.workloads import Work, get_workload
from collector.workloads.work import Floats
from estimator.dataset import WORK_COLUMNS
from estimator.operations import CPU_MODES, HOST_MODES, family_of, library, operation
from estimator.questions import Block, Question
from estimator.shape import MOST_PRODUCTS, PRODUCT_COLUMNS, Shape, Values
from estimator.shapes import shape_of

#: Least work of one thread. torch: elements (GRAIN_SIZE in ATen/Parallel.h); JAX: bytes (256 KiB
#: in XLA's parallel_task_assignment.cc); NumPy's OpenBLAS keeps a product of up to so many
#: multiplications on one thread (65536 GEMM_MULTITHREAD_THRESHOLD in its interface/gemm.c).
TORCH_GRAIN = 32_768
XLA_GRAIN_BYTES = 262_144
OPENBLAS_SMALL = 262_144
_GRAINED = frozenset({"elementwise", "reduction", "python_loop"})
_MULTIPLYING = frozenset({"matmul", "dense_layer"})

_APART = ("radix", "algorithm", "products")
TEXTS = ("workload", "family", "library", "operation", "answer_mode")
_PLAIN = tuple(field.name for field in fields(Shape) if field.name not in _APART)
_PRODUCT_NAMES = tuple(
    name
    for i in range(MOST_PRODUCTS)
    for name in (f"part_{i}", *(f"product_{i}_{column}" for column in PRODUCT_COLUMNS))
)
NUMBERS = (
    *("size", "busy", "forks", "share_floor", "class_radix", "class_algorithm"),
    *(*_PLAIN, *_PRODUCT_NAMES, *WORK_COLUMNS),
)


def numbers_of(block: Block, threads: Floats) -> list[Values]:
    """The values of ``NUMBERS`` and of the dimensions."""
    asked, params = block.asked, block.params
    family = get_workload(asked.workload)
    work = family.call_work(
        asked.case, params, asked.dtype, asked.backend, asked.device, asked.mode
    )
    size = family.principal_size(asked.case, params)
    shape = shape_of(asked, params)
    values: list[Values] = [size]
    if asked.device == "cpu":
        workers = np.minimum(threads, _most_workers(block, size, work))
        values += [workers / threads, np.where(workers > 1.0, 1.0, 0.0), 1.0 / workers]
    else:
        values += [1.0, float(asked.mode in HOST_MODES), 0.0]
    values += [shape.radix, shape.algorithm, *(getattr(shape, name) for name in _PLAIN)]
    values += _product_columns(shape)
    values += [getattr(work, name) for name in WORK_COLUMNS]
    return values + [params[name] for name in sorted(params)]


def _product_columns(shape: Shape) -> list[Values]:
    """Of each product the share of the FLOP and ``PRODUCT_COLUMNS``; 0 for none."""
    there = np.greater(shape.product_batch, 0.0)
    total = sum(product.size for product in shape.products)
    values: list[Values] = []
    for product in shape.products:
        of = (product.size / total, *(getattr(product, name) for name in PRODUCT_COLUMNS))
        values += [np.where(there, value, 0.0) for value in of]
    return values + [0.0] * (len(_PRODUCT_NAMES) - len(values))


def texts_of(asked: Question) -> list[tuple[str, ...]]:
    """The values of ``TEXTS``, one line for each of the operations that a case may be."""
    mode = CPU_MODES.get(asked.mode, asked.mode) if asked.device == "cpu" else asked.mode
    called = library(asked.workload, asked.backend, asked.device)
    operations = [
        operation(asked.workload, asked.case, asked.backend, {"kernel": kernel})
        for kernel in ((1, 3) if asked.workload == "conv2d" else (1,))
    ]
    return [(asked.workload, family_of(asked), called, name, mode) for name in operations]


def which_text(block: Block) -> Any:
    """Which of the lines of ``_texts`` each question has."""
    return block.params["kernel"] > 1.0 if block.asked.workload == "conv2d" else 0


def _most_workers(block: Block, size: Values, work: Work[Floats]) -> Values:
    """Threads among which a CPU's library divides operations of these sizes at most."""
    asked = block.asked
    if asked.workload in _GRAINED and asked.backend == "torch":
        return np.ceil(size / TORCH_GRAIN)
    if asked.workload in _GRAINED and asked.backend == "jax":
        return np.ceil((work.bytes_read + work.bytes_written) / XLA_GRAIN_BYTES)
    if asked.workload not in _MULTIPLYING or asked.backend != "numpy":
        return inf
    one_by_one = block.params["batch"] if asked.case == "batched" else 1.0
    return np.where(work.flop_count / one_by_one <= 2.0 * OPENBLAS_SMALL, 1.0, inf)
