"""`AnnealedTerms`: terms of known systems found in noise, whatever units, gaps and recordings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import symda as sd

LORENZ = {
    ("x0", "x0"): -10.0,
    ("x0", "x1"): 10.0,
    ("x1", "x0"): 28.0,
    ("x1", "x1"): -1.0,
    ("x1", "x0*x2"): -1.0,
    ("x2", "x2"): -8.0 / 3.0,
    ("x2", "x0*x1"): 1.0,
}


def lorenz(t: float, u: Any) -> list[float]:
    return [10 * (u[1] - u[0]), u[0] * (28 - u[2]) - u[1], u[0] * u[1] - 8 / 3 * u[2]]


def clean(N: int, start: tuple[float, ...] = (-8.0, 8.0, 27.0), dt: float = 0.01) -> np.ndarray:
    t = dt * np.arange(N)
    found = solve_ivp(lorenz, (0.0, t[-1]), start, t_eval=t, rtol=1e-9, atol=1e-9, method="LSODA")
    return np.asarray(found.y.T)


def noisy(x: np.ndarray, variance: float, seed: int) -> np.ndarray:
    return x + np.sqrt(variance) * np.random.default_rng(seed).normal(size=x.shape)


def found(fit: sd.learn.AnnealedTerms) -> dict[tuple[str, str], float]:
    table = fit.terms
    return {
        (s, t): c
        for s, t, c in zip(table["state"], table["term"], table["coefficient"], strict=True)
    }


@pytest.fixture(scope="module")
def recording() -> np.ndarray:
    return noisy(clean(400), 1.0, 0)


@pytest.fixture(scope="module")
def fitted(recording: np.ndarray) -> sd.learn.AnnealedTerms:
    return sd.learn.AnnealedTerms(starts=1).fit(recording, t=0.01)


def test_lorenz_is_found_and_its_error_bars_cover_the_truth(
    fitted: sd.learn.AnnealedTerms,
) -> None:
    assert found(fitted).keys() == LORENZ.keys()
    table = fitted.terms.set_index(["state", "term"])
    for key, value in LORENZ.items():
        row = table.loc[key]
        assert abs(row["coefficient"] - value) < 4.0 * row["standard deviation"]
        assert row["standard deviation"] < 0.2 * abs(value)
        assert row["evidence"] > 3.0
    assert fitted.result.noise == pytest.approx(1.0, rel=0.2)
    assert fitted.result.estimated
    # the path is nearer to the truth than the data are
    off = fitted.result.path - clean(400)
    assert np.sqrt((off**2).mean()) < 0.3


def test_the_model_is_a_model(fitted: sd.learn.AnnealedTerms) -> None:
    model = fitted.model
    assert [x.name for x in model.states] == ["x0", "x1", "x2"] and not model.parameters
    run = sd.simulate(model, times=[0.0, 0.05, 0.1], initial=[-8.0, 8.0, 27.0])
    forecast = fitted.predict([-8.0, 8.0, 27.0], 0.01 * np.arange(11))
    assert forecast[[5, 10]] == pytest.approx(run.states.values[1:], rel=1e-4)
    truth = clean(11)
    assert np.abs(forecast - truth).max() < 0.5


def test_the_alternatives_are_less_likely(fitted: sd.learn.AnnealedTerms) -> None:
    others = fitted.alternatives
    assert len(others) > 7 and (others["evidence"] > 0.0).all()
    assert others["evidence"].is_monotonic_increasing
    assert "candidate terms" in fitted.summary() and "estimated" in fitted.summary()


@pytest.mark.parametrize(("size", "time"), [(1e-9, 1e6), (1e12, 1e-9)])
def test_units_change_nothing(
    size: float, time: float, recording: np.ndarray, fitted: sd.learn.AnnealedTerms
) -> None:
    """Coefficients follow the units; terms, evidence and error bars are those of the same data."""
    other = sd.learn.AnnealedTerms(starts=1).fit(size * recording, t=0.01 * time)
    assert other.result.free.tolist() == fitted.result.free.tolist()
    degrees = np.array([0, 1, 1, 1, 2, 2, 2, 2, 2, 2])
    unit = size ** (degrees - 1.0) * time
    for of in ("coefficients", "spread"):
        mine, theirs = getattr(other.result, of) * unit, getattr(fitted.result, of)
        assert mine == pytest.approx(theirs, rel=1e-4, abs=1e-8)
    best, same = other.result.others[0][1], fitted.result.others[0][1]
    assert best == pytest.approx(same, abs=0.01)


def test_gaps_several_recordings_and_irregular_times() -> None:
    rng = np.random.default_rng(5)
    data = {}
    for k, start in enumerate([(-8.0, 8.0, 27.0), (5.0, 5.0, 20.0)]):
        x = noisy(clean(250, start), 0.25, k)
        x[rng.random(x.shape) < 0.6] = np.nan
        keep = np.isfinite(x).any(axis=1)
        times = 0.01 * np.arange(250)[keep] + 3.0 * k
        data[f"run {k}"] = sd.Observations(
            times, x[keep], variance=0.25, channels=["x0", "x1", "x2"]
        )
    fit = sd.learn.AnnealedTerms(starts=1, step=0.01).fit(data)
    assert found(fit).keys() == LORENZ.keys()
    assert not fit.result.estimated and fit.result.cautions == []
    assert len(fit.result.parts) == 2


def test_what_is_known_is_not_learned(recording: np.ndarray) -> None:
    x = sd.states(["x0", "x1", "x2"])
    library = sd.learn.library(
        x, 2, known={x[0]: 10 * (x[1] - x[0]), x[1]: -x[0] * x[2]}, only={x[0]: []}
    )
    fit = sd.learn.AnnealedTerms(library=library, starts=1).fit(recording, t=0.01)
    learned = {k: v for k, v in LORENZ.items() if k[0] != "x0" and k != ("x1", "x0*x2")}
    assert found(fit).keys() == learned.keys()
    assert fit.model.equations[0] == 10 * (x[1] - x[0])


def test_a_state_that_is_never_measured_is_the_rate_of_one_that_is() -> None:
    """Lorenz's system without y: with v = dx/dt it is quadratic in x, v and z."""
    x, v, z = sd.states("x v z")
    library = sd.learn.library([x, v, z], 2, known={x: v}, only={x: []})
    seen = noisy(clean(300), 0.01, 3)[:, [0, 2]]
    data = sd.Observations(0.01 * np.arange(300), seen, variance=0.01, channels=["x", "z"])
    fit = sd.learn.AnnealedTerms(library=library, starts=1).fit(data)
    learned = found(fit)
    truth = {
        ("v", "x"): 270.0,
        ("v", "v"): -11.0,
        ("v", "x*z"): -10.0,
        ("z", "z"): -8 / 3,
        ("z", "x**2"): 1.0,
        ("z", "v*x"): 0.1,
    }
    assert learned.keys() == truth.keys()
    assert list(learned.values()) == pytest.approx(list(truth.values()), rel=0.05)
    assert "v was not measured" in fit.summary()


def test_one_state_and_a_term_of_ones_own() -> None:
    import sympy as sp

    t = 0.05 * np.arange(200)
    solution = solve_ivp(lambda t, u: 1.0 - 2.0 * np.sin(u), (0, t[-1]), [2.5], t_eval=t, rtol=1e-9)
    (x,) = sd.states(["x0"])
    library = sd.learn.library([x], 2, [sp.sin(x)])
    fit = sd.learn.AnnealedTerms(library=library, variance=1e-4).fit(
        noisy(solution.y.T, 1e-4, 1), t=0.05
    )
    assert found(fit).keys() == {("x0", "1"), ("x0", "sin(x0)")}


def test_without_a_compiler_the_same_is_found(uncompiled: None) -> None:
    t = 0.05 * np.arange(120)
    circle = np.column_stack([np.cos(t), np.sin(t)])
    fit = sd.learn.AnnealedTerms(degree=1, starts=1).fit(noisy(circle, 1e-3, 0), t=0.05)
    assert found(fit).keys() == {("x0", "x1"), ("x1", "x0")}
    assert found(fit)["x0", "x1"] == pytest.approx(-1.0, abs=0.02)


def test_noise_that_is_too_small_is_said(recording: np.ndarray) -> None:
    fit = sd.learn.AnnealedTerms(variance=0.5, starts=1).fit(recording, t=0.01)
    assert "more than their noise explains" in fit.summary()
    fit = sd.learn.AnnealedTerms(variance=2.0, starts=1).fit(recording, t=0.01)
    assert "less than their noise should" in fit.summary()


def test_residuals_that_are_not_noise_are_said() -> None:
    """A circle with a slow wave beside it: linear equations leave a residual that is smooth."""
    t = 0.1 * np.arange(300)
    wave = np.column_stack([np.cos(t) + 0.3 * np.cos(0.05 * t**1.5), np.sin(t)])
    fit = sd.learn.AnnealedTerms(degree=1, starts=1).fit(noisy(wave, 1e-4, 0), t=0.1)
    assert "residuals of x0 next to each other" in fit.summary()


@pytest.mark.smoke
def test_terms_that_make_up_for_the_steps_are_said_and_go_with_finer_steps() -> None:
    """Without noise the error of the steps is all that there is to explain."""
    data = clean(150)
    coarse = sd.learn.AnnealedTerms(starts=1, step=0.01).fit(data, t=0.01)
    assert len(coarse.terms) > len(LORENZ)
    assert "no larger than the error of steps of 0.01" in coarse.summary()
    fine = sd.learn.AnnealedTerms(starts=1).fit(data, t=0.01)
    assert found(fine) == pytest.approx(LORENZ, rel=1e-5)
    assert (fine.result.noise > 0.0).all()


def test_rows_of_a_list_are_times_and_arrays_in_a_list_recordings() -> None:
    from symda.learn.series import as_series

    rows = [[1.0, 2.0], [2.0, 1.0], [4.0, 3.0]]
    series, names = as_series(rows, 0.1, "fit")
    assert len(series) == 1 and names == ("x0", "x1") and series[0].values.tolist() == rows
    series, _ = as_series([np.array(rows), np.array(rows)], 0.1, "fit")
    assert len(series) == 2


def test_options_are_those_of_scikit_learn() -> None:
    fit = sd.learn.AnnealedTerms(degree=3)
    assert fit.get_params()["degree"] == 3 and "_result" not in fit.get_params()
    assert fit.set_params(starts=7).starts == 7
    with pytest.raises(sd.OptionError, match=r"no option 'start'.*starts"):
        fit.set_params(start=1)
    with pytest.raises(sd.SolveError, match="call fit"):
        _ = fit.model


MISTAKES: list[tuple[dict[str, Any], Any, str]] = [
    ({}, np.ones((50, 2)), "x0 is constant"),
    ({}, np.full((50, 1), np.nan), "no finite|none|nan|measure"),
    ({"degree": 9}, np.random.default_rng(0).normal(size=(40, 3)), "cannot decide among"),
    ({"starts": 0}, np.random.default_rng(0).normal(size=(40, 2)), "starts"),
    ({"variance": -1.0}, np.random.default_rng(0).normal(size=(40, 2)), "variance"),
    ({"variance": [1.0]}, np.random.default_rng(0).normal(size=(40, 2)), "2 of them, got 1"),
    ({"step": 0.0}, np.random.default_rng(0).normal(size=(40, 2)), "step"),
    (
        {"library": "quadratic"},
        np.random.default_rng(0).normal(size=(40, 2)),
        "must be one of symda.learn.library",
    ),
]


@pytest.mark.parametrize(("options", "data", "message"), MISTAKES)
def test_mistakes_are_said(options: dict[str, Any], data: np.ndarray, message: str) -> None:
    with pytest.raises(sd.InputError, match=message):
        sd.learn.AnnealedTerms(**options).fit(data, t=0.1)


def test_a_state_that_is_never_measured_is_named(recording: np.ndarray) -> None:
    x = sd.states(["x0", "x1", "x2", "v"])
    data = sd.Observations(
        0.01 * np.arange(400), recording, variance=1.0, channels=["x0", "x1", "x2"]
    )
    with pytest.raises(sd.DataError, match="v was never measured"):
        sd.learn.AnnealedTerms(library=sd.learn.library(x, 1)).fit(data)
    with pytest.raises(sd.DataError, match="there must be one of each"):
        sd.learn.AnnealedTerms(library=sd.learn.library(x[2:], 1)).fit(data)
    unseen = np.column_stack([recording, np.full(400, np.nan)])
    with pytest.raises(sd.DataError, match="v was never measured"):
        sd.learn.AnnealedTerms(library=sd.learn.library(x, 1)).fit(unseen, t=0.01)


def test_terms_that_depend_on_each_other_are_named() -> None:
    import sympy as sp

    x, y = sd.states(["x0", "x1"])
    with pytest.raises(sd.ModelError, match=r"the terms 1, cos\(x0\)\*\*2, sin\(x0\)\*\*2 depend"):
        sd.learn.library([x, y], 1, [sp.sin(x) ** 2, sp.cos(x) ** 2])
    t = 0.05 * np.arange(100)
    twice = np.column_stack([np.sin(t), 2.0 * np.sin(t)])
    with pytest.raises(
        sd.DataError, match="the terms x0, x1 depend on each other along these data"
    ):
        sd.learn.AnnealedTerms(degree=1, variance=1e-6).fit(twice, t=0.05)
    with pytest.raises(sd.ModelError, match="occurs twice"):
        sd.learn.library([x, y], 2, [x * y])
    with pytest.raises(sd.ModelError, match="expressions in the states"):
        sd.learn.library([x, y], 1, [sd.parameter("a") * x])
