"""Machines that were measured answer for one that was not, or hardly."""

import numpy as np
import pandas as pd
import pytest

from collector.errors import EstimateError, SelectionError
from estimator.answer import PARTS, PREDICTION_COLUMNS
from estimator.catalogue.hardware import match_gpu
from estimator.fitting.fit import describe_cells
from estimator.model.fit import fit_table
from estimator.others.gpu_profiles import sustained
from estimator.others.probes import choose_probes
from estimator.text import BASIS
from tests.estimator import made_up, two_machines
from tests.estimator.two_machines import machine

SECONDS = [f"{part}_s" for part in PARTS]
SLOWER = 1.3  # the new machine's CPU and host beside the measured one's


@pytest.fixture(scope="module")
def machines():
    """A measured machine, its sister, and one of another type; all in the dataset's table."""
    return pd.concat(
        [
            machine("made"),
            machine("new"),
            machine("other", machine_type_id="type B", gpu_model="NVIDIA L4", cpu_mhz=1500.0),
            machine("plain", machine_type_id="type C", gpu_model=None, gpu_count=0),
        ],
        ignore_index=True,
    )


@pytest.fixture(scope="module")
def full(machines):
    return two_machines.rows_of(two_machines.cells_of("made"))


@pytest.fixture(scope="module")
def new_cells():
    return two_machines.cells_of("new")


@pytest.fixture(scope="module")
def truth(new_cells):
    factor = two_machines.host_factor(new_cells, SLOWER)
    return made_up.true_seconds(new_cells, noise=1e-9) * factor


@pytest.fixture(scope="module")
def probes(new_cells, machines):
    offered = describe_cells(two_machines.rows_of(new_cells), machines)
    return choose_probes(offered, 12)


@pytest.fixture(scope="module")
def unmeasured(full, machines):
    return fit_table(two_machines.described([full], machines), machines)


@pytest.fixture(scope="module")
def probed(full, machines, new_cells, probes):
    chosen = new_cells.iloc[probes]
    rows = two_machines.rows_of(chosen, two_machines.host_factor(chosen, SLOWER), seed=5)
    return fit_table(two_machines.described([full, rows], machines), machines)


def error(answer, truth):
    return np.abs(answer["seconds_p50"].to_numpy() / truth - 1.0)


def test_a_machine_of_the_dataset_without_rows_is_answered_from_specs(unmeasured, new_cells, truth):
    answer = unmeasured.predict(new_cells)
    assert tuple(answer.columns) == PREDICTION_COLUMNS
    assert set(answer["basis"]) == {"from_specs"}
    kernels = two_machines.host_factor(new_cells, 2.0) == 1.0
    assert np.median(error(answer, truth)[kernels]) < 0.05


def test_probes_tell_by_how_much_the_host_is_slower(unmeasured, probed, new_cells, truth, probes):
    rest = np.setdiff1d(np.arange(len(new_cells)), probes)
    answer = probed.predict(new_cells.iloc[rest])
    before = unmeasured.predict(new_cells.iloc[rest])
    assert set(answer["basis"]) == {"probed"}
    assert np.mean(error(answer, truth[rest])) < 0.12
    assert np.mean(error(answer, truth[rest])) < 0.7 * np.mean(error(before, truth[rest]))
    width, wider = (np.log(a["seconds_p95"] / a["seconds_p50"]).median() for a in (answer, before))
    assert width < wider


def test_the_probes_themselves_stay_measured(probed, new_cells, probes):
    answer = probed.predict(new_cells.iloc[probes])
    assert set(answer["basis"]) == {"measured"}


def test_the_interval_holds_about_nine_tenths(probed, new_cells, truth, probes):
    rest = np.setdiff1d(np.arange(len(new_cells)), probes)
    answer = probed.predict(new_cells.iloc[rest])
    inside = (truth[rest] >= answer["seconds_p5"]) & (truth[rest] <= answer["seconds_p95"])
    assert inside.mean() > 0.85


def test_parts_add_up_and_times_are_positive(probed, new_cells):
    answer = probed.predict(new_cells)
    times = answer[["seconds_p5", "seconds_p50", "seconds_p95"]].to_numpy()
    assert np.isfinite(times).all()
    assert (times > 0.0).all()
    assert (np.diff(times, axis=1) > 0.0).all()
    assert answer[SECONDS].sum(axis=1).to_numpy() == pytest.approx(answer["seconds_p50"].to_numpy())
    assert set(answer["basis"]) <= set(BASIS)


def test_answers_are_the_same_each_time(full, machines, new_cells, unmeasured, probed):
    again = fit_table(two_machines.described([full], machines), machines)
    pd.testing.assert_frame_equal(unmeasured.predict(new_cells), again.predict(new_cells))
    order = np.random.default_rng(1).permutation(len(new_cells))[:50]
    shuffled = probed.predict(new_cells.iloc[order])
    pd.testing.assert_frame_equal(shuffled, probed.predict(new_cells).iloc[order])


def test_the_measured_machine_is_not_changed_by_what_others_measured(probed, unmeasured):
    cells = two_machines.cells_of("made")
    assert (probed.predict(cells)["basis"] == "measured").all()


def test_one_wild_probe_does_not_carry_the_rest_away(full, machines, new_cells, probes, truth):
    chosen = new_cells.iloc[probes]
    factor = two_machines.host_factor(chosen, SLOWER)
    factor[0] *= 100.0
    rows = two_machines.rows_of(chosen, factor, seed=5)
    model = fit_table(two_machines.described([full, rows], machines), machines)
    rest = np.setdiff1d(np.arange(len(new_cells)), probes)
    answer = model.predict(new_cells.iloc[rest])
    assert np.median(error(answer, truth[rest])) < 0.25


def test_probes_that_contradict_each_other_widen_the_interval(
    full, machines, new_cells, probes, probed
):
    chosen = new_cells.iloc[probes]
    turns = np.where(np.arange(len(chosen)) % 2 == 0, 6.0, 1.0 / 6.0)
    rows = two_machines.rows_of(chosen, turns, seed=5)
    wild = fit_table(two_machines.described([full, rows], machines), machines)
    asked = new_cells.iloc[np.setdiff1d(np.arange(len(new_cells)), probes)]
    widths = []
    for model in (probed, wild):
        answer = model.predict(asked)
        widths.append(np.log(answer["seconds_p95"] / answer["seconds_p5"]).median())
    assert widths[1] > 1.5 * widths[0]


def test_another_gpu_follows_its_data_sheet(unmeasured):
    cells = two_machines.cells_of("other", made_up.GPU, ("matmul",))
    size = cells["params"].map(lambda params: params["n"])
    large = cells[(cells["mode"] == "hot") & (size == 3001)]
    source = unmeasured.predict(large.assign(machine_id="made"))
    answer = unmeasured.predict(large)
    assert set(answer["basis"]) == {"from_specs"}
    ratio = answer["compute_s"].iloc[0] / source["compute_s"].iloc[0]
    # fp32 TFLOP/s of both data sheets, and what both GPUs have the power to sustain
    shares = [sustained(match_gpu(name), "linear").share for name in ("H100 SXM", "L4")]
    assert ratio == pytest.approx(67.0 * shares[0] / (30.3 * shares[1]), rel=0.4)
    half = np.log(answer["seconds_p95"] / answer["seconds_p50"])
    assert (half > 2.0 * np.log(source["seconds_p95"] / source["seconds_p50"])).all()


def test_names_of_the_catalogue_are_machines(unmeasured):
    cells = two_machines.cells_of("made", made_up.GPU, ("matmul",)).tail(3)
    for name in ("L4", "H100-SXM", "NVIDIA A100-SXM4-80GB"):
        assert set(unmeasured.predict(cells.assign(machine_id=name))["basis"]) == {"from_specs"}


def test_a_cpu_of_the_catalogue_takes_a_number_of_cores(unmeasured):
    cells = two_machines.cells_of("made", made_up.CPU, ("matmul",))
    cell = cells[(cells["backend"] == "torch")].tail(1).drop(columns="threads")
    times = [
        unmeasured.predict(cell.assign(machine_id=name))["seconds_p50"].iloc[0]
        for name in ("Xeon Platinum 8481C, 2 cores", "Xeon Platinum 8481C, 8 cores")
    ]
    # a millisecond: dividing it among more cores costs some of the gain
    assert 1.5 * times[1] < times[0] < 4.0 * times[1]
    whole = unmeasured.predict(cell.assign(machine_id="Xeon Platinum 8481C"))
    assert whole["seconds_p50"].iloc[0] < times[1]


@pytest.mark.parametrize(
    ("machine_id", "device", "kind", "message"),
    [
        ("nonsense", "cuda", SelectionError, "choose one of made .*or a GPU or CPU of"),
        ("mad", "cuda", SelectionError, "give its id, made"),
        ("L4", "cpu", EstimateError, "data sheet tells nothing of a CPU"),
        ("MI300X", "cuda", EstimateError, "vendor"),
        ("Graviton3", "cpu", EstimateError, "instruction set"),
        ("plain", "cuda", EstimateError, "no GPU that is known"),
        ("AWS c7g (Graviton3), 0 cores", "cpu", SelectionError, "choose one of"),
    ],
)
def test_what_no_machine_can_answer_is_an_error(unmeasured, machine_id, device, kind, message):
    cells = two_machines.cells_of("made", (("torch", device),), ("matmul",)).tail(1)
    with pytest.raises(kind, match=message):
        unmeasured.predict(cells.assign(machine_id=machine_id))


def test_a_family_measured_nowhere_is_an_error_or_left_out(unmeasured):
    cells = two_machines.cells_of("new", made_up.GPU, ("fft",)).tail(2)
    with pytest.raises(
        EstimateError, match="new: fft was not measured with torch on cuda; measured there: elem"
    ):
        unmeasured.predict(cells)
    assert unmeasured.predict(cells, strict=False)["seconds_p50"].isna().all()


def test_without_any_gpu_published_kernels_answer(machines):
    rows = two_machines.rows_of(two_machines.cells_of("made", made_up.CPU))
    model = fit_table(two_machines.described([rows], machines), machines)
    cells = two_machines.cells_of("other", made_up.GPU, ("matmul", "elementwise"))
    answer = model.predict(cells)
    assert set(answer["basis"]) == {"from_specs"}
    assert (answer["seconds_p50"] > 0.0).all()
    large = cells["params"].map(lambda p: p.get("n", 0) == 3001) & (cells["mode"] == "hot")
    large &= (cells["workload"] == "matmul") & (cells["math_mode"] == "ieee")
    row = answer[large & (cells["dtype"] == "float32")].iloc[0]
    peak = 2.0 * 3001.0**3 / 30.3e12
    assert peak < row["seconds_p50"] < 3.0 * peak


def test_a_well_measured_machine_lends_what_another_lacks(full, machines):
    lacking = two_machines.cells_of("new")
    kept = lacking[lacking["workload"] != "elementwise"]
    rows = two_machines.rows_of(kept, two_machines.host_factor(kept, SLOWER), seed=7)
    model = fit_table(two_machines.described([full, rows], machines), machines)
    asked = lacking[(lacking["workload"] == "elementwise") & (lacking["device"] == "cpu")]
    answer = model.predict(asked)
    assert set(answer["basis"]) == {"probed"}
    truth = SLOWER * made_up.true_seconds(asked, noise=1e-9)
    assert np.median(error(answer, truth)) < 0.12


def test_a_machine_asked_alone_answers_as_among_many(probed, unmeasured, new_cells):
    rest = new_cells.iloc[::7]
    names = ("made", "new", "L4", "A100-SXM4-80GB")
    for model in (probed, unmeasured):
        many = pd.concat(
            rest[(rest["device"] == "cuda") | (name in names[:2])].assign(machine_id=name)
            for name in names
        )
        many = many.sample(frac=1.0, random_state=3)
        together = model.predict(many, strict=False)
        for name in names:
            chosen = (many["machine_id"] == name).to_numpy()
            alone = model.predict(many[chosen], strict=False)
            pd.testing.assert_frame_equal(together[chosen], alone, rtol=1e-9, check_dtype=False)


def test_cores_of_the_same_family_answer_before_others(unmeasured):
    cells = two_machines.cells_of("made", made_up.CPU, ("matmul",))
    cell = cells[cells["backend"] == "torch"].tail(1).drop(columns="threads")

    def asked(name):
        return unmeasured.predict(cell.assign(machine_id=name)).iloc[0]

    family = asked("Xeon Platinum 8573C, 2 cores")  # Emerald Rapids, as the measured 8581C
    assert family["basis"] == "from_specs"
    measured = unmeasured.predict(cell.assign(machine_id="made")).iloc[0]
    # its core does what a measured one does at the clock of its sheet
    ran_at = unmeasured.donors.facts["made"].ran_at_ghz
    expected = measured["measured_median_s"] * ran_at / 3.0
    assert family["seconds_p50"] == pytest.approx(expected, rel=0.02)
    more = asked("Xeon Platinum 8573C, 8 cores")
    assert family["seconds_p50"] / 4.0 < more["seconds_p50"] < family["seconds_p50"]
    other = asked("Xeon Platinum 8481C, 2 cores")
    assert other["basis"] == "from_specs"
    width = [np.log(answer["seconds_p95"] / answer["seconds_p50"]) for answer in (family, more)]
    assert 0.0 < width[0] < width[1]
    assert width[0] < np.log(other["seconds_p95"] / other["seconds_p50"])


@pytest.mark.parametrize(
    ("name", "dtype", "message"),
    [
        ("GCP e2 (CPU not fixed), 4 cores", "float32", "does not fix which processor"),
        ("AWS m6i (Xeon 8375C), 4 cores", "bfloat16", "no instructions for products of bfloat16"),
    ],
)
def test_a_cpu_that_is_not_fixed_or_lacks_the_unit_is_refused_with_the_reason(
    unmeasured, name, dtype, message
):
    cells = two_machines.cells_of("made", made_up.CPU, ("matmul",))
    cell = cells[cells["backend"] == "torch"].tail(1)
    with pytest.raises(EstimateError, match=message):
        unmeasured.predict(cell.assign(machine_id=name, dtype=dtype))
