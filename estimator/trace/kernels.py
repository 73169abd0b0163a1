"""How many kernels one call of a torch operator launches on a GPU.

Counted with torch.profiler on an H200 (torch 2.11, cuDNN 9.19): ``benchmarks/operations.py``. Where
torch decides, as its source does (aten/src/ATen/native/cuda, cudnn); where a library decides, by
what was seen. Fills and copies of memory that the driver does itself are no kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from estimator.trace.work import FREE

#: kernels of a call, where it is not one and no rule below says it
_SEVERAL = {
    "native_layer_norm_backward": 2,  # gradient of the rows; sums for weight and bias
    "native_group_norm": 3,  # moments, a scale and shift for each channel, the map
    "native_group_norm_backward": 5,
    "_softmax_backward_data": 2,  # the product with the gradient, then the sums
    "_masked_softmax_backward": 2,
    # zeros, then what is added to or copied into them
    "max_pool2d_with_indices_backward": 2,
    "max_pool3d_with_indices_backward": 2,
    "adaptive_max_pool2d_backward": 2,
    "_adaptive_avg_pool2d_backward": 2,
    "upsample_linear1d_backward": 2,
    "upsample_bilinear2d_backward": 2,
    "upsample_bicubic2d_backward": 2,
    "upsample_trilinear3d_backward": 2,
    "_upsample_bilinear2d_aa_backward": 2,
    "reflection_pad1d_backward": 2,
    "reflection_pad2d_backward": 2,
    "reflection_pad3d_backward": 2,
    "replication_pad1d_backward": 2,
    "replication_pad2d_backward": 2,
    "replication_pad3d_backward": 2,
    "grid_sampler_2d_backward": 2,
    "slice_backward": 2,
    "select_backward": 2,
    "nll_loss_backward": 2,
    "mse_loss_backward": 2,
    "smooth_l1_loss_backward": 2,
    "huber_loss_backward": 2,
    "nll_loss2d_backward": 2,
    "nll_loss2d_forward": 4,
    # sums of several operators that are not seen one by one
    "logsumexp": 9,
    "binary_cross_entropy_with_logits": 5,
    "multinomial": 14,
    # of thrust and CUB: counts, scans, compaction
    "nonzero": 5,
    "masked_select": 6,
    "_unique2": 12,
    "unique_dim": 12,
    "unique_consecutive": 6,
    "equal": 2,
    "_is_all_true": 2,
    "_is_any_true": 2,
}

#: losses: a map, and a sum or mean of it unless each element is asked for (reduction 0)
_REDUCED = {
    "mse_loss": 2,
    "smooth_l1_loss": 2,
    "huber_loss": 2,
    "binary_cross_entropy": 3,
    "binary_cross_entropy_with_logits": 4,
}  # position of the reduction

#: Tensors that one kernel of a list operation takes, by how many lists go together, and chunks of
#: 65,536 elements (torch/aten/src/ATen/native/cuda/MultiTensorApply.cuh).
_LIST_TENSORS = {1: 110, 2: 64, 3: 48, 4: 36, 5: 30}
_LIST_CHUNKS = 320
_CHUNK = 65536

_CAT_TENSORS, _CAT_DIMENSIONS = 128, 4  # of one kernel (Shape.cu)
#: indices of an embedding whose gradient is made without sorting them (Embedding.cu)
_FEW_INDICES = 3072
_SORTED_IN_PLACE = 4096  # longest row that one block sorts (SortStable.cu)


def kernels(kind: str, args: Sequence[Any], out: Any, view: bool, tf32: bool = False) -> int:
    """Kernels that one call launches; ``tf32``: its float32 products may be rounded."""
    if view or kind in FREE:
        return 0
    kind = kind.rstrip("_")
    if kind.startswith(("_foreach_", "_fused_", "_amp_foreach_")):
        return _list(kind, args, out)
    rule = _RULES.get(kind)
    if rule is None:
        results = out if isinstance(out, list | tuple) else (out,)
        if isinstance(out, torch.Tensor) and not any(map(_some, results)):
            return 0  # nothing to compute
        count = _SEVERAL.get(kind, 1)
        place = _REDUCED.get(kind)
        reduced = place is not None and (len(args) <= place or bool(args[place]))
        return count + reduced
    if isinstance(out, torch.Tensor) and not _some(out):
        return 0
    return rule(args, tf32)


def _some(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.numel() > 0


def _half(tensor: torch.Tensor) -> bool:
    return tensor.dtype in (torch.float16, torch.bfloat16)


def _argument(args: Sequence[Any], place: int, default: Any) -> Any:
    return args[place] if len(args) > place else default


# -- lists of tensors --------------------------------------------------------------------------


def _list(kind: str, args: Sequence[Any], out: Any) -> int:
    """As many as it takes to hand all tensors over, as multi_tensor_apply does.

    A norm starts from zeros and ends with a kernel that adds up what its parts found.
    """
    lists = [one for one in (*args, out) if isinstance(one, list | tuple) and one and _some(one[0])]
    tensors = [one for one in lists[0] if _some(one)] if lists else []
    fused = kind.startswith("_fused_")
    depth = min(len(lists), 5) - (fused and kind != "_fused_sgd")  # steps go beside the lists
    if kind in ("_foreach_norm", "_foreach_max", "_amp_foreach_non_finite_check_and_unscale"):
        depth = 1
    most = _LIST_TENSORS[max(depth, 1)]
    launched = held = chunks = 0
    for tensor in tensors:
        held += 1
        left = -(-tensor.numel() // _CHUNK)
        while left:
            taken = min(left, _LIST_CHUNKS - chunks)
            chunks, left = chunks + taken, left - taken
            if chunks == _LIST_CHUNKS or (held == most and not left):
                launched, chunks, held = launched + 1, 0, int(left > 0)
    launched += chunks > 0
    return max(launched, 1) + (2 if kind in ("_foreach_norm", "_foreach_max") else 0)


# -- products ----------------------------------------------------------------------------------


def _mm(args: Sequence[Any], tf32: bool) -> int:
    a, b = args[0], args[1]
    return _product(a, 1, a.shape[0], b.shape[1], a.shape[1], tf32)


def _addmm(args: Sequence[Any], tf32: bool) -> int:
    """The bias goes with the product, which then is seldom cut; in float32 of few columns or rows
    it is scaled first, and the bias added last."""
    a, b = args[1], args[2]
    m, n, k = a.shape[0], b.shape[1], a.shape[1]
    if _half(a) or tf32:
        return 2 if k >= 3072 and k >= 500 * -(-m // 128) * -(-n // 128) else 1
    return 3 if m > 1 and (n <= 64 or (m <= 64 and n <= 1024)) else 1


def _bmm(args: Sequence[Any], tf32: bool) -> int:
    a, b = args[0], args[1]
    return _product(a, a.shape[0], a.shape[1], b.shape[2], a.shape[2], tf32)


def _baddbmm(args: Sequence[Any], tf32: bool) -> int:
    return _bmm(args[1:], tf32)


def _product(a: torch.Tensor, batch: int, m: int, n: int, k: int, tf32: bool) -> int:
    """Few tiles of a deep product: cut along its depth, and the parts added by a second kernel."""
    tiles = batch * -(-m // 128) * -(-n // 128)
    if _half(a):
        cut = k >= 2048 and k >= 110 * tiles
    elif min(m, n) == 1:
        cut = False
    else:
        cut = k >= 128 and tiles <= (28 if tf32 else 64) and k >= 28 * tiles
    return 2 if cut else 1


def sparse_product(matrix: torch.Tensor, turned: bool) -> int:
    """Rows are counted and indices made short first. Before that entries that may be there twice,
    as of a matrix that was transposed for its gradient, are sorted and added up."""
    return 10 if matrix.is_coalesced() and not turned else 28


# -- convolutions ------------------------------------------------------------------------------

_FFT_SIDE = 32  # of the tiles that cuDNN transforms
_FEW_CHANNELS = 4
_SMALL_IMAGE, _LARGE_IMAGE = 100, 1024  # positions
_LONG_SUM = 16384  # positions from which a gradient of weights is summed in parts


@dataclass(frozen=True)
class _Layer:
    """A convolution as its forward direction sees it: of a transposed one the other way round."""

    x: torch.Tensor
    y: Sequence[int]
    into: int
    out: int
    groups: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    last: bool
    half: bool
    units: bool  # tensor cores

    @property
    def area(self) -> int:
        return math.prod(self.kernel)

    @property
    def turns(self) -> int:
        """Kernels that bring operands and result from NCHW to NHWC and back: not those of one
        position. A kernel of one element is a plain product, which needs none where images lie
        aligned, or are large and of float32, and are not small.
        """
        if self.last:
            return 0
        positions = math.prod(self.y)
        ends = int(math.prod(self.x.shape[2:]) > 1) + int(positions > 1)
        if self.area > 1:
            return 1 + ends
        aligned = positions % 4 == 0 or (positions >= _LARGE_IMAGE and not self.half)
        aligned = aligned and positions >= _SMALL_IMAGE
        plain = max(self.stride) == 1 and not any(self.padding)
        return 0 if plain and aligned else ends

    @property
    def few(self) -> bool:
        """Whether channels are too few for tensor cores."""
        return self.into <= _FEW_CHANNELS


def _convolution(args: Sequence[Any], tf32: bool) -> int:
    x, weight, bias, stride, padding, _, transposed, _, groups = args[:9]
    side = _sides(x, weight, stride, padding, transposed)
    layer = _layer(x, weight, side, stride, padding, transposed, groups, tf32)
    if _depthwise(layer):
        return 1 + (bias is not None and layer.last)
    return (_to_x(layer) if transposed else _to_y(layer)) + (bias is not None)


def _convolution_backward(args: Sequence[Any], tf32: bool) -> int:
    grad, x, weight, _, stride, padding, _, transposed, _, groups, mask = args[:11]
    layer = _layer(x, weight, grad.shape[2:], stride, padding, transposed, groups, tf32)
    count = int(bool(mask[2]))
    if _depthwise(layer):
        return count + bool(mask[0]) + bool(mask[1]) * (2 if layer.last else 1)
    if mask[0]:
        count += _to_y(layer) if transposed else _to_x(layer)
    if mask[1]:
        count += _to_weight(layer)
    return count


def _sides(
    x: torch.Tensor, weight: torch.Tensor, stride: Any, padding: Any, transposed: bool
) -> list[int]:
    """About as many positions as the result has in each direction."""
    steps, pads = _each(stride, x.dim() - 2), _each(padding, x.dim() - 2)
    sides = []
    for n, k, s, p in zip(x.shape[2:], weight.shape[2:], steps, pads, strict=True):
        sides.append((n - 1) * s - 2 * p + k if transposed else max((n + 2 * p - k) // s + 1, 1))
    return sides


def _each(value: Any, count: int) -> tuple[int, ...]:
    return tuple(value) if len(value) == count else (value[0],) * count


def _layer(
    x: torch.Tensor, weight: torch.Tensor, sides: Sequence[int], stride: Any, padding: Any,
    transposed: bool, groups: int, tf32: bool,
) -> _Layer:  # fmt: skip
    count = x.dim() - 2
    first, second = weight.shape[0], weight.shape[1] * groups
    last = count >= 2 and any(map(_channels_last, (x, weight)))
    return _Layer(
        x=x,
        y=tuple(x.shape[2:]) if transposed else tuple(sides),
        into=second,
        out=first,
        groups=groups,
        kernel=tuple(weight.shape[2:]),
        stride=_each(stride, count),
        padding=_each(padding, count),
        last=last,
        half=_half(x),
        units=_half(x) or tf32,
    )


def _channels_last(tensor: torch.Tensor) -> bool:
    form = torch.channels_last if tensor.dim() == 4 else torch.channels_last_3d
    return tensor.is_contiguous(memory_format=form) and not tensor.is_contiguous()


def _depthwise(layer: _Layer) -> bool:
    return 1 < layer.groups == layer.into


def _to_y(layer: _Layer) -> int:
    if layer.units and not layer.few:
        return 1 + layer.turns
    if layer.units:  # kernels for few channels read NCHW; wide ones are turned all the same
        return 1 if layer.area < 25 else 4 - layer.last
    groups = layer.groups
    return groups + layer.last * (3 if layer.area > 1 else 2)


def _to_x(layer: _Layer) -> int:
    groups, few = layer.groups, layer.few
    if layer.units and not few:
        wide = layer.out <= _FEW_CHANNELS and min(layer.kernel) >= 5 and not layer.half
        if wide and layer.x.shape[0] == 1:
            return 3 * _fft_tiles(layer) + 1  # no tensor cores for so few channels
        return 1 + layer.turns
    if layer.units:
        if layer.half:
            return 4 - layer.last
        return 2 + layer.last * (3 if layer.area >= 16 else 1)
    turned = layer.last * (3 if layer.area > 1 else 2)
    large = layer.x.shape[0] >= 4 and min(layer.x.shape[2:]) >= _FFT_SIDE
    if layer.area > 1 and max(layer.stride) == 1 and large and groups == 1 and not few:
        return 3 * _fft_tiles(layer) + 1 + turned
    return 2 * groups + turned


def _fft_tiles(layer: _Layer) -> int:
    """Tiles that cover the input: each three kernels, there, through the channels, and back."""
    return math.prod(
        -(-n // (_FFT_SIDE + 1 - k)) if k <= _FFT_SIDE else 1
        for n, k in zip(layer.x.shape[2:], layer.kernel, strict=True)
    )


def _to_weight(layer: _Layer) -> int:
    """A sum over all positions: cut in parts, which are set up and added, where tiles are few."""
    if not layer.units:
        one = layer.area == 1 or max(layer.stride) > 1 or layer.into <= _FEW_CHANNELS
        return layer.groups if one else 4 + 3 * layer.last
    if layer.few:
        return 5 - (layer.last and layer.half) if layer.half or layer.area >= 16 else 1
    positions = layer.x.shape[0] * math.prod(layer.y)
    depth = layer.into // layer.groups * layer.area
    tiles = -(-layer.out // 128) * -(-depth // 128)
    least = _LONG_SUM // 4 if layer.area == 1 else _LONG_SUM if layer.half else _LONG_SUM // 8
    parts = 1 + (positions >= least)
    if layer.area > 1 and positions >= _LONG_SUM:
        parts += int(tiles <= (16 if not layer.half or positions >= 8 * _LONG_SUM else 8))
    return int(layer.turns + parts)


# -- norms, attention, recurrent layers ---------------------------------------------------------


def _batch_norm(args: Sequence[Any], tf32: bool) -> int:
    """cuDNN's one kernel, or torch's: statistics, running ones, and the map."""
    x, weight, training = args[0], args[1], bool(args[5])
    if _of_cudnn(x, weight):
        return 1
    if not training:
        return 2
    return 4 if _is_last(x) else 3


def _batch_norm_backward(args: Sequence[Any], tf32: bool) -> int:
    x, weight = args[1], args[2]
    if _of_cudnn(x, weight):
        return 1
    if _is_last(x):
        return 3
    return 2 if x.dim() == 2 else 1


def _of_cudnn(x: torch.Tensor, weight: torch.Tensor | None) -> bool:
    """Where torch takes cuDNN's batch norm (Normalization.cpp): not for bfloat16, matrices, and
    norms without weights."""
    return weight is not None and x.dim() > 2 and x.dtype in (torch.float16, torch.float32)


def _is_last(x: torch.Tensor) -> bool:
    return x.dim() in (4, 5) and _channels_last(x)


def _layer_norm_backward(args: Sequence[Any], tf32: bool) -> int:
    return 1 + any(_argument(args, 7, (True, True))[1:])


def _flash(args: Sequence[Any], tf32: bool) -> int:
    """cuDNN's kernel, and one that hands it the seed of a dropout."""
    return 2 if _argument(args, 3, 0.0) else 1


def _cudnn_attention(args: Sequence[Any], tf32: bool) -> int:
    return 2 if _argument(args, 5, 0.0) else 1


def _attention_backward(args: Sequence[Any], tf32: bool) -> int:
    """cuDNN's: rows of the gradient times the result, the gradients, that of queries rounded.
    Torch's of float32 makes the former of three."""
    return 3 if _half(args[0]) else 5


#: cuDNN's numbers of modes: a plain one's hidden state is its output
_PLAIN_MODES = (0, 1)
_STEPS_AT_ONCE = 8  # that a layer hands on to the next one


def _recurrent(args: Sequence[Any], tf32: bool) -> int:
    steps, layers, ways, packed = _sequence(args, 6)
    if _persistent(args[6], args[7], packed, (384, 192)):
        return 2 * layers * ways
    return 2 * steps * layers * ways + _handed(steps, layers, ways)


def _recurrent_backward(args: Sequence[Any], tf32: bool) -> int:
    steps, layers, ways, packed = _sequence(args, 10)
    if _persistent(args[10], args[11], packed, (256, 128)):
        return 8 * layers * ways
    handed = _handed(steps, layers, ways) if layers > 1 and ways == 1 else 0
    groups = len(set(args[18])) * 3 // 2 if packed else 0  # of sequences that end together
    return layers * ways * (2 * steps + groups + 8) + handed


def _sequence(args: Sequence[Any], mode: int) -> tuple[int, int, int, bool]:
    """Steps, layers, directions, packed: arguments lie the same way after the mode."""
    x, layers, first, both = args[0], args[mode + 3], args[mode + 4], args[mode + 7]
    sizes = args[mode + 8]
    steps = len(sizes) if sizes else x.shape[1 if first else 0]
    return int(steps), int(layers), 2 if both else 1, bool(sizes)


def _persistent(mode: int, hidden: int, packed: bool, most: tuple[int, int]) -> bool:
    """Whether small states stay on the chip for all steps: torch's choice (cudnn/RNN.cpp)."""
    return not packed and hidden <= most[0 if mode in _PLAIN_MODES else 1]


def _handed(steps: int, layers: int, ways: int) -> int:
    """Products of the inputs: all steps at once, but of layers that run beside each other."""
    return layers * (-(-steps // _STEPS_AT_ONCE) if layers > 1 and ways == 1 else ways)


# -- indices and order --------------------------------------------------------------------------


def _embedding_backward(args: Sequence[Any], tf32: bool) -> int:
    """Zeros and one kernel, or of many indices a sort of them, counts, and two sums."""
    return 2 if args[1].numel() <= _FEW_INDICES and not args[4] else 21


def _index(args: Sequence[Any], tf32: bool) -> int:
    return 1 + 5 * _masks(args[1])


def _index_put(args: Sequence[Any], tf32: bool) -> int:
    """Accumulated: bounds are asserted, indices made one number and sorted."""
    if not _argument(args, 3, False):
        return 1 + 5 * _masks(args[1])
    count = max((one.numel() for one in args[1] if one is not None), default=0)
    return (12 if count <= 2048 else 15) + 5 * _masks(args[1])


def _masks(listed: Any) -> int:
    masks = (torch.bool, torch.uint8)
    return sum(one is not None and one.dtype in masks for one in listed)


def _cat(args: Sequence[Any], tf32: bool) -> int:
    """Of one type and few dimensions 128 tensors a kernel, else one each."""
    return _cat_of(args[0], 0)


def _stack(args: Sequence[Any], tf32: bool) -> int:
    return _cat_of(args[0], 1)


def _pad(args: Sequence[Any], tf32: bool) -> int:
    """A fill and a copy; where nothing is added, the copy."""
    return 2 if any(one > 0 for one in args[1]) else 1


def _cat_of(tensors: Sequence[torch.Tensor], added: int) -> int:
    tensors = [one for one in tensors if one.numel()]
    plain = len({one.dtype for one in tensors}) == 1
    if plain and tensors[0].dim() + added <= _CAT_DIMENSIONS:
        return -(-len(tensors) // _CAT_TENSORS)
    return len(tensors)


def _row(x: torch.Tensor, dim: int) -> int:
    return int(x.shape[dim]) if x.dim() else 1


def _topk(args: Sequence[Any], tf32: bool) -> int:
    """One block a row, or several, which count digits in turn, and a sort of what was found."""
    x = args[0]
    width = _row(x, _argument(args, 2, -1))
    rows = x.numel() // max(width, 1)
    shared = (least for most, least in _SEVERAL_BLOCKS if rows <= most)
    several = width >= next(shared, 400)
    return 20 if several else 2


#: rows up to so many, and the least width that several blocks share (TensorTopK.cu)
_SEVERAL_BLOCKS = (
    (20, 20000), (40, 10000), (80, 8000), (200, 5000), (800, 3000), (4000, 800),
)  # fmt: skip


def _sort(args: Sequence[Any], tf32: bool) -> int:
    """A block a short row; else a radix sort, of several rows a second time by row."""
    x = args[0]
    width = _row(x, int(_argument(args, 1, -1)))
    if width <= _SORTED_IN_PLACE:
        return 3
    passes = int(x.element_size())  # a byte of the key each
    return passes + (3 if x.numel() == width else 7)


def _randperm(args: Sequence[Any], tf32: bool) -> int:
    """Random keys, sorted by as many bits as tell them apart, and equal ones shuffled."""
    return 4 if args[0] <= 8192 else 11


def _cumulated(args: Sequence[Any], tf32: bool) -> int:
    return 2 if args[0].dim() <= 1 or args[0].numel() == _row(args[0], args[1]) else 1


_RULES: dict[str, Callable[[Sequence[Any], bool], int]] = {
    "mm": _mm,
    "addmm": _addmm,
    "bmm": _bmm,
    "baddbmm": _baddbmm,
    "convolution": _convolution,
    "convolution_backward": _convolution_backward,
    **dict.fromkeys(("native_batch_norm", "_native_batch_norm_legit"), _batch_norm),
    "cudnn_batch_norm": _batch_norm,
    "native_batch_norm_backward": _batch_norm_backward,
    "native_layer_norm_backward": _layer_norm_backward,
    "_scaled_dot_product_flash_attention": _flash,
    "_scaled_dot_product_cudnn_attention": _cudnn_attention,
    **dict.fromkeys(
        (
            "_scaled_dot_product_flash_attention_backward",
            "_scaled_dot_product_efficient_attention_backward",
            "_scaled_dot_product_cudnn_attention_backward",
            "_flash_attention_backward",
            "_efficient_attention_backward",
        ),
        _attention_backward,
    ),
    "_cudnn_rnn": _recurrent,
    "_cudnn_rnn_backward": _recurrent_backward,
    "embedding_dense_backward": _embedding_backward,
    **dict.fromkeys(("index", "_unsafe_index"), _index),
    **dict.fromkeys(("index_put", "_index_put_impl", "_unsafe_index_put"), _index_put),
    "cat": _cat,
    "stack": _stack,
    "constant_pad_nd": _pad,
    "topk": _topk,
    **dict.fromkeys(("sort", "argsort"), _sort),
    "randperm": _randperm,
    **dict.fromkeys(("cumsum", "cumprod"), _cumulated),
}
