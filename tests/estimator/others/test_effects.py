"""The Bayesian linear model of log ratios, and the deviations behind it."""

import numpy as np
import pandas as pd
import pytest

from estimator.others.effects import (
    FAMILY,
    KINDS,
    MAKER,
    PRIORS,
    assumed,
    combined,
    design,
    estimate,
    infer,
    wider,
)

COUNT = 200


def cells(count=COUNT, seed=0, device="cpu"):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "device": device,
            "threads": 1,
            "backend": rng.choice(["numpy", "torch"], count),
            "workload": rng.choice(["matmul", "fft", "sort"], count),
            "operation": rng.choice(["a", "b"], count),
            "dtype": "float32",
            "math_mode": "ieee",
            "answer_mode": "hot",
            "footprint": rng.choice([1e5, 1e9], count),
            "awkward": 0.0,
        }
    )


def columns(count=COUNT, seed=0, device="cpu"):
    rng = np.random.default_rng(seed + 100)
    shares = rng.dirichlet(np.ones(4), count)
    shares[:, 3] = 0.0
    shares /= shares.sum(axis=1)[:, None]
    return design(cells(count, seed, device), shares, np.full(count, 1e-3)), shares


@pytest.fixture(scope="module")
def seen():
    return columns()


def test_nothing_seen_is_no_shift_and_the_prior_spread(seen):
    empty = infer(seen[0].take(slice(0, 0)), np.zeros(0), np.zeros(0), assumed("other"))
    mean, variance = empty.shift(seen[0])
    assert not mean.any()
    assert empty.n == 0
    assert (variance > assumed("other").values["cpu cell"] ** 2).all()


def test_a_common_factor_is_found_and_the_spread_shrinks(seen):
    before = infer(seen[0].take(slice(0, 0)), np.zeros(0), np.zeros(0), assumed("other"))
    after = infer(seen[0], np.full(COUNT, 0.4), np.full(COUNT, 0.02), assumed("other"))
    mean, variance = after.shift(seen[0])
    assert mean == pytest.approx(np.full(COUNT, 0.4), abs=0.05)
    assert (variance < before.shift(seen[0])[1]).all()
    assert after.inflation == 1.0


def test_an_effect_on_memory_counts_as_far_as_the_time_is_memorys(seen):
    ratio = 0.5 * seen[1][:, 2]
    after = infer(seen[0], ratio, np.full(COUNT, 0.02), assumed("other"))
    asked, shares = columns(50, seed=7)
    mean, _ = after.shift(asked)
    assert np.corrcoef(mean, shares[:, 2])[0, 1] > 0.95


def test_a_few_wild_cells_do_not_carry_the_rest_away(seen):
    ratio = np.full(COUNT, 0.1)
    ratio[:5] = 5.0
    mean, _ = infer(seen[0], ratio, np.full(COUNT, 0.02), assumed("other")).shift(seen[0])
    assert np.median(mean) == pytest.approx(0.1, abs=0.05)


def test_cells_that_contradict_each_other_inflate_the_variance(seen):
    ratio = np.where(np.arange(COUNT) % 2 == 0, 3.0, -3.0)
    assert infer(seen[0], ratio, np.full(COUNT, 0.02), assumed("same")).inflation > 1.5


def test_effects_nobody_has_seen_keep_their_prior(seen):
    after = infer(seen[0], np.full(COUNT, 0.4), np.full(COUNT, 0.02), assumed("other"))
    known, new = (
        seen[0],
        design(cells().assign(workload="spmm", backend="jax"), seen[1], np.full(COUNT, 1e-3)),
    )
    assert (after.shift(new)[1] > after.shift(known)[1]).all()


def test_deviations_follow_the_pairs_of_a_dataset():
    rng = np.random.default_rng(5)
    pairs = []
    for seed in range(4):
        part, _ = columns(400, seed)
        family = dict(zip(["matmul", "fft", "sort"], rng.normal(0.0, 0.6, 3), strict=True))
        ratio = cells(400, seed)["workload"].map(family).to_numpy() + rng.normal(0.0, 0.01, 400)
        pairs.append((part, ratio, np.full(400, 0.005)))
    found = estimate(pairs, "same")
    assert found.values["cpu family"] > 3.0 * PRIORS["cpu family"][0]
    assert found.values["cpu cell"] < 0.5 * PRIORS["cpu cell"][0]
    assert found.counts["cpu family"] == 12
    assert found.counts["cuda family"] == 0
    assert found.values["cuda family"] == pytest.approx(PRIORS["cuda family"][0])


def test_without_pairs_the_stated_figures_stand():
    assert estimate([], "other") == assumed("other")
    assert set(assumed("same").values) == set(KINDS)


def test_gpus_and_hosts_may_be_related_differently():
    mixed = combined(assumed("same"), assumed("other"))
    assert mixed.values["cuda compute"] == PRIORS["cuda compute"][0]
    assert mixed.values["cuda host"] == PRIORS["cuda host"][1]
    assert mixed.values["cpu memory"] == PRIORS["cpu memory"][1]


def test_less_alike_machines_are_never_surer_of():
    same = assumed("same")
    family = wider(same, FAMILY)
    maker = wider(family, MAKER)
    for kind in KINDS:
        assert same.values[kind] <= family.values[kind] <= maker.values[kind]
    assert maker.values["cpu compute"] > family.values["cpu compute"]
    assert maker.values["cuda compute"] == same.values["cuda compute"]
