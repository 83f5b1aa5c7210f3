"""What the methods share before they fit: a library for the columns of the data, gaps filled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symda.checks import choice
from symda.declare.fields import bilinear
from symda.declare.library import Library, library
from symda.declare.model import Model
from symda.declare.symbols import State, state
from symda.errors import DataError, OptionError
from symda.learn.series import Series
from symda.types import FloatArray, IntArray


def chosen_library(
    given: Library | None,
    degree: int,
    names: Sequence[str],
    where: str,
    *,
    hidden: bool = False,
) -> tuple[Library, IntArray]:
    """Return a library, and the column of the data of each of its states.

    Without one it has all monomials of states that are called as the columns are. Where states may
    be `hidden`, those that no column is called as have the number -1.

    Raises
    ------
    OptionError
        If it is none.
    DataError
        If it does not have a state for each column.
    """
    if given is None:
        return library(states_of(names), degree), np.arange(len(names))
    if not isinstance(given, Library):
        raise OptionError(
            f"{where}: library must be one of symda.learn.library, got {type(given).__name__}."
        )
    states = [x.name for x in given.states]
    if hidden and set(names) < set(states):
        return given, np.array([names.index(x) if x in names else -1 for x in states])
    return given, columns_of(given, names, where)


def chosen_field(
    form: str, given: Library | None, degree: int, names: Sequence[str], where: str
) -> tuple[Model, IntArray]:
    """Return rates with parameters, and the column of the data of each of their states.

    Raises
    ------
    OptionError, DataError
        If there is no such form, or as for `chosen_library`.
    """
    choice(form, f"{where}: form", ("library", "bilinear"))
    if form == "library":
        return chosen_library(given, degree, names, where)
    if given is not None:
        raise OptionError(f"{where}: a library has the form 'library', got form={form!r}.")
    return bilinear(states_of(names), len(names), len(names)), np.arange(len(names))


def states_of(names: Sequence[str]) -> list[State]:
    """Return states that are called as the columns of the data are."""
    return [state(name) for name in names]


def columns_of(model: Model, names: Sequence[str], where: str) -> IntArray:
    """Return the column of each state: by name if all names are states, else by position.

    Raises
    ------
    DataError
        If there are not as many.
    """
    states = [x.name for x in model.states]
    if len(states) != len(names):
        raise DataError(
            f"{where}: {model.name!r} has the states {', '.join(states)}, the data have columns "
            f"{', '.join(names)}; there must be one of each."
        )
    if set(states) == set(names):
        return np.array([list(names).index(one) for one in states])
    unnamed = [f"x{i}" for i in range(len(names))]
    if set(states) & set(names) and list(names) != unnamed:
        raise DataError(
            f"{where}: the data have columns {', '.join(names)}, the states are called "
            f"{', '.join(states)}; call all of them alike, or none, then they go by position."
        )
    return np.arange(len(states))


def filled(one: Series, names: Sequence[str], where: str) -> tuple[FloatArray, FloatArray]:
    """Return times (T,) and values (T, D), linear in gaps.

    What lies before the first value of a component, or behind its last, is left out.

    Raises
    ------
    DataError
        If fewer than three times are left.
    """
    seen = np.isfinite(one.values)
    for name, column in zip(names, seen.T, strict=True):
        if not column.any():
            raise DataError(
                f"{where}: {name} is never measured in recording {one.name}; this method needs "
                "values of every state."
            )
    first = int(seen.argmax(axis=0).max())
    last = len(seen) - int(seen[::-1].argmax(axis=0).max())
    if last - first < 3:
        raise DataError(
            f"{where}: recording {one.name} has {max(0, last - first)} times at which every state "
            "is measured, or lies between two that are; at least 3 are needed."
        )
    columns = [
        np.interp(one.times, one.times[kept], column[kept])
        for column, kept in zip(one.values.T, seen.T, strict=True)
    ]
    return one.times[first:last], np.column_stack(columns)[first:last]
