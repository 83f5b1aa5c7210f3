"""What holds for symbolic matrices in general position: zeros, ranks, linear solutions.

Whether an expression is identically zero is decided by its value at a few random points, to many
digits: it needs no simplification that may fail, and takes coefficients that are decimal numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from sympy import Expr, Symbol

from symda.types import FloatArray

POINTS, TRIES = 3, 40
#: Beside the largest term of a sum, what is taken for the rounding of decimal coefficients.
ROUNDING = 1e-12
#: Coupled unknowns up to which Cramer's rule is shorter than elimination.
CRAMER = 5


def gradient(expression: Expr, symbols: Sequence[Symbol]) -> list[Expr]:
    """Return the derivatives by some symbols, each taken of the terms it stands in."""
    terms: dict[Symbol, list[Expr]] = {symbol: [] for symbol in symbols}
    for term in sp.Add.make_args(expression):
        for symbol in terms.keys() & term.free_symbols:
            terms[symbol].append(term)
    return [sp.diff(sp.Add(*held), symbol) if held else sp.S.Zero for symbol, held in terms.items()]


def jacobian(expressions: Sequence[Expr], symbols: Sequence[Symbol]) -> sp.Matrix:
    """Return the matrix of derivatives."""
    return sp.Matrix([gradient(expression, symbols) for expression in expressions])


def vanishes(expression: Expr) -> bool:
    """Whether an expression is zero wherever it is defined."""
    if expression.is_Number or expression.is_zero:
        return bool(expression == 0) or bool(expression.is_zero)
    if expression.is_Mul:
        return any(map(vanishes, expression.args))
    if expression.is_Pow and expression.exp.is_positive:
        return vanishes(expression.base)
    terms = expression.args if expression.is_Add else (expression,)
    found = False
    for values in _values(terms):
        found = True
        if abs(values.sum()) > ROUNDING * np.abs(values).sum():
            return False
    return found or bool(sp.simplify(expression) == 0)


def generic_rank(matrix: sp.Matrix) -> tuple[int, FloatArray]:
    """Return the rank a matrix has almost everywhere, and a basis of its kernel at one such place.

    Masses may be of any size beside each other: rows and columns are scaled to be alike.

    Returns
    -------
    rank : int
    kernel : (n - rank, n)
        Orthonormal rows, by the scaled columns.
    """
    best, kernel = -1, np.empty((0, matrix.cols))
    entries = [sp.S.Zero if vanishes(entry) else entry for entry in matrix]
    for values in _values(entries):
        _, singular, right = np.linalg.svd(_equilibrated(values.real.reshape(matrix.shape)))
        rank = int(np.sum(singular > 1e-10 * max(singular[0], np.finfo(float).tiny)))
        if rank > best:
            best, kernel = rank, right[rank:]
    if best < 0:
        return matrix.rank(simplify=True), kernel
    return best, kernel


def _equilibrated(matrix: FloatArray) -> FloatArray:
    """Return a matrix with rows and columns scaled until the largest of each is about 1."""
    size = np.abs(matrix)
    # below this, what is zero except for the rounding of its own evaluation
    scaled = np.where(size > 1e-30 * size.max(initial=0.0), matrix, 0.0)
    for _ in range(8):
        for axis in (0, 1):
            largest = np.abs(scaled).max(axis=axis, keepdims=True)
            scaled = scaled / np.sqrt(np.where(largest > 0.0, largest, 1.0))
    return scaled


def solve_linear(matrix: sp.Matrix, right: sp.Matrix) -> sp.Matrix:
    """Solve a regular system in symbols, each set of coupled unknowns by itself.

    A few unknowns by Cramer's rule: fractions within fractions, as elimination makes them of
    symbols, grow several times as long.
    """
    solution = sp.zeros(matrix.rows, right.cols)
    for block in matrix.connected_components():
        mass, push = (m.extract(block, list(range(m.cols))) for m in (matrix[:, block], right))
        if mass.free_symbols and 2 < len(block) <= CRAMER:
            mass = mass.applyfunc(tidy)
            part = mass.adjugate(method="laplace") * push / mass.det(method="laplace")
        else:
            part = mass.LUsolve(push, iszerofunc=vanishes).applyfunc(tidy)
        for row, place in enumerate(block):
            solution[place, :] = part[row, :]
    return solution


def tidy(expression: Expr, most: int = 300) -> Expr:
    """Return an expression simplified, unless it is so long that this takes seconds."""
    if not 4 <= expression.count_ops() <= most:
        return expression
    simple = sp.simplify(expression)
    return min(expression, simple, sp.powsimp(sp.factor(simple)), key=sp.count_ops)


def evaluate(expression: Expr, point: dict[Symbol, Expr]) -> complex:
    """Return the value at a point, nan where it has none."""
    try:
        return complex(sp.N(expression.xreplace(point), 20))
    except (TypeError, ValueError, ArithmeticError):
        return complex(np.nan)


def inverts(
    inverse: Mapping[Symbol, Expr], function: Mapping[Symbol, Expr], positive: Set[Symbol]
) -> bool:
    """Whether v(p) inverts p(v), at random v of either sign where p(v) is real.

    Parameters
    ----------
    inverse : mapping of v to an expression in p
    function : mapping of p to an expression in v
    positive : set of Symbol
        What is never negative.
    """
    found = False
    for point, values in _points([*function.values(), *inverse], 12, positive):
        found = True
        there = {p: sp.Float(x.real, 20) for p, x in zip(function, values, strict=False)}
        for v, expression in inverse.items():
            if not abs(evaluate(expression, {**point, **there}) - complex(point[v])) <= 1e-9:
                return False
    return found


def keeps_digits(
    written: Sequence[Expr],
    function: Mapping[Symbol, Expr],
    speeds: Sequence[Symbol],
    positive: Set[Symbol],
) -> bool:
    """Whether expressions in p come out in doubles, for p(v) at |v| from about 1e-6 to 1e6.

    Parameters
    ----------
    written : sequence of Expr
    function : mapping of p to an expression in v
    speeds : sequence of Symbol
        v.
    positive : set of Symbol
        What is never negative.
    """
    symbols = sorted({s for e in written for s in e.free_symbols}, key=str)
    in_doubles = sp.lambdify(symbols, list(written), "numpy")
    for size in 10.0 ** np.arange(-6, 7):
        larger = {v: sp.Float(size, 40) * v for v in speeds}
        momenta = [expression.xreplace(larger) for expression in function.values()]
        for point, values in _points(momenta, 2, positive):
            if not np.all((1e-100 < np.abs(values)) & (np.abs(values) < 1e100)):
                continue
            numbers = dict(zip(function, values.real, strict=True))
            at = {s: np.float64(numbers.get(s, point.get(s, sp.S.One))) for s in symbols}
            with np.errstate(all="ignore"):
                found = np.array(in_doubles(*at.values()), dtype=complex)
            # beside the exact values, how far these are from those at a point nearly the same
            exact, near = (
                np.array([evaluate(expression, _shifted(at, by)) for expression in written])
                for by in (0.0, 1e-13)
            )
            if not np.all(np.abs(found - exact) <= 1e-8 * (abs(exact) + 1e-3) + abs(near - exact)):
                return False
    return True


def _shifted(point: Mapping[Symbol, float], by: float) -> dict[Symbol, Expr]:
    exactly = {s: sp.Float(float(value), 40) for s, value in point.items()}
    return {s: value * (1 + k * sp.Float(by)) for k, (s, value) in enumerate(exactly.items(), 1)}


def _values(expressions: Sequence[Expr]) -> Iterator[NDArray[np.complex128]]:
    for _, values in _points(expressions, POINTS):
        yield values


def _points(
    expressions: Sequence[Expr], count: int, positive: Set[Symbol] = frozenset()
) -> Iterator[tuple[dict[Symbol, Expr], NDArray[np.complex128]]]:
    """Yield a few random points where all expressions are real and finite, with their values."""
    symbols = sorted(set().union(*(e.free_symbols for e in expressions)), key=str)
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(TRIES):
        point = {s: _about_one(rng, s in positive) for s in symbols}
        values = np.array([evaluate(e, point) for e in expressions])
        if np.isfinite(values).all() and np.abs(values.imag).max() <= 1e-12 * np.abs(values).max():
            yield point, values
            found += 1
        if found == count or not symbols:
            return


def _about_one(rng: np.random.Generator, positive: bool) -> Expr:
    size, sign = rng.uniform(0.3, 1.4), rng.choice([-1.0, 1.0])
    return sp.Float(float(size if positive else size * sign), 40)
