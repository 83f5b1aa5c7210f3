"""Error bars at any Rf, and where a solver ended, against the covariance of least squares.

The model is x' = -k x with x measured: with e = exp(-k t), residuals y - x_0 e and their Hessian by
x_0 and k are written out, and the standard deviation of k is that of its inverse.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.optimize import least_squares

import symda as sd
from symda.analyse import assessment

T = np.linspace(0.0, 3.0, 31)
SD = 0.02
Y = np.exp(-T) + SD * np.random.default_rng(0).standard_normal(T.size)


@cache
def exact() -> tuple[float, float]:
    """k and its standard deviation, of exact equations."""
    x, k = least_squares(lambda z: (z[0] * np.exp(-z[1] * T) - Y) / SD, [1.0, 1.0], xtol=1e-15).x
    e = np.exp(-k * T)
    r, J = x * e - Y, np.stack([e, -x * T * e])
    second = np.array([[0.0 * T, -T * e], [-T * e, x * T**2 * e]])
    hessian = (J @ J.T + second @ r) / SD**2
    return float(k), float(np.sqrt(np.linalg.inv(hessian)[1, 1]))


@cache
def action() -> sd.Action:
    x, k = sd.state("x", start=(0.0, 2.0)), sd.parameter("k", bounds=(0.0, 10.0), start=(0.5, 2.0))
    return sd.Action(sd.Model({x: -k * x}, name="decay"), [x], scheme="gauss4")


DATA = sd.Observations(T, Y, variance=SD**2)


def anneal(end: float, solver: str = "newton", **options: object) -> sd.Run:
    rungs = 1 + round(np.log10(end))
    return sd.anneal(
        action(),
        DATA,
        ladder=sd.Ladder(rf0=1.0, alpha=10.0, rungs=rungs),
        paths=3,
        solver=solver,
        options=options,
        executor="serial",
        progress=False,
    )


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("end", [1e8, 1e10, 1e12, 1e13])
def test_a_ladder_that_ends_far_beyond_what_data_tell(end: float) -> None:
    """Beside Rf the data's curvature, 2500 each, comes near rounding error."""
    run = anneal(end)
    table = action().posterior(run, DATA).table()
    k, sd_of_k = exact()
    assert table["value"]["k"] == pytest.approx(k, rel=1e-4)
    assert table["sd"]["k"] == pytest.approx(sd_of_k, rel=1e-2)
    assert run.verdict().consistent, run.verdict()


@pytest.mark.usefixtures("uncompiled")
def test_a_ladder_beyond_the_digits_of_doubles_is_named() -> None:
    said = anneal(1e17).verdict()
    assert not said.consistent
    assert "Rf is beyond the digits of doubles" in str(said)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    ("solver", "options"), [("newton", {"tol": 1e-5}), ("ipopt", {}), ("lbfgs", {})]
)
def test_error_bars_do_not_depend_on_where_a_solver_stops(solver: str, options) -> None:
    """They hold the momenta Rf r, which an action with nothing left to gain hardly sees."""
    table = action().posterior(anneal(1e8, solver, **options), DATA).table()
    assert table["sd"]["k"] == pytest.approx(exact()[1], rel=2e-3)


@pytest.mark.usefixtures("uncompiled")
def test_a_ladder_that_ends_too_early_is_told_to_go_on() -> None:
    said = {f.about: f for f in anneal(1e4).verdict().findings}["solution"]
    assert said.holds is not True
    assert said.text.endswith("end the ladder later")


@pytest.mark.usefixtures("uncompiled")
def test_what_the_scheme_does_to_error_bars_is_that_of_the_closed_form() -> None:
    """Poor data hide its shift in their noise, but not what it does to the error bar itself."""
    t = np.arange(0.0, 10.0)
    y = np.exp(-0.4 * t) + 0.1 * np.random.default_rng(2).standard_normal(10)
    x, k = sd.state("x", bounds=(-5.0, 20.0)), sd.parameter("k", bounds=(0.0, 10.0))
    coarse = sd.Action(sd.Model({x: -k * x}, name="decay"), [x], scheme="trapezoid")
    data = sd.Observations(t, y, variance=0.01)
    chosen = {"solver": "newton", "paths": 3, "ladder": sd.Ladder(1.0, 8.0, 10)}
    run = sd.anneal(coarse, data, progress=False, **chosen)

    def misfit(z: np.ndarray) -> np.ndarray:
        return (z[0] * np.exp(-z[1] * t) - y) / 0.1

    a, b = least_squares(misfit, [1.0, 0.4], xtol=1e-14).x
    e, r = np.exp(-b * t), misfit(np.array([a, b])) / 0.1
    J = np.stack([e, -a * t * e]) / 0.1
    second = np.array([[0.0 * t, -t * e], [-t * e, a * t**2 * e]])
    exact_sd = np.sqrt(np.linalg.inv(J @ J.T + second @ r)[1, 1])
    found = assessment(run.dataset)
    change = abs(exact_sd / dict(found.sds)["k"] - 1.0)
    assert found.scheme.sds < 0.6 and change > 0.01
    assert found.bars == pytest.approx(change, rel=0.3)
    scheme = next(f for f in run.verdict().findings if f.about == "scheme")
    assert scheme.holds is False
