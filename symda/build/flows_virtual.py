"""The same without a compiler: SciPy's Radau steps, the slopes from the stages of each step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from symda.build.course import (
    MOST_STEPS,
    NO_CONVERGENCE,
    NOT_FINITE,
    SINGULAR,
    TOO_MANY_STEPS,
    Course,
    Flows,
)
from symda.build.serial import functions_of
from symda.discretise import INTEGRATORS, Tableau
from symda.emit.flows import RULES
from symda.lower.flows import RADAU_ERROR, RADAU_REAL
from symda.types import FloatArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    import casadi as ca
    from scipy.integrate import Radau


#: Calls a function of the model: name, time since the beginning of the stretch, state.
_Called: TypeAlias = Callable[[str, float, FloatArray], tuple[FloatArray, ...]]


class _EndedError(Exception):
    """A member does not come to the end; the argument is its code."""


@dataclass(frozen=True)
class VirtualFlows:
    """A flow on CasADi's virtual machine; also what the emitted code is compared with.

    Parameters
    ----------
    texts : tuple of (str, str)
        The functions of `symda.lower.flows.flow_functions`, serialised.
    D, P, U : int
        Sizes.
    clock, discrete : bool
        Whether time itself enters F, and whether the model is a map.
    """

    texts: tuple[tuple[str, str], ...]
    D: int
    P: int
    U: int
    clock: bool
    discrete: bool
    kind = "virtual machine"

    @cached_property
    def _functions(self) -> Mapping[str, ca.Function]:
        return functions_of(self.texts)

    def __getstate__(self) -> dict[str, object]:
        # CasADi's functions are made again where they are needed
        return {name: value for name, value in self.__dict__.items() if name != "_functions"}

    def run(
        self,
        x0: FloatArray,
        theta: FloatArray,
        course: Course,
        *,
        rtol: float,
        atol: FloatArray,
        sensitivities: bool = False,
        most_steps: int = MOST_STEPS,
        threads: int = 1,  # noqa: ARG002  # one of them is all there is
    ) -> Flows:
        """Lead members through a course; see `FlowEngine.run`."""
        K, R, D, W = len(x0), len(course.h), self.D, self.D + self.P
        states = np.full((K, R + 1, D), np.nan)
        slopes = np.full((K, R + 1, D, W), np.nan) if sensitivities else None
        tolerance = np.broadcast_to(atol, (K, D))
        peaks = np.abs(x0).astype(float)
        codes, where, steps, rejected = np.zeros((4, K), dtype=np.int64)
        for m in range(K):
            walk = _Walk(self._functions, theta[m], rtol, tolerance[m], most_steps)
            walk.x, walk.S = x0[m].astype(float), np.eye(D, W) if sensitivities else None
            try:
                with np.errstate(all="ignore"):
                    for r in range(R + 1):
                        if r:
                            where[m] = r - 1
                            walk.through(course, r - 1, discrete=self.discrete)
                        states[m, r] = walk.x
                        if slopes is not None:
                            slopes[m, r] = walk.S
            except _EndedError as error:
                codes[m] = error.args[0]
            steps[m], peaks[m] = walk.steps, np.fmax(peaks[m], walk.peak)
        return Flows(states, slopes, peaks, codes, where, steps, rejected)


class _Walk:
    """One member on its way: the state `x` (D,), and its slopes `S` (D, D + P) unless None."""

    x: FloatArray
    S: FloatArray | None

    def __init__(
        self,
        functions: Mapping[str, ca.Function],
        theta: FloatArray,
        rtol: float,
        atol: FloatArray,
        most: int,
    ) -> None:
        self._functions, self._theta, self._most = functions, theta, most
        self._rtol, self._atol = rtol, atol
        self._first: float | None = None
        self.steps = 0
        self.peak = np.zeros(len(atol))
        self._largest: FloatArray | float = 0.0

    def through(self, course: Course, r: int, *, discrete: bool) -> None:
        """Go through a stretch; raises `_EndedError`."""
        h, forcing, begin = float(course.h[r]), course.forcing[r], float(course.t[r])
        per = 0.0 if course.instant[r] or discrete or h == 0.0 else 1.0 / h

        def called(name: str, s: float, x: FloatArray) -> tuple[FloatArray, ...]:
            u = forcing.T @ (s * per) ** np.arange(4)
            found = self._functions[name](x, u, self._theta, begin + s)
            parts = found if isinstance(found, tuple) else (found,)
            return (np.asarray(parts[0].full()).reshape(-1), *(p.full() for p in parts[1:]))

        if discrete or course.instant[r]:
            self.steps += 1
            k, J = called("field_tangent", 0.0, self.x)
            if self.S is not None:
                K = _applied(J, self.S)
                self.S = K if discrete else self.S + h * K
            self.x = k if discrete else self.x + h * k
        elif h > 0.0:
            self._integrate(called, h)
        self.peak = np.fmax(self.peak, np.abs(self.x))
        if not np.isfinite(self.x).all() or not (self.S is None or np.isfinite(self.S).all()):
            raise _EndedError(NOT_FINITE)

    def _sizes(self, S: FloatArray, error: FloatArray) -> tuple[FloatArray, float]:
        """Largest sizes of the columns of slopes so far, and their error over what is allowed.

        As `course_slopes` of the template.
        """
        unit = (self._atol / self._rtol + np.fmax(self.peak, np.abs(self.x)))[:, None]
        sizes, off = (np.sqrt(((part / unit) ** 2).sum(axis=0)) for part in (S, error))
        sizes = np.fmax(sizes, self._largest)
        least, D = sizes.copy(), len(self.x)
        own = np.where(self._theta == 0.0, 1.0, np.abs(self._theta))
        least[D:] = np.fmax(least[D:], RULES.unfelt / own)
        share = np.divide(off, least, out=np.zeros_like(off), where=off > 0.0)
        return sizes, float(share.max()) / (RULES.slack * math.sqrt(self._rtol))

    def _integrate(self, called: _Called, h: float) -> None:
        from scipy.integrate import Radau

        def F(s: float, x: FloatArray) -> FloatArray:
            return called("field", s, x)[0]

        def jacobian(s: float, x: FloatArray) -> FloatArray:
            return called("field_jacobian", s, x)[1]

        def begin(s: float, x: FloatArray, first: float | None) -> Radau:
            return Radau(
                *(F, s, x, h),
                rtol=self._rtol,
                atol=self._atol,  # type: ignore[arg-type]  # SciPy takes one for each state
                jac=jacobian,
                first_step=first,
            )

        refused = 0
        try:
            solver = begin(0.0, self.x, None if self._first is None else min(self._first, h))
            while solver.status == "running":
                if self.steps >= self._most:
                    raise _EndedError(TOO_MANY_STEPS)
                if solver.step() is not None:
                    raise _EndedError(NO_CONVERGENCE)
                self.steps += 1
                if self.S is not None:
                    after, off = _tangents(called, solver, self.S)
                    sizes, error = self._sizes(after, off)
                    if error >= 1.0 and refused < RULES.refusals:
                        refused += 1
                        step = solver.t - solver.t_old
                        shorter = step * max(RULES.narrowest, RULES.safety * error**-0.25)
                        solver = begin(solver.t_old, np.asarray(solver.y_old), shorter)
                        continue
                    self.S, self._largest, refused = after, sizes, 0
                self.peak = np.fmax(self.peak, np.abs(solver.y))
        except np.linalg.LinAlgError:
            raise _EndedError(SINGULAR) from None
        except (ValueError, ArithmeticError):
            # it factorises what is not finite
            raise _EndedError(NOT_FINITE) from None
        self.x, self._first = solver.y, float(solver.h_abs)


def _applied(J: FloatArray, S: FloatArray) -> FloatArray:
    """Slopes of F by first state and parameters: dF/dx S + (0, dF/dtheta), from J (D, D + P)."""
    found: FloatArray = J[:, : len(S)] @ S
    found[:, len(S) :] += J[:, len(S) :]
    return found


def _tangents(called: _Called, solver: Radau, S: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Take slopes through the step the solver has just made, whose stages it keeps; their error."""
    D, h, x = len(S), solver.t - solver.t_old, np.asarray(solver.y_old)
    radau5 = INTEGRATORS["radau5"]
    assert isinstance(radau5, Tableau)
    A, c = np.array(radau5.A, dtype=float), radau5.abscissae
    stages = np.asarray(solver.Z)
    J = [
        called("field_tangent", solver.t_old + ci * h, x + z)[1]
        for ci, z in zip(c, stages, strict=True)
    ]
    B = np.stack([_applied(one, S) for one in J])
    states = np.stack([one[:, :D] for one in J])
    M = np.eye(3 * D) - h * np.einsum("ij,jab->iajb", A, states).reshape(3 * D, 3 * D)
    right = h * np.einsum("ij,jac->iac", A, B).reshape(3 * D, -1)
    T = np.linalg.solve(M, right)
    first = called("field_tangent", solver.t_old, x)[1]
    off = _applied(first, S) + np.einsum("i,iac->ac", RADAU_ERROR, T.reshape(3, D, -1)) / h
    error = np.linalg.solve(RADAU_REAL / h * np.eye(D) - first[:, :D], off)
    return S + T[2 * D :], error
