"""How a level is sampled: a pilot decides between importance draws and chains, checks follow."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from symda.sample.chains import Chain
from symda.sample.evidence import bridge, gaussian_draws
from symda.sample.maps import Map
from symda.sample.mixing import effective, r_hat
from symda.sample.proposal import Proposal
from symda.sample.target import Target
from symda.sample.weighted import Weighted, together, weighted
from symda.types import FloatArray, IntArray

#: Ways to sample.
METHODS = ("auto", "rto", "hmc")
#: Draws of the pilot, moves that find the length of steps, and those a chain settles in.
PILOT, ADAPT, SETTLE = 50, 80, 30
#: Draws more where those of the pilot are in doubt: a few may be poor by chance.
MORE, MOST_MORE = 150, 1000
#: Points of the chains that the map has to reach, and the share of them it has to.
POINTS, REACHED = 100, 0.99
#: Chains have mixed at this R-hat, and with so many effective draws of each unknown and its square.
MIXED, ENOUGH = 1.01, 400
#: Importance draws go on until so many of those that are wanted count, or are so many times more.
COUNTED, MOST = 0.5, 10
#: With fewer that count nothing is determined.
FEWEST = 20
#: Draws of chains that a level's weight is found from, and its largest error, of a logarithm.
BRIDGE, WEIGHED = 200, 0.5
#: A map that fails more often than this is of no use to chains either.
USEFUL = 0.3
#: Most numbers of chains that are kept.
KEPT = 20_000_000


@dataclass(frozen=True, eq=False)
class Level:
    """What is sampled together: one minimum, or several that are not apart.

    Attributes
    ----------
    targets : sequence of Target
        The heaviest first: chains go in its coordinates.
    maps : sequence of Map
        One for each; empty where there are none.
    masses : (K,)
        Shares of the minima.
    log_mass : float
        -A - 1/2 log det H of all of them, by Laplace's method.
    notes : tuple of str
        Why there are no maps.
    """

    targets: Sequence[Target]
    maps: Sequence[Map]
    masses: FloatArray
    log_mass: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Drawn:
    """Draws of a level.

    Attributes
    ----------
    method : str
        "rto": importance draws; "hmc": chains.
    x : (S, n)
    weights : (S,)
        Together 1.
    blocks : (S,)
        Which pair of opposite numbers a draw is of, or which chain.
    log_mass, log_error : float
        Log of the integral of exp(-A), but for sqrt(2 pi)^n, and its standard error.
    numbers : dict
        What was found out: effective draws, `spread` of log weights, `failed`, `r_hat`, `reached`.
    doubts : tuple of str
        Why the draws say nothing; empty where they do.
    notes : tuple of str
        What else there is to say.
    """

    method: str
    x: FloatArray
    weights: FloatArray
    blocks: IntArray
    log_mass: float
    log_error: float
    numbers: dict[str, float]
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(eq=False)
class _Chains:
    """Chains of one level, and where they were."""

    chains: list[Chain]
    every: int
    kept: list[FloatArray] = field(default_factory=list)

    def run(self, count: int, deadline: float) -> bool:
        """Go on by so many kept places; False if the time is over."""
        for _ in range(count):
            if self.kept and time.time() > deadline:
                break
            self.kept.append(np.stack([one.run(self.every)[-1] for one in self.chains]))
        return time.time() <= deadline

    def places(self, last: float = 1.0) -> FloatArray:
        """Return the last share of where they were, (m, T, n)."""
        first = int(len(self.kept) * (1.0 - last))
        return np.stack(self.kept[first:], axis=1)


def sampled(
    level: Level,
    count: int,
    *,
    chains: int,
    method: str,
    rng: np.random.Generator,
    deadline: float,
    alone: bool = True,
) -> Drawn:
    """Sample a level.

    Importance draws, if a pilot of `PILOT` finds that their weights can be trusted and the map
    reaches where chains go; else chains. The draws are independent, and what they are worth is
    known, as it is of chains only when they are long.

    Parameters
    ----------
    count : int
        Draws that are wanted.
    chains : int
    method : str
        One of `METHODS`.
    rng : Generator
    alone : bool
        Whether there is no other level, so that its weight does not matter.
    deadline : float
        `time.time()` after which what there is has to do.
    """
    notes = list(level.notes)
    proposal = Proposal(level.maps, level.masses, rng) if level.maps else None
    pilot: Weighted | None = None
    if proposal is not None:
        pilot = weighted(proposal, level.targets[0], PILOT, deadline)
        if pilot.doubts():
            rest = min(max(MORE, count - PILOT), MOST_MORE)
            pilot = together([pilot, weighted(proposal, level.targets[0], rest, deadline)])
    walk = _begun(level, proposal, pilot, chains, count, rng, deadline)
    if proposal is not None and pilot is not None and method != "hmc":
        doubts = pilot.doubts()
        if method == "rto" or not doubts:
            walk.run(max(math.ceil(POINTS / chains), 2), deadline)
            found = _by_map(level, proposal, pilot, walk, count, notes, deadline)
            if method == "rto" or not found.doubts or time.time() > deadline:
                return found
            doubts = list(found.doubts)
        notes.append(f"importance draws: {'; '.join(doubts)}")
    found = _by_chains(level, walk, count, notes, deadline)
    if alone or found.doubts:
        return found
    log_mass, error = _evidence(level, proposal, pilot, found, rng)
    why = ("what lies under it could not be found",) * (not error <= WEIGHED)
    return replace(found, log_mass=log_mass, log_error=error, doubts=why)


def _evidence(
    level: Level,
    proposal: Proposal | None,
    pilot: Weighted | None,
    found: Drawn,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return the log of what lies under a level, and its error, by a bridge to a known density."""
    target = level.targets[0]
    places = found.x[:: max(1, len(found.x) // BRIDGE)]
    values = -target.values(places)
    worth = min(found.numbers["effective"], float(len(places)))
    ways = []
    if proposal is not None and pilot is not None:
        drawn = np.append(pilot.log_weights, np.full(pilot.failed, -np.inf))
        own = values - proposal.densities(places)
        ways.append(bridge(drawn, own, worth))
    if len(level.targets) == 1:
        drawn, density = gaussian_draws(target, rng)
        ways.append(bridge(drawn, values - np.array([density(x) for x in places]), worth))
    return min(ways, key=lambda way: way[1], default=(level.log_mass, math.inf))


def _begun(
    level: Level,
    proposal: Proposal | None,
    pilot: Weighted | None,
    count: int,
    draws: int,
    rng: np.random.Generator,
    deadline: float,
) -> _Chains:
    """Return chains that have found the length of their steps, and have settled."""
    target = level.targets[0]
    # one at each minimum, so that chains that do not go from one to another disagree
    starts: list[FloatArray] = [one.centre for one in level.targets]
    count = max(count, len(starts) if len(starts) > 1 else 2)
    if len(starts) == 1:
        starts = []
    useful = proposal is not None and pilot is not None
    if useful and pilot is not None:
        # weights count: one that is alone in saying much is where the density is
        good = np.flatnonzero(np.isfinite(pilot.log_weights))
        order = good[np.argsort(-pilot.log_weights[good])][: max(len(good) // 2, 1)]
        starts += [pilot.x[k] for k in rng.permutation(order)[: max(count - len(starts), 0)]]
        asked = len(pilot.x) + pilot.failed
        useful = pilot.failed <= USEFUL * asked and len(good) > 0
    if not starts:
        starts = [target.centre]
    while len(starts) < count:
        free = target.white.free
        numbers = np.where(free, rng.normal(size=free.size), 0.0)
        x, _ = target.folded(target.centre + target.white.apart(0.5 * numbers))
        starts.append(x if math.isfinite(target.value(x)) else target.centre)
    jumps = Proposal(level.maps, level.masses, rng, pairs=False) if useful else None
    found = [Chain(target, x.copy(), rng, jumps) for x in starts]
    found[0].adapt(ADAPT, deadline)
    for chain in found:
        chain.angle = found[0].angle
        chain.run(SETTLE, deadline)
    size = target.white.count * max(draws, ENOUGH) * 4
    return _Chains(found, max(1, math.ceil(size / KEPT)))


def _by_map(
    level: Level,
    proposal: Proposal,
    pilot: Weighted,
    walk: _Chains,
    count: int,
    notes: list[str],
    deadline: float,
) -> Drawn:
    rest = count - len(pilot.x) - pilot.failed
    found, most = pilot, MOST * count
    while rest > 0 and len(found.x) + found.failed < most and time.time() < deadline:
        found = together([found, weighted(proposal, level.targets[0], rest, deadline)])
        # as many again as it takes until enough of them count
        rest = min(round(len(found.x) * (COUNTED * count / max(found.effective, 1.0) - 1.0)), count)
    if not len(found.x):
        # something has to stand there, if only to be doubted
        nothing = replace(found, x=level.targets[0].centre[None], log_weights=np.zeros(1))
        found = replace(nothing, pairs=np.zeros(1, dtype=int))
    places = walk.places().reshape(-1, pilot.x.shape[1])
    step = max(1, len(places) // POINTS)
    seen: list[bool] = []
    places, size = places[::step][:POINTS], proposal.together
    while len(seen) < len(places) and not (seen and time.time() > deadline):
        some = places[len(seen) : len(seen) + size]
        seen += np.isfinite(proposal.densities(some)).tolist()
    reached = float(np.mean(seen))
    doubts = found.doubts()
    if reached < REACHED:
        doubts.append(f"the map reaches {reached:.0%} of where the density is")
    if found.effective < FEWEST:
        doubts.append(f"only {found.effective:.0f} of {len(found.x)} draws count")
    if len(found.x) + found.failed < count:
        notes = [*notes, f"{len(found.x)} of {count} draws when the time was over"]
    numbers = {
        "effective": found.effective,
        "spread": found.spread,
        "shape": found.shape,
        "failed": found.failed / max(len(found.x) + found.failed, 1),
        "reached": reached,
    }
    return Drawn(
        "rto",
        found.x,
        found.weights,
        found.pairs,
        found.log_evidence,
        found.log_error,
        numbers,
        tuple(doubts),
        tuple(notes),
    )


def _by_chains(level: Level, walk: _Chains, count: int, notes: list[str], deadline: float) -> Drawn:
    wanted = min(ENOUGH, count)
    going, doubts = True, list[str]()
    goal = max(math.ceil(2.0 * count / len(walk.chains)), 100)
    while True:
        going = walk.run(goal - len(walk.kept), deadline)
        places = walk.places(0.5)[:, :, level.targets[0].white.free]
        worst, least = _worst(places), _least(places)
        if (worst <= MIXED and least >= wanted) or not going:
            break
        goal *= 2
        if len(walk.chains) * goal * places.shape[2] > 4 * KEPT:
            doubts.append("chains are as long as fit into memory")
            break
    if worst <= MIXED and least >= wanted:
        doubts = []
    elif not worst <= MIXED:
        doubts.append(f"chains have not mixed: R-hat is {worst:.3f}, {MIXED:g} is allowed")
    else:
        doubts.append(f"{least:.0f} effective draws of the worst unknown, {wanted} are wanted")
    if doubts and not going:
        doubts.append("the time was over")
    every = walk.places(0.5)
    m, T, n = every.shape
    each = min(T, max(1, round(count / m)))
    at = np.unique(np.linspace(0, T - 1, each).round().astype(int))
    x = every[:, at].reshape(-1, n)
    taken = np.mean([one.taken / max(one.moves, 1) for one in walk.chains])
    numbers = {
        "effective": least,
        "r_hat": worst,
        "taken": float(taken),
        "moves": float(sum(one.moves for one in walk.chains)),
    }
    weights = np.full(len(x), 1.0 / len(x))
    blocks = np.repeat(np.arange(m), at.size)
    mass = level.log_mass
    return Drawn("hmc", x, weights, blocks, mass, math.nan, numbers, tuple(doubts), tuple(notes))


def _both(places: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return places and the squares of how far they are from their mean."""
    away = places - places.mean(axis=(0, 1))
    return places, away**2


def _worst(places: FloatArray) -> float:
    """Return the largest R-hat of unknowns and their squares."""
    found = np.concatenate([r_hat(one) for one in _both(places)])
    return float(np.nanmax(np.where(np.isfinite(found), found, np.inf)))


def _least(places: FloatArray) -> float:
    """Return the least number of effective draws of unknowns and their squares."""
    moved = places.var(axis=(0, 1)) > 0.0
    if places.shape[1] < 4 or not moved.any():
        return 0.0
    return float(min(np.nanmin(effective(one[:, :, moved])) for one in _both(places)))
