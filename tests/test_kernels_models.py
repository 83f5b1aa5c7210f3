"""Kernels of models that are awkward on purpose: names, cases, constants, nothing curved, long."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sympy as sp
from models import (
    COMPILED,
    Case,
    Shape,
    disagreements,
    everything,
    exact_action,
    make_case,
    polynomial,
    random_point,
    random_problem,
    relative,
)

import symda as sd
import symda.emit.format
from symda.build import build
from symda.build.kernels import compiled_kernels
from symda.declare.functions import KNOWN
from symda.discretise import find_scheme
from symda.emit import emit
from symda.lower import lower

WIDE = {"start": (-1.0, 1.0)}


def check(case: Case, seed: int = 0, *, N: int = 4) -> None:
    """Compiled = virtual on random data of one case."""
    rng = np.random.default_rng(seed)
    problem = random_problem(case, rng, N=N, uniform=case.model.discrete)
    point = random_point(problem, rng)
    compiled = everything(case.compiled, problem, *point)
    assert np.isfinite(compiled["hessian"]).all()
    assert disagreements(compiled, everything(case.virtual, problem, *point)) == {}


@pytest.fixture(scope="module")
def cased():
    """Gates and rates as in a neuron: cases, exponentials, a removable singularity, tanh, roots."""
    x, y, z = sd.states("x y z", **WIDE)
    a, b = sd.parameters("a b", **WIDE)
    current = sd.forcing("I")
    rate = (x - a) / (1 - sp.exp(-(x - a)))
    equations = {
        x: sp.Piecewise((x**2 + b, x < 0), (sp.log(1 + x) + b, True))
        - y * sp.tanh(b * y)
        + current,
        y: sp.exp(-(x**2)) * (1 + sp.tanh((x - a) / 2)) / 2 - y * rate,
        z: sp.Max(x, y) - sp.sqrt(1 + z**2) + sp.Abs(y) * sp.cos(z) - sp.Min(z, 0.3) * a,
    }
    model = sd.Model(equations, name="gates")
    return make_case(model, [sp.exp(x / 2) + a, sp.atan2(y, 2 + z**2)], "rk4")


@pytest.mark.parametrize("seed", range(4))
def test_cases_exponentials_and_hyperbolic_tangents(cased, seed):
    check(cased, seed)


def test_a_removable_singularity_stays_finite(cased):
    rng = np.random.default_rng(0)
    problem = random_problem(cased, rng, N=2)
    X, theta, rf = random_point(problem, rng)
    X[:, 0] = theta[0] + np.array([0.0, 1e-9, -1e-7])
    compiled = everything(cased.compiled, problem, X, theta, rf)
    assert np.isfinite(compiled["hessian"]).all()
    assert disagreements(compiled, everything(cased.virtual, problem, X, theta, rf)) == {}


def test_both_cases_of_a_piecewise_are_taken(cased):
    """At x = -2 the logarithm of the other case is not a number; no trace of it may be left."""
    rng = np.random.default_rng(0)
    problem = random_problem(cased, rng, N=2)
    X, theta, rf = random_point(problem, rng)
    X[:, 0] = [-2.0, -3.0, 2.0]
    compiled = everything(cased.compiled, problem, X, theta, rf)
    assert all(np.isfinite(value).all() for value in compiled.values())
    assert disagreements(compiled, everything(cased.virtual, problem, X, theta, rf)) == {}


def test_a_linear_model_has_no_curvature():
    x, y = sd.states("x y", **WIDE)
    u = sd.forcing("u")
    case = make_case(sd.Model({x: -x + 2 * y + u, y: 0.5 * x - y}, name="linear"), [y], "midpoint")
    check(case)
    for kernels in (case.compiled, case.virtual):
        assert kernels.functions["step_curvature"].nnz_out(0) == 0
    rng = np.random.default_rng(3)
    problem = random_problem(case, rng, N=3)
    X, theta, rf = random_point(problem, rng)
    at = case.compiled.at(problem)
    zero = np.zeros_like(X)
    step = -np.linalg.solve(at.hessian(zero, theta, rf).toarray(), at.gradient(zero, theta, rf))
    there = at.gradient(step.reshape(X.shape), theta, rf)
    assert np.linalg.norm(there) < 1e-12 * np.linalg.norm(at.gradient(zero, theta, rf))


def test_equations_that_are_constant():
    """Also names that would end a docstring or a comment, or start a template's statement."""
    x, y, z = sd.states("x y z", **WIDE)
    p = sd.parameter("p", **WIDE)
    name = 'a """ */ \\ {% name %} of two parts'
    model = sd.Model({x: 0, y: 2.5, z: p}, name=name)
    case = make_case(model, {'channel """ */': x, "other": y * z}, "trapezoid")
    check(case)
    rng = np.random.default_rng(1)
    problem = random_problem(case, rng, N=2)
    X, theta, _ = random_point(problem, rng)
    expected = np.diff(X, axis=0) - problem.h[:, None] * np.array([0.0, 2.5, theta[0]])
    np.testing.assert_allclose(case.compiled.at(problem).residual(X, theta), expected, atol=1e-15)


def test_names_that_the_emitted_code_uses_itself():
    """Names of C keywords, of the kernels' own variables, constants and functions."""
    names = (
        "x k J theta work h D W H v v0 w t lam rf step double for lambda pow sin NAN E S".split()
    )
    states = [sd.state(name, **WIDE) for name in names[:4]]
    parameters = [sd.parameter(name, **WIDE) for name in names[4:]]
    u, time = sd.forcing("u"), sd.time("time")
    equations = {s: sp.Add(*parameters[i::4]) * s for i, s in enumerate(states)}
    equations[states[0]] += u * sp.sin(time) * states[3] ** 2
    case = make_case(sd.Model(equations, name="double"), [states[0] * states[1]], "euler")
    assert {p.name for p in case.field.parameters} == set(names[4:])
    check(case)


def test_long_routines_are_split_without_a_change(monkeypatch):
    case = make_case(*polynomial(Shape(3, 3, 2, 2, timed=True, seed=5)), "rk4")
    whole = case.source
    monkeypatch.setattr(symda.emit.format, "CHUNK", 2)
    source = emit(lower(case.field, find_scheme("rk4", discrete=False)))
    assert "field_jacobian_1(" in source.text and "field_jacobian_1(" not in whole.text
    assert source.digest != whole.digest
    split = compiled_kernels(build(source))
    rng = np.random.default_rng(2)
    problem = random_problem(case, rng, N=3)
    point = random_point(problem, rng)
    virtual = everything(case.virtual, problem, *point)
    assert disagreements(everything(split, problem, *point), virtual) == {}
    assert relative(virtual["hessian"], exact_action(case, problem, *point).hessian) < 1e-12


def test_a_wide_model_is_split_by_itself():
    """Enough terms to need several functions at the true chunk length; a ring of neighbours."""
    D = 24
    x = sd.states("x", D, **WIDE)
    nu = sd.parameter("nu", **WIDE)
    ring = {
        x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - sp.tanh(x[a]) ** 3 * sp.sin(x[a - 3]) + nu
        for a in range(D)
    }
    case = make_case(sd.Model(ring, name="ring"), [x[0], x[5] * x[6]], "midpoint")
    assert "field_curvature_1(" in case.source.text
    check(case, N=2)


def test_every_function_a_model_may_use():
    """Each known function once, where it is smooth; both machines against SymPy's own numbers."""
    x, y = sd.states("x y", **WIDE)
    a = sd.parameter("a", **WIDE)
    inner = (1 + x * y / 4 + a / 8) / 2  # within (0, 1) for all that is drawn below
    outer = 2 + inner
    domain = {sp.acosh: outer, sp.acoth: outer, sp.asec: outer, sp.acsc: outer, sp.log: outer}
    several = {
        sp.atan2: sp.atan2(inner, outer),
        sp.Heaviside: sp.Heaviside(x - a, 0.5) * x**2,
        sp.Mod: sp.Mod(x + 10 * y, 3),
        sp.Min: sp.Min(x, y**2, a),
        sp.Max: sp.Max(x * y, sp.log(outer), a),
        sp.Piecewise: sp.Piecewise(
            (x**2, sp.And(x > a, sp.Or(y < 0, sp.Ne(x, y)))),
            (y, sp.Not(x <= a)),
            (x * y, True),
        ),
    }
    terms = [several.get(f, None) or f(domain.get(f, inner)) for f in KNOWN]
    half = len(terms) // 2
    model = sd.Model({x: sp.Add(*terms[:half]), y: sp.Add(*terms[half:])}, name="all")
    case = make_case(model, [x], "euler")
    rng = np.random.default_rng(3)
    problem = random_problem(case, rng, N=6)
    X, theta, rf = rng.uniform(-1, 1, size=(7, 2)), rng.uniform(-1, 1, size=1), np.ones(2)
    virtual = everything(case.virtual, problem, X, theta, rf)
    assert disagreements(everything(case.compiled, problem, X, theta, rf), virtual) == {}
    for n, residual in enumerate(virtual["residual"]):
        values = {x: X[n, 0], y: X[n, 1], a: theta[0]}
        slope = [float(equation.subs(values).evalf(30)) for equation in model.equations]
        expected = X[n + 1] - X[n] - problem.h[n] * np.array(slope)
        np.testing.assert_allclose(residual, expected, rtol=1e-12, atol=1e-12)


def test_kernels_serve_many_threads_at_once():
    case = make_case(*polynomial(COMPILED[2][0]), "rk4")
    rng = np.random.default_rng(0)
    problem = random_problem(case, rng, N=50)
    at = case.compiled.at(problem)
    points = [random_point(problem, rng) for _ in range(16)]
    alone = [at.hessian(*point).data for point in points]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda point: at.hessian(*point).data, points))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
