import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.cells.work import KernelWork, Tilings
from estimator.formula.kernel import (
    KERNEL_PARAMETERS,
    kernel_log_seconds,
    kernel_parts,
    kernel_seconds,
)

# Ranges far wider than any machine: 1 to 1e16 FLOP/s, 1 ns to 10 s a launch, and so on.
PARAMETERS = st.tuples(
    st.floats(1e-12, 1.0),  # call_s
    st.floats(1e-9, 10.0),  # launch_s
    st.floats(1e-9, 1.0),  # dispatch_s
    st.floats(1.0, 8.0),  # overlap_q
    st.floats(1.0, 1e16),  # compute_flop_per_s
    st.floats(0.1, 50.0),  # algorithm_factor
    st.floats(1e-3, 1e9),  # width_half
    st.floats(1e-3, 1e3),  # tile_half
    st.floats(1e-3, 1e6),  # area_half
    st.floats(1e-3, 1e6),  # depth_half
    st.floats(1.0, 1e14),  # memory_bytes_per_s
    st.floats(1.0, 50.0),  # cache_gain
    st.floats(1e3, 1e10),  # cache_bytes
    st.floats(1.0, 50.0),  # inner_cache_gain
    st.floats(1e3, 1e10),  # inner_cache_bytes
    st.floats(1.0, 40.0),  # cache_steepness
    st.floats(1e6, 1e12),  # fault_bytes_per_s
    st.floats(1e4, 1e9),  # fault_block_bytes
    st.floats(1.0, 8.0),  # exponent_p
    st.floats(0.5, 50.0),  # awkward_factor
)
AMOUNTS = st.floats(0.0, 1e18)
WORK = st.fixed_dictionaries(
    {
        "flop": AMOUNTS,
        "bytes": AMOUNTS,
        "footprint": AMOUNTS,
        "fresh": AMOUNTS,
        "block": AMOUNTS,
        "launches": st.floats(1.0, 1e4),
        "forks": st.sampled_from([0.0, 1.0]),
        "added": st.floats(0.0, 1e-3),
        "share_floor": st.floats(0.0, 1.0),
        "width": st.one_of(st.just(np.inf), st.floats(1.0, 1e12)),
        "depth": st.one_of(st.just(np.inf), st.floats(1.0, 1e9)),
        "awkward": st.floats(0.0, 1.0),
        "awkward_memory": st.floats(0.0, 1.0),
        "special": st.floats(0.0, 1.0),
        "tiling": st.one_of(
            st.none(),
            st.tuples(st.floats(1.0, 1e6), st.floats(1.0, 1e9), st.floats(1.0, 512.0)),
        ),
    }
)
PLAIN = {
    "flop": 0.0,
    "bytes": 0.0,
    "footprint": 0.0,
    "fresh": 0.0,
    "block": 0.0,
    "launches": 1.0,
    "forks": 0.0,
    "added": 0.0,
    "share_floor": 0.0,
    "width": np.inf,
    "depth": np.inf,
    "awkward": 0.0,
    "awkward_memory": 0.0,
    "special": 0.0,
    "tiling": None,
}


def rows(*works):
    """A tiling is (waves, area, side); the second way takes a quarter of the depth, the third
    is Winograd's, for bytes of its own. The second tile covers a tenth more, with longer sides.
    """
    plain = {
        name: np.array([work[name] for work in works]) for name in works[0] if name != "tiling"
    }
    tiled = [work["tiling"] for work in works]
    there = np.array([one is not None for one in tiled])
    first = np.where(there, np.cumsum(there) - 1, -1)
    product = np.column_stack([first, first, np.full(len(works), -1)])
    part = np.where(product >= 0, [[0.75, 0.25, 0.0]], 0.0)
    known = [one for one in tiled if one is not None] or [(1.0, 1.0, 1.0)]
    waves, area, side = np.array(known).T
    ways = Tilings(
        waves=waves[:, None, None] * np.array([1.0, 6.0, 60.0])[:, None] * np.array([1.0, 1.1]),
        area=area,
        depth=np.full(len(known), works[0]["depth"]),
        side=np.array([side[0], 4.0 * side[0]]),
        depth_share=np.array([1.0, 0.25, 0.1]),
        extra=np.tile([0.0, 1e3, 1e7], (len(known), 1)),
        kernels=np.array([0.0, 1.0, 2.0]),
        special=np.array([0.0, 0.0, 1.0]),
    )
    return KernelWork(
        **plain, product=product, part=part, byte_unit=np.ones(len(works)), tilings=ways
    )


def logs(parameters, count=1):
    return np.tile(np.log(parameters), (count, 1))


@given(PARAMETERS, WORK)
def test_a_time_is_positive_and_finite(parameters, work):
    seconds = kernel_seconds(logs(parameters), rows(work))
    assert np.isfinite(seconds).all()
    assert (seconds > 0.0).all()


@given(PARAMETERS, WORK)
def test_the_parts_add_up_and_none_is_negative(parameters, work):
    theta, work = logs(parameters), rows(work)
    parts = kernel_parts(theta, work)
    total = parts.launch_s + parts.compute_s + parts.memory_s
    assert total == pytest.approx(kernel_seconds(theta, work))
    assert min(parts.compute_s.min(), parts.memory_s.min()) >= 0.0
    assert parts.launch_s.min() >= -1e-9 * total.max()


@given(PARAMETERS, WORK, st.sampled_from(["flop", "bytes", "launches"]), st.floats(1.0, 1e3))
def test_more_work_never_takes_less_time(parameters, work, name, factor):
    more = {**work, name: work[name] * factor}
    less_s, more_s = kernel_seconds(logs(parameters, 2), rows(work, more))
    assert more_s >= less_s * (1.0 - 1e-9)


@given(PARAMETERS, WORK, st.floats(1.0, 1e3))
def test_a_larger_footprint_never_hits_the_cache_more(parameters, work, factor):
    more = {**work, "footprint": work["footprint"] * factor}
    less_s, more_s = kernel_seconds(logs(parameters, 2), rows(work, more))
    assert more_s >= less_s * (1.0 - 1e-9)


@given(PARAMETERS, WORK)
def test_no_time_beats_the_plain_roofline(parameters, work):
    theta, work = (
        logs(parameters),
        rows({**work, "awkward": 0.0, "awkward_memory": 0.0, "special": 0.0}),
    )
    p = dict(zip(KERNEL_PARAMETERS, parameters, strict=True))
    useful = (work.tilings.waves.min(axis=2) * work.tilings.depth_share).min()
    useful = useful if work.product[0, 0] >= 0 else 1.0
    bound = max(
        useful * min(1.0, p["algorithm_factor"]) * work.flop[0] / p["compute_flop_per_s"],
        work.bytes[0] / (p["memory_bytes_per_s"] * p["cache_gain"] * p["inner_cache_gain"]),
    )
    assert kernel_seconds(theta, work)[0] >= bound * (1.0 - 1e-6)


@given(PARAMETERS, WORK)
def test_derivatives_agree_with_differences(parameters, work):
    theta, work = logs(parameters), rows({**work, "awkward": 1.0, "special": 0.5})
    log_seconds, jacobian = kernel_log_seconds(theta, work)
    for i in range(len(KERNEL_PARAMETERS)):
        step = np.zeros_like(theta)
        step[0, i] = 1e-5
        high, low = (kernel_log_seconds(theta + sign * step, work)[0] for sign in (1, -1))
        assert jacobian[0, i] == pytest.approx((high - low)[0] / 2e-5, abs=2e-4)
    assert log_seconds == pytest.approx(np.log(kernel_seconds(theta, work)))


@given(PARAMETERS, WORK, st.floats(0.0, 1.0))
def test_what_a_mode_adds_is_added_and_hides_behind_nothing(parameters, work, added):
    without, with_it = ({**work, "added": seconds} for seconds in (0.0, added))
    plain, longer = kernel_seconds(logs(parameters, 2), rows(without, with_it))
    assert longer == pytest.approx(plain + added, rel=1e-12)


@given(PARAMETERS, WORK)
def test_chosen_slopes_are_columns_of_all(parameters, work):
    theta, work = logs(parameters), rows(work)
    names = ("memory_bytes_per_s", "tile_half")
    chosen = kernel_log_seconds(theta, work, names)[1]
    every = kernel_log_seconds(theta, work)[1]
    columns = [KERNEL_PARAMETERS.index(name) for name in names]
    assert chosen == pytest.approx(every[:, columns])


@given(PARAMETERS, WORK)
def test_rows_do_not_depend_on_their_neighbours(parameters, work):
    tiled = {**work, "tiling": (2.0, 100.0, 64.0)}
    both = rows(work, tiled, work)
    seconds = kernel_seconds(logs(parameters, 3), both)
    assert seconds[0] == seconds[2]
    taken = kernel_seconds(logs(parameters, 2), both.take(np.array([2, 1])))
    assert taken == pytest.approx(seconds[[2, 1]])


def seconds_of(**changes):
    """One operation under round parameters, with what differs from doing nothing."""
    parameters = {
        "call_s": 1e-12,
        "launch_s": 2e-6,
        "dispatch_s": 5e-6,
        "overlap_q": 1.0,
        "compute_flop_per_s": 1e9,
        "algorithm_factor": 0.5,
        "width_half": 1e3,
        "tile_half": 32.0,
        "area_half": 1000.0,
        "depth_half": 64.0,
        "memory_bytes_per_s": 1e10,
        "cache_gain": 4.0,
        "cache_bytes": 1e8,
        "inner_cache_gain": 5.0,
        "inner_cache_bytes": 1e6,
        "cache_steepness": 20.0,
        "fault_bytes_per_s": 2e9,
        "fault_block_bytes": 1e7,
        "exponent_p": 8.0,
        "awkward_factor": 3.0,
    }
    theta = logs([parameters[name] for name in KERNEL_PARAMETERS])
    return kernel_seconds(theta, rows({**PLAIN, **changes}))[0]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"launches": 5.0}, 5 * 2e-6),
        ({"launches": 5.0, "forks": 1.0}, 5 * 7e-6),
        ({"flop": 1e9}, 1.0),
        ({"flop": 1e9, "awkward": 1.0}, 3.0),
        ({"flop": 1e9, "depth": 64.0}, 2.0),
        ({"flop": 1e9, "width": 1e3}, 2.0),
        ({"flop": 1e9, "width": 1.0, "share_floor": 0.25}, 4.0),
        ({"flop": 1e9, "special": 1.0}, 0.5),
        ({"flop": 1e9, "tiling": (3.0, np.inf, np.inf)}, 3.0),
        ({"flop": 1e9, "tiling": (1.0, np.inf, 128.0)}, 1.0 * 1.0625),
        ({"flop": 1e9, "tiling": (1.0, 1000.0, np.inf)}, 1.75),  # a quarter of the depth
        ({"flop": 1e9, "tiling": (1.0, np.inf, np.inf), "depth": 64.0}, 2.0),
        ({"bytes": 1e12, "footprint": 1e12}, 100.0),
        ({"bytes": 1e12, "footprint": 1e7}, 25.0),
        ({"bytes": 1e12, "footprint": 1e4}, 5.0),
        ({"fresh": 1e9, "block": 1e6}, 0.0),
        ({"fresh": 1e9, "block": 1e9}, 0.5),
    ],
)
def test_limits_of_the_formula(changes, expected):
    assert seconds_of(**changes) == pytest.approx(expected, rel=5e-3, abs=3e-6)
