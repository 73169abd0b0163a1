"""Kinds of operations that go through memory, and how often: PyTorch's operators (ATen)."""

from __future__ import annotations

#: maps over lists of tensors, and optimizers and scalers in one
MEMORY_PREFIXES = ("_foreach_", "_fused_", "_amp_", "upsample_", "_upsample_", "special_")

_MAPS = """
abs acos acosh add addcdiv addcmul addr angle asin asinh atan atan2 atanh bitwise_and
bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil celu clamp clamp_max
clamp_min complex conj_physical _conj_physical copysign cos cosh deg2rad digamma div elu eq erf
erfc erfinv exp exp2 expm1 float_power floor floor_divide fmax fmin fmod frac ge gelu glu gt
hardshrink hardsigmoid hardswish hardtanh heaviside hypot isfinite isinf isnan ldexp le leaky_relu
lerp lgamma log log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor logit
log_sigmoid_forward log_sigmoid lt masked_fill maximum minimum mish mul nan_to_num ne neg nextafter
native_dropout outer polar polygamma pow prelu _prelu_kernel rad2deg reciprocal relu relu6 remainder
round rrelu_with_noise rsqrt rsub selu sgn sigmoid sign signbit silu sin sinc sinh softplus
softshrink sqrt square sub tan tanh threshold tril triu trunc where xlogy __and__ __or__ __xor__
__lshift__ __rshift__ _assert_async real imag view_as_complex
"""

_BACKWARD = """
elu gelu glu hardsigmoid hardswish hardtanh leaky_relu log_sigmoid logit mish _prelu_kernel
rrelu_with_noise sigmoid silu softplus softshrink tanh threshold native_dropout avg_pool2d
avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d max_pool2d_with_indices max_pool3d_with_indices
adaptive_max_pool2d adaptive_max_pool3d native_layer_norm native_group_norm native_batch_norm
cudnn_batch_norm batch_norm nll_loss nll_loss2d mse_loss smooth_l1_loss huber_loss l1_loss
binary_cross_entropy binary_cross_entropy_with_logits kl_div soft_margin_loss grid_sampler_2d
grid_sampler_3d reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d
replication_pad2d replication_pad3d im2col col2im unfold slice select _thnn_fused_lstm_cell
_thnn_fused_lstm_cell_impl _thnn_fused_gru_cell _weight_norm_interface _fused_rms_norm
"""

_MAPS_BACKWARD = """
elu_backward gelu_backward glu_backward hardsigmoid_backward hardswish_backward hardtanh_backward
leaky_relu_backward log_sigmoid_backward logit_backward mish_backward _prelu_kernel_backward
sigmoid_backward silu_backward softplus_backward softshrink_backward tanh_backward
threshold_backward native_dropout_backward select_backward slice_backward
"""

_FILLS = """
zeros ones full zero fill zeros_like ones_like full_like new_zeros new_ones new_full arange
linspace logspace eye scalar_tensor tril_indices triu_indices one_hot
"""

_COPIES = """
clone copy _to_copy to contiguous cat stack constant_pad_nd reflection_pad1d reflection_pad2d
reflection_pad3d replication_pad1d replication_pad2d replication_pad3d roll flip repeat
repeat_interleave pixel_shuffle pixel_unshuffle channel_shuffle im2col col2im slice_scatter
select_scatter diagonal_scatter as_strided_scatter masked_scatter index_fill split_with_sizes_copy
_reshape_copy lift_fresh_copy diag_embed tile meshgrid unfold_copy narrow_copy
block_diag rot90 permute_copy view_copy expand_copy slice_copy alias_copy
"""

_POOLS_NORMS_LOSSES = """
avg_pool1d avg_pool2d avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d max_pool2d_with_indices
max_pool3d_with_indices adaptive_max_pool2d adaptive_max_pool3d max_pool2d native_group_norm
native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_functional
_native_batch_norm_legit_no_training _batch_norm_with_update _batch_norm_no_update
_batch_norm_with_update_functional cudnn_batch_norm batch_norm rms_norm nll_loss_forward
nll_loss2d_forward mse_loss smooth_l1_loss huber_loss l1_loss binary_cross_entropy
binary_cross_entropy_with_logits kl_div soft_margin_loss grid_sampler_2d grid_sampler_3d
_softmax_backward_data _log_softmax_backward_data _masked_softmax_backward _thnn_fused_lstm_cell
_thnn_fused_gru_cell _weight_norm_interface cumsum cumprod cummax cummin logcumsumexp _cdist_forward
cross linalg_cross affine_grid_generator nonzero isin bucketize
"""

_NOTHING = """
empty empty_like empty_strided new_empty new_empty_strided _unsafe_view unsafe_split
unsafe_split_with_sizes unsafe_chunk transpose t squeeze unsqueeze detach alias resize set
_local_scalar_dense _linalg_check_errors lift_fresh
"""

#: Kinds that start nothing on a device: memory that is set aside, other views of it, host reads.
NOTHING_KINDS = frozenset(_NOTHING.split())

#: Kinds that compute each element of the result from those in its place.
MAP_KINDS = frozenset((*_MAPS.split(), *_COPIES.split(), *_MAPS_BACKWARD.split())) - {
    "cat",
    "stack",
}

#: Kinds that read and write what they are given, in order or nearly so.
MEMORY_KINDS = frozenset(
    {
        *(_MAPS + _FILLS + _COPIES + _POOLS_NORMS_LOSSES).split(),
        *(f"{kind}_backward" for kind in _BACKWARD.split()),
    }
)

_SUMS = """
sum mean prod max min amax amin aminmax argmax argmin any all var std var_mean std_mean norm
linalg_vector_norm logsumexp nansum nanmean count_nonzero dot vdot dist equal trace _is_all_true
_is_any_true
"""
#: Kinds that read everything and write little.
SUM_KINDS = frozenset(_SUMS.split())

#: kernels over lists of tensors reach nine tenths of the memory's rate
LIST_PREFIXES, PASSES_OF_LISTS = ("_foreach_", "_fused_", "_amp_"), 1.1

#: How often an operation goes through the bytes that are counted for it.
PASSES: dict[str, float] = {
    # statistics first, then the result: the input is read twice (and the gradient, backward)
    **dict.fromkeys(
        (
            *("native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit"),
            *("_native_batch_norm_legit_functional", "_batch_norm_with_update"),
            "native_group_norm",
        ),
        3.0 / 2.0,
    ),
    **dict.fromkeys(
        (
            *("native_batch_norm_backward", "cudnn_batch_norm_backward", "batch_norm_backward"),
            *("native_group_norm_backward", "native_layer_norm_backward"),
        ),
        5.0 / 3.0,
    ),
    # the product of gradient and result is a tensor of its own
    **dict.fromkeys(("_softmax_backward_data", "_masked_softmax_backward"), 2.0),
    # the generator takes longer than memory
    "native_dropout": 1.3,
}
