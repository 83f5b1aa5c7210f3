"""What the members of a flow are led through, and the course of an experiment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from symda.observe import Problem

#: How a member can end; the same numbers stand in the template.
FINE, NOT_FINITE, NO_CONVERGENCE, SINGULAR, TOO_MANY_STEPS, NO_MEMORY = range(6)
#: Most steps of a member, if nothing else is said.
MOST_STEPS = 100_000
#: Values at 0, 1/3, 2/3 and 1 -> coefficients of the cubic through them.
CUBIC = np.array(
    [
        [1.0, 0.0, 0.0, 0.0],
        [-5.5, 9.0, -4.5, 1.0],
        [9.0, -22.5, 18.0, -4.5],
        [-4.5, 13.5, -13.5, 4.5],
    ]
)
#: Most states: an implicit step factorises a dense matrix of three times as many rows.
LARGEST = 200


@dataclass(frozen=True, eq=False)
class Course:
    """R stretches of time, at whose ends states are kept."""

    t: FloatArray  #: (R + 1,): where stretches begin and end, never decreasing.
    #: (R, 4, U): forcing within each, coefficients of a cubic in (t - t_r) / (t_{r+1} - t_r).
    forcing: FloatArray
    #: (R,): which are pulses, one explicit Euler step of `h` with the first coefficients.
    instant: BoolArray
    h: FloatArray  #: (R,): lengths.


@dataclass(frozen=True, eq=False)
class Flows:
    """States of K members at the ends of the stretches, and how each ended."""

    states: FloatArray  #: (K, R + 1, D); not a number from a failure on.
    #: (K, R + 1, D, D + P): by the first state, then by the parameters. None if not asked for.
    slopes: FloatArray | None
    #: (K, D): the largest size of each state at the ends of its steps.
    peaks: FloatArray
    #: (K,): `FINE`, `NOT_FINITE`, `NO_CONVERGENCE`, `SINGULAR`, `TOO_MANY_STEPS` or `NO_MEMORY`.
    codes: IntArray
    where: IntArray  #: (K,): the stretch where a member failed, or the last.
    steps: IntArray  #: (K,): steps taken,
    rejected: IntArray  #: (K,): and refused.

    @classmethod
    def joined(cls, parts: list[Flows]) -> Flows:
        """Put groups of members into one."""
        if len(parts) == 1:
            return parts[0]
        slopes = [part.slopes for part in parts if part.slopes is not None]
        return cls(
            np.concatenate([part.states for part in parts]),
            np.concatenate(slopes) if slopes else None,
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("peaks", "codes", "where", "steps", "rejected")
            ),
        )


def unfit(problem: Problem) -> str:
    """Say why a problem's experiments cannot be integrated; empty where they can."""
    if problem.per_step.any():
        name = problem.states[int(problem.per_step.argmax())]
        return f"{name} has a value for each step"
    if problem.missed:
        return f"the forcing {problem.missed[0].forcing} jumps inside of a step"
    if problem.D > LARGEST:
        return f"the model has {problem.D} states, more than {LARGEST}"
    return ""


def course_of(problem: Problem, *, clock: bool, discrete: bool = False) -> tuple[Course, IntArray]:
    """Lead through one experiment, and through which of its grid points.

    Parameters
    ----------
    problem : Problem
        One of `Problem.experiments`, for which `unfit` has nothing to say.
    clock : bool
        Whether time itself enters F, see `FlowEngine.clock`.
    discrete : bool
        Whether the model is a map.

    Returns
    -------
    course : Course
    points : (R + 1,)
        The grid points where states are kept: all if the forcing is not constant, there are pulses
        or F follows a clock; else the first, those with data, and the last.
    """
    stride, pulses = 1 + problem.interior, problem.pulses
    u = problem.forcing
    steady = not (clock or discrete or pulses.any()) and bool(np.all(u == u[:1, :1]))
    kept = np.ones(problem.M, dtype=bool)
    if steady:
        kept[:] = (problem.rm > 0.0).any(axis=1)
        kept[problem.repeat_at] = True
        kept[[0, -1]] = True
    # nothing lies within a pulse
    for i in range(1, stride):
        kept[i::stride] &= ~pulses
    points = np.flatnonzero(kept)
    t = problem.times[points]
    step = points[:-1] // stride
    instant = pulses[step] if not steady else np.zeros(len(step), dtype=bool)
    lengths = np.where(instant, problem.h[step], np.diff(t))
    values = u[step]
    if stride > 1 and not steady:
        # part of a step: the same cubic, seen from there
        begin, length = problem.left_times[step], np.where(instant, 1.0, problem.h[step])
        s = (t[:-1] - begin) / length
        thirds = s[:, None] + np.array([0.0, 1 / 3, 2 / 3, 1.0]) * (lengths / length)[:, None]
        powers = thirds[:, :, None] ** np.arange(4)
        parts = powers @ (CUBIC @ values)
        values = np.where(instant[:, None, None], values, parts)
    return Course(t, CUBIC @ values, instant, lengths), points
