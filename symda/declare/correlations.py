"""What a user says of how the errors of a model's equations go together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from symda.checks import number
from symda.correlations import ErrorCorrelations
from symda.declare.model import Model
from symda.declare.symbols import State, StepParameter
from symda.errors import OptionError, nearest
from symda.labelled import in_order
from symda.types import FloatArray

#: Correlations with an eigenvalue below this make one error a combination of others.
LEAST = 1e-10
#: Entries that differ by less are the same correlation.
ROUNDING = 1e-12


def know_correlations(model: Model, given: object) -> ErrorCorrelations | None:
    """Check what a user says of the correlations of the model's errors.

    Parameters
    ----------
    model : Model
    given : mapping of (State or str, State or str) to float, or array_like
        Correlations of pairs of states, 0 for others; or the matrix of all states that have an
        equation, in the model's order.

    Returns
    -------
    ErrorCorrelations or None
        None if there are none.

    Raises
    ------
    OptionError
        If it is neither, names what has no error, or is no matrix of correlations.
    """
    if given is None:
        return None
    ruled = [s.name for s in model.states if not isinstance(s, StepParameter)]
    found = _of_pairs(model, ruled, given) if isinstance(given, Mapping) else _plain(ruled, given)
    least = float(np.linalg.eigvalsh(found)[0])
    if not least > LEAST:
        raise _refusal(
            f"the matrix has the eigenvalue {least:.3g}, and all must be positive: no errors are "
            "correlated like this, or one is a combination of others. Make correlations smaller."
        )
    if not (found - np.eye(len(ruled))).any():
        return None
    matrix = np.eye(len(model.states))
    at = [a for a, s in enumerate(model.states) if not isinstance(s, StepParameter)]
    matrix[np.ix_(at, at)] = found
    return ErrorCorrelations(matrix)


def _of_pairs(model: Model, ruled: list[str], given: Mapping[object, object]) -> FloatArray:
    matrix = np.eye(len(ruled))
    seen: set[frozenset[str]] = set()
    for pair, value in given.items():
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise _refusal(
                f"a key is a pair of states, such as ({', '.join(map(repr, ruled[:2]))}), got "
                f"{pair!r}."
            )
        names = tuple(_state(model, ruled, one) for one in pair)
        if names[0] == names[1]:
            raise _refusal(f"{names[0]!r} is paired with itself; the keys are pairs of two states.")
        if frozenset(names) in seen:
            raise _refusal(f"the pair of {names[0]!r} and {names[1]!r} is given twice.")
        seen.add(frozenset(names))
        got = number(value, f"Action: error_correlations[{names[0]!r}, {names[1]!r}]")
        if not -1.0 < got < 1.0:
            raise _refusal(
                f"that of {names[0]!r} and {names[1]!r} must be between -1 and 1, got {got:g}."
            )
        i, j = (ruled.index(name) for name in names)
        matrix[i, j] = matrix[j, i] = got
    return matrix


def _state(model: Model, ruled: list[str], given: object) -> str:
    name = given.name if isinstance(given, State) else given
    if name in ruled:
        return str(name)
    if any(s.name == name for s in model.states):
        raise _refusal(
            f"{name!r} is a parameter per step: it has no equation, so no error that could go with "
            "another. Leave it out."
        )
    raise _refusal(
        f"{name!r} is no state of the model.{nearest(str(name), ruled)} Its states are "
        f"{', '.join(ruled[:20])}."
    )


def _plain(ruled: list[str], given: object) -> FloatArray:
    n = len(ruled)
    try:
        ordered = in_order(given, ruled)
    except KeyError as error:
        raise _refusal(
            f"the rows and columns of the matrix are {error.args[0]}, and the states "
            f"{', '.join(ruled[:20])}. Label it by the states, or pass a plain array in their "
            "order."
        ) from None
    try:
        matrix = np.array(given if ordered is None else ordered, dtype=float)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.shape != (n, n):
        shape = np.shape(given) if isinstance(given, np.ndarray | list | tuple) else given
        raise _refusal(
            f"expected a matrix of the shape {(n, n)}, a row and a column for each of "
            f"{', '.join(ruled[:20])}, or a mapping of pairs to numbers, got {shape!r}."
        )
    if not np.isfinite(matrix).all():
        raise _refusal("the matrix has entries that are not finite.")
    uneven = np.abs(matrix - matrix.T)
    if uneven.max() > ROUNDING:
        i, j = sorted(np.unravel_index(int(uneven.argmax()), uneven.shape))
        raise _refusal(
            f"the matrix is not symmetric: {ruled[i]!r} with {ruled[j]!r} is {matrix[i, j]:g}, "
            f"{ruled[j]!r} with {ruled[i]!r} is {matrix[j, i]:g}."
        )
    diagonal = np.diag(matrix)
    if (np.abs(diagonal - 1.0) > ROUNDING).any():
        raise _refusal(
            f"the diagonal must be 1, got {', '.join(f'{v:g}' for v in diagonal[:20])}. Of a "
            "covariance Q, with s = np.sqrt(np.diag(Q)), pass Q / np.outer(s, s), and the sizes to "
            "the ladder: sd.Ladder(rf0=1 / s**2); of a precision first take the inverse."
        )
    even: FloatArray = 0.5 * (matrix + matrix.T)
    np.fill_diagonal(even, 1.0)
    return even


def _refusal(what: str) -> OptionError:
    return OptionError(f"Action: error_correlations: {what}")
