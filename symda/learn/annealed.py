"""`AnnealedTerms`: path, coefficients and terms found together as Rf grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from symda.checks import integer, number
from symda.declare.library import Library
from symda.errors import OptionError
from symda.learn.candidates import chosen_library
from symda.learn.field import Field
from symda.learn.identify import Identified, Rules, identify
from symda.learn.learner import ModelLearner
from symda.learn.series import Series
from symda.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(eq=False)
class AnnealedTerms(ModelLearner):
    """Find equations with few terms in noisy, gappy recordings.

    States and coefficients of a library of terms are found together by raising Rf, the precision
    of the model, from starts of different smoothness. On each rung terms that the data do not
    support are left out, by Laplace's approximation of the evidence; then supports are changed, a
    term or two at a time, as long as the evidence rises.

    Parameters
    ----------
    degree : int
        Highest degree of the candidates, all monomials of the states.
    library : Library, optional
        The candidates, in place of `degree`; see `symda.learn.library`.
    variance : float or (D,), optional
        Noise variance where the recordings do not say it; estimated if None.
    step : float, optional
        Longest step of the path's grid; by default as long as the data and their rates allow.
    starts : int
        Most starts: up to four from paths of different smoothness, then, where what was found does
        not explain the data, without one of its terms.
    complexity : float
        What a degree above the first costs, in units of the logarithm of the evidence: a quadratic
        term must make the data exp(complexity) times as likely as a linear one in its place.
    prior : float
        Standard deviation of each coefficient, in units in which its term alone makes up the rate.

    Attributes
    ----------
    model : Model
        The equations found, with numbers for coefficients.
    terms : pandas.DataFrame
        One row for each term found: state, term, coefficient, its standard deviation, and the
        evidence for it, the logarithm of how many times less likely the data are without it.
    alternatives : pandas.DataFrame
        The other supports that were fitted, what they differ by, and how much less likely they are.
    result : Identified
        All of it as arrays: also the path, the noise and what limits the answer.
    """

    degree: int = 2
    library: Library | None = None
    variance: float | Sequence[float] | FloatArray | None = None
    step: float | None = None
    starts: int = 12
    complexity: float = 4.0
    prior: float = 3.0

    name = "annealed terms"
    _result: Identified | None = field(default=None, init=False, repr=False)
    _library: Library | None = field(default=None, init=False, repr=False)

    def learn(self, series: Sequence[Series], names: Sequence[str], where: str) -> None:
        """See `Learner.fit`."""
        candidates, columns = chosen_library(self.library, self.degree, names, where, hidden=True)
        series = [one.of_columns(columns) for one in series]
        self._result = identify(candidates, series, self._rules(len(candidates.states)))
        self._library = candidates
        self._field = Field(candidates.fitted(self._result.coefficients))

    def _rules(self, D: int) -> Rules:
        variance = np.full(D, np.nan)
        if self.variance is not None:
            given = list(
                np.broadcast_to(self.variance, D)
                if np.ndim(self.variance) == 0
                else np.asarray(self.variance)
            )
            if len(given) != D:
                raise OptionError(
                    f"AnnealedTerms: variance must be a number or {D} of them, got {len(given)}."
                )
            variance = np.array(
                [number(v, "AnnealedTerms: variance", kind="positive") for v in given]
            )
        step = self.step
        if step is not None:
            step = number(step, "AnnealedTerms: step", kind="positive")
        return Rules(
            variance,
            step,
            integer(self.starts, "AnnealedTerms: starts"),
            number(self.complexity, "AnnealedTerms: complexity", kind="non-negative"),
            number(self.prior, "AnnealedTerms: prior", kind="positive"),
        )

    @property
    def result(self) -> Identified:
        """What was found, as arrays."""
        self.check_fitted("result")
        assert self._result is not None
        return self._result

    @property
    def terms(self) -> pd.DataFrame:
        """The terms found; see the class."""
        import pandas as pd

        found, names = self.result, self._names()
        rows = [
            {
                "state": names[0][i],
                "term": names[1][j],
                "coefficient": found.coefficients[i, j],
                "standard deviation": found.spread[i, j],
                "evidence": found.evidence[i, j],
            }
            for i, j in np.argwhere(found.free)
        ]
        columns = ["state", "term", "coefficient", "standard deviation", "evidence"]
        return pd.DataFrame(rows, columns=columns)

    @property
    def alternatives(self) -> pd.DataFrame:
        """The other supports that were fitted, the best first; see the class."""
        import pandas as pd

        found, names = self.result, self._names()

        def said(which: BoolArray) -> str:
            return ", ".join(f"{names[1][j]} in {names[0][i]}" for i, j in np.argwhere(which))

        rows = [
            {
                "without": said(found.free & ~other),
                "with": said(other & ~found.free),
                "evidence": less,
            }
            for other, less in found.others
        ]
        return pd.DataFrame(rows, columns=["without", "with", "evidence"])

    def _names(self) -> tuple[list[str], list[str]]:
        assert self._library is not None
        return [x.name for x in self._library.states], [str(e) for e in self._library.terms]

    def compared(self, coefficients: ArrayLike, path: ArrayLike) -> float:
        """Return by how much less likely the data are with other terms: a logarithm.

        The terms are fitted again, from their coefficients and a path nearby. Below 0 they are a
        better answer, which the search missed; above 0 the data prefer what was found, even where
        the others are the truth.

        Parameters
        ----------
        coefficients : (D, T)
            Of the library's terms, 0 where there is none.
        path : (M, D)
                States at `result.times`.

        Raises
        ------
        DataError
            If the shapes are not these.
        """
        return self.result.compared(
            np.asarray(coefficients, dtype=np.float64), np.asarray(path, dtype=np.float64)
        )

    def plot(self, path: str | Path | None = None) -> Figure:
        """Plot the data and the path through them; see `symda.show.learned.plot_learned`."""
        from symda.show.learned import plot_learned

        found = self.result
        names = self._names()[0]
        return plot_learned(
            names, found.times, found.path, found.parts, found.seen, found.noise, path
        )

    def summary(self) -> str:
        """Return in words what was found, and what limits it."""
        found, names = self.result, self._names()
        lines = [
            f"{found.free.sum()} of {found.allowed.sum()} candidate terms, from {found.count} "
            f"values on {len(found.path)} points, {found.climbs} climbs"
        ]
        for x, equation in zip(self.model.states, self.model.equations, strict=True):
            lines.append(f"d{x.name}/dt = {equation.evalf(5)}")
        seen = [bool(column.any()) for column in np.isfinite(found.seen).T]
        noise = ", ".join(
            f"{x} {v:.4g}" if measured else f"{x} was not measured"
            for x, v, measured in zip(names[0], found.noise, seen, strict=True)
        )
        how = "estimated" if found.estimated else "given"
        lines.append(f"noise variance ({how}): {noise}")
        if found.others and found.others[0][1] < CERTAIN:
            first = self.alternatives.iloc[0]
            change = " and ".join(
                f"{word} {first[word]}" for word in ("without", "with") if first[word]
            )
            lines.append(
                f"not certain: {change} the data are only {np.exp(first['evidence']):.3g} times "
                "less likely; see `alternatives`"
            )
        return "\n".join([*lines, *found.cautions])


#: An alternative that is less likely by less than this (a logarithm) makes the answer uncertain.
CERTAIN = 3.0
