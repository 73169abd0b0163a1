import numpy as np

from estimator.fitting.intervals import (
    larger_shapes,
    operation_folds,
    rehearsal_fold,
    replicate,
    shape_folds,
    shape_rank,
)

SHAPE = ["workload", "operation", "params_key"]


def test_each_shape_of_several_is_held_out_in_exactly_one_turn(table):
    held = np.sum(list(shape_folds(table).values()), axis=0)
    assert (held == (shape_rank(table)[1] > 1)).all()


def test_a_shape_is_held_out_everywhere_at_once(table):
    masks = {**shape_folds(table), **larger_shapes(table)}
    for mask in masks.values():
        assert (table.assign(held=mask).groupby(SHAPE)["held"].nunique() == 1).all()


def test_ranks_go_by_work_and_are_told_apart(table):
    rank, count = shape_rank(table)
    one = table.assign(rank=rank, count=count)
    one = one[one["operation"] == "square"].drop_duplicates("params_key").sort_values("rank")
    assert list(one["rank"]) == list(range(len(one)))
    assert one["amount"].is_monotonic_increasing


def test_each_turn_leaves_most_shapes(table):
    for mask in shape_folds(table).values():
        assert 0.1 < mask.mean() < 0.4
    assert (rehearsal_fold(table) == shape_folds(table)["shape 1"]).all()


def test_the_larger_half_is_larger_than_all_that_stays(table):
    for name, mask in larger_shapes(table).items():
        here = table.assign(held=mask)[(table["device"] == name.partition(" ")[2]).to_numpy()]
        for _, group in here.groupby(["operation"]):
            if group["held"].any():
                kept = group.loc[~group["held"], "amount"]
                assert kept.max() <= group.loc[group["held"], "amount"].min()


def test_operations_are_held_out_whole_and_each_once(table):
    folds = operation_folds(table)
    assert (np.sum(list(folds.values()), axis=0) == 1).all()
    for mask in folds.values():
        held = table.assign(held=mask)
        assert (held.groupby(["workload", "operation"])["held"].nunique() == 1).all()
        assert (held[mask].groupby("workload")["operation"].nunique() == 1).all()


def test_replicas_are_the_table_without_what_is_held_out(table):
    masks = {"a": np.zeros(len(table), dtype=bool), "b": rehearsal_fold(table)}
    copies = replicate(table, masks)
    assert (copies["replica"] == "a").sum() == len(table)
    assert (copies["replica"] == "b").sum() == len(table) - masks["b"].sum()
