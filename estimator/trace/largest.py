"""The largest batch whose step fits a GPU: found by tracing, and traced at it and at one above."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from collector.errors import JobError
from collector.jobs import Job

#: in a program's arguments: where the batch goes
BATCH = "{batch}"
_MOST = 2**20
_SECOND = 4
_STEP = 16  # times the last: a line through small batches says little of large ones


@dataclass(frozen=True)
class Largest:
    """The batch that fits, its job, and the bytes that it and one sample more need."""

    batch: int
    job: Job
    needed_bytes: float
    next_needed_bytes: float


def largest_batch(
    traced: Callable[[int], Job], needed: Callable[[Job], float], room_bytes: float
) -> Largest:
    """The largest batch that fits in ``room_bytes``; each is traced, none is extrapolated.

    ``traced`` gives the job of a batch and ``needed`` the bytes of a job. Peaks rise with the batch
    in nearly a line, so that the line through the last two says which to trace next.
    Raises JobError where not even a batch of one fits.
    """
    jobs: dict[int, Job] = {}

    def bytes_of(batch: int) -> float:
        if batch not in jobs:
            try:
                jobs[batch] = traced(batch)
            except JobError as error:
                most = max(jobs, default=0)
                tried = f"a batch of {batch} cannot be traced ({error})"
                raise JobError(f"{tried}; {most} can, and fits" if most else tried) from None
        return needed(jobs[batch])

    low, high = 1, _MOST
    if bytes_of(low) > room_bytes:
        raise JobError(
            f"a batch of 1 needs {bytes_of(low) / 2**30:.2f} GiB of {room_bytes / 2**30:.2f}"
        )
    points = [(1, bytes_of(1)), (_SECOND, bytes_of(_SECOND))]
    if points[1][1] > room_bytes:
        high = _SECOND
    else:
        low = _SECOND
    while high - low > 1:
        (x0, y0), (x1, y1) = points[-2:]
        slope = (y1 - y0) / (x1 - x0)
        if slope <= 0.0:
            raise JobError(
                f"its memory does not grow with the batch: is {BATCH} where the program reads its "
                "batch size?"
            )
        guess = int(x1 + (room_bytes - y1) / slope)
        guess = min(max(guess, low + 1), high - 1)
        near = guess <= _STEP * low
        guess = min(guess, _STEP * low)
        if guess in jobs:  # the line says no more
            guess = (low + high) // 2
        points.append((guess, bytes_of(guess)))
        if points[-1][1] > room_bytes:
            high = guess
        else:
            low = guess
            if near and low + 1 < high and bytes_of(low + 1) > room_bytes:
                high = low + 1
    return Largest(low, jobs[low], bytes_of(low), bytes_of(low + 1))
