"""Questions of users whose answer is known from elsewhere: a closed form or least squares of it."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import least_squares

import symda as sd

pytestmark = pytest.mark.usefixtures("uncompiled")

SIZE = 1e-8
T = np.linspace(0.0, 5.0, 51)
SMALL = SIZE * (np.exp(-T) + 0.01 * np.random.default_rng(0).standard_normal(T.size))


def fit(action: sd.Action, data: sd.Observations, *ladder: float, **options: object) -> sd.Run:
    rf0, alpha, rungs = ladder
    return sd.anneal(
        action,
        data,
        ladder=sd.Ladder(rf0=rf0, alpha=alpha, rungs=int(rungs)),
        seed=0,
        executor="serial",
        progress=False,
        **{"paths": 4, "solver": "newton"} | options,
    )


def decay(highest: float, **start: tuple[float, float]) -> sd.Action:
    x, k = sd.state("x", bounds=(0.0, highest), **start), sd.parameter("k", bounds=(0.01, 5.0))
    return sd.Action(sd.Model({x: -k * x}, name="decay"), [x])


def small_state() -> sd.Observations:
    return sd.Observations(T, SMALL, variance=(0.01 * SIZE) ** 2)


def fit_of_small_state() -> tuple[float, float]:
    """Return half the sum of squares and the error bar of k, of the exact solution."""
    found = least_squares(
        lambda z: (z[0] * np.exp(-z[1] * T) - SMALL / SIZE) / 0.01, [1.0, 1.0], xtol=1e-14
    )
    return found.cost, float(np.sqrt(np.linalg.inv(found.jac.T @ found.jac)[1, 1]))


@pytest.mark.parametrize("scheme", ["trapezoid", "rk4", "hermite-simpson", "midpoint"])
def test_a_dose_that_is_held_and_then_ends(scheme: str) -> None:
    """100 mg infused in half an hour; the right volume is a fit of the closed form.

    The forcing jumps on a datum, and a step must take the side that holds in it.
    """
    A, u = sd.state("A", bounds=(0.0, 500.0)), sd.forcing("u")
    k, V = sd.parameter("k", bounds=(0.01, 1.0)), sd.parameter("V", bounds=(1.0, 200.0))
    times = np.array([0.0, 0.5, *range(1, 11)])

    def concentration(k: float, V: float) -> np.ndarray:
        during = (1.0 - np.exp(-k * np.minimum(times, 0.5))) / k
        return 200.0 * during * np.exp(-k * np.maximum(times - 0.5, 0.0)) / V

    noise = 0.05 * np.random.default_rng(0).standard_normal(12)
    seen = concentration(0.2, 20.0) + noise
    right = least_squares(lambda z: concentration(*z) - seen, [0.3, 10.0], xtol=1e-14).x[1]
    data = sd.Observations(
        times,
        np.stack([seen, [0.0, *[np.nan] * 11]], axis=1),
        variance=np.tile([0.0025, 1e-6], (12, 1)),
        channels=["c", "A0"],
        forcing={"u": sd.Samples([0.0, 0.5, 11.0], [200.0, 0.0, 0.0], "hold")},
    )
    model = sd.Model({A: u - k * A}, name="one_compartment")
    action = sd.Action(model, {"c": A / V, "A0": A}, scheme=scheme)
    best = fit(action, data, 1e-2, 2.0, 30, paths=6).best
    assert right == pytest.approx(19.93, abs=0.005)
    assert best.parameters["V"] == pytest.approx(right, abs=0.05)


@pytest.mark.parametrize("highest", [1.0, 1e-6])
def test_error_bars_of_a_small_state_in_a_wide_box(highest: float) -> None:
    action, data = decay(highest, start=(0.0, 1e-7)), small_state()
    run = fit(action, data, 1e20, 2.0, 20)
    bars = action.posterior(run, data).table()["sd"]
    _, right = fit_of_small_state()
    assert right == pytest.approx(0.0086, abs=5e-5)
    assert bars["k"] == pytest.approx(right, rel=0.02)


def test_lbfgs_ends_where_least_squares_does() -> None:
    """It once called 33.155 converged."""
    run = fit(decay(1e-6), small_state(), 1e20, 2.0, 20, solver="lbfgs")
    assert (run.dataset.status.values[:, -1] == 1).all()
    assert run.best.action == pytest.approx(20.982, rel=1e-4)
    # a model that may err a little fits a little closer than one that may not
    assert 0.99 < run.best.action / fit_of_small_state()[0] < 1.0


@pytest.mark.parametrize("solver", ["newton", "ipopt", "lbfgs"])
def test_a_slope_that_is_infinite_on_a_bound_traps_no_solver(solver: str) -> None:
    """sqrt(x) is measured and x reaches 0: newton once stopped there at 8.9 and more."""
    times = np.linspace(0.0, 4.0, 21)
    noise = 0.3 * np.random.default_rng(0).standard_normal(21)
    seen = np.sqrt(50.0 * np.exp(-0.8 * times)) + noise
    x, k = sd.state("x", bounds=(0.0, 100.0)), sd.parameter("k", bounds=(0.0, 5.0))
    action = sd.Action(sd.Model({x: -k * x}, name="decay"), {"y": sp.sqrt(x)})
    data = sd.Observations(times, seen, variance=0.09)
    run = fit(action, data, 0.01, 2.0, 26, steps=2, solver=solver)
    assert run.best.action == pytest.approx(6.662, abs=0.001)
    assert (run.dataset.status.values[:, -1] == 1).all()


@pytest.mark.filterwarnings("ignore:no measurement can see")
def test_parameters_of_a_system_half_of_which_nothing_sees() -> None:
    """The second Lorenz system is driven by the first and acts on nothing that is measured.

    So what is known of sigma and rho is what the first tells, a problem of its own.
    """
    names = sd.states("x1 y1 z1 x2 y2 z2", start=(-20.0, 40.0))
    sigma = sd.parameter("sigma", bounds=(5.0, 20.0))
    rho = sd.parameter("rho", bounds=(14.0, 56.0))

    def lorenz(x: sp.Expr, y: sp.Expr, z: sp.Expr) -> list[sp.Expr]:
        return [sigma * (y - x), x * (rho - z) - y, x * y - sp.Rational(8, 3) * z]

    first, second = lorenz(*names[:3]), lorenz(*names[3:])
    second[0] += sp.Rational(57, 20) * (names[0] - names[3])
    seen = list(names[:3])
    both = sd.Model(dict(zip(names, first + second, strict=True)), name="coupled")
    alone = sd.Model(dict(zip(seen, first, strict=True)), name="alone")
    both_action, alone_action = (sd.Action(model, seen, scheme="rk4") for model in (both, alone))
    _, data = sd.twin(
        both_action,
        parameters={"sigma": 10.0, "rho": 28.0},
        dt=0.02,
        steps=200,
        variance=0.04,
        seed=1,
        initial=[1.0, 1.0, 20.0, 3.0, 4.0, 25.0],
    )
    bars = {}
    for action in (both_action, alone_action):
        run = fit(action, data, 0.01, 4.0, 16, paths=1)
        bars[action.model.name] = action.posterior(run, data).table()["sd"]
    assert bars["coupled"]["sigma"] == pytest.approx(0.0286, abs=5e-5)
    assert bars["coupled"]["rho"] == pytest.approx(0.0115, abs=5e-5)
    assert bars["coupled"]["sigma"] == pytest.approx(bars["alone"]["sigma"], rel=1e-3)
    assert bars["coupled"]["rho"] == pytest.approx(bars["alone"]["rho"], rel=1e-3)
