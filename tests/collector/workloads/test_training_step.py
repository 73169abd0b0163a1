"""Training steps: work against PyTorch's own counter, and steps broken on purpose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.backends import open_backend
from collector.cells import Operation
from collector.measure.prepare import prepare, verify_again
from collector.workloads import get_workload
from collector.workloads._base import uniform
from collector.workloads._network_modules import torch_module
from collector.workloads._network_reference import training
from collector.workloads._network_work import layers
from collector.workloads._networks import (
    Mlp,
    ResNet,
    Transformer,
    block_size,
    parameter_count,
    parameter_shapes,
    parameters,
    repeated_rows,
    sampled_rows,
    samples,
    targets,
    worst_row_error,
)

torch = pytest.importorskip("torch")

FAMILY = get_workload("training_step")
SEED = 3

STEPS = [
    ("simple_net_adam", {"batch": 100}),
    ("linear_sgd", {"batch": 64}),
    ("mlp_adam", {"batch": 16, "width": 24}),
    ("resnet_sgd", {"batch": 2}),
    ("transformer_adamw", {"batch": 2, "sequence": 8}),
]
RATES = {
    "simple_net_adam": 0.01,
    "linear_sgd": 1e-4,
    "mlp_adam": 1e-3,
    "resnet_sgd": 0.01,
    "transformer_adamw": 3e-4,
}
NETS = [Mlp((7, 5, 3)), ResNet(), Transformer(sequence=6)]


@pytest.fixture(scope="module")
def backend():
    return open_backend("torch", "cpu")


def run(backend, case, params, dtype="float32"):
    """Reference and fetched output of one step."""
    inputs = FAMILY.inputs(case, params, dtype, SEED)
    operands = FAMILY.host_operands(backend, inputs, dtype)
    output = FAMILY.build(backend, case, params, dtype)(*operands)
    loss, pairs, outputs = FAMILY.fetch(backend, output)
    pairs = [(gradient.copy(), updated.copy()) for gradient, updated in pairs]
    return FAMILY.reference(inputs, case, params, dtype), (loss, pairs, outputs)


@pytest.fixture(scope="module", params=STEPS, ids=str)
def step(request, backend):
    case, params = request.param
    reference, (loss, pairs, outputs) = run(backend, case, params)

    def passes(loss=loss, pairs=pairs, outputs=outputs):
        output = (loss, pairs, outputs)
        return FAMILY.check(reference, output, case, params, "float32", "ieee").passed

    assert passes()
    return case, loss, pairs, outputs, passes


def test_a_wrong_loss_is_caught(step):
    _, loss, _, _, passes = step
    assert not passes(loss=1.01 * loss)
    assert not passes(loss=float("nan"))


def one_element_off(values):
    broken = values.copy().reshape(-1)
    broken[broken.size // 2] += 3
    return broken.reshape(values.shape)


def not_a_number_at_the_end(values):
    broken = values.copy()
    broken.reshape(-1)[-1] = np.nan
    return broken


BREAKS = (one_element_off, np.zeros_like, not_a_number_at_the_end, np.exp2)


@pytest.mark.parametrize("which", [0, 1], ids=["gradient", "updated parameter"])
def test_a_broken_gradient_or_update_of_any_layer_is_caught(step, which):
    _, _, pairs, _, passes = step
    for index in range(len(pairs)):
        # of a large net one kind of fault a layer, in turn
        for break_it in BREAKS if len(pairs) < 10 else BREAKS[index % 4 :][:1]:
            broken, pair = list(pairs), list(pairs[index])
            pair[which] = break_it(pair[which])
            broken[index] = tuple(pair)
            assert not passes(pairs=broken), (index, break_it.__name__)


def test_a_step_without_its_optimizer_is_caught(step):
    case, _, pairs, _, passes = step
    rate = np.float32(RATES[case])
    direction = (lambda g: g) if "sgd" in case else np.sign
    assert not passes(pairs=[(g, p + rate * direction(g)) for g, p in pairs])


def test_a_step_of_twice_the_rate_is_caught(step):
    case, _, pairs, _, passes = step
    rate = np.float32(RATES[case])
    direction = (lambda g: g) if "sgd" in case else np.sign
    assert not passes(pairs=[(g, p - rate * direction(g)) for g, p in pairs])


def test_outputs_of_a_sample_that_are_wrong_are_caught(step):
    _, _, _, (shape, rows), passes = step
    wrong = rows.copy()
    wrong[-1] = 0
    assert not passes(outputs=(shape, wrong))
    assert not passes(outputs=(shape, np.full_like(rows, np.nan)))
    assert not passes(outputs=((shape[0] - 1, *shape[1:]), rows))


def test_a_batch_that_is_only_half_computed_is_caught(backend):
    """Mean loss and gradients of repeated samples would not show it; the outputs do."""
    case, params = "resnet_sgd", {"batch": 8}
    reference, (loss, pairs, (shape, rows)) = run(backend, case, params)
    rows = rows.copy()
    rows[4:] = 0
    output = (loss, pairs, (shape, rows))
    assert not FAMILY.check(reference, output, case, params, "float32", "ieee").passed


@pytest.mark.parametrize(("case", "params"), STEPS[2:], ids=str)
def test_autocast_passes_its_own_tolerance_and_not_that_of_float32(case, params, backend):
    reference, output = run(backend, case, params, "bfloat16")
    assert FAMILY.check(reference, output, case, params, "bfloat16", "ieee").passed
    assert not FAMILY.check(reference, output, case, params, "float32", "ieee").passed


@pytest.mark.parametrize(("case", "params"), STEPS, ids=str)
def test_a_step_is_verified_after_timing(case, params, backend):
    operation = Operation(
        *("training_step", case, tuple(params.items())),
        *("float32", "ieee", "torch", "cpu", 1),
    )
    prepared = prepare(FAMILY, operation, backend, SEED)
    for _ in range(3):
        prepared.function(*prepared.device_inputs)
    assert verify_again(prepared, backend).passed


# --- the nets -----------------------------------------------------------------------------------


@pytest.mark.parametrize("net", NETS, ids=lambda net: type(net).__name__)
def test_names_and_shapes_of_parameters_are_those_of_the_module(net):
    model = torch_module(torch, net, "cpu")
    named = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert list(named.items()) == list(parameter_shapes(net).items())
    assert parameter_count(net) == sum(p.numel() for p in model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
    for name, parameter in model.named_parameters():
        assert np.array_equal(parameter.detach().numpy(), parameters(net)[name])


@pytest.mark.parametrize("net", NETS, ids=lambda net: type(net).__name__)
def test_repeating_a_block_changes_neither_loss_nor_gradients(net):
    """What the references of large batches rest on, BatchNorm's statistics included."""
    one = training(net, samples(net, 2, 2, "float32", 0), targets(net, 2, 2, 1))
    three = training(net, samples(net, 6, 2, "float32", 0), targets(net, 6, 2, 1))
    assert three.loss == pytest.approx(one.loss, rel=1e-12)
    for gradient, repeated in zip(one.gradients, three.gradients, strict=True):
        assert np.linalg.norm(gradient - repeated) <= 1e-9 * np.linalg.norm(gradient)
    expected = repeated_rows(one.outputs, int(np.prod(three.outputs.shape[:-1])))
    assert worst_row_error(sampled_rows(three.outputs), expected) < 1e-12


def test_backpropagation_by_hand_agrees_with_finite_differences():
    net = Mlp((3, 4, 2))
    x, target = uniform((5, 3), "float32", 0), uniform((5, 2), "float32", 1)
    step = training(net, x, target)
    state = {name: array.astype(np.float64) for name, array in parameters(net).items()}

    def loss(changed):
        hidden = np.maximum(x @ changed["0.weight"].T + changed["0.bias"], 0)
        return np.mean((hidden @ changed["2.weight"].T + changed["2.bias"] - target) ** 2)

    for (name, values), gradient in zip(state.items(), step.gradients, strict=True):
        for index in np.ndindex(values.shape):
            nudge = np.zeros_like(values)
            nudge[index] = 1e-6
            slope = loss({**state, name: values + nudge}) - loss({**state, name: values - nudge})
            assert slope / 2e-6 == pytest.approx(gradient[index], rel=1e-4, abs=1e-7)


@given(st.sampled_from(NETS), st.integers(1, 20_000))
def test_a_batch_is_a_whole_number_of_blocks(net, batch):
    block = block_size(net, batch)
    assert 1 <= block <= batch
    assert batch % block == 0


@given(st.integers(1, 9000), st.integers(1, 7))
def test_sampled_rows_of_a_batch_meet_their_twins_in_the_block(rows, block):
    distinct = np.arange(block)[:, None]
    batch = np.resize(distinct, (rows, 1))
    assert np.array_equal(sampled_rows(batch), repeated_rows(distinct, rows))


# --- work ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "params", "optimizer_flop"),
    [
        ("simple_net_adam", {"batch": 100}, 12),
        ("mlp_adam", {"batch": 32, "width": 64}, 12),
        ("resnet_sgd", {"batch": 4}, 4),
        ("transformer_adamw", {"batch": 2, "sequence": 64}, 14),
    ],
)
def test_flop_of_products_are_exactly_what_pytorch_counts(case, params, optimizer_flop, backend):
    """PyTorch counts the whole square of attention's scores, the formula its lower triangle.

    Of the square s^2 the triangle leaves out s (s - 1) / 2, in 2 products forward and 4
    backward of 2 FLOP a multiply-add over the width: 6 s (s - 1) width a sample and layer.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    inputs = FAMILY.inputs(case, params, "float32", SEED)
    step = FAMILY.build(backend, case, params, "float32")
    operands = FAMILY.host_operands(backend, inputs, "float32")
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        output = step(*operands)
    count = sum(parameter.numel() for parameter in output.model.parameters())
    work = FAMILY.operation_work(case, params, "float32", "torch")
    skipped = 0
    if case == "transformer_adamw":
        s = params["sequence"]
        skipped = 2 * params["batch"] * 6 * s * (s - 1) * 256
    assert counter.get_total_flops() == work.flop_count - optimizer_flop * count + skipped


#: operations on the CPU that are no kernel, or not one, on a GPU; the others are one each
_NO_KERNEL = (
    *("view", "_unsafe_view", "t.", "transpose", "unsqueeze", "expand", "split"),
    *("detach", "empty", "profiler"),
)
_KERNELS = {
    "convolution_backward": 2,
    "native_layer_norm_backward": 2,
    "_scaled_dot_product_flash_attention_for_cpu_backward": 3,
    "nll_loss_backward": 2,  # one fills with zeros
    "embedding_dense_backward": 2,  # likewise
}


@pytest.mark.parametrize(
    ("case", "params", "dtype"),
    [
        (case, params, dtype)
        for case, params in [
            ("mlp_adam", {"batch": 32, "width": 64}),
            ("resnet_sgd", {"batch": 4}),
            ("transformer_adamw", {"batch": 2, "sequence": 64}),
        ]
        for dtype in ("float32", "bfloat16")
    ],
)
def test_kernels_are_about_as_many_as_operations_dispatched(case, params, dtype, backend):
    """Forward and backward on the CPU; the optimizer's lists, as a GPU has them, are added.

    A 16-bit convolution is three kernels for one. The first one has no gradient of its inputs.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = []

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            seen.append(str(function).removeprefix("aten."))
            return function(*args, **(kwargs or {}))

    inputs = FAMILY.inputs(case, params, dtype, SEED)
    step = FAMILY.build(backend, case, params, dtype)
    operands = FAMILY.host_operands(backend, inputs, dtype)
    step(*operands)
    with Recorder():
        step(*operands)
    update = [index for index, name in enumerate(seen) if name.startswith("profiler")][-2]
    counted = 0
    for name in seen[:update]:
        if not name.startswith(_NO_KERNEL):
            times = 3 if name.startswith("convolution") and dtype == "bfloat16" else 1
            counted += times * next((n for key, n in _KERNELS.items() if name.startswith(key)), 1)
    if case == "resnet_sgd":
        counted -= 3 if dtype == "bfloat16" else 1
    optimizer = {"mlp_adam": 11, "resnet_sgd": 3, "transformer_adamw": 8}[case]
    assert counted + optimizer == FAMILY.operation_work(case, params, dtype, "torch").kernel_count


def test_the_layers_of_a_resnet_by_hand():
    """Products of one image, 2 FLOP a multiply-add, windows times channels times positions.

    Stem 27 x 32 x 1024; two of 288 x 32 x 1024; 288 x 64 x 256, 576 x 64 x 256 and 32 x 64 x
    256; 576 x 128 x 64, 1152 x 128 x 64 and 64 x 128 x 64; head 128 x 10.
    """
    products = [27 * 32 * 1024, 288 * 32 * 1024, 288 * 32 * 1024]
    products += [288 * 64 * 256, 32 * 64 * 256, 576 * 64 * 256]
    products += [576 * 128 * 64, 64 * 128 * 64, 1152 * 128 * 64, 1280]
    counted = [layer.flop for layer in layers(ResNet(), 1) if layer.flop]
    assert counted == [2 * product for product in products]


@given(st.integers(1, 2000), st.sampled_from(["resnet_sgd", "transformer_adamw", "mlp_adam"]))
def test_work_grows_with_the_batch(batch, case):
    rest = {"resnet_sgd": {}, "transformer_adamw": {"sequence": 32}, "mlp_adam": {"width": 64}}
    one, more = (
        FAMILY.operation_work(case, {"batch": count, **rest[case]}, "float32", "torch")
        for count in (batch, 2 * batch)
    )
    assert one.flop_count < more.flop_count < 2 * one.flop_count
    assert one.bytes_read < more.bytes_read < 2 * one.bytes_read
    assert more.h2d_bytes == 2 * one.h2d_bytes
    assert FAMILY.measuring_bytes(case, {"batch": batch, **rest[case]}, "float32", "torch") > 0


@pytest.mark.parametrize(("device", "most"), [("cpu", 0.3), ("cuda", 1.0)])
def test_the_standard_suites_steps_are_not_too_large(device, most):
    """FLOP of a third of a second of a slow core (2e10 a second), of 30 ms of a GPU's float32."""
    limit = {"cpu": 2e10 * most, "cuda": 30e-3 * 3e13}[device]
    for point in FAMILY.grid("standard", "torch", device):
        work = FAMILY.operation_work(point.case, dict(point.params), point.dtype, "torch")
        assert work.flop_count <= limit, point
