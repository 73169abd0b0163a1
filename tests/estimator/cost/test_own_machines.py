"""A machine of one's own: its hour, its purchase, and how it is typed in."""

from __future__ import annotations

import pytest

from collector.errors import EstimateError, SelectionError
from estimator.cost.ownership import OwnMachine, parse_own_machine

DESK = "RTX 4090,purchase=8766,years=2,utilisation=0.5,watts=500,usd_per_kwh=0.25,idle_watts=100"


def test_its_hour_by_hand_and_its_row():
    """8766 USD over 2 x 8766 h used half the time: 1 USD; 0.5 + 0.1 kWh at 0.25 USD: 0.15 USD."""
    machine = parse_own_machine(DESK + ",name=desk,gpus=2")
    assert machine.usd_per_h == pytest.approx(1.15)
    row = machine.instance("2026-11-21")
    assert (row.key, row.gpu_count, row.as_of) == ("own/desk/here", 2, "2026-11-21")
    assert (row.hardware, row.on_demand_usd_per_h) == ("RTX 4090", machine.usd_per_h)
    assert machine.purchase_line(3600.0).marginal_usd_per_job == pytest.approx(0.125)


def test_a_cpu_needs_its_logical_cores():
    text = "AMD EPYC 9654,purchase=9000,years=4,utilisation=0.5,watts=400,usd_per_kwh=0.2"
    machine = OwnMachine("AWS c7i m7i r7i (Xeon 8488C)", 9000.0, 4.0, 0.5, 400.0, 0.2)
    with pytest.raises(SelectionError, match="vcpu=16"):
        machine.instance("2026-11-21")
    with pytest.raises(SelectionError, match=r"no row of data/hardware\.csv"):
        parse_own_machine(text.replace("AMD EPYC 9654", "Abacus 1")).instance("2026-11-21")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("desk", "lacks purchase, years, utilisation, watts, usd_per_kwh"),
        (",purchase=1", "lacks years"),
        (DESK + ",colour=red", "colour=red"),
        (DESK + ",years=3", "years=3"),
        (DESK.replace("=500", "=many"), "watts is 'many'"),
        (DESK + ",gpus=1.5", "whole number"),
        ("RTX 4090,purchase=0,years=3,utilisation=0.3,watts=0,usd_per_kwh=0.3", "costs nothing"),
    ],
)
def test_a_mistake_says_what_to_write(text, reason):
    with pytest.raises(SelectionError, match=reason):
        parse_own_machine(text)


@pytest.mark.parametrize("bad", ["nan", "inf", "-1"])
def test_a_number_that_is_none_is_refused(bad):
    with pytest.raises(EstimateError, match="it must be a finite number"):
        parse_own_machine(DESK.replace("=500", f"={bad}"))
