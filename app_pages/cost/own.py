"""The form for a machine of one's own, which is then a row of the page Cost like any other."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from app_pages.frame import widgets
from app_pages.frame.text import escape
from collector.errors import BreakevenError
from estimator.catalogue.hardware import match_cpu, match_gpu, shipped_hardware
from estimator.catalogue.hardware_specs import GpuSpec
from estimator.cost.ownership import OwnMachine


def own_form(machines: pd.DataFrame) -> tuple[OwnMachine | None, str]:
    """A machine of one's own, and the option of the command line that says the same."""
    wanted = widgets.toggle(
        "Compare with a machine of your own",
        "cost_own",
        help="It becomes a row like any other: its price per used hour follows from what it cost, "
        "how long and how much of the time it works, and its electricity.",
    )
    if not wanted:
        return None, ""
    names = _hardware_names(machines)
    columns = st.columns(4)
    with columns[0]:
        hardware = widgets.select(
            "Its processor",
            list(names),
            "cost_own_hardware",
            names=names,
            help="A GPU or CPU that was measured, or one of data/hardware.csv by its data sheet.",
        )
    spec = next(one for one in shipped_hardware() if one.name == hardware)
    gpus, vcpu, memory = 1, 16, 64
    with columns[1]:
        if isinstance(spec, GpuSpec):
            text = "How many of them it has."
            gpus = widgets.number("GPUs", "cost_own_gpus", 1, 1, 64, text, step=1)
        else:
            text = "Hardware threads that the job may use."
            vcpu = widgets.number("Threads", "cost_own_vcpu", 16, 1, 4096, text, step=1)
    with columns[2]:
        text = "Memory of the host; a job on a CPU must fit into it."
        memory = widgets.number("Memory (GiB)", "cost_own_memory", 64, 1, 65_536, text, step=1)
    with columns[3]:
        purchase = widgets.number(
            "Purchase (USD)", "cost_own_purchase", 10_000, 1, 10**8, "What the whole machine cost."
        )
    columns = st.columns(4)
    with columns[0]:
        years = widgets.number(
            "Years in use", "cost_own_years", 3.0, 0.1, 30.0, "Until it is written off.", step=0.5
        )
    with columns[1]:
        busy = widgets.number(
            "Hours at work (%)",
            "cost_own_utilisation",
            50,
            1,
            100,
            "Share of all hours in which it works.",
            step=1,
        )
    sheet_w = spec.tdp_w if isinstance(spec, GpuSpec) else None
    with columns[2]:
        watts = st.number_input(
            "Power at work (W)",
            min_value=0.0,
            max_value=100_000.0,
            value=None,
            key="cost_own_watts",
            bind="query-params",
            placeholder=f"data sheet: {sheet_w * gpus:g}" if sheet_w else "type it in",
            help="Of the whole machine. Empty: the board power of its GPUs by the data sheet.",
        )
    with columns[3]:
        tariff = widgets.number(
            "Electricity (USD per kWh)", "cost_own_kwh", 0.30, 0.0, 10.0, "Your tariff.", step=0.01
        )
    power = watts if watts is not None else (sheet_w or 0.0) * gpus
    try:
        own = OwnMachine(
            hardware,
            float(purchase),
            years,
            busy / 100,
            power,
            tariff,
            gpus=gpus,
            vcpu=vcpu,
            memory_gib=float(memory),
        )
        price = own.usd_per_h
    except BreakevenError as error:
        st.error(f"This machine cannot be priced: {escape(error)}")
        return None, ""
    no_power = "" if power else " Its power is not known, so electricity is left out."
    st.caption(
        f"An hour at work costs {escape(f'${price:,.4g}')}.{no_power} The figures above are "
        "starting points to type over, not offers."
    )
    return own, _own_text(own)


def _own_text(own: OwnMachine) -> str:
    """What --own of the command line takes."""
    values = {
        "purchase": own.purchase_usd,
        "years": own.years,
        "utilisation": own.utilisation,
        "watts": own.watts,
        "usd_per_kwh": own.usd_per_kwh,
        "gpus": own.gpus,
        "vcpu": own.vcpu,
        "memory_gib": own.memory_gib,
    }
    return ",".join([own.hardware, *(f"{name}={value:.15g}" for name, value in values.items())])


@st.cache_data(max_entries=2, show_spinner=False)
def _names_of(models: tuple[tuple[str, str], ...]) -> dict[str, str]:
    measured: dict[str, str] = {}
    for gpu_model, cpu_model in models:
        gpu = match_gpu(gpu_model) if gpu_model else None
        cpu = match_cpu(cpu_model) if cpu_model else None
        measured |= {spec.name: f"{spec.name} (measured)" for spec in (gpu, cpu) if spec}
    rest = {spec.name: spec.name for spec in shipped_hardware() if spec.name not in measured}
    return measured | rest


def _hardware_names(machines: pd.DataFrame) -> dict[str, str]:
    """Processors to choose from, those of measured machines first."""
    columns = machines[["gpu_model", "cpu_model"]].drop_duplicates()
    models: list[tuple[Any, ...]] = list(columns.itertuples(index=False, name=None))
    texts = tuple(tuple(value if isinstance(value, str) else "" for value in row) for row in models)
    return _names_of(texts)  # type: ignore[arg-type]
