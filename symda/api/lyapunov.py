"""`lyapunov`: exponents of a model, and of what is left of it where some states are known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from sympy import Float

from symda.api.adaptive import Found, Tolerances, Way, follow, tolerances, way_through
from symda.api.exponents import Lyapunov
from symda.api.simulate import initial_state, parameter_vector
from symda.build.course import LARGEST
from symda.checks import integer, number
from symda.declare import (
    EquationModel,
    Event,
    Measurement,
    Model,
    Parameter,
    State,
    parameter,
    state,
)
from symda.errors import DataError, ModelError, OptionError, SolveError, nearest
from symda.types import FloatArray

if TYPE_CHECKING:
    from sympy import Expr, Symbol

    from symda.api.forced import Values

#: Time that is looked at, and that which states are given to reach the attractor, in units of the
#: time in which a state changes by its own standard deviation.
LENGTH, SPIN_UP = 2000.0, 200.0
#: The same of a map, in iterations.
ITERATIONS, BEFORE = 2000, 200
#: Points that this unit is found from, and how often it is done again from where that ended.
POINTS, TRIES = 400, 3
#: Directions are made orthogonal again where their lengths differ by a factor of exp of this.
MOST = 12.0
#: Strengths of a coupling that are tried, in units of the largest exponent.
STRENGTHS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
#: Share of the length that each of them is followed for; the best is followed for all of it.
PART = 0.25
#: A state that has fallen to this share of its first value is 0.
NOTHING = 1e-60
#: Distance between starts that are drawn about one, as a share of it.
APART = 1e-3


def lyapunov(
    model: Model,
    *,
    parameters: Values | None = None,
    forcing: Mapping[str, float] | None = None,
    initial: ArrayLike | Mapping[str, float] | None = None,
    coupled: Sequence[State | str] = (),
    coupling: float | None = None,
    time: float | None = None,
    spin_up: float | None = None,
    starts: int = 3,
    seed: int = 0,
    rtol: float | None = None,
) -> Lyapunov:
    """Estimate all Lyapunov exponents of a model; with coupled states conditional ones.

    Differences from a trajectory are carried along by the derivatives of the adaptive steps
    themselves and made orthogonal again and again by QR (G. Benettin et al., Meccanica 15 (1980)
    9). Coupled states stand for those that are measured: if all conditional exponents are negative
    a copy of the model that is nudged to them comes to the true path by itself, which says how many
    measurements are enough (section 5 of Abarbanel, Rozdeba and Shirman 2017). They depend on the
    places and on the strength, so that a scan of strengths is made, and both limits are reported.

    Parameters
    ----------
    model : Model
        Up to 200 states, without parameters per step, events, or a forcing that varies.
    parameters : array_like (P,) or mapping of str to float
        As for `integrate`.
    forcing : mapping of str to float, optional
        A constant for each channel.
    initial : array_like (D,) or (K, D), or mapping of str to float, optional
        Where to start; of one state K are taken nearby, K of them say how many `starts` there are.
        Left out: drawn from the start ranges.
    coupled : sequence of State or str
        States that are given.
    coupling : float, optional
        Strength of the coupling, per unit of time; several are tried when left out.
    time : float, optional
        Length that growth is counted over; 2,000 times the time in which a state changes by its own
        standard deviation when left out, of a map 2,000 iterations.
    spin_up : float, optional
        Time before that, a tenth of it when left out.
    starts : int
        How many, K: the scatter over them gives the errors.
    seed : int
        For draws.
    rtol : float, optional
        Relative tolerance of a step, 1e-8 when left out.

    Returns
    -------
    Lyapunov
        Print it.

    Raises
    ------
    ModelError, DataError, OptionError
        For models, states and numbers that do not fit.
    SolveError
        If a trajectory cannot be followed; it says where.
    """
    where = "lyapunov"
    starts = integer(starts, f"{where}: starts")
    seed = integer(seed, f"{where}: seed", least=0)
    plain = _constant(model, forcing)
    if len(plain.states) > LARGEST:
        raise OptionError(
            f"{where}: {model.name!r} has {len(plain.states)} states; there are {LARGEST} at most."
        )
    given = tolerances(rtol, None, plain.states, where=where)
    # a forcing that is 0 may leave parameters without a place
    every = parameter_vector(model.declarations, parameters, where=where)
    places = {p.name: k for k, p in enumerate(model.parameters)}
    theta = every[[places[p.name] for p in plain.parameters]]
    x = _starts(plain, initial, starts, seed)
    names = _coupled(plain, coupled)
    if coupling is not None:
        if not names:
            raise OptionError(f"{where}: coupling= needs coupled= states.")
        coupling = number(coupling, f"{where}: coupling", kind="non-negative")
    if plain.discrete and names:
        raise OptionError(
            f"{where}: conditional exponents are for equations in time; {model.name!r} is a map."
        )
    unit = 1.0 if plain.discrete else _unit(plain, theta, x, given)
    usual, before = (ITERATIONS, BEFORE) if plain.discrete else (LENGTH * unit, SPIN_UP * unit)
    length = usual if time is None else number(time, f"{where}: time", kind="positive")
    if spin_up is not None:
        before = number(spin_up, f"{where}: spin_up", kind="non-negative")
    elif time is not None:
        before = 0.1 * length
    if plain.discrete:
        length, before = float(max(1, round(length))), float(round(before))
    walk = _Walk(plain, given, unit, before, length)
    if not names:
        return walk.exponents(plain, x, theta, len(plain.states))
    if coupling is None:
        largest = walk.exponents(plain, x, theta, len(plain.states)).exponents[0]
        rate = float(largest) if largest > 0.0 else 1.0 / unit
        strengths = tuple(rate * one for one in STRENGTHS)
    else:
        strengths = ()
    nudged, substituted = (_response(plain, names, substituted=one) for one in (False, True))
    part = replace(walk, length=PART * length)
    scan = tuple(part.conditional(nudged, names, x, theta, strength) for strength in strengths)
    if coupling is None:
        coupling = min(scan, key=lambda one: float(one.exponents[0])).coupling
    best = walk.conditional(nudged, names, x, theta, coupling)
    left = walk.conditional(substituted, names, x, theta, None)
    return Lyapunov(
        best.exponents,
        best.errors,
        best.by_start,
        best.time,
        best.resolution,
        best.coupled,
        best.coupling,
        left,
        scan,
    )


@dataclass(frozen=True, eq=False)
class _Walk:
    """Follows trajectories with their differences."""

    model: Model
    given: Tolerances
    unit: float
    before: float
    length: float

    def exponents(
        self,
        model: Model,
        x: FloatArray,
        theta: FloatArray,
        count: int,
        copied: Sequence[int] | None = None,
    ) -> Lyapunov:
        """Return the exponents of the last `count` states of a model.

        Parameters
        ----------
        x : (K, D)
            First states of the trajectories.
        copied : sequence of int, optional
            Which states of a trajectory the last ones are copies of.
        """
        K, D = x.shape
        if not count:
            return Lyapunov(np.empty(0), np.empty(0), np.empty((K, 0)), self.length)
        Q = np.broadcast_to(np.eye(count), (K, count, count))
        total, t, nothing = np.zeros((K, count)), 0.0, NOTHING * np.abs(x).max(axis=0)
        end, chunk = self.before + self.length, self.unit
        thetas = np.tile(theta, (K, 1))
        every = slice(D if copied is not None else 0, (D if copied is not None else 0) + count)
        while t < end * (1.0 - 1e-12):
            stop = self.before if t < self.before else end
            span = min(chunk, stop - t)
            first = x if copied is None else np.concatenate([x, x[:, copied]], axis=1)
            found = _followed(model, first, thetas, t, span, self.given)
            # squares of what dies away would not be numbers
            x = np.where(np.abs(found.states[:, -1, :D]) > nothing, found.states[:, -1, :D], 0.0)
            assert found.slopes is not None
            Q, R = np.linalg.qr(found.slopes[:, -1, every, every] @ Q)
            with np.errstate(divide="ignore"):
                grown = np.log(np.abs(np.diagonal(R, axis1=1, axis2=2)))
            counts = t >= self.before * (1.0 - 1e-12)
            t = stop if span == stop - t else t + span
            if counts:
                total += grown
            wide = float((grown.max(axis=1) - grown.min(axis=1)).max())
            if self.model.discrete:
                continue
            chunk *= 0.5 if wide > MOST else 2.0 if wide < 0.4 * MOST else 1.0
            chunk = min(chunk, 10.0 * self.unit)
        by_start = -np.sort(-total / self.length, axis=1)
        error = np.full(count, np.nan)
        if K > 1:
            error = by_start.std(axis=0, ddof=1) / math.sqrt(K)
        resolution = math.log(1.0 + self.length / self.unit) / self.length
        return Lyapunov(by_start.mean(axis=0), error, by_start, self.length, resolution)

    def conditional(
        self,
        model: Model,
        names: tuple[str, ...],
        x: FloatArray,
        theta: FloatArray,
        strength: float | None,
    ) -> Lyapunov:
        """Return those of a copy that is nudged, or has the coupled states replaced (None)."""
        states = [s.name for s in self.model.states]
        copied = list(range(len(states)))
        if strength is None:
            copied = [k for k, name in enumerate(states) if name not in names]
        full = theta if strength is None else np.append(theta, strength)
        found = self.exponents(model, x, full, len(copied), copied)
        coupling = math.nan if strength is None else strength
        parts = found.exponents, found.errors, found.by_start, found.time, found.resolution
        return Lyapunov(*parts, names, coupling)


def _followed(
    model: Model,
    x: FloatArray,
    theta: FloatArray,
    t: float,
    span: float,
    given: Tolerances,
    *,
    points: int = 2,
    slopes: bool = True,
) -> Found:
    """Follow trajectories for a while.

    Raises
    ------
    SolveError
        If one cannot be.
    """
    if model.discrete:
        points = round(span) + 1
    times = np.linspace(t, t + span, points)
    way: Way = way_through(model, (), times, {}, where="lyapunov")
    found = follow(way, x, theta, given, sensitivities=slopes, together=False, threads=None)
    if found.failures:
        one = found.failures[0]
        raise SolveError(
            f"lyapunov: the trajectory from start {one.member} cannot be followed: {one.why()}"
        )
    return found


def _constant(model: Model, forcing: Mapping[str, float] | None) -> Model:
    """Return the model with numbers in place of its forcing.

    Raises
    ------
    ModelError
        If it is not of a kind that has exponents.
    OptionError
        If a channel has no number, or there is none of that name.
    """
    if not isinstance(model, Model):
        raise OptionError(f"lyapunov: expected a symda.Model, got {type(model).__name__}.")
    if any(isinstance(u, Event) for u in model.forcing):
        raise ModelError(f"lyapunov: {model.name!r} has events, between which exponents are not.")
    if model.per_step:
        raise ModelError(
            f"lyapunov: {model.name!r} has parameters per step; declare them as constants."
        )
    channels = [u.name for u in model.forcing]
    if not isinstance(forcing, Mapping | None):
        raise OptionError(
            f"lyapunov: forcing is a mapping of channels to numbers, got {type(forcing).__name__}."
        )
    forcing = forcing or {}
    given = {str(name): value for name, value in forcing.items()}
    for name in given:
        if name not in channels:
            raise OptionError(f"lyapunov: there is no forcing {name!r}.{nearest(name, channels)}")
    values: dict[Symbol, Expr] = {}
    for u in model.forcing:
        if u.name not in given:
            raise OptionError(
                f"lyapunov: the forcing {u.name!r} needs a number: forcing={{{u.name!r}: ...}}. "
                "Of one that varies make an expression in time, or states."
            )
        values[u] = Float(number(given[u.name], f"lyapunov: forcing[{u.name!r}]"))
    equations = {s: e.xreplace(values) for s, e in zip(model.states, model.equations, strict=True)}
    made = EquationModel(equations, name=model.name, discrete=model.discrete)
    return made.with_declarations(model.declarations)


def _starts(
    model: Model, initial: ArrayLike | Mapping[str, float] | None, count: int, seed: int
) -> FloatArray:
    rng = np.random.default_rng(seed)
    if initial is None:
        ranges = []
        for s in model.states:
            start = model.declarations[s].start
            if start is None:
                raise OptionError(
                    f"lyapunov: the state {s.name!r} has no start range; pass initial=, a state "
                    "on or near the attractor."
                )
            ranges.append(start)
        low, high = np.array(ranges, dtype=float).T
        return np.asarray(rng.uniform(low, high, (count, len(low))))
    if not isinstance(initial, Mapping) and np.ndim(initial) == 2:
        every = np.asarray(initial, dtype=float)
        if every.shape[1:] != (len(model.states),) or not np.isfinite(every).all():
            raise DataError(
                f"lyapunov: initial must be finite, (K, {len(model.states)}), got the shape "
                f"{every.shape}."
            )
        return every
    one = initial_state(model, initial, where="lyapunov")
    size = APART * np.where(one == 0.0, np.abs(one).max(initial=0.0) or 1.0, np.abs(one))
    near = one + size * rng.uniform(-1.0, 1.0, (count, one.size))
    near[0] = one
    return np.asarray(near)


def _coupled(model: Model, coupled: Sequence[State | str]) -> tuple[str, ...]:
    states = [s.name for s in model.states]
    # one state is meant as it is
    coupled = (coupled,) if isinstance(coupled, str | State) else coupled
    names = tuple(str(one) for one in coupled)
    for name in names:
        if name not in states:
            raise OptionError(
                f"lyapunov: coupled: there is no state {name!r}.{nearest(name, states)}"
            )
    if len(set(names)) != len(names):
        raise OptionError(f"lyapunov: coupled names a state twice: {', '.join(names)}.")
    return names


def _unit(model: Model, theta: FloatArray, x: FloatArray, given: Tolerances) -> float:
    """Return the time in which a state changes by its standard deviation, on the attractor."""
    thetas = np.tile(theta, (1, 1))
    span, here = 1.0, x[:1]
    for _ in range(40):
        # a span in which something happens, but can be followed
        found = _followed(model, here, thetas, 0.0, span, given, points=POINTS, slopes=False)
        path = found.states[0]
        rate = _rate(path, span)
        if not rate > 0.0:
            if _rests(path):
                break
            span *= 10.0
            continue
        if span * rate > 0.3 * POINTS:
            span = 10.0 / rate
            continue
        if span * rate < 10.0:
            span *= 4.0
            continue
        break
    if not rate > 0.0:
        # it rests: the rates of what is near say how long a time is
        return _near(model, theta, here)
    for _ in range(TRIES):
        span = 50.0 / rate
        found = _followed(model, here, thetas, 0.0, span, given, points=POINTS, slopes=False)
        here, again = found.states[:, -1], _rate(found.states[0], span)
        if again > 0.0:
            rate = again
    return 1.0 / rate


def _rests(path: FloatArray) -> bool:
    """Whether a path (T, D) does not move, or only as rounding does."""
    return bool(np.ptp(path, axis=0).max() <= 1e-9 * np.abs(path).max(initial=0.0))


def _near(model: Model, theta: FloatArray, x: FloatArray) -> float:
    """Return one over the largest rate of the slopes at a state (1, D); 1 without any."""
    from symda.derive.field import derive_field

    field = derive_field(model, Measurement((), (), ()), natural=True)
    nothing = np.zeros(len(model.forcing))
    slopes = np.asarray(field.field_jacobian(x[0], nothing, theta, 0.0)[1].full())
    rate = float(np.abs(np.linalg.eigvals(slopes[:, : x.shape[1]])).max(initial=0.0))
    return 1.0 / rate if rate > 0.0 else 1.0


def _rate(path: FloatArray, span: float) -> float:
    """Return the largest rate of change of a state, in its own standard deviations."""
    h = span / (len(path) - 1)
    sizes = path.std(axis=0)
    moved = np.sqrt((np.diff(path, axis=0) ** 2).mean(axis=0)) / h
    known = sizes > 1e-9 * np.abs(path).max(axis=0)
    return float((moved[known] / sizes[known]).max(initial=0.0))


def _response(model: Model, names: tuple[str, ...], *, substituted: bool) -> Model:
    """Return the model with a copy of itself that is coupled to it.

    The copy is nudged by a parameter, ``coupling``, or has the coupled states in place of its own.
    """
    taken = {s.name for s in (*model.states, *model.parameters)}
    kept = [s for s in model.states if not (substituted and s.name in names)]
    copies: dict[State, State] = {s: state(_free(f"{s.name}_copy", taken)) for s in kept}
    strength: Parameter = parameter(_free("coupling", taken))
    equations: dict[State, Expr] = dict(zip(model.states, model.equations, strict=True))
    put = dict(copies)
    for s, copy in copies.items():
        rate = equations[s].xreplace(put)
        if not substituted and s.name in names:
            rate = rate + strength * (s - copy)
        equations[copy] = rate
    made = EquationModel(equations, name=f"{model.name}_coupled")
    return made.with_declarations(model.declarations)


def _free(name: str, taken: set[str]) -> str:
    """Return a name that is not taken."""
    while name in taken:
        name += "_"
    return name
