"""What is read around a cell, from made-up readings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.measure.telemetry import (
    CLOCK_EVENT_REASONS,
    THROTTLED,
    CpuTimes,
    GpuReading,
    Telemetry,
    other_processes,
    read_cpu_times,
    steal_fraction,
    summarise_readings,
)


def test_stolen_time_is_a_share_of_all_time_in_between():
    assert steal_fraction(CpuTimes(1000, 10), CpuTimes(1200, 20)) == 0.05


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, CpuTimes(1, 0)),
        (CpuTimes(1, 0), None),
        (CpuTimes(5, 0), CpuTimes(5, 0)),
        (CpuTimes(5, 0), CpuTimes(4, 0)),
        (CpuTimes(5, 0), CpuTimes(24, 19)),
    ],
)
def test_without_time_in_between_nothing_is_known_of_steal(before, after):
    assert steal_fraction(before, after) is None


@given(*[st.integers(0, 10**6)] * 2, st.integers(20, 10**6), st.integers(0, 10**6))
def test_the_stolen_share_lies_between_nothing_and_all(total, steal, passed, stolen):
    stolen = min(stolen, passed)
    share = steal_fraction(CpuTimes(total, steal), CpuTimes(total + passed, steal + stolen))
    assert 0 <= share <= 1


def test_this_machine_counts_its_time():
    times = read_cpu_times()
    assert times.total > times.steal >= 0


def test_readings_become_medians_and_the_highest_temperature():
    readings = [
        GpuReading(1000.0, 40.0, 100.0, 0x1, 2600.0, 700.0, 1, 16),
        GpuReading(1500.0, 60.0, 300.0, 0x4, 2600.0, 700.0, 5, 16),
        GpuReading(1980.0, 50.0, 200.0, 0x40 | 0x4, 1300.0, 500.0, 1, 8),
    ]
    assert summarise_readings(readings) == {
        "sm_clock_mhz": 1500.0,
        "memory_clock_mhz": 2600.0,
        "power_w": 200.0,
        "power_limit_w": 700.0,
        "temperature_c": 60.0,
        "pcie_generation": 5,
        "pcie_width": 16,
        "throttle_reasons": "power_cap,hw_thermal",
    }


def test_values_that_a_driver_does_not_offer_are_left_out():
    readings = [GpuReading(None, None, None, 0), GpuReading(1500.0, None, None, 0)]
    columns = summarise_readings(readings)
    assert columns.pop("sm_clock_mhz") == 1500.0
    assert columns.pop("throttle_reasons") == ""
    assert set(columns.values()) == {None}


@pytest.mark.parametrize(
    ("seen", "own", "others"),
    [({1, 2}, {1, 2}, 0), ({1, 2, 9}, {1, 2, 3}, 1), ({8, 9}, {1}, None), (set(), {1}, None)],
)
def test_processes_on_the_gpu_are_others_only_if_ours_are_seen_among_them(seen, own, others):
    assert other_processes(seen, own) == others


@pytest.mark.parametrize(("bit", "name"), CLOCK_EVENT_REASONS.items())
def test_each_reason_has_a_name(bit, name):
    columns = summarise_readings([GpuReading(None, None, None, bit)])
    assert columns["throttle_reasons"] == name


def test_heat_and_failing_power_are_throttling_and_a_power_cap_is_not():
    bits = {name: bit for bit, name in CLOCK_EVENT_REASONS.items()}
    assert {bits[name] for name in THROTTLED} == {0x8, 0x20, 0x40, 0x80}


def test_without_a_gpu_there_are_cpu_columns_only():
    telemetry = Telemetry(gpu_index=None)
    telemetry.begin()
    assert set(telemetry.end("cpu")) == {"steal_fraction", "cpu_mhz"}
    telemetry.close()
