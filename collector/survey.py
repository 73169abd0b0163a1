"""The grid of the survey suite: many shapes of each case, to fit the estimator to.

The other suites measure chosen sizes in all modes; this one spreads shapes evenly over each
case's space (``Workload.survey``), so that the gaps between them are small and the same everywhere.
The shapes are the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from collector.workloads import Choice, GridPoint, Params, Range, Space, Workload

#: What one operation may do at most, so that most of the time goes into many operations.
_MOST_FLOP = {"cpu": 1.5e10, "cuda": 1.5e12}
_MOST_BYTES = {"cpu": 1e9, "cuda": 4e9}
_MOST_OPERAND_BYTES = 5.1e8  # made and checked on one core of the host
_SLOW_DTYPES = ("float64", "float32", "complex64", "complex128")
_SLOW_FLOP = 4e11  # of arithmetic outside of a GPU's matrix units

#: Of the shapes of a space, a library besides torch takes so many.
_SHARE = {("cupy", "cuda"): 1 / 3, ("numba", "cuda"): 1 / 2, ("numba", "cpu"): 1 / 2}
_SURVEYED = ("torch", "numpy", "cupy", "numba", "python")  # JAX compiles each shape anew
_DRAWS = 40  # at most, for each shape that is kept


def survey_grid(workload: Workload, backend: str, device: str) -> Iterator[GridPoint]:
    """Shapes of each case of a family that the backend has a form of. Deterministic."""
    if backend not in _SURVEYED:
        return
    supported = workload.dtypes(backend, device)
    for space in workload.survey.get(device, ()):
        if not workload.supports(backend, device, space.case):
            continue
        share = _SHARE.get((backend, device), 1.0)
        for dtype, math_mode in supported:
            count = math.ceil(share * space.counts.get((dtype, math_mode), 0))
            shapes = _shapes(workload, space, count, (dtype, math_mode), backend, device)
            for index, params in enumerate(shapes):
                modes = _modes(workload, space.case, backend, device, index)
                yield GridPoint(space.case, tuple(sorted(params.items())), dtype, math_mode, modes)


def _modes(workload: Workload, case: str, backend: str, device: str, index: int) -> tuple[str, ...]:
    """Mostly hot: the other modes add costs that do not depend on the shape's details."""
    if device == "cpu":
        return ("hot",)
    more: tuple[str, ...] = ()
    if index % 5 == 2:
        more += ("resident",)
    if index % 10 == 4 and backend == "torch":
        more += ("cold",)
    if index % 10 == 7 and backend != "numba":
        more += ("end_to_end",)
    return workload.surveyed_modes(case, ("hot", *more))


def _shapes(
    workload: Workload,
    space: Space,
    count: int,
    dtype: tuple[str, str],
    backend: str,
    device: str,
) -> list[dict[str, int]]:
    """The first ``count`` shapes of the space's sequence that are not too large here."""
    kept: list[dict[str, int]] = []
    for index in range(_DRAWS * count):
        if len(kept) == count:
            break
        params = workload.possible(_draw(space, index))
        if params not in kept and _is_affordable(workload, space, params, dtype, backend, device):
            kept.append(params)
    return kept


def _draw(space: Space, index: int) -> dict[str, int]:
    """Point number ``index`` of an additive recurrence (R sequence, M. Roberts 2018).

    One coordinate for each range; lists are gone through in turn. One point in four has powers
    of two, one has round decimal numbers, one multiples of eight, one whatever is drawn.
    """
    ranges = [name for name, values in space.ranges.items() if isinstance(values, tuple)]
    ratio = _recurrence_ratio(len(ranges))
    params: dict[str, int] = {}
    for name, values in space.ranges.items():
        if isinstance(values, tuple):
            coordinate = (0.5 + (index + 1) * ratio ** (ranges.index(name) + 1)) % 1.0
            params[name] = _rounded(values, coordinate, index % 4)
        else:
            params[name] = _chosen(values, index)
    return params


def _recurrence_ratio(dimensions: int) -> float:
    """1 / g with g > 1 the root of g^(d + 1) = g + 1 (the golden ratio for d = 1)."""
    g = 1.5
    for _ in range(60):
        g = float((1.0 + g) ** (1.0 / (dimensions + 1)))
    return 1.0 / g


def _rounded(values: Range, coordinate: float, style: int) -> int:
    low, high = values
    drawn = low * (high / low) ** coordinate
    if style == 0:
        number = 1 << round(math.log2(drawn))
    elif style == 1:
        unit = 10 ** max(0, math.floor(math.log10(drawn)) - 1)
        number = round(drawn / unit) * unit
    elif style == 2 and drawn >= 16:
        number = round(drawn / 8) * 8
    else:
        number = round(drawn)
    return min(max(number, low), high)


def _chosen(values: Choice, index: int) -> int:
    """In turn, with an offset that keeps lists of one length from going together."""
    return values[(index + index // len(values)) % len(values)]


def _is_affordable(
    workload: Workload,
    space: Space,
    params: Params,
    dtype: tuple[str, str],
    backend: str,
    device: str,
) -> bool:
    complete = workload.complete(space.case, params)
    work = workload.operation_work(space.case, complete, dtype[0], backend)
    most_flop = _MOST_FLOP[device]
    if dtype[0] in _SLOW_DTYPES and dtype[1] != "tf32":
        most_flop = min(most_flop, _SLOW_FLOP)
    most_size = workload.most_surveyed.get(backend, math.inf)
    if workload.principal_size(space.case, complete) > most_size:
        return False
    operands = work.h2d_bytes + work.d2h_bytes
    moved = work.bytes_read + work.bytes_written
    return (
        work.flop_count <= most_flop
        and moved <= _MOST_BYTES[device]
        and operands <= _MOST_OPERAND_BYTES
    )
