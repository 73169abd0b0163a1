"""One operation of a family under pyperf's Runner; agreement_cpu.py starts it.

pyperf runs this file again as each of its worker processes. Which operation, and with which
seed, comes in two environment variables, so that pyperf's own command line stays as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pyperf

from benchmarks.agreement import operation_from_json
from benchmarks.same_operation import build_operation

OPERATION_VARIABLE = "BREAKEVEN_OPERATION"
SEED_VARIABLE = "BREAKEVEN_SEED"


def main() -> None:
    runner = pyperf.Runner()
    function: Callable[..., Any] = _nothing
    operands: tuple[Any, ...] = ()
    if runner.parse_args().worker:  # the manager only starts processes
        operation = operation_from_json(os.environ[OPERATION_VARIABLE])
        backend, function, operands = build_operation(operation, int(os.environ[SEED_VARIABLE]))
        if operation.backend == "jax":  # its calls return before the work is done
            asynchronous, block = function, backend.wait

            def function(*arrays: Any) -> None:
                block(asynchronous(*arrays))

    runner.bench_func("operation", function, *operands)


def _nothing() -> None:
    raise AssertionError("only pyperf's worker processes call the operation")


if __name__ == "__main__":
    main()
