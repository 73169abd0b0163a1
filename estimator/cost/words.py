"""A table of costs as text: the answer, what it rests on, what would change it. Pure."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import pandas as pd

from estimator.catalogue.rental_terms import OTHERS, TERM_WORDS, TERMS, RentalTerms
from estimator.cost.instance_costs import OWN, SPOT
from estimator.cost.options import BY_FIELD
from estimator.cost.ownership import OwnMachine
from estimator.cost.sensitivity import price_margin, runner_up
from estimator.cost.table import (
    Row,
    cheapest,
    cheapest_in_time,
    compare_lines,
    fastest,
    line_of,
    overlapping,
    priced,
    rented_to_compare,
    row_of_own,
)
from estimator.text import WIDTH, basis_words, dollars, duration, shortened, text_table

_Row: TypeAlias = "Row | Mapping[Any, Any]"

_ALWAYS = ("time", "$/job", "90 % interval", "time from", "price of")
_MAY_WRAP = ("against it", "price of", "in budget", "GPU", "in time", "market")


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
    basis = basis_words(str(chosen["basis"])).instance_long
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
        "time from": basis_words(str(row["basis"])).instance_source,
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


def assumption_lines(
    table: pd.DataFrame,
    terms: Mapping[str, RentalTerms],
    given: Sequence[str],
    used: Sequence[str] = tuple(TERMS),
) -> list[str]:
    """What the rows rest on: dates of prices, the providers' terms with sources, what is unknown.

    ``given``: terms that the user set; ``used``: those that matter to this job.
    """
    able = priced(table)
    dates = sorted(set(able["as_of"]))
    paragraphs = [
        f"Prices: catalogue, {_span(dates)}. They change: check the provider's before you rent.",
        "Jobs run one on each GPU and share the host; a machine that is not filled is paid in "
        "full. Start-up counts as billed, which is pessimistic: providers begin to bill when the "
        "machine runs.",
    ]
    if (able["machines"] > 1).any():
        paragraphs.append(
            "Several machines: the time is the mean of the last one's; the spread of interruptions "
            "is approximated by a gamma distribution."
        )
    open_terms = [name for name in used if name not in given]
    found = [
        _terms_of(provider, known, open_terms)
        for provider in sorted(set(able["provider"]) - {OWN})
        if (known := terms.get(provider, terms.get(OTHERS))) is not None
    ]
    unknown = [
        f"{_NOT_KNOWN[name]} of {', '.join(who)}"
        for name in _NOT_KNOWN
        if name in open_terms and (who := _without(set(able["provider"]) - {OWN}, terms, name))
    ]
    if unknown:
        paragraphs.append(f"Not known and counted as 0: {'; '.join(unknown)}.")
    if any(found):
        options = ", ".join(f"--{BY_FIELD[name].name}" for name in open_terms)
        paragraphs.append(f"Providers' terms; {options} set them, --no-terms leaves them out:")
        paragraphs += [text for text in found if text]
    lines = ["What this rests on:"]
    for paragraph in paragraphs:
        lines += textwrap.wrap(
            paragraph,
            WIDTH,
            initial_indent="- ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


_NOT_KNOWN = {
    "interruptions_per_h": "spot interruptions",
    "storage_usd_per_gib_month": "the price of storage",
    "egress_usd_per_gib": "the price of data out",
}


def _without(providers: set[str], terms: Mapping[str, RentalTerms], name: str) -> list[str]:
    """Providers of which nobody knows a figure."""
    known = {one: terms.get(one, terms.get(OTHERS)) for one in providers}
    return sorted(one for one, of in known.items() if of is None or getattr(of, name) is None)


def _terms_of(provider: str, known: RentalTerms, names: Sequence[str]) -> str:
    """One sentence: each figure with its source, once for figures of one source."""
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    figure_names: dict[tuple[str, str], str] = {}
    for name in names:
        value = getattr(known, name)
        if value is not None:
            where, _, what = known.source(name).partition(" : ")
            words = TERM_WORDS[name].format(value)
            group = where, known.as_of(name)
            figure_names[group] = name
            groups.setdefault(group, []).append((words, what))
    parts = []
    for (where, day), figures in groups.items():
        found = ", ".join(words for words, _ in figures)
        if known.borrowed(figure_names[where, day]):
            parts.append(f"{found} ({where})")
            continue
        details = "; ".join(what for _, what in figures if what)
        parts.append(
            f"{found} ({details}; {where}, {day})" if details else f"{found} ({where}, {day})"
        )
    return f"{provider}: {'; '.join(parts)}" if parts else ""


def _span(dates: Sequence[str]) -> str:
    dated = [day for day in dates if day != "undated"]
    parts = (
        [f"of {dated[0]}" if len(dated) == 1 else f"of {dated[0]} to {dated[-1]}"] if dated else []
    )
    if "undated" in dates:
        parts.append("some of them undated" if dated else "undated")
    return ", ".join(parts)


_INPUTS = {
    "price": "its price, USD/h",
    "seconds_per_step": "its step, s",
    "start_up_s": "start-up, s",
    "interruptions_per_h": "interruptions/h",
    "jobs": "jobs",
}


def sensitivity_lines(found: pd.DataFrame) -> list[str]:
    """The table of :func:`estimator.cost.sensitivity.sensitivity_table` as text."""
    rows = [
        (
            _INPUTS.get(str(row["input"]), str(row["input"])),
            f"{row['low_input']:.4g} to {row['high_input']:.4g}",
            dollars(row["low_usd"]),
            dollars(row["base_usd"]),
            dollars(row["high_usd"]),
            shortened(_winner(row, str(found.attrs.get("key", ""))), 34),
        )
        for row in found.to_dict("records")
    ]
    header = ("input", "from, to", "low", "as asked", "high", "who wins then")
    return text_table(header, rows).splitlines()


def _winner(row: Mapping[Any, Any], base: str) -> str:
    if not row["changes"]:
        return "the same"
    keys = dict.fromkeys(str(row[f"{end}_key"]) for end in ("low", "high"))
    names = [key.rsplit("/", 1)[0] for key in keys if key and key != base]
    return " / ".join(names) or "the same, at its other price"


def purchase_lines(table: pd.DataFrame, own: Sequence[OwnMachine]) -> list[str]:
    """For each machine of one's own: from how many jobs buying it beats renting.

    Set against the cheapest rented instance in time, or the cheapest rented if none is.
    """
    rented = rented_to_compare(table)
    lines = []
    for machine in own:
        mine = row_of_own(table, machine)
        if rented is None or mine is None:
            continue
        bought = line_of(mine.to_dict(), machine)
        found = compare_lines(bought, line_of(rented.to_dict()))
        text = (
            f"Bought for {dollars(machine.purchase_usd)} only for these jobs, "
            f"{machine.name or machine.hardware} against renting "
            f"{rented['provider']}/{rented['instance']}: {found.verdict}."
        )
        lines += textwrap.wrap(text, WIDTH, subsequent_indent="  ")
    return lines
