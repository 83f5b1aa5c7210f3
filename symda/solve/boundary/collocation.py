r"""`solver="collocation"`: the two-point boundary value problem of the continuous action.

Minimise sum_k Rm/2 (h(x(tau_k)) - y_k)^2 + int Rf/2 |x' - F|^2 dt over x(t) and free parameters.
In Hamilton's form (eq. 20): x' = F + p / Rf and p' = -DF^T p between the data, at a datum p grows
by dh/dx^T Rm (h - y), p vanishes before t0 and after tF, and for a free parameter
int p . dF/dtheta dt = sum_k Rm (h - y) . dh/dtheta.

**Relation to the direct minimiser.** With ``model_error="rate"`` a step of length h adds
Rf/(2 h) r_n^2 to the discrete action, and r_n / h -> x' - F: the discrete momentum p_n = Rf/h r_n,
also the multiplier of the constraint w_n = r_n in IPOPT's lifted form, tends to p = Rf (x' - F). It
belongs to the middle of its step. Path and momenta tend to x and p at the order of the scheme's
picture of the model error: 1 for explicit schemes, whose error is added at a step's end, 2 for
symmetric ones. This solver is the limit, to the order 2 d of Gauss's formulas.

The collocated equations are the Lagrange conditions of a nonlinear program (`program`), so IPOPT
solves them, by descent: where it ends is a minimum and not just any stationary point. A few Newton
steps on the equations themselves then take the residuals to rounding.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from symda.checks import integer
from symda.errors import OptionError
from symda.solve.boundary.extremal import NOISE, Extremal, Outcome
from symda.solve.boundary.functions import FieldFunctions
from symda.solve.boundary.mesh import Inputs, Mesh
from symda.solve.boundary.polish import Polished, polish
from symda.solve.boundary.polynomials import Piecewise, gauss
from symda.solve.boundary.program import CollocationProgram
from symda.solve.ipopt import DEFAULTS, STATUS, first_line
from symda.status import Status
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    import casadi as ca

    from symda.observe import Problem


#: Most Gauss points an interval may have.
LARGEST_DEGREE = 8
#: An unknown this share of its own size away from a bound counts as there.
MARGIN = 1e-7
#: Share of a value that is its rounding error.
ROUNDING = 1e-9
#: Times that IPOPT begins again: with other unknowns pinned to their bounds, or a finer unit.
ROUNDS = 8
#: Of the program at the start of IPOPT, in its units.
LARGEST_FORCE = 100.0
#: Residuals up to the first are a solution, up to the second an acceptable one.
SOLVED, ACCEPTABLE = 1e-6, 1e-3
#: Steps that meet the constraints better must not raise the action for it: IPOPT's filter would
#: take them, and with them leave the basin of the start.
DESCEND = {"theta_min_fact": 1e3}


class Collocation:
    """Gauss collocation of Hamilton's equations on the model grid, with jumps of p at the data.

    The forcing between the scheme's abscissae is their polynomial; `symda.boundary_value` takes it
    at the Gauss points themselves. Parameters per step are states without an equation, 1/Rf their
    process variance; free ones keep the weak tie of the discrete problem (`Problem.precision`),
    without which they would be undetermined between data.

    Parameters
    ----------
    problem : Problem
        Data and bounds, of an action with ``model_error="rate"``.
    degree : int
        Gauss points in each interval, d: x and p are polynomials of degree d, exact to order 2 d
        at the ends of intervals.
    intervals : int
        Intervals in each step of the model grid.
    inputs : Inputs, optional
        The forcing at any time, and where it is not smooth.
    **options
        IPOPT's options by their own names, e.g. ``tol``, ``max_iter``.

    Raises
    ------
    OptionError
        If an option is out of range or refused by IPOPT.
    """

    def __init__(
        self,
        system: FieldFunctions,
        problem: Problem,
        *,
        degree: int = 4,
        intervals: int = 1,
        inputs: Inputs | None = None,
        **options: Any,
    ) -> None:
        import casadi as ca

        integer(degree, "collocation: degree", most=LARGEST_DEGREE)
        integer(intervals, "collocation: intervals", most=10_000)
        self._problem = problem
        self.system = system
        self.mesh = Mesh.of(problem, degree, intervals, inputs)
        self._program = CollocationProgram(self.system, self.mesh)
        self._functions = self._program.functions
        settings: dict[str, Any] = {
            "ipopt": DEFAULTS | DESCEND | options,
            "print_time": False,
            "record_time": False,
            "no_nlp_grad": True,
            "calc_lam_p": False,
            "error_on_fail": False,
            "show_eval_warnings": False,
            **{name: self._functions[name] for name in ("grad_f", "jac_g", "hess_lag")},
        }
        v, q = ca.MX.sym("v", self._program.unknowns), ca.MX.sym("q", self._program.weights)
        f, g = self._functions["nlp"](v, q)
        try:
            nlp = {"x": v, "p": q, "f": f, "g": g}
            self._solver = ca.nlpsol("symda", "ipopt", nlp, settings)
        except RuntimeError as error:
            raise OptionError(
                f"collocation: IPOPT refuses its options {options!r}: {first_line(error)}. "
                "Besides them there are degree and intervals."
            ) from error

    def solve(
        self,
        times: FloatArray,
        path: FloatArray,
        theta: FloatArray,
        rf: FloatArray,
        initial: FloatArray | None = None,
    ) -> Extremal:
        """Solve the boundary value problem.

        Parameters
        ----------
        times : ndarray, shape (T,)
            Times of the path to start from.
        path : ndarray, shape (T, D)
            Where to start; brought inside the bounds.
        theta : ndarray, shape (P,)
            Parameters to start from; fixed ones keep the problem's value.
        rf : ndarray, shape (D,)
            Model precision of each state; infinite: the state obeys its equation exactly.
        initial : ndarray, shape (D,), optional
            x(t0), nan for a state that has p(t0) = 0 instead, as all have when it is left out.
        """
        started = time.perf_counter()
        program = self._program
        initial = np.full(self.system.D, np.nan) if initial is None else initial
        known = ~np.isnan(initial)
        lower, upper = self._limits(rf, initial)
        v, last = np.clip(self._first(times, path, theta), lower, upper), np.inf
        pinned = np.zeros(v.shape, dtype=bool)
        left: dict[str, float] = {}
        iterations = evaluations = 0
        for _ in range(ROUNDS):
            unit = self._unit(v, rf)
            if left and not unit < 0.5 * last:
                break
            q = self._weights(rf) / unit
            low, high = np.where(pinned, v, lower), np.where(pinned, v, upper)
            solution = self._solver(x0=v, p=q, lbx=low, ubx=high, lbg=0.0, ubg=0.0)
            stats = self._solver.stats()
            message = str(stats["return_status"])
            status = STATUS.get(message, Status.FAILED)
            iterations += int(stats["iter_count"])
            evaluations += int(stats.get("n_call_nlp_f", 0))
            v, lam = np.clip(_vector(solution["x"]), lower, upper), _vector(solution["lam_g"])
            outcome = Outcome(
                status, message, iterations, evaluations, time.perf_counter() - started
            )
            if status not in (Status.CONVERGED, Status.ACCEPTABLE):
                return self._extremal(v, unit * lam, rf, known, outcome)
            held = pinned | _held(v, lower, upper, _vector(solution["lam_x"]), self._sizes(v))
            v = _at_bounds(v, lower, upper, held)
            polished = polish(program, v, lam, q, (lower, upper), held | (lower == upper))
            v = polished.v
            outcome = replace(outcome, seconds=time.perf_counter() - started)
            found = self._extremal(v, unit * polished.lam, rf, known, outcome)
            left = self._left(found, polished)
            if (polished.crossed | polished.released).any():
                # a bound begins to hold, or no longer does: another minimum
                pinned, left = (held | polished.crossed) & ~polished.released, {}
                v = _at_bounds(v, lower, upper, pinned)
            elif not left:
                break
            last = unit
        return self._judge(found, polished, left, stats)

    def _weights(self, rf: FloatArray) -> FloatArray:
        """Return the program's parameters where the unit is 1."""
        mesh, precision = self.mesh, np.where(np.isfinite(rf), rf, 0.0)
        weights = mesh.h[:, None, None] * gauss(mesh.degree).b[:, None] * precision
        return np.append(weights.reshape(-1), 1.0)

    def _unit(self, v: FloatArray, rf: FloatArray) -> float:
        """Force in which IPOPT's tolerance is a small share of those that act at v."""
        program, data = self._program, (self.mesh.y, self.mesh.rm)
        x, theta = v[program.x], v[program.theta]
        gradient = self.system.force(x, theta, *data)[:, : self.system.D]
        p = v[program.w] * np.where(np.isfinite(rf), rf, 0.0)
        noise = NOISE * float(self.system.force_terms(x, theta, *data)[:, : self.system.D].max())
        force = max(float(np.abs(gradient).max()), float(np.abs(p).max()), noise)
        return force / LARGEST_FORCE if force > 0.0 else 1.0

    def _limits(self, rf: FloatArray, initial: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Bounds on all unknowns; what is given, and errors of exact states, have both equal."""
        problem, program = self._problem, self._program
        sides = []
        for side, theta in zip((0, 1), problem.ends, strict=True):
            v = np.full(program.unknowns, np.inf if side else -np.inf)
            v[program.x] = v[program.X] = problem.state_bounds[:, side]
            v[program.w[..., np.isinf(rf)]] = 0.0
            v[program.theta] = theta[problem.D :]
            v[program.x[0]] = np.where(np.isnan(initial), v[program.x[0]], initial)
            sides.append(v)
        return sides[0], sides[1]

    def _first(self, times: FloatArray, path: FloatArray, theta: FloatArray) -> FloatArray:
        """Unknowns along a path known at some times."""
        mesh, problem = self.mesh, self._problem
        D, theta = self.system.D, np.where(problem.free, theta, problem.fixed)
        low, high = problem.state_bounds.T
        x = interpolate(times, np.clip(path, low, high), mesh.times)
        flat = mesh.points.reshape(-1)
        X = interpolate(times, np.clip(path, low, high), flat).reshape(*mesh.points.shape, D)
        slopes = np.einsum(
            "jk,ika->ija",
            gauss(mesh.degree).slopes,
            np.concatenate([x[:-1, None], X], axis=1) / mesh.h[:, None, None],
        )
        F = self.system.slope(
            X.reshape(-1, D), theta, mesh.u.reshape(flat.size, self.system.U), flat
        )
        return self._program.start(x, X, slopes - F.reshape(X.shape), theta)

    def _sizes(self, v: FloatArray) -> FloatArray:
        """Sizes of the unknowns: a state's largest value, a parameter's own, or as declared."""
        program, problem = self._program, self._problem
        found = problem.magnitudes(v[program.x], v[program.theta])
        sizes = np.ones(program.unknowns)
        sizes[program.x] = sizes[program.X] = found[: problem.D]
        sizes[program.theta] = found[problem.D :]
        return sizes

    def _left(self, found: Extremal, polished: Polished) -> dict[str, float]:
        """Residuals that should be smaller; those that a bound's force accounts for are not."""
        program, left = self._program, dict(found.residuals)
        pressed = polished.pressed
        if pressed[program.x].any() or pressed[program.X].any():
            left = {"states": left["states"]}
        elif pressed[program.theta].any():
            del left["parameters"]
        return {name: value for name, value in left.items() if not value <= SOLVED}

    def _judge(
        self, found: Extremal, polished: Polished, left: dict[str, float], stats: dict[str, Any]
    ) -> Extremal:
        """Say what IPOPT does not: what is left of the equations, bounds, no strict minimum."""
        problem, program = self._problem, self._program
        status, notes = found.outcome.status, [found.outcome.message]
        pressed = polished.pressed
        states = np.concatenate([pressed[program.x], *pressed[program.X]]).any(axis=0)
        theta = pressed[program.theta] & problem.free
        at = [problem.states[a] for a in np.flatnonzero(states)]
        at += [problem.parameters[i] for i in np.flatnonzero(theta)]
        if left:
            words = ", ".join(f"{name} {value:.2g}" for name, value in left.items())
            notes.append(f"but the equations are missed by a share of their terms: {words}")
            status = Status.ACCEPTABLE if max(left.values()) <= ACCEPTABLE else Status.STOPPED
        if not polished.regular:
            notes.append("the equations do not determine their solution there")
        if at:
            notes.append(
                f"at a bound: {', '.join(at)}; a boundary value problem has no bounds, so its "
                "equations do not hold there. Widen bounds="
            )
        damping = stats.get("iterations", {}).get("regularization_size", [])
        if len(damping) and damping[-1] > 0.0:
            notes.append("the last step was damped, so this may be no strict minimum")
        if status == Status.CONVERGED and (at or not polished.regular):
            status = Status.ACCEPTABLE
        return replace(
            found, outcome=replace(found.outcome, status=status, message="; ".join(notes))
        )

    def _extremal(
        self, v: FloatArray, lam: FloatArray, rf: FloatArray, known: BoolArray, outcome: Outcome
    ) -> Extremal:
        """Polynomials of the unknowns and of the multipliers, which are the momenta."""
        mesh, program, D = self.mesh, self._program, self.system.D
        theta = v[program.theta]
        points = lam[: program.X.size].reshape(program.X.shape) / gauss(mesh.degree).b[:, None]
        right = lam[program.X.size :].reshape(-1, D)
        return extremal(
            self.system,
            mesh,
            (v[program.x], v[program.X]),
            (points, right),
            theta,
            rf,
            self._problem.free,
            known,
            outcome,
        )


def extremal(
    system: FieldFunctions,
    mesh: Mesh,
    x: tuple[FloatArray, FloatArray],
    p: tuple[FloatArray, FloatArray],
    theta: FloatArray,
    rf: FloatArray,
    free: BoolArray,
    known: BoolArray,
    outcome: Outcome,
) -> Extremal:
    """Make the record of collocated values.

    Parameters
    ----------
    system, mesh
        What is solved, and where.
    x : tuple of ndarray
        States at the ends of intervals (J + 1, D) and at Gauss points (J, d, D).
    p : tuple of ndarray
        Momenta at Gauss points (J, d, D) and at the right ends of intervals (J, D).
    theta, rf, free, known, outcome
        As in `Extremal`.
    """
    nodes, X = x
    points, right = p
    D, flat = system.D, mesh.points.reshape(-1)
    J = system.jacobian(X.reshape(-1, D), theta, mesh.u.reshape(flat.size, system.U), flat)
    falls = np.einsum("nab,na->nb", J[..., :D], points.reshape(-1, D)).reshape(points.shape)
    left = right + mesh.h[:, None] * np.einsum("d,jda->ja", gauss(mesh.degree).b, falls)
    gradient = system.force(nodes[:1], theta, mesh.y[:1], mesh.rm[:1])[0, :D]
    return Extremal(
        system,
        mesh,
        Piecewise.through(mesh.times, nodes[:-1], X),
        Piecewise.through(mesh.times, left, points),
        theta,
        rf,
        free,
        known,
        left[0] - gradient,
        outcome,
    )


def beyond_bounds(found: Extremal, problem: Problem) -> list[str]:
    """Names of states and parameters that go beyond their bounds by more than rounding."""
    left, right = found.x.ends()
    x = np.concatenate([left, right[-1:]])
    names: list[str] = []
    for known, values, bounds in (
        (problem.states, x, problem.state_bounds),
        (problem.parameters, found.theta[None], problem.parameter_bounds),
    ):
        room = ROUNDING * np.maximum(np.abs(values).max(axis=0, initial=0.0), 1e-300)
        low, high = bounds.T
        beyond = ((values < low - room) | (values > high + room)).any(axis=0)
        if known is problem.parameters:
            beyond &= problem.free
        names += [known[i] for i in np.flatnonzero(beyond)]
    return names


def note_bounds(found: Extremal, problem: Problem) -> Extremal:
    """Say so if a solution lies beyond the bounds, which the equations do not know."""
    names = beyond_bounds(found, problem)
    if not names or found.outcome.status != Status.CONVERGED:
        return found
    message = f"{found.outcome.message.rstrip('.')}; beyond the bounds: {', '.join(names)}"
    return replace(found, outcome=replace(found.outcome, status=Status.ACCEPTABLE, message=message))


def interpolate(times: FloatArray, path: FloatArray, t: FloatArray) -> FloatArray:
    """Path (T, D) at times t, without overshoot; constant beyond its ends."""
    from scipy.interpolate import PchipInterpolator

    return np.asarray(PchipInterpolator(times, path)(np.clip(t, times[0], times[-1])))


def _held(
    v: FloatArray, lower: FloatArray, upper: FloatArray, lam: FloatArray, sizes: FloatArray
) -> BoolArray:
    """Unknowns at a bound, by their own sizes, that IPOPT's multipliers push beyond."""
    near = MARGIN * sizes
    at = (v - lower <= near) & (lam < 0.0) | (upper - v <= near) & (lam > 0.0)
    held: BoolArray = at & (lower < upper)
    return held


def _at_bounds(v: FloatArray, lower: FloatArray, upper: FloatArray, which: BoolArray) -> FloatArray:
    """Move some unknowns to the nearer of their bounds."""
    return np.where(which, np.where(upper - v < v - lower, upper, lower), v)


def _vector(value: ca.DM) -> FloatArray:
    return np.asarray(value.full(), dtype=np.float64).reshape(-1)
