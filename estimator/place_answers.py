"""One operation on every place where it can run: a machine's CPU or GPU through a library.

Places are those of the fitted machines that measured the workload in that element type, and any
named GPU or CPU of data/hardware.csv through the same libraries. Operands that are used for
several calls before the result is copied back share one transfer (``amortised``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from collector.errors import BreakevenError, SelectionError
from collector.workloads import get_workload
from estimator.memory import memories
from estimator.unanswered import why_unanswered

if TYPE_CHECKING:
    from estimator.model import About, Model

PLACE = ("machine_id", "device", "backend", "threads")
TIMES = ("seconds_p5", "seconds_p50", "seconds_p95")
Threads = Literal["most", "one", "both"]


@dataclass(frozen=True)
class PlaceQuestion:
    """An operation and how its places are asked.

    ``given`` are the parameters as a person gives them. ``gpu_mode`` is resident or end_to_end
    (or hot for copies within a device). ``sheets`` are names of data/hardware.csv, CPUs with
    ``sheet_cores`` cores of a socket (None: all). ``others`` are machine ids that the model was
    not fitted to. ``reuse`` is the number of calls that share one transfer.
    """

    workload: str
    case: str
    given: tuple[tuple[str, int], ...]
    dtype: str
    math_mode: str = "ieee"
    gpu_mode: str = "end_to_end"
    threads: Threads = "most"
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
    """``table``: one row per place with the columns of a question, of ``Model.predict`` and
    ``memory_warning`` ("", or why it may not fit), fastest first. ``refused``: places without an
    estimate, ``PLACE`` and ``reason``."""

    table: pd.DataFrame
    refused: pd.DataFrame


def answer_places(model: Model, question: PlaceQuestion) -> PlaceAnswers:
    """Time of the operation on every place. Raises SelectionError for an impossible operation."""
    asked = find_places(model, question)
    silent = _silent_devices(model, question, asked)
    if asked.empty:
        return PlaceAnswers(asked, silent)
    memory = pd.Series(memories(model, asked), index=asked.index, dtype=object)
    short = memory.map(lambda one: one.shortage)
    reasons = short.where(short != "").astype(object)
    found = _predicted(model, question, asked[reasons.isna()], reasons)
    unknown = found.index[found["seconds_p50"].isna()]
    for row in unknown:
        reasons[row] = _reason(model, asked.loc[row].to_dict())
    found = found.drop(index=unknown)
    table = asked.loc[found.index].join(amortised(found, question.reuse))
    table["memory_warning"] = [one.warning for one in memory[found.index]]
    refused = asked.loc[reasons.notna(), list(PLACE)].assign(reason=reasons.dropna())
    table = table.sort_values("seconds_p50", ignore_index=True) if len(table) else asked.iloc[:0]
    return PlaceAnswers(table, pd.concat([refused, silent], ignore_index=True))


def _silent_devices(model: Model, question: PlaceQuestion, asked: pd.DataFrame) -> pd.DataFrame:
    """Measured machines of a device on which no place was found: ``PLACE`` and reason."""
    rows = []
    for device in ("cpu", "cuda"):
        if (asked["device"] == device).any():
            continue
        one = {**vars(question), "params": question.params, "device": device}
        one["math_mode"] = "ieee" if device == "cpu" else question.math_mode
        for machine, facts in model.donors.facts.items():
            if facts.cells.get(device, 0):
                reason = why_unanswered(model, {**one, "machine_id": machine})
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
        return model.predict(asked, about=question.about, strict=False)
    except BreakevenError:
        answers = []
    for _, form in asked.groupby(["device", "backend"], sort=False):
        try:
            answers.append(model.predict(form, about=question.about, strict=False))
        except BreakevenError as error:
            reasons[form.index] = str(error)
    return pd.concat(answers) if answers else empty


def find_places(model: Model, question: PlaceQuestion) -> pd.DataFrame:
    """Places (``PLACE``) with the operation as a question to ``Model.predict``."""
    index = model.fit.group.index
    known = index[(index["workload"] == question.workload) & (index["dtype"] == question.dtype)]
    wanted = np.where(known["device"] == "cpu", "ieee", question.math_mode)
    known = known[known["math_mode"] == wanted]
    places = known[list(PLACE)].drop_duplicates(ignore_index=True)
    if question.threads != "both":
        threads = places.groupby(list(PLACE[:3]))["threads"]
        kept = threads.transform("max" if question.threads == "most" else "min")
        places = places[places["threads"] == kept]
    libraries = known[["device", "backend"]].drop_duplicates()
    rows = [
        {**dict(zip(("device", "backend"), library, strict=True)), "machine_id": name}
        for name in _named(model, question)
        for library in libraries.itertuples(index=False, name=None)
        if model.donors.target(name).has(library[0])
    ]
    places = pd.concat([places, pd.DataFrame(rows)], ignore_index=True) if rows else places
    count = len(places)
    params: Any = [question.params] * count
    on_cpu = places["device"] == "cpu"
    places = places.reset_index(drop=True).assign(
        workload=question.workload,
        case=question.case,
        params=params,
        dtype=question.dtype,
        math_mode=np.where(on_cpu, "ieee", question.math_mode),
        mode=np.where(on_cpu, "hot", question.gpu_mode),
    )
    missing = places["threads"].isna()
    if missing.any():
        default = model.donors.default_threads(places[missing])
        places.loc[missing, "threads"] = default if question.threads != "one" else 1.0
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
    from estimator.machine_facts import cpu_name

    names = list(question.others)
    for name in question.sheets:
        facts = model.donors.target(name)
        if facts.cpu is not None and facts.gpu is None and question.sheet_cores is not None:
            most = facts.cpu.cores_per_socket or question.sheet_cores
            name = cpu_name(facts.cpu, min(question.sheet_cores, most))
        names.append(name)
    return list(dict.fromkeys(names))


def _reason(model: Model, row: dict[Any, Any]) -> str:
    label = model.donors.target(str(row["machine_id"])).label
    return f"{label}: {why_unanswered(model, row)}"
