"""A GPU that was barely measured: the process, what it is told, and the split that asks it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.published_donors import Known, learn, outlook
from benchmarks.published_experiments import OURS
from benchmarks.published_form import operands
from benchmarks.published_kernels import gpu_of, log_times
from benchmarks.published_model import form_of
from benchmarks.published_pool import from_specs, pool, with_probes
from benchmarks.published_transfer import Process, View, evidence, fit_process
from benchmarks.published_unseen import Unseen
from estimator.arrays import Array
from tests.benchmarks.test_published_kernels import (
    published,
    random_products,
    table,
    timed,
    true_theta,
)

KNOWN = ("Tesla P100-PCIE-16GB", "Tesla T4", "NVIDIA A100-PCIE-40GB")
NEW = "Tesla V100-PCIE-32GB"


def view(count: int, seed: int = 0) -> View:
    rng = np.random.default_rng(seed)
    return View(np.zeros(count), (rng.normal(size=(3, count)),), rng.normal(size=(count, 2)))


def process(offset: float = 0.3, noise: float = 0.01) -> Process:
    amplitudes = np.log([offset, 0.05, 0.05, 0.2])
    return Process(amplitudes, np.zeros(2), float(np.log(noise)))


def random_rows(gpu: str, count: int, seed: int) -> pd.DataFrame:
    """Softmax of random rows and columns, with the times of the formula's prior centre."""
    sides = np.exp(np.random.default_rng(seed).uniform(np.log(64), np.log(8192), (count, 2)))
    rows = [published("softmax", gpu, rows=int(a), cols=int(b)) for a, b in sides]
    form = form_of("softmax")
    return timed(table(*rows), form, form.priors("centre"))


def test_slopes_of_the_evidence_are_those_of_its_value() -> None:
    seen, error = view(20), np.random.default_rng(1).normal(0.0, 0.3, 20)
    values = np.log([0.2, 0.1, 0.3, 0.4, 1.5, 2.0, 0.1])

    def at(moved: Array) -> tuple[float, Array]:
        return evidence(Process(moved[:4], moved[4:6], float(moved[6])), seen, error)

    slopes = at(values)[1]
    steps = 1e-5 * np.eye(len(values))
    numeric = [(at(values + step)[0] - at(values - step)[0]) / 2e-5 for step in steps]
    assert slopes == pytest.approx(numeric, rel=1e-5)


def test_a_measured_cell_is_answered_by_its_time() -> None:
    seen = view(10)
    times = np.linspace(-1.0, 1.0, 10)
    mean, deviation = process(noise=1e-4).posterior(seen, times, seen)
    assert mean == pytest.approx(times, abs=0.01)
    assert (deviation < 0.01).all()


def test_without_probes_the_answer_is_the_start_and_wide() -> None:
    asked = view(10)
    mean, deviation = process().posterior(asked.take([]), np.empty(0), asked)
    assert (mean == asked.mean).all()
    assert (deviation > 0.3).all()


def test_probes_differ_and_leave_less_variance_than_the_first_cells() -> None:
    offered = view(60)
    chosen = process().choose(offered, 6)
    assert len(set(chosen)) == 6

    def left(index: list[int]) -> float:
        return float((process().posterior(offered.take(index), np.zeros(6), offered)[1] ** 2).sum())

    assert left(chosen) < left(list(range(6)))


def test_a_fit_finds_the_size_of_a_common_offset() -> None:
    """Six GPUs that are off by a constant each, of a spread of 0.3, and 2 % of noise."""
    rng = np.random.default_rng(4)
    views = [view(40, seed) for seed in range(6)]
    times = [offset + rng.normal(0.0, 0.02, 40) for offset in rng.normal(0.0, 0.3, 6)]
    found = fit_process(views, times)
    assert np.exp(found.log_amplitudes[0]) == pytest.approx(0.3, rel=0.5)
    assert np.sqrt(found.noise_variance) == pytest.approx(0.02, rel=0.5)


def test_probes_bring_an_unseen_gpu_closer() -> None:
    """Three GPUs behave as the formula says; the fourth reaches 15 % less of its peak."""
    form, theta = form_of("bmm"), true_theta(form_of("bmm"))
    cells = {name: timed(random_products(name, 80, 1), form, theta) for name in KNOWN}
    gpus = {name: gpu_of(name) for name in (*KNOWN, NEW)}
    slower = theta.copy()
    slower[[p.name for p in form.parameters].index("compute_share")] -= 0.15
    test = timed(random_products(NEW, 120, 2), form, slower)
    pooled = pool(form, cells, gpus, 60)
    rows, times = operands(test, gpus[NEW]), log_times(test)
    kin = pooled.related(gpus[NEW], gpus)
    assert kin == [1]
    without = np.abs(from_specs(pooled, rows, kin) - times).mean()
    chosen = [0, 10, 20, 30, 40, 50]
    predicted = with_probes(pooled, rows.take(chosen), times[chosen], rows)
    assert np.abs(predicted - times).mean() < 0.7 * without


def test_a_residual_that_all_known_gpus_share_is_passed_on() -> None:
    """Every GPU takes up to twice as long as the formula says, by the shape and at random."""
    gpus = {name: gpu_of(name) for name in (*KNOWN, NEW)}
    slow = np.exp(np.random.default_rng(5).uniform(0.0, 0.7, 100))
    cells = {}
    for name in gpus:
        plain = random_rows(name, 100, 3)
        cells[name] = plain.assign(median_s=plain["median_s"] * slow)
    form, known = form_of("softmax"), Known.of({name: cells[name] for name in KNOWN}, gpus)
    outlooks, times = [], []
    for name in KNOWN:
        rest = known.without(name)
        pooled = pool(form, rest.cells, gpus, 100)
        outlooks.append(outlook(pooled, rest, cells[name][:60], gpus[name]))
        times.append(log_times(cells[name][:60]))
    transfer = learn(outlooks, times)
    assert transfer.lens.shared > 0.7
    pooled = pool(form, known.cells, gpus, 100)
    asked = outlook(pooled, known, cells[NEW], gpus[NEW])
    predicted = transfer.predict(pooled, asked.take([]), np.empty(0), asked)[0]
    error = np.abs(predicted - log_times(cells[NEW])).mean()
    assert error < 0.6 * np.abs(asked.start - log_times(cells[NEW])).mean()


def test_a_shape_that_no_known_gpu_measured_has_no_residual() -> None:
    form, theta = form_of("softmax"), form_of("softmax").priors("centre")
    gpus = {name: gpu_of(name) for name in KNOWN}
    shapes = [
        published("softmax", name, rows=64 * i, cols=512) for name in KNOWN for i in (1, 2, 3)
    ]
    everything = table(*shapes)
    cells = {
        name: timed(everything[everything["gpu"] == name], form, theta).assign(median_s=1e-3)
        for name in KNOWN
    }
    pooled = pool(form, cells, gpus, 3)
    other = table(
        published("softmax", NEW, rows=100, cols=300), published("softmax", NEW, rows=64, cols=512)
    )
    seen = outlook(pooled, Known.of(cells, gpus), other, gpu_of(NEW))
    assert (seen.residuals[:, 0] == 0.0).all()
    assert (seen.residuals[:, 1] != 0.0).all()
    assert seen.policies.shape == (0, 2)


def test_the_unseen_split_reads_no_time_of_its_tests() -> None:
    """Other times of the tested cells change errors by just as much: no answer moved."""
    gpus = {name: gpu_of(name) for name in (*KNOWN, NEW)}
    cells = {name: random_rows(name, 60, seed) for seed, name in enumerate(gpus)}

    def ours() -> dict[str, Array]:
        result = Unseen(cells, gpus, 40, 15, probe_sets=1).run()
        mine = result[(result["method"] == OURS) & (result["gpu"] == NEW)]
        assert mine["inside"].notna().all()
        return {str(split): part["error"].to_numpy() for split, part in mine.groupby("split")}

    before = ours()
    moved = np.where(np.arange(60) < 15, 3.0, 1.0)
    cells[NEW] = cells[NEW].assign(median_s=cells[NEW]["median_s"] * moved)
    after = ours()
    assert set(before) == {"from specs", "3 probes", "12 probes"}
    for split, errors in before.items():
        assert after[split] == pytest.approx(errors - np.log(3.0), abs=1e-6)
