"""A catalogue with bad rows in it: the good ones are kept, each other one is named; CSV bounds."""

from __future__ import annotations

import contextlib
import csv
import io
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import CatalogueError, OutputError
from estimator.catalogue.csv_files import FORMULA_STARTS, MAX_ROWS, parse_rows, shown
from estimator.catalogue.instances import INSTANCE_COLUMNS, INSTANCES_PATH, read_instances
from estimator.catalogue.local import (
    catalogue_text,
    parse_catalogue,
    read_catalogue,
    write_catalogue,
)
from tests.estimator.catalogue.test_instances import CPU_ROW, GPU_ROW


def table(*rows: dict[str, str], columns: tuple[str, ...] = INSTANCE_COLUMNS) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def test_the_shipped_catalogue_has_no_bad_row_and_is_read_the_same_either_way():
    found = read_catalogue(INSTANCES_PATH)
    assert found.refused == ()
    assert found.instances == read_instances()


def test_all_problems_are_told_at_once_and_the_good_rows_are_kept():
    free = GPU_ROW | {"on_demand_usd_per_h": "0"}
    text = CPU_ROW | {"vcpu": "many", "region": "eu"}
    found = parse_catalogue(table(GPU_ROW, free, text, CPU_ROW, GPU_ROW), "mine.csv")
    assert [i.key for i in found.instances] == [
        "aws/p5.48xlarge/us-east-1",
        "aws/c7g.2xlarge/us-east-1",
    ]
    assert [(row.row, row.name) for row in found.refused] == [
        (3, "aws/p5.48xlarge/us-east-1"),
        (4, "aws/c7g.2xlarge/eu"),
        (6, "aws/p5.48xlarge/us-east-1"),
    ]
    assert [row.reason for row in found.refused] == [
        "on_demand_usd_per_h is 0; a price must be above 0",
        "vcpu is 'many'; it must be a number",
        "repeats aws/p5.48xlarge/us-east-1 of row 2; keep one price",
    ]


def test_reasons_are_counted_by_kind_the_most_frequent_first():
    rows = [CPU_ROW | {"region": f"r{i}", "on_demand_usd_per_h": f"9{i}"} for i in range(3)]
    found = parse_catalogue(table(*rows, CPU_ROW | {"source": ""}), "mine.csv")
    assert [(count, first.row) for _, count, first in found.reasons()] == [(3, 2), (1, 5)]


def test_a_row_with_too_few_or_too_many_fields_is_refused_alone():
    data = table(CPU_ROW) + b"one,two\n" + b",".join([b"x"] * 40) + b"\n\n"
    found = parse_catalogue(data, "mine.csv")
    assert len(found.instances) == 1
    assert [row.row for row in found.refused] == [3, 4]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"provider,provider\n", "the column 'provider' is there twice"),
        (b"provider;instance;region;vcpu\n", "separated by semicolons"),
        (b"a,b\n", "missing columns: provider, instance"),
        (b",".join([b"c%d" % i for i in range(10_000)]) + b"\n", "10,000 columns; a catalogue has"),
        (b"," * 1_000_000 + b"\n", "row 1: longer than 65,536 characters"),
        (b"x" * 1_000_000, "row 1: longer than 65,536 characters"),
        (table(CPU_ROW) + b'aws,"' + b"x" * 1_000_000, "row 3: longer than"),
        (table(CPU_ROW) + b'aws,"' + b"x\n" * 1_000, "quotation mark was not closed within 50"),
        (table(CPU_ROW) + b'"\n",' * 1_000, "quotation mark was not closed within 50"),
        (table(CPU_ROW) + b'aws,"x', "cannot be read as a CSV file"),
        (table(CPU_ROW) + b'"a"b,c\n', "cannot be read as a CSV file"),
        ("provider,ïnstance".encode("utf-16"), "not UTF-8 text"),
        (b"PAR1 and so on", "not a CSV file but Parquet or an archive"),
        (b"PK\x03\x04 and so on", "not a CSV file but Parquet or an archive"),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused_with_one_line(data, reason):
    with pytest.raises(CatalogueError) as refused:
        parse_catalogue(data, "mine.csv")
    assert reason in str(refused.value)
    assert str(refused.value).startswith("mine.csv")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_more_rows_than_any_catalogue_has_are_refused():
    _, rows = parse_rows(b"a\n" + b"1\n" * (MAX_ROWS + 1), "mine.csv")
    with pytest.raises(CatalogueError, match=r"more than 200,000 rows"):
        for _ in rows:
            pass


def test_an_endless_file_is_not_read_to_its_end(tmp_path):
    with pytest.raises(CatalogueError, match="larger than 32 MiB"):
        read_catalogue("/dev/zero")
    with pytest.raises(CatalogueError, match="cannot be read as a CSV file"):
        read_catalogue(tmp_path)


def test_a_byte_order_mark_and_windows_line_ends_are_read():
    data = b"\xef\xbb\xbf" + table(CPU_ROW).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert len(parse_catalogue(data, "mine.csv").instances) == 1


def test_an_instance_that_no_catalogue_may_hold_is_not_written(tmp_path):
    (cpu,) = parse_catalogue(table(CPU_ROW), "mine.csv").instances
    object.__setattr__(cpu, "source", "=1+1")
    with pytest.raises(CatalogueError, match="formula"):
        write_catalogue(tmp_path / "out.csv", [cpu])
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OutputError, match="cannot write"):
        write_catalogue(tmp_path / "missing" / "out.csv", read_instances()[:1])


def test_the_shipped_catalogue_reads_back_equal_when_written(tmp_path):
    write_catalogue(tmp_path / "out.csv", read_instances())
    assert read_instances(tmp_path / "out.csv") == read_instances()


texts = st.one_of(
    st.text(max_size=30),
    st.text(alphabet=string.printable, max_size=30),
    st.sampled_from(
        ["", "nan", "-inf", "1e400", "0", "-1", "=1+1", "<b>x</b>", "**x**", '"', "A100"]
    ),
)


@given(
    column=st.sampled_from(INSTANCE_COLUMNS), text=texts, row=st.sampled_from((GPU_ROW, CPU_ROW))
)
@settings(max_examples=400, deadline=None)
def test_any_text_in_any_field_is_a_valid_row_or_one_refused_with_a_reason(column, text, row):
    data = table(row | {column: text}, CPU_ROW | {"region": "elsewhere"})
    found = parse_catalogue(data, "mine.csv")
    assert len(found.instances) + len(found.refused) == 2
    for refused in found.refused:
        assert refused.row >= 2
        assert refused.reason
        assert (refused.name + refused.reason).isprintable()
    again = parse_catalogue(catalogue_text(found.instances).encode(), "mine.csv")
    assert again.instances == found.instances
    assert again.refused == ()
    for fields in csv.reader(io.StringIO(catalogue_text(found.instances))):
        assert not any(field.startswith(FORMULA_STARTS) for field in fields)


@given(data=st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_catalogue_or_refused(data):
    for content in (data, table(CPU_ROW) + data):
        with contextlib.suppress(CatalogueError):
            assert len(parse_catalogue(content, "mine.csv").instances) <= 1


names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)


@given(
    instance=names,
    region=names,
    vcpu=st.integers(1, 4096),
    memory=st.floats(0.5, 65536.0),
    price=st.floats(0.0021, 0.49),
    spot=st.floats(0.0, 1.0),
)
@settings(max_examples=200, deadline=None)
def test_a_written_catalogue_reads_back_equal(instance, region, vcpu, memory, price, spot):
    row = CPU_ROW | {
        "instance": instance,
        "region": region,
        "vcpu": str(vcpu),
        "memory_gib": repr(memory),
        "on_demand_usd_per_h": repr(price * vcpu),
        "spot_usd_per_h": "" if price * spot < 0.0021 else repr(price * vcpu * spot),
    }
    found = parse_catalogue(table(row), "mine.csv")
    assert (len(found.instances), found.refused) == (1, ())
    again = parse_catalogue(catalogue_text(found.instances).encode(), "mine.csv")
    assert again == found


@given(st.text(max_size=200))
def test_a_foreign_text_is_shown_on_one_line_and_short(text):
    assert shown(text).isprintable()
    assert len(shown(text)) <= 43
