"""Methods given by tableaux: Runge-Kutta methods and partitioned ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import product
from typing import Literal

from symda.discretise.method import Line, Lines, Method, row, rows
from symda.discretise.orders import checked_order
from symda.discretise.surd import Matrix, Row, Surd, close


@dataclass(frozen=True, init=False)
class Tableau(Method):
    """A Runge-Kutta method, for any model: as the scheme of an action, and to integrate with.

        c_1 | a_11 .. a_1s      X_i = x_n + h sum_j a_ij k_j,   k_i = F(X_i, t_n + c_i h)
         :  |   :       :       x_{n+1} = x_n + h sum_i b_i k_i
        c_s | a_s1 .. a_ss      c_i = sum_j a_ij
            |  b_1 .. b_s

    Everything but A and b is computed from them.

    Parameters
    ----------
    name : str
        What messages and results call it.
    order : int, optional
        Order of convergence; where given, it must be what the conditions of all rooted trees say.
    A : matrix (s, s)
        Coefficients of the stages: numbers, or texts such as ``"1/6"``, ``"1/2 - sqrt(3)/6"`` or
        many digits. What is left out at the end of a line is zero.
    b : sequence (s,)
        Weights.
    promote : sequence of int, optional
        Stages that are grid points in an action though they need not be, as the midpoint of
        ``hermite-simpson``.
    source : str
        Where the numbers come from.

    Raises
    ------
    OptionError
        If shapes do not fit, the order is not the declared one, or the weights do not add up to 1.

    Examples
    --------
    >>> heun = Tableau("heun", A=[[], [1]], b=["1/2", "1/2"])
    >>> heun.order, heun.explicit, heun.symplectic
    (2, True, False)
    """

    A: Matrix
    b: Row
    promote: tuple[int, ...]

    def __init__(
        self,
        name: str,
        order: int | None = None,
        *,
        A: Lines,
        b: Line,
        promote: Sequence[int] = (),
        source: str = "",
    ) -> None:
        self._named(name, source)
        self._set(A=rows(A), b=row(b), promote=tuple(promote))
        self._require_square(self.A, self.b, "A")
        roots = {a.radicand for line in (*self.A, self.b) for a in line if isinstance(a, Surd)}
        self._require(
            len(roots) < 2,
            f"the square roots of {' and '.join(map(str, sorted(roots)))} do not go together; "
            "write the numbers of one of them as decimal ones of 20 digits or more",
        )
        self._require(
            set(self.promote) <= set(range(len(self.b))),
            f"promote must be numbers of stages, 0 to {len(self.b) - 1}, got {self.promote}",
        )
        self._set(order=checked_order(self._label, order, ((self.A, self.b),)))

    @cached_property
    def c(self) -> Row:
        """Abscissae of the stages."""
        return row_sums(self.A)

    @property
    def form(self) -> str:
        """What kind of method it is, in words."""
        kind = "explicit" if self.explicit else "implicit"
        return f"{kind} Runge-Kutta, {len(self.b)} stage{'s' * (len(self.b) > 1)}"

    @property
    def explicit(self) -> bool:
        """Whether every stage uses earlier ones only."""
        return not any(self.A[i][j] for i in range(len(self.b)) for j in range(i, len(self.b)))

    @property
    def symmetric(self) -> bool:
        """Whether a_{s+1-i,s+1-j} + a_ij = b_j."""
        return _symmetric(self.A, self.b)

    @property
    def symplectic(self) -> bool:
        """Whether b_i a_ij + b_j a_ji = b_i b_j."""
        return _symplectic(self.A, self.b, self.A, self.b)

    @property
    def stiffly_accurate(self) -> bool:
        """Whether the last stage is x_{n+1}: b is the last row of A."""
        return all(map(close, self.A[-1], self.b))

    @cached_property
    def abscissae(self) -> tuple[float, ...]:
        """The c_i."""
        return tuple(map(float, self.c))


@dataclass(frozen=True, init=False)
class Partitioned(Method):
    """A partitioned Runge-Kutta method: one tableau for q, another for p.

        Q_i = q_n + h sum_j a_ij dH/dp(Q_j, P_j)        q_{n+1} = q_n + h sum_i b_i dH/dp(Q_i, P_i)
        P_i = p_n - h sum_j A_ij dH/dq(Q_j, P_j)        p_{n+1} = p_n - h sum_i B_i dH/dq(Q_i, P_i)

    at times t_n + c_i h with c_i = sum_j a_ij: time runs as a coordinate does. Solved implicitly,
    for any Hamiltonian.

    Parameters
    ----------
    name : str
    order : int, optional
        Order of convergence; where given, it must be what the conditions of all rooted trees of two
        colours say.
    q, p : pair of matrix (s, s) and weights (s,)
        (a, b) and (A, B).
    source : str
        Where the numbers come from.

    Raises
    ------
    OptionError
        If shapes do not fit, or the order is not the declared one.
    """

    q: tuple[Matrix, Row]
    p: tuple[Matrix, Row]

    def __init__(
        self,
        name: str,
        order: int | None = None,
        *,
        q: tuple[Lines, Line],
        p: tuple[Lines, Line],
        source: str = "",
    ) -> None:
        self._named(name, source)
        self._set(q=(rows(q[0]), row(q[1])), p=(rows(p[0]), row(p[1])))
        self._require_square(*self.q, "the tableau of q")
        self._require_square(*self.p, "the tableau of p")
        self._require(len(self.q[1]) == len(self.p[1]), "q and p need the same number of stages")
        self._set(order=checked_order(self._label, order, (self.q, self.p)))

    @property
    def form(self) -> str:
        """What kind of method it is, in words."""
        count = len(self.q[1])
        return f"implicit partitioned Runge-Kutta, {count} stage{'s' if count > 1 else ''}"

    @property
    def explicit(self) -> bool:
        """False: `Splitting` is the form of explicit ones."""
        return False

    @property
    def symmetric(self) -> bool:
        """Whether both tableaux are."""
        return _symmetric(*self.q) and _symmetric(*self.p)

    @property
    def symplectic(self) -> bool:
        """Whether b_i A_ij + B_j a_ji = b_i B_j and b = B."""
        return _symplectic(*self.q, *self.p)

    @property
    def abscissae(self) -> tuple[float, ...]:
        """Row sums of the tableau of q."""
        return tuple(map(float, row_sums(self.q[0])))

    @property
    def needs(self) -> Literal["mechanics"]:
        """Coordinates and momenta."""
        return "mechanics"


def row_sums(A: Matrix) -> Row:
    """Sum each row."""
    return tuple(sum(line, Fraction(0)) for line in A)


def _symmetric(A: Matrix, b: Row) -> bool:
    last = len(b) - 1
    return all(
        close(A[last - i][last - j] + A[i][j], b[j]) and close(b[last - j], b[j])
        for i, j in product(range(len(b)), repeat=2)
    )


def _symplectic(a: Matrix, b: Row, A: Matrix, B: Row) -> bool:
    return all(
        close(b[i] * A[i][j] + B[j] * a[j][i], b[i] * B[j]) and close(b[i], B[i])
        for i, j in product(range(len(b)), repeat=2)
    )
