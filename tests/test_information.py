"""What data tell: ratios of determinants of exact inverses, and of another run."""

from __future__ import annotations

import math

import numpy as np
import pytest
from error_bars import dense, ladder, pendulum, recorded, walk

import symda as sd
from symda.errors import OptionError

pytestmark = pytest.mark.usefixtures("uncompiled")


def test_of_a_linear_model_it_is_the_ratio_of_determinants() -> None:
    action = walk(np.random.default_rng(1), 3)
    y = np.random.default_rng(2).normal(size=(8, 2))
    y[3, 1] = np.nan
    data = sd.Observations(np.arange(8.0), y, variance=[0.3, 0.7])
    run = sd.anneal(action, data, **ladder(3.0))
    found = run.posterior()
    H, _ = dense(action, run, found.levels[0].gaussian, found.rf)
    M, D = run.problem.M, run.problem.D
    log_det = np.linalg.slogdet(H)[1]
    columns = {0: (0, M * D), 1: (2, M * D + 1)}

    def without(rows: list[tuple[int, int]]) -> float:
        left = H.copy()
        for m, l in rows:
            h = np.zeros(len(H))
            h[m * D + columns[l][0]], h[columns[l][1]] = 1.0, -1.0 / 3.0
            left -= np.outer(h, h) / [0.3, 0.7][l]
        return 0.5 * (log_det - np.linalg.slogdet(left)[1])

    each = found.information_by_time.values
    assert math.isnan(each[3, 1])
    for m, l in ((0, 0), (4, 1), (7, 0)):
        assert each[m, l] == pytest.approx(without([(m, l)]), rel=1e-7)
    table = found.information()
    assert list(table["data"]) == [8, 7]
    assert table.loc["y0", "each"] == pytest.approx(each[:, 0].mean())
    # without it nothing tells the constant of its rate
    assert math.isinf(table.loc["y2", "together"])


def test_a_channel_tells_what_its_data_tell_together() -> None:
    action = pendulum("rk4")
    run = sd.anneal(action, recorded(action), **ladder(1e3))
    found, p = run.posterior(), run.problem
    H, _ = dense(action, run, found.levels[0].gaussian, found.rf)
    left = H.copy()
    at = p.D * np.flatnonzero(p.rm[:, 0] > 0.0)
    left[at, at] -= 100.0
    free = np.ix_(p.unknowns.free, p.unknowns.free)
    exact = 0.5 * (np.linalg.slogdet(H[free])[1] - np.linalg.slogdet(left[free])[1])
    assert found.information().loc["x", "together"] == pytest.approx(exact, rel=1e-6)


def test_a_further_datum_tells_what_was_expected_of_it() -> None:
    action = walk(np.random.default_rng(1), 3)
    y = np.random.default_rng(2).normal(size=(8, 2))
    data = sd.Observations(np.arange(8.0), y, variance=0.3)
    run = sd.anneal(action, data, **ladder(3.0))
    x = action.model.states
    table = action.design(run, {"x1": (x[1], 0.2), "x0": (x[0], 0.2), "vague": (x[1], 1e6)})
    assert list(table.index) == ["x1", "x0", "vague"]
    when, expected = table.loc["x1", ["time", "information"]]
    measured = action.measurement
    known = dict(zip(measured.names, measured.functions, strict=True))
    more = sd.Action(action.model, {**known, "x1": x[1]})
    values = np.column_stack([y, np.full(8, np.nan)])
    values[int(when), 2] = 0.0
    again = sd.anneal(
        more, sd.Observations(data.times, values, variance=[0.3, 0.3, 0.2]), **ladder(3.0)
    )
    gained = again.posterior().levels[0].gaussian.log_determinant
    before = run.posterior().levels[0].gaussian.log_determinant
    assert 0.5 * (gained - before) == pytest.approx(expected, rel=1e-6)
    by_time = table.attrs["by_time"]
    assert by_time.sizes == {"candidate": 3, "time": 8}
    assert float(by_time.sel(candidate="x1").max()) == pytest.approx(expected)
    for wrong, words in (({}, "mapping of names"), ({"x1": x[1]}, "variance of its noise")):
        with pytest.raises(OptionError, match=words):
            action.design(run, wrong)
    with pytest.raises(OptionError, match="variance"):
        action.design(run, {"x1": (x[1], -1.0)})


def test_other_noise_is_refused() -> None:
    x = sd.state("x", start=(-2.0, 2.0))
    model = sd.Model({x: x / 2}, name="half", discrete=True)
    action = sd.Action(model, {"x": sd.StudentT(4, x, 0.3)})
    run = sd.anneal(action, sd.Observations(np.arange(6.0), 0.5 ** np.arange(6.0)), **ladder(10.0))
    with pytest.raises(OptionError, match="independent Gaussian noise"):
        run.posterior().information()


@pytest.mark.compiled
@pytest.mark.smoke
def test_what_data_tell_by_samples() -> None:
    """Mutual information as it is defined, of a datum left out and of one to come.

    I = H(y) - H(y | x): the entropy of a mixture over draws x of the path without the datum, and
    that of its noise.
    """
    action = pendulum("rk4")
    data = recorded(action)
    run = sd.anneal(action, data, **ladder(100.0))
    values = data.values.copy()
    values[20, 0] = np.nan
    less = sd.Observations(data.times, values, variance=0.01)
    without = sd.anneal(action, less, **ladder(100.0))
    drawn = without.sample(6000, method="rto", seed=1)
    assert drawn.determined

    def told(draws: np.ndarray, variance: float) -> float:
        y = np.linspace(-8.0, 8.0, 1001) * math.sqrt(draws.var() + variance) + draws.mean()
        apart = np.exp(-0.5 * (y[:, None] - draws) ** 2 / variance)
        density = apart @ drawn.weights / math.sqrt(2.0 * math.pi * variance)
        entropy = -np.trapezoid(density * np.log(np.maximum(density, 1e-300)), y)
        return float(entropy) - 0.5 * math.log(2.0 * math.pi * math.e * variance)

    x, v = drawn.states.values[:, 20].T
    own = dict(zip("xv", action.model.states, strict=True))
    design = action.design(without, {"x": (own["x"], 0.01), "v": (own["v"], 0.04)})
    expected = design.attrs["by_time"].values[:, 20]
    assert told(x, 0.01) == pytest.approx(expected[0], rel=0.05)
    assert told(v, 0.04) == pytest.approx(expected[1], rel=0.05)
    given = run.posterior().information_by_time.values[20, 0]
    assert told(x, 0.01) == pytest.approx(given, rel=0.05)
