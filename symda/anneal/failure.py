"""Why a rung failed, in words that say what to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from symda.build.kernels import has_matrices
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.build.abstract import Evaluator, Kernels
    from symda.observe import Problem


#: Model precision in units of the data's above which doubles, with their 16 digits, lose
#: the data.
DIGITS = 1e16

_NARROW = "narrow bounds= and start= to where the equations can be evaluated"


def explain(
    kernels: Kernels,
    problem: Problem,
    start: tuple[FloatArray, FloatArray],
    rf: FloatArray,
    words: str,
) -> str:
    """Explain a failed rung by the point it started from.

    Parameters
    ----------
    kernels, problem
        What the solver minimised.
    start : (M, D) and (P,)
        Path and parameters where the rung started.
    rf : (D,)
        Its model precision.
    words
        The solver's own message.

    Returns
    -------
    str
        What is not finite there, or which numbers doubles cannot hold together; the solver's words
        in brackets, or without brackets if nothing is wrong with the point.
    """
    words = words.strip(" :.")
    with np.errstate(all="ignore"):
        reason = _reason(kernels.at(problem), *start, rf)
    return f"{reason} ({words})" if reason else words


def _reason(at: Evaluator, path: FloatArray, theta: FloatArray, rf: FloatArray) -> str:
    problem, most = at.problem, float(rf.max())
    beyond = f"Rf = {most:.3g} is too large for doubles"
    end = "end the ladder before this rung"
    if not np.isfinite(most * problem.weight.max()):
        return f"{beyond}, divided by a step of {problem.shortest:.3g}: {end}"
    measurement_term, model_term = at.terms(path, theta, rf)
    if not np.isfinite(measurement_term):
        finite = np.isfinite(at.measure(path, theta))
        fits = (finite | (problem.rm == 0.0)).all(axis=0)
        if fits.all():
            return (
                "the cost of the data is not finite where the rung starts: scale the data, or "
                + _NARROW
            )
        channel = problem.channels[int(np.argmin(fits))]
        return f"the measured quantity {channel} is not finite where the rung starts: {_NARROW}"
    if not np.isfinite(model_term):
        residual = at.residual(path, theta)
        bad = np.argwhere(~np.isfinite(residual))
        if bad.size:
            n, a = bad[0]
            state = problem.states[int(a) % problem.D]
            where = problem.named(problem.left_points[n])
            return f"step {n} of {state}{where} is not finite where the rung starts: {_NARROW}"
        largest = np.abs(residual).max()
        if not np.isfinite(np.square(largest)):
            return f"model errors of {largest:.3g}, squared, are too large for doubles: {_NARROW}"
        return f"{beyond}, times the squared residual: {end}"
    if not np.isfinite(at.gradient(path, theta, rf)).all():
        return f"{_broken_derivative(at, path, theta)} where the rung starts: {_NARROW}"
    ratio = precision_ratio(problem, rf)
    if ratio > DIGITS:
        return f"Rf = {most:.3g} is {ratio:.1g} times Rm, and doubles have 16 digits: {end}"
    return ""


def _broken_derivative(at: Evaluator, path: FloatArray, theta: FloatArray) -> str:
    """Name equation, time and variable of a derivative that is not finite."""
    problem = at.problem
    names = [*problem.states, *problem.kernel_parameters]
    if has_matrices(at):
        rows, columns = at.kernels.functions["step_jacobian"].sparsity_out(0).get_triplet()
        slopes = at.kernels.engine.step_jacobian(path, at.packed.pieces(theta), at.packed.steps)
        bad = np.argwhere(~np.isfinite(slopes))
        if bad.size:
            n, q = bad[0]
            column, seen = columns[q], problem.E + problem.D
            name = names[column % problem.D if column < seen else column - seen + problem.D]
            state = problem.states[rows[q] % problem.D]
            return (
                f"the derivative by {name} of the equation of {state} is {slopes[n, q]} at t = "
                f"{problem.left_times[n]:.6g}{problem.named(problem.left_points[n])}"
            )
        slopes = at.measure_slopes(path, theta)[1]
        bad = np.argwhere(~np.isfinite(slopes) & (problem.rm > 0.0)[:, :, None])
        if bad.size:
            m, l, q = bad[0]
            return (
                f"the derivative by {names[q]} of the measured quantity {problem.channels[l]} is "
                f"{slopes[m, l, q]} at t = {problem.times[m]:.6g}{problem.named(m)}"
            )
    return "the action has no finite derivatives"


def precision_ratio(problem: Problem, rf: FloatArray) -> float:
    """Return the largest weight of a squared model error in units of the data's, Rf / Rm.

    Errors and data each by their own variance, so that units do not matter.
    """
    with np.errstate(over="ignore"):
        errors = float((rf * problem.variances).max() * problem.weight.max())
        return errors / (problem.signal * problem.measurement_scale)
