"""What a visitor uploads is looked at, never stored, and refused with one line."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from app_pages.frame import uploads
from app_pages.frame.uploads import read_uploaded_catalogue, read_uploaded_run
from collector.errors import CatalogueError, DatasetError
from estimator.catalogue.instances import INSTANCES_PATH, read_instances
from tests.collector import hostile_files as hostile
from tests.estimator.catalogue.test_importers import C7I, SKYPILOT, table

ROOT = Path(__file__).resolve().parents[3]


def test_an_uploaded_run_has_its_machine_its_rows_and_its_parameters():
    found = read_uploaded_run(hostile.run(), "mine.parquet")
    assert (found.name, found.machine["machine_id"], len(found.table)) == ("mine.parquet", "m1", 3)
    assert list(found.frame()["params"]) == [{"n": 100}] * 3


def test_nothing_is_written_while_an_upload_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    read_uploaded_run(hostile.run(), "mine.parquet")
    with pytest.raises(DatasetError):
        read_uploaded_run(hostile.dictionary_bomb(50, 2_000_000), "mine.parquet")
    read_uploaded_catalogue(INSTANCES_PATH.read_bytes(), "mine.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x.parquet", "a\nb\x1b[31m.parquet", "n" * 5000])
def test_a_refusal_is_one_short_line_that_begins_with_the_name(name):
    with pytest.raises(DatasetError) as refused:
        read_uploaded_run(b"no", name)
    assert str(refused.value).startswith(name[0])
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 300
    with pytest.raises(CatalogueError) as refused_too:
        read_uploaded_catalogue(b"a,b\n", name)
    assert str(refused_too.value).isprintable()


def test_an_uploaded_catalogue_keeps_its_good_rows():
    data = INSTANCES_PATH.read_bytes().replace(b",0.526,0.2155,", b",0,0.2155,")
    found = read_uploaded_catalogue(data, "mine.csv")
    assert len(found.instances) == len(read_instances()) - 1
    assert [row.row for row in found.refused] == [2]


def test_a_list_of_another_tool_is_imported_where_its_provider_is_said():
    data = table(SKYPILOT, C7I)
    (instance,) = read_uploaded_catalogue(data, "vms.csv", "aws").instances
    assert (instance.as_of, instance.source.split(";")[0]) == ("undated", "uploaded: vms.csv")
    with pytest.raises(CatalogueError, match="it has no provider"):
        read_uploaded_catalogue(data, "vms.csv")


def test_a_catalogue_that_is_too_large_is_refused(monkeypatch):
    with pytest.raises(CatalogueError, match="larger than 8 MiB"):
        read_uploaded_catalogue(bytes(8 * 2**20 + 1), "mine.csv")
    monkeypatch.setattr(uploads, "MAX_INSTANCES", 100)
    with pytest.raises(CatalogueError, match="120 instances; the page takes 100"):
        read_uploaded_catalogue(INSTANCES_PATH.read_bytes(), "mine.csv")


def test_the_server_takes_uploads_up_to_the_largest_that_is_read():
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    limit = max(uploads.MAX_RUN_BYTES, uploads.MAX_CATALOGUE_BYTES)
    assert config["server"]["maxUploadSize"] * 2**20 == limit
