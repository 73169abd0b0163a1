"""Who a machine is, read from made-up files; and what must never be in there."""

import getpass
import json
import re
import socket
import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.machine import fingerprint
from collector.machine.fingerprint import (
    measured_gpu_index,
    read_cpu,
    read_instance_type,
    read_machine,
    read_memory_bytes,
)
from tests.collector.doubles import GPU, make_machine

MACHINE_ID_FILE = "0123456789abcdef0123456789abcdef"

PROCESSOR = """processor\t: {logical}
model name\t: Example   CPU @ 2.10GHz
cpu family\t: 6
model\t\t: 143
physical id\t: 0
core id\t\t: {core}
"""

FILES = {
    # two threads on each of two cores
    "/proc/cpuinfo": "\n".join(PROCESSOR.format(logical=i, core=i // 2) for i in range(4)),
    "/proc/meminfo": "MemTotal:       16777216 kB\nMemFree: 1 kB\n",
    "/etc/machine-id": MACHINE_ID_FILE + "\n",
}


@pytest.fixture
def box(monkeypatch):
    """A machine made of files, all four logical cores usable; change ``files`` at will."""
    files = dict(FILES)
    monkeypatch.setattr(fingerprint, "_read", lambda path: files.get(str(path)))
    monkeypatch.setattr(fingerprint.os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    monkeypatch.setattr(fingerprint, "read_gpu", lambda: None)
    return files


def test_cores_are_counted_by_package_and_core(box):
    cpu = read_cpu()
    assert (cpu.model, cpu.family, cpu.model_number) == ("Example CPU @ 2.10GHz", 6, 143)
    assert (cpu.physical_cores, cpu.logical_cores, cpu.quota_cores) == (2, 4, None)


def test_cores_outside_the_affinity_do_not_count(box, monkeypatch):
    monkeypatch.setattr(fingerprint.os, "sched_getaffinity", lambda _: {0, 1})
    cpu = read_cpu()
    assert (cpu.physical_cores, cpu.logical_cores) == (1, 2)


def test_the_affinity_of_a_process_makes_no_other_machine(box, monkeypatch):
    whole = read_machine()
    monkeypatch.setattr(fingerprint.os, "sched_getaffinity", lambda _: {0, 1})
    part = read_machine()
    assert part.cpu.physical_cores < whole.cpu.physical_cores
    assert part.cpu.machine_cores == whole.cpu.machine_cores == 4
    assert part.machine_id == whole.machine_id
    assert part.machine_type_id == whole.machine_type_id


def test_a_quota_makes_another_type_of_machine(box):
    whole = read_machine()
    box["/sys/fs/cgroup/cpu.max"] = "200000 100000"
    assert read_cpu().machine_cores == 2
    assert read_machine().machine_type_id != whole.machine_type_id


@pytest.mark.parametrize(
    ("path_and_text", "quota", "physical", "logical"),
    [
        ({"/sys/fs/cgroup/cpu.max": "max 100000"}, None, 2, 4),
        ({"/sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5, 1, 1),
        ({"/sys/fs/cgroup/cpu.max": "300000 100000"}, 3.0, 2, 3),
        ({"/sys/fs/cgroup/cpu.max": "20000 100000"}, 0.2, 1, 1),
        (
            {
                "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000",
                "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            *(1.0, 1, 1),
        ),
        ({"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1"}, None, 2, 4),
    ],
)
def test_a_quota_limits_the_cores(box, path_and_text, quota, physical, logical):
    box.update(path_and_text)
    cpu = read_cpu()
    assert (cpu.quota_cores, cpu.physical_cores, cpu.logical_cores) == (quota, physical, logical)


def test_a_machine_that_tells_nothing_still_has_a_fingerprint(box):
    box.clear()
    machine = read_machine()
    assert machine.cpu.physical_cores >= 1
    assert machine.memory_bytes == 0
    assert len(machine.machine_id) == 16


def test_memory_is_what_the_cgroup_leaves(box):
    assert read_memory_bytes() == 16 * 2**30
    box["/sys/fs/cgroup/memory.max"] = str(2**30)
    assert read_memory_bytes() == 2**30
    box["/sys/fs/cgroup/memory.max"] = "max"
    assert read_memory_bytes() == 16 * 2**30


def test_an_instance_type_is_believed_from_its_vendor_only(box):
    box["/sys/class/dmi/id/product_name"] = "c7i.2xlarge\n"
    assert read_instance_type() is None
    box["/sys/class/dmi/id/sys_vendor"] = "Amazon EC2\n"
    assert read_instance_type() == "c7i.2xlarge"
    assert read_machine().label == "c7i.2xlarge"


def test_boxes_of_one_type_differ_by_their_machine_id_only(box):
    first = read_machine()
    box["/etc/machine-id"] = "f" * 32
    second = read_machine()
    assert first.machine_type_id == second.machine_type_id
    assert first.machine_id != second.machine_id


def test_another_processor_is_another_type(box):
    first = read_machine()
    box["/proc/cpuinfo"] = box["/proc/cpuinfo"].replace("143", "207")
    assert read_machine().machine_type_id != first.machine_type_id


def test_a_gpu_makes_another_type_and_its_uuids_tell_boxes_apart(box, monkeypatch):
    without = read_machine()
    monkeypatch.setattr(fingerprint, "read_gpu", lambda: GPU)
    first = read_machine()
    monkeypatch.setattr(fingerprint, "read_gpu", lambda: replace(GPU, uuid_hash="0ther"))
    second = read_machine()
    assert first.machine_type_id == second.machine_type_id != without.machine_type_id
    assert first.machine_id != second.machine_id
    assert first.label == "Example GPU, Example 2 cores"


def test_the_machine_id_file_is_hashed(box):
    assert MACHINE_ID_FILE not in json.dumps(read_machine().as_dict())


def test_this_machine_is_the_same_twice():
    first, second = read_machine(), read_machine()
    assert first == second
    assert re.fullmatch("[0-9a-f]{16}", first.machine_id)
    assert re.fullmatch("[0-9a-f]{16}", first.machine_type_id)


def test_the_fingerprint_of_this_machine_names_nobody():
    text = json.dumps(read_machine().as_dict())
    mac = f"{uuid.getnode():012x}"
    for secret in (socket.gethostname(), getpass.getuser(), mac, ":".join(re.findall("..", mac))):
        assert not re.search(rf"\b{re.escape(secret)}\b", text), secret


def test_the_fingerprint_counts_this_machine():
    machine = read_machine("my box")
    assert machine.label == "my box"
    assert 1 <= machine.cpu.physical_cores <= machine.cpu.logical_cores
    assert machine.memory_bytes > 2**20
    assert machine.library_versions["numpy"]


@given(st.text(max_size=80))
def test_the_directory_of_any_label_is_a_safe_name(label):
    slug = replace(make_machine(), label=label).slug
    assert re.fullmatch(r"[a-z0-9-]+", slug)
    assert slug == "01234567" or slug.endswith("-01234567")
    assert not slug.startswith("-")
    assert len(slug) <= 49


def test_no_directory_looks_like_an_option():
    assert not replace(make_machine(), label="\u6a5f\u68b0").slug.startswith("-")


@pytest.mark.parametrize(
    ("visible", "index"), [(None, 0), ("", None), ("-1", None), ("2,3", 2), ("GPU-1d1b", 0)]
)
def test_the_gpu_that_workers_see_first_is_the_one_that_is_told(monkeypatch, visible, index):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert measured_gpu_index() == index
