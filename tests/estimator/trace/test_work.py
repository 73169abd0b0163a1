"""What one call of a torch operator takes on a GPU: FLOP and kernels."""

import pytest

torch = pytest.importorskip("torch")
from estimator.trace.kernels import kernels, sparse_product  # noqa: E402
from estimator.trace.work import flop  # noqa: E402

aten = torch.ops.aten
bf16, f32 = torch.bfloat16, torch.float32


def meta(*shape, dtype=f32, last=False):
    tensor = torch.empty(shape, dtype=dtype, device="meta")
    return tensor.to(memory_format=torch.channels_last) if last else tensor


def indices(*shape):
    return meta(*shape, dtype=torch.int64)


def made_with(count, call, *args, tf32=False):
    """Whether a call launches so many kernels."""
    out = call(*args)
    name = call._schema.name if hasattr(call, "_schema") else call._qualified_op_name
    return kernels(name.partition("::")[2], args, out, False, tf32) == count


class TestKernels:
    def test_views_and_memory_that_is_set_aside_launch_nothing(self):
        x = meta(4, 4)
        assert kernels("t", (x,), x.t(), view=True) == 0
        assert kernels("empty_like", (x,), x, view=False) == 0

    def test_a_map_is_one_kernel_and_of_no_elements_none(self):
        assert made_with(1, aten.gelu.default, meta(8, 8))
        assert made_with(1, aten.relu_.default, meta(8, 8))
        assert made_with(0, aten.gelu.default, meta(0, 8))

    def test_gradients_of_norms_take_several(self):
        x, row, column = meta(32, 64), meta(64), meta(32, 1)
        both = (x, x, [64], column, column, row, row, [True, True, True])
        assert made_with(2, aten.native_layer_norm_backward.default, *both)
        alone = (x, x, [64], column, column, None, None, [True, False, False])
        assert made_with(1, aten.native_layer_norm_backward.default, *alone)

    def test_cudnn_norms_batches_in_one_kernel_where_it_takes_them(self):
        channels = (meta(16), meta(16), meta(16), meta(16), True, 0.1, 1e-5)
        norm = aten.native_batch_norm.default
        assert made_with(1, norm, meta(8, 16, 4, 4), *channels)
        assert made_with(3, norm, meta(8, 16, 4, 4, dtype=bf16), *channels)
        assert made_with(4, norm, meta(8, 16, 4, 4, dtype=bf16, last=True), *channels)
        assert made_with(3, norm, meta(8, 16), *channels)

    def test_a_deep_product_of_few_tiles_is_cut_and_added(self):
        mm = aten.mm.default
        assert made_with(1, mm, meta(8192, 1024, dtype=bf16), meta(1024, 4096, dtype=bf16))
        assert made_with(2, mm, meta(768, 16384, dtype=bf16), meta(16384, 768, dtype=bf16))
        assert made_with(2, mm, meta(128, 768), meta(768, 768))
        assert made_with(1, mm, meta(1, 768), meta(768, 768))

    @pytest.mark.parametrize(("count", "kernels_made"), [(2, 1), (128, 1), (129, 2), (300, 3)])
    def test_cat_takes_128_tensors_at_once(self, count, kernels_made):
        assert made_with(kernels_made, aten.cat.default, [meta(64)] * count)

    def test_cat_of_two_types_or_of_five_dimensions_copies_one_by_one(self):
        assert made_with(2, aten.cat.default, [meta(4, 4), meta(4, 4, dtype=bf16)])
        assert made_with(2, aten.stack.default, [meta(2, 2, 2, 2)] * 2, -1)

    def test_few_indices_of_an_embedding_are_not_sorted(self):
        backward = aten.embedding_dense_backward.default
        assert made_with(2, backward, meta(512, 64), indices(512), 1000, -1, False)
        assert made_with(21, backward, meta(4096, 64), indices(4096), 1000, -1, False)

    def test_masks_are_counted_first(self):
        x = meta(8, 8)
        assert kernels("index", (x, [meta(8, 8, dtype=torch.bool)]), meta(3), False) == 6
        assert kernels("index", (x, [indices(4)]), meta(4, 8), False) == 1

    def test_rows_are_sorted_in_a_block_or_byte_by_byte(self):
        assert made_with(3, aten.sort.default, meta(64, 1024))
        assert made_with(7, aten.sort.default, meta(1_000_000))
        assert made_with(11, aten.sort.default, meta(16, 50257))
        assert made_with(2, aten.topk.default, meta(8192, 64), 2)
        assert made_with(20, aten.topk.default, meta(16, 50257), 50)

    def test_losses_are_a_map_and_a_mean_of_it(self):
        assert made_with(2, aten.mse_loss.default, meta(8, 8), meta(8, 8))
        assert made_with(1, aten.mse_loss.default, meta(8, 8), meta(8, 8), 0)

    @pytest.mark.filterwarnings("ignore:Sparse invariant checks")
    def test_a_sparse_product_adds_up_entries_that_may_be_there_twice(self):
        ends, values = torch.tensor([[0, 1], [1, 0]]), torch.ones(2)
        matrix = torch.sparse_coo_tensor(ends, values, (2, 2), check_invariants=True)
        in_order = sparse_product(matrix.coalesce(), turned=False)
        assert in_order < sparse_product(matrix, turned=False)
        assert in_order < sparse_product(matrix.coalesce(), turned=True)


class TestLists:
    def test_as_many_tensors_and_chunks_as_one_kernel_takes(self):
        small, large = [meta(64)] * 111, [meta(320 * 65536)] * 2
        assert kernels("_foreach_mul_", (small, 0.9), None, False) == 2
        assert kernels("_foreach_mul_", (large, 0.9), None, False) == 2
        assert kernels("_foreach_mul_", ([meta(64)], 0.9), None, False) == 1

    def test_more_lists_leave_room_for_fewer_tensors(self):
        tensors = [meta(64)] * 100
        assert kernels("_foreach_addcdiv_", (tensors, tensors, tensors, 1.0), None, False) == 3
        states = [meta()] * 100
        args = (tensors, tensors, tensors, tensors, [], states)
        assert kernels("_fused_adamw_", args, None, False) == 3

    def test_a_norm_begins_with_zeros_and_ends_with_a_sum(self):
        assert kernels("_foreach_norm", ([meta(64)] * 8,), [meta()] * 8, False) == 3


class TestConvolution:
    """On tensor cores cuDNN computes in NHWC: what lies in NCHW is turned, and the result back."""

    @staticmethod
    def layer(x, weight, stride=1, padding=0, groups=1, bias=None, tf32=False):
        args = (x, weight, bias, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups)
        return kernels("convolution", args, aten.convolution(*args), False, tf32)

    @staticmethod
    def backward(x, weight, mask, stride=1, padding=0, groups=1, tf32=False):
        where = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups)
        grad = aten.convolution(x, weight, None, *where)
        args = (grad, x, weight, [weight.shape[0]], *where, mask)
        return kernels("convolution_backward", args, (None, None, None), False, tf32)

    def test_images_operands_and_result_are_turned(self):
        x, w = meta(64, 64, 56, 56, dtype=bf16), meta(64, 64, 3, 3, dtype=bf16)
        assert self.layer(x, w, padding=1) == 4
        x, w = (one.to(memory_format=torch.channels_last) for one in (x, w))
        assert self.layer(x, w, padding=1) == 1

    def test_float32_is_turned_only_where_it_may_be_rounded(self):
        x, w = meta(64, 64, 56, 56), meta(64, 64, 3, 3)
        assert self.layer(x, w, padding=1, tf32=True) == 4
        assert self.layer(x, w, padding=1) == 1

    def test_a_kernel_of_one_element_is_a_product(self):
        w = meta(64, 256, 1, 1, dtype=bf16)
        assert self.layer(meta(64, 256, 56, 56, dtype=bf16), w) == 1
        assert self.layer(meta(64, 256, 7, 7, dtype=bf16), w) == 3

    def test_a_bias_is_added_by_a_kernel_of_its_own(self):
        x, w = meta(8, 64, 32, 32, dtype=bf16), meta(64, 64, 3, 3, dtype=bf16)
        assert self.layer(x, w, bias=meta(64, dtype=bf16)) == self.layer(x, w) + 1

    def test_depthwise_kernels_are_torchs_own(self):
        x, w = meta(8, 32, 32, 32, dtype=bf16), meta(32, 1, 3, 3, dtype=bf16)
        assert self.layer(x, w, groups=32) == 1
        assert self.backward(x, w, (True, True, False), groups=32) == 2

    def test_each_gradient_is_a_convolution(self):
        x, w = meta(64, 64, 56, 56, dtype=bf16), meta(64, 64, 3, 3, dtype=bf16)
        of_x = self.backward(x, w, (True, False, False), padding=1)
        of_w = self.backward(x, w, (False, True, False), padding=1)
        assert (of_x, of_w) == (4, 6)
        assert self.backward(x, w, (True, True, True), padding=1) == of_x + of_w + 1


class TestAttention:
    def test_a_dropout_hands_over_its_seed(self):
        kind = "_scaled_dot_product_flash_attention"
        q = meta(2, 4, 64, 32, dtype=bf16)
        assert kernels(kind, (q, q, q), (q,), False) == 1
        assert kernels(kind, (q, q, q, 0.1), (q,), False) == 2

    def test_gradients_take_three_of_16_bits_and_five_of_32(self):
        kind = "_scaled_dot_product_efficient_attention_backward"
        half, whole = meta(2, 4, 64, 32, dtype=bf16), meta(2, 4, 64, 32)
        assert kernels(kind, (half,) * 4, (half,), False) == 3
        assert kernels(kind, (whole,) * 4, (whole,), False) == 5


class TestRecurrent:
    @staticmethod
    def args(steps, width, layers, both=False, mode=2, sizes=()):
        x, state = meta(steps, 20, width), meta(layers, 20, width)
        flags = (layers, False, 0.0, True, both, list(sizes), None)
        return (x, [], 4, None, state, state, mode, width, 0, *flags)

    def test_two_kernels_a_step_and_layer_and_products_of_the_inputs(self):
        lstm = self.args(35, 650, 2)
        assert kernels("_cudnn_rnn", lstm, (lstm[0],), False) == 2 * 35 * 2 + 2 * 5

    def test_small_states_stay_on_the_chip(self):
        lstm, plain = self.args(100, 128, 1), self.args(100, 256, 1, mode=0)
        assert kernels("_cudnn_rnn", lstm, (lstm[0],), False) == 2
        assert kernels("_cudnn_rnn", plain, (plain[0],), False) == 2

    def test_not_of_sequences_of_several_lengths(self):
        packed = self.args(100, 128, 1, both=True, sizes=[64] * 50 + [32] * 50)
        assert kernels("_cudnn_rnn", packed, (packed[0],), False) == 2 * 100 * 2 + 2


class TestFlop:
    def test_gradients_of_a_convolution_take_as_much_as_it_each(self):
        x, w = meta(8, 16, 8, 8), meta(32, 8, 3, 3)
        where = ([1, 1], [1, 1], [1, 1], False, [0, 0], 2)
        y = aten.convolution(x, w, None, *where)
        forward = flop(aten.convolution.default, "convolution", (x, w, None, *where), {}, y)
        args = (y, x, w, [32], *where, [True, True, False])
        func = aten.convolution_backward.default
        assert flop(func, "convolution_backward", args, {}, (x, w, None)) == 2 * forward

    def test_a_map_takes_one_a_result(self):
        x = meta(8, 8)
        assert flop(aten.gelu.default, "gelu", (x,), {}, x) == 64
