"""What every page needs: the cached dataset and model, headers, captions, empty states."""

from __future__ import annotations

import logging
import os
import shlex
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from app_pages.frame import queries, widgets
from app_pages.frame.dataset_watch import DatasetWatch
from app_pages.frame.garbage import settle
from app_pages.frame.model_process import LocalModel, ModelProcess, RemoteModel, wanted
from app_pages.frame.text import NO_VALUE, escape, unformula, unique_names
from collector.errors import BreakevenError, DatasetError, UserError, WorkerError
from collector.shipped import ROOT, shipped
from estimator.dataset.cache_directory import user_cache_directory
from estimator.dataset.measurements import Measurements, load
from estimator.dataset.process import prepare_index
from estimator.text import plural

DATA_VARIABLE = "BREAKEVEN_DATA"
DEFAULT_DATA = shipped("runs")
_MEMORY_LIMIT = "64MB"  # pages read small tables a part at a time
#: The model answers one question at a time, whoever asks.
OTHERS_WAIT = "Estimates on other pages wait meanwhile"
_ADD_RUN = "python -m collector run --suite quick --out runs"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """The dataset as the pages use it."""

    measurements: Measurements
    fingerprint: str
    paths: tuple[Path, ...]
    machines: pd.DataFrame
    totals: pd.Series

    @property
    def connection(self) -> Any:
        return self.measurements.connection

    @cached_property
    def _facts(self) -> dict[str, dict[str, Any]]:
        rows = self.machines.to_dict("records")
        return {row["name"]: {str(key): value for key, value in row.items()} for row in rows}

    @property
    def names(self) -> dict[str, str]:
        """Machine id -> name for people, unique."""
        return {facts["machine_id"]: name for name, facts in self._facts.items()}

    @property
    def machine_names(self) -> list[str]:
        """All names in the order that fixes a machine's colour on every page."""
        return list(self._facts)

    def machine(self, name: str) -> dict[str, Any]:
        """Facts about the machine with this display name."""
        return dict(self._facts[name])

    def machine_id(self, name: str) -> str:
        """Id of the machine with this display name."""
        return str(self.machine(name)["machine_id"])


def dataset_paths() -> tuple[Path, ...]:
    """Directories or files that the dashboard reads."""
    setting = os.environ.get(DATA_VARIABLE) or str(DEFAULT_DATA)
    return tuple(Path(part) for part in setting.split(os.pathsep) if part)


@st.cache_resource(show_spinner=False)
def _watch() -> DatasetWatch:
    return DatasetWatch()


@st.cache_resource(max_entries=2, show_spinner="Reading the dataset")
def _read(paths: tuple[Path, ...], stamp: str) -> Source:
    began = time.monotonic()
    prepare_index(paths)
    measurements = load(*paths, memory_limit=_MEMORY_LIMIT)
    machines = queries.machines(measurements.connection)
    labels = dict(zip(machines["machine_id"], machines["label"], strict=True))
    names = {key: unformula(name) for key, name in unique_names(labels).items()}
    machines["name"] = machines["machine_id"].map(names)
    machines = machines.sort_values("name", ignore_index=True)
    totals = queries.totals(measurements.connection)
    settle(stamp)
    _watch().opened(time.monotonic() - began)
    return Source(measurements, str(measurements.fingerprint), paths, machines, totals)


@st.cache_resource(show_spinner=False)
def _model_process() -> ModelProcess:
    return ModelProcess()


@st.cache_resource(max_entries=2, show_spinner=False)
def _remote_model(fingerprint: str, paths: tuple[Path, ...]) -> RemoteModel:
    return RemoteModel(_model_process(), paths, fingerprint)


@st.cache_resource(max_entries=2, show_spinner="Fitting the model to the measurements")
def _local_model(fingerprint: str, _measurements: Measurements) -> LocalModel:
    from estimator.model.fit import fit_cached

    return LocalModel(fit_cached(_measurements, user_cache_directory()), _measurements)


def open_dataset(need_rows: bool = True) -> Source:
    """The dataset, or a message that says what to do, and the page ends there."""
    paths = dataset_paths()
    present = tuple(path for path in paths if path.exists())
    if not present:
        listed = ", ".join(f"`{_code(path)}`" for path in paths)
        st.warning(f"There is no dataset at {listed}.")
        how_to_add_a_machine(expanded=True)
        st.stop()
    try:
        source = _read(present, _watch().stamp(present))
    except BreakevenError as error:
        st.error(f"The dataset cannot be read: {escape(error)}")
        st.stop()
    if need_rows and source.totals["ok"] == 0:
        st.info("The dataset holds no measured time yet. Measure a machine to fill this page.")
        show_problems(source)
        how_to_add_a_machine(expanded=True)
        st.stop()
    return source


def open_model(source: Source) -> RemoteModel | LocalModel:
    """The model fitted to the dataset, or a message, and the page ends there.

    Draw before what needs no model: the first call of a dataset waits for the fit. Where the fit
    took a selection of the dataset, a caption says which.
    """
    place = st.empty()
    try:
        model: RemoteModel | LocalModel
        if wanted():
            model = _remote_model(source.fingerprint, source.paths)
            if not model.ready:
                with place.container(), st.spinner("Waiting for the model", show_time=True):
                    model.prepare(st.empty().caption)
                place.empty()
        else:
            model = _local_model(source.fingerprint, source.measurements)
        if model.note:
            st.caption(
                f"The model is {escape(model.note)}; the others are estimated through these."
            )
        return model
    except UserError as error:
        if isinstance(error, DatasetError):
            _watch().look_again()
        st.error(f"The model cannot be fitted: {escape(error)}")
    except (WorkerError, ArithmeticError, ValueError, LookupError, TypeError):
        # A dataset from elsewhere may hold what no test foresaw; the other pages still work.
        logger.exception("fitting failed")
        st.error("The model cannot be fitted to this dataset; the server's log says why.")
    return st.stop()


def measured_groups(source: Source) -> pd.DataFrame:
    """What was measured on any machine, for forms that need not wait for the model.

    Columns: workload, case, dtype, math_mode, backend, device, mode.
    """
    return queries.groups(source.connection)


def header(title: str, question: str, method: str) -> None:
    """Title, the one question that the page answers, and a popover with the method."""
    left, right = st.columns([5, 1], vertical_alignment="bottom")
    with left:
        st.title(title, anchor=False)
        st.markdown(question)
    with right, st.popover("Method", width="stretch"):
        st.markdown(method)


def provenance(source: Source, note: str = "") -> None:
    """Caption: which dataset, how much of it, from when to when (UTC)."""
    total = source.totals
    first, last = day(total["first_at"]), day(total["last_at"])
    when = first if first == last else f"{first} to {last}"
    parts = [
        f"Dataset {escape(source.fingerprint[:8])}",
        f"{plural(int(total['runs']), 'run')} on {plural(int(total['machines']), 'machine')}",
        f"measured {when} (UTC)",
        *([note] if note else []),
    ]
    st.caption(" · ".join(parts))


def data_argument(source: Source) -> str:
    """The ``--data`` of a command line that reads the same dataset; empty for the default."""
    alone = len(source.paths) == 1 and source.paths[0].resolve() == DEFAULT_DATA
    if alone and not (ROOT / "runs").is_dir():  # which the command line would read too
        return ""
    return "".join(f" --data {shlex.quote(str(path))}" for path in source.paths)


def day(moment: Any) -> str:
    """Date of a timestamp, a dash where there is none."""
    return NO_VALUE if pd.isna(moment) else f"{pd.Timestamp(moment):%Y-%m-%d}"


def moment(when: Any) -> str:
    """Date and time of a timestamp to the minute, a dash where there is none."""
    return NO_VALUE if pd.isna(when) else f"{pd.Timestamp(when):%Y-%m-%d %H:%M}"


def show_problems(source: Source) -> None:
    """Files that were set aside, with the reason; nothing if there are none."""
    problems = list(source.measurements.problems)
    if not problems:
        return
    st.subheader("Files set aside", anchor=False)
    st.warning(
        f"{plural(len(problems), 'file')} could not be read. The rest of the dataset is shown; "
        "repair, re-run or delete what is listed here."
    )
    rows = [(_short(problem.path, source.paths), str(problem.reason)) for problem in problems]
    widgets.table(
        pd.DataFrame(rows, columns=["File", "Reason"]),
        "Dataset files that could not be read, with the reason",
    )


def how_to_add_a_machine(expanded: bool = False) -> None:
    """The commands that put one more machine into the dataset."""
    with st.expander("Add a machine", expanded=expanded):
        st.markdown(
            "Run the collector on it from a checkout. The quick suite takes about a minute; "
            "`--suite standard` takes several and gives better estimates."
        )
        st.code(f"{_ADD_RUN} --label my-machine", language="bash")
        st.markdown(
            "Copy the directory that it wrote into this dataset. To show several datasets at "
            f"once, list them in `{DATA_VARIABLE}`:"
        )
        st.code(
            f"{DATA_VARIABLE}=data/runs{os.pathsep}runs python -m streamlit run dashboard.py",
            language="bash",
        )
        st.caption("The page notices new files at the next click; no restart is needed.")


def _code(path: Path) -> str:
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    return str(shown).replace("`", "'")


def _short(path: Any, roots: tuple[Path, ...]) -> str:
    for root in roots:
        try:
            return str(Path(path).resolve().relative_to(root.resolve()))
        except ValueError:
            continue
    return str(path)
