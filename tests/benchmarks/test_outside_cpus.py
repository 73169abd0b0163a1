"""CPU instances by name against published scores."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import derive_instance_cpus, outside_cpus


def test_agreement_is_taken_after_aligning_the_median():
    score = pd.Series([1.0, 2.0, 4.0, 8.0, np.nan])
    same = outside_cpus.agreement(7.0 * score, score)
    assert (same.count, same.spearman) == (4, pytest.approx(1.0))
    assert (same.median, same.p90) == (pytest.approx(1.0), pytest.approx(1.0))
    off = outside_cpus.agreement(score * [1.0, 1.0, 1.0, 3.0, 1.0], score)
    assert off.median == pytest.approx(1.0)
    assert off.p90 > 1.5


def test_without_the_tables_one_line_says_so(tmp_path, monkeypatch, capsys):
    for program in (outside_cpus, derive_instance_cpus):
        monkeypatch.setattr("sys.argv", ["x", "--published", str(tmp_path)])
        program.main()
        assert capsys.readouterr().out.startswith("skipped: no ")


def rows(*types):
    columns = ("vendor", "instance", "cpu_model", "threads_per_core")
    return derive_instance_cpus.rows_of(pd.DataFrame(types, columns=columns))


def test_a_family_whose_sizes_show_one_cpu_gets_its_row():
    (row,) = rows(
        ("aws", "c6i.large", "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", "2"),
        ("aws", "c6i.xlarge", "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", "2"),
    )
    assert (row["family"], row["hardware"]) == ("c6i", "AWS m6i (Xeon 8375C)")
    assert row["vcpus_per_core"] == "2"


def test_a_family_of_several_cpus_or_of_shared_cores_gets_none():
    xeons = ("Intel(R) Xeon(R) Platinum 8175M", "Intel(R) Xeon(R) Platinum 8259CL")
    (row,) = rows(*(("aws", "m5.large", xeon, "2") for xeon in xeons))
    assert row["hardware"] == row["vcpus_per_core"] == ""
    assert "8175M" in row["cpus_seen"]
    assert not rows(("aws", "t3.large", xeons[1], "2"))
    # Azure names several generations for its v5 families, whatever one machine showed
    assert not rows(("azure", "Standard_E8as_v5", "AMD EPYC 7763 64-Core Processor", "2"))
