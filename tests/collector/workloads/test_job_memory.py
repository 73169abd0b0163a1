"""What an operation takes in a job: operands and result, and what libraries were seen to take."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.workloads import FAMILIES, RUNTIME_BYTES, get_workload

CASES = [(family.name, case) for family in FAMILIES.values() for case in family.signatures]


def own(workload, case, params, dtype="float32", backend="torch", device="cuda"):
    return get_workload(workload).job_memory(case, params, dtype, backend, device).bytes


@pytest.mark.parametrize(("workload", "case"), CASES)
@settings(max_examples=20)
@given(data=st.data())
def test_a_job_holds_its_operands_and_its_result(workload, case, data):
    """The upper figure has the runtime as well; both grow with the operation."""
    family = FAMILIES[workload]
    params = {name: 2 * data.draw(st.integers(8, 2000)) for name in family.signatures[case]}
    if workload == "spmm":
        params["nonzeros_per_row"] = min(params["nonzeros_per_row"], params["rows"])
    forms = [
        (place, dtype)
        for place in sorted(family.support)
        for dtype, _ in family.support[place]
        if family.supports(*place, case) and family.takes(case, dtype)
    ]
    (backend, device), dtype = data.draw(st.sampled_from(forms))
    complete = family.complete(case, params)
    memory = family.job_memory(case, params, dtype, backend, device)
    assert memory.upper_bytes >= memory.bytes + RUNTIME_BYTES[device]
    work = family.operation_work(case, complete, dtype, backend)
    if workload == "transfer":
        assert memory.bytes >= complete["bytes"]
    elif workload == "random":
        assert memory.bytes == work.d2h_bytes
    else:
        assert memory.bytes >= max(work.h2d_bytes, work.d2h_bytes)
    if params:
        name = data.draw(st.sampled_from(sorted(params)))
        if name not in ("stride", "nonzeros_per_row", "kernel", "head_dim"):
            larger = {**params, name: 2 * params[name]}
            assert family.job_memory(case, larger, dtype, backend, device).bytes >= memory.bytes


#: peaks of torch.cuda.max_memory_allocated on an H200 (PyTorch 2.11, CUDA 13.0), without the
#: runtime: family, case, parameters, element type, MB
PEAKS = [
    ("elementwise", "polynomial", {"n": 50_000_000}, "float32", 800),
    ("reduction", "softmax", {"rows": 10_000, "cols": 5000}, "float32", 400),
    ("sort", "sort", {"n": 20_000_000}, "float32", 724),
    ("sort", "argsort", {"n": 20_000_000}, "int64", 965),
    ("sort", "sort_rows", {"rows": 10_000, "cols": 3000}, "float32", 480),
    ("sort", "sort_rows", {"rows": 50, "cols": 500_000}, "float32", 1207),
    ("sort", "sort_rows", {"rows": 2000, "cols": 10_000}, "int64", 961),
    ("gather", "rows", {"rows": 500_000, "width": 64, "count": 500_000}, "float32", 260),
    ("scatter_add", "histogram", {"count": 20_000_000, "bins": 1_000_000}, "float32", 244),
    ("spmm", "csr_dense", {"rows": 300_000, "nonzeros_per_row": 16, "width": 100}, "float32", 401),
    ("fft", "fft2", {"n": 4096}, "complex64", 268),
    ("image_pipeline", "resize_blur_normalise", {"batch": 64, "image": 512}, "float32", 403),
    ("python_loop", "monte_carlo_pi", {"n": 20_000_000}, "float64", 800),
    ("dense_layer", "forward", {"batch": 20_000, "inputs": 1000, "outputs": 3000}, "float32", 573),
    *(
        ("attention", "full", {**shape, "head_dim": width}, dtype, peak)
        for shape in ({"batch": 4, "heads": 16, "sequence": 2048},)
        for width, dtype, peak in (
            *((64, "float32", 134), (64, "bfloat16", 67), (40, "float32", 84)),
            *((37, "bfloat16", 72), (37, "float32", 2494)),
        )
    ),
    *(
        ("conv2d", case, {**shape, "kernel": kernel}, "bfloat16", peak)
        for shape in (
            {"batch": 64, "channels_in": 64, "channels_out": 128, "image": 112, "stride": 1},
        )
        for case, kernel, peak in (
            *(("forward", 3, 617), ("forward", 1, 308)),
            *(("backward", 3, 724), ("backward", 1, 413)),
        )
    ),
    ("inference_step", "mlp", {"batch": 20_000, "width": 2048}, "float32", 525),
    ("inference_step", "resnet", {"batch": 1024}, "float32", 685),
    ("inference_step", "transformer", {"batch": 64, "sequence": 512}, "bfloat16", 189),
    ("training_step", "mlp_adam", {"batch": 10_000, "width": 4096}, "float32", 1266),
    ("training_step", "mlp_adam", {"batch": 1000, "width": 8192}, "bfloat16", 2720),
    ("training_step", "resnet_sgd", {"batch": 1024}, "bfloat16", 765),
    ("training_step", "transformer_adamw", {"batch": 64, "sequence": 512}, "float32", 1699),
    ("training_step", "transformer_adamw", {"batch": 64, "sequence": 512}, "bfloat16", 1083),
]


@pytest.mark.parametrize(("workload", "case", "params", "dtype", "peak_mb"), PEAKS)
def test_the_figure_is_what_a_gpu_was_seen_to_take(workload, case, params, dtype, peak_mb):
    assert own(workload, case, params, dtype) == pytest.approx(1e6 * peak_mb, rel=0.12)


#: the same where the library chose an algorithm with a workspace of its own
WORKSPACES = [
    ("fft", "batched_1d", {"batch": 16, "n": 2**20}, "complex64", 403),
    ("fft", "batched_1d", {"batch": 1000, "n": 10_007}, "complex64", 485),
    *(
        ("conv2d", case, {**shape, "kernel": kernel}, "float32", peak)
        for shape in (
            {"batch": 64, "channels_in": 64, "channels_out": 128, "image": 112, "stride": 1},
        )
        for case, kernel, peak in (("forward", 7, 1237), ("backward", 3, 1444))
    ),
    ("training_step", "resnet_sgd", {"batch": 1024}, "float32", 3305),
]


@pytest.mark.parametrize(("workload", "case", "params", "dtype", "peak_mb"), WORKSPACES)
def test_a_workspace_that_depends_on_the_librarys_choice_is_in_the_upper_figure(
    workload, case, params, dtype, peak_mb
):
    memory = get_workload(workload).job_memory(case, params, dtype, "torch", "cuda")
    assert memory.bytes < 1e6 * peak_mb <= memory.upper_bytes


def test_scores_count_only_where_they_are_written_out():
    params = {"batch": 1, "heads": 8, "sequence": 8192, "head_dim": 64}
    scores = 4 * 8 * 8192**2
    for device in ("cpu", "cuda"):
        assert own("attention", "full", params, device=device) < 0.1 * scores
    for backend, device in (("numpy", "cpu"), ("cupy", "cuda")):
        held = own("attention", "full", params, backend=backend, device=device)
        assert 3 * scores <= held <= 3.1 * scores
    odd = {**params, "head_dim": 37}
    assert own("attention", "full", odd) >= 2 * scores  # no fused kernel loads such rows


@pytest.mark.parametrize(("dtype", "item"), [("float32", 4), ("float16", 2)])
def test_a_product_takes_three_matrices(dtype, item):
    assert own("matmul", "square", {"n": 1000}, dtype) == 3 * item * 1000**2


def test_measuring_takes_more_than_the_job():
    matmul = get_workload("matmul")
    job = matmul.job_memory("square", {"n": 8192}, "float32", "torch", "cuda")
    measuring = matmul.measuring_bytes("square", {"n": 8192}, "float32", "torch")
    assert measuring > 2 * job.bytes
