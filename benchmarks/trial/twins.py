"""Twin experiments of the public systems, in three tiers; nothing is set by hand for a system."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from systems import System, T

import symda as sd

#: A recording of a flow: so many of the system's own periods, and samples in each.
PERIODS, SAMPLES = 5, 50
#: A recording of a map: so many iterations.
ITERATIONS = 100
#: Bounds of a state: the range of the true path, widened by so many of its widths on either side.
WIDER = 1.0
#: A parameter is unknown within this factor, and bounded by twice as much.
FACTOR = 2.0


@dataclass(frozen=True)
class Tier:
    """How much of a system is measured and known.

    Parameters
    ----------
    half : bool
        Half of the components are measured (rounded up), else one.
    noise : float
        Standard deviation of the noise, in units of each component's spread.
    unknown : int or None
        So many parameters are unknown; None for all of them.
    irregular : bool
        Times at random within each interval (of a map: a fifth of the values is missing), and two
        gaps of a tenth of the recording.
    """

    half: bool
    noise: float
    unknown: int | None
    irregular: bool


TIERS = {
    "easy": Tier(half=True, noise=0.02, unknown=2, irregular=False),
    "middle": Tier(half=False, noise=0.05, unknown=None, irregular=False),
    "hard": Tier(half=False, noise=0.2, unknown=None, irregular=True),
}


@dataclass(frozen=True)
class Twin:
    """An action, its data, and what they were made of.

    Parameters
    ----------
    action, data
        What a user has.
    parameters : mapping of str to float
        True values of the unknown parameters.
    path : callable
        ``path(times)``, (len(times), D): the true path.
    """

    action: sd.Action
    data: sd.Observations
    parameters: Mapping[str, float]
    path: Callable[[NDArray], NDArray]


def twin(system: System, tier: str) -> Twin:
    """Make the data of a system and declare it as a user would who knows sizes only."""
    how = TIERS[tier]
    rng = np.random.default_rng(zlib.crc32(f"{system.name} {tier}".encode()))
    times = _times(system, how, rng)
    path = true_path(system, times)
    X = path(times)
    if not np.isfinite(X).all():
        raise ValueError("the published initial state leads to infinity")
    seen = measured(system, X, how)
    free = list(system.parameters)[: how.unknown]
    model, states = _declare(system, X, free)
    action = sd.Action(model, [states[a] for a in seen])
    deviation = how.noise * X[:, seen].std(axis=0)
    values = X[:, seen] + deviation * rng.standard_normal((len(times), len(seen)))
    if how.irregular:
        values[_missing(system, len(times), rng)] = np.nan
    data = sd.Observations(times, values, variance=deviation**2)
    truth = {f"{p}": system.parameters[p] for p in free if system.parameters[p] != 0.0}
    return Twin(action, data, truth, path)


def _times(system: System, how: Tier, rng: np.random.Generator) -> NDArray:
    if system.kind == "map":
        return np.arange(ITERATIONS + 1.0)
    count = PERIODS * SAMPLES
    places = np.arange(count + 1.0)
    if how.irregular:
        places[1:-1] += rng.uniform(-0.3, 0.3, count - 1)
    return places * (system.period / SAMPLES)


def _missing(system: System, count: int, rng: np.random.Generator) -> NDArray:
    """Rows without a value: two gaps, one in each half; of a map also every fifth of the others."""
    length = count // 10
    gone = np.zeros(count, dtype=bool)
    for begin, end in ((1, count // 2), (count // 2, count - 1)):
        first = rng.integers(begin, end - length)
        gone[first : first + length] = True
    if system.kind == "map":
        gone[1:-1] |= rng.uniform(size=count - 2) < 0.2
    return gone


def true_path(system: System, times: NDArray) -> Callable[[NDArray], NDArray]:
    """Return the system's own solution from its published initial state, by SciPy."""
    if system.kind == "map":
        X = [system.initial]
        for n in range(len(times) - 1):
            X.append(system.rate(X[-1], float(n)))
        return lambda at: np.array(X)[np.asarray(at, dtype=int)]
    solved = solve_ivp(
        lambda t, x: system.rate(x, t),
        (0.0, times[-1]),
        system.initial,
        method="LSODA",
        rtol=1e-10,
        atol=1e-12,
        dense_output=True,
    )
    if not solved.success:
        raise ValueError(f"the published initial state cannot be integrated: {solved.message}")
    return lambda at: solved.sol(np.asarray(at)).T


def measured(system: System, X: NDArray, how: Tier) -> list[int]:
    """Choose components: the first that the whole system acts on, and those that follow it.

    Where there is none the first of those that most of it acts on. One that does not vary is never
    measured.
    """
    D = len(system.states)
    acts = np.eye(D, dtype=bool)
    for a, equation in enumerate(system.equations):
        for b, state in enumerate(system.states):
            acts[a, b] |= state in equation.free_symbols
    for _ in range(D):
        acts = acts @ acts
    varies = X.std(axis=0) > 1e-9 * np.abs(X).max(axis=0)
    order = sorted(range(D), key=lambda a: (not varies[a], -acts[a].sum(), a))
    first = order[0]
    others = [a % D for a in range(first, first + D) if varies[a % D]]
    return sorted(others[: (D + 1) // 2 if how.half else 1])


def _declare(system: System, X: NDArray, free: list[sp.Symbol]) -> tuple[sd.Model, list[sp.Symbol]]:
    states = [
        sd.state(s.name, bounds=state_bounds(x)) for s, x in zip(system.states, X.T, strict=True)
    ]
    place: dict[sp.Symbol, sp.Expr] = dict(zip(system.states, states, strict=True))
    for p, value in system.parameters.items():
        if p in free and value != 0.0:
            start = tuple(sorted((value / FACTOR, value * FACTOR)))
            bounds = tuple(sorted((value / FACTOR**2, value * FACTOR**2)))
            place[p] = sd.parameter(p.name, bounds=bounds, start=start)
        else:
            place[p] = sp.Float(value) if value != round(value) else sp.Integer(round(value))
    place[T] = sd.time()
    model = sd.Model(
        {
            state: equation.xreplace(place)
            for state, equation in zip(states, system.equations, strict=True)
        },
        name=system.name,
        discrete=system.kind == "map",
    )
    return model, states


def state_bounds(x: NDArray) -> tuple[float, float]:
    """Bound a state loosely: it keeps its sign, if it never changed it."""
    low, high = float(x.min()), float(x.max())
    width = (high - low) or abs(low) or 1.0
    least, most = low - WIDER * width, high + WIDER * width
    if low > 0.0:
        least = max(least, low / 10.0)
    if high < 0.0:
        most = min(most, high / 10.0)
    return least, most
