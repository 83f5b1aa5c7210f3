"""Functions of statistics that SymPy does not have, for costs."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy import Expr
from sympy.core.function import ArgumentIndexError


class log_ndtr(sp.Function):  # type: ignore[misc]  # noqa: N801  # untyped; SymPy prints this name
    """The logarithm of the Gaussian's cumulative distribution, log((1 + erf(z/sqrt(2)))/2)."""

    nargs = (1,)

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative, the density over the distribution."""
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        z = self.args[0]
        return sp.exp(-(z**2) / 2 - self) / sp.sqrt(2 * sp.pi)

    def _latex(self, printer: Any) -> str:  # SymPy's printers are untyped
        return rf"\log \Phi\left({printer._print(self.args[0])}\right)"

    def _eval_evalf(self, prec: int) -> Expr | None:
        z = self.args[0].evalf(sp.core.evalf.prec_to_dps(prec) + 5)
        if not z.is_Float:
            return None
        return sp.log(sp.erfc(-z / sp.sqrt(2)) / 2).evalf(sp.core.evalf.prec_to_dps(prec) + 5)

    def _eval_is_real(self) -> bool | None:
        return True if self.args[0].is_real else None
