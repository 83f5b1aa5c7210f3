"""The boundary value problem of the continuous action: Hamilton's equations with jumps at data."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from symda.solve.boundary.collocation import Collocation
from symda.solve.boundary.continuous import ContinuousData
from symda.solve.boundary.extremal import Ending, Extremal
from symda.solve.boundary.mesh import Inputs, Mesh
from symda.solve.boundary.solver import BoundaryFactory, BoundarySolver, Method
from symda.solve.boundary.sweeps import Sweeps
from symda.solve.boundary.system import System, check_rate

#: Name -> what makes a method of (system, problem, **options).
METHODS: Mapping[str, Callable[..., Method]] = MappingProxyType(
    {"collocation": Collocation, "bvp": ContinuousData, "sweeps": Sweeps}
)

__all__ = [
    "METHODS",
    "BoundaryFactory",
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
]
