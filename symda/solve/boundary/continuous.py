"""`solver="bvp"`: SciPy's solve_bvp, for data that are samples of a continuous y(t)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from symda.checks import integer, share
from symda.errors import OptionError, SolveError
from symda.solve.boundary.collocation import interpolate, note_bounds
from symda.solve.boundary.extremal import Extremal, Outcome
from symda.solve.boundary.functions import FieldFunctions
from symda.solve.boundary.mesh import Inputs, Mesh
from symda.solve.boundary.polynomials import Piecewise, Side, gauss
from symda.status import Status
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.observe import Problem


@dataclass(frozen=True, eq=False)
class Signal:
    """Data as functions of time: y(t) and the density rho(t) of their precision, linear in between.

    rho_k = Rm_k / Delta_k, with Delta_k the mean of the intervals on both sides, at the ends the
    length of the one interval. So int rho/2 (h - y)^2 dt, by the trapezoidal rule, is the sum over
    the data with the first and the last counted half.
    """

    times: FloatArray  #: (N + 1,)
    #: (N + 1, L)
    y: FloatArray
    rho: FloatArray

    @classmethod
    def of(cls, problem: Problem) -> Signal:
        """Read the data of a problem as samples of a signal.

        Raises
        ------
        OptionError
            If a channel was not measured at a node.
        """
        nodes = np.arange(problem.N + 1) * (1 + problem.interior)
        rm = problem.rm[nodes]
        between = problem.rm.copy()
        between[nodes] = 0.0
        wrong = ""
        if not (rm > 0.0).all():
            k, l = np.argwhere(rm <= 0.0)[0]
            wrong = f"{problem.channels[l]} is missing at time {problem.node_times[k]:.15g}"
        elif between.any():
            m, l = np.argwhere(between)[0]
            wrong = (
                f"{problem.channels[l]} is measured between the nodes, at time "
                f"{problem.times[m]:.15g}"
            )
        if wrong:
            raise OptionError(
                "bvp takes the data as samples of a continuous y(t): every channel at every node "
                f"of the model grid, and nowhere else; {wrong}. With gaps, steps between the data, "
                "or data between the nodes, use 'collocation'."
            )
        h = problem.h
        spacing = np.concatenate([h[:1], 0.5 * (h[1:] + h[:-1]), h[-1:]])
        return cls(problem.node_times, problem.y[nodes], rm / spacing[:, None])

    def __call__(self, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Y and rho at times (n,), (n, L) each."""
        k = np.clip(np.searchsorted(self.times, t, side="right") - 1, 0, self.times.size - 2)
        s = ((t - self.times[k]) / np.diff(self.times)[k])[:, None]
        y, rho = ((1.0 - s) * values[k] + s * values[k + 1] for values in (self.y, self.rho))
        return y, rho


@dataclass(frozen=True, eq=False)
class SignalExtremal(Extremal):
    """An extremal whose momentum is driven by a signal: p' = -DF^T p + dh/dx^T rho (h - y).

    Its mesh has no data, so there are no jumps.
    """

    signal: Signal  #: The data.
    rms: float  #: Largest root mean square of solve_bvp's relative residuals in an interval.
    conditions: FloatArray  #: Residuals of the boundary conditions.

    @cached_property
    def measurement_term(self) -> float:
        """Return int rho/2 (h - y)^2 dt, by Gauss quadrature."""
        flat = self.mesh.points.reshape(-1)
        y, rho = self.signal(flat)
        values = self.system.error(self.x(flat), self.theta, y, rho)
        weights = self.mesh.h[:, None] * gauss(self.mesh.degree).b
        return float(weights.reshape(-1) @ values)

    def hamiltonian(self, t: FloatArray, side: Side = "right") -> FloatArray:
        """H = sum_a p_a^2 / (2 Rf_a) + p_a F_a - sum_l rho_l/2 (h_l - y_l)^2 at times (T,)."""
        y, rho = self.signal(t)
        data = self.system.error(self.x(t, side), self.theta, y, rho)
        return super().hamiltonian(t, side) - data

    @cached_property
    def residuals(self) -> dict[str, float]:
        """What solve_bvp says of the differential equations and of the boundary conditions."""
        return {"equations": self.rms, "ends": float(np.abs(self.conditions).max())}

    @cached_property
    def defect(self) -> float:
        """The same as the first of the residuals."""
        return self.rms


class ContinuousData:
    """Hamilton's equations with continuous data, by `scipy.integrate.solve_bvp`.

    Minimises int rho/2 (h - y)^2 dt + int Rf/2 |x' - F|^2 dt; see `Signal` for rho and y. Free
    parameters are solve_bvp's unknown parameters, their conditions integrals carried along as
    further components.

    Parameters
    ----------
    problem : Problem
        Data at all nodes.
    inputs : Inputs, optional
        The forcing at any time.
    tol : float
        Relative residual that solve_bvp accepts.
    max_nodes : int
        Most nodes of its mesh.

    Raises
    ------
    OptionError
        If data are missing at a node, the forcing jumps, or an option is out of range.
    """

    def __init__(
        self,
        system: FieldFunctions,
        problem: Problem,
        *,
        inputs: Inputs | None = None,
        tol: float = 1e-6,
        max_nodes: int = 20_000,
    ) -> None:
        integer(max_nodes, "bvp: max_nodes", most=10**8)
        share(tol, "bvp: tol")
        self.system, self._problem = system, problem
        self._signal = Signal.of(problem)
        self._mesh = Mesh.of(problem, 3, 1, inputs)
        _check_continuous(self._mesh, problem)
        self._tol, self._max_nodes = float(tol), max_nodes

    def solve(
        self,
        times: FloatArray,
        path: FloatArray,
        theta: FloatArray,
        rf: FloatArray,
        initial: FloatArray | None = None,
    ) -> Extremal:
        """Solve from a path; see `Collocation.solve`."""
        from scipy.integrate import solve_bvp

        started = time.perf_counter()
        D, problem = self.system.D, self._problem
        free = np.flatnonzero(problem.free)
        count = 0

        def values(k: FloatArray | None) -> FloatArray:
            theta = problem.fixed.copy()
            theta[free] = k if k is not None else ()
            return theta

        def slopes(t: FloatArray, z: FloatArray, k: FloatArray | None = None) -> FloatArray:
            nonlocal count
            count += 1
            theta, x, p = values(k), z[:D].T, z[D : 2 * D].T
            u = self._mesh.inputs.values(np.clip(t, *times[[0, -1]]))
            F = self.system.slope(x, theta, u, t)
            J = self.system.jacobian(x, theta, u, t)
            gradient = self.system.force(x, theta, *self._signal(t))
            by_unknown = gradient - np.einsum("nab,na->nb", J, p)
            return np.hstack([F + p / rf, by_unknown[:, :D], by_unknown[:, D + free]]).T

        known = np.zeros(D, dtype=bool) if initial is None else ~np.isnan(initial)
        wanted = np.zeros(D) if initial is None else np.where(known, initial, 0.0)

        def ends(a: FloatArray, b: FloatArray, _k: FloatArray | None = None) -> FloatArray:
            first = np.where(known, a[:D] - wanted, a[D : 2 * D])
            return np.concatenate([first, b[D : 2 * D], a[2 * D :], b[2 * D :]])

        start = self._start(times, path, values(theta[free]), rf)
        mesh = self._mesh.times
        with np.errstate(all="ignore"):
            try:
                found = solve_bvp(
                    slopes,
                    ends,
                    mesh,
                    start(mesh),
                    p=theta[free] if free.size else None,
                    tol=self._tol,
                    max_nodes=max(self._max_nodes, mesh.size),
                )
            except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
                raise SolveError(
                    f"bvp: solve_bvp cannot start from this path: {error}. Start from an annealed "
                    "path, or use 'collocation'."
                ) from error
        status = {0: Status.CONVERGED, 1: Status.STOPPED}.get(int(found.status), Status.FAILED)
        conditions = ends(found.y[:, 0], found.y[:, -1], found.p)
        # SciPy's local variable is the time since the break, with the highest power first
        c = found.sol.c[::-1].transpose(1, 0, 2)
        lengths = np.diff(found.sol.x)[:, None, None]
        c = c * lengths ** np.arange(c.shape[1])[:, None]
        breaks = np.asarray(found.sol.x)
        result = SignalExtremal(
            self.system,
            self._refined(breaks),
            Piecewise(breaks, c[..., :D]),
            Piecewise(breaks, c[..., D : 2 * D]),
            values(found.p),
            rf,
            problem.free,
            known,
            found.y[D : 2 * D, 0],
            Outcome(
                status,
                str(found.message),
                int(found.niter),
                count,
                time.perf_counter() - started,
            ),
            self._signal,
            float(np.max(found.rms_residuals)),
            conditions,
        )
        return note_bounds(result, problem)

    def _start(
        self, times: FloatArray, path: FloatArray, theta: FloatArray, rf: FloatArray
    ) -> Callable[[FloatArray], FloatArray]:
        """Return x, p = Rf (x' - F) and zero integrals as a function of time."""
        free = int(self._problem.free.sum())

        def at(t: FloatArray) -> FloatArray:
            x = interpolate(times, path, t)
            u = self._mesh.inputs.values(t)
            slope = np.gradient(x, t, axis=0)
            F = self.system.slope(x, theta, u, t)
            p = np.where(np.isfinite(rf), np.where(np.isfinite(rf), rf, 0.0) * (slope - F), 0.0)
            # what holds at both ends
            p[-1] = 0.0
            return np.hstack([x, p, np.zeros((t.size, free))]).T

        return at

    def _refined(self, breaks: FloatArray) -> Mesh:
        """Return solve_bvp's own mesh, without data."""
        table = gauss(self._mesh.degree)
        points = breaks[:-1, None] + np.diff(breaks)[:, None] * table.c
        nothing = np.zeros((breaks.size, self.system.L))
        inputs = self._mesh.inputs
        u = inputs.values(points.reshape(-1)).reshape(*points.shape, self.system.U)
        grid = np.searchsorted(breaks, self._problem.times)
        return Mesh(breaks, points, grid, u, nothing, nothing, inputs)


def _check_continuous(mesh: Mesh, problem: Problem) -> None:
    """Refuse a forcing with jumps: solve_bvp would refine its mesh there without end.

    Raises
    ------
    OptionError
        With the time of the first.
    """
    inner = np.unique(np.concatenate([problem.node_times, mesh.inputs.breaks]))
    inner = inner[(inner > problem.times[0]) & (inner < problem.times[-1])]
    before = mesh.inputs.values(np.nextafter(inner, -np.inf))
    after = mesh.inputs.values(inner)
    size = np.maximum(np.abs(before), np.abs(after)).max(axis=0, initial=0.0)
    jumps = np.abs(after - before) > 1e-6 * size
    if jumps.any():
        raise OptionError(
            f"bvp needs a forcing without jumps, but it jumps at time "
            f"{inner[jumps.any(axis=1)][0]:.15g}: it is held from one time to the next, or by a "
            "scheme that takes it once a step. Use 'collocation', whose intervals end at jumps."
        )
