"""A CUDA device that is not there: torch believes in it, and holds tensors without values on it.

torch itself traces fake CUDA tensors, but on a build without CUDA its C++ part has no guard for
the device, and on a machine without a GPU the Python part refuses. ``install`` mends both, for
this process only.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch._subclasses import fake_tensor

from collector.errors import JobError

#: What programs are told of the card: that of an 80 GB H100 of compute capability 9.0, so that they
#: choose what they would choose on a current GPU.
NAME = "NVIDIA H100 80GB HBM3"
CAPABILITY = (9, 0)
TOTAL_BYTES = 80 * 2**30
_MULTIPROCESSORS = 132

_DEVICE_TYPES = 21  # of c10's registry that concern us: CUDA is 1, PrivateUse1 20
_Table = ctypes.c_void_p * 96  # more entries than the hooks have
_ANSWERED_YES = (2, 3, 4)

_kept: list[Any] = []  # what C++ holds pointers to


def install(mode: fake_tensor.FakeTensorMode, waits: Callable[[], None]) -> None:
    """Make torch take this machine for one with a GPU. ``waits`` is called where the host waits.

    Raises JobError where this build of torch cannot be told so.
    """
    _install_guard()
    _install_hooks()
    fake_tensor.init_gpu_context = lambda device: None
    _install_cuda(waits)
    _install_accelerator(waits)
    _check(mode)


def _library(name: str) -> ctypes.CDLL:
    folder = Path(torch.__file__).parent / "lib"
    for path in (*folder.glob(f"lib{name}.so"), *folder.glob(f"lib{name}.dylib")):
        return ctypes.CDLL(str(path))
    raise JobError("trace runs where torch is built for Linux or macOS (on Windows: in WSL)")


def _install_guard() -> None:
    """Give c10 a device guard for CUDA: one made in Python that says it is none of a real device.

    torch replaces a guard that counts no devices by one that does nothing
    (``_ensureCUDADeviceGuardSet``), but only where there is one.
    """
    try:
        kinds = torch._C._autograd.DeviceType
        base = torch._C._acc.DeviceGuard
        register = torch._C._acc.register_python_privateuseone_device_guard
        registry = (ctypes.c_void_p * _DEVICE_TYPES).in_dll(
            _library("c10"), "_ZN3c104impl26device_guard_impl_registryE"
        )
    except (AttributeError, ValueError):
        raise _unknown_torch() from None
    if not registry[int(kinds.CUDA)]:
        guard = type("Guard", (base,), {"type_": lambda self: kinds.CUDA})()
        _kept.append(guard)
        register(guard)
        registry[int(kinds.CUDA)] = registry[int(kinds.PrivateUse1)]
        registry[int(kinds.PrivateUse1)] = None
    torch._C._ensureCUDADeviceGuardSet()


def _install_hooks() -> None:
    """Have the autograd engine find a CUDA device: the hooks' first three answers are yes.

    They are isBuilt, isAvailable and hasPrimaryContext of AcceleratorHooksInterface, after two
    destructors; a build with CUDA would ask the driver, one without says no.
    """
    try:
        get_hooks = _library("torch_cpu")["_ZN2at6detail12getCUDAHooksEv"]
    except AttributeError:
        raise _unknown_torch() from None
    get_hooks.restype = ctypes.c_void_p
    table = ctypes.c_void_p.from_address(get_hooks())
    header = 2 * ctypes.sizeof(ctypes.c_void_p)  # what C++ keeps before a table
    new = _Table.from_buffer_copy(_Table.from_address((table.value or 0) - header))
    yes = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p)(lambda hooks: True)
    for slot in _ANSWERED_YES:
        new[2 + slot] = ctypes.cast(yes, ctypes.c_void_p).value
    _kept.extend((new, yes))
    table.value = ctypes.addressof(new) + header


def _check(mode: fake_tensor.FakeTensorMode) -> None:
    """Raises JobError where a gradient does not come back from the pretended device."""
    try:
        with mode:
            weight = torch.ones(2, device="cuda", requires_grad=True)
            (weight * weight).sum().backward()
    except RuntimeError:
        raise _unknown_torch() from None


def _unknown_torch() -> JobError:
    return JobError(f"trace does not know torch {torch.__version__}: install torch 2.11 to 2.13")


class Stream:
    """A stream of the pretended device; 0 is the one that work goes to by itself."""

    _made = 0
    _current: list[Stream] = []  # the innermost last

    def __init__(self, device: Any = None, priority: int = 0, **_: Any) -> None:
        self.device = torch.device("cuda", 0)
        self.priority = priority
        self.cuda_stream = self.stream_id = Stream._made
        Stream._made += 1
        self.device_index, self.device_type = 0, 1

    @classmethod
    def current(cls, device: Any = None) -> Stream:
        """The stream that work goes to."""
        return cls._current[-1] if cls._current else _default_stream

    def wait_stream(self, stream: Any) -> None: ...

    def wait_event(self, event: Any) -> None: ...

    def synchronize(self) -> None:
        torch.cuda.synchronize()

    def record_event(self, event: Any = None) -> Any:
        return event or Event()

    def query(self) -> bool:
        return True

    def is_capturing(self) -> bool:
        return False

    def __enter__(self) -> Stream:
        Stream._current.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        Stream._current.pop()


_default_stream = Stream()


@contextlib.contextmanager
def _streamed(stream: Any) -> Iterator[None]:
    """``with torch.cuda.stream(stream):``, of None nothing."""
    if stream is None:
        yield
        return
    with stream:
        yield


class Event:
    """An event of the pretended device."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def record(self, stream: Any = None) -> None: ...

    def wait(self, stream: Any = None) -> None: ...

    def query(self) -> bool:
        return True

    def synchronize(self) -> None:
        torch.cuda.synchronize()

    def elapsed_time(self, end: Any) -> float:
        return 1.0


class _Properties(SimpleNamespace):
    """What ``torch.cuda.get_device_properties`` tells."""


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _zero(*_: Any, **__: Any) -> int:
    return 0


def _install_cuda(waits: Callable[[], None]) -> None:
    cuda: Any = torch.cuda
    properties = _Properties(
        name=NAME,
        major=CAPABILITY[0],
        minor=CAPABILITY[1],
        total_memory=TOTAL_BYTES,
        multi_processor_count=_MULTIPROCESSORS,
        max_threads_per_multi_processor=2048,
        regs_per_multiprocessor=65536,
        shared_memory_per_multiprocessor=233472,
        shared_memory_per_block_optin=232448,
        warp_size=32,
        L2_cache_size=50 * 2**20,
        gcnArchName="",
        is_integrated=0,
        is_multi_gpu_board=0,
        uuid="",
    )

    def synchronize(device: Any = None) -> None:
        waits()

    answers: dict[str, Any] = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "is_bf16_supported": lambda including_emulation=True: True,
        "is_tf32_supported": lambda: True,
        "get_device_name": lambda device=None: NAME,
        "get_device_capability": lambda device=None: CAPABILITY,
        "get_device_properties": lambda device=None: properties,
        "get_arch_list": lambda: ["sm_90"],
        "can_device_access_peer": lambda *_: False,
        "is_current_stream_capturing": lambda: False,
        "Stream": Stream,
        "Event": Event,
        "stream": _streamed,
        "current_stream": Stream.current,
        "default_stream": lambda device=None: _default_stream,
        "synchronize": synchronize,
        "mem_get_info": lambda device=None: (TOTAL_BYTES, TOTAL_BYTES),
        "memory_stats": lambda device=None: defaultdict(int),
        "memory_summary": lambda *_, **__: "",
        "get_rng_state": lambda device=None: torch.zeros(16, dtype=torch.uint8),
        "get_rng_state_all": lambda: [torch.zeros(16, dtype=torch.uint8)],
        "initial_seed": _zero,
        "_lazy_init": _nothing,
        "_lazy_call": _nothing,
        "init": _nothing,
    }
    nothing = (
        *("set_device", "set_stream", "empty_cache", "ipc_collect", "manual_seed"),
        *("manual_seed_all", "seed", "seed_all", "set_rng_state", "set_rng_state_all"),
        *(
            "reset_peak_memory_stats",
            "reset_max_memory_allocated",
            "reset_accumulated_memory_stats",
        ),
        *("_record_memory_history", "_dump_snapshot", "list_gpu_processes"),
        *("reset_max_memory_cached", "set_per_process_memory_fraction", "_sleep"),
    )
    zero = (
        *("memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved"),
        *("memory_cached", "max_memory_cached", "utilization", "temperature", "power_draw"),
    )
    answers |= dict.fromkeys(nothing, _nothing) | dict.fromkeys(zero, _zero)
    answers |= {"device": _Device, "device_of": _Device}
    for name, answer in answers.items():
        setattr(cuda, name, answer)
    for module in (cuda.memory, cuda.random, cuda.streams):
        for name in answers:
            if name in vars(module):
                setattr(module, name, answers[name])
    for name in ("range_push", "range_pop", "range_start", "range_end", "mark"):
        setattr(cuda.nvtx, name, _zero)
    _install_legacy(cuda)
    torch.Event = Event
    torch.Stream = Stream
    torch.version.cuda = torch.version.cuda or "13.0"
    torch.backends.cuda.is_built = lambda: True
    torch.backends.cudnn.is_available = lambda: True
    torch.backends.cudnn.version = lambda: 91002


#: constructors of before ``device=``
_LEGACY = {
    "FloatTensor": torch.float32,
    "DoubleTensor": torch.float64,
    "HalfTensor": torch.float16,
    "BFloat16Tensor": torch.bfloat16,
    "LongTensor": torch.int64,
    "IntTensor": torch.int32,
    "ShortTensor": torch.int16,
    "CharTensor": torch.int8,
    "ByteTensor": torch.uint8,
    "BoolTensor": torch.bool,
}


def _install_legacy(cuda: Any) -> None:
    """``torch.cuda.FloatTensor`` and its like: constructors, and names for ``Tensor.type``."""
    plain = torch.Tensor.type
    dtypes: dict[Any, torch.dtype] = {}
    for name, dtype in _LEGACY.items():
        made = type(name, (), {"__new__": _constructor(dtype), "dtype": dtype})
        dtypes[made] = dtypes[f"torch.cuda.{name}"] = dtype
        setattr(cuda, name, made)
    names = {dtype: name for name, dtype in dtypes.items() if isinstance(name, str)}

    def typed(self: Any, dtype: Any = None, non_blocking: bool = False, **_: Any) -> Any:
        if dtype is None and self.is_cuda:
            return names[self.dtype]
        if isinstance(dtype, type | str) and dtype in dtypes:
            return self.to(torch.device("cuda", 0), dtypes[dtype], non_blocking=non_blocking)
        return plain(self) if dtype is None else plain(self, dtype, non_blocking)

    torch.Tensor.type = typed


def _constructor(dtype: torch.dtype) -> Callable[..., Any]:
    def make(cls: Any, *args: Any) -> Any:
        device = torch.device("cuda", 0)
        if all(isinstance(one, int) for one in args):
            return torch.empty(args or (0,), dtype=dtype, device=device)
        if isinstance(args[0], torch.Size):
            return torch.empty(args[0], dtype=dtype, device=device)
        return torch.as_tensor(args[0]).to(dtype).to(device)

    return make


class _Device:
    """``torch.cuda.device(0)``: there is only one."""

    def __init__(self, device: Any = None) -> None:
        self.idx, self.prev_idx = 0, -1

    def __enter__(self) -> _Device:
        return self

    def __exit__(self, *_: object) -> None: ...


def _install_accelerator(waits: Callable[[], None]) -> None:
    accelerator: Any = torch.accelerator
    device = torch.device("cuda")
    answers = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_accelerator": lambda check_available=False: device,
        "current_device_index": _zero,
        "current_device_idx": _zero,
        "current_stream": lambda device=None: torch.cuda.current_stream(),
        "set_device_index": _nothing,
        "set_device_idx": _nothing,
        "set_stream": _nothing,
        "synchronize": lambda device=None: waits(),
        "device_index": _Device,
        "empty_cache": _nothing,
        "memory_allocated": _zero,
        "max_memory_allocated": _zero,
        "memory_reserved": _zero,
        "max_memory_reserved": _zero,
        "memory_stats": lambda device=None: defaultdict(int),
        "reset_peak_memory_stats": _nothing,
    }
    for name, answer in answers.items():
        setattr(accelerator, name, answer)
