from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from collector.errors import SelectionError
from estimator.catalogue.instances import read_instances
from estimator.cost.inputs import CostOptions, Job
from estimator.cost.instance_costs import instance_costs
from estimator.cost.timings import instance_timings
from estimator.model.fit import fit

QUESTION = {"workload": "matmul", "case": "square", "params": {"n": 2048}, "dtype": "float32"}


@pytest.fixture(scope="module")
def known(measurements):
    return fit(measurements)


@pytest.fixture(scope="module")
def instances():
    return read_instances()


@pytest.fixture(scope="module")
def timings(known, instances):
    return instance_timings(known, instances, QUESTION)


def test_every_instance_has_a_row_with_a_time_or_a_reason(timings, instances):
    assert list(timings["key"]) == [instance.key for instance in instances]
    timed = timings["excluded"] == ""
    assert np.isfinite(timings.loc[timed, "seconds_p50"].astype(float)).all()
    assert timings.loc[~timed, "seconds_p50"].isna().all()
    assert timed.sum() > len(instances) / 2


def test_the_measured_gpu_answers_for_its_instances_and_scales_to_others(timings, known):
    same = timings[timings["gpu"].str.startswith("H200")]
    assert (same["basis"] == "measured").all()
    others = timings[
        (timings["device"] == "cuda")
        & (timings["excluded"] == "")
        & ~timings["gpu"].str.startswith("H200")
    ]
    assert (others["basis"] == "from_specs").all()
    assert (timings.loc[timings["excluded"] == "", "machine"] == "made up").all()


def test_another_machine_of_the_name_gets_a_wider_interval(known, timings):
    cell = {
        **QUESTION,
        "machine_id": "made",
        "backend": "torch",
        "device": "cuda",
        "mode": "resident",
    }
    narrow = known.predict(pd.DataFrame([cell])).iloc[0]
    wide = timings[timings["gpu"].str.startswith("H200")].iloc[0]
    assert wide["seconds_p50"] == pytest.approx(narrow["seconds_p50"])
    assert wide["seconds_p5"] < narrow["seconds_p5"]
    assert wide["seconds_p95"] > narrow["seconds_p95"]


def test_an_instance_whose_memory_is_too_small_is_left_out_with_the_reason(known, instances):
    small = [replace(instances[0], gpu_memory_gib=0.001), instances[0]]
    table = instance_timings(known, small, QUESTION)
    assert "does not fit its memory" in table["excluded"].iloc[0]
    assert table["excluded"].iloc[1] == ""


def test_an_unknown_processor_is_left_out_with_the_reason(known, instances):
    cpu = next(instance for instance in instances if instance.device == "cpu")
    table = instance_timings(known, [replace(cpu, hardware="")], QUESTION)
    assert "does not say which processor" in table["excluded"].iloc[0]


def test_a_processor_that_the_provider_does_not_fix_is_left_out_with_the_reason(timings):
    vague = timings["instance"].isin(
        ["e2-standard-8", "n1-standard-8", "Standard_F8s_v2", "Standard_D8s_v5"]
    )
    assert vague.sum() == 4
    assert timings.loc[vague, "excluded"].str.contains("does not fix which processor").all()


def test_an_operation_that_nobody_measured_leaves_all_out(known, instances):
    question = {"workload": "fft", "case": "fft2", "params": {"n": 64}, "dtype": "complex64"}
    table = instance_timings(known, instances, question)
    reasons = set(table["excluded"])
    assert {reason.partition(";")[0].partition(" (")[0] for reason in reasons} == {
        "fft was not measured on a GPU",
        "fft was not measured on a CPU",
        "no GPU of its vendor or instruction set has been measured: libraries differ",
        "no CPU of its vendor or instruction set has been measured: libraries differ",
        "the provider does not say which processor it is",
        "the provider does not fix which processor it is",
    }


def test_a_backend_is_the_fastest_or_the_asked_one(known, instances):
    cpus = [instance for instance in instances if instance.hardware and instance.device == "cpu"]
    fastest = instance_timings(known, cpus, QUESTION)
    for backend in ("numpy", "torch"):
        asked = instance_timings(known, cpus, {**QUESTION, "backend": backend})
        timed = asked["excluded"] == ""
        assert set(asked.loc[timed, "backend"]) == {backend}
        both = timed & (fastest["excluded"] == "")
        slower = asked.loc[both, "seconds_p50"].astype(float)
        assert (slower >= fastest.loc[both, "seconds_p50"].astype(float) * (1 - 1e-9)).all()


def test_costs_are_sorted_and_proportional_to_the_steps(timings, instances):
    once = instance_costs(timings, instances, Job(steps=1e6))
    twice = instance_costs(timings, instances, Job(steps=2e6))
    priced = once["cost_usd_p50"].dropna()
    assert list(priced) == sorted(priced)
    assert len(once) == len(timings)
    merged = once.merge(twice, on="key")
    ratio = (merged["wall_s_p50_y"] / merged["wall_s_p50_x"]).dropna()
    assert ratio.to_numpy() == pytest.approx(np.full(len(ratio), 2.0))


def test_spot_without_a_spot_price_is_left_out_with_the_reason(timings, instances):
    table = instance_costs(timings, instances, Job(steps=1.0), CostOptions(spot=True))
    without = {instance.key for instance in instances if instance.spot_usd_per_h is None}
    rows = table[table["key"].isin(without) & table["cost_usd_p50"].isna()]
    assert len(rows) == len(table[table["key"].isin(without)])
    assert rows["excluded"].ne("").all()


def test_a_wrong_question_is_an_error(known, instances):
    with pytest.raises(SelectionError):
        instance_timings(known, instances, {**QUESTION, "params": {"x": 1}})


def test_all_cpus_are_answered_on_one_basis_and_nearer_ones_more_surely(timings):
    timed = timings[(timings["device"] == "cpu") & (timings["excluded"] == "")]
    family = timed["instance"].isin(["c4-standard-8", "Standard_D8s_v6"])  # Emerald Rapids
    assert family.any()
    assert set(timed["basis"]) == {"from_specs"}
    assert timed["note"].str.startswith("scaled by data sheets from made up").all()
    half = np.log((timed["seconds_p95"] / timed["seconds_p50"]).astype(float))
    assert half[family].max() < half[~family].min()


def test_one_instance_asked_alone_has_the_time_it_has_among_all(known, instances, timings):
    for place in range(0, len(instances), 27):
        alone = instance_timings(known, [instances[place]], QUESTION).iloc[0]
        among = timings.iloc[place]
        assert (alone["excluded"], alone["basis"]) == (among["excluded"], among["basis"])
        if not alone["excluded"]:
            for name in ("seconds_p5", "seconds_p50", "seconds_p95", "compute_s"):
                assert alone[name] == pytest.approx(among[name], rel=1e-9)


def test_all_instances_and_libraries_are_asked_in_one_question(known, instances, monkeypatch):
    asked = []
    whole = type(known).predict

    def predict(self, cells, **options):
        asked.append(len(cells))
        return whole(self, cells, **options)

    monkeypatch.setattr(type(known), "predict", predict)
    instance_timings(known, instances, QUESTION)
    assert len(asked) == 1  # a question of one row costs as much as one of hundreds
