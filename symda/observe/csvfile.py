"""CSV files -> named columns; every number is read exactly as Python reads it."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from symda.errors import DataError, OptionError
from symda.observe.tables import (
    ColumnChoice,
    Columns,
    ForcingChoice,
    existing,
    from_pandas,
    no_column,
)

if TYPE_CHECKING:
    import pandas

#: Separators that are looked for where the one given is none.
SEPARATORS = (";", "\t", "|", ",", " ")
_GAPS = frozenset({"", "na", "n/a", "nan", "null", "none"})


def from_csv(
    path: str | Path,
    time: str | None,
    values: ColumnChoice | None,
    forcing: ForcingChoice,
    separator: str,
) -> Columns:
    """Columns of a CSV file with a line of names; `time` None: as `time_column`."""
    frame, where = table(path, separator), existing(path)
    return from_pandas(frame, time_column(frame.columns, time, where), values, forcing, where)


def time_column(names: Iterable[str], time: str | None, where: str) -> str:
    """Return the column of times; where none is named ``t``, ``time`` or else the first.

    Raises
    ------
    DataError
        If there is none of that name.
    """
    every = list(names)
    if time is None:
        return next((name for name in ("t", "time") if name in every), every[0])
    if time not in every:
        raise DataError(no_column(where, time, every, "time"))
    return time


def table(path: str | Path, separator: str) -> pandas.DataFrame:
    """Read a CSV file with a line of names; numbers are numbers, other cells text.

    Rows are labelled by their lines in the file.
    """
    import pandas

    if not isinstance(separator, str) or len(separator) != 1:
        raise OptionError(
            f"separator: expected one character, such as ',' or ';', got {separator!r}."
        )
    where = existing(path)
    names, rows = _rows(path, where, separator)
    lines = pandas.Index(list(rows), name="line")
    return pandas.DataFrame(list(rows.values()), lines, names, dtype=object)


def _rows(
    path: str | Path, where: str, separator: str
) -> tuple[list[str], dict[int, list[float | str]]]:
    """Read the names in the first line and the rows below by their lines; empty lines are none."""
    names: list[str] = []
    rows: dict[int, list[float | str]] = {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=separator)
            for cells in reader:
                row = [cell.strip() for cell in cells]
                if not any(row):
                    continue
                if not names:
                    names = row
                    _check_names(names, where, separator)
                else:
                    rows[reader.line_num] = _row(row, names, f"{where}, line {reader.line_num}")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where} cannot be read as CSV: it is no text in UTF-8, from byte {error.start} on "
            f"({error.reason}). Save it as CSV in UTF-8 with the program it comes from."
        ) from error
    except (csv.Error, OSError) as error:
        raise DataError(f"{where} cannot be read as CSV: {error}.") from error
    if not rows:
        count = 1 if names else 0
        raise DataError(f"{where}: expected a line of names and rows of numbers, got {count}.")
    return names, rows


def _check_names(names: Sequence[str], where: str, separator: str) -> None:
    """Refuse a first line that holds numbers, or one name only."""
    if not any(isinstance(_cell(name), str) for name in names):
        raise DataError(
            f"{where}: expected column names in the first line, got {', '.join(names)}. "
            "Add a line such as t,x,y at the top."
        )
    if len(names) == 1:
        other = next((one for one in SEPARATORS if one != separator and one in names[0]), None)
        fix = f" If {other!r} separates its names, pass separator={other!r}." if other else ""
        raise DataError(
            f"{where}: expected a time column and at least one more, got the one column "
            f"{names[0]!r}.{fix} If it is a remark, delete the line."
        )


def _row(row: Sequence[str], names: Sequence[str], where: str) -> list[float | str]:
    """Convert the cells of a row, of which there are as many as names, one of them a number."""
    if len(row) != len(names):
        fix = (
            "Leave a cell empty for a gap."
            if len(row) < len(names)
            else "A separator at the end of a line, or within a number, makes one more."
        )
        raise DataError(
            f"{where}: expected {len(names)} cells, as many as there are names, got {len(row)}. "
            f"{fix}"
        )
    cells = [_cell(text) for text in row]
    # nA is a unit, and na a gap
    if any(isinstance(cell, str) for cell in cells) and not any(c.isdigit() for c in "".join(row)):
        raise DataError(
            f"{where}: expected a row of numbers, got {', '.join(filter(None, row))}. If these are "
            "units or a remark, delete the line."
        )
    return cells


def _cell(text: str) -> float | str:
    """Convert to a number, nan for a gap; what is neither stays text, and is refused if used."""
    if text.lower() in _GAPS:
        return math.nan
    try:
        return text if "_" in text else float(text)
    except ValueError:
        return text
