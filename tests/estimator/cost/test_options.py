"""The table of a cost's options: what is printed is what is read back."""

from __future__ import annotations

import argparse
from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from estimator.commands.cost import add_job, add_rental, read_job, read_options
from estimator.cost.inputs import AUTO, CostOptions, Job
from estimator.cost.options import BY_FIELD, OPTIONS, command_options

NOT_OPTIONS = {"spot", "pack_one_job_per_gpu", "usd_per_kwh"}  # switches, and what a tariff says

seconds = st.integers(0, 10**7).map(lambda ms: ms / 1000)
jobs = st.builds(
    Job,
    steps=st.integers(1, 10**9).map(float),
    jobs=st.integers(1, 10**6),
    set_up_s=seconds,
    transfer_s=seconds,
    storage_gib=seconds,
    egress_gib=seconds,
)
options = st.builds(
    CostOptions,
    start_up_s=st.none() | seconds,
    minimum_billed_s=st.none() | seconds,
    interruptions_per_h=st.none() | st.floats(0.0, 10.0).map(lambda rate: round(rate, 6)),
    checkpoint_interval_s=st.none() | st.just(AUTO) | st.integers(60, 10**5).map(float),
    checkpoint_s=st.integers(1, 1000).map(float),
    probability_of_completion=st.integers(1, 100).map(lambda percent: percent / 100),
    deadline_s=st.none() | seconds,
    budget_usd=st.none() | seconds,
    most_machines=st.integers(1, 1000),
)


def parsed(line: list[str]) -> tuple[Job, CostOptions]:
    parser = argparse.ArgumentParser()
    add_job(parser)
    add_rental(parser)
    arguments = parser.parse_args([word for part in line for word in part.split()])
    return read_job(arguments), read_options(arguments)


def test_every_field_of_the_inputs_is_one_option():
    names = [field.name for kind in (Job, CostOptions) for field in fields(kind)]
    assert set(BY_FIELD) == set(names) - NOT_OPTIONS
    assert len({option.name for option in OPTIONS}) == len(OPTIONS)


@given(jobs, options)
def test_the_printed_options_are_read_back_as_they_were(job: Job, how: CostOptions):
    assert parsed(command_options(job, how)) == (job, how)


def test_what_nobody_said_is_the_default_of_the_inputs():
    job, how = parsed(["--steps 5"])
    assert job == Job(5.0)
    assert how == CostOptions(most_machines=100)
    assert command_options(job, how) == ["--steps 5"]


def test_help_is_a_phrase_to_which_a_page_adds_a_capital_and_a_stop():
    for option in OPTIONS:
        assert option.help[0].islower(), option.name
        assert not option.help.endswith("."), option.name
