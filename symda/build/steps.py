"""Step maps in compiled code: the emitted module, called for whole ensembles without the GIL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from symda.build.engines import addresses
from symda.build.load import load
from symda.lower.steps import StepIR
from symda.types import FloatArray, IntArray

#: How a step can end; the same numbers stand in the template.
FINE, NOT_FINITE, NO_CONVERGENCE, SINGULAR, NO_MEMORY = range(5)


@dataclass(frozen=True, eq=False)
class Stretches:
    """R stretches of equal steps: `counts` (R,) steps of `h` (R,) from the times `t` (R,).

    `u` (N, S, U) is the forcing at the abscissae of each step.
    """

    t: FloatArray
    h: FloatArray
    counts: IntArray
    u: FloatArray


@dataclass(frozen=True, eq=False)
class Advance:
    """States at the ends of the stretches, and how each of K members ended."""

    states: FloatArray  #: Not a number from a failure on, (K, R, D).
    #: One of `FINE`, `NOT_FINITE`, `NO_CONVERGENCE`, `SINGULAR`, `NO_MEMORY`, (K,).
    codes: IntArray
    #: (K,): number of the step that failed; of `NOT_FINITE` the steps done when it was noticed.
    where: IntArray


class StepEngine(Protocol):
    """Evaluates the step maps of a model. Methods are numbered as they were asked for."""

    kind: str
    lanes: int  #: Members that are computed at a time.

    def advance(
        self, method: int, x: FloatArray, theta: FloatArray, stretches: Stretches
    ) -> Advance:
        """Take each member's state (K, D), with its theta (K, P), through all stretches.

        Which others there are does not change a member at all.
        """

    def tangent(
        self, method: int, x: FloatArray, theta: FloatArray, t: float, h: float, u: FloatArray
    ) -> tuple[FloatArray, FloatArray, int]:
        """One step of x (D,), its Jacobian (D, D), and how it ended; u (S, U)."""


class CompiledSteps:
    """The emitted module; one with a member in each lane has no tangents.

    Parameters
    ----------
    ir : StepIR
        What it was emitted from.
    """

    kind = "compiled"

    def __init__(self, library: Path, ir: StepIR) -> None:
        self._module = load(library)
        self.lanes = int(getattr(self._module, "lanes", 1))
        by_name = {one.name: one for one in ir.programs}
        self._slots = [by_name[name].slots for name in ir.public]

    def advance(
        self, method: int, x: FloatArray, theta: FloatArray, stretches: Stretches
    ) -> Advance:
        """Take each member's state through all stretches; see `StepEngine.advance`."""
        (members, D), R = x.shape, len(stretches.t)
        at, states = x.copy(), np.empty((members, R, D))
        codes, where = np.zeros(members, dtype=np.int32), np.zeros(members, dtype=np.int64)
        counts = np.ascontiguousarray(stretches.counts, dtype=np.int64)
        self._module.advance(
            method,
            self._slots[method],
            *addresses(at, theta, stretches.t, stretches.h),
            counts.ctypes.data,
            R,
            *addresses(stretches.u, states),
            members,
            codes.ctypes.data,
            where.ctypes.data,
        )
        return Advance(states, codes.astype(np.int64), where)

    def tangent(
        self, method: int, x: FloatArray, theta: FloatArray, t: float, h: float, u: FloatArray
    ) -> tuple[FloatArray, FloatArray, int]:
        """One step of x (D,), its Jacobian (D, D), and how it ended; u (S, U)."""
        at, M = x.copy(), np.eye(len(x))
        code = self._module.tangent(method, *addresses(at, M), t, h, *addresses(u, theta))
        return at, M, code
