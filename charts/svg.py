"""Charts as SVG files, drawn by a process of its own.

The renderer is a JavaScript engine that takes some 100 MB and gives them back only at the end of
its process, so each file gets a process: this module run as ``python -m charts.svg``.
"""

from __future__ import annotations

import datetime
import json
import math
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from collector.errors import WorkerError
from collector.shipped import ROOT

WIDTH_PX = 900
_TIME_LIMIT_S = 60.0
_ONE_AT_A_TIME = threading.Lock()


def to_svg(
    spec: Mapping[str, Any], tables: Mapping[str, bytes], config: Mapping[str, Any], alt: str
) -> str:
    """The chart as an SVG document named ``alt``.

    ``tables`` are Arrow streams by the names that ``spec`` uses; ``config`` is a Vega-Lite
    configuration, over which the chart's own wins. Raises WorkerError where the renderer refuses
    the chart, ends or takes too long.
    """
    whole = {
        "width": WIDTH_PX,
        "autosize": {"type": "fit", "contains": "padding"},
        **spec,
        "datasets": {name: _rows(stream) for name, stream in tables.items()},
    }
    request = json.dumps({"spec": whole, "config": config})
    try:
        with _ONE_AT_A_TIME:
            answer = subprocess.run(
                [sys.executable, "-m", "charts.svg"],
                input=request,
                capture_output=True,
                text=True,
                encoding="utf-8",
                cwd=ROOT,
                timeout=_TIME_LIMIT_S,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise WorkerError("timeout", f"the chart took over {_TIME_LIMIT_S:.0f} s") from error
    except OSError as error:
        raise WorkerError("crashed", f"the chart's renderer did not start: {error}") from error
    if answer.returncode != 0:
        last = answer.stderr.strip().splitlines()[-1:] or [f"exit code {answer.returncode}"]
        raise WorkerError("error", f"the chart could not be drawn: {last[0]}")
    return _described(answer.stdout, alt)


def _described(document: str, alt: str) -> str:
    """The document with ``alt`` where screen readers look: the renderer drops a description."""
    head, end, rest = document.partition(">")
    label = quoteattr(alt)
    return f'{head} role="img" aria-label={label}{end}<title>{escape(alt)}</title>{rest}'


def _rows(stream: bytes) -> list[dict[str, Any]]:
    """An Arrow stream as the rows of a Vega-Lite dataset."""
    import pyarrow as pa

    with pa.ipc.open_stream(stream) as reader:
        rows = reader.read_all().to_pylist()
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no word for it, Vega-Lite leaves the mark out
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    return value


def _render() -> int:
    """A request on standard input, the SVG document on standard output; nothing is fetched."""
    import vl_convert

    request = json.load(sys.stdin)
    try:
        document = vl_convert.vegalite_to_svg(
            request["spec"], config=request["config"], allowed_base_urls=[]
        )
    except ValueError as error:
        print(str(error).strip().splitlines()[0], file=sys.stderr)
        return 1
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stdout.write(document)
    return 0


if __name__ == "__main__":
    sys.exit(_render())
