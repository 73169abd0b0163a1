"""Every operation of a traced program passes here: real on the CPU, without values on the GPU.

``Recorder`` is torch's dispatch mode. It decides where an operation runs, hands those of the GPU to
FakeTensorMode, counts copies at the border and the host's waiting, and notes each as an
``Operation`` of the job.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)
from torch.utils._python_dispatch import TorchDispatchMode

from collector.jobs import COPY_TO_CPU, COPY_TO_GPU, SYNCHRONIZE, Operation, Stage, Tensor
from estimator.trace import kernels as launched
from estimator.trace import work
from estimator.trace.counted import COUNTED
from estimator.trace.ledger import Ledger
from estimator.trace.pretend import Stream
from estimator.trace.python_clock import PythonClock
from estimator.trace.shapes import Shapes, is_on_gpu
from estimator.trace.values import Values

aten = torch.ops.aten

#: a tensor of so many elements that a module makes for itself has no values: they are initial
#: weights, and a large model must not take memory
_LARGE = 2**18
_PRODUCTS = frozenset(("mm", "addmm", "bmm", "baddbmm", "addmv", "mv", "dot", "addbmm"))
_CONVOLUTIONS = frozenset(("convolution", "convolution_backward", "_cudnn_rnn",
                           "_cudnn_rnn_backward"))  # fmt: skip

#: Operators that move what they get between devices, and no more.
_COPIES = (aten._to_copy.default, aten.copy_.default)

_COUNT = torch.zeros((), dtype=torch.int64)
_MOST_LISTED = 16  # of numbers in an attribute
_MOST_FRAMES = 24  # between a tensor and the constructor that asks for it


class Recorder(TorchDispatchMode):
    """Notes what a program asks of the GPU. ``where`` says which line of the user's is running."""

    def __init__(self, where: Callable[[], str]) -> None:
        super().__init__()
        self.fake = FakeTensorMode(allow_non_fake_inputs=True, allow_fallback_kernels=False)
        self.where = where
        self.shapes = Shapes(self.fake)
        self.values = Values()
        self.python = PythonClock()
        self.ledger = Ledger()
        self.optimizing = 0  # > 0: inside an optimizer's step
        self.operations: list[Operation] = []
        self.sequence: list[int] = []
        self.device_calls = 0  # since the start
        self.batches = 0  # of loaders, in this step
        self.notes: dict[str, None] = {}
        self._numbers: dict[Any, int] = {}
        self._pinned: weakref.WeakSet[Any] = weakref.WeakSet()

    def __enter__(self) -> Any:
        # torch.tensor(..., device="cuda") makes its tensor on the CPU and copies it, as it does for
        # FakeTensorMode
        torch._C._set_only_lift_cpu_tensors(True)
        return super().__enter__()

    # what the window asks

    def begin(self) -> None:
        """Forget what was noted: the step that counts begins."""
        self.operations.clear()
        self.sequence.clear()
        self.batches = 0
        self.python.begin()
        self._numbers.clear()
        self.ledger.begin()

    def note(self, text: str) -> None:
        self.notes.setdefault(text)

    def wait(self) -> None:
        """The host waits for the device."""
        self.python.enter()
        try:
            self._append(Operation(SYNCHRONIZE, launches=0, stage=self.stage, line=self.where()))
        finally:
            self.python.leave()

    @property
    def stage(self) -> Stage:
        if torch._C._current_graph_task_id() != -1:
            return "backward"
        return "optimizer" if self.optimizing else "forward"

    # the mode

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.prim.device.default:
            return args[0].device if isinstance(args[0], FakeTensor) else func(*args)
        self.python.enter()
        try:
            return self._dispatched(func, args, kwargs or {})
        finally:
            self.python.leave()

    def _dispatched(self, func: Any, args: Any, kwargs: Any) -> Any:
        if _is_composite(func):  # inference_mode hands these over whole
            with self:
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        tensors: list[torch.Tensor] = []
        _collect(args, tensors)
        if kwargs:
            _collect(kwargs.values(), tensors)
        fakes = [t for t in tensors if isinstance(t, FakeTensor)]
        device = kwargs.get("device")
        to_gpu = device is not None and torch.device(device).type == "cuda"
        on_gpu = any(t.fake_device.type == "cuda" for t in fakes)
        if not (to_gpu or fakes):
            return self._on_cpu(func, args, kwargs, tensors)
        if kwargs.get("generator") is not None:
            kwargs = {**kwargs, "generator": None}
        if kwargs.get("pin_memory"):
            kwargs = {**kwargs, "pin_memory": False}
        if func is aten._use_cudnn_ctc_loss.Tensor:
            return False
        if func is aten.allclose.default:
            with self:
                return bool(torch.isclose(*args, **kwargs).all())
        if func in _COPIES:
            return self._copy(func, args, kwargs)
        if not (to_gpu or on_gpu):
            return self._without_values(func, args, kwargs, tensors)
        return self._on_gpu(func, args, kwargs, tensors)

    def _on_cpu(self, func: Any, args: Any, kwargs: Any, tensors: list[torch.Tensor]) -> Any:
        """A real operation on real tensors."""
        name = _name(func)
        if not tensors and _asked_count(args) >= _LARGE and _in_constructor():
            return self.shapes.anew(func, args, kwargs)
        if name == "is_pinned":
            return self.is_pinned(args[0])
        with self.python.working(name):
            if name in ("_pin_memory", "pin_memory"):
                return self.pin(args[0])
            if not kwargs.get("pin_memory"):
                return func(*args, **kwargs)
            out = func(*args, **{**kwargs, "pin_memory": False})
            self._pinned.add(out.untyped_storage())
            return out

    def pin(self, tensor: torch.Tensor) -> torch.Tensor:
        """As ``Tensor.pin_memory``: a copy that the device may fetch by itself."""
        if self.is_pinned(tensor):
            return tensor
        copied = tensor.clone()
        self._pinned.add(copied.untyped_storage())
        return copied

    def is_pinned(self, tensor: torch.Tensor) -> bool:
        return tensor.untyped_storage() in self._pinned

    def _without_values(
        self, func: Any, args: Any, kwargs: Any, tensors: list[torch.Tensor]
    ) -> Any:
        """An operation of the CPU on tensors that have no values (weights before they move)."""
        try:
            return self.shapes.run(func, args, kwargs, tensors)
        except (DataDependentOutputException, DynamicOutputShapeException):
            return self.values.stand_in(_name(func), args, kwargs, self.fake).tensors

    def _on_gpu(self, func: Any, args: Any, kwargs: Any, tensors: list[torch.Tensor]) -> Any:
        name = _name(func)
        if any(tensor.layout != torch.strided for tensor in tensors):
            return self._sparse(func, name, args, kwargs, tensors)
        waits = name in COUNTED or _masked(name, args)
        known = self.values.compute(func, args, kwargs, tensors, waits)
        if name == "_local_scalar_dense":
            out = self.values.scalar(args[0])
        elif name == "equal" and known is not None:
            out, waits = known, True
        elif waits and known is not None:
            out = self.values.shaped_like(known, self.fake)
        else:
            try:
                out = self.shapes.run(func, args, kwargs, tensors)
            except (DataDependentOutputException, DynamicOutputShapeException):
                found = self.values.stand_in(name, args, kwargs, self.fake)
                out = found.tensors
                waits = waits or name == "equal"
                if found.guessed:
                    self.note(
                        f"{self.where()}: how many {name} finds depends on values; all were taken"
                    )
        if name == "_local_scalar_dense":
            self._border(COPY_TO_CPU, args[0], None, non_blocking=False, pinned=False)
            return out
        self.values.keep(func, args, kwargs, tensors, out, known)
        self._note_call(func, name, args, kwargs, tensors, out)
        if waits:  # the host reads how many there are
            self._border(COPY_TO_CPU, _COUNT, None, non_blocking=False, pinned=False)
        return out

    def _sparse(
        self, func: Any, name: str, args: Any, kwargs: Any, tensors: list[torch.Tensor]
    ) -> Any:
        """An operation with a sparse operand: of products torch knows no shapes."""
        count = max(getattr(tensor, "_nonzeros", 0) for tensor in tensors)
        if name not in ("mm", "addmm", "_sparse_mm", "_sparse_addmm"):
            out = self.shapes.anew(func, args, kwargs)
            for made in out if isinstance(out, list | tuple) else (out,):
                if isinstance(made, FakeTensor) and made.layout != torch.strided:
                    made._nonzeros = count
            return out
        left, right = args[-2:]
        with self.fake:
            out = torch.empty(
                (left.shape[0], right.shape[1]), dtype=right.dtype, device=right.device
            )
        self.ledger.add(out)
        self.device_calls += 1
        values = Tensor((count,), work.element_type(left.dtype))
        results = out.numel()
        self._append(
            Operation(
                "_sparse_mm",
                (values, _described(right)),
                (_described(out),),
                (("nonzeros", count),),
                stage=self.stage,
                flop=2.0 * count * right.shape[1],
                bytes_read=float(count * (left.element_size() + 16) + work.tensor_bytes(right)),
                bytes_written=float(results * out.element_size()),
                launches=launched.sparse_product(left, self.stage == "backward"),
            )
        )
        return out

    def _copy(self, func: Any, args: Any, kwargs: Any) -> Any:
        """``to`` and ``copy_``: within a device, or across the border."""
        source = args[1] if func is aten.copy_.default else args[0]
        target = args[0] if func is aten.copy_.default else None
        from_gpu = is_on_gpu(source)
        if target is not None:
            to_gpu = is_on_gpu(target)
        else:
            asked = kwargs.get("device")
            to_gpu = from_gpu if asked is None else torch.device(asked).type == "cuda"
        non_blocking = bool(
            kwargs.get("non_blocking") or (target is not None and len(args) > 2 and args[2])
        )
        if from_gpu == to_gpu:
            if from_gpu:
                return self._on_gpu(
                    func, args, kwargs, [source, *([target] if target is not None else [])]
                )
            if target is not None and not isinstance(target, FakeTensor):
                return target  # values that are not there: the real ones stay
            return self.shapes.anew(func, args, kwargs)
        if to_gpu:
            out = self._arrive(func, args, kwargs, source, target)
            if out.layout != torch.strided:
                for part in (source._indices(), source._values()):
                    self._border(COPY_TO_GPU, part, part, non_blocking, pinned=False)
                return out
            initial = isinstance(source, FakeTensor)
            self._border(
                COPY_TO_GPU,
                source,
                out,
                non_blocking,
                pinned=not initial and self.is_pinned(source),
            )
            return out
        out = self.values.fetched(source, kwargs.get("dtype")) if target is None else target
        pinned = (
            target is not None and not isinstance(target, FakeTensor) and self.is_pinned(target)
        )
        self._border(COPY_TO_CPU, source, out, non_blocking, pinned=pinned)
        return out

    def _arrive(self, func: Any, args: Any, kwargs: Any, source: Any, target: Any) -> Any:
        if target is not None:
            self.values.overwrite(target, source)
            return target
        if source.layout == torch.sparse_coo and not isinstance(source, FakeTensor):
            return self._arrive_sparse(source)
        with self.fake:
            if isinstance(source, FakeTensor):
                out = func(*args, **kwargs)
            else:
                meta = torch.empty_strided(
                    source.shape, source.stride(), dtype=source.dtype, device="meta"
                )
                out = func(meta, *args[1:], **{**kwargs, "device": torch.device("cuda", 0)})
        self.values.remember(out, source)
        self.ledger.add(out)
        return out

    def _arrive_sparse(self, source: torch.Tensor) -> Any:
        gpu = torch.device("cuda", 0)
        parts = (source._indices(), source._values())
        count, coalesced = source._nnz(), source.is_coalesced()
        with self.fake:
            indices, values = (
                torch.empty(part.shape, dtype=part.dtype, device=gpu) for part in parts
            )
            out: Any = torch.sparse_coo_tensor(
                indices, values, source.shape, device=gpu, is_coalesced=coalesced
            )
        self.ledger.add(indices)
        self.ledger.add(values)
        out._nonzeros = count
        return out

    def _border(self, kind: str, source: Any, out: Any, non_blocking: bool, pinned: bool) -> None:
        gpu = out if kind == COPY_TO_GPU else source
        count = work.tensor_bytes(gpu)
        if count == 0:
            return
        described = Tensor(tuple(gpu.shape), work.element_type(gpu.dtype))
        number = Stream.current().stream_id
        stream = (("stream", number),) if number else ()
        self._append(
            Operation(
                kind,
                (described,),
                (described,),
                (("non_blocking", non_blocking), ("pinned", pinned), *stream),
                stage=self.stage,
                bytes_read=float(count),
                bytes_written=float(count),
                launches=0,
                line="" if non_blocking and (pinned or kind == COPY_TO_GPU) else self.where(),
            )
        )
        self.device_calls += 1

    # notes

    def _note_call(
        self,
        func: Any,
        name: str,
        args: Any,
        kwargs: Any,
        tensors: Sequence[torch.Tensor],
        out: Any,
    ) -> None:
        outputs: list[torch.Tensor] = []
        _collect((out,), outputs)
        view = func.is_view
        if not view:
            for tensor in outputs:
                self.ledger.add(tensor)
        mode = _math_mode(name, tensors)
        kernels = launched.kernels(name, args, out, view, mode == "tf32")
        if kernels:
            self.device_calls += 1
        attributes = _attributes(func, args, kwargs)
        stage = self.stage
        key = (
            func,
            tuple((t.shape, t.stride(), t.dtype) for t in tensors),
            attributes,
            stage,
            mode,
            kernels,
        )
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.operations)
            inputs = tuple(map(_described, tensors))
            results = tuple(map(_described, outputs))
            written = [] if kernels == 0 else _written(func, args, outputs)
            read = [] if kernels == 0 else _read(func, name, tensors, outputs)
            self.operations.append(
                Operation(
                    kind=_kind(func, name),
                    inputs=inputs,
                    outputs=results,
                    attributes=attributes,
                    stage=stage,
                    math_mode=mode,
                    flop=work.flop(func, name, args, kwargs, out) if kernels else 0.0,
                    bytes_read=float(sum(read)),
                    bytes_written=float(sum(written)),
                    launches=kernels,
                )
            )
        self.sequence.append(number)
        self.python.called(number)

    def _append(self, operation: Operation) -> None:
        number = self._numbers.get(operation)
        if number is None:
            number = self._numbers[operation] = len(self.operations)
            self.operations.append(operation)
        self.sequence.append(number)
        self.python.called(number)


def _collect(values: Any, found: list[torch.Tensor]) -> None:
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            _collect(value, found)


@cache
def _is_composite(func: Any) -> bool:
    """Whether an operator is defined by others, so that only those count; not where devices have
    kernels for the whole of it (silu_backward)."""
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    keys = torch._C.DispatchKey
    name = func.name()
    return bool(has(name, keys.CompositeImplicitAutograd) and not has(name, keys.CPU))


def _name(func: Any) -> str:
    return str(func._schema.name.split("::")[1])


def _kind(func: Any, name: str) -> str:
    """The operator's name; of another library than torch with that before it."""
    namespace = func.namespace
    return name if namespace == "aten" else f"{namespace}.{name}"


def _in_constructor() -> bool:
    """Whether a module is being made."""
    frame = sys._getframe(2)
    for _ in range(_MOST_FRAMES):
        if frame.f_code.co_name == "__init__":
            owner = frame.f_locals.get("self")
            if isinstance(owner, torch.nn.Module):
                return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


def _asked_count(args: Any) -> int:
    """Elements that a factory is asked for, 0 where it does not begin with a shape."""
    if args and isinstance(args[0], list | tuple):
        count = 1
        for size in args[0]:
            count *= int(size)
        return count
    return 0


def _masked(name: str, args: Any) -> bool:
    """Whether elements are chosen by a mask, so that the host must count them."""
    if name not in ("index", "repeat_interleave") or len(args) < 1:
        return False
    if name == "repeat_interleave":
        return True
    listed = args[1] if len(args) > 1 else ()
    return any(
        isinstance(one, torch.Tensor) and one.dtype in (torch.bool, torch.uint8) for one in listed
    )


def _math_mode(name: str, tensors: Sequence[torch.Tensor]) -> str:
    """tf32 where a product or convolution of float32 may use it, as the program's settings say."""
    if not tensors or tensors[0].dtype != torch.float32:
        return "ieee"
    try:
        if name in _PRODUCTS:
            return "tf32" if torch._C._get_cublas_allow_tf32() else "ieee"
        if name in _CONVOLUTIONS:
            return "tf32" if torch._C._get_cudnn_allow_tf32() else "ieee"
    except RuntimeError:  # the newer setting is in use: one word for each
        part = torch.backends.cuda.matmul if name in _PRODUCTS else torch.backends.cudnn.conv
        return "tf32" if part.fp32_precision == "tf32" else "ieee"
    return "ieee"


def _described(tensor: torch.Tensor) -> Tensor:
    strides = None if tensor.is_contiguous() else tuple(tensor.stride())
    return Tensor(tuple(tensor.shape), work.element_type(tensor.dtype), strides)


def _attributes(func: Any, args: Any, kwargs: Any) -> tuple[tuple[str, Any], ...]:
    """The arguments that are numbers, words or short lists of numbers, by name."""
    found: list[tuple[str, Any]] = []
    for index, argument in enumerate(func._schema.arguments):
        value = args[index] if index < len(args) else kwargs.get(argument.name)
        if isinstance(value, bool | int | float):
            if value == value and abs(value) < 2**62:
                found.append((argument.name, value))
        elif isinstance(value, str):
            found.append((argument.name, value[:100]))
        elif (
            isinstance(value, list | tuple)
            and 0 < len(value) <= _MOST_LISTED
            and all(isinstance(one, bool | int | float) for one in value)
        ):
            found.append((argument.name, tuple(value)))
    return tuple(found)


def _written(func: Any, args: Any, outputs: Sequence[torch.Tensor]) -> list[int]:
    return [work.tensor_bytes(tensor) for tensor in outputs] or [
        work.tensor_bytes(tensor) for tensor in _changed(func, args)
    ]


def _changed(func: Any, args: Any) -> list[torch.Tensor]:
    """Tensors that an operator writes into."""
    changed: list[torch.Tensor] = []
    for argument, value in zip(func._schema.arguments, args, strict=False):
        if argument.alias_info is not None and argument.alias_info.is_write:
            _collect((value,), changed)
    return changed


#: operators that read only what an index names of their first operand
_PICKED = frozenset(("embedding", "index", "index_select", "gather", "_embedding_bag"))
#: operators that write without reading what was there
_FILLED = frozenset(("zero_", "fill_", "normal_", "uniform_", "bernoulli_", "exponential_", "copy_",
                     "_foreach_zero_", "random_"))  # fmt: skip


def _read(
    func: Any, name: str, tensors: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor]
) -> list[int]:
    sizes = [work.tensor_bytes(tensor) for tensor in tensors]
    if name in _FILLED:
        return sizes[1:] if name == "copy_" else []
    if name in _PICKED and sizes and outputs:
        sizes[0] = min(sizes[0], work.tensor_bytes(outputs[0]))
    return sizes
