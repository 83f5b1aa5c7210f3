"""The functions a model may use, and the safe rate function `exprel`.

`KNOWN` is the one table of functions: a model refuses every other by name, and the translation for
the machine has a rule for each of these.
"""

from __future__ import annotations

import sympy as sp
from sympy import Expr
from sympy.core.function import ArgumentIndexError


class exprel(sp.Function):  # type: ignore[misc]  # noqa: N801  # untyped; SymPy prints this name
    """The relative exponential (exp(x) - 1)/x, with its limit 1 at x = 0.

    Rate functions such as x/(1 - exp(-x)) lose all digits of their second derivative near x = 0
    when written out; 1/exprel(-x) keeps them, everywhere.

    Parameters
    ----------
    x : Expr or number
        The argument.
    """

    nargs = (1,)

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:
        """Return the value where it is known exactly."""
        if x is sp.S.NaN:
            return sp.nan
        if x.is_zero:
            return sp.Integer(1)
        return None

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative, (exp(x) - exprel(x))/x."""
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        x = self.args[0]
        return (sp.exp(x) - self) / x

    def _eval_rewrite_as_exp(self, x: Expr, **_hints: object) -> Expr:
        return (sp.exp(x) - 1) / x

    def _eval_evalf(self, prec: int) -> Expr | None:
        from mpmath import mp, workprec

        x = self.args[0].evalf(sp.core.evalf.prec_to_dps(prec) + 5)
        if not x.is_Float:
            return None
        with workprec(prec + 20):
            argument = x._to_mpmath(prec + 20)
            value = mp.expm1(argument) / argument if argument else mp.one
        return sp.Float._new(value._mpf_, prec)

    def _eval_is_real(self) -> bool | None:
        return True if self.args[0].is_real else None

    def _eval_is_positive(self) -> bool | None:
        return True if self.args[0].is_real else None


KNOWN: tuple[type[sp.Function], ...] = (
    sp.exp,
    sp.log,
    exprel,
    sp.sin,
    sp.cos,
    sp.tan,
    sp.cot,
    sp.sec,
    sp.csc,
    sp.sinc,
    sp.asin,
    sp.acos,
    sp.atan,
    sp.atan2,
    sp.acot,
    sp.asec,
    sp.acsc,
    sp.sinh,
    sp.cosh,
    sp.tanh,
    sp.coth,
    sp.sech,
    sp.csch,
    sp.asinh,
    sp.acosh,
    sp.atanh,
    sp.acoth,
    sp.asech,
    sp.acsch,
    sp.erf,
    sp.erfc,
    sp.Abs,
    sp.sign,
    sp.Heaviside,
    sp.floor,
    sp.ceiling,
    sp.Mod,
    sp.Min,
    sp.Max,
    sp.Piecewise,
)


def known_names() -> str:
    """Return the names of the functions a model may use, as a list to print."""
    return ", ".join(sorted((function.__name__ for function in KNOWN), key=str.lower))
