"""Known jumps: forcing whose integral enters the state at once.

A pulse is a step between two grid points at one time. Its length is `INSTANT`, a power of two so
small that nothing moves within it, and the forcing is the amount divided by it: the product that a
step works with is then the amount to the last bit, whatever the scheme.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import sympy
from numpy.typing import ArrayLike

from symda.checks import choice
from symda.declare import Event, Forcing, LatticeModel, Model
from symda.errors import DataError
from symda.observe.arrays import as_floats, readonly
from symda.observe.grid import Grid
from symda.types import BoolArray, FloatArray, IntArray

#: Length of the step of a pulse: 4.9e-91.
INSTANT = 2.0**-300
#: The largest amount: the forcing within such a step is a number.
LARGEST = 1e200
#: A pulse this near to an end of a step, as a share of the step, is there.
NEAR = 1e-9

Sampled = Literal["before", "after"]


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Pulses:
    """Amounts that enter at given times: the integral of a forcing that is zero in between.

    Where the equation of a state has the channel u with the factor b, b u, the state jumps by b
    times the amount. The factor may hold parameters and time, but no states and no forcing.

    Parameters
    ----------
    times : (J,)
        When; a time that is there more than once has the sum. Any order; none, of a subject that
        was given nothing, are no pulses.
    amounts : (J,), or a number
        How much, in units of the forcing times time; may be negative.
    sampled : {"before", "after"}
        Which side of the jump data at the very time of a pulse were measured on. A sample that is
        taken when a dose is given is usually taken before it.

    Raises
    ------
    DataError
        Times or amounts that are not finite, or not as many of each.
    OptionError
        An unknown side.
    """

    times: FloatArray
    amounts: FloatArray
    sampled: Sampled

    def __init__(self, times: ArrayLike, amounts: ArrayLike, sampled: Sampled = "before") -> None:
        choice(sampled, "sampled of Pulses", get_args(Sampled))
        when = np.atleast_1d(as_floats(times, "times of Pulses"))
        what = as_floats(amounts, "amounts of Pulses")
        if when.ndim != 1:
            raise DataError(f"times of Pulses: expected a list, got the shape {when.shape}.")
        if what.shape not in {(), when.shape}:
            raise DataError(
                f"amounts of Pulses: expected a number, or one for each of {when.size} times, got "
                f"the shape {what.shape}."
            )
        what = np.broadcast_to(what, when.shape)
        for name, values in (("times", when), ("amounts", what)):
            bad = np.flatnonzero(~(np.abs(values) <= LARGEST))
            if bad.size:
                raise DataError(
                    f"{name} of Pulses: entry {bad[0]} is {values[bad[0]]}, expected a finite "
                    "number. Leave out the pulses that were not given."
                )
        unique, at = np.unique(when, return_inverse=True)
        object.__setattr__(self, "times", readonly(unique))
        object.__setattr__(self, "amounts", readonly(np.bincount(at, what, unique.size)))
        object.__setattr__(self, "sampled", sampled)

    def __call__(self, t: ArrayLike) -> FloatArray:
        """Values between the pulses at times `t` (any shape): 0."""
        return np.zeros(np.shape(t))

    def at(self, t: float, near: float) -> float:
        """Return the amount at a time, up to rounding; 0 if there is none."""
        return float(self.amounts[np.abs(self.times - t) <= near].sum())

    def __repr__(self) -> str:
        span = f", {self.times[0]} to {self.times[-1]}" if self.times.size else ""
        return f"Pulses({self.times.size} times{span}, sampled={self.sampled!r})"


@dataclass(frozen=True, eq=False)
class PulseSteps:
    """The pulses of all channels on a grid: T' times, each with a step of its own."""

    times: FloatArray  #: (T',), increasing.
    amounts: FloatArray  #: (T', U).
    after: BoolArray  #: Whether data at the time are of the state after it, (T',).

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self.times.size)

    def off(self, nodes: FloatArray) -> FloatArray:
        """Return the times that are not at one of the nodes (N + 1,) of a grid."""
        near = self._nearest(nodes)
        wide = np.diff(nodes).min(initial=np.inf)
        found: FloatArray = self.times[np.abs(self.times - nodes[near]) > NEAR * wide]
        return found

    def snapped(self, times: FloatArray) -> PulseSteps:
        """Return the pulses with times that are those of `times` up to rounding at these."""
        if times.size < 2 or not self.any:
            return self
        nearest = times[self._nearest(times)]
        near = np.abs(self.times - nearest) <= NEAR * np.diff(times).min()
        return replace(self, times=np.where(near, nearest, self.times))

    def onto(self, grid: Grid, c: FloatArray) -> Grid:
        """Return the grid with the steps of pulses in it, whose times are nodes; c (I,) interior.

        Raises
        ------
        DataError
            If one lies outside of the grid.
        """
        nodes = grid.times[grid.nodes]
        self.check_within(
            nodes[0],
            nodes[-1],
            "Begin or end the model's time there with start= or stop=, or leave it out.",
        )
        at = self._nearest(nodes)
        longer = np.insert(nodes, at + 1, nodes[at])
        h = np.diff(longer)
        stride = 1 + c.size
        times = np.empty(h.size * stride + 1)
        times[::stride] = longer
        for i, abscissa in enumerate(c):
            times[1 + i :: stride] = longer[:-1] + abscissa * h
        seen = grid.observed // stride
        later = (at < seen[:, None]).sum(axis=1)
        here = ((at == seen[:, None]) & self.after).sum(axis=1)
        return Grid(
            times,
            np.arange(longer.size) * stride,
            np.where(h == 0.0, INSTANT, h),
            (seen + later + here) * stride,
        )

    def check_within(self, first: float, last: float, fix: str) -> None:
        """Refuse pulses that are outside of a window of time.

        Raises
        ------
        DataError
            If there is one; `fix` says what to do.
        """
        reach = NEAR * (last - first)
        outside = self.times[(self.times < first - reach) | (self.times > last + reach)]
        if outside.size:
            raise DataError(
                f"the pulse at time {outside[0]:.10g} is outside of the window, {first:.10g} to "
                f"{last:.10g}. {fix}"
            )

    def _nearest(self, nodes: FloatArray) -> IntArray:
        right = np.clip(np.searchsorted(nodes, self.times), 1, nodes.size - 1)
        closer = self.times - nodes[right - 1] <= nodes[right] - self.times
        return np.where(closer, right - 1, right)


def pulse_steps(sources: Mapping[Forcing, object]) -> PulseSteps:
    """Gather the pulses among the sources of a model's U channels.

    Raises
    ------
    DataError
        If channels with a pulse at one time do not agree on the side that data belong to.
    """
    given = [(i, s) for i, s in enumerate(sources.values()) if isinstance(s, Pulses)]
    times = np.unique(np.concatenate([one.times for _, one in given] or [np.empty(0)]))
    amounts = np.zeros((times.size, len(sources)))
    after = np.zeros(times.size, dtype=bool)
    told = np.zeros(times.size, dtype=bool)
    for i, one in given:
        at = np.searchsorted(times, one.times)
        amounts[at, i] = one.amounts
        side = one.sampled == "after"
        clash = at[told[at] & (after[at] != side)]
        if clash.size:
            raise DataError(
                f"two channels have a pulse at time {times[clash[0]]}, one sampled before and one "
                "after it; data there are of one state. Give them the same `sampled`."
            )
        after[at], told[at] = side, True
    mapped = np.array([isinstance(channel, Event) for channel in sources], dtype=bool)
    twice = np.flatnonzero((amounts[:, mapped] != 0.0).sum(axis=1) > 1)
    if twice.size:
        raise DataError(
            f"two events happen at time {times[twice[0]]}; which comes first is not said. Write "
            "an event that does both."
        )
    return PulseSteps(times, amounts, after)


def _pulsed(forcing: Mapping[str, object]) -> list[str]:
    """Name the channels that have pulses."""
    return [name for name, one in forcing.items() if isinstance(one, Pulses) and one.times.size]


def check_pulsed(model: Model, forcing: Mapping[str, object]) -> None:
    """Refuse pulses where no jump follows from them: F must be linear in these channels.

    Parameters
    ----------
    model : Model
    forcing : mapping of str to source
        What is given for its channels.

    Raises
    ------
    DataError
        If the model is a map, or an equation is not linear, or has a factor with states or forcing;
        if the times of an event are missing, or none.
    """
    names = _pulsed(forcing)
    events = [channel.name for channel in model.forcing if isinstance(channel, Event)]
    for name in events:
        one = forcing.get(name)
        never = isinstance(one, sympy.Expr) and one.is_zero
        if not (never or (isinstance(one, Pulses) and (one.amounts == 1.0).all())):
            raise DataError(
                f"the event {name!r} needs its times, each once: pass forcing={{{name!r}: "
                "sd.Pulses(times, 1.0)}, or 0 if it does not happen."
            )
    if not names:
        return
    if model.discrete:
        raise DataError(
            f"forcing {names[0]!r}: the model is a map, in which a forcing has a value at each "
            "step: pass its values, one for each time."
        )
    # what an event maps may be of the states
    pulsed = [f for f in model.forcing if f.name in names and not isinstance(f, Event)]
    labels, equations = (
        ([f.name for f in model.fields], model.site_equations)
        if isinstance(model, LatticeModel)
        else ([s.name for s in model.states], model.equations)
    )
    others = {*model.states, *model.forcing}
    for label, equation in zip(labels, equations, strict=True):
        for channel in pulsed:
            if channel not in equation.free_symbols:
                continue
            factor = sympy.expand(equation.diff(channel))
            held = sorted(
                s.name
                for s in factor.free_symbols
                if s in others or (isinstance(model, LatticeModel) and hasattr(s, "field"))
            )
            if held:
                raise DataError(
                    f"forcing {channel.name!r} is given as pulses, but in the equation of {label} "
                    f"its factor {factor} holds {held[0]}: how far the state jumps is then not "
                    "said. Pulses need equations that are linear in the channel, with factors of "
                    "parameters and time only."
                )


def check_jumps_scaled(model: Model, forcing: Mapping[str, object]) -> None:
    """Refuse jumps of states that are stepped on another scale, where they would be others.

    Raises
    ------
    DataError
        If a pulse or an event enters the equation of such a state.
    """
    names = _pulsed(forcing)
    jumping = [f for f in model.forcing if f.name in names]
    if isinstance(model, LatticeModel) or not jumping:
        return
    for state, equation in zip(model.states, model.equations, strict=True):
        scale = model.declarations[state].scale
        for channel in jumping:
            if scale and channel in equation.free_symbols:
                what = f"forcing {channel.name!r} is given as pulses and enters the equation of"
                if isinstance(channel, Event):
                    what = f"the event {channel.name!r} changes"
                raise DataError(
                    f"{what} {state.name}, which has scale={scale!r}: a jump of {state.name} is "
                    f"not one of its {'logarithm' if scale == 'log' else 'logit'}. Leave that "
                    "scale out, and give the state bounds."
                )
