"""The judge of learned models: against exact exponents, exact distances, forecasts one by one."""

from __future__ import annotations

from dataclasses import dataclass

import learning
import numpy as np
import pytest

import symda as sd
from symda.learn.learner import Learner
from symda.learn.measures import distance
from symda.types import FloatArray

x, y, z = sd.states("x y z")


@dataclass
class Frozen(Learner):
    """Forecasts that nothing changes; and nan for states below `least`."""

    least: float = -np.inf
    columns: int = 1
    name = "frozen"

    def learn(self, series: object, names: object, where: str) -> None:
        pass

    @property
    def D(self) -> int:
        return self.columns

    def check_fitted(self, what: str) -> None:
        pass

    def steps(self, x: FloatArray, h: float, count: int) -> FloatArray:
        return np.broadcast_to(np.where(x < self.least, np.nan, x), (count, *x.shape)).copy()


def test_exponents_of_a_linear_model_are_those_of_its_step_map() -> None:
    model = sd.Model({x: -0.3 * x + 2 * y, y: -1.5 * y + z, z: -4 * z})
    h, rates = 0.1, np.array([-0.3, -1.5, -4.0])
    by_hand = 1 + h * rates + (h * rates) ** 2 / 2 + (h * rates) ** 3 / 6 + (h * rates) ** 4 / 24
    found = sd.learn.lyapunov_spectrum(model, np.eye(3), h, 100, spin_up=200)
    np.testing.assert_allclose(found.exponents, np.log(by_hand) / h, atol=1e-9)
    np.testing.assert_allclose(found.errors, 0.0, atol=1e-9)
    assert found.by_start.shape == (3, 3) and found.diverged == 0


def test_exponents_of_lorenz_are_the_published_ones() -> None:
    starts = learning.clean(0)[::40]
    found = sd.learn.lyapunov_spectrum(learning.truth(), starts, learning.H, 1500, spin_up=300)
    for value, error, published in zip(
        found.exponents, found.errors, learning.EXPONENTS, strict=True
    ):
        assert abs(value - published) < 4 * error < 0.05
    # the divergence is constant, so each start has the same sum
    np.testing.assert_allclose(found.by_start.sum(axis=1), -41.0 / 3.0, atol=1e-3)
    errors = found.by_start.std(axis=0, ddof=1) / 10.0
    np.testing.assert_allclose(found.errors, errors, rtol=1e-12)


def test_starts_that_diverge_are_counted_and_not_averaged() -> None:
    found = sd.learn.lyapunov_spectrum(sd.Model({x: x**3 - x}), [[0.5], [3.0], [-0.1]], 0.05, 400)
    assert found.diverged == 1
    assert np.isnan(found.by_start[:, 0]).tolist() == [False, True, False]
    assert found.exponents[0] == pytest.approx(-1.0, abs=1e-3)
    lost = sd.learn.lyapunov_spectrum(sd.Model({x: x**3}), [[3.0]], 0.05, 400)
    assert lost.diverged == 1 and np.isnan(lost.exponents).all() and np.isnan(lost.errors).all()


def test_the_true_model_has_no_error() -> None:
    found = sd.learn.score(
        learning.truth(),
        learning.clean(1),
        learning.H,
        truth=learning.truth(),
        exponent=0.9056,
        starts=20,
        steps=1000,
        spin_up=100,
    )
    assert found.errors[1] < 1e-5 and found.errors[4] < 5e-5
    assert found.exact and len(found.found or ()) == 7
    assert found.valid_lyapunov > 8.0
    assert found.valid_lyapunov == pytest.approx(found.valid_time * 0.9056)
    assert abs(found.exponents[0] - 0.9056) < 4 * found.exponent_errors[0]
    assert found.distance < 0.3
    assert set(found.diverged.values()) == {(0, 3996), (0, 20)}
    assert "7 of 7 true ones found, 0 others" in repr(found)
    assert found.table["e1"] == found.errors[1] and found.table["missed"] == 0.0


def test_a_forecast_is_valid_until_its_error_is_large() -> None:
    k = np.arange(3000)
    data = np.column_stack([np.sin(0.004 * k), 50.0 * np.cos(0.007 * k)])
    found = sd.learn.score(Frozen(columns=2), data, 0.5, exponent=2.0, starts=3, steps=10)
    size = data.std(axis=0)
    valid = []
    for start in (0, 749, 1499):
        wrong = np.sqrt((((data[start:] - data[start]) / size) ** 2).mean(axis=1))
        valid.append(0.5 * (np.flatnonzero(wrong > 0.4)[0] - 1))
    assert found.valid_time == np.median(valid) > 30.0
    assert found.valid_lyapunov == 2.0 * np.median(valid)
    assert found.errors[4] == pytest.approx(np.sqrt(np.mean((data[4:] - data[:-4]) ** 2)), rel=0.01)
    assert np.isnan(found.exponents).all() and "exponents: not found" in repr(found)
    assert found.exact is None and np.isnan(found.table["missed"])
    assert found.not_reached == 0


def test_forecasts_that_never_end_count_with_the_time_they_had() -> None:
    data = np.r_[np.full(150, 1.0), 1.01, np.full(49, 1.0), np.full(60, 3.0)]
    found = sd.learn.score(Frozen(), [data[:200], data[180:]], 1.0, starts=1, steps=10)
    assert found.not_reached == 1 and found.valid_time == 199.0
    assert "1 not reached" in repr(found)


def test_what_diverges_is_said() -> None:
    data = np.sin(0.1 * np.arange(500))
    found = sd.learn.score(Frozen(least=0.0), data, 0.1, horizons=(1,), starts=25, steps=10)
    below = int((data[:-1] < 0.0).sum())
    assert found.diverged["forecasts"] == (below, 499)
    assert f"diverged: {below} of 499 forecasts" in repr(found)
    assert found.diverged["free_runs"][0] > 0 and np.isfinite(found.distance)
    lost = sd.learn.score(Frozen(least=9.0), data, 0.1, starts=5, steps=10)
    assert np.isnan(lost.errors[1]) and np.isnan(lost.distance) and lost.valid_time == 0.0


def test_the_distance_of_a_shift_is_the_shift() -> None:
    values = np.random.default_rng(0).normal(size=(400, 2))
    moved = values + np.array([0.5, 3.0])
    assert distance(values, moved, np.array([1.0, 2.0])) == pytest.approx(1.0)
    assert distance(values, values[::-1], np.ones(2)) == 0.0


def test_terms_are_compared_written_out_and_by_position() -> None:
    a, b, c = sd.states("a b c")
    other = sd.Model({a: 9 * (b - a), b: a * (27 - c) + 0.1, c: a * b - 2 * c}, name="other")
    data = learning.clean(1, 400)
    found = sd.learn.score(
        other, data, learning.H, truth=learning.truth(), exponent=0.9, starts=2, steps=10, spin_up=0
    )
    assert found.missed == ("dy/dt: y",) and found.extra == ("dy/dt: 1",) and not found.exact
    assert "missed dy/dt: y" in repr(found) and len(found.found or ()) == 6


def test_states_of_the_same_names_are_found_in_any_order() -> None:
    turned = sd.Model({z: x * y - 8 * z / 3, x: 10 * (y - x), y: x * (28 - z) - y})
    data = learning.clean(1, 1200)
    observed = sd.Observations(
        learning.H * np.arange(1200), data, variance=1.0, channels=["x", "y", "z"]
    )
    options = {"truth": learning.truth(), "starts": 5, "steps": 500}
    found = sd.learn.score(turned, observed, **options)
    plain = sd.learn.score(learning.truth(), data, learning.H, **options)
    assert found.exact and found.errors == pytest.approx(plain.errors)
    assert found.valid_time == plain.valid_time
    # the exponent of the truth, of the same starts
    assert found.valid_lyapunov == pytest.approx(plain.valid_lyapunov, rel=1e-3)


@pytest.mark.parametrize(
    ("data", "t", "options", "message"),
    [
        (np.ones((9, 2)) * np.arange(9)[:, None], 0.1, {}, "have 2 columns; 3 states were learned"),
        (np.r_[learning.clean(1, 20), [[np.nan, 0, 0]]], 0.1, {}, "recording 1 .* has gaps"),
        (learning.clean(1, 20), np.arange(20) ** 2 / 9, {}, "must rise evenly"),
        (learning.clean(1, 20), 0.1, {"horizons": (30,)}, "20 times; 31 are needed"),
        (learning.clean(1, 20), 0.1, {"horizons": ()}, "must have a number of steps"),
        (learning.clean(1, 20), 0.1, {"horizons": (0,)}, "horizons must be a whole number"),
        (learning.clean(1, 20), 0.1, {"exponent": "big"}, "exponent must be a finite number"),
        (learning.clean(1, 20), 0.1, {"starts": 0}, "starts must be a whole number"),
    ],
)
def test_bad_input_of_score(data: object, t: object, options: dict, message: str) -> None:
    with pytest.raises(sd.InputError, match=message):
        sd.learn.score(learning.truth(), data, t, **options)


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(sd.OptionError, match="expected a fitted method or a model, got str"):
        sd.learn.score("SINDy", learning.clean(1, 20), 0.1)
    with pytest.raises(sd.ModelError, match="numbers for parameters"):
        sd.learn.score(sd.models.lorenz63(), learning.clean(1, 20), 0.1)
    for truth, message in (
        (sd.Model({x: -x}), "truth 'model' has 1 states; 3 were learned"),
        (sd.models.lorenz63(), "numbers for parameters"),
    ):
        with pytest.raises(sd.ModelError, match=message):
            sd.learn.score(learning.truth(), learning.clean(1, 20), 0.1, truth=truth)


@pytest.mark.parametrize(
    ("starts", "options", "message"),
    [
        (np.zeros((4, 2)), {}, r"starts must be \(K, 3\), got \(4, 2\)"),
        ([np.nan, 0.0, 0.0], {}, "starts must be finite"),
        (np.zeros(3), {"h": 0.0}, "h must be a positive number"),
        (np.zeros(3), {"steps": 7}, "steps must be a multiple of every, 5, got 7"),
    ],
)
def test_bad_input_of_exponents(starts: object, options: dict, message: str) -> None:
    with pytest.raises(sd.InputError, match=message):
        sd.learn.lyapunov_spectrum(learning.truth(), starts, **{"h": 0.1, **options})


def test_numbers_for_parameters() -> None:
    model = sd.models.lorenz63()
    part = sd.learn.with_numbers(model, {model.parameters[0]: 10.0}, rho=28)
    assert [p.name for p in part.parameters] == ["beta"] and part.states == model.states
    assert part.declarations[part.states[0]].start == (-20.0, 20.0)
    with pytest.raises(sd.ModelError, match=r"no parameter 'rh0'\. Did you mean 'rho'"):
        sd.learn.with_numbers(model, rh0=1.0)
    with pytest.raises(sd.ModelError, match="rho must be a finite number"):
        sd.learn.with_numbers(model, rho=np.inf)
    w = sd.parameter("w", per="step")
    with pytest.raises(sd.ModelError, match="parameters per step have no single number"):
        sd.learn.with_numbers(sd.Model({x: w * x}))
