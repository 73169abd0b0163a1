"""``fit``: fit a dataset and save the model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from estimator.commands.options import add_data, add_selection, open_model, print_json

if TYPE_CHECKING:
    from estimator.commands import Subparsers


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser("fit", help="fit a dataset and save the model as JSON")
    add_data(parser)
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FILE", help="the model file"
    )
    add_selection(parser)
    parser.set_defaults(command=fit)


def fit(arguments: argparse.Namespace) -> None:
    """Write the model file."""
    from estimator.model.storage import write_model

    model = open_model(arguments)
    write_model(model, arguments.out)
    summary = {
        "model": str(arguments.out),
        "fingerprint": model.fingerprint,
        "groups": len(model.groups),
        "cells": len(model.measured),
    }
    if arguments.json:
        print_json(summary)
    else:
        print(f"{summary['groups']} groups from {summary['cells']} cells -> {arguments.out}")
