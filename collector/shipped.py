"""Where the code and the data that ship with it lie: in a checkout, or installed as a package."""

from __future__ import annotations

from pathlib import Path

#: What a child process needs on its path to import the packages.
ROOT = Path(__file__).resolve().parents[1]


def shipped(name: str) -> Path:
    """A file or folder of ``data/``; the installed package has them as ``breakeven_data``."""
    checkout = ROOT / "data"
    return (checkout if (checkout / "hardware.csv").is_file() else ROOT / "breakeven_data") / name
