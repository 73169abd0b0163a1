"""What a program's Python between two calls is counted as."""

import threading
import time

import pytest

pytest.importorskip("torch")

from estimator.trace.python_clock import PythonClock


def call(clock, number=0):
    clock.enter()
    clock.called(number)
    clock.leave()


def points(*works, clock=None, steps=3):
    """Of each work what is counted before the call that follows it, in the last of some steps."""
    clock = clock or PythonClock()
    for _ in range(steps):
        clock.begin()
        for number, work in enumerate(works):
            work()
            call(clock, number)
    found = clock.points()
    return [found[number] for number in range(len(works))]


def undisturbed(*works):
    """``points`` where the machine disturbed least: an interval that it makes long counts."""
    return [min(found) for found in zip(*(points(*works) for _ in range(7)), strict=True)]


def nothing():
    return None


def small():
    for _ in range(20):
        nothing()


def large():
    for _ in range(200):
        nothing()


def busy(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(20_000))


def test_the_same_python_is_counted_the_same():
    assert undisturbed(small, large) == pytest.approx(undisturbed(small, large), rel=0.05)


def test_more_calls_are_more_python():
    few, many = undisturbed(small, large)
    assert 5 * few < many < 15 * few


def test_what_takes_long_between_calls_is_taken_by_the_clock():
    (some,) = points(lambda: busy(0.02))
    assert 0.01 / 1e-6 < some < 0.2 / 1e-9
    (more,) = points(lambda: busy(0.08))
    assert more > 2 * some


def test_what_took_long_in_one_step_alone_does_not_count():
    steps = iter((0.0, 0.0, 0.05))
    (only,) = points(lambda: busy(next(steps)))
    (each,) = points(lambda: busy(0.05))
    assert only < each / 10


def test_the_host_does_nothing_of_what_is_done_aside():
    def counted():
        clock = PythonClock()

        def aside():
            with clock.aside():
                large()
                with clock.working("randn"):
                    busy(0.05)

        return points(aside, clock=clock)[0]

    assert min(counted() for _ in range(3)) < undisturbed(large)[0] / 2


def test_torch_on_the_cpu_is_the_hosts_work():
    clock = PythonClock()

    def works(seconds):
        with clock.working("randn"):
            busy(seconds)

    brief, long = points(lambda: works(0.0), lambda: works(0.02), clock=clock)
    assert 0.0 < brief < long / 10


def test_calls_of_other_threads_are_not_the_programs_python():
    clock = PythonClock()
    clock.begin()
    other = threading.Thread(target=call, args=(clock, 7))
    other.start()
    other.join()
    call(clock)
    assert set(clock.points()) == {0}
