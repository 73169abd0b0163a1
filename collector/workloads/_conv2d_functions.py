"""Convolutions and their gradients as PyTorch and JAX users write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collector.workloads._base import Function
from collector.workloads._convolution_reference import LayerShape

if TYPE_CHECKING:
    from collector.backends.base import Backend


def torch_function(backend: Backend, case: str, shape: LayerShape) -> Function:
    """Operands need no gradients, so a forward call records none, as under torch.no_grad()."""
    torch: Any = backend.module
    stride, padding = (shape.stride,) * 2, (shape.padding,) * 2
    if case != "backward":
        conv2d = torch.nn.functional.conv2d
        return lambda x, w: conv2d(x, w, None, stride, padding, 1, shape.groups)
    backward = torch.ops.aten.convolution_backward.default  # what autograd calls for a convolution

    def gradients(x: Any, w: Any, grad: Any) -> tuple[Any, Any]:
        grad_x, grad_w, _ = backward(
            *(grad, x, w, None, stride, padding, (1, 1), False, (0, 0), 1),
            (True, True, False),
        )
        return grad_x, grad_w

    return gradients


def jax_function(backend: Backend, case: str, shape: LayerShape) -> Function:
    import jax

    padding = [(shape.padding, shape.padding)] * 2

    def forward(x: Any, w: Any) -> Any:
        return jax.lax.conv_general_dilated(
            *(x, w, (shape.stride,) * 2, padding),
            dimension_numbers=("NCHW", "OIHW", "NCHW"),
            feature_group_count=shape.groups,
        )

    if case != "backward":
        return backend.compile(forward)

    def gradients(x: Any, w: Any, grad: Any) -> tuple[Any, Any]:
        # the compiler leaves the forward product out, as nothing uses it
        grad_x, grad_w = jax.vjp(forward, x, w)[1](grad)
        return grad_x, grad_w

    return backend.compile(gradients)
