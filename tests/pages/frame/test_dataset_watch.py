"""New files are noticed, and looking for them never is most of what the server does."""

from pathlib import Path

import pytest

from app_pages.frame import dataset_watch
from app_pages.frame.dataset_watch import DatasetWatch


class Clock:
    """Time that passes only when told, and while files are looked at."""

    def __init__(self, look_s=0.0):
        self.now, self.look_s, self.looks = 0.0, look_s, 0

    def __call__(self):
        return self.now


@pytest.fixture
def looking(monkeypatch):
    """A watch on which one look takes 20 ms."""
    clock = Clock(0.02)
    real = dataset_watch.files_stamp

    def look(path):
        clock.looks += 1
        clock.now += clock.look_s
        return real(path)

    monkeypatch.setattr(dataset_watch, "files_stamp", look)
    return clock, DatasetWatch(clock)


def test_a_new_file_makes_a_new_stamp(tmp_path):
    watch = DatasetWatch(Clock())
    before = watch.stamp([tmp_path])
    assert watch.stamp([tmp_path]) == before
    (tmp_path / "a.parquet").write_bytes(b"1")
    after = watch.stamp([tmp_path])
    assert after != before
    (tmp_path / "a.parquet").write_bytes(b"12")
    assert watch.stamp([tmp_path]) not in (before, after)


def test_files_that_are_no_runs_do_not_count(tmp_path):
    watch = DatasetWatch(Clock())
    before = watch.stamp([tmp_path])
    (tmp_path / "notes.txt").write_text("x")
    assert watch.stamp([tmp_path]) == before


def test_looking_takes_at_most_a_hundredth_of_the_time(tmp_path, looking):
    clock, watch = looking
    watch.stamp([tmp_path])
    (tmp_path / "a.parquet").write_bytes(b"1")
    for _ in range(100):
        clock.now += 0.1
        watch.stamp([tmp_path])
    assert clock.looks == 1 + 5  # in ten seconds


def test_another_dataset_is_looked_at_at_once(tmp_path, looking):
    clock, watch = looking
    watch.stamp([tmp_path])
    watch.stamp([tmp_path, Path("elsewhere")])
    assert clock.looks == 3


def test_after_a_slow_opening_it_waits_longer(tmp_path):
    clock = Clock()
    watch = DatasetWatch(clock)
    before = watch.stamp([tmp_path])
    watch.opened(2.0)
    (tmp_path / "a.parquet").write_bytes(b"1")
    clock.now = 19.0
    assert watch.stamp([tmp_path]) == before
    clock.now = 20.5
    assert watch.stamp([tmp_path]) != before


def test_a_quick_opening_delays_nothing(tmp_path):
    watch = DatasetWatch(Clock())
    before = watch.stamp([tmp_path])
    watch.opened(0.3)
    (tmp_path / "a.parquet").write_bytes(b"1")
    assert watch.stamp([tmp_path]) != before


def test_who_knows_of_a_change_is_not_kept_waiting(tmp_path):
    watch = DatasetWatch(Clock())
    before = watch.stamp([tmp_path])
    watch.opened(2.0)
    (tmp_path / "a.parquet").write_bytes(b"1")
    assert watch.stamp([tmp_path]) == before
    watch.look_again()
    assert watch.stamp([tmp_path]) != before
