"""The boundary value problem of the continuous action: Hamilton's equations with jumps at data."""

from symda.solve.boundary.collocation import Collocation
from symda.solve.boundary.extremal import Ending, Extremal
from symda.solve.boundary.mesh import Inputs, Mesh
from symda.solve.boundary.solver import BoundaryFactory, BoundarySolver, Method
from symda.solve.boundary.system import System, check_rate

__all__ = [
    "BoundaryFactory",
    "BoundarySolver",
    "Collocation",
    "Ending",
    "Extremal",
    "Inputs",
    "Mesh",
    "Method",
    "System",
    "check_rate",
]
