import numpy as np
import pandas as pd
import pytest

from estimator.dataset.measurements import empty_machines
from estimator.validation.splits import (
    ANOTHER_RUN,
    BETWEEN,
    DESCRIPTIONS,
    EDGE,
    LARGER,
    LEAST_LARGER,
    MOST_LARGER,
    NEAR,
    NEW_MACHINE,
    NEW_WORKLOAD,
    PROBES,
    SAME,
    SHAPE,
    SISTER,
    SPECS,
    SPLITS,
    folds,
    shape_ranks,
)
from tests.estimator import made_up

GROUP = ["machine_id", "device", "backend", "threads", "dtype", "math_mode", "mode"]
GROUP += ["workload", "operation"]


def first(table, count):
    return np.arange(count)


def of(table, split, machines=None):
    names = sorted(set(table["machine_id"]))
    return list(folds(table, machines or empty_machines(names), first, [split]))


@pytest.fixture(scope="module")
def fleet():
    """Two machines of one type and one of another."""
    families = ("matmul", "elementwise")
    parts = [
        made_up.described(made_up.make_cells((("numpy", "cpu"),), families, machine_id=name))
        for name in ("a1", "a2", "b")
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def types():
    return empty_machines(["a1", "a2", "b"]).assign(machine_type_id=["a", "a", "b"])


def machine_folds(fleet, types, split):
    return list(folds(fleet, types, first, [split]))


def test_every_split_is_described():
    assert tuple(DESCRIPTIONS) == SPLITS
    assert ANOTHER_RUN in SPLITS


@pytest.mark.parametrize("split", [s for s in SPLITS if s not in (ANOTHER_RUN,)])
def test_nothing_is_asked_that_the_fit_sees(fleet, types, split):
    for fold in machine_folds(fleet, types, split):
        for asked in fold.asked.values():
            assert asked.any()
            assert not (asked & fold.train).any()


@pytest.mark.parametrize("split", [BETWEEN, EDGE, LARGER, NEAR])
def test_a_held_out_shape_is_out_everywhere(table, split):
    shape = table.groupby(SHAPE, sort=False).ngroup().to_numpy()
    for fold in of(table, split):
        assert not set(shape[~fold.train]) & set(shape[fold.train])


def test_the_same_operation_under_another_name_is_the_same_shape(table):
    rank, _ = shape_ranks(table)
    seed = table["case"] == "dot_2000_float64"
    assert seed.any()
    assert (table.loc[seed, "operation"] == "square").all()
    assert rank[seed].nunique() == 1


def test_sizes_between_lie_within_what_their_group_kept(table):
    names = [name for name in table.columns if name.startswith("dimension_")]
    for fold in of(table, BETWEEN):
        kept = table[fold.train].groupby(GROUP)[["amount", *names]]
        low, high = kept.min(), kept.max()
        asked = table[fold.asked[BETWEEN]].set_index(GROUP)
        for name in ("amount", *names):
            values = asked[name].dropna()
            assert (values >= low[name].reindex(values.index)).all()
            assert (values <= high[name].reindex(values.index)).all()


def test_each_cell_is_asked_at_most_once_between(table):
    count = np.sum([fold.asked[BETWEEN] for fold in of(table, BETWEEN)], axis=0)
    assert set(count) == {0, 1}
    assert count.sum() > len(table) / 4


def test_larger_sizes_are_4_to_16_times_what_their_group_kept(table):
    for fold in of(table, LARGER):
        most = table[fold.train].groupby(GROUP)["amount"].max()
        asked = table[fold.asked[LARGER]].set_index(GROUP)["amount"]
        times = asked / most.reindex(asked.index)
        assert times.between(LEAST_LARGER, MOST_LARGER).all()


def test_larger_is_asked_of_both_devices(table):
    asked = np.any([fold.asked[LARGER] for fold in of(table, LARGER)], axis=0)
    assert set(table.loc[asked, "device"]) == {"cpu", "cuda"}


def test_random_cells_are_out_in_all_machines_and_asked_of_groups_that_keep_two(fleet, types):
    keys = [name for name in GROUP if name != "machine_id"] + ["params_key"]
    for fold in machine_folds(fleet, types, SAME):
        out = set(map(tuple, fleet.loc[~fold.train, keys].to_numpy()))
        kept = set(map(tuple, fleet.loc[fold.train, keys].to_numpy()))
        assert not out & kept
        sizes = fleet[fold.train].groupby(GROUP)["params_key"].nunique()
        asked = fleet[fold.asked[SAME]].set_index(GROUP)
        assert (sizes.reindex(asked.index) >= 2).all()


def test_one_operation_of_each_family_is_new_at_a_time(table):
    count = np.zeros(len(table), dtype=int)
    for fold in of(table, NEW_WORKLOAD):
        asked = fold.asked[NEW_WORKLOAD]
        assert (table[asked].groupby("workload")["operation"].nunique() == 1).all()
        assert not set(table.loc[asked, "operation"]) & set(table.loc[fold.train, "operation"])
        count += asked
    assert (count == 1).all()


def test_a_sister_keeps_probes_and_its_type(fleet, types):
    for fold in machine_folds(fleet, types, SISTER):
        name = fold.turn.split()[-1]
        assert name in ("a1", "a2")
        assert (fleet.loc[fold.train, "machine_id"] == name).sum() == PROBES
        assert set(fleet.loc[fold.train, "machine_id"]) == {"a1", "a2", "b"}


def test_a_new_machine_keeps_probes_but_not_its_sisters(fleet, types):
    found = machine_folds(fleet, types, NEW_MACHINE)
    assert [fold.turn.split()[-1] for fold in found] == ["a1", "a2", "b"]
    kept = [fleet.loc[fold.train, "machine_id"].value_counts() for fold in found]
    assert kept[0]["a1"] == PROBES
    assert set(kept[0].index) == {"a1", "b"}
    assert set(kept[2].index) == {"a1", "a2", "b"}


def test_from_specs_a_type_is_out_whole(fleet, types):
    found = machine_folds(fleet, types, SPECS)
    assert [set(fleet.loc[fold.train, "machine_id"]) for fold in found] == [{"b"}, {"a1", "a2"}]


def test_one_machine_has_nobody_to_learn_from(table):
    for split in (SISTER, NEW_MACHINE, SPECS):
        assert of(table, split) == []
