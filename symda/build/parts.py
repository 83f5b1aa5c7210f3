"""What kernels may provide, and solvers may need."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: What kernels may provide and solvers need -> what it is.
PARTS: Mapping[str, str] = MappingProxyType(
    {
        "gradient": "the action and its gradient",
        "product": "products with the Hessian",
        "hessian": "the Hessian, and the Jacobian of what the action is the sum of squares of",
        "steps": "functions of single steps for CasADi",
        "field": "F and h themselves, in continuous time",
        "lanes": "the structured solver, compiled",
    }
)
