"""VODEN: rates in PyTorch against SymPy and CasADi, its losses by hand, its fits."""

from __future__ import annotations

import sys

import learning
import numpy as np
import pytest
from sympy import Abs, And, Max, Min, Piecewise, Pow, atan2, erf, exp, log, sign, sin, sqrt, tanh

import symda as sd
from symda.errors import InputError
from symda.learn import VODEN
from symda.learn.measures import forecast_errors
from symda.learn.transitions import Transitions
from symda.types import FloatArray

#: Small, so that a fit takes a second.
SMALL = {"size": 3, "layers": 1, "hidden": 4, "window": 40}


def awkward() -> sd.Model:
    x, y = sd.states("x y")
    a, b = sd.parameters("a b")
    return sd.Model(
        {
            x: a * sin(x) * exp(-b * y) + tanh(x * y) / sqrt(2 + y**2) + Max(x, y) * erf(a * x),
            y: Piecewise((a * x, And(x > 0, y > 0)), (b * log(2 + x**2), True))
            + Abs(y) ** 1.3 * sign(x)
            + Min(x, a) * atan2(y, 2 + x**2)
            + Pow(2 + x**2, b),
        }
    )


def test_every_operation_is_translated() -> None:
    pytest.importorskip("torch")
    from symda.learn.torch_rates import _operations
    from symda.lower.instructions import OPERATIONS

    assert {name.lower() for name in OPERATIONS} <= set(_operations())


@pytest.mark.parametrize("model", [awkward(), sd.learn.bilinear(sd.states("x y z"))])
def test_rates_and_their_gradients(model: sd.Model) -> None:
    torch = pytest.importorskip("torch")
    from symda.learn.torch_rates import torch_rates, torch_step

    random, D, P = np.random.default_rng(0), len(model.states), len(model.parameters)
    x, theta = random.normal(size=(2, 4, D)), random.normal(size=P)
    found = torch_rates(model)(torch.tensor(x), torch.tensor(theta))
    table = dict(zip(model.parameters, theta, strict=True))
    for i, j in np.ndindex(2, 4):
        here = table | dict(zip(model.states, x[i, j], strict=True))
        exact = [float(one.xreplace(here).evalf()) for one in model.equations]
        np.testing.assert_allclose(found[i, j].numpy(), exact, rtol=1e-12)
    steps, h = Transitions(model), random.uniform(0.01, 0.1, (2, 4))
    given = torch.tensor(theta, requires_grad=True)
    later = torch_step(torch_rates(model), torch.tensor(x), given, torch.tensor(h))
    expected, slopes = steps.slopes(x.reshape(-1, D).T, theta, h.ravel())
    np.testing.assert_allclose(later.detach().reshape(-1, D).T, expected, rtol=1e-12)
    later.sum().backward()
    np.testing.assert_allclose(given.grad, slopes.sum(axis=(1, 2)), rtol=1e-10, atol=1e-14)


def test_the_losses_are_those_by_hand() -> None:
    pytest.importorskip("torch")
    from symda.learn.training import AlternatingFit, TrainingOptions

    model = sd.learn.bilinear(sd.states("x y z"))
    random = np.random.default_rng(0)
    y, seen = random.normal(size=(3, 9, 3)), random.random((3, 9, 3)) < 0.6
    h = random.uniform(0.1, 0.3, (3, 9))
    options = TrainingOptions(2, 3, 1, 4, 3, 1, 1, 10, data_weight=0.3, rate=1e-300, decay=0.5)
    training = AlternatingFit(model, np.where(seen, y, 7.0), seen, h, options, 0)
    mu, theta, steps = training.states(), training.parameters(), Transitions(model)
    once = steps.step(mu[:, :-1].reshape(-1, 3).T, theta, h[:, :-1].ravel()).T.reshape(3, 8, 3)
    twice = steps.step(once[:, :-1].reshape(-1, 3).T, theta, h[:, 1:-1].ravel()).T
    m_loss = np.mean((once - mu[:, 1:]) ** 2) / 2
    m_loss += np.mean((twice.reshape(3, 7, 3) - mu[:, 2:]) ** 2) / 2
    e_loss = 0.3 * np.mean(np.where(seen, y - mu, 0.0) ** 2) + m_loss
    # a rate of next to nothing leaves everything as it is
    assert training.epoch() == pytest.approx((e_loss, m_loss), rel=1e-12)


def test_sequences_cover_all_recordings_and_gaps_do_not_count() -> None:
    pytest.importorskip("torch")
    data = learning.noisy(0, 1.0, 110)
    parts = [data[:70], data[70:]]
    parts[0][3:6, 1] = np.nan
    method = VODEN(**SMALL, epochs=2).fit(parts, learning.H)
    assert method.path.shape == (110, 3) and np.isfinite(method.path).all()
    np.testing.assert_allclose(method.times[69:71], [0.69, 0.0])
    assert method.losses.shape == (2, 2)
    assert len(method.parameters) == 69 and not method.model.parameters


def test_it_learns() -> None:
    pytest.importorskip("torch")
    data, test = learning.noisy(1, 0.5, 400), [learning.clean(99, 500)]
    options = {"window": 50, "batch": 8, "rate": 1e-2}
    errors = []
    for epochs in (1, 60):
        method = VODEN(**SMALL | options, epochs=epochs).fit(data, learning.H)
        errors.append(forecast_errors(method, test, learning.H, (1,))[0][1])
    assert errors[1] < 0.7 * errors[0]
    assert method.losses[-1, 0] < 0.3 * method.losses[0, 0]
    assert np.sqrt(np.mean((method.path - learning.clean(1, 400)) ** 2)) < 4.0


def test_a_seed_repeats_units_do_not_matter_and_pytorch_is_left_as_it_was() -> None:
    torch = pytest.importorskip("torch")
    data, size = learning.noisy(0, 1.0, 90), np.array([1e-9, 40.0, 3e8])
    state = torch.random.get_rng_state()
    first, same, other = (
        VODEN(**SMALL, form="library", epochs=3, seed=k).fit(data, learning.H) for k in (1, 1, 2)
    )
    assert torch.equal(state, torch.random.get_rng_state())
    assert first.parameters == same.parameters != other.parameters
    assert len(first.parameters) == 30
    scaled = VODEN(**SMALL, form="library", epochs=3, seed=1).fit(data * size, learning.H * 60)
    np.testing.assert_allclose(scaled.losses, first.losses, rtol=1e-6)
    np.testing.assert_allclose(scaled.path / size, first.path, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        scaled.steps(data[:5] * size, learning.H * 60, 2) / size,
        first.steps(data[:5], learning.H, 2),
        rtol=1e-6,
    )


def test_pytorch_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(sd.OptionError, match=r"VODEN.fit needs .* torch.*pip install 'symda\[l"):
        VODEN().fit(learning.noisy(0, 1.0, 50), learning.H)


DATA = learning.noisy(0, 1.0, 60)


@pytest.mark.parametrize(
    ("method", "data", "message"),
    [
        (VODEN(form="tanh"), DATA, "form must be one of library, bilinear"),
        (VODEN(data_weight=0.0), DATA, "data_weight must be a positive number"),
        (VODEN(rate=-1.0), DATA, "rate must be a positive number"),
        (VODEN(decay=2.0), DATA, "decay must be a number above 0 and at most 1"),
        (VODEN(window=2), DATA, "window must be a whole number of at least 3"),
        (VODEN(layers=0), DATA, "layers must be a whole number of at least 1"),
        (VODEN(epochs=0), DATA, "epochs must be a whole number of at least 1"),
        (VODEN(loss_steps=9, window=10), DATA, "sequences of 10 times are too short"),
        (VODEN(), DATA * [1, np.nan, 1], "x1 is never measured"),
    ],
)
def test_bad_input(method: VODEN, data: FloatArray, message: str) -> None:
    pytest.importorskip("torch")
    with pytest.raises(InputError, match=message):
        method.fit(data, learning.H)


def test_options_are_listed_and_what_is_fitted_is_none() -> None:
    assert set(VODEN().get_params()) == {
        *("form", "degree", "data_weight", "loss_steps", "size", "layers", "hidden", "window"),
        *("batch", "epochs", "e_steps", "m_steps", "rate", "decay", "decay_epochs", "seed"),
    }
