"""Parameters and states on logarithmic and logit scales: the same answers, moved otherwise."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sympy as sp

import symda as sd
from symda.errors import DataError, ModelError, OptionError

RATES = {"k1": 1.5, "k2": 0.3}
BOUNDS = (1e-7, 1e7)
LADDER = sd.Ladder(rf0=1.0, alpha=8.0, rungs=10)
QUIET = {"executor": "serial", "progress": False, "paths": 1, "ladder": LADDER}


def reaction(
    scale: str | None = None,
    states: str | None = None,
    scheme: str = "trapezoid",
    **declared: object,
) -> sd.Action:
    """2 A -> B -> nothing, both measured."""
    limits = {"bounds": (0.0, 3.0)} if states == "logit" else {}
    A, B = sd.states("A B", start=(1e-3, 2.0), scale=states, **limits)
    k1, k2 = sd.parameters("k1 k2", scale=scale, **{"bounds": BOUNDS, **declared})
    model = sd.Model({A: -k1 * A**2, B: k1 * A**2 - k2 * B}, name="reaction")
    return sd.Action(model, [A, B], scheme=scheme)


def reaction_data(variance: float = 1e-4) -> sd.Observations:
    initial = {"A": 1.0, "B": 0.4}
    options = {"parameters": RATES, "initial": initial, "dt": 0.1, "steps": 30, "seed": 1}
    return sd.twin(reaction(), variance=variance, **options)[1]


@pytest.mark.parametrize("scale", ["log", "logit"])
@pytest.mark.parametrize("discrete", [False, True])
def test_the_rate_is_that_of_the_logarithm_or_logit(scale: str, discrete: bool) -> None:
    """By SymPy: the total derivative of z(x(t)), and its derivatives by z and by log k."""
    x = sd.state("x", bounds=(0.5, 4.0), scale=scale)
    k = sd.parameter("k", scale="log")
    model = sd.Model({x: x + k * x * (3 - x)}, name="m", discrete=discrete)
    field = sd.Action(model, {"y": k * x**2}).field
    z, c, X = sp.symbols("z c X", real=True)
    to = sp.log(X) if scale == "log" else sp.log((X - sp.Rational(1, 2)) / (4 - X))
    back = sp.exp(z) if scale == "log" else (sp.Rational(1, 2) + 4 * sp.exp(z)) / (1 + sp.exp(z))
    F = X + sp.exp(c) * X * (3 - X)
    rate = (to.subs(X, F) if discrete else sp.diff(to, X) * F).subs(X, back)
    at = {z: sp.Rational(-3, 10), c: sp.Rational(-6, 5)}
    arguments = [float(at[z]), [], float(at[c]), 0.0]
    slopes = [sp.diff(rate, s) for s in (z, c)]
    value, jacobian = field.field_jacobian(*arguments)
    assert float(value) == pytest.approx(float(rate.subs(at)), rel=1e-14)
    wanted = [float(s.subs(at)) for s in slopes]
    assert jacobian.full().ravel() == pytest.approx(wanted, rel=1e-13)
    curvature = field.field_curvature(*arguments, 1.0).full()
    second = [[float(sp.diff(s, q).subs(at)) for q in (z, c)] for s in slopes]
    assert curvature == pytest.approx(np.tril(second), rel=1e-12, abs=1e-14)
    measured = (sp.exp(c) * back**2).subs(at)
    assert float(field.measure(arguments[0], arguments[2])) == pytest.approx(float(measured))


@pytest.mark.parametrize("solver", ["newton", "ipopt", "lbfgs"])
def test_the_minimum_is_the_natural_one_from_five_decades_off(
    solver: str, uncompiled: None
) -> None:
    data = reaction_data()
    plain = sd.anneal(reaction(), data, start=_start(RATES), solver=solver, **QUIET)
    bar = reaction().posterior(plain, data).table()
    # a logit between narrow bounds is far from its middle by as many decades of its distance
    for scale, bounds in (("log", BOUNDS), ("logit", (0.0, 10.0))):
        action = reaction(scale, bounds=bounds)
        for off in (1e-5, 1e5):
            starts = {name: value * off for name, value in RATES.items()}
            if scale == "logit":
                starts = {name: min(value * off, 10.0 - 1e-4) for name, value in RATES.items()}
            run = sd.anneal(action, data, start=_start(starts), solver=solver, **QUIET)
            assert run.best.action == pytest.approx(plain.best.action, rel=1e-7)
            for name, value in plain.best.parameters.items():
                assert run.best.parameters[name] == pytest.approx(value, rel=1e-5)
            assert run.best.states.values == pytest.approx(plain.best.states.values, rel=1e-5)
            table = action.posterior(run, data).table()
            assert table["sd"].to_numpy() == pytest.approx(bar["sd"].to_numpy(), rel=1e-4)


def _start(rates: dict[str, float]) -> object:
    def start(problem: object, rng: np.random.Generator) -> tuple[np.ndarray, list[float]]:
        values = reaction_data().values
        return np.clip(values, 1e-3, 2.0), [*rates.values()]

    return start
