"""Do our CPU medians agree with pyperf's on the same operation?

    python benchmarks/agreement_cpu.py [--rounds 3] [--json FILE] [--only WORD]

Each round starts one of our workers per library and thread count, exactly as a run does, and
asks it and pyperf in turn for each operation. Both get the same function, operands (same seed),
thread variables, CPU affinity and libraries. What differs by design: pyperf averages several
fresh processes of its own, a value of it is the mean over about 100 ms of calls where one of our
samples is a block of 5 ms, and it leaves the garbage collector on, which our worker turns off.

Meant for a machine that does nothing else; about eight minutes on two cores. Target: within 2 %.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pyperf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.agreement import (
    Comparison,
    Measured,
    Subject,
    as_json,
    conclusion,
    make_operation,
    one_round,
    table,
)
from benchmarks.our_worker import OurWorker
from benchmarks.pyperf_operation import OPERATION_VARIABLE, SEED_VARIABLE
from collector.errors import SelectionError
from collector.machine.fingerprint import read_machine
from collector.measure.sampling import stop_rule
from collector.runs.worker_process import worker_environment
from collector.workloads import get_workload

TOLERANCE = 0.02
SEED = 0
_PYPERF_LIMIT_S = 300.0
_SCRIPT = Path(__file__).resolve().parent / "pyperf_operation.py"

#: library, threads, family, case, parameters, element type; from about 1 us to 0.1 s
OPERATIONS: tuple[tuple[str, str, str, str, dict[str, int], str], ...] = (
    ("numpy", "one", "launch", "chain", {"length": 1}, "float32"),
    ("numpy", "one", "launch", "chain", {"length": 20}, "float32"),
    ("numpy", "one", "elementwise", "add", {"n": 10_000}, "float32"),
    ("numpy", "one", "elementwise", "tanh", {"n": 250_001}, "float32"),
    ("numpy", "one", "reduction", "sum", {"n": 65_536}, "float64"),
    ("numpy", "one", "matmul", "square", {"n": 64}, "float64"),
    ("numpy", "one", "matmul", "square", {"n": 512}, "float64"),
    ("numpy", "all", "matmul", "square", {"n": 1501}, "float64"),
    ("numpy", "one", "fft", "fft2", {"n": 500}, "complex64"),
    ("numpy", "one", "sort", "sort", {"n": 100_000}, "float32"),
    ("python", "one", "python_loop", "monte_carlo_pi", {"n": 1000}, "float64"),
    ("python", "one", "python_loop", "monte_carlo_pi", {"n": 300_000}, "float64"),
    ("torch", "one", "launch", "chain", {"length": 1}, "float32"),
    ("torch", "one", "elementwise", "add", {"n": 65_536}, "float32"),
    ("torch", "one", "training_step", "simple_net_adam", {"batch": 100}, "float32"),
    ("torch", "all", "matmul", "square", {"n": 512}, "float32"),
    ("torch", "all", "elementwise", "tanh", {"n": 1_000_000}, "float32"),
    ("torch", "all", "fft", "fft2", {"n": 256}, "complex64"),
    ("numba", "one", "elementwise", "polynomial", {"n": 250_001}, "float32"),
    ("numba", "all", "python_loop", "monte_carlo_pi", {"n": 1_000_000}, "float64"),
    ("jax", "all", "matmul", "square", {"n": 512}, "float32"),
    ("jax", "all", "elementwise", "tanh", {"n": 1_000_000}, "float32"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="our CPU medians against pyperf's")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of both (default 3)")
    parser.add_argument("--processes", type=int, default=3, help="pyperf processes a round")
    parser.add_argument("--values", type=int, default=3, help="pyperf values a process")
    parser.add_argument(
        "--min-time", type=float, default=0.1, help="seconds of one pyperf value (default 0.1)"
    )
    parser.add_argument("--suite", default="standard", help="whose stop rule our worker follows")
    parser.add_argument("--only", default="", help="only operations whose line has this word")
    parser.add_argument("--json", type=Path, help="also write the comparisons to this file")
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.processes, arguments.values) < 1:
        parser.error("--rounds, --processes and --values must be at least 1")
    machine = read_machine()
    known, missing = subjects(machine.cpu.physical_cores, arguments.only)
    measured = Measured(known, missing)
    pyperf_median = Pyperf(arguments.processes, arguments.values, arguments.min_time)
    for index in range(arguments.rounds):
        for worker, subject in with_workers(known):
            if measured.pending(subject):
                ours = functools.partial(
                    worker.median_s, rule=stop_rule(arguments.suite, "cpu"), seed=SEED
                )
                outcome = one_round(index, subject, ours, pyperf_median)
                line = measured.add(subject, outcome)
                print(f"round {index + 1} {line}", file=sys.stderr, flush=True)
    comparisons = measured.comparisons(TOLERANCE)
    print(table(comparisons))
    print(conclusion(comparisons, TOLERANCE))
    if arguments.json:
        facts = {
            "machine": machine.as_dict(),
            "pyperf": pyperf.__version__,
            "rounds": arguments.rounds,
            "processes": arguments.processes,
            "values": arguments.values,
            "min_time_s": arguments.min_time,
        }
        arguments.json.write_text(as_json(comparisons, TOLERANCE, **facts), encoding="utf-8")


def subjects(physical_cores: int, word: str = "") -> tuple[list[Subject], list[Comparison]]:
    """The operations whose line has the word; those that this version lacks as failed lines."""
    known, missing = [], []
    for backend, threads, workload, case, params, dtype in OPERATIONS:
        count = physical_cores if threads == "all" else 1
        try:
            operation = make_operation(backend, "cpu", workload, case, params, dtype, threads=count)
            if not get_workload(workload).supports(backend, "cpu", case):
                raise SelectionError(f"{workload} {case} has no form for {backend}")
        except SelectionError as error:
            text = f"{backend} {workload} {case}"
            if word in text:
                missing.append(Comparison(text, "pyperf", error=str(error)))
            continue
        subject = Subject(operation, "hot", "pyperf")
        if word in subject.label:
            known.append(subject)
    return known, missing


def with_workers(subjects: list[Subject]) -> Iterator[tuple[OurWorker, Subject]]:
    """Each subject with a worker that serves its library and thread count; one lives at a time."""
    keys = dict.fromkeys((s.operation.backend, s.operation.threads) for s in subjects)
    for backend, threads in keys:
        with OurWorker(backend, "cpu", threads) as worker:
            for subject in subjects:
                if (subject.operation.backend, subject.operation.threads) == (backend, threads):
                    yield worker, subject


class Pyperf:
    """pyperf's median of a subject; the first round calibrates its loops."""

    def __init__(self, processes: int, values: int, min_time_s: float) -> None:
        self._options = (
            *("--processes", str(processes), "--values", str(values)),
            *("--min-time", str(min_time_s)),
        )
        self._loops: dict[Subject, int] = {}

    def __call__(self, subject: Subject) -> tuple[float, float]:
        """Median seconds of one call, and 0. Raises SelectionError with pyperf's message."""
        environment = {
            **worker_environment(subject.operation.threads),
            OPERATION_VARIABLE: json.dumps(asdict(subject.operation)),
            SEED_VARIABLE: str(SEED),
        }
        with tempfile.TemporaryDirectory() as directory:
            output = os.fspath(Path(directory) / "pyperf.json")
            command = [
                *(sys.executable, os.fspath(_SCRIPT), "--quiet", "--copy-env", *self._options),
                *("--loops", str(self._loops.get(subject, 0)), "--output", output),
            ]
            run_pyperf(command, environment)
            benchmark = pyperf.Benchmark.load(output)
        self._loops[subject] = benchmark.get_loops()
        return float(benchmark.median()), 0.0


def run_pyperf(command: list[str], environment: dict[str, str]) -> None:
    """Run to its end. Raises SelectionError that gives the exception that stopped it."""
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_PYPERF_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SelectionError(f"pyperf took longer than {_PYPERF_LIMIT_S:.0f} s") from None
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        named = [line for line in lines if re.match(r"[\w.]+Error", line)] or lines[-1:]
        raise SelectionError(f"pyperf failed: {named[0][:200]}")


if __name__ == "__main__":
    main()
