"""What `Action.backpropagate` takes from the user, brought to arrays."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from reprlib import repr as short
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike

from symda.analyse.backpropagation import Backpropagation, together
from symda.analyse.backpropagation import backpropagate as through
from symda.api.forced import forced
from symda.api.machine import machine
from symda.api.preflight import ProblemWarning, jump_warnings
from symda.api.simulate import initial_state, parameter_vector
from symda.build.kernels import matrices_of
from symda.errors import DataError, OptionError, SolveError
from symda.scale import words
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.api.specification import Specification
    from symda.observe import Problem

WHERE = "backpropagate"
#: An initial state.
Initial: TypeAlias = ArrayLike | Mapping[str, float]


def backpropagate(
    specification: Specification,
    problem: Problem,
    initial: Initial | Mapping[str, Initial],
    parameters: Mapping[str, ArrayLike] | ArrayLike | None,
) -> Backpropagation:
    """See `Action.backpropagate`."""
    if specification.matrix_free:
        raise OptionError(
            f"{WHERE}: a matrix-free action has no Jacobians of its steps; make it with "
            "matrix_free=False."
        )
    if len(problem.segments) == 1:
        return _of_one(specification, problem, cast("Initial", initial), parameters)
    names = [segment.name for segment in problem.segments]
    if not isinstance(initial, Mapping) or set(initial) != set(names):
        got = ", ".join(map(str, initial)) if isinstance(initial, Mapping) else short(initial)
        raise DataError(
            f"{WHERE}: initial must be a mapping of each experiment ({', '.join(names)}) to its "
            f"initial state, got {got}."
        )
    if parameters is not None and not isinstance(parameters, Mapping):
        raise DataError(
            f"{WHERE}: of several experiments parameters must be a mapping of names to numbers, "
            f"got {short(parameters)}."
        )
    stems = [p.name for p in specification.parameters] + [
        w.name for w in specification.model.per_step
    ]
    parts: dict[str, Backpropagation] = {}
    for name, one in zip(names, problem.experiments, strict=True):
        own = _of_experiment(parameters or {}, stems, name, names)
        try:
            parts[name] = _of_one(specification, one, initial[name], own)
        except (DataError, OptionError, SolveError) as error:
            raise type(error)(f"experiment {name!r}: {error}") from error
    return together(problem, parts)


def _of_experiment(
    given: Mapping[str, ArrayLike], stems: Sequence[str], name: str, names: Sequence[str]
) -> dict[str, ArrayLike]:
    """Return the values of one experiment: its own, "k[name]", go before those of all, "k"."""
    others = {f"{stem}[{other}]" for stem in stems for other in names if other != name}
    mine = {f"{stem}[{name}]": stem for stem in stems}
    values = {str(key): value for key, value in given.items() if str(key) not in others}
    return {key: value for key, value in values.items() if key not in mine} | {
        mine[key]: value for key, value in values.items() if key in mine
    }


def _of_one(
    specification: Specification,
    problem: Problem,
    initial: Initial,
    parameters: Mapping[str, ArrayLike] | ArrayLike | None,
) -> Backpropagation:
    """Go through one recording."""
    own = [w.name for w in specification.model.per_step]
    constants = parameters
    values: dict[str, FloatArray] = {}
    if own:
        named = parameters if isinstance(parameters, Mapping) else {}
        given = {str(key): value for key, value in named.items()}
        values = {name: _at_points(name, given.get(name), problem) for name in own}
        constants = {name: value for name, value in given.items() if name not in values}
    path = np.zeros((problem.M, problem.D))
    moving = [a for a, name in enumerate(problem.states) if name not in values]
    path[0, moving] = initial_state(forced(specification.model), initial, where=WHERE)
    for name, column in values.items():
        path[:, problem.states.index(name)] = column
    theta = parameter_vector(specification.declarations, constants, where=WHERE)
    for text in jump_warnings(specification.model, problem):
        warnings.warn(f"{WHERE}: {text}", ProblemWarning, stacklevel=4)
    at = machine(specification).at(problem)
    path[1:, moving] = path[0, moving]
    path, theta = problem.internal(path, theta)
    placeless = [a for a in range(problem.D) if not np.isfinite(path[:, a]).all()]
    for a in placeless:
        scale = problem.scales[a]
        raise DataError(
            f"{WHERE}: {problem.states[a]!r} has a value without a {words(scale)} "
            f"(scale={scale.name!r}). Pass values inside."
        )
    for i in np.flatnonzero(~np.isfinite(theta)):
        scale = problem.scales[problem.D + i]
        raise DataError(
            f"{WHERE}: parameters[{problem.parameters[i]!r}] has no {words(scale)} "
            f"(scale={scale.name!r}). Pass a value inside."
        )
    return through(
        matrices_of(at, "Jacobian of a step"), path, theta, explicit=specification.scheme.explicit
    )


def _at_points(name: str, given: ArrayLike | None, problem: Problem) -> FloatArray:
    """Bring values of a parameter per step to all M grid points."""
    N, M = problem.N, problem.M
    every = f"{M} grid points" + (f", or {N} steps" if M == N + 1 else "")
    fix = f"pass parameters={{{name!r}: ...}} with a number, or a value for each of the {every}"
    if given is None:
        raise DataError(f"{WHERE}: no values for the parameter per step {name!r}; {fix}.")
    try:
        values = np.asarray(given, dtype=float)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{WHERE}: parameters[{name!r}] is not numbers; {fix}.") from None
    if values.shape == (N,) and M == N + 1:
        # the last grid point has no step: its value acts on measurements only
        values = np.append(values, values[-1])
    if values.shape not in ((), (M,)) or not np.isfinite(values).all():
        got = f"shape {values.shape}" if np.isfinite(values).all() else "values that are not finite"
        raise DataError(f"{WHERE}: parameters[{name!r}]: got {got}; {fix}.")
    return np.broadcast_to(values, (M,)).astype(float)
