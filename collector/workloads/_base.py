"""What a family of workloads must state: parameters and words, grid and survey, inputs, operation,
check, work, and what its parameters mean for its speed.

A module of this package imports numpy only; torch, cupy and numba are imported inside the
functions that a worker process calls, so that listing and planning stay fast and need no GPU.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from collector.errors import SelectionError
from collector.jobs import Operation
from collector.workloads._job_memory import RUNTIME_BYTES, JobMemory
from collector.workloads._labels import Label
from collector.workloads._limits import Limit
from collector.workloads._operations import Measured
from collector.workloads._parameters import (
    are_sizes,
    first_wrong,
    same_length,
    whole,
    with_defaults,
)
from collector.workloads._shape import Question, Shape
from collector.workloads._survey import Space
from collector.workloads._types import ElementType
from collector.workloads._work import Count, Floats, Truths, Work

if TYPE_CHECKING:
    from collector.backends.base import Backend

Params = Mapping[str, int]
Arrays = tuple[np.ndarray[Any, Any], ...]
Function = Callable[..., Any]

#: From small to large, each with what the one before it has; and the survey beside them.
SUITES = ("quick", "standard", "full", "survey")
_DISTINCT_VALUES = 4_194_301
_REMEMBERED_FROM = 2**18  # elements; making fewer anew is fast


@dataclass(frozen=True)
class GridPoint:
    """One line of a suite's grid: one operation, to be measured in several modes."""

    case: str
    params: tuple[tuple[str, int], ...]
    dtype: str
    math_mode: str
    modes: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """Outcome of comparing an output with the float64 reference.

    ``relative_error`` is None where an operation has no output to compare (an empty kernel).
    """

    relative_error: float | None
    tolerance: float

    @property
    def passed(self) -> bool:
        """NaN never passes."""
        return self.relative_error is None or self.relative_error <= self.tolerance


class Workload(ABC):
    """One family. Subclasses state the class attributes and the abstract methods."""

    name: ClassVar[str]
    summary: ClassVar[str]
    size_meaning: ClassVar[str]
    #: case -> parameter -> default, None where the caller must give one
    signatures: ClassVar[Mapping[str, Mapping[str, int | None]]]
    #: case -> parameter -> the one whose value it has where all of these are left out
    short_forms: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    #: names of the canonical parameters, where ``canonical`` adds some to a case's own
    canonical_names: ClassVar[tuple[str, ...]] = ()
    #: (backend, device) -> element types with their math modes
    support: ClassVar[Mapping[tuple[str, str], tuple[ElementType, ...]]]
    #: backends whose CPU code uses more than one thread for this family
    threaded_backends: ClassVar[frozenset[str]] = frozenset({"torch"})
    #: case -> backends that have a form of it, for cases that not all backends have
    case_backends: ClassVar[Mapping[str, frozenset[str]]] = {}
    #: case -> its element types, for cases that do not have all of the family's
    case_dtypes: ClassVar[Mapping[str, frozenset[str]]] = {}
    #: an operation that changes its own state (a training step) is built anew for each check
    stateful: ClassVar[bool] = False
    #: place in lists of families; those of one rank follow by name
    rank: ClassVar[int] = 500

    # For people: what forms call the family, its cases and its parameters.
    label: ClassVar[str]
    case_labels: ClassVar[Mapping[str, str]]
    #: what the choice of a case is about, where ``summary`` does not say
    case_help: ClassVar[str] = ""
    #: parameter -> label and help, for the signatures' names and ``canonical_names``
    parameter_labels: ClassVar[Mapping[str, Label]]
    #: case -> parameter -> the same, where one word means two things
    labels_of_cases: ClassVar[Mapping[str, Mapping[str, Label]]] = {}
    #: parameter without a default -> where a form starts: what takes a moment, not an hour
    start_values: ClassVar[Mapping[str, int]]
    #: the case that a form starts with, where it is not the first
    start_case: ClassVar[str] = ""
    #: a step of a whole job, which forms offer before single operations
    whole_job: ClassVar[bool] = False

    #: device -> what the survey suite draws from
    survey: ClassVar[Mapping[str, tuple[Space, ...]]]
    #: cases that no survey draws, as their few sizes are in the grid
    unsurveyed: ClassVar[frozenset[str]] = frozenset()
    #: backend -> largest size that a survey measures, where that backend is slow
    most_surveyed: ClassVar[Mapping[str, int]] = {}

    # For the estimator.
    #: what may limit the family's speed, at least one kind
    limits: ClassVar[frozenset[Limit]]
    #: case -> the name that it is fitted under, for cases that share nothing with the others
    kin: ClassVar[Mapping[str, str]] = {}
    #: that name -> what limits those cases
    kin_limits: ClassVar[Mapping[str, frozenset[Limit]]] = {}
    #: case -> the one whose measurements describe the same routine of the libraries
    same_operation: ClassVar[Mapping[str, str]] = {}
    #: NVIDIA's library that does the work on a GPU, whatever the backend
    nvidia_library: ClassVar[str] = ""
    #: cases that read intermediate results again, so that their rate is not the memory's
    rereading: ClassVar[frozenset[str]] = frozenset()
    #: cases whose sizes are no versions of one shape: a larger one may take less time
    unordered: ClassVar[frozenset[str]] = frozenset()
    #: cases that libraries run on one core, whatever they are given
    serial_cases: ClassVar[frozenset[str]] = frozenset()
    #: whether it enters fits and is offered in forms
    fitted: ClassVar[bool] = True
    #: it measures what jobs cost beside their work, and is no job
    overhead: ClassVar[bool] = False

    #: kinds of operations of a job (``plain_kind``) among which are some that it measures
    recognised_kinds: ClassVar[frozenset[str]] = frozenset()

    @property
    def cases(self) -> tuple[str, ...]:
        return tuple(self.signatures)

    def supports(self, backend: str, device: str, case: str | None = None) -> bool:
        """Whether the backend has a form of the family, or of one case of it."""
        known = (backend, device) in self.support
        if case is None or not known:
            return known
        return backend in self.case_backends.get(case, (backend,))

    def dtypes(self, backend: str, device: str) -> tuple[tuple[str, str], ...]:
        """Element types and math modes, () where the backend has no form of this family."""
        return self.support.get((backend, device), ())

    def takes(self, case: str, dtype: str) -> bool:
        """Whether the case has a form in the element type, if the family has."""
        return dtype in self.case_dtypes.get(case, (dtype,))

    def thread_counts(self, backend: str, device: str, physical_cores: int) -> tuple[int, ...]:
        """Host threads worth measuring: 1, and all physical cores where the library uses them."""
        if device == "cpu" and backend in self.threaded_backends and physical_cores > 1:
            return (1, physical_cores)
        return (1,)

    def complete(self, case: str, params: Params) -> dict[str, int]:
        """Canonical parameters, defaults filled in. Raises SelectionError on a wrong one.

        All canonical parameters, as rows of a dataset carry them, are taken as well where they
        say nothing else than those of the case.
        """
        own, implied = self._divided(case, params)
        values = with_defaults(self.name, self.signatures, case, own)
        owner = f"{self.name} {case}"
        checked = {  # what was given first, so that an error names that
            name: whole(owner, name, values[name])
            for name in sorted(values, key=lambda name: name not in params)
        }
        complete = self.canonical({name: checked[name] for name in values})
        for name, value in implied.items():
            if value != complete[name]:
                raise SelectionError(
                    f"{owner}: {name}={value} contradicts the others ({name} is "
                    f"{complete[name]} here); it takes {', '.join(self.signatures[case])}"
                )
        return complete

    def complete_arrays(self, case: str, params: Mapping[str, Floats]) -> dict[str, Floats]:
        """As ``complete`` for many operations: one array a parameter, all of one length.

        Raises the SelectionError that ``complete`` raises for the first wrong operation.
        """
        own, implied = self._divided(case, params)
        values = with_defaults(self.name, self.signatures, case, own)
        given = same_length(f"{self.name} {case}", {**values, **implied})
        ours = {name: given[name] for name in values}
        with np.errstate(invalid="ignore"):  # what is no size is found, but not computed with
            good = are_sizes(ours) & self.allowed(ours)
            complete = self.canonical(ours)
            for name in implied:
                good = good & (given[name] == complete[name])
        if not np.all(good):
            self.complete(case, first_wrong({name: given[name] for name in params}, good))
        return same_length(self.name, complete)

    def _divided(self, case: str, params: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
        """The parameters of the signature, and those that follow from them in a canonical set.

        Of a short form (``short_forms``) the parameters that were left out are there.
        """
        signature = self.signatures.get(case, {})
        short = self.short_forms.get(case, {})
        if not set(short) & set(params):
            filled = {name: params[same] for name, same in short.items() if same in params}
            params = {**params, **filled}
        if set(params) != set(self.canonical_names):
            return dict(params), {}
        own = {name: value for name, value in params.items() if name in signature}
        return own, {name: value for name, value in params.items() if name not in signature}

    def allowed(self, given: Mapping[str, Count]) -> bool | Truths:
        """Whether sizes go together, where a family's ``complete`` asks for more than sizes."""
        return True

    def canonical(self, given: Mapping[str, Count]) -> dict[str, Count]:
        """The parameters that the formulas take, from those of the signature."""
        return dict(given)

    def work(
        self, case: str, params: Params, dtype: str, backend: str, device: str, mode: str
    ) -> Work:
        """Work of one call. Bus bytes count in mode end_to_end only."""
        complete = self.complete(case, params)
        work = self.call_work(case, complete, dtype, backend, device, mode)
        return replace(work, flop_count=float(work.flop_count))  # NumPy's logarithm gives its own

    def call_work(
        self,
        case: str,
        complete: Mapping[str, Count],
        dtype: str,
        backend: str,
        device: str,
        mode: str,
    ) -> Work[Count]:
        """``work`` of canonical parameters, numbers or arrays."""
        work = self.operation_work(case, complete, dtype, backend)
        if device == "cuda" and mode == "end_to_end":
            return work
        return replace(work, h2d_bytes=0.0, d2h_bytes=0.0)

    def size(self, case: str, params: Params) -> int:
        """Principal size, as ``size_meaning`` says."""
        return self.principal_size(case, self.complete(case, params))

    def measuring_bytes(self, case: str, params: Params, dtype: str, backend: str) -> float:
        """Upper estimate of what the collector takes: copies to check with and references too."""
        work = self.operation_work(case, self.complete(case, params), dtype, backend)
        return 1.5 * (work.bytes_read + work.bytes_written) + work.h2d_bytes

    def job_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """What the operation takes in a job, with nothing that measures or checks it."""
        complete = self.complete(case, params)
        own = self.operation_memory(case, complete, dtype, backend, device)
        return replace(own, upper_bytes=own.upper_bytes + RUNTIME_BYTES[device])

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """``_job_memory`` of canonical parameters, without the runtime: operands and result.

        Families whose libraries take more say how much, and why.
        """
        work = self.operation_work(case, params, dtype, backend)
        once = work.h2d_bytes + work.d2h_bytes
        return JobMemory(once, once)

    def start_value(self, case: str, name: str) -> int:
        """Where a form starts a parameter of a case: its default, else ``start_values``."""
        return self.signatures[case][name] or self.start_values[name]

    def possible(self, params: Params) -> dict[str, int]:
        """The parameters nearest to these that go together (``allowed``)."""
        return dict(params)

    def surveyed_modes(self, case: str, modes: tuple[str, ...]) -> tuple[str, ...]:
        """Of the modes that a survey would measure on a GPU those that say anything of a case."""
        return modes

    def operation(self, case: str, backend: str) -> str:
        """The case whose measurements describe the same operation (``same_operation``)."""
        return self.same_operation.get(case, case)

    def operation_classes(self, case: str, backend: str) -> tuple[str, ...]:
        """``operation``, once for each class of shapes that has an algorithm of its own.

        The name of a class follows the operation's after a space.
        """
        return (self.operation(case, backend),)

    def operation_class(self, params: Mapping[str, Any]) -> Any:
        """Which of ``operation_classes`` operations are of, by canonical parameters."""
        return 0

    def recognise(self, operation: Operation) -> Measured | None:
        """The cell that is this operation of a job: the same work in the same pass, on operands of
        the same sizes and layout as far as the family tells them apart.

        None where no cell is. ``collector.workloads.recognised`` asks for ``recognised_kinds``,
        and refuses element types and sizes that the family does not have.
        """
        return None

    def measured(
        self,
        case: str,
        params: Mapping[str, int],
        dtype: str,
        math_mode: str = "ieee",
    ) -> Measured:
        """A cell of the family."""
        return Measured(self.name, case, tuple(sorted(params.items())), dtype, math_mode)

    def returns_operands(self, case: str) -> bool:
        """Whether the output shares memory with an operand, so that it must not be overwritten."""
        return False

    @abstractmethod
    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        """``size`` of canonical parameters, numbers or arrays."""

    @abstractmethod
    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        """What a suite measures on a backend and device."""

    @abstractmethod
    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """Work of one call including the bus bytes of its operands and result.

        ``params`` are canonical: numbers of one operation, or arrays of many (``work``).
        """

    @abstractmethod
    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """What canonical parameters, arrays (n,), mean for the speed of a question.

        A family whose parameters mean nothing but its work says so with ``Shape()``.
        """

    @abstractmethod
    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """Operands as numpy arrays, random and never zero; the same seed gives the same."""

    @abstractmethod
    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        """The operation as a function of the operands on the device."""

    @abstractmethod
    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """What ``check`` compares with, computed in float64; once for an operation."""

    @abstractmethod
    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Compare an output, as ``fetch`` brings it, with the reference."""

    def host_operands(self, backend: Backend, inputs: Arrays, dtype: str) -> tuple[Any, ...]:
        """Operands in main memory: floating-point ones in ``dtype``, integers as they are."""
        return tuple(
            backend.host(array, dtype if array.dtype.kind in "fc" else str(array.dtype))
            for array in inputs
        )

    def fetch(self, backend: Backend, output: Any) -> Any:
        """The part of an output that ``check`` needs, in main memory."""
        return backend.to_numpy(output)


def uniform(shape: int | Sequence[int], dtype: str, seed: int) -> np.ndarray[Any, Any]:
    """Seeded values in [-1, 1] without exact zeros, representable in ``dtype``.

    float16 and bfloat16 values come as float32 arrays that hold rounded values, so that a
    reference computed from them sees what the device sees. Large arrays repeat a block of
    4,194,301 values (a prime, so that no row of a matrix repeats another one's alignment).
    """
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    count = math.prod(shape) * (2 if dtype.startswith("complex") else 1)
    if count < _REMEMBERED_FROM:
        values = _distinct_values(dtype, seed, count)
    else:
        block = _remembered_block(dtype, seed)
        values = np.empty(count, block.dtype)
        for start in range(0, count, len(block)):
            values[start : start + len(block)] = block[: count - start]
    return (values.view(dtype) if dtype.startswith("complex") else values).reshape(shape)


@lru_cache(maxsize=4)  # of at most 34 MB; operands of a run differ by few seeds
def _remembered_block(dtype: str, seed: int) -> np.ndarray[Any, Any]:
    return _distinct_values(dtype, seed, _DISTINCT_VALUES)


def _distinct_values(dtype: str, seed: int, count: int) -> np.ndarray[Any, Any]:
    base = np.float64 if dtype in ("float64", "complex128") else np.float32
    values: np.ndarray[Any, Any] = np.random.default_rng(seed).random(count, dtype=base)
    values *= 2
    values -= 1
    values[values == 0] = 0.5
    if dtype == "float16":
        values = values.astype(np.float16).astype(np.float32)
    elif dtype == "bfloat16":
        bits = values.view(np.uint32)
        bits += np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
        bits &= np.uint32(0xFFFF0000)
    return values


def points(
    case: str,
    grid: Iterable[Mapping[str, int]],
    dtypes: Iterable[tuple[str, str]],
    modes: tuple[str, ...],
) -> Iterator[GridPoint]:
    """The product of parameter sets and element types, as grid points."""
    for params, (dtype, math_mode) in itertools.product(list(grid), list(dtypes)):
        yield GridPoint(case, tuple(sorted(params.items())), dtype, math_mode, modes)


def sizes(name: str, values: Iterable[int]) -> list[dict[str, int]]:
    """Parameter sets of one parameter."""
    return [{name: value} for value in values]
