"""Discrete Euler-Lagrange equations, evaluated as written, against the kernels' gradient."""

from __future__ import annotations

import re
from functools import reduce

import numpy as np
import pytest
import sympy as sp
from cli_shell import MODEL, Shell, symda
from models import (
    ODE_SCHEMES,
    OWN_SCHEMES,
    PARTITIONED,
    Case,
    Shape,
    dense_steps,
    make_case,
    oscillators,
    polynomial,
    random_point,
    random_problem,
)
from numpy.typing import NDArray
from test_mathml import check_page

import symda as sd
from symda.discretise import SCHEMES, Scheme
from symda.solve import Ipopt
from symda.typeset.discrete import DiscreteEulerLagrange
from symda.typeset.notation import Mark

__all__ = ["symda"]

Array = NDArray[np.float64]


class Discrete:
    """Values of the letters at a path; one block a node, padded where the last has no interior."""

    def __init__(self, case: Case, *, N: int = 3, averaging: str = "sum") -> None:
        rng = np.random.default_rng(2)
        forms = {} if case.model.discrete else {"model_error": "rate", "uniform": False}
        self.case = case
        self.problem = random_problem(case, rng, N=N, averaging=averaging, **forms)
        self.at_path(*random_point(self.problem, rng))

    def at_path(self, X: Array, theta: Array, rf: Array) -> None:
        problem, at = self.problem, self.case.virtual.at(self.problem)
        self.X, self.theta, self.rf = X, theta, rf
        precision = np.broadcast_to(at.precision(rf), (problem.D,))
        residual = at.residual(X, theta).reshape(problem.N, problem.E)
        weights = np.tile(precision, problem.E // problem.D)
        self.p = residual * weights * problem.weight[:, None]
        self.J = dense_steps(at, "step_jacobian", X, theta, at.packed.steps)
        self.gradient = at.gradient(X, theta, rf)

    def equations(self) -> DiscreteEulerLagrange:
        case, problem = self.case, self.problem
        action = sd.Action(
            case.model,
            dict(zip(case.measurement.names, case.measurement.functions, strict=True)),
            scheme=case.scheme,
            averaging=problem.averaging,
            model_error=problem.model_error,
        )
        sizes = {"N": problem.N, "M": problem.M, "D": problem.D, "L": problem.L}
        letters = action._subject.notation
        sizes["T"] = problem.N + 1
        self.sizes = {letters.index(letter): size for letter, size in sizes.items()}
        return action.discrete_euler_lagrange()

    def lookup(self, name: str, n: int) -> Array:
        if name.endswith(".T"):
            return self.lookup(name.removesuffix(".T"), n).T
        letter, shift = re.fullmatch(r"(\w+)\[\w+?([+-]1)?\]", name).groups()
        n += int(shift or 0)
        E, D, N = self.problem.E, self.problem.D, self.problem.N
        step, exists = min(max(n, 0), N - 1), 0 <= n < N
        if letter in ("p", "mom"):
            return self.p[step, :, None] * exists
        if letter.startswith("J"):
            J = self.J[step] * exists
            if letter.endswith("theta"):
                return J[:, E + D :]
            return (
                J[:, :E] if letter.endswith("0") else np.pad(J[:, E : E + D], ((0, 0), (0, E - D)))
            )
        return self.measured(letter, n)

    def measured(self, letter: str, n: int) -> Array:
        problem, field, points = self.problem, self.case.field, self.problem.E // self.problem.D
        e, Rm, by_state, by_theta = [], [], [], []
        for k in range(points):
            m = n * points + k
            exists = m < problem.M
            m = min(m, problem.M - 1)
            h, J = (v.full() for v in field.measure_jacobian(self.X[m], self.theta))
            e.append(h[:, 0] - problem.y[m])
            Rm.append(problem.rm[m] / problem.measurement_scale * exists)
            by_state.append(J[:, : problem.D])
            by_theta.append(J[:, problem.D :])
        if letter == "e":
            return np.concatenate(e)[:, None]
        if letter == "Rm":
            return np.diag(np.concatenate(Rm))
        if letter.endswith("theta"):
            return np.vstack(by_theta)
        assert letter.endswith("0")
        whole = np.zeros((points * problem.L, problem.E))
        for k, block in enumerate(by_state):
            whole[k * problem.L :][: problem.L, k * problem.D :][:, : problem.D] = block
        return whole

    def evaluate(self, expression: sp.Expr, n: int) -> Array | float:
        if isinstance(expression, sp.Sum):
            ((_, low, high),) = expression.limits
            steps = range(int(low), int(high.subs(self.sizes)) + 1)
            return sum(self.evaluate(expression.function, m) for m in steps)
        if expression.is_Add:
            return sum(self.evaluate(term, n) for term in expression.args)
        if expression.is_Mul:
            factors = [self.evaluate(factor, n) for factor in expression.args]
            numbers = [f for f in factors if np.isscalar(f)]
            return float(np.prod(numbers)) * reduce(
                np.matmul, [f for f in factors if not np.isscalar(f)]
            )
        if isinstance(expression, Mark):
            return self.lookup(expression.name, n)
        return float(expression.subs(self.sizes))


def check(case: Case, **options: str) -> None:
    numbers = Discrete(case, **options)
    of = numbers.equations()
    problem = numbers.problem
    E, scale = problem.E, 1e-12 * max(1.0, abs(numbers.gradient).max())
    path, theta = (
        numbers.gradient[: problem.M * problem.D],
        numbers.gradient[problem.M * problem.D :],
    )
    path = np.pad(path, (0, E - problem.D))
    for n in range(problem.N + 1):
        left = numbers.evaluate(of.equations[0].lhs, n)
        assert abs(left[:, 0] - path[n * E : (n + 1) * E]).max() <= scale
        # the recursion is the same equation
        before = numbers.evaluate(of.recursion.lhs, n)
        back = before - numbers.evaluate(of.recursion.rhs, n)
        assert abs(back - left).max() <= scale
    assert len(of.equations) == (2 if len(theta) else 1)
    if len(theta):
        assert abs(numbers.evaluate(of.equations[1].lhs, 0)[:, 0] - theta).max() <= scale
    check_page(of)


@pytest.mark.parametrize("scheme", (*ODE_SCHEMES, *OWN_SCHEMES), ids=lambda s: s.name)
def test_the_equations_are_the_gradient(scheme: Scheme) -> None:
    check(make_case(*polynomial(Shape(2, 2, 1, 1, timed=True)), scheme))


@pytest.mark.parametrize("scheme", PARTITIONED, ids=lambda scheme: scheme.name)
def test_the_equations_of_partitioned_schemes(scheme: Scheme) -> None:
    check(make_case(*oscillators(), scheme))


@pytest.mark.parametrize(
    "shape", [Shape(3, 2, 1, 3, discrete=True), Shape(1, 0, 0, 1, discrete=True)]
)
def test_the_equations_of_a_map(shape: Shape) -> None:
    check(make_case(*polynomial(shape), SCHEMES["map"]))


@pytest.mark.parametrize("averaging", ["eq2", "eq14", "minaone", "varanneal"])
def test_the_equations_of_averaged_actions(averaging: str) -> None:
    check(make_case(*polynomial(Shape(2, 1, 0, 2)), SCHEMES["trapezoid"]), averaging=averaging)


def test_at_a_minimum_the_momenta_follow_the_recursion() -> None:
    case = make_case(*polynomial(Shape(2, 0, 0, 2, seed=3)), SCHEMES["midpoint"])
    numbers = Discrete(case, N=6)
    found = (
        Ipopt()
        .with_options(tol=1e-11)
        .at(case.virtual, numbers.problem)
        .minimise(numbers.X, numbers.theta, numbers.rf)
    )
    assert found.status in ("converged", "acceptable")
    numbers.at_path(found.path, found.theta, numbers.rf)
    np.testing.assert_allclose(numbers.p, found.momenta, atol=1e-6)
    of = numbers.equations()
    size = abs(found.momenta).max()
    for n in range(numbers.problem.N + 1):
        back = numbers.evaluate(of.recursion.rhs, n) - numbers.evaluate(of.recursion.lhs, n)
        assert abs(back).max() < 1e-6 * size
    assert [str(condition.lhs) for condition in of.boundary] == ["p[-1]", "p[N]"]


def test_the_momentum_is_named_apart_from_the_model() -> None:
    p = sd.state("p")
    of = sd.Action(sd.Model({p: -p}), [p], scheme="euler").discrete_euler_lagrange()
    assert str(of.momentum.lhs) == "mom[n]"
    assert "mom[n-1] = -J0[n].T*mom[n] - G0[n].T*Rm[n]*e[n]" in str(of)


def test_the_command_line_prints_them(symda: Shell) -> None:
    file = symda.write("m.py", MODEL)
    done = symda("derive", file, "--continuous", "--discrete")
    assert done.code == 0
    titles = ("Lagrangian", "Euler-Lagrange equations", "Hamiltonian", "Hamilton's equations")
    for title in (*titles, "Discrete Euler-Lagrange equations"):
        assert f"\n{title}\n---" in f"\n{done.out}"
    assert "ODE lorenz96" not in done.out
    latex = symda("derive", file, "--discrete", "--latex")
    assert latex.out.startswith(r"\paragraph{Discrete action.}")
    map_file = symda.write("map.py", "import symda as sd\nmodel = sd.models.henon()\n")
    refused = symda("derive", map_file, "--continuous")
    assert refused.code != 0
    assert "discrete_euler_lagrange()" in " ".join(refused.err.split())
