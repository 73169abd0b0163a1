"""``info``: this machine's fingerprint."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector.commands import Subparsers


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser("info", help="show this machine's fingerprint")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=info)


def info(arguments: argparse.Namespace) -> int:
    """Print the fingerprint; exit code 0."""
    from collector.backends import BACKEND_DEVICES, missing_reason
    from collector.machine.fingerprint import read_machine

    machine = read_machine()
    if arguments.json:
        print(json.dumps(machine.as_dict(), indent=2))
        return 0
    cpu, gpu = machine.cpu, machine.gpu
    cache = cpu.last_level_cache_bytes
    print(f"machine     {machine.label}")
    print(f"            id {machine.machine_id}, type {machine.machine_type_id}")
    print(
        f"processor   {cpu.model}, {cpu.physical_cores} physical and {cpu.logical_cores} "
        "logical cores usable"
    )
    print(
        f"memory      {machine.memory_bytes / 2**30:.1f} GiB"
        + (f", last-level cache {cache / 2**20:.0f} MiB" if cache else "")
    )
    if gpu:
        print(
            f"GPU         {gpu.count}x {gpu.model}, {gpu.memory_bytes / 2**30:.0f} GiB, "
            f"driver {gpu.driver}, CUDA {gpu.cuda}"
        )
    else:
        print("GPU         none visible (needs an NVIDIA driver and the package nvidia-ml-py)")
    print(f"system      {machine.system}, Python {machine.python}")
    print("libraries   " + ", ".join(f"{k} {v}" for k, v in machine.library_versions.items()))
    missing = sorted({name for name, _ in BACKEND_DEVICES if missing_reason(name)})
    if missing:
        print("missing     " + ", ".join(missing) + " (their cells become rows `unsupported`)")
    return 0
