"""What notebooks show of a model, an action or a run: short and fast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from symda.analyse import levels_table, path_counts
from symda.show.text import summary

if TYPE_CHECKING:
    import xarray as xr

#: Levels of a run that a notebook shows.
LEVELS = 5


def run_html(dataset: xr.Dataset) -> str:
    """Return a summary of a run and its lowest levels as HTML."""
    heading, *lines = summary(dataset).splitlines()
    rows = [line.partition(": ")[::2] for line in lines]
    parts = [f"<p><b>Run of {escape(heading.partition(': ')[0])}</b>: ", ""]
    parts[1] = f"{escape(heading.partition(': ')[2])}</p>"
    parts.append(_table((), rows))
    if path_counts(dataset).reached:
        table = levels_table(dataset)
        cells = table.head(LEVELS).itertuples(index=False, name=None)
        parts.append(
            _table(
                [str(name).replace("_", " ") for name in table.columns],
                ([f"{value:.6g}" for value in row] for row in cells),
            )
        )
        if len(table) > LEVELS:
            parts.append(f"<p>and {len(table) - LEVELS} higher levels</p>")
    return "".join(parts)


def action_html(text: str, equations: str, facts: Iterable[tuple[str, str]]) -> str:
    """Return an action as HTML.

    Parameters
    ----------
    text : str
        Its representation.
    equations : str
        The model's equations, as LaTeX between dollar signs.
    facts : iterable of (str, str)
    """
    return f"<p><code>{escape(text)}</code></p>{escape(equations)}{_table((), facts)}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>"
        + "".join(f'<td style="text-align: left">{escape(cell)}</td>' for cell in row)
        + "</tr>"
        for row in rows
    )
    return (
        f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"
    )
