"""Do our GPU medians agree with Triton's, PyTorch's and CuPy's own harnesses?

    python benchmarks/agreement_gpu.py [--rounds 3] [--json FILE] [--only WORD]

| ours     | against                              | what both time                              |
|----------|--------------------------------------|---------------------------------------------|
| cold     | triton.testing.do_bench              | events around a call after 256 MB were      |
|          |                                      | overwritten                                 |
| hot      | torch.utils.benchmark.Timer, blocks  | events around many calls (ours), host wall  |
|          |                                      | time of many calls (its)                    |
| hot      | triton.testing.do_bench_cudagraph    | events around many calls; its come from a   |
|          |                                      | graph, with shorter gaps between kernels    |
| hot      | cupyx.profiler.benchmark             | events around many calls (ours), one (its)  |
| resident | torch.utils.benchmark.Timer          | host wall time of a call that is waited for |

cupyx.profiler.benchmark starts its clock before the host has issued the call: its interval has
up to the host's time for the call, which it reports too, in front of the work. A row that agrees
once that is taken off says so.

Each library has one of our workers and one process with the other harness; they take turns. Same
functions, same operands (same seed). Needs a GPU and torch with triton, or cupy; about three
minutes. Target: within 1 %.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.agreement import (
    Comparison,
    Measured,
    Ours,
    Subject,
    Theirs,
    as_json,
    conclusion,
    make_operation,
    one_round,
    table,
)
from benchmarks.gpu_harness import HarnessProcess
from benchmarks.our_worker import OurWorker
from collector.backends import missing_reason
from collector.errors import SelectionError
from collector.machine.fingerprint import read_machine
from collector.measure.sampling import stop_rule
from collector.workloads import get_workload

TOLERANCE = 0.01
SEED = 0

_COLD = ("cold", "triton do_bench")
_GRAPH = ("hot", "triton cudagraph")
_BLOCKS = ("hot", "torch Timer blocks")
_WALL = ("resident", "torch Timer")
_CUPYX = ("hot", "cupyx benchmark")

_RESNET_LAYER = {
    "batch": 32,
    "channels_in": 64,
    "channels_out": 64,
    "image": 56,
    "kernel": 3,
    "stride": 1,
}

Row = tuple[tuple[str, str], str, str, dict[str, int], str]

#: mode with harness, family, case, parameters, element type (tf32: float32 on tensor cores)
TORCH_OPERATIONS: tuple[Row, ...] = (
    (_COLD, "matmul", "square", {"n": 2048}, "float32"),
    (_COLD, "matmul", "square", {"n": 4096}, "tf32"),
    (_COLD, "matmul", "square", {"n": 4096}, "bfloat16"),
    (_COLD, "matmul", "square", {"n": 3001}, "float16"),
    (_COLD, "matmul", "square", {"n": 2048}, "float64"),
    (_COLD, "elementwise", "add", {"n": 10_000_000}, "float32"),
    (_COLD, "elementwise", "add", {"n": 33_554_432}, "bfloat16"),
    (_COLD, "elementwise", "tanh", {"n": 33_554_432}, "float32"),
    (_COLD, "elementwise", "polynomial", {"n": 10_000_000}, "float32"),
    (_COLD, "reduction", "sum", {"n": 33_554_432}, "float32"),
    (_COLD, "reduction", "row_sum", {"rows": 10_000, "cols": 3001}, "float32"),
    (_COLD, "fft", "fft2", {"n": 1000}, "complex64"),
    (_COLD, "fft", "fft2", {"n": 2048}, "complex64"),
    (_COLD, "fft", "batched_1d", {"batch": 1024, "n": 4096}, "complex64"),
    (_COLD, "reduction", "softmax", {"rows": 4096, "cols": 4096}, "float32"),
    (_COLD, "conv2d", "forward", _RESNET_LAYER, "bfloat16"),
    (_COLD, "conv2d", "forward", _RESNET_LAYER, "float32"),
    (_COLD, "sort", "sort", {"n": 10_000_001}, "float32"),
    (_COLD, "transfer", "d2d", {"bytes": 100_000_000}, "float32"),
    (_COLD, "matmul", "square", {"n": 4096}, "float32"),
    (_COLD, "matmul", "square", {"n": 4096}, "float64"),
    (_COLD, "elementwise", "add", {"n": 100_000_000}, "float32"),
    (_COLD, "elementwise", "polynomial", {"n": 33_554_432}, "float32"),
    (_COLD, "fft", "fft2", {"n": 4096}, "complex64"),
    (_COLD, "sort", "sort", {"n": 30_000_000}, "float32"),
    (_COLD, "transfer", "d2d", {"bytes": 536_870_912}, "float32"),
    (_BLOCKS, "matmul", "square", {"n": 2048}, "float32"),
    (_BLOCKS, "matmul", "square", {"n": 3001}, "float16"),
    (_BLOCKS, "matmul", "square", {"n": 4096}, "float64"),
    (_BLOCKS, "matmul", "square", {"n": 4096}, "bfloat16"),
    (_BLOCKS, "matmul", "batched", {"batch": 64, "n": 250}, "float32"),
    (_BLOCKS, "elementwise", "add", {"n": 33_554_432}, "float32"),
    (_BLOCKS, "elementwise", "tanh", {"n": 33_554_432}, "float32"),
    (_BLOCKS, "elementwise", "polynomial", {"n": 10_000_000}, "float32"),
    (_BLOCKS, "reduction", "sum", {"n": 33_554_432}, "float32"),
    (_BLOCKS, "reduction", "row_sum", {"rows": 10_000, "cols": 3001}, "float32"),
    (_BLOCKS, "reduction", "softmax", {"rows": 4096, "cols": 4096}, "float32"),
    (_BLOCKS, "fft", "fft2", {"n": 2048}, "complex64"),
    (_BLOCKS, "conv2d", "forward", _RESNET_LAYER, "bfloat16"),
    (_BLOCKS, "conv2d", "forward", _RESNET_LAYER, "float32"),
    (_BLOCKS, "sort", "sort", {"n": 10_000_001}, "float32"),
    (_BLOCKS, "transfer", "d2d", {"bytes": 268_435_456}, "float32"),
    (_GRAPH, "matmul", "square", {"n": 4096}, "float32"),
    (_GRAPH, "matmul", "square", {"n": 4096}, "bfloat16"),
    (_GRAPH, "matmul", "batched", {"batch": 64, "n": 250}, "float32"),
    (_GRAPH, "elementwise", "add", {"n": 33_554_432}, "float32"),
    (_GRAPH, "elementwise", "tanh", {"n": 10_000_000}, "float32"),
    (_GRAPH, "reduction", "row_sum", {"rows": 10_000, "cols": 3001}, "float32"),
    (_GRAPH, "conv2d", "forward", _RESNET_LAYER, "bfloat16"),
    (_GRAPH, "fft", "fft2", {"n": 2048}, "complex64"),
    (_GRAPH, "transfer", "d2d", {"bytes": 268_435_456}, "float32"),
    (_WALL, "matmul", "square", {"n": 4096}, "float32"),
    (_WALL, "elementwise", "add", {"n": 100_000_000}, "float32"),
    (_WALL, "transfer", "h2d_pinned", {"bytes": 100_000_000}, "float32"),
    (_WALL, "transfer", "d2h_pinned", {"bytes": 100_000_000}, "float32"),
)

CUPY_OPERATIONS: tuple[Row, ...] = (
    (_CUPYX, "matmul", "square", {"n": 4096}, "float32"),
    (_CUPYX, "matmul", "square", {"n": 4096}, "float64"),
    (_CUPYX, "elementwise", "add", {"n": 33_554_432}, "float32"),
    (_CUPYX, "elementwise", "add", {"n": 100_000_000}, "float32"),
    (_CUPYX, "elementwise", "polynomial", {"n": 33_554_432}, "float32"),
    (_CUPYX, "reduction", "sum", {"n": 33_554_432}, "float32"),
    (_CUPYX, "sort", "sort", {"n": 30_000_000}, "float32"),
    (_CUPYX, "fft", "fft2", {"n": 4096}, "complex64"),
    (_CUPYX, "transfer", "d2d", {"bytes": 268_435_456}, "float32"),
)

OPERATIONS = {"torch": TORCH_OPERATIONS, "cupy": CUPY_OPERATIONS}


def main() -> None:
    parser = argparse.ArgumentParser(description="our GPU medians against other harnesses'")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of both (default 3)")
    parser.add_argument("--suite", default="standard", help="whose stop rule our worker follows")
    parser.add_argument("--only", default="", help="only operations whose line has this word")
    parser.add_argument("--json", type=Path, help="also write the comparisons to this file")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    machine = read_machine()
    if machine.gpu is None:
        parser.error("no GPU here that NVML tells of")
    facts = {
        "machine": machine.as_dict(),
        "triton": version("triton"),
        "rounds": arguments.rounds,
    }
    comparisons: list[Comparison] = []
    for backend in OPERATIONS:
        known, missing = subjects(backend, arguments.only)
        measured = Measured(known, missing)
        with OurWorker(backend, "cuda", 1) as worker, HarnessProcess(backend) as harness:
            rule = stop_rule(arguments.suite, "cuda")
            ours = functools.partial(worker.median_s, rule=rule, seed=SEED)
            theirs = functools.partial(harness.median_s, seed=SEED)
            for index in range(arguments.rounds):
                take_round(index, known, measured, ours, theirs)
                if arguments.json:  # after each round: a stopped run leaves what it has
                    so_far = comparisons + measured.comparisons(TOLERANCE)
                    text = as_json(so_far, TOLERANCE, **facts)
                    arguments.json.write_text(text, encoding="utf-8")
        comparisons += measured.comparisons(TOLERANCE)
    print(table(comparisons))
    print(conclusion(comparisons, TOLERANCE))


def take_round(
    index: int, subjects: list[Subject], measured: Measured, ours: Ours, theirs: Theirs
) -> None:
    """One round of every subject that has not failed; a line for each on standard error."""
    for subject in subjects:
        if measured.pending(subject):
            line = measured.add(subject, one_round(index, subject, ours, theirs))
            print(f"round {index + 1} {line}", file=sys.stderr, flush=True)


def subjects(backend: str, word: str = "") -> tuple[list[Subject], list[Comparison]]:
    """The operations whose line has the word; those that cannot be built here as failed lines."""
    known, missing = [], []
    absent = missing_reason(backend)
    for (mode, harness), workload, case, params, dtype in OPERATIONS[backend]:
        numbers, math_mode = ("float32", "tf32") if dtype == "tf32" else (dtype, "ieee")
        try:
            if absent is not None:
                raise SelectionError(absent)
            operation = make_operation(backend, "cuda", workload, case, params, numbers, math_mode)
            if not get_workload(workload).supports(backend, "cuda", case):
                raise SelectionError(f"{workload} {case} has no form for {backend}")
        except SelectionError as error:
            text = f"{backend} {workload} {case} {dtype} {mode}"
            if word in text:
                missing.append(Comparison(text, harness, error=str(error)))
            continue
        subject = Subject(operation, mode, harness)
        if word in subject.label:
            known.append(subject)
    return known, missing


def version(package: str) -> str | None:
    """Installed version, None where the package is not."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
