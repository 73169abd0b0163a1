"""A dense layer with ReLU, and its gradients, as users of each library write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collector.workloads._base import Function

if TYPE_CHECKING:
    from collector.backends.base import Backend


def numpy_function(backend: Backend) -> Function:
    """Forward, for numpy and cupy: product, sum and maximum are a call each."""
    maximum = backend.module.maximum
    return lambda x, w, bias: maximum(x @ w.T + bias, 0)


def torch_function(backend: Backend, case: str) -> Function:
    """Forward, or forward and autograd's gradients of input, weights and bias."""
    torch: Any = backend.module
    linear, relu = torch.nn.functional.linear, torch.nn.functional.relu
    if case == "forward":  # operands need no gradients, so none are recorded
        return lambda x, w, bias: relu(linear(x, w, bias))

    def with_gradients(x: Any, w: Any, bias: Any, grad: Any) -> tuple[Any, ...]:
        leaves = [operand.detach().requires_grad_() for operand in (x, w, bias)]
        y = relu(linear(*leaves))
        return (y.detach(), *torch.autograd.grad(y, leaves, grad))

    return with_gradients


def jax_function(backend: Backend, case: str) -> Function:
    """The same, compiled as a whole."""
    import jax

    def forward(x: Any, w: Any, bias: Any) -> Any:
        return jax.nn.relu(x @ w.T + bias)

    if case == "forward":
        return backend.compile(forward)

    def with_gradients(x: Any, w: Any, bias: Any, grad: Any) -> tuple[Any, ...]:
        y, gradients_of = jax.vjp(forward, x, w, bias)
        return (y, *gradients_of(grad))

    return backend.compile(with_gradients)
