"""Which of my machines is unwell: the ranked findings, and one machine beside its peers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app_pages.frame import shared, widgets
from app_pages.frame.text import escape
from charts.peer_shifts import peer_shifts
from estimator.health.check import health_of
from estimator.health.peers import FEWEST_CELLS, KIND_NAMES
from estimator.health.rows import SEVERITIES, findings_frame
from estimator.text import plural

#: Rows of the table unless all are asked for.
TOP = 15
_ALL = "all machines"

METHOD = """
**Findings** are measured, or read from the driver and the fingerprint; nothing is estimated.

*Slower than its peers*: over the cells that a machine and others of its type measured, the median
ratio of its time to the peers' median; first over all families of a kind (GPU kernels, what the
host does for the GPU, the processor), then of each family for what remains. It is judged by what
the other machines of the type differ in, not by a fixed percentage, and corrected for the number
of machines and families looked at (Benjamini and Hochberg's false discovery rate).

*Unwell*: by chance in at most 1 % of such findings, and at least 5 % slower; or a fact that is
never right, such as lost PCIe lanes or a GPU slowed down by heat. *Look at it*: 5 % and 3 %; or
what may be on purpose, such as a lower power limit. *Note*: for information.

Peers have the same GPU, and for what the processor does the same processor with as many cores. A
machine without peers is compared with its data sheet, which is at most to be looked at; where all
of a type stay below it there is one note about the type. The fingerprint has no ECC counters.

*Throttled*: where heat or failing power slowed a quarter of a GPU's cells or more, what follows
from it (slower kernels and copies, noise, drift) stands in that finding and not beside it.

*Drift*: one operation is repeated along each run. With three peers or more, the slowdown from the
first half of a run to the last (median of the latest five runs) is seen from 5 % beyond the
peers', without them from 5 %; in both cases beyond four standard deviations. So a pattern that a
whole type has along a run is no finding, nor is a run with fewer than four repetitions. Between
runs: all runs from some date on are slower than all before, by 5 % and four deviations.
"""


@st.cache_resource(max_entries=2, show_spinner="Comparing the machines")
def _health(fingerprint: str, _source: shared.Source) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Findings and shifts of a dataset; who gets them must not change them."""
    found = health_of(_source.measurements, _source.paths)
    frame = findings_frame(found.findings)
    return frame.assign(machine=frame["machine_id"].map(_source.names)), found.shifts


def find(source: shared.Source) -> pd.DataFrame:
    """All findings of the dataset, worst first, with the machines' names in ``machine``."""
    return _health(source.fingerprint, source)[0]


def show_summary(source: shared.Source, found: pd.DataFrame) -> None:
    """How many machines are unwell, to be looked at, without either."""
    counts = worst_by_machine(found).value_counts()
    unwell, look = int(counts.get("unwell", 0)), int(counts.get("look at it", 0))
    with st.container(horizontal=True):
        st.metric(
            "Unwell",
            f"{unwell:,}",
            border=True,
            help="Machines with a finding to act on; the method says what counts",
        )
        st.metric("To be looked at", f"{look:,}", border=True, help="Machines with a milder one")
        st.metric(
            "Nothing found",
            f"{len(source.machine_names) - unwell - look:,}",
            border=True,
            help="Machines with notes only, or none",
        )


def worst_by_machine(found: pd.DataFrame) -> pd.Series:
    """machine_id -> its worst severity."""
    order = pd.Categorical(found["severity"], categories=list(SEVERITIES), ordered=True)
    return found.assign(order=order).sort_values("order").groupby("machine_id")["severity"].first()


def show_findings(source: shared.Source, found: pd.DataFrame) -> None:
    """The ranked list; a chosen row opens its machine in the boxes below."""
    left, right = st.columns(2, vertical_alignment="bottom")
    with left:
        notes = widgets.toggle(
            "Notes too",
            "machines_notes",
            help="Also what is only for information: other library versions, machines without "
            "peers.",
        )
    kept = found if notes else found[found["severity"] != "note"]
    with right:
        everything = len(kept) > TOP and widgets.toggle(
            f"All {len(kept)} findings",
            "machines_findings_all",
            help=f"Otherwise the {TOP} worst are listed.",
        )
    if kept.empty:
        st.success(_nothing_found(source, found))
        return
    shown = kept if everything else kept.head(TOP)
    widgets.pick_row(
        pd.DataFrame(
            {
                "Severity": shown["severity"],
                "Machine": shown["machine"],
                "What is wrong": shown["what"],
                "By how much": shown["amount"],
                "Since": shown["since"],
                "How sure": shown["sure"],
                "Cells": shown["cells"],
                "Peers": shown["peers"],
                "Evidence": shown["evidence"],
                "What to do": shown["advice"],
            }
        ),
        alt="Findings about machines, worst first",
        key="machines_findings",
        picked=lambda row: st.session_state.update(machines_first=str(shown["machine"].iloc[row])),
        columns={
            "Since": st.column_config.DatetimeColumn(
                "Since (UTC)",
                format="YYYY-MM-DD",
                timezone="UTC",
                help="Start of the first run that shows it, where that can be told",
            ),
            "How sure": st.column_config.TextColumn(
                help="By chance: expected share of wrong findings among those at least as sure"
            ),
            "Cells": st.column_config.NumberColumn(help="Measured cells behind the finding"),
            "Peers": st.column_config.NumberColumn(
                help="Machines of the same type that it was compared with"
            ),
        },
    )
    st.caption("Mark a row to look into its machine below. All figures are measured or read.")


def _nothing_found(source: shared.Source, found: pd.DataFrame) -> str:
    alone = int((found["check"] == "alone").sum())
    text = (
        f"Nothing found on {plural(len(source.machine_names), 'machine')}: no difference "
        "from peers that chance would not explain, and no fact that is out of order."
    )
    if alone:
        who = "1 machine has" if alone == 1 else f"{alone} machines have"
        text += f" {who} no peer of the same type, so a slow one would not show."
    if len(found):
        text += f" {plural(len(found), 'note')}: switch on “Notes too”."
    return text


def show_machine(source: shared.Source, found: pd.DataFrame, machine: str) -> None:
    """Findings of one machine in words, and its families beside its peers."""
    own = found[found["machine"] == machine]
    st.subheader("What was found", anchor=False)
    if own.empty:
        st.markdown("Nothing.")
    for row in own.to_dict("records"):
        amount = f": {row['amount']}" if row["amount"] else ""
        since = f", since {shared.day(row['since'])}" if not pd.isna(row["since"]) else ""
        sure = f" ({row['sure']})" if row["sure"] else ""
        what, evidence = f"{row['what']}{amount}{since}", f"{row['evidence']}{sure}"
        st.markdown(
            f"**{str(row['severity']).capitalize()}** · {escape(what)}  \n"
            f"{escape(_sentence(evidence))}.  \n*What to do:* {escape(row['advice'])}"
        )
    _show_beside_peers(source, machine)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _show_beside_peers(source: shared.Source, machine: str) -> None:
    every = _health(source.fingerprint, source)[1]
    frame = beside_peers(every, source.machine_id(machine))
    if frame.empty:
        return
    st.markdown("**Beside its peers, family by family**")
    kinds = [name for name in KIND_NAMES.values() if name in set(frame["kind"])]
    widgets.chart(
        peer_shifts,
        frame,
        kinds,
        alt=f"Time of {len(frame)} groups of cells against the peers' median, in percent",
        name="beside-peers",
    )
    st.caption(
        "Measured. Dot: median over the cells of the family; line: half of the cells; grey bar: "
        f"where eight of ten peers' own medians lie. Families with fewer than {FEWEST_CELLS} "
        "cells in common are left out. Right of 0 is slower."
    )


_BESIDE_COLUMNS = (
    *("row", "kind", "percent", "low", "high"),
    *("peers_low", "peers_high", "cells", "peers"),
)


def beside_peers(shifts: pd.DataFrame, machine_id: str) -> pd.DataFrame:
    """What ``charts.peer_shifts`` draws for one machine; empty where it has no peers."""
    usable = shifts[shifts["cells"] >= FEWEST_CELLS]
    keys = ["group", "kind", "workload"]
    own = usable[usable["machine_id"] == machine_id]
    if own.empty:  # of which the columns may have any type
        return pd.DataFrame(columns=list(_BESIDE_COLUMNS))
    others = usable[(usable["machine_id"] != machine_id) & usable["group"].isin(set(own["group"]))]
    medians = others.groupby(keys)["median"]
    span = pd.DataFrame(
        {"min": medians.quantile(0.1), "max": medians.quantile(0.9), "size": medians.size()}
    ).reset_index()
    joined = own.merge(span, on=keys, how="left")
    several = joined["size"].fillna(0) > 1

    def percent(values: pd.Series) -> Any:
        return 100 * np.expm1(values.astype(float))

    kinds = joined["kind"].map(KIND_NAMES)
    frame = pd.DataFrame(
        {
            "row": joined["workload"] + ", " + kinds,
            "kind": kinds,
            "percent": percent(joined["median"]),
            "low": percent(joined["low"]),
            "high": percent(joined["high"]),
            "peers_low": percent(joined["min"]).where(several),
            "peers_high": percent(joined["max"]).where(several),
            "cells": joined["cells"],
            "peers": joined["peers"],
        }
    )
    return frame.sort_values(["kind", "percent"], ascending=[True, False], ignore_index=True)


def default_machine(source: shared.Source, found: pd.DataFrame) -> str:
    """The machine of the worst finding, else the one measured last."""
    serious = found[found["severity"] != "note"]
    if len(serious):
        return str(serious["machine"].iloc[0])
    last = source.machines.sort_values("last_at", ascending=False, na_position="last")
    return str(last["name"].iloc[0])


def names_worst_first(source: shared.Source, found: pd.DataFrame) -> list[str]:
    """All machines: those with findings first, worst first."""
    serious = found.loc[found["severity"] != "note", "machine"]
    return list(dict.fromkeys([*serious, *source.machine_names]))
