"""The columns of an answer, and what they may say."""

from __future__ import annotations

from typing import Literal

#: What a time is made of.
PARTS = ("launch", "compute", "memory", "transfer")

PREDICTION_COLUMNS = (
    *("seconds_p5", "seconds_p50", "seconds_p95"),
    *(f"{part}_s" for part in PARTS),
    *("bound", "basis", "measured_median_s", "measured_n", "n_fit"),
)

#: Of what a question asks: this very machine, or any machine of its type.
About = Literal["machine", "type"]

NORMAL_95 = 1.645  # standard normal quantile: half-width of a 90 % interval per deviation
