"""What the families say of a job's memory against what the libraries take.

    python -m benchmarks.job_memory [--device cpu|cuda] [--backend NAME]

For each operation: the largest memory that one call held (operands included), over the stated
central figure and over the upper one without the runtime. On a GPU the peak is that of the
library's own allocator (torch.cuda.max_memory_allocated; CuPy's pool, sampled at each of its
allocations) and what a library takes beside it (driver's count). On a CPU NumPy's peak is
tracemalloc's and torch's the largest resident set, which the kernel keeps (VmHWM).
"""

from __future__ import annotations

import argparse
import gc
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from collector.backends import missing_reason, open_backend
from collector.workloads import RUNTIME_BYTES, get_workload

_MIB = 2.0**20

#: family, case, parameters, element types; large, so that blocks and contexts do not count
OPERATIONS: tuple[tuple[str, str, dict[str, int], tuple[str, ...]], ...] = (
    ("matmul", "square", {"n": 6000}, ("float32", "bfloat16", "float64")),
    ("matmul", "batched", {"batch": 64, "m": 1000, "n": 64, "k": 1000}, ("float32", "bfloat16")),
    ("elementwise", "add", {"n": 50_000_000}, ("float32",)),
    ("elementwise", "polynomial", {"n": 50_000_000}, ("float32",)),
    ("reduction", "sum", {"n": 50_000_000}, ("float32",)),
    ("reduction", "softmax", {"rows": 10_000, "cols": 5000}, ("float32",)),
    ("reduction", "layer_norm", {"rows": 10_000, "cols": 5000}, ("float32",)),
    ("sort", "sort", {"n": 20_000_000}, ("float32", "int64")),
    ("sort", "argsort", {"n": 20_000_000}, ("float32",)),
    ("sort", "sort_rows", {"rows": 10_000, "cols": 3000}, ("float32",)),
    ("sort", "sort_rows", {"rows": 50, "cols": 500_000}, ("float32",)),
    ("sort", "sort_rows", {"rows": 2000, "cols": 10_000}, ("float32",)),
    ("gather", "rows", {"rows": 500_000, "width": 64, "count": 500_000}, ("float32",)),
    ("scatter_add", "rows", {"rows": 500_000, "width": 64, "count": 500_000}, ("float32",)),
    ("scatter_add", "histogram", {"count": 20_000_000, "bins": 1_000_000}, ("float32",)),
    ("spmm", "csr_dense", {"rows": 300_000, "nonzeros_per_row": 16, "width": 100}, ("float32",)),
    ("random", "normal", {"n": 50_000_000}, ("float32",)),
    ("fft", "fft2", {"n": 4096}, ("complex64",)),
    ("fft", "fft2", {"n": 3000}, ("complex64",)),
    ("fft", "batched_1d", {"batch": 10_000, "n": 1024}, ("complex64",)),
    ("fft", "batched_1d", {"batch": 16, "n": 1_048_576}, ("complex64",)),
    ("fft", "batched_1d", {"batch": 1000, "n": 10_007}, ("complex64",)),
    ("image_pipeline", "resize_blur_normalise", {"batch": 64, "image": 512}, ("float32",)),
    ("python_loop", "monte_carlo_pi", {"n": 20_000_000}, ("float64",)),
    ("dense_layer", "forward", {"batch": 20_000, "inputs": 1000, "outputs": 3000}, ("float32",)),
    (
        *("dense_layer", "forward_backward"),
        *({"batch": 20_000, "inputs": 1000, "outputs": 3000}, ("float32",)),
    ),
    *(
        (
            *("conv2d", case),
            {"batch": 64, "channels_in": 64, "channels_out": 128, "image": 112}
            | {"kernel": kernel, "stride": 1},
            ("float32", "bfloat16"),
        )
        for case in ("forward", "backward")
        for kernel in (3, 1)
    ),
    (
        *("conv2d", "depthwise"),
        *({"batch": 64, "channels": 96, "image": 112, "kernel": 7, "stride": 1}, ("float32",)),
    ),
    *(
        (
            *("attention", case),
            {"batch": 4, "heads": 16, "sequence": 2048, "head_dim": width},
            ("float32", "bfloat16"),
        )
        for case in ("full", "causal")
        for width in (64, 40, 37)
    ),
    ("inference_step", "mlp", {"batch": 20_000, "width": 2048}, ("float32",)),
    ("inference_step", "resnet", {"batch": 1024}, ("float32", "bfloat16")),
    ("inference_step", "transformer", {"batch": 64, "sequence": 512}, ("float32", "bfloat16")),
    ("training_step", "mlp_adam", {"batch": 10_000, "width": 4096}, ("float32", "bfloat16")),
    ("training_step", "mlp_adam", {"batch": 1000, "width": 8192}, ("float32",)),
    ("training_step", "resnet_sgd", {"batch": 1024}, ("float32", "bfloat16")),
    ("training_step", "transformer_adamw", {"batch": 64, "sequence": 512}, ("float32", "bfloat16")),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--backend", action="append", default=[])
    arguments = parser.parse_args()
    chosen = arguments.backend or (["numpy"] if arguments.device == "cpu" else ["torch", "cupy"])
    print(f"{'operation':<78} {'peak MiB':>9} {'/ own':>6} {'/ upper':>7}")
    for name in chosen:
        if missing_reason(name):
            print(f"{name}: {missing_reason(name)}")
            continue
        for line in _lines(name, arguments.device):
            print(line, flush=True)


def _lines(name: str, device: str) -> Iterator[str]:
    backend = open_backend(name, device)
    yield f"{name}: the process before any operation: {_taken(backend) / _MIB:.0f} MiB"
    for workload, case, params, dtypes in OPERATIONS:
        family = get_workload(workload)
        types = {dtype for dtype, _ in family.dtypes(name, device)}
        if not family.supports(name, device, case):
            continue
        for dtype in (dtype for dtype in dtypes if dtype in types):
            title = f"{name} {workload} {case} {dtype} " + " ".join(
                f"{key}={value}" for key, value in params.items()
            )
            complete = family.complete(case, params)
            stated = family.job_memory(case, complete, dtype, name, device)
            upper = stated.upper_bytes - RUNTIME_BYTES[device]
            try:
                peak = _peak(backend, family, case, complete, dtype)
            except (RuntimeError, NotImplementedError) as error:  # the next one may go on
                yield f"{title:<78} {type(error).__name__}: {str(error)[:60]}"
                continue
            ratios = f"{peak / stated.bytes:>6.2f} {peak / upper:>7.2f}"
            yield f"{title:<78} {peak / _MIB:>9.0f} {ratios}"
    yield f"{name}: the process after all: {_taken(backend) / _MIB:.0f} MiB"


def _peak(backend: Any, family: Any, case: str, params: dict[str, int], dtype: str) -> float:
    """Bytes that the third call held at most, operands included."""
    backend.release()
    gc.collect()
    base = _held(backend)
    inputs = family.host_operands(backend, family.inputs(case, params, dtype, 0), dtype)
    operands = sum(_bytes(array) for array in inputs)
    if backend.device == "cuda":
        inputs = tuple(backend.upload(array) for array in inputs)
    function = family.build(backend, case, params, dtype)
    for _ in range(2):
        output = function(*inputs)
        backend.wait(output)
        del output
    gc.collect()
    before = _start(backend)
    output = function(*inputs)
    backend.wait(output)
    peak = _stop(backend)
    if backend.device == "cuda":
        return peak - base
    return peak - before + operands


def _bytes(array: Any) -> float:
    if hasattr(array, "nbytes"):
        return float(array.nbytes)
    return 32.0 * len(array)


def _held(backend: Any) -> float:
    if backend.device == "cpu":
        return 0.0
    if backend.name == "torch":
        return float(backend.module.cuda.memory_allocated())
    return float(backend.module.get_default_memory_pool().used_bytes())


def _start(backend: Any) -> float:
    """Begin to watch; on a CPU the bytes that are taken now."""
    if backend.device == "cuda":
        if backend.name == "torch":
            backend.module.cuda.reset_peak_memory_stats()
        else:
            _CupyPeak.watch(backend.module)
        return 0.0
    if backend.name in ("numpy", "python"):
        tracemalloc.start()
        return 0.0
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _stop(backend: Any) -> float:
    if backend.device == "cuda":
        if backend.name == "torch":
            return float(backend.module.cuda.max_memory_allocated())
        return _CupyPeak.stop(backend.module)
    if backend.name in ("numpy", "python"):
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return float(peak)
    return _status("VmHWM")


class _CupyPeak:
    """The largest use of CuPy's pool, asked for after each allocation."""

    most = 0.0

    @classmethod
    def watch(cls, cupy: Any) -> None:
        pool = cupy.get_default_memory_pool()
        cls.most = 0.0

        def allocate(size: int) -> Any:
            block = pool.malloc(size)
            cls.most = max(cls.most, float(pool.used_bytes()))
            return block

        cupy.cuda.set_allocator(allocate)

    @classmethod
    def stop(cls, cupy: Any) -> float:
        pool = cupy.get_default_memory_pool()
        cupy.cuda.set_allocator(pool.malloc)
        return max(cls.most, float(pool.used_bytes()))


def _taken(backend: Any) -> float:
    """Bytes of the device that this process has: context and libraries, if nothing else runs."""
    if backend.device == "cpu":
        return _status("VmRSS")
    backend.release()
    if backend.name == "torch":
        torch = backend.module
        torch.zeros(1, device="cuda")
        free, total = torch.cuda.mem_get_info()
    else:
        free, total = backend.module.cuda.runtime.memGetInfo()
    return float(total - free)


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024.0 * float(line.split()[1])
    return 0.0


if __name__ == "__main__":
    main()
