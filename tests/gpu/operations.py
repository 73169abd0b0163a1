"""The smallest operation of each case that the suites measure on a GPU."""

from __future__ import annotations

from collector.cells import Operation
from collector.measure.sampling import StopRule
from collector.workloads import FAMILIES, get_workload

RULE = StopRule(0.5, min_samples=6, min_time_s=0.0, max_time_s=0.05, warmup_time_s=0.05)
LIMIT_S = 100.0
BACKENDS = ("torch", "cupy", "numba", "jax")


def make_operation(
    workload: str,
    case: str,
    backend: str,
    dtype: str = "float32",
    math_mode: str = "ieee",
    **params: int,
) -> Operation:
    complete = get_workload(workload).complete(case, params)
    return Operation(
        workload, case, tuple(sorted(complete.items())), dtype, math_mode, backend, "cuda", 1
    )


def smallest(backend: str) -> list[tuple[Operation, tuple[str, ...]]]:
    """For each case and element type the smallest operation, in all modes of the case."""
    found = []
    for workload in FAMILIES.values():
        points = [
            point
            for suite in ("quick", "standard")
            for point in workload.grid(suite, backend, "cuda")
        ]
        for case, dtype, math_mode in sorted({(p.case, p.dtype, p.math_mode) for p in points}):
            same_case = [p for p in points if p.case == case]
            modes = tuple(sorted({mode for p in same_case for mode in p.modes}))
            point = min(
                (p for p in same_case if (p.dtype, p.math_mode) == (dtype, math_mode)),
                key=lambda p: workload.size(p.case, dict(p.params)),
            )
            operation = make_operation(
                workload.name, case, backend, dtype, math_mode, **dict(point.params)
            )
            found.append((operation, modes))
    return found


ALL = [pair for backend in BACKENDS for pair in smallest(backend)]


def name_of(value: object) -> str | None:
    if isinstance(value, Operation):
        parts = (value.backend, value.workload, value.case, value.dtype, value.math_mode)
        return "-".join(parts)
    return None
