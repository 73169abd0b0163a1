"""Operations of a job that families measure: PyTorch's own calls, and the cells that they are."""

from dataclasses import replace

import pytest

from collector.jobs import COPY_TO_CPU, COPY_TO_GPU, Operation, Tensor
from collector.workloads import FAMILIES, accepted, get_workload, recognised

torch = pytest.importorskip("torch")
from tests.aten import Recorded  # noqa: E402

aten = torch.ops.aten
BF16, F16, F32, F64 = torch.bfloat16, torch.float16, torch.float32, torch.float64


def t(*shape, dtype=BF16):
    return torch.empty(shape, device="meta", dtype=dtype)


def whole(*shape):
    return t(*shape, dtype=torch.int64)


def of_torch(call, **place):
    """The last operation of a call."""
    with Recorded(**place) as recorded:
        call()
    return recorded.operations[-1]


def layer(x, w, stride=1, padding=0, dilation=1, groups=1, bias=None):
    pairs = [[value] * 2 for value in (stride, padding, dilation)]
    return aten.convolution(x, w, bias, *pairs, False, [0, 0], groups)


def gradients(g, x, w, mask, stride=1, padding=0, groups=1):
    pairs = [[value] * 2 for value in (stride, padding, 1)]
    return aten.convolution_backward(g, x, w, [0], *pairs, False, [0, 0], groups, mask)


def flash(q, k, causal=False, dropout=0.0):
    return aten._scaled_dot_product_flash_attention(q, k, k, dropout, causal)


IMAGES = (8, 64, 56, 56)
NHWC = torch.channels_last

SAME = {
    "a square product": (
        lambda: aten.mm(t(512, 512), t(512, 512)),
        ("matmul", "square", {"n": 512}),
    ),
    "a linear layer, whose weights lie transposed": (
        lambda: aten.addmm(t(30), t(100, 20), t(30, 20).t()),
        ("matmul", "skinny", {"m": 100, "n": 30, "k": 20}),
    ),
    "a batch of products": (
        lambda: aten.bmm(t(12, 10, 20), t(12, 20, 30)),
        ("matmul", "batched", {"batch": 12, "m": 10, "n": 30, "k": 20}),
    ),
    "a gradient of weights: rows of m elements, loaded as those of its mirror image": (
        lambda: aten.mm(t(4096, 1001).t(), t(4096, 64)),
        ("matmul", "skinny", {"m": 64, "n": 1001, "k": 4096}),
    ),
    "a layer of 3 x 3 at stride 2": (
        lambda: layer(t(*IMAGES), t(128, 64, 3, 3), stride=2, padding=1),
        (
            *("conv2d", "forward"),
            {"batch": 8, "channels_in": 64, "channels_out": 128}
            | {"image": 56, "kernel": 3, "stride": 2},
        ),
    ),
    "both gradients of a layer": (
        lambda: gradients(t(*IMAGES), t(*IMAGES), t(64, 64, 3, 3), [True, True, False], padding=1),
        (
            *("conv2d", "backward"),
            {"batch": 8, "channels_in": 64, "channels_out": 64}
            | {"image": 56, "kernel": 3, "stride": 1},
        ),
    ),
    "a depthwise layer": (
        lambda: layer(t(*IMAGES), t(64, 1, 7, 7), padding=3, groups=64),
        (
            *("conv2d", "depthwise"),
            {"batch": 8, "channels": 64, "image": 56, "kernel": 7, "stride": 1},
        ),
    ),
    "causal attention": (
        lambda: flash(t(2, 12, 1024, 64), t(2, 12, 1024, 64), causal=True),
        ("attention", "causal", {"batch": 2, "heads": 12, "sequence": 1024, "head_dim": 64}),
    ),
    "a sum of two arrays": (
        lambda: aten.add(t(30, 40), t(30, 40)),
        ("elementwise", "add", {"n": 1200}),
    ),
    "an array scaled and added in place": (
        lambda: aten.add_(t(30, 40), t(30, 40), alpha=0.5),
        ("elementwise", "triad", {"n": 1200}),
    ),
    "a sum of images whose channels lie innermost": (
        lambda: aten.mul(t(*IMAGES).to(memory_format=NHWC), t(*IMAGES).to(memory_format=NHWC)),
        ("elementwise", "add", {"n": 8 * 64 * 56 * 56}),
    ),
    "a row added to each of a matrix": (
        lambda: aten.add(t(2, 30, 40), t(40)),
        ("elementwise", "broadcast_add", {"rows": 60, "cols": 40}),
    ),
    "a map": (lambda: aten.gelu(t(30, 40)), ("elementwise", "tanh", {"n": 1200})),
    "a mean of everything": (lambda: aten.mean(t(30, 40)), ("reduction", "sum", {"n": 1200})),
    "sums of rows": (
        lambda: aten.sum(t(5, 30, 40), [-1]),
        ("reduction", "row_sum", {"rows": 150, "cols": 40}),
    ),
    "means of images": (
        lambda: aten.mean(t(*IMAGES), [2, 3], True),
        ("reduction", "row_sum", {"rows": 512, "cols": 3136}),
    ),
    "a softmax of the last dimension": (
        lambda: aten._softmax(t(5, 30, 40), -1, False),
        ("reduction", "softmax", {"rows": 150, "cols": 40}),
    ),
    "a layer norm with weights": (
        lambda: aten.native_layer_norm(t(5, 30, 40), [40], t(40), t(40), 1e-5),
        ("reduction", "layer_norm", {"rows": 150, "cols": 40}),
    ),
    "an embedding": (
        lambda: aten.embedding(t(1000, 64), whole(8, 128)),
        ("gather", "rows", {"rows": 1000, "width": 64, "count": 1024}),
    ),
    "additions by index": (
        lambda: aten.index_add(t(100, 64, dtype=F32), 0, whole(500), t(500, 64, dtype=F32)),
        ("scatter_add", "rows", {"rows": 100, "width": 64, "count": 500}),
    ),
    "a sort of rows": (
        lambda: aten.sort(t(30, 40, dtype=F32)),
        ("sort", "sort_rows", {"rows": 30, "cols": 40}),
    ),
    "transforms of rows": (
        lambda: aten._fft_c2c(t(30, 40, dtype=torch.complex64), [1], 0, True),
        ("fft", "batched_1d", {"batch": 30, "n": 40}),
    ),
    "a normal fill": (
        lambda: aten.normal_(t(30, 40, dtype=F32)),
        ("random", "normal", {"n": 1200}),
    ),
    "a copy on the device": (lambda: aten.clone(t(30, 40)), ("transfer", "d2d", {"bytes": 2400})),
}

OTHER = {
    "a product in eight bits": lambda: aten.mm(
        t(64, 64, dtype=torch.float8_e4m3fn), t(64, 64, dtype=torch.float8_e4m3fn)
    ),
    "a gradient of weights loaded in other units than any form of it": lambda: aten.mm(
        t(1001, 1024).t(), t(1001, 64)
    ),
    "images whose channels lie innermost": lambda: layer(
        t(*IMAGES).to(memory_format=NHWC), t(64, 64, 3, 3), padding=1
    ),
    "a layer without padding": lambda: layer(t(*IMAGES), t(64, 64, 3, 3)),
    "a dilated layer": lambda: layer(t(*IMAGES), t(64, 64, 3, 3), padding=2, dilation=2),
    "a layer in groups": lambda: layer(t(*IMAGES), t(64, 8, 3, 3), padding=1, groups=8),
    "one gradient of a layer": lambda: gradients(
        t(*IMAGES), t(*IMAGES), t(64, 64, 3, 3), [False, True, False], padding=1
    ),
    "attention with dropout": lambda: flash(t(2, 4, 128, 64), t(2, 4, 128, 64), dropout=0.1),
    "attention to a cache": lambda: flash(t(2, 4, 1, 64), t(2, 4, 128, 64)),
    "a sum of element types": lambda: aten.add(t(30, 40), t(30, 40, dtype=F32)),
    "a sum with a column": lambda: aten.add(t(30, 40), t(30, 1)),
    "a map of every second element": lambda: aten.exp(t(30, 80)[:, ::2]),
    "sums of columns": lambda: aten.sum(t(30, 40), [0]),
    "a softmax of columns": lambda: aten._softmax(t(30, 40), 0, False),
    "additions to few rows of a table": lambda: aten.index_add(
        t(1000, 64, dtype=F32), 0, whole(5), t(5, 64, dtype=F32)
    ),
    "transforms of real numbers": lambda: aten._fft_r2c(t(30, 40, dtype=F32), [1], 0, True),
    "a copy in another order": lambda: aten.clone(
        t(30, 40).t(), memory_format=torch.contiguous_format
    ),
    "an empty array": lambda: aten.add(t(0, 40), t(0, 40)),
    "a kind that nobody knows": lambda: aten.special_zeta(t(30, dtype=F32), t(30, dtype=F32)),
}


@pytest.mark.parametrize("name", SAME)
def test_an_operation_that_is_measured_is_its_cell(name):
    call, (workload, case, params) = SAME[name]
    found = recognised(of_torch(call))
    assert found is not None
    assert (found.workload, found.case, dict(found.params)) == (workload, case, params)
    assert accepted(found, "torch", "cuda")


@pytest.mark.parametrize("name", OTHER)
def test_what_differs_in_more_than_a_cell_says_is_not_recognised(name):
    assert recognised(of_torch(OTHER[name])) is None


def test_every_cell_has_the_flop_that_torch_counts():
    """Of products and convolutions, whose FLOP are a convention that both share."""
    for call, (workload, *_) in SAME.values():
        operation = of_torch(call)
        if workload in ("matmul", "conv2d"):
            cell = recognised(operation)
            work = get_workload(workload).work(
                cell.case, dict(cell.params), cell.dtype, "torch", "cuda", "hot"
            )
            if "depthwise" not in cell.case:  # torch counts depthwise gradients alone wrongly
                assert work.flop_count == operation.flop
            else:
                assert work.flop_count == 2 * 8 * 64 * 56 * 56 * 49


@pytest.mark.parametrize(("dtype", "math_mode"), [(F32, "tf32"), (BF16, "ieee")])
def test_only_products_of_float32_have_a_math_mode(dtype, math_mode):
    found = recognised(
        of_torch(lambda: aten.mm(t(8, 8, dtype=dtype), t(8, 8, dtype=dtype)), math_mode="tf32")
    )
    assert found.math_mode == math_mode
    assert recognised(of_torch(lambda: aten.add(t(8), t(8)), math_mode="tf32")).math_mode == "ieee"


def test_a_type_that_the_family_lacks_on_that_device_is_not_recognised():
    """The layer is measured in bfloat16 on a GPU, and in float32 only on a CPU."""
    call = SAME["a layer of 3 x 3 at stride 2"][0]
    assert recognised(of_torch(call)) is not None
    assert recognised(of_torch(call, device="cpu")) is None
    of_floats = of_torch(
        lambda: layer(t(*IMAGES, dtype=F32), t(8, 64, 3, 3, dtype=F32), padding=1), device="cpu"
    )
    assert recognised(of_floats).workload == "conv2d"


def test_maps_other_than_tanh_are_alike_on_a_gpu_only():
    assert recognised(of_torch(lambda: aten.exp(t(30, dtype=F32)))).case == "tanh"
    assert recognised(of_torch(lambda: aten.exp(t(30, dtype=F32)), device="cpu")) is None
    assert recognised(of_torch(lambda: aten.tanh(t(30, dtype=F32)), device="cpu")).case == "tanh"


@pytest.mark.parametrize("kind", [COPY_TO_GPU, COPY_TO_CPU])
@pytest.mark.parametrize("pinned", [True, False])
def test_copies_over_the_bus_are_known_by_their_way_and_memory(kind, pinned):
    images = Tensor((4, 3, 8, 8), "uint8")
    copy = Operation(kind, (images,), (images,), (("pinned", pinned),), launches=0)
    found = recognised(copy)
    way = "h2d" if kind == COPY_TO_GPU else "d2h"
    assert found.case == f"{way}_{'pinned' if pinned else 'pageable'}"
    assert dict(found.params) == {"bytes": 768}


def test_a_linear_layer_that_was_not_taken_apart_is_the_product_of_all_rows():
    x, w, y = (Tensor(shape, "bfloat16") for shape in ((4, 10, 20), (30, 20), (4, 10, 30)))
    found = recognised(Operation("linear", (x, w), (y,)))
    assert dict(found.params) == {"m": 40, "n": 30, "k": 20}


def test_a_pass_does_not_matter_where_the_operation_is_the_same():
    product = of_torch(lambda: aten.mm(t(8, 8), t(8, 8)))
    assert recognised(replace(product, stage="backward")) == recognised(product)


def test_no_operation_breaks_a_family():
    """Nothing at all, scalars and empty ones, for each kind that a family asks to see."""
    kinds = {kind for family in FAMILIES.values() for kind in family.recognised_kinds}
    shapes = [
        (),
        ((),),
        ((0,), (0,)),
        ((3,), (), (3,)),
        ((2, 3), (3,), (1,), (0,)),
        ((0,) * 4,) * 4,
    ]
    for kind in kinds:
        for operands in shapes:
            tensors = tuple(Tensor(shape, "float32") for shape in operands)
            for outputs in (tensors[:1], ()):
                found = recognised(Operation(kind, tensors, outputs))
                assert found is None or accepted(found, "torch", "cuda")
