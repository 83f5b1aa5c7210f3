"""Methods of mechanics: splittings, compositions, discrete Lagrangians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import product
from typing import Literal, TypeAlias

from symda.discretise.method import Line, Method, row
from symda.discretise.orders import by_part, checked_order
from symda.discretise.surd import Coefficient, Matrix, Number, Row, close, number
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
        In their order; in messages b_q are the weights of drifts, b_p those of kicks.
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
        self._require(len(steps) > 0, "there must be steps")
        for one in steps:
            self._require(
                isinstance(one, Sequence) and len(one) == 2 and one[0] in ("kick", "drift"),
                f"a step is ('kick', weight) or ('drift', weight), got {one!r}",
            )
        self._set(steps=tuple((operation, number(weight)) for operation, weight in steps))
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

    @cached_property
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
    name : str
    order : int, optional
        Order of convergence; where given, it must be what the conditions of rooted trees say.
    base : Method
        Symmetric, of order 2.
    weights : sequence (m,)
        Symmetric themselves; some are negative, so abscissae may leave [0, 1].
    source, general : str
        As of `Splitting`.

    Raises
    ------
    OptionError
        If the base or the weights are not symmetric, or the order is not the declared one.

    References
    ----------
    E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration, 2nd ed. (2006), V.3.
    """

    base: Method
    weights: Row

    def __init__(
        self,
        name: str,
        order: int | None = None,
        *,
        base: Method,
        weights: Line,
        source: str = "",
        general: str = "",
    ) -> None:
        self._named(name, source, general)
        self._set(base=base, weights=row(weights))
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
        # of midpoint steps, whose errors are as independent as those of any such base can be
        A = tuple((*w[:i], one / 2, *(Fraction(0),) * (len(w) - i - 1)) for i, one in enumerate(w))
        self._set(order=checked_order(self._label, order, ((A, w),)))

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

    @cached_property
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

    @cached_property
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
    """A discrete Lagrangian, of order 1 or 2: quadrature of a step's action on the straight line.

        L_d(q_n, q_{n+1}) = h sum_i b_i L(q_n + c_i h v, v),    v = (q_{n+1} - q_n) / h
        p_n = -D1 L_d = sum_i b_i (P_i - (1 - c_i) h R_i),      P_i = dL/dv, R_i = dL/dq + force
        p_{n+1} = D2 L_d = sum_i b_i (P_i + c_i h R_i)          at (q_n + c_i h v, v)

    The first line of momenta is solved for v. Forces enter as discrete forces by the same
    quadrature (the discrete Lagrange-d'Alembert principle).

    Parameters
    ----------
    name : str
    order : int, optional
        Order of convergence; where given, it must be that of the quadrature.
    c, b : sequence (s,)
        Nodes in [0, 1] and weights.
    source : str
        Where the numbers come from.

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

    def __init__(
        self, name: str, order: int | None = None, *, c: Line, b: Line, source: str = ""
    ) -> None:
        self._named(name, source)
        self._set(c=row(c), b=row(b))
        self._require(len(self.b) == len(self.c) > 0, "one weight for each node")
        # along the line a_ij = c_i b_j; sum b A c, which order 3 needs to be 1/6, is 1/4 at order 2
        A = tuple(tuple(node * weight for weight in self.b) for node in self.c)
        self._set(order=checked_order(self._label, order, ((A, self.b),)))

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
