"""Where a run grows and where its file goes: a directory, or a store behind a URL.

A run for a URL grows in a directory of this machine's state and is sent when it has ended. What
could not be sent stays there and goes with the next run to that URL, or with --resume.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.dataset.journal import SUFFIX
from collector.dataset.read import read_dataset, read_run
from collector.dataset.storage import Store, as_path, as_url, open_store, shown, state_directory
from collector.errors import DatasetError, OutputError
from collector.machine.fingerprint import Machine
from collector.runs.plan import Plan
from collector.runs.run_files import find_unfinished, nothing_to_resume, selection_of
from collector.workloads import SUITES


@dataclass(frozen=True)
class Destination:
    """``directory`` is where a run grows; ``store``, if any, is where its file is sent."""

    directory: Path
    store: Store | None = None

    def __str__(self) -> str:
        return shown(self.store.url) if self.store else str(self.directory)

    def prepare(self) -> None:
        """Raises OutputError where the store, or the directory for it, cannot be written.

        A plain directory is only looked for here; the journal is what tries it, also before
        anything is measured.
        """
        if self.store is None:
            try:
                self.directory.stat()
            except (FileNotFoundError, NotADirectoryError):
                pass  # the journal makes it, or says why not
            except OSError as error:
                raise OutputError(
                    f"cannot write {self}: {error.strerror}; choose another place with --out"
                ) from error
            return
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.directory):
                pass
        except OSError as error:
            raise OutputError(
                f"cannot write {self.directory}: {error.strerror or error}; a run grows there "
                f"before it is sent to {self}; set XDG_STATE_HOME to another place"
            ) from error
        self.store.check_writable()

    def send_left(self, machine: Machine, to_be_resumed: bool) -> list[str]:
        """Send this machine's runs that an earlier collector could not; their URLs.

        Runs that ended early stay where they are if one is ``to_be_resumed``. Raises
        OutputError.
        """
        if self.store is None:
            return []
        sent = []
        for file in sorted(self.directory.glob(f"*{machine.machine_id[:8]}/*.parquet")):
            try:
                info, _ = read_run(file)
            except DatasetError:
                continue
            early = info.run.get("ended", "complete") != "complete"
            if early and (to_be_resumed or file.with_suffix(SUFFIX).exists()):
                continue
            sent.append(self.deliver(file))
        return sent

    def is_measured(self, machine_id: str, plan: Plan) -> bool:
        """Whether a whole run of the machine with the plan's selection is there, or of more.

        A larger suite counts as well. Raises DatasetError, OutputError.
        """
        if self.store is None:
            return self.directory.exists() and _holds_run(machine_id, plan, self.directory)
        with tempfile.TemporaryDirectory(prefix="breakeven-") as directory:
            self.store.get(self.store.find(machine_id[:8]), Path(directory))
            return _holds_run(machine_id, plan, Path(directory))

    def bring_unfinished(self, plan: Plan, machine: Machine) -> bool:
        """Have the run to go on with in the directory; False if there is none anywhere.

        A run that is here is never older than the same run in the store.
        """
        if self.store is None or find_unfinished(plan, machine, self.directory):
            return True  # for a plain directory ``run_plan`` says it better
        with tempfile.TemporaryDirectory(prefix="breakeven-") as temporary:
            stored = [
                file
                for file in self.store.find(machine.machine_id[:8])
                if file.name.endswith(".parquet")
            ]
            self.store.get(stored, Path(temporary))
            found = find_unfinished(plan, machine, Path(temporary))
            if found is None:
                return False
            target = self.directory / found.relative_to(temporary)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                part = target.with_name(f".{target.name}.part")
                shutil.copyfile(found, part)
                part.replace(target)
            except OSError as error:
                raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
        return True

    def nothing_to_resume(self) -> OutputError:
        return nothing_to_resume(str(self))

    def deliver(self, file: Path) -> str:
        """Where the run's file lies in the end: its path, or its URL once it is there whole.

        Raises OutputError, which names the file that is kept, where it cannot be sent.
        """
        if self.store is None:
            return str(file)
        try:
            url = self.store.put(file, f"{file.parent.name}/{file.name}")
        except OutputError as error:
            if not file.exists():  # another collector sent it at the same time
                return f"{self}/{file.parent.name}/{file.name}"
            raise OutputError(
                f"{error}; the run is kept in {file}, send it by the same command with --resume"
            ) from error
        file.with_suffix(SUFFIX).unlink(missing_ok=True)  # first: alone it would look unfinished
        file.unlink(missing_ok=True)
        return url


def open_destination(out: str | Path) -> Destination:
    """The destination that --out names. Raises OutputError where a package is missing."""
    url = as_url(out)
    if url is None:
        return Destination(as_path(out))
    return Destination(state_directory(url), open_store(url))


def _holds_run(machine_id: str, plan: Plan, directory: Path) -> bool:
    return any(
        info.finished
        and info.machine.get("machine_id") == machine_id
        and info.run.get("ended") == "complete"
        and _covers(info.run.get("selection") or {}, selection_of(plan))
        for info in read_dataset(directory).runs
    )


def _covers(measured: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether the same was selected, whatever the seed, in the same suite or a larger one."""
    if measured.get("suite") not in SUITES:
        return False
    same = all(measured.get(k) == v for k, v in wanted.items() if k not in ("suite", "seed"))
    if "survey" in (measured["suite"], wanted["suite"]):
        return same and measured["suite"] == wanted["suite"]
    return same and SUITES.index(measured["suite"]) >= SUITES.index(wanted["suite"])
