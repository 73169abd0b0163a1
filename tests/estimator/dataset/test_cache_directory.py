"""Files that may be deleted lie where no other user of the machine reads or prepares them."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from estimator.dataset import cache_directory
from estimator.dataset.cache_directory import private_temporary_directory, user_cache_directory
from estimator.dataset.measurements import _limits

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners and modes of Unix")


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Where temporary files go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cache_directory._passing_directory.cache_clear()
    yield tmp_path
    cache_directory._passing_directory.cache_clear()


def mode(folder):
    return stat.S_IMODE(folder.lstat().st_mode)


def usual(temporary):
    return temporary / f"breakeven-{os.getuid()}"


def no_home():
    raise RuntimeError("Could not determine home directory.")


def test_without_a_home_the_cache_is_this_user_s_alone(temporary, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    assert user_cache_directory().parent == usual(temporary)
    assert mode(usual(temporary)) == 0o700
    assert user_cache_directory().parent == usual(temporary)  # that of last time


def open_to_all(folder):
    folder.mkdir()
    folder.chmod(0o777)


def readable(folder):
    folder.mkdir()
    folder.chmod(0o750)


def link(folder):
    (folder.parent / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "elsewhere")


def file(folder):
    folder.write_text("")


@pytest.mark.parametrize("prepare", [open_to_all, readable, link, file])
def test_a_directory_that_others_may_use_is_not_used(temporary, prepare):
    prepare(usual(temporary))
    folder = private_temporary_directory()
    assert folder.parent == temporary
    assert folder != usual(temporary)
    assert mode(folder) == 0o700
    assert private_temporary_directory() == folder


def test_a_directory_of_another_user_is_not_used(temporary, monkeypatch):
    usual(temporary).mkdir(mode=0o700)
    here = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: here + 1)
    (temporary / f"breakeven-{here + 1}").mkdir(mode=0o700)
    assert private_temporary_directory().name != f"breakeven-{here + 1}"


def test_where_nothing_can_be_made_nothing_is_written(temporary, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "missing"))
    folder = private_temporary_directory()
    with pytest.raises(OSError, match="directory"):
        folder.mkdir(parents=True, exist_ok=True)


def test_files_that_a_query_writes_have_a_name_that_nobody_can_prepare(temporary):
    one, other = (Path(str(_limits("64MB")["temp_directory"])) for _ in range(2))
    assert one != other
    assert one.parent == other.parent == usual(temporary)
    assert not one.exists()
