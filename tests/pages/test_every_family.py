"""Every family that the collector measures, on every page: what is shown, and what is left out."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app_pages.job.form import Job, element_types, job_of, start
from app_pages.job.places import question_of
from collector.workloads import FAMILIES
from estimator.catalogue.instances import read_instances
from estimator.cells.defaults import default_dtype
from estimator.cost.inputs import Job as CostJob
from estimator.cost.instance_costs import instance_costs
from estimator.cost.timings import instance_timings
from estimator.dataset.cache_directory import user_cache_directory
from estimator.dataset.measurements import load
from estimator.decide.breakeven import Place
from estimator.decide.pairs import compare_places, fair_pair
from estimator.decide.places import answer_places
from estimator.model.fit import fit_cached
from estimator.model.model import Model
from tests.pages.conftest import PAGES, OpenPage, chart_spec
from tests.pages.made_up_runs import GRID

MEASURED = [name for name in FAMILIES if name != "anchor"]


def question(family: str, case: str) -> dict[str, str]:
    """A link to a job of that family and case."""
    return {"job_workload": family, "job_case": case}


@pytest.mark.parametrize("page", PAGES)
def test_page_opens(open_page: OpenPage, every_family: Path, page: str) -> None:
    """No page shows an error or a warning."""
    app = open_page(page, every_family)
    assert not app.exception
    assert not app.error


@pytest.fixture(scope="module")
def model(every_family: Path) -> Model:
    """The fit of the dataset in which every family was measured."""
    return fit_cached(load(every_family), user_cache_directory())


def form_alone() -> None:
    """A page with nothing but the form of a job."""
    import streamlit as st

    from app_pages.job.form import job_form

    st.session_state["job"] = job_form(st.session_state["groups"])


def start_of_form(model: Model, family: str, case: str) -> tuple[AppTest, Job]:
    """The form with its own values, and the job that it gives."""
    app = AppTest.from_function(form_alone, default_timeout=60)
    app.session_state["groups"] = model.groups
    for key, value in question(family, case).items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    assert not app.error
    return app, app.session_state["job"]


@pytest.mark.parametrize("family", ["matmul", "training_step"])
def test_price_is_shown(open_page: OpenPage, every_family: Path, family: str) -> None:
    """The answer of the page Cost stands above the rest."""
    app = open_page("cost", every_family, **question(family, FAMILIES[family].cases[0]))
    assert not app.exception
    assert not app.error
    assert any(metric.label == "Cheapest" for metric in app.metric)


@pytest.mark.parametrize("family", MEASURED)
def test_form_gives_the_job_that_it_shows(model: Model, family: str) -> None:
    """The form of a family's last case: that case, and a field with help for each parameter."""
    case = FAMILIES[family].cases[-1]
    app, job = start_of_form(model, family, case)
    assert job == start_job(model, family, case)
    assert app.selectbox(key="job_case").value == case
    labels = [field.label for field in app.number_input if field.help]
    fields = {label.rpartition(", ")[2].lower() for label in labels}
    assert set(FAMILIES[family].signatures[case]) <= fields


def start_job(model: Model, family: str, case: str) -> Job:
    """The job that the form opens with, without the form."""
    params = {field.name: field.start for field in start(family, case)}
    types, usual = element_types(family, case, model.groups), default_dtype(FAMILIES[family], case)
    return job_of(family, case, params, usual if usual in types else types[0])


@pytest.mark.parametrize("family", MEASURED)
def test_job_is_estimated(model: Model, family: str) -> None:
    """Every case with the form's own values has a time on every place that answers."""
    for case in FAMILIES[family].cases:
        table = answer_places(model, question_of(start_job(model, family, case))).table
        assert len(table), case
        assert (table["seconds_p50"] > 0).all(), case


@pytest.mark.parametrize("family", MEASURED)
def test_cpu_and_gpu_are_compared(model: Model, family: str) -> None:
    """Of each family's first case: the speed-up, where it breaks even, renting either twice."""
    job = start_job(model, family, FAMILIES[family].cases[0])
    table = answer_places(model, question_of(job)).table
    pair = fair_pair(table)
    if pair is None:  # a copy has no CPU
        assert set(table["device"]) == {"cuda"}
        return
    cpu, gpu = (table.iloc[row] for row in pair)
    answer = compare_places(
        model,
        question_of(job),
        Place(str(cpu["machine_id"]), str(cpu["backend"]), int(cpu["threads"])),
        Place(str(gpu["machine_id"]), str(gpu["backend"]), None, str(gpu["mode"])),
        next((name for name, _ in job.given), ""),
    )
    assert answer.speedup.ratio_p50 > 0.0


@pytest.mark.parametrize("family", MEASURED)
def test_job_is_priced(model: Model, family: str) -> None:
    """Each family's first case has a price on some instance."""
    job = start_job(model, family, FAMILIES[family].cases[0])
    asked = {
        **{"workload": job.workload, "case": job.case, "params": dict(job.params)},
        **{"dtype": job.dtype, "math_mode": job.math_mode, "mode": job.gpu_mode},
    }
    instances = read_instances()
    table = instance_costs(instance_timings(model, instances, asked), instances, CostJob(1000))
    assert (table.loc[table["excluded"] == "", "cost_usd_p50"] > 0).any()


def cells_table(app: AppTest) -> pd.DataFrame:
    """The table of measured cells, wherever it stands on the page Measurements."""
    tables: list[pd.DataFrame] = [element.value for element in app.dataframe]
    return next(table for table in tables if "Samples" in table.columns)


@pytest.mark.parametrize("family", MEASURED)
def test_family_is_shown(open_page: OpenPage, every_family: Path, family: str) -> None:
    """Each family has a sweep and a table, without its first calls."""
    app = open_page("measurements", every_family, measurements_workload=family)
    assert not app.exception
    assert (cells_table(app)["Samples"] > 1).all()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_break_even_never_fails(open_page: OpenPage, every_family: Path, device: str) -> None:
    """A case that a GPU's libraries lack is no traceback; neither is a family without a CPU."""
    for family, case in (("launch", "empty_kernel"), ("transfer", "d2d"), ("launch", "chain")):
        app = open_page("estimate", every_family, **question(family, case), estimate_cpu=device)
        assert not app.exception


def test_anchor_is_offered_nowhere(open_page: OpenPage, every_family: Path) -> None:
    """The lists of workloads and the coverage leave the repeated operation out."""
    for page, key in (
        ("measurements", "measurements_workload"),
        ("estimate", "job_workload"),
        ("model", "model_workload"),
    ):
        app = open_page(page, every_family)
        assert not any("anchor" in str(option) for option in app.selectbox(key=key).options)
    spec = chart_spec(open_page("overview", every_family))
    assert spec["layer"][0]["encoding"]["y"]["scale"]["domain"] == MEASURED


def test_first_calls_are_shown_when_asked(open_page: OpenPage, every_family: Path) -> None:
    """They are one sample without an interval, in the table as in the caption."""
    app = open_page(
        "measurements",
        every_family,
        measurements_workload="conv2d",
        measurements_timed="first call",
    )
    assert not app.exception
    table = cells_table(app)
    assert (table["Samples"] == 1).all()
    assert not [name for name in table if name.startswith(("95 %", "Spread"))]
    assert any("no interval" in caption.value for caption in app.caption)
    assert len(chart_spec(app)["layer"]) == 2


def test_energy_and_noise_have_columns(open_page: OpenPage, every_family: Path) -> None:
    """Energy comes with its unit, noise with its reasons in words."""
    app = open_page("measurements", every_family, measurements_workload="matmul")
    table = cells_table(app)
    assert table.filter(like="Energy").notna().any(axis=None)
    assert "wide interval, spread" in set(table["Noisy because"])
    assert table["Outliers"].max() == 2


def frames(app: AppTest) -> list[pd.DataFrame]:
    return [frame.value for frame in app.dataframe]


def test_drift_stands_beside_the_machines_health(
    open_page: OpenPage, every_family: Path, dataset: Path
) -> None:
    """A row for each run and place; nothing where no run repeats an operation."""
    app = open_page("machines", every_family, machines_first=GRID.label)
    table = next(frame for frame in frames(app) if "Range" in frame)
    assert sorted(table["Where"]) == ["numpy cpu, 1 thread", "torch cuda"]
    assert (table["Repetitions"] == 4).all()
    assert table["Range"].between(0, 10).all()
    reasons = next(
        frame for frame in frames(app) if "spread" in set(frame.get("Reason", pd.Series(dtype=str)))
    )
    assert set(reasons["Reason"]) == {"wide interval", "spread"}
    assert not any("Range" in frame for frame in frames(open_page("machines", dataset)))


def test_whole_numbers_are_one_cases_own(open_page: OpenPage, every_family: Path) -> None:
    """A case offers the element types that it was measured with."""
    app = open_page("estimate", every_family, **question("matmul", "int8_square"))
    assert not app.exception
    assert not app.error
    assert len(app.dataframe[0].value)


def test_jax_on_a_gpu_answers_with_data_on_the_device(
    open_page: OpenPage, every_family: Path
) -> None:
    """It has no device clock: its times are the host's."""
    app = open_page("estimate", every_family, **question("sort", "sort"))
    assert any(option.startswith("jax cuda") for option in app.dataframe[0].value["Option"])
    app = open_page(
        "measurements",
        every_family,
        measurements_workload="sort",
        measurements_timed="data on the device",
    )
    assert any(series.startswith("jax cuda") for series in cells_table(app)["Series"])
