"""Radau IIA and Lobatto IIIC: exact stability functions, stiff steps, and an action."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import symda as sd
from symda.discretise import METHODS, Tableau

#: Numerator and denominator of R(z), x[n+1] = R(h lambda) x[n] for x' = lambda x: Pade's fractions
#: of exp(z); Hairer, Wanner, Solving Ordinary Differential Equations II, table IV.5.
PADE = {
    "radau3": ([1, "1/3"], [1, "-2/3", "1/6"]),
    "radau5": ([1, "2/5", "1/20"], [1, "-3/5", "3/20", "-1/60"]),
    "lobatto-iiic-2": ([1], [1, -1, "1/2"]),
    "lobatto-iiic-3": ([1, "1/4"], [1, "-3/4", "1/4", "-1/24"]),
    "gauss4": ([1, "1/2", "1/12"], [1, "-1/2", "1/12"]),
}
L_STABLE = pytest.mark.parametrize("name", [name for name in PADE if name != "gauss4"])


def stability(name: str, z: Fraction) -> Fraction:
    top, bottom = (sum(Fraction(a) * z**k for k, a in enumerate(part)) for part in PADE[name])
    return top / bottom


def decay() -> sd.Model:
    x, rate = sd.state("x"), sd.parameter("rate")
    return sd.Model({x: rate * x}, name="decay")


@pytest.mark.parametrize("name", PADE)
def test_one_step_is_the_stability_function(name: str) -> None:
    for rate in (-1, -30, Fraction(1, 2)):
        step = sd.step_map(decay(), name, parameters=[float(rate)]).step
        expected = float(stability(name, Fraction(rate)))
        assert step([1.0], 1.0, 0.0)[0] == pytest.approx(expected, rel=1e-13, abs=1e-15)


@L_STABLE
def test_a_stiff_component_is_gone_after_one_step(name: str) -> None:
    assert METHODS[name].stiffly_accurate
    exact = float(stability(name, Fraction(-(10**6))))
    assert 0 < abs(exact) < 1e-5
    flow = sd.step_map(decay(), name, parameters=[-1e6])
    after = flow.step([1.0], 1.0, 0.0)[0]
    # x[n+1] is a sum of numbers of size 1
    assert after == pytest.approx(exact, abs=1e-14)
    assert abs(flow.advance([1.0], 1.0, 20, every=20)[-1, 0]) < 1e-30
    # of what is not L-stable it stays, with the sign turned at every step
    assert float(stability("gauss4", Fraction(-(10**6)))) > 0.99998


@L_STABLE
def test_a_stiff_equation_is_followed(name: str) -> None:
    """x' = -1e6 (x - cos t) - sin t from x = 2, in steps 2e5 times too long for explicit ones."""
    x, t = sd.state("x"), sd.time("t")
    model = sd.Model({x: -1e6 * (x - sp.cos(t)) - sp.sin(t)}, name="prothero robinson")
    times = np.linspace(0.0, 2.0, 11)
    path = sd.integrate(model, times, [2.0], method=name).states.values[1:, 0]
    left = float(stability(name, Fraction(-200_000))) ** np.arange(1, 11)
    # but for the method's own error: h^2 cos(t) / (2 z) for the one of stage order 1, h = 0.2
    own = 0.04 / 400_000 * np.cos(times[1:]) * (name == "lobatto-iiic-2")
    np.testing.assert_allclose(path - np.cos(times[1:]), left - own, atol=2e-8)


@pytest.mark.parametrize("name", ["radau3", "radau5"])
def test_tableaux_are_those_of_collocation(name: str) -> None:
    """Radau's points, and A by integrating Lagrange's polynomials through them."""
    method = METHODS[name]
    assert isinstance(method, Tableau)
    c, s = np.array(method.c, float), len(method.b)
    # zeros of P_s - P_{s-1}, from [-1, 1]
    legendre = np.polynomial.legendre.Legendre([0] * (s - 1) + [-1, 1])
    np.testing.assert_allclose(c, np.sort((1 + legendre.roots()) / 2), atol=1e-14)
    for j in range(s):
        others = np.delete(c, j)
        basis = np.polynomial.Polynomial.fromroots(others) / math.prod(c[j] - others)
        np.testing.assert_allclose(np.array(method.A, float)[:, j], basis.integ()(c), atol=1e-14)
        assert float(method.b[j]) == pytest.approx(basis.integ()(1.0), abs=1e-14)


def pendulum() -> tuple[sd.Model, sd.Observations]:
    """With friction, which is not known; the angle is measured."""
    q, v = sd.state("q", start=(-2.0, 2.0)), sd.state("v", start=(-2.0, 2.0))
    g = sd.parameter("g", bounds=(0.0, 2.0), start=(0.1, 1.0))
    model = sd.Model({q: v, v: -sp.sin(q) - g * v}, name="pendulum with friction")
    times = np.linspace(0.0, 4.0, 21)
    truth = sd.integrate(model, times, [1.5, 0.0], method="radau5", parameters=[0.3])
    noise = np.random.default_rng(3).normal(scale=0.1, size=(21, 1))
    return model, sd.Observations(times, truth.states.values[:, :1] + noise, variance=0.01)


def test_a_tableau_of_ones_own_serves_both() -> None:
    """Ralston's method of order 3: along what it integrates, the action's residual is 0."""
    model, data = pendulum()
    own = sd.Tableau("mine", A=[[], ["1/2"], [0, "3/4"]], b=["2/9", "1/3", "4/9"])
    assert own.order == 3 and own.name not in sd.INTEGRATORS
    path = sd.integrate(model, data.times, [1.5, 0.0], method=own, parameters=[0.3]).states.values
    action = sd.Action(model, [model["q"]], scheme=own)
    assert action.scheme.name == "mine" and "Step: mine" in str(action.equations())
    residual = action.compile().residual(path, [0.3], action.bind(data))
    assert np.abs(residual).max() < 1e-14
    other = sd.integrate(model, data.times, [1.5, 0.0], method="heun", parameters=[0.3]).states
    assert np.abs(action.compile().residual(other, [0.3], action.bind(data))).max() > 1e-6


@pytest.mark.filterwarnings("ignore::symda.api.machine.VirtualMachineWarning")
@pytest.mark.parametrize("scheme", ["radau3", "radau5"])
def test_every_solver_and_machine_finds_one_level(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = pendulum()
    levels = {}
    for compiler in ("", "none"):
        if compiler:
            monkeypatch.setenv("SYMDA_CC", compiler)
        for solver in ("newton", "ipopt", "lbfgs"):
            action = sd.Action(model, [model["q"]], scheme=scheme)
            run = sd.anneal(
                action,
                data,
                ladder=sd.Ladder(1.0, 10.0, 3),
                paths=2,
                solver=solver,
                executor="serial",
                progress=False,
            )
            expected = "virtual machine" if compiler else "compiled"
            assert run.dataset.attrs["kernels"] == expected
            levels[solver, expected] = run.levels.values
            assert float(run.best.parameters["g"]) == pytest.approx(0.3, abs=0.1)
    first = levels["newton", "compiled"]
    for key, found in levels.items():
        np.testing.assert_allclose(found, first, rtol=1e-7, err_msg=str(key))
