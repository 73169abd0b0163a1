"""A run's file that nobody vouches for: read without storing it, or refused within bounds."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from collector.dataset import untrusted_run
from collector.dataset.read import read_dataset
from collector.dataset.untrusted_run import MAX_BYTES, check_envelope, decode, read_untrusted_run
from collector.errors import DatasetError
from collector.schema import SCHEMA
from tests.collector import hostile_files as hostile

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = sorted((ROOT / "data" / "runs").rglob("*.parquet"))


def test_a_shipped_run_is_read_whole():
    found = read_untrusted_run(SHIPPED[0].read_bytes())
    assert found.table.schema.equals(SCHEMA)
    assert len(found.table) == read_dataset(SHIPPED[0]).runs[0].rows
    assert found.machine["cpu"]
    assert found.run["run_id"] in SHIPPED[0].name


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_run_is_within_the_bounds(path):
    assert len(decode(path.read_bytes()).table) > 0


def test_text_of_a_stranger_comes_back_as_it_is():
    text = "<img src=x onerror=alert(1)> [x](javascript:1) =1+1 $x$"
    found = read_untrusted_run(hostile.run(label=text))
    assert found.table["label"].to_pylist() == [text] * 3


def test_columns_that_are_missing_are_empty_and_unknown_ones_are_dropped():
    table = decode(hostile.with_column("new_column", pa.array([1, 2]))).table
    assert table.column_names == SCHEMA.names


ENVELOPES = {
    "empty": (lambda: b"", "not a Parquet file"),
    "a CSV file": (lambda: b"a,b\n1,2\n" * 10, "not a Parquet file"),
    "an archive": (lambda: b"PK\x03\x04" + bytes(100), "not a Parquet file"),
    "cut off": (lambda: hostile.run()[:-100], "not a Parquet file"),
    "too large": (
        lambda: b"PAR1" + bytes(MAX_BYTES) + b"PAR1",
        "larger than 16 MiB; a run has 1 to 3 MB",
    ),
    "10,000 columns": (lambda: hostile.wide(10_000), "its footer has"),
    "a name of a million letters": (
        lambda: hostile.with_column("x" * 10**6, pa.array([1])),
        "its footer has",
    ),
    "a footer that is longer than the file": (
        lambda: b"PAR1" + bytes(50) + (10**5).to_bytes(4, "little") + b"PAR1",
        "damaged: ",
    ),
}

CONTENTS = {
    "600 columns": (lambda: hostile.wide(600), "columns; a run has 76, and at most 500 are read"),
    "texts of zeros": (lambda: hostile.zeros_bomb(100, 1_000_000), "that unpack to 100,0"),
    "a list of 20 million": (
        lambda: hostile.list_bomb(20_000_000),
        "that hold 20,000,000 values in one",
    ),
    "numbers for text": (
        lambda: hostile.with_column("label", pa.array([1])),
        "column label is int64, expected string",
    ),
    "text for numbers": (
        lambda: hostile.with_column("median_s", pa.array(["fast"])),
        "column median_s is string, expected double",
    ),
    "a nested column": (
        lambda: hostile.with_column("status", pa.array([{"a": [{"b": 1}]}])),
        "column status is struct",
    ),
    "no cell ids": (
        lambda: hostile.parquet(pa.table({"run_id": ["r"], "machine_id": ["m"]})),
        "column cell_id is missing",
    ),
    "another program's": (
        lambda: hostile.parquet(pa.table({"a": [1]}), {b"x": b"y"}),
        "not written by the collector",
    ),
    "a newer version": (
        lambda: hostile.parquet(pa.table({"a": [1]}), hostile.metadata(version="999")),
        "written by a newer collector (schema 999",
    ),
    "a version that is text": (
        lambda: hostile.parquet(pa.table({"a": [1]}), hostile.metadata(version="x" * 10_000)),
        "damaged: ",
    ),
    "metadata of another kind": (
        lambda: hostile.parquet(pa.table({"a": [1]}), hostile.metadata(machine=[1])),
        "damaged: its metadata are not JSON objects",
    ),
    "a machine's name that is a list": (
        lambda: hostile.parquet(pa.table({"a": [1]}), hostile.metadata(machine={"label": [1]})),
        "damaged: label in its metadata is of type list, not str",
    ),
    "a number of cores that is text": (
        lambda: hostile.parquet(
            pa.table({"a": [1]}), hostile.metadata(machine={"cpu": {"physical_cores": "many"}})
        ),
        "damaged: cpu physical_cores in its metadata is of type str, not int or float",
    ),
    "a memory that no machine has": (
        lambda: hostile.parquet(
            pa.table({"a": [1]}), hostile.metadata(machine='{"memory_bytes": NaN}')
        ),
        "damaged: memory_bytes in its metadata is beyond 1e+18",
    ),
    "a run's start that is a number": (
        lambda: hostile.parquet(pa.table({"a": [1]}), hostile.metadata(run={"started_at": 5})),
        "damaged: started_at in its metadata is of type int, not str",
    ),
    "metadata nested a million deep": (
        lambda: hostile.parquet(pa.table({"a": [1]}), hostile.metadata(machine="[" * 200_000)),
        "damaged: ",
    ),
    "too many rows": (
        lambda: hostile.parquet(pa.table({"a": pa.nulls(200_000, pa.int8())})),
        "200,000 rows; a run has 100,000 at most",
    ),
    "a long text": (
        lambda: hostile.run(error="e" * 30_000),
        "column error has a text of 30,000 bytes",
    ),
    "a long list": (
        lambda: hostile.list_bomb(200_000),
        "column samples_s has a list of 200,000 values; 100,000 at most",
    ),
    "a long name": (
        lambda: hostile.with_column("x" * 20_000, pa.array([1])),
        "a column's name has 20,000 characters; 200 at most",
    ),
    "one text in many rows": (
        lambda: hostile.dictionary_bomb(50, 2_000_000),
        "unpacks to more than 64 MiB",
    ),
}


@pytest.mark.parametrize(("make", "reason"), ENVELOPES.values(), ids=ENVELOPES)
def test_what_cannot_be_a_run_is_refused_before_it_is_parsed(make, reason):
    data = make()
    with pytest.raises(DatasetError) as refused:
        decode(data)
    assert reason in str(refused.value)
    if not reason.startswith("damaged"):
        with pytest.raises(DatasetError):
            check_envelope(data)


@pytest.mark.parametrize(("make", "reason"), CONTENTS.values(), ids=CONTENTS)
def test_contents_that_no_run_has_are_refused_with_one_line(make, reason):
    with pytest.raises(DatasetError) as refused:
        decode(make())
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_footer_that_lies_about_the_size_is_found_out_while_decoding():
    data = hostile.zeros_bomb(100, 1_000_000)
    with pytest.raises(DatasetError, match="that unpack to"):
        decode(data)
    truth = int(str(_refusal(data)).split("unpack to ")[1].split(";")[0].replace(",", ""))
    lying = hostile.with_lying_footer(data, truth, 1000)
    with pytest.raises(DatasetError, match="unpacks to more than 64 MiB"):
        decode(lying)


def _refusal(data: bytes) -> DatasetError:
    with pytest.raises(DatasetError) as refused:
        decode(data)
    return refused.value


# 14 kB that would be 2 GB, and 31 kB of one list that says it has fewer elements than it has.
BOMBS = {
    "text": lambda: hostile.dictionary_bomb(100, 20_000_000),
    "list": lambda: hostile.with_lying_footer(hostile.list_bomb(20_000_000), 20_000_000, 2_500_000),
}

PEAKS = """
import resource, sys
from pathlib import Path
from collector.errors import DatasetError
from collector.dataset.untrusted_run import read_untrusted_run
def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024
data = sys.stdin.buffer.read()
before = peak()
try:
    read_untrusted_run(data)
except DatasetError as error:
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(peak() - before, child, error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of the Linux kernel")
@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS)
def test_a_bomb_costs_the_caller_nothing_and_its_reader_a_bounded_amount(make):
    data = make()
    assert len(data) < 40_000
    done = subprocess.run(
        [sys.executable, "-c", PEAKS], input=data, capture_output=True, cwd=ROOT, check=True
    )
    here_mib, reader_mib, reason = done.stdout.decode().split(maxsplit=2)
    assert int(here_mib) < 20
    assert int(reader_mib) < 400
    assert reason.startswith("unpacks to more than 256 MiB, or breaks its reader")


def test_a_file_with_some_bytes_changed_is_read_or_refused_and_nothing_else_happens():
    chance = random.Random(20261121)
    good = hostile.run()
    for _ in range(12):
        data = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(4, len(data) - 8)] = chance.randrange(256)
        try:
            found = read_untrusted_run(bytes(data))
        except DatasetError as error:
            reason = str(error)
            assert reason
            assert "\n" not in reason
        else:
            assert found.table.schema.equals(SCHEMA)


def test_two_files_are_read_at_once_and_a_third_is_refused_after_a_while(monkeypatch):
    monkeypatch.setattr(untrusted_run, "_WAIT_S", 0.05)
    inside, go_on = threading.Semaphore(0), threading.Event()

    def waits(*arguments, **options):
        inside.release()
        assert go_on.wait(30)
        raise OSError("no process")

    monkeypatch.setattr(untrusted_run.subprocess, "run", waits)

    def reason():
        with pytest.raises(DatasetError) as refused:
            read_untrusted_run(hostile.run())
        return str(refused.value)

    with ThreadPoolExecutor(2) as threads:
        first = [threads.submit(reason) for _ in range(2)]
        try:
            assert all(inside.acquire(timeout=30) for _ in first)
            assert reason() == "other files are being read just now; try again in a minute"
        finally:
            go_on.set()
        assert [one.result() for one in first] == ["cannot be read just now: no process"] * 2
    assert reason() == "cannot be read just now: no process"


@pytest.mark.parametrize("name", ["600 columns", "texts of zeros", "a long list", "a long name"])
def test_the_same_file_in_a_dataset_is_set_aside(tmp_path, name):
    make, reason = CONTENTS[name]
    (tmp_path / "hostile.parquet").write_bytes(make())
    (tmp_path / "good.parquet").write_bytes(hostile.run())
    dataset = read_dataset(tmp_path)
    assert [path.name for path in dataset.parquet_files] == ["good.parquet"]
    assert reason in dataset.problems[0].reason


def test_one_long_text_in_many_rows_of_a_dataset_is_set_aside_without_unpacking_it(tmp_path):
    (tmp_path / "hostile.parquet").write_bytes(hostile.dictionary_bomb(1000, 2_000_000))
    (problem,) = read_dataset(tmp_path).problems
    assert "column error has a text of 2,000,000 bytes" in problem.reason
