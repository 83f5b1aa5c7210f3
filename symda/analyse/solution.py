"""Whether a path is a solution: of the scheme's equations, and of the model's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse.assessment import Shift
from symda.analyse.posterior import Posterior
from symda.covariance import whitened
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from symda.analyse.scheme_error import SchemeError
    from symda.build.kernels import BlockEvaluator


#: Deviation of a free run from the path at which it counts as gone, in standard deviations of the
#: noise; and the sum of its causes, in the same units, that would explain no such thing.
GONE, EXPLAINED = 2.0, 0.5
#: Numbers of the Jacobians that are held at once.
BLOCK = 10_000_000
#: Distance of a step's end from the solution, as a share of the state's size, that is looked at.
STRAYED = 1e-6
#: The same where the step was integrated by an implicit method.
STIFF_STRAYED = 1e-2


def shift_of(
    evaluator: BlockEvaluator,
    X: FloatArray,
    theta: FloatArray,
    moved: FloatArray,
    laplace: Posterior | None,
) -> Shift:
    """Measure a change of the unknowns in standard deviations."""
    p = evaluator.problem
    dX, dtheta = p.unknowns.split(evaluator.given.along(moved, theta))
    fit = _fit_change(evaluator, X, theta, dX, dtheta)
    m, l = np.unravel_index(int(np.argmax(np.nan_to_num(fit, nan=np.inf))), fit.shape)
    shift = Shift(
        fit=float(fit[m, l]),
        channel=p.channels[l],
        time=float(p.times[m]),
        experiment=p.segments[p.point_experiments[m]].name if len(p.segments) > 1 else "",
    )
    if laplace is None:
        return shift
    sds = np.array([laplace.internal_sd[name] for name in laplace.names])
    values = np.array([dtheta[p.parameters.index(name)] for name in laplace.names])
    # a parameter without an end, or at its bound, does not count
    share = np.abs(values) / np.where(np.isfinite(sds), sds, np.inf)
    if not share.size:
        return shift
    i = int(np.argmax(np.nan_to_num(share, nan=-1.0)))
    at = p.parameters.index(laplace.names[i])
    own = 1.0 if p.scaled[p.D + at] else abs(theta[at])
    return replace(
        shift,
        parameter=laplace.names[i],
        sds=float(share[i]),
        share=float(abs(values[i]) / own) if own else 0.0,
    )


def _fit_change(
    evaluator: BlockEvaluator, X: FloatArray, theta: FloatArray, dX: FloatArray, dtheta: FloatArray
) -> FloatArray:
    """Return the change (M, L) of measured quantities, in standard deviations of their noise.

    Of correlated noise it is whitened.
    """
    p = evaluator.problem
    step = 1e-4
    up = evaluator.measure(X + step * dX, theta + step * dtheta)
    down = evaluator.measure(X - step * dX, theta - step * dtheta)
    change = (up - down) / (2.0 * step)
    if p.covariance is not None:
        white = np.abs(whitened(p.covariance, change))
        return np.where(np.isnan(white), _by_misfit(evaluator, X, theta, change), white)
    return _by_misfit(evaluator, X, theta, change)


def _by_misfit(
    evaluator: BlockEvaluator, X: FloatArray, theta: FloatArray, change: FloatArray
) -> FloatArray:
    """Return a change (M, L) in standard deviations of independent noise."""
    p = evaluator.problem
    rm = np.where(p.own_scale, 0.0, p.rm / p.measurement_scale)
    for l in np.flatnonzero(p.own_scale):
        # the noise's own scale is near the misfit's
        seen = p.rm[:, l] > 0.0
        misfit = float(np.mean((evaluator.measure(X, theta)[seen, l] - p.y[seen, l]) ** 2))
        rm[seen, l] = 1.0 / misfit if misfit > 0.0 else 0.0
    return np.where(p.rm > 0.0, np.abs(change) * np.sqrt(rm), 0.0)


def free_run(
    evaluator: BlockEvaluator, X: FloatArray, theta: FloatArray, defect: FloatArray
) -> tuple[float, float, bool]:
    """Follow the deviation of the equations' own solution, from the first state of an experiment.

    Parameters
    ----------
    defect : (N, D)
        What each step misses of the solution from its left end.

    Returns
    -------
    follows : float
        Time until which it stays within `GONE` standard deviations of the noise.
    growth : float
        Largest factor by which a deviation is enlarged, each state in units of its largest value.
    explained : bool
        Whether the sum of what the steps miss would be small without that growth, which is large
        enough for it.
    """
    p = evaluator.problem
    stride = 1 + p.interior
    # states have units; an enlargement has none
    sizes = p.magnitudes(X, theta)[: p.D]
    deviation, plain = np.zeros((p.M, p.D)), np.zeros((p.M, p.D))
    spread, growth = np.eye(p.D), 1.0
    for n, tangent in enumerate(_tangents(evaluator, X, theta)):
        end = (n + 1) * stride
        deviation[end] = tangent @ deviation[end - stride] - defect[n]
        plain[end] = plain[end - stride] + np.abs(defect[n])
        deviation[end - stride + 1 : end] = deviation[end]
        plain[end - stride + 1 : end] = plain[end]
        spread = tangent @ spread
        growth = max(growth, float((np.abs(spread) * sizes / sizes[:, None]).max()))
    zero = np.zeros(theta.size)
    off = _fit_change(evaluator, X, theta, deviation, zero)
    missed = _fit_change(evaluator, X, theta, plain, zero)
    gone = np.flatnonzero(~(off <= GONE).all(axis=1))
    if not gone.size:
        return float(p.times[-1]), growth, True
    first = int(gone[0])
    small = bool((missed[: first + 1] <= EXPLAINED).all())
    return float(p.times[first]), growth, small and not growth < GONE / EXPLAINED


def strays(
    evaluator: BlockEvaluator, X: FloatArray, theta: FloatArray, error: SchemeError
) -> BoolArray:
    """Tell which steps (N,) end on another root of the scheme than that of the solution.

    An implicit scheme has several; beyond a pole of the equations, for instance. By the residuals
    only the path is as good a solution there, so they are compared with how far it is from it.
    """
    p = evaluator.problem
    apart = evaluator.residual(X, theta).reshape(p.N, -1) - error.residual
    near = np.empty((p.N, p.D))
    try:
        for some, _, after in _step_blocks(evaluator, X, theta):
            near[some] = np.linalg.solve(after, apart[some][:, :, None])[:, p.E - p.D :, 0]
    except np.linalg.LinAlgError:
        return np.zeros(p.N, dtype=bool)
    size = np.abs(error.defect)
    share = np.full((p.N, 1), STRAYED)
    # residuals of stiff components nearly cancel, so that the linear step is a rough one
    share[error.stiff] = STIFF_STRAYED
    far = size > share * p.magnitudes(X, theta)[: p.D]
    other = ~(np.abs(error.defect - near) <= 0.5 * size)
    found: BoolArray = error.settled & (far & other).any(axis=1)
    return found


def _step_blocks(
    evaluator: BlockEvaluator, X: FloatArray, theta: FloatArray
) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
    """Yield Jacobians of some steps' residuals by their left ends, (E, D), and the rest, (E, E)."""
    p = evaluator.problem
    packed = evaluator.packed
    values = evaluator.kernels.engine.step_jacobian(X, packed.pieces(theta), packed.steps)
    triplet = evaluator.kernels.functions["step_jacobian"].sparsity_out(0).get_triplet()
    rows, columns = (np.asarray(numbers) for numbers in triplet)
    width = p.E + p.D
    states = np.flatnonzero(columns < width)
    count = max(1, BLOCK // (p.E * width))
    for begin in range(0, p.N, count):
        some = slice(begin, min(begin + count, p.N))
        full = np.zeros((some.stop - begin, p.E, width))
        full[:, rows[states], columns[states]] = values[some][:, states]
        yield some, full[:, :, : p.D], full[:, :, p.D :]


def step_covariance(
    evaluator: BlockEvaluator, X: FloatArray, theta: FloatArray, rf: FloatArray, n: int
) -> FloatArray:
    """Return the covariance (D, D) of where step n ends, from a known beginning.

    Errors of all its residuals of precision Rf add up to it; of an explicit scheme it is that of
    the one residual, in independent components 1/Rf.
    """
    p = evaluator.problem
    spread = np.linalg.inv(
        evaluator.roots(rf)[n * p.E : (n + 1) * p.E][:, n * p.E : (n + 1) * p.E].toarray()
    )
    for some, _, after in _step_blocks(evaluator, X, theta):
        if some.start <= n < some.stop:
            moved = np.linalg.solve(after[n - some.start], spread)[p.E - p.D :]
            return np.asarray(moved @ moved.T)
    raise IndexError(n)


def exact_jacobian(
    evaluator: BlockEvaluator, X: FloatArray, theta: FloatArray, tangents: FloatArray
) -> csr_array:
    """Return the Jacobian of all residuals, (N E, M D + P), if the scheme were the solution.

    The residual's derivative A by what follows the left end stays; the residual then is A times
    the distance from the solution, as far as first order goes.

    Parameters
    ----------
    tangents : (N, E, D + p)
        Derivatives of the solution by left ends and parameters.
    """
    from scipy.sparse import coo_array

    p = evaluator.problem
    rows, columns, values = [], [], []
    for some, _, after in _step_blocks(evaluator, X, theta):
        steps, at = np.arange(some.start, some.stop), evaluator.layout.step_unknowns[some]
        back = -after @ tangents[some]
        block = np.concatenate([back[:, :, : p.D], after, back[:, :, p.D :]], axis=2)
        row = steps[:, None] * p.E + np.arange(p.E)
        shape = block.shape
        rows.append(np.broadcast_to(row[:, :, None], shape).reshape(-1))
        columns.append(np.broadcast_to(at[:, None, :], shape).reshape(-1))
        values.append(block.reshape(-1))
    where = np.concatenate(rows), np.concatenate(columns)
    jacobian: csr_array = coo_array(
        (np.concatenate(values), where), shape=(p.N * p.E, p.unknowns.count)
    ).tocsr()
    return evaluator.given.columns(jacobian, theta)


def _tangents(evaluator: BlockEvaluator, X: FloatArray, theta: FloatArray) -> Iterator[FloatArray]:
    """Yield the derivatives (D, D) of the right end of each step by its left end."""
    p = evaluator.problem
    for _, left, after in _step_blocks(evaluator, X, theta):
        try:
            yield from -np.linalg.solve(after, left)[:, p.E - p.D :]
        except np.linalg.LinAlgError:
            yield from np.full((len(left), p.D, p.D), np.nan)
