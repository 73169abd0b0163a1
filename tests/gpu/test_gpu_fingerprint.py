"""The fingerprint of a machine with a GPU."""

import json

import pytest

from collector.machine.fingerprint import read_machine
from collector.runs.run_files import machine_columns


def test_the_gpu_is_described(gpu):
    assert gpu.count >= 1
    assert gpu.memory_bytes > 2**30
    assert all((gpu.model, gpu.driver, gpu.cuda, gpu.compute_capability))
    assert float(gpu.cuda) > 0
    assert len(gpu.uuid_hash) == 16


def test_the_gpu_is_in_the_columns_of_a_run(gpu):
    columns = machine_columns(read_machine())
    assert columns["gpu_model"] == gpu.model
    assert columns["gpu_count"] == gpu.count
    assert columns["gpu_memory_bytes"] == gpu.memory_bytes
    assert columns["driver"] == gpu.driver


def test_the_identity_of_the_gpu_is_hashed():
    pynvml = pytest.importorskip("pynvml")
    pynvml.nvmlInit()
    uuid = pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(0))
    pynvml.nvmlShutdown()
    text = uuid.decode() if isinstance(uuid, bytes) else uuid
    assert text.removeprefix("GPU-") not in json.dumps(read_machine().as_dict())


def test_the_machine_is_the_same_twice():
    first, second = read_machine(), read_machine()
    assert first.machine_id == second.machine_id
    assert first.machine_type_id == second.machine_type_id
