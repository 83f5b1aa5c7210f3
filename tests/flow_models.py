"""Random mechanical systems and their step maps on both engines, for the tests of integrators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

import symda as sd
from symda.build import build
from symda.build.steps import CompiledSteps, StepEngine, Stretches
from symda.build.steps_numpy import NumpySteps
from symda.derive.motion import Motion
from symda.discretise import Method
from symda.emit.steps import emit_steps
from symda.lower.steps import StepIR, lower_steps


def fitting(model: sd.Model) -> list[Method]:
    """The methods of the registry that a model can be integrated by."""
    mechanical = isinstance(model, sd.MechanicalModel)
    fits = {
        "": True,
        "mechanics": mechanical,
        "separable": mechanical and model.separable,
        "lagrangian": mechanical and model.lagrangian is not None,
    }
    return [one for one in sd.INTEGRATORS.values() if fits[one.needs]]


@dataclass(frozen=True, eq=False)
class Maps:
    """All step maps of a model that fit it."""

    model: sd.Model
    methods: tuple[Method, ...]

    @classmethod
    def of(cls, model: sd.Model, methods: Sequence[Method] | None = None) -> Maps:
        return cls(model, tuple(fitting(model) if methods is None else methods))

    @cached_property
    def _ir(self) -> StepIR:
        return lower_steps(Motion(self.model), self.methods)

    @cached_property
    def compiled(self) -> StepEngine:
        return CompiledSteps(build(emit_steps(self._ir)).library, self._ir)

    @cached_property
    def numpy(self) -> StepEngine:
        motion = Motion(self.model)
        return NumpySteps({r.name: getattr(motion, r.name) for r in self._ir.routines}, self._ir)

    @cached_property
    def rhs(self) -> Callable[[float, np.ndarray, np.ndarray], np.ndarray]:
        """F(t, x, u) by SymPy and NumPy alone; parameters at their declared values."""
        model = self.model
        t = model.time or sp.Symbol("t")
        theta = {p: model.declarations[p].value for p in model.parameters}
        f = sp.lambdify(
            [t, *model.states, *model.forcing], [e.subs(theta) for e in model.equations]
        )
        return lambda t, x, u=(): np.array(f(t, *x, *u), dtype=float)

    @property
    def theta(self) -> np.ndarray:
        declared = self.model.declarations
        return np.array([declared[p].value for p in self.model.parameters], dtype=float)

    def run(
        self,
        engine: StepEngine,
        method: Method,
        x: np.ndarray,
        h: float,
        steps: int,
        t: float = 0.0,
        u: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> np.ndarray:
        """State after some steps."""
        c, U = np.array(method.abscissae), len(self.model.forcing)
        when = t + h * (np.arange(steps)[:, None] + c)
        values = np.empty((*when.shape, U))
        if u is not None:
            values[:] = u(when)[..., None]
        stretches = Stretches(np.array([t]), np.array([h]), np.array([steps]), values)
        found = engine.advance(
            self.methods.index(method), x[None].copy(), self.theta[None], stretches
        )
        assert found.codes.tolist() == [0], (method.name, found.codes, found.where)
        return found.states[0, 0]

    def tangent(
        self,
        engine: StepEngine,
        method: Method,
        x: np.ndarray,
        h: float,
        t: float = 0.0,
        u: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """State after a step, and its Jacobian."""
        c, U = np.array(method.abscissae), len(self.model.forcing)
        values = np.empty((len(c), U))
        if u is not None:
            values[:] = u(t + h * c)[:, None]
        index = self.methods.index(method)
        after, M, code = engine.tangent(index, x, self.theta, t, h, values)
        assert code == 0, method.name
        return after, M

    def reference(
        self,
        x: np.ndarray,
        end: float,
        t: float = 0.0,
        u: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> np.ndarray:
        """The solution by SciPy's DOP853 at the edge of rounding, in pieces."""
        for a, b in zip(*[np.linspace(t, end, 9)[i : i + 8] for i in (0, 1)], strict=True):
            F = self.rhs if u is None else lambda s, y: self.rhs(s, y, [u(np.array(s))])
            x = solve_ivp(F, (a, b), x, method="DOP853", rtol=3e-14, atol=1e-15).y[:, -1]
        return x


def symbols(n: int) -> tuple[list[sd.Model], list[sd.Model]]:
    return list(sd.states("q", n)), list(sd.states("p", n))


def potential(q: Sequence[sp.Symbol], draw: np.random.Generator) -> sp.Expr:
    """A well with cubic, quartic and trigonometric bumps."""
    a = [float(v) for v in draw.uniform(0.5, 1.5, 4)]
    ring = list(zip(q, [*q[1:], q[0]], strict=True))
    return sum(
        a[0] * x**2 / 2 + a[1] * x**4 / 8 + a[2] * sp.cos(x + 2 * y) / 4 + a[3] * x * x * y / 10
        for x, y in ring
    )


def kinetic(p: Sequence[sp.Symbol], draw: np.random.Generator) -> sp.Expr:
    """Positive definite, with couplings, and not quadratic."""
    a = [float(v) for v in draw.uniform(0.5, 1.5, 3)]
    ring = list(zip(p, [*p[1:], p[0]], strict=True))
    return sum(a[0] * x**2 / 2 + a[1] * x * y / 8 + a[2] * sp.cos(x) / 5 for x, y in ring)


def separable(n: int, seed: int) -> sd.MechanicalModel:
    draw = np.random.default_rng(seed)
    q, p = symbols(n)
    k = sd.parameter("k", value=1.3)
    return sd.Model.from_hamiltonian(kinetic(p, draw) + k * potential(q, draw), q, p, name="wells")


def coupled(n: int, seed: int) -> sd.MechanicalModel:
    """Not separable: masses that depend on the place, and a product of q and p."""
    draw = np.random.default_rng(seed)
    q, p = symbols(n)
    m = sd.parameter("m", value=0.4)
    a = [float(v) for v in draw.uniform(0.2, 0.4, 3)]
    ring = list(zip(q, [*p[1:], p[0]], strict=True))
    bend = sum(a[0] * sp.sin(x) * y + m * x**2 * y**2 / 4 + a[1] * sp.cos(x + y) for x, y in ring)
    H = kinetic(p, draw) + potential(q, draw) + bend
    return sd.Model.from_hamiltonian(H, q, p, name="bends")


def lagrangian(n: int, seed: int, *, curved: bool) -> sd.MechanicalModel:
    """Of a Lagrangian; with `curved` the kinetic energy depends on the place."""
    draw = np.random.default_rng(seed)
    q, v = list(sd.states("q", n)), list(sd.states("v", n))
    B = draw.normal(size=(n, n)).round(3)
    mass = (B @ B.T + n * np.eye(n)) / n
    T = sum(float(mass[i, j]) * v[i] * v[j] for i in range(n) for j in range(n)) / 2
    if curved:
        T = T * (1 + sp.cos(q[0]) / 3)
    return sd.Model.from_lagrangian(T - potential(q, draw), q, v, name="roll")


def start(model: sd.Model, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1.2, 1.2, len(model.states))


def structure(n: int) -> np.ndarray:
    """J of M' J M = J."""
    Z, I = np.zeros((n, n)), np.eye(n)
    return np.block([[Z, I], [-I, Z]])
