"""The words of an answer, the same on every page and in every command. Plain text, no Markdown.

Which question was answered (``asked_line``), on which place (``place_text``), and the verdict.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from estimator.decide.breakeven import Speedup, Verdict
from estimator.text import WIDTH

if TYPE_CHECKING:
    import pandas as pd

#: What the interval of a speed-up says; a side is named only where all of it lies there.
OPENINGS: dict[Verdict, str] = {
    "gpu": "Yes, the GPU pays",
    "cpu": "No, the CPU is faster",
    "unclear": "Too close to call",
}
#: Where a GPU's data is, by mode.
DATA_PLACES = {
    "resident": "data on the device",
    "end_to_end": "data in host memory, transfers included",
    "hot": "kernel alone, caches warm",
    "cold": "kernel alone, caches cold",
}
_FASTEST = "the fastest library that measured such sizes"


def params_text(given: Sequence[tuple[str, int]] | Mapping[str, int]) -> str:
    """``n=3,000, k=64``."""
    pairs = given.items() if isinstance(given, Mapping) else given
    return ", ".join(f"{name}={value:,}" for name, value in pairs)


def precision_text(dtype: str, math_mode: str) -> str:
    """Element type and the arithmetic: ``float32 (ieee)``."""
    return f"{dtype} ({math_mode})"


def asked_line(
    operation: Mapping[str, Any],
    mode: str,
    *,
    count: str = "",
    library: str | None = None,
    threads: int | None = None,
    boxes: str = "boxes of a type as one",
) -> str:
    """What was asked, in full: for a reader who knows none of the defaults; wrapped.

    ``operation``: workload, case, params, dtype and math_mode; ``count``: "10 x ", say.
    """
    params = params_text(operation["params"])
    words = [
        f"{count}{operation['workload']} {operation['case']}" + (f" ({params})" if params else ""),
        precision_text(operation["dtype"], operation["math_mode"]),
        DATA_PLACES.get(mode, mode),
        library or _FASTEST,
        "all cores" if threads is None else f"{threads} thread{'' if threads == 1 else 's'}",
        boxes,
    ]
    text = f"asked: {'; '.join(word for word in words if word)}"
    return "\n".join(textwrap.wrap(text, WIDTH, subsequent_indent="  "))


def boxes_text(count: int) -> str:
    """`` (5 boxes)``; nothing for one, or where nobody measured."""
    return f" ({count} boxes)" if count > 1 else ""


def place_text(row: Mapping[Any, Any] | pd.Series[Any], machine: str) -> str:
    """One place in full: library, device, machine, threads, where the data is, type and math.

    ``row``: backend, device, threads, mode, dtype, math_mode and, where known, boxes.
    """
    device = "GPU" if row["device"] == "cuda" else "CPU"
    words = [f"{row['backend']} on the {device} of {machine}{boxes_text(int(row['boxes']))}"]
    if device == "CPU":
        words.append(f"{row['threads']} thread{'' if int(row['threads']) == 1 else 's'}")
        words += ["caches cold"] if row["mode"] == "cold" else []
    else:
        words.append(DATA_PLACES.get(str(row["mode"]), str(row["mode"])))
    return ", ".join([*words, precision_text(str(row["dtype"]), str(row["math_mode"]))])


def speedup_text(ratio: Speedup) -> str:
    """``28.1x as fast (22.4x to 35.2x with 90 % confidence)``."""
    return (
        f"{ratio.ratio_p50:,.3g}x as fast ({ratio.ratio_p5:,.3g}x to {ratio.ratio_p95:,.3g}x "
        "with 90 % confidence)"
    )


def verdict_line(ratio: Speedup) -> str:
    """The answer of one question in a line."""
    return (
        f"{OPENINGS[ratio.verdict]}: the GPU is {speedup_text(ratio)}, and the faster one with a "
        f"probability of {ratio.gpu_probability:.1%}"
    )
