"""The schema explains itself: each field has a unit and a description, units live in names."""

from collector.cells import Cell
from collector.schema import RESULT_FIELDS, SCHEMA, VERSION_METADATA_KEY
from collector.workloads import Work

UNIT_OF_SUFFIX = {
    "_s": "s",
    "_w": "W",
    "_j": "J",
    "_bytes": "B",
    "_mhz": "MHz",
    "_c": "degC",
    "_count": None,
}


def test_a_field_has_a_unit_and_a_description():
    for field in SCHEMA:
        assert set(field.metadata) == {b"unit", b"description"}, field.name
        assert len(field.metadata[b"description"]) > 5, field.name
        is_number = str(field.type) in ("int64", "double", "list<item: double>")
        has_unit = is_number or field.name == "started_at"
        assert bool(field.metadata[b"unit"]) == has_unit, field.name


def test_the_unit_in_a_name_is_the_unit_of_the_field():
    for field in SCHEMA:
        for suffix, unit in UNIT_OF_SUFFIX.items():
            if unit and field.name.endswith(suffix):
                assert field.metadata[b"unit"].decode() == unit, field.name
        if field.metadata[b"unit"] == b"s":
            assert field.name.endswith("_s"), field.name


def test_no_column_occurs_twice():
    assert len(set(SCHEMA.names)) == len(SCHEMA.names)


def test_a_cell_and_its_work_are_columns():
    assert set(Cell.__dataclass_fields__) <= set(SCHEMA.names)
    assert set(Work.__dataclass_fields__) <= set(SCHEMA.names)
    assert {field.name for field in RESULT_FIELDS} <= set(SCHEMA.names)


def test_the_schema_carries_its_version():
    assert SCHEMA.metadata == {VERSION_METADATA_KEY: b"1"}
