"""Was a run measured quietly? What its rows and its machine's fingerprint tell. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from collector.noise import STEAL_LIMIT
from collector.telemetry import THROTTLED

Row = Mapping[str, Any]

_NOISY_SHARE = 0.25
#: range of the anchor's medians along a run, over their median
DRIFT_LIMITS = {"cpu": 0.05, "cuda": 0.02}


@dataclass(frozen=True)
class Anchor:
    """The fixed operation that is repeated along a run: did the machine drift?"""

    backend: str
    device: str
    threads: int
    medians_s: tuple[float, ...]

    @property
    def range(self) -> float:
        """Largest minus smallest median, over their median."""
        return (max(self.medians_s) - min(self.medians_s)) / median(self.medians_s)

    @property
    def drifted(self) -> bool:
        return self.range > DRIFT_LIMITS.get(self.device, min(DRIFT_LIMITS.values()))

    def __str__(self) -> str:
        return (
            f"anchor on {self.backend}/{self.device}: {len(self.medians_s)} repetitions within "
            f"{self.range:.1%} ({self.medians_s[0] * 1e3:.3g} ms first, "
            f"{self.medians_s[-1] * 1e3:.3g} ms last)"
        )


def anchors(rows: Sequence[Row]) -> list[Anchor]:
    """Medians of the anchor's repetitions in the order measured, where there are two or more."""
    found: dict[tuple[str, str, int], list[tuple[int, float]]] = defaultdict(list)
    for row in rows:
        if row["workload"] == "anchor" and row["status"] == "ok" and (row["median_s"] or 0) > 0:
            key = (row["backend"], row["device"], row["threads"])
            found[key].append((row["order_index"] or 0, row["median_s"]))
    return [
        Anchor(*key, tuple(seconds for _, seconds in sorted(times)))
        for key, times in sorted(found.items())
        if len(times) > 1
    ]


def count_noise_reasons(rows: Sequence[Row]) -> Counter[str]:
    """Cells per reason for noise; runs of older collectors give none."""
    counts: Counter[str] = Counter()
    for row in rows:
        if row["status"] == "ok":
            counts.update(filter(None, (row["noise_reasons"] or "").split(",")))
    return counts


def loud_reasons(rows: Sequence[Row], machine: Mapping[str, Any]) -> Iterator[str]:
    """One line for each thing that disturbed the run."""
    timed = [row for row in rows if row["status"] == "ok"]
    if not timed:
        return
    for device in sorted({row["device"] for row in timed}):
        yield from _noisy_share(device, [row for row in timed if row["device"] == device])
    for anchor in anchors(rows):
        if anchor.drifted:
            yield f"the machine drifted: {anchor}"
    yield from _disturbances(timed)
    yield from _slow_link(timed, machine)


def _noisy_share(device: str, timed: Sequence[Row]) -> Iterator[str]:
    noisy = sum(bool(row["noisy"]) for row in timed)
    if noisy > _NOISY_SHARE * len(timed):
        counts = count_noise_reasons(timed).most_common()
        told = ", ".join(f"{reason} {count}" for reason, count in counts)
        why = f" ({told})" if told else ""
        yield f"{noisy} of {len(timed)} {device} cells are noisy{why}: is it shared or busy?"


def _disturbances(timed: Sequence[Row]) -> Iterator[str]:
    stolen = [row for row in timed if (row["steal_fraction"] or 0) > STEAL_LIMIT]
    if stolen:
        worst = max(row["steal_fraction"] for row in stolen)
        yield f"the hypervisor took CPU time away in {len(stolen)} cells (up to {worst:.0%})"
    throttled = [
        row for row in timed if THROTTLED & set((row["throttle_reasons"] or "").split(","))
    ]
    if throttled:
        reasons = sorted({row["throttle_reasons"] for row in throttled})
        yield f"GPU throttled in {len(throttled)} cells: {'; '.join(reasons)}"
    shared = [row["other_gpu_processes"] for row in timed if (row["other_gpu_processes"] or 0) > 0]
    if shared:
        yield f"other processes used the GPU in {len(shared)} cells (up to {max(shared)} of them)"
    loose = Counter(row["backend"] for row in timed if row["threads_confirmed"] is False)
    if loose:
        told = ", ".join(f"{backend} {count}" for backend, count in sorted(loose.items()))
        yield f"thread pools were larger than asked for in {sum(loose.values())} cells ({told})"
    cold = sum("unsteady" in (row["noise_reasons"] or "").split(",") for row in timed)
    if cold > _NOISY_SHARE * len(timed):
        yield f"warm-up did not settle in {cold} of {len(timed)} cells"


def _slow_link(timed: Sequence[Row], machine: Mapping[str, Any]) -> Iterator[str]:
    """A link sleeps while it is idle: the best state that a run saw is the one to judge."""
    gpu = machine.get("gpu") or {}
    best = []
    for name in ("pcie_generation", "pcie_width"):
        seen = [row[name] for row in timed if row[name] is not None]
        best.append((max(seen) if seen else None, gpu.get(name)))
    if any(seen is not None and most is not None and seen < most for seen, most in best):
        (generation, most_generation), (width, most_width) = best
        yield (
            f"the PCIe link ran at generation {generation} x{width} at best, the machine's "
            f"maximum is generation {most_generation} x{most_width}"
        )
