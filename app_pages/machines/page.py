"""Machines: which one is unwell; what each is, how fast it gets, and whether it was quiet."""

from __future__ import annotations

import shlex

import pandas as pd
import streamlit as st

from app_pages.frame import shared, widgets
from app_pages.frame.fleet import path_arguments
from app_pages.machines import findings
from app_pages.machines.ceilings import LEAST_BYTES, show_ceilings
from app_pages.machines.facts import show_fingerprints
from app_pages.machines.signs import show_signs

NOBODY = "no comparison"
METHOD = f"""
{findings.METHOD}

**Measured ceilings** are the best rate that any cell of the dataset reached: matrix products for
arithmetic; element-wise operations, sums and device copies that move at least
{LEAST_BYTES / 1e6:.0f} MB for memory; copies for the bus. The rate is the counted work over the
measured median, so an operation that moves more bytes than it must shows a lower rate.

**Data sheet** values come from `data/hardware.csv`, each with its source; a ceiling that the
measurement does not reach is normal, one that it passes points at a wrong match.

**Quiet?** *Noisy*: the interval of the median stayed wider than its target, or the samples
spread by more than 10 %, or another sign of disturbance was seen; the reasons stand below.
*Stolen*: share of processor time that the hypervisor gave to others. *Drift*: one operation is
repeated along each run; a machine that holds its speed shows a flat line.
"""


def page() -> None:
    """Findings about all machines, then one machine, alone or beside another."""
    source = shared.open_dataset()
    shared.header(
        "Machines",
        "Which of my machines is unwell? What is each, and how fast does it get?",
        METHOD,
    )
    shared.provenance(source, "rates are measured unless the column says data sheet")
    found = findings.find(source)
    findings.show_summary(source, found)
    findings.show_findings(source, found)
    widgets.command(
        f"python -m estimator health{shared.data_argument(source)} --notes",
        "`--fail` ends with exit code 1 where a machine is unwell; `--json` gives all fields.",
    )
    show_one(source, found)


def show_one(source: shared.Source, found: pd.DataFrame) -> None:
    """One machine by itself, or beside another."""
    st.header("One machine", anchor="machine")
    names = findings.names_worst_first(source, found)
    left, right = st.columns(2)
    with left:
        machine = widgets.select(
            "Machine",
            names,
            "machines_first",
            findings.default_machine(source, found),
            help="Type to search. Machines with findings come first.",
        )
    with right:
        others = [NOBODY, *[name for name in source.machine_names if name != machine]]
        other = widgets.select(
            "Compare with", others, "machines_second", NOBODY, help="A second one, side by side."
        )
    picked = [machine] if other == NOBODY else [machine, other]
    findings.show_machine(source, found, machine)
    show_fingerprints(source, picked)
    show_ceilings(source, picked)
    show_signs(source, picked)
    if len(picked) == 2:
        shared_path = path_arguments(source)
        own, second = (shlex.quote(source.machine_id(name)) for name in picked)
        widgets.command(
            [
                f"python -m collector show {shared_path} --workload matmul --machine {own}",
                f"python -m collector show {shared_path} --workload matmul --machine {second}",
            ],
            "`python -m collector compare A B` tells whether two directories of runs differ.",
        )
