"""What operations of a job say of themselves, by the conventions of PyTorch's operators (ATen).

Families read it to recognise what they measure, the estimator to find the nearest of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

from collector.jobs import Operation, Tensor

_WHERE = {"gpu": "cuda", "cpu": "cpu"}


@dataclass(frozen=True)
class Measured:
    """A cell as ``Model.predict`` is asked for it, without machine and mode."""

    workload: str
    case: str
    params: tuple[tuple[str, int], ...]
    dtype: str
    math_mode: str = "ieee"


def place(operation: Operation) -> tuple[str, str]:
    """Backend and device that an operation runs on, as datasets name them; CuPy has NumPy's calls
    on a GPU."""
    backend = "cupy" if (operation.library, operation.device) == ("numpy", "gpu") else ""
    return backend or operation.library, _WHERE[operation.device]


def plain_kind(kind: str) -> str:
    """The kind without the underscore of operators that write into their operand."""
    return kind.rstrip("_") or kind


def dense(*tensors: Tensor) -> bool:
    """Whether all lie in memory without gaps and in the same order of elements, of one shape."""
    first = tensors[0]
    return _gapless(first) and all(
        (other.shape, other.strides) == (first.shape, first.strides) for other in tensors[1:]
    )


def contiguous(*tensors: Tensor) -> bool:
    return all(tensor.strides is None for tensor in tensors)


def _gapless(tensor: Tensor) -> bool:
    if tensor.strides is None:
        return True
    sizes = sorted((s, n) for n, s in zip(tensor.shape, tensor.strides, strict=True) if n > 1)
    expected = accumulate((n for _, n in sizes), initial=1, func=lambda a, b: a * b)
    return all(stride == wanted for (stride, _), wanted in zip(sizes, expected, strict=False))


@dataclass(frozen=True)
class Products:
    """``batch`` products of m x k by k x n, of the operands ``a`` and ``b``."""

    batch: int
    m: int
    n: int
    k: int
    a: Tensor
    b: Tensor

    @property
    def turned(self) -> bool:
        """Whether the first operand lies transposed, its rows m elements long."""
        strides = self.a.strides
        return strides is not None and strides[-2:-1] == (1,) and strides[-1] != 1


#: kind of product -> place of its first operand
PRODUCT_KINDS = {
    **dict.fromkeys(("mm", "bmm", "linear", "mv", "_int_mm", "_scaled_mm"), 0),
    **dict.fromkeys(("addmm", "baddbmm", "addmv", "_addmm_activation"), 1),
}


def product_sizes(operation: Operation) -> Products | None:
    """The sizes of an operation of ``PRODUCT_KINDS``, None where its operands are no matrices."""
    kind = plain_kind(operation.kind)
    first = PRODUCT_KINDS.get(kind, 0)
    operands = operation.inputs[first : first + 2]
    if len(operands) < 2 or not operands[0].shape or not operands[1].shape:
        return None
    a, b = operands
    k = a.shape[-1]
    if kind == "linear":
        return Products(1, _over(a.count, k), b.shape[0], k, a, b)
    if len(b.shape) == 1:
        return Products(1, _over(a.count, k), 1, k, a, b)
    if len(b.shape) == 2 or len(a.shape) == 1:
        return Products(1, _over(a.count, k), b.shape[-1], k, a, b)
    m = a.shape[-2]
    batch = math.prod(operation.outputs[0].shape[:-2]) if operation.outputs else _over(b.count, k)
    return Products(batch, m, b.shape[-1], k, a, b)


def _over(count: int, by: int) -> int:
    return count // by if by else 0


@dataclass(frozen=True)
class Convolution:
    """A layer by its sizes: spatial ones have an entry for each dimension.

    A transposed convolution is described by the plain one whose input's gradient it is.
    """

    batch: int
    channels_in: int
    channels_out: int
    image: tuple[int, ...]
    output: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    transposed: bool
    channels_last: bool
    bias: bool
    #: gradients that are asked for: of input, weights and bias; of a forward pass none
    gradients: tuple[bool, ...] = ()

    @property
    def depthwise(self) -> bool:
        return 1 < self.groups == self.channels_in == self.channels_out

    @property
    def flop(self) -> float:
        """Of one pass: 2 a product, those with the padding's zeros too."""
        each = self.channels_in // self.groups * math.prod(self.kernel)
        return 2.0 * self.batch * self.channels_out * math.prod(self.output) * each


CONVOLUTION_KINDS = frozenset(
    {
        *("convolution", "_convolution", "convolution_overrideable", "_conv_depthwise2d"),
        *("cudnn_convolution", "mkldnn_convolution", "cudnn_convolution_transpose"),
        *("convolution_backward", "convolution_backward_overrideable"),
        *(f"conv{way}{sides}d" for way in ("", "_transpose") for sides in (1, 2, 3)),
    }
)


def convolution_sizes(operation: Operation) -> Convolution | None:
    """The sizes of an operation of ``CONVOLUTION_KINDS``; None where they are not all there."""
    kind, given = operation.kind, operation.inputs
    backward = "backward" in kind
    if len(given) < 2 + backward or not (backward or operation.outputs):
        return None
    y, x, w = given[:3] if backward else (operation.outputs[0], *given[:2])
    sides = len(x.shape) - 2
    if sides < 1 or len(w.shape) != sides + 2 or len(y.shape) != sides + 2:
        return None
    transposed = bool(operation.attribute("transposed", "transpose" in kind))
    mask = operation.attribute("output_mask", (True, True, False)) if backward else ()
    layer = (y, x) if transposed else (x, y)
    groups = operation.attribute("groups", 0)
    return Convolution(
        x.shape[0],
        layer[0].shape[1],
        layer[1].shape[1],
        layer[0].shape[2:],
        layer[1].shape[2:],
        w.shape[2:],
        _spatial(operation, "stride", sides, 1),
        _spatial(operation, "padding", sides, 0),
        _spatial(operation, "dilation", sides, 1),
        int(groups) if isinstance(groups, (int, float)) and groups else _groups(layer[0], w),
        transposed,
        x.channels_last or w.channels_last,
        len(given) > 2 and not backward,
        tuple(map(bool, mask)) if isinstance(mask, tuple) else (),
    )


def _groups(x: Tensor, w: Tensor) -> int:
    return max(1, _over(x.shape[1], w.shape[1]))


def _spatial(operation: Operation, name: str, sides: int, default: int) -> tuple[int, ...]:
    value = operation.attribute(name, default)
    if isinstance(value, tuple) and len(value) == sides:
        return tuple(max(default, int(one)) for one in value)
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    return (max(default, int(value)) if isinstance(value, (int, float)) else default,) * sides


@dataclass(frozen=True)
class Attention:
    """Scaled dot product attention by its sizes; ``value_dim`` is the width of values."""

    batch: int
    heads: int
    key_heads: int
    queries: int
    keys: int
    head_dim: int
    value_dim: int
    causal: bool
    dropout: bool
    #: something is added to the scores
    bias: bool


_SDPA = "_scaled_dot_product_"
_SEQUENCE_FIRST = ("_flash_attention", "_efficient_attention")
ATTENTION_KINDS = frozenset(
    {f"{_SDPA}{name}_attention" for name in ("flash", "efficient", "cudnn")}
    | {f"{_SDPA}flash_attention_for_cpu", f"{_SDPA}fused_attention_overrideable"}
    | {"scaled_dot_product_attention", *(f"{name}_forward" for name in _SEQUENCE_FIRST)}
)
ATTENTION_BACKWARD_KINDS = frozenset(
    {
        *(f"{kind}_backward" for kind in ATTENTION_KINDS if not kind.endswith("_forward")),
        *(f"{name}_backward" for name in _SEQUENCE_FIRST),
    }
)


def attention_sizes(operation: Operation) -> Attention | None:
    """The sizes of an operation of the two lists above; None where they are not all there."""
    kind = operation.kind
    backward = kind in ATTENTION_BACKWARD_KINDS
    operands = operation.inputs[backward : backward + 3]
    if len(operands) < 3:
        return None
    # three dimensions: one sequence, or several of different lengths in a row
    shapes = [(1,) * (4 - len(tensor.shape)) + tensor.shape for tensor in operands]
    if any(len(shape) != 4 for shape in shapes):
        return None
    if kind.startswith(_SEQUENCE_FIRST):
        shapes = [(batch, heads, rows, width) for batch, rows, heads, width in shapes]
    q, k, v = shapes
    extra = operation.inputs[backward + 3 : backward + 4]
    bias = bool(extra) and extra[0].count >= q[-2] * k[-2] and extra[0].dtype == operation.dtype
    return Attention(
        q[0],
        q[1],
        k[1],
        q[2],
        k[2],
        q[3],
        v[3],
        bool(operation.attribute("is_causal", False)),
        bool(operation.attribute("dropout_p", 0.0)),
        bias and "flash" not in kind,
    )
