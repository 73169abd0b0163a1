"""What the host spends to ask a GPU for a call of CuPy, by function: the table of array_host.py.

    python -m benchmarks.array_calls -o calls.json

Calls on small arrays in a row, so few that the queue to the GPU never fills and nobody waits; the
median of several rounds. Functions that wait by themselves (those that read a size or check a
result) are waited for, and their time has the waiting in it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_SIDE, _CALLS, _ROUNDS = 32, 50, 9


def calls(cp: Any, special: Any, linalg: Any) -> Mapping[str, Callable[[], Any]]:
    """Name of a function of NumPy -> a call of CuPy's on small arrays."""
    generator = cp.random.default_rng(0)
    v, w = generator.random(_SIDE), generator.random(_SIDE)
    a = generator.random((_SIDE, _SIDE))
    spd = a @ a.T + _SIDE * cp.eye(_SIDE)
    z = v + 1j * w
    mask, index = v > 0.5, cp.arange(_SIDE // 2)
    lower = cp.linalg.cholesky(spd)

    def assign(target: Any, where: Any, value: Any) -> Callable[[], Any]:
        return lambda: target.__setitem__(where, value)

    named: dict[str, Callable[[], Any]] = {
        "view": lambda: a[1:-1, 1:-1],
        "multiply": lambda: v * w,
        "multiply by a number": lambda: v * 2.0,
        "exp": lambda: cp.exp(v),
        "greater": lambda: v > w,
        "power": lambda: v**3,
        "square": lambda: cp.square(v),
        "absolute": lambda: cp.abs(z),
        "where": lambda: cp.where(mask, v, w),
        "clip": lambda: cp.clip(v, 0.2, 0.8),
        "copyto": assign(a, slice(1, 3), 0.0),
        "copyto of an array": assign(a, (slice(0, 8), slice(0, 8)), a[8:16, 8:16]),
        "setitem": assign(v, 3, 1.0),
        "copy": lambda: v.copy(),
        "astype": lambda: v.astype("float32"),
        "zeros": lambda: cp.zeros(_SIDE),
        "arange": lambda: cp.arange(_SIDE),
        "linspace": lambda: cp.linspace(0.0, 1.0, _SIDE),
        "meshgrid": lambda: cp.meshgrid(v, w),
        "concatenate": lambda: cp.concatenate([v, w]),
        "stack": lambda: cp.stack([v, w]),
        "vstack": lambda: cp.vstack([v, w]),
        "roll": lambda: cp.roll(a, 1, axis=0),
        "pad": lambda: cp.pad(a, 1),
        "repeat": lambda: cp.repeat(v, 2),
        "tile": lambda: cp.tile(v, 2),
        "diff": lambda: cp.diff(v),
        "gradient": lambda: cp.gradient(v),
        "cross": lambda: cp.cross(a[:, :3], a[:, 3:6]),
        "sum": lambda: a.sum(),
        "sum over an axis": lambda: a.sum(axis=0),
        "mean": lambda: a.mean(),
        "var": lambda: a.var(),
        "max": lambda: a.max(),
        "argmax": lambda: a.argmax(),
        "any": lambda: mask.any(),
        "cumsum": lambda: cp.cumsum(v),
        "sort": lambda: cp.sort(v),
        "argsort": lambda: cp.argsort(v),
        "median": lambda: cp.median(v),
        "nonzero": lambda: cp.nonzero(mask),
        "compress": lambda: v[mask],
        "putmask": assign(v, mask, 0.0),
        "take": lambda: v[index],
        "put": assign(v, index, 0.0),
        "add.at": lambda: cp.add.at(v, index, 1.0),
        "bincount": lambda: cp.bincount(index),
        "histogram": lambda: cp.histogram(v, 10),
        "unique": lambda: cp.unique(index),
        "searchsorted": lambda: cp.searchsorted(w, v),
        "dot": lambda: cp.dot(v, w),
        "matmul": lambda: a @ a,
        "matmul by a vector": lambda: a @ v,
        "outer": lambda: cp.outer(v, w),
        "tensordot": lambda: cp.tensordot(a, a, 1),
        "einsum": lambda: cp.einsum("ij,ij->i", a, a),
        "linalg.norm": lambda: cp.linalg.norm(v),
        "linalg.solve": lambda: cp.linalg.solve(spd, v),
        "linalg.inv": lambda: cp.linalg.inv(spd),
        "linalg.det": lambda: cp.linalg.det(spd),
        "linalg.cholesky": lambda: cp.linalg.cholesky(spd),
        "linalg.solve_triangular": lambda: linalg.solve_triangular(lower, v, lower=True),
        "linalg.eigh": lambda: cp.linalg.eigh(spd),
        "linalg.svd": lambda: cp.linalg.svd(a),
        "linalg.qr": lambda: cp.linalg.qr(a),
        "fft.fft": lambda: cp.fft.fft(z),
        "fft.rfft": lambda: cp.fft.rfft(v),
        "fft.fft2": lambda: cp.fft.fft2(a),
        "fft.fftshift": lambda: cp.fft.fftshift(a),
        "random.random": lambda: generator.random(_SIDE),
        "random.standard_normal": lambda: generator.standard_normal(_SIDE),
        "random.integers": lambda: generator.integers(0, 9, _SIDE),
        "random.rand": lambda: cp.random.rand(_SIDE),
        "random.randn": lambda: cp.random.randn(_SIDE),
        "random.randint": lambda: cp.random.randint(0, 9, _SIDE),
        "random.permutation": lambda: cp.random.permutation(_SIDE),
        "random.choice": lambda: cp.random.choice(_SIDE, 8),
        "scipy.special.erf": lambda: special.erf(v),
        "interp": lambda: cp.interp(v, cp.arange(_SIDE) / _SIDE, w),
        "nan_to_num": lambda: cp.nan_to_num(v),
        "isnan": lambda: cp.isnan(v),
        "array": lambda: cp.array([1.0, 2.0]),
        "copy_to_cpu": lambda: float(v[0]),
    }
    return named


def measured(cp: Any, call: Callable[[], Any]) -> float:
    """Seconds of the host for a call: of many in a row, waited for before and after them only."""
    call()
    rounds = []
    for _ in range(_ROUNDS):
        cp.cuda.Device().synchronize()
        start = time.perf_counter()
        for _ in range(_CALLS):
            call()
        rounds.append((time.perf_counter() - start) / _CALLS)
        cp.cuda.Device().synchronize()
    return statistics.median(rounds)


def main() -> None:
    """Measure all and write them; what this CuPy lacks is left out and named."""
    import cupy as cp
    import cupyx.scipy.linalg as linalg
    import cupyx.scipy.special as special

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True)
    output = parser.parse_args().output
    found: dict[str, float] = {}
    for name, call in calls(cp, special, linalg).items():
        try:
            found[name] = measured(cp, call)
        except Exception as error:  # noqa: BLE001 - whatever this version of CuPy lacks
            print(f"{name}: {type(error).__name__}: {error}")
            continue
        print(f"{name:28s} {1e6 * found[name]:8.1f} us")
    output.write_text(json.dumps({"cupy": cp.__version__, "seconds": found}, indent=1))


if __name__ == "__main__":
    main()
