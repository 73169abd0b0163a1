"""A job's step, or run, on machines: seconds with their interval, what bounds it, memory, coverage.

The cells of all operations are asked once, for all machines, through a function that is passed in;
the schedule of each machine is made of their times and of its host's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import exp, nan, sqrt
from typing import Any

import numpy as np
import pandas as pd

from collector.jobs import Job, JobMemory, Operation
from estimator.answer import NORMAL_95
from estimator.jobs import host
from estimator.jobs.array_host import array_dispatch_seconds, recorded_seconds
from estimator.jobs.asked import COPIES, HALF_TYPES, AskedJob
from estimator.jobs.job_memory import memory_on
from estimator.jobs.place import Place
from estimator.jobs.schedule import Calls, Step, scenarios_of, schedule_of
from estimator.jobs.times import OperationTimes, operation_times
from estimator.text import BASIS

Array = np.ndarray[Any, Any]
_Parts = Sequence[tuple[int, Calls]]
Shares = tuple[tuple[str, float], ...]

#: Deviation in logarithms of kernels in a job from the same in a loop of themselves (caches,
#: clocks, power): a stated choice.
_JOB_SIGMA = 0.08
_LEAST_SHARE = 0.01  # of the time, below which an operation's basis is not the job's
_TOP = 10
_ENDS = ("seconds_p5", "seconds_p50", "seconds_p95")
_WORDS = ("basis", "bound")


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
class KindTime:
    """All calls of one kind: how many, seconds of the device and of the host that asks for them."""

    kind: str
    calls: int
    device_s: float
    host_s: float


@dataclass(frozen=True)
class JobEstimate:
    """One step of a job on a machine; times in seconds, NaN with a ``reason`` where there is none.

    Of a job whose ``scope`` is a run all times are of the run, and of one in a row are the same.

    ``seconds_*``: of a step that is waited for, with its 90 % interval; ``pipelined_seconds_*``: of
    one of many in a row. ``device_s``, ``host_s`` and ``copy_s``: sums of what the step asks of
    each. ``set_up_s``: of the job's other phases, once. ``covered_share`` of the device's time is
    in operations with a measured cell near them; ``uncovered`` and ``unknown`` name the kinds of
    the others, and those that nobody knows, with their shares. ``fits`` is None where the machine's
    memory is not known. ``python_s`` of ``host_s`` is the program's Python between its calls,
    ``lacking`` what the host does since the device's library lacks it, by reason, in seconds;
    ``kinds`` are all operations by kind.
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
    scope: str = "step"
    python_s: float = nan
    lacking: tuple[tuple[str, float], ...] = ()
    kinds: tuple[KindTime, ...] = ()

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
    asked = {device: AskedJob(job, device) for device in {place.device for place in places}}
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
    work: Mapping[_Key, AskedJob], places: Mapping[_Key, Place], ask: Ask
) -> dict[_Key, pd.DataFrame]:
    """The answers to the cells of each place, asked as one: a call costs more than a row."""
    tables = [of.table(places[key]) for key, of in work.items()]
    together = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    found = ask.predict(together) if len(together) else pd.DataFrame(columns=[*_ENDS, *_WORDS])
    return _split(work, found)


def _near(
    work: Mapping[_Key, AskedJob], places: Mapping[_Key, Place], ask: Ask
) -> dict[_Key, Array]:
    """Of each place's cells whether a measured one is near: the same on every machine."""
    found: dict[tuple[int, str], Array] = {}
    for key, of in work.items():
        if (id(of), places[key].backend) not in found:
            table = of.table(places[key])
            flags = ask.covered(table) if len(table) else np.zeros(0, dtype=bool)
            found[id(of), places[key].backend] = flags
    return {key: found[id(of), places[key].backend] for key, of in work.items()}


def _split(work: Mapping[_Key, AskedJob], table: pd.DataFrame) -> dict[_Key, pd.DataFrame]:
    ends = np.cumsum([len(of.cells) for of in work.values()]).tolist()
    starts = [0, *ends][:-1]
    return {key: table.iloc[start:end] for key, start, end in zip(work, starts, ends, strict=True)}


def _refused(place: Place, reason: str, job: Job) -> JobEstimate:
    return JobEstimate(
        *(place.machine_id, place.label, place.device, place.backend),
        reason=reason,
        **vars(memory_on(job, place)),
    )


def _estimate(
    job: Job, place: Place, asked: AskedJob, answers: pd.DataFrame, near: Array
) -> JobEstimate:
    operations = asked.operations
    times = operation_times(asked, answers, recorded_seconds(job, operations, place.speed))
    copies = np.array([one.kind in COPIES for one in operations], dtype=bool)
    dispatch, passing_s = _dispatch(job, place, operations)

    def scheduled(parts: Sequence[tuple[int, Array]]) -> _Parts:
        return [
            (count, _calls(asked, calls, dispatch, passing_s, times.middle))
            for count, calls in parts
        ]

    parts = scheduled(asked.parts)
    step = schedule_of(parts)
    spent = asked.counts * times.middle
    beside = np.array([_beside(one) for one in operations], dtype=bool)
    floor = float((asked.counts * times.low)[~beside].sum())
    waited, pipelined = _intervals(parts, step, place, times, spent, copies, floor)
    if job.scope == "run":
        pipelined = waited
    covered, uncovered, unknown = _coverage(asked, near, spent)
    pace = pipelined[1]
    return JobEstimate(
        *(place.machine_id, place.label, place.device, place.backend),
        *waited,
        *pipelined,
        device_s=step.device_s,
        host_s=step.host_s,
        copy_s=step.copy_s,
        set_up_s=schedule_of(scheduled(asked.before)).waited_s,
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
        scope=job.scope,
        python_s=_python(asked, place),
        lacking=_lacking(asked, dispatch),
        kinds=_kinds(asked, times, dispatch),
        **vars(memory_on(job, place)),
    )


def _python(asked: AskedJob, place: Place) -> float:
    points = np.array([one.python_points for one in asked.operations], dtype=float)
    return float(asked.counts @ points) * place.host_point_s


def _lacking(asked: AskedJob, dispatch: Array) -> Shares:
    """Seconds of the calls that only the host can make, by reason, the longest first."""
    found: dict[str, float] = {}
    for one, count, seconds in zip(asked.operations, asked.counts, dispatch, strict=True):
        if one.reason and asked.device == "cuda":
            found[one.reason] = found.get(one.reason, 0.0) + float(count * seconds)
    return tuple(sorted(found.items(), key=lambda item: -item[1]))


def _kinds(asked: AskedJob, times: OperationTimes, dispatch: Array) -> tuple[KindTime, ...]:
    """All operations by kind, those that take longest first."""
    sums: dict[str, list[float]] = {}
    for one, count, device_s, host_s in zip(
        asked.operations, asked.counts, times.middle, dispatch, strict=True
    ):
        of_kind = sums.setdefault(one.kind, [0, 0.0, 0.0])
        for at, value in enumerate((count, count * device_s, count * host_s)):
            of_kind[at] += value
    found = [KindTime(kind, int(of[0]), float(of[1]), float(of[2])) for kind, of in sums.items()]
    return tuple(sorted(found, key=lambda one: -max(one.device_s, one.host_s)))


def _dispatch(job: Job, place: Place, operations: Sequence[Operation]) -> tuple[Array, float]:
    """Seconds of this host for each operation, (m,), and to start a backward pass."""
    if job.library == "numpy":
        spent = array_dispatch_seconds(job, operations, place.device, place.speed)
        return spent, 0.0
    costs = host.costs_of(operations, place.device)
    spent = host.dispatch_seconds(operations, job.training, costs, place.speed)
    return spent, place.host_scale * costs.pass_s


def _calls(
    asked: AskedJob, sequence: Array, dispatch: Array, passing_s: float, device_s: Array
) -> Calls:
    operations = asked.operations
    one_clock = asked.device == "cpu"
    starts = host.passes(operations, sequence)
    copies = np.array([one.kind in COPIES for one in operations], dtype=bool)
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
    return operation.kind in COPIES and apart


def _intervals(
    job_parts: _Parts,
    step: Step,
    place: Place,
    times: OperationTimes,
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
        "kernels": (step.device_s, times.spread(np.where(copies, 0.0, spent), _JOB_SIGMA)),
        "copies": (step.copy_s, times.spread(np.where(copies, spent, 0.0), _JOB_SIGMA)),
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
        (step.waited_s, step.pipelined_s), scenarios_of(job_parts, *factors), strict=True
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


def _weakest(basis: Sequence[str], spent: Array) -> str:
    """The basis that says least, of those with a hundredth of the device's time or more."""
    shares: dict[str, float] = {}
    for name, seconds in zip(basis, spent, strict=True):
        shares[name] = shares.get(name, 0.0) + float(seconds)
    least = _LEAST_SHARE * float(spent.sum())
    matter = [name for name, seconds in shares.items() if name and seconds >= least > 0.0]
    ranks = list(BASIS)
    return max(matter, key=lambda name: ranks.index(name) if name in ranks else -1, default="")


def _coverage(asked: AskedJob, near: Array, spent: Array) -> tuple[float, Shares, Shares]:
    """Share of the device's time in operations that are measured; the other kinds; the unknown."""
    total = float(spent.sum())
    if not total > 0.0:
        return 1.0, (), ()
    shares = spent / total
    of, cell, _ = asked.cells_of
    away = np.bincount(of, ~near[cell], len(spent)) > 0.0
    away |= np.array([not answer.exact for answer in asked.answers], dtype=bool)
    unknown = [not answer.known for answer in asked.answers]
    share = max(0.0, 1.0 - float(shares[away].sum()))
    return share, _by_kind(asked, shares, away), _by_kind(asked, shares, unknown)


def _by_kind(asked: AskedJob, shares: Array, chosen: Sequence[bool] | Array) -> Shares:
    kinds: dict[str, float] = {}
    for one, share, here in zip(asked.operations, shares, chosen, strict=True):
        if here and share > 0.0:
            kinds[one.kind] = kinds.get(one.kind, 0.0) + float(share)
    return tuple(sorted(kinds.items(), key=lambda item: -item[1]))


def _top(
    asked: AskedJob, times: OperationTimes, dispatch: Array, copies: Array, bound: str
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


def _notes(job: Job, place: Place) -> tuple[str, ...]:
    halves = any(tensor.dtype in HALF_TYPES for one in job.operations for tensor in one.inputs)
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
    shown["kinds"] = [{**vars(one)} for one in estimate.kinds]
    shown["lacking"] = dict(estimate.lacking)
    return shown
