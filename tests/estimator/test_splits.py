import numpy as np

from estimator.splits import (
    case_folds,
    interior_folds,
    larger_half,
    replicate,
    size_folds,
    size_rank,
    within_reach,
)


def squares(table):
    chosen = (table["operation"] == "square") & (table["device"] == "cpu")
    return table[chosen].sort_values("amount")


def test_each_size_is_held_out_in_exactly_one_fold(table):
    held = np.sum(list(size_folds(table).values()), axis=0)
    several = size_rank(table)[1] > 1
    assert (held == several).all()


def test_the_ends_of_each_group_always_stay(table):
    rank, count = size_rank(table)
    for mask in interior_folds(table).values():
        assert not mask[(rank == 0) | (rank == count - 1)].any()


def test_interior_folds_leave_rows_of_both_classes(table):
    awkward = table[(table["dtype"] == "bfloat16") & (table["operation"] == "square")]
    for mask in interior_folds(awkward).values():
        assert set(awkward.loc[~mask, "awkward"]) == set(awkward["awkward"])


def test_the_larger_half_is_larger_than_all_that_stays(table):
    chosen = squares(table).reset_index(drop=True)
    held = larger_half(chosen)
    for _, group in chosen.assign(held=held).groupby(["backend", "threads", "dtype"]):
        assert group.loc[~group["held"], "amount"].max() < group.loc[group["held"], "amount"].min()


def test_the_larger_split_reaches_16_times_the_work(table):
    held = larger_half(table)
    reach = within_reach(table, held)
    assert reach.sum() < held.sum()
    assert not (reach & ~held).any()


def test_small_groups_are_not_split_by_size(table):
    few = size_rank(table)[1] < 4
    assert not larger_half(table)[few].any()


def test_case_folds_hold_out_whole_operations(table):
    for mask in case_folds(table).values():
        for _, group in table.assign(held=mask).groupby(
            ["device", "backend", "threads", "mode", "dtype", "math_mode", "workload", "operation"]
        ):
            assert group["held"].nunique() == 1


def test_replicas_are_the_table_without_what_is_held_out(table):
    masks = {"a": np.zeros(len(table), dtype=bool), "b": larger_half(table)}
    copies = replicate(table, masks)
    assert (copies["replica"] == "a").sum() == len(table)
    assert (copies["replica"] == "b").sum() == len(table) - masks["b"].sum()
