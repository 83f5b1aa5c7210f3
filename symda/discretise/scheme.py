"""Schemes: how the action sees the stages of a method, in one mono-implicit form for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product

import numpy as np

from symda.discretise.method import Line, Lines, row
from symda.discretise.orders import Tableaux, by_part, checked_order
from symda.discretise.surd import Matrix, Number, Row
from symda.discretise.tableau import Tableau
from symda.errors import OptionError
from symda.names import is_name

#: A rate of decay, times h, at which a method shows what it does to much faster ones.
STIFF = 1e8


@dataclass(frozen=True)
class Scheme:
    """A one-step scheme of the action, in mono-implicit Runge-Kutta form.

    That of a `Tableau` is computed (`embed`); what is none, as a stage that leans on both ends of
    the step in its own way, is given here.

    Stage i of the step from node n to node n + 1 (length h) has the argument and the slope

        X_i = (1 - v_i) x_n + v_i x_{n+1} + h sum_j X_ij k_j,
        k_i = F(X_i, u, theta, t_n + c_i h),

    and the step has the residual x_{n+1} - x_n - h sum_i b_i k_i. A stage in `interior` is promoted
    to a grid point of its own: its argument becomes an unknown m of the path, with the further
    residual m - X_i, in which the slopes of all interior points may stand; any other stage uses
    those of stages before it. A discrete map (``discrete=True``) has the residual x_{n+1} - f(x_n).

    With `parts` the scheme is partitioned, for mechanical models of separable Hamiltonian: the
    slope of a stage is that of the coordinates only ("q", 0 for the momenta) or of the momenta
    only ("p").

    The constructor checks the shapes, c_i = v_i + sum_j X_ij, and the order conditions of the
    equivalent Runge-Kutta tableau A = X + v b^T, exactly: those of the declared order hold, those
    of the next one do not.

    Parameters
    ----------
    name : str
        What messages and results call it.
    order : int
        Order of convergence (for a map: 0, there is nothing to converge to).
    c, v, b : sequence of rational or Surd, shape (stages,)
        Abscissae, implicitness and weights.
    X : sequence of sequence of rational or Surd, shape (stages, stages)
        Coefficients; strictly lower triangular except for what ties interior points.
    interior : sequence of int
        Stages promoted to grid points.
    parts : sequence of {"q", "p"}, shape (stages,), optional
        What each stage moves, in a partitioned scheme.
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
    X: Matrix
    b: Row
    interior: tuple[int, ...] = ()
    parts: tuple[str, ...] = ()
    discrete: bool = False
    source: str = field(default="", compare=False)

    @property
    def start(self) -> tuple[int, float]:
        """Where, among the abscissae, x_n alone is evaluated, and the weight of its slope there.

        A weight of 0 if there is no such stage, or another one at the same time.
        """
        at = [i for i in range(self.stages) if self.c[i] == 0]
        if len(at) != 1 or self.partitioned or not self.affine(at[0]) or self.v[at[0]]:
            return 0, 0.0
        return self.slot(at[0]), float(self.b[at[0]])

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of a step's length that belongs to each of its points (x_n, interior, x_{n+1}).

        The weights of the stages, by where their arguments are: what an integral over the step is
        summed with, (I + 2,).
        """
        shares = [0.0] * (2 + len(self.interior))
        for i, weight in enumerate(self.b):
            if i in self.interior:
                shares[1 + self.interior.index(i)] += abs(float(weight))
            else:
                shares[0] += abs(float(weight)) * float(1 - self.v[i])
                shares[-1] += abs(float(weight)) * float(self.v[i])
        return tuple(share / sum(shares) for share in shares)

    def __init__(
        self,
        name: str,
        order: int,
        *,
        c: Line,
        v: Line,
        X: Lines,
        b: Line,
        interior: Sequence[int] = (),
        parts: Sequence[str] = (),
        discrete: bool = False,
        source: str = "",
    ) -> None:
        values: dict[str, object] = {
            "name": name,
            "order": order,
            "discrete": discrete,
            "source": source,
        }
        values |= {"c": row(c), "v": row(v), "X": tuple(map(row, X)), "b": row(b)}
        values |= {"interior": tuple(interior), "parts": tuple(parts)}
        for key, value in values.items():
            object.__setattr__(self, key, value)
        self._check_shapes()
        if not discrete:
            checked_order(f"Scheme {name!r}", order, self._tableaux, separable=self.partitioned)

    @property
    def stages(self) -> int:
        """Number of stages."""
        return len(self.b)

    @property
    def summary(self) -> str:
        """Order, and how many unknowns there are within a step."""
        count = len(self.interior)
        points = f", {count} interior point{'s' * (count > 1)}" if count else ""
        return "x[n+1] = f(x[n])" if self.discrete else f"order {self.order}{points}"

    @property
    def tableau(self) -> Tableau:
        """The same step without model error, to integrate with.

        Raises
        ------
        OptionError
            If there is none, as of a map.
        """
        if self.discrete or self.partitioned:
            raise OptionError(
                f"The scheme {self.name!r} is one of the action only; to integrate with, name a "
                "method, such as 'rk4' or 'verlet', or make a symda.Tableau."
            )
        A, b = self._tableaux[0]
        return Tableau(self.name, self.order, A=A, b=b, source=self.source)

    @property
    def _tableaux(self) -> Tableaux:
        A = tuple(
            tuple(x + v * b for x, b in zip(line, self.b, strict=True))
            for line, v in zip(self.X, self.v, strict=True)
        )
        return by_part(A, self.b, self.parts) if self.parts else ((A, self.b),)

    @property
    def explicit(self) -> bool:
        """True when no stage uses x_{n+1} or an interior point: then r = x_{n+1} - f(x_n)."""
        return not any(self.v) and not self.interior

    @property
    def partitioned(self) -> bool:
        """True when each stage moves coordinates or momenta only."""
        return bool(self.parts)

    @property
    def damps(self) -> bool:
        """True when what decays fast is gone after a step: R(z) -> 0 as z -> -infinity.

        R(z) = 1 + z b^T (1 - z A)^-1 (1, .., 1) is the method's stability function. One that does
        not vanish there leaves deviations of a fast component standing, as trapezoid does, with
        their sign turned at every step.
        """
        if self.discrete or self.partitioned or self.explicit:
            return False
        (A, b), *_ = self._tableaux
        z, one = -STIFF, np.ones(self.stages)
        slopes = np.linalg.solve(np.eye(self.stages) - z * np.array(A, float), one)
        return bool(abs(1.0 + z * np.array(b, float) @ slopes) < STIFF**-0.5)

    @property
    def continuum_order(self) -> int:
        """Order at which minimisers of the action meet the continuous one (``model_error="rate"``).

        A path that the model's error e moves, x' = F(x) + e, leaves the residual h e + h^2 (1/2 -
        sum_i b_i v_i) DF e + O(h^3). So a scheme that puts the error at the end of its step, as
        explicit ones do, is only of order 1, and one with sum_i b_i v_i = 1/2, which sees it spread
        over the step, of order 2. Residuals of interior points are O(h^2) and change neither.
        """
        kinds = sorted(set(self.parts)) or [""]
        spread = all(
            sum((b * v for b, v, part in self._moving() if part == kind), Fraction(0))
            == Fraction(1, 2)
            for kind in kinds
        )
        return min(self.order, 2 if spread else 1)

    def _moving(self) -> list[tuple[Number, Number, str]]:
        return list(zip(self.b, self.v, self.parts or [""] * self.stages, strict=True))

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
        if not is_name(self.name):
            raise OptionError(f"The name of a scheme must be a printable text, got {self.name!r}.")
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
        if self.parts and (len(self.parts) != s or not {"q", "p"} >= set(self.parts)):
            raise OptionError(
                f"Scheme {self.name!r}: parts needs 'q' or 'p' for each of the {s} stages, got "
                f"{self.parts}."
            )
        later = [(i, j) for i, j in product(range(s), repeat=2) if self.X[i][j] and j >= i]
        if not self.interior and later:
            raise OptionError(
                f"Scheme {self.name!r}: X must be strictly lower triangular, so that each stage "
                "uses earlier slopes only; reorder the stages, or express implicitness through v."
            )
        if any({i, j} - set(self.interior) for i, j in later):
            raise OptionError(
                f"Scheme {self.name!r}: X must be strictly lower triangular except for interior "
                "stages, whose arguments may use the slopes of all interior stages; reorder the "
                "stages, express implicitness through v, or promote more of them."
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
            along = [j for j in range(s) if not self.parts or self.parts[j] != self.parts[i]]
            total = self.v[i] + sum((self.X[i][j] for j in along), Fraction(0))
            if total != self.c[i]:
                raise OptionError(
                    f"Scheme {self.name!r}: stage {i} is inconsistent, c = {self.c[i]} but "
                    f"v + sum of X = {total}."
                )
