"""Real measurements on a GPU: each family gives times, and the times agree with others'."""

import os

import pytest

from collector.measure.sampling import StopRule, stop_rule
from collector.measure.telemetry import GpuMonitor
from collector.workloads import get_workload
from tests.gpu.kernel_profile import count_kernels
from tests.gpu.operations import ALL, make_operation, name_of

STEADY = StopRule(0.01, min_samples=20, min_time_s=0.1, max_time_s=1.0, warmup_time_s=0.5)


@pytest.mark.parametrize(("operation", "modes"), ALL, ids=name_of)
def test_the_smallest_operation_of_each_case_is_measured_in_all_its_modes(
    operation, modes, measure
):
    rows = measure(operation, modes)
    assert set(rows) == set(modes)
    for mode, row in rows.items():
        assert row["status"] == "ok", (mode, row.get("error"))
        assert 0 < row["min_s"] <= row["median_s"] <= row["p95_s"]
        assert row["n"] == len(row["samples_s"])
        assert row["warmup_s"][0] > 0


@pytest.mark.parametrize("backend", ["torch", "cupy"])
def test_device_time_is_within_resident_time_and_that_within_end_to_end_time(backend, measure):
    product = make_operation("matmul", "square", backend, n=3000)
    rows = measure(product, ("hot", "resident", "end_to_end"), STEADY)
    hot, resident, end_to_end = (
        rows[mode]["median_s"] for mode in ("hot", "resident", "end_to_end")
    )
    assert hot <= 1.2 * resident
    assert resident <= 1.2 * end_to_end


def test_transfers_make_a_simple_map_much_slower_end_to_end(measure):
    addition = make_operation("elementwise", "add", "torch", n=10_000_000)
    rows = measure(addition, ("hot", "end_to_end"), STEADY)
    assert rows["end_to_end"]["median_s"] > 5 * rows["hot"]["median_s"]


def test_a_flushed_cache_never_makes_a_small_map_faster(measure):
    addition = make_operation("elementwise", "add", "torch", n=1_000_000)
    rows = measure(addition, ("hot", "cold"), STEADY)
    assert rows["cold"]["median_s"] > 0.9 * rows["hot"]["median_s"]


def test_tf32_is_faster_than_ieee_where_tensor_cores_are(gpu, measure):
    if float(gpu.compute_capability) < 8:
        pytest.skip("no tf32 before compute capability 8.0")
    ieee, tf32 = (
        measure(make_operation("matmul", "square", "torch", "float32", mode, n=4096), ("hot",))
        for mode in ("ieee", "tf32")
    )
    assert tf32["hot"]["median_s"] < ieee["hot"]["median_s"]


def test_the_time_of_a_large_copy_agrees_with_plain_events(measure):
    torch = pytest.importorskip("torch")
    count = 2**29
    copy = make_operation("transfer", "d2d", "torch", bytes=count)
    measured = measure(copy, ("hot",), STEADY)["hot"]["median_s"]
    source = torch.rand(count // 4, device="cuda")
    target = torch.empty_like(source)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    seconds = []
    for _ in range(20):
        start.record()
        target.copy_(source)
        end.record()
        torch.cuda.synchronize()
        seconds.append(start.elapsed_time(end) * 1e-3)
    reference = sorted(seconds)[len(seconds) // 2]
    assert measured == pytest.approx(reference, rel=0.3)


@pytest.mark.parametrize("backend", ["torch", "cupy"])
def test_the_rate_of_a_large_copy_is_below_what_any_memory_offers(backend, measure):
    """Times that are too short (events around nothing) would give absurd rates."""
    addition = make_operation("elementwise", "add", backend, n=33_554_432)
    row = measure(addition, ("hot",))["hot"]
    bytes_moved = 3 * 4 * 33_554_432
    assert 1e10 < bytes_moved / row["median_s"] < 2e13


STEPS = [
    ("training_step", "simple_net_adam", {"batch": 100}, "float32"),
    ("training_step", "linear_sgd", {"batch": 64}, "float32"),
    ("training_step", "mlp_adam", {"batch": 256, "width": 256}, "float32"),
    ("training_step", "mlp_adam", {"batch": 256, "width": 256}, "bfloat16"),
    ("training_step", "resnet_sgd", {"batch": 16}, "float32"),
    ("training_step", "resnet_sgd", {"batch": 100}, "bfloat16"),
    ("training_step", "transformer_adamw", {"batch": 8, "sequence": 128}, "float32"),
    ("training_step", "transformer_adamw", {"batch": 8, "sequence": 128}, "bfloat16"),
    ("inference_step", "mlp", {"batch": 256, "width": 256}, "float32"),
    ("inference_step", "resnet", {"batch": 16}, "float32"),
    ("inference_step", "resnet", {"batch": 100}, "float16"),
    ("inference_step", "transformer", {"batch": 8, "sequence": 128}, "float32"),
    ("inference_step", "transformer", {"batch": 8, "sequence": 128}, "bfloat16"),
    ("launch", "dispatch_allocating", {"length": 10}, "float32"),
    ("launch", "dispatch_autograd", {"length": 10}, "float32"),
    ("launch", "optimizer_step", {"tensors": 60}, "float32"),
]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("workload", "case", "params", "dtype"), STEPS, ids=lambda value: str(value)
)
def test_the_formula_for_kernels_of_a_step_agrees_with_the_profiler(workload, case, params, dtype):
    pytest.importorskip("torch")
    from collector.backends import open_backend

    backend, family = open_backend("torch", "cuda"), get_workload(workload)
    backend.set_math_mode("ieee")
    step = family.build(backend, case, params, dtype)
    inputs = family.inputs(case, params, dtype, 0)
    operands = [backend.upload(array) for array in family.host_operands(backend, inputs, dtype)]
    expected = family.work(case, params, dtype, "torch", "cuda", "hot").kernel_count
    counted = count_kernels(step, operands, backend)
    assert counted.agrees(expected), (expected, counted)


def test_the_suites_rules_are_met_by_a_large_product(measure):
    product = make_operation("matmul", "square", "torch", n=4096)
    row = measure(product, ("hot",), stop_rule("standard", "cuda"))["hot"]
    assert row["stop_reason"] in ("precise", "plateau", "time_cap")
    assert row["n"] >= 6


def test_the_monitor_reads_clocks_power_and_temperature():
    monitor = GpuMonitor()
    monitor.begin()
    columns = monitor.end()
    monitor.close()
    assert columns["sm_clock_mhz"] > 0
    assert columns["temperature_c"] > 0
    assert columns["power_w"] > 0
    assert isinstance(columns["throttle_reasons"], str)


@pytest.mark.parametrize("backend", ["torch", "cupy", "numba", "jax"])
def test_the_first_call_is_told_once(backend, measure):
    chain = make_operation("elementwise", "add", backend, n=100_003)
    row = measure(chain, ("first_call", "resident"))["first_call"]
    assert row["status"] == "ok"
    assert row["n"] == 1
    assert row["median_s"] > 0


def test_energy_of_a_large_product_is_what_its_power_and_time_give(measure):
    product = make_operation("matmul", "square", "torch", n=8192)
    rule = StopRule(0.05, max_time_s=0.5, energy_time_s=3.0)
    monitor = GpuMonitor()
    monitor.begin()
    row = measure(product, ("hot",), rule)["hot"]
    power_w = monitor.end()["power_w"]
    monitor.close()
    if row["energy_j"] is None:
        pytest.skip("this driver has no energy counter")
    assert row["energy_j"] == pytest.approx(power_w * row["median_s"], rel=0.5)


def test_a_worker_of_a_gpu_is_bound_to_cpus_near_it(workers):
    worker = workers("torch")
    worker.wait_ready()
    assert 1 <= worker.columns["affinity_cpus"] <= os.cpu_count()


def test_the_monitor_reads_the_link_and_the_limits():
    monitor = GpuMonitor()
    monitor.begin()
    columns = monitor.end()
    monitor.close()
    assert columns["power_limit_w"] > 0
    assert columns["memory_clock_mhz"] > 0
    assert columns["pcie_width"] in (None, 1, 2, 4, 8, 16)
