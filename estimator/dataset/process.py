"""Making the index of a large dataset in a process of its own: its memory ends with it.

python -m estimator.dataset.process DIRECTORY ... makes the index, or brings it up to date.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from collector.dataset.file_keys import find_files
from collector.shipped import ROOT
from estimator.dataset.index import find_index

#: Reading new files of this size (B) takes a second, and memory that Python does not give back.
_OWN_PROCESS_BYTES = 8 * 2**20
_TIME_LIMIT_S = 300.0  # whoever opens the dataset meanwhile waits


def prepare_index(paths: Sequence[Path]) -> None:
    """Make the index of a dataset in another process if that takes long; else do nothing.

    Whoever opens the dataset next finds the index ready. Nothing depends on it: where the other
    process fails or takes too long, opening the dataset makes the index itself and tells what is
    wrong.
    """
    roots = [path for path in paths if path.is_dir()]
    if not roots or len(roots) < len(paths):
        return
    known = find_index(roots).files
    keys = [key for root in roots for key in find_files(root).values()]
    new = sum(key.size for key in keys if key not in known and key.path.endswith(".parquet"))
    if new < _OWN_PROCESS_BYTES:
        return
    command = [
        sys.executable,
        "-m",
        "estimator.dataset.process",
        *(str(root.absolute()) for root in roots),
    ]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=False,
            timeout=_TIME_LIMIT_S,
            cwd=ROOT,
        )


if __name__ == "__main__":
    from estimator.dataset.measurements import load

    load(*sys.argv[1:])
