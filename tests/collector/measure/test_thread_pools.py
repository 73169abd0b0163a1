"""Do libraries keep to their thread count?"""

import pytest

from collector.measure import thread_pools
from collector.measure.thread_pools import ThreadPools


@pytest.mark.parametrize(("counts", "confirmed"), [([1, 2], True), ([1, 3], False), ([], None)])
def test_no_pool_may_exceed_what_was_asked_for(counts, confirmed, monkeypatch):
    monkeypatch.setattr(thread_pools, "thread_counts", lambda backend: counts)
    assert ThreadPools("numpy", 2).confirmed("matmul") is confirmed


def test_a_family_is_looked_at_once(monkeypatch):
    asked = []
    monkeypatch.setattr(thread_pools, "thread_counts", lambda backend: asked.append(1) or [1])
    pools = ThreadPools("numpy", 1)
    for workload in ("matmul", "matmul", "fft"):
        pools.confirmed(workload)
    assert len(asked) == 2
