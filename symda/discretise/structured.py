"""Methods of mechanics: splittings, compositions, discrete Lagrangians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Literal, TypeAlias

from symda.discretise.method import Line, Method, row
from symda.discretise.orders import by_part, checked_order
from symda.discretise.surd import CLOSE, Coefficient, Matrix, Number, Row, close, decimal, number
from symda.discretise.tableau import row_sums

Operation: TypeAlias = Literal["kick", "drift"]
Step: TypeAlias = tuple[Operation, Number]


@dataclass(frozen=True, init=False)
class Splitting(Method):
    """Kicks and drifts in turn, for separable Hamiltonians T(p) + V(q): explicit and symplectic.

        kick w:   p += w h force(q, t)          drift w:   q += w h velocity(p, t)

    A force is evaluated at the time that the drifts before it have reached, a velocity at the time
    of the kicks. The last force of a step is the first of the next, so a method that begins and
    ends with a kick evaluates one force fewer.

    Parameters
    ----------
    name : str
    order : int, optional
        Order of convergence; where given, it must be what the conditions of rooted trees say.
    steps : sequence of ("kick" or "drift", weight)
        In their order.
    source : str
        Where the numbers come from.
    general : str
        Method to use where a Hamiltonian is not separable.

    Raises
    ------
    OptionError
        If kicks or drifts do not make up one step, or the order is not the declared one.
    """

    steps: tuple[Step, ...]

    def __init__(
        self,
        name: str,
        order: int | None = None,
        *,
        steps: Sequence[tuple[Operation, Coefficient]],
        source: str = "",
        general: str = "",
    ) -> None:
        self._named(name, source, general)
        for one in steps:
            self._require(
                isinstance(one, Sequence) and len(one) == 2 and one[0] in ("kick", "drift"),
                f"a step is ('kick', weight) or ('drift', weight), got {one!r}",
            )
        self._set(steps=tuple((operation, number(weight)) for operation, weight in steps))
        for kind in ("kick", "drift"):
            total = sum((w for operation, w in self.steps if operation == kind), Fraction(0))
            self._require_zero(
                total - 1, f"the weights of all {kind}s add up to {float(total):.18g}"
            )
        tableaux = by_part(*staged(self.steps))
        self._set(order=checked_order(self._label, order, tableaux, separable=True))

    @property
    def form(self) -> str:
        """What kind of method it is, in words."""
        return " - ".join(operation for operation, _ in self.steps)

    @property
    def explicit(self) -> bool:
        """True."""
        return True

    @property
    def symmetric(self) -> bool:
        """Whether it reads the same backward."""
        return self.steps == self.steps[::-1]

    @property
    def symplectic(self) -> bool:
        """True: each kick and each drift is, whatever its weight."""
        return True

    @property
    def abscissae(self) -> tuple[float, ...]:
        """One for each kick and drift."""
        return tuple(map(float, clocks(self.steps)))

    @property
    def needs(self) -> Literal["separable"]:
        """A separable Hamiltonian."""
        return "separable"


@dataclass(frozen=True, init=False)
class Composition(Method):
    """Steps of a symmetric base, of lengths w_1 h, .., w_m h: a method of higher order.

        x_{n+1} = base(w_m h) o .. o base(w_1 h) x_n

    Parameters
    ----------
    base : Method
        Symmetric, of order 2.
    weights : sequence (m,)
        Symmetric themselves; some are negative, so abscissae leave [0, 1].

    Raises
    ------
    OptionError
        If the base or the weights are not symmetric, or conditions of the declared order (4 or 6)
        do not hold.

    References
    ----------
    E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration, 2nd ed. (2006), V.3.
    """

    base: Method
    weights: Row

    def __init__(
        self,
        name: str,
        order: int,
        *,
        base: Method,
        weights: Line,
        source: str = "",
        general: str = "",
    ) -> None:
        self._named(name, source, general)
        self._set(order=order, base=base, weights=row(weights))
        w = self.weights
        self._require(
            isinstance(base, Method) and not isinstance(base, Composition),
            "the base must be a method that is no composition itself",
        )
        self._require(
            self.base.symmetric and self.base.order == 2,
            f"the base must be symmetric and of order 2, {self.base.name!r} is not",
        )
        self._require(w == w[::-1] and len(w) > 1, "the weights must read the same backward")
        self._require(self.order in (4, 6), f"the order must be 4 or 6, got {self.order!r}")
        third = [one * one * one for one in w]
        middles = [start + one / 2 for start, one in zip(self.starts, w, strict=True)]
        conditions = {
            1: [self.starts[-1] + w[-1] - 1],
            3: [sum(third, Fraction(0))],
            5: [
                sum((cube * one * one for cube, one in zip(third, w, strict=True)), Fraction(0)),
                sum((cube * m * m for cube, m in zip(third, middles, strict=True)), Fraction(0)),
            ],
        }
        for p, residuals in conditions.items():
            worst = max(residuals, key=lambda residual: abs(decimal(residual)))
            if p < self.order:
                self._require_zero(
                    worst,
                    f"declared of order {self.order}, but a condition of order {p} is off by "
                    f"{abs(float(worst)):.3g}",
                )
            else:
                self._require(
                    abs(decimal(worst)) >= CLOSE,
                    f"declared of order {self.order}, but is of order {p + 1}; declare that",
                )

    @property
    def form(self) -> str:
        """What kind of method it is, in words."""
        return f"{len(self.weights)} steps of {self.base.name}"

    @property
    def explicit(self) -> bool:
        """Whether the base is."""
        return self.base.explicit

    @property
    def symmetric(self) -> bool:
        """Whether base and weights are."""
        return self.base.symmetric and self.weights == self.weights[::-1]

    @property
    def symplectic(self) -> bool:
        """Whether the base is."""
        return self.base.symplectic

    @property
    def starts(self) -> Row:
        """Where the steps of the base begin, in units of the step."""
        return tuple(sum(self.weights[:k], Fraction(0)) for k in range(len(self.weights)))

    @property
    def steps(self) -> tuple[Step, ...]:
        """Kicks and drifts in turn, where the base is a splitting; neighbours of a kind are one."""
        assert isinstance(self.base, Splitting)
        merged: list[Step] = []
        for weight, (operation, part) in product(self.weights, self.base.steps):
            if merged and merged[-1][0] == operation:
                merged[-1] = operation, merged[-1][1] + weight * part
            else:
                merged.append((operation, weight * part))
        return tuple(merged)

    @property
    def abscissae(self) -> tuple[float, ...]:
        """Those of the base in each of its steps; of merged kicks and drifts one each."""
        if isinstance(self.base, Splitting):
            return tuple(map(float, clocks(self.steps)))
        return tuple(
            float(start) + float(weight) * place
            for start, weight in zip(self.starts, self.weights, strict=True)
            for place in self.base.abscissae
        )

    @property
    def needs(self) -> Literal["", "mechanics", "separable", "lagrangian"]:
        """What the base needs."""
        return self.base.needs


@dataclass(frozen=True, init=False)
class Variational(Method):
    """A discrete Lagrangian: the action of a step by quadrature on the straight line.

        L_d(q_n, q_{n+1}) = h sum_i b_i L(q_n + c_i h v, v),    v = (q_{n+1} - q_n) / h
        p_n = -D1 L_d = sum_i b_i (P_i - (1 - c_i) h R_i),      P_i = dL/dv, R_i = dL/dq + force
        p_{n+1} = D2 L_d = sum_i b_i (P_i + c_i h R_i)          at (q_n + c_i h v, v)

    The first line of momenta is solved for v. Forces enter as discrete forces by the same
    quadrature (the discrete Lagrange-d'Alembert principle).

    Parameters
    ----------
    c, b : sequence (s,)
        Nodes in [0, 1] and weights.

    Raises
    ------
    OptionError
        If the order is not the declared one.

    References
    ----------
    J. E. Marsden, M. West, Discrete mechanics and variational integrators, Acta Numerica 10 (2001)
    357, sections 2.3, 2.4 and 3.2.
    """

    c: Row
    b: Row

    def __init__(self, name: str, order: int, *, c: Line, b: Line, source: str = "") -> None:
        self._named(name, source)
        self._set(order=order, c=row(c), b=row(b))
        self._require(len(self.b) == len(self.c) > 0, "one weight for each node")
        total = sum(self.b, Fraction(0))
        middle = sum((b * c for b, c in zip(self.b, self.c, strict=True)), Fraction(0))
        self._require_zero(total - 1, f"the weights add up to {float(total):.18g}")
        self._require(
            self.order in (1, 2), f"the order of a Variational is 1 or 2, got {self.order!r}"
        )
        off = middle - Fraction(1, 2)
        if self.order == 2:
            self._require_zero(
                off, f"declared of order 2, but its condition is off by {abs(float(off)):.3g}"
            )
        else:
            self._require(
                abs(decimal(off)) >= CLOSE, "declared of order 1, but is of order 2; declare that"
            )

    @property
    def form(self) -> str:
        """What kind of method it is, in words."""
        return f"discrete Lagrangian, {len(self.b)} node{'s' if len(self.b) > 1 else ''}"

    @property
    def explicit(self) -> bool:
        """False: q_{n+1} is solved for."""
        return False

    @property
    def symmetric(self) -> bool:
        """Whether the quadrature is."""
        return self.b == self.b[::-1] and all(
            close(a + z, Fraction(1)) for a, z in zip(self.c, self.c[::-1], strict=True)
        )

    @property
    def symplectic(self) -> bool:
        """True without forces, whatever the quadrature."""
        return True

    @property
    def abscissae(self) -> tuple[float, ...]:
        """The nodes."""
        return tuple(map(float, self.c))

    @property
    def needs(self) -> Literal["lagrangian"]:
        """A Lagrangian."""
        return "lagrangian"


def staged(steps: Sequence[Step]) -> tuple[Matrix, Row, tuple[str, ...]]:
    """Write kicks and drifts as stages: A, b, and which of q and p each of them moves.

    A stage's argument has come as far as the stages of the other kind before it have moved it.
    """
    kinds, b = zip(*steps, strict=True)
    A = tuple(
        tuple(w if j < i and kinds[j] != kinds[i] else Fraction(0) for j, w in enumerate(b))
        for i in range(len(b))
    )
    return A, b, tuple("p" if kind == "kick" else "q" for kind in kinds)


def clocks(steps: Sequence[Step]) -> Row:
    """Time of each kick (what the drifts have reached) and drift (the kicks), in units of h."""
    return row_sums(staged(steps)[0])
