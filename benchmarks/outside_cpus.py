"""CPU instances by name against what others measured on them: one table, by target.

    python -m benchmarks.outside_cpus [--data data/runs] [--published ../shared/reference/published]

Every x86 type without a GPU in ``instances_wide.csv`` (2,400 of AWS, Azure and GCP) is asked for a
float32 product of 8192, an add of 2^26 elements and a Python loop, and compared with the tables of
SpareCores/sc-inspector-data (CC BY-SA 4.0): stress-ng on all threads and on one, and the rate at
which bw_mem reads its largest working set. A score has another unit than a time, so that factors
are taken after aligning the median of their logarithms. Prints also how many answers of products
are above the peak of the CPU's own sheet (at its clock, and at the highest that its row names),
and what share of the adds reads faster than the socket's memory. Says so in a line where the
tables are not there.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from estimator import fit, load
from estimator.catalogue.hardware import shipped_hardware
from estimator.catalogue.hardware_specs import CpuSpec
from estimator.catalogue.instance_families import cpu_hardware, vcpus_per_core
from estimator.catalogue.instances import Instance
from estimator.cost.timings import instance_timings

_PUBLISHED = Path("../shared/reference/published")
_N, _ELEMENTS = 8192, 2**26
_PRODUCT_FLOP, _ADD_BYTES = 2.0 * _N**3, 3.0 * 4.0 * _ELEMENTS
_QUESTIONS: dict[str, dict[str, Any]] = {
    "product": {"workload": "matmul", "case": "square", "params": {"n": _N}, "dtype": "float32"},
    "add": {
        "workload": "elementwise",
        "case": "add",
        "params": {"n": _ELEMENTS},
        "dtype": "float32",
    },
    "loop": {
        "workload": "python_loop",
        "case": "monte_carlo_pi",
        "params": {"n": 100_000},
        "dtype": "float64",
        "backend": "python",
    },
}


@dataclass(frozen=True)
class Agreement:
    """How answers agree with scores: Spearman's rank correlation and factors, median aligned."""

    count: int
    spearman: float
    median: float
    p90: float


def agreement(answered: pd.Series[float], score: pd.Series[float]) -> Agreement:
    """Of rates (n,) and scores (n,) in any unit; a pair with a NaN is left out."""
    both = pd.DataFrame({"answered": answered, "score": score}).astype(float).dropna()
    apart = np.log(both.to_numpy()) @ [1.0, -1.0]
    factor = np.exp(np.abs(apart - np.median(apart)))
    ranks = np.corrcoef(both.rank().to_numpy().T)[0, 1]
    return Agreement(
        len(both), float(ranks), float(np.median(factor)), float(np.quantile(factor, 0.9))
    )


def wide_instances(path: Path) -> list[Instance]:
    """Types without a GPU that are not ARM, the first region of each."""
    table = pd.read_csv(path).drop_duplicates(["provider", "instance"])
    table = table[(table["gpu_count"] == 0) & (table["architecture"] != "ARM64")]
    return [
        Instance(
            provider=str(row["provider"]),
            instance=str(row["instance"]),
            region=str(row["region"]),
            vcpu=int(row["vcpu"]),
            memory_gib=float(row["memory_gib"]),
            gpu="",
            gpu_count=0,
            gpu_memory_gib=None,
            on_demand_usd_per_h=float(row["on_demand_usd_per_h"]),
            spot_usd_per_h=None,
            as_of=str(row["as_of"]),
            source=str(row["source"]),
            hardware=cpu_hardware(str(row["provider"]), str(row["instance"])),
        )
        for row in table.to_dict("records")
    ]


def scores(folder: Path) -> pd.DataFrame:
    """By provider and instance: ``all_threads``, ``one_thread`` and ``read_b_per_s``."""
    runs = pd.read_parquet(folder / "sc_stressng_cpu_scaling.parquet").sort_values("threads")
    stress = runs.groupby(["vendor", "instance"])["bogo_ops_per_s"]
    memory = pd.read_parquet(folder / "sc_bw_mem.parquet")
    memory = memory[memory["op"] == "rd"].sort_values("size_mb")
    read = memory.groupby(["vendor", "instance"])["mb_per_s"].last() * 1e6
    table = pd.DataFrame(
        {"one_thread": stress.first(), "all_threads": stress.last(), "read_b_per_s": read}
    )
    return table.rename_axis(["provider", "instance"]).reset_index()


def answers(data: Path, instances: list[Instance]) -> pd.DataFrame:
    """A row per instance: its CPU's row, and seconds, ends and basis of each question."""
    model = fit(load(data))
    table = pd.DataFrame(
        {
            "provider": [one.provider for one in instances],
            "instance": [one.instance for one in instances],
            "vcpu": [one.vcpu for one in instances],
            "hardware": [one.hardware for one in instances],
        }
    )
    for name, question in _QUESTIONS.items():
        timed = instance_timings(model, instances, question)
        for column in ("seconds_p5", "seconds_p50", "seconds_p95", "basis", "excluded"):
            table[f"{name}_{column}"] = timed[column].to_numpy()
    return table


def above_peak(table: pd.DataFrame) -> Mapping[str, tuple[int, int]]:
    """Answers above what their CPU can do, of how many: by the sheet's clock, its highest, ..."""
    specs = {spec.name: spec for spec in shipped_hardware() if isinstance(spec, CpuSpec)}
    found: dict[str, list[bool]] = {"sheet clock": [], "highest clock": [], "memory": []}
    for row in table.to_dict("records"):
        spec = specs.get(str(row["hardware"]))
        if spec is None:
            continue
        threads = vcpus_per_core(str(row["provider"]), str(row["instance"]), spec)
        cores = max(1, int(row["vcpu"]) // threads)
        rate = _PRODUCT_FLOP / float(row["product_seconds_p50"])
        per_cycle = spec.fp32_flop_per_cycle
        clocks = spec.clock_ghz, getattr(spec, "boost_clock_ghz", None) or spec.clock_ghz
        for name, clock in zip(("sheet clock", "highest clock"), clocks, strict=True):
            if per_cycle and clock and np.isfinite(rate):
                found[name].append(rate > 1.0001e9 * cores * per_cycle * clock)
        read = _ADD_BYTES / float(row["add_seconds_p50"])
        memory = spec.memory_bandwidth_gb_per_s
        if memory and np.isfinite(read):
            sockets = -(-cores // (spec.cores_per_socket or cores))
            found["memory"].append(read > 1.0001e9 * memory * sockets)
    return {name: (sum(flags), len(flags)) for name, flags in found.items()}


def report(table: pd.DataFrame, measured: pd.DataFrame) -> Iterator[str]:
    """The table in lines of Markdown."""
    joined = table.merge(measured, on=["provider", "instance"], how="left")
    rates: dict[str, pd.Series[float]] = {
        name: joined[f"{name}_seconds_p50"].astype(float).rdiv(1.0) for name in _QUESTIONS
    }
    answered = joined["product_excluded"] == ""
    bases = joined.loc[answered, "product_basis"].value_counts()
    says = ", ".join(f"{count} {basis}" for basis, count in bases.items())
    yield f"{answered.sum()} of {len(joined)} x86 types answered ({says})"
    yield ""
    yield "| answered -> measured | n | Spearman | median | p90 |"
    yield "|---|---|---|---|---|"
    small = joined["vcpu"] == 8
    rows = [
        ("product 8192 -> stress-ng, all threads", "product", "all_threads", answered),
        ("add 2^26 -> bw_mem read", "add", "read_b_per_s", answered),
        ("same, 8 vCPU", "add", "read_b_per_s", answered & small),
        ("python_loop -> stress-ng, 1 thread", "loop", "one_thread", answered),
    ]
    for maker, word in (("AMD", "EPYC"), ("Intel", "Xeon")):
        own = answered & joined["hardware"].str.contains(word)
        rows.append((f"product, {maker} alone", "product", "all_threads", own))
        rows.append((f"add, {maker} alone", "add", "read_b_per_s", own))
        rows.append((f"python_loop, {maker} alone", "loop", "one_thread", own))
    for title, name, score, chosen in rows:
        found = agreement(rates[name][chosen], joined.loc[chosen, score])
        yield (
            f"| {title} | {found.count} | {found.spearman:.2f} | {found.median:.2f} "
            f"| {found.p90:.2f} |"
        )
    yield ""
    for name, (count, of) in above_peak(table).items():
        yield f"above the peak ({name}): {count} of {of}"
    read = (_ADD_BYTES * rates["add"] / joined["read_b_per_s"])[answered]
    yield f"add over read, median: {read.median():.2f}"
    for name in ("product", "add"):
        wide = (joined[f"{name}_seconds_p95"].astype(float) * rates[name])[answered]
        yield f"upper end over the estimate, {name}, median: {wide.median():.2f}"


def main() -> None:
    """Print the table, or why there is none."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path("data/runs"))
    parser.add_argument("--published", type=Path, default=_PUBLISHED)
    parser.add_argument("-o", "--out", type=Path, help="also write a CSV file of all answers here")
    options = parser.parse_args()
    wide = options.published / "instances_wide.csv"
    if not wide.exists():
        print(f"skipped: no {wide} here; give --published FOLDER")
        return
    table = answers(options.data, wide_instances(wide))
    if options.out is not None:
        table.to_csv(options.out, index=False)
    for line in report(table, scores(options.published)):
        print(line)


if __name__ == "__main__":
    main()
