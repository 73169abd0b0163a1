"""Times as people type them: 45s, 90m, 2h, 1.5d, or plain seconds."""

from __future__ import annotations

import math
import re

from collector.errors import SelectionError

_UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = r"([0-9.]+(?:e[+-]?[0-9]+)?)\s*(s|min|m|h|d)?\s*"


def parse_duration(text: str) -> float:
    """Seconds of "2h", "90m", "45s", "1.5d", "1h30m" or "7200". Raises SelectionError."""
    lowered = text.strip().lower()
    parts = re.findall(_PART, lowered)
    try:
        if not parts or not re.fullmatch(f"(?:{_PART})+", lowered):
            raise ValueError
        if len(parts) > 1 and not all(unit for _, unit in parts):
            raise ValueError
        seconds = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
        if not math.isfinite(seconds):
            raise ValueError
    except ValueError:
        raise SelectionError(
            f"{text[:40]!r} is no time; write seconds, or a number with s, m, h or d, such as 90m"
        ) from None
    return seconds
