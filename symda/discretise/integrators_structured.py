"""Integrators of mechanics: splittings, compositions, discrete Lagrangians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from itertools import product
from typing import Literal, TypeAlias

from symda.discretise.integrators import CLOSE, DIGITS, Coefficient, Integrator, Line, exact, row
from symda.discretise.trees import Row

Operation: TypeAlias = Literal["kick", "drift"]


@dataclass(frozen=True, init=False)
class Splitting(Integrator):
    """Kicks and drifts in turn, for separable Hamiltonians T(p) + V(q): explicit and symplectic.

        kick w:   p += w h force(q, t)          drift w:   q += w h velocity(p, t)

    A force is evaluated at the time that the drifts before it have reached, a velocity at the time
    of the kicks. The last force of a step is the first of the next, so a method that begins and
    ends with a kick evaluates one force fewer.

    Parameters
    ----------
    steps : sequence of ("kick" or "drift", weight)
        In their order.

    Raises
    ------
    OptionError
        If kicks or drifts do not make up one step, or the order, up to 2, is not the declared one.
    """

    steps: tuple[tuple[Operation, Decimal], ...]

    def __init__(
        self,
        name: str,
        order: int,
        *,
        steps: Sequence[tuple[Operation, Coefficient]],
        source: str = "",
        general: str = "",
    ) -> None:
        self._set(name=name, order=order, source=source, general=general)
        for one in steps:
            self._require(
                isinstance(one, Sequence) and len(one) == 2 and one[0] in ("kick", "drift"),
                f"a step is ('kick', weight) or ('drift', weight), got {one!r}",
            )
        converted = tuple((operation, exact(weight)) for operation, weight in steps)
        self._set(steps=converted)
        for kind in ("kick", "drift"):
            total = sum((w for operation, w in converted if operation == kind), Decimal(0))
            self._require_zero(total - 1, f"the weights of all {kind}s add up to {total:.18g}")
        self._require(
            self.order in (1, 2), "a Splitting is of order 1 or 2; higher ones are a Composition"
        )
        # p' = force(q): sum over kicks of w times the drifts before it is 1/2 at order 2
        reached, moment = Decimal(0), Decimal(0)
        for operation, weight in converted:
            if operation == "drift":
                reached += weight
            else:
                moment += weight * reached
        self._require_second(moment - Decimal("0.5"))

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
class Composition(Integrator):
    """Steps of a symmetric base, of lengths w_1 h, .., w_m h: a method of higher order.

        x_{n+1} = base(w_m h) o .. o base(w_1 h) x_n

    Parameters
    ----------
    base : Integrator
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

    base: Integrator
    weights: Row

    def __init__(
        self,
        name: str,
        order: int,
        *,
        base: Integrator,
        weights: Line,
        source: str = "",
        general: str = "",
    ) -> None:
        self._set(name=name, order=order, source=source, general=general)
        self._set(base=base, weights=row(weights))
        w = self.weights
        self._require(
            isinstance(base, Integrator) and not isinstance(base, Composition),
            "the base must be a method that is no composition itself",
        )
        self._require(
            self.base.symmetric and self.base.order == 2,
            f"the base must be symmetric and of order 2, {self.base.name!r} is not",
        )
        self._require(w == w[::-1] and len(w) > 1, "the weights must read the same backward")
        self._require(self.order in (4, 6), f"the order must be 4 or 6, got {self.order!r}")
        with localcontext(DIGITS):
            reached, mixed = Decimal(0), Decimal(0)
            for one in w:
                mixed += one**3 * (reached + one / 2) ** 2
                reached += one
            conditions = {
                1: [reached - 1],
                3: [sum((one**3 for one in w), Decimal(0))],
                5: [sum((one**5 for one in w), Decimal(0)), mixed],
            }
        for p, residuals in conditions.items():
            worst = max(map(abs, residuals))
            if p < self.order:
                self._require_zero(
                    worst,
                    f"declared of order {self.order}, but a condition of order {p} is off by "
                    f"{worst:.3g}",
                )
            else:
                self._require(
                    worst >= CLOSE,
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
        with localcontext(DIGITS):
            return tuple(sum(self.weights[:k], Decimal(0)) for k in range(len(self.weights)))

    @property
    def steps(self) -> tuple[tuple[Operation, Decimal], ...]:
        """Kicks and drifts in turn, where the base is a splitting; neighbours of a kind are one."""
        assert isinstance(self.base, Splitting)
        merged: list[tuple[Operation, Decimal]] = []
        with localcontext(DIGITS):
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
class Variational(Integrator):
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

    def __init__(
        self, name: str, order: int, *, c: Line, b: Line, source: str = "", general: str = ""
    ) -> None:
        self._set(name=name, order=order, source=source, general=general, c=row(c), b=row(b))
        self._require(len(self.b) == len(self.c) > 0, "one weight for each node")
        total = sum(self.b, Decimal(0))
        middle = sum((b * c for b, c in zip(self.b, self.c, strict=True)), Decimal(0))
        self._require_zero(total - 1, f"the weights add up to {total:.18g}")
        self._require(
            self.order in (1, 2), f"the order of a Variational is 1 or 2, got {self.order!r}"
        )
        self._require_second(middle - Decimal("0.5"))

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
            abs(a + z - 1) < CLOSE for a, z in zip(self.c, self.c[::-1], strict=True)
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


def clocks(steps: Sequence[tuple[Operation, Decimal]]) -> Row:
    """Time of each kick (what the drifts have reached) and drift (the kicks), in units of h."""
    times = {"kick": Decimal(0), "drift": Decimal(0)}
    found = []
    with localcontext(DIGITS):
        for operation, weight in steps:
            found.append(times["drift" if operation == "kick" else "kick"])
            times[operation] += weight
    return tuple(found)
