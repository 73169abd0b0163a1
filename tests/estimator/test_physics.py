"""No answer breaks physics: over all GPUs and CPUs of the catalogue, families, types and modes."""

import numpy as np
import pandas as pd
import pytest

from estimator.catalogue.hardware import shipped_hardware
from estimator.catalogue.hardware_specs import CpuSpec, GpuSpec
from estimator.decide.places import PlaceQuestion, answer_places
from estimator.others.choice import bigger_sisters
from estimator.others.facts import facts_of_name
from tests.estimator.physics_questions import (
    SHAPE,
    cpu_limits,
    falls,
    gpu_limits,
    questions,
    too_fast,
    with_work,
)

GPUS = {spec.name: spec for spec in shipped_hardware() if isinstance(spec, GpuSpec)}
STEPS = (-1, 0, 1, 4)


@pytest.fixture(scope="module")
def model(shipped_model):
    return shipped_model


@pytest.fixture(scope="module")
def on_gpus(model):
    """Every GPU by name and every measured box, by the device's clock and by the host's."""
    asked = questions(model, "torch", "cuda", ("hot", "resident"), STEPS)
    boxes = {
        name: facts.gpu
        for name, facts in model.donors.facts.items()
        if facts.gpu is not None and facts.cells.get("cuda", 0)
    }
    gpus = {**GPUS, **boxes}
    return gpu_limits(with_work(_answers(model, asked, list(gpus))), gpus)


@pytest.fixture(scope="module")
def on_cpus(model):
    """Whole sockets of every CPU of the catalogue."""
    cpus = {spec.name: spec for spec in shipped_hardware() if isinstance(spec, CpuSpec)}
    named = {name: spec for name, spec in cpus.items() if spec.cores_per_socket and spec.clock_ghz}
    found = []
    for backend in ("numpy", "torch"):
        asked = questions(model, backend, "cpu", ("hot",), STEPS)
        found.append(cpu_limits(with_work(_answers(model, asked, list(named))), named))
    return pd.concat(found, ignore_index=True)


def _answers(model, asked, machines):
    every = [asked.assign(machine_id=name) for name in machines]
    together = pd.concat(every, ignore_index=True)
    return together.join(model.predict(together, strict=False))


@pytest.mark.parametrize("end", ["p50", "p5"])
def test_no_gpu_computes_above_its_peak_or_streams_above_its_memory(on_gpus, end):
    assert len(on_gpus) > 30_000
    found = too_fast(on_gpus, end)
    assert found.empty, found[[*SHAPE, "params"]].head().to_string()


@pytest.mark.parametrize("end", ["p50", "p5"])
def test_no_cpu_computes_above_its_peak_or_streams_above_its_memory(on_cpus, end):
    assert on_cpus["seconds_p50"].notna().sum() > 5_000
    found = too_fast(on_cpus, end)
    assert found.empty, found[[*SHAPE, "params"]].head().to_string()


def test_an_answer_is_finite_and_its_ends_are_in_order(on_gpus, on_cpus):
    for answers in (on_gpus, on_cpus):
        known = answers[answers["seconds_p50"].notna()]
        low, middle, high = (known[f"seconds_{end}"].astype(float) for end in ("p5", "p50", "p95"))
        assert np.isfinite([low, middle, high]).all()
        assert ((low > 0) & (low <= middle) & (middle <= high)).all()


def test_a_smaller_card_of_a_chip_is_never_ranked_above_its_bigger_sister(on_gpus):
    keys = [name for name in SHAPE if name != "machine_id"]
    by_name = {str(name): rows for name, rows in on_gpus.groupby("machine_id")}
    compared = 0
    for name, gpu in GPUS.items():
        for sister in bigger_sisters(gpu):
            pair = by_name[name].merge(
                by_name[sister.name], on=[*keys, "step"], suffixes=("", "_bigger")
            )
            smaller, bigger = pair["seconds_p50"].astype(float), pair["seconds_p50_bigger"]
            compared += int(smaller.notna().sum())
            faster = pair[smaller < (1.0 - 1e-6) * bigger.astype(float)]
            assert faster.empty, f"{name} above {sister.name}:\n{faster[keys].head().to_string()}"
    assert compared > 10_000


def test_larger_work_of_one_shape_takes_no_less_time(on_gpus, on_cpus):
    for answers in (on_gpus, on_cpus):
        found = falls(answers, by=0.01)
        assert len(found) <= 5e-3 * len(answers), (
            f"{len(found)} of {len(answers)}:\n{found.groupby(['workload', 'case']).size()}"
        )


def test_what_a_gpu_is_refused_for_is_a_unit_that_it_lacks(on_gpus, model):
    """A refusal is no cure: GPUs of the measured vendor answer all that has a known unit, with
    each library that was measured on one.
    """
    refused = on_gpus[on_gpus["seconds_p50"].isna() & on_gpus["peak"].notna()]
    comparable = [
        name
        for name in refused["machine_id"].unique()
        if model.donors.of(model.donors.facts.get(name) or facts_of_name(name), "cuda")
    ]
    asked = refused[refused["machine_id"].isin(comparable)]
    form = ["workload", "case", "dtype", "math_mode", "backend", "device"]
    measured = model.measured[form].drop_duplicates()
    missing = asked.merge(measured, on=form)
    assert missing.empty, missing[[*SHAPE, "params"]].head().to_string()


def test_the_threads_asked_for_are_those_that_answer(model):
    """One core of a socket is held to one core's peak, through the places that commands ask."""
    name = "AWS c7a m7a (EPYC 9R14)"
    question = PlaceQuestion(
        "matmul", "square", (("n", 4096),), "float32", threads=1,
        named=(name,), only=(("machine_id", (name,)),),
    )  # fmt: skip
    table = answer_places(model, question).table
    cpu = next(spec for spec in shipped_hardware() if spec.name == name)
    assert len(table)
    assert (table["threads"] == 1).all()
    one_core = 1e9 * (cpu.boost_clock_ghz or cpu.clock_ghz) * cpu.fp32_flop_per_cycle
    assert (2.0 * 4096.0**3 / table["seconds_p5"] <= one_core * (1.0 + 1e-9)).all()
