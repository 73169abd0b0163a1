"""What a model says of a job on a GPU besides its time."""

import pytest

from collector.errors import SelectionError
from collector.jobs import Job, Operation, Phase, Tensor
from tests.estimator.made_up_run import make_run


def test_a_gpu_without_the_unit_of_the_job_s_type_says_what_computes_it(shipped_model):
    """A T4 has no bfloat16 tensor cores, an H100 has."""
    square = Tensor((512, 512), "bfloat16")
    product = Operation("mm", (square, square), (square,), flop=2.0 * 512**3)
    job = Job("program.py", (product,), (Phase("step", 1, (0,)),))
    old, new = shipped_model.predict_job(job, ["T4", "H100 SXM"])
    assert any("computed on the FP32 units" in note for note in old.notes)
    assert not any("units" in note for note in new.notes)


def test_a_numpy_program_is_answered_by_cupy_on_a_gpu_and_numpy_on_every_cpu(shipped_model):
    found = shipped_model.predict_job(make_run())
    assert {(one.device, one.backend) for one in found} == {("cuda", "cupy"), ("cpu", "numpy")}
    assert all(one.answered for one in found)
    gpu = next(one for one in found if one.device == "cuda")
    cpu = next(one for one in found if one.machine_id == gpu.machine_id and one.device == "cpu")
    assert gpu.seconds_p50 < cpu.seconds_p50 / 5  # twenty exponentials of a million numbers
    assert not gpu.uncovered or gpu.covered_share > 0.3


def test_only_the_libraries_that_run_a_program_are_taken(shipped_model):
    with pytest.raises(SelectionError, match="cupy or numpy only"):
        shipped_model.predict_job(make_run(), backend="jax")
    only = shipped_model.predict_job(make_run(), backend="cupy")
    assert {one.device for one in only} == {"cuda"}
