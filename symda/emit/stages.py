"""How the stages of a scheme are written, in C and in words: what the templates of a step ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from symda.discretise import Number
from symda.discretise.surd import shown
from symda.emit.format import number
from symda.lower import Stage


def coefficient(value: Number | float) -> str:
    """Write a coefficient of a tableau."""
    return number(float(value))


def times(weight: Number | float, what: str) -> str:
    """Write a product, a factor of 1 left out."""
    return what if weight == 1 else f"{coefficient(weight)}*{what}"


def combine(weights: Sequence[Number | float], term: str) -> str:
    """Sum of weights times ``term`` with ``{j}`` replaced, zeros left out, or an empty string."""
    return " + ".join(times(w, term.replace("{j}", str(j))) for j, w in enumerate(weights) if w)


def combine_in_words(weights: Sequence[Number], name: str) -> str:
    """Write the same for people: fractions as fractions, subscripts."""
    parts = [("" if w == 1 else f"{shown(w)} ") + f"{name}_{j}" for j, w in enumerate(weights) if w]
    return " + ".join(parts).replace("+ -", "- ")


def listed(term: str, count: int) -> str:
    """Write ``term`` for each ``{j}`` below `count`, commas between them."""
    return ", ".join(term.replace("{j}", str(j)) for j in range(count))


def shifted(place: int, what: str) -> str:
    """Write a place so far beyond ``what``."""
    return f"{place} + {what}" if place else what


@dataclass(frozen=True)
class StageText:
    """The stages of one scheme, written.

    In arrays a state's component is ``a``, x[n] stands first in the window ``w``, then interior
    points, then x[n+1] from E on; ``k`` holds the slopes.
    """

    stages: tuple[Stage, ...]
    discrete: bool

    @property
    def promoted(self) -> list[Stage]:
        """Stages whose arguments are grid points of their own."""
        return [stage for stage in self.stages if stage.interior is not None]

    @property
    def solved(self) -> list[Stage]:
        """Stages whose arguments use slopes of others."""
        return [stage for stage in self.stages if not stage.affine]

    def place(self, stage: Stage) -> str:
        """Where a promoted stage's point stands in the window."""
        assert stage.interior is not None
        return f"{1 + stage.interior}*D"

    def argument(self, stage: Stage, w: str = "w", k: str = "k") -> str:
        """Component of a stage's argument X_i."""
        if stage.interior is not None:
            return f"{w}[{self.place(stage)} + a]"
        return self.tied(stage, w, k)

    def tied(self, stage: Stage, w: str = "w", k: str = "k") -> str:
        """Write what ties an argument: (1 - v) x[n] + v x[n+1] + h sum_j X_ij k_j."""
        ends = ((1 - stage.v, f"{w}[a]"), (stage.v, f"{w}[E + a]"))
        base = " + ".join(times(weight, end) for weight, end in ends if weight)
        slopes = combine(stage.row, f"{k}[{{j}}*D + a]")
        return base + (f" + {'' if self.discrete else 'h*'}({slopes})" if slopes else "")

    def tied_in_words(self, stage: Stage) -> str:
        """Write the same for people."""
        ends = ((1 - stage.v, "x[n]"), (stage.v, "x[n+1]"))
        base = " + ".join(x if weight == 1 else f"{weight} {x}" for weight, x in ends if weight)
        slopes = combine_in_words(stage.row, "k")
        return base + (f" + h ({slopes})" if slopes else "")

    def argument_in_words(self, stage: Stage) -> str:
        """Say what a stage's argument is."""
        if stage.interior is None:
            return self.tied_in_words(stage)
        return f"{self.point(stage)}[n], a grid point of its own"

    def point(self, stage: Stage) -> str:
        """Name of a promoted stage's point, numbered where there are several."""
        assert stage.interior is not None
        return f"m{1 + stage.interior}" if len(self.promoted) > 1 else "m"

    def residual(self) -> str:
        """Component of the residual of x[n+1]."""
        if self.discrete:
            return "w[E + a] - k[a]"
        return f"w[E + a] - w[a] - h*({self.slopes('k[{j}*D + a]')})"

    def residual_in_words(self) -> str:
        """Say what all residuals of a step are."""
        if self.discrete:
            return "r = x[n+1] - f(x[n])"
        slopes = combine_in_words([stage.b for stage in self.stages], "k")
        ties = (f";  {self.point(s)}[n] - ({self.tied_in_words(s)})" for s in self.promoted)
        return f"r = x[n+1] - x[n] - h ({slopes})" + "".join(ties)

    def slopes(self, term: str) -> str:
        """Sum over the stages of b_j times ``term`` with ``{j}`` replaced."""
        return combine([stage.b for stage in self.stages], term)

    def time(self, stage: Stage) -> str:
        """When a stage's slope is taken."""
        return f"t + {times(stage.c, 'h')}" if stage.c and not self.discrete else "t"

    def left_out(self, stage: Stage, D: int) -> list[tuple[int, int]]:
        """Components [start, stop) of F that a stage's slope does not hold."""
        start, stop = stage.moved or (0, D)
        return [(low, high) for low, high in ((0, start), (stop, D)) if low < high]

    def adjoint_of_start(self, zero: str) -> str:
        """Write what the residuals' multipliers lam give x[n] without the slopes."""
        if self.discrete:
            return zero
        return "-lam[a]" + self._ties([(1 - stage.v, stage) for stage in self.promoted])

    def adjoint_of_end(self) -> str:
        """Write what they give x[n+1]."""
        return "lam[a]" + self._ties([(stage.v, stage) for stage in self.promoted])

    def _ties(self, weights: Sequence[tuple[Number, Stage]]) -> str:
        return "".join(f" - {times(w, f'lam[{self.place(s)} + a]')}" for w, s in weights if w)

    def adjoint_of_slope(self, stage: Stage, zero: str) -> str:
        """Write what they give a stage's slope."""
        if self.discrete:
            return "-lam[a]"
        terms = [f"{coefficient(stage.b)}*lam[a]"] if stage.b else []
        terms += [
            f"{coefficient(tied.row[stage.index])}*lam[{self.place(tied)} + a]"
            for tied in self.promoted
            if tied.row[stage.index]
        ]
        return f"-h*({' + '.join(terms)})" if terms else zero

    def hand_back(self, stage: Stage, xi: str, kappa: str, g: str) -> Iterator[str]:
        """Lines that add the adjoint of a stage's argument to what the argument is made of."""
        if stage.interior is not None:
            yield f"{g}[{self.place(stage)} + a] += {xi}[a]"
            return
        for weight, place in ((1 - stage.v, "a"), (stage.v, "E + a")):
            if weight:
                yield f"{g}[{place}] += {times(weight, f'{xi}[a]')}"
        for j, weight in enumerate(stage.row):
            if weight:
                yield f"{kappa}[{j}*D + a] += h*{times(weight, f'{xi}[a]')}"
