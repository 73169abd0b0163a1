"""Memory of the pretended device: which storages are alive, and what they were for at the peak."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor

from collector.jobs import JobMemory

_BLOCK = 512  # bytes to which torch's caching allocator rounds


@dataclass(frozen=True, eq=False)
class _Held:
    """A storage's bytes, and whether it was made on the way back."""

    bytes: int
    backward: bool


class Ledger:
    """Bytes of the storages on the device, now and at the peak of the step that counts."""

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}
        self._references: dict[int, weakref.ref[Any]] = {}
        self._peak: list[_Held] = []
        self._at_peak = False  # now, so that what is held was not written down yet
        self.bytes = self.peak_bytes = 0

    def begin(self) -> None:
        """From here the peak is that of the step that counts."""
        self.peak_bytes, self._at_peak = self.bytes, True

    def add(self, tensor: Any) -> None:
        """Count the storage of a tensor on the device, once."""
        if not isinstance(tensor, FakeTensor) or tensor.fake_device.type != "cuda":
            return
        if tensor.layout != torch.strided:
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._held:
            return
        size = storage.nbytes()
        backward = torch._C._current_graph_task_id() != -1
        held = self._held[key] = _Held(-(-size // _BLOCK) * _BLOCK, backward)
        self._references[key] = weakref.ref(storage, partial(self._drop, key))
        self.bytes += held.bytes
        if self.bytes > self.peak_bytes:
            self.peak_bytes, self._at_peak = self.bytes, True

    def _drop(self, key: int, _: object) -> None:
        if self._at_peak:
            self._peak, self._at_peak = list(self._held.values()), False
        held = self._held.pop(key, None)
        self._references.pop(key, None)
        if held is not None:
            self.bytes -= held.bytes

    def memory(self, kinds: Mapping[str, Iterable[Any]]) -> JobMemory:
        """The peak by what it was for: kind of memory -> tensors that are still there.

        What is in none of them is an activation if it was made on the way forward, else temporary.
        """
        held = list(self._held.values()) if self._at_peak else self._peak
        kind_of: dict[_Held, str] = {}
        for kind, tensors in kinds.items():
            for tensor in tensors:
                if isinstance(tensor, FakeTensor) and tensor.layout == torch.strided:
                    found = self._held.get(tensor.untyped_storage()._cdata)
                    if found is not None:
                        kind_of.setdefault(found, kind)
        sums = dict.fromkeys((part.name for part in fields(JobMemory)), 0)
        for one in held:
            kind = kind_of.get(one, "temporaries" if one.backward else "activations")
            sums[f"{kind}_bytes"] += one.bytes
        return JobMemory(**sums)
