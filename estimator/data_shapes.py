"""What the parameters of the families of data pipelines mean for their speed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, log2

from collector.workloads import ITEM_BYTES
from estimator.shape import Question, Shape, work_of

#: Bytes that one access brings: a cache line of a CPU, a sector of a GPU's (CUDA C++ Best
#: Practices Guide, "Coalesced Access to Global Memory").
_LINE_BYTES = {"cpu": 64, "cuda": 32}
_INDEX_BYTES = 8
_SPARSE_INDEX_BYTES = 4

#: A radix sort takes so many bits of the keys in each pass over memory (CUB, DeviceRadixSort);
#: rows up to this length are sorted within one thread block, in one pass.
_BITS_PER_PASS = 8
_SHORT_ROW = 4096

#: More than a last-level cache holds: places are then added to in memory.
_BEYOND_CACHES = 32 * 2**20


def sort_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """n log n on a CPU; on a GPU a radix sort, whose work for each key does not grow with n."""
    work = work_of(asked, params)
    if asked.device == "cpu":
        return Shape(fresh=work.bytes_written, block=work.bytes_written)
    row = params["cols"] if asked.case == "sort_rows" else params["n"]
    serial = 1.0 / log2(max(row, 2))
    if row <= _SHORT_ROW:
        return Shape(serial=serial)
    keys = float(params.get("rows", 1) * row)
    item = ITEM_BYTES[asked.dtype]
    with_indices = asked.backend == "torch" or asked.case == "argsort"
    each_way = keys * (item + (_INDEX_BYTES if with_indices else 0))
    passes = item * 8 / _BITS_PER_PASS
    return Shape(
        serial=serial, passes=2.0 * passes * each_way / (work.bytes_read + work.bytes_written)
    )


def gather_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """An access brings whole lines of memory; on a CPU each row is a step of its own as well."""
    line = _LINE_BYTES[asked.device]
    row = params["width"] * ITEM_BYTES[asked.dtype]
    count, rows = params["count"], params["rows"]
    brought = line * ceil(row / line)
    work = work_of(asked, params)
    moved = work.bytes_read + work.bytes_written
    result = float(count * row)
    others = result + float(count * _INDEX_BYTES)
    return Shape(
        steps=float(count) if asked.device == "cpu" else 0.0,
        passes=(count * brought + others) / moved,
        distinct=(min(rows, count) * brought + others) / moved,
        fresh=result if asked.device == "cpu" else 0.0,
        block=result if asked.device == "cpu" else 0.0,
    )


def scatter_add_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """Additions one by one; awkward where the sums do not fit a cache."""
    result = work_of(asked, params).d2h_bytes
    fresh = result if asked.device == "cpu" else 0.0
    return Shape(awkward=float(result > _BEYOND_CACHES), fresh=fresh, block=fresh)


def spmm_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """Each nonzero brings a row of the dense matrix, from a cache where that fits one."""
    item, line = ITEM_BYTES[asked.dtype], _LINE_BYTES[asked.device]
    nonzeros = float(params["rows"] * params["nonzeros_per_row"])
    work = work_of(asked, params)
    moved = work.bytes_read + work.bytes_written
    row = line * ceil(params["width"] * item / line)
    brought = nonzeros * (item + _SPARSE_INDEX_BYTES + row)
    dense = float(params["rows"] * params["width"] * item)
    fresh = dense if asked.device == "cpu" else 0.0
    others = moved - nonzeros * (item + _SPARSE_INDEX_BYTES) - dense
    return Shape(passes=(brought + max(others, 0.0)) / moved, fresh=fresh, block=fresh)


def random_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """Numbers one by one into a new array."""
    fresh = work_of(asked, params).bytes_written if asked.device == "cpu" else 0.0
    return Shape(fresh=fresh, block=fresh)


def image_pipeline_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """Libraries that make an array in each step read it again in the next one.

    Alive at a time are the operand (four times a result's size) and up to four such arrays.
    """
    work = work_of(asked, params)
    moved = work.bytes_read + work.bytes_written
    alive = work.h2d_bytes + 4.0 * work.d2h_bytes
    on_cpu = asked.device == "cpu"
    return Shape(
        distinct=min(1.0, alive / moved),
        fresh=work.bytes_written if on_cpu else 0.0,
        block=work.d2h_bytes if on_cpu else 0.0,
    )
