"""What a recorded program would gain without a GPU: torch on all cores, numba for its loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from collector.jobs import Job
from estimator.jobs.estimate import JobEstimate
from estimator.model.ask import ask
from estimator.model.jobs import estimate_on, places

if TYPE_CHECKING:
    from estimator.model.model import Model

#: how much has to be gained, and what share of the time Python has to be, to speak of it
_GAIN, _MUCH_PYTHON = 1.15, 0.3
_POINTS = 100_000


@dataclass(frozen=True)
class MoreCores:
    """A machine's CPU as the program is, with torch's calls on all cores where it has them, and how
    much faster numba runs a loop that Python runs (NaN: not known)."""

    cpu: JobEstimate
    torch: JobEstimate | None
    numba_ratio: float

    @property
    def torch_gains(self) -> bool:
        return self.torch is not None and self.torch.seconds_p50 * _GAIN < self.cpu.seconds_p50

    @property
    def numba_gains(self) -> bool:
        """Whether enough of the time is Python that numba could compile."""
        much = self.cpu.python_s > _MUCH_PYTHON * self.cpu.seconds_p50
        return bool(much and self.numba_ratio > _GAIN)

    @property
    def with_numba_s(self) -> float:
        """Seconds of a run, at the least: if all of the Python were loops over numbers."""
        saved = self.cpu.python_s * (1.0 - 1.0 / self.numba_ratio)
        return self.cpu.seconds_p50 - saved


def more_cores(model: Model, job: Job, found: Sequence[JobEstimate]) -> list[MoreCores]:
    """Of each estimate on a CPU what other libraries would give there."""
    cpus = [one for one in found if one.device == "cpu" and one.answered]
    if not cpus:
        return []
    names = [one.machine_id for one in cpus]
    wanted = [replace(place, backend="torch") for place in places(model, names, "cpu", "numpy")]
    torch = estimate_on(model, job, wanted)
    ratios = _numba_ratios(model, names)
    return [
        MoreCores(cpu, other if other.answered else None, ratio)
        for cpu, other, ratio in zip(cpus, torch, ratios, strict=True)
    ]


def _numba_ratios(model: Model, names: Sequence[str]) -> list[float]:
    """Python's time of the loop of the family python_loop over numba's on one thread."""
    cells: list[dict[str, Any]] = [
        {
            **{"machine_id": name, "device": "cpu", "threads": 1, "mode": "hot"},
            **{"workload": "python_loop", "case": "monte_carlo_pi", "params": {"n": _POINTS}},
            **{"dtype": "float64", "math_mode": "ieee", "backend": backend},
        }
        for backend in ("python", "numba")
        for name in names
    ]
    seconds = ask(model, pd.DataFrame(cells), strict=False)["seconds_p50"].to_numpy(dtype=float)
    python, numba = seconds.reshape(2, -1)
    found: list[float] = np.divide(python, numba).tolist()
    return found
