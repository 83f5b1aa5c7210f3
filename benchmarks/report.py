"""Rows -> Markdown table, and its place in the README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from common import Row

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
TITLES = {
    "import": "Import, fresh process",
    "build": "Symbols to loaded kernels, Lorenz-96 with rk4",
    "evaluate": "One evaluation of the whole problem",
    "path": "One path up the ladder with IPOPT, one core",
    "complete": "Figure 1 of the paper",
}


def number(value: float, unit: str) -> str:
    """Three significant digits with the unit."""
    if unit == "share":
        return f"{100 * value:.0f} %"
    if unit == "iterations":
        return f"{value:.0f}"
    digits = f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return f"{digits} {unit}"


def target(row: Row) -> str:
    """Put the target in words, and say whether it is missed."""
    if row.at_most is not None:
        words = f"at most {number(row.at_most, row.unit)}"
    elif row.at_most_beyond is not None:
        words = f"at most {number(row.at_most_beyond, row.unit)} longer"
    elif row.at_least_times is not None:
        words = f"at least {row.at_least_times:g} times"
    else:
        return ""
    return words if row.met else f"{words}: missed"


def table(rows: Sequence[Row], machine: Mapping[str, object]) -> str:
    """Markdown: the machine in a line, then one table."""
    versions = ", ".join(f"{name} {machine[name]}" for name in ("casadi", "numpy", "cython", "gcc"))
    lines = [
        f"{machine['processor']}, {machine['cores']} cores; "
        f"{versions}, Python {machine['python']}.",
        "",
        "| | symda | instead | | times | target |",
        "|---|---:|---|---:|---:|---|",
    ]
    section = ""
    for row in rows:
        if row.section != section:
            section = row.section
            lines.append(f"| **{TITLES[section]}** | | | | | |")
        other = "" if row.other is None else number(row.other, row.unit)
        ratio = "" if row.ratio is None else f"{row.ratio:.2g}"
        cells = (row.what, number(row.symda, row.unit), row.instead, other, ratio, target(row))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def into_readme(readme: Path, text: str) -> None:
    """Replace what lies between the two marks.

    Raises
    ------
    ValueError
        If the file has not each mark once, in order.
    """
    page = readme.read_text(encoding="utf-8")
    before, opening, rest = page.partition(BEGIN)
    _, closing, after = rest.partition(END)
    if not (opening and closing) or BEGIN in rest or END in after:
        raise ValueError(f"{readme.name} must hold {BEGIN} and {END}, once each and in this order")
    readme.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
