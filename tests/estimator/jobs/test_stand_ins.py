"""What answers an operation: its own cell, or the nearest kind's with the same work."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.jobs import ITEM_BYTES, SYNCHRONIZE, Operation, Tensor
from collector.workloads import accepted, get_workload
from estimator.jobs.known_kinds import MEMORY_KINDS, PASSES
from estimator.jobs.stand_ins import _BY_KIND, answered_by

torch = pytest.importorskip("torch")
from tests.aten import Recorded  # noqa: E402

aten = torch.ops.aten
BF16, F32 = torch.bfloat16, torch.float32


def t(*shape, dtype=BF16):
    return torch.empty(shape, device="meta", dtype=dtype)


def of_torch(call, **place):
    with Recorded(**place) as recorded:
        call()
    return recorded.operations[-1]


def works(operation):
    """(family, FLOP, bytes) of the cells, each so many times."""
    device = {"gpu": "cuda", "cpu": "cpu"}[operation.device]
    found = []
    for cell, times in answered_by(operation).cells:
        work = get_workload(cell.workload).work(
            cell.case, dict(cell.params), cell.dtype, "torch", device, "hot"
        )
        moved = work.bytes_read + work.bytes_written
        found.append((cell.workload, times * work.flop_count, times * moved))
    return found


def flop(operation, *families):
    return sum(count for name, count, _ in works(operation) if name in families)


def conv(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1, transposed=False):
    sides = x.dim() - 2
    several = [[value] * sides for value in (stride, padding, dilation)]
    return aten.convolution(x, w, bias, *several, transposed, [0] * sides, groups)


def conv_backward(y, x, w, mask, stride=1, padding=0, groups=1):
    sides = x.dim() - 2
    several = [[value] * sides for value in (stride, padding, 1)]
    return aten.convolution_backward(y, x, w, [0], *several, False, [0] * sides, groups, mask)


NHWC = torch.channels_last
IMAGES, SEQUENCE = (8, 64, 56, 56), (4, 64, 3000)

#: operations whose FLOP torch counts -> how far its counter is from what is done
PRODUCTS = {
    "fp8": lambda: aten.mm(
        t(640, 640, dtype=torch.float8_e4m3fn), t(640, 640, dtype=torch.float8_e4m3fn)
    ),
    "odd gradient of weights": lambda: aten.mm(t(1001, 1024).t(), t(1001, 64)),
    "channels last": lambda: conv(
        t(*IMAGES).to(memory_format=NHWC), t(64, 64, 3, 3).to(memory_format=NHWC), padding=1
    ),
    "no padding": lambda: conv(t(*IMAGES), t(64, 64, 3, 3)),
    "dilated": lambda: conv(t(*IMAGES), t(64, 64, 3, 3), padding=2, dilation=2),
    "wide": lambda: conv(t(*IMAGES), t(64, 64, 11, 11), padding=4),
    "not square": lambda: conv(t(8, 64, 40, 80), t(64, 64, 1, 7)),
    "patches": lambda: conv(t(8, 3, 224, 224), t(768, 3, 16, 16), stride=16),
    "grouped": lambda: conv(t(*IMAGES), t(64, 8, 3, 3), padding=1, groups=8),
    "one dimension": lambda: conv(t(*SEQUENCE), t(128, 64, 3), padding=1),
    "three dimensions": lambda: conv(t(2, 16, 16, 32, 32), t(16, 16, 3, 3, 3), padding=1),
    "transposed": lambda: conv(
        t(8, 64, 16, 16), t(64, 32, 4, 4), stride=2, padding=1, transposed=True
    ),
    "gradient of weights": lambda: conv_backward(
        t(*IMAGES), t(*IMAGES), t(64, 64, 3, 3), [False, True, False], padding=1
    ),
    "gradients of a grouped layer": lambda: conv_backward(
        t(*IMAGES), t(*IMAGES), t(64, 8, 3, 3), [True, True, False], padding=1, groups=8
    ),
    "attention to more keys": lambda: aten._scaled_dot_product_flash_attention(
        t(2, 8, 256, 64), t(2, 8, 1024, 64), t(2, 8, 1024, 64)
    ),
    "decoding": lambda: aten._scaled_dot_product_flash_attention(
        t(2, 8, 1, 64), t(2, 8, 1024, 64), t(2, 8, 1024, 64)
    ),
}


#: products of fewer columns than a GPU's kernel multiplies at once, or of few channels
PADDED = {"patches", "grouped", "three dimensions", "gradients of a grouped layer"}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_have_the_flop_that_torch_counts(name):
    """Eight-bit operands are as many bytes of bfloat16: half the FLOP at half the rate."""
    operation = of_torch(PRODUCTS[name], device="cpu" if name in PADDED else "gpu")
    found = flop(operation, "matmul", "conv2d", "attention")
    expected = operation.flop / (2 if name == "fp8" else 1)
    if name == "gradients of a grouped layer":  # the counter leaves the groups out of one
        expected = 2 * 2 * 8 * 64 * 56 * 56 * 8 * 9
    assert found == pytest.approx(expected, rel=0.03)
    assert not answered_by(operation).exact
    assert answered_by(operation).known


def test_a_product_in_place_of_a_layer_reads_its_images_once():
    """And not once for each element of the kernel."""
    operation = of_torch(PRODUCTS["channels last"])
    ((_, _, moved),) = works(operation)
    assert moved == pytest.approx(operation.bytes_read + operation.bytes_written, rel=0.1)


def test_a_gpu_multiplies_64_columns_even_for_a_group_of_eight():
    grouped = of_torch(PRODUCTS["grouped"])
    assert flop(grouped, "matmul") == pytest.approx(8 * grouped.flop, rel=0.03)


def test_few_channels_are_loaded_one_by_one_on_a_gpu():
    """No product: ten FLOP for each byte."""
    patches = of_torch(PRODUCTS["patches"])
    assert {family for family, *_ in works(patches)} == {"elementwise"}
    assert sum(moved for *_, moved in works(patches)) > patches.flop / 10


def test_images_are_turned_for_tensor_cores():
    """Of a layer that is a product: input and output read and written once more."""
    x, w = t(8, 64, 40, 80), t(64, 64, 1, 7)
    turned = works(of_torch(lambda: conv(x, w)))
    last = works(of_torch(lambda: conv(x.to(memory_format=NHWC), w)))
    assert [family for family, *_ in turned] == ["matmul", "elementwise"]
    assert [family for family, *_ in last] == ["matmul"]


def test_attention_backward_takes_three_times_as_long():
    q = t(2, 8, 256, 64)
    forward = aten._scaled_dot_product_flash_attention(q, q, q)
    backward = of_torch(
        lambda: aten._scaled_dot_product_flash_attention_backward(
            q, q, q, q, *forward[:2], *forward[2:6], 0.0, False, *forward[6:8]
        )
    )
    of_forward = of_torch(lambda: aten._scaled_dot_product_flash_attention(q, q, q))
    assert flop(backward, "attention") == pytest.approx(3 * flop(of_forward, "attention"))


def test_a_dropout_in_attention_takes_as_long_again():
    q = t(2, 8, 256, 64)
    plain = of_torch(lambda: aten._scaled_dot_product_flash_attention(q, q, q))
    dropped = of_torch(lambda: aten._scaled_dot_product_flash_attention(q, q, q, 0.1))
    assert flop(dropped, "attention") == 2 * flop(plain, "attention")


def test_grouped_heads_are_read_once_a_group():
    """A step of generation: 8 heads of keys for 32 of queries."""
    q, k = t(1, 32, 1, 128), t(1, 8, 4096, 128)
    step = of_torch(lambda: aten._scaled_dot_product_flash_attention(q, k, k))
    assert sum(moved for *_, moved in works(step)) == pytest.approx(2 * 8 * 4096 * 128 * 2, rel=0.1)


def test_a_depthwise_layer_and_its_gradients_are_no_products():
    x, w = t(*IMAGES), t(64, 1, 7, 7)
    forward = of_torch(lambda: conv(x, w, padding=3, groups=64))
    backward = of_torch(lambda: conv_backward(x, x, w, [True, True, False], padding=3, groups=64))
    (cell, times), *_ = answered_by(backward).cells
    assert (cell, 1.0) == answered_by(forward).cells[0]
    assert times == pytest.approx(3.2)
    assert cell.case == "depthwise"
    both = of_torch(lambda: conv_backward(x, x, w, [False, True, False], padding=3, groups=64))
    assert answered_by(both).cells[0] == (cell, 1.6)


def test_a_depthwise_layer_in_nhwc_goes_through_memory():
    x, w = t(*IMAGES).to(memory_format=NHWC), t(64, 1, 3, 3)
    ((family, _, moved),) = works(of_torch(lambda: conv(x, w, padding=1, groups=64)))
    assert family == "elementwise"
    assert moved == pytest.approx(2 * 2 * 2 * math.prod(IMAGES), rel=0.05)


def test_a_bias_is_a_kernel_of_its_own_on_a_gpu():
    x, w, bias = t(8, 64, 16, 16), t(32, 64, 1, 1), t(32)
    with_bias = of_torch(lambda: conv(x, w, bias))
    layer, added = answered_by(with_bias).cells
    assert answered_by(with_bias).exact
    assert (layer[0].case, added[0].workload) == ("forward", "elementwise")
    assert answered_by(of_torch(lambda: conv(x, w))).cells == (layer,)


@pytest.mark.parametrize(
    ("call", "passes"),
    [
        (lambda x: aten.gelu_backward(x, x), 1),
        (lambda x: aten._softmax_backward_data(x, x, -1, F32), 2),
        (lambda x: aten._foreach_mul_([x, x], 0.5), 1.1),
        (lambda x: aten.cat([x, x]), 1),
        (lambda x: aten._to_copy(x, dtype=BF16), 1),
        (lambda x: aten.where(x > 0, x, x), 1),
    ],
)
def test_what_moves_bytes_moves_as_many(call, passes):
    operation = of_torch(lambda: call(t(64, 64, 32, 32, dtype=F32)))
    ((family, _, moved),) = works(operation)
    assert family == "elementwise"
    counted = operation.bytes_read + operation.bytes_written
    assert moved == pytest.approx(passes * counted, rel=0.01)


def test_an_optimizer_over_many_tensors_is_its_bytes_and_its_launches():
    """AdamW in one: parameters, gradients and two moments read, three of them written."""
    sizes = [Tensor((1000, 1000), "float32"), Tensor((1000,), "float32")]
    parameters = tuple(sizes * 4)
    moved = 4.0 * (4 + 3) * 1_001_000
    step = Operation(
        "_fused_adamw_", parameters, (), bytes_read=moved, bytes_written=0.0, launches=3
    )
    (whole, once), (least, more) = answered_by(step).cells
    assert (dict(whole.params)["n"], once) == (round(1.1 * moved / 12), 1.0)
    assert (dict(least.params)["n"], more) == (1, 2.0)


def test_a_recurrent_layer_is_a_product_and_a_chain_of_steps():
    """Two layers of 512: 10 steps of a batch of 4; FLOP 2 x 4 gates x hidden x (in + hidden)."""
    weights = [(2048, 256), (2048, 512), (2048,), (2048,), (2048, 512), (2048, 512)]
    tensors = tuple(Tensor(shape, "float32") for shape in [(10, 4, 256), *weights])
    layers = Operation("_cudnn_rnn", tensors, (Tensor((10, 4, 512), "float32"),))
    assert flop(layers, "matmul") == 2 * 10 * 4 * 2048 * (256 + 512 + 512 + 512)
    backward = Operation("_cudnn_rnn_backward", tensors, ())
    assert flop(backward, "matmul") == 2 * flop(layers, "matmul")


def test_a_recurrent_layer_whose_states_stay_on_the_chip_multiplies_inputs_once():
    tensors = tuple(Tensor(shape, "float32") for shape in [(10, 4, 256), (512, 256), (512, 128)])
    layer = Operation("_cudnn_rnn", tensors, (Tensor((10, 4, 128), "float32"),), launches=2)
    assert flop(layer, "matmul") == 2 * 10 * 4 * 512 * 256


def test_packed_sequences_have_as_many_steps_as_their_kernels_say():
    """100 steps of 8 on average: two kernels a step."""
    tensors = tuple(Tensor(shape, "float32") for shape in [(800, 256), (2048, 256), (2048, 512)])
    layer = Operation("_cudnn_rnn", tensors, (Tensor((800, 512), "float32"),), launches=200)
    assert flop(layer, "matmul") == 2 * 800 * 2048 * (256 + 512)


def test_a_write_by_index_into_a_new_tensor_copies_the_old_one():
    table, index, rows = t(1000, 64, dtype=F32), t(8, dtype=torch.int64), t(8, 64, dtype=F32)
    written = works(of_torch(lambda: aten.index_put_(table, [index], rows)))
    anew = works(of_torch(lambda: aten.index_put(table, [index], rows)))
    assert len(anew) == len(written) + 1
    assert anew[1][2] == pytest.approx(2 * 4 * 64 * 1000, rel=0.01)


@pytest.mark.parametrize(
    ("call", "workload", "case"),
    [
        (lambda: aten.amax(t(3000, 400), [1]), "reduction", "row_sum"),
        (lambda: aten.sum(t(3000, 400), [0]), "elementwise", "add"),
        (lambda: aten.amax(t(3000, 400)), "reduction", "sum"),
        (lambda: aten.index(t(100, 64), [t(50, dtype=torch.int64)]), "gather", "rows"),
        (
            lambda: aten.embedding_dense_backward(
                t(8, 64, dtype=F32), t(8, dtype=torch.int64), 1000, -1, False
            ),
            *("elementwise", "add"),
        ),
        (
            lambda: aten.index_add(
                t(100, 64, dtype=F32), 0, t(8, dtype=torch.int64), t(8, 64, dtype=F32)
            ),
            *("scatter_add", "rows"),
        ),
        (lambda: aten.topk(t(30, 400, dtype=F32), 5), "sort", "sort_rows"),
        (lambda: aten._fft_r2c(t(30, 400, dtype=F32), [1], 0, True), "fft", "batched_1d"),
        (lambda: aten.bernoulli(t(30, 400)), "random", "uniform"),
    ],
)
def test_the_nearest_kind_answers(call, workload, case):
    answer = answered_by(of_torch(call))
    cell = answer.cells[0][0]
    assert (cell.workload, cell.case) == (workload, case)
    assert not answer.exact
    assert answer.known


@pytest.mark.parametrize(
    "operation",
    [
        Operation("view", (Tensor((4, 4), "float32"),), (Tensor((16,), "float32"),), launches=0),
        Operation(SYNCHRONIZE, line="train.py:12"),
        Operation("add", (Tensor((0, 4), "float32"),), (Tensor((0, 4), "float32"),)),
        Operation("empty"),
        Operation("empty_like", outputs=(Tensor((4, 4), "float32"),)),
    ],
)
def test_what_starts_nothing_has_no_cells(operation):
    answer = answered_by(operation)
    assert answer.cells == ()
    assert answer.exact
    assert answer.known


def test_a_kind_that_nobody_knows_goes_by_its_counted_work():
    operand = (Tensor((1000, 1000), "bfloat16"),)
    moving = Operation("my_map", operand, operand, bytes_read=2e6, bytes_written=2e6, flop=1e7)
    assert not answered_by(moving).known
    assert works(moving)[0][0] == "elementwise"
    assert works(moving)[0][2] == pytest.approx(4e6, rel=0.01)
    multiplying = Operation("my_product", operand, operand, bytes_read=2e6, flop=1e12)
    assert not answered_by(multiplying).known
    assert works(multiplying)[0][:2] == ("matmul", pytest.approx(1e12, rel=0.01))


tensors = st.builds(
    Tensor,
    st.lists(st.integers(0, 70), max_size=5).map(tuple),
    st.sampled_from(sorted(ITEM_BYTES)),
)
kinds = st.one_of(st.sampled_from([*sorted(_BY_KIND), "_foreach_add_"]), st.just("nobodys"))
attributes = st.fixed_dictionaries(
    {},
    optional={
        "dim": st.one_of(st.integers(-5, 4), st.lists(st.integers(-5, 4), max_size=2).map(tuple)),
        "stride": st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple),
        "groups": st.integers(0, 8),
        "output_mask": st.lists(st.booleans(), max_size=3).map(tuple),
        "normalized_shape": st.lists(st.integers(0, 9), max_size=2).map(tuple),
        "accumulate": st.booleans(),
        "normalization": st.integers(0, 2),
        "is_causal": st.booleans(),
        "hidden_size": st.just("odd"),
    },
)


NOTHING = Tensor((0, 0, 0, 0), "float16")


@example(Operation("convolution", (NOTHING, NOTHING, Tensor((), "float16")), (NOTHING,)))
@example(Operation("convolution_backward", (NOTHING,) * 3, (), (("stride", (0, 0)),), flop=1e9))
@example(Operation("sort", (Tensor((4, 4), "bool"),), (), (("dim", 7),)))
@given(
    operation=st.builds(
        Operation,
        kind=kinds,
        inputs=st.lists(tensors, max_size=6).map(tuple),
        outputs=st.lists(tensors, max_size=3).map(tuple),
        attributes=attributes.map(lambda given: tuple(given.items())),
        device=st.sampled_from(["gpu", "cpu"]),
        math_mode=st.sampled_from(["ieee", "tf32"]),
        flop=st.sampled_from([0.0, 1e6, 1e15]),
        bytes_read=st.sampled_from([0.0, 1e3, 1e12]),
        launches=st.integers(0, 30),
    )
)
def test_every_operation_has_cells_that_can_be_asked_for(operation):
    """Whatever a file says: whole sizes, types that the library has, finite work."""
    answer = answered_by(operation)
    assert answer == answered_by(operation)
    device = {"gpu": "cuda", "cpu": "cpu"}[operation.device]
    for cell, times in answer.cells:
        bus = cell.workload == "transfer"  # only a GPU has one
        assert accepted(cell, "torch", "cuda" if bus else device), cell
        assert 0.0 < times < math.inf
    assert all(
        math.isfinite(count) and count >= 0 for _, *both in works(operation) for count in both
    )


@given(
    kind=st.sampled_from(sorted(MEMORY_KINDS)),
    dtype=st.sampled_from(sorted(ITEM_BYTES)),
    count=st.integers(1, 10**9),
    launches=st.integers(1, 20),
)
def test_traffic_through_memory_is_kept_whatever_the_element_type(kind, dtype, count, launches):
    tensor = Tensor((count, 3), dtype)
    operation = Operation(
        kind,
        (tensor, tensor, tensor),
        (tensor,),
        bytes_read=tensor.bytes,
        launches=launches,
        device="cpu",
    )
    answer = answered_by(operation)
    moved = works(operation)[0][2]
    if not answer.exact:
        kept = kind not in ("nll_loss_forward", "nll_loss_backward")  # one of each row
        passes = PASSES.get(kind, 1.0) if kept else 1.0
        assert moved == pytest.approx(passes * tensor.bytes, abs=40.0 * launches, rel=1e-6)
