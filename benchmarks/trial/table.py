"""Rows of the trial set as text: a line each, a summary by tier, what was missed, the page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

Row = Mapping[str, Any]
BEGIN, END = "<!-- trial:begin -->", "<!-- trial:end -->"
HALVES = (("A to M", "A", "M"), ("N to Z", "N", "Z"))
KINDS = {"flow": "flows", "map": "maps", "petab": "PEtab", "recording": "neuron"}


def read(file: Path) -> list[dict[str, Any]]:
    """Read the rows that are there."""
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text().splitlines() if line]


def line(row: Row) -> str:
    """Return one row as a line."""
    where = f"{row['tier']:9} {row['kind']:4} {row['name']:24}"
    if "wrong" in row:
        return f"{where} {row['wrong']}"
    found = "found" if row["found"] else "MISSED"
    return (
        f"{where} {found:6} {row['level']:.6g} against {row['reference']:.6g}, "
        f"{row['inside']} of {row['unknown']} within, {row['wall']:.1f} s "
        f"(search {row['search']:.2f} s), {row['verdict']}"
        + (", A LIE" if row["lie"] else "")
        + (f"; {row['note']}" if row["note"] else "")
    )


def summary(rows: Sequence[Row]) -> str:
    """Return the table by tier, kind and half of the alphabet, in Markdown."""
    head = (
        "| tier | systems | found | coarse | lies | within | seconds | CPU | search | wrong |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    )
    lines = []
    for tier in dict.fromkeys(row["tier"] for row in rows):
        for kind, word in KINDS.items():
            for half, first, last in HALVES:
                some = [
                    row
                    for row in rows
                    if row["tier"] == tier
                    and row["kind"] == kind
                    and first <= row["name"][0].upper() <= last
                ]
                if some:
                    lines.append(_summed(tier, f"{word}, {half}", some))
    return "\n".join((*head, *lines))


def _summed(tier: str, what: str, rows: Sequence[Row]) -> str:
    good = [row for row in rows if "wrong" not in row]
    inside, unknown = (sum(row[key] for row in good) for key in ("inside", "unknown"))
    cells = [
        tier,
        what,
        f"{sum(row['found'] for row in good)} of {len(rows)}",
        f"{sum(row['more'].get('coarse', 0.0) for row in good):.0f}",
        f"{sum(row['lie'] for row in good)}",
        f"{inside} of {unknown}",
        *(_middle([row[key] for row in good]) for key in ("wall", "cpu", "search")),
        f"{len(rows) - len(good)}",
    ]
    return "| " + " | ".join(cells) + " |"


def _middle(values: Sequence[float]) -> str:
    return f"{median(values):.2g}" if values else ""


def missed(rows: Sequence[Row]) -> str:
    """Return the rows that were not found, in Markdown."""
    lines = []
    for row in rows:
        where = f"- {row['tier']}, {row['name']}"
        if "wrong" in row:
            lines.append(f"{where}: {row['wrong']}")
        elif not row["found"] or row["lie"]:
            above = row["level"] - row["reference"]
            how = (
                f"{above:.3g} above {row['reference']:.5g}" if math.isfinite(above) else "no truth"
            )
            lie = ", a lie" if row["lie"] else ""
            note = f"; {row['note']}" if row["note"] else ""
            lines.append(f"{where}: {how}; {row['verdict']}{lie}{note}")
    return "\n".join(["Not found, or said wrongly:", "", *(lines or ["- none"])])


def page(rows: Sequence[Row]) -> str:
    """Return what stands in the docs."""
    calls: dict[tuple[str, float, int], list[str]] = {}
    for row in rows:
        tiers = calls.setdefault((row["call"], row["limit"], row["steps"]), [])
        if row["tier"] not in tiers:
            tiers.append(row["tier"])
    told = "; ".join(
        f"{', '.join(tiers)}: `--call {call}`, at most {limit:g} s"
        + (f", {steps} steps from one datum to the next" if steps > 1 else "")
        for (call, limit, steps), tiers in sorted(calls.items())
    )
    return f"{told}.\n\n{summary(rows)}\n\n{missed(rows)}"


def write(file: Path, text: str) -> None:
    """Put the tables between the marks of a page."""
    before, _, rest = file.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    file.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
