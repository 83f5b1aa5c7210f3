"""Rows -> Markdown table, and its place in the README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from common import Row

PACKAGES = ("casadi", "numpy", "cython", "jax", "gcc")
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
TITLES = {
    "import": "Import, fresh process",
    "build": "Symbols to loaded kernels, Lorenz-96 with rk4",
    "evaluate": "One evaluation of the whole problem",
    "path": "One path up the ladder, one core",
    "lowest": "Time to the lowest level, L = 4",
    "growth": "Growth of an iteration of newton, and peak memory",
    "lattice": "Large lattices",
    "integrate": "Trajectories of Lorenz-96 by fixed steps",
    "simulate": "Trajectories by adaptive steps, one core",
    "neuron": "Hodgkin-Huxley neuron, 4 states, 18 parameters",
    "network": "Layered networks, one core",
    "learn": "Learned equations, one core",
    "trust": "Error bars of every state, one core",
    "sample": "Samples of 1,827 unknowns, one core",
    "store": "Runs on the disk",
    "cycle": "Cycled Lorenz-96 of 40 states, 20 measured, one core",
    "complete": "Figure 1 of the paper, 4 panels of 100 paths, builds included",
}


def number(value: float, unit: str) -> str:
    """Three significant digits with the unit."""
    if unit == "share":
        return f"{100 * value:.3g} %"
    if unit == "power":
        return f"{value:.2f}"
    if unit == "times":
        return f"{value:.3g}"
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
    elif row.at_least is not None:
        words = f"at least {number(row.at_least, row.unit)}"
    elif row.at_least_times is not None:
        words = f"at least {row.at_least_times:g} times"
    else:
        return ""
    return words if row.met else f"{words}: missed"


def table(rows: Sequence[Row], machine: Mapping[str, object]) -> str:
    """Markdown: the machine in a line, then one table."""
    names = [name for name in PACKAGES if name in machine]
    versions = ", ".join(f"{name} {machine[name]}" for name in names)
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
        lines.append(f"| {' | '.join(cells(row))} |")
    return "\n".join(lines)


def cells(row: Row) -> tuple[str, ...]:
    """Put a row in words."""
    ours = number(row.symda, row.unit)
    if row.interval is not None:
        low, high = (number(end, row.unit).removesuffix(" %") for end in row.interval)
        ours += f" ({low} .. {high})"
    if row.unit == "power" and row.points:
        first, *_, last = row.points.values()
        ours += f" ({number(first, 'ms')} .. {number(last, 'ms')})"
    over = "over " if row.endless else ""
    other = "" if row.other is None else over + number(row.other, row.unit)
    ratio = "" if row.ratio is None else f"{over}{row.ratio:.2g}"
    return row.what, ours, row.instead, other, ratio, target(row)


def comparison(rows: Sequence[Row], before: Sequence[Mapping[str, object]]) -> str:
    """Say how symda's numbers have changed since a stored record: now over then.

    Parameters
    ----------
    rows : sequence of Row
        Now.
    before : sequence of mapping
        The rows of a record.
    """
    then = {(row["section"], row["what"], row["instead"]): row["symda"] for row in before}
    lines = ["| | before | now | now / before |", "|---|---:|---:|---:|"]
    missing = 0
    for row in rows:
        old = then.get((row.section, row.what, row.instead))
        if not isinstance(old, (int, float)) or not old:
            missing += 1
            continue
        lines.append(
            f"| {row.section}: {row.what} | {number(old, row.unit)} "
            f"| {number(row.symda, row.unit)} | {row.symda / old:.2f} |"
        )
    return "\n".join([*lines, "", f"{missing} rows have no counterpart in the record."])


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
