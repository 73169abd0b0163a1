import numpy as np
import pandas as pd
import pytest

from collector.errors import EstimateError, SelectionError
from estimator.answer import PARTS, PREDICTION_COLUMNS
from estimator.text import BASIS
from tests.estimator import made_up

SECONDS = [f"{part}_s" for part in PARTS]


def ask(**changes):
    question = {
        "machine_id": "made",
        "workload": "matmul",
        "case": "square",
        "params": {"n": 1000},
        "dtype": "float64",
        "math_mode": "ieee",
        "backend": "numpy",
        "device": "cpu",
        "threads": 1,
        "mode": "hot",
    }
    return pd.DataFrame([{**question, **changes}])


@pytest.fixture(scope="module")
def predicted(model, cells):
    return model.predict(cells)


def test_the_answer_has_the_columns_of_the_contract(predicted):
    assert tuple(predicted.columns) == PREDICTION_COLUMNS
    assert set(predicted["bound"]) <= set(PARTS)
    assert set(predicted["basis"]) <= set(BASIS)


def test_times_are_positive_finite_and_in_order(predicted):
    times = predicted[["seconds_p5", "seconds_p50", "seconds_p95"]].to_numpy()
    assert np.isfinite(times).all()
    assert (times > 0).all()
    assert (np.diff(times, axis=1) > 0).all()


def test_the_parts_add_up_to_the_median(predicted):
    assert predicted[SECONDS].sum(axis=1).to_numpy() == pytest.approx(
        predicted["seconds_p50"].to_numpy()
    )


def test_measured_cells_show_the_measurement_beside_the_model(predicted, cells):
    assert (predicted["basis"] == "measured").all()
    truth = made_up.true_seconds(cells)
    assert np.abs(np.log(predicted["measured_median_s"] / truth)).max() < 1e-9
    assert (predicted["seconds_p50"] != predicted["measured_median_s"]).all()
    assert (predicted["measured_n"] == 30).all()


def test_index_and_order_are_kept(model, cells, predicted):
    order = np.random.default_rng(1).permutation(len(cells))[:100]
    shuffled = model.predict(cells.iloc[order])
    pd.testing.assert_frame_equal(shuffled, predicted.iloc[order])


def test_no_question_is_no_answer(model, cells):
    empty = model.predict(cells.iloc[:0])
    assert empty.empty
    assert tuple(empty.columns) == PREDICTION_COLUMNS


@pytest.mark.parametrize(
    ("changes", "basis"),
    [
        ({}, "measured"),
        ({"params": {"n": 1200}}, "interpolated"),
        ({"params": {"n": 20_000}}, "extrapolated"),
        ({"params": {"n": 8}}, "extrapolated"),
        ({"case": "batched", "params": {"batch": 8, "n": 64}}, "new_workload"),
        (
            {
                "workload": "elementwise",
                "case": "tanh",
                "params": {"n": 5000},
                "backend": "torch",
                "device": "cuda",
                "dtype": "bfloat16",
                "mode": "hot",
            },
            "new_workload",
        ),
    ],
)
def test_the_basis_says_how_near_to_measurements_an_answer_is(model, changes, basis):
    assert model.predict(ask(**changes))["basis"].iloc[0] == basis


def test_the_farther_from_measurements_the_wider_the_interval(model):
    def width(n):
        row = model.predict(ask(params={"n": n})).iloc[0]
        return row["seconds_p95"] / row["seconds_p5"]

    widths = [width(n) for n in (1200, 4000, 20_000, 100_000)]
    # just beyond the measured sizes errors may be as small as between them
    assert widths[1:] == sorted(widths[1:])
    assert widths[0] < widths[-1]


def test_on_a_cpu_resident_and_end_to_end_are_the_hot_rows(model):
    answers = [model.predict(ask(mode=mode)) for mode in ("hot", "resident", "end_to_end")]
    pd.testing.assert_frame_equal(answers[0], answers[1])
    pd.testing.assert_frame_equal(answers[0], answers[2])


def test_without_threads_the_most_that_were_measured_answer(model):
    most = model.predict(ask(threads=2))
    pd.testing.assert_frame_equal(model.predict(ask(threads=None)), most)
    pd.testing.assert_frame_equal(model.predict(ask().drop(columns="threads")), most)


def test_defaults_of_mode_and_math_mode(model):
    short = ask().drop(columns=["mode", "math_mode"])
    pd.testing.assert_frame_equal(model.predict(short), model.predict(ask()))


def test_short_and_canonical_parameters_are_the_same_question(model):
    canonical = ask(params={"batch": 1, "m": 1000, "n": 1000, "k": 1000})
    pd.testing.assert_frame_equal(model.predict(canonical), model.predict(ask()))


def test_a_program_of_the_seeds_is_answered_from_its_operation(model):
    seed = model.predict(ask(case="dot_2000_float64", params={"n": 2000})).iloc[0]
    square = model.predict(ask(params={"n": 2000})).iloc[0]
    assert seed["seconds_p50"] == pytest.approx(square["seconds_p50"])
    assert seed["n_fit"] == square["n_fit"]
    assert seed["basis"] == "measured"


def test_end_to_end_is_resident_and_the_copies(model):
    place = {"backend": "torch", "device": "cuda", "dtype": "float32", "params": {"n": 3000}}
    resident = model.predict(ask(mode="resident", **place)).iloc[0]
    both = model.predict(ask(mode="end_to_end", **place)).iloc[0]
    assert both["seconds_p50"] == pytest.approx(resident["seconds_p50"] + both["transfer_s"])
    assert both["bound"] == "transfer"


def test_copies_of_an_operation_that_was_not_measured_with_them(model):
    place = {"backend": "torch", "device": "cuda", "dtype": "float16", "params": {"n": 3000}}
    row = model.predict(ask(mode="end_to_end", **place)).iloc[0]
    moved = 2 * 3000**2
    copies = (
        made_up.COPY_CALL_S + 2 * moved / made_up.H2D_BYTES_PER_S + moved / made_up.D2H_BYTES_PER_S
    )
    assert row["basis"] == "new_workload"
    assert row["transfer_s"] == pytest.approx(copies, rel=0.3)


def test_copies_over_the_bus_are_bound_by_it(model):
    row = model.predict(
        ask(
            workload="transfer",
            case="h2d_pinned",
            params={"bytes": 50_000_000},
            dtype="float32",
            backend="torch",
            device="cuda",
            mode="resident",
        )
    ).iloc[0]
    assert row["bound"] == "transfer"
    assert row["memory_s"] == 0.0


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"machine_id": "elsewhere"}, SelectionError, "choose one of made"),
        (
            {"workload": "fft", "case": "fft2", "params": {"n": 64}, "dtype": "complex64"},
            EstimateError,
            "fft was not measured with numpy on cpu; measured there: elementwise, matmul",
        ),
        ({"dtype": "bfloat16"}, EstimateError, "dtype 'bfloat16'.*it has float32, float64"),
        ({"backend": "cupy", "device": "cuda"}, EstimateError, "'cupy'.*it has torch"),
        ({"threads": 64}, EstimateError, "threads '64'.*it has 1, 2"),
        ({"workload": "matmull"}, SelectionError, "unknown workload"),
        ({"case": "cube"}, SelectionError, "unknown case"),
        ({"mode": "cold"}, EstimateError, "mode 'cold'.*it has hot"),
    ],
)
def test_a_question_without_an_answer_says_what_there_is(model, changes, error, words):
    with pytest.raises(error, match=words) as caught:
        model.predict(ask(**changes))
    assert "\n" not in str(caught.value)


def test_a_question_that_lacks_a_column_names_it(model):
    with pytest.raises(SelectionError, match="backend"):
        model.predict(ask().drop(columns="backend"))


def test_a_machine_is_found_by_id_or_part_of_its_label(model):
    assert model.find_machine("made") == "made"
    assert model.find_machine("mad") == model.find_machine("ade") == "made"
    with pytest.raises(SelectionError, match="choose one of made"):
        model.find_machine("other")


def test_groups_have_natural_units_and_only_what_they_read(model):
    groups = model.groups
    copies = groups[groups["workload"] == "transfer"]
    assert copies["compute_flop_per_s"].isna().all()
    assert copies["width_half"].isna().all()
    products = groups[(groups["workload"] == "matmul") & (groups["mode"] != "end_to_end")]
    assert (products["compute_flop_per_s"] > 1e9).all()
    assert (products["launch_s"] > 0).all()
    ends = groups[groups["mode"] == "end_to_end"]
    assert len(ends)
    assert (ends["h2d_bytes_per_s"] > 1e8).all()
    assert groups["n"].notna().all()


def test_a_hundred_thousand_cells_take_about_a_second(model, cells):
    from time import process_time

    many = cells.iloc[np.arange(100_000) % len(cells)].reset_index(drop=True)
    start = process_time()  # a loaded machine makes it wait, not work
    model.predict(many)
    assert process_time() - start < 3.0  # three times the target
