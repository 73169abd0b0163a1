"""When sampling stops, told with a clock that the test moves."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.measure.sampling import StopRule, collect_samples, stop_rule, warm_up
from collector.measure.statistics import SMALLEST_SAMPLE_WITH_INTERVAL, summarise
from collector.schema import STOP_REASONS
from tests.collector.doubles import FakeClock, Script

RULE = StopRule(half_width=0.01)


def collect(values, step_s, rule=RULE, calls=1):
    clock = FakeClock()
    return collect_samples(Script(clock, values, step_s), calls, rule, clock), clock


def test_equal_samples_are_precise_as_soon_as_there_are_enough():
    samples, _ = collect([1.0], step_s=0.01)
    assert (samples.stop_reason, len(samples.samples_s)) == ("precise", RULE.min_samples)


def test_short_samples_are_taken_until_the_minimum_time_has_passed():
    samples, clock = collect([1.0], step_s=1 / 1024)
    assert samples.stop_reason == "precise"
    assert len(samples.samples_s) > RULE.min_samples
    assert clock.now_s - 1 / 1024 < RULE.min_time_s <= clock.now_s


def test_two_kinds_of_sample_end_on_a_plateau():
    samples, _ = collect(itertools.cycle([1.0, 2.0]), step_s=0.01)
    assert samples.stop_reason == "plateau"
    assert summarise(samples.samples_s).relative_half_width > RULE.half_width


def test_the_number_of_samples_is_capped():
    rule = StopRule(half_width=0.01, max_samples=40)
    samples, _ = collect(itertools.cycle([1.0, 2.0]), step_s=0.01, rule=rule)
    assert (samples.stop_reason, len(samples.samples_s)) == ("max_samples", 40)


def test_the_time_is_capped():
    rule = StopRule(half_width=0.01, max_time_s=0.25)
    samples, clock = collect(itertools.cycle([1.0, 2.0]), step_s=1 / 64, rule=rule)
    assert samples.stop_reason == "time_cap"
    assert clock.now_s == rule.max_time_s


def test_an_operation_slower_than_the_cap_still_gets_an_interval():
    samples, _ = collect([100.0], step_s=100.0)
    assert len(samples.samples_s) == SMALLEST_SAMPLE_WITH_INTERVAL
    assert samples.stop_reason == "time_cap"


def test_samples_that_are_precise_at_the_cap_are_called_so():
    noise = itertools.chain(itertools.islice(itertools.cycle([1.0, 2.0]), 30), itertools.repeat(1))
    rule = StopRule(half_width=0.01, max_time_s=0.44)
    samples, _ = collect(noise, step_s=0.01, rule=rule)
    assert len(samples.samples_s) == 44  # the next check would be at 45
    assert samples.stop_reason == "precise"


def test_the_time_of_a_block_is_shared_among_its_calls():
    samples, _ = collect([3.0], step_s=1.0, calls=4)
    assert set(samples.samples_s) == {0.75}
    assert samples.calls_per_sample == 4


@given(
    st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=60),
    st.floats(1e-4, 10.0),
    st.floats(0.001, 0.2),
)
def test_every_sample_is_kept_and_the_reason_is_true(values, step_s, half_width):
    rule = StopRule(half_width, max_samples=200)
    clock = FakeClock()
    script = Script(clock, values, step_s)
    samples = collect_samples(script, 1, rule, clock)
    n = len(samples.samples_s)
    assert samples.samples_s == script.given
    assert SMALLEST_SAMPLE_WITH_INTERVAL <= n <= rule.max_samples
    assert samples.stop_reason in STOP_REASONS
    precise = summarise(samples.samples_s).relative_half_width <= half_width
    if samples.stop_reason == "precise":
        assert precise
        assert n >= rule.min_samples
    elif samples.stop_reason == "time_cap":
        assert clock.now_s >= rule.max_time_s
    elif samples.stop_reason == "max_samples":
        assert n == rule.max_samples


def test_warm_up_ends_when_two_windows_agree():
    clock = FakeClock()
    warm = warm_up(Script(clock, [9.0, 1.0], 0.01), 5.0, clock)
    assert warm.durations_s == [9.0, *[1.0] * 9]  # the first call, 3 calls, 6 calls
    assert warm.steady
    assert warm.settled_s == 1.0


def test_warm_up_goes_on_while_calls_get_faster():
    clock = FakeClock()
    falling = [0.9**index for index in range(30)]
    warm = warm_up(Script(clock, falling, 0.01), 100.0, clock)
    assert warm.durations_s[:30] == falling
    assert len(warm.durations_s) > 30
    assert warm.steady


def test_warm_up_ends_at_its_cap():
    clock = FakeClock()
    falling = [0.5**index for index in range(1000)]
    warm = warm_up(Script(clock, falling, 1.0), 5.0, clock)
    assert warm.durations_s == falling[:10]
    assert not warm.steady


def test_a_slow_operation_is_warmed_up_by_one_window_only():
    clock = FakeClock()
    assert len(warm_up(Script(clock, [10.0], 10.0), 5.0, clock).durations_s) == 4


@pytest.mark.parametrize("suite", ["quick", "standard", "full"])
def test_a_gpu_is_held_to_half_the_width_of_a_cpu(suite):
    assert stop_rule(suite, "cuda").half_width == stop_rule(suite, "cpu").half_width / 2


def test_suites_take_longer_from_quick_to_full():
    rules = [stop_rule(suite, "cpu") for suite in ("quick", "standard", "full")]
    for shorter, longer in itertools.pairwise(rules):
        assert shorter.max_time_s < longer.max_time_s
        assert shorter.half_width >= longer.half_width
