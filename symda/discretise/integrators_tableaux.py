"""Integrators given by tableaux: Runge-Kutta methods and partitioned ones."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from itertools import product
from typing import Literal

from symda.discretise.integrators import CLOSE, DIGITS, Integrator, Line, Lines, row, rows
from symda.discretise.trees import Matrix, Row


@dataclass(frozen=True, init=False)
class RungeKutta(Integrator):
    """A Runge-Kutta method, for any model.

        c_1 | a_11 .. a_1s      X_i = x_n + h sum_j a_ij k_j,   k_i = F(X_i, t_n + c_i h)
         :  |   :       :       x_{n+1} = x_n + h sum_i b_i k_i
        c_s | a_s1 .. a_ss      c_i = sum_j a_ij
            |  b_1 .. b_s

    Parameters
    ----------
    A : matrix (s, s)
        Coefficients of the stages.
    b : sequence (s,)
        Weights.

    Raises
    ------
    OptionError
        If shapes do not fit, or the order is not the declared one.
    """

    A: Matrix
    b: Row

    def __init__(
        self, name: str, order: int, *, A: Lines, b: Line, source: str = "", general: str = ""
    ) -> None:
        self._set(name=name, order=order, source=source, general=general, A=rows(A), b=row(b))
        self._require_square(self.A, self.b, "A")
        self._require_order([(self.A, self.b)])

    @property
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
    def abscissae(self) -> tuple[float, ...]:
        """The c_i."""
        return tuple(map(float, self.c))


@dataclass(frozen=True, init=False)
class Partitioned(Integrator):
    """A partitioned Runge-Kutta method: one tableau for q, another for p.

        Q_i = q_n + h sum_j a_ij dH/dp(Q_j, P_j)        q_{n+1} = q_n + h sum_i b_i dH/dp(Q_i, P_i)
        P_i = p_n - h sum_j A_ij dH/dq(Q_j, P_j)        p_{n+1} = p_n - h sum_i B_i dH/dq(Q_i, P_i)

    at times t_n + c_i h with c_i = sum_j a_ij: time runs as a coordinate does. Solved implicitly,
    for any Hamiltonian.

    Parameters
    ----------
    q, p : pair of matrix (s, s) and weights (s,)
        (a, b) and (A, B).

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
        order: int,
        *,
        q: tuple[Lines, Line],
        p: tuple[Lines, Line],
        source: str = "",
        general: str = "",
    ) -> None:
        self._set(name=name, order=order, source=source, general=general)
        self._set(q=(rows(q[0]), row(q[1])), p=(rows(p[0]), row(p[1])))
        self._require_square(*self.q, "the tableau of q")
        self._require_square(*self.p, "the tableau of p")
        self._require(len(self.q[1]) == len(self.p[1]), "q and p need the same number of stages")
        self._require_order([self.q, self.p])

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
    with localcontext(DIGITS):
        return tuple(sum(line, Decimal(0)) for line in A)


def _symmetric(A: Matrix, b: Row) -> bool:
    last = len(b) - 1
    return all(
        abs(A[last - i][last - j] + A[i][j] - b[j]) < CLOSE and abs(b[last - j] - b[j]) < CLOSE
        for i, j in product(range(len(b)), repeat=2)
    )


def _symplectic(a: Matrix, b: Row, A: Matrix, B: Row) -> bool:
    with localcontext(DIGITS):
        return all(
            abs(b[i] * A[i][j] + B[j] * a[j][i] - b[i] * B[j]) < CLOSE and abs(b[i] - B[i]) < CLOSE
            for i, j in product(range(len(b)), repeat=2)
        )
