"""Does a whole job take as long as the estimator says? Run jobs from start to end, then compare.

    python -m benchmarks.whole_jobs run -o jobs.json            # on the machine in question
    python -m benchmarks.whole_jobs compare jobs.json [--data data/runs] [--json]

A job is a plain Python loop over one operation, as its user would write it: ``wall_s`` of all
steps with one wait for the device at the end, and ``wall_each_s`` with a wait after each step
(mode ``resident`` of a measurement). Mode ``end_to_end`` copies operands and results at each step.
Start-up, imports and the first call (compilation, tuning) stand apart in ``set_up_s``.

``compare`` asks the estimator for steps x seconds per step, about any machine of that type: the
number that Cost shows. ``run`` needs only the collector and the library that it runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.agreement import make_operation
from collector.backends import missing_reason, open_backend
from collector.errors import BreakevenError
from collector.machine.fingerprint import read_machine
from collector.measure.prepare import prepare
from collector.workloads import get_workload


@dataclass(frozen=True)
class WholeJob:
    """``steps`` calls of one operation."""

    workload: str
    case: str
    params: dict[str, int]
    steps: int
    backend: str = "torch"
    dtype: str = "float32"
    math_mode: str = "ieee"
    mode: str = "resident"


GPU_JOBS = (
    WholeJob("training_step", "simple_net_adam", {"batch": 100}, 10_000),
    WholeJob("training_step", "mlp_adam", {"batch": 512, "width": 1500}, 3_000),
    WholeJob("training_step", "resnet_sgd", {"batch": 48}, 300),
    WholeJob("training_step", "transformer_adamw", {"batch": 12, "sequence": 200}, 500),
    WholeJob("inference_step", "resnet", {"batch": 24}, 500),
    WholeJob("matmul", "square", {"n": 3000}, 2_000),
    WholeJob("matmul", "square", {"n": 3000}, 200, mode="end_to_end"),
    WholeJob("matmul", "square", {"n": 3000}, 200, "cupy", mode="end_to_end"),
    WholeJob("matmul", "square", {"n": 3000}, 2_000, math_mode="tf32"),
    WholeJob("elementwise", "tanh", {"n": 30_000_000}, 3_000),
    WholeJob("fft", "batched_1d", {"batch": 1500, "n": 3000}, 2_000, dtype="complex64"),
    WholeJob("sort", "sort", {"n": 3_000_000}, 1_000),
)
CPU_JOBS = (
    WholeJob("training_step", "simple_net_adam", {"batch": 100}, 5_000),
    WholeJob("training_step", "mlp_adam", {"batch": 100, "width": 700}, 200),
    WholeJob("matmul", "square", {"n": 3000}, 12),
    WholeJob("matmul", "square", {"n": 3000}, 12, backend="numpy"),
    WholeJob("elementwise", "tanh", {"n": 3_000_000}, 300, backend="numpy"),
    WholeJob("fft", "batched_1d", {"batch": 150, "n": 3000}, 100, "numpy", "complex128"),
    WholeJob("sort", "sort", {"n": 3_000_000}, 20, backend="numpy"),
    WholeJob("python_loop", "monte_carlo_pi", {"n": 300_000}, 10, "python", "float64"),
)


def run_job(job: WholeJob, device: str, threads: int) -> dict[str, Any]:
    """Wall seconds of the whole job, twice: waiting at the end, and after each step."""
    operation = make_operation(
        job.backend, device, job.workload, job.case, job.params, job.dtype, job.math_mode, threads
    )
    backend = open_backend(job.backend, device)
    backend.set_threads(threads)
    started = time.perf_counter()
    prepared = prepare(get_workload(job.workload), operation, backend, seed=0)
    function, operands = prepared.function, prepared.device_inputs

    def step() -> Any:
        if job.mode != "end_to_end":
            return function(*operands)
        output = function(*(backend.upload(array) for array in prepared.host_inputs))
        parts = output if isinstance(output, tuple) else (output,)
        return [backend.download(part) for part in parts]

    output = step()
    backend.synchronize()
    set_up_s = time.perf_counter() - started
    walls = []
    for wait_each in (False, True):
        started = time.perf_counter()
        for _ in range(job.steps):
            output = step()
            if wait_each and job.mode != "end_to_end":
                backend.wait(output)
        if job.mode != "end_to_end":
            backend.wait(output)
        backend.synchronize()
        walls.append(time.perf_counter() - started)
    backend.release()
    return {
        **asdict(job),
        "device": device,
        "threads": threads,
        "set_up_s": set_up_s,
        "wall_s": walls[0],
        "wall_each_s": walls[1],
    }


def run(target: Path) -> int:
    """Run every job that this machine can, and write them with what the machine is."""
    machine = read_machine()
    cores = machine.cpu.physical_cores or 1
    results = []
    for device, jobs in (("cuda", GPU_JOBS), ("cpu", CPU_JOBS)):
        for job in jobs:
            reason = missing_reason(job.backend)
            if reason is None and device == "cuda" and machine.gpu is None:
                reason = "no GPU"
            if reason is not None:
                print(f"left out: {job.workload} {job.case} {job.backend} {device}: {reason}")
                continue
            threaded = job.backend in get_workload(job.workload).threaded_backends
            threads = cores if threaded and device == "cpu" else 1
            try:
                result = run_job(job, device, threads)
            except (BreakevenError, RuntimeError, ImportError) as error:  # costs one job
                print(f"failed: {job}: {error}")
                continue
            results.append(result)
            print(
                f"{job.workload} {job.case} {job.backend} {device} {job.mode} x{job.steps}: "
                f"{result['wall_s']:.3f} s, waiting each time {result['wall_each_s']:.3f} s"
            )
    facts = {
        "machine_id": machine.machine_id,
        "cpu_model": machine.cpu.model,
        "physical_cores": cores,
        "gpu_model": machine.gpu.model if machine.gpu else None,
    }
    target.write_text(json.dumps({"machine": facts, "jobs": results}, indent=1))
    return 0


def compare(source: Path, data: Path, as_json: bool) -> int:
    """A line for each job: estimated and real seconds, their ratio, inside the interval or not."""
    import estimator
    from estimator.dataset.cache_directory import user_cache_directory
    from estimator.model.fit import fit_cached

    found = json.loads(source.read_text())
    model = fit_cached(estimator.load(data), user_cache_directory())
    rows = [estimate(model, found["machine"], job) for job in found["jobs"]]
    if as_json:
        print(json.dumps(rows, indent=1))
        return 0
    print("| job | steps | real, s | estimate, s (90 %) | real / estimate | inside | basis |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['name']} | {row['steps']:,} | {row['wall_s']:.3g} "
            f"(waiting each step {row['wall_each_s']:.3g}) | {row['p50']:.3g} "
            f"({row['p5']:.3g} to {row['p95']:.3g}) | {row['wall_s'] / row['p50']:.2f} "
            f"({row['wall_each_s'] / row['p50']:.2f}) | "
            f"{'yes' if row['p5'] <= row['wall_each_s'] <= row['p95'] else 'no'} | {row['basis']} |"
        )
    return 0


def estimate(model: Any, machine: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """The job with the estimator's p5, p50, p95 of all steps on any machine of that type."""
    import pandas as pd

    machines = model.machines
    same = machines[machines["machine_id"] == machine["machine_id"]]
    if same.empty:
        column = "gpu_model" if job["device"] == "cuda" else "cpu_model"
        same = machines[machines[column] == machine[column]]
    complete = get_workload(job["workload"]).complete(job["case"], job["params"])
    asked = {
        **{name: job[name] for name in ("workload", "case", "dtype", "math_mode", "backend")},
        "params": complete,
        "device": job["device"],
        "threads": job["threads"] if job["device"] == "cpu" else None,
        "mode": job["mode"] if job["device"] == "cuda" else "hot",
        "machine_id": None,
    }
    # of several boxes of the type the one with most cells answers
    counts = model.measured["machine_id"].value_counts()
    asked["machine_id"] = max(same["machine_id"], key=lambda name: int(counts.get(name, 0)))
    answer = model.predict(pd.DataFrame([asked]), about="type").iloc[0]
    params = ", ".join(f"{name}={value}" for name, value in job["params"].items())
    name = f"{job['workload']} {job['case']} {params} {job['dtype']}"
    name += " tf32" if job["math_mode"] == "tf32" else ""
    return {
        "name": f"{name}, {job['backend']} {job['device']} {asked['mode']}",
        "steps": job["steps"],
        "wall_s": job["wall_s"],
        "wall_each_s": job["wall_each_s"],
        **{end: job["steps"] * float(answer[f"seconds_{end}"]) for end in ("p5", "p50", "p95")},
        "basis": str(answer["basis"]),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("run")
    first.add_argument("-o", "--out", type=Path, required=True)
    second = commands.add_parser("compare")
    second.add_argument("file", type=Path)
    second.add_argument("--data", type=Path, default=Path("data/runs"))
    second.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.command == "run":
        return run(asked.out)
    return compare(asked.file, asked.data, asked.json)


if __name__ == "__main__":
    raise SystemExit(main())
