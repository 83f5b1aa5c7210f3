"""Solve: one protocol, one record, a registry. To add a solver, add its file and its line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from symda.solve.banded import BandedNewton
from symda.solve.boundary import METHODS, BoundaryFactory
from symda.solve.dispatch import NewtonFactory
from symda.solve.ipopt import Ipopt
from symda.solve.judges import judge
from symda.solve.lbfgs import Lbfgs
from symda.solve.minimum import Climb, Climber, Factory, Minimum, Solver, Status
from symda.solve.newton import Newton
from symda.solve.stationary import Judge, Stationarity, settled
from symda.solve.truncated import TruncatedNewton

#: Name -> what makes the solver of (kernels, problem, **options).
SOLVERS: Mapping[str, Factory] = MappingProxyType(
    {
        "ipopt": Ipopt,
        "newton": NewtonFactory(),
        "lbfgs": Lbfgs,
        **{name: BoundaryFactory(name) for name in METHODS},
    }
)

__all__ = [
    "SOLVERS",
    "BandedNewton",
    "Climb",
    "Climber",
    "Ipopt",
    "Judge",
    "Lbfgs",
    "Minimum",
    "Newton",
    "Solver",
    "Stationarity",
    "Status",
    "TruncatedNewton",
    "judge",
    "settled",
]
