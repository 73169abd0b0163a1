"""Shapes of the families of networks and data pipelines, against counts made by hand."""

import numpy as np
import pandas as pd
import pytest

from collector.workloads import FAMILIES
from collector.workloads import _transforms as transforms
from collector.workloads._factors import factorise
from estimator.cells.features import describe, dimensions


def row(workload, case, params, dtype="float32", device="cpu", backend="torch", threads=1):
    cells = pd.DataFrame(
        [
            {
                "workload": workload,
                "case": case,
                "params": params,
                "dtype": dtype,
                "math_mode": "ieee",
                "backend": backend,
                "device": device,
                "mode": "hot" if device == "cpu" else "resident",
                "threads": threads,
            }
        ]
    )
    return describe(cells).iloc[0]


LAYER = {
    **{"batch": 2, "channels_in": 64, "channels_out": 32},
    **{"image": 28, "kernel": 3, "stride": 2},
}


@pytest.mark.parametrize("case", ["forward", "backward"])
def test_a_convolution_is_a_product(case):
    """2 images of 14 x 14 positions, 32 channels out of 64 x 9 inputs each."""
    found = row("conv2d", case, LAYER, device="cuda")
    products = 2 if case == "backward" else 1
    of = [{name: found[f"product_{i}_{name}"] for name in "mnk"} for i in range(products)]
    if case == "forward":
        assert of == [{"m": 2 * 14 * 14, "n": 32, "k": 64 * 9}]
    else:  # of the input (at stride 2 a quarter of the kernel meets each position) and the weights
        back = {"m": 2 * 28 * 28, "n": 64, "k": 32 * 9 / 4}
        assert of == [back, {"m": 32, "n": 64 * 9, "k": 2 * 14 * 14}]
    assert found["part_0"] == 1 / products
    assert found["flop"] == 2 * products * 2 * 14**2 * 32 * 64 * 9


@pytest.mark.parametrize(("image", "kernel", "stride"), [(28, 1, 1), (57, 3, 2), (224, 7, 2)])
def test_the_positions_are_those_of_the_output(image, kernel, stride):
    params = LAYER | {"image": image, "kernel": kernel, "stride": stride}
    found = row("conv2d", "forward", params, device="cuda")
    assert found["product_m"] * 32 == FAMILIES["conv2d"].size("forward", params)


def test_six_parameters_are_six_dimensions():
    cells = pd.DataFrame([row("conv2d", "forward", LAYER)])
    assert dimensions(cells).shape == (1, 6)
    mixed = pd.DataFrame([row("conv2d", "forward", LAYER), row("random", "normal", {"n": 8})])
    assert np.isnan(dimensions(mixed)[1]).sum() == 5


def test_matrix_units_pad_channels_and_turn_images_of_16_bits():
    """33 channels fill five units of 8 channels; images and weights are read and written again."""
    aligned = row("conv2d", "forward", LAYER, "float16", "cuda")
    odd = row("conv2d", "forward", LAYER | {"channels_out": 33}, "float16", "cuda")
    plain = row("conv2d", "forward", LAYER, "float32", "cuda")
    assert odd["flop"] / odd["flop_count"] == pytest.approx(40 / 33)
    assert aligned["flop"] == aligned["flop_count"]
    assert aligned["product_0_turned"] == 2 * aligned["bytes"]
    assert (plain["product_0_turned"], plain["flop"]) == (0.0, aligned["flop"])


def test_kernels_of_one_element_multiply_images_as_they_lie():
    """Where channels are aligned: no turned images, and one kernel instead of four."""
    one = LAYER | {"kernel": 1, "stride": 1}
    found, odd = (
        row("conv2d", "forward", one | {"channels_in": count}, "bfloat16", "cuda")
        for count in (64, 65)
    )
    assert (found["product_0_turned"], found["launches"]) == (0.0, 1.0)
    assert (odd["product_0_turned"] > 0, odd["launches"]) == (True, 4.0)


def test_winograd_takes_kernels_of_3_at_stride_1_without_matrix_units():
    near = LAYER | {"stride": 1}
    taken = [
        row("conv2d", "forward", params, dtype, "cuda")["product_0_winograd"] > 0
        for params, dtype in (
            (near, "float32"),
            (LAYER, "float32"),
            (near | {"kernel": 5}, "float32"),
            (near, "bfloat16"),
        )
    ]
    assert taken == [True, False, False, False]


def test_a_first_layer_of_few_channels_is_awkward():
    assert row("conv2d", "forward", LAYER | {"channels_in": 3}, device="cuda")["awkward"] == 1.0
    assert row("conv2d", "forward", LAYER, device="cuda")["awkward"] == 0.0


@pytest.mark.parametrize(
    ("n", "device", "kind"),
    [
        (4096, "cpu", transforms.POWER_OF_TWO),
        (1000, "cuda", transforms.SMALL_PRIMES),
        (64 * 17, "cuda", transforms.LARGE_PRIMES),
        (1009, "cuda", transforms.BLUESTEIN),
        (1009, "cpu", transforms.BLUESTEIN),
        (64 * 17, "cpu", transforms.LARGE_PRIMES),
    ],
)
def test_lengths_of_transforms_have_classes(n, device, kind):
    found = row("fft", "batched_1d", {"batch": 4, "n": n}, "complex64", device)
    assert found["class_radix"] == kind


def test_a_transform_of_a_large_prime_takes_several_longer_ones():
    plain, prime = (
        row("fft", "batched_1d", {"batch": 4, "n": n}, "complex64", "cuda") for n in (1024, 1009)
    )
    long = row("fft", "batched_1d", {"batch": 4, "n": 10_007}, "complex64", "cuda")
    assert [found["launches"] for found in (plain, prime, long)] == [1, 2, 6]
    assert prime["bytes"] == pytest.approx(4 * plain["bytes"] * 1009 / 1024)


@pytest.mark.parametrize(
    ("n", "cost"), [(1024, 1.0), (1000, (3 * 2 + 3 * 5) / (2 * np.log2(1000)))]
)
def test_arithmetic_of_a_transform_is_the_sum_of_its_factors(n, cost):
    length = np.array([float(n)])
    assert transforms.direct_cost(length, factorise(length)) == pytest.approx(cost)


def test_attention_is_quadratic_and_fused_kernels_move_no_scores():
    shape = {"batch": 2, "heads": 4, "sequence": 128, "head_dim": 64}
    fused, formula = (row("attention", "full", shape, backend=name) for name in ("torch", "numpy"))
    longer = row("attention", "full", shape | {"sequence": 256})
    assert longer["flop"] == 4 * fused["flop"]
    once, scores = 4 * 4 * 2 * 4 * 128 * 64, 4 * 2 * 4 * 128**2
    assert fused["bytes"] == fused["footprint"] == once
    assert formula["bytes"] == once + 12 * scores
    assert formula["footprint"] == once + 3 * scores


def test_a_sort_is_n_log_n_on_a_cpu_and_passes_on_a_gpu():
    """float32 keys with 8-byte indices: four passes of 8 bits, each reads and writes 12 bytes."""
    cpu = [row("sort", "sort", {"n": n})["flop"] for n in (2**20, 2**21)]
    assert cpu[1] / cpu[0] == pytest.approx(2 * 21 / 20)
    gpu = [row("sort", "sort", {"n": n}, device="cuda") for n in (2**20, 2**21)]
    assert gpu[1]["flop"] == 2 * gpu[0]["flop"]
    assert gpu[0]["bytes"] == 4 * 2 * 12 * 2**20
    short = row("sort", "sort_rows", {"rows": 1024, "cols": 1024}, device="cuda")
    assert short["bytes"] == (4 + 4 + 8) * 2**20


def test_a_gather_brings_whole_lines_and_takes_a_step_for_each_element():
    """1000 rows of 3 floats: a line of 64 bytes each, 12 written, 8 of index."""
    found = row("gather", "rows", {"rows": 10**6, "width": 3, "count": 1000})
    assert found["bytes"] == pytest.approx(1000 * (64 + 12 + 8))
    assert found["flop"] == 3000
    small = row("gather", "rows", {"rows": 10, "width": 3, "count": 1000})
    assert small["footprint"] == pytest.approx(10 * 64 + 1000 * (12 + 8))


def test_a_sparse_product_brings_a_row_for_each_nonzero():
    """100 rows of 5 nonzeros (value and index, 8 bytes), each with 16 floats of the matrix."""
    params = {"rows": 100, "nonzeros_per_row": 5, "width": 16}
    found = row("spmm", "csr_dense", params)
    others = 101 * 4 + 100 * 16 * 4  # row starts; the product written
    assert found["bytes"] == pytest.approx(500 * (8 + 64) + others)
    assert found["footprint"] == pytest.approx(500 * 8 + 101 * 4 + 2 * 100 * 16 * 4)


def test_rows_of_a_layer_norm_have_blocks_of_threads_on_a_gpu():
    params = {"rows": 1000, "cols": 501}
    found = row("reduction", "layer_norm", params, device="cuda")
    assert (found["width"], found["awkward"]) == (1000.0, 1.0)
    assert found["flop"] > found["flop_count"]


def test_formulas_of_softmax_read_again_and_its_rows_are_a_gpus_width():
    params = {"rows": 1000, "cols": 500}
    formula = row("reduction", "softmax", params, backend="numpy")
    assert formula["footprint"] == pytest.approx(formula["bytes"] * 3 / 8)
    assert formula["fresh"] == 3 * 4 * 500_000
    few, many = (
        row("reduction", "softmax", {"rows": rows, "cols": 500}, device="cuda")
        for rows in (8, 1000)
    )
    assert (few["width"], many["width"]) == (8.0, 1000.0)
    assert few["awkward"] == many["awkward"] == 0.0


def test_views_and_optimizer_steps_cost_the_hosts_calls():
    assert row("launch", "dispatch_views", {"length": 50})["launches"] == 50
    assert row("launch", "optimizer_step", {"tensors": 70}, device="cuda")["launches"] == 70
    assert row("launch", "chain", {"length": 50})["launches"] == 50
    assert row("launch", "chain", {"length": 50}, backend="jax")["launches"] == 1


def test_jax_fuses_an_expression_into_a_new_array():
    found = row("elementwise", "polynomial", {"n": 1000}, backend="jax")
    assert (found["bytes"], found["footprint"], found["fresh"]) == (8000.0, 8000.0, 4000.0)


def test_a_broadcast_has_rows_times_columns_elements():
    found = row("elementwise", "broadcast_add", {"rows": 100, "cols": 10}, backend="jax")
    assert (found["size"], found["fresh"]) == (1000, 4000.0)


def test_integer_products_write_int32():
    found = row("matmul", "int8_square", {"n": 64}, dtype="int8")
    assert found["fresh"] == 4 * 64**2
    assert row("matmul", "int8_square", {"n": 63}, "int8", "cuda")["awkward"] == 1.0


@pytest.mark.parametrize(
    ("case", "params", "m"),
    [
        ("mlp", {"batch": 32, "width": 100}, 32),
        ("resnet", {"batch": 8}, 8 * 256),
        ("transformer", {"batch": 8, "sequence": 16}, 8 * 16),
    ],
)
def test_a_network_stands_for_its_middle_layer(case, params, m):
    found = row("inference_step", case, params, device="cuda")
    assert found["product_m"] == m
    assert found["launches"] > 1
