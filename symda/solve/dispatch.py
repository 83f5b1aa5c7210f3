"""`solver="newton"`: which of its forms takes a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symda.build.lattice import LatticeKernels
from symda.solve.banded import BandedNewton
from symda.solve.minimum import Solver
from symda.solve.newton import Newton, alone
from symda.solve.truncated import TruncatedNewton

if TYPE_CHECKING:
    from symda.build.kernels import Kernels
    from symda.observe import Problem


class NewtonFactory:
    """Makes the Newton solver that suits the kernels.

    Compiled code with a path in each vector lane, where there is a compiler and the blocks are not
    too large; NumPy and LAPACK's banded Cholesky elsewhere; conjugate gradients where the kernels
    are matrix-free.
    """

    #: Runs on the structured module of the kernels where it can be built, see `Kernels.payload`.
    structured = True

    def __call__(self, kernels: Kernels, problem: Problem, **options: object) -> Solver:
        """Make the solver.

        Parameters
        ----------
        kernels : Kernels
            What evaluates the action.
        problem : Problem
            Data and bounds.
        **options
            See `symda.solve.options.NewtonOptions`.

        Raises
        ------
        OptionError
            If an option is unknown or out of range.
        """
        if isinstance(kernels, LatticeKernels):
            return TruncatedNewton(kernels, problem, **options)
        if (kernels.newton_alone if alone(problem) else kernels.newton) is None:
            return BandedNewton(kernels, problem, **options)
        return Newton(kernels, problem, **options)
