"""Operations of one family done right, for tests that then break them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from collector.backends import open_backend
from collector.cells import Operation
from collector.measure.prepare import prepare, verify_again
from collector.workloads import Check, get_workload

SEED = 3
F32 = ("float32", "ieee")


@dataclass(frozen=True)
class Computed:
    """An operation with its operands, its output as the check gets it, and the reference."""

    workload: str
    case: str
    params: dict[str, int]
    dtype: str
    inputs: tuple[Any, ...]
    output: Any
    reference: Any

    def judge(self, output: Any, math_mode: str = "ieee") -> Check:
        family = get_workload(self.workload)
        return family.check(self.reference, output, self.case, self.params, self.dtype, math_mode)


def compute(
    workload: str, case: str, params: dict[str, int], backend: str, dtype: str = "float32"
) -> Computed:
    """Run an operation on the CPU."""
    pytest.importorskip(backend)
    family, library = get_workload(workload), open_backend(backend, "cpu")
    params = family.complete(case, params)
    inputs = family.inputs(case, params, dtype, SEED)
    operands = family.host_operands(library, inputs, dtype)
    output = family.build(library, case, params, dtype)(*operands)
    reference = family.reference(inputs, case, params, dtype)
    return Computed(workload, case, params, dtype, inputs, family.fetch(library, output), reference)


def prepare_and_verify(
    workload: str, case: str, params: dict[str, int], backend: str, dtype: str = "float32"
) -> tuple[Check, Check]:
    """The two checks around a measurement, with all that a worker does before them."""
    pytest.importorskip(backend)
    family, library = get_workload(workload), open_backend(backend, "cpu")
    complete = tuple(sorted(family.complete(case, params).items()))
    operation = Operation(workload, case, complete, dtype, "ieee", backend, "cpu", 1)
    prepared = prepare(family, operation, library, SEED)
    return prepared.check, verify_again(prepared, library)
