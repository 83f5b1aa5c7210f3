"""Section "network": the gradient of a layered network's action, and the time to its level."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable

import numpy as np
from common import Row, Size, hand_over, milliseconds, pin, section_size
from scipy.optimize import minimize

import symda as sd
from symda.build.network_layout import room
from symda.solve.network.clock import Clock
from symda.solve.network.levenberg import Levenberg
from symda.solve.network.problem import NetworkProblem, Point, Terms

SECTION = "network"
N, PAIRS, VARIANCE, SD = 10, 100, 0.0025, 0.2


def orthogonal(rng: np.random.Generator, layers: int, gain: float) -> list[np.ndarray]:
    """Weights that keep a signal alive."""
    made = []
    for step in range(layers - 1):
        q, r = np.linalg.qr(rng.normal(size=(N, N)))
        q *= np.sign(np.diag(r))
        made.append(gain * (q - q.mean(axis=1, keepdims=True)) if step else q)
    return made


def twin(layers: int) -> tuple[NetworkProblem, np.ndarray]:
    """Return a twin whose weights carry a signal, with its prior, and start weights."""
    rng = np.random.default_rng(0)
    net = sd.Model.layered([N] * layers)
    truth, guess = orthogonal(rng, layers, 4.4), orthogonal(np.random.default_rng(100), layers, 4.0)
    action = sd.Action(net.around(guess, SD))
    x = rng.normal(size=(PAIRS, N))
    y = action.outputs(truth, x)
    x, y = (one + np.sqrt(VARIANCE) * rng.normal(size=one.shape) for one in (x, y))
    return action.problem(sd.Pairs(x, y, variance=VARIANCE)), action.network.join(guess)


def by_numpy(
    X: np.ndarray, W: np.ndarray, y: tuple[np.ndarray, np.ndarray], cm: float, cf: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return action and gradient as one writes them in NumPy; X (layers, pairs, N)."""
    g = 1.0 / (1.0 + np.exp(-np.einsum("lij,lkj->lki", W, X[:-1])))
    r = X[1:] - g
    ends = X[0] - y[0], X[-1] - y[1]
    GX = np.zeros_like(X)
    GX[1:] += cf * r
    s = -cf * r * g * (1.0 - g)
    GX[:-1] += np.einsum("lij,lki->lkj", W, s)
    GX[0] += cm * ends[0]
    GX[-1] += cm * ends[1]
    value = 0.5 * cf * (r**2).sum() + 0.5 * cm * sum((e**2).sum() for e in ends)
    return float(value), GX, np.einsum("lki,lkj->lij", s, X[:-1])


def by_jax(
    y: tuple[np.ndarray, np.ndarray], cm: float, cf: float
) -> Callable[[np.ndarray, np.ndarray], object]:
    """Return the same, jitted, one thread."""
    import baseline_jax  # noqa: F401  # its settings
    import jax
    import jax.numpy as jnp

    y0, y1 = (jnp.asarray(one) for one in y)

    def action(X: jax.Array, W: jax.Array) -> jax.Array:
        r = X[1:] - jax.nn.sigmoid(jnp.einsum("lij,lkj->lki", W, X[:-1]))
        ends = jnp.sum((X[0] - y0) ** 2) + jnp.sum((X[-1] - y1) ** 2)
        return 0.5 * cf * jnp.sum(r**2) + 0.5 * cm * ends

    both = jax.jit(jax.value_and_grad(action, argnums=(0, 1)))

    def call(X: np.ndarray, W: np.ndarray) -> object:
        return jax.block_until_ready(both(X, W))

    return call


def by_torch(
    y: tuple[np.ndarray, np.ndarray], cm: float, cf: float
) -> Callable[[np.ndarray, np.ndarray], object]:
    """Return the same by PyTorch, one thread, in doubles."""
    import torch

    torch.set_num_threads(1)
    y0, y1 = (torch.from_numpy(np.ascontiguousarray(one)) for one in y)

    def call(X: np.ndarray, W: np.ndarray) -> object:
        x, w = (torch.from_numpy(one).requires_grad_() for one in (X, W))
        r = x[1:] - torch.sigmoid(torch.matmul(x[:-1], w.transpose(1, 2)))
        ends = ((x[0] - y0) ** 2).sum() + ((x[-1] - y1) ** 2).sum()
        value = 0.5 * cf * (r**2).sum() + 0.5 * cm * ends
        return value.detach(), *torch.autograd.grad(value, (x, w))

    return call


def gradients(layers: int) -> list[Row]:
    """Rows of the gradient by activities and weights."""
    problem, W = twin(layers)
    rng = np.random.default_rng(1)
    X = room(problem.rows, problem.wide)
    X[:, :PAIRS] = rng.uniform(0.2, 0.8, (problem.rows, PAIRS))
    rf = problem.rf_at(100.0)
    free = sd.Action(sd.Model.layered([N] * layers)).problem(problem.pairs)
    point = Point(X, W)
    mine = milliseconds(lambda: free.gradient(point, rf))
    # the same numbers as one lays them out without lanes
    stacked = np.ascontiguousarray(X[:, :PAIRS].reshape(layers, N, PAIRS).transpose(0, 2, 1))
    matrices = W.reshape(layers - 1, N, N)
    given = (problem.pairs.inputs, problem.pairs.outputs)
    cm, cf = free.c_m / VARIANCE, free.c_f * rf
    value, _, _ = free.gradient(point, rf)
    other, _, _ = by_numpy(stacked, matrices, given, cm, cf)
    assert abs(other - value) < 1e-10 * abs(value), "not the same action"
    what = f"gradient, {layers} layers of {N}, {PAIRS} pairs"
    by_hand = milliseconds(lambda: by_numpy(stacked, matrices, given, cm, cf))
    goal = 0.5 if layers == 100 else None
    rows = [Row(SECTION, what, "ms", mine, "NumPy", by_hand, at_most=goal)]
    if importlib.util.find_spec("jax") is not None:
        jitted = by_jax(given, cm, cf)
        jitted(stacked, matrices)
        slow = milliseconds(lambda: jitted(stacked, matrices))
        rows.insert(0, Row(SECTION, what, "ms", mine, "JAX, jitted", slow, main=True, at_most=goal))
    if importlib.util.find_spec("torch") is not None:
        call = by_torch(given, cm, cf)
        other, *_ = call(stacked, matrices)
        assert abs(float(other) - value) < 1e-10 * abs(value), "not the same action"
        eager = milliseconds(lambda: call(stacked, matrices))
        rows.append(Row(SECTION, what, "ms", mine, "PyTorch", eager, at_most=goal))
    return rows


def seconds_to(problem: NetworkProblem, start: Point, rf: float, goal: float) -> float:
    """Return seconds of a core until an action is passed, to the moment."""
    whole = problem.terms_of

    def watched(point: Point, R: np.ndarray, rf: float) -> Terms:
        terms = whole(point, R, rf)
        if terms.total <= goal:
            problem.clock.stop()
        return terms

    problem.terms_of = watched
    began = time.process_time()
    Levenberg(tol=1e-9, max_iter=5000).minimise(problem, start, rf)
    took = time.process_time() - began
    problem.terms_of, problem.clock = whole, Clock()
    return took


def times_to_level(layers: int, ratio: float, goals: dict[float, float]) -> list[Row]:
    """Return seconds until an action is a share above the lowest known, with what was asked."""
    problem, W = twin(layers)
    rf, start = problem.rf_at(ratio), Point(problem.forward(W), W)
    found = Levenberg(tol=1e-7, max_iter=5000).minimise(problem, start, rf).terms.total
    return [
        Row(
            SECTION,
            f"to {share - 1.0:.1%} above the lowest level, {layers} layers",
            "s",
            seconds_to(problem, start, rf, share * found),
            at_most=asked,
        )
        for share, asked in goals.items()
    ]


def time_to_level(layers: int, ratio: float, share: float, limit: float) -> Row:
    """Return seconds until an action is near the lowest that is known, against L-BFGS-B."""
    problem, W = twin(layers)
    rf = problem.rf_at(ratio)
    start = Point(problem.forward(W), W)
    found = Levenberg(tol=1e-6).minimise(problem, start, rf).terms.total
    goal = share * found
    mine = seconds_to(problem, start, rf, goal)

    M, count = problem.M, problem.rows * problem.M
    X = room(problem.rows, problem.wide)
    began = time.process_time()

    def function(z: np.ndarray) -> tuple[float, np.ndarray]:
        X[:, :M] = z[:count].reshape(problem.rows, M)
        value, GX, G = problem.gradient(Point(X, z[count:]), rf)
        if value <= goal or time.process_time() - began > limit:
            raise StopIteration
        return value / found, np.concatenate([GX[:, :M].ravel(), G]) / found

    first = np.concatenate([start.X[:, :M].ravel(), start.W])
    options = {"maxiter": 10**6, "maxfun": 10**6, "maxcor": 20, "ftol": 0.0, "gtol": 0.0}
    try:
        minimize(function, first, jac=True, method="L-BFGS-B", options=options)
    except StopIteration:
        pass
    slow = time.process_time() - began
    what = f"to {share - 1.0:.0%} above the lowest level, {layers} layers"
    given = {"endless": slow >= limit, "main": True, "at_least_times": 15.0 if layers > 4 else None}
    return Row(SECTION, what, "s", mine, "SciPy's L-BFGS-B, same gradient", slow, **given)


def measure(size: Size) -> list[Row]:
    """All rows of the section."""
    pin()
    if size.repeats == 1:
        return [*gradients(4), time_to_level(4, 100.0, 1.1, 0.5)]
    deep = times_to_level(50, 400.0, {1.01: 1.5, 1.001: 3.5})
    return [*gradients(20), *gradients(100), time_to_level(50, 400.0, 1.1, 120.0), *deep]


if __name__ == "__main__":
    hand_over(measure(section_size()))
