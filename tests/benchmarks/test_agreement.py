"""Ratio, interval, verdict and table of the cross-checks; made-up figures."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import agreement_cpu, agreement_gpu, gpu_harness
from benchmarks.agreement import (
    Comparison,
    Measured,
    Round,
    Subject,
    as_json,
    compare,
    conclusion,
    failed,
    make_operation,
    one_round,
    operation_from_json,
    table,
)
from benchmarks.same_operation import build_operation
from collector.backends import open_backend
from collector.errors import SelectionError, WorkerError
from collector.workloads import get_workload

SUBJECT = Subject(
    make_operation("numpy", "cpu", "elementwise", "add", {"n": 1000}), "hot", "pyperf"
)


def verdict_of(ratio: float, lead_s: float = 0.0, rounds: int = 3) -> str:
    return compare(SUBJECT, [Round(ratio, 1.0, lead_s)] * rounds, 0.02).verdict


def test_ratio_is_the_median_of_the_rounds_and_the_interval_their_range() -> None:
    rounds = [Round(1.0, 1.0), Round(2.2, 2.0), Round(2.7, 3.0)]
    result = compare(SUBJECT, rounds, 0.02)
    assert (result.ratio, result.low, result.high) == (1.0, pytest.approx(0.9), pytest.approx(1.1))
    assert (result.ours_s, result.theirs_s, result.rounds) == (2.2, 2.0, 3)
    assert result.theirs_spread == pytest.approx(1.0)


def test_drift_that_both_share_drops_out() -> None:
    rounds = [Round(1.01 * pace, pace) for pace in (1.0, 3.0, 2.0)]
    result = compare(SUBJECT, rounds, 0.02)
    assert result.low == pytest.approx(1.01)
    assert result.high == pytest.approx(1.01)
    assert result.verdict == "agrees"


def test_ten_rounds_leave_an_outlier_out_of_the_interval() -> None:
    rounds = [Round(1.0 + 0.001 * i, 1.0) for i in range(9)] + [Round(2.0, 1.0)]
    assert compare(SUBJECT, rounds, 0.02).high < 1.01


def test_verdicts() -> None:
    assert verdict_of(1.02) == "agrees"
    assert verdict_of(0.97) == "differs"
    assert verdict_of(1.03) == "differs"
    assert verdict_of(1.03, rounds=2) == "unclear"
    assert verdict_of(0.90, lead_s=0.1) == "agrees but for launch"
    assert verdict_of(0.86, lead_s=0.1) == "differs"
    assert verdict_of(1.10, lead_s=0.1) == "differs", "a lead makes the harness slower, never us"
    reaching_in = [Round(1.00, 1.0), Round(1.05, 1.0), Round(1.06, 1.0)]
    assert compare(SUBJECT, reaching_in, 0.02).verdict == "unclear"


def test_odd_rounds_ask_the_harness_first() -> None:
    asked: list[str] = []

    def ours(subject: Subject) -> float:
        asked.append("ours")
        return 1.0

    def theirs(subject: Subject) -> tuple[float, float]:
        asked.append("theirs")
        return 2.0, 0.5

    assert one_round(0, SUBJECT, ours, theirs) == Round(1.0, 2.0, 0.5)
    assert one_round(1, SUBJECT, ours, theirs) == Round(1.0, 2.0, 0.5)
    assert asked == ["ours", "theirs", "theirs", "ours"]


def test_a_failure_costs_one_line() -> None:
    def broken(subject: Subject) -> float:
        raise WorkerError("crashed", "no memory left")

    measured = Measured([SUBJECT], [Comparison("torch conv2d", "do_bench", error="unknown")])
    measured.add(SUBJECT, one_round(0, SUBJECT, broken, lambda subject: (1.0, 0.0)))
    assert not measured.pending(SUBJECT)
    comparisons = measured.comparisons(0.02)
    assert [c.error for c in comparisons] == ["no memory left", "unknown"]
    assert len(table(comparisons).splitlines()) == 3
    assert "2 failed: nothing was compared" in conclusion(comparisons, 0.02)


def test_table_conclusion_and_json_tell_the_same() -> None:
    good = compare(SUBJECT, [Round(1.01e-6, 1e-6)], 0.02)
    comparisons = [good, failed(SUBJECT, "no")]
    assert "1.0100" in table(comparisons)
    assert conclusion(comparisons, 0.02).startswith("1 of 1 within 2 %")
    document = json.loads(as_json(comparisons, 0.02, rounds=1))
    assert document["rounds"] == 1
    assert document["comparisons"][0]["ratio"] == pytest.approx(1.01)
    assert document["comparisons"][1]["ratio"] is None


def test_an_operation_survives_json() -> None:
    text = json.dumps(asdict(SUBJECT.operation))
    assert operation_from_json(text) == SUBJECT.operation
    assert SUBJECT.label == "numpy elementwise add n=1000 float32 1t hot"


def test_built_operation_is_the_workers() -> None:
    backend = open_backend("numpy", "cpu")
    _, function, operands = build_operation(SUBJECT.operation, 3, backend)
    b, c = operands
    assert (function(b, c) == b + c).all()


def measurable(subject: Subject) -> bool:
    o = subject.operation
    return (o.dtype, o.math_mode) in get_workload(o.workload).dtypes(o.backend, o.device)


@pytest.mark.parametrize("physical_cores", [1, 2])
def test_the_cpu_list_is_long_enough_and_known(physical_cores: int) -> None:
    known, missing = agreement_cpu.subjects(physical_cores)
    assert not missing
    assert len(known) >= 14
    assert all(measurable(subject) for subject in known)
    assert len(set(known)) == len(known)
    only, _ = agreement_cpu.subjects(physical_cores, "fft2 n=500")
    assert {s.operation.workload for s in only} == {"fft"}


def test_the_gpu_list_is_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement_gpu, "missing_reason", lambda backend: None)
    known = [s for backend in agreement_gpu.OPERATIONS for s in agreement_gpu.subjects(backend)[0]]
    assert not [m for b in agreement_gpu.OPERATIONS for m in agreement_gpu.subjects(b)[1]]
    assert len(known) >= 24
    assert len(set(known)) == len(known)
    assert {s.harness for s in known} == set(gpu_harness.TIMERS)
    assert all(measurable(subject) for subject in known)


def test_a_missing_library_costs_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement_gpu, "missing_reason", lambda backend: "cupy is not installed")
    known, missing = agreement_gpu.subjects("cupy")
    assert not known
    assert {c.error for c in missing} == {"cupy is not installed"}


def test_the_harness_process_answers_each_request() -> None:
    def timer(function: Callable[..., Any], operands: tuple[Any, ...]) -> tuple[float, float]:
        assert math.isfinite(float(function(*operands).sum()))
        return 2e-6, 1e-6

    def broken(function: Callable[..., Any], operands: tuple[Any, ...]) -> tuple[float, float]:
        raise SelectionError("no graph\nof it")

    request = {"operation": asdict(SUBJECT.operation), "seed": 0, "harness": "good"}
    lines = [request, {**request, "harness": "bad"}, request]
    answers = io.StringIO()
    gpu_harness.serve(
        io.StringIO("".join(json.dumps(line) + "\n" for line in lines)),
        answers,
        open_backend("numpy", "cpu"),
        {"good": timer, "bad": broken},
    )
    first, second, third = map(json.loads, answers.getvalue().splitlines())
    assert first == third == {"median_s": 2e-6, "lead_s": 1e-6}
    assert second == {"error": "SelectionError: no graph"}


def test_a_harness_in_its_own_process_reports_failures_and_goes_on() -> None:
    with gpu_harness.HarnessProcess("numpy", "cpu") as harness:
        for _ in range(2):
            with pytest.raises(WorkerError, match="pyperf: KeyError"):
                harness.median_s(SUBJECT, 0)


def test_a_harness_process_that_cannot_start_is_an_error() -> None:
    with (
        gpu_harness.HarnessProcess("numpy", "cuda") as harness,
        pytest.raises(WorkerError, match="ended"),
    ):
        harness.median_s(SUBJECT, 0)


def module(name: str, **contents: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(contents)
    return made


def test_triton_times_are_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def bench(call: Callable[[], Any], **options: Any) -> float:
        asked.append(options)
        call()
        return 3.0

    fake = module("triton.testing", do_bench=bench, do_bench_cudagraph=bench)
    monkeypatch.setitem(sys.modules, "triton", module("triton", testing=fake))
    monkeypatch.setitem(sys.modules, "triton.testing", fake)
    assert gpu_harness.do_bench(abs, (-1,)) == (pytest.approx(3e-3), 0.0)
    assert gpu_harness.do_bench_cudagraph(abs, (-1,)) == (pytest.approx(3e-3), 0.0)
    assert asked[0]["return_mode"] == asked[-1]["return_mode"] == "median"


def test_cupyx_times_are_seconds_with_the_hosts_as_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    def benchmark(function: Any, args: tuple[Any, ...], **options: Any) -> SimpleNamespace:
        assert options["max_duration"] > 0
        times = np.array([[1e-5, 2e-5, 3e-5], [1e-3, 2e-3, 9e-3]])
        return SimpleNamespace(cpu_times=times[0], gpu_times=times[1:])

    fake = module("cupyx.profiler", benchmark=benchmark)
    monkeypatch.setitem(sys.modules, "cupyx", module("cupyx", profiler=fake))
    monkeypatch.setitem(sys.modules, "cupyx.profiler", fake)
    assert gpu_harness.cupyx_benchmark(abs, (-1,)) == (2e-3, 2e-5)


def test_torch_timer_waits_for_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    calls, waits = [0], [0]
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: waits.__setitem__(0, waits[0] + 1))
    monkeypatch.setattr(gpu_harness, "_REPEAT_MS", 1)

    def function() -> None:
        calls[0] += 1

    median_s, lead_s = gpu_harness.torch_timer(function, ())
    assert median_s > 0
    assert lead_s == 0
    assert waits[0] >= calls[0] > 10
