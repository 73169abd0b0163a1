"""The estimator's commands, one file each.

A command's module has ``add_parser`` and a function that takes the parsed arguments. It imports
what it needs inside functions, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    #: what ``argparse.ArgumentParser.add_subparsers`` gives
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]
