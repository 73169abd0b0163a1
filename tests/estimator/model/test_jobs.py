"""What a model says of a job on a GPU besides its time."""

from collector.jobs import Job, Operation, Phase, Tensor


def test_a_gpu_without_the_unit_of_the_job_s_type_says_what_computes_it(shipped_model):
    """A T4 has no bfloat16 tensor cores, an H100 has."""
    square = Tensor((512, 512), "bfloat16")
    product = Operation("mm", (square, square), (square,), flop=2.0 * 512**3)
    job = Job("program.py", (product,), (Phase("step", 1, (0,)),))
    old, new = shipped_model.predict_job(job, ["T4", "H100 SXM"])
    assert any("computed on the FP32 units" in note for note in old.notes)
    assert not any("units" in note for note in new.notes)
