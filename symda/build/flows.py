"""A model's flow with adaptive steps, and its slopes by first state and parameters: the engines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from symda.build.compile import build
from symda.build.course import MOST_STEPS, Course, Flows
from symda.build.engines import addresses
from symda.build.flows_virtual import VirtualFlows
from symda.build.load import load
from symda.build.serial import serial
from symda.build.toolchain import NoCompiler
from symda.emit.flows import emit_flow, flow_in_lanes
from symda.lower.flows import flow_functions, lower_flow
from symda.types import FloatArray

if TYPE_CHECKING:
    from symda.build.toolchain import Options
    from symda.derive.field import Field


#: Members of one call into compiled code.
LONGEST_CALL, LONGEST_CALL_IN_LANES = 64, 256


class FlowEngine(Protocol):
    """Integrates a model in the coordinates of its `Field`. Can be pickled."""

    @property
    def kind(self) -> str:
        """``"compiled"`` or ``"virtual machine"``."""

    @property
    def clock(self) -> bool:
        """Whether time itself enters F."""

    @property
    def discrete(self) -> bool:
        """Whether the model is a map."""

    def run(
        self,
        x0: FloatArray,
        theta: FloatArray,
        course: Course,
        *,
        rtol: float,
        atol: FloatArray,
        sensitivities: bool = False,
        most_steps: int = MOST_STEPS,
        threads: int = 1,
    ) -> Flows:
        """Lead members from `x0` (K, D) with parameters `theta` (K, P) through a course.

        An error of a step counts against atol + rtol |x|, with `atol` (D,), or (K, D) for each
        member, which is to be positive for a state that may be 0. A member does not depend on the
        others, nor on `threads`.
        """


def flow_engine(
    field: Field, options: Options | None = None, *, together: bool = False
) -> FlowEngine:
    """Build what integrates a model, or take it from the cache; without a compiler, SciPy does.

    With `together` it is a module of its own for ensembles, without sensitivities: models that are
    not too large have a member in each lane, which changes its steps by rounding.

    Raises
    ------
    BuildError
        If the compiler fails.
    """
    clock = bool(field.field.which_depends("t", ["value"], 1, True)[0])
    given = (field.D, field.P, field.U, clock, field.model.discrete)
    try:
        ir = lower_flow(field)
        lanes = together and flow_in_lanes(ir)
        library = build(emit_flow(ir, lanes=lanes), options).library
    except NoCompiler:
        return VirtualFlows(serial(flow_functions(field)), *given)
    return CompiledFlows(library, *given, lanes)


@dataclass(frozen=True)
class CompiledFlows:
    """The emitted module."""

    library: Path
    D: int
    P: int
    U: int
    clock: bool
    discrete: bool
    lanes: bool  #: Whether it has a member in each lane, and no sensitivities.
    kind = "compiled"

    def run(
        self,
        x0: FloatArray,
        theta: FloatArray,
        course: Course,
        *,
        rtol: float,
        atol: FloatArray,
        sensitivities: bool = False,
        most_steps: int = MOST_STEPS,
        threads: int = 1,
    ) -> Flows:
        """Lead members through a course; see `FlowEngine.run`."""
        if sensitivities and self.lanes:
            raise TypeError("a flow in lanes has no sensitivities: build one without together=True")
        module, K, R = load(self.library), len(x0), len(course.h)
        x0, theta = (np.ascontiguousarray(part, dtype=np.float64) for part in (x0, theta))
        tolerance = np.ascontiguousarray(np.broadcast_to(atol, (K, self.D)), dtype=np.float64)
        instant = np.ascontiguousarray(course.instant, dtype=np.uint8)
        laid = tuple(
            np.ascontiguousarray(part, dtype=np.float64)
            for part in (course.t, course.forcing, course.h)
        )
        _check_shapes(self.D, self.P, self.U, x0, theta, course)

        def some(first: int, last: int) -> Flows:
            k = last - first
            states = np.empty((k, R + 1, self.D))
            slopes = np.empty((k, R + 1, self.D, self.D + self.P)) if sensitivities else None
            peaks = np.empty((k, self.D))
            codes, counts = np.empty(k, dtype=np.int32), np.empty((k, 3), dtype=np.int64)
            t, forcing, h = addresses(*laid)
            module.run(
                *addresses(x0[first:last], theta[first:last]),
                k,
                t,
                forcing,
                instant.ctypes.data,
                h,
                R,
                rtol,
                *addresses(tolerance[first:last]),
                most_steps,
                *addresses(states),
                *([] if self.lanes else [0 if slopes is None else slopes.ctypes.data]),
                *addresses(peaks),
                codes.ctypes.data,
                counts.ctypes.data,
            )
            return Flows(states, slopes, peaks, codes.astype(np.int64), *counts.T)

        size, longest = (module.lanes, LONGEST_CALL_IN_LANES) if self.lanes else (1, LONGEST_CALL)
        full = -(-K // size)
        workers = min(threads, full)
        # between two calls Python handles Ctrl-C
        calls = -(-K // longest) if workers <= 1 else max(4 * workers, -(-K // longest))
        edges = np.minimum(size * np.linspace(0, full, min(full, calls) + 1).astype(int), K)
        if workers <= 1:
            return Flows.joined(list(map(some, edges[:-1], edges[1:])))
        with ThreadPoolExecutor(workers) as pool:
            return Flows.joined(list(pool.map(some, edges[:-1], edges[1:])))


def _check_shapes(
    D: int, P: int, U: int, x0: FloatArray, theta: FloatArray, course: Course
) -> None:
    """Refuse what the compiled module, which checks nothing, would read beyond its end."""
    K, R = len(x0), len(course.h)
    wanted = {
        "x0": (x0, (K, D)),
        "theta": (theta, (K, P)),
        "t": (course.t, (R + 1,)),
        "forcing": (course.forcing, (R, 4, U)),
        "instant": (course.instant, (R,)),
        "h": (course.h, (R,)),
    }
    for name, (array, shape) in wanted.items():
        if np.shape(array) != shape:
            raise TypeError(f"{name} of a flow: expected the shape {shape}, got {np.shape(array)}")
