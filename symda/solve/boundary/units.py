"""The boundary value problem in units in which states, parameters and time are of order one.

The methods go by absolute numbers here and there: IPOPT's tolerances, model errors as unknowns of
their own. Far from one they are given the same problem in other units, powers of two, so that not a
digit changes on the way there and back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from symda.solve.boundary.continuous import SignalExtremal
from symda.solve.boundary.extremal import Extremal
from symda.solve.boundary.functions import FieldFunctions
from symda.solve.boundary.mesh import Inputs, Mesh
from symda.solve.boundary.polynomials import Piecewise
from symda.types import FloatArray

if TYPE_CHECKING:
    import casadi as ca

    from symda.observe import Problem


#: Units are whole powers of this: what is of order one to that factor stays as it is.
BASE = 2.0**20


class BoundaryMethod(Protocol):
    """Solves the boundary value problem of one problem, at any model precision."""

    def solve(
        self,
        times: FloatArray,
        path: FloatArray,
        theta: FloatArray,
        rf: FloatArray,
        initial: FloatArray | None = None,
    ) -> Extremal:
        """Solve from a path (T, D) known at times (T,); see `Collocation.solve`."""


@dataclass(frozen=True, eq=False)
class Units:
    """Units of the states (D,), the parameters (P,) and the time."""

    x: FloatArray
    theta: FloatArray
    time: float

    @classmethod
    def of(cls, problem: Problem) -> Units:
        """Return those of a problem, all 1 where its numbers are of order one."""
        own = _power(problem.sizes)
        span = float(np.ptp(problem.node_times))
        return cls(own[: problem.D], own[problem.D :], float(_power(np.array(span))))

    @property
    def plain(self) -> bool:
        """Whether nothing changes."""
        return bool((self.x == 1.0).all() and (self.theta == 1.0).all() and self.time == 1.0)

    def system(self, system: FieldFunctions) -> FieldFunctions:
        """Return F and h in these units; what is measured keeps its own."""
        import casadi as ca

        D, U, P = system.D, system.U, system.P
        x, u, theta, t = (ca.SX.sym(n, k) for n, k in (("x", D), ("u", U), ("theta", P), ("t", 1)))
        at: list[ca.SX] = [ca.DM(self.x) * x, ca.DM(self.theta) * theta]
        F = system.field["field"](at[0], u, at[1], self.time * t)
        h = system.field["measure"](*at)
        slope = F * ca.DM(self.time / self.x)
        return FieldFunctions(
            {
                "field": ca.Function("field", [x, u, theta, t], [slope]),
                "measure": ca.Function("measure", [x, theta], [h]),
            }
        )

    def problem(self, p: Problem) -> Problem:
        """Return a problem in these units."""
        x, theta = self.x[:, None], self.theta[:, None]
        return replace(
            p,
            times=p.times / self.time,
            node_times=p.node_times / self.time,
            h=p.h / self.time,
            state_bounds=p.state_bounds / x,
            state_start=p.state_start / x,
            parameter_bounds=p.parameter_bounds / theta,
            parameter_start=p.parameter_start / theta,
            fixed=p.fixed / self.theta,
            typical=p.typical / self.theta,
        )

    def inputs(self, inputs: Inputs | None) -> Inputs | None:
        """Return the forcing, whose values stay, at times in these units."""
        if inputs is None:
            return None
        return Inputs(_Later(inputs.values, self.time), inputs.breaks / self.time)

    def precision(self, rf: FloatArray) -> FloatArray:
        """Rf of rates in these units."""
        return rf * self.x**2 / self.time

    def back(self, found: Extremal, system: FieldFunctions, mesh: Mesh, rf: FloatArray) -> Extremal:
        """Return what was found in the user's units."""
        breaks = found.x.breaks * self.time
        return replace(
            found,
            system=system,
            mesh=mesh,
            x=Piecewise(breaks, found.x.coefficients * self.x),
            p=Piecewise(breaks, found.p.coefficients / self.x),
            theta=found.theta * self.theta,
            before=found.before / self.x,
            rf=rf,
        )


@dataclass(frozen=True, eq=False)
class _Later:
    """A function of time, at times in other units."""

    function: Callable[[FloatArray], FloatArray]
    unit: float

    def __call__(self, t: FloatArray) -> FloatArray:
        return self.function(self.unit * t)


class InUnits:
    """A method that is given its problem in units of order one."""

    def __init__(
        self,
        make: Callable[[FieldFunctions, Problem, Inputs | None], BoundaryMethod],
        system: FieldFunctions,
        problem: Problem,
        inputs: Inputs | None,
        units: Units,
    ) -> None:
        self._system, self._units = system, units
        self._inputs = Inputs.of(problem) if inputs is None else inputs
        own = units.inputs(self._inputs)
        self._method = make(units.system(system), units.problem(problem), own)

    def solve(
        self,
        times: FloatArray,
        path: FloatArray,
        theta: FloatArray,
        rf: FloatArray,
        initial: FloatArray | None = None,
    ) -> Extremal:
        """Solve from a path (T, D) known at times (T,); see `Collocation.solve`."""
        to = self._units
        given = None if initial is None else initial / to.x
        found = self._method.solve(
            times / to.time, path / to.x, theta / to.theta, to.precision(rf), given
        )
        mesh = replace(
            found.mesh,
            times=found.mesh.times * to.time,
            points=found.mesh.points * to.time,
            inputs=self._inputs,
        )
        if isinstance(found, SignalExtremal):
            data = found.signal
            own = replace(data, times=data.times * to.time, rho=data.rho / to.time)
            found = replace(found, signal=own)
        return to.back(found, self._system, mesh, rf)


def _power(sizes: FloatArray) -> FloatArray:
    """Return the powers of `BASE` nearest to sizes; of two, so that nothing is rounded."""
    nearest: FloatArray = np.exp2(np.log2(BASE) * np.round(np.log2(sizes) / np.log2(BASE)))
    return nearest
