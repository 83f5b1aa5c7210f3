"""Solve: one protocol, one record, a registry. To add a solver, add its file and its line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from symda.solve.ipopt import Ipopt
from symda.solve.lbfgs import Lbfgs
from symda.solve.minimum import Factory, Minimum, Solver, Status

#: Name -> what makes the solver of (kernels, problem, **options).
SOLVERS: Mapping[str, Factory] = MappingProxyType({"ipopt": Ipopt, "lbfgs": Lbfgs})

__all__ = ["SOLVERS", "Ipopt", "Lbfgs", "Minimum", "Solver", "Status"]
