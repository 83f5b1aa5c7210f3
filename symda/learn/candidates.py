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

#: Terms depend on each other where a combination of them of unit size is below this.
DEPENDENT = 1e-8
#: A state is nearly constant if its standard deviation is below this share of its size.
STILL = 1e-3


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


def check_independent(candidates: Library, theta: FloatArray, X: FloatArray, where: str) -> None:
    """Raise `DataError` if terms of a rate depend on each other.

    Parameters
    ----------
    theta : (R, T)
        The terms along the data, or integrals of them.
    X : (K, D)
        States of the data.
    """
    size = np.sqrt((theta**2).mean(axis=0))
    # the triangle has the same singular values as the table
    triangle = np.asarray(np.linalg.qr(theta / np.where(size > 0.0, size, 1.0), mode="r"))
    for x, row in zip(candidates.states, candidates.coefficients, strict=True):
        mine = np.array([c is not None for c in row])
        if not mine.any():
            continue
        _, sizes, directions = np.linalg.svd(triangle[:, mine])
        if sizes.size == mine.sum() and sizes[-1] > DEPENDENT * sizes[0]:
            continue
        share = np.abs(directions[-1])
        terms = [e for e, m in zip(candidates.terms, mine, strict=True) if m]
        named = [e for e, s in zip(terms, share, strict=True) if s > 1e-3 * share.max()]
        still = [
            f"{one.name} is nearly constant ({column.mean():.6g}, standard deviation "
            f"{column.std():.3g}); subtract its mean, or leave it out."
            for one, column in zip(candidates.states, X.T, strict=True)
            if column.std() < STILL * np.sqrt((column**2).mean()) and any(e.has(one) for e in named)
        ]
        raise DataError(
            f"{where}: the terms {', '.join(map(str, named))} depend on each other along these "
            f"data, so that the rate of {x.name} cannot tell them apart; "
            + (" ".join(still) or "leave one of them out of the library.")
        )
