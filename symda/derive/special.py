"""Functions of statistics, and series, as CasADi expressions, for values and two derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import casadi as ca

#: Stirling's series is taken of arguments that were raised by so many first.
RAISED = 8
#: Bernoulli's numbers B_2k/(2k (2k - 1)), k = 1 .. 8.
STIRLING = (
    1 / 12,
    -1 / 360,
    1 / 1260,
    -1 / 1680,
    1 / 1188,
    -691 / 360360,
    1 / 156,
    -3617 / 122400,
)
#: Below it a tail is taken from `_mills`.
TAIL = -1.0
#: Points of the sum in `_mills`, and how far apart.
POINTS, APART = 13, 0.5


def log_gamma(x: ca.SX) -> ca.SX:
    """Return the logarithm of the gamma function of a positive number.

    Stirling's series at x + 8, and the recurrence down to x; to some 1e-15 of the larger of itself
    and 10.
    """
    import casadi as ca

    product = ca.SX(1.0)
    for k in range(RAISED):
        product *= x + float(k)
    z = x + float(RAISED)
    square, power, series = z * z, z, ca.SX(0.0)
    for coefficient in STIRLING:
        series += coefficient / power
        power *= square
    return (z - 0.5) * ca.log(z) - z + 0.5 * math.log(2.0 * math.pi) + series - ca.log(product)


def log1p(z: ca.SX) -> ca.SX:
    """Return log(1 + z) with all digits."""
    import casadi as ca

    return ca.log1p(z)


def log_rise(k: ca.SX, y: ca.SX) -> ca.SX:
    """Return log(Gamma(k + y)/(Gamma(k) k^y)) of k > 0 and y >= 0, with all digits of a large k.

    The difference of Stirling's series at k + y + 8 and k + 8, and the recurrence down.
    """
    import casadi as ca

    z = k + float(RAISED)
    total = (z - 0.5) * ca.log1p(y / z) - y + y * ca.log1p((y + float(RAISED)) / k)
    for sign, at in ((1.0, z + y), (-1.0, z)):
        square, power = at * at, at
        for coefficient in STIRLING:
            total += sign * coefficient / power
            power *= square
    for j in range(RAISED):
        total -= ca.log1p(y / (k + float(j)))
    return total


def log_ndtr(z: ca.SX) -> ca.SX:
    """Return the logarithm of the Gaussian's cumulative distribution, with all digits of a tail."""
    import casadi as ca

    tail = z < TAIL
    # each case has a harmless argument while the other is taken
    middle = ca.if_else(tail, 0.0, z)
    far = ca.if_else(tail, -z, 1.0) / math.sqrt(2.0)
    near = ca.log(0.5 + 0.5 * ca.erf(middle / math.sqrt(2.0)))
    return ca.if_else(tail, ca.log(0.5 * _mills(far)) - far * far, near)


def _mills(x: ca.SX) -> ca.SX:
    """Return exp(x^2) erfc(x) for x > 0.6, by the trapezoidal rule and its correction.

    References
    ----------
    C. Chiarella and A. Reichel, On the evaluation of integrals related to the error function,
    Math. Comp. 22 (1968) 137.
    """
    import casadi as ca

    total = 0.5 / (x * x)
    for n in range(1, POINTS):
        t = (n * APART) ** 2
        total += math.exp(-t) / (t + x * x)
    ratio = 2.0 * APART / math.pi * x * total
    # beyond pi/APART the poles lie outside the strip, and there is no correction
    near = x < math.pi / APART
    at = ca.if_else(near, x, 1.0)
    correction = 2.0 * ca.exp(at * at) / ca.expm1(2.0 * math.pi / APART * at)
    return ratio - ca.if_else(near, correction, 0.0)


def by_series(
    x: ca.SX, series: Callable[[ca.SX], ca.SX], formula: Callable[[ca.SX], ca.SX]
) -> ca.SX:
    """Take the series for |x| < 1 and the formula elsewhere, each with a harmless argument else.

    The formula cancels near zero, the more the higher the derivative; the series does not.
    """
    import casadi as ca

    small = ca.fabs(x) < 1.0
    # A product, because CasADi would move an if_else with zero out through every term.
    near = series(small * x)
    far = formula(ca.if_else(small, 1.0, x))
    return ca.if_else(small, near, far)


def horner(x: ca.SX, coefficients: Sequence[float]) -> ca.SX:
    """Return the polynomial with these coefficients, lowest power first."""
    import casadi as ca

    value = ca.SX(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = coefficient + x * value
    return value
