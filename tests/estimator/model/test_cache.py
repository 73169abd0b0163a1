import pytest

from estimator.dataset.measurements import load
from estimator.model.fit import fit_cached


@pytest.fixture(scope="module")
def opened(small_dataset):
    return load(small_dataset)


def test_a_dataset_is_fitted_once(opened, tmp_path, monkeypatch):
    first = fit_cached(opened, tmp_path)
    monkeypatch.setattr("estimator.model.fit.fit_table", lambda *_: pytest.fail("fitted again"))
    again = fit_cached(opened, tmp_path)
    assert again.fingerprint == first.fingerprint == opened.fingerprint
    asked = first.measured.iloc[:5]
    cells = asked.drop(columns="params_key").assign(params=[dict(k) for k in asked["params_key"]])
    one, other = (model.predict(cells)["seconds_p50"].to_numpy() for model in (again, first))
    assert one == pytest.approx(other, rel=1e-6)


def test_a_damaged_file_is_fitted_anew(opened, tmp_path):
    fit_cached(opened, tmp_path)
    (file,) = tmp_path.glob("*.json")
    file.write_text("{")
    assert fit_cached(opened, tmp_path).fingerprint == opened.fingerprint
    assert len(file.read_text()) > 1000


def test_a_place_that_cannot_be_written_costs_no_fit(opened, tmp_path):
    (tmp_path / "file").write_text("")
    assert fit_cached(opened, tmp_path / "file" / "deep").fingerprint == opened.fingerprint


def test_old_models_are_deleted(opened, tmp_path):
    for i in range(12):
        (tmp_path / f"model-old-{i}.json").write_text("{}")
    fit_cached(opened, tmp_path)
    assert len(list(tmp_path.glob("*.json"))) <= 8
