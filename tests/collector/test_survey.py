"""The survey suite: many shapes of each case, the same on every machine, none too large."""

import math
from collections import Counter, defaultdict

import pytest

from collector.cells import make_tasks
from collector.runs.plan import Selection, make_plan
from collector.survey import survey_grid
from collector.workloads import FAMILIES, get_workload
from tests.collector.doubles import make_machine

PLACES = [("torch", "cpu"), ("numpy", "cpu"), ("torch", "cuda"), ("cupy", "cuda")]


def shapes(workload, case, backend, device, dtype):
    grid = survey_grid(get_workload(workload), backend, device)
    return [
        dict(point.params)
        for point in grid
        if point.case == case and (point.dtype, point.math_mode) == dtype
    ]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_torch_gets_as_many_shapes_as_the_table_says(device):
    wanted = Counter()
    for family in FAMILIES.values():
        for space in family.survey.get(device, ()):
            if not family.supports("torch", device, space.case):
                continue
            for dtype, count in space.counts.items():
                wanted[family.name, space.case, dtype] += count
    for (workload, case, dtype), count in wanted.items():
        kept = shapes(workload, case, "torch", device, dtype)
        assert len(kept) == count
        assert len({tuple(sorted(params.items())) for params in kept}) == count


def test_shapes_spread_over_their_whole_range():
    for name, low, high in (("m", 16, 16_384), ("n", 16, 16_384), ("k", 16, 16_384)):
        drawn = [p[name] for p in shapes("matmul", "skinny", "torch", "cuda", ("float32", "tf32"))]
        thirds = [math.floor(3 * math.log(v / low) / math.log(1.01 * high / low)) for v in drawn]
        assert min(thirds.count(third) for third in range(3)) >= len(drawn) // 6


def test_shapes_are_round_and_not():
    drawn = [p["n"] for p in shapes("matmul", "square", "torch", "cuda", ("float32", "ieee"))]
    assert any(n & (n - 1) == 0 for n in drawn)
    assert any(n % 8 == 0 and n & (n - 1) for n in drawn)
    assert any(n % 2 for n in drawn)


@pytest.mark.parametrize(("backend", "device"), PLACES)
def test_no_operation_is_too_large_to_be_one_of_many(backend, device):
    for workload in FAMILIES.values():
        for point in survey_grid(workload, backend, device):
            params = workload.complete(point.case, dict(point.params))
            work = workload.operation_work(point.case, params, point.dtype, backend)
            assert work.flop_count <= (1.5e10 if device == "cpu" else 1.5e12)
            assert work.bytes_read + work.bytes_written <= 4e9


def test_sister_libraries_and_element_types_share_their_shapes():
    """So that what differs between them is not the shape."""
    f32 = shapes("fft", "fft2", "torch", "cuda", ("complex64", "ieee"))
    f64 = shapes("fft", "fft2", "torch", "cuda", ("complex128", "ieee"))
    cupy = shapes("fft", "fft2", "cupy", "cuda", ("complex64", "ieee"))
    assert all(shape in f32 for shape in cupy)
    assert sum(shape in f32 for shape in f64) >= len(f64) - 1


def test_every_mode_of_a_gpu_is_there():
    modes = defaultdict(int)
    for task in make_tasks("survey", [("torch", "cuda")], 16, tuple(FAMILIES)):
        for mode in task.modes:
            modes[mode] += 1
    assert modes["hot"] > 10 * modes["end_to_end"] > 0
    assert modes["resident"] > modes["end_to_end"]


def test_a_survey_has_no_first_calls():
    plan = make_plan(Selection(suite="survey", workloads=("fft",)), make_machine())
    assert plan.tasks
    assert all("first_call" not in task.modes for task in plan.tasks)
