import numpy as np
import pandas as pd
import pytest

from collector.errors import SelectionError
from estimator.cells.features import describe, dimensions, kernel_work
from estimator.cells.questions import params_key
from estimator.cells.work import TILES

CONVOLUTION = {
    **{"batch": 2, "channels_in": 64, "channels_out": 32},
    **{"image": 28, "kernel": 3, "stride": 1},
}


def question(
    workload,
    case,
    params,
    dtype="float32",
    device="cpu",
    mode="hot",
    math="ieee",
    backend="torch",
    threads=1,
):
    return pd.DataFrame(
        [
            {
                "workload": workload,
                "case": case,
                "params": params,
                "dtype": dtype,
                "math_mode": math,
                "backend": backend,
                "device": device,
                "mode": mode,
                "threads": threads,
            }
        ]
    )


def test_a_square_product_has_its_work_and_shape():
    row = describe(question("matmul", "square", {"n": 100})).iloc[0]
    assert row["flop"] == 2e6
    assert row["bytes"] == row["footprint"] == 3 * 4 * 100**2
    assert row["width"] == pytest.approx(1000.0)  # root of m n k
    assert row["depth"] == pytest.approx(100.0)
    assert row["params_key"] == (("batch", 1), ("k", 100), ("m", 100), ("n", 100))


@pytest.mark.parametrize(
    ("dtype", "n", "expected"),
    [
        ("float16", 1000, 0.0),
        ("float16", 500, 3 ** (-1 / 3)),
        ("bfloat16", 250, (2 / 3) ** (1 / 3)),
        ("float16", 1001, 1.0),
        ("float32", 1000, 0.0),
        ("float32", 1001, (2 / 3) ** (1 / 3)),
        ("float64", 1000, 0.0),
        ("float64", 1001, 3 ** (-1 / 3)),
    ],
)
def test_products_are_awkward_by_how_their_rows_are_aligned(dtype, n, expected):
    cells = question("matmul", "square", {"n": n}, dtype, "cuda", "resident")
    assert describe(cells)["awkward"].iloc[0] == pytest.approx(expected)
    assert describe(question("matmul", "square", {"n": n}, dtype))["awkward"].iloc[0] == 0.0


def test_transforms_are_awkward_where_they_are_no_power_of_two():
    cells = [question("fft", "fft2", {"n": n}, "complex64") for n in (512, 1000, 1009)]
    found = describe(pd.concat(cells, ignore_index=True))
    assert list(found["awkward"]) == [0.0, 0.5, 0.5]
    assert list(found["class_radix"]) == [0.0, 1.0, 3.0]


def test_a_gpus_product_is_cut_into_tiles_where_its_multiprocessors_are_known():
    cells = question("matmul", "square", {"n": 3000}, device="cuda", mode="resident")
    unknown = kernel_work(describe(cells))
    known = kernel_work(describe(cells.assign(multiprocessors=132.0)))
    assert unknown.product.tolist() == [[-1, -1, -1]]
    assert unknown.width[0] == 9e6
    assert np.isinf(known.width[0])
    assert known.product.tolist() == [[0, -1, -1]]
    whole = known.tilings.waves[0, 0, TILES.index((128, 128))]
    assert whole == pytest.approx(5 * 132 * 128**2 / 9e6)  # 24 x 24 tiles, 5 rounds


def test_torch_uses_a_thread_for_each_grain_of_elements():
    rows = [
        describe(question("elementwise", "add", {"n": n}, threads=16)).iloc[0]
        for n in (1000, 100_000, 10_000_000)
    ]
    assert [row["forks"] for row in rows] == [0.0, 1.0, 1.0]
    plain = [12.0 * n for n in (1000, 100_000, 10_000_000)]
    assert [row["bytes"] / moved for row, moved in zip(rows, plain, strict=True)] == [16, 4, 1]


def test_numpy_multiplies_a_matrix_by_its_own_transpose_in_another_way():
    operations = [
        describe(question("matmul", "x_xt_1000_float32", {}, backend=backend))["operation"]
        for backend in ("numpy", "torch")
    ]
    assert [column.iloc[0] for column in operations] == ["x_xt_1000_float32", "square"]


def test_expressions_of_arrays_allocate_on_a_cpu_and_read_again():
    row = describe(question("elementwise", "polynomial", {"n": 1000}, backend="numpy")).iloc[0]
    assert row["footprint"] == row["bytes"] / 3
    assert (row["fresh"], row["block"]) == (16_000.0, 4000.0)
    in_place = describe(question("elementwise", "add", {"n": 1000}, backend="numpy")).iloc[0]
    assert (in_place["footprint"], in_place["fresh"]) == (in_place["bytes"], 0.0)


def test_programs_of_the_seeds_belong_to_the_operation_they_are():
    cells = pd.concat(
        [
            question("matmul", "dot_2000_float64", {}, "float64"),
            question("elementwise", "polynomial_1e6_float32", {}),
            question("elementwise", "add", {"n": 1000}),
        ],
        ignore_index=True,
    )
    assert list(describe(cells)["operation"]) == ["square", "polynomial", "add"]


def test_on_a_cpu_every_host_mode_is_answered_with_hot_rows():
    for mode in ("hot", "resident", "end_to_end"):
        cells = question("matmul", "square", {"n": 8}, mode=mode)
        assert describe(cells)["answer_mode"].iloc[0] == "hot"
    cells = question("matmul", "square", {"n": 8}, device="cuda", mode="resident")
    assert describe(cells)["answer_mode"].iloc[0] == "resident"


def test_bytes_over_the_bus_are_the_work_of_a_copy_and_beside_it_elsewhere():
    copy = describe(
        question("transfer", "h2d_pinned", {"bytes": 4096}, device="cuda", mode="resident")
    )
    assert copy["bytes"].iloc[0] == 4096.0
    product = describe(question("matmul", "square", {"n": 64}, device="cuda", mode="end_to_end"))
    assert product["bytes"].iloc[0] == 3 * 4 * 64**2
    assert product["h2d_bytes"].iloc[0] == 2 * 4 * 64**2


def test_the_index_and_order_of_the_cells_are_kept():
    cells = pd.concat([question("elementwise", "add", {"n": n}) for n in (5, 3, 5)])
    cells.index = [7, 7, 1]
    result = describe(cells)
    assert list(result.index) == [7, 7, 1]
    assert list(result["size"]) == [5, 3, 5]


def test_work_of_the_rows_goes_before_the_formulas():
    cells = question("elementwise", "add", {"n": 10}).assign(
        flop_count=99.0,
        bytes_read=np.nan,
        bytes_written=7.0,
        h2d_bytes=0.0,
        d2h_bytes=0.0,
        kernel_count=3,
    )
    work = kernel_work(describe(cells))
    assert (work.flop[0], work.bytes[0], work.launches[0]) == (99.0, 80.0 + 7.0, 3.0)


def test_missing_dimensions_are_nan():
    values = dimensions(describe(question("elementwise", "add", {"n": 10})))
    assert values[0, 0] == pytest.approx(np.log(10))
    assert np.isnan(values[0, 1:]).all()


def test_parameters_come_as_mapping_or_as_pairs():
    assert params_key({"n": 2, "m": np.int64(1)}) == params_key([("m", 1), ("n", 2)])


@pytest.mark.parametrize(
    ("workload", "case", "params", "words"),
    [
        ("matmull", "square", {"n": 1}, "choose one of matmul"),
        ("matmul", "cube", {"n": 1}, "choose one of square"),
        ("matmul", "square", {"x": 1}, "unknown parameter"),
        ("matmul", "square", {}, "missing"),
        ("matmul", "square", {"n": 0}, "outside"),
        ("matmul", "square", {"n": 2.5}, "n=2.5 is not a whole number"),
        ("matmul", "square", {"n": float("nan")}, "not a whole number"),
        ("matmul", "square", {"n": "many"}, "not a number"),
    ],
)
def test_a_wrong_question_is_named(workload, case, params, words):
    with pytest.raises(SelectionError, match=words):
        describe(question(workload, case, params))


@pytest.mark.parametrize(
    ("backend", "workload", "case", "params", "busy"),
    [
        ("numpy", "matmul", "square", {"n": 64}, 1),
        ("numpy", "matmul", "square", {"n": 65}, 16),
        ("numpy", "matmul", "batched", {"batch": 1000, "n": 64}, 1),
        ("torch", "matmul", "square", {"n": 64}, 16),
        ("jax", "elementwise", "tanh", {"n": 32_768}, 1),
        ("jax", "elementwise", "tanh", {"n": 32_769}, 2),
    ],
)
def test_libraries_leave_threads_idle_on_small_work(backend, workload, case, params, busy):
    row = describe(question(workload, case, params, backend=backend, threads=16)).iloc[0]
    assert row["share_floor"] == pytest.approx(1 / busy)
    assert row["forks"] == float(busy > 1)


def test_backends_share_the_libraries_that_they_call_on_a_gpu():
    cells = [
        question("matmul", "square", {"n": 64}, device="cuda", mode="resident", backend=name)
        for name in ("torch", "cupy")
    ]
    assert set(describe(pd.concat(cells, ignore_index=True))["library"]) == {"cublas"}
    alone = describe(question("matmul", "square", {"n": 64}, backend="numpy"))
    assert alone["library"].iloc[0] == "numpy"


def test_classes_are_numbers_that_other_parts_may_read():
    found = describe(question("conv2d", "forward", CONVOLUTION, device="cuda", mode="resident"))
    names = [name for name in found.columns if name.startswith("class_")]
    assert names == ["class_radix", "class_algorithm", "class_waves", "class_alignment"]
    assert np.isfinite(found[names].to_numpy(dtype=float)).all()
    assert found["class_algorithm"].iloc[0] == 1.0  # Winograd
