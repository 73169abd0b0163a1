"""Which CPU each family of instances has: data/instance_cpus.csv, from what lscpu said on them.

    python -m benchmarks.derive_instance_cpus [--published ../shared/reference/published] [-o FILE]

``sc_cpu.parquet`` holds lscpu of 3,600 cloud types (SpareCores/sc-inspector-data, CC BY-SA 4.0:
the derived file has that licence, see data/instance_cpus.LICENSE.md). A family whose sizes all
showed one CPU, for which data/hardware.csv has a row, gets that row and its threads per core; one
that showed several gets none, with their names. Left out: Azure's families before v6, of which
Azure says that it puts them on several generations whatever one machine showed; families that are
throttled or shared (AWS t2 to t4g, GCP e2, f1, g1), whose cores do not do what others do; and CPUs
without a row.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from pathlib import Path

import pandas as pd

from estimator.catalogue.hardware import normalise, shipped_hardware
from estimator.catalogue.hardware_specs import CpuSpec
from estimator.catalogue.instance_families import INSTANCE_CPU_COLUMNS, family

_PUBLISHED = Path("../shared/reference/published")
_PROVIDERS = ("aws", "azure", "gcp")
_SHARED = re.compile(r"aws t\d.*|gcp (e2|f1|g1.*)")
_AZURE_FIXED = re.compile(r"[a-z]+v([6-9]|\d\d)")
_MODEL = re.compile(r"\b(7[A-Z]\d\d|9[A-Z]\d\d|\d{4}[A-Z]{0,2}\+?|\d{4}P-C)(?=\W|$)")


def rows_of(table: pd.DataFrame) -> list[dict[str, str]]:
    """Rows of the file, from ``sc_cpu``."""
    known = table[table["vendor"].isin(_PROVIDERS) & table["cpu_model"].notna()]
    names = [
        family(vendor, name)
        for vendor, name in zip(known["vendor"], known["instance"], strict=True)
    ]
    found = []
    for (vendor, name), group in known.assign(family=names).groupby(["vendor", "family"]):
        if _SHARED.fullmatch(f"{vendor} {name}"):
            continue
        if vendor == "azure" and not _AZURE_FIXED.fullmatch(str(name)):
            continue
        models = sorted({_plain(str(model)) for model in group["cpu_model"]})
        threads = sorted(set(group["threads_per_core"].dropna()))
        row = {"provider": str(vendor), "family": str(name), "hardware": "", "vcpus_per_core": ""}
        row |= {"types_seen": str(len(group)), "cpus_seen": "; ".join(models)}
        if len(models) == 1 and len(threads) == 1:
            row["hardware"] = _row_of(str(vendor), models[0], int(threads[0]))
            row["vcpus_per_core"] = threads[0] if row["hardware"] else ""
        if row["hardware"] or len(models) > 1:
            found.append(row)
    return found


def _plain(model: str) -> str:
    """A CPU's name without its clock, marks and count of cores."""
    words = re.sub(r"\((?:r|tm)\)|@.*|\d+-core|\bcpu\b|\bprocessor\b", " ", model, flags=re.I)
    return re.sub(r"\s+", " ", words).strip().upper()


def _row_of(provider: str, model: str, threads: int) -> str:
    """The row of data/hardware.csv: of that provider and with such cores before others."""
    code = _MODEL.search(model)
    named = [
        spec
        for spec in shipped_hardware()
        if isinstance(spec, CpuSpec)
        and (
            normalise(model) == normalise(spec.architecture)
            or (code is not None and re.search(rf"\b{re.escape(code[1])}", spec.name))
        )
    ]
    named.sort(
        key=lambda spec: (
            not spec.name.casefold().startswith(provider),
            spec.vcpus_per_core != threads,
            spec.name,
        )
    )
    return named[0].name if named and named[0].name.casefold().startswith(provider) else ""


def main() -> None:
    """Write the file, or say why not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--published", type=Path, default=_PUBLISHED)
    parser.add_argument("-o", "--out", type=Path, help="where to write (default: the terminal)")
    options = parser.parse_args()
    path = options.published / "sc_cpu.parquet"
    if not path.exists():
        print(f"skipped: no {path} here; give --published FOLDER")
        return
    rows = rows_of(pd.read_parquet(path))
    with options.out.open("w", newline="") if options.out else sys.stdout as out:
        writer = csv.DictWriter(out, INSTANCE_CPU_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
