"""Instances and timings made up for the tests of tables of costs: no model is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from estimator.catalogue.instances import Instance


def instance(
    name: str,
    price: float,
    spot: float | None = None,
    gpus: int = 1,
    provider: str = "aws",
    region: str = "here",
) -> Instance:
    """One that is sold at ``price`` USD per hour."""
    return Instance(
        provider=provider,
        instance=name,
        region=region,
        vcpu=8,
        memory_gib=32.0,
        gpu="T4" if gpus else "",
        gpu_count=gpus,
        gpu_memory_gib=16.0 if gpus else None,
        on_demand_usd_per_h=price,
        spot_usd_per_h=spot,
        as_of="2026-07-20",
        source="a price list",
        hardware="T4" if gpus else "",
    )


def timings(
    instances: Sequence[Instance], seconds: Sequence[float | str], **more: Any
) -> pd.DataFrame:
    """A row each, as ``instance_timings`` gives them; text instead of seconds is the reason."""
    rows = []
    for one, value in zip(instances, seconds, strict=True):
        known = isinstance(value, float)
        rows.append(
            {
                "key": one.key,
                "provider": one.provider,
                "instance": one.instance,
                "region": one.region,
                "gpu": one.gpu,
                "gpu_count": one.gpu_count,
                "vcpu": one.vcpu,
                "as_of": one.as_of,
                "device": one.device,
                "backend": "torch" if known else "",
                "machine": "made up" if known else "",
                "note": "",
                "excluded": "" if known else value,
                "seconds_p5": value * 0.8 if known else float("nan"),
                "seconds_p50": value if known else float("nan"),
                "seconds_p95": value * 1.25 if known else float("nan"),
                "basis": "measured" if known else "",
                **more,
            }
        )
    return pd.DataFrame(rows)
