"""`Extremal`: x(t) and p(t) that solve Hamilton's equations, and how well they do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from symda.solve.boundary.mesh import Mesh
from symda.solve.boundary.polynomials import Piecewise, Side, gauss
from symda.status import Status
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from symda.solve.boundary.functions import FieldFunctions


#: A momentum below this share of the largest force of the data is rounding error.
NOISE = 1e-6


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a solver ended."""

    status: Status  #: How it ended.
    message: str  #: What the user is told.
    iterations: int
    evaluations: int
    seconds: float  #: Wall time.


@dataclass(frozen=True, eq=False)
class Extremal:
    """A solution of x' = F + p / Rf, p' = -DF^T p with jumps of p at the data."""

    #: What is solved, and where it is collocated.
    system: FieldFunctions
    mesh: Mesh
    #: States and momenta, polynomials of degree d between the ends of intervals.
    x: Piecewise
    p: Piecewise
    theta: FloatArray  #: Parameters, (P,).
    rf: FloatArray  #: Model precision, may be infinite, (D,).
    free: BoolArray  #: Which parameters were estimated, (P,).
    known: BoolArray  #: (D,): where x(t0) was given; elsewhere p vanishes there.
    before: FloatArray  #: p just before t0, (D,).
    outcome: Outcome  #: How the solver ended.

    @property
    def window(self) -> tuple[float, float]:
        """First and last time."""
        return float(self.mesh.times[0]), float(self.mesh.times[-1])

    @cached_property
    def jumps(self) -> FloatArray:
        """What the data add to p at the ends of intervals, dh/dx^T Rm (h - y), (J + 1, D)."""
        return self._gradients[:, : self.system.D]

    @cached_property
    def _gradients(self) -> FloatArray:
        return self.system.force(self._nodes, self.theta, *self._data)

    @cached_property
    def _noise(self) -> FloatArray:
        """Forces on states, at one time, and on parameters, in all, that are rounding, (D + P,)."""
        size, D = self.system.force_terms(self._nodes, self.theta, *self._data), self.system.D
        return NOISE * np.concatenate([size[:, :D].max(axis=0), size[:, D:].sum(axis=0)])

    @property
    def _data(self) -> tuple[FloatArray, FloatArray]:
        return self.mesh.y, self.mesh.rm

    @cached_property
    def _nodes(self) -> FloatArray:
        left, right = self.x.ends()
        return np.concatenate([left, right[-1:]])

    @cached_property
    def momenta_at_ends(self) -> tuple[FloatArray, FloatArray]:
        """Momenta before and after the jump at each end of an interval, (J + 1, D) each."""
        left, right = self.p.ends()
        before = np.concatenate([self.before[None], right])
        after = np.concatenate([left, (right[-1] + self.jumps[-1])[None]])
        return before, after

    @cached_property
    def measurement_term(self) -> float:
        """sum_k Rm/2 (h - y)^2."""
        return float(self.system.error(self._nodes, self.theta, *self._data).sum())

    @cached_property
    def model_term(self) -> float:
        """Return int Rf/2 (x' - F)^2 dt = int p^2 / (2 Rf) dt, by Gauss quadrature."""
        p = self._at_points(self.p)
        weights = self.mesh.h[:, None] * gauss(self.mesh.degree).b
        return float(np.sum(weights[..., None] * p**2 / (2.0 * self.rf)))

    def hamiltonian(self, t: FloatArray, side: Side = "right") -> FloatArray:
        """H = sum_a p_a^2 / (2 Rf_a) + p_a F_a between the data, at times (T,)."""
        x, p = self.x(t, side), self.p(t, side)
        F = self.system.slope(x, self.theta, self._inputs(t, side), t)
        return np.asarray(np.sum(p**2 / (2.0 * self.rf) + p * F, axis=1))

    @cached_property
    def residuals(self) -> dict[str, float]:
        """How far the equations are from being met, as shares of the largest |x|, |p| or jump.

        Where the data are met exactly p is rounding error and no measure of size; a small
        share of dh/dx^T Rm h, the force that the data could have, then takes its place.

        ``states`` and ``momenta``: the differential equations at the Gauss points, times the
        interval's length; ``jumps``: of p at the data; ``ends``: p before t0 (or x(t0)) and after
        tF; ``parameters``: the integrals that free parameters make vanish, as shares of their own
        absolute size.
        """
        dx, dp = self._defects(gauss(self.mesh.degree).c)
        before, after = self.momenta_at_ends
        D = self.system.D
        sizes = self._noise[D:] + np.abs(self._gradients[:, D:]).sum(axis=0)
        gradient = self._gradients[:, D:].sum(axis=0)
        weights = (self.mesh.h[:, None] * gauss(self.mesh.degree).b)[..., None]
        J = weights[..., None] * self._jacobians(self.mesh.points, self.x, "right")[..., D:]
        p = self._at_points(self.p)
        work = np.einsum("jda,jdap->jdp", p, J)
        sizes += np.abs(work).sum(axis=(0, 1))
        sizes += self._noise[:D].max() * np.abs(J).sum(axis=(0, 1, 2))
        balance = np.abs(gradient - work.sum(axis=(0, 1))) / _positive(sizes)
        size = self._sizes[1]
        ends = np.stack([np.where(self.known, 0.0, before[0]), after[-1]])
        return {
            "states": float(dx.max(initial=0.0)),
            "momenta": float(dp.max(initial=0.0)),
            "jumps": float(np.max(np.abs(after - before - self.jumps) / size)),
            "ends": float(np.max(np.abs(ends) / size)),
            "parameters": float(balance[self.free].max(initial=0.0)),
        }

    @cached_property
    def defect(self) -> float:
        """Largest residual of the differential equations between the Gauss points.

        There the polynomials do not solve them by construction, so this tells how well the mesh
        resolves the solution; it falls with the degree d as h^d.
        """
        dx, dp = self._defects(gauss(self.mesh.degree + 1).c)
        return float(max(dx.max(initial=0.0), dp.max(initial=0.0)))

    @cached_property
    def _sizes(self) -> tuple[FloatArray, FloatArray]:
        """Largest |x_a|, and |p_a| or jump of p_a, of each state; 1 where they vanish."""
        _, after = self.momenta_at_ends
        x = np.abs(self._nodes).max(axis=0)
        p = np.maximum(np.abs(after), np.abs(self.jumps)).max(axis=0)
        # the momentum of a state that hardly depends on the data is made of rounding errors of the
        # others, and so are all where the data are met exactly
        least = max(1e-12 * p.max(), self._noise[: self.system.D].max())
        return _positive(x), _positive(np.maximum(p, least))

    def _defects(self, c: FloatArray) -> tuple[FloatArray, FloatArray]:
        """|x' - F - p / Rf| h and |p' + DF^T p| h at shares c of each interval, as shares."""
        mesh = self.mesh
        t = mesh.times[:-1, None] + mesh.h[:, None] * c
        flat = t.reshape(-1)
        x, p = self.x(flat), self.p(flat)
        F = self.system.slope(x, self.theta, self._inputs(flat, "right"), flat)
        J = self._jacobians(t, self.x, "right").reshape(flat.size, self.system.D, -1)
        dx = self.x.derivative()(flat) - F - p / self.rf
        dp = self.p.derivative()(flat) + np.einsum("nab,na->nb", J[..., : self.system.D], p)
        h = np.repeat(mesh.h, c.size)[:, None]
        return np.abs(dx) * h / self._sizes[0], np.abs(dp) * h / self._sizes[1]

    def _jacobians(self, t: FloatArray, x: Piecewise, side: Side) -> FloatArray:
        flat = t.reshape(-1)
        found = self.system.jacobian(x(flat, side), self.theta, self._inputs(flat, side), flat)
        return found.reshape(*t.shape, self.system.D, -1)

    def _at_points(self, function: Piecewise) -> FloatArray:
        return function(self.mesh.points.reshape(-1)).reshape(*self.mesh.points.shape, -1)

    def _inputs(self, t: FloatArray, side: Side) -> FloatArray:
        when = t if side == "right" else np.nextafter(t, -np.inf)
        return self.mesh.inputs.values(np.clip(when, *self.window))


def _positive(values: FloatArray) -> FloatArray:
    return np.where(values > 0.0, values, 1.0)
