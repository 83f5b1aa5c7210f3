"""Starts where equations cannot be evaluated: pulled to where they can, or drawn again."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symda as sd
from symda.anneal.evaluable import SHARES, evaluable

pytestmark = pytest.mark.usefixtures("uncompiled")

X, Y = sd.states("x y", bounds=(-1.5, 1.5))
A = sd.parameter("a", start=(1.5, 2.5), bounds=(1.0, 4.0))


@pytest.fixture(scope="module")
def chebyshev() -> sd.Action:
    """The map cos(a acos(x)), which ends at 1, and a state that follows it."""
    rules = {X: sp.cos(A * sp.acos(X)) + Y / 100, Y: Y / 2 + X / 4}
    return sd.Action(sd.Model(rules, discrete=True), [X])


def seen(values: np.ndarray) -> sd.Observations:
    return sd.Observations(np.arange(float(values.size)), values[:, None], variance=1e-3)


def values() -> np.ndarray:
    x = [0.3]
    for _ in range(19):
        x.append(np.cos(2.0 * np.arccos(x[-1])))
    found = np.array(x)
    found[[0, 7, 8, 19]] = 1.02, -1.01, -1.04, 1.01
    return found


def test_a_point_beyond_is_pulled_no_farther_than_needed(chebyshev) -> None:
    data = seen(values())
    problem = chebyshev.bind(data)
    at = chebyshev.compile().machine.at(problem)
    path = np.stack([values(), np.zeros(20)], axis=1)
    theta, rf = np.array([2.0]), np.ones(2)
    (pulled, same), able = evaluable(at, (path, theta), rf)
    assert able and same is theta
    assert np.isfinite(at.gradient(pulled, theta, rf)).all()
    # of the last point no step asks the acos, and its neighbour is fine
    moved = np.flatnonzero((pulled != path).any(axis=1))
    assert set(moved) <= {0, 1, 7, 8, 9}
    for m, towards in ((0, 2), (7, 6), (8, 6)):
        assert abs(pulled[m, 0]) < 1.0
        share = (path[m, 0] - pulled[m, 0]) / (path[m, 0] - path[towards, 0])
        assert np.isclose(share, SHARES).any()
        farther = np.flatnonzero(np.isclose(share, SHARES))[0]
        before = path[m, 0] - (SHARES[farther - 1] if farther else 0.0) * (
            path[m, 0] - path[towards, 0]
        )
        assert abs(before) > 1.0


def test_what_is_fine_stays_the_same_object_and_what_is_hopeless_too(chebyshev) -> None:
    data = seen(values())
    at = chebyshev.compile().machine.at(chebyshev.bind(data))
    theta, rf = np.array([2.0]), np.ones(2)
    fine, beyond = (np.zeros((20, 2)), theta), (np.full((20, 2), 1.3), theta)
    for point, expected in ((fine, True), (beyond, False)):
        found, able = evaluable(at, point, rf)
        assert found is point and able is expected


def ended(action, data, **options) -> sd.Run:
    """Climb two rungs with a few iterations each."""
    return sd.anneal(
        action,
        data,
        ladder=sd.Ladder(alpha=8.0, rungs=2),
        options={"max_iter": 5},
        executor="serial",
        progress=False,
        **options,
    )


@pytest.mark.parametrize("start", ["uniform", "nudged"])
def test_data_beyond_the_domain_stop_no_path(chebyshev, start) -> None:
    run = ended(chebyshev, seen(values()), paths=2, start=start)
    assert (run.dataset["last_beta"].values == 1).all()


def test_where_it_overflows_no_path_stops_nor_starts() -> None:
    # a diode: exp(y/d) is 1e300 and more in much of the box
    x, y = sd.states("x y", bounds=(-20.0, 20.0))
    d = sd.parameter("d", start=(0.01, 0.05), bounds=(0.01, 0.1))
    model = sd.Model({x: y, y: -x - 1e-9 * sp.exp(y / d)}, name="diode")
    times = np.linspace(0.0, 6.0, 31)
    data = sd.Observations(times, -np.sin(times)[:, None], variance=0.01)
    action = sd.Action(model, [x], scheme="euler")
    for strategy in ("ladder", "window"):
        run = ended(action, data, paths=3, strategy=strategy)
        assert (run.dataset["last_beta"].values == 1).all()
        assert run.dataset["action"].values[:, 1].max() < 1e30


def test_parameters_without_a_value_are_drawn_again() -> None:
    x = sd.state("x", bounds=(-1.0, 1.0))
    b = sd.parameter("b", start=(-1.0, 1.0), bounds=(-1.0, 1.0))
    action = sd.Action(sd.Model({x: sp.sqrt(b) - x}), [x], scheme="euler")
    times = np.arange(10.0) / 10
    data = sd.Observations(times, np.exp(-times)[:, None], variance=0.01)
    run = ended(action, data, paths=8)
    # half of the draws have no root
    assert (run.dataset["last_beta"].values == 1).all()
    assert (run.dataset["parameters"].values[:, 1, 0] > 0.0).all()
