"""Blocks of questions are described as each question is alone."""

import math
import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import SelectionError
from collector.workloads import FAMILIES
from collector.workloads._factors import factorise, next_smooth
from estimator.cells.features import describe
from estimator.cells.questions import blocks, params_key, used_threads

MODES = ("hot", "cold", "resident", "end_to_end")


def draw(family, seed):
    """A few questions of each case on each device, of one element type and mode."""
    generator, rows = random.Random(f"{family.name} {seed}"), []
    values = [lambda: generator.randint(1, 9), lambda: generator.randint(1, 5000)]
    values += [lambda: 2 ** generator.randint(0, 14), lambda: 8 * generator.randint(1, 300)]
    for case, signature in family.signatures.items():
        for (backend, device), kinds in family.support.items():
            dtype, math_mode = generator.choice(kinds)
            kind = {"workload": family.name, "case": case, "backend": backend, "device": device}
            kind |= {"dtype": dtype, "math_mode": math_mode, "mode": generator.choice(MODES)}
            for _ in range(4):
                params = {name: generator.choice(values)() for name in signature}
                if family.name == "image_pipeline":
                    params["image"] *= 2
                if family.name == "spmm":
                    params["nonzeros_per_row"] = min(params["nonzeros_per_row"], params["rows"])
                threads = generator.choice((1, 16))
                units = generator.choice((132.0, np.nan))
                rows.append(kind | {"params": params, "threads": threads, "multiprocessors": units})
    generator.shuffle(rows)
    return pd.DataFrame(rows)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
@pytest.mark.parametrize("seed", range(2))
def test_a_block_is_described_as_its_questions_alone(family, seed):
    """One question of each block, wherever it stands among the others."""
    cells = draw(family, seed)
    asked = np.flatnonzero(~cells.duplicated(["case", "backend", "device"]))
    together = describe(cells).iloc[asked]
    alone = pd.concat([describe(cells.iloc[[row]]) for row in asked])
    pd.testing.assert_frame_equal(
        together, alone[together.columns], rtol=1e-12, atol=0.0, check_exact=False
    )


def test_rows_of_one_kind_are_one_block_whatever_their_order_and_threads():
    cells = draw(FAMILIES["elementwise"], 0)
    found = list(blocks(cells))
    assert sorted(np.concatenate([block.rows for block in found]).tolist()) == [*range(len(cells))]
    assert [len(block.rows) for block in found] == [4] * (len(cells) // 4)
    for block in found:
        asked = [cells["params"].iloc[row] for row in block.rows]
        for name, values in block.params.items():
            assert values.tolist() == [params[name] for params in asked]


def test_no_cells_are_described_by_no_rows():
    assert describe(draw(FAMILIES["sort"], 0).iloc[:0]).empty


def test_a_key_of_no_whole_number_is_refused():
    with pytest.raises(SelectionError, match=r"n=2.5 is not a whole number"):
        params_key({"n": 2.5})


@given(st.lists(st.integers(1, 2**20), min_size=1, max_size=30), st.integers(2**39, 2**40))
def test_factors_are_primes_that_multiply_to_the_number(numbers, large):
    numbers = [*numbers, large]
    found = factorise(np.array(numbers, dtype=float))
    parts = [1] * len(numbers)
    for of, prime, times in zip(found.of, found.prime, found.times, strict=True):
        assert all(prime % factor for factor in range(2, math.isqrt(prime) + 1))
        parts[of] *= int(prime) ** int(times)
    assert parts == numbers
    assert (found.largest <= numbers).all()


@given(st.integers(1, 2**41))
def test_the_next_smooth_number_has_factors_of_2_3_and_5(number):
    found = next_smooth(np.array([number]))
    assert number <= found[0] < 2 * number
    assert factorise(found).largest[0] <= 5


def test_a_library_on_one_thread_gains_nothing_from_more():
    """numpy sorts on one thread and multiplies on all; torch uses what it is given."""
    asked = pd.DataFrame(
        {
            "workload": ["sort", "matmul", "sort", "sort", "unheard_of"],
            "backend": ["numpy", "numpy", "torch", "numpy", "numpy"],
            "device": ["cpu", "cpu", "cpu", "cuda", "cpu"],
            "threads": 16,
        }
    )
    assert list(used_threads(asked, set())) == [1, 16, 16, 16, 16]
    assert list(used_threads(asked, {("sort", "numpy", 16)})) == [16] * 5  # somebody measured it
