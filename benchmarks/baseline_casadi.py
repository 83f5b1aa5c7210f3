"""What a user of CasADi would write without symda: Lorenz-96 under RK4, the whole action.

Nothing here comes from symda. The path is the unknown, CasADi differentiates the action twice and
IPOPT minimises it: on CasADi's virtual machine with every step written out, or on the C code that
CasADi exports.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import casadi as ca
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

#: CasADi's side of the call: nothing but the minimum is asked for, and IPOPT keeps quiet.
SETTINGS = {
    "print_time": False,
    "record_time": False,
    "no_nlp_grad": True,
    "calc_lam_p": False,
    "calc_lam_x": False,
    "error_on_fail": False,
    "show_eval_warnings": False,
}


def lorenz96(x: ca.SX, nu: ca.SX) -> ca.SX:
    """dx_a/dt = x_{a-1} (x_{a+1} - x_{a-2}) - x_a + nu."""
    D = x.size1()
    return ca.vertcat(*[x[a - 1] * (x[(a + 1) % D] - x[(a - 2) % D]) - x[a] + nu for a in range(D)])


def rk4(D: int, dt: float) -> ca.Function:
    """One Runge-Kutta step as a function of state and parameter."""
    x, nu = ca.SX.sym("x", D), ca.SX.sym("nu")
    k1 = lorenz96(x, nu)
    k2 = lorenz96(x + dt / 2 * k1, nu)
    k3 = lorenz96(x + dt / 2 * k2, nu)
    k4 = lorenz96(x + dt * k3, nu)
    return ca.Function("rk4", [x, nu], [x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)])


@dataclass(frozen=True)
class Twin:
    """Data of one window and the ranges to search.

    Parameters
    ----------
    y : ndarray, shape (N + 1, L)
        Measured values.
    measured : sequence of int
        The L measured components.
    variance, dt : float
        Noise variance and time step.
    D : int
        States.
    parameter_bounds : (float, float)
        Bounds of nu.
    """

    y: FloatArray
    measured: Sequence[int]
    variance: float
    dt: float
    D: int
    parameter_bounds: tuple[float, float]

    @property
    def lower(self) -> FloatArray:
        """Lower bounds of (flat path, nu)."""
        return np.append(np.full(self.y.shape[0] * self.D, -np.inf), self.parameter_bounds[0])

    @property
    def upper(self) -> FloatArray:
        """Upper bounds of (flat path, nu)."""
        return np.append(np.full(self.y.shape[0] * self.D, np.inf), self.parameter_bounds[1])


def expanded(twin: Twin) -> dict[str, ca.SX]:
    """Write every step out: unknowns (path, nu), parameter Rf, objective the action."""
    points = len(twin.y)
    X, nu, rf = ca.SX.sym("X", twin.D, points), ca.SX.sym("nu"), ca.SX.sym("rf")
    step = rk4(twin.D, twin.dt)
    error = ca.sumsqr(X[list(twin.measured), :] - twin.y.T) / (2 * twin.variance)
    for n in range(points - 1):
        error += rf / 2 * ca.sumsqr(X[:, n + 1] - step(X[:, n], nu))
    return {"x": ca.vertcat(ca.vec(X), nu), "p": rf, "f": error}


def mapped(twin: Twin) -> dict[str, ca.MX]:
    """Map one step over the path instead: slower to interpret, far smaller to export."""
    points = len(twin.y)
    step = rk4(twin.D, twin.dt)
    x, following, n = ca.SX.sym("x", twin.D), ca.SX.sym("following", twin.D), ca.SX.sym("nu")
    error = ca.Function("error", [x, following, n], [ca.sumsqr(following - step(x, n))])
    X, nu, rf = ca.MX.sym("X", twin.D, points), ca.MX.sym("nu"), ca.MX.sym("rf")
    misfit = ca.sumsqr(X[list(twin.measured), :] - twin.y.T) / (2 * twin.variance)
    model = rf / 2 * ca.sum2(error.map(points - 1)(X[:, :-1], X[:, 1:], nu))
    return {"x": ca.vertcat(ca.vec(X), nu), "p": rf, "f": misfit + model}


def virtual_machine(twin: Twin, options: Mapping[str, object]) -> ca.Function:
    """IPOPT on the expression itself, with exact gradient and Hessian."""
    return ca.nlpsol("baseline", "ipopt", expanded(twin), {"ipopt": dict(options), **SETTINGS})


def export(twin: Twin, folder: Path, optimise: str, time_limit: float | None = None) -> Path:
    """Write the whole problem and its derivatives as C, as CasADi does, and compile it.

    The mapped form, since the C of the expanded one (46 MB at D = 11) takes gcc more than 13 GB
    of memory.

    Parameters
    ----------
    twin : Twin
        The problem.
    folder : Path
        Where the C file and the library go.
    optimise : str
        The compiler's level, such as ``-O1``.
    time_limit : float, optional
        Seconds the compiler may take.

    Raises
    ------
    subprocess.TimeoutExpired
        If it takes longer.
    """
    library = folder / "nlp.so"
    solver = ca.nlpsol("baseline", "ipopt", mapped(twin), SETTINGS)
    with contextlib.chdir(folder):  # CasADi takes a file name only, not a path
        solver.generate_dependencies("nlp.c")
    command = ["gcc", "-fPIC", "-shared", optimise, "nlp.c", "-o", library.name, "-lm"]
    subprocess.run(command, check=True, cwd=folder, timeout=time_limit)
    return library.absolute()


def exported(library: Path, options: Mapping[str, object]) -> ca.Function:
    """IPOPT on the exported C code."""
    return ca.nlpsol("exported", "ipopt", str(library), {"ipopt": dict(options), **SETTINGS})


@dataclass(frozen=True)
class Rung:
    """Where IPOPT ended at one value of Rf."""

    action: float
    iterations: int


def climb(
    solver: ca.Function, twin: Twin, start: FloatArray, ladder: Sequence[float]
) -> list[Rung]:
    """Minimise at each Rf from where the one before ended.

    Parameters
    ----------
    solver : casadi.Function
        What `virtual_machine` or `exported` made.
    twin : Twin
        The problem.
    start : ndarray, shape ((N + 1) D + 1,)
        Flat path and nu.
    ladder : sequence of float
        Values of Rf.
    """
    rungs = []
    for rf in ladder:
        solution = solver(x0=start, p=rf, lbx=twin.lower, ubx=twin.upper)
        start = np.asarray(solution["x"].full()).reshape(-1)
        rungs.append(Rung(float(solution["f"]), int(solver.stats()["iter_count"])))
    return rungs
