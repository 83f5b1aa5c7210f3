"""A solver, a start and a strategy of one's own, passed to a run as objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.optimize

import symda as sd
from symda.anneal.group import Halt
from symda.anneal.starts import Draw, Point
from symda.anneal.strategies import STRATEGIES, Strategy
from symda.anneal.task import Job, PathResult
from symda.solve import Minimum, Objective


@dataclass(frozen=True)
class TrustKrylov(sd.Descent):
    """SciPy's trust region on exact products with the Hessian; it knows no bounds."""

    name = "trust-krylov"

    gtol: float = 1e-6

    def descend(self, objective: Objective, x: np.ndarray) -> Minimum:
        """Minimise from x."""
        return objective.minimum(
            scipy.optimize.minimize(
                objective.value_and_gradient,
                x,
                jac=True,
                hessp=objective.product,
                method="trust-krylov",
                options={"gtol": self.gtol},
            )
        )


@dataclass(frozen=True)
class Simulated:
    """The path is the equations' own solution, from a random state with random parameters."""

    name = "simulated"

    def point(self, draw: Draw) -> Point:
        """Return path (M, D) and parameters (P,)."""
        initial, theta = draw.initial(), draw.parameters()
        return draw.dynamics.forecast(initial[None], theta, draw.problem.N), theta


@dataclass(frozen=True)
class Restart:
    """Start each path twice, and keep the better."""

    within: Strategy = field(default_factory=lambda: STRATEGIES["ladder"])
    name = "restart"

    @property
    def pooled(self) -> bool:
        """Whether the paths are candidates of one attempt: as within."""
        return self.within.pooled

    def run(
        self, job: Job, paths: Sequence[int], deadline: float | None, halt: Halt | None
    ) -> list[PathResult]:
        """Run some paths in a worker."""
        better = {one.path: one for one in self.within.run(job, paths, deadline, halt)}
        for one in self.within.run(replace(job, turn=1), paths, deadline, halt):
            before = better.get(one.path)
            # the level of a path that failed is nan
            if before is None or np.isnan(before.level) or one.level < before.level:
                better[one.path] = one
        return list(better.values())


def problem() -> tuple[sd.Action, sd.Observations]:
    """Return a spring with friction, its position measured 41 times."""
    q, v = sd.states("q v", start=(-2.0, 2.0))
    g, c = sd.parameters("g c", bounds=(0.0, 5.0))
    model = sd.Model({q: v, v: -g * q - c * v}, name="spring")
    action = sd.Action(model, [q], scheme="rk4")
    _, data = sd.twin(
        action,
        parameters={"g": 2.0, "c": 0.3},
        dt=0.1,
        steps=40,
        variance=1e-4,
        seed=1,
        initial=[1.0, 0.0],
    )
    return action, data


def main() -> None:
    """Anneal with each of them, and compare with the toolkit's own."""
    action, data = problem()
    ladder = sd.Ladder(rf0=1.0, alpha=10.0, rungs=8)
    choices = {
        "newton, uniform, ladder": {"solver": "newton"},
        "own solver": {"solver": TrustKrylov()},
        "own start": {"solver": "newton", "start": Simulated()},
        "own strategy": {"solver": "newton", "strategy": Restart(STRATEGIES["window"])},
    }
    for name, chosen in choices.items():
        run = sd.anneal(action, data, ladder=ladder, paths=4, executor="serial", **chosen)
        best = run.best
        print(f"{name:24} action {best.action:.6f}, g = {best.parameters['g']:.4f}")


if __name__ == "__main__":
    main()
