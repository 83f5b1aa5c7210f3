"""Random walks of parameters per step beside pulses, against the dense Gaussian."""

from __future__ import annotations

import numpy as np
import pytest

import symda as sd
from symda.solve import SOLVERS

WALK, NOISE, PRECISION = 0.09, 0.04, 50.0
WHEN = np.array([0.0, 0.5, 1.0, 2.0, 3.0])
SEEN = np.array([1.0, 1.3, 2.6, 1.4, 2.7])
GIVEN = {0.5: 1.0, 2.0: 2.0}


def walk(scheme: str, model_error: str) -> tuple[sd.Action, sd.Observations]:
    """x' = -x/2 + w + p + dose, w a random walk."""
    y, amounts = sd.state("y", start=(0.0, 3.0)), sd.forcing("dose")
    p = sd.parameter("p", start=(-1.0, 1.0), prior=sd.Normal(0.3, 0.5))
    w = sd.parameter(
        "w", per="step", start=(-1.0, 1.0), process_variance=WALK, prior=sd.Normal(0.0, 0.4)
    )
    model = sd.Model({y: amounts - y / 2 + w + p}, name="walk")
    pulses = sd.Pulses([*GIVEN], [*GIVEN.values()])
    data = sd.Observations(WHEN, SEEN, variance=NOISE, forcing={"dose": pulses})
    return sd.Action(model, [y], scheme=scheme, model_error=model_error), data


def dense_walk(scheme: str, model_error: str) -> tuple[np.ndarray, np.ndarray, float, float]:
    """States before and after pulses (7,), the walk (5,), p's error, action: w never jumps."""
    before = {0: 0, 1: 1, 2: 3, 3: 4, 4: 6}
    after = {0: 0, 1: 2, 2: 3, 3: 5, 4: 6}
    rows, right = [], []

    def put(weights: dict[int, float], constant: float, weight: float) -> None:
        row = np.zeros(13)
        for at, value in weights.items():
            row[at] += value
        rows.append(np.sqrt(weight) * row)
        right.append(np.sqrt(weight) * constant)

    h = np.diff(WHEN)
    share = 1.0 / h if model_error == "rate" else np.ones(4)
    for n in range(4):
        a, b, now, then = after[n], before[n + 1], 7 + n, 8 + n
        z = -h[n] / 2.0
        if scheme == "rk4":
            growth = sum(z**k / f for k, f in enumerate((1, 1, 2, 6, 24)))
            enters = h[n] * sum(z**k / f for k, f in enumerate((1, 2, 6, 24)))
            put({b: 1.0, a: -growth, now: -enters, 12: -enters}, 0.0, share[n] * PRECISION)
        else:
            half = h[n] / 2.0
            weights = {b: 1.0 - z / 2.0, a: -1.0 - z / 2.0, now: -half, then: -half, 12: -h[n]}
            put(weights, 0.0, share[n] * PRECISION)
        put({then: 1.0, now: -1.0}, 0.0, share[n] / WALK)
    for n, amount in ((1, 1.0), (3, 2.0)):
        # a jump is as sure as the step behind it
        put({after[n]: 1.0, before[n]: -1.0}, amount, share[n] * PRECISION)
    for n in range(5):
        put({before[n]: 1.0}, SEEN[n], 1.0 / NOISE)
    put({7: 1.0}, 0.0, 1.0 / 0.4**2)
    put({12: 1.0}, 0.3, 1.0 / 0.5**2)
    J, b = np.array(rows), np.array(right)
    z = np.linalg.solve(J.T @ J, J.T @ b)
    error = np.sqrt(np.linalg.inv(J.T @ J)[12, 12])
    return z[:7], z[7:12], error, 0.5 * np.sum((J @ z - b) ** 2)


@pytest.mark.parametrize("model_error", ["step", "rate"])
@pytest.mark.parametrize("scheme", ["rk4", "trapezoid"])
@pytest.mark.parametrize("solver", ["newton", "ipopt", "lifted", "lbfgs", "virtual"])
def test_a_walk_does_not_jump_at_pulses(
    solver: str, scheme: str, model_error: str, request: pytest.FixtureRequest
) -> None:
    """Against the dense Gaussian in which the walk has one value at a pulse."""
    if solver == "virtual":
        request.getfixturevalue("uncompiled")
    chosen = {
        "lifted": SOLVERS["ipopt"].with_options(formulation="lifted", tol=1e-11),
        "ipopt": SOLVERS["ipopt"].with_options(tol=1e-11),
        "lbfgs": SOLVERS["lbfgs"].with_options(ftol=1e-16, gtol=1e-12),
    }.get(solver, "newton")
    action, data = walk(scheme, model_error)
    states, drift, error, level = dense_walk(scheme, model_error)
    options = {"ladder": sd.Ladder(PRECISION, 2.0, 1), "paths": 1, "progress": False}
    run = sd.anneal(action, data, solver=chosen, workers=1, **options)
    close = 1e-4 if solver == "lbfgs" else 1e-8
    found = run.best.states.values
    assert run.best.action == pytest.approx(level, abs=close)
    np.testing.assert_allclose(found[:, 0], states, atol=close)
    np.testing.assert_allclose(found[[0, 1, 3, 4, 6], 1], drift, atol=close)
    np.testing.assert_allclose(found[[1, 4], 1], found[[2, 5], 1], atol=close)
    assert action.posterior(run, data).sd["p"] == pytest.approx(error, rel=1e-8)


def test_interior_points_windows_and_experiments(uncompiled: None) -> None:
    """Wherever a scheme has its points, in each experiment, and while a window grows."""
    options = {"ladder": sd.Ladder(PRECISION, 2.0, 1), "progress": False, "workers": 1}
    for scheme in ("hermite-simpson", "gauss4"):
        action, data = walk(scheme, "rate")
        run = sd.anneal(action, data, solver="newton", steps=2, paths=1, **options)
        problem = action.bind(data, steps=2)
        at = np.flatnonzero(problem.pulses) * (1 + problem.interior)
        path = run.best.states.values[:, 1]
        for n in at.tolist():
            np.testing.assert_allclose(path[n : n + 2 + problem.interior], path[n], atol=1e-7)
        assert np.abs(np.diff(path)).max() > 1e-3
    action, data = walk("rk4", "step")
    none = sd.Observations(WHEN, SEEN, variance=NOISE, forcing={"dose": sd.Pulses([], [])})
    both = {"dosed": data, "placebo": none}
    run = sd.anneal(action, both, solver="newton", paths=1, **options)
    at = action.compile().machine.at(action.bind(both))
    theta = np.array([run.best.parameters["p"]])
    parts = [
        action.compile()
        .machine.at(action.bind(one))
        .action(run.best.experiments[name].states.values, theta, PRECISION)
        for name, one in both.items()
    ]
    # the prior of p is in both
    shared = 0.5 * ((theta[0] - 0.3) / 0.5) ** 2
    assert run.best.action == pytest.approx(sum(parts) - shared, rel=1e-12)
    slope = at.gradient(run.best.states.values, theta, PRECISION)
    assert np.abs(slope).max() < 1e-6
    run = sd.anneal(
        action,
        data,
        solver="newton",
        strategy=sd.Window(samples=3),
        start="nudged",
        paths=2,
        **options,
    )
    assert run.best.action == pytest.approx(dense_walk("rk4", "step")[3], abs=1e-7)
