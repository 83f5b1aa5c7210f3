"""Functions of statistics that SymPy does not have, for costs."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy import Expr
from sympy.core.function import ArgumentIndexError


class log1p(sp.Function):  # type: ignore[misc]  # noqa: N801  # as `log_ndtr` below
    """log(1 + z) with all digits where z is small."""

    nargs = (1,)

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative, 1/(1 + z)."""
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        return 1 / (1 + self.args[0])

    def _latex(self, printer: Any) -> str:
        return rf"\log\left(1 + {printer._print(self.args[0])}\right)"

    def _eval_evalf(self, prec: int) -> Expr | None:
        digits = sp.core.evalf.prec_to_dps(prec)
        z = self.args[0].evalf(digits)
        # digits of z that 1 + z leaves behind
        return sp.log(1 + z).evalf(2 * digits + 5) if z.is_Float else None

    def _eval_is_real(self) -> bool | None:
        return True if self.args[0].is_nonnegative else None


class log_rise(sp.Function):  # type: ignore[misc]  # noqa: N801  # as `log_ndtr` below
    """log(k (k + 1) ... (k + y - 1)/k^y), a sum of log(1 + i/k), by k and the count y."""

    nargs = (2,)

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative by k."""
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        k, y = self.args
        return sp.digamma(k + y) - sp.digamma(k) - y / k

    def _latex(self, printer: Any) -> str:
        k, y = (printer._print(one) for one in self.args)
        over = rf"{k}^{{{y}}} \Gamma\left({k}\right)"
        return rf"\log \frac{{\Gamma\left({k} + {y}\right)}}{{{over}}}"

    def _eval_evalf(self, prec: int) -> Expr | None:
        digits = 2 * sp.core.evalf.prec_to_dps(prec) + 5
        k, y = (one.evalf(digits) for one in self.args)
        if not (k.is_Float and y.is_Float):
            return None
        return (sp.loggamma(k + y) - sp.loggamma(k) - y * sp.log(k)).evalf(digits)

    def _eval_is_real(self) -> bool | None:
        return True if all(one.is_positive for one in self.args) else None


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
