"""The costs of a job as text for a terminal: the answer, the table, what it rests on. Pure."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import pandas as pd

from estimator.cost_table import Row, cheapest, cheapest_in_time, fastest, overlapping, priced
from estimator.instance_costs import SPOT
from estimator.report import WIDTH, dollars, duration, text_table
from estimator.sensitivity import price_margin, runner_up

_Row: TypeAlias = "Row | Mapping[Any, Any]"

_ALWAYS = ("time", "$/job", "90 % interval", "time from", "price of")
_MAY_WRAP = ("against it", "price of", "in budget", "GPU", "in time", "market")
_BASIS = {
    "from_specs": "data sheets",
}
_BASIS_LONG = {
    "from_specs": "estimated from data sheets: no machine with this processor was measured",
    "measured": "this very case was measured on a machine with the same GPU",
    "interpolated": "from a machine with the same GPU, between measured sizes",
    "extrapolated": "from a machine with the same GPU, beyond the measured sizes",
    "new_workload": "from a machine with the same GPU; no such case was measured there",
    "probed": "from a machine with the same GPU, through other machines",
}


def answer_lines(table: pd.DataFrame) -> list[str]:
    """Who finishes cheapest in time, cheapest and fastest, and how sure that is."""
    best, quick = cheapest(table), fastest(table)
    if best is None or quick is None:
        return ["No instance can do this job."]
    lines = []
    limited = _limited(table)
    sure = cheapest_in_time(table, certain=True) if limited else None
    likely = cheapest_in_time(table) if limited else None
    if limited:
        lines.append(f"Cheapest within {limited}:")
        if likely is None:
            lines.append("  none: no instance is likely to make it")
        else:
            doubt = "" if _same(sure, likely) else "; not sure"
            lines += [*_indented(_place(likely)), *_indented(f"{_figures(likely)}{doubt}")]
            if sure is not None and not _same(sure, likely):
                text = f"surely: {_place(sure)}, {dollars(sure['cost_usd_p50'])} per job"
                lines += _indented(text)
    for title, row in (("Cheapest", best), ("Fastest", quick)):
        if not (title == "Cheapest" and _same(row, likely)):
            lines += [f"{title}:", *_indented(_place(row)), *_indented(_figures(row))]
    chosen = best if likely is None else likely
    return [*lines, *_how_sure(table, chosen)]


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ")


def _limited(table: pd.DataFrame) -> str:
    words = {"meets_deadline": "the deadline", "meets_budget": "the budget"}
    return " and ".join(word for name, word in words.items() if (table[name] != "").any())


def _same(a: Row | None, b: Row | None) -> bool:
    return a is not None and b is not None and (a["key"], a["market"]) == (b["key"], b["market"])


def _place(row: _Row) -> str:
    gpus = f", {int(row['gpu_count'])}x {row['gpu']}" if row["gpu_count"] else ", no GPU"
    gpus += f", {row['backend']}" if row["backend"] else ""
    machines = f"{int(row['machines'])} machines of " if row["machines"] > 1 else ""
    price = f"{row['price_usd_per_h']:.4g} USD/h {row['market']}"
    name = f"{row['provider']}/{row['instance']} ({row['region']})"
    return f"{machines}{name}{gpus}, at {price}"


def _figures(row: _Row) -> str:
    cost = (dollars(row[f"cost_usd_{end}"]) for end in ("p50", "p5", "p95"))
    wall = (duration(row[f"wall_s_{end}"]) for end in ("p50", "p5", "p95"))
    middle, low, high = cost
    soon, early, late = wall
    done = "the last done" if row["machines"] > 1 else "done"
    chance = row["in_time_probability"]
    sure = f", in time with {chance:.0%} probability" if 0.0 < chance < 0.995 else ""
    return f"{middle} per job ({low} to {high}), {done} in {soon} ({early} to {late}){sure}"


def _how_sure(table: pd.DataFrame, chosen: Row) -> list[str]:
    basis = _BASIS_LONG.get(str(chosen["basis"]), str(chosen["basis"]))
    parts = [f"How sure: brackets are 90 % intervals of the time of a step. It is {basis}."]
    others = overlapping(table)
    if others:
        rows = "1 other instance" if others == 1 else f"{others} other instances"
        parts.append(f"{rows} may cost as little, as far as the intervals tell.")
    margin, next_best = price_margin(table, chosen), runner_up(table, chosen)
    if next_best is not None and math.isfinite(margin) and margin > 0.0:
        name = f"{next_best['provider']}/{next_best['instance']} ({next_best['region']})"
        parts.append(f"By the medians its price may rise by {margin:.0%} until {name} wins.")
    if chosen["market"] == SPOT:
        parts.append(_spot_words(chosen))
    if math.isfinite(chosen["energy_kwh"]):
        paid = chosen["energy_usd"]
        cost = f", {dollars(paid)} of its price" if math.isfinite(paid) else ""
        kwh = f"{chosen['energy_kwh']:.3g} kWh"
        parts.append(f"Its GPU takes {kwh} for all jobs{cost}, as measured on such a GPU.")
    return textwrap.wrap(" ".join(parts), WIDTH, subsequent_indent="  ")


def _spot_words(row: _Row) -> str:
    rate = float(row["interruptions_per_h"])
    if rate == 0.0:
        return "No interruption is counted: the rate is not known; give --interruptions."
    interval = float(row["checkpoint_interval_s"])
    saved = "no checkpoints" if math.isnan(interval) else f"a checkpoint every {duration(interval)}"
    share = row["part_interruptions_usd"] / row["total_usd_p50"]
    lost = dollars(share * row["cost_usd_p50"])
    taken = "its machines are" if row["machines"] > 1 else "it is"
    return (
        f"At {rate:.3g} interruptions an hour ({saved}) {taken} taken away "
        f"{row['expected_interruptions']:.2g} times on average for all jobs, never with a "
        f"probability of {row['uninterrupted_probability']:.0%}; that costs {lost} per job."
    )


def table_lines(table: pd.DataFrame, top: int = 0) -> list[str]:
    """One line per instance and market, ``top`` of them (0: all), those within the limits first.

    Else in the given order; of several regions of an instance only the first row has a line.
    """
    able = priced(table)
    late = (able["meets_deadline"] == "no") | (able["meets_budget"] == "no")
    able = pd.concat([able[~late], able[late]])
    able = able.drop_duplicates(["provider", "instance", "market"])
    shown = able.head(top) if top else able
    wide = {
        "market": able["market"].nunique() > 1,
        "machines": bool((shown["machines"] > 1).any()),
        "in time": bool((shown["meets_deadline"] != "").any()),
        "in budget": bool((shown["meets_budget"] != "").any()),
        "against it": "verdict" in shown,
    }
    columns = ["instance", "GPU", *(name for name, here in wide.items() if here), *_ALWAYS]
    lines = _fitting(shown.to_dict("records"), columns) if len(shown) else []
    if len(shown) < len(able):
        lines.append(f"... and {len(able) - len(shown)} more (--top 0 shows all)")
    regions = len(priced(table)) - len(able)
    if regions:
        lines.append(
            f"Each instance in its cheapest region; --out and --json hold {regions} further rows."
        )
    return lines


def _fitting(rows: Sequence[_Row], columns: list[str]) -> list[str]:
    """The table; columns that do not fit the width stand below their row, none is left out."""
    cells = [_cells(row) for row in rows]
    below: list[str] = []
    for moved in (None, *_MAY_WRAP):
        below += [moved] if moved in columns else []
        columns = [name for name in columns if name != moved]
        lines = text_table(columns, [[row[name] for name in columns] for row in cells]).splitlines()
        if max(map(len, lines)) <= WIDTH:
            break
    if not below:
        return lines
    wrapped = lines[: -len(cells)]
    for line, row in zip(lines[-len(cells) :], cells, strict=True):
        more = "; ".join(f"{name}: {row[name]}" for name in below if row[name])
        wrapped += [line, *textwrap.wrap(more, WIDTH, initial_indent="  ", subsequent_indent="  ")]
    return wrapped


def _cells(row: _Row) -> dict[str, str]:
    """Every column of a line."""
    return {
        "instance": shortened(f"{row['provider']}/{row['instance']}", 26),
        "GPU": shortened(f"{int(row['gpu_count'])}x{row['gpu']}" if row["gpu_count"] else "-", 10),
        "market": str(row["market"]),
        "machines": f"{row['machines']:.0f}",
        "in time": str(row["meets_deadline"]),
        "in budget": str(row["meets_budget"]),
        "against it": _against(row),
        "time": duration(row["wall_s_p50"]),
        "$/job": dollars(row["cost_usd_p50"]),
        "90 % interval": f"{dollars(row['cost_usd_p5'])}-{dollars(row['cost_usd_p95'])[1:]}",
        "time from": _BASIS.get(str(row["basis"]), "same GPU"),
        "price of": shortened(str(row["as_of"]), 10, ""),
    }


def _against(row: _Row) -> str:
    if "verdict" not in row:
        return ""
    verdict = str(row["verdict"])
    return verdict if verdict == "the baseline" else f"{row['cost_ratio']:.2f}x, {verdict}"


def left_out_lines(table: pd.DataFrame) -> list[str]:
    """Who has no row, and why; an instance with a price in another market is not left out."""
    able = set(priced(table)["key"])
    left_out = table[(table["excluded"] != "") & ~table["key"].isin(able)]
    left_out = left_out.drop_duplicates(["key", "excluded"])
    if left_out.empty:
        return []
    lines = [f"{left_out['key'].nunique()} instances left out:"]
    for reason, group in left_out.groupby("excluded"):
        names = sorted({str(name) for name in group["instance"]})
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if names[4:] else "")
        lines += textwrap.wrap(
            f"{reason}: {shown}", WIDTH, initial_indent="  ", subsequent_indent="    "
        )
    return lines


def shortened(text: str, width: int, mark: str = "..") -> str:
    """At most ``width`` characters, the last ones a mark where some are left out."""
    return text if len(text) <= width else text[: width - len(mark)] + mark
