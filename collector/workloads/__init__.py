"""The families of workloads: one file each, named like the family, and what they share.

Every module without an underscore is a family and is found by listing this folder; its file says
all that the collector, the estimator and the pages know of it (docs/add_a_workload.md). Modules
with an underscore are what families share; this one is the door to them from outside.
"""

from __future__ import annotations

from importlib import import_module
from inspect import isabstract
from pkgutil import iter_modules

from collector.errors import SelectionError
from collector.jobs import Operation
from collector.workloads._base import SUITES, Check, GridPoint, Params, Workload
from collector.workloads._job_memory import RUNTIME_BYTES, JobMemory
from collector.workloads._limits import Limit
from collector.workloads._operations import (
    ATTENTION_BACKWARD_KINDS,
    ATTENTION_KINDS,
    CONVOLUTION_KINDS,
    PRODUCT_KINDS,
    Attention,
    Convolution,
    Measured,
    Products,
    attention_sizes,
    convolution_sizes,
    place,
    plain_kind,
    product_sizes,
)
from collector.workloads._parameters import LARGEST_PARAMETER, whole
from collector.workloads._shape import (
    MOST_PRODUCTS,
    PRODUCT_COLUMNS,
    Product,
    Question,
    Shape,
    Values,
)
from collector.workloads._survey import Choice, Range, Space
from collector.workloads._types import ITEM_BYTES
from collector.workloads._work import Floats, Work

__all__ = [
    "ATTENTION_BACKWARD_KINDS",
    "ATTENTION_KINDS",
    "CONVOLUTION_KINDS",
    "FAMILIES",
    "ITEM_BYTES",
    "LARGEST_PARAMETER",
    "MOST_PRODUCTS",
    "PRODUCT_COLUMNS",
    "PRODUCT_KINDS",
    "RUNTIME_BYTES",
    "SUITES",
    "Attention",
    "Check",
    "Choice",
    "Convolution",
    "Floats",
    "GridPoint",
    "JobMemory",
    "Limit",
    "Measured",
    "Params",
    "Product",
    "Products",
    "Question",
    "Range",
    "Shape",
    "Space",
    "Values",
    "Work",
    "Workload",
    "accepted",
    "attention_sizes",
    "convolution_sizes",
    "get_workload",
    "limited_by",
    "make_family",
    "place",
    "plain_kind",
    "product_sizes",
    "recognised",
    "whole",
]

#: What a family has to state besides the methods that ``Workload`` declares abstract.
_STATED = (
    *("name", "summary", "size_meaning", "signatures", "support", "label", "case_labels"),
    *("parameter_labels", "start_values", "survey", "limits"),
)


def make_family(family: type[Workload]) -> Workload:
    """The family, if it states all that it has to. Raises TypeError, which names what is missing.

    Nothing has a silent default that an answer depends on: a family without a shape would get an
    estimate of wrong parts.
    """
    missing = [name for name in _STATED if not hasattr(family, name)]
    missing += sorted(family.__abstractmethods__) if isabstract(family) else []
    if missing:
        raise TypeError(
            f"{family.__module__}: the family {family.__name__} does not state "
            f"{', '.join(missing)} (see docs/add_a_workload.md)"
        )
    return family()


def _found() -> dict[str, Workload]:
    """Every family of this folder by name, in the order of ``rank`` and name."""
    families = []
    for module in iter_modules(__path__):
        if module.name.startswith("_"):
            continue
        loaded = import_module(f"{__name__}.{module.name}")
        own = [
            value
            for value in vars(loaded).values()
            if isinstance(value, type)
            and issubclass(value, Workload)
            and value.__module__ == loaded.__name__
        ]
        if [getattr(value, "name", "") for value in own] != [module.name]:
            raise TypeError(
                f"{loaded.__name__}: a family's file has one class of Workload, whose name is "
                f"{module.name!r}; begin the file's name with an underscore if it is no family"
            )
        families.append(make_family(own[0]))
    families.sort(key=lambda family: (family.rank, family.name))
    return {family.name: family for family in families}


FAMILIES: dict[str, Workload] = _found()


def get_workload(name: str) -> Workload:
    """The family of that name. Raises SelectionError, which lists the names."""
    try:
        return FAMILIES[name]
    except KeyError:
        raise SelectionError(
            f"unknown workload {name!r}; choose one of {', '.join(FAMILIES)}"
        ) from None


def limited_by(limit: Limit) -> tuple[str, ...]:
    """The families, and names of their cases apart (``Workload.kin``), that have such a limit."""
    found = []
    for family in FAMILIES.values():
        by_name = {family.name: family.limits, **family.kin_limits}
        found += [name for name, limits in by_name.items() if limit in limits]
    return tuple(found)


_BY_KIND = {
    kind: tuple(family for family in FAMILIES.values() if kind in family.recognised_kinds)
    for kind in {kind for family in FAMILIES.values() for kind in family.recognised_kinds}
}


def recognised(operation: Operation) -> Measured | None:
    """The cell that is this operation of a job, None where no family measures it."""
    for family in _BY_KIND.get(plain_kind(operation.kind), ()):
        found = family.recognise(operation)
        if found is not None and accepted(found, *place(operation)):
            return found
    return None


def accepted(cell: Measured, backend: str, device: str) -> bool:
    """Whether the library has the cell's case in its element type, and its sizes go together."""
    family = get_workload(cell.workload)
    if (cell.dtype, cell.math_mode) not in family.dtypes(backend, device):
        return False
    if not (family.supports(backend, device, cell.case) and family.takes(cell.case, cell.dtype)):
        return False
    try:
        family.complete(cell.case, dict(cell.params))
    except SelectionError:
        return False
    return True
