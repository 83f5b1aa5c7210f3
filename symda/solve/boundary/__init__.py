"""The boundary value problem of the continuous action: Hamilton's equations with jumps at data."""

from symda.solve.boundary.collocation import Collocation
from symda.solve.boundary.continuous import ContinuousData
from symda.solve.boundary.extremal import Ending, Extremal
from symda.solve.boundary.mesh import Inputs, Mesh
from symda.solve.boundary.solver import (
    METHODS,
    Boundary,
    BoundarySolver,
    Method,
    make_method,
)
from symda.solve.boundary.sweeps import Sweeps
from symda.solve.boundary.system import System, check_rate

__all__ = [
    "METHODS",
    "Boundary",
    "BoundarySolver",
    "Collocation",
    "ContinuousData",
    "Ending",
    "Extremal",
    "Inputs",
    "Mesh",
    "Method",
    "Sweeps",
    "System",
    "check_rate",
    "make_method",
]
