"""What was called: each different call once, counted and timed, and the order of all.

The clock is read four times a call: where recording begins, where the library's own call begins
and ends, where recording ends. So what recording takes lies in none of the other times; only the
way into it does, which ``calibrate.py`` measures.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Sequence
from time import perf_counter_ns
from types import CodeType, FrameType
from typing import Any

import numpy as np

from collector.jobs import COPY_TO_CPU, COPY_TO_GPU, Value
from estimator.record.folding import BLOCK, Folder
from estimator.running.lines import is_users

#: element type, shape and strides (bytes) of an array, as a key
Signature = tuple[np.dtype[Any], tuple[int, ...], tuple[int, ...]]
Attributes = tuple[tuple[str, Value], ...]

#: different shapes of a call at one place that are told apart; others are rounded
_MOST_SHAPES = 64
_STEPS_OF_A_DOUBLING = 8
_MOST_KEYS = 500_000


class Call:
    """A function of the library, by the name that operations have.

    ``reason``: why a port to CuPy leaves it to the host; empty: it does not. ``outside``: it
    makes arrays of what is not an array (a list, a file), which therefore begin on the host.
    ``mutates``: it writes into its first array, and gives nothing.
    """

    __slots__ = ("attributes", "kind", "mutates", "outside", "reason")

    def __init__(
        self,
        kind: str,
        reason: str = "",
        *,
        outside: bool = False,
        mutates: bool = False,
        attributes: Attributes = (),
    ) -> None:
        self.kind = kind
        self.reason = reason
        self.outside = outside
        self.mutates = mutates
        self.attributes = attributes


class Memory:
    """The memory of an array and of its views: on which side its values are, in a port to CuPy."""

    __slots__ = ("on_cpu", "on_gpu")

    def __init__(self, on_gpu: bool = True) -> None:
        self.on_gpu = on_gpu
        self.on_cpu = not on_gpu


_SMALL_BYTES = 4096
#: from which the system takes memory back page by page when an array is let go
_PAGED_BYTES = 1 << 20


class Counted(Memory):
    """Memory that is added up while it lives."""

    __slots__ = ("bytes",)
    live_bytes = 0
    peak_bytes = 0
    #: of large arrays that were let go since the call before
    freed_bytes = 0

    def __init__(self, size: int, on_gpu: bool) -> None:
        super().__init__(on_gpu)
        self.bytes = size
        Counted.live_bytes += size
        if Counted.live_bytes > Counted.peak_bytes:
            Counted.peak_bytes = Counted.live_bytes

    def __del__(self) -> None:
        Counted.live_bytes -= self.bytes
        if self.bytes >= _PAGED_BYTES:
            Counted.freed_bytes += self.bytes


def new_memory(size: int, on_gpu: bool) -> Memory:
    """Of a new array; to add up that of small ones would take more time than it is worth."""
    return Counted(size, on_gpu) if size > _SMALL_BYTES else Memory(on_gpu)


_NUMBERS: dict[Signature, int] = {}
_SIGNATURES: list[Signature] = []


def signature(array: Any) -> int:
    """Number of an array's type, shape and strides."""
    key = (array.dtype, array.shape, array.strides)
    number = _NUMBERS.get(key)
    return _number(key) if number is None else number


def _number(key: Signature) -> int:
    number = _NUMBERS.setdefault(key, len(_SIGNATURES))
    if number == len(_SIGNATURES):
        _SIGNATURES.append(key)
    return number


class Entry:
    """One different call: what was called, where, on what, how often and how long."""

    __slots__ = (
        *("array_ns", "attributes", "call", "code", "count", "gap_ns", "index", "inputs"),
        *("instruction", "outputs"),
    )

    def __init__(
        self,
        index: int,
        call: Call,
        code: CodeType | None,
        instruction: int,
        inputs: tuple[Signature, ...],
        outputs: tuple[Signature, ...],
        attributes: Attributes,
    ) -> None:
        self.index = index
        self.call = call
        self.code = code
        self.instruction = instruction
        self.inputs = inputs
        self.outputs = outputs
        self.attributes = attributes
        self.count = 0
        self.array_ns = 0
        self.gap_ns = 0


class Users(dict[str, bool]):
    """By the name of a file, whether it is the user's."""

    def __missing__(self, name: str) -> bool:
        known = self[name] = is_users(name)
        return known


VIEW = Call("view")
_TO_GPU, _TO_CPU, _WAIT = Call(COPY_TO_GPU), Call(COPY_TO_CPU), Call("synchronize")
_MARKS = frozenset({_TO_GPU, _TO_CPU, _WAIT})
#: of a different call: what, in which code, at which instruction, attributes, arrays in, -1, out
Key = tuple[Any, ...]


class Log:
    """Notes calls. ``on``: only then, and only those made in the main thread by the user's code."""

    def __init__(self) -> None:
        self.on = False
        self.users = Users()
        #: nanoseconds that a call of numbers, which is not noted, takes longer
        self.pass_ns = 0
        #: nanoseconds to let go of a byte of a large array
        self.free_ns = 0.0
        self._main = threading.get_ident()
        self._foreign: dict[int, tuple[Any, Memory]] = {}
        self.reset()

    def reset(self) -> None:
        """Forget all calls; arrays stay known."""
        self.entries: list[Entry] = []
        self.folder = Folder()
        self.order: list[int] = self.folder.order
        #: nanoseconds: where the call before ended
        self.last_ns = 0
        self.import_ns = 0
        self._by_key: dict[Any, Entry] = {}
        self._shapes: dict[Any, int] = {}
        self.rounded = False

    @property
    def calls(self) -> int:
        """How many array calls were noted; copies and waiting are none."""
        return sum(entry.count for entry in self.entries if entry.call not in _MARKS)

    def totals(self) -> tuple[int, int]:
        """Nanoseconds in calls, and between them."""
        return (
            sum(entry.array_ns for entry in self.entries),
            sum(entry.gap_ns for entry in self.entries),
        )

    def records(self, frame: FrameType) -> bool:
        """Whether a call made in this frame is noted."""
        return (
            self.on and self.users[frame.f_code.co_filename] and threading.get_ident() == self._main
        )

    def note(
        self,
        call: Call,
        frame: FrameType,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        attributes: Attributes,
        start_ns: int,
        began_ns: int,
        ended_ns: int,
    ) -> None:
        """A call of the user's: what went in, what came out, and when."""
        code = frame.f_code
        key: list[Any] = [call, id(code), frame.f_lasti, attributes]
        for one in inputs:
            try:
                memory = one._memory
                key.append(one._signature)
            except AttributeError:
                memory = self.memory_of(one)
                key.append(signature(one))
            if call is VIEW:
                continue
            if call.reason:
                if not memory.on_cpu:
                    self._copy(_TO_CPU, frame, one, memory)
            elif not memory.on_gpu:
                self._copy(_TO_GPU, frame, one, memory)
        key.append(-1)
        for one in outputs:
            key.append(_signature_of(one))
        self.tally(tuple(key), code, start_ns, began_ns, ended_ns)

    def tally(self, key: Key, code: CodeType, start_ns: int, began_ns: int, ended_ns: int) -> None:
        """Count a call whose arrays are on the side where it runs."""
        entry = self._by_key.get(key) or self._entry(key, code)
        entry.count += 1
        gap_ns = start_ns - self.last_ns
        taken_ns = ended_ns - began_ns
        if Counted.freed_bytes:  # to let arrays go is NumPy's work, not Python's
            freed_ns = min(gap_ns, round(Counted.freed_bytes * self.free_ns))
            Counted.freed_bytes = 0
            gap_ns -= freed_ns
            taken_ns += freed_ns
        entry.array_ns += taken_ns
        entry.gap_ns += gap_ns
        order = self.order
        order.append(entry.index)
        if len(order) >= BLOCK:
            self.folder.close(order)
        self.last_ns = perf_counter_ns()

    def leave(self, frame: FrameType, array: Any, start_ns: int) -> None:
        """Values of an array are needed on the host at this place of the program."""
        memory = self.memory_of(array)
        if not memory.on_cpu:
            self._mark(_TO_CPU, frame, array, start_ns - self.last_ns)
            self.last_ns = perf_counter_ns()

    def enter(self, frame: FrameType, array: Any) -> None:
        """An array that was made on the host goes to the GPU, where it is kept."""
        memory = self.memory_of(array)
        if not memory.on_gpu:
            self._mark(_TO_GPU, frame, array, 0)
        memory.on_gpu, memory.on_cpu = True, False
        self.last_ns = perf_counter_ns()

    def value(self, frame: FrameType, value: Any) -> None:
        """A single value of the GPU is needed on the host."""
        self._mark(_TO_CPU, frame, value, 0)
        self.last_ns = perf_counter_ns()

    def end(self, now_ns: int) -> None:
        """The program has ended: what Python did since its last call belongs to the waiting."""
        self._mark(_WAIT, None, None, now_ns - self.last_ns)
        self.last_ns = now_ns

    def memory_of(self, array: Any) -> Memory:
        """The memory of any array; one that no noted call made is the host's."""
        owner = array
        while owner is not None:
            try:
                return _kept(owner)
            except AttributeError:
                pass
            known = self._foreign.get(id(owner))
            if known is not None and known[0]() is owner:
                return known[1]
            before, owner = owner, getattr(owner, "base", None)
            if not isinstance(owner, np.ndarray):
                owner = None
        memory = Memory(on_gpu=False)
        if type(before) is np.ndarray:
            key = id(before)
            gone = self._foreign

            def forget(_: Any) -> None:
                gone.pop(key, None)

            self._foreign[key] = (weakref.ref(before, forget), memory)
        return memory

    def _copy(self, call: Call, frame: FrameType, array: Any, memory: Memory) -> None:
        self._mark(call, frame, array, 0)
        memory.on_gpu = memory.on_cpu = True

    def _mark(self, call: Call, frame: FrameType | None, array: Any, gap_ns: int) -> None:
        """Something that takes no time here."""
        code = None if frame is None else frame.f_code
        place = 0 if frame is None else frame.f_lasti
        moved = () if array is None else (_signature_of(array),)
        key = (call, id(code), place, (), *moved, -1, *moved)
        entry = self._by_key.get(key)
        if entry is None:
            entry = self._entry(key, code)
        entry.count += 1
        entry.gap_ns += gap_ns
        self.order.append(entry.index)

    def _entry(self, key: Any, code: CodeType | None) -> Entry:
        """A call that was not seen before; where shapes vary without end they are rounded."""
        call, place, instruction, attributes, *numbers = key
        middle = numbers.index(-1)
        inputs, outputs = numbers[:middle], numbers[middle + 1 :]
        site = (call, place, instruction)
        seen = self._shapes.get(site, 0)
        known: Entry | None = None
        kept = key
        if seen >= _MOST_SHAPES:
            self.rounded = True
            inputs, outputs = [*map(_rounded, inputs)], [*map(_rounded, outputs)]
            kept = (call, place, instruction, attributes, *inputs, -1, *outputs)
            known = self._by_key.get(kept)
        if known is None:
            self._shapes[site] = seen + 1
            came, went = (tuple(_SIGNATURES[one] for one in side) for side in (inputs, outputs))
            known = Entry(len(self.entries), call, code, instruction, came, went, attributes)
            self.entries.append(known)
            self._by_key[kept] = known
        if kept is not key and len(self._by_key) < _MOST_KEYS:
            self._by_key[key] = known
        return known


def _rounded(number: int) -> int:
    """Sizes to an eighth of a doubling, packed."""
    dtype, shape, _ = _SIGNATURES[number]
    sizes = tuple(map(_round, shape))
    strides, step = [], dtype.itemsize
    for size in reversed(sizes):
        strides.append(step)
        step *= size
    return _number((dtype, sizes, tuple(reversed(strides))))


def _signature_of(array: Any) -> int:
    try:
        return array._signature  # type: ignore[no-any-return]
    except AttributeError:
        return signature(array)


def _round(size: int) -> int:
    step = max(1, 2 ** (size.bit_length() - 1) // _STEPS_OF_A_DOUBLING)
    return int((size + step // 2) // step * step)


def _kept(array: Any) -> Memory:
    """The memory that a recorded array carries. Raises AttributeError for others."""
    try:
        slot = type(array).__dict__["_memory"]
    except KeyError:
        raise AttributeError from None
    return slot.__get__(array)  # type: ignore[no-any-return]


#: the process's log
LOG = Log()

_getframe = sys._getframe
