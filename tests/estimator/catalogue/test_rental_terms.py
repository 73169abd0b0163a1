"""The providers' terms: what ships is sourced and dated, and a mistake is named by row."""

from __future__ import annotations

import pytest

from collector.errors import CatalogueError
from estimator.catalogue.instances import read_instances
from estimator.catalogue.rental_terms import (
    OTHERS,
    TERMS,
    RentalTerms,
    all_rental_terms,
    filled_terms,
    read_rental_terms,
)

HEADER = "provider,term,value,as_of,source\n"
GOOD = "aws,start_up_s,30,2026-01-01,a page\n"


def test_what_ships_is_of_providers_in_the_catalogue_with_source_and_date():
    providers = {instance.provider for instance in read_instances()}
    assert set(read_rental_terms()) <= providers
    for terms in (*read_rental_terms().values(), *all_rental_terms().values()):
        for name in TERMS:
            known = getattr(terms, name) is not None
            assert bool(terms.source(name)) == bool(terms.as_of(name)) == known


def test_aws_bills_by_the_second_after_a_minute():
    terms = all_rental_terms()["aws"]
    assert (terms.billing_increment_s, terms.minimum_billed_s) == (1.0, 60.0)
    assert terms.as_of("minimum_billed_s") == "2017-10-02"
    assert all_rental_terms()[OTHERS].provider == OTHERS


def test_nobody_looks_cheaper_for_what_is_not_known_of_it():
    known = {
        "a": RentalTerms("a", start_up_s=20.0, egress_usd_per_gib=0.1),
        "b": RentalTerms("b", start_up_s=30.0, billing_increment_s=60.0),
        "c": RentalTerms("c"),
    }
    filled = filled_terms(known)
    assert [filled[name].start_up_s for name in ("a", "b", "c", OTHERS)] == [20.0, 30.0, 30.0, 30.0]
    assert (filled["a"].billing_increment_s, filled["a"].minimum_billed_s) == (60.0, None)
    assert filled["c"].egress_usd_per_gib == filled["b"].egress_usd_per_gib == 0.1
    assert filled["c"].interruptions_per_h is None
    assert filled["c"].borrowed("start_up_s")
    assert not filled["a"].borrowed("start_up_s")


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("aws,start_up_s,soon,2026-01-01,a page\n", r"row 2: value is 'soon'"),
        ("aws,start_up_s,-1,2026-01-01,a page\n", "row 2: value is"),
        ("aws,start_up_s,nan,2026-01-01,a page\n", "row 2: value is"),
        ("aws,egress_usd_per_gib,90,2026-01-01,a page\n", "row 2: value is 90"),
        ("aws,start_up_s,,2026-01-01,a page\n", "row 2: value is empty"),
        ("aws,start_up_s,30,2026-01-01,\n", "row 2: source is empty"),
        (",start_up_s,30,2026-01-01,a page\n", "row 2: provider is empty"),
        ("aws,boot,30,2026-01-01,a page\n", "row 2: unknown term 'boot'"),
        ("aws,start_up_s,30,last week,a page\n", "row 2: as_of is 'last week'"),
        ("aws,start_up_s,30,2026-13-01,a page\n", "row 2: as_of is '2026-13-01'"),
        (GOOD + GOOD, "row 3: repeats start_up_s of aws"),
    ],
)
def test_a_mistake_is_named_by_file_row_and_reason(tmp_path, rows, reason):
    path = tmp_path / "terms.csv"
    path.write_text(HEADER + rows, encoding="utf-8")
    with pytest.raises(CatalogueError, match=rf"terms\.csv {reason}"):
        read_rental_terms(path)


def test_a_good_file_is_read_and_a_column_may_not_be_missing(tmp_path):
    path = tmp_path / "terms.csv"
    path.write_text(HEADER + GOOD + "gcp,start_up_s,20,undated,a page\n", encoding="utf-8")
    found = read_rental_terms(path)
    assert (found["aws"].start_up_s, found["gcp"].as_of("start_up_s")) == (30.0, "undated")
    path.write_text("provider,term\naws,start_up_s\n", encoding="utf-8")
    with pytest.raises(CatalogueError, match="missing columns: value, as_of, source"):
        read_rental_terms(path)
