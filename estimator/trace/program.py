"""What a traced program meets instead of torch's own: modules that move, loaders, several GPUs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._pytree import tree_map_only

from estimator.trace.recorder import Recorder

aten = torch.ops.aten


def install(recorder: Recorder) -> None:
    """Replace what cannot work on tensors without values by what does."""
    _modules(recorder)
    _tensors(recorder)
    _generators()
    _loaders(recorder)
    _compilers(recorder)
    _several_gpus(recorder)


def _modules(recorder: Recorder) -> None:
    """Parameters have no values from birth, so that they keep their identity when they move."""
    make = nn.Parameter.__new__

    def new_parameter(cls: Any, data: Any = None, requires_grad: bool = True) -> Any:
        if type(data) is torch.Tensor and data.device.type == "cpu":
            with recorder.fake:
                data = torch.empty_strided(data.shape, data.stride(), dtype=data.dtype)
        return make(cls, data, requires_grad)

    nn.Parameter.__new__ = staticmethod(new_parameter)

    def apply(self: Any, fn: Callable[[Any], Any], recurse: bool = True) -> Any:
        if recurse:
            for child in self.children():
                child._apply(fn)
        for name, parameter in self._parameters.items():
            if parameter is None:
                continue
            with torch.no_grad():
                moved = fn(parameter)
            grad = parameter.grad
            self._parameters[name] = _moved(parameter, moved)
            if grad is not None:
                with torch.no_grad():
                    self._parameters[name].grad = fn(grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    nn.Module._apply = apply


def _moved(parameter: Any, moved: Any) -> Any:
    """The same parameter with what it became."""
    if moved is parameter:
        return parameter
    if isinstance(parameter, FakeTensor) and isinstance(moved, FakeTensor):
        parameter.data = moved
        parameter.fake_device = moved.fake_device
        return parameter
    return nn.Parameter(moved, parameter.requires_grad)


def _tensors(recorder: Recorder) -> None:
    """Methods that read values."""
    tensor: Any = torch.Tensor
    plain_numpy, plain_tolist = tensor.numpy, tensor.tolist

    def real(fake: Any) -> Any:
        if fake.fake_device.type == "cuda":
            raise TypeError(
                "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the "
                "tensor to host memory first."
            )
        return recorder.values.fetched(fake, None)

    def numpy(self: Any, *, force: bool = False) -> Any:
        if isinstance(self, FakeTensor):
            self = self.detach().cpu() if force else self
            self = real(self) if isinstance(self, FakeTensor) else self
        return plain_numpy(self, force=force)

    def tolist(self: Any) -> Any:
        if isinstance(self, FakeTensor):
            self = self.detach().cpu()
            if isinstance(self, FakeTensor):
                self = recorder.values.fetched(self, None)
        return plain_tolist(self)

    def formatted(self: Any, spec: str) -> str:
        return format(self.item(), spec) if self.dim() == 0 else object.__format__(self, spec)

    def array(self: Any, dtype: Any = None, copy: Any = None) -> Any:
        made = numpy(self)
        return made if dtype is None else made.astype(dtype)

    def shown(self: Any, *, tensor_contents: Any = None) -> str:
        if self.fake_device.type == "cuda":
            recorder.wait()
        return f"tensor(..., size={tuple(self.shape)}, device='{self.device}', dtype={self.dtype})"

    def of_numbers(make: Callable[..., Any]) -> Callable[..., Any]:
        """A tensor of a list, whose tensors are read one by one."""

        def made(*args: Any, **kwargs: Any) -> Any:
            first = args[-1] if args else None
            while isinstance(first, list | tuple) and first:
                first = first[0]
            if isinstance(first, FakeTensor) and isinstance(args[-1], list | tuple):
                numbers = tree_map_only(FakeTensor, lambda one: one.tolist(), args[-1])
                args = (*args[:-1], numbers)
            return make(*args, **kwargs)

        return made

    torch.tensor, torch.as_tensor = of_numbers(torch.tensor), of_numbers(torch.as_tensor)
    tensor.new_tensor = of_numbers(tensor.new_tensor)
    tensor.numpy, tensor.tolist = numpy, tolist
    fake: Any = FakeTensor
    fake.__format__, fake.__repr__, fake.__array__ = formatted, shown, array
    fake.__str__ = shown
    fake.data_ptr = lambda self: id(self.untyped_storage())
    tensor.pin_memory = lambda self, device=None: recorder.pin(self)
    tensor.is_pinned = lambda self, device=None: (
        not isinstance(self, FakeTensor) and recorder.is_pinned(self)
    )
    tensor.record_stream = lambda self, stream: None
    tensor.share_memory_ = lambda self: self


def _generators() -> None:
    """A generator of the pretended device is one of the CPU."""
    plain: Any = torch.Generator
    make = {"__new__": lambda cls, device="cpu": plain.__new__(cls, device="cpu")}
    torch.Generator = type("Generator", (plain,), make)


class Loaders:
    """How many batches the loader has that was asked last."""

    length = 0
    #: of a dataset: itself, so that its id stays its own, and the workers that read it
    workers: ClassVar[dict[int, tuple[Any, int]]] = {}


def _loaders(recorder: Recorder) -> None:
    from torch.utils import data

    construct, iterate = data.DataLoader.__init__, data.DataLoader.__iter__

    def initialise(self: Any, *args: Any, **kwargs: Any) -> None:
        names = ("dataset", "batch_size", "shuffle", "sampler", "batch_sampler", "num_workers")
        given = dict(zip(names, args[: len(names)], strict=False)) | kwargs
        if len(args) > len(names):
            construct(self, *args[:5], 0, *args[6:], **kwargs)
            return
        # a loader that is made of another one (accelerate) has its workers
        data_set = given.get("dataset")
        workers = given.get("num_workers") or Loaders.workers.get(id(data_set), (None, 0))[1]
        Loaders.workers[id(data_set)] = (data_set, workers)
        self._asked_workers = workers
        if workers:
            recorder.note("loader: its workers are taken to keep up with the device")
        for name in ("num_workers", "prefetch_factor", "persistent_workers", "timeout"):
            given.pop(name, None)
        given.pop("multiprocessing_context", None)
        construct(self, **given)

    def iterated(self: Any) -> Iterator[Any]:
        with contextlib.suppress(TypeError):
            Loaders.length = len(self)
        batches: Iterator[Any] = iterate(self)
        return _Batches(batches, recorder, bool(getattr(self, "_asked_workers", 0)))

    data.DataLoader.__init__ = initialise
    data.DataLoader.__iter__ = iterated


class _Batches:
    """A loader's iterator that counts; where workers make the batches, they take no host's time."""

    def __init__(self, batches: Iterator[Any], recorder: Recorder, workers: bool) -> None:
        self._batches, self._recorder = batches, recorder
        self._making = recorder.python.aside if workers else contextlib.nullcontext

    def __iter__(self) -> _Batches:
        return self

    def __next__(self) -> Any:
        with self._making():
            batch = next(self._batches)
        self._recorder.batches += 1
        return batch

    def __len__(self) -> int:
        return len(self._batches)  # type: ignore[arg-type]  # torch's have one

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batches, name)


def _compilers(recorder: Recorder) -> None:
    """torch.compile and torch.jit return what they were given."""

    def compiled(model: Any = None, *_: Any, **__: Any) -> Any:
        recorder.note("torch.compile: traced as if it were not compiled")
        return (lambda function: function) if model is None else model

    def graphed(callables: Any, *_: Any, **__: Any) -> Any:
        recorder.note("CUDA graphs: traced as if nothing were captured")
        return callables

    class Captured:
        """A CUDA graph, which would have to be captured."""

        def __init__(self, *_: Any, **__: Any) -> None:
            raise NotImplementedError("CUDA graphs are not traced: run the program without them")

    torch.compile = compiled
    cuda: Any = torch.cuda
    cuda.make_graphed_callables = cuda.graphs.make_graphed_callables = graphed
    cuda.CUDAGraph = cuda.graph = Captured
    nn.Module.compile = lambda self, *_, **__: compiled(self) and None
    jit: Any = torch.jit
    script = jit.script

    def scripted(obj: Any = None, *_: Any, **__: Any) -> Any:
        own = str(getattr(obj, "__module__", "")).startswith("torch._decomp")
        return script(obj) if own else obj  # forward-mode derivatives read its graph

    jit.script = scripted
    jit.script_if_tracing = lambda function: function
    jit.trace = lambda function, *_, **__: function
    jit.export = lambda function: function


class _Replica(nn.Module):
    """DataParallel and DistributedDataParallel on one GPU: the module itself."""

    def __init__(self, module: Any, *_: Any, **__: Any) -> None:
        super().__init__()
        self.module = module
        self.require_backward_grad_sync = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        yield


def _several_gpus(recorder: Recorder) -> None:
    parallel: Any = nn.parallel

    class DataParallel(_Replica):
        """One GPU's share."""

    class DistributedDataParallel(_Replica):
        """One rank, with the buckets in which gradients are sent."""

        def __init__(self, module: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(module)
            if not kwargs.get("gradient_as_bucket_view"):
                self._buckets = [torch.empty_like(one) for one in module.parameters()]

    for module in (nn, parallel, parallel.data_parallel, parallel.distributed):
        if hasattr(module, "DataParallel"):
            module.DataParallel = DataParallel
        if hasattr(module, "DistributedDataParallel"):
            module.DistributedDataParallel = DistributedDataParallel
    distributed = torch.distributed
    if not distributed.is_available():
        return
    start = distributed.init_process_group

    def init_process_group(*_: Any, **__: Any) -> None:
        from torch.testing._internal.distributed.fake_pg import FakeStore

        recorder.note("torch.distributed: traced as its only rank, without communication")
        if not distributed.is_initialized():
            start(backend="fake", rank=0, world_size=1, store=FakeStore())

    distributed.init_process_group = init_process_group
    import torch.multiprocessing as processes

    def spawn(function: Any, args: Any = (), nprocs: int = 1, *_: Any, **__: Any) -> None:
        function(0, *args)

    processes.spawn = spawn
