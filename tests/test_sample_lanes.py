"""Importance draws several at once, in lanes: against dense matrices, and against one at a time."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

import symda as sd
from symda.api.machine import machine
from symda.build import toolchain
from symda.build.kernels import BlockEvaluator, matrices_of
from symda.sample.path_map import PathMap
from symda.sample.proposal import Proposal
from symda.sample.target import PathTarget
from symda.solve import SOLVERS

pytestmark = pytest.mark.skipif(not toolchain().usable, reason="no compiler on this machine")


def decay(scheme: str, size: float = 1.0, **declared: object) -> sd.Action:
    """x' = y - k x - x^3/size^2, y' = -x + c size: two states, two parameters."""
    x, y = sd.states("x y", start=(-size, size), **declared)
    k, c = sd.parameters("k c", start=(0.0, 1.0))
    equations = {x: y - k * x - x**3 / size**2, y: -x + c * size}
    return sd.Action(sd.Model(equations, name="decay"), [x, y + x * y / (4 * size)], scheme=scheme)


def rows(count: int, channels: int, size: float = 1.0, variance: float = 0.03) -> sd.Observations:
    values = 0.4 * size * np.random.default_rng(count).normal(size=(count, channels))
    if count > 3:
        values[2] = np.nan
        values[1, 0] = np.nan
    return sd.Observations(0.2 * np.arange(count), values, variance=variance * size**2)


def one_step() -> tuple[sd.Action, object]:
    x = sd.state("x", start=(-1.0, 1.0))
    model = sd.Model({x: x / 2 + x**2 / 5}, name="one", discrete=True)
    return sd.Action(model, [x]), sd.Observations([0.0, 1.0], [0.5, np.nan], variance=0.1)


def several() -> tuple[sd.Action, object]:
    """Three recordings, one of a single step; own parameters, priors, noise with heavy tails."""
    x = sd.state("x", start=(-1.0, 1.0), prior=sd.Normal(0.2, 2.0))
    y = sd.state("y", start=(-1.0, 1.0))
    k = sd.parameter("k", start=(0.0, 1.0), per="experiment")
    c = sd.parameter("c", start=(0.0, 1.0), prior=sd.LogNormal(0.0, 0.8))
    model = sd.Model({x: y - k * x - x**3 / 4, y: -x + c}, name="several")
    noisy = sd.StudentT(4.0, x + c * y / 4, 0.3)
    action = sd.Action(model, {"x": noisy, "y": y}, scheme="midpoint")
    return action, sd.Experiments([rows(2, 2), rows(6, 2), rows(4, 2)])


def again() -> tuple[sd.Action, object]:
    """Values measured twice and three times, noise that is correlated."""
    times = np.array([0.0, 0.2, 0.2, 0.4, 0.6, 0.6, 0.6])
    y = 0.4 * np.random.default_rng(3).normal(size=(7, 2))
    y[4, 1] = np.nan
    covariance = np.array([[0.03, 0.01], [0.01, 0.02]])
    return decay("rk4"), sd.Observations(times, y, covariance=covariance)


def correlated_errors() -> tuple[sd.Action, object]:
    x, y = sd.states("x y", start=(-1.0, 1.0))
    k = sd.parameter("k", start=(0.0, 1.0))
    model = sd.Model({x: y - k * x, y: -x - y**3 / 4}, name="errors")
    return sd.Action(model, [x], error_correlations={(x, y): 0.7}, scheme="trapezoid"), rows(5, 1)


def given() -> tuple[sd.Action, object]:
    x, y = sd.states("x y", start=(-1.0, 1.0))
    k = sd.parameter("k", start=(0.0, 1.0))
    model = sd.Model({x: y - k * x, y: -x - y**3 / 4}, name="given")
    return sd.Action(model, [x, y], initial={x: 0.3}, scheme="rk4"), rows(5, 2)


def controlled() -> tuple[sd.Action, object]:
    """A control, and a parameter of each step with its own variance."""
    x = sd.state("x", start=(-1.0, 1.0))
    u = sd.control("u", cost=2.0)
    w = sd.parameter("w", per="step", start=(-1.0, 1.0), process_variance=0.2)
    model = sd.Model({x: -x * w + u}, name="controlled")
    return sd.Action(model, {"x": x, "w": w + x}, scheme="trapezoid"), rows(6, 2)


KINDS: dict[str, Callable[[], tuple[sd.Action, object]]] = {
    "one step, one datum": one_step,
    "explicit": lambda: (decay("rk4"), rows(6, 2)),
    "one interior point": lambda: (decay("hermite-simpson"), rows(4, 2)),
    "three interior points": lambda: (decay("gauss6"), rows(3, 2)),
    "small": lambda: (decay("rk4", 1e-12), rows(6, 2, 1e-12)),
    "large": lambda: (decay("midpoint", 1e12), rows(6, 2, 1e12)),
    "several experiments": several,
    "measured again": again,
    "correlated errors": correlated_errors,
    "given initial value": given,
    "controls": controlled,
}


def evaluator_of(
    action: sd.Action, data: object, monkeypatch: pytest.MonkeyPatch
) -> BlockEvaluator:
    """Kernels of CasADi's machine, which need no compiling."""
    problem = action.bind(data)
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("SYMDA_CC", "none")
        return matrices_of(machine(action.specification.of(problem)).at(problem), "Hessian")


class Dense:
    """m(x) written down with dense matrices, and its derivatives by differences."""

    def __init__(self, at: BlockEvaluator, centre: np.ndarray, rf: np.ndarray) -> None:
        self.at, self.rf = at, rf
        self.W = at.precisions(rf).toarray()
        self.J = at.residual_jacobian(*at.problem.unknowns.split(centre)).toarray()

    def moment(self, x: np.ndarray) -> np.ndarray:
        at = self.at
        path, theta = at.split(*at.problem.unknowns.split(x))
        r = at.kernels.engine.step_residual(path, at.packed.pieces(theta), at.packed.steps)
        weighed = self.W @ r.reshape(-1)
        own = at.residual_jacobian(path, theta).toarray().T @ weighed
        data = at.value_and_gradient(path, theta, self.rf)[1] - own
        return (self.J.T @ weighed + data) / at.problem.measurement_scale

    def log_det(self, x: np.ndarray, free: np.ndarray) -> tuple[float, float]:
        """Return the sign of det m'(x), and its logarithm, of what is free."""
        sizes = self.at.problem.unknowns.sizes
        h, columns = 1e-3 * sizes, []
        for k in range(x.size):
            e = np.where(np.arange(x.size) == k, h, 0.0)
            near, far = (
                (self.moment(x + s * e) - self.moment(x - s * e)) / (2 * s * h[k]) for s in (1, 2)
            )
            columns.append((4.0 * near - far) / 3.0 * sizes[k])
        matrix = (np.stack(columns, axis=1) * sizes[:, None])[np.ix_(free, free)]
        sign, log = np.linalg.slogdet(matrix)
        return float(sign), float(log) - 2.0 * float(np.log(sizes[free]).sum())


Maps = tuple[PathMap, PathMap, Dense]


def maps_of(kind: str, monkeypatch: pytest.MonkeyPatch, held: tuple[int, ...] = ()) -> Maps:
    """Return a map in lanes, the same without a compiler, and with dense matrices."""
    action, data = KINDS[kind]()
    at = evaluator_of(action, data, monkeypatch)
    p = at.problem
    rf = np.full(p.D, 300.0) / p.unknowns.sizes[: p.D] ** 2
    path, theta = p.unknowns.split(p.unknowns.inside(*p.unknowns.split(0.5 * p.unknowns.sizes)))
    least = SOLVERS["newton"].at(at.kernels, p).minimise(path, theta, rf)
    centre = p.unknowns.join(*at.split(least.path, least.theta))
    free = p.unknowns.free.copy()
    free[list(held)] = False
    target = PathTarget(at, centre, SimpleNamespace(free=free), rf)
    lanes = PathMap(target)
    with monkeypatch.context() as patch:
        patch.setenv("SYMDA_CC", "none")
        alone = PathMap(target)
    assert lanes.together > 1 and alone.together == 1
    return lanes, alone, Dense(at, centre, at.precision(rf))


@pytest.mark.parametrize("kind", KINDS)
def test_the_map_is_that_of_dense_matrices(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held = (1, -1) if kind == "explicit" else ()
    lanes, alone, dense = maps_of(kind, monkeypatch, held)
    free, rng = lanes.target.white.free, np.random.default_rng(2)
    numbers = np.where(free, 0.3 * rng.normal(size=(5, free.size)), 0.0)
    x = lanes.target.centre + lanes.aparts(numbers)
    assert x == pytest.approx(lanes.target.centre + alone.aparts(numbers), rel=1e-12)
    wanted = np.stack([lanes.white.pull(dense.moment(one)) for one in x])
    assert lanes.images(x) == pytest.approx(wanted, rel=1e-9, abs=1e-9)
    assert alone.images(x) == pytest.approx(wanted, rel=1e-9, abs=1e-9)
    signs, logs = np.array([dense.log_det(one, free) for one in x]).T
    for one in (lanes, alone):
        log, sign = one.determinants(x)
        assert sign.tolist() == signs.tolist()
        assert log == pytest.approx(logs, abs=1e-6)


@pytest.mark.parametrize("kind", ["explicit", "several experiments", "given initial value"])
def test_draws_do_not_depend_on_how_many_there_are(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes, alone, dense = maps_of(kind, monkeypatch)
    free = lanes.target.white.free
    count = lanes.together + 3
    numbers = np.where(free, 0.2 * np.random.default_rng(5).normal(size=(count, free.size)), 0.0)
    found, again = lanes.draws(numbers), alone.draws(numbers)
    known = [k for k in range(count) if found[k] is not None]
    assert known == [k for k in range(count) if again[k] is not None] and len(known) > count / 2
    for k in known:
        one, other = found[k], again[k]
        apart = lanes.white.together(one.x - other.x)
        assert np.abs(apart).max() < 1e-7
        assert one.log_density == pytest.approx(other.log_density, abs=1e-6)
    for k in known[-3:]:
        one = found[k]
        # what the map makes of it is what it was drawn from
        assert np.abs(lanes.white.pull(dense.moment(one.x)) - numbers[k]).max() < 2e-5
        wanted = dense.log_det(one.x, free)[1] - lanes.white.log_det - 0.5 * numbers[k] @ numbers[k]
        assert one.log_density == pytest.approx(wanted, abs=1e-4)
    x = np.stack([found[k].x for k in known])
    density = np.array([found[k].log_density for k in known])
    assert lanes.densities(x) == pytest.approx(density, abs=1e-4)


def test_a_fold_is_seen_and_pivots_that_vanish_are_searched_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """x^2 is measured: between both roots the curvature is negative, and once it is nothing."""
    x = sd.state("x", start=(-1.0, 1.0))
    action = sd.Action(sd.Model({x: x}, name="still", discrete=True), {"square": x**2})
    data = sd.Observations([0.0, 1.0], [1.0, 1.0], variance=0.01)
    at = evaluator_of(action, data, monkeypatch)
    target = PathTarget(at, np.ones(2), SimpleNamespace(free=np.ones(2, bool)), np.array([100.0]))
    lanes, dense = PathMap(target), Dense(at, np.ones(2), np.array([100.0]))
    # 600 x^2 - 200 and 100 of the step make the first pivot 0
    places = np.array([[1.0, 1.0], [0.0, 1.0], [np.sqrt(1 / 6), 0.3], [0.1, -0.2]])
    logs, signs = lanes.determinants(places)
    wanted = np.array([dense.log_det(one, np.ones(2, bool)) for one in places])
    assert signs.tolist() == wanted[:, 0].tolist() and -1.0 in signs
    assert logs == pytest.approx(wanted[:, 1], abs=1e-6)


def test_numbers_of_draws_are_a_stream_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw k is the same whatever else took numbers, and however many are made at once."""
    lanes, alone, _ = maps_of("explicit", monkeypatch)
    found = []
    for one, used in ((lanes, 0), (lanes, 5), (alone, 2)):
        rng = np.random.default_rng(4)
        proposal = Proposal([one], np.ones(1), rng)
        found.append([])
        for _ in range(6):
            rng.normal(size=used)
            draw = proposal.next()
            found[-1].append(np.nan if draw is None else draw.log_density)
    assert found[1] == pytest.approx(found[0], abs=1e-9, nan_ok=True)
    assert found[2] == pytest.approx(found[0], abs=1e-6, nan_ok=True)
