"""Which operations a recording has: their names, arrays, attributes, sides and work."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from collector.jobs import COPY_TO_CPU, COPY_TO_GPU, Tensor
from estimator.record.summary import summary
from tests.estimator.record.conftest import Recorder, calls, chosen


def test_functions_methods_and_operators_have_the_functions_name(recorded: Recorder) -> None:
    job = recorded(
        """
        import numpy as np
        a = np.ones((3, 4))
        a.sum(); np.sum(a); np.add.reduce(a, axis=1)
        a @ a.T; np.matmul(a, a.T); np.dot(a, a.T)
        a * 2; np.multiply(a, a); a *= 3
        a ** 3
        np.linalg.solve(np.eye(3), a)
        np.fft.rfft2(a)
        np.einsum("ij,kj->ik", a, a)
        np.add.at(a, 0, 1)
        """
    )
    expected = {"sum": 3, "matmul": 2, "dot": 1, "multiply": 3, "power": 1, "linalg.solve": 1,
                "fft.rfft2": 1, "einsum": 1, "add.at": 1, "ones": 1, "eye": 1}  # fmt: skip
    assert {kind: calls(job, kind) for kind in expected} == expected
    assert {one.attribute("axis") for one in chosen(job, "sum", 4)} == {None, 1}
    assert chosen(job, "power")[0].attribute("exponent") == 3
    assert chosen(job, "einsum")[0].attribute("subscripts") == "ij,kj->ik"
    (product,) = chosen(job, "dot")
    assert product.inputs[1] == Tensor((4, 3), "float64", (1, 4))
    assert product.outputs == (Tensor((3, 3), "float64"),)
    assert product.flop == 2 * 3 * 3 * 4
    assert any(one.attribute("in_place") for one in chosen(job, "multiply"))
    assert all(one.library == "numpy" and one.measured_s > 0 for one in chosen(job, "sum"))


def test_an_index_is_a_view_a_selection_or_one_element(recorded: Recorder) -> None:
    job = recorded(
        """
        import numpy as np
        a = np.arange(100.0).reshape(10, 10)
        v = a[::-2, 1]
        b = a[[1, 2]]
        c = a[a > 50]
        d = a[3, 4]
        a[1:3] = 0
        a[[1, 2]] = 1
        a[a > 5] = 2
        a[0, 0] = 3
        """
    )
    (view,) = chosen(job, "view", 4)
    assert view.launches == 0
    assert view.outputs == (Tensor((5,), "float64", (20,)),)
    assert chosen(job, "take", 5)[0].outputs == (Tensor((2, 10), "float64"),)
    assert chosen(job, "compress", 6)[0].attribute("kept") == 0.49
    assert calls(job, "item") == 1
    assert chosen(job, "copyto", 8)[0].outputs == (Tensor((2, 10), "float64"),)
    assert [calls(job, kind) for kind in ("put", "putmask", "setitem")] == [1, 1, 1]


def test_generators_are_told_apart(recorded: Recorder) -> None:
    job = recorded(
        """
        import numpy as np
        from numpy.random import default_rng
        default_rng(0).standard_normal(5)
        np.random.randn(5)
        np.random.RandomState(0).uniform(size=5)
        [np.random.rand() for _ in range(9)]
        """
    )
    assert chosen(job, "random.standard_normal")[0].attribute("legacy") is None
    assert chosen(job, "random.randn")[0].attribute("legacy") is True
    assert chosen(job, "random.uniform")[0].attribute("legacy") is True
    assert calls(job, "random.rand") == 0  # single numbers are Python's


def test_what_comes_from_outside_is_copied_once_and_what_leaves_each_time(
    recorded: Recorder,
) -> None:
    job = recorded(
        """
        import numpy as np
        a = np.array([1.0, 2.0, 3.0])
        for _ in range(4):
            b = a * 2
        print(b)
        float(b.sum())
        b.tolist()
        if (b > 1).all():
            pass
        """
    )
    (made,) = chosen(job, "array")
    assert made.device == "cpu"
    assert calls(job, COPY_TO_GPU) == 1
    assert chosen(job, COPY_TO_GPU)[0].bytes_read == 24
    left = [one.line for one in chosen(job, COPY_TO_CPU)]
    assert left == [f"program.py:{line}" for line in (6, 7, 8, 9)]


def test_what_cupy_lacks_is_done_by_the_host(recorded: Recorder) -> None:
    job = recorded(
        """
        import numpy as np
        a = np.ones((4, 4))
        b = np.insert(a, 0, 1.0, axis=0)
        c = np.insert(b, 0, 1.0, axis=0)
        d = c + 1
        e = a.astype(object)
        """
    )
    first = chosen(job, "insert", 4)[0]
    assert (first.device, first.reason) == ("cpu", "CuPy has no insert")
    assert [one.line for one in chosen(job, COPY_TO_CPU)] == ["program.py:4"]
    assert [one.line for one in chosen(job, COPY_TO_GPU)] == ["program.py:6"]
    assert chosen(job, "astype")[0].device == "cpu"
    assert "CuPy has no insert" in summary(job)


def test_callbacks_are_recorded_and_the_library_around_them_is_not(recorded: Recorder) -> None:
    pytest.importorskip("scipy")
    job = recorded(
        """
        import numpy as np
        from scipy.optimize import minimize
        from scipy.linalg import expm
        expm(np.eye(3))
        minimize(lambda x: np.sum(x ** 2), np.ones(3), method="Nelder-Mead")
        """
    )
    assert calls(job, "square") == calls(job, "sum") > 10
    assert not chosen(job, "scipy.optimize.minimize")
    assert calls(job, "scipy.linalg.expm") == 1


def test_memory_is_the_most_that_is_held_at_once(recorded: Recorder) -> None:
    job = recorded(
        """
        import numpy as np
        a = np.zeros(1_000_000)
        b = a + 1
        v = b[::2]
        del b
        c = a + 2
        """
    )
    assert job.memory.arrays_bytes == 3 * 8_000_000


def test_a_loop_is_folded_and_nothing_is_lost(recorded: Recorder) -> None:
    job = recorded(
        """
        import numpy as np
        a = np.zeros(10)
        for i in range(5000):
            a = a + 1
            for j in range(3):
                a *= 0.5
        """
    )
    assert calls(job, "add") == 5000
    assert calls(job, "multiply") == 15000
    assert sum(len(one.sequence) for one in job.phases) < 200
    assert job.scope == "run"


def test_seconds_add_up(recorded: Recorder) -> None:
    job = recorded(
        """
        import time
        import numpy as np
        time.sleep(0.3)
        a = np.random.default_rng(0).random((400, 400))
        for _ in range(20):
            b = a @ a
        time.sleep(0.2)
        """
    )
    recording = job.recording
    assert recording is not None
    assert math.isclose(recording.array_s + recording.python_s, recording.wall_s, rel_tol=1e-3)
    assert 0.5 <= recording.python_s < 0.8
    assert chosen(job, "synchronize")[0].python_points > 0


def test_a_window_leaves_a_partial_job(recorded: Recorder) -> None:
    job = recorded(
        """
        import numpy as np
        a = np.zeros(100_000)
        while True:
            a = a + 1
        """,
        seconds=0.5,
    )
    assert job.recording is not None
    assert not job.recording.complete
    assert 0.3 < job.recording.wall_s < 1.0


def test_a_function_gets_what_init_makes(recorded: Recorder, tmp_path: Path) -> None:
    job = recorded(
        """
        import numpy as np
        def init(N):
            return np.ones((N, N)), np.ones(N)
        def kernel(a, x, steps, scale=1.0):
            for _ in range(steps):
                x = a @ x * scale
            return x
        """,
        function="kernel",
        init=f"{tmp_path}/program.py:init",
        parameters={"N": 30, "steps": 7, "scale": 0.5},
    )
    assert calls(job, "matmul") == 7
    assert calls(job, "ones") == 0
