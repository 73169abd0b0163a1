"""A job's step on machines: seconds with their interval, what bounds it, memory, what is covered.

The cells of all operations are asked once, for all machines, through a function that is passed in;
the schedule of each machine is made of their times and of its host's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from math import exp, isfinite, nan, sqrt
from typing import Any, Literal

import numpy as np
import pandas as pd

from collector.jobs import (
    COPY_TO_CPU,
    COPY_TO_GPU,
    SYNCHRONIZE,
    Job,
    JobMemory,
    Operation,
    Tensor,
)
from collector.workloads import PRODUCT_KINDS, RUNTIME_BYTES
from estimator.answer import NORMAL_95
from estimator.cells.defaults import WELL_KNOWN
from estimator.jobs import host
from estimator.jobs.schedule import Calls, Step, scenarios, schedule
from estimator.jobs.stand_ins import Answered, answered_by, counted
from estimator.text import BASIS

Array = np.ndarray[Any, Any]
Device = Literal["cuda", "cpu"]

#: Basis of an operation that no family measures: the nearest kind answers (``text.BASIS``).
NEAREST_KIND = "nearest_kind"

#: What the allocator holds beyond the blocks in use at the peak: a stated choice.
ALLOCATOR_SHARE = 0.05
#: of a cuBLAS handle on Hopper (torch: at::cuda::getChosenWorkspaceSize); 8 MiB on other GPUs
WORKSPACE_BYTES = 32 * 2.0**20

#: Deviations in logarithms, stated choices: of the nearest kind's time from a kind's own; and of
#: kernels in a job from the same in a loop of themselves (caches, clocks, power).
_NEAREST_SIGMA, _JOB_SIGMA = 0.4, 0.08
#: Share of an error's variance that operations of one family on one machine have in common, where
#: the machine measured such sizes, and where not: a stated choice.
_SHARED_MEASURED, _SHARED_ELSE = 0.5, 0.9
_LEAST_SHARE = 0.01  # of the time, below which an operation's basis is not the job's
_TOP = 10
_HALF_TYPES = ("float16", "bfloat16")
_COPIES = (COPY_TO_GPU, COPY_TO_CPU)
_ENDS = ("seconds_p5", "seconds_p50", "seconds_p95")
_WORDS = ("basis", "bound")


@dataclass(frozen=True)
class Place:
    """A machine's GPU or CPU, and its host: the numbers of a ``host.Speed``."""

    machine_id: str
    label: str
    device: Device
    backend: str = "torch"
    host_scale: float = 1.0
    host_sigma: float = host.UNKNOWN_SIGMA
    host_point_s: float = host.REFERENCE_POINT_S
    room_bytes: float = nan
    #: why it cannot be asked
    reason: str = ""

    @property
    def asked(self) -> tuple[str, str, str]:
        """What its cells' times depend on: not the host."""
        return self.machine_id, self.device, self.backend


@dataclass(frozen=True)
class TopOperation:
    """One operation of the step: calls, seconds of all of them on the device and the host.

    ``bound``: "host" where asking takes longer than doing, "copies", else what bounds its cell.
    """

    kind: str
    stage: str
    operands: str
    calls: int
    device_s: float
    host_s: float
    bound: str

    @property
    def seconds(self) -> float:
        return max(self.device_s, self.host_s)


@dataclass(frozen=True)
class JobEstimate:
    """One step of a job on a machine; times in seconds, NaN with a ``reason`` where there is none.

    ``seconds_*``: of a step that is waited for, with its 90 % interval; ``pipelined_seconds_*``: of
    one of many in a row. ``device_s``, ``host_s`` and ``copy_s``: sums of what the step asks of
    each. ``set_up_s``: of the job's other phases, once. ``covered_share`` of the device's time is
    in operations with a measured cell near them; ``uncovered`` and ``unknown`` name the kinds of
    the others, and those that nobody knows, with their shares. ``fits`` is None where the machine's
    memory is not known.
    """

    machine_id: str
    label: str
    device: str
    backend: str
    seconds_p5: float = nan
    seconds_p50: float = nan
    seconds_p95: float = nan
    pipelined_seconds_p5: float = nan
    pipelined_seconds_p50: float = nan
    pipelined_seconds_p95: float = nan
    device_s: float = nan
    host_s: float = nan
    copy_s: float = nan
    set_up_s: float = nan
    bound: str = ""
    device_idle_share: float = nan
    host_idle_share: float = nan
    basis: str = ""
    covered_share: float = nan
    uncovered: tuple[tuple[str, float], ...] = ()
    unknown: tuple[tuple[str, float], ...] = ()
    samples_per_s: float = nan
    tokens_per_s: float = nan
    peak_bytes: float = nan
    needed_bytes: float = nan
    room_bytes: float = nan
    fits: bool | None = None
    memory: JobMemory = field(default_factory=JobMemory)
    workspace_bytes: float = 0.0
    allocator_bytes: float = 0.0
    context_bytes: float = 0.0
    top: tuple[TopOperation, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str = ""

    @property
    def answered(self) -> bool:
        return not self.reason


@dataclass(frozen=True)
class Ask:
    """The functions that answer, each of cells as ``Model.predict`` has them.

    ``predict`` gives NaN where it cannot; ``why`` says of such a cell what is missing; ``covered``
    (n,) whether a measured cell is near.
    """

    predict: Callable[[pd.DataFrame], pd.DataFrame]
    why: Callable[[Mapping[str, Any]], str]
    covered: Callable[[pd.DataFrame], Array]


def estimate_job(job: Job, places: Sequence[Place], ask: Ask) -> list[JobEstimate]:
    """The job's step on each place, in their order.

    An operation whose cells a place cannot answer is answered by its counted work there.
    """
    asked = {device: _Asked(job, device) for device in {place.device for place in places}}
    distinct = {place.asked: place for place in places if not place.reason}
    work = {key: asked[place.device] for key, place in distinct.items()}
    answers = _answers(work, distinct, ask)
    silent = {key: work[key].silent(answer) for key, answer in answers.items()}
    again = {key: work[key].by_work(away) for key, away in silent.items() if len(away)}
    work |= again
    answers |= _answers(again, distinct, ask)
    near = _near(work, distinct, ask)
    found = []
    for place in places:
        if place.reason:
            found.append(_refused(place, place.reason, job))
            continue
        here, answer = work[place.asked], answers[place.asked]
        cells = np.flatnonzero(answer["seconds_p50"].isna().to_numpy(dtype=bool))
        if len(cells):
            found.append(_refused(place, ask.why(here.questions(place, int(cells[0]))), job))
        else:
            found.append(_estimate(job, place, here, answer, near[place.asked]))
    return found


_Key = tuple[str, str, str]


def _answers(
    work: Mapping[_Key, _Asked], places: Mapping[_Key, Place], ask: Ask
) -> dict[_Key, pd.DataFrame]:
    """The answers to the cells of each place, asked as one: a call costs more than a row."""
    tables = [of.table(places[key]) for key, of in work.items()]
    together = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    found = ask.predict(together) if len(together) else pd.DataFrame(columns=[*_ENDS, *_WORDS])
    return _split(work, found)


def _near(work: Mapping[_Key, _Asked], places: Mapping[_Key, Place], ask: Ask) -> dict[_Key, Array]:
    """Of each place's cells whether a measured one is near: the same on every machine."""
    found: dict[tuple[int, str], Array] = {}
    for key, of in work.items():
        if (id(of), places[key].backend) not in found:
            table = of.table(places[key])
            flags = ask.covered(table) if len(table) else np.zeros(0, dtype=bool)
            found[id(of), places[key].backend] = flags
    return {key: found[id(of), places[key].backend] for key, of in work.items()}


def _split(work: Mapping[_Key, _Asked], table: pd.DataFrame) -> dict[_Key, pd.DataFrame]:
    ends = np.cumsum([len(of.cells) for of in work.values()]).tolist()
    starts = [0, *ends][:-1]
    return {key: table.iloc[start:end] for key, start, end in zip(work, starts, ends, strict=True)}


def _refused(place: Place, reason: str, job: Job) -> JobEstimate:
    return JobEstimate(
        *(place.machine_id, place.label, place.device, place.backend),
        reason=reason,
        **_memory(job, place),
    )


class _Asked:
    """The operations of a job and the cells that answer for them on a device.

    ``operations`` are all different ones; ``sequence`` (n,) says which each call of the step is.
    """

    def __init__(self, job: Job, device: Device, by_work: frozenset[int] = frozenset()) -> None:
        self.device, self._job = device, job
        index: dict[Operation, int] = {}
        of_job = [index.setdefault(one, len(index)) for one in job.operations]
        self.operations = tuple(index)
        self._of_job = np.array(of_job, dtype=int)
        self.sequence = self.calls_of(job.step.sequence)
        self.answers = [self._answer(one, at in by_work) for at, one in enumerate(self.operations)]

    def calls_of(self, sequence: Sequence[int]) -> Array:
        """The calls of a phase, as indices into ``operations``."""
        calls: Array = self._of_job[np.array(sequence, dtype=int)]
        return calls

    def silent(self, answers: pd.DataFrame) -> frozenset[int]:
        """The operations with a cell that has no answer."""
        of, cell, _ = self.parts
        missing = answers["seconds_p50"].isna().to_numpy(dtype=bool)[cell]
        return frozenset(of[missing].tolist())

    def by_work(self, operations: frozenset[int]) -> _Asked:
        """The same with some operations answered by their counted work."""
        return _Asked(self._job, self.device, operations)

    def table(self, place: Place) -> pd.DataFrame:
        """The cells as questions to a place."""
        return self.cells.assign(machine_id=place.machine_id, backend=place.backend)

    def questions(self, place: Place, at: int) -> dict[str, Any]:
        """One cell as a question to a place."""
        return {str(name): value for name, value in self.table(place).iloc[at].items()}

    def _answer(self, operation: Operation, by_work: bool) -> Answered:
        moves_nothing = self.device == "cpu" and operation.kind in _COPIES
        if operation.kind == SYNCHRONIZE or operation.device == "cpu" or moves_nothing:
            return Answered((), True, True, "")
        here = operation if self.device == "cuda" else _on_cpu(operation)
        if by_work and operation.kind not in _COPIES:
            return Answered(counted(here), False, True, "its counted work")
        return answered_by(here)

    @cached_property
    def counts(self) -> Array:
        """How often the step makes each operation, (m,)."""
        counts: Array = np.bincount(self.sequence, minlength=len(self.operations))
        return counts

    @cached_property
    def _distinct(self) -> dict[Any, int]:
        cells: dict[Any, int] = {}
        for answer in self.answers:
            for cell, _ in answer.cells:
                cells.setdefault(cell, len(cells))
        return cells

    @cached_property
    def parts(self) -> tuple[Array, Array, Array]:
        """Of each part of an operation: the operation, its cell, and how often it takes it."""
        rows = [
            (at, self._distinct[cell], times)
            for at, answer in enumerate(self.answers)
            for cell, times in answer.cells
        ]
        table = np.array(rows, dtype=float).reshape(-1, 3)
        return table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2]

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The different cells as questions, but for machine and library."""
        rows = [
            {
                "workload": cell.workload,
                "case": cell.case,
                "params": dict(cell.params),
                "dtype": cell.dtype,
                "math_mode": cell.math_mode,
                "device": self.device,
                "mode": "resident" if over_bus(cell.workload, cell.case) else "hot",
                "threads": nan,
            }
            for cell in self._distinct
        ]
        names = ("workload", "case", "params", "dtype", "math_mode", "device", "mode", "threads")
        return pd.DataFrame(rows, columns=list(names))


def over_bus(workload: str, case: str) -> bool:
    """Whether a cell copies between host and GPU, which has no mode but resident."""
    return workload == "transfer" and case != "d2d"


def _on_cpu(operation: Operation) -> Operation:
    """The operation where the host computes: in float32 what a GPU does in half of it."""

    def whole(tensor: Tensor) -> Tensor:
        return replace(tensor, dtype="float32") if tensor.dtype in _HALF_TYPES else tensor

    tensors = (*operation.inputs, *operation.outputs)
    before = sum(tensor.bytes for tensor in tensors)
    after = sum(whole(tensor).bytes for tensor in tensors)
    wider = after / before if before else 1.0
    return replace(
        operation,
        device="cpu",
        math_mode="ieee",
        inputs=tuple(map(whole, operation.inputs)),
        outputs=tuple(map(whole, operation.outputs)),
        bytes_read=wider * operation.bytes_read,
        bytes_written=wider * operation.bytes_written,
    )


@dataclass(frozen=True)
class _Times:
    """Of each operation, (m,): seconds of one call with its ends, deviation, basis and bound."""

    low: Array
    middle: Array
    sigma: Array
    shared: Array
    basis: list[str]
    bound: list[str]
    family: list[str]


def _times(asked: _Asked, answers: pd.DataFrame) -> _Times:
    """The cells of an operation add up; their errors are taken as one."""
    of, cell, times = asked.parts
    count = len(asked.operations)
    ends = answers[list(_ENDS)].to_numpy(dtype=float)[cell] * times[:, None]
    low, middle, high = (np.bincount(of, ends[:, end], count) for end in range(3))
    basis, bound, family = [""] * count, [""] * count, [""] * count
    names = {name: rank for rank, name in enumerate(BASIS)}
    columns = [answers[name].to_numpy(dtype=object)[cell] for name in _WORDS]
    families = asked.cells["workload"].to_numpy(dtype=object)[cell]
    longest = np.zeros(count)
    for row, at in enumerate(of):
        if names.get(columns[0][row], 0) >= names.get(basis[at], -1):
            basis[at] = str(columns[0][row])
        if ends[row, 1] >= longest[at]:
            longest[at], bound[at], family[at] = ends[row, 1], str(columns[1][row]), families[row]
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = np.where(middle > 0.0, np.log(high / low) / (2.0 * NORMAL_95), 0.0)
    near = np.array([not answer.exact for answer in asked.answers], dtype=bool) & (middle > 0.0)
    sigma = np.where(near, np.hypot(sigma, _NEAREST_SIGMA), sigma)
    known = np.array([name in WELL_KNOWN for name in basis], dtype=bool)
    shared = np.where(known, _SHARED_MEASURED, _SHARED_ELSE)
    basis = [NEAREST_KIND if away else name for name, away in zip(basis, near, strict=True)]
    return _Times(low, middle, np.nan_to_num(sigma), shared, basis, bound, family)


def _estimate(
    job: Job, place: Place, asked: _Asked, answers: pd.DataFrame, near: Array
) -> JobEstimate:
    times = _times(asked, answers)
    operations = asked.operations
    copies = np.array([one.kind in _COPIES for one in operations], dtype=bool)
    dispatch, passing_s = _dispatch(job, place, operations)
    calls = _calls(asked, asked.sequence, dispatch, passing_s, times.middle)
    step = schedule(calls)
    spent = asked.counts * times.middle
    beside = np.array([_beside(one) for one in operations], dtype=bool)
    floor = float((asked.counts * times.low)[~beside].sum())
    waited, pipelined = _intervals(calls, step, place, times, spent, copies, floor)
    covered, uncovered, unknown = _coverage(asked, near, spent)
    before = sum(
        phase.count
        * schedule(
            _calls(asked, asked.calls_of(phase.sequence), dispatch, passing_s, times.middle)
        ).waited_s
        for phase in job.phases[:-1]
    )
    pace = step.pipelined_s
    return JobEstimate(
        *(place.machine_id, place.label, place.device, place.backend),
        *waited,
        *pipelined,
        device_s=step.device_s,
        host_s=step.host_s,
        copy_s=step.copy_s,
        set_up_s=before,
        bound=step.bound,
        device_idle_share=step.device_idle_share,
        host_idle_share=step.host_idle_share,
        basis=_weakest(times.basis, spent),
        covered_share=covered,
        uncovered=uncovered,
        unknown=unknown,
        samples_per_s=job.samples_per_step / pace if job.samples_per_step and pace else nan,
        tokens_per_s=job.tokens_per_step / pace if job.tokens_per_step and pace else nan,
        top=_top(asked, times, dispatch, copies, step.bound),
        notes=_notes(job, place),
        **_memory(job, place),
    )


def _dispatch(job: Job, place: Place, operations: Sequence[Operation]) -> tuple[Array, float]:
    """Seconds of this host for each operation, (m,), and to start a backward pass."""
    costs = host.costs_of(operations, place.device)
    speed = host.Speed(place.host_scale, place.host_sigma, place.host_point_s)
    spent = host.dispatch_seconds(operations, job.training, costs, speed)
    return spent, place.host_scale * costs.pass_s


def _calls(
    asked: _Asked, sequence: Array, dispatch: Array, passing_s: float, device_s: Array
) -> Calls:
    operations = asked.operations
    one_clock = asked.device == "cpu"
    starts = host.passes(operations, sequence)
    copies = np.array([one.kind in _COPIES for one in operations], dtype=bool)
    beside = np.array([_beside(one) for one in operations], dtype=bool)
    waits = np.array([host.waits(one) for one in operations], dtype=bool)
    return Calls(
        dispatch[sequence] + passing_s * starts,
        device_s[sequence],
        copies[sequence],
        beside[sequence],
        waits[sequence],
        one_clock,
    )


def _beside(operation: Operation) -> bool:
    """Whether a copy runs on a stream of its own, beside the kernels."""
    apart = bool(operation.attribute("stream", 0)) and host.is_asynchronous(operation)
    return operation.kind in _COPIES and apart


def _intervals(
    calls: Calls,
    step: Step,
    place: Place,
    times: _Times,
    spent: Array,
    copies: Array,
    floor: float,
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Waited-for and pipelined seconds, each with the ends of its 90 % interval.

    The schedule is made anew for hosts, kernels and copies that take shorter and longer (three
    points each, as of a normal distribution in logarithms). No end is below ``floor``: what the
    device takes where each operation is at its own low end, which the hardware bounds.
    """
    parts = {
        "host": (step.host_s, place.host_sigma),
        "kernels": (step.device_s, _sigma(times, np.where(copies, 0.0, spent), _JOB_SIGMA)),
        "copies": (step.copy_s, _sigma(times, np.where(copies, spent, 0.0), _JOB_SIGMA)),
    }
    nodes, weights = np.array([-sqrt(3.0), 0.0, sqrt(3.0)]), np.array([1.0, 4.0, 1.0]) / 6.0
    grids = [nodes if seconds > 0.0 else nodes[1:2] for seconds, _ in parts.values()]
    masses = [weights if seconds > 0.0 else np.ones(1) for seconds, _ in parts.values()]
    points = [grid.ravel() for grid in np.meshgrid(*grids, indexing="ij")]
    mass = np.prod([grid.ravel() for grid in np.meshgrid(*masses, indexing="ij")], axis=0)
    factors = [
        np.exp(sigma * point) for (_, sigma), point in zip(parts.values(), points, strict=True)
    ]
    found = []
    for middle, seconds in zip(
        (step.waited_s, step.pipelined_s), scenarios(calls, *factors), strict=True
    ):
        if not middle > 0.0:
            found.append((0.0, 0.0, 0.0))
            continue
        logs = np.log(seconds / middle)
        down, up = (
            sqrt(2.0 * float(mass @ np.where(side, logs, 0.0) ** 2))
            for side in (logs < 0, logs > 0)
        )
        least = middle * exp(-NORMAL_95 * down)
        found.append((min(middle, max(least, floor)), middle, middle * exp(NORMAL_95 * up)))
    return found[0], found[1]


def _sigma(times: _Times, spent: Array, of_job: float) -> float:
    """Deviation of a sum of operations (m,) in logarithms, from those of its parts.

    What operations of one family share of an error adds up, the rest of it averages out.
    """
    total = spent.sum()
    if not total > 0.0:
        return 0.0
    part = spent / total * times.sigma
    families: dict[str, float] = {}
    for name, common in zip(times.family, part * np.sqrt(times.shared), strict=True):
        families[name] = families.get(name, 0.0) + float(common)
    alone = float((part**2 * (1.0 - times.shared)).sum())
    return sqrt(sum(common**2 for common in families.values()) + alone + of_job**2)


def _weakest(basis: Sequence[str], spent: Array) -> str:
    """The basis that says least, of those with a hundredth of the device's time or more."""
    shares: dict[str, float] = {}
    for name, seconds in zip(basis, spent, strict=True):
        shares[name] = shares.get(name, 0.0) + float(seconds)
    least = _LEAST_SHARE * float(spent.sum())
    matter = [name for name, seconds in shares.items() if name and seconds >= least > 0.0]
    ranks = list(BASIS)
    return max(matter, key=lambda name: ranks.index(name) if name in ranks else -1, default="")


Shares = tuple[tuple[str, float], ...]


def _coverage(asked: _Asked, near: Array, spent: Array) -> tuple[float, Shares, Shares]:
    """Share of the device's time in operations that are measured; the other kinds; the unknown."""
    total = float(spent.sum())
    if not total > 0.0:
        return 1.0, (), ()
    shares = spent / total
    of, cell, _ = asked.parts
    away = np.bincount(of, ~near[cell], len(spent)) > 0.0
    away |= np.array([not answer.exact for answer in asked.answers], dtype=bool)
    unknown = [not answer.known for answer in asked.answers]
    share = max(0.0, 1.0 - float(shares[away].sum()))
    return share, _by_kind(asked, shares, away), _by_kind(asked, shares, unknown)


def _by_kind(asked: _Asked, shares: Array, chosen: Sequence[bool] | Array) -> Shares:
    kinds: dict[str, float] = {}
    for one, share, here in zip(asked.operations, shares, chosen, strict=True):
        if here and share > 0.0:
            kinds[one.kind] = kinds.get(one.kind, 0.0) + float(share)
    return tuple(sorted(kinds.items(), key=lambda item: -item[1]))


def _top(
    asked: _Asked, times: _Times, dispatch: Array, copies: Array, bound: str
) -> tuple[TopOperation, ...]:
    """The operations that take most of what bounds the step."""
    device, of_host = asked.counts * times.middle, asked.counts * dispatch
    order = np.argsort(-(of_host if bound == "host" else device), kind="stable")[:_TOP]
    found = []
    for at in order.tolist():
        one = asked.operations[at]
        slower = of_host[at] > device[at]
        found.append(
            TopOperation(
                one.kind,
                one.stage,
                operands_text(one),
                int(asked.counts[at]),
                float(device[at]),
                float(of_host[at]),
                "host" if slower else "copies" if copies[at] else times.bound[at],
            )
        )
    return tuple(one for one in found if one.seconds > 0.0)


def operands_text(operation: Operation) -> str:
    """``bfloat16 8192x768, 768x2304``: the element type and the shapes of the operands."""
    tensors = operation.inputs or operation.outputs
    shapes = ["x".join(map(str, tensor.shape)) or "scalar" for tensor in tensors[:2]]
    more = f" and {len(tensors) - 2} more" if len(tensors) > 2 else ""
    return f"{operation.dtype} {', '.join(shapes)}{more}" if tensors else ""


def workspace_bytes(job: Job) -> float:
    """What cuBLAS holds for its products: a handle's workspace for each thread that asks for some,
    the program's own and the one of the backward pass."""
    threads = {one.stage == "backward" for one in job.operations if one.kind in PRODUCT_KINDS}
    return WORKSPACE_BYTES * len(threads)


def peak_bytes(job: Job, device: Device) -> float:
    """Most that torch's allocator has in use, as ``torch.cuda.max_memory_allocated`` says."""
    return job.memory.peak_bytes + (workspace_bytes(job) if device == "cuda" else 0.0)


def needed_bytes(job: Job, device: Device) -> float:
    """What the job takes of a device's memory, with the allocator and the libraries."""
    return peak_bytes(job, device) + _allocator_bytes(job, device) + RUNTIME_BYTES[device]


def _allocator_bytes(job: Job, device: Device) -> float:
    return ALLOCATOR_SHARE * peak_bytes(job, device) if device == "cuda" else 0.0


def _memory(job: Job, place: Place) -> dict[str, Any]:
    """What the job takes of a device's memory, and whether there is room."""
    needed = needed_bytes(job, place.device)
    known = isfinite(place.room_bytes)
    return {
        "memory": job.memory,
        "peak_bytes": peak_bytes(job, place.device),
        "workspace_bytes": workspace_bytes(job) if place.device == "cuda" else 0.0,
        "allocator_bytes": _allocator_bytes(job, place.device),
        "context_bytes": RUNTIME_BYTES[place.device],
        "needed_bytes": needed,
        "room_bytes": place.room_bytes,
        "fits": needed <= place.room_bytes if known else None,
    }


def _notes(job: Job, place: Place) -> tuple[str, ...]:
    halves = any(tensor.dtype in _HALF_TYPES for one in job.operations for tensor in one.inputs)
    if place.device == "cpu" and halves:
        return ("its half-precision operations are asked in float32 on a CPU",)
    if place.host_sigma >= host.UNKNOWN_SIGMA:
        return ("its host is not known: taken as the Xeon of the shipped H200 machines",)
    return ()


def as_json(estimate: JobEstimate) -> dict[str, Any]:
    """An estimate as a JSON object; shares by kind as objects."""
    shown = {entry.name: getattr(estimate, entry.name) for entry in fields(estimate)}
    shown["memory"] = {part.name: getattr(estimate.memory, part.name) for part in fields(JobMemory)}
    shown["uncovered"], shown["unknown"] = dict(estimate.uncovered), dict(estimate.unknown)
    shown["top"] = [{**vars(one)} for one in estimate.top]
    return shown
