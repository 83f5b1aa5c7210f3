"""Newton's method on Hamilton's equations themselves, from where IPOPT ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.solve.boundary.program import CollocationProgram
from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    import casadi as ca
    from scipy.sparse import csr_array


#: Newton steps, and the relative change below which they are taken: each one while it is smaller
#: than the one before.
STEPS, NEAR = 6, 1e-2
#: A force on an unknown below this share of the terms it is the sum of is rounding error.
NOTHING = 1e-9


@dataclass(frozen=True, eq=False)
class Polished:
    """Where Newton's method ended."""

    #: Unknowns, inside their bounds, and multipliers: improved, or as they were where the first
    #: step is not small.
    v: FloatArray
    lam: FloatArray
    regular: bool  #: Whether the equations determine their solution.
    crossed: BoolArray  #: Unknowns that the next step would take beyond a bound: it was not taken.
    #: Held unknowns that a force pushes against their bound, or away from it.
    pressed: BoolArray
    released: BoolArray


def polish(
    program: CollocationProgram,
    v: FloatArray,
    lam: FloatArray,
    q: FloatArray,
    bounds: tuple[FloatArray, FloatArray],
    held: BoolArray,
) -> Polished:
    """Take the residuals of the Lagrange conditions to rounding.

    Parameters
    ----------
    v, lam : ndarray
        Unknowns and multipliers.
    q : ndarray
        The program's parameters.
    bounds : tuple of ndarray
        Lower and upper bounds on the unknowns.
    held : ndarray of bool
        Unknowns that stay where they are, at a bound.
    """
    from scipy.sparse import block_array, csc_array, triu

    f = program.functions
    lower, upper = bounds
    free = np.flatnonzero(~held)
    when = np.concatenate([program.when[free], program.when_constrained])
    order = np.argsort(when, kind="stable")
    parameters = int((when == program.mesh.J).sum())
    smallest, regular, crossed = NEAR, True, np.zeros(held.shape, dtype=bool)
    for _ in range(STEPS):
        gradient = _vector(f["grad_f"](v, q)[1])
        g, jacobian = f["jac_g"](v, q)
        J = csc_array(jacobian.sparse())
        half = csc_array(f["hess_lag"](v, q, 1.0, lam).sparse())
        H = (half + triu(half, 1).T).tocsc()[free][:, free]
        A = J[:, free]
        misfit = np.concatenate([(gradient + J.T @ lam)[free], _vector(g)])
        matrix = block_array([[H, A.T], [A, None]], format="csr")[order]
        step = np.empty_like(misfit)
        try:
            step[order] = _solve(matrix, -misfit[order], order, parameters)
        except (RuntimeError, np.linalg.LinAlgError):
            regular = False
            break
        dv, dlam = step[: free.size], step[free.size :]
        change = max(_share(dv, v), _share(dlam, lam))
        moved = v.copy()
        moved[free] += dv
        if change < 1.0:
            crossed = (moved < lower) | (moved > upper)
        if crossed.any() or not change < smallest:
            break
        v, lam, smallest = moved, lam + dlam, change
    force, sizes = _forces(program, v, lam, q)
    force[np.abs(force) <= NOTHING * sizes] = 0.0
    at_bound = held & (lower < upper)
    outward = np.where(upper - v < v - lower, force < 0.0, force > 0.0)
    pressed = at_bound & (force != 0.0) & outward
    return Polished(v, lam, regular, crossed, pressed, at_bound & (force != 0.0) & ~outward)


def _forces(
    program: CollocationProgram, v: FloatArray, lam: FloatArray, q: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Gradient of the Lagrange function by the unknowns, and the absolute size of its terms."""
    from scipy.sparse import csc_array

    gradient = _vector(program.functions["grad_f"](v, q)[1])
    J = csc_array(program.functions["jac_g"](v, q)[1].sparse())
    return gradient + J.T @ lam, np.abs(gradient) + abs(J).T @ np.abs(lam)


def _solve(matrix: csr_array, right: FloatArray, order: IntArray, border: int) -> FloatArray:
    """Solve with the rows in the order of time: a band, and a border of parameters.

    Without the border pivoting stays in the band; with it, a dense row would be chosen early and
    fill in everything.
    """
    from scipy.sparse.linalg import splu

    columns = matrix.tocsc()[:, order].tocsc()
    n = len(order) - border
    band = splu(columns[:n, :n].tocsc(), permc_spec="NATURAL")
    solution = np.asarray(band.solve(right[:n]))
    if not border:
        return solution
    edge, lower = columns[:n, n:].toarray(), columns[n:, :n]
    reach = band.solve(edge)
    corner = columns[n:, n:].toarray()
    schur = corner - lower @ reach
    sizes = np.abs(corner) + abs(lower) @ np.abs(reach)
    if (np.abs(np.diag(schur)) <= 1e-13 * np.diag(sizes)).any():
        raise np.linalg.LinAlgError("a parameter without effect")
    last = np.linalg.solve(schur, right[n:] - lower @ solution)
    return np.concatenate([solution - reach @ last, last])


def _share(change: FloatArray, values: FloatArray) -> float:
    """Largest change as a share of the largest value."""
    size = float(np.max(np.abs(values), initial=0.0))
    return float(np.max(np.abs(change), initial=0.0)) / (size if size > 0.0 else 1.0)


def _vector(value: ca.DM) -> FloatArray:
    return np.asarray(value.full(), dtype=np.float64).reshape(-1)
