"""What a trace says of a program, against what torch's profiler sees of it on a GPU."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from collector.jobs import COPY_TO_CPU, COPY_TO_GPU, SYNCHRONIZE
from estimator.trace.run import trace

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("needs a CUDA GPU", allow_module_level=True)

_PROFILE = """
    import json, sys
    sys.argv = ["program.py"]
    names = {}
    exec(compile(open("program.py").read(), "program.py", "exec"), names)
    import torch
    from torch.profiler import ProfilerActivity, profile
    for _ in range(3):
        names["step"]()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        names["step"]()
    peak = torch.cuda.max_memory_allocated()
    events = [one for one in found.events() if one.device_type.name == "CUDA"]
    names = [one.name for one in events]
    print(json.dumps({
        "kernels": sum(not name.startswith(("Memcpy", "Memset")) for name in names),
        "to_gpu": sum("HtoD" in name for name in names),
        "to_cpu": sum("DtoH" in name for name in names),
        "peak_bytes": peak,
    }))
"""

_PROGRAMS = {
    "convolutions": """
        import torch
        from torch import nn
        device = "cuda" if torch.cuda.is_available() else "cpu"
        layers = []
        for inputs, outputs in ((3, 32), (32, 64), (64, 64), (64, 128)):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
        model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))
        model = model.to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step():
            images = torch.randn(64, 3, 64, 64).to(device)
            labels = torch.randint(0, 10, (64,)).to(device)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            return loss.item()
    """,
    "transformer": """
        import torch
        from torch import nn
        layer = nn.TransformerEncoderLayer(512, 8, 2048, batch_first=True, norm_first=True)
        model = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False).cuda()
        optimizer = torch.optim.AdamW(model.parameters())
        scaler = torch.amp.GradScaler("cuda")

        def step():
            x = torch.randn(16, 256, 512, device="cuda")
            optimizer.zero_grad()
            with torch.autocast("cuda", dtype=torch.float16):
                loss = model(x).square().mean()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
    """,
    "recurrent": """
        import torch
        from torch import nn
        embedding, lstm = nn.Embedding(1000, 128).cuda(), nn.LSTM(128, 256, 2).cuda()
        optimizer = torch.optim.Adam([*embedding.parameters(), *lstm.parameters()], fused=True)

        def step():
            words = torch.randint(0, 1000, (64, 32)).pin_memory().cuda(non_blocking=True)
            optimizer.zero_grad()
            out, _ = lstm(embedding(words))
            out.mean().backward()
            optimizer.step()
    """,
}


@pytest.fixture(scope="module", params=_PROGRAMS)
def both(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, Any]]:
    folder = tmp_path_factory.mktemp(request.param)
    Path(folder, "program.py").write_text(textwrap.dedent(_PROGRAMS[request.param]))
    command = [sys.executable, "-c", textwrap.dedent(_PROFILE)]
    said = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    job = trace(f"{folder}/program.py:step", limit_s=200.0).job
    return job, json.loads(said.stdout.splitlines()[-1])


def test_kernels_are_counted_within_a_twentieth(both: tuple[Any, dict[str, Any]]) -> None:
    job, seen = both
    kernels = sum(one.launches for one in job.operations_of(job.step))
    assert kernels == pytest.approx(seen["kernels"], rel=0.05)


def test_copies_are_those_that_the_gpu_sees(both: tuple[Any, dict[str, Any]]) -> None:
    job, seen = both
    kinds = [one.kind for one in job.operations_of(job.step)]
    assert kinds.count(COPY_TO_GPU) == seen["to_gpu"]
    assert kinds.count(COPY_TO_CPU) == seen["to_cpu"]
    assert kinds.count(SYNCHRONIZE) == 0


def test_peak_memory_is_within_a_tenth(both: tuple[Any, dict[str, Any]]) -> None:
    from estimator.jobs.job_memory import peak_bytes

    job, seen = both
    assert peak_bytes(job, "cuda") == pytest.approx(seen["peak_bytes"], rel=0.1, abs=2**26)
