"""Solvers, found by name. To add one: its file, and its line in `SOLVERS`."""

from __future__ import annotations

from symda.registry import Registry
from symda.solve.boundary import METHODS, Boundary
from symda.solve.ipopt import Ipopt
from symda.solve.judges import judge
from symda.solve.lbfgs import Lbfgs
from symda.solve.minimum import Climb, Climber, Minimiser, Minimum
from symda.solve.newton import Newton
from symda.solve.objective import Objective
from symda.solve.pieces import Pieces
from symda.solve.solver import Capability, Descent, Solver
from symda.solve.stationary import Judge, Stationarity, on_edge, settled
from symda.solve.strong import Solution, Strong

#: Name -> solver with its usual options.
SOLVERS: Registry[Solver] = Registry(
    "solver",
    [Ipopt(), Newton(), Lbfgs(), *(Boundary(name) for name in METHODS)],
    of=Solver,
    own="a solver of your own, see symda.Descent",
)

__all__ = [
    "SOLVERS",
    "Capability",
    "Climb",
    "Climber",
    "Descent",
    "Ipopt",
    "Judge",
    "Lbfgs",
    "Minimiser",
    "Minimum",
    "Newton",
    "Objective",
    "Pieces",
    "Solution",
    "Solver",
    "Stationarity",
    "Strong",
    "judge",
    "on_edge",
    "settled",
]
