"""Scaled dot product attention by the kernel that torch would choose on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal

import torch
from torch.nn import functional

from estimator.trace.shapes import is_on_gpu

aten = torch.ops.aten

Kernel = Literal["flash", "efficient", "plain"]

_MOST_HEAD = 256  # elements of a head that flash attention takes
_HEAD_MULTIPLE = 8  # to which it pads a head
_HALF = (torch.float16, torch.bfloat16)


def attention_on_gpu(
    original: Callable[..., Any], aside: Callable[[], AbstractContextManager[None]]
) -> Callable[..., Any]:
    """``scaled_dot_product_attention`` on the pretended GPU; ``original`` elsewhere."""

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
        if not is_on_gpu(query):
            return original(
                *(query, key, value, attn_mask, dropout_p, is_causal),
                scale=scale,
                enable_gqa=enable_gqa,
            )
        query, key, value, attn_mask = _cast(query, key, value, attn_mask)
        with aside():
            kernel = choose(query, value, attn_mask)
        if kernel == "flash":
            return _flash(query, key, value, dropout_p, is_causal, scale)
        if enable_gqa and key.shape[-3] != query.shape[-3]:
            times = query.shape[-3] // key.shape[-3]
            key, value = (one.repeat_interleave(times, -3) for one in (key, value))
        if kernel == "efficient":
            operands = (query, key, value)
            grad = torch.is_grad_enabled() and any(one.requires_grad for one in operands)
            bias = _bias(attn_mask, query, key)
            return aten._scaled_dot_product_efficient_attention(
                *(*operands, bias, grad, dropout_p, is_causal), scale=scale
            )[0]
        return aten._scaled_dot_product_attention_math(
            *(query, key, value, attn_mask, dropout_p, is_causal, None), scale=scale
        )[0]

    return scaled_dot_product_attention


def choose(query: Any, value: Any, mask: Any) -> Kernel:
    """Flash attention where it takes the operands, else the memory-efficient kernel, else the plain
    formula: the order of torch's choice (aten/src/ATen/native/transformers/cuda/sdp_utils.cpp).
    """
    backends = torch.backends.cuda
    heads = query.shape[-1]
    if query.dim() != 4 or heads != value.shape[-1]:
        return "plain"
    flash = query.dtype in _HALF and mask is None and heads <= _MOST_HEAD
    if flash and backends.flash_sdp_enabled():
        return "flash"
    efficient = query.dtype != torch.float64 and backends.mem_efficient_sdp_enabled()
    return "efficient" if efficient else "plain"


def _cast(query: Any, key: Any, value: Any, mask: Any) -> tuple[Any, Any, Any, Any]:
    """The operands in autocast's type, where that is on."""
    operands = (query, key, value, mask)
    if not torch.is_autocast_enabled("cuda"):
        return operands
    dtype = torch.get_autocast_dtype("cuda")
    first, second, third, fourth = (
        one.to(dtype) if one is not None and one.dtype == torch.float32 else one for one in operands
    )
    return first, second, third, fourth


def _flash(query: Any, key: Any, value: Any, dropout: float, causal: bool, scale: Any) -> Any:
    heads = query.shape[-1]
    padded = -heads % _HEAD_MULTIPLE
    if padded:
        query, key, value = (functional.pad(one, (0, padded)) for one in (query, key, value))
        scale = heads**-0.5 if scale is None else scale
    out = aten._scaled_dot_product_flash_attention(
        *(query, key, value, dropout, causal, False), scale=scale
    )[0]
    return out[..., :heads] if padded else out


def _bias(mask: Any, query: Any, key: Any) -> Any:
    """The mask as a bias of the operands' type, for all heads."""
    if mask is None:
        return None
    if mask.dtype == torch.bool:
        bias = torch.zeros_like(mask, dtype=query.dtype)
        mask = bias.masked_fill_(mask.logical_not(), -torch.inf)
    shape = (query.shape[0], query.shape[1], query.shape[2], key.shape[2])
    return mask.to(query.dtype).expand(shape)
