"""What the suites measure of the elementwise family."""

from __future__ import annotations

from collections.abc import Iterator

from collector.workloads._base import GridPoint, points, sizes
from collector.workloads._types import BF16, F16, F32, F64

_CPU_SIZES: tuple[int, ...] = (*(1000, 10_000, 65_536, 250_001, 1_000_000, 3_000_000, 10_000_000),)
_CUDA_SIZES: tuple[int, ...] = (
    *(1000, 10_000, 100_000, 500_001, 1_000_000, 4_194_304, 10_000_000, 33_554_432),
)
_CPU_ROWS = ((1000, 100), (3000, 1001))
_CUDA_ROWS = ((1000, 1001), (8192, 4096))
_HOT = ("hot",)


def elementwise_grid(suite: str, backend: str, device: str) -> Iterator[GridPoint]:
    """Grid points of a suite on a backend and device that have forms of the family."""
    if backend == "jax":
        # JAX takes longer to start and to compile than its quick cells would
        yield from () if suite == "quick" else _jax_grid(device)
        return
    cpu = device == "cpu"
    modes: tuple[str, ...] = ("hot",) if cpu else ("hot", "resident", "end_to_end")
    if backend == "numba" and suite != "quick":
        modes = modes[:2]
    yield from points("polynomial_1e6_float32", [{"n": 1_000_000}], [F32], modes)
    if suite == "quick":
        both = _HOT if cpu else ("hot", "resident")
        yield from points("add", sizes("n", (1_000_001,)), [F32], both)
        yield from points("add", sizes("n", (10_000, 10_000_000)), [F32], _HOT)
        if backend == "torch":
            yield from points("tanh", sizes("n", (10_000, 10_000_000)), [F32], _HOT)
    elif cpu:
        yield from _cpu_grid(suite, backend)
    elif backend == "torch":
        yield from _torch_cuda_grid(suite == "full")
    else:
        some = sizes("n", (10_000, 500_001, 10_000_000))
        yield from points("add", some[::2], [F32], _HOT)
        yield from points("add", some[1:2], [F32], ("hot", "resident"))
        yield from points("polynomial", some[2:], [F32], _HOT)


def _cpu_grid(suite: str, backend: str) -> Iterator[GridPoint]:
    every = _CPU_SIZES
    few = every if suite == "full" else every[1::2]
    rows = [{"rows": r, "cols": c} for r, c in _CPU_ROWS]
    if backend == "numba":
        few = every if suite == "full" else (1000, 65_536, 250_001, 10_000_000)
        yield from points("add", sizes("n", few), [F32], _HOT)
        yield from points("add", sizes("n", few[1:3]), [F64], _HOT)
        yield from points("polynomial", sizes("n", few), [F32], _HOT)
        return
    yield from points("add", sizes("n", every), [F32], _HOT)
    yield from points("add", sizes("n", few), [F64], _HOT)
    yield from points("polynomial", sizes("n", every if backend == "numpy" else few), [F32], _HOT)
    yield from points("add", sizes("n", (1_000_000,)), [F32], ("cold",))
    yield from points("triad", sizes("n", every if backend == "numpy" else few), [F32], _HOT)
    yield from points("tanh", sizes("n", few), [F32], _HOT)
    yield from points("broadcast_add", rows, [F32], _HOT)


def _torch_cuda_grid(full: bool) -> Iterator[GridPoint]:
    every = sizes("n", _CUDA_SIZES)
    some = every if full else every[1::3]
    for index, n in enumerate(_CUDA_SIZES):
        modes = ["hot"]
        if index % 3 == 1 or full:
            modes += ["resident"] if index < 2 else ["cold", "resident"]
        if index in (1, 3, 5):
            modes.append("end_to_end")
        yield from points("add", sizes("n", (n,)), [F32], tuple(modes))
    yield from points("add", sizes("n", (100_000_000,)), [F32], _HOT)
    yield from points("add", some[1:], [F64, F16, BF16], _HOT)
    yield from points("triad", every, [F32], _HOT)
    for index, n in enumerate(_CUDA_SIZES):
        own = ("hot", "resident", "end_to_end") if index == 3 else _HOT
        yield from points("polynomial", sizes("n", (n,)), [F32], own)
    yield from points("tanh", some, [F32], _HOT)
    rows = [{"rows": r, "cols": c} for r, c in _CUDA_ROWS]
    yield from points("broadcast_add", rows, [F32], _HOT)


def _jax_grid(device: str) -> Iterator[GridPoint]:
    modes = ("hot",) if device == "cpu" else ("resident",)
    yield from points("add", sizes("n", (10_000, 10_000_000)), [F32], modes)
    yield from points("broadcast_add", [{"rows": 3000, "cols": 1001}], [F32], modes)
    both = modes if device == "cpu" else ("resident", "end_to_end")
    yield from points("polynomial_1e6_float32", [{"n": 1_000_000}], [F32], both)
