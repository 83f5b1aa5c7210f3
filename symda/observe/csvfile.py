"""CSV files -> named columns; every number is read exactly as Python reads it."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from symda.errors import DataError, OptionError
from symda.observe.tables import ColumnChoice, Columns, ForcingChoice, existing, from_pandas

if TYPE_CHECKING:
    import pandas

_GAPS = frozenset({"", "na", "n/a", "nan", "null", "none"})


def from_csv(
    path: str | Path,
    time: str | None,
    values: ColumnChoice | None,
    forcing: ForcingChoice,
    separator: str,
) -> Columns:
    """Columns of a CSV file with a line of names; `time` None: column ``t``, else the first."""
    frame = table(path, separator)
    if time is None:
        time = first_column(frame.columns)
    return from_pandas(frame, time, values, forcing, existing(path))


def first_column(names: Iterable[str]) -> str:
    """Return the column of times where none is named: ``t``, else the first."""
    every = list(names)
    return "t" if "t" in every else every[0]


def table(path: str | Path, separator: str) -> pandas.DataFrame:
    """Read a CSV file with a line of names; numbers are numbers, other cells text."""
    import pandas

    if len(separator) != 1:
        raise OptionError(
            f"separator: expected one character, such as ',' or ';', got {separator!r}."
        )
    where = existing(path)
    names, rows = _rows(path, where, separator)
    cells = [[_cell(text) for text in row] for row in rows]
    return pandas.DataFrame(cells, columns=names, dtype=object)


def _rows(path: str | Path, where: str, separator: str) -> tuple[list[str], list[list[str]]]:
    """Read the names in the first line and the rows below; lines without any text are skipped."""
    rows: list[list[str]] = []
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=separator)
            for cells in reader:
                row = [cell.strip() for cell in cells]
                if not any(row):
                    continue
                if rows and len(row) != len(rows[0]):
                    raise DataError(
                        f"{where}, line {reader.line_num}: expected {len(rows[0])} cells, as many "
                        f"as there are names, got {len(row)}. Leave a cell empty for a gap."
                    )
                rows.append(row)
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{where} cannot be read as CSV: {error}.") from error
    if len(rows) < 2:
        raise DataError(f"{where}: expected a line of names and rows of numbers, got {len(rows)}.")
    names = rows[0]
    if not any(isinstance(_cell(name), str) for name in names):
        raise DataError(
            f"{where}: expected column names in the first line, got {', '.join(names)}. "
            "Add a line such as t,x,y at the top."
        )
    if len(names) == 1:
        raise DataError(
            f"{where}: expected a time column and at least one more, got the one column "
            f"{names[0]!r}. If something else than a comma separates them, pass separator=';' or "
            "the like."
        )
    return names, rows[1:]


def _cell(text: str) -> float | str:
    """Convert to a number, nan for a gap; what is neither stays text, and is refused if used."""
    if text.lower() in _GAPS:
        return math.nan
    try:
        return text if "_" in text else float(text)
    except ValueError:
        return text
