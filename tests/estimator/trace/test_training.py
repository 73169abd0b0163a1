"""What a trace of a training program says of its step."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from collector.jobs import COPY_TO_CPU, COPY_TO_GPU, SYNCHRONIZE, Job, job_text, parse_job
from tests.estimator.trace.conftest import Tracer, calls

torch = pytest.importorskip("torch")

_VISION = """
    import copy
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, Dataset

    class Images(Dataset):
        def __len__(self):
            return 640

        def __getitem__(self, index):
            image = torch.randn(3, 32, 32)
            return (image - image.mean()) / image.std(), index % 10

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    ).to(device)
    average = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cuda")
    loader = DataLoader(Images(), batch_size=64, num_workers=2, pin_memory=True)
    for epoch in range(3):
        for images, labels in loader:
            images = images.to(device, non_blocking=True)
            labels = labels.to(device, non_blocking=True)
            optimizer.zero_grad()
            with torch.autocast("cuda", dtype=torch.float16):
                loss = nn.functional.cross_entropy(model(images), labels)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            with torch.no_grad():
                for kept, new in zip(average.parameters(), model.parameters()):
                    kept.lerp_(new, 0.1)
            assert not torch.isnan(loss), "diverged"
            print(loss.item())
    open("losses.txt", "w").write("done")
"""


@pytest.fixture(scope="module")
def vision(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("vision")
    from estimator.trace.run import trace

    script = folder / "train.py"
    script.write_text("\n".join(line[4:] for line in _VISION.splitlines()))
    job = trace(str(script), limit_s=120.0).job
    assert not (folder / "losses.txt").exists()
    return job


def test_only_what_goes_to_the_gpu_is_the_gpus_work(vision: Job) -> None:
    """A loader's arithmetic on 64 images is none of it; each tensor is copied over once."""
    assert calls(vision, "std", "stack") == 1  # of the norms of the gradients, not of the images
    assert calls(vision, COPY_TO_GPU) == 2
    copies = [one for one in vision.operations if one.kind == COPY_TO_GPU]
    assert all(one.attribute("pinned") and one.attribute("non_blocking") for one in copies)
    assert {one.bytes_read for one in copies} == {64 * 3 * 32 * 32 * 4.0, 64 * 8.0}


def test_the_host_waits_where_the_program_reads_a_value(vision: Job) -> None:
    """The scaler's overflow, the check and the loss: no other line waits."""
    waiting = (COPY_TO_CPU, SYNCHRONIZE)
    waits = {one.line for one in vision.operations_of(vision.step) if one.kind in waiting}
    lines = _VISION.splitlines()
    said = {lines[int(line.rpartition(":")[2]) - 1].strip() for line in waits}
    assert said == {
        "scaler.step(optimizer)",
        'assert not torch.isnan(loss), "diverged"',
        "print(loss.item())",
    }
    assert all(line.startswith("train.py:") for line in waits)


def test_kernels_are_those_of_a_gpu(vision: Job) -> None:
    """Autocast with the GPU's list, optimizers over lists of tensors, batch norm as one call."""
    convolution = next(one for one in vision.operations if one.kind == "convolution")
    assert convolution.dtype == "float16"
    loss = next(one for one in vision.operations if one.kind == "nll_loss_forward")
    assert loss.dtype == "float32"
    assert calls(vision, "_foreach_addcdiv_", stage="optimizer") == 1
    assert calls(vision, "_amp_foreach_non_finite_check_and_unscale_") == 1
    assert calls(vision, "native_batch_norm", "cudnn_batch_norm") == 1
    assert calls(vision, "lerp_") == 5  # the average, one parameter after the other


def test_work_is_that_of_torchs_own_counter(vision: Job) -> None:
    """FLOP of products and convolutions: images, 16 filters of 27, then 16 x 10, thrice each."""
    convolution = 2 * 64 * 16 * 32 * 32 * 27
    counted = {
        kind: sum(one.flop for one in vision.operations_of(vision.step) if one.kind == kind)
        for kind in ("convolution", "convolution_backward", "addmm", "mm")
    }
    assert counted["convolution"] == convolution
    assert counted["convolution_backward"] == convolution  # images need no gradient
    assert counted["addmm"] == 2 * 64 * 16 * 10
    assert counted["mm"] == 2 * counted["addmm"]


def test_memory_is_told_by_what_it_is_for(vision: Job) -> None:
    """Five parameters of the model, in blocks of 512; two moments of each."""
    numbers = (432, 16, 16, 160, 10)
    blocks = [-(-4 * count // 512) * 512 for count in numbers]
    assert vision.parameters == sum(numbers)
    assert vision.memory.optimizer_bytes == 2 * sum(blocks)
    assert vision.memory.parameters_bytes >= sum(blocks)
    assert vision.memory.inputs_bytes + vision.memory.activations_bytes > 64 * 16 * 32 * 32 * 2


def test_a_step_knows_its_samples_and_its_epoch(vision: Job) -> None:
    assert (vision.samples_per_step, vision.steps_per_epoch, vision.training) == (64, 10, True)


def test_a_job_tells_nothing_of_the_machine(vision: Job, tmp_path: Path) -> None:
    text = job_text(vision)
    assert parse_job(text.encode()) == vision
    for secret in (socket.gethostname(), str(Path.home()), str(tmp_path.parent), "/tmp"):
        assert secret not in text


def test_accumulated_gradients_are_one_step(traced: Tracer) -> None:
    """Four passes until the optimizer steps, though three backward passes came before."""
    job = traced("""
        import torch
        model = torch.nn.Linear(8, 8).cuda()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step, batch in enumerate(torch.utils.data.DataLoader(torch.randn(400, 8), 4)):
            loss = model(batch.cuda()).square().mean() / 4
            loss.backward()
            if step % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()
    """)
    assert calls(job, "addmm") == 4
    assert (job.samples_per_step, job.steps_per_epoch) == (16, 25)


def test_two_optimizers_are_one_step(traced: Tracer) -> None:
    """A GAN's step ends where the first of them has stepped again."""
    job = traced("""
        import torch
        device = torch.device("cuda")
        made, judge = torch.nn.Linear(4, 8, device=device), torch.nn.Linear(8, 1, device=device)
        first = torch.optim.Adam(judge.parameters())
        second = torch.optim.Adam(made.parameters())
        while True:
            for optimizer in (first, second):
                optimizer.zero_grad()
                judge(made(torch.randn(16, 4, device=device))).mean().backward()
                optimizer.step()
    """)
    assert calls(job, "addmm", stage="forward") == 4


def test_without_an_optimizer_backward_ends_a_step(traced: Tracer) -> None:
    job = traced("""
        import torch
        weight = torch.randn(8, 8, device="cuda", requires_grad=True)
        for step in range(10):
            (torch.randn(4, 8, device="cuda") @ weight).sum().backward()
            with torch.no_grad():
                weight -= 0.1 * weight.grad
                weight.grad = None
    """)
    assert calls(job, "mm") == 2
    assert calls(job, "sub_") == 1


def test_several_gpus_are_traced_as_one_rank(traced: Tracer) -> None:
    job = traced("""
        import torch
        from torch.nn.parallel import DistributedDataParallel
        torch.distributed.init_process_group("nccl")
        model = DistributedDataParallel(torch.nn.Linear(8, 8).to("cuda:0"), device_ids=[0])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        while True:
            optimizer.zero_grad()
            model(torch.randn(2, 8, device="cuda")).sum().backward()
            torch.distributed.all_reduce(torch.ones(1, device="cuda"))
            optimizer.step()
    """)
    assert calls(job, "addmm") == 1
    assert any("only rank" in note for note in job.notes)


def test_compiled_models_are_traced_as_they_are_written_and_that_is_said(traced: Tracer) -> None:
    job = traced("""
        import torch
        model = torch.compile(torch.nn.Linear(8, 8).cuda())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        while True:
            model(torch.randn(2, 8, device="cuda")).sum().backward()
            optimizer.step()
    """)
    assert any("torch.compile" in note for note in job.notes)


def test_seventy_billion_parameters_take_no_memory(traced: Tracer) -> None:
    """240 layers of 17,000 x 17,000 in float32 are 259 GiB, and as much of gradients."""
    job = traced("""
        import torch
        model = torch.nn.Sequential(*(torch.nn.Linear(17000, 17000) for _ in range(240))).cuda()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        while True:
            optimizer.zero_grad()
            model(torch.randn(1, 17000, device="cuda")).sum().backward()
            optimizer.step()
    """)
    assert job.parameters > 69e9
    assert job.memory.peak_bytes > 2 * 4 * 69e9
