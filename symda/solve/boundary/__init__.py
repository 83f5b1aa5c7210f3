"""The boundary value problem of the continuous action: Hamilton's equations with jumps at data."""

from symda.solve.boundary.collocation import Collocation
from symda.solve.boundary.continuous import ContinuousData
from symda.solve.boundary.extremal import Extremal, Outcome
from symda.solve.boundary.functions import FieldFunctions, check_independent, check_rate
from symda.solve.boundary.mesh import Inputs, Mesh
from symda.solve.boundary.solver import (
    METHODS,
    Boundary,
    BoundarySolver,
    make_method,
)
from symda.solve.boundary.sweeps import Sweeps
from symda.solve.boundary.units import BoundaryMethod

__all__ = [
    "METHODS",
    "Boundary",
    "BoundaryMethod",
    "BoundarySolver",
    "Collocation",
    "ContinuousData",
    "Extremal",
    "FieldFunctions",
    "Inputs",
    "Mesh",
    "Outcome",
    "Sweeps",
    "check_independent",
    "check_rate",
    "make_method",
]
