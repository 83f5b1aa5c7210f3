"""SymPy expressions -> CasADi SX, with derivatives that stay finite and exact.

Some things are not translated as they are written, since infinity times zero is nan:

- Rate functions with a removable singularity become `exprel` (see `symda.derive.rates`), other
  quotients and logarithms with a limit get it (`removable`).
- Sums of exponentials are scaled by their largest (`exponentials`, `saturated`).
- x**n with a free n has its limit at x = 0 as a case of its own, and what is singular in a maximum
  or another function with cases becomes a case for each (`pieces`).
- Inside a case of a Piecewise every operation that could be singular gets a harmless argument while
  the case is not selected. CasADi leaves out the derivative of a case that is not selected, but not
  of an operation that several cases share, which common subexpression elimination brings about.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import reduce
from math import factorial, nan
from typing import TYPE_CHECKING

import sympy as sp
from sympy import Basic, Expr, Symbol
from sympy.core.relational import Relational

from symda.declare import Declaration, State, exprel, known_names, log1p, log_ndtr, log_rise
from symda.derive import special
from symda.derive.exponentials import exponential_logarithm, exponential_product
from symda.derive.pieces import by_cases, has_tiny, may_vanish, switched
from symda.derive.rates import safe_rates
from symda.derive.removable import with_limits
from symda.derive.saturated import write_logarithm, write_product
from symda.errors import ModelError

if TYPE_CHECKING:
    import casadi as ca

#: CasADi's name of a function that is smooth, or at least finite, everywhere.
_PLAIN: dict[type, str] = {
    sp.Abs: "fabs",
    sp.asinh: "asinh",
    sp.atan: "atan",
    sp.ceiling: "ceil",
    sp.cos: "cos",
    sp.erf: "erf",
    sp.floor: "floor",
    sp.sign: "sign",
    sp.sin: "sin",
    sp.tan: "tan",
    sp.tanh: "tanh",
}

#: CasADi's name of a function that has singularities or overflows, and an argument where it is
#: finite together with its derivatives. The argument is not 0 where the function is: CasADi would
#: move the guard outside.
_SINGULAR: dict[type, tuple[str, float]] = {
    sp.acos: ("acos", 0.5),
    sp.acosh: ("acosh", 2.0),
    sp.asin: ("asin", 0.5),
    sp.atanh: ("atanh", 0.5),
    sp.cosh: ("cosh", 0.5),
    sp.exp: ("exp", 0.0),
    sp.log: ("log", 1.0),
    sp.sinh: ("sinh", 0.5),
}

#: Functions with an infinite slope at a finite value, which a case may hold constant.
_STEEP = (sp.acos, sp.acosh, sp.asin)

#: exp of less is 0.
_LEAST_EXPONENT = -746.0

#: Functions that are others written shortly.
_WRITTEN_OUT: dict[type, Callable[..., Expr]] = {
    # atan2 keeps all digits for large x and is smooth on either side of the jump at 0.
    sp.acot: lambda x: sp.Piecewise((sp.atan2(1, x), x >= 0), (-sp.atan2(1, -x), True)),
    sp.acoth: lambda x: sp.atanh(1 / x),
    sp.acsc: lambda x: sp.asin(1 / x),
    sp.acsch: lambda x: sp.asinh(1 / x),
    sp.asec: lambda x: sp.acos(1 / x),
    sp.asech: lambda x: sp.acosh(1 / x),
    sp.cot: lambda x: 1 / sp.tan(x),
    sp.coth: lambda x: 1 / sp.tanh(x),
    sp.csc: lambda x: 1 / sp.sin(x),
    sp.csch: lambda x: 1 / sp.sinh(x),
    # To rounding of 1, not of its small values: CasADi has no erfc.
    sp.erfc: lambda x: 1 - sp.erf(x),
    sp.Heaviside: lambda x, middle: sp.Piecewise((0, x < 0), (middle, sp.Eq(x, 0)), (1, True)),
    sp.sec: lambda x: 1 / sp.cos(x),
    sp.sech: lambda x: 1 / sp.cosh(x),
}


def to_casadi(
    expressions: Sequence[Expr],
    symbols: Mapping[Symbol, ca.SX],
    declarations: Mapping[Symbol, Declaration] | None = None,
) -> list[ca.SX]:
    """Translate SymPy expressions to CasADi SX.

    Parameters
    ----------
    expressions : sequence of Expr
        Right-hand sides, already checked by a model.
    symbols : mapping of Symbol to SX
        A scalar SX for each symbol that appears.
    declarations : mapping of Symbol to Declaration, optional
        Those whose bounds lie above 0, or whose logarithm solvers move, are positive.

    Returns
    -------
    list of SX
        One scalar for each expression. Equal subexpressions are translated once.

    Raises
    ------
    ModelError
        If a symbol has no SX, or for a function that is not known.
    """
    declared = (declarations or {}).items()
    positive = {s for s, one in declared if one.bounds[0] > 0.0 or one.scale == "log"}
    translate = _Translator(symbols, positive)
    return [translate(with_limits(safe_rates(expression))) for expression in expressions]


class _Translator:
    """Translates one expression after the other, all under the same guard.

    Parameters
    ----------
    positive : collection of Symbol
        Those that are larger than 0, by their bounds.
    selected : SX, optional
        Whether the case of a Piecewise being translated is selected; None outside any.
    """

    def __init__(
        self,
        symbols: Mapping[Symbol, ca.SX],
        positive: Collection[Symbol],
        selected: ca.SX | None = None,
    ) -> None:
        self.symbols: dict[Symbol, ca.SX] = dict(symbols)
        self.positive = positive
        self.selected = selected
        self.done: dict[Basic, ca.SX] = {}

    def __call__(self, node: Basic) -> ca.SX:
        if node not in self.done:
            self.done[node] = self._translate(node)
        return self.done[node]

    def _translate(self, node: Basic) -> ca.SX:
        import casadi as ca

        kind = type(node)
        if isinstance(node, Symbol):
            if node not in self.symbols:
                raise ModelError(f"to_casadi: no SX was given for the symbol {node.name!r}.")
            return self.symbols[node]
        if isinstance(node, sp.Number | sp.NumberSymbol):
            return ca.SX(float(node))
        if kind in _PLAIN:
            plain: Callable[[ca.SX], ca.SX] = getattr(ca, _PLAIN[kind])
            return plain(self(node.args[0]))
        if kind is sp.exp and _may_fall(node.args[0]):
            return self._fallen(node.args[0])
        if kind is sp.log:
            product = exponential_logarithm(node.args[0])
            if product is not None:
                return write_logarithm(product, self)
        if kind in _STEEP or (kind is sp.log and has_tiny(node.args[0])):
            cases = by_cases(node, node.args[0])
            if cases is not None:
                return self(cases)
        if kind in _SINGULAR:
            name, safe = _SINGULAR[kind]
            singular: Callable[[ca.SX], ca.SX] = getattr(ca, name)
            return singular(self.guard(self(node.args[0]), safe))
        if kind in _WRITTEN_OUT:
            return self(_WRITTEN_OUT[kind](*node.args))
        if kind in _SPECIAL:
            return _SPECIAL[kind](self, node)
        raise ModelError(
            f"{kind.__name__} is not a function that symda can compile. Known are: {known_names()}."
        )

    def guard(self, argument: ca.SX, safe: float) -> ca.SX:
        """Return the argument where this case is selected, and a harmless one elsewhere."""
        import casadi as ca

        if self.selected is None or argument.is_constant():
            return argument
        return ca.if_else(self.selected, argument, safe)

    def _under(self, selected: ca.SX | None) -> _Translator:
        return _Translator(self.symbols, self.positive, _both(self.selected, selected))

    def _sum(self, node: Expr) -> ca.SX:
        return reduce(lambda total, term: total + term, map(self, node.args))

    def _product(self, node: Expr) -> ca.SX:
        import casadi as ca

        switch = switched(node)
        if switch is not None and _has_singular(node / switch):
            # 0 times what is not finite where the switch is off.
            cases = by_cases(node, switch)
            if cases is not None:
                return self(cases)
        product = exponential_product(node)
        if product is not None:
            return write_product(product, self)
        above: list[ca.SX] = []
        below: list[ca.SX] = []
        for factor in node.args:
            # Roots and whole powers below the line: one division rounds less than two.
            half = factor.is_Pow and factor.exp.is_negative and (2 * factor.exp).is_integer
            if half and not isinstance(factor.base, exprel):
                below.append(self._power_of(factor.base, -factor.exp))
            else:
                above.append(self(factor))
        top = reduce(lambda product, factor: product * factor, above, ca.SX(1.0))
        bottom = reduce(lambda product, factor: product * factor, below, ca.SX(1.0))
        return top / self.guard(bottom, 1.0)

    def _power(self, node: Expr) -> ca.SX:
        product = exponential_product(node)
        if product is not None:
            return write_product(product, self)
        return self._power_of(node.base, node.exp)

    def _power_of(self, base: Expr, exponent: Expr) -> ca.SX:
        free = bool(exponent.free_symbols)
        if isinstance(base, exprel) and exponent.is_Integer and exponent < 0:
            return _whole_power(self._bernoulli(base.args[0]), -int(exponent))
        steep = may_vanish(base) if free or not exponent.is_integer else has_tiny(base)
        if steep:
            cases = by_cases(sp.Pow(base, exponent), base)
            if cases is not None:
                return self(cases)
            base = self._one_sided(base)
        value = self(base)
        if base.is_zero and free:
            return value ** _class_of(self(exponent))
        if base.is_Number and free:
            return value ** self.guard(self(exponent), 0.0)
        if free and not (base in self.positive or base.is_positive):
            return self._free_power(value, self(exponent))
        return self.raised(value, exponent)

    def raised(self, value: ca.SX, exponent: Expr) -> ca.SX:
        """Return a power of a value that is not 0, or with a number as exponent."""
        import casadi as ca

        if exponent.free_symbols:
            return self.guard(value, 1.0) ** self(exponent)
        number = float(exponent)
        if number < 0.0 and (2.0 * number).is_integer():
            return 1.0 / self.guard(self.raised(value, -exponent), 1.0)
        if number.is_integer():
            return _whole_power(value, int(number))
        if number == 0.5:
            return ca.sqrt(self.guard(value, 1.0))
        return self.guard(value, 1.0) ** number

    def _free_power(self, value: ca.SX, exponent: ca.SX) -> ca.SX:
        """Return value**exponent with the limits of its derivatives at value = 0.

        There x**n and its derivatives by x are 0 or infinite, all but the first at n = 1 and the
        second at n = 2, and those by n are 0: log(x) has no part in them. The one limit that is
        left out is d2/dxdn at n <= 1, minus infinity; it is 0 here.
        """
        import casadi as ca

        zero, linear = value == 0.0, exponent == 1.0
        here = zero if self.selected is None else ca.logic_and(self.selected, zero)
        base = ca.if_else(here, value, 1.0)
        # The second derivative of x**1 is 0 times infinity, that of x**3 + x is 0.
        at_zero = base ** (_class_of(exponent) + 2.0 * linear) + linear * base
        other = zero if self.selected is None else ca.logic_or(zero, ca.logic_not(self.selected))
        away = ca.if_else(other, 1.0, value) ** exponent
        return ca.if_else(zero, at_zero, away)

    def _one_sided(self, base: Expr) -> Expr:
        """Write each |a| as a times its sign, 1 or -1: its slope at 0 is not 0, as sign(a) is."""
        import casadi as ca

        signs: dict[Expr, Expr] = {}
        for size in base.atoms(sp.Abs):
            sign = sp.Dummy("sign", real=True)
            self.symbols[sign] = ca.copysign(1.0, self(size.args[0]))
            signs[size] = sign * size.args[0]
        return base.xreplace(signs)

    def _fallen(self, argument: Expr) -> ca.SX:
        """Return exp of an argument that may go to minus infinity, by an infinite slope."""
        import casadi as ca

        gone = self(argument) <= _LEAST_EXPONENT
        inner = self._under(ca.logic_not(gone))
        return ca.if_else(gone, 0.0, ca.exp(inner.guard(inner(argument), 0.0)))

    def _bernoulli(self, argument: Expr) -> ca.SX:
        """Return 1/exprel(x) = x/(exp(x) - 1)."""
        import casadi as ca

        def far(x: ca.SX) -> ca.SX:
            sign = 1.0 - 2.0 * (x < 0.0)
            size = sign * x
            return ca.if_else(x < 0.0, size, 0.0) - size * ca.exp(-size) / ca.expm1(-size)

        return special.by_series(
            self(argument),
            lambda x: 1.0 / special.horner(x, [1.0 / factorial(k + 1) for k in range(21)]),
            far,
        )

    def _exprel(self, node: Expr) -> ca.SX:
        import casadi as ca

        return special.by_series(
            self.guard(self(node.args[0]), 0.5),
            lambda x: special.horner(x, [1.0 / factorial(k + 1) for k in range(21)]),
            lambda x: ca.expm1(x) / x,
        )

    def _sinc(self, node: Expr) -> ca.SX:
        import casadi as ca

        return special.by_series(
            self(node.args[0]),
            lambda x: special.horner(
                x * x, [(-1.0) ** k / factorial(2 * k + 1) for k in range(11)]
            ),
            lambda x: ca.sin(x) / x,
        )

    def _atan2(self, node: Expr) -> ca.SX:
        import casadi as ca

        y, x = (self(argument) for argument in node.args)
        # Its only singular point is the origin.
        return ca.atan2(y, x if y.is_constant() and not y.is_zero() else self.guard(x, 1.0))

    def _modulo(self, node: Expr) -> ca.SX:
        """Return the remainder with the sign of the divisor, as in Python; C takes the other."""
        import casadi as ca

        dividend, divisor = (self(argument) for argument in node.args)
        divisor = self.guard(divisor, 1.0)
        remainder = ca.fmod(dividend, divisor)
        return remainder + ca.if_else(remainder * divisor < 0.0, divisor, 0.0)

    def _extremum(self, node: Expr) -> ca.SX:
        least = isinstance(node, sp.Min)
        if not any(_has_singular(argument) for argument in node.args):
            return self._compared(node)
        # The one not taken may be infinite, so each is translated as a case. They were compared
        # when the extremum was made; comparing the rest again takes SymPy long.
        first, *others = node.args
        rest = node.func(*others, evaluate=False)
        holds = (sp.Le if least else sp.Ge)(first, rest, evaluate=False)
        other = (sp.Gt if least else sp.Lt)(first, rest, evaluate=False)
        # neither holds where one of them has no value; then there is no extremum
        return self(sp.Piecewise((first, holds), (rest, other), (sp.nan, True), evaluate=False))

    def _compared(self, node: Expr) -> ca.SX:
        """Return a side of a comparison: no slope is taken of an extremum, so it needs no cases."""
        import casadi as ca

        if not isinstance(node, sp.Max | sp.Min):
            return self(node)
        least = isinstance(node, sp.Min)
        if not any(_has_singular(argument) for argument in node.args):
            return reduce(ca.fmin if least else ca.fmax, map(self, node.args))

        def taken(a: ca.SX, b: ca.SX) -> ca.SX:
            # C's fmax gives the other argument where one has no value
            first, second = (a <= b, a > b) if least else (a >= b, a < b)
            return ca.if_else(first, a, ca.if_else(second, b, nan))

        return reduce(taken, map(self, node.args))

    def _piecewise(self, node: Expr) -> ca.SX:
        import casadi as ca

        total = ca.SX(0.0)
        remaining: ca.SX | None = None
        for case, condition in node.args:
            holds = None if condition is sp.true else self._condition(condition)
            selected = _both(remaining, holds)
            value = self._under(selected)(case)
            total += value if selected is None else ca.if_else(selected, value, 0.0)
            if holds is not None:
                remaining = _both(remaining, ca.logic_not(holds))
        return total

    def _condition(self, node: Basic) -> ca.SX:
        import casadi as ca

        if node in (sp.true, sp.false):
            return ca.SX(1.0 if node is sp.true else 0.0)
        if isinstance(node, Relational):
            left, right = self._compared(node.lhs), self._compared(node.rhs)
            return _RELATIONS[node.rel_op](left, right)
        parts = [self._condition(part) for part in node.args]
        if isinstance(node, sp.And):
            return reduce(ca.logic_and, parts)
        if isinstance(node, sp.Or):
            return reduce(ca.logic_or, parts)
        if isinstance(node, sp.Not):
            return ca.logic_not(parts[0])
        if isinstance(node, sp.ITE):
            test, yes, no = parts
            return ca.logic_or(ca.logic_and(test, yes), ca.logic_and(ca.logic_not(test), no))
        raise ModelError(
            f"The condition {node} of a Piecewise is not a comparison, And, Or, Not or ITE."
        )


_RELATIONS: dict[str, Callable[[ca.SX, ca.SX], ca.SX]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
}

_SPECIAL: dict[type, Callable[[_Translator, Expr], ca.SX]] = {
    sp.Add: _Translator._sum,
    sp.Mul: _Translator._product,
    sp.Pow: _Translator._power,
    sp.Max: _Translator._extremum,
    sp.Min: _Translator._extremum,
    sp.Mod: _Translator._modulo,
    sp.Piecewise: _Translator._piecewise,
    sp.atan2: _Translator._atan2,
    exprel: _Translator._exprel,
    sp.sinc: _Translator._sinc,
    sp.loggamma: lambda translate, node: special.log_gamma(
        translate.guard(translate(node.args[0]), 1.0)
    ),
    log1p: lambda translate, node: special.log1p(translate.guard(translate(node.args[0]), 0.0)),
    log_rise: lambda translate, node: special.log_rise(
        translate.guard(translate(node.args[0]), 1.0), translate(node.args[1])
    ),
    log_ndtr: lambda translate, node: special.log_ndtr(translate(node.args[0])),
}


def _both(first: ca.SX | None, second: ca.SX | None) -> ca.SX | None:
    """Return whether both conditions hold; None always holds."""
    import casadi as ca

    if first is None or second is None:
        return second if first is None else first
    return ca.logic_and(first, second)


def _has_singular(expression: Expr) -> bool:
    """Tell whether an expression may be infinite, or have an infinite derivative."""
    if any(not (power.exp.is_Integer and power.exp > 0) for power in expression.atoms(sp.Pow)):
        return True
    smooth = {*_PLAIN, sp.Max, sp.Min, sp.sinc}
    return any(type(call) not in smooth for call in expression.atoms(sp.Function))


def _class_of(exponent: ca.SX) -> ca.SX:
    """Return an exponent with which x**n has the same value and slopes at x = 0; it has no slope.

    Whole numbers are themselves, all others half-way between two.
    """
    import casadi as ca

    return 0.5 * (ca.floor(exponent) + ca.ceil(exponent))


def _may_fall(argument: Expr) -> bool:
    """Tell whether an argument of exp may be infinite where a state is finite or merely large."""
    calls = argument.atoms(sp.exp, sp.cosh, sp.sinh, sp.log, sp.Pow)
    return any(
        call.atoms(State)
        for call in calls
        if not call.is_Pow or not (call.exp.is_number and call.exp > 0)
    )


def _whole_power(value: ca.SX, exponent: int) -> ca.SX:
    """Return value**exponent, exponent >= 1, by repeated squaring."""
    if exponent == 1:
        return value
    half = _whole_power(value, exponent // 2)
    return half * half * value if exponent % 2 else half * half
