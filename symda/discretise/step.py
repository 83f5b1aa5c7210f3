"""One step of a scheme, written once for any kind of number (CasADi SX, SymPy, floats)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, Self, TypeVar

from symda.discretise.scheme import Scheme
from symda.discretise.surd import Number


class Arithmetic(Protocol):
    """What a number must be able to do."""

    def __add__(self, other: Self, /) -> Self: ...
    def __sub__(self, other: Self, /) -> Self: ...
    def __mul__(self, other: Self, /) -> Self: ...


N = TypeVar("N", bound=Arithmetic)


def step_residual(
    scheme: Scheme,
    slope: Callable[[int, Sequence[N]], Sequence[N]],
    window: Sequence[Sequence[N]],
    h: N,
    number: Callable[[Number], N],
) -> list[N]:
    """Residual of one step: what eq. 9 squares.

    Parameters
    ----------
    slope : callable
        ``slope(stage, argument)`` is F at a stage, whose abscissa is ``scheme.c[stage]``.
    window : sequence of 2 + I vectors of D
        x_n, the interior points in order, x_{n+1}.
    h : number
        Step length; not used by a map.
    number : callable
        Makes a number of the wanted kind of a coefficient.

    Returns
    -------
    list of E numbers
        The step's residual first, then a block of D for each interior point.
    """
    x0, *interior, x1 = window
    dims = range(len(x0))
    slopes: list[Sequence[N]] = []

    def advance(base: N, weights: Sequence[Number], a: int) -> N:
        terms = [number(w) * k[a] for w, k in zip(weights, slopes, strict=False) if w]
        if not terms:
            return base
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return base + h * total

    def blend(v: Number, a: int) -> N:
        if v == 0:
            return x0[a]
        return x1[a] if v == 1 else number(1 - v) * x0[a] + number(v) * x1[a]

    def argument(i: int) -> list[N]:
        return [advance(blend(scheme.v[i], a), scheme.X[i], a) for a in dims]

    for i in range(scheme.stages):
        m = interior[scheme.interior.index(i)] if i in scheme.interior else argument(i)
        slopes.append(slope(i, m))
    ties = [
        m[a] - tied
        for i, m in zip(scheme.interior, interior, strict=True)
        for a, tied in enumerate(argument(i))
    ]
    if scheme.discrete:
        return [x1[a] - slopes[0][a] for a in dims]
    return [x1[a] - advance(x0[a], scheme.b, a) for a in dims] + ties
