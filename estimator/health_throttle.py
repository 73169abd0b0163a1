"""A throttled GPU is one cause: what follows from it belongs to that finding."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from estimator.findings import Finding

#: From this share of throttled cells on, medians over a machine's cells show the throttling.
_LEAST_SHARE = 0.25
#: A copy slows down as the rest does, within this factor; more is a cause of its own.
_LIKE_THE_REST = 1.5
_NOISE_MARGIN = 0.1
_SLOWER = ("slower gpu kernel", "slower gpu host")
_SAME = frozenset({*_SLOWER, "drift between cuda", "drift along cuda", "clock"})


def absorb_consequences(findings: Iterable[Finding]) -> list[Finding]:
    """Of a machine whose GPU is throttled in many cells: one finding with what follows from it.

    That is: slower kernels, drift and clock of the GPU; noise in no larger a share of cells than
    are throttled; a link or memory that is slower by no more than the kernels. The size of the
    finding is the largest of these slowdowns, or the share of cells.
    """
    found = list(findings)
    throttled = {
        one.machine_id: one
        for one in found
        if one.check == "throttled" and one.severity == "unwell" and one.size >= _LEAST_SHARE
    }
    slowed = dict.fromkeys(throttled, 0.0)
    for one in found:
        if one.machine_id in throttled and one.check in _SLOWER:
            slowed[one.machine_id] = max(slowed[one.machine_id], one.size)
    kept: list[Finding] = []
    follows: dict[str, list[Finding]] = {machine: [] for machine in throttled}
    for one in found:
        cause = throttled.get(one.machine_id)
        if cause is None or one is cause:
            if cause is None:
                kept.append(one)
        elif _follows(one, cause.size, slowed[one.machine_id]):
            follows[one.machine_id].append(one)
        else:
            kept.append(one)
    return kept + [_with(cause, follows[machine]) for machine, cause in throttled.items()]


def _follows(one: Finding, share: float, slowdown: float) -> bool:
    if one.check == "noise cuda":
        return one.size <= share + _NOISE_MARGIN
    if one.check.startswith(("link ", "memory ")):
        return one.severity != "note" and one.size <= _LIKE_THE_REST * slowdown
    return one.check in _SAME or (
        one.check.startswith(_SLOWER) and one.size <= _LIKE_THE_REST * slowdown
    )


def _with(cause: Finding, follows: list[Finding]) -> Finding:
    if not follows:
        return cause
    order = sorted(follows, key=lambda one: (one.check not in _SLOWER, one.check, -one.size))
    told = "; ".join(f"{one.what}, {one.amount}" for one in order)
    return replace(
        cause,
        evidence=f"{cause.evidence}; it explains: {told}",
        size=max([cause.size, *(one.size for one in follows)]),
        peers=max([cause.peers, *(one.peers for one in follows)]),
    )
