"""The ladder of model-error weights Rf that an annealing run climbs."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from symda.checks import integer, number
from symda.errors import OptionError, nearest
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.observe import Problem

#: c of the first rung, in units of `Problem.signal`, unless the user says.
FIRST = 0.01
#: How much dearer the errors of states are that nothing measured holds.
HIDDEN = 100.0


@dataclass(frozen=True)
class Ladder:
    """Rungs of model precision: Rf_beta = rf0 alpha**beta, beta = 0 .. rungs - 1.

    Without `rf0` the ladder is relative: Rf of state a is c_beta / v_a, with one number
    c_beta = c alpha**beta for all states and v_a the state's own variance, see
    `Problem.variances`; states that stand in no measured quantity have `HIDDEN` = 100 times that.
    So it is the same ladder whatever the units. On the first rungs measured states follow the data
    while the others nearly obey their equations: what is left to fit is nearly a regression.

    Parameters
    ----------
    rf0
        The weight of the first rung in absolute numbers: one, D (one a state, in the model's
        order), or a mapping from every state to its number.
    alpha
        Factor from one rung to the next, above 1; refused where one rung leaves it no effect.
    rungs
        Number of rungs, B.
    relative
        c of the first rung, instead of `rf0`. With neither it is a hundredth of the data's variance
        over that of their noise, so that Rf of a measured state is a hundredth of the precision of
        its data, however good these are.

    Raises
    ------
    OptionError
        A weight that is not positive, a factor that does not climb, no rung, a last rung beyond
        the largest double, or both `rf0` and `relative`.

    Notes
    -----
    Abarbanel, Rozdeba, Shirman, arXiv:1707.01415 (2017), section 4.1: start where the action is
    nearly a plain quadratic and follow its minima as Rf grows.
    """

    rf0: float | Sequence[float] | Mapping[str, float] | None = None
    alpha: float = 2.0
    rungs: int = 26
    relative: float | None = None

    def __post_init__(self) -> None:
        """Copy `rf0` into plain numbers and check that every rung is a positive double."""
        if self.rf0 is not None and self.relative is not None:
            raise OptionError(
                f"Ladder: rf0={self.rf0!r} is Rf in absolute numbers, relative={self.relative!r} "
                "in units of one over each state's variance. Leave one of them out."
            )
        if self.rf0 is not None:
            object.__setattr__(self, "rf0", _plain(self.rf0))
        if self.relative is not None:
            object.__setattr__(self, "relative", _positive("relative", self.relative))
        object.__setattr__(self, "rungs", integer(self.rungs, "Ladder: rungs"))
        object.__setattr__(self, "alpha", _positive("alpha", self.alpha))
        if self.alpha <= 1.0 and self.rungs > 1:
            raise OptionError(
                f"Ladder: alpha must be above 1 so that Rf grows from rung to rung, got "
                f"{self.alpha!r}. Take for example alpha=2.0, or rungs=1 for a single value of Rf."
            )
        if self.rungs == 1 and self.alpha not in (1.0, Ladder.alpha):
            first = "rf0" if self.relative is None else "relative"
            raise OptionError(
                f"Ladder: alpha={self.alpha!r} has no effect on one rung, which is {first}. "
                "Leave alpha out, or take more rungs."
            )
        last = _last_rung(max(self._weights()), self.alpha)
        if self.rungs - 1 > last:
            what = "c" if self.rf0 is None else "Rf"
            raise OptionError(
                f"Ladder: {what} = {max(self._weights())!r} * {self.alpha!r}**beta leaves the "
                f"range of doubles: the largest beta that fits is {last}, but rungs={self.rungs} "
                f"climbs to beta={self.rungs - 1}. Take rungs={last + 1} or fewer, or a smaller "
                "alpha."
            )

    def heights(self, problem: Problem) -> FloatArray | None:
        """Return c of every rung, (B,); None where Rf was given in absolute numbers."""
        if self.rf0 is not None:
            return None
        first = FIRST * problem.signal if self.relative is None else self.relative
        return first * self._powers

    @property
    def _powers(self) -> FloatArray:
        return np.array([self.alpha**beta for beta in range(self.rungs)])

    def values(self, states: Sequence[str]) -> FloatArray:
        """Return Rf of every rung and state, (B, D), of a ladder in absolute numbers.

        Raises
        ------
        OptionError
            `rf0` has another number of values than there are states, or other names.
        """
        if isinstance(self.rf0, Mapping):
            for name in self.rf0:
                if name not in states:
                    raise OptionError(
                        f"Ladder: rf0 names {name!r}, which is not a state of the model "
                        f"({', '.join(states)}).{nearest(name, states)}"
                    )
            missing = [name for name in states if name not in self.rf0]
            if missing:
                raise OptionError(
                    f"Ladder: rf0 has no value for {', '.join(missing)}. Give every state one, or "
                    "pass a single number for all."
                )
            first = np.array([self.rf0[name] for name in states])
        else:
            first = np.array(self._weights())
            if isinstance(self.rf0, tuple) and len(first) != len(states):
                raise OptionError(
                    f"Ladder: rf0 has {len(first)} values, but the model has {len(states)} states "
                    f"({', '.join(states)}). Give one value a state, or a single number for all."
                )
        rungs: FloatArray = self._powers[:, None] * np.broadcast_to(first, (len(states),))
        return rungs

    def over(self, problem: Problem) -> FloatArray:
        """Return Rf of every rung and state of a problem, (B, D).

        A parameter per step has the same on every rung, and none among `rf0`.

        Raises
        ------
        OptionError
            As `values`; or if Rf of a relative ladder leaves the range of doubles.
        """
        heights = self.heights(problem)
        if heights is not None:
            dear = np.where(problem.hidden, HIDDEN, 1.0)
            with np.errstate(over="ignore"):
                rungs = np.outer(heights, dear / problem.variances) / problem.step_unit
            self._check_doubles(rungs[:, problem.ruled], problem)
            return problem.precision(rungs)
        rungs = np.empty((self.rungs, problem.D))
        rungs[:, problem.ruled] = self.values(list(compress(problem.states, problem.ruled)))
        return problem.precision(rungs)

    def _check_doubles(self, rungs: FloatArray, problem: Problem) -> None:
        beyond = np.argwhere(~np.isfinite(rungs) | (rungs == 0.0))
        if beyond.size:
            beta, a = beyond[0]
            name = list(compress(problem.states, problem.ruled))[int(a)]
            raise OptionError(
                f"Ladder: Rf of {name} at beta={beta} leaves the range of doubles, since its "
                f"variance is {problem.variances[problem.ruled][a]:.3g}. Take fewer rungs, or "
                "other units for that state."
            )

    def _weights(self) -> tuple[float, ...]:
        if isinstance(self.rf0, Mapping):
            return tuple(self.rf0.values())
        if self.rf0 is None:
            # c of the first rung follows from the data
            return (1.0 if self.relative is None else self.relative,)
        return tuple(self.rf0) if isinstance(self.rf0, Sequence) else (self.rf0,)


def _plain(rf0: object) -> float | tuple[float, ...] | dict[str, float]:
    """Copy what the user gave into plain numbers; a state symbol becomes its name."""
    if isinstance(rf0, Mapping):
        named = {str(key): _positive(f"rf0[{key}]", value) for key, value in rf0.items()}
        if not named:
            raise OptionError("Ladder: rf0 is an empty mapping. Give every state a value.")
        return named
    # rows of different lengths have no shape; each entry of a sequence is looked at by itself
    single = isinstance(rf0, np.ndarray) and rf0.ndim == 0
    if isinstance(rf0, (Sequence, np.ndarray)) and not isinstance(rf0, str) and not single:
        shape = rf0.shape if isinstance(rf0, np.ndarray) else (len(rf0),)
        if len(shape) != 1 or shape[0] == 0:
            raise OptionError(
                f"Ladder: rf0 must be one number, one a state, or a mapping, got shape "
                f"{shape}. A ladder has one number a state; alpha and rungs make the rest. "
                "Of a full matrix these are one over the errors' variances, and their correlations "
                "go to sd.Action(..., error_correlations=...)."
            )
        return tuple(_positive(f"rf0[{i}]", value) for i, value in enumerate(rf0))
    return _positive("rf0", rf0)


def _positive(name: str, value: object) -> float:
    return number(value, f"Ladder: {name}", kind="positive")


def _last_rung(first: float, alpha: float) -> int:
    """Return the largest beta for which first * alpha**beta and alpha**beta are doubles."""
    if alpha <= 1.0:
        return 0
    room = math.log(sys.float_info.max) - max(math.log(first), 0.0)
    beta = int(room / math.log(alpha)) + 1
    while not _fits(first, alpha, beta):
        beta -= 1
    return beta


def _fits(first: float, alpha: float, beta: int) -> bool:
    try:
        return math.isfinite(first * alpha**beta)
    except OverflowError:
        return False


#: That of a run without any: to about a million times the precision of the data.
DEFAULT = Ladder(alpha=4.0, rungs=15)
#: That of a run that chooses for itself: as far, in longer steps, which cost less and find as much.
CLIMB = Ladder(alpha=8.0, rungs=10)
