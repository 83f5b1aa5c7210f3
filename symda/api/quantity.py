"""A quantity of states and parameters, as users write it, along paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import sympy as sp

from symda.errors import OptionError
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.api.specification import Specification
    from symda.observe import Problem

#: Functionals of the path that have a name.
FUNCTIONALS = ("mean", "integral")


class Quantity:
    """An expression G of states, parameters and time.

    Parameters
    ----------
    specification, problem
        Of a run.
    quantity : Expr

    Raises
    ------
    OptionError
        For symbols that are no states or parameters.
    """

    def __init__(self, specification: Specification, problem: Problem, quantity: sp.Expr) -> None:
        from symda.derive.quantity import quantity as derived

        if not isinstance(quantity, sp.Basic | int | float):
            raise OptionError(
                f"expected: a quantity is one expression, got {type(quantity).__name__}."
            )
        model = specification.model
        expression = sp.sympify(quantity)
        known = {*model.states, *specification.parameters}
        known |= {model.time} if model.time else set()
        other = sorted(str(s) for s in expression.free_symbols - known)
        if other or not isinstance(expression, sp.Expr):
            what = f"it has {', '.join(other)}" if other else f"got {quantity!r}"
            raise OptionError(
                "expected: a quantity is an expression of states and parameters of the model "
                f"{model.name!r}: {what}. It has the states {', '.join(problem.states)}."
            )
        self._problem = problem
        parameters, time = specification.parameters, model.time
        self._function = derived(expression, model.states, parameters, time)

    def along(self, paths: FloatArray, thetas: FloatArray) -> FloatArray:
        """Return G along paths (S, M, D) with parameters (S, P) in the user's units, (S, M)."""
        p = self._problem
        found = np.empty(paths.shape[:2])
        for segment, use in zip(p.segments, p.use, strict=True):
            own = segment.own_points
            S, count = len(paths), segment.points
            values, _ = self._function.map(S * count)(
                paths[:, own].reshape(S * count, -1).T,
                np.repeat(thetas[:, use], count, axis=0).T,
                np.tile(p.times[own], S)[None],
            )
            found[:, own] = np.asarray(values.full()).reshape(S, count)
        return found

    def with_slopes(
        self, path: FloatArray, theta: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return G and its derivatives along a path (M, D) with parameters (P,).

        These and the derivatives, (M, D) and (M, P), are in what solvers move.
        """
        p = self._problem
        slopes = p.slopes(path, theta)
        path, theta = p.natural(path, theta)
        values = np.empty(p.M)
        by_state, by_parameter = np.empty((p.M, p.D)), np.zeros((p.M, p.P))
        for segment, use in zip(p.segments, p.use, strict=True):
            own = segment.own_points
            count = segment.points
            found, slope = self._function.map(count)(
                path[own].T, np.tile(theta[use][:, None], (1, count)), p.times[own][None]
            )
            values[own] = np.asarray(found.full()).reshape(-1)
            both = np.asarray(slope.full()).reshape(count, -1)
            by_state[own] = both[:, : p.D]
            by_parameter[np.ix_(np.arange(p.M)[own], use)] = both[:, p.D :]
        return values, by_state * slopes[0], by_parameter * slopes[1]

    def over(self, over: str | FloatArray) -> FloatArray:
        """Return the weight of each grid point, (M,).

        Raises
        ------
        OptionError
            For other names, or weights of another shape.
        """
        p = self._problem
        if isinstance(over, str):
            if over not in FUNCTIONALS:
                raise OptionError(
                    f"expected: over is one of {', '.join(map(repr, FUNCTIONALS))}, or a weight "
                    f"for each of {p.M} grid points; got {over!r}."
                )
            weights, length = np.zeros(p.M), 0.0
            for segment in p.segments:
                at = np.arange(p.M)[segment.own_points]
                steps = np.diff(p.times[at])
                weights[at[:-1]] += 0.5 * steps
                weights[at[1:]] += 0.5 * steps
                length += float(steps.sum())
            return weights / length if over == "mean" else weights
        try:
            weights = np.asarray(over, dtype=float)
        except (TypeError, ValueError):
            weights = np.empty(0)
        if weights.shape != (p.M,) or not np.isfinite(weights).all():
            raise OptionError(
                f"expected: over has a finite weight for each of {p.M} grid points, whose times "
                f"are posterior.mean['time']; got the shape {weights.shape}."
            )
        return weights
