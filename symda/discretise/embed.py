"""The place of a method in the action: which stages are ends of the step, points in it, neither."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

from symda.discretise.method import Method
from symda.discretise.scheme import Scheme
from symda.discretise.structured import Composition, Splitting, staged
from symda.discretise.surd import Matrix, Row
from symda.discretise.tableau import Tableau, row_sums
from symda.errors import OptionError


def embed(method: Method) -> Scheme:
    """Return the scheme of a method.

    An explicit method keeps its stages, X_i = x_n + h sum_j a_ij k_j. Those of any other are tied
    to the line between both ends of the step,

        X_i = (1 - c_i) x_n + c_i x_{n+1} + h sum_j (a_ij - c_i b_j) k_j,

    which is the same where the residual is 0, and spreads the model's error over the step. So a
    stage whose row of A is 0 is x_n, one whose row is b is x_{n+1}, and stages that need each other
    become grid points. A symmetric splitting, as Verlet's, is tied likewise if that makes no
    points.

    Raises
    ------
    OptionError
        If it is none of stages, one is outside the step, or one that must become a point is at an
        end of the step or where another is: then the grid has no place for it.
    """
    name = f"The method {method.name!r} is one to integrate with and no scheme of an action"
    parts: tuple[str, ...] = ()
    promote: set[int] = set()
    if isinstance(method, Tableau):
        A, b, promote = method.A, method.b, set(method.promote)
    elif isinstance(method, Splitting) or (
        isinstance(method, Composition) and isinstance(method.base, Splitting)
    ):
        A, b, parts = staged(method.steps)
    else:
        raise OptionError(
            f"{name}: it is no Runge-Kutta method or splitting, but {method.form}. Choose another, "
            "such as 'gauss4', which is symplectic too."
        )
    c, s = row_sums(A), range(len(b))
    if any(not 0 <= float(one) <= 1 for one in c):
        raise OptionError(
            f"{name}: it evaluates the model outside the step, at c = {_listed(c)}. Choose one "
            "whose stages are within, such as 'rk4'."
        )
    v, X = (
        c,
        tuple(
            tuple(
                a - c[i] * w if not parts or parts[j] != parts[i] else a
                for j, (a, w) in enumerate(zip(A[i], b, strict=True))
            )
            for i in s
        ),
    )
    points = _loops(X)
    if method.explicit and (points or not method.symmetric):
        v, X, points = (Fraction(0),) * len(b), A, set()
    points |= promote
    inside = [c[i] for i in points if 0 < c[i] < 1]
    if len(set(inside)) < len(points):
        raise OptionError(
            f"{name}: it solves for stages that would need grid points at c = "
            f"{_listed(tuple(c[i] for i in sorted(points)))}, and such a point must be inside the "
            "step, at a time of its own. Choose another, such as 'radau3' or 'radau5', which damp "
            "stiff parts as well."
        )
    order: list[int] = []
    while len(order) < len(b):
        order += [
            i
            for i in s
            if i not in order
            and {j for j in s if X[i][j] and not (i in points and j in points)} <= {*order}
        ]
    return Scheme(
        method.name,
        method.order,
        c=[c[i] for i in order],
        v=[v[i] for i in order],
        X=[[X[i][j] for j in order] for i in order],
        b=[b[i] for i in order],
        interior=[order.index(i) for i in sorted(points, key=lambda i: float(c[i]))],
        parts=[parts[i] for i in order] if parts else (),
        source=method.source,
    )


def _loops(X: Matrix) -> set[int]:
    """Return the stages that need their own slope, be it by way of others."""
    s = range(len(X))
    needs = {(i, j) for i, j in product(s, repeat=2) if X[i][j]}
    for k, i, j in product(s, repeat=3):
        if (i, k) in needs and (k, j) in needs:
            needs.add((i, j))
    return {i for i in s if (i, i) in needs}


def _listed(values: Row) -> str:
    return ", ".join(f"{float(value):.4g}" for value in values)
