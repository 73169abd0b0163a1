"""What torch chooses on a GPU and not on a CPU: attention, recurrent kernels, list optimizers, the
layout of images."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn import functional
from torch.optim import optimizer as optimizers
from torch.utils import _foreach_utils

from estimator.trace.attention import attention_on_gpu
from estimator.trace.shapes import is_on_gpu

aten = torch.ops.aten

_RECURRENT = {"rnn_relu": 0, "rnn_tanh": 1, "lstm": 2, "gru": 3}  # cuDNN's numbers of modes
#: numbers that a recurrent cell keeps of each step and unit, by cuDNN's number of its mode
_KEPT_NUMBERS = {0: 2, 1: 2, 2: 6, 3: 5}


def install(aside: Callable[[], AbstractContextManager[None]]) -> None:
    """Have torch choose as on a GPU wherever its tensors are on the pretended one.

    In ``aside`` is what the choice takes here, which is none of the program's time.
    """
    for module in (optimizers, _foreach_utils):
        module._foreach_supported_types.append(FakeTensor)
    functional.scaled_dot_product_attention = attention_on_gpu(
        functional.scaled_dot_product_attention, aside
    )
    for name, mode in _RECURRENT.items():
        setattr(torch._VF, name, _recurrent(getattr(torch._VF, name), mode))
    torch.nn.RNNBase.flatten_parameters = lambda self: None  # asks cuDNN itself
    torch.backends.mha.set_fastpath_enabled(False)
    torch._C._conv_determine_backend_memory_format = _layout(
        torch._C._conv_determine_backend_memory_format
    )
    _register_missing()


def _layout(original: Callable[..., Any]) -> Callable[..., Any]:
    """Results of convolutions lie in NHWC where images or weights do: cuDNN's choice, not the
    CPU's (aten/src/ATen/native/ConvUtils.h)."""

    def layout(x: Any, weight: Any, backend: Any) -> Any:
        if not is_on_gpu(x):
            return original(x, weight, backend)
        form = torch.channels_last if x.dim() == 4 else torch.channels_last_3d
        last = any(
            one.is_contiguous(memory_format=form) and not one.is_contiguous() for one in (x, weight)
        )
        return form if last else torch.contiguous_format

    return layout


def _recurrent(original: Callable[..., Any], mode: int) -> Callable[..., Any]:
    """The kernel of cuDNN, which computes all steps and layers in one call."""

    def run(*args: Any) -> Any:
        if not is_on_gpu(args[0]):
            return original(*args)
        packed = isinstance(args[1], torch.Tensor) and args[1].dtype == torch.int64
        if packed:
            data, sizes, hidden, weights, _, layers, dropout, train, both = args
            first, batch_sizes = False, [int(one) for one in sizes.tolist()]
        else:
            data, hidden, weights, _, layers, dropout, train, both, first = args
            batch_sizes = []
        state = hidden if isinstance(hidden, tuple | list) else (hidden, None)
        directions = 2 if both else 1
        each = len(weights) // (layers * directions)
        size, projected = state[0].shape[-1], 0
        if mode == 2 and state[1].shape[-1] != size:
            size, projected = state[1].shape[-1], size
        if torch.is_autocast_enabled("cuda"):
            dtype = torch.get_autocast_dtype("cuda")
            data, weights = data.to(dtype), [one.to(dtype) for one in weights]
            state = tuple(one if one is None else one.to(dtype) for one in state)
        total = sum(one.numel() for one in weights)
        with torch.no_grad():
            buffer = weights[0].new_empty(total)
        out = aten._cudnn_rnn(
            data, list(weights), each, buffer, state[0], state[1], mode, size, projected, layers,
            first, dropout, train, both, batch_sizes, None,
        )  # fmt: skip
        return (out[0], out[1], out[2]) if mode == 2 else (out[0], out[1])

    return run


def _register_missing() -> None:
    """Shapes of results that torch does not know for tensors without values."""

    def cudnn_rnn_backward(
        data: Any, weights: Any, stride: int, buffer: Any, hidden: Any, cell: Any, output: Any,
        grad_output: Any, grad_hidden: Any, grad_cell: Any, mode: int, hidden_size: int,
        proj_size: int, layers: int, batch_first: bool, dropout: float, train: bool,
        bidirectional: bool, batch_sizes: Any, dropout_state: Any, reserve: Any, output_mask: Any,
    ) -> Any:  # fmt: skip
        cells = torch.empty_like(cell) if cell is not None else hidden.new_empty(0)
        return (
            torch.empty_like(data), torch.empty_like(hidden), cells,
            [torch.empty_like(one) for one in weights],
        )  # fmt: skip

    known = torch._meta_registrations._cudnn_rnn

    def cudnn_rnn(data: Any, *args: Any) -> Any:
        """As torch has it, with what cuDNN keeps for the way back: gates, cells and states."""
        out = known(data, *args)
        mode, size, layers, train, both = (args[at] for at in (5, 6, 8, 11, 12))
        steps = math.prod(data.shape[:-1])
        numbers = steps * layers * (2 if both else 1) * size * _KEPT_NUMBERS[mode] if train else 0
        reserve = data.new_empty(numbers * data.element_size(), dtype=torch.uint8)
        return (*out[:3], reserve, out[4])

    # torch built for CPUs takes these apart on a GPU, whose kernels it does not have
    whole = torch.library.Library("aten", "IMPL", "AutogradCUDA")
    _kept.append(whole)
    for name in ("silu_backward", "mish_backward"):
        with contextlib.suppress(RuntimeError):
            whole.impl(name, torch.library.fallthrough_kernel)

    def gru_cell(gates: Any, hidden_gates: Any, hidden: Any, *_: Any) -> Any:
        rows, size = hidden.shape
        return torch.empty_like(hidden), hidden.new_empty(rows, 5 * size)

    def gru_cell_backward(grad: Any, kept: Any, has_bias: bool) -> Any:
        rows, size = grad.shape
        gates = [grad.new_empty(rows, 3 * size) for _ in range(2)]
        biases = [grad.new_empty(3 * size) if has_bias else None for _ in range(2)]
        return (*gates, torch.empty_like(grad), *biases)

    def geqrf(matrix: Any) -> Any:
        rows, columns = matrix.shape[-2:]
        return torch.empty_like(matrix), matrix.new_empty(*matrix.shape[:-2], min(rows, columns))

    def like_first(first: Any, *_: Any, **__: Any) -> Any:
        return torch.empty_like(first)

    def in_place(*_: Any, **__: Any) -> None: ...

    library = torch.library.Library("aten", "IMPL", "Meta")
    _kept.append(library)
    for name, function in (
        ("_cudnn_rnn", cudnn_rnn),
        ("_cudnn_rnn_backward", cudnn_rnn_backward),
        ("_thnn_fused_gru_cell", gru_cell),
        ("_thnn_fused_gru_cell_backward", gru_cell_backward),
        ("geqrf", geqrf),
        ("_sample_dirichlet", like_first),
        ("_dirichlet_grad", like_first),
        ("binomial", like_first),
        ("_fused_sgd_", in_place),
        ("_fused_sgd_.tensor_lr", in_place),
        ("_fused_adagrad_", in_place),
        ("_fused_adagrad_.tensor_lr", in_place),
    ):
        library.impl(name, function, allow_override=True)


_kept: list[Any] = []
