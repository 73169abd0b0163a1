"""What torch chooses on a GPU and not on a CPU: attention, recurrent kernels, list optimizers, the
layout of images."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn import functional
from torch.optim import optimizer as optimizers
from torch.utils import _foreach_utils

aten = torch.ops.aten

_RECURRENT = {"rnn_relu": 0, "rnn_tanh": 1, "lstm": 2, "gru": 3}  # cuDNN's numbers of modes
_MOST_HEAD = 256  # elements of a head that flash attention takes


def install(note: Callable[[str], None]) -> None:
    """Have torch choose as on a GPU wherever its tensors are on the pretended one."""
    for module in (optimizers, _foreach_utils):
        module._foreach_supported_types.append(FakeTensor)
    functional.scaled_dot_product_attention = _attention(functional.scaled_dot_product_attention)
    for name, mode in _RECURRENT.items():
        setattr(torch._VF, name, _recurrent(getattr(torch._VF, name), mode))
    torch.backends.mha.set_fastpath_enabled(False)
    torch._C._conv_determine_backend_memory_format = _layout(
        torch._C._conv_determine_backend_memory_format
    )
    _register_missing()


def _on_gpu(tensor: Any) -> bool:
    return isinstance(tensor, FakeTensor) and tensor.fake_device.type == "cuda"


def _layout(original: Callable[..., Any]) -> Callable[..., Any]:
    """Results of convolutions lie in NHWC where images or weights do: cuDNN's choice, not the
    CPU's (aten/src/ATen/native/ConvUtils.h)."""

    def layout(x: Any, weight: Any, backend: Any) -> Any:
        if not _on_gpu(x):
            return original(x, weight, backend)
        form = torch.channels_last if x.dim() == 4 else torch.channels_last_3d
        last = any(
            one.is_contiguous(memory_format=form) and not one.is_contiguous() for one in (x, weight)
        )
        return form if last else torch.contiguous_format

    return layout


def _attention(original: Callable[..., Any]) -> Callable[..., Any]:
    """Flash attention where it takes the operands, else the memory-efficient kernel, else the plain
    formula: the order of torch's own choice (aten/src/ATen/native/transformers/cuda/sdp_utils.cpp).
    """

    def scaled_dot_product_attention(
        query: Any,
        key: Any,
        value: Any,
        attn_mask: Any = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Any:
        if not _on_gpu(query):
            return original(
                query, key, value, attn_mask, dropout_p, is_causal,
                scale=scale, enable_gqa=enable_gqa,
            )  # fmt: skip
        if torch.is_autocast_enabled("cuda"):
            dtype = torch.get_autocast_dtype("cuda")
            query, key, value = (one.to(dtype) if one.dtype == torch.float32 else one
                                 for one in (query, key, value))  # fmt: skip
            if attn_mask is not None and attn_mask.dtype == torch.float32:
                attn_mask = attn_mask.to(dtype)
        plain = query.dim() == 4 and query.shape[-1] == value.shape[-1]
        half = query.dtype in (torch.float16, torch.bfloat16)
        backends = torch.backends.cuda
        heads = query.shape[-1]
        if (
            plain and half and attn_mask is None and heads <= _MOST_HEAD
            and backends.flash_sdp_enabled()
        ):  # fmt: skip
            padded = -heads % 8
            if padded:
                query, key, value = (
                    functional.pad(one, (0, padded)) for one in (query, key, value)
                )
                scale = heads**-0.5 if scale is None else scale
            out = aten._scaled_dot_product_flash_attention(
                query, key, value, dropout_p, is_causal, False, scale=scale
            )[0]
            return out[..., :heads] if padded else out
        if enable_gqa and key.shape[-3] != query.shape[-3]:
            times = query.shape[-3] // key.shape[-3]
            key, value = (one.repeat_interleave(times, -3) for one in (key, value))
        if plain and query.dtype != torch.float64 and backends.mem_efficient_sdp_enabled():
            bias = _bias(attn_mask, query, key)
            grad = torch.is_grad_enabled() and any(one.requires_grad for one in (query, key, value))
            return aten._scaled_dot_product_efficient_attention(
                query, key, value, bias, grad, dropout_p, is_causal, scale=scale
            )[0]
        return aten._scaled_dot_product_attention_math(
            query, key, value, attn_mask, dropout_p, is_causal, None, scale=scale
        )[0]

    return scaled_dot_product_attention


def _bias(mask: Any, query: Any, key: Any) -> Any:
    """The mask as a bias of the operands' type, for all heads."""
    if mask is None:
        return None
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(
            mask.logical_not(), -torch.inf
        )
    shape = (query.shape[0], query.shape[1], query.shape[2], key.shape[2])
    return mask.to(query.dtype).expand(shape)


def _recurrent(original: Callable[..., Any], mode: int) -> Callable[..., Any]:
    """The kernel of cuDNN, which computes all steps and layers in one call."""

    def run(*args: Any) -> Any:
        if not _on_gpu(args[0]):
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

    # torch built for CPUs takes these apart on a GPU, whose kernels it does not have
    whole = torch.library.Library("aten", "IMPL", "AutogradCUDA")
    _kept.append(whole)
    for name in ("silu_backward", "mish_backward"):
        with contextlib.suppress(RuntimeError):
            whole.impl(name, torch.library.fallthrough_kernel)

    library = torch.library.Library("aten", "IMPL", "Meta")
    _kept.append(library)
    known = {
        "_cudnn_rnn_backward": cudnn_rnn_backward,
        "_fused_sgd_": lambda *args, **kwargs: None,
        "_fused_adagrad_": lambda *args, **kwargs: None,
    }
    for name, shapes in known.items():
        with contextlib.suppress(RuntimeError):  # torch has one now
            library.impl(name, shapes)


_kept: list[Any] = []
