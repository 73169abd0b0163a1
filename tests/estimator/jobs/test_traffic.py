"""Bytes through memory in whose time an operation is done: more than it moves where a GPU does not
wait for memory."""

from dataclasses import replace

import pytest

from collector.jobs import Operation, Tensor
from estimator.jobs.traffic import column_sum, traffic

SHAPE = (8, 64, 32, 32)
COUNT = 8 * 64 * 32 * 32
X, HALF = Tensor(SHAPE, "float32"), Tensor(SHAPE, "bfloat16")
LAST = Tensor(SHAPE, "bfloat16", (65536, 1, 2048, 64))


def map_of(*inputs, result=X, kind="mul"):
    moved = sum(tensor.bytes for tensor in inputs)
    return Operation(kind, inputs, (result,), bytes_read=moved, bytes_written=result.bytes)


class TestMaps:
    @pytest.mark.parametrize(
        "operation",
        [
            map_of(X, X),
            map_of(HALF, HALF, result=HALF),
            map_of(LAST, LAST, result=LAST),
            map_of(X, Tensor((), "float32")),
            map_of(X, result=HALF, kind="_to_copy"),
        ],
    )
    def test_of_operands_that_lie_alike_wait_for_memory(self, operation):
        assert traffic(operation) == operation.bytes_read + operation.bytes_written

    @pytest.mark.parametrize(
        ("operation", "an_element"),
        [
            (map_of(HALF, Tensor((64, 1, 1), "bfloat16"), result=HALF), 10),
            (map_of(HALF, result=X, kind="_to_copy"), 12),
            (map_of(X, Tensor((64, 1, 1), "bfloat16")), 18),
            (map_of(LAST, result=HALF, kind="clone"), 25),
        ],
    )
    def test_of_others_compute_where_each_element_lies(self, operation, an_element):
        assert traffic(operation) == an_element * COUNT

    def test_on_a_cpu_all_wait_for_memory(self):
        spread = replace(map_of(HALF, Tensor((64, 1, 1), "bfloat16"), result=HALF), device="cpu")
        assert traffic(spread) == spread.bytes_read + spread.bytes_written


def test_columns_are_added_up_row_by_row():
    tall, wide = Tensor((100_000, 64), "float32"), Tensor((64, 100_000), "float32")
    assert column_sum(tall, 64) > 10 * column_sum(wide, 100_000)


def test_gradients_of_a_layer_norms_weights_go_down_the_rows():
    x = Tensor((4096, 256), "bfloat16")
    both = Operation(
        "native_layer_norm_backward",
        (x, x),
        (x,),
        (("normalized_shape", (256,)), ("output_mask", (True, True, True))),
    )
    alone = replace(
        both, attributes=(("normalized_shape", (256,)), ("output_mask", (True, False, False)))
    )
    assert traffic(both) - traffic(alone) == 4096 * 16 * 1024


class TestBatchNorm:
    @staticmethod
    def norm(x, launches=1, training=True, kind="native_batch_norm"):
        return Operation(kind, (x, x), (x,), (("training", training),), launches=launches)

    def test_few_channels_keep_few_blocks_busy(self):
        few, many = Tensor((64, 8, 64, 64), "float32"), Tensor((64, 512, 8, 8), "float32")
        assert few.count == many.count
        assert traffic(self.norm(few)) > 3 * traffic(self.norm(many))

    def test_in_nhwc_all_blocks_work(self):
        x = Tensor((64, 8, 64, 64), "float32")
        last = replace(x, strides=(8 * 64 * 64, 1, 8 * 64, 8))
        assert traffic(self.norm(last)) < traffic(self.norm(x))

    def test_evaluation_reads_and_writes_once(self):
        assert traffic(self.norm(X, training=False)) == 3 * X.bytes

    def test_torchs_kernels_take_longer_than_cudnns(self):
        x = Tensor((64, 64, 32, 32), "float32")
        assert traffic(self.norm(x, launches=3)) > traffic(self.norm(x))


def test_a_loss_reads_one_number_of_each_row():
    logits = Tensor((8192, 50257), "float32")
    forward = Operation("nll_loss_forward", (logits,), (Tensor((), "float32"),))
    assert traffic(forward) < 1e6
    backward = Operation("nll_loss_backward", (logits, logits), (logits,))
    assert traffic(backward) == pytest.approx(logits.bytes, rel=0.01)


def test_tensors_are_joined_at_memorys_rate_where_they_lie_in_order():
    joined = Operation("cat", (HALF, HALF), (Tensor((16, 64, 32, 32), "bfloat16"),))
    assert traffic(joined) == 4 * HALF.bytes
    parts = replace(HALF, strides=(2 * 64 * 1024, 1024, 32, 1))
    assert traffic(replace(joined, inputs=(parts, parts))) == 18 * 2 * COUNT


def test_many_gradients_of_a_small_image_wait_for_each_other():
    small, large = Tensor((8, 21, 32, 32), "float32"), Tensor((8, 21, 256, 256), "float32")
    enlarged = Operation("upsample_bilinear2d_backward", (large,), (small,))
    assert traffic(enlarged) == 20 * 8 * large.count
