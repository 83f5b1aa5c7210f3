"""The continuous equations of random models, numerically, against CasADi and against each other."""

from __future__ import annotations

import casadi as ca
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from models import Shape, polynomial
from numpy.typing import NDArray
from test_mathml import check_page

import symda as sd
from symda.declare.factory import Model
from symda.typeset.phase import rate

Array = NDArray[np.float64]

SHAPES = st.builds(
    Shape,
    D=st.integers(1, 4),
    P=st.integers(0, 3),
    U=st.integers(0, 2),
    L=st.integers(1, 4),
    timed=st.booleans(),
    seed=st.integers(0, 10**6),
).filter(lambda shape: shape.L <= shape.D)


class Numbers:
    """Random values of all symbols by name, and the exact functions in CasADi."""

    def __init__(self, model: Model, measured: list[sp.Expr], seed: int) -> None:
        self.action = sd.Action(model, measured, scheme="euler", model_error="rate")
        self.rng = np.random.default_rng(seed)
        self.values: dict[str, float] = {}
        self.states = [s.name for s in model.states]
        self.theta = [p.name for p in self.action.parameters]
        self.symbols = [*model.states, *self.action.parameters, *model.forcing]
        self.time = model.time or sp.Symbol("t")

    def __getitem__(self, name: str) -> float:
        if name not in self.values:
            low = 0.5 if name.startswith("R") and "'" not in name else -1.0
            self.values[name] = float(self.rng.uniform(low, 1.5))
        return self.values[name]

    def at(self, expression: sp.Expr) -> float:
        numbers = {s: self[s.name] for s in expression.free_symbols}
        return float(expression.subs(numbers))

    def exact(self) -> tuple[Array, Array, Array, float]:
        """x', p', dH/dtheta and H from an H written out in CasADi."""
        model, measurement = self.action.model, self.action.measurement
        arguments = [ca.SX.sym(s.name) for s in self.symbols]
        functions = [*model.equations, *measurement.functions]
        every = sp.lambdify([*self.symbols, self.time], functions, [{"sin": ca.sin}, "math"])
        values = every(*arguments, self[self.time.name])
        D = len(self.states)
        p = ca.SX.sym("p", D)
        Rf = [self[f"Rf[{name}]"] for name in self.states]
        H = ca.SX(0)
        for a in range(D):
            H += p[a] * values[a] + p[a] ** 2 / (2 * Rf[a])
        for l, h in enumerate(values[D:], start=1):
            H -= self[f"Rm[{l}]"] / 2 * (h - self[f"y[{l}]"]) ** 2
        x, theta = ca.vertcat(*arguments[:D]), ca.vertcat(*arguments[D : D + len(self.theta)])
        slopes = [ca.gradient(H, p), -ca.gradient(H, x), ca.gradient(H, theta), H]
        whole = ca.Function("whole", [ca.vertcat(*arguments), p], [ca.densify(s) for s in slopes])
        point = [self[s.name] for s in self.symbols], [self[f"p_{name}"] for name in self.states]
        forward, backward, by_theta, energy = (v.full().reshape(-1) for v in whole(*point))
        return forward, backward, by_theta, float(energy[0])


@settings(max_examples=6, deadline=None)
@given(SHAPES)
def test_hamilton_is_the_gradient_of_an_independent_hamiltonian(shape: Shape) -> None:
    numbers = Numbers(*polynomial(shape), shape.seed)
    hamilton = numbers.action.hamilton()
    forward, backward, by_theta, energy = numbers.exact()
    got = np.array([numbers.at(equation.rhs) for equation in hamilton.equations])
    np.testing.assert_allclose(got, np.concatenate([forward, backward]), rtol=1e-11, atol=1e-11)
    conditions = [numbers.at(c.lhs.function) for c in hamilton.parameters]
    np.testing.assert_allclose(conditions, by_theta, rtol=1e-11, atol=1e-11)
    assert numbers.at(hamilton.hamiltonian) == pytest.approx(energy, rel=1e-11, abs=1e-11)


@settings(max_examples=5, deadline=None)
@given(SHAPES)
def test_the_legendre_transform_is_an_involution(shape: Shape) -> None:
    """p x' - H at p(x') is L, and p(x'(p)) is p."""
    numbers = Numbers(*polynomial(shape), shape.seed)
    L, H = numbers.action.lagrangian(), numbers.action.hamiltonian()
    momenta = {e.lhs: e.rhs for e in L.equations}
    velocities = {e.lhs: e.rhs for e in H.equations}
    assert set(momenta) == set(H.momenta) == set(L.momenta)
    assert set(velocities) == set(L.velocities)
    back = sum(p * v for p, v in zip(L.momenta, L.velocities, strict=True)) - H.hamiltonian
    difference = back.xreplace(momenta) - L.lagrangian
    assert abs(numbers.at(difference)) < 1e-10
    for p, in_velocities in momenta.items():
        assert abs(numbers.at(in_velocities.xreplace(velocities) - p)) < 1e-10


@settings(max_examples=4, deadline=None)
@given(SHAPES)
def test_euler_lagrange_and_hamilton_are_the_same_motion(shape: Shape) -> None:
    """x'' is the derivative of x'(x, p, t) along Hamilton's flow; p' is d/dt of p(x, x')."""
    numbers = Numbers(*polynomial(shape), shape.seed)
    action = numbers.action
    euler, hamilton, L = action.euler_lagrange(), action.hamilton(), action.lagrangian()
    momenta = {e.lhs: e.rhs for e in L.equations}
    D = len(euler.states)
    flow = {e.lhs: e.rhs for e in hamilton.equations}
    forcing = {u: rate(u) for u in action.model.forcing}
    for a, equation in enumerate(euler.second_order):
        velocity = hamilton.equations[a].rhs
        change = velocity.diff(numbers.time)
        for symbol in (*hamilton.states, *hamilton.momenta):
            change += velocity.diff(symbol) * flow[rate(symbol)]
        change += sum(velocity.diff(u) * du for u, du in forcing.items())
        assert abs(numbers.at(change.xreplace(momenta) - equation.rhs)) < 1e-9
    for right, backward in zip(euler.equations, hamilton.equations[D:], strict=True):
        assert abs(numbers.at(backward.rhs.xreplace(momenta) - right.rhs)) < 1e-9


@pytest.mark.parametrize("shape", [Shape(1, 0, 0, 1), Shape(3, 2, 1, 2, timed=True)])
def test_everything_can_be_typeset(shape: Shape) -> None:
    action = sd.Action(*polynomial(shape))
    parts = (action.lagrangian(), action.euler_lagrange(), action.hamiltonian())
    for of in (*parts, action.hamilton(), action.discrete_euler_lagrange()):
        assert of._repr_html_() == check_page(of)
        assert of._repr_latex_().startswith("$$")
        assert max(map(len, str(of).splitlines())) <= 100


@pytest.mark.parametrize("name", ["henon", "lorenz96", "nakl"])
def test_the_library_can_be_typeset(name: str) -> None:
    model = getattr(sd.models, name)()
    action = sd.Action(model, [model.states[0]])
    check_page(action.discrete_euler_lagrange())
    if not model.discrete:
        for of in (action.lagrangian(), action.hamilton()):
            check_page(of)
            text = str(of)
            assert all(state.name in text for state in model.states)
