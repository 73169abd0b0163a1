"""Inference steps: work against PyTorch's own counter, results of every library, broken ones."""

import numpy as np
import pytest

from collector.backends import missing_reason, open_backend
from collector.cells import Operation
from collector.measure.prepare import prepare, verify_again
from collector.workloads import get_workload
from collector.workloads._networks import ResNet, buffers, parameters

FAMILY = get_workload("inference_step")
SEED = 3

STEPS = [
    ("mlp", {"batch": 5, "width": 24}),
    ("resnet", {"batch": 3}),
    ("transformer", {"batch": 2, "sequence": 8}),
]
PLACES = [
    *(("numpy", *STEPS[0]), ("jax", *STEPS[0])),
    *(("torch", *step) for step in STEPS),
]


def opened(name):
    if missing_reason(name):
        pytest.skip(missing_reason(name))
    return open_backend(name, "cpu")


def run(backend, case, params, dtype="float32"):
    inputs = FAMILY.inputs(case, params, dtype, SEED)
    operands = FAMILY.host_operands(backend, inputs, dtype)
    output = FAMILY.build(backend, case, params, dtype)(*operands)
    shape, rows = FAMILY.fetch(backend, output)
    return FAMILY.reference(inputs, case, params, dtype), (shape, np.array(rows))


@pytest.mark.parametrize(("name", "case", "params"), PLACES, ids=str)
def test_outputs_are_right_before_and_after_timing(name, case, params):
    backend = opened(name)
    operation = Operation(
        *("inference_step", case, tuple(params.items()), "float32", "ieee", name, "cpu", 1)
    )
    prepared = prepare(FAMILY, operation, backend, SEED)
    prepared.function(*prepared.device_inputs)
    assert verify_again(prepared, backend).passed


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("case", "params"), STEPS, ids=str)
def test_sixteen_bits_pass_their_tolerance_and_not_that_of_float32(case, params, dtype):
    reference, output = run(opened("torch"), case, params, dtype)
    assert FAMILY.check(reference, output, case, params, dtype, "ieee").passed
    assert not FAMILY.check(reference, output, case, params, "float32", "ieee").passed


@pytest.mark.parametrize(("name", "case", "params"), PLACES, ids=str)
def test_broken_outputs_are_caught(name, case, params):
    reference, (shape, rows) = run(opened(name), case, params)

    def passes(shape, rows):
        return FAMILY.check(reference, (shape, rows), case, params, "float32", "ieee").passed

    assert passes(shape, rows)
    last_is_zero, not_a_number = rows.copy(), rows.copy()
    last_is_zero[-1], not_a_number[-1, -1] = 0, np.nan
    exchanged = rows[::-1].copy()
    for wrong in (last_is_zero, not_a_number, exchanged, 1.01 * rows, np.zeros_like(rows)):
        assert not passes(shape, wrong)
    assert not passes((shape[0] + 1, *shape[1:]), rows)
    assert not passes(shape, rows[:-1])


def test_a_resnet_with_statistics_of_the_batch_is_caught():
    """What happens to those who forget eval()."""
    backend = opened("torch")
    case, params = "resnet", {"batch": 3}
    inputs = FAMILY.inputs(case, params, "float32", SEED)
    from collector.workloads._network_modules import torch_module

    model = torch_module(backend.module, ResNet(), "cpu").train()
    output = FAMILY.fetch(backend, model(backend.module.from_numpy(inputs[0])))
    reference = FAMILY.reference(inputs, case, params, "float32")
    assert not FAMILY.check(reference, output, case, params, "float32", "ieee").passed


def test_a_transformer_that_sees_the_future_is_caught(monkeypatch):
    backend = opened("torch")
    functional = backend.module.nn.functional
    attention = functional.scaled_dot_product_attention
    monkeypatch.setattr(
        functional, "scaled_dot_product_attention", lambda q, k, v, is_causal: attention(q, k, v)
    )
    case, params = STEPS[2]
    reference, output = run(backend, case, params)
    assert not FAMILY.check(reference, output, case, params, "float32", "ieee").passed


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_parameters_in_sixteen_bits_are_what_pytorch_rounds_them_to(dtype):
    torch = opened("torch").module
    exact = {**parameters(ResNet()), **buffers(ResNet())}
    rounded = {**parameters(ResNet(), dtype), **buffers(ResNet(), dtype)}
    for name, values in exact.items():
        expected = torch.tensor(values).to(getattr(torch, dtype)).float().numpy()
        assert np.array_equal(rounded[name], expected), name


@pytest.mark.parametrize(
    ("case", "params"),
    [
        ("mlp", {"batch": 8, "width": 64}),
        ("resnet", {"batch": 3}),
        ("transformer", {"batch": 2, "sequence": 64}),
    ],
)
def test_flop_are_exactly_what_pytorch_counts(case, params):
    """But for the upper triangle of attention's scores: 2 s (s - 1) width a sample and layer."""
    backend = opened("torch")
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    inputs = FAMILY.inputs(case, params, "float32", SEED)
    forward = FAMILY.build(backend, case, params, "float32")
    operands = FAMILY.host_operands(backend, inputs, "float32")
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        forward(*operands)
    s = params.get("sequence", 0)
    skipped = 2 * params["batch"] * 2 * s * (s - 1) * 256 if s else 0
    work = FAMILY.operation_work(case, params, "float32", "torch")
    assert counter.get_total_flops() == work.flop_count + skipped


def test_the_work_of_an_mlp_by_hand():
    """Batch 2, layers 3 x 3, 3 x 3, 3 x 10, in elements of four bytes.

    FLOP 2 * 2 * (9 + 9 + 30) = 192. PyTorch reads inputs and parameters of three layers
    (6 + 12, 6 + 12, 6 + 40) and of two ReLUs (6 each), writes 6, 6, 6, 6 and 20. In array code
    the sum with the bias reads and writes again what the product wrote: 6, 6 and 20.
    """
    params = {"batch": 2, "width": 3}
    torch, numpy, jax = (
        FAMILY.operation_work("mlp", params, "float32", name) for name in ("torch", "numpy", "jax")
    )
    assert torch.flop_count == numpy.flop_count == jax.flop_count == 192
    assert (torch.bytes_read, torch.bytes_written) == (4 * 94, 4 * 44)
    assert (numpy.bytes_read, numpy.bytes_written) == (4 * (94 + 32), 4 * (44 + 32))
    assert (jax.bytes_read, jax.bytes_written) == (4 * 82, 4 * 32)
    assert (torch.kernel_count, numpy.kernel_count, jax.kernel_count) == (5, 8, 3)
    assert (torch.h2d_bytes, torch.d2h_bytes) == (4 * 6, 4 * 20)


def test_only_pytorch_has_the_larger_nets():
    assert FAMILY.supports("jax", "cuda", "mlp")
    assert FAMILY.supports("torch", "cuda", "resnet")
    assert not FAMILY.supports("jax", "cuda", "resnet")
    assert not FAMILY.supports("numba", "cuda")
    with pytest.raises(NotImplementedError, match="resnet has a form for torch only"):
        FAMILY.build(opened("numpy"), "resnet", {"batch": 1}, "float32")
