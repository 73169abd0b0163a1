"""What every family states: words, start values, grid, survey, limits, shape, work, a check.

One test takes every family that the folder has, so a new one is held to all of it at once.
"""

import ast
import itertools
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from collector import workloads
from collector.backends import open_backend
from collector.schema import BACKENDS, DEVICES
from collector.survey import survey_grid
from collector.workloads import FAMILIES, MOST_PRODUCTS, Limit, Question, Shape, Space, Workload
from collector.workloads import make_family as make

SUITES = ("quick", "standard", "full")
#: A form may start with twice the largest size that is measured.
_START_ROOM = 2
FOLDER = Path(workloads.__file__).parent


def grid_points(family):
    """(backend, device, grid point) of everything that any suite measures."""
    for backend, device in family.support:
        for suite in SUITES:
            for point in family.grid(suite, backend, device):
                yield backend, device, point
        for point in survey_grid(family, backend, device):
            yield backend, device, point


def check_words(family):
    assert family.label
    assert set(family.case_labels) == set(family.cases)
    assert all(family.case_labels.values())
    names = {name for case in family.cases for name in family.signatures[case]}
    assert set(family.parameter_labels) == names | set(family.canonical_names)
    assert set(family.labels_of_cases) <= set(family.cases)
    for labels in (family.parameter_labels, *family.labels_of_cases.values()):
        for label, text in labels.values():
            assert label
            assert text.endswith("."), text
    assert family.start_case in ("", *family.cases)


def check_places(family):
    assert {backend for backend, _ in family.support} <= set(BACKENDS)
    assert {device for _, device in family.support} <= set(DEVICES)
    assert set(family.case_backends) <= set(family.cases)
    every = {dtype for pairs in family.support.values() for dtype, _ in pairs}
    assert set(family.case_dtypes) <= set(family.cases)
    assert every.issuperset(set().union(*family.case_dtypes.values()))


def check_start_values(family, measured):
    """What a form starts with can be done and is about what is measured."""
    largest, smallest = {}, {}
    for *_, point in measured:
        for name, value in point.params:
            largest[name] = max(value, largest.get(name, 0))
            smallest[name] = min(value, smallest.get(name, value))
    for case, signature in family.signatures.items():
        start = {name: family.start_value(case, name) for name in signature}
        assert family.size(case, start) >= 1
        for name, value in start.items():
            low, high = smallest[name], _START_ROOM * largest[name]
            assert low <= value <= high, f"{case} starts with {name}={value}"


def check_survey(family):
    surveyed = set()
    for device, spaces in family.survey.items():
        places = [backend for backend, where in family.support if where == device]
        assert places, f"survey of {device}, which no backend has"
        for space in spaces:
            assert isinstance(space, Space)
            assert set(space.ranges) <= set(family.signatures[space.case])
            dtypes = {pair for place in places for pair in family.dtypes(place, device)}
            assert set(space.counts) <= dtypes
            assert all(family.takes(space.case, dtype) for dtype, _ in space.counts)
            surveyed.add(space.case)
    assert surveyed.isdisjoint(family.unsurveyed)
    assert surveyed | family.unsurveyed == set(family.cases), "survey, or name in unsurveyed"


def check_limits(family):
    assert set(family.kin) <= set(family.cases)
    assert set(family.kin_limits) == set(family.kin.values())
    for limits in (family.limits, *family.kin_limits.values()):
        assert limits
        assert all(isinstance(limit, Limit) for limit in limits)
    for cases in (family.rereading, family.unordered, family.serial_cases, family.same_operation):
        assert set(cases) <= set(family.cases)


def check_shape(family, backend, device, point):
    complete = family.complete(point.case, dict(point.params))
    given = {name: np.array([float(value)]) for name, value in complete.items()}
    asked = Question(
        *(family.name, point.case, point.dtype, point.math_mode, backend, device, point.modes[0])
    )
    shape = family.shape(asked, given)
    assert isinstance(shape, Shape)
    assert len(shape.products) <= MOST_PRODUCTS
    for field in fields(Shape):
        if field.name == "products":
            continue
        value = np.broadcast_to(getattr(shape, field.name), 1)
        # no width and no depth: any is as good as another
        assert np.isfinite(value) or (field.name in ("width", "depth") and value > 0), field.name
        assert value >= 0, field.name
    for product in shape.products:
        for name in ("batch", "m", "n", "k", "turned", "winograd", "least_tile", "plain"):
            assert np.isfinite(getattr(product, name)).all(), name
    classes = family.operation_classes(point.case, backend)
    assert 0 <= int(np.broadcast_to(family.operation_class(given), 1)[0]) < len(classes)


def check_work(family, backend, device, point):
    params = dict(point.params)
    size = family.size(point.case, params)
    assert size >= 1
    assert isinstance(size, int)
    for mode in point.modes:
        work = family.work(point.case, params, point.dtype, backend, device, mode)
        counts = [getattr(work, field.name) for field in fields(work)]
        assert all(np.isfinite(counts))
        assert min(counts) >= 0
    memory = family.job_memory(point.case, params, point.dtype, backend, device)
    assert 0 < memory.bytes <= memory.upper_bytes or memory.bytes == 0 <= memory.upper_bytes


def check_reference(family, measured):
    """Of each case's smallest operation on a CPU the library's own result passes its check."""
    able = [name for name in ("numpy", "torch") if (name, "cpu") in family.support]
    if not able:
        return
    backend = open_backend(able[0], "cpu")
    cpu = [point for *place, point in measured if tuple(place) == (able[0], "cpu")]
    for case in dict.fromkeys(point.case for point in cpu):
        own = [point for point in cpu if point.case == case]
        point = min(own, key=lambda point: family.size(point.case, dict(point.params)))
        params = family.complete(case, dict(point.params))
        inputs = family.inputs(case, params, point.dtype, 1)
        reference = family.reference(inputs, case, params, point.dtype)
        call = family.build(backend, case, params, point.dtype)
        operands = family.host_operands(backend, inputs, point.dtype)
        output = family.fetch(backend, call(*map(backend.upload, operands)))
        check = family.check(reference, output, case, params, point.dtype, point.math_mode)
        assert check.passed, f"{case}: error {check.relative_error}, tolerance {check.tolerance}"


def template():
    """The family of docs/add_a_workload.md, so that the page stays true."""
    page = (FOLDER.parents[1] / "docs" / "add_a_workload.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    namespace = {"__name__": "cumulative_sum"}
    exec(compile(code, "docs/add_a_workload.md", "exec"), namespace)
    return make(namespace["CumulativeSum"])


@pytest.mark.parametrize("family", [*FAMILIES.values(), template()], ids=[*FAMILIES, "template"])
def test_a_family_states_all_of_itself(family):
    """Its words, places, survey and limits; for every cell of its grid shape and work."""
    measured = list(grid_points(family))
    check_words(family)
    check_places(family)
    check_survey(family)
    check_limits(family)
    if family.fitted:
        assert {point.case for *_, point in measured} == set(family.cases)
        check_start_values(family, measured)
    seen = set()
    for backend, device, point in measured:
        key = (backend, device, replace(point, modes=()))
        if key not in seen:
            seen.add(key)
            assert family.takes(point.case, point.dtype), point
            check_shape(family, backend, device, point)
            check_work(family, backend, device, point)
    check_reference(family, measured)


def test_families_are_the_files_of_the_folder():
    """One file a family, named like it; whatever begins with an underscore is shared."""
    files = {path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")}
    assert set(FAMILIES) == files
    assert all(type(family).__module__.endswith(f".{name}") for name, family in FAMILIES.items())


def test_families_come_by_rank_and_name():
    """Products first, networks after single operations, the repeated anchor last."""
    ranks = [(family.rank, family.name) for family in FAMILIES.values()]
    assert ranks == sorted(ranks)
    assert (next(iter(FAMILIES)), list(FAMILIES)[-1]) == ("matmul", "anchor")


def test_no_other_module_of_the_folder_names_a_family():
    """What families share says nothing of one of them, so that a new one needs no line there."""
    for path in FOLDER.glob("_*.py"):
        strings = {
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        # the layers of a network have kinds of their own by those names
        named = strings & set(FAMILIES) if not path.stem.startswith("_network") else set()
        assert not named, path.name


def without(family: type[Workload], *names: str) -> type[Workload]:
    """The family's class with some of what it states taken away again."""
    own = {
        name: value
        for name, value in vars(family).items()
        if name not in (*names, "__dict__", "__weakref__", "__abstractmethods__", "_abc_impl")
    }
    return type("Partial", (Workload,), own)


@pytest.mark.parametrize("name", ["shape", "label", "survey", "limits", "operation_work", "check"])
def test_what_a_family_leaves_out_is_named(name):
    """A family without a shape is refused rather than given parts that mean nothing."""
    assert isinstance(make(type(FAMILIES["gather"])), Workload)
    with pytest.raises(TypeError, match=f"gather: the family Partial does not state {name} "):
        make(without(type(FAMILIES["gather"]), name))


def test_everything_missing_is_named_at_once():
    partial = without(type(FAMILIES["sort"]), "label", "shape", "inputs")
    with pytest.raises(TypeError, match="does not state label, inputs, shape"):
        make(partial)


def test_every_kind_of_limit_has_a_family():
    """A kind that nobody has is no kind."""
    found = itertools.chain.from_iterable(
        (family.limits, *family.kin_limits.values()) for family in FAMILIES.values()
    )
    assert set().union(*found) == set(Limit)
