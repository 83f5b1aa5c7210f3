"""`solver="newton"`: its options, and which of its forms takes a problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from symda.build.abstract import Kernels
from symda.build.kernels import BlockKernels
from symda.solve.banded import BandedNewton
from symda.solve.lanes import NewtonLanes
from symda.solve.minimum import Minimiser
from symda.solve.options import (
    NewtonOptions,
)
from symda.solve.solver import Capability, Solver
from symda.solve.truncated import TruncatedNewton

if TYPE_CHECKING:
    from symda.build.lattice import LatticeKernels
    from symda.observe import Problem


@dataclass(frozen=True)
class Newton(NewtonOptions, Solver):
    """Damped Newton steps with second derivatives, in the form that suits the kernels.

    Compiled code with a path in each vector lane, where there is a compiler and the blocks are not
    too large; NumPy and LAPACK's banded Cholesky elsewhere; conjugate gradients on products where
    there is no Hessian.
    """

    name: ClassVar[str] = "newton"
    capability: ClassVar[Capability] = Capability(
        needs=frozenset({"product"}), wants=frozenset({"lanes"}), limit_in_windows=("max_iter", 60)
    )

    def at(self, kernels: Kernels, problem: Problem) -> Minimiser:
        """Return what minimises the action of one problem."""
        if not isinstance(kernels, BlockKernels):
            return TruncatedNewton(cast("LatticeKernels", kernels), problem, self)
        library = kernels.structured(problem)
        if library is None:
            return BandedNewton(kernels, problem, self)
        return NewtonLanes(kernels, problem, self, library)
