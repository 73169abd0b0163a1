"""Highest rates that a machine reached, beside those of its data sheet.

    python benchmarks/ceilings.py data/runs     from the runs of a directory, or one file
    python benchmarks/ceilings.py               measure here, with our own workers

A rate is the operation's work over the median time of the best cell of its kind: square matrix
products (2 n^3 FLOP), the copy within the device (bytes read and written), page-locked copies
over the bus, and on a CPU the triad b + s c (bytes that the library's calls must move; a cache
that fetches a line before it overwrites it moves up to a third more, which is not counted).
Memory rates are of cells that exceed the last-level cache twice, where there are any.

A data sheet gives the dense peak of one GPU at its boost clock, for a CPU the clock of
data/hardware.csv times all physical cores (unknown where none is published), and the memory of
its socket, of which a small virtual machine gets a part.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import estimator
from benchmarks.agreement import Subject, make_operation
from benchmarks.ceiling_quantities import CEILINGS, MOVED, Ceiling, Row
from benchmarks.our_worker import OurWorker
from collector.backends import missing_reason
from collector.backends.cuda import flush_bytes
from collector.cells import Cell
from collector.errors import BreakevenError, EstimateError
from collector.machine.fingerprint import Machine, read_machine
from collector.measure.sampling import stop_rule
from estimator.catalogue.hardware import match_cpu, match_gpu
from estimator.catalogue.hardware_specs import GpuSpec
from estimator.checks import known_number

_CACHES = 2.0

_COLUMNS = (
    *("machine_id", "workload", "case", "params", "dtype", "math_mode", "backend", "device"),
    *("threads", "mode", "median_s", "flop_count", "bytes_read", "bytes_written"),
    *("h2d_bytes", "d2h_bytes"),
)


@dataclass(frozen=True)
class Reached:
    """The best rate of one quantity on one machine; NaN where the data sheet does not tell."""

    machine: str
    quantity: str
    unit: str
    measured: float
    specified: float
    cell: str
    note: str = ""

    @property
    def share(self) -> float:
        return self.measured / self.specified


#: what is measured here: library, family, case, parameters, element types, mode
_GPU_CELLS = (
    *(
        ("torch", "matmul", "square", {"n": n}, d, "hot")
        for n in (4096, 8192)
        for d in ("bfloat16", "float16", "tf32", "float32", "float64")
        if (n, d) != (8192, "float64")
    ),
    ("torch", "transfer", "d2d", {"bytes": 2**28}, "float32", "hot"),
    ("torch", "transfer", "h2d_pinned", {"bytes": 2**28}, "float32", "resident"),
    ("torch", "transfer", "d2h_pinned", {"bytes": 2**28}, "float32", "resident"),
)
_CPU_CELLS = (
    *(
        (b, "matmul", "square", {"n": 3000}, d, "hot")
        for b in ("numpy", "torch")
        for d in ("float32", "float64")
    ),
    ("torch", "elementwise", "triad", {"n": 10_000_000}, "float32", "hot"),
    ("torch", "elementwise", "triad", {"n": 100_000_000}, "float32", "hot"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="measured ceilings beside data sheets")
    parser.add_argument("path", nargs="?", help="directory of runs or a run; none: measure here")
    parser.add_argument("--json", type=Path, help="also write the rates to this file")
    arguments = parser.parse_args()
    try:
        reached = from_runs(arguments.path) if arguments.path else measured_here()
    except BreakevenError as error:
        sys.exit(f"ceilings: {error}")
    print(table(reached))
    if arguments.json:
        rows = [{**asdict(one), "share": one.share} for one in reached]
        clean = [{k: None if v != v else v for k, v in row.items()} for row in rows]
        arguments.json.write_text(json.dumps(clean, indent=1) + "\n", encoding="utf-8")


def from_runs(path: str) -> list[Reached]:
    """Every machine's ceilings from its valid rows. Raises DatasetError if there is nothing."""
    measurements = estimator.load(path)
    frame = measurements.frame(_COLUMNS, "status = 'ok' and device in ('cpu', 'cuda')")
    reached = []
    for facts in measurements.machines.to_dict("records"):
        own = frame[frame["machine_id"] == facts["machine_id"]]
        rows = [{str(k): v for k, v in row.items()} for row in own.to_dict("records")]
        reached += ceilings(rows, {str(k): v for k, v in facts.items()})
    return reached


def measured_here() -> list[Reached]:
    """This machine's ceilings, measured now; a cell that fails is named on standard error."""
    machine = read_machine()
    rows: list[Row] = []
    for device, threads, cells in (
        ("cuda", 1, _GPU_CELLS if machine.gpu else ()),
        ("cpu", machine.cpu.physical_cores, _CPU_CELLS),
    ):
        for backend in dict.fromkeys(cell[0] for cell in cells):
            if missing_reason(backend) is not None:
                continue
            with OurWorker(backend, device, threads) as worker:
                for _, workload, case, params, dtype, mode in (c for c in cells if c[0] == backend):
                    numbers, math_mode = ("float32", "tf32") if dtype == "tf32" else (dtype, "ieee")
                    operation = make_operation(
                        backend, device, workload, case, params, numbers, math_mode, threads
                    )
                    subject = Subject(operation, mode, "")
                    try:
                        median_s = worker.median_s(subject, stop_rule("standard", device), 0)
                    except BreakevenError as error:
                        print(f"{subject.label}: {error}", file=sys.stderr)
                        continue
                    cell = Cell(**vars(operation), mode=mode)
                    rows.append({**vars(cell), **vars(cell.work), "median_s": median_s})
    return ceilings(rows, facts_of(machine))


def facts_of(machine: Machine) -> dict[str, Any]:
    """What ``ceilings`` needs of a fingerprint, under the names of Measurements.machines."""
    return {
        "label": machine.label,
        "gpu_model": machine.gpu.model if machine.gpu else None,
        "cpu_model": machine.cpu.model,
        "cpu_family": machine.cpu.family,
        "cpu_model_number": machine.cpu.model_number,
        "physical_cores": machine.cpu.physical_cores,
        "last_level_cache_bytes": machine.cpu.last_level_cache_bytes,
    }


def ceilings(rows: Sequence[Row], facts: Mapping[str, Any]) -> list[Reached]:
    """The best rate of each quantity that the rows of one machine show."""
    gpu_model = facts.get("gpu_model")
    gpu = match_gpu(gpu_model) if isinstance(gpu_model, str) else None
    cpu = match_cpu(
        str(facts["cpu_model"]),
        known_number(facts["cpu_family"]),
        known_number(facts["cpu_model_number"]),
    )
    reached = []
    for ceiling in CEILINGS:
        shown = [row for row in rows if ceiling.shown_by(row)]
        if not shown:
            continue
        least_bytes = _least_bytes(ceiling, gpu, facts)
        outside = [row for row in shown if _moved_bytes(row) >= least_bytes]
        best = max(outside or shown, key=ceiling.rate)
        note = "" if outside else f"may lie in a cache: under {least_bytes / 2**20:,.0f} MiB"
        try:
            specified = ceiling.specified(gpu, cpu, int(facts["physical_cores"]))
        except EstimateError:
            specified = math.nan
        reached.append(
            Reached(
                str(facts["label"]),
                ceiling.name,
                ceiling.unit,
                ceiling.rate(best) / ceiling.scale,
                specified / ceiling.scale,
                _cell_text(best),
                note,
            )
        )
    return reached


def _least_bytes(ceiling: Ceiling, gpu: GpuSpec | None, facts: Mapping[str, Any]) -> float:
    """What a memory rate's cell must move to get past the last-level cache; 0 for other rates.

    Twice the cache; on a GPU, whose cache may not be known, what the collector flushes it with.
    """
    if ceiling.work != MOVED:
        return 0.0
    if ceiling.device == "cuda":
        return flush_bytes(round(2**20 * ((gpu.last_level_cache_mib if gpu else None) or 0.0)))
    cache = facts.get("last_level_cache_bytes")
    return _CACHES * float(cache) if cache is not None and cache == cache else 0.0


def _moved_bytes(row: Row) -> float:
    return float(row["bytes_read"] + row["bytes_written"])


def _cell_text(row: Row) -> str:
    params = dict(row["params"])
    name = "n" if "n" in params else "bytes"
    threads = f" {row['threads']}t" if row["device"] == "cpu" else ""
    return f"{row['backend']} {name}={params[name]}{threads}"


def table(reached: Iterable[Reached]) -> str:
    """One line per quantity, machines apart."""
    head = f"{'quantity':28} {'measured':>10} {'data sheet':>11} {'':7} {'share':>6}  cell"
    lines: list[str] = []
    machine = None
    for one in reached:
        if one.machine != machine:
            machine = one.machine
            lines += ["", machine, head]
        known = one.specified == one.specified
        specified = f"{one.specified:,.1f}" if known else "unknown"
        share = f"{100 * one.share:.0f} %" if known else ""
        note = f" ({one.note})" if one.note else ""
        lines.append(
            f"{one.quantity:28} {one.measured:10,.1f} {specified:>11} {one.unit:7} {share:>6}  "
            f"{one.cell}{note}"
        )
    return "\n".join(lines[1:])


if __name__ == "__main__":
    main()
