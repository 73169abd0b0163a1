"""Reading a run's Parquet file that nobody vouches for, without storing it.

A few kB of Parquet can stand for GBs: pages compress, dictionaries repeat one long text, one list
can have 10^9 equal elements, and a footer or a page header may say what it likes. So the bytes
are decoded in a process of their own whose memory and time are bounded by the kernel; what comes
back is a small Arrow table, or one line that says why not. Nothing is written to disk.

``python -m collector.dataset.untrusted_run`` is that process: a file on standard input, the table
as an Arrow stream on standard output, or the reason on standard error and exit code 2.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from collector.dataset.parquet_checks import DAMAGE, check_footer, check_lengths, first_line, run_of
from collector.dataset.read import conform
from collector.errors import DatasetError
from collector.schema import MACHINE_METADATA_KEY, RUN_METADATA_KEY
from collector.shipped import ROOT

#: Runs are of 0.4 to 3 MB, 400 to 2,500 rows, 1 to 5 MiB in memory.
MAX_BYTES = 16 * 2**20
MAX_ROWS = 100_000
MAX_TABLE_BYTES = 64 * 2**20

# A footer is 33 kB (78 columns); one with 10,000 columns, or with a name of 10^6 characters, is
# refused before it is parsed.
_MAX_FOOTER = 2**20

_MEMORY = 256 * 2**20  # what the process may take beyond what it has after its imports
_CPU_S = 20
_WALL_S = 40
_MOST_AT_ONCE = 2
_WAIT_S = 20.0  # for one of those to end
_BATCH_ROWS = 256
_REFUSED, _EXHAUSTED = 2, 3

_places = threading.BoundedSemaphore(_MOST_AT_ONCE)


@dataclass(frozen=True)
class UntrustedRun:
    """A run's fingerprint, summary, and rows with exactly the schema's columns."""

    machine: dict[str, Any]
    run: dict[str, Any]
    table: pa.Table


def read_untrusted_run(data: bytes) -> UntrustedRun:
    """The run in a Parquet file's bytes.

    Two files are read at once, whichever threads ask. Raises DatasetError with the reason, on one
    line, without a file's name: too large, not Parquet, damaged, not of the collector, out of all
    proportion, or too many at once.
    """
    check_envelope(data)
    if not _places.acquire(timeout=_WAIT_S):
        raise DatasetError("other files are being read just now; try again in a minute")
    try:
        done = _decode_apart(data)
    finally:
        _places.release()
    if done.returncode == _REFUSED:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise DatasetError(lines[-1] if lines else "cannot be read")
    if done.returncode != 0:
        raise DatasetError(
            f"unpacks to more than {_MEMORY / 2**20:g} MiB, or breaks its reader; a run of the "
            "collector has a few MiB"
        )
    table = pa.ipc.open_stream(done.stdout).read_all()
    machine = json.loads(table.schema.metadata[MACHINE_METADATA_KEY])
    run = json.loads(table.schema.metadata[RUN_METADATA_KEY])
    return UntrustedRun(machine, run, table.replace_schema_metadata(None))


def _decode_apart(data: bytes) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {
        "ARROW_DEFAULT_MEMORY_POOL": "system",  # the others reserve more than they use
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    try:
        return subprocess.run(
            [sys.executable, "-m", "collector.dataset.untrusted_run"],
            input=data,
            capture_output=True,
            cwd=ROOT,
            env=environment,
            timeout=_WALL_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DatasetError(f"takes more than {_WALL_S} s to read; a run takes one") from error
    except OSError as error:
        raise DatasetError(f"cannot be read just now: {error.strerror or error}") from error


def check_envelope(data: bytes) -> None:
    """Raises DatasetError for bytes that cannot be a run's file, without parsing anything."""
    if len(data) > MAX_BYTES:
        raise DatasetError(
            f"larger than {MAX_BYTES / 2**20:g} MiB; a run has 1 to 3 MB. Put larger files into "
            "the dataset's directory"
        )
    if len(data) < 12 or data[:4] != b"PAR1" or data[-4:] != b"PAR1":
        raise DatasetError("not a Parquet file; upload what `python -m collector run` wrote")
    footer = int.from_bytes(data[-8:-4], "little")
    if footer > _MAX_FOOTER:
        raise DatasetError(f"its footer has {footer:,} bytes; that of a run has about 33,000")


def decode(data: bytes) -> UntrustedRun:
    """As ``read_untrusted_run``, in this process: bounds on what is decoded, not on memory."""
    check_envelope(data)
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        check_footer(file.metadata, len(data))
        if file.metadata.num_rows > MAX_ROWS:
            raise DatasetError(f"{file.metadata.num_rows:,} rows; a run has {MAX_ROWS:,} at most")
        machine, run = run_of(file)
        batches, size = [], 0
        for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
            size += batch.nbytes
            if size > MAX_TABLE_BYTES:
                raise DatasetError(
                    f"unpacks to more than {MAX_TABLE_BYTES / 2**20:g} MiB; a run has a few MiB"
                )
            batches.append(batch)
        table = conform(pa.Table.from_batches(batches, file.schema_arrow))
        table.validate(full=True)
    except DAMAGE as error:
        if isinstance(error, MemoryError):
            raise
        raise DatasetError(f"damaged: {first_line(error)}") from error
    for field in table.schema:
        check_lengths(field.name, table[field.name])
    return UntrustedRun(machine, run, table)


def _limit_this_process() -> None:
    """Bound memory and processor time of this process, where the system can."""
    pa.set_cpu_count(1)
    try:
        import resource
    except ImportError:  # not a Unix: what is decoded is still bounded
        return
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + _MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> int:
    """Standard input to standard output, within bounds."""
    _limit_this_process()
    try:
        found = decode(sys.stdin.buffer.read(MAX_BYTES + 1))
    except DatasetError as error:
        print(str(error), file=sys.stderr)
        return _REFUSED
    except MemoryError:
        return _EXHAUSTED
    table = found.table.replace_schema_metadata(
        {
            MACHINE_METADATA_KEY: json.dumps(found.machine).encode(),
            RUN_METADATA_KEY: json.dumps(found.run).encode(),
        }
    )
    with pa.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
        stream.write_table(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
