"""Newton's method for an implicit step, in Python: for starts and for back-propagation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from symda.build.kernels import BlockKernels
    from symda.observe import Problem


class ImplicitStep:
    """The Jacobian of a step, dense, and the iterations that end where the residual vanishes.

    Parameters
    ----------
    kernels : BlockKernels
        What evaluates residual and Jacobian.
    moving : (D,) of bool
        The states that a step determines; the others stay as they are.
    """

    def __init__(self, kernels: BlockKernels, problem: Problem, moving: BoolArray) -> None:
        self._engine, self._problem = kernels.engine, problem
        #: what a step determines: rows of its residual, and columns behind x_n
        self.solved = np.flatnonzero(np.tile(moving, 1 + problem.interior))
        triplet = kernels.functions["step_jacobian"].sparsity_out(0).get_triplet()
        self._rows, self._columns = (np.asarray(part, dtype=np.int64) for part in triplet)

    def dense(self, nonzeros: FloatArray) -> FloatArray:
        """Jacobian of a step from its nonzeros, (E, E + D + P)."""
        p = self._problem
        J = np.zeros((p.E, p.E + p.D + p.P))
        J[self._rows, self._columns] = nonzeros
        return J

    def square(self, J: FloatArray) -> FloatArray:
        """Part of a dense Jacobian by what the step determines."""
        return J[np.ix_(self.solved, self._problem.D + self.solved)]

    def newton(
        self, window: FloatArray, theta: FloatArray, data: FloatArray
    ) -> Iterator[FloatArray]:
        """Move the points behind x_n in `window` (2 + I, D), in place and without an end.

        Yields
        ------
        (solved,)
            Newton's change, already made.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the Jacobian is singular.
        """
        ends = window[1:].reshape(-1)
        while True:
            r = self._engine.step_residual(window, theta, data)[0][self.solved]
            J = self.square(self.dense(self._engine.step_jacobian(window, theta, data)[0]))
            change = np.linalg.solve(J, r)
            ends[self.solved] -= change
            yield change
