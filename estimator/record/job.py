"""The job of what was recorded."""

from __future__ import annotations

import math
import os
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from collector import __version__
from collector.jobs import COPY_TO_CPU, COPY_TO_GPU, Job, JobMemory, Operation, Phase, Recording
from collector.jobs import Tensor as Shape
from estimator.record import work
from estimator.record.calibrate import Bias
from estimator.record.cupy_functions import TYPES
from estimator.record.log import VIEW, Counted, Entry, Log, Signature

_LIBRARIES = ("numpy", "scipy", "pandas", "sklearn", "numba")
_FILES = frozenset({"load", "loadtxt", "genfromtxt", "fromfile"})
_REDUCING = frozenset({"sum", "mean", "max", "min", "prod", "any", "all", "std", "var", "dot"})
_BY_KIND = {name: name for name in ("view", "item", "setitem", "copyto")}


def job_of(
    log: Log,
    name: str,
    biases: Mapping[str, Bias],
    point_s: float,
    ran_ns: int,
    *,
    complete: bool,
    notes: tuple[str, ...],
) -> Job:
    """Everything that was noted up to now.

    ``point_s``: this Python's seconds for a point; ``ran_ns``: what all took, with recording.
    """
    entries = list(log.entries)
    runs = log.folder.runs()
    made: dict[Operation, list[Entry]] = {}
    for entry in entries:
        made.setdefault(_operation(entry), []).append(entry)
    place = {entry.index: number for number, group in enumerate(made.values()) for entry in group}
    operations = []
    array_ns = python_ns = 0.0
    for operation, group in made.items():
        count = sum(entry.count for entry in group)
        bias = _bias(group[0], biases)
        inside = max(0.0, sum(entry.array_ns for entry in group) - count * bias.inside_ns)
        outside = max(0.0, sum(entry.gap_ns for entry in group) - count * bias.outside_ns)
        array_ns += inside
        python_ns += outside
        operations.append(
            replace(
                operation,
                measured_s=float(f"{inside / count * 1e-9:.4g}"),
                python_points=float(f"{outside / count * 1e-9 / point_s:.4g}"),
            )
        )
    calls = log.calls
    cost_ns = max(0.0, ran_ns - log.import_ns - array_ns - python_ns)
    return Job(
        name=name,
        operations=tuple(operations),
        phases=tuple(
            Phase("run", count, tuple(place[number] for number in body)) for body, count in runs
        ),
        memory=JobMemory(arrays_bytes=Counted.peak_bytes),
        training=False,
        library="numpy",
        scope="run",
        recording=Recording(
            wall_s=_seconds(array_ns + python_ns),
            array_s=_seconds(array_ns),
            python_s=_seconds(python_ns),
            import_s=_seconds(log.import_ns),
            point_s=_seconds(point_s * 1e9),
            calls=calls,
            call_cost_s=_seconds(cost_ns / max(1, calls)),
            processor=processor(),
            threads=threads(),
            complete=complete,
        ),
        notes=(*notes, *_notes(log)),
        versions=(("breakeven", __version__), *_versions()),
    )


def _seconds(nanoseconds: float) -> float:
    return float(f"{nanoseconds * 1e-9:.6g}")


def _bias(entry: Entry, biases: Mapping[str, Bias]) -> Bias:
    kind = entry.call.kind
    if kind in (COPY_TO_GPU, COPY_TO_CPU, "synchronize"):
        return Bias()
    if kind in _REDUCING:
        return biases.get("reduction", Bias())
    ufunc = isinstance(getattr(np, kind, None), np.ufunc)
    return biases.get(_BY_KIND.get(kind, "operator" if ufunc else "function"), Bias())


def _notes(log: Log) -> list[str]:
    notes = []
    if log.rounded:
        notes.append("where shapes change without end they are rounded to an eighth of a doubling")
    if log.folder.unordered:
        notes.append("so many calls that the order of some is not kept, only how often they are")
    return notes


def _operation(entry: Entry) -> Operation:
    call = entry.call
    inputs, outputs = tuple(map(_tensor, entry.inputs)), tuple(map(_tensor, entry.outputs))
    if call.kind in ("item", "setitem"):  # noted by their array, of which they are one element
        outputs, inputs = tuple(Shape((), one.dtype) for one in inputs), ()
    attributes = dict(entry.attributes)
    line = line_of(entry.code, entry.instruction)
    common: dict[str, Any] = {"library": "numpy", "line": line, "inputs": inputs,
                              "outputs": outputs}  # fmt: skip
    if call.kind in (COPY_TO_GPU, COPY_TO_CPU, "synchronize"):
        size = sum(one.bytes for one in inputs)
        common["attributes"] = (("non_blocking", False), ("pinned", False))
        if call.kind == "synchronize":
            common["attributes"] = ()
        return Operation(call.kind, bytes_read=size, bytes_written=size, launches=0, **common)
    if call.kind == "compress" and inputs and inputs[0].count and outputs:
        attributes["kept"] = round(outputs[0].count / inputs[0].count, 3)
    reason = call.reason or _reason(entry)
    read, written = work.moved_bytes(call.kind, inputs, outputs)
    return Operation(
        call.kind,
        attributes=tuple(attributes.items()),
        device="cpu" if reason else "gpu",
        reason=reason,
        flop=float(f"{work.flop(call.kind, inputs, outputs, attributes):.6g}"),
        bytes_read=read,
        bytes_written=written,
        launches=0 if call is VIEW else work.launches(call.kind, inputs, outputs),
        **common,
    )


def _reason(entry: Entry) -> str:
    if entry.call.outside:
        return "read from a file" if entry.call.kind in _FILES else "made of values of Python's"
    if entry.call is VIEW:
        return ""
    for dtype, _, _ in (*entry.inputs, *entry.outputs):
        if dtype.name not in TYPES:
            return f"CuPy has no {re.sub('[^a-z0-9_]', '', dtype.name.lower())[:40] or 'such'} type"
    return ""


def _tensor(signature: Signature) -> Shape:
    """Shape, type and, where not packed, strides in elements; they are given without sign."""
    dtype, shape, strides = signature
    if dtype.name not in TYPES:
        return Shape((math.prod(shape) * dtype.itemsize,), "uint8")
    step, packed = dtype.itemsize, []
    for size in reversed(shape):
        packed.append(step)
        step *= size
    packed.reverse()
    loose = any(
        given != wanted for given, wanted, size in zip(strides, packed, shape, strict=True)
        if size > 1
    ) and 0 not in shape  # fmt: skip
    elements = tuple(abs(one) // dtype.itemsize for one in strides) if loose else None
    return Shape(tuple(shape), dtype.name, elements)


def line_of(code: CodeType | None, instruction: int) -> str:
    """The line of an instruction, as "file.py:12"."""
    if code is None:
        return ""
    found = code.co_firstlineno
    for first, last, line in code.co_lines():
        if first <= instruction < last and line is not None:
            found = line
    name = "".join(letter for letter in Path(code.co_filename).name if letter.isprintable())
    return f"{name[-200:]}:{found}"


def processor() -> str:
    """The processor's name, as the collector's fingerprint has it."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    match = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.MULTILINE)
    name = match.group(1) if match else platform.processor() or "unknown CPU"
    return re.sub(r"\s+", " ", name).strip()[:200]


def threads() -> int:
    """Threads that NumPy's libraries may use here."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(asked), usable or 1) if asked.isdigit() and int(asked) else usable or 1


def _versions() -> list[tuple[str, str]]:
    found = [("python", ".".join(map(str, sys.version_info[:3])))]
    for name in _LIBRARIES:
        version = getattr(sys.modules.get(name), "__version__", None)
        if version is not None:
            found.append((name, str(version)[:60]))
    return found
