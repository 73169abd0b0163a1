"""Instances that rent out a part of a GPU, by their names: none is as fast as a whole one. Pure.

A price list may call a third of an A10 "A10, 1". Sources: Microsoft azure-compute-docs (series
NVadsA10 v5, NVads V710 v5, NVv4), AWS EC2 G6f and Gr6f pages (2025), Google Compute Engine G4 page
(fractional shapes, 2025), NVIDIA MIG user guide (names of slices).
"""

from __future__ import annotations

import re
from fractions import Fraction

#: Family and size -> what part of one GPU a size is.
_AZURE = (
    # vCPUs of the shape that has the whole GPU: 36, 24 and 32
    (re.compile(r"(?:standard_)?nv(\d+)(?:ads|adms)_a10_v5"), 36),
    (re.compile(r"(?:standard_)?nv(\d+)ads_v710_v5"), 24),
    (re.compile(r"(?:standard_)?nv(\d+)as_v4"), 32),
)
_AWS = {
    "g6f.large": Fraction(1, 8),
    "g6f.xlarge": Fraction(1, 8),
    "g6f.2xlarge": Fraction(1, 4),
    "g6f.4xlarge": Fraction(1, 2),
    "gr6f.4xlarge": Fraction(1, 2),
}
_GCP = {
    "g4-standard-6": Fraction(1, 8),
    "g4-standard-12": Fraction(1, 4),
    "g4-standard-24": Fraction(1, 2),
}
_SLICE = re.compile(r"(?<![0-9a-z])([1-7])g\.\d+gb")  # of MIG, by its compute slices of 7


def part_of_gpu(instance: str, gpu: str = "") -> Fraction:
    """What part of one GPU an instance has, by its own name or the GPU's; 1 where it is whole."""
    name = instance.casefold().strip()
    for table in (_AWS, _GCP):
        if name in table:
            return table[name]
    for pattern, whole in _AZURE:
        found = pattern.fullmatch(name)
        if found and int(found[1]) < whole:
            return Fraction(int(found[1]), whole)
    found = _SLICE.search(f"{name} {gpu.casefold()}")
    return Fraction(int(found[1]), 7) if found and int(found[1]) < 7 else Fraction(1)
