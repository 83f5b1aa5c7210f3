"""Choice of the judge that tells the minima of a problem from other points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symda.build.kernels import has_matrices
from symda.solve.stationary import BandedJudge, Judge
from symda.solve.truncated import TruncatedJudge

if TYPE_CHECKING:
    from symda.build.abstract import Evaluator

#: Numbers in the Hessians of all steps up to which there is a matrix: a gigabyte or two.
LARGEST = 50_000_000


def judge(evaluator: Evaluator) -> Judge | None:
    """Make the judge of a problem, by whatever derivatives its kernels have.

    None for a window so long that its Hessian would take the memory which solvers do without.
    """
    if not has_matrices(evaluator):
        return TruncatedJudge(evaluator)
    p = evaluator.problem
    width = p.E + p.D + len(p.kernel_parameters)
    return BandedJudge(evaluator) if p.N * width**2 <= LARGEST else None
