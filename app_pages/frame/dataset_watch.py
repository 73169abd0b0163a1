"""When a page looks for new files: not so often that looking, or reading them, is all it does."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from collector.dataset.file_keys import files_stamp

#: Looking at thousands of files takes tens of ms, and a run that grows makes them new each time:
#: after either, the same is not done again before so many times as long have passed.
_LOOK_REST, _OPEN_REST = 100.0, 10.0
_QUICK_S = 0.5  # opening in less than this is done whenever there is something new
_LONGEST_REST_S = 60.0


class DatasetWatch:
    """The state of a dataset's files as it was when last looked at. Safe in any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._paths: tuple[Path, ...] = ()
        self._stamp = ""
        self._rest_until = 0.0

    def stamp(self, paths: Sequence[Path]) -> str:
        """A digest of names, sizes and times of change of the files below these paths."""
        with self._lock:
            if self._paths == tuple(paths) and self._clock() < self._rest_until:
                return self._stamp
            began = self._clock()
            digest = hashlib.sha256()
            for path in paths:
                digest.update(files_stamp(path).encode(errors="surrogateescape"))
            self._paths, self._stamp = tuple(paths), digest.hexdigest()
            now = self._clock()
            self._rest_until = now + _LOOK_REST * (now - began)
            return self._stamp

    def look_again(self) -> None:
        """Look at the next question, however soon: somebody knows that the files have changed."""
        with self._lock:
            self._rest_until = self._clock()

    def opened(self, seconds: float) -> None:
        """Tell how long it took to open what the last stamp stands for."""
        if seconds > _QUICK_S:
            with self._lock:
                rest = min(_OPEN_REST * seconds, _LONGEST_REST_S)
                self._rest_until = max(self._rest_until, self._clock() + rest)
