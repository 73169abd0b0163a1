"""A progress line on a terminal, a few plain lines in a log."""

from __future__ import annotations

import sys
import time
from typing import TextIO


class Progress:
    """Shows done of total with the time left, estimated from the pace of this run."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._total = total
        self._started = time.monotonic()
        self._live = self._stream.isatty()
        self._last_tenth = -1

    def show(self, done: int, what: str) -> None:
        """Redraw; in a log, one line each tenth of the way."""
        elapsed = time.monotonic() - self._started
        left = elapsed / done * (self._total - done) if done else 0.0
        share = done / self._total if self._total else 1.0
        if self._live:
            bar = "#" * int(24 * share) + "." * (24 - int(24 * share))
            text = f"[{bar}] {done}/{self._total} cells, {format_seconds(left)} left  {what}"
            self._stream.write("\r" + text[:99].ljust(99))
            self._stream.flush()
        elif int(10 * share) > self._last_tenth:
            self._last_tenth = int(10 * share)
            print(
                f"{done}/{self._total} cells, {format_seconds(elapsed)} elapsed, "
                f"{format_seconds(left)} left",
                file=self._stream,
            )

    def close(self) -> None:
        """Leave the line."""
        if self._live:
            self._stream.write("\r" + " " * 99 + "\r")
            self._stream.flush()


def format_seconds(seconds: float) -> str:
    """42 s, 3 min 20 s, 1 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
