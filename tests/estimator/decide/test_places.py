"""One operation on every place, a CPU against a GPU, and transfers that calls share."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import EstimateError, SelectionError
from estimator.catalogue.instances import read_instances
from estimator.commands.cli import main
from estimator.cost.timings import instance_timings
from estimator.dataset.measurements import empty_machines
from estimator.decide.breakeven import Place
from estimator.decide.memory import memories, memory_of
from estimator.decide.pairs import compare_places, fair_pair, faster_than, reasons_in_short
from estimator.decide.places import PlaceQuestion, amortised, answer_places, find_places
from tests.estimator.conftest import FACTS

QUESTION = PlaceQuestion("matmul", "square", (("n", 1000),), "float32", gpu_mode="end_to_end")


@pytest.fixture(scope="module")
def known(model):
    machine = str(model.measured["machine_id"].iloc[0])
    return replace(model, machines=empty_machines([machine]).assign(**FACTS)), machine


def test_places_are_those_that_measured_the_type(known):
    model, machine = known
    places = find_places(model, QUESTION)
    assert set(places["machine_id"]) == {model.types.of_box[machine]}
    boxes = find_places(model, replace(QUESTION, each_box=True))
    assert set(boxes["machine_id"]) == {machine}
    assert set(zip(places["device"], places["backend"], strict=True)) == {
        ("cpu", "numpy"),
        ("cpu", "torch"),
        ("cuda", "torch"),
    }
    assert find_places(model, replace(QUESTION, dtype="int8")).empty


def test_one_thread_or_all(known):
    model, _ = known
    most, one, both = (
        find_places(model, replace(QUESTION, threads=threads))
        for threads in ("most", "one", "both")
    )
    on_cpu = [set(table.loc[table["device"] == "cpu", "threads"]) for table in (most, one, both)]
    assert on_cpu == [{2}, {1}, {1, 2}]


def test_a_data_sheet_is_one_more_place_on_its_device(known):
    model, _ = known
    asked = replace(QUESTION, sheets=("L4", "EPYC 9R14"), sheet_cores=8)
    answer = answer_places(model, asked)
    extra = answer.table[answer.table["basis"] == "from_specs"]
    assert set(zip(extra["machine_id"], extra["device"], strict=True)) == {
        ("L4", "cuda"),
        ("AWS c7a m7a (EPYC 9R14), 8 cores", "cpu"),
    }
    assert (extra.loc[extra["device"] == "cpu", "threads"] == 8).all()
    assert answer.table["seconds_p50"].is_monotonic_increasing


def test_all_places_are_asked_at_once(known, monkeypatch):
    model, _ = known
    calls = []
    own = type(model).predict

    def counted(self, cells, **options):
        calls.append(len(cells))
        return own(self, cells, **options)

    monkeypatch.setattr(type(model), "predict", counted)
    assert calls == [len(answer_places(model, QUESTION).table)]


def test_an_unknown_data_sheet_is_refused(known):
    model, _ = known
    with pytest.raises(SelectionError):
        answer_places(model, replace(QUESTION, sheets=("no such GPU",)))


def test_what_does_not_fit_is_refused_with_its_reason(known):
    model, _ = known
    answer = answer_places(model, replace(QUESTION, given=(("n", 10**6),)))
    assert answer.table.empty
    assert answer.refused["reason"].str.startswith("does not fit its memory: needs about").all()


def test_memory_of_many_places_agrees_with_that_of_one(known):
    model, _ = known
    for n in (1000, 10**5, 10**6):
        places = find_places(model, replace(QUESTION, given=(("n", n),), each_box=True))
        theirs = [memory_of(model, row) for row in places.to_dict("records")]
        assert memories(model, places) == theirs


def test_a_gpus_data_sheet_tells_its_memory(known):
    model, _ = known
    asked = replace(QUESTION, given=(("n", 50_000),), sheets=("L4",))
    refused = answer_places(model, asked).refused
    assert set(refused["machine_id"]) == {"L4"}
    assert "24 GiB" in refused["reason"].iloc[0]


def made_up(seconds, transfer):
    return pd.DataFrame(
        {
            "seconds_p5": [seconds / 2],
            "seconds_p50": [seconds],
            "seconds_p95": [seconds * 3],
            "transfer_s": [transfer],
            "measured_median_s": [seconds],
        }
    )


@given(st.floats(1e-6, 1e3), st.floats(0.0, 0.999), st.floats(1.0, 1e6))
def test_shared_transfers(seconds, share, reuse):
    """t - (1 - 1/N) t_transfer; the interval keeps its factors; never longer than alone."""
    transfer = share * seconds
    row = amortised(made_up(seconds, transfer), reuse).iloc[0]
    assert row["seconds_p50"] == pytest.approx(seconds - (1 - 1 / reuse) * transfer)
    assert row["seconds_p50"] <= seconds * (1 + 1e-12)
    assert row["seconds_p50"] >= (seconds - transfer) * (1 - 1e-12)
    assert row["seconds_p95"] / row["seconds_p50"] == pytest.approx(3.0)
    assert row["transfer_s"] == pytest.approx(transfer / reuse)


def test_a_measured_median_is_not_that_of_shared_transfers():
    assert amortised(made_up(1.0, 0.5), 1.0)["measured_median_s"].iloc[0] == 1.0
    assert np.isnan(amortised(made_up(1.0, 0.5), 2.0)["measured_median_s"].iloc[0])
    assert amortised(made_up(1.0, 0.0), 2.0)["measured_median_s"].iloc[0] == 1.0


@pytest.mark.parametrize("reuse", [0.0, 0.5, -1.0, float("nan"), float("inf")])
def test_a_reuse_below_one_is_refused(reuse):
    with pytest.raises(SelectionError, match="at least one call"):
        amortised(made_up(1.0, 0.5), reuse)


def places(*rows):
    names = ["machine_id", "device", "basis", "seconds_p50", "measured_median_s"]
    return pd.DataFrame(rows, columns=names).assign(backend="torch")


def test_the_default_pair_is_of_one_machine_and_well_known():
    nan = float("nan")
    table = places(
        ("b", "cuda", "extrapolated", 1.0, nan),
        ("a", "cuda", "interpolated", 2.0, nan),
        ("a", "cuda", "measured", 2.5, 2.2),
        ("c", "cpu", "from_specs", 3.0, nan),
        ("a", "cpu", "extrapolated", 3.5, nan),
        ("a", "cpu", "measured", 4.0, 4.4),
        ("a", "cpu", "measured", 5.0, 5.0),
        ("b", "cpu", "interpolated", 6.0, nan),
    )
    assert fair_pair(table) == (5, 1)  # the fastest library of each side, measured or between
    assert fair_pair(table[table["machine_id"] != "a"].reset_index(drop=True)) == (2, 0)


def test_a_faster_place_that_is_less_well_known_is_named():
    nan = float("nan")
    table = places(
        ("a", "cuda", "extrapolated", 1.0, nan),
        ("a", "cuda", "measured", 1.5, 1.5),
        ("b", "cpu", "measured", 3.0, 3.0),
        ("a", "cpu", "measured", 3.01, 3.0),
    )
    on_gpu = faster_than(table, table.iloc[1])
    assert (on_gpu.at, on_gpu.ratio, on_gpu.same_machine) == (0, 1.5, True)
    assert faster_than(table, table.iloc[0]) is None
    assert faster_than(table, table.iloc[3]) is None  # by less than anybody notices


def test_reasons_are_counted():
    refused = pd.DataFrame({"reason": ["x", "y", "x", "z", "w"]})
    text = reasons_in_short(refused)
    assert text.startswith("x (2 places); ")
    assert text.endswith("1 more for other reasons")
    assert reasons_in_short(refused.iloc[:0]) == ""


def test_break_even_examines_no_size_that_fits_nowhere(known):
    model, machine = known
    small = replace(model, machines=model.machines.assign(gpu_memory_bytes=2.0**30))
    cpu, gpu = Place(machine, "numpy", 2), Place(machine, "torch", mode="end_to_end")
    answer = compare_places(small, QUESTION, cpu, gpu, "n")
    boxes = replace(QUESTION, each_box=True)
    places_of = [find_places(small, boxes.with_value("n", n)) for n in (5000, 10_000)]
    fits = [not any(memory.shortage for memory in memories(small, one)) for one in places_of]
    assert fits == [True, False]
    largest = answer.curves["size"].max()
    assert 5000 < largest < 10_000
    examined = int(answer.crossing.reason.partition(" to ")[2].split()[0].replace(",", ""))
    assert examined < 10_000


def test_the_default_pair_is_of_two_machines_where_none_has_both():
    nan = float("nan")
    table = places(("g", "cuda", "measured", 1.0, 1.0), ("c", "cpu", "from_specs", 3.0, nan))
    assert fair_pair(table) == (1, 0)
    assert fair_pair(table[table["device"] == "cpu"]) is None


def test_a_pair_has_speedup_crossing_and_curves(known):
    model, machine = known
    cpu, gpu = Place(machine, "numpy", 2), Place(machine, "torch", mode="end_to_end")
    answer = compare_places(model, QUESTION, cpu, gpu, "n")
    estimate = answer_places(model, QUESTION).table
    on_cpu = estimate[(estimate["backend"] == "numpy")].iloc[0]
    on_gpu = estimate[(estimate["device"] == "cuda")].iloc[0]
    assert answer.speedup.ratio_p50 == pytest.approx(on_cpu["seconds_p50"] / on_gpu["seconds_p50"])
    assert answer.crossing is not None
    assert answer.crossing.parameter == "n"
    assert set(answer.curves["side"]) == {"cpu", "gpu"}
    assert answer.curves["size"].min() < 1000 < answer.curves["size"].max()


def test_sharing_transfers_moves_the_break_even_down(known):
    model, machine = known
    pair = Place(machine, "numpy", 2), Place(machine, "torch", mode="end_to_end")
    alone, shared = (
        compare_places(model, replace(QUESTION, reuse=reuse), *pair, "n") for reuse in (1.0, 1000.0)
    )
    assert shared.speedup.ratio_p50 > alone.speedup.ratio_p50
    assert shared.crossing.size < alone.crossing.size


def test_any_machine_of_the_type_has_the_wider_interval(known):
    model, machine = known
    pair = Place(machine, "numpy", 2), Place(machine, "torch", mode="end_to_end")
    own, of_type = (
        compare_places(model, replace(QUESTION, about=about), *pair, "n").speedup
        for about in ("machine", "type")
    )
    assert of_type.ratio_p50 == pytest.approx(own.ratio_p50)
    assert of_type.ratio_p95 > own.ratio_p95
    assert of_type.ratio_p5 < own.ratio_p5


def test_the_command_says_whether_a_gpu_pays(dataset, capsys):
    line = ["pays", "matmul", "--param", "n=1000", "--dtype", "float32", "--data", str(dataset)]
    assert main(line) == 0
    text = capsys.readouterr().out
    for part in ("the GPU is", "with a probability of", "break-even size", "measured"):
        assert part in text
    assert main([*line, "--json", "--reuse", "10", "--about", "type"]) == 0
    assert '"gpu_probability"' in capsys.readouterr().out


def test_the_command_names_what_it_cannot_compare(dataset, capsys):
    line = ["pays", "matmul", "--param", "n=1000", "--dtype", "float32", "--data", str(dataset)]
    assert main([*line, "--backend", "abacus"]) == 2
    assert "no CPU and GPU to compare" in capsys.readouterr().err


def test_the_command_says_why_nothing_fits(dataset, capsys):
    line = ["pays", "matmul", "--param", "n=1000000", "--dtype", "float32", "--data", str(dataset)]
    assert main(line) == 2
    assert "needs about" in capsys.readouterr().err


def test_an_answer_is_for_the_shape_that_was_asked_and_not_for_a_cube(known):
    model, _ = known
    shape = (("batch", 64), ("m", 64), ("n", 2048), ("k", 64))
    asked = replace(QUESTION, case="batched", given=shape, gpu_mode="hot")
    cube = replace(asked, given=(("batch", 64), ("n", 2048)))
    one, other = (answer_places(model, question).table for question in (asked, cube))
    assert asked.params == dict(shape)
    on_gpu = [table.loc[table["device"] == "cuda", "seconds_p50"].min() for table in (one, other)]
    assert 100.0 < on_gpu[1] / on_gpu[0] < 1100.0  # 1024 times the work, beside a launch


def test_predict_pays_and_cost_give_one_reason(known):
    """The element type was measured nowhere: each of them says so, and what was."""
    model, machine = known
    why = "elementwise was not measured with dtype 'float16'"
    asked = PlaceQuestion("elementwise", "add", (("n", 1000),), "float16")
    refused = answer_places(model, asked).refused
    assert set(refused["device"]) == {"cpu", "cuda"}
    assert refused["reason"].str.startswith(why).all()
    assert refused["reason"].str.contains("it has .*float32").all()
    question = {"workload": "elementwise", "case": "add", "params": {"n": 1000}, "dtype": "float16"}
    instances = [one for one in read_instances() if one.gpu.startswith("H200")]
    timings = instance_timings(model, instances, question)
    assert timings["excluded"].str.startswith(why).all()
    cell = {**question, "machine_id": machine, "device": "cuda", "backend": "torch"}
    with pytest.raises(EstimateError, match=why):
        model.predict(pd.DataFrame([cell]))


def test_a_place_that_is_tight_answers_with_a_warning(known):
    model, _ = known
    boxes = find_places(model, replace(QUESTION, each_box=True))
    needed = memory_of(model, boxes.iloc[-1].to_dict()).needed
    room = 0.5 * (needed.bytes + needed.upper_bytes)
    tight = replace(model, machines=model.machines.assign(gpu_memory_bytes=room))
    table = answer_places(tight, QUESTION).table
    on_gpu = table["device"] == "cuda"
    assert table.loc[on_gpu, "memory_warning"].str.startswith("may not fit its memory").all()
    assert (table.loc[~on_gpu, "memory_warning"] == "").all()
