"""``check``: is a dataset valid, and was it measured quietly?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from collector.errors import UserError

if TYPE_CHECKING:
    from collector.commands import Subparsers
    from collector.dataset.check import Finding, RunVerdict


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser("check", help="is a dataset valid, and was it measured quietly?")
    parser.add_argument("path", help="a run, or a directory or URL of runs")
    parser.add_argument(
        "--verbose", action="store_true", help="show anchors, noise and errors of quiet runs too"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=check)


def check(arguments: argparse.Namespace) -> int:
    """Print a verdict for each run; exit code 2 where something is invalid."""
    from collector.dataset.check import check_runs, problem_findings
    from collector.dataset.read import read_dataset

    dataset = read_dataset(arguments.path)
    if not dataset.runs and not dataset.problems:
        raise UserError(
            f"{arguments.path}: holds no run; measure one with `python -m collector run`"
        )
    verdicts, problems = check_runs(dataset), problem_findings(dataset)
    findings = [*problems, *(finding for verdict in verdicts for finding in verdict.findings)]
    invalid = sum(finding.severity == "invalid" for finding in findings)
    if arguments.json:
        print(json.dumps(_as_json(verdicts, problems), indent=2))
    else:
        for line in _lines(verdicts, problems, arguments.verbose):
            print(line)
        print(
            f"{len(dataset.runs)} runs, {invalid} invalid findings, "
            f"{len(findings) - invalid} warnings"
        )
    return UserError.exit_code if invalid else 0


def _lines(
    verdicts: Sequence[RunVerdict], problems: Sequence[Finding], verbose: bool
) -> Iterator[str]:
    for finding in problems:
        yield f"{finding.severity}: {finding.run_id}: {finding.reason}"
    for verdict in verdicts:
        info = verdict.info
        counts = info.run.get("cells_by_status", {})
        told = ", ".join(f"{n} {status}" for status, n in counts.items()) or f"{info.rows} cells"
        yield (
            f"{info.run_id}  {info.machine.get('label', '?')}  {info.run.get('suite', '?')}  "
            f"{told}: {'valid' if verdict.valid else 'INVALID'}, "
            f"{'quiet' if verdict.quiet else 'not quiet'}"
        )
        for finding in sorted(verdict.findings, key=lambda f: f.severity != "invalid"):
            yield f"{finding.severity}: {info.run_id}: {finding.reason}"
        for anchor in verdict.anchors:
            if verbose or not anchor.drifted:
                yield f"    {anchor}"
        if verbose:
            reasons = verdict.noise_reasons.items()
            told = ", ".join(f"{reason} {n}" for reason, n in sorted(reasons, key=lambda r: -r[1]))
            yield f"    cells by reason for noise: {told or 'none told'}"
            for errors in verdict.errors:
                yield (
                    f"    relative error, {errors.precision:<16} {errors.cells:5d} cells: "
                    f"median {errors.median:.1e}, 90 % below {errors.p90:.1e}, "
                    f"largest {errors.largest:.1e}"
                )


def _as_json(verdicts: Sequence[RunVerdict], problems: Sequence[Finding]) -> dict[str, Any]:
    return {
        "set_aside": [{"file": f.run_id, "reason": f.reason} for f in problems],
        "runs": [
            {
                "run_id": verdict.info.run_id,
                "label": verdict.info.machine.get("label"),
                "machine_id": verdict.info.machine.get("machine_id"),
                "suite": verdict.info.run.get("suite"),
                "cells": verdict.info.rows,
                "valid": verdict.valid,
                "quiet": verdict.quiet,
                "findings": [
                    {"severity": f.severity, "about": f.about, "reason": f.reason}
                    for f in verdict.findings
                ],
                "anchors": [
                    {**asdict(anchor), "range": anchor.range, "drifted": anchor.drifted}
                    for anchor in verdict.anchors
                ],
                "noise_reasons": dict(verdict.noise_reasons),
                "relative_errors": [asdict(errors) for errors in verdict.errors],
            }
            for verdict in verdicts
        ],
    }
