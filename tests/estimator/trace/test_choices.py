"""Kernels that torch has on a GPU only, and values that decide how a program goes on."""

from __future__ import annotations

import pytest

from collector.jobs import COPY_TO_CPU, SYNCHRONIZE
from tests.estimator.trace.conftest import Tracer, calls

pytest.importorskip("torch")


def test_attention_and_recurrent_layers_are_one_kernel(traced: Tracer) -> None:
    """Flash attention for half precision, the memory-efficient one for float32 or a mask, cuDNN's
    kernel for all steps of an LSTM; each with its own kernel on the way back."""
    job = traced("""
        import torch
        from torch.nn.functional import scaled_dot_product_attention as attention
        lstm = torch.nn.LSTM(64, 128, num_layers=2, batch_first=True).cuda()
        optimizer = torch.optim.Adam(lstm.parameters())
        while True:
            optimizer.zero_grad()
            q = torch.randn(2, 4, 128, 64, device="cuda", requires_grad=True)
            half = q.bfloat16()
            mask = torch.ones(128, 128, device="cuda", dtype=torch.bool).tril()
            out = attention(half, half, half, is_causal=True, dropout_p=0.1).float()
            out = out + attention(q, q, q) + attention(half, half, half, attn_mask=mask)
            states, _ = lstm(out.reshape(8, 128, 64))
            states.sum().backward()
            optimizer.step()
    """)
    assert calls(job, "_scaled_dot_product_flash_attention") == 1
    assert calls(job, "_scaled_dot_product_flash_attention_backward") == 1
    assert calls(job, "_scaled_dot_product_efficient_attention") == 2
    assert calls(job, "_cudnn_rnn") == calls(job, "_cudnn_rnn_backward") == 1
    assert calls(job, COPY_TO_CPU, SYNCHRONIZE) == 0


def test_what_the_programs_own_data_decides_is_right(traced: Tracer) -> None:
    """Sizes read from labels, masks and lengths; checks pass; loops end."""
    job = traced(
        """
        import torch
        from torch.nn.utils.rnn import pack_padded_sequence

        weight = torch.randn(6, 4, device="cuda")

        def step():
            labels = torch.tensor([0, 2, 5, 5]).cuda()
            classes = int(labels.max().item()) + 1
            assert classes == 6
            chosen = weight[labels.new_tensor([0, 1, 0, 0, 0, 1]).bool()]
            assert chosen.shape == (2, 4)
            table = torch.zeros(classes, 3, device="cuda")
            found = table[labels][labels != 5]
            assert found.shape == (2, 3), found.shape
            score = (weight @ weight.T).mean()
            if torch.isnan(score):
                raise ValueError("diverged")
            assert torch.isfinite(score).all()
            while score > 0:
                score = score - 1
            packed = pack_padded_sequence(torch.randn(5, 2, 3, device="cuda"), torch.tensor([5, 2]))
            assert packed.data.shape == (7, 3)
    """,
        function="step",
    )
    assert not job.training
    assert not any("depends on values" in note for note in job.notes)


def test_what_cannot_be_known_is_taken_whole_and_said(traced: Tracer) -> None:
    job = traced(
        """
        import torch

        def step():
            scores = torch.randn(100, device="cuda")
            return scores[scores > 0] * 2
    """,
        function="step",
    )
    assert any("program.py:6" in note and "all were taken" in note for note in job.notes)
    assert calls(job, COPY_TO_CPU) == 1


def test_inference_with_no_gradients_has_no_backward(traced: Tracer) -> None:
    job = traced(
        """
        import torch
        model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.GELU()).half().cuda().eval()

        @torch.inference_mode()
        def answer():
            return model(torch.randn(4, 8).half().to("cuda")).cpu().numpy()
    """,
        function="answer",
    )
    assert calls(job, "addmm", "gelu") == 2
    assert {one.stage for one in job.operations} == {"forward"}


def test_a_mark_in_the_program_is_a_step(traced: Tracer) -> None:
    job = traced("""
        import breakeven
        import torch
        optimizer = torch.optim.SGD([torch.zeros(4, device="cuda", requires_grad=True)], lr=0.1)
        for epoch in range(9):
            torch.randn(4, device="cuda")
            with breakeven.step():
                for _ in range(2):
                    torch.randn(4, 4, device="cuda") @ torch.randn(4, 4, device="cuda")
    """)
    assert calls(job, "mm") == 2
    assert calls(job, "randn") == 4


def test_a_sparse_product_counts_its_nonzeros(traced: Tracer) -> None:
    job = traced(
        """
        import torch
        places = torch.arange(100).repeat(2, 1)
        graph = torch.sparse_coo_tensor(places, torch.ones(100), (100, 100)).cuda()

        def step():
            return torch.spmm(graph, torch.randn(100, 16, device="cuda"))
    """,
        function="step",
    )
    product = next(one for one in job.operations if one.kind == "_sparse_mm")
    assert product.flop == 2 * 100 * 16
    assert product.attribute("nonzeros") == 100


def test_images_stay_in_nhwc_and_gradients_whole(traced: Tracer) -> None:
    """Results of convolutions lie as cuDNN leaves them; a GPU has a kernel for silu_backward."""
    job = traced("""
        import torch
        layers = [torch.nn.Conv2d(8, 8, 3, padding=1), torch.nn.SiLU(), torch.nn.Conv2d(8, 8, 3)]
        net = torch.nn.Sequential(*layers).cuda().to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        x = torch.randn(4, 8, 16, 16, device="cuda").to(memory_format=torch.channels_last)
        while True:
            optimizer.zero_grad()
            net(x).sum().backward()
            optimizer.step()
    """)
    images = [one for one in job.operations if one.kind == "convolution"]
    assert images
    assert all(one.inputs[0].channels_last and one.outputs[0].channels_last for one in images)
    assert calls(job, "silu_backward") == 1
    assert calls(job, "sigmoid") == 0
