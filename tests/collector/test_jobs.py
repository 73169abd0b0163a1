"""A job's file: what is written is read again, and what is none is refused in one line."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import JobError, OutputError
from collector.jobs import (
    COPY_TO_CPU,
    ITEM_BYTES,
    STAGES,
    VERSION,
    Job,
    JobMemory,
    Operation,
    Phase,
    Recording,
    Tensor,
    job_text,
    parse_job,
    read_job,
    write_job,
)

JOB = Job(
    name="train.py",
    operations=(
        Operation(
            "addmm",
            (Tensor((8,), "bfloat16"), Tensor((4, 6), "bfloat16", (1, 4))),
            (Tensor((4, 8), "bfloat16"),),
            (("beta", 1), ("alpha", 0.5), ("padding", (1, 2)), ("mask", (True, False))),
            flop=384.0,
        ),
        Operation(COPY_TO_CPU, launches=0, bytes_read=4.0, bytes_written=4.0, line="train.py:9"),
    ),
    phases=(Phase("step", 1, (0, 0, 1)),),
    memory=JobMemory(1, 2, 3, 4, 5, 6),
    samples_per_step=4,
    notes=("a note",),
    versions=(("torch", "2.13.0"),),
)

_words = st.text(st.characters(categories=("L", "N"), max_codepoint=1000), max_size=20)
_tensors = st.builds(
    lambda shape, dtype, strided: Tensor(shape, dtype, shape if strided else None),
    st.lists(st.integers(0, 4096), max_size=4).map(tuple),
    st.sampled_from(sorted(ITEM_BYTES)),
    st.booleans(),
)
_values = st.one_of(
    st.integers(-(2**40), 2**40),
    st.booleans(),
    st.floats(-1e15, 1e15),
    _words,
    st.lists(st.integers(0, 99), max_size=3).map(tuple),
)
_operations = st.builds(
    Operation,
    kind=st.from_regex(r"[a-z_][a-z0-9_.]{0,20}", fullmatch=True),
    inputs=st.lists(_tensors, max_size=3).map(tuple),
    outputs=st.lists(_tensors, max_size=2).map(tuple),
    attributes=st.dictionaries(
        st.from_regex(r"[a-z_]{1,9}", fullmatch=True), _values, max_size=3
    ).map(lambda found: tuple(found.items())),
    stage=st.sampled_from(STAGES),
    flop=st.floats(0, 1e20),
    launches=st.integers(0, 99),
    python_points=st.floats(0, 1e6),
    line=_words,
    measured_s=st.floats(0, 1e6),
    reason=_words,
)
_recordings = st.builds(
    Recording,
    wall_s=st.floats(0, 1e6),
    array_s=st.floats(0, 1e6),
    point_s=st.floats(0, 1e-3),
    calls=st.integers(0, 10**9),
    processor=_words,
    threads=st.integers(0, 512),
    complete=st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(operations=st.lists(_operations, min_size=1, max_size=5), data=st.data())
def test_what_is_written_is_read_again(operations: list[Operation], data: st.DataObject) -> None:
    sequence = data.draw(st.lists(st.integers(0, len(operations) - 1), min_size=1, max_size=9))
    job = replace(
        JOB,
        operations=tuple(operations),
        phases=(Phase("step", 2, tuple(sequence)),),
        scope=data.draw(st.sampled_from(("step", "run"))),
        recording=data.draw(st.none() | _recordings),
    )
    assert parse_job(job_text(job).encode()) == job


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_file_cut_or_changed_anywhere_is_read_or_refused_in_one_line(data: st.DataObject) -> None:
    content = bytearray(job_text(JOB).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(len(content) // 2, len(content))) :]
    said = "job.json: "
    try:
        parse_job(bytes(content), "job.json")
    except JobError as error:
        said = str(error)
    assert said.isprintable()
    assert said.startswith("job.json: ")


def _changed(path: str, value: object) -> bytes:
    """The file of ``JOB`` with one entry changed, as "operations.0.flop"."""
    data = json.loads(job_text(JOB))
    *before, last = path.split(".")
    place = data
    for name in before:
        place = place[int(name) if name.isdigit() else name]
    place[int(last) if last.isdigit() else last] = value
    return json.dumps(data).encode()


_WRONG = {
    "breakeven_job": (VERSION + 1, "update it, or trace the program again"),
    "operations.0.kind": ("rm -rf \x1b[2J", "operation 0: its kind is a name such as mm"),
    "operations.0.flop": (-1, "a number of at least 0"),
    "operations.0.launches": (1.5, "a whole number"),
    "operations.0.inputs.0.0": ("float33", "is none of float64"),
    "operations.0.inputs.0.1": ([2**61, 2**61], "no machine holds a tensor"),
    "operations.0.inputs.0.1.0": (10**400, "a whole number of at least 0"),
    "operations.0.inputs.1.2": ([1], "as many strides as dimensions"),
    "operations.0.attributes.alpha": ({"a": 1}, "a number is expected"),
    "operations.0.stage": (["forward"], "is none of forward"),
    "operations.1.line": ("a\x1b[31mb", "printable text"),
    "operations.0.secret": (1, "it has an entry 'secret' that no job has"),
    "phases.0.sequence.0": (2, "numbers of operations, below 2"),
    "phases.0.sequence": ([], "it cannot be empty"),
    "phases": ([], "it cannot be empty"),
    "memory.parameters_bytes": ("1", "a whole number"),
    "training": (1, "true or false"),
    "name": ("x" * 301, "at most 300 characters"),
    "library": ("numpi", "is none of"),
    "scope": ("walk", "is none of step, run"),
    "recording": ({"wall_s": -1}, "wall_s: a number of at least 0"),
    "operations.0.measured_s": ("1", "a number of at least 0"),
    "operations.0.reason": ("a\nb", "printable text"),
}


@pytest.mark.parametrize("path", _WRONG)
def test_a_wrong_entry_is_named(path: str) -> None:
    value, said = _WRONG[path]
    with pytest.raises(JobError) as error:
        parse_job(_changed(path, value), "job.json")
    assert said in str(error.value)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "content",
    [b"", b"PAR1", b"[" * 200_000, b"\xff\xfe", b'{"breakeven_job": NaN}', b"1" * 5000],
    ids=["empty", "parquet", "deep", "no text", "nan", "digits"],
)
def test_what_is_no_json_of_ours_is_refused(content: bytes) -> None:
    with pytest.raises(JobError, match=r"job\.json: no job file"):
        parse_job(content, "job.json")


def test_any_other_json_says_how_to_make_a_job() -> None:
    with pytest.raises(JobError, match=r"trace -o job\.json"):
        parse_job(b'{"a": 1}', "job.json")


def test_a_file_is_written_whole_or_not_at_all(tmp_path) -> None:
    path = tmp_path / "job.json"
    write_job(JOB, path)
    assert read_job(path) == JOB
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OutputError, match="cannot write"):
        write_job(JOB, tmp_path / "missing" / "job.json")
    with pytest.raises(JobError, match="cannot be read"):
        read_job(tmp_path / "none.json")
