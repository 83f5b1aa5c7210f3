"""A step map run through stretches of steps, by one member or an ensemble on several threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from symda.declare import Event, Model
from symda.discretise import Tableau
from symda.errors import DataError, OptionError, SolveError
from symda.observe import Pulses, Samples
from symda.observe.forcing import as_function
from symda.observe.jumps import inside, jumps
from symda.observe.pulses import INSTANT, pulse_steps
from symda.types import FloatArray, IntArray

if TYPE_CHECKING:
    from symda.build.steps import StepEngine, Stretches
    from symda.discretise import Method
    from symda.observe.forcing import ForcingSource


#: Steps that are laid out in memory at a time where there is forcing.
CHUNK = 1 << 16
#: Steps of one call into compiled code; between two of them Python handles Ctrl-C.
LONGEST_CALL = 1 << 22
#: Most steps of an interval, where whole numbers end.
MOST_STEPS = 1e15
#: Most numbers of the states that a step map returns, 16 GiB.
MOST_KEPT = 1 << 31


class IntegrationWarning(UserWarning):
    """Members of an ensemble could not be integrated to the end, or a model is stiff."""


@dataclass(frozen=True, eq=False)
class Stops:
    """R stretches of `counts` (R,) equal steps `h` (R,) from `t` (R,); states are kept at ends."""

    t: FloatArray
    h: FloatArray
    counts: IntArray

    @classmethod
    def of(cls, t: ArrayLike, h: ArrayLike, counts: ArrayLike) -> Stops:
        """Convert what is not an array of the right type."""
        return cls(np.asarray(t, float), np.asarray(h, float), np.asarray(counts, np.int64))

    @classmethod
    def between(cls, times: FloatArray, step: float | None, where: str) -> Stops:
        """Divide the intervals between `times` (T,), none of the steps longer than `step`.

        Raises
        ------
        OptionError
            If a step is so short that there are too many of them.
        """
        with np.errstate(over="ignore"):
            widths = np.diff(times)
        if not np.all(np.isfinite(widths)):
            raise OptionError(
                f"{where}: the times {times[0]:g} to {times[-1]:g} are too far apart."
            )
        if not widths.size:
            return cls.of(times[:0], widths, np.empty(0, dtype=np.int64))
        with np.errstate(over="ignore"):
            # equal up to rounding, of large times too: 0.1 divides 0.3 three times
            rounding = 1e-12 * widths + 2.0 * np.spacing(np.abs(times).max())
            longest = widths.min() if step is None else step
            ratio = (widths - rounding) / longest
        if not ratio.max() < MOST_STEPS:
            raise OptionError(
                f"{where}: step = {longest:g} makes {ratio.max():.3g} steps of an interval between "
                f"two times; take one longer than {widths.max() / MOST_STEPS:.3g}."
            )
        counts = np.maximum(1, np.ceil(ratio)).astype(np.int64)
        return cls(times[:-1], widths / counts, counts)

    def chunks(self, longest: int) -> Iterator[tuple[Stops, IntArray]]:
        """Yield the same in pieces of up to `longest` steps, and which stop each stretch ends at.

        One that is cut has its last part end there, the others nowhere, -1.
        """
        if 0 < self.counts.sum() <= longest:
            yield self, np.arange(len(self.t))
            return
        parts: list[tuple[float, float, int, int]] = []
        held = 0
        for r, (t, h, count) in enumerate(zip(self.t, self.h, self.counts, strict=True)):
            done = 0
            while done < count:
                taken = int(min(count - done, longest - held))
                last = done + taken == count
                parts.append((t + done * h, h, taken, r if last else -1))
                done, held = done + taken, held + taken
                if held == longest:
                    yield _piece(parts)
                    parts, held = [], 0
        if parts:
            yield _piece(parts)


def _piece(parts: Sequence[tuple[float, float, int, int]]) -> tuple[Stops, IntArray]:
    t, h, counts, ends = (np.array(column) for column in zip(*parts, strict=True))
    return Stops.of(t, h, counts), ends.astype(np.int64)


class Failure(NamedTuple):
    """A member that did not come to the end: its number, and what says why."""

    member: int
    why: Callable[[], str]


def failure(failures: Sequence[Failure], *, ensemble: bool) -> str:
    """Put failures into one message."""
    if not ensemble:
        return failures[0].why()
    shown = [f"member {one.member}: {one.why()}" for one in failures[:3]]
    more = f" And {len(failures) - 3} more." if len(failures) > 3 else ""
    return f"{len(failures)} of the members failed. {' '.join(shown)}{more}"


@dataclass(frozen=True, eq=False)
class Runner:
    """A step map with everything but the state filled in."""

    model: Model
    integrator: Method
    engine: StepEngine
    theta: FloatArray  #: Parameters of all members, (1, P), or of each, (K, P).
    sources: tuple[ForcingSource, ...]

    def advance(
        self, x0: FloatArray, stops: Stops, *, threads: int | None, where: str
    ) -> tuple[FloatArray, list[Failure]]:
        """States (K, 1 + R, D) of members that start at `x0` (K, D), and those that failed.

        Raises
        ------
        DataError
            If a sampled forcing has no value where the method needs one.
        """
        K, R = len(x0), len(stops.t)
        theta = np.broadcast_to(self.theta, (K, self.theta.shape[1]))
        states = np.full((K, 1 + R, x0.shape[1]), np.nan)
        states[:, 0] = x0
        failures: list[Failure] = []
        alive, at, done = np.arange(K), x0, 0
        longest = CHUNK if self.model.forcing else LONGEST_CALL
        for piece, ends in stops.chunks(longest):
            stretches = self._stretches(piece, where)
            own = np.ascontiguousarray(theta[alive])
            found, codes, places = self._members(at, own, stretches, threads)
            kept = ends >= 0
            states[alive[:, None], 1 + ends[kept]] = found[:, kept]
            lost = np.flatnonzero(codes)
            for m in lost:
                ended = (int(codes[m]), int(places[m]), found[m], at[m], own[m])
                failures.append(
                    Failure(int(alive[m]), partial(self._told, *ended, done, stretches))
                )
            fine = codes == 0
            alive, at = alive[fine], np.ascontiguousarray(found[fine, -1])
            done += int(piece.counts.sum())
            if not alive.size:
                break
        return states, sorted(failures, key=lambda one: one.member)

    def tangent(self, x: FloatArray, stops: Stops, where: str) -> FloatArray:
        """Jacobian of the one step of `stops`, (D, D).

        Raises
        ------
        SolveError
            If the step could not be solved, or is not finite.
        """
        from symda.build.steps import NOT_FINITE

        laid = self._stretches(stops, where).u
        u = laid[0] if len(laid) else np.empty((len(self.integrator.abscissae), 0))
        t, h = float(stops.t[0]), float(stops.h[0])
        _, M, code = self.engine.tangent(0, x, self.theta[0], t, h, u)
        if not code and not np.all(np.isfinite(M)):
            code = NOT_FINITE
        if code:
            raise SolveError(f"{where}: {self._why(code, 0, t, h)}")
        return M

    def _told(
        self,
        code: int,
        place: int,
        kept: FloatArray,
        x: FloatArray,
        theta: FloatArray,
        done: int,
        piece: Stretches,
    ) -> str:
        """Say how a member ended that was at `x` before this piece, and `kept` (R, D) in it.

        `place` steps into the piece the failure was noticed, `done` were before it.
        """
        from symda.build.steps import NOT_FINITE, Stretches

        ends = np.cumsum(piece.counts)
        side: Literal["left", "right"] = "left" if code == NOT_FINITE else "right"
        r = min(int(np.searchsorted(ends, place, side=side)), len(ends) - 1)
        first, t, h = int(ends[r] - piece.counts[r]), float(piece.t[r]), float(piece.h[r])
        if code == NOT_FINITE:
            # within the stretch: it holds for what is below `place`, and not for `last`
            x = kept[r - 1] if r else x
            place, last = first, place
            while last - place > 1:
                middle = (place + last) // 2
                some = Stretches(
                    np.array([t + (place - first) * h]),
                    piece.h[r : r + 1],
                    np.array([middle - place]),
                    np.ascontiguousarray(piece.u[place:middle]),
                )
                found = self.engine.advance(0, x[None].copy(), theta[None].copy(), some)
                if found.codes[0]:
                    last = middle
                else:
                    place, x = middle, found.states[0, 0]
        return self._why(code, done + place, t + (place - first) * h, h)

    def _members(
        self, x: FloatArray, theta: FloatArray, stretches: Stretches, threads: int | None
    ) -> tuple[FloatArray, IntArray, IntArray]:
        """Share the members among threads; the engine releases the interpreter's lock."""
        advance = partial(self.engine.advance, 0, stretches=stretches)
        lanes = self.engine.lanes
        full = -(-len(x) // lanes)
        workers = min(full, threads or cores())
        if workers == 1:
            found = advance(x=x, theta=theta)
            return found.states, found.codes, found.where
        edges = lanes * np.linspace(0, full, min(full, 4 * workers) + 1).astype(int)
        groups = (np.split(part, edges[1:-1]) for part in (x, theta))
        with ThreadPoolExecutor(workers) as pool:
            parts = list(pool.map(lambda x, theta: advance(x=x, theta=theta), *groups))
        return (
            np.concatenate([part.states for part in parts]),
            np.concatenate([part.codes for part in parts]),
            np.concatenate([part.where for part in parts]),
        )

    def _stretches(self, stops: Stops, where: str) -> Stretches:
        """Evaluate the forcing at the abscissae of every step."""
        from symda.build.steps import Stretches

        c = np.array(self.integrator.abscissae)
        U = len(self.sources)
        if not U:
            return Stretches(stops.t, stops.h, stops.counts, np.empty((0, len(c), 0)))
        r = np.repeat(np.arange(len(stops.t)), stops.counts)
        i = np.arange(r.size) - np.repeat(np.cumsum(stops.counts) - stops.counts, stops.counts)
        h = stops.h[r]
        starts, ends = stops.t[r] + i * h, stops.t[r] + (i + 1) * h
        when = starts[:, None] + h[:, None] * c
        within = (c > -1e-12) & (c < 1.0 + 1e-12)
        first, last = np.minimum(starts, ends), np.maximum(starts, ends)
        instants = h == INSTANT
        pulses = pulse_steps(dict(zip(self.model.forcing, self.sources, strict=True)))
        # ends of steps are rounded: a jump there may seem to lie slightly beyond
        span = (first[0] - abs(h[0]), last[-1] + abs(h[-1]))
        if h[0] < 0.0:
            span = (first[-1] - abs(h[-1]), last[0] + abs(h[0]))
        u = np.empty((*when.shape, U))
        for n, (channel, source) in enumerate(zip(self.model.forcing, self.sources, strict=True)):
            at = when.copy()
            finest = float(abs(h[~instants]).min(initial=np.inf))
            low, high = inside(jumps(source, self.model.time, *span, finest=finest), first, last)
            low[instants], high[instants] = first[instants], last[instants]
            at[:, within] = np.clip(at[:, within], low[:, None], high[:, None])
            try:
                u[:, :, n] = as_function(source, self.model.time)(_within(at, source))
            except DataError as error:
                beyond = "" if within.all() else (
                    f" The method {self.integrator.name!r} evaluates forcing up to "
                    f"{max(-c.min(), c.max() - 1.0):.2g} steps outside of each step; one that "
                    "stays within is 'rk4', 'gauss4' or 'verlet'."
                )  # fmt: skip
                raise DataError(f"{where}: forcing {channel.name!r}: {error}{beyond}") from error
            if isinstance(source, Pulses):
                k = [int(np.argmin(np.abs(pulses.times - t))) for t in starts[instants]]
                u[instants, :, n] = pulses.amounts[k, None, n] / INSTANT
                if isinstance(channel, Event):
                    u[instants, 1:, n] = 0.0
                    u[instants, 0, n] /= self._weight_at_start(channel.name, where)
        return Stretches(stops.t, stops.h, stops.counts, np.ascontiguousarray(u))

    def _weight_at_start(self, event: str, where: str) -> float:
        """Return the weight of the first stage, which an event needs to be at the step's start."""
        one = self.integrator
        if not isinstance(one, Tableau) or any(one.A[0]) or not one.b[0]:
            raise OptionError(
                f"{where}: the event {event!r} needs a method that begins at the state itself, "
                f"such as 'rk4' or 'dop853'; {one.name!r} does not. Or take sd.simulate."
            )
        return float(one.b[0])

    def _why(self, code: int, place: int, t: float, h: float) -> str:
        """Say how the step `place` of length `h` ended that began at `t`."""
        from symda.build.steps import NO_CONVERGENCE, NO_MEMORY, NOT_FINITE, SINGULAR

        step = f"step {place} (t = {t:.6g}, h = {h:.3g})"
        if code == NOT_FINITE:
            return (
                f"the solution left finite numbers in {step}. Use a smaller step, or look at "
                "parameters and initial state."
            )
        if code == NO_MEMORY:
            return "there is no memory for the work space of a step."
        what = {
            NO_CONVERGENCE: "Newton's method did not converge in",
            SINGULAR: "the equations are singular in",
        }[code]
        return (
            f"{what} {step} of {self.integrator.name!r}. Use a smaller step, or look at "
            "parameters and initial state."
        )


def _within(when: FloatArray, source: ForcingSource) -> FloatArray:
    """Put back what only rounding puts outside the range of samples."""
    if not isinstance(source, Samples):
        return when
    low, high = source.times[0], source.times[-1]
    inside = np.clip(when, low, high)
    rounding = 4.0 * np.spacing(max(abs(low), abs(high)))
    return np.where(abs(when - inside) <= rounding, inside, when)


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
