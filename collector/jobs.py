"""A job: what a program asks of a machine, operation by operation, as ``docs/job.md`` defines it.

A job comes from a trace of the user's torch program or a recording of a NumPy one, and is read by
everything that answers for it.
Files come from anywhere: what is read is checked to the last field, and refused in one line.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NoReturn

from collector.errors import JobError, OutputError

#: of the file's form; a reader takes this one and older ones
VERSION = 1

Stage = Literal["forward", "backward", "optimizer", "other"]
STAGES: tuple[Stage, ...] = ("forward", "backward", "optimizer", "other")
Device = Literal["gpu", "cpu"]
DEVICES: tuple[Device, ...] = ("gpu", "cpu")
LIBRARIES = ("torch", "numpy")
Scope = Literal["step", "run"]
SCOPES: tuple[Scope, ...] = ("step", "run")
MATH_MODES = ("ieee", "tf32")

#: element type -> bytes
ITEM_BYTES: Mapping[str, float] = {
    **{"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2},
    **{"complex128": 16, "complex64": 8, "complex32": 4},
    **{"int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1},
    **{"uint16": 2, "uint32": 4, "uint64": 8},
    **{"float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1},
}

#: Kinds that are no operator of a library: copies between host and device, and the host's waiting.
COPY_TO_GPU, COPY_TO_CPU, SYNCHRONIZE = "copy_to_gpu", "copy_to_cpu", "synchronize"

_MOST_BYTES = 256 * 2**20  # of a file
_MOST_SIZE = 2**62
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,99}\Z")
_MOST_TEXT = 300
_MOST_DIMENSIONS = 32


@dataclass(frozen=True)
class Tensor:
    """Shape (elements), element type, and strides (elements) where it is not contiguous."""

    shape: tuple[int, ...]
    dtype: str
    strides: tuple[int, ...] | None = None

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> float:
        return self.count * ITEM_BYTES[self.dtype]

    @property
    def channels_last(self) -> bool:
        """Whether the second dimension lies closest together, as of images in NHWC."""
        strides = self.strides
        return strides is not None and len(strides) >= 4 and strides[1] == 1 and self.shape[1] > 1


#: of an attribute: a number, a word, or numbers in a row
Value = float | int | bool | str | tuple[float | int | bool, ...]


@dataclass(frozen=True)
class Operation:
    """One call of a library: what is computed, on what, and what it takes.

    ``kind``: the library's own name of it ("mm", "convolution_backward", "_foreach_add"), or
    ``COPY_TO_GPU``, ``COPY_TO_CPU``, ``SYNCHRONIZE``. ``inputs`` and ``outputs`` are the tensors
    (of lists all of them, in order); ``attributes`` the other arguments that decide the work
    (stride, padding, groups, causal, ...).

    ``flop``, ``bytes_read`` and ``bytes_written`` are of one call; ``launches`` its kernels (0: a
    view, which only costs the host), ``dispatches`` the calls of the library that the host makes
    for it, and ``python_points`` the program's Python since the call before, in points of the loop
    of the family python_loop (mean of the step's calls). ``line`` says where in the user's program
    ("train.py:54"): of a trace where the host waits, of a recording each call. ``measured_s`` is
    what a call took where it was recorded (mean; 0: not measured). ``reason`` says why an operation
    of a program for the GPU is done by the host ("CuPy has no linalg.eig").
    """

    kind: str
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    attributes: tuple[tuple[str, Value], ...] = ()
    stage: Stage = "forward"
    device: Device = "gpu"
    library: str = "torch"
    math_mode: str = "ieee"
    flop: float = 0.0
    bytes_read: float = 0.0
    bytes_written: float = 0.0
    launches: int = 1
    dispatches: int = 1
    python_points: float = 0.0
    line: str = ""
    measured_s: float = 0.0
    reason: str = ""

    @property
    def dtype(self) -> str:
        """Element type that it computes in: of its first floating-point operand, else of any."""
        tensors = (*self.inputs, *self.outputs)
        floating = [t.dtype for t in tensors if t.dtype.startswith(("float", "bfloat", "complex"))]
        return (floating or [t.dtype for t in tensors] or ["float32"])[0]

    def attribute(self, name: str, default: Value | None = None) -> Value | None:
        return dict(self.attributes).get(name, default)


@dataclass(frozen=True)
class Phase:
    """Operations in the order in which the program asks for them, ``count`` times.

    ``sequence`` are indices into the job's ``operations``.
    """

    name: str
    count: int
    sequence: tuple[int, ...]


@dataclass(frozen=True)
class JobMemory:
    """Bytes on the GPU at the moment of one step that takes most, by what they are for.

    Blocks of the allocator (512 bytes), without what the driver and the libraries take.
    """

    parameters_bytes: int = 0
    gradients_bytes: int = 0
    optimizer_bytes: int = 0
    inputs_bytes: int = 0
    activations_bytes: int = 0
    temporaries_bytes: int = 0
    #: of a recording: arrays that the program holds, where they are kept on the GPU
    arrays_bytes: int = 0

    @property
    def peak_bytes(self) -> int:
        return sum(getattr(self, part.name) for part in fields(self))


@dataclass(frozen=True)
class Recording:
    """What was measured while a program ran and was recorded; seconds without recording's cost.

    ``wall_s``: of the program's own part, from its first line to its last or to the end of the
    window, without imports; ``array_s`` of it in array calls and ``python_s`` between them, in the
    program's Python and in libraries. ``point_s``: of a point of the loop of the family python_loop
    there and then. ``call_cost_s``: what recording took for each of ``calls``
    calls, and was taken off. ``processor`` and ``threads``: where it ran. ``complete``: whether the
    program came to its end.
    """

    wall_s: float = 0.0
    array_s: float = 0.0
    python_s: float = 0.0
    import_s: float = 0.0
    point_s: float = 0.0
    calls: int = 0
    call_cost_s: float = 0.0
    processor: str = ""
    threads: int = 0
    complete: bool = True


@dataclass(frozen=True)
class Job:
    """A program's work: the step that repeats, what it needs, and what is not known of it.

    ``scope``: "step" where the last phase is a step that repeats and the others come before it
    once; "run" where all phases, each as often as it says, are the program from start to end.
    """

    name: str
    operations: tuple[Operation, ...]
    phases: tuple[Phase, ...]
    memory: JobMemory = JobMemory()
    #: trainable and other numbers of the model
    parameters: int = 0
    #: of one step; 0: not known
    samples_per_step: int = 0
    tokens_per_step: int = 0
    #: steps of one pass over the program's data; 0: not known
    steps_per_epoch: int = 0
    training: bool = True
    library: str = "torch"
    scope: Scope = "step"
    recording: Recording | None = None
    #: what a reader should know: stand-ins, what was not covered, what was traced as something else
    notes: tuple[str, ...] = ()
    #: of the tool and the libraries
    versions: tuple[tuple[str, str], ...] = field(default=())

    @property
    def step(self) -> Phase:
        """The phase that repeats: the last one."""
        return self.phases[-1]

    def operations_of(self, phase: Phase) -> tuple[Operation, ...]:
        return tuple(self.operations[index] for index in phase.sequence)


def write_job(job: Job, path: str | os.PathLike[str]) -> None:
    """Write a job whole or not at all. Raises OutputError."""
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        temporary.write_text(job_text(job), encoding="utf-8")
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from None


def job_text(job: Job) -> str:
    """The job as JSON: an operation a line."""
    head = {
        "breakeven_job": VERSION,
        **{
            entry.name: getattr(job, entry.name)
            for entry in fields(job)
            if entry.name not in ("operations", "phases", "memory", "versions", "recording")
        },
        "memory": {name: size for name, size in asdict(job.memory).items() if size},
        **({} if job.recording is None else {"recording": asdict(job.recording)}),
        "versions": dict(job.versions),
    }
    lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
    operations = ",\n  ".join(_compact(_operation_fields(one)) for one in job.operations)
    phases = ",\n  ".join(_compact(asdict(phase)) for phase in job.phases)
    lines += [f' "operations": [\n  {operations}\n ]', f' "phases": [\n  {phases}\n ]']
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _operation_fields(operation: Operation) -> dict[str, Any]:
    """What differs from an operation's defaults."""
    written: dict[str, Any] = {"kind": operation.kind}
    for entry in fields(operation)[1:]:
        value = getattr(operation, entry.name)
        if value == entry.default:
            continue
        if entry.name in ("inputs", "outputs"):
            value = [_tensor_fields(tensor) for tensor in value]
        elif entry.name == "attributes":
            value = dict(value)
        elif isinstance(value, float) and value.is_integer():
            value = int(value)
        written[entry.name] = value
    return written


def _tensor_fields(tensor: Tensor) -> list[Any]:
    plain = [tensor.dtype, list(tensor.shape)]
    return plain if tensor.strides is None else [*plain, list(tensor.strides)]


def read_job(path: str | os.PathLike[str]) -> Job:
    """Read a job. Raises JobError, which names the file, for what is none or was damaged."""
    name = str(path)
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise JobError(f"{name}: cannot be read: {error.strerror or error}") from None
    return parse_job(content, name)


def parse_job(content: bytes, name: str = "the job") -> Job:
    """A job from the bytes of its file. Raises JobError."""
    if len(content) > _MOST_BYTES:
        raise JobError(f"{name}: more than {_MOST_BYTES >> 20} MiB: no job is that long")
    try:
        data = json.loads(content.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise JobError(f"{name}: no job file: not JSON, or damaged") from None
    return _Reader(name).job(data)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(text)


class _Reader:
    """Checks each field of a job's JSON; the first that is wrong is named."""

    def __init__(self, name: str) -> None:
        self.name = name

    def wrong(self, where: str, what: str) -> NoReturn:
        raise JobError(f"{self.name}: {where}: {what}")

    def job(self, data: Any) -> Job:
        version = data.get("breakeven_job") if isinstance(data, dict) else None
        if type(version) is not int:
            raise JobError(
                f"{self.name}: no job file (it has no breakeven_job): make one with "
                "'python -m estimator trace -o job.json -- SCRIPT.py' (torch) or with 'record' "
                "(NumPy)"
            )
        if not 1 <= version <= VERSION:
            raise JobError(
                f"{self.name}: version {version} of a job file; this Breakeven reads up to "
                f"{VERSION}: update it, or trace the program again"
            )
        given = dict(data)
        del given["breakeven_job"]
        self.only(given, Job, "the job")
        operations = tuple(
            self.operation(one, f"operation {index}")
            for index, one in enumerate(self.sequence(given.get("operations"), "operations"))
        )
        phases = tuple(
            self.phase(one, f"phase {index}", len(operations))
            for index, one in enumerate(self.sequence(given.get("phases"), "phases"))
        )
        if not phases or not phases[-1].sequence:
            self.wrong("phases", "the last one is the step that repeats: it cannot be empty")
        library = given.get("library", "torch")
        recording = given.get("recording")
        return Job(
            name=self.text(given.get("name", ""), "name"),
            operations=operations,
            phases=phases,
            memory=self.memory(given.get("memory", {})),
            training=self.truth(given.get("training", True), "training"),
            library=self.one_of(library, LIBRARIES, "library"),
            scope=self.one_of(given.get("scope", "step"), SCOPES, "scope"),
            recording=None if recording is None else self.recording(recording),
            notes=tuple(
                self.text(note, "notes") for note in self.sequence(given.get("notes", []), "notes")
            ),
            versions=tuple(
                (self.text(key, "versions"), self.text(value, "versions"))
                for key, value in self.mapping(given.get("versions", {}), "versions").items()
            ),
            **{
                count: self.whole(given.get(count, 0), count)
                for count in (
                    *("parameters", "samples_per_step"),
                    *("tokens_per_step", "steps_per_epoch"),
                )
            },
        )

    def operation(self, data: Any, where: str) -> Operation:
        given = self.mapping(data, where)
        self.only(given, Operation, where)
        kind = given.get("kind")
        if not isinstance(kind, str) or not _NAME.match(kind):
            self.wrong(where, "its kind is a name such as mm")
        where = f"{where} ({kind})"
        default = Operation(kind)
        tensors = {
            side: tuple(
                self.tensor(one, f"{where} {side}")
                for one in self.sequence(given.get(side, []), f"{where} {side}")
            )
            for side in ("inputs", "outputs")
        }
        attributes = self.mapping(given.get("attributes", {}), f"{where} attributes")
        return Operation(
            kind=kind,
            inputs=tensors["inputs"],
            outputs=tensors["outputs"],
            attributes=tuple(
                (self.key(key, where), self.value(value, f"{where} {key[:40]}"))
                for key, value in attributes.items()
            ),
            stage=self.one_of(given.get("stage", default.stage), STAGES, f"{where} stage"),
            device=self.one_of(given.get("device", default.device), DEVICES, f"{where} device"),
            library=self.one_of(
                given.get("library", default.library), LIBRARIES, f"{where} library"
            ),
            math_mode=self.one_of(
                given.get("math_mode", default.math_mode), MATH_MODES, f"{where} math_mode"
            ),
            line=self.text(given.get("line", ""), f"{where} line"),
            reason=self.text(given.get("reason", ""), f"{where} reason"),
            measured_s=self.amount(given.get("measured_s", 0.0), f"{where} measured_s"),
            flop=self.amount(given.get("flop", 0.0), f"{where} flop"),
            bytes_read=self.amount(given.get("bytes_read", 0.0), f"{where} bytes_read"),
            bytes_written=self.amount(given.get("bytes_written", 0.0), f"{where} bytes_written"),
            launches=self.whole(given.get("launches", 1), f"{where} launches"),
            dispatches=self.whole(given.get("dispatches", 1), f"{where} dispatches"),
            python_points=self.amount(given.get("python_points", 0.0), f"{where} python_points"),
        )

    def tensor(self, data: Any, where: str) -> Tensor:
        if not isinstance(data, list) or len(data) not in (2, 3):
            self.wrong(where, "a tensor is [element type, shape] or [element type, shape, strides]")
        dtype = self.one_of(data[0], tuple(ITEM_BYTES), where)
        shape = self.sizes(data[1], where)
        strides = self.sizes(data[2], where) if len(data) == 3 else None
        if strides is not None and len(strides) != len(shape):
            self.wrong(where, "as many strides as dimensions")
        if math.prod(shape) > _MOST_SIZE:
            self.wrong(where, "no machine holds a tensor of so many elements")
        return Tensor(shape, dtype, strides)

    def phase(self, data: Any, where: str, operations: int) -> Phase:
        given = self.mapping(data, where)
        self.only(given, Phase, where)
        sequence = self.sequence(given.get("sequence"), f"{where} sequence")
        for index in sequence:
            if type(index) is not int or not 0 <= index < operations:
                self.wrong(f"{where} sequence", f"numbers of operations, below {operations}")
        return Phase(
            self.text(given.get("name", ""), f"{where} name"),
            self.whole(given.get("count", 1), f"{where} count"),
            tuple(sequence),
        )

    def memory(self, data: Any) -> JobMemory:
        given = self.mapping(data, "memory")
        self.only(given, JobMemory, "memory")
        return JobMemory(**{key: self.whole(value, key) for key, value in given.items()})

    def recording(self, data: Any) -> Recording:
        given = self.mapping(data, "recording")
        self.only(given, Recording, "recording")
        return Recording(
            **{
                name: self.amount(given.get(name, 0.0), name)
                for name in ("wall_s", "array_s", "python_s", "import_s", "point_s", "call_cost_s")
            },
            calls=self.whole(given.get("calls", 0), "calls"),
            processor=self.text(given.get("processor", ""), "processor"),
            threads=self.whole(given.get("threads", 0), "threads"),
            complete=self.truth(given.get("complete", True), "complete"),
        )

    def only(self, given: Mapping[str, Any], of: type, where: str) -> None:
        known = {entry.name for entry in fields(of)}
        for key in given:
            if key not in known:
                self.wrong(where, f"it has an entry {_short(key)} that no job has")

    def mapping(self, data: Any, where: str) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.wrong(where, "an object is expected")
        return data

    def sequence(self, data: Any, where: str) -> list[Any]:
        if not isinstance(data, list):
            self.wrong(where, "a list is expected")
        return data

    def key(self, key: str, where: str) -> str:
        if not _NAME.match(key):
            self.wrong(where, f"{_short(key)} is no name of an attribute")
        return key

    def value(self, value: Any, where: str) -> Value:
        if isinstance(value, list):
            return tuple(self.plain(one, where) for one in value)
        return self.text(value, where) if isinstance(value, str) else self.plain(value, where)

    def plain(self, value: Any, where: str) -> float | int | bool:
        return value if isinstance(value, bool) else self.number(value, where)

    def number(self, value: Any, where: str) -> float | int:
        """Finite, and no longer than a machine's number."""
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _MOST_SIZE:
            self.wrong(where, "a number is expected")
        return value

    def amount(self, value: Any, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e30:
            self.wrong(where, "a number of at least 0 is expected")
        return float(value)

    def whole(self, value: Any, where: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_SIZE:
            self.wrong(where, "a whole number of at least 0 is expected")
        return value

    def sizes(self, value: Any, where: str) -> tuple[int, ...]:
        listed = self.sequence(value, where)
        if len(listed) > _MOST_DIMENSIONS:
            self.wrong(where, f"at most {_MOST_DIMENSIONS} dimensions")
        return tuple(self.whole(one, where) for one in listed)

    def truth(self, value: Any, where: str) -> bool:
        return value if isinstance(value, bool) else self.wrong(where, "true or false is expected")

    def text(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or len(value) > _MOST_TEXT or not value.isprintable():
            self.wrong(where, f"printable text of at most {_MOST_TEXT} characters is expected")
        return value

    def one_of(self, value: Any, allowed: Sequence[Any], where: str) -> Any:
        if not isinstance(value, str) or value not in allowed:
            self.wrong(where, f"{_short(value)} is none of {', '.join(allowed)}")
        return value


def _short(value: Any) -> str:
    """Any value of a file, fit for one line of a message."""
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
