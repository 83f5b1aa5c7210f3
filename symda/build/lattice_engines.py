"""Two engines for the model term of a large lattice: compiled loops, and CasADi."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from symda.build.engines import addresses
from symda.build.load import load
from symda.types import FloatArray

if TYPE_CHECKING:
    import casadi as ca


class CompiledLattice:
    """The emitted module."""

    kind = "compiled"

    def __init__(self, library: Path) -> None:
        self.library = library
        self._module = load(library)

    def action(self, X: FloatArray, theta: FloatArray, steps: FloatArray, rf: FloatArray) -> float:
        """Return the model term."""
        return float(self._module.action(*addresses(X, theta, steps, rf), len(steps)))

    def gradient(
        self, X: FloatArray, theta: FloatArray, steps: FloatArray, rf: FloatArray, out: FloatArray
    ) -> float:
        """Return the model term and add its gradient to `out`."""
        at = addresses(X, theta, steps, rf)
        return float(self._module.gradient(*at, len(steps), *addresses(out)))

    def product(
        self,
        X: FloatArray,
        theta: FloatArray,
        V: FloatArray,
        v: FloatArray,
        steps: FloatArray,
        rf: FloatArray,
        out: FloatArray,
        *,
        exact: bool,
    ) -> None:
        """Add its Hessian, or Gauss-Newton's, times (V, v) to `out`."""
        at = addresses(X, theta, V, v, steps, rf)
        self._module.product(*at, len(steps), *addresses(out), exact)

    def tangents(
        self, w: FloatArray, theta: FloatArray, step: FloatArray, directions: FloatArray
    ) -> FloatArray:
        """Differentiate the residual of a step along directions (C, E + D); return (C, E)."""
        out = np.empty((len(directions), self._module.sizes()[2]))
        at = addresses(w, theta, step, directions)
        self._module.tangents(*at, len(directions), *addresses(out))
        return out

    def residual(self, X: FloatArray, theta: FloatArray, steps: FloatArray) -> FloatArray:
        """(N, E)."""
        out = np.empty((len(steps), self._module.sizes()[2]))
        self._module.residuals(*addresses(X, theta, steps), len(steps), *addresses(out))
        return out


class VirtualLattice:
    """CasADi's interpreter, step by step; slower, no compiler needed.

    Parameters
    ----------
    functions : mapping of name to casadi.Function
        See `symda.derive.lattice.derive_lattice_step`.
    """

    kind = "virtual machine"

    def __init__(self, functions: Mapping[str, ca.Function]) -> None:
        self.functions = functions

    def action(self, X: FloatArray, theta: FloatArray, steps: FloatArray, rf: FloatArray) -> float:
        """Return the model term."""
        r = self.residual(X, theta, steps)
        weights = steps[:, 2:3] * np.tile(rf, r.shape[1] // len(rf))
        return float(0.5 * np.sum(weights * r * r))

    def gradient(
        self, X: FloatArray, theta: FloatArray, steps: FloatArray, rf: FloatArray, out: FloatArray
    ) -> float:
        """Return the model term and add its gradient to `out`."""
        total = 0.0
        for at, window, step in self._windows(X, steps):
            value, g = self.functions["step_gradient"](window, theta, step, rf)
            self._add(out, at, g)
            total += float(value)
        return total

    def product(
        self,
        X: FloatArray,
        theta: FloatArray,
        V: FloatArray,
        v: FloatArray,
        steps: FloatArray,
        rf: FloatArray,
        out: FloatArray,
        *,
        exact: bool,
    ) -> None:
        """Add its Hessian, or Gauss-Newton's, times (V, v) to `out`."""
        product = self.functions["step_product" if exact else "step_gauss_newton"]
        for at, window, step in self._windows(X, steps):
            direction = V.reshape(-1)[at : at + len(window)]
            column = product(window, theta, step, rf, direction, v)
            self._add(out, at, column)

    def tangents(
        self, w: FloatArray, theta: FloatArray, step: FloatArray, directions: FloatArray
    ) -> FloatArray:
        """Differentiate the residual of a step along directions (C, E + D); return (C, E)."""
        rows = [self.functions["step_tangent"](w, theta, step, one) for one in directions]
        return np.array([np.asarray(row.full()).reshape(-1) for row in rows])

    def residual(self, X: FloatArray, theta: FloatArray, steps: FloatArray) -> FloatArray:
        """(N, E)."""
        rows = [
            np.asarray(self.functions["step_residual"](window, theta, step).full()).reshape(-1)
            for _, window, step in self._windows(X, steps)
        ]
        return np.array(rows).reshape(len(steps), self.functions["step_residual"].size1_out(0))

    def _windows(
        self, X: FloatArray, steps: FloatArray
    ) -> list[tuple[int, FloatArray, FloatArray]]:
        flat, D = X.reshape(-1), X.shape[1]
        E = self.functions["step_residual"].size1_out(0)
        return [(n * E, flat[n * E : n * E + E + D], step) for n, step in enumerate(steps)]

    def _add(self, out: FloatArray, at: int, g: ca.DM) -> None:
        values = np.asarray(g.full()).reshape(-1)
        P = self.functions["step_residual"].size1_in(1)
        window = values.size - P
        out[at : at + window] += values[:window]
        out[out.size - P :] += values[window:]


#: Evaluates the model term of a whole path. Arrays are C-contiguous float64: `X` and `V` (M, D),
#: `theta` and `v` (P,), `steps` (N, 3 + S U), `rf` (D,), `out` (M D + P,).
LatticeEngine: TypeAlias = CompiledLattice | VirtualLattice
