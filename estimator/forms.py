"""Which questions make sense: a library has no form of some cases, and some have one type only."""

from __future__ import annotations

from typing import Any

import pandas as pd

from collector.errors import EstimateError
from collector.workloads import FAMILIES, Workload
from estimator.dataset import UNFITTED_WORKLOADS

Forms = frozenset[tuple[Any, ...]]

_ASKED = ["workload", "case", "dtype", "backend", "device"]


def known_forms(measured: pd.DataFrame) -> Forms:
    """(workload, case, dtype, backend, device) of each of a table's cells."""
    return frozenset(measured[_ASKED].drop_duplicates().itertuples(index=False, name=None))


def check_forms(cells: pd.DataFrame, known: Forms) -> None:
    """Refuse a case that its library has no form of, unless somebody measured it all the same.

    ``cells`` have the columns workload, case, dtype, backend and device; ``known`` are the
    ``known_forms`` of what was measured. Raises EstimateError, which names the libraries that
    have one.
    """
    for asked in cells[_ASKED].drop_duplicates().itertuples(index=False, name=None):
        if tuple(asked) not in known:
            _check_form(*asked)


def _check_form(workload: str, case: Any, dtype: str, backend: str, device: str) -> None:
    if workload in UNFITTED_WORKLOADS:
        raise EstimateError(f"{workload} shows a machine's drift along a run; it has no estimate")
    family = FAMILIES.get(workload)
    if family is None or case not in family.signatures:
        return  # whoever describes the cell names what is wrong with it
    if backend not in family.case_backends.get(case, (backend,)):
        able = [name for name, where in family.support if where == device]
        having = [name for name in able if family.supports(name, device, case)]
        others = f"choose {' or '.join(having)}" if having else f"no library has one on {device}"
        raise EstimateError(f"{backend} has no form of {workload} {case} on {device}; {others}")
    if not takes(family, case, dtype):
        types = "int8 only" if whole_numbers_only(case) else "no int8; int8_square does"
        raise EstimateError(f"{workload} {case} takes {types}: choose another --dtype or case")


def takes(family: Workload, case: str, dtype: str) -> bool:
    """Whether the case is there for the element type: whole numbers are one case's own."""
    if not any(map(whole_numbers_only, family.cases)):
        return True
    return whole_numbers_only(case) == (dtype == "int8")


def whole_numbers_only(case: str) -> bool:
    return case.startswith("int8")
