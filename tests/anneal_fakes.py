"""A problem whose solver is a closed formula, and solvers that misbehave on purpose.

Theta never moves from its random start, so a path can be told by it: an option such as
`crash={theta: rung}` hits one path at one rung, wherever and whenever that path runs.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from symda.anneal import Ladder, Settings
from symda.anneal.driver import anneal
from symda.anneal.starts import Uniform
from symda.anneal.task import Job, first_point
from symda.build.kernels import BlockPayload
from symda.emit import Source
from symda.observe import Problem
from symda.solve import Minimum, Solver

PAYLOAD = BlockPayload(Source.of("fake", "# nothing to compile"), "", ())
LADDER = Ladder(rf0=0.5, alpha=2.0, rungs=4)


def make_problem(
    steps=4, states=("x", "y"), measured=(0,), fixed=(np.nan,), scale=1.0, gaps=(), bounds=10.0
):
    """Build a problem on a uniform grid; channel l measures state `measured[l]`, or their sum."""
    D, L, P, M = len(states), len(measured), len(fixed), steps + 1
    times = np.linspace(0.0, 1.0, M)
    y = np.sin(3.0 * times)[:, None] + np.arange(L)
    rm = np.full((M, L), 4.0 * scale)
    for row, column in gaps:
        y[row, column] = rm[row, column] = 0.0
    return Problem(
        times=times,
        node_times=times,
        h=np.diff(times),
        u=np.zeros((steps, 1, 0)),
        weight=np.ones(steps),
        y=y,
        rm=rm,
        state_bounds=np.array([[-bounds, bounds]] * D),
        parameter_bounds=np.array([[-10.0, 10.0]] * P).reshape(P, 2),
        state_start=np.array([[-2.0, 2.0]] * D),
        parameter_start=np.array([[-1.0, 1.0]] * P).reshape(P, 2),
        fixed=np.array(fixed, dtype=float),
        typical=np.ones(P),
        direct=np.array(measured),
        states=tuple(states),
        parameters=tuple(f"p{i}" for i in range(P)),
        channels=tuple(f"h{i}" for i in range(L)),
        interior=0,
        measurement_scale=scale,
    )


class Measurement:
    """Kernels that can only measure: channel l is its state, or the sum of all.

    Bound to the problem, nothing is amiss with any point.
    """

    def __init__(self, problem: Problem):
        self.problem = problem

    def at(self, problem):
        return self

    def terms(self, path, theta, rf):
        return 0.0, 0.0

    def value_and_gradient(self, path, theta, rf):
        return 0.0, np.zeros(path.size + theta.size)

    def gradient(self, path, theta, rf):
        return np.zeros(path.size + theta.size)

    def measure(self, path, theta):
        columns = [path[:, d] if d >= 0 else path.sum(axis=1) for d in self.problem.direct]
        return np.stack(columns, axis=1)


class Relax:
    """Moves the path halfway to its mean, then reports a number of its own as the action.

    The level is that of two wells: 0 for theta >= 0 and 10 for theta < 0, plus 1 / sum(rf).
    """

    def __init__(self, problem: Problem, **options):
        self.problem = problem
        self.options = options
        built = options.get("built")
        if built:
            with Path(built).open("a") as log:
                log.write(f"{os.getpid()}\n")

    def minimise(self, path, theta, rf):
        rung = round(np.log2(rf[0] / 0.5))
        self._misbehave(theta, rung)
        swallowed = self._swallow(theta, rung)
        path = 0.5 * (path + path.mean(axis=0))
        action = 10.0 * float(theta.size > 0 and theta[0] < 0) + 1.0 / rf.sum()
        if self._hit("blank", theta) == rung:
            action = np.nan
        return Minimum(
            path=path,
            theta=theta,
            action=action,
            measurement_term=0.25 * action,
            model_term=0.75 * action,
            momenta=rf * np.diff(path, axis=0),
            status="failed" if swallowed or self._hit("stall", theta) == rung else "converged",
            message="stalled" if self._hit("stall", theta) == rung else "fine",
            iterations=rung + 1,
            evaluations=2 * rung + 3,
            seconds=0.25,
        )

    def _swallow(self, theta, rung):
        """Meet Ctrl-C as IPOPT does in CasADi: stop, and call it a failure."""
        try:
            if self._hit("swallow", theta) == rung:
                signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            return True
        return False

    def _hit(self, option, theta):
        return self.options.get(option, {}).get(float(theta[0])) if theta.size else None

    def _misbehave(self, theta, rung):
        time.sleep(self.options.get("nap", 0.0))
        if self._hit("crash", theta) == rung:
            raise ArithmeticError("the pivot is zero")
        if self._hit("kill", theta) == rung:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._hit("kill_once", theta) == rung:
            marker = Path(self.options["marker"])
            if not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        if self._hit("interrupt", theta) == rung:
            raise KeyboardInterrupt


class Fake(Solver):
    """The same as a solver of a user's own; how it misbehaves are its options."""

    name = "fake"

    def __init__(self, **behaviour):
        self.behaviour = behaviour

    @property
    def options(self):
        return self.behaviour

    def with_options(self, **options):
        return Fake(**self.behaviour, **options)

    def at(self, kernels, problem):
        return Relax(problem, **self.behaviour)


def relax(job: Job):
    """Prepare a job with the fakes."""
    kernels = Measurement(job.problem)
    return kernels, lambda solver, problem: solver.at(kernels, problem), lambda problem: None


def run(problem=None, *, prepare=relax, reporter=None, **settings):
    """Anneal with the fakes; options are theirs."""
    given = settings.get("options", {})
    if isinstance(given, dict) and all(isinstance(name, str) for name in given):
        settings.setdefault("solver", Fake(**settings.pop("options", {})))
    chosen = {"ladder": LADDER, "paths": 4, "seed": 7, "executor": "serial", **settings}
    return anneal(
        PAYLOAD,
        make_problem() if problem is None else problem,
        Settings(**chosen),
        reporter=reporter,
        attrs={"model": "two wells", "scheme": "rk4"},
        prepare=prepare,
    )


def workers_of(executor):
    """Return two workers for an executor that has any."""
    return None if executor == "serial" else 2


def start_of(k, problem=None, seed=7):
    """Return the start of path k, (M, D) and (P,)."""
    problem = make_problem() if problem is None else problem
    return first_point(
        Job(PAYLOAD, problem, Fake(), np.ones((1, problem.D)), seed, Uniform(), "last", relax), k
    )


def mark(k, problem=None, seed=7):
    """Return the theta by which path k is known."""
    return float(start_of(k, problem, seed)[1][0])
