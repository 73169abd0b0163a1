"""Two clocks: a step is never shorter than its parts, and waits where CUDA waits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.jobs.schedule import Calls, scenarios, schedule

SECONDS = st.floats(0.0, 10.0, allow_subnormal=False)
#: dispatch, device, copies, apart, waits
CALL = st.tuples(SECONDS, SECONDS, st.booleans(), st.booleans(), st.booleans())


def make_calls(rows, one_clock=False):
    """Only copies that nobody waits for have a stream of their own."""
    rows = [(h, d, c, a and c and not w, w) for h, d, c, a, w in rows]
    dispatch, device, copies, apart, waits = zip(*rows, strict=True)
    return Calls(
        np.array(dispatch, dtype=float),
        np.array(device, dtype=float),
        np.array(copies, dtype=bool),
        np.array(apart, dtype=bool),
        np.array(waits, dtype=bool),
        one_clock,
    )


def one_by_one(calls, repetitions=6):
    """The definition, a call at a time: when each step ends."""
    host = queue = beside = 0.0
    ends = []
    for _ in range(repetitions):
        for h, d, apart, waits in zip(
            calls.dispatch_s, calls.device_s, calls.apart, calls.waits, strict=True
        ):
            host += h
            if apart:
                beside = max(beside, host) + d
            else:
                queue = max(queue, host) + d
            if waits:
                host = max(host, queue)
        ends.append(max(host, queue, beside))
    return ends


@given(st.lists(CALL, min_size=1, max_size=30).map(make_calls))
def test_the_clocks_are_those_of_calls_one_by_one(calls):
    ends = one_by_one(calls)
    step = schedule(calls)
    assert step.waited_s == pytest.approx(ends[0], abs=1e-9)
    assert step.pipelined_s == pytest.approx(ends[2] - ends[1], abs=1e-9)


@given(st.lists(CALL, min_size=1, max_size=30).map(make_calls))
def test_a_step_takes_no_less_than_its_host_or_its_device_and_no_more_than_both(calls):
    step = schedule(calls)
    queued = float(calls.device_s[~calls.apart].sum())
    beside = float(calls.device_s[calls.apart].sum())
    for seconds in (step.waited_s, step.pipelined_s):
        assert seconds >= max(step.host_s, queued, beside) - 1e-9
    assert step.waited_s <= step.host_s + queued + beside + 1e-9
    assert step.device_s + step.copy_s == pytest.approx(queued + beside)


@given(st.lists(CALL, min_size=1, max_size=30).map(make_calls))
def test_a_step_in_a_row_takes_no_longer_than_one_that_is_waited_for(calls):
    step = schedule(calls)
    assert step.pipelined_s <= step.waited_s


@given(st.lists(CALL, min_size=1, max_size=20), st.data())
def test_nothing_that_takes_longer_makes_a_step_shorter(rows, data):
    before = schedule(make_calls(rows))
    at = data.draw(st.integers(0, len(rows) - 1))
    more = data.draw(SECONDS)
    host = data.draw(st.booleans())
    h, d, *rest = rows[at]
    rows[at] = (h + more, d, *rest) if host else (h, d + more, *rest)
    after = schedule(make_calls(rows))
    assert after.waited_s >= before.waited_s - 1e-9
    assert after.pipelined_s >= before.pipelined_s - 1e-9


def test_kernels_run_while_the_host_asks_for_the_next():
    step = schedule(make_calls([(1.0, 3.0, False, False, False)] * 4))
    assert (step.waited_s, step.pipelined_s, step.bound) == (13.0, 12.0, "device")
    assert step.device_idle_share == 0.0


def test_a_slow_host_sets_the_pace_and_the_device_is_idle_meanwhile():
    step = schedule(make_calls([(4.0, 1.0, False, False, False)] * 4))
    assert (step.waited_s, step.pipelined_s, step.bound) == (17.0, 16.0, "host")
    assert step.device_idle_share == 0.75


def test_a_number_that_is_read_makes_the_host_wait_for_all_that_was_asked():
    free = [(1.0, 5.0, False, False, False), (1.0, 0.0, False, False, False)]
    read = [(1.0, 5.0, False, False, False), (1.0, 0.0, False, False, True)]
    tail = [(1.0, 1.0, False, False, False)]
    assert schedule(make_calls(free + tail)).pipelined_s == 6.0
    assert schedule(make_calls(read + tail)).pipelined_s == 7.0  # its kernel only then


def test_a_copy_on_a_stream_of_its_own_overlaps_the_kernels():
    kernels = [(0.1, 3.0, False, False, False)]
    queued, beside = ((0.1, 2.0, True, apart, False) for apart in (False, True))
    assert schedule(make_calls([queued, *kernels])).pipelined_s == pytest.approx(5.0)
    assert schedule(make_calls([beside, *kernels])).pipelined_s == pytest.approx(3.0)


def test_a_copy_that_is_waited_for_holds_the_host_up():
    kernels = [(1.0, 0.5, False, False, False)] * 2
    copied, left = ((1.0, 4.0, True, False, waits) for waits in (True, False))
    assert schedule(make_calls([copied, *kernels])).waited_s == 7.5
    assert schedule(make_calls([left, *kernels])).waited_s == 6.0


@given(st.lists(CALL, min_size=1, max_size=20))
def test_a_host_that_computes_itself_does_one_thing_after_the_other(rows):
    step = schedule(make_calls(rows, one_clock=True))
    assert step.waited_s == step.pipelined_s == pytest.approx(sum(h + d for h, d, *_ in rows))


@given(st.lists(CALL, min_size=1, max_size=20).map(make_calls), st.floats(0.1, 10.0))
def test_a_scenario_is_the_schedule_of_scaled_calls(calls, factor):
    all_longer = np.array([1.0, factor])
    waited, pipelined = scenarios(calls, all_longer, all_longer, all_longer)
    assert waited[1] == pytest.approx(factor * waited[0], abs=1e-9)
    assert pipelined[1] == pytest.approx(factor * pipelined[0], abs=1e-9)


def test_fifty_thousand_calls_are_scheduled_at_once():
    step = schedule(make_calls([(1.0, 0.5, False, False, False)] * 50_000))
    assert step.pipelined_s == pytest.approx(50_000.0)


def test_a_step_without_calls_that_take_time_takes_none():
    step = schedule(make_calls([(0.0, 0.0, False, False, False)]))
    assert (step.waited_s, step.pipelined_s, step.device_idle_share) == (0.0, 0.0, 0.0)
