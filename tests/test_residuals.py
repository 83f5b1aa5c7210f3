"""Residuals of data and equations: against dense matrices, chance, and errors that were put in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from error_bars import dense, ladder, pendulum, recorded, walk

import symda as sd
from symda.api.machine import machine

pytestmark = pytest.mark.usefixtures("uncompiled")


@pytest.mark.parametrize("scheme", ["rk4", "hermite-simpson"])
def test_residuals_over_the_standard_deviations_of_dense_matrices(scheme: str) -> None:
    action = pendulum(scheme)
    run = sd.anneal(action, recorded(action, steps=9), **ladder(30.0))
    found, g = run.residuals(), run.posterior().levels[0].gaussian
    _, C = dense(action, run, g, run.posterior().rf)
    p = run.problem
    kernels = machine(action.specification.of(p)).at(p)
    J = kernels.residual_jacobian(g.path, g.theta).toarray()
    Q = 1.0 / kernels.weights(np.full(2, 30.0)).reshape(-1)
    r = kernels.residual(g.path, g.theta).reshape(-1)
    left = Q - np.einsum("ik,kl,il->i", J, C, J)
    told = left > 1e-6 * Q
    assert told.mean() > 0.6
    ours = found.model.values.reshape(-1)[told]
    assert ours == pytest.approx(r[told] / np.sqrt(left[told]), rel=1e-5)
    H = kernels.measure_jacobian(g.path, g.theta).toarray().reshape(p.M, -1, C.shape[0])[:, 0]
    v = np.einsum("mk,kl,ml->m", H, C, H)
    seen = p.rm[:, 0] > 0.0
    e = p.y[:, 0] - kernels.measure(g.path, g.theta)[:, 0]
    wanted = e[seen] / np.sqrt(0.01 - v[seen])
    assert found.data.values[seen, 0] == pytest.approx(wanted, rel=1e-6)
    assert np.isnan(found.data.values[~seen, 0]).all()


def linear(seed: int, steps: int, kick: float = 0.0) -> tuple[sd.Action, sd.Observations]:
    """Three states that turn and decay, all but one measured, with errors of variance 1/4."""
    rng = np.random.default_rng(seed)
    x = sd.states("x", 3, start=(-5.0, 5.0))
    A = np.array([[0.8, 0.3, 0.0], [-0.3, 0.8, 0.2], [0.0, -0.2, 0.9]])
    model = sd.Model(
        {x[i]: sum(A[i, j] * x[j] for j in range(3)) for i in range(3)}, name="turn", discrete=True
    )
    path = [np.zeros(3)]
    for n in range(steps):
        error = 0.5 * rng.normal(size=3)
        if n == steps // 2:
            error[2] += kick
        path.append(A @ path[-1] + error)
    y = np.array(path)[:, [0, 2]] + 0.3 * rng.normal(size=(steps + 1, 2))
    return sd.Action(model, [x[0], x[2]]), sd.Observations(np.arange(steps + 1.0), y, variance=0.09)


def test_of_the_right_model_residuals_are_standard_normal() -> None:
    every, chances, white = [], [], []
    for seed in range(12):
        action, data = linear(seed, 60)
        found = sd.anneal(action, data, **ladder(4.0)).residuals()
        every.append([np.nanstd(found.model.values), np.nanstd(found.data.values)])
        chances += [*found.states["p"], *found.channels["p"]]
        white += [*found.channels["p_white"]]
    assert np.mean(every, axis=0) == pytest.approx(1.0, abs=0.06)
    assert np.mean(np.array(chances) < 0.2) < 0.3
    # 24 of them
    assert np.mean(np.array(white) < 0.05) < 0.2


def test_an_error_is_found_where_and_when_it_was() -> None:
    action, data = linear(3, 60, kick=5.0)
    found = sd.anneal(action, data, **ladder(4.0)).residuals()
    assert found.states["p"].idxmin() == "x2" and found.states.loc["x2", "p"] < 1e-3
    assert found.states.loc["x2", "time"] == 31.0
    assert "equation of x2" in str(found) and "REJECTED" in str(found)
    action, data = linear(3, 60)
    spoilt = data.values.copy()
    spoilt[20, 0] += 4.0
    again = sd.Observations(data.times, spoilt, variance=0.09)
    found = sd.anneal(action, again, **ladder(4.0)).residuals()
    assert found.channels["p"].idxmin() == "x0" and found.channels.loc["x0", "time"] == 20.0


def test_what_a_model_lacks_is_not_white() -> None:
    """A drift that the model does not have, at a precision that allows next to no errors."""
    x = sd.state("x", start=(-5.0, 5.0))
    action = sd.Action(sd.Model({x: x}, name="still", discrete=True), {"x": x})
    t = np.arange(80.0)
    y = np.sin(t / 8.0) + 0.1 * np.random.default_rng(0).normal(size=80)
    found = sd.anneal(action, sd.Observations(t, y, variance=0.25), **ladder(1e6)).residuals()
    assert found.channels.loc["x", "p_white"] < 1e-6 and "NOT WHITE" in str(found)


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_what_is_followed_exactly_says_nothing(size: float) -> None:
    """As many free values as data, whatever their size: no residual is left to judge."""
    x = sd.state("x", start=(-5.0 * size, 5.0 * size))
    c = sd.parameter("c", start=(-5.0 * size, 5.0 * size))
    action = sd.Action(sd.Model({x: x + c}, name="line", discrete=True), {"x": x})
    data = sd.Observations([0.0, 1.0], [1.0 * size, 3.0 * size], variance=0.1 * size**2)
    found = sd.anneal(action, data, **ladder(1e3 / size**2)).residuals()
    assert np.isnan(found.data.values).all() and np.isnan(found.model.values).all()
    assert "REJECTED" not in str(found) and "follow exactly" in str(found)
    one = sd.Observations([0.0, 4.0], [1.0 * size, np.nan], variance=0.1 * size**2)
    with pytest.raises(sd.SymdaError):
        sd.anneal(action, one, **ladder(1e3 / size**2)).sample()


@pytest.mark.smoke
def test_of_a_solution_errors_are_those_beside_it() -> None:
    action = pendulum("rk4")
    data = recorded(action, steps=30)
    run = sd.anneal(action, data, finish="strong", **ladder(1e3))
    found = run.residuals()
    assert "beside it" in str(found)
    assert found.data.values[np.isfinite(found.data.values)].std() == pytest.approx(1.0, abs=0.35)


def test_where_residuals_have_no_formula() -> None:
    action = walk(np.random.default_rng(1), 3)
    x = action.model.states[0]
    other = sd.Action(action.model, {"y": sd.StudentT(4, x, 1.0)})
    run = sd.anneal(other, sd.Observations(np.arange(8.0), np.arange(8.0) % 3), **ladder(3.0))
    with pytest.raises(sd.SymdaError, match=r"independent Gaussian noise|minimum"):
        run.residuals()


def test_a_summary_has_what_error_bars_tell(tmp_path: Path) -> None:
    action = pendulum("rk4")
    run = sd.anneal(action, recorded(action, steps=20), **ladder(1e3))
    plain, whole = run.summary(), run.summary(error_bars=True)
    assert whole.startswith(plain) and "nats that data tell" in whole
    assert "Laplace's approximation" in whole and run.posterior() is run.posterior()
    told = float(np.nansum(run.posterior().information_by_time.sel(channel="gap")))
    assert f"gap {told:.3g} in " in whole
    page = run.report(tmp_path / "run.html", error_bars=True).read_text()
    assert "What is known" in page and f"gap {told:.3g} in " in page
