"""Where a job is asked: a machine's GPU or CPU, with its host and its memory."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Literal

from estimator.jobs import host

Device = Literal["cuda", "cpu"]


@dataclass(frozen=True)
class Place:
    """A machine's GPU or CPU, and its host: the numbers of a ``host.Speed``."""

    machine_id: str
    label: str
    device: Device
    backend: str = "torch"
    host_scale: float = 1.0
    host_sigma: float = host.UNKNOWN_SIGMA
    host_point_s: float = host.REFERENCE_POINT_S
    room_bytes: float = nan
    #: why it cannot be asked
    reason: str = ""

    @property
    def asked(self) -> tuple[str, str, str]:
        """What its cells' times depend on: not the host."""
        return self.machine_id, self.device, self.backend

    @property
    def speed(self) -> host.Speed:
        return host.Speed(self.host_scale, self.host_sigma, self.host_point_s)
