"""What programs do besides training, and what must not happen to their files."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.errors import JobError
from estimator.trace.run import trace
from tests.estimator.trace.conftest import Tracer, calls

pytest.importorskip("torch")

_FILES = """
    import os, pathlib, shutil, tempfile
    import numpy as np
    import torch
    open("a.txt", "w").write("new")
    pathlib.Path("b.txt").write_text("new")
    np.savetxt("c.txt", np.zeros(2))
    np.save("d.npy", np.zeros(2))
    torch.save({"epoch": 1}, "e.pt")
    os.remove("f.txt")
    os.rename("g.txt", "h.txt")
    shutil.rmtree("old")
    os.makedirs("old")
    os.makedirs("made/deep")
    os.makedirs("kept", exist_ok=True)
    shutil.rmtree("kept")
    open("temporary", "w").write("text")
    os.replace("temporary", "final")
    assert open("final").read() == "text" and os.path.exists("final")
    shutil.copy("a.txt", "made/copy.txt")
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "x").write_text("y")
    assert not os.path.exists(folder)
    model = torch.nn.Linear(4, 4).cuda()
    torch.save(model.state_dict(), "weights.pt")
    model.load_state_dict(torch.load("weights.pt", map_location="cuda"))
    model(torch.ones(2, 4, device="cuda"))
"""


def test_the_users_files_are_as_they_were(traced: Tracer, tmp_path: Path) -> None:
    names = ("a.txt", "b.txt", "c.txt", "d.npy", "e.pt", "f.txt", "g.txt", "old/x", "kept/x")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("old")
    traced(_FILES)
    assert all((tmp_path / name).read_text() == "old" for name in names)
    left = {str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*") if one.is_file()}
    assert left == {*names, "program.py"}
    assert not (tmp_path / "made").exists()


def test_operators_that_torch_alone_cannot_run_without_values(traced: Tracer) -> None:
    job = traced("""
        import torch
        from torch import nn
        device = "cuda"
        x = torch.randn(4, 16, device=device)
        torch.func.jvp(torch.tanh, (x,), (torch.ones_like(x),))
        torch.nn.utils.parametrizations.orthogonal(nn.Linear(16, 16)).to(device)(x)
        assert torch.allclose(x, x)
        window = torch.hann_window(256, device=device)
        sound = torch.stft(x.new_ones(2, 4096), 256, 64, window=window, return_complex=True)
        torch.istft(sound, 256, 64, window=window, length=4096)
        torch.tensor([x[0, 0], x[0, 1]]).sum()
        x.numpy(force=True)
        torch.cuda.nvtx.range_push("step")
        torch.cuda.nvtx.range_pop()
        print(torch.cuda.memory_stats()["allocated_bytes.all.peak"])
        torch.distributions.Beta(x.exp(), x.exp()).rsample()
        ended, token = torch.zeros(4, dtype=torch.bool, device=device), x.argmax(1)
        for length in range(1000):  # until all are long enough, whatever the tokens are
            ended = ended | torch.full((4,), length > 3, device=device) | (token == 2)
            if (~ended).max() == 0:
                break
        assert length < 10
        cell = nn.GRUCell(16, 32).to(device)
        optimizer = torch.optim.SGD(cell.parameters(), lr=0.1, fused=True)
        for _ in range(3):
            cell(x).sum().backward()
            optimizer.step()
    """)
    assert calls(job, "_thnn_fused_gru_cell") == calls(job, "_fused_sgd_") == 1


_TOLD = {
    "input('go on?')": r"program\.py:1: EOFError: EOF when reading a line \(nobody types",
    "raise SystemExit('\\x1b[31mno\\nconfig')": r"third step with no config \(--show-output",
    "from . import other": "it is part of a package: trace a script beside",
    "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd": r":3: Odd: ",
    "import torch\ntorch.cuda.CUDAGraph()": "CUDA graphs are not traced: run the program without",
}


@pytest.mark.parametrize("text", _TOLD, ids=range(len(_TOLD)))
def test_what_programs_do_besides_is_answered_in_one_line(text: str, traced: Tracer) -> None:
    with pytest.raises(JobError, match=_TOLD[text]) as error:
        traced(text, limit_s=60.0)
    assert str(error.value).isprintable()


def test_a_folder_is_no_program(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="a directory, no file"):
        trace(str(tmp_path))
