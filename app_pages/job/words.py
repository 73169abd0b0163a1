"""What the job form calls families, cases and parameters: the families' own words, with names.

Names in brackets or after a comma are those of the dataset and of the command line.
"""

from __future__ import annotations

from collector.workloads import FAMILIES


def family_name(family: str) -> str:
    """Name for people with the dataset's own in brackets, one line."""
    known = FAMILIES.get(family)
    return f"{known.label} ({family})" if known else family


def family_help() -> str:
    """Help of the choice of a family; the page's own words only."""
    return (
        "The operation that your job repeats. Type to search. Choose a training step or a "
        "forward pass for a network, else the operation that takes most of the time."
    )


def in_order(families: list[str]) -> list[str]:
    """Families as the form lists them: whole networks first, then as the collector does."""
    known = sorted(FAMILIES, key=lambda name: not FAMILIES[name].whole_job)
    return sorted(families, key=lambda name: known.index(name) if name in known else len(known))


def case_name(family: str, case: str) -> str:
    """Name for people with the dataset's own in brackets."""
    name = FAMILIES[family].case_labels.get(case)
    return f"{name} ({case})" if name else case


def case_help(family: str) -> str:
    """What the cases of a family are."""
    known = FAMILIES[family]
    return known.case_help or f"What exactly is done: {known.summary}."


def parameter_words(family: str, case: str, name: str) -> tuple[str, str]:
    """Label and help of a parameter; the label ends with the command line's name, or is it."""
    known = FAMILIES[family]
    labels = {**known.parameter_labels, **known.labels_of_cases.get(case, {})}
    if name not in labels:
        return name, f"Parameter {name} of {family} {case}."
    label, text = labels[name]
    return label if label.lower() == name else f"{label}, {name}", text
