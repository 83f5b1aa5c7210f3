"""Newton's method on Hamilton's equations themselves, from where IPOPT ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from symda.solve.boundary.program import Program

if TYPE_CHECKING:
    import casadi as ca
    from scipy.sparse import csr_array

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

#: Newton steps, and the relative change below which they are taken: each one while it is smaller
#: than the one before.
STEPS, NEAR = 6, 1e-2


def polish(
    program: Program, v: FloatArray, lam: FloatArray, q: FloatArray, held: BoolArray
) -> tuple[FloatArray, FloatArray, bool]:
    """Take the residuals of the Lagrange conditions to rounding.

    Parameters
    ----------
    program : Program
        The nonlinear program.
    v, lam : ndarray
        Unknowns and multipliers.
    q : ndarray
        The program's parameters.
    held : ndarray of bool
        Unknowns that stay where they are.

    Returns
    -------
    v, lam : ndarray
        Improved, or as they were where the first step is not small.
    regular : bool
        Whether the equations determine their solution.
    """
    from scipy.sparse import block_array, csc_array, triu

    f = program.functions
    free = np.flatnonzero(~held)
    when = np.concatenate([program.when[free], program.when_constrained])
    order = np.argsort(when, kind="stable")
    parameters = int((when == program.mesh.J).sum())
    smallest = NEAR
    for _ in range(STEPS):
        gradient = _vector(f["grad_f"](v, q)[1])
        g, jacobian = f["jac_g"](v, q)
        J = csc_array(jacobian.sparse())
        upper = csc_array(f["hess_lag"](v, q, 1.0, lam).sparse())
        H = (upper + triu(upper, 1).T).tocsc()[free][:, free]
        A = J[:, free]
        misfit = np.concatenate([(gradient + J.T @ lam)[free], _vector(g)])
        matrix = block_array([[H, A.T], [A, None]], format="csr")[order]
        step = np.empty_like(misfit)
        try:
            step[order] = _solve(matrix, -misfit[order], order, parameters)
        except (RuntimeError, np.linalg.LinAlgError):
            return v, lam, False
        dv, dlam = step[: free.size], step[free.size :]
        change = max(_share(dv, v), _share(dlam, lam))
        if not change < smallest:
            break
        v = v.copy()
        v[free] += dv
        lam, smallest = lam + dlam, change
    return v, lam, True


def _solve(
    matrix: csr_array, right: FloatArray, order: NDArray[np.int64], border: int
) -> FloatArray:
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
