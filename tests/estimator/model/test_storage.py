import json

import numpy as np
import pandas as pd
import pytest

from collector.errors import DatasetError, OutputError
from estimator.model.storage import read_model, write_model


@pytest.fixture
def path(model, tmp_path):
    path = tmp_path / "deep" / "model.json"
    write_model(model, path)
    return path


def test_a_model_read_back_answers_the_same(model, path, cells):
    again = read_model(path)
    pd.testing.assert_frame_equal(again.predict(cells), model.predict(cells))
    pd.testing.assert_frame_equal(again.groups, model.groups)
    assert again.fingerprint == model.fingerprint == "made up"
    assert again.labels == model.labels
    assert again.known_differences is not None
    assert again.donors.deviations == model.donors.deviations
    pd.testing.assert_frame_equal(again.spread.table, model.spread.table, check_dtype=False)


def test_the_file_is_plain_json_without_nan(path):
    def refuse(name):
        raise AssertionError(name)

    document = json.loads(path.read_text(), parse_constant=refuse)
    assert document["format"] == "breakeven.model"


def test_no_temporary_file_is_left(path):
    assert [file.name for file in path.parent.iterdir()] == ["model.json"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[: len(text) // 2], "no JSON"),
        (lambda text: "[]", "not a model file"),
        (lambda text: text.replace('"version":5', '"version":99'), "model version 99"),
        (lambda text: text.replace('"bus":[', '"buses":['), "damaged"),
        (lambda text: text.replace('"launch_s"', '"lunch_s"', 1), "damaged"),
        (lambda text: text.replace('"theta":[[', '"theta":[["x",', 1), "damaged"),
    ],
)
def test_a_damaged_file_is_named(path, change, words):
    path.write_text(change(path.read_text()))
    with pytest.raises(DatasetError, match=words) as caught:
        read_model(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"none\.json"):
        read_model(tmp_path / "none.json")


def test_a_place_that_cannot_be_written_is_named(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        write_model(model, tmp_path / "file" / "model.json")


def test_infinite_shape_features_survive(model, path):
    again = read_model(path)
    for name in ("width", "depth"):
        assert np.allclose(
            again.fit.group.index[name].astype(float), model.fit.group.index[name].astype(float)
        )
