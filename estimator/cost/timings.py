"""For one operation, a time on each instance of a catalogue.

``instance_timings`` is the join of the fitted model, the hardware catalogue and the instances:
an instance with a measured GPU gets the estimate of the machine type with it, another one an
estimate through measured machines scaled by data sheets, and one that cannot do the operation (or
of which too little is known) a row that says why. All intervals are those of a machine type.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from collector.errors import EstimateError, SelectionError
from collector.workloads import get_workload
from estimator.answer import PREDICTION_COLUMNS
from estimator.catalogue.cpus import is_fixed
from estimator.catalogue.hardware import shipped_hardware
from estimator.catalogue.hardware_specs import CpuSpec, GpuSpec, HardwareSpec
from estimator.catalogue.instance_families import vcpus_per_core, why_unknown
from estimator.catalogue.instances import Instance
from estimator.cells.defaults import MATH_MODE, cpu_mode, fastest_first, gpu_mode
from estimator.cells.questions import check_forms
from estimator.decide.memory import GIB, judge
from estimator.model.ask import ask
from estimator.others.facts import cpu_name
from estimator.others.unanswered import why_unanswered

if TYPE_CHECKING:
    from estimator.model.model import Model


@dataclass(frozen=True)
class InstanceAnswer:
    """One instance's timing: a row of ``Model.predict``, whose measurements, through what."""

    estimate: Mapping[str, Any]
    machine: str
    backend: str
    note: str = ""


def instance_timings(
    model: Model, instances: Sequence[Instance], question: Mapping[str, Any]
) -> pd.DataFrame:
    """A row per instance, in the given order.

    ``question``: workload, case, params, dtype and where present math_mode, mode (of GPU
    instances) and backend; what is left out is as in ``defaults``.

    Columns: key, provider, instance, region, gpu, gpu_count, vcpu, as_of, device, backend,
    machine (label of the machine type whose measurements answer), note, excluded ("" or why the
    instance cannot be timed), and the columns of ``Model.predict``. On an instance of a
    measured machine's GPU the basis is that machine's, and the interval has the spread
    between machines of one type in it.
    Raises SelectionError for an unknown workload, case or parameter.
    """
    family = get_workload(str(question["workload"]))
    params = family.complete(str(question["case"]), dict(question["params"]))
    given = {"math_mode": MATH_MODE, "backend": None, **question}
    mode = gpu_mode(family.name, str(given["case"]), given.get("mode"))
    asked = {**given, "mode": mode, "params": params}
    targets = {instance.key: target_of(model, instance) for instance in instances}
    estimates = _estimates(model, sorted({t for t in targets.values() if t is not None}), asked)

    @cache  # instances share few processors
    def reasons(machine: str, device: str) -> str:
        box = model.types.boxes_of(machine, device)[0]
        return why_unanswered(model.donors, {**asked, "machine_id": box, "device": device})

    answer = partial(
        _answer, model=model, targets=targets, estimates=estimates, reasons=reasons, asked=asked
    )
    return timing_rows(instances, answer)


def timing_rows(
    instances: Sequence[Instance], answer: Callable[[Instance], InstanceAnswer]
) -> pd.DataFrame:
    """The table of ``instance_timings``; what an answer raises is why its instance has none."""
    rows = []
    for instance in instances:
        row: dict[str, Any] = {
            "key": instance.key,
            "provider": instance.provider,
            "instance": instance.instance,
            "region": instance.region,
            "gpu": instance.gpu,
            "gpu_count": instance.gpu_count,
            "vcpu": instance.vcpu,
            "as_of": instance.as_of,
            "device": instance.device,
            "backend": "",
            "machine": "",
            "note": "",
            "excluded": "",
            **dict.fromkeys(PREDICTION_COLUMNS, np.nan),
            "bound": "",
            "basis": "",
        }
        try:
            found = answer(instance)
            row |= {"backend": found.backend, "machine": found.machine, "note": found.note}
            row |= {name: found.estimate.get(name, np.nan) for name in PREDICTION_COLUMNS}
        except EstimateError as error:
            row["excluded"] = str(error)
        rows.append(row)
    return pd.DataFrame(rows)


def spec_of(instance: Instance) -> HardwareSpec | None:
    return next((spec for spec in shipped_hardware() if spec.name == instance.hardware), None)


def target_of(model: Model, instance: Instance) -> tuple[str, str] | None:
    """(whom to ask, device): the measured machine type with this GPU, or a name."""
    spec = spec_of(instance)
    if isinstance(spec, GpuSpec):
        return model.types.with_gpu(spec.name) or spec.name, "cuda"
    if isinstance(spec, CpuSpec):
        if not is_fixed(spec.architecture):
            return None
        cores = instance.vcpu // vcpus_per_core(instance.provider, instance.instance, spec)
        return cpu_name(spec, max(1, cores)), "cpu"
    return None


def _estimates(
    model: Model, targets: Sequence[tuple[str, str]], asked: Mapping[str, Any]
) -> dict[tuple[str, str], tuple[str, dict[str, Any]]]:
    """(machine, device) -> backend and estimate of the library that speaks for it.

    Measured types are asked too: what they measured says which library speaks for the others.
    """
    index = model.fit.group.index
    measured = index.loc[index["workload"] == asked["workload"], ["device", "backend"]]
    pairs = sorted(set(measured.itertuples(index=False, name=None)))
    if not any(device == "cuda" for device, _ in pairs):
        pairs.append(("cuda", "torch"))  # published kernel times may answer
    tables = []
    for device, backend in pairs:
        names = [name for name, on in targets if on == device]
        if not names or asked["backend"] not in (None, backend):
            continue
        own = index[(index["device"] == device) & (index["backend"] == backend)]
        types = {model.types.of_box.get(str(box), str(box)) for box in own["machine_id"]}
        cell = {name: asked[name] for name in ("workload", "case", "params", "dtype", "math_mode")}
        cell |= {"device": device, "backend": backend, "threads": None}
        cell["mode"] = asked["mode"] if device == "cuda" else cpu_mode(asked["mode"])
        cells = pd.DataFrame([{**cell, "machine_id": one} for one in sorted({*names, *types})])
        with contextlib.suppress(EstimateError):  # a library without a form of the case
            check_forms(cells, model.forms)
            tables.append(cells)
    answers = [
        cells[["machine_id", "device", "backend"]].join(found)
        for cells, found in _answered(model, tables)
    ]
    if not answers:
        return {}
    table = pd.concat(answers, ignore_index=True)
    best = fastest_first(table[table["seconds_p50"].notna()])
    best = best.drop_duplicates(["machine_id", "device"])
    return {
        (row["machine_id"], row["device"]): (row["backend"], {str(k): v for k, v in row.items()})
        for row in best.to_dict("records")
    }


def _answered(
    model: Model, tables: Sequence[pd.DataFrame]
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Tables of cells, one a library, with their estimates: all together where that can be."""
    if not tables:
        return
    together = pd.concat(tables, ignore_index=True)
    try:
        yield together, ask(model, together, strict=False)
    except (EstimateError, SelectionError):
        for cells in tables:
            # a library that does not answer here; another one may
            with contextlib.suppress(EstimateError, SelectionError):
                yield cells, ask(model, cells, strict=False)


def _answer(
    instance: Instance,
    model: Model,
    targets: Mapping[str, tuple[str, str] | None],
    estimates: Mapping[tuple[str, str], tuple[str, dict[str, Any]]],
    reasons: Callable[[str, str], str],
    asked: Mapping[str, Any],
) -> InstanceAnswer:
    """Raises EstimateError with the reason why the instance cannot be timed."""
    target = require_target(instance, targets[instance.key])
    name, device = target
    if target not in estimates:
        raise EstimateError(reasons(name, device))
    backend, estimate = estimates[target]
    given = instance.gpu_memory_gib if device == "cuda" else instance.memory_gib
    memory = judge(asked, backend, device, np.nan if given is None else given * GIB)
    if memory.shortage:
        raise EstimateError(memory.shortage)
    label, note = who_answers(model, instance, target)
    if memory.warning:
        note += f"; {memory.warning}" if note else memory.warning
    return InstanceAnswer(estimate, label, backend, note)


def require_target(instance: Instance, target: tuple[str, str] | None) -> tuple[str, str]:
    """The target of an instance. Raises EstimateError where its processor is not known."""
    spec = spec_of(instance)
    if isinstance(spec, CpuSpec) and not is_fixed(spec.architecture):
        raise EstimateError(f"the provider does not fix which processor it is ({spec.name})")
    if target is None or spec is None:
        raise EstimateError(why_unknown(instance.provider, instance.instance))
    return target


def who_answers(model: Model, instance: Instance, target: tuple[str, str]) -> tuple[str, str]:
    """The label of the machine type whose measurements answer, and what to say of that."""
    name, device = target
    facts = model.donors.target(model.types.boxes_of(name, device)[0])
    donors = model.donors.of(facts, device)
    own = facts.cells.get(device, 0) > 0
    label = model.types.label(name) if own else donors[0].label if donors else ""
    note = "" if own else f"scaled by data sheets from {label}"
    spec = spec_of(instance)
    if isinstance(spec, CpuSpec) and spec.clock_kind == "max":
        note += f"; the clock of {spec.name} is an upper limit"
    return label, note
