"""Schemes as data: one mono-implicit Runge-Kutta tableau describes each of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product

from symda.errors import OptionError

Row = tuple[Fraction, ...]


def _row(values: Iterable[Fraction | int | str]) -> Row:
    return tuple(Fraction(value) for value in values)


@dataclass(frozen=True)
class Scheme:
    """A one-step scheme in mono-implicit Runge-Kutta form.

    Stage i of the step from node n to node n + 1 (length h) has the argument and the slope

        X_i = (1 - v_i) x_n + v_i x_{n+1} + h sum_{j < i} X_ij k_j,    k_i = F(X_i, u, theta, t_n +
        c_i h),

    and the step has the residual x_{n+1} - x_n - h sum_i b_i k_i. A stage in `interior` is promoted
    to a grid point of its own: its argument becomes an unknown m of the path, with the further
    residual m - X_i. A discrete map (``discrete=True``) has the residual x_{n+1} - f(x_n).

    The constructor checks the shapes, c_i = v_i + sum_j X_ij, and the order conditions of the
    equivalent Runge-Kutta tableau A = X + v b^T: those of the declared order hold, those of the
    next one do not.

    Parameters
    ----------
    name : str
        Name in the registry.
    order : int
        Order of convergence, 1 to 4 (for a map: 0, there is nothing to converge to).
    c, v, b : sequence of rational, shape (stages,)
        Abscissae, implicitness and weights.
    X : sequence of sequence of rational, shape (stages, stages)
        Strictly lower triangular coefficients.
    interior : sequence of int
        Stages promoted to grid points.
    discrete : bool
        True for the scheme of discrete maps.
    source : str
        Where the tableau comes from.

    Raises
    ------
    OptionError
        If the tableau is inconsistent or its order is not the declared one.

    References
    ----------
    J. R. Cash and A. Singhal, Mono-implicit Runge-Kutta formulae for the numerical integration of
    stiff differential systems, IMA J. Numer. Anal. 2 (1982) 211.
    """

    name: str
    order: int
    c: Row
    v: Row
    X: tuple[Row, ...]
    b: Row
    interior: tuple[int, ...] = ()
    discrete: bool = False
    source: str = field(default="", compare=False)

    def __init__(
        self,
        name: str,
        order: int,
        *,
        c: Sequence[Fraction | int | str],
        v: Sequence[Fraction | int | str],
        X: Sequence[Sequence[Fraction | int | str]],
        b: Sequence[Fraction | int | str],
        interior: Sequence[int] = (),
        discrete: bool = False,
        source: str = "",
    ) -> None:
        set_field = object.__setattr__
        set_field(self, "name", name)
        set_field(self, "order", order)
        set_field(self, "c", _row(c))
        set_field(self, "v", _row(v))
        set_field(self, "X", tuple(_row(row) for row in X))
        set_field(self, "b", _row(b))
        set_field(self, "interior", tuple(interior))
        set_field(self, "discrete", discrete)
        set_field(self, "source", source)
        self._check_shapes()
        if not discrete:
            self._check_order()

    @property
    def stages(self) -> int:
        """Number of stages."""
        return len(self.b)

    @property
    def explicit(self) -> bool:
        """True when no stage uses x_{n+1} or an interior point: then r = x_{n+1} - f(x_n)."""
        return not any(self.v) and not self.interior

    @property
    def abscissae(self) -> tuple[float, ...]:
        """The S distinct values of c, in ascending order: where forcing is needed."""
        return tuple(float(value) for value in sorted(set(self.c)))

    @property
    def interior_abscissae(self) -> tuple[float, ...]:
        """Where in the step the interior grid points lie."""
        return tuple(float(self.c[i]) for i in self.interior)

    def slot(self, stage: int) -> int:
        """Index of a stage's abscissa in `abscissae`."""
        return sorted(set(self.c)).index(self.c[stage])

    def affine(self, stage: int) -> bool:
        """Whether a stage's argument uses no other slope (interior points included)."""
        return stage in self.interior or not any(self.X[stage])

    def _check_shapes(self) -> None:
        s = len(self.b)
        lengths = {"c": len(self.c), "v": len(self.v), "X": len(self.X)}
        lengths |= {f"X[{i}]": len(row) for i, row in enumerate(self.X)}
        wrong = {key: n for key, n in lengths.items() if n != s}
        if s == 0 or wrong:
            raise OptionError(
                f"Scheme {self.name!r}: every part of the tableau needs one entry a stage "
                f"({s} by b), "
                f"got {wrong or 'no stage at all'}."
            )
        if any(self.X[i][j] for i, j in product(range(s), repeat=2) if j >= i):
            raise OptionError(
                f"Scheme {self.name!r}: X must be strictly lower triangular, so that each "
                "stage uses "
                "earlier slopes only; reorder the stages, or express implicitness through v."
            )
        if any(i not in range(s) for i in self.interior) or len(set(self.interior)) != len(
            self.interior
        ):
            raise OptionError(
                f"Scheme {self.name!r}: interior stages {self.interior} must be distinct indices "
                f"from 0 to {s - 1}."
            )
        interior_c = [self.c[i] for i in self.interior]
        if interior_c != sorted(set(interior_c)) or any(not 0 < value < 1 for value in interior_c):
            raise OptionError(
                f"Scheme {self.name!r}: interior stages need distinct ascending abscissae strictly "
                f"between 0 and 1, got {[str(value) for value in interior_c]}."
            )
        for i in range(s):
            total = self.v[i] + sum(self.X[i])
            if total != self.c[i]:
                raise OptionError(
                    f"Scheme {self.name!r}: stage {i} is inconsistent, c = {self.c[i]} but "
                    f"v + sum of X = {total}."
                )

    def _check_order(self) -> None:
        if not 1 <= self.order <= 4:
            raise OptionError(f"Scheme {self.name!r}: the order must be 1 to 4, got {self.order}.")
        for p in range(1, self.order + 1):
            for label, got, expected in self._conditions(p):
                if got != expected:
                    raise OptionError(
                        f"Scheme {self.name!r} is declared of order {self.order}, but {label} "
                        f"= {got} "
                        f"where order {p} needs {expected}."
                    )
        if self.order < 4 and all(got == want for _, got, want in self._conditions(self.order + 1)):
            raise OptionError(
                f"Scheme {self.name!r} is declared of order {self.order} but satisfies the "
                "conditions "
                f"of order {self.order + 1}; declare that."
            )

    def _conditions(self, p: int) -> list[tuple[str, Fraction, Fraction]]:
        """Order conditions of order p for A = X + v b^T (Butcher's rooted trees)."""
        s, b, c = range(self.stages), self.b, self.c
        A = [[self.X[i][j] + self.v[i] * b[j] for j in s] for i in s]

        def apply(vector: Sequence[Fraction]) -> list[Fraction]:
            return [sum((A[i][j] * vector[j] for j in s), Fraction(0)) for i in s]

        def weigh(vector: Sequence[Fraction]) -> Fraction:
            return sum((b[i] * vector[i] for i in s), Fraction(0))

        squares = [value**2 for value in c]
        trees = {
            1: [("sum b", weigh([Fraction(1)] * self.stages), Fraction(1))],
            2: [("sum b c", weigh(c), Fraction(1, 2))],
            3: [
                ("sum b c^2", weigh(squares), Fraction(1, 3)),
                ("sum b A c", weigh(apply(c)), Fraction(1, 6)),
            ],
            4: [
                ("sum b c^3", weigh([value**3 for value in c]), Fraction(1, 4)),
                (
                    "sum b c A c",
                    weigh([ci * ai for ci, ai in zip(c, apply(c), strict=True)]),
                    Fraction(1, 8),
                ),
                ("sum b A c^2", weigh(apply(squares)), Fraction(1, 12)),
                ("sum b A A c", weigh(apply(apply(c))), Fraction(1, 24)),
            ],
        }
        return trees[p]
