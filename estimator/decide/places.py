"""One operation on every place where it can run: a machine type's CPU or GPU through a library.

Places are those of the machine types that measured the workload in that element type, single
boxes where they are asked for, and any named GPU or CPU of data/hardware.csv through the same
libraries. Operands that are used for several calls before the result is copied back share one
transfer (``amortised``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from collector.errors import BreakevenError, SelectionError
from collector.workloads import get_workload
from estimator.answer import About
from estimator.cells.defaults import DATA_PLACE, MATH_MODE, cpu_mode
from estimator.decide.memory import memories
from estimator.model.ask import ask
from estimator.others.unanswered import why_unanswered

if TYPE_CHECKING:
    from estimator.model.model import Model


def type_labels(model: Model) -> dict[str, str]:
    """type id -> name for people, of every machine type."""
    return {type_id: one.label for type_id, one in model.types.types.items()}


PLACE = ("machine_id", "device", "backend", "threads")
TIMES = ("seconds_p5", "seconds_p50", "seconds_p95")
#: Threads of a CPU: the most or one that a place measured, both, or a number.
Threads = Literal["most", "one", "both"] | int


@dataclass(frozen=True)
class PlaceQuestion:
    """An operation and how its places are asked; what is left out is as in ``defaults``.

    ``given`` are the parameters as a person gives them. ``gpu_mode`` is resident or end_to_end
    (or hot for copies within a device). ``named`` are types or boxes that somebody asks for: they
    answer through every library, and boxes for themselves; ``each_box``: so does every box, in
    place of its type. ``about`` is that of boxes: a type's interval is of any machine of it.
    ``only`` leaves out all places but those of some machines, a device, a library (``PLACE``).
    ``sheets`` are names of data/hardware.csv, CPUs with ``sheet_cores`` cores of a socket (None:
    all). ``others`` are machine ids that the model was not fitted to. ``reuse`` is the number of
    calls that share one transfer.
    """

    workload: str
    case: str
    given: tuple[tuple[str, int], ...]
    dtype: str
    math_mode: str = MATH_MODE
    gpu_mode: str = DATA_PLACE
    threads: Threads = "most"
    named: tuple[str, ...] = ()
    each_box: bool = False
    only: tuple[tuple[str, tuple[str, ...]], ...] = ()
    sheets: tuple[str, ...] = ()
    sheet_cores: int | None = None
    others: tuple[str, ...] = ()
    about: About = "machine"
    reuse: float = 1.0

    @property
    def params(self) -> dict[str, int]:
        return get_workload(self.workload).complete(self.case, dict(self.given))

    @property
    def size(self) -> int:
        return get_workload(self.workload).size(self.case, self.params)

    def with_value(self, name: str, value: int) -> PlaceQuestion:
        """The same with one parameter changed."""
        return replace(self, given=tuple((dict(self.given) | {name: value}).items()))


@dataclass(frozen=True)
class PlaceAnswers:
    """``table``: one row per place with the columns of a question and of ``machine_types.ask``,
    label and ``memory_warning`` ("", or why it may not fit), fastest first. ``refused``: places
    without an estimate, ``PLACE`` and ``reason``."""

    table: pd.DataFrame
    refused: pd.DataFrame


def answer_places(model: Model, question: PlaceQuestion) -> PlaceAnswers:
    """Time of the operation on every place. Raises SelectionError for an impossible operation."""
    asked = find_places(model, question)
    silent = _silent_devices(model, question, asked)
    if asked.empty:
        return PlaceAnswers(asked, silent)
    memory = pd.Series(
        memories(model, model.types.on_boxes(asked)), index=asked.index, dtype=object
    )
    short = memory.map(lambda one: one.shortage)
    reasons = short.where(short != "").astype(object)
    found = _predicted(model, question, asked[reasons.isna()], reasons)
    unknown = found.index[found["seconds_p50"].isna()]
    for row in unknown:
        reasons[row] = _reason(model, asked.loc[row].to_dict())
    found = found.drop(index=unknown)
    table = asked.loc[found.index].join(amortised(found, question.reuse))
    table["memory_warning"] = [one.warning for one in memory[found.index]]
    table = table.assign(label=[model.types.label(name) for name in table["machine_id"]])
    refused = asked.loc[reasons.notna(), list(PLACE)].assign(reason=reasons.dropna())
    table = table.sort_values("seconds_p50", ignore_index=True) if len(table) else asked.iloc[:0]
    return PlaceAnswers(table, pd.concat([refused, silent], ignore_index=True))


def _silent_devices(model: Model, question: PlaceQuestion, asked: pd.DataFrame) -> pd.DataFrame:
    """Measured machines of a device on which no place was found: ``PLACE`` and reason."""
    rows = []
    only = dict(question.only)
    for device in only.get("device", ("cpu", "cuda")):
        if (asked["device"] == device).any() or "machine_id" in only:
            continue
        one = {**vars(question), "params": question.params, "device": device}
        one["backend"] = next(iter(only.get("backend", ())), None)
        one["math_mode"] = "ieee" if device == "cpu" else question.math_mode
        for machine, facts in model.donors.facts.items():
            if facts.cells.get(device, 0):
                reason = why_unanswered(model.donors, {**one, "machine_id": machine})
                rows.append((machine, device, "", 1, reason))
    return pd.DataFrame(rows, columns=[*PLACE, "reason"])


def _predicted(
    model: Model, question: PlaceQuestion, asked: pd.DataFrame, reasons: pd.Series[Any]
) -> pd.DataFrame:
    """All places at once, as a call costs more than a row; where a library has no form of the
    case, library by library, and ``reasons`` gets why."""
    empty = pd.DataFrame(columns=list(TIMES), dtype=float)
    if asked.empty:
        return empty
    try:
        return ask(model, asked, question.about, strict=False)
    except BreakevenError:
        answers = []
    for _, form in asked.groupby(["device", "backend"], sort=False):
        try:
            answers.append(ask(model, form, question.about, strict=False))
        except BreakevenError as error:
            reasons[form.index] = str(error)
    return pd.concat(answers) if answers else empty


def find_places(model: Model, question: PlaceQuestion) -> pd.DataFrame:
    """Places (``PLACE``) with the operation as a question to ``Model.predict``."""
    index = model.fit.group.index
    known = index[(index["workload"] == question.workload) & (index["dtype"] == question.dtype)]
    wanted = np.where(known["device"] == "cpu", MATH_MODE, question.math_mode)
    known = known[known["math_mode"] == wanted]
    libraries = known[["device", "backend"]].drop_duplicates()
    places = known[list(PLACE)]
    if not question.each_box:
        of_type = places["machine_id"].map(model.types.of_box)
        alone = places[places["machine_id"].isin(question.named)]
        places = pd.concat([places.assign(machine_id=of_type.fillna(places["machine_id"])), alone])
    places = places.drop_duplicates(ignore_index=True)
    if isinstance(question.threads, int):
        places.loc[places["device"] == "cpu", "threads"] = question.threads
        places = places[_has_cores(model, places, question)].drop_duplicates()
    elif question.threads != "both":
        threads = places.groupby(list(PLACE[:3]))["threads"]
        kept = threads.transform("max" if question.threads == "most" else "min")
        places = places[places["threads"] == kept]
    there = set(places[list(PLACE[:3])].itertuples(index=False, name=None))
    rows = [
        {**dict(zip(("device", "backend"), library, strict=True)), "machine_id": name}
        for name in _named(model, question)
        for library in libraries.itertuples(index=False, name=None)
        if (name, *library) not in there
        and model.donors.target(model.types.boxes_of(name)[0]).has(library[0])
    ]
    places = pd.concat([places, pd.DataFrame(rows)], ignore_index=True) if rows else places
    for name, values in question.only:
        places = places[places[name].isin(values)].reset_index(drop=True)
    count = len(places)
    params: Any = [question.params] * count
    on_cpu = places["device"] == "cpu"
    places = places.reset_index(drop=True).assign(
        workload=question.workload,
        case=question.case,
        params=params,
        dtype=question.dtype,
        math_mode=np.where(on_cpu, MATH_MODE, question.math_mode),
        mode=np.where(on_cpu, cpu_mode(question.gpu_mode), question.gpu_mode),
    )
    missing = places["threads"].isna()
    if missing.any():
        default = model.donors.default_threads(model.types.on_boxes(places[missing]))
        places.loc[missing, "threads"] = 1.0 if question.threads == "one" else default
        if isinstance(question.threads, int):
            places.loc[missing & on_cpu, "threads"] = question.threads
    return places.astype({"threads": "int64"})


def amortised(answer: pd.DataFrame, reuse: float) -> pd.DataFrame:
    """Predictions with one transfer shared by ``reuse`` calls: t - (1 - 1 / reuse) t_transfer.

    Intervals keep their width as factors, as the errors of the parts are not known apart; a
    measured median is of one call with its own transfer, so it goes where calls share one.
    Raises SelectionError unless ``reuse`` is a number of at least 1.
    """
    if not 1.0 <= reuse < np.inf:
        raise SelectionError(f"reuse={reuse:g}: one transfer serves at least one call")
    if reuse == 1.0 or answer.empty:
        return answer
    shared = answer["transfer_s"].to_numpy(dtype=float)
    seconds = answer["seconds_p50"].to_numpy(dtype=float)
    factor = (seconds - shared * (1.0 - 1.0 / reuse)) / seconds
    times = {name: answer[name].to_numpy(dtype=float) * factor for name in TIMES}
    median = answer["measured_median_s"].where(~(shared > 0.0))
    return answer.assign(**times, transfer_s=shared / reuse, measured_median_s=median)


def _named(model: Model, question: PlaceQuestion) -> list[str]:
    """Names of further machines as ``Model.predict`` takes them. Raises SelectionError."""
    from estimator.others.facts import cpu_name

    names = [*question.named, *question.others]
    for name in question.sheets:
        facts = model.donors.target(name)
        if facts.cpu is not None and facts.gpu is None and question.sheet_cores is not None:
            most = facts.cpu.cores_per_socket or question.sheet_cores
            name = cpu_name(facts.cpu, min(question.sheet_cores, most))
        names.append(name)
    return list(dict.fromkeys(names))


def _has_cores(model: Model, places: pd.DataFrame, question: PlaceQuestion) -> pd.Series[bool]:
    """Whether a place has as many cores as are asked for; of named ones the model says it."""
    few = {}
    for name in places.loc[places["device"] == "cpu", "machine_id"].unique():
        cores = model.donors.target(model.types.boxes_of(str(name))[0]).physical_cores
        few[name] = cores is not None and cores < places["threads"].max()
    named = places["machine_id"].isin(question.named)
    on_gpu = places["device"] != "cpu"
    return on_gpu | named | ~places["machine_id"].map(few).fillna(False).astype(bool)


def _reason(model: Model, row: dict[Any, Any]) -> str:
    box = model.types.boxes_of(str(row["machine_id"]), str(row["device"]))[0]
    reason = why_unanswered(model.donors, {**row, "machine_id": box})
    return f"{model.types.label(row['machine_id'])}: {reason}"
