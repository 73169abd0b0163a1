"""What the parameters of the families of data pipelines mean for their speed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import log2

import numpy as np

from collector.workloads import ITEM_BYTES
from collector.workloads.work import Floats
from estimator.cells.questions import Question
from estimator.cells.shape import Shape, work_of

#: Bytes that one access brings: a cache line of a CPU, a sector of a GPU's (CUDA C++ Best
#: Practices Guide, "Coalesced Access to Global Memory").
_LINE_BYTES = {"cpu": 64, "cuda": 32}
_INDEX_BYTES = 8
_ALIGNED_BYTES = 16
_BLOCK_STEPS = 180  # elements that a GPU copies while a block of threads starts (a choice)
_SPARSE_INDEX_BYTES = 4

#: A radix sort takes so many bits of the keys in each pass over memory (CUB, DeviceRadixSort);
#: rows up to this length are sorted within one thread block, in one pass.
_BITS_PER_PASS = 8
_SHORT_ROW = 4096

#: More than a last-level cache holds: places are then added to in memory.
_BEYOND_CACHES = 32 * 2**20

#: So many places that a GPU's additions at one time hardly ever meet (a choice).
_UNCONTENDED = 1e6


def sort_shape(asked: Question, params: Mapping[str, Floats]) -> Shape:
    """n log n on a CPU; on a GPU a radix sort, whose work for each key does not grow with n."""
    work = work_of(asked, params)
    if asked.device == "cpu":
        return Shape(fresh=work.bytes_written, block=work.bytes_written)
    row = params["cols"] if asked.case == "sort_rows" else params["n"]
    keys = params.get("rows", 1.0) * row
    item = ITEM_BYTES[asked.dtype]
    with_indices = asked.backend == "torch" or asked.case == "argsort"
    each_way = keys * (item + (_INDEX_BYTES if with_indices else 0))
    passes = item * 8 / _BITS_PER_PASS
    moved = work.bytes_read + work.bytes_written
    short = row <= _SHORT_ROW
    return Shape(
        serial=np.where(short, 1.0 / np.log2(np.maximum(row, 2.0)), 0.0),
        passes=np.where(short, 1.0, 2.0 * passes * each_way / moved),
    )


def gather_shape(asked: Question, params: Mapping[str, Floats]) -> Shape:
    """An access brings whole lines of memory, and each element is a step of its own as well.

    On a GPU torch gives a row of whole units of 16 bytes a block of threads, however short.
    """
    line = _LINE_BYTES[asked.device]
    row = params["width"] * ITEM_BYTES[asked.dtype]
    count, rows = params["count"], params["rows"]
    brought = line * np.ceil(row / line)
    work = work_of(asked, params)
    moved = work.bytes_read + work.bytes_written
    result = count * row
    others = result + count * _INDEX_BYTES
    torch = asked.backend == "torch" and asked.device == "cuda"
    blocks = torch & (row % _ALIGNED_BYTES == 0)
    return Shape(
        steps=count * np.where(blocks, _BLOCK_STEPS, params["width"]),
        passes=(count * brought + others) / moved,
        distinct=(np.minimum(rows, count) * brought + others) / moved,
        fresh=result if asked.device == "cpu" else 0.0,
        block=result if asked.device == "cpu" else 0.0,
    )


def scatter_add_shape(asked: Question, params: Mapping[str, Floats]) -> Shape:
    """Additions one by one; awkward where the sums do not fit a cache.

    On a GPU additions to the same place wait for each other: the fewer places, the slower.
    """
    result = work_of(asked, params).d2h_bytes
    if asked.device == "cuda":
        places = np.minimum(result / ITEM_BYTES[asked.dtype], _UNCONTENDED)
        return Shape(awkward=1.0 - np.log2(places) / log2(_UNCONTENDED))
    return Shape(awkward=np.where(result > _BEYOND_CACHES, 1.0, 0.0), fresh=result, block=result)


def spmm_shape(asked: Question, params: Mapping[str, Floats]) -> Shape:
    """Each nonzero brings a row of the dense matrix, from a cache where that fits one."""
    item, line = ITEM_BYTES[asked.dtype], _LINE_BYTES[asked.device]
    nonzeros = params["rows"] * params["nonzeros_per_row"]
    work = work_of(asked, params)
    moved = work.bytes_read + work.bytes_written
    row = line * np.ceil(params["width"] * item / line)
    brought = nonzeros * (item + _SPARSE_INDEX_BYTES + row)
    dense = params["rows"] * params["width"] * item
    fresh = dense if asked.device == "cpu" else 0.0
    others = moved - nonzeros * (item + _SPARSE_INDEX_BYTES) - dense
    return Shape(passes=(brought + np.maximum(others, 0.0)) / moved, fresh=fresh, block=fresh)


def random_shape(asked: Question, params: Mapping[str, Floats]) -> Shape:
    """Numbers one by one into a new array."""
    fresh = work_of(asked, params).bytes_written if asked.device == "cpu" else 0.0
    return Shape(fresh=fresh, block=fresh)


def image_pipeline_shape(asked: Question, params: Mapping[str, Floats]) -> Shape:
    """Libraries that make an array in each step read it again in the next one.

    Alive at a time are the operand (four times a result's size) and up to four such arrays.
    """
    work = work_of(asked, params)
    moved = work.bytes_read + work.bytes_written
    alive = work.h2d_bytes + 4.0 * work.d2h_bytes
    on_cpu = asked.device == "cpu"
    return Shape(
        distinct=np.minimum(1.0, alive / moved),
        fresh=work.bytes_written if on_cpu else 0.0,
        block=work.d2h_bytes if on_cpu else 0.0,
    )
