"""Which of the program's steps counts: where it begins and ends, and what it works on."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.optim import optimizer as optimizers

from estimator.trace.recorder import Recorder


class Window:
    """Counts steps and calls ``finish`` at the end of the one that counts.

    A step ends where the first optimizer that steps has stepped; without any, where ``backward``
    has returned; at marks alone (``breakeven.step()``, calls of a function) where there are any.
    """

    def __init__(
        self,
        recorder: Recorder,
        steps: int,
        skip: int,
        finish: Callable[[], NoReturn],
        marked: bool = False,
    ) -> None:
        self._recorder = recorder
        self._last = skip + steps
        self._finish = finish
        self._optimizer: Any = None
        self._marked = marked
        self.done = 0
        self.optimizers: weakref.WeakSet[Any] = weakref.WeakSet()
        self.models: weakref.WeakSet[Any] = weakref.WeakSet()
        self.samples: dict[int, int] = {}
        self.tokens: dict[int, int] = {}
        self.trained = False
        self._depth = 0

    def install(self) -> None:
        optimizers.register_optimizer_step_pre_hook(self._before_optimizer)
        optimizers.register_optimizer_step_post_hook(self._after_optimizer)
        self._wrap_calls()
        construct, original = torch.optim.Optimizer.__init__, torch.autograd.backward

        def initialise(optimizer: Any, *args: Any, **kwargs: Any) -> None:
            construct(optimizer, *args, **kwargs)
            self.optimizers.add(optimizer)

        torch.optim.Optimizer.__init__ = initialise

        def backward(*args: Any, **kwargs: Any) -> None:
            original(*args, **kwargs)
            self.trained = True
            if not self.optimizers and not self._marked:
                self._end_of_step()

        torch.autograd.backward = backward

    # ends of steps

    def _before_optimizer(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._recorder.optimizing += 1

    def _after_optimizer(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._recorder.optimizing -= 1
        self.trained = True
        if self._optimizer is None:
            self._optimizer = weakref.ref(optimizer)
        if self._optimizer() is optimizer and not self._marked:
            self._end_of_step()

    def mark_begin(self) -> None:
        """``with breakeven.step():`` was entered."""
        self._marked = True
        self._begin()

    def mark_end(self) -> None:
        self.done += 1
        if self.done >= self._last:
            self._finish()

    def _end_of_step(self) -> None:
        self.done += 1
        if self.done >= self._last:
            self._finish()
        self._begin()

    def _begin(self) -> None:
        self.samples.clear()
        self.tokens.clear()
        self._recorder.begin()

    # what a step works on

    def _wrap_calls(self) -> None:
        """Note what the outermost modules are called with."""
        call = torch.nn.Module.__call__

        def called(module: Any, *args: Any, **kwargs: Any) -> Any:
            self._depth += 1
            try:
                if self._depth == 1:
                    self.models.add(module)
                    self._count(module, (*args, *kwargs.values()))
                return call(module, *args, **kwargs)
            finally:
                self._depth -= 1

        torch.nn.Module.__call__ = called

    def _count(self, module: Any, given: tuple[Any, ...]) -> None:
        """Samples: the first dimension of the first operand; tokens: whole numbers in rows."""
        first = next((one for one in given if isinstance(one, torch.Tensor) and one.dim()), None)
        if first is None:
            return
        key = id(module)
        self.samples[key] = self.samples.get(key, 0) + int(first.shape[0])
        if first.dim() == 2 and not first.dtype.is_floating_point:
            self.tokens[key] = self.tokens.get(key, 0) + int(first.numel())

    # what is in memory

    def tensors(self) -> dict[str, list[Any]]:
        """Kind of memory -> tensors, of the models and optimizers that ran."""
        parameters: list[Any] = []
        for model in self.models:
            parameters += [*model.parameters(), *model.buffers()]
        states: list[Any] = []
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                parameters += group["params"]
            for state in optimizer.state.values():
                states += [one for one in state.values() if isinstance(one, torch.Tensor)]
        gradients = [one.grad for one in parameters if one.grad is not None]
        return {"parameters": parameters, "gradients": gradients, "optimizer": states}

    def parameter_count(self) -> int:
        seen = {}
        for one in self.tensors()["parameters"]:
            if isinstance(one, torch.nn.Parameter) and isinstance(one, FakeTensor):
                seen[id(one)] = one.numel()
        return sum(seen.values())
