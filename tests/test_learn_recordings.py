"""What recordings may be like for learning: rare, with gaps, without a state, hardly moving."""

from __future__ import annotations

import learning
import numpy as np
import pytest
import sympy as sp

import symda as sd
from symda.learn.points import make_points
from symda.learn.series import as_series
from symda.learn.smooth import Smooth


def smooth(values: list[np.ndarray], step: float) -> tuple[np.ndarray, np.ndarray]:
    series, _ = as_series(values, step, "test")
    points = make_points(series, np.ones(values[0].shape[1]), None, "test")
    return Smooth.of(series, points).path()


@pytest.mark.parametrize("seed", [12, 13])
def test_rare_values_in_much_noise_are_not_smoothed_to_a_line(seed: int) -> None:
    """Nine values in a turn of z, the noise as large as the signal."""
    x = learning.clean(seed)[::8]
    path, rates = smooth([x + 8.0 * np.random.default_rng(seed).normal(size=x.shape)], 0.08)
    true = np.array([learning.rates(one) for one in x])
    assert (np.sqrt(((path - x) ** 2).mean(axis=0)) < 0.7 * x.std(axis=0)).all()
    assert (rates.std(axis=0) > 0.25 * true.std(axis=0)).all()


def test_a_state_that_a_recording_lacks_starts_as_in_others_that_are_alike() -> None:
    x = learning.clean(0, 2000)
    whole, lacking = learning.noisy(0, 0.25, 2000)[:1500], learning.noisy(0, 0.25, 2000)[1500:]
    lacking[:, 1] = np.nan
    path, rates = smooth([whole, lacking], 0.01)
    true = np.array([learning.rates(one) for one in x[1500:]])
    assert np.sqrt(((path - x)[1500:, 1] ** 2).mean()) < 0.25 * x[:, 1].std()
    assert np.sqrt(((rates[1500:] - true)[:, 1] ** 2).mean()) < 0.5 * true[:, 1].std()


def test_a_long_gap_is_said_where_it_is() -> None:
    t = 0.2 * np.arange(100)
    circle = np.column_stack([np.cos(t), np.sin(t)])
    noisy = circle + 0.01 * np.random.default_rng(0).normal(size=circle.shape)
    gap = noisy.copy()
    gap[30:85, 1] = np.nan
    fit = sd.learn.AnnealedTerms(degree=1, variance=1e-4, starts=1)
    fit.fit({"first": sd.Observations(t, noisy), "second": sd.Observations(t, gap)})
    assert [one for one in fit.result.cautions if "no data" in one] == [
        "caution: no data of x1 between t=5.8 and t=17 in recording second: what was between them "
        "is known from the equations and other states only"
    ]


@pytest.mark.parametrize("learner", [sd.learn.AnnealedTerms(), sd.learn.SparseRegression()])
def test_a_state_that_hardly_moves_is_named(learner: sd.learn.Learner) -> None:
    t = 0.05 * np.arange(200)
    still = np.column_stack([np.sin(t), 1e5 + np.cos(t)])
    with pytest.raises(sd.DataError, match=r"x1 is nearly constant \(100000, .*subtract its mean"):
        learner.fit(still, t=0.05)


def test_terms_of_a_state_that_is_never_positive_are_checked() -> None:
    (x,) = sd.states(["x"])
    with pytest.raises(sd.ModelError, match=r"the terms log\(-x\), log\(x\*\*2\) depend"):
        sd.learn.library([x], 1, [sp.log(-x), sp.log(x**2)])
    assert len(sd.learn.library([x], 1, [sp.Abs(x)]).terms) == 3


def test_recordings_are_called_by_their_names() -> None:
    t = 0.1 * np.arange(9)
    one = sd.Observations(t, np.column_stack([np.sin(t), np.cos(t)]), channels=["a", "b"])
    other = sd.Observations(t, np.column_stack([np.sin(t), np.cos(t)]), channels=["a", "c"])
    short = sd.Observations(t[:2], np.ones((2, 2)), channels=["a", "b"])
    unseen = sd.Observations(t, np.column_stack([t, np.nan * t]), channels=["a", "b"])
    learner = sd.learn.SparseRegression(degree=1)
    with pytest.raises(sd.DataError, match="recording cold has 2 times"):
        learner.fit({"warm": one, "cold": short})
    with pytest.raises(sd.DataError, match="cold has columns a, c, recording warm has a, b"):
        learner.fit({"warm": one, "cold": other})
    with pytest.raises(sd.DataError, match="b is never measured in recording cold"):
        learner.fit({"warm": one, "cold": unseen})
    with pytest.raises(sd.DataError, match="recording 2 has 2 times"):
        learner.fit([one, short])
