"""Text for people: escaping of dataset strings, numbers with units, cells safe in a spreadsheet."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_BLANKS = re.compile(r"\s+")
_WORD_JOINER = "\u2060"
_SI_STEPS = (
    (1e15, "P"),
    (1e12, "T"),
    (1e9, "G"),
    (1e6, "M"),
    (1e3, "k"),
    (1.0, ""),
    (1e-3, "m"),
    (1e-6, "µ"),
    (1e-9, "n"),
)
#: Stands where there is no value (an en dash).
NO_VALUE = "\u2013"

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")

MODE_NAMES = {
    "first_call": "first call",
    "hot": "operation alone",
    "cold": "cold caches",
    "resident": "data on the device",
    "end_to_end": "with transfers",
}


def escape(text: object) -> str:
    """Make a string from a dataset mean itself in Markdown: no link, image, colour or formula.

    Web and mail addresses get an invisible word joiner, because Markdown links them even
    without any mark-up.
    """
    plain = _BLANKS.sub(" ", str(text))
    plain = plain.replace("://", f":{_WORD_JOINER}//").replace("@", f"{_WORD_JOINER}@")
    plain = re.sub(r"(?i)www\.", f"www{_WORD_JOINER}.", plain)
    return _PUNCTUATION.sub(r"\\\1", plain)


def is_known(value: Any) -> bool:
    """Whether it is a finite number: None, NaN and pandas' NA are not."""
    return value is not None and not pd.isna(value) and math.isfinite(value)


def si(value: Any, unit: str, digits: int = 3) -> str:
    """Number with an SI prefix, such as ``12.3 TFLOP/s``; a dash where there is none."""
    if not is_known(value):
        return NO_VALUE
    value = float(value)
    if value == 0:
        return f"0 {unit}"
    rounded = float(f"{value:.{digits}g}")
    scale, prefix = next(
        ((scale, prefix) for scale, prefix in _SI_STEPS if abs(rounded) >= scale), _SI_STEPS[-1]
    )
    return f"{rounded / scale:.{digits}g} {prefix}{unit}"


def seconds(value: Any) -> str:
    """Duration for reading: SI below a minute, then minutes, hours and days."""
    if not is_known(value) or float(value) < 60:
        return si(value, "s")
    value = float(value)
    for limit, size, unit in ((3600, 60, "min"), (86400, 3600, "h"), (math.inf, 86400, "d")):
        if value < limit:
            return f"{value / size:.3g} {unit}"
    return si(value, "s")


def gibibytes(value: Any) -> str:
    """Bytes as GiB."""
    return f"{float(value) / 2**30:,.1f} GiB" if is_known(value) else NO_VALUE


def dtype_name(dtype: str, math_mode: str | None) -> str:
    """Element type as people name it: float32 operands multiplied as tf32 are ``tf32``."""
    return "tf32" if math_mode == "tf32" else dtype


def split_dtype(name: str) -> tuple[str, str]:
    """Inverse of ``dtype_name``: element type and math mode."""
    return ("float32", "tf32") if name == "tf32" else (name, "ieee")


def params_text(params: Any) -> str:
    """Parameters of a case as ``m=10, n=20``; accepts a mapping or a list of pairs."""
    if params is None:
        return ""
    pairs = params.items() if isinstance(params, Mapping) else params
    return ", ".join(f"{name}={int(value)}" for name, value in sorted(pairs))


def reasons_text(reasons: Any) -> str | None:
    """Reasons for noise, comma-separated as in the dataset, in words; None where there are none."""
    if not isinstance(reasons, str):
        return None
    named = dict.fromkeys(part.strip() for part in reasons.split(",") if part.strip())
    return ", ".join(name.replace("_", " ") for name in named) or None


def unique_names(labels: dict[str, str]) -> dict[str, str]:
    """Display name per machine id: the label, with the id's start where two would be the same."""
    counts = Counter(labels.values())
    return {
        key: label if label and counts[label] == 1 else f"{label or 'machine'} ({key[:8]})"
        for key, label in labels.items()
    }


def time_unit(values: Iterable[float]) -> tuple[float, str]:
    """Factor and unit that show most of these seconds as figures of ordinary length."""
    known = sorted(value for value in values if value > 0 and math.isfinite(value))
    middle = known[len(known) // 2] if known else 1.0
    return next(
        (
            (factor, unit)
            for limit, factor, unit in ((1e-4, 1e6, "µs"), (0.1, 1e3, "ms"))
            if middle < limit
        ),
        (1.0, "s"),
    )


def unformula(text: str) -> str:
    """The text with a leading apostrophe if a spreadsheet would read it as a formula."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else text


def spreadsheet_safe(frame: pd.DataFrame) -> pd.DataFrame:
    """Copy whose text cells no spreadsheet reads as a formula."""
    safe = frame.copy()
    for column in safe.columns:
        kind = safe[column].dtype
        if pd.api.types.is_string_dtype(kind) or pd.api.types.is_object_dtype(kind):
            safe[column] = [
                unformula(cell) if isinstance(cell, str) else cell for cell in safe[column]
            ]
    return safe
