"""Every error that Breakeven raises on purpose.

    BreakevenError
    ├── UserError           the caller's mistake: one clear line, exit code 2
    │   ├── SelectionError  an unknown workload, case, parameter, backend, device or machine
    │   ├── DatasetError    a missing, damaged or newer dataset file
    │   ├── CatalogueError  a row of data/hardware.csv or data/instances.csv that cannot be right
    │   ├── JobError        a job file that is none, or a program that cannot be traced
    │   ├── OutputError     a place that cannot be written: permission, disk full, wrong path
    │   └── EstimateError   a question that the measurements cannot answer
    │       ├── NoSuchUnitError     the hardware has no unit for the operation
    │       └── UnknownFigureError  the catalogue does not say the figure that it takes
    ├── WorkerError         a worker process died or broke its protocol: costs one cell
    └── WrongResultError    an operation disagrees with its reference: the cell gets no time

A message names what is wrong, where, and what to do about it, on one line.
"""


class BreakevenError(Exception):
    """Base of all errors that Breakeven raises on purpose."""

    exit_code = 1


class UserError(BreakevenError):
    """The caller asked for something that cannot be done; the message says what to change."""

    exit_code = 2


class SelectionError(UserError):
    """An unknown workload, case, parameter, backend, device or machine."""


class DatasetError(UserError):
    """A dataset file that is missing, damaged, or written by a newer version."""


class CatalogueError(UserError):
    """A row of a catalogue (hardware or instances) that cannot be right."""


class JobError(UserError):
    """A job file that is none or was damaged, or a program that cannot be traced."""


class OutputError(UserError):
    """A place that cannot be written."""


class EstimateError(UserError):
    """A question that the measurements at hand cannot answer."""


class NoSuchUnitError(EstimateError):
    """The hardware has no unit that does the operation, and no library does it in another way."""


class UnknownFigureError(EstimateError):
    """The answer takes a figure of the hardware that the catalogue leaves empty."""


class WorkerError(BreakevenError):
    """A worker process ended, or was killed at its deadline; ``status`` is the row's status."""

    def __init__(self, status: str, message: str) -> None:
        self.status = status
        super().__init__(message)


class WrongResultError(BreakevenError):
    """An operation's output disagrees with the float64 reference."""

    def __init__(self, relative_error: float | None, tolerance: float, when: str) -> None:
        self.relative_error = relative_error
        super().__init__(
            f"wrong result {when} timing: error {relative_error:.3g} exceeds {tolerance:.3g}"
        )
