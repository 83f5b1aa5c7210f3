"""Models, schemes and the pipeline by hand, shared by several test files."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import sympy as sp

import symda as sd
from symda.build import build
from symda.build.abstract import Evaluator, Kernels
from symda.build.kernels import compiled_kernels, virtual_kernels
from symda.declare import Measurement, measure
from symda.derive.field import Field, derive_field
from symda.derive.step import derive_step
from symda.discretise import SCHEMES, Scheme, find_scheme, moved, step_residual
from symda.emit import Source, emit
from symda.lower import lower
from symda.observe import Observations, Problem, bind

#: Schemes that are not in the registry; the emitted code claims to serve any tableau.
HEUN = Scheme("heun", 2, c=[0, 1], v=[0, 0], X=[[0, 0], [1, 0]], b=["1/2", "1/2"])
KUTTA3 = Scheme(
    "kutta3",
    3,
    c=[0, "1/2", 1],
    v=[0, 0, 0],
    X=[[0, 0, 0], ["1/2", 0, 0], [-1, 2, 0]],
    b=["1/6", "2/3", "1/6"],
)
#: Third order with one composite stage: 2/3 of the step from both ends and the first slope.
MIRK3 = Scheme("mirk3", 3, c=[0, "2/3"], v=[0, "4/9"], X=[[0, 0], ["2/9", 0]], b=["1/4", "3/4"])
#: Hermite-Simpson with the midpoint eliminated.
CONDENSED = Scheme(
    "condensed",
    4,
    c=[0, 1, "1/2"],
    v=[0, 1, "1/2"],
    X=[[0, 0, 0], [0, 0, 0], ["1/8", "-1/8", 0]],
    b=["1/6", "1/6", "2/3"],
)
#: Simpson's three-eighths rule, two interior points on the cubic Hermite interpolant.
EIGHTHS = Scheme(
    "eighths",
    4,
    c=[0, 1, "1/3", "2/3"],
    v=[0, 1, "7/27", "20/27"],
    X=[
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        ["4/27", "-2/27", 0, 0],
        ["2/27", "-4/27", 0, 0],
    ],
    b=["1/8", "1/8", "3/8", "3/8"],
    interior=[2, 3],
)
OWN_SCHEMES = (HEUN, KUTTA3, MIRK3, CONDENSED, EIGHTHS)
#: One scheme of each kind and more: explicit, at the ends of a step, in its middle, with interior
#: points one and several, with and without the ends. What the code makes of a scheme depends on
#: that alone; tests of a tableau's numbers take every scheme, `EVERY` and `SEPARABLE`.
ODE_SCHEMES = tuple(
    SCHEMES[name]
    for name in (
        *("euler", "rk4", "trapezoid", "midpoint", "hermite-simpson", "gauss4", "gauss6"),
        *("radau3", "radau5"),
    )
)
#: The same for separable mechanical models alone.
PARTITIONED = (SCHEMES["symplectic-euler"], SCHEMES["verlet"])
EVERY = tuple(s for s in SCHEMES.values() if not (s.discrete or s.partitioned))
SEPARABLE = tuple(s for s in SCHEMES.values() if s.partitioned)


@dataclass(frozen=True)
class Case:
    """A model under a scheme, through the pipeline up to the emitted text."""

    model: sd.Model
    measurement: Measurement
    scheme: Scheme
    field: Field
    source: Source
    virtual: Kernels

    @property
    def compiled(self) -> Kernels:
        return compiled_kernels(build(self.source))

    def problem(
        self,
        times: Sequence[float],
        values: np.ndarray,
        variance: object = 1.0,
        forcing: Mapping[str, object] | None = None,
        **options: object,
    ) -> Problem:
        model = self.model
        states = list(model.states)
        return bind(
            Observations(times, values, variance=variance, forcing=forcing),
            states={s: s.declaration for s in model.states},
            parameters={p: p.declaration for p in self.field.parameters},
            forcing=model.forcing,
            channels=self.measurement.names,
            direct=[states.index(f) if f in states else -1 for f in self.measurement.functions],
            abscissae=self.scheme.abscissae,
            interior=self.scheme.interior_abscissae,
            time=model.time,
            discrete=model.discrete,
            **options,
        )


def make_case(
    model: sd.Model,
    measured: Sequence[sp.Expr] | Mapping[str, sp.Expr],
    scheme: str | Scheme | None = None,
) -> Case:
    measurement = measure(model, measured)
    chosen = find_scheme(scheme, discrete=model.discrete)
    field = derive_field(model, measurement)
    source = emit(lower(field, chosen))
    virtual = virtual_kernels(derive_step(field, chosen), source)
    return Case(model, measurement, chosen, field, source, virtual)


@dataclass(frozen=True)
class Shape:
    """Sizes of a random polynomial model; `mixed`: every pair of neighbours in a product."""

    D: int
    P: int
    U: int
    L: int
    timed: bool = False
    discrete: bool = False
    mixed: bool = True
    seed: int = 0


def polynomial(shape: Shape) -> tuple[sd.Model, list[sp.Expr]]:
    """Draw a cubic model, with products of states, parameters, forcing, time, and its measurements.

    L = D measures the states themselves; otherwise expressions, nonlinear in states and parameters,
    the last of which has a parameter of its own when P > 0.
    """
    rng = np.random.default_rng([shape.seed, shape.D, shape.P, shape.U, shape.L])
    wide = {"start": (-1.0, 1.0)}
    x = [sd.state(f"x{a}", **wide) for a in range(shape.D)]
    theta = [sd.parameter(f"p{j}", **wide) for j in range(shape.P)]
    u = [sd.forcing(f"u{j}") for j in range(shape.U)]
    t = sd.time("t")
    inner = theta[:-1] if shape.L < shape.D and shape.P > 1 else theta
    factors: list[sp.Expr] = [*x, *x, *inner, *u]

    def monomial() -> sp.Expr:
        chosen = rng.integers(len(factors), size=rng.integers(1, 4))
        return round(float(rng.uniform(-1, 1)), 3) * sp.Mul(*(factors[i] for i in chosen))

    equations = {a: sp.Add(*(monomial() for _ in range(rng.integers(1, 4)))) for a in x}
    for j, symbol in enumerate([*inner, *u]):
        equations[x[j % shape.D]] += symbol * (1 + x[j % shape.D] / 2)
    if shape.mixed:
        for a, b in itertools.pairwise([*x, *inner]):
            equations[x[int(rng.integers(shape.D))]] += round(float(rng.uniform(0.2, 1)), 3) * a * b
    if shape.timed:
        equations[x[-1]] += sp.sin(2 * t) * x[0] + t / 3
    measured: list[sp.Expr] = list(x)
    if shape.L < shape.D:
        measured = [x[l] * (1 + x[-1] / 3) + 0.2 * x[0] ** 2 for l in range(shape.L)]
        if theta:
            measured[-1] = measured[-1] * theta[-1] + theta[-1] ** 2
    return sd.Model(equations, name=f"polynomial {shape.D}", discrete=shape.discrete), measured


def oscillators() -> tuple[sd.Model, list[sp.Expr]]:
    """A separable Hamiltonian with everything: parameters, one per step, forcing, time."""
    wide = {"start": (-1.0, 1.0)}
    q, p = sd.states("q1 q2", **wide), sd.states("p1 p2", **wide)
    m, k = sd.parameter("m", **wide), sd.parameter("k", **wide)
    w = sd.parameter("w", per="step", **wide)
    u, t = sd.forcing("u"), sd.time("t")
    kinetic = (1 + m**2) * p[0] ** 2 / 2 + p[0] * p[1] / 4 + p[1] ** 4 / 5 + u * p[1]
    potential = k * q[0] ** 2 * q[1] + q[1] ** 4 / 4 + q[0] * sp.sin(2 * t) + w * q[1] ** 2
    model = sd.Model.from_hamiltonian(
        kinetic + potential, q, p, forces={q[0]: u * q[1] ** 2}, name="oscillators"
    )
    return model, [q[0] * p[1] + m, q[1]]


#: Random models that are compiled: odd sizes, and every scheme at least once.
COMPILED: tuple[tuple[Shape, Scheme], ...] = (
    (Shape(1, 0, 0, 1), SCHEMES["euler"]),
    (Shape(3, 1, 1, 2, mixed=False), SCHEMES["euler"]),
    (Shape(4, 3, 2, 4, timed=True), SCHEMES["rk4"]),
    (Shape(2, 2, 1, 1, mixed=False), SCHEMES["rk4"]),
    (Shape(3, 1, 0, 2, timed=True), SCHEMES["trapezoid"]),
    (Shape(2, 3, 2, 2, timed=True), SCHEMES["midpoint"]),
    (Shape(2, 2, 1, 1, timed=True), SCHEMES["hermite-simpson"]),
    (Shape(1, 1, 1, 1), SCHEMES["hermite-simpson"]),
    (Shape(3, 2, 1, 1, discrete=True, timed=True), SCHEMES["map"]),
    *((Shape(2, 2, 1, 1, timed=True, seed=7), scheme) for scheme in OWN_SCHEMES),
    (Shape(2, 2, 1, 1, timed=True, seed=3), SCHEMES["gauss4"]),
    (Shape(1, 1, 0, 1, timed=True), SCHEMES["gauss6"]),
    (Shape(2, 1, 1, 2, timed=True), SCHEMES["radau3"]),
    (Shape(1, 2, 0, 1), SCHEMES["radau5"]),
)


@cache
def compiled_case(index: int) -> Case:
    """Case number `index` of `COMPILED`."""
    shape, scheme = COMPILED[index]
    return make_case(*polynomial(shape), scheme)


def random_problem(
    case: Case,
    rng: np.random.Generator,
    *,
    N: int,
    uniform: bool = True,
    observed: str = "gaps",
    **options: object,
) -> Problem:
    """Random data on the nodes of N steps: "all", with "gaps", or "one" value a channel."""
    L = len(case.measurement.functions)
    if case.model.discrete:
        times = np.arange(N + 1.0)
    else:
        h = np.full(N, 0.1) if uniform else rng.uniform(0.02, 0.3, size=N)
        times = np.concatenate([[0.3], 0.3 + np.cumsum(h)])
    values = rng.normal(size=(N + 1, L))
    if observed != "all":
        seen = rng.random(values.shape) < (0.5 if observed == "gaps" else 0.0)
        # each channel needs one value at least
        seen[rng.integers(N + 1), np.arange(L)] = True
        values[~seen] = np.nan
    forcing = {u.name: (times, rng.normal(size=N + 1)) for u in case.model.forcing}
    return case.problem(
        times.tolist(),
        values,
        variance=rng.uniform(0.1, 2.0, size=values.shape),
        forcing=forcing,
        **options,
    )


def random_point(
    problem: Problem, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A path, parameters, and Rf of each state."""
    X = rng.normal(scale=0.7, size=(problem.M, problem.D))
    return X, rng.normal(size=problem.P), rng.uniform(0.5, 20.0, size=problem.D)


def relative(got: object, expected: object) -> float:
    """Distance as a fraction of the expected value's norm."""
    a, b = np.asarray(got, dtype=float), np.asarray(expected, dtype=float)
    assert a.shape == b.shape
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-300))


def dense_steps(evaluator: Evaluator, name: str, *arguments: np.ndarray) -> np.ndarray:
    """The sparse result of a per-step function at every step, (N, rows, columns) with its zeros."""
    engine = evaluator.kernels.engine
    nonzeros = getattr(engine, name)(*arguments)
    sparsity = evaluator.kernels.functions[name].sparsity_out(0)
    rows, columns = (np.array(part, dtype=int) for part in sparsity.get_triplet())
    dense = np.zeros((len(nonzeros), *sparsity.shape))
    dense[:, rows, columns] = nonzeros
    return dense


def everything(
    kernels: Kernels, problem: Problem, X: np.ndarray, theta: np.ndarray, rf: np.ndarray
) -> dict[str, np.ndarray]:
    """All that kernels compute at one point, under names for messages."""
    at = kernels.at(problem)
    steps = at.packed.steps
    lam = np.random.default_rng(0).normal(size=(problem.N, problem.E))
    value, gradient = at.value_and_gradient(X, theta, rf)
    return {
        "action": np.array(at.action(X, theta, rf)),
        "terms": np.array(at.terms(X, theta, rf)),
        "value": np.array(value),
        "gradient": gradient,
        "hessian": at.hessian(X, theta, rf).toarray(),
        "residual": at.residual(X, theta),
        "jacobian": dense_steps(at, "step_jacobian", X, theta, steps),
        "curvature": dense_steps(at, "step_curvature", X, theta, steps, lam),
        "measure": kernels.measure(X, theta),
    }


def disagreements(
    got: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], tolerance: float = 1e-12
) -> dict[str, float]:
    """What differs by more than a fraction of its norm; nan differs from everything."""
    distances = {name: relative(got[name], expected[name]) for name in expected}
    return {name: value for name, value in distances.items() if not value <= tolerance}


class Jet:
    """A number with its exact gradient and Hessian: derivatives that owe CasADi nothing."""

    def __init__(self, value: float, gradient: np.ndarray, hessian: np.ndarray) -> None:
        self.value, self.gradient, self.hessian = value, gradient, hessian

    @classmethod
    def seeds(cls, values: np.ndarray) -> list[Jet]:
        n = values.size
        return [cls(float(v), np.eye(n)[i], np.zeros((n, n))) for i, v in enumerate(values)]

    def _lift(self, other: Jet | float) -> Jet:
        if isinstance(other, Jet):
            return other
        return Jet(float(other), 0.0 * self.gradient, 0.0 * self.hessian)

    def __add__(self, other: Jet | float) -> Jet:
        b = self._lift(other)
        return Jet(self.value + b.value, self.gradient + b.gradient, self.hessian + b.hessian)

    def __mul__(self, other: Jet | float) -> Jet:
        b = self._lift(other)
        cross = np.outer(self.gradient, b.gradient)
        return Jet(
            self.value * b.value,
            self.value * b.gradient + b.value * self.gradient,
            self.value * b.hessian + b.value * self.hessian + cross + cross.T,
        )

    def __neg__(self) -> Jet:
        return self * -1.0

    def __sub__(self, other: Jet | float) -> Jet:
        return self + (-self._lift(other))

    def __rsub__(self, other: float) -> Jet:
        return self._lift(other) - self

    def __truediv__(self, other: float) -> Jet:
        return self * (1.0 / other)

    def __pow__(self, exponent: int) -> Jet:
        return math.prod([self] * exponent, start=self._lift(1.0))

    __radd__, __rmul__ = __add__, __mul__


def exact_action(
    case: Case, problem: Problem, X: np.ndarray, theta: np.ndarray, rf: np.ndarray
) -> Jet:
    """Eq. 10 of a polynomial model summed term by term, with exact derivatives."""
    model = case.model
    t = model.time or sp.Symbol("t")
    arguments = [*model.states, *case.field.parameters]
    F = sp.lambdify([*arguments, *model.forcing, t], list(model.equations), "math")
    measured = sp.lambdify(arguments, list(case.measurement.functions), "math")
    unknowns = Jet.seeds(np.concatenate([X.reshape(-1), theta]))
    D, E = problem.D, problem.E
    flat, values = unknowns[: X.size], unknowns[X.size :]
    total = 0.0 * flat[0]
    parts = moved(case.scheme, model)
    for n in range(problem.N):
        window = [flat[i : i + D] for i in range(n * E, n * E + E + 1, D)]

        def slope(i: int, x: Sequence[Jet], n: int = n) -> list[Jet]:
            when = problem.node_times[n] + float(case.scheme.c[i]) * problem.h[n]
            slopes = F(*x, *values, *problem.u[n, case.scheme.slot(i)], when)
            return [k if a in range(*parts[i]) else 0.0 * x[0] for a, k in enumerate(slopes)]

        h = 0.0 * flat[0] + float(problem.h[n])
        for e, r in enumerate(step_residual(case.scheme, slope, window, h, float)):
            total = total + r * r * (0.5 * problem.weight[n] * rf[e % D])
    for m in range(problem.M):
        for l, h_l in enumerate(measured(*flat[m * D : m * D + D], *values)):
            misfit = h_l - float(problem.y[m, l])
            total = total + misfit * misfit * (0.5 * problem.rm[m, l])
    return total
