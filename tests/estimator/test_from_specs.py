import numpy as np
import pandas as pd
import pytest

from collector.errors import EstimateError, SelectionError
from estimator.fitting import fit
from estimator.from_specs import donors, nearest_gpu
from estimator.hardware import match_gpu
from tests.estimator import made_up
from tests.estimator.conftest import FACTS


@pytest.fixture(scope="module")
def known(measurements):
    """A model of a machine whose GPU and CPU the catalogue has."""
    return fit(measurements)


def ask(machine, **changes):
    return pd.DataFrame(
        [
            {
                "machine_id": machine,
                "workload": "matmul",
                "case": "square",
                "params": {"n": 3001},
                "dtype": "float32",
                "math_mode": "ieee",
                "backend": "torch",
                "device": "cuda",
                "threads": 1,
                "mode": "resident",
                **changes,
            }
        ]
    )


def test_measured_machines_are_found_in_the_catalogue(known):
    donor = donors(known)[0]
    assert donor.gpu == match_gpu(FACTS["gpu_model"])
    assert donor.cpu is not None
    assert donor.clock_ghz == 3.0
    assert donor.physical_cores == 2


def test_a_gpu_is_answered_from_its_data_sheet(known):
    row = known.predict(ask("L4")).iloc[0]
    measured = known.predict(ask("made")).iloc[0]
    source, target = match_gpu("H200"), match_gpu("L4")
    ratio = source.peak_flop_per_s("float32") / target.peak_flop_per_s("float32")
    assert row["basis"] == "from_specs"
    assert row["compute_s"] == pytest.approx(measured["compute_s"] * ratio)
    assert np.isnan(row["measured_median_s"])
    assert row["seconds_p5"] < row["seconds_p50"] < row["seconds_p95"]
    assert row["seconds_p95"] / row["seconds_p5"] > measured["seconds_p95"] / measured["seconds_p5"]


def test_data_sheets_and_measured_machines_in_one_question(known):
    cells = pd.concat([ask("L4"), ask("made"), ask("A100-80GB")])
    cells.index = ["x", "y", "z"]
    answer = known.predict(cells)
    assert list(answer.index) == ["x", "y", "z"]
    assert list(answer["basis"]) == ["from_specs", "measured", "from_specs"]
    assert answer.loc["y"].equals(known.predict(ask("made")).iloc[0].rename("y"))


def test_neither_a_machine_nor_a_gpu_is_an_error(known):
    with pytest.raises(SelectionError, match="choose one of made"):
        known.predict(ask("L4000"))


def test_the_start_of_a_label_is_not_an_identifier(known):
    with pytest.raises(SelectionError, match="give its id, made"):
        known.predict(ask("mad"))


def test_a_data_sheet_of_a_gpu_says_nothing_of_a_cpu(known):
    with pytest.raises(EstimateError, match="CPU"):
        known.predict(ask("L4", device="cpu"))


def test_without_a_measured_gpu_there_is_nothing_to_scale(model):
    with pytest.raises(EstimateError, match="none to scale from"):
        nearest_gpu(donors(model), match_gpu("L4"))


def test_a_cpu_is_scaled_from_its_measured_memory_rate(known):
    donor = donors(known)[0]
    assert donor.cpu_share().memory_bytes_per_s == pytest.approx(
        2 * made_up.CPU_BYTES_PER_S, rel=0.3
    )
    assert donor.cpu_share(one_core=True).cores == 1.0
