"""What the hardware can do at best, and answers that are held to it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.answer import PARTS
from estimator.catalogue.hardware import match_gpu
from estimator.fitting.monotone import OtherSizes, rising
from estimator.others.bounds import SUSTAINED, Least, bounded, limits_of
from estimator.others.choice import bigger_sisters
from estimator.others.facts import MachineFacts, facts_of_name

SECONDS = st.floats(1e-7, 1e2)


def answer_of(low, middle, high, measured=np.nan):
    parts = {f"{part}_s": [middle / len(PARTS)] for part in PARTS}
    times = {"seconds_p5": [low], "seconds_p50": [middle], "seconds_p95": [high]}
    return pd.DataFrame({**times, **parts, "measured_median_s": [measured]})


def least(ever, usual=None):
    return Least(np.array([ever]), np.array([ever if usual is None else usual]))


@given(SECONDS, st.floats(1.0, 10.0), st.floats(1.0, 10.0), SECONDS)
def test_no_end_is_below_the_bound_and_the_parts_still_add_up(low, up, more, bound):
    held = bounded(answer_of(low, low * up, low * up * more), least(bound, bound / SUSTAINED))
    row = held.iloc[0]
    assert row["seconds_p5"] >= bound
    assert row["seconds_p50"] >= bound / SUSTAINED * (1.0 - 1e-12)
    assert row["seconds_p5"] <= row["seconds_p50"] * (1.0 + 1e-12)
    assert row["seconds_p50"] <= row["seconds_p95"] * (1.0 + 1e-12)
    assert sum(row[f"{part}_s"] for part in PARTS) == pytest.approx(row["seconds_p50"])


def test_a_measurement_outranks_a_data_sheet():
    held = bounded(answer_of(0.8, 0.9, 1.1, measured=0.9), least(1.0))
    assert held["seconds_p50"].iloc[0] == 0.9
    assert held["seconds_p5"].iloc[0] == 0.9


def test_what_has_no_answer_gets_none():
    held = bounded(answer_of(np.nan, np.nan, np.nan), least(1.0))
    assert held[["seconds_p5", "seconds_p50", "seconds_p95"]].isna().all(axis=None)


def test_bfloat16_on_a_t4_is_held_to_its_fp32_units():
    machine = facts_of_name("T4")
    limits = limits_of(machine, "cuda", 1, "bfloat16", "ieee", True)
    assert limits.flop_per_s == limits_of(machine, "cuda", 1, "float32", "ieee", True).flop_per_s
    assert limits.flop_per_s < limits_of(machine, "cuda", 1, "float16", "ieee", True).flop_per_s


def test_a_machine_of_which_nothing_is_known_is_not_bounded():
    limits = limits_of(MachineFacts("x", "x"), "cuda", 1, "float32", "ieee", True)
    assert np.isinf([limits.flop_per_s, limits.bytes_per_s, limits.link_bytes_per_s]).all()


def test_cores_of_a_cpu_share_its_memory_but_not_its_arithmetic():
    machine = facts_of_name("EPYC 9R14")
    one, all_cores = (limits_of(machine, "cpu", n, "float32", "ieee", True) for n in (1, 96))
    assert all_cores.flop_per_s == pytest.approx(96 * one.flop_per_s)
    assert all_cores.bytes_per_s == one.bytes_per_s


def test_sisters_are_cards_of_one_chip_and_none_is_its_own():
    for name in ("A100 PCIe 40GB", "H100 PCIe", "T4"):
        gpu = match_gpu(name)
        sisters = bigger_sisters(gpu)
        assert all(sister.chip == gpu.chip and sister.name != gpu.name for sister in sisters)
    assert "A100 SXM4 40GB" in {card.name for card in bigger_sisters(match_gpu("A100 PCIe 40GB"))}
    # a slower link makes the H200 no bigger sister of a GH200
    assert bigger_sisters(match_gpu("GH200 96GB")) == ()


@given(SECONDS, SECONDS, SECONDS)
def test_an_estimate_lies_between_the_longest_below_and_the_shortest_above(own, half, twice):
    sizes = OtherSizes(
        pd.DataFrame(index=range(2)),
        group=np.zeros(2, dtype=np.intp),
        sizes=np.array([0.5, 2.0]),
        rows=np.zeros(1, dtype=np.intp),
        of=np.zeros(1, dtype=np.intp),
    )
    others = pd.concat([answer_of(half, half, half), answer_of(twice, twice, twice)])
    held = rising(answer_of(own, own, own), sizes, others.reset_index(drop=True))
    expected = np.sqrt(max(own, half) * min(own, twice))
    assert held["seconds_p50"].iloc[0] == pytest.approx(expected)
    assert sum(held[f"{part}_s"].iloc[0] for part in PARTS) == pytest.approx(expected)
