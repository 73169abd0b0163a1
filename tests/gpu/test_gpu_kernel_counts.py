"""The documented numbers of kernels agree with what PyTorch's profiler counts."""

import pytest

from collector.backends import open_backend
from collector.workloads import get_workload
from tests.gpu.kernel_profile import count_kernels
from tests.gpu.operations import ALL, name_of

#: networks have a test of their own, copies are no kernels
LEFT_OUT = {"training_step", "inference_step", "transfer"}
OPERATIONS = [
    operation
    for operation, _ in ALL
    if operation.backend == "torch"
    and operation.workload not in LEFT_OUT
    and not operation.case.startswith(("dispatch", "optimizer"))
]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_the_formula_for_kernels_agrees_with_the_profiler(operation):
    pytest.importorskip("torch")
    backend, family = open_backend("torch", "cuda"), get_workload(operation.workload)
    params = dict(operation.params)
    backend.set_math_mode(operation.math_mode)
    inputs = family.inputs(operation.case, params, operation.dtype, 0)
    host = family.host_operands(backend, inputs, operation.dtype)
    operands = [backend.upload(array) for array in host]
    function = family.build(backend, operation.case, params, operation.dtype)
    expected = family.work(
        operation.case, params, operation.dtype, "torch", "cuda", "hot"
    ).kernel_count
    counted = count_kernels(function, operands, backend)
    assert counted.agrees(expected), (expected, counted)
