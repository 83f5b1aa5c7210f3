"""`Lyapunov`: exponents with their errors, and what follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symda.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd

#: An exponent is positive, or not, if it is so many standard errors from 0.
ERRORS = 2.0
#: Exponents that are printed.
LISTED = 24


@dataclass(frozen=True, eq=False)
class Lyapunov:
    """Lyapunov exponents, averages over starts.

    Attributes
    ----------
    exponents : (D,)
        The largest first, per unit of time. With coupled states conditional ones: those of the
        difference of a copy that is nudged to the trajectory, at the strength of `table` with the
        lowest largest one, or at that which was given.
    errors : (D,)
        Standard errors over starts; nan with one start.
    by_start : (K, D)
        Those of each start.
    time : float
        Length that each was followed for.
    resolution : float
        What cannot be told from 0 in that time: log(1 + time/unit)/time, by which differences that
        grow as powers of time, along a limit cycle or in an integrable system, seem to grow.
    coupled : tuple of str
        States that are given.
    coupling : float
        Strength, per unit of time; nan without coupled states, or in their place the data.
    substituted : Lyapunov or None
        Those of the states that are not coupled, the others being replaced by the data: an endless
        strength. None without coupled states.
    scan : tuple of Lyapunov
        Those of each strength that was tried, followed for a quarter of the time.
    """

    exponents: FloatArray
    errors: FloatArray
    by_start: FloatArray
    time: float
    resolution: float = 0.0
    coupled: tuple[str, ...] = ()
    coupling: float = math.nan
    substituted: Lyapunov | None = None
    scan: tuple[Lyapunov, ...] = ()

    @property
    def positive(self) -> int:
        """How many exponents are positive: beyond two standard errors and the resolution."""
        return int((self.exponents > self._least).sum())

    @property
    def undecided(self) -> int:
        """How many cannot be told from 0; of a flow without coupling one has to be 0."""
        return int((np.abs(self.exponents) <= self._least).sum())

    @property
    def _least(self) -> FloatArray:
        """What each exponent has to be beyond, (D,)."""
        return np.maximum(ERRORS * np.nan_to_num(self.errors), self.resolution)

    @property
    def dimension(self) -> float:
        """Dimension of the attractor by Kaplan and Yorke (1979); nan with coupled states."""
        if self.coupled:
            return math.nan
        sums = np.cumsum(self.exponents)
        if sums[0] < 0.0:
            return 0.0
        k = int(np.flatnonzero(sums >= 0.0)[-1])
        if k + 1 == sums.size:
            return float(sums.size)
        return k + 1 + float(sums[k] / abs(self.exponents[k + 1]))

    @property
    def table(self) -> pd.DataFrame:
        """By `coupling` (inf: substituted): `largest`, its `error`, `positive`, `undecided`."""
        import pandas as pd

        others = [one for one in self.scan if one.coupling != self.coupling]
        every = sorted([*others, self], key=lambda one: one.coupling)
        rows = [(one.coupling, one) for one in every]
        if self.substituted is not None:
            rows.append((math.inf, self.substituted))
        return pd.DataFrame(
            {
                "coupling": [strength for strength, _ in rows],
                "largest": [float(one.exponents[0]) for _, one in rows],
                "error": [float(one.errors[0]) for _, one in rows],
                "positive": [one.positive for _, one in rows],
                "undecided": [one.undecided for _, one in rows],
            }
        )

    def __str__(self) -> str:
        listed = ", ".join(
            f"{value:.4g}" + f" +- {error:.1g}" * bool(np.isfinite(error))
            for value, error in zip(self.exponents[:LISTED], self.errors, strict=False)
        )
        listed += f" and {len(self.exponents) - LISTED} more" * (len(self.exponents) > LISTED)
        over = f"over {self.time:.4g} units of time from {len(self.by_start)} starts"
        signs = f"{self.positive} positive"
        if self.undecided:
            signs += f", {self.undecided} not told from 0"
        if not self.coupled:
            return f"{listed}, {over}; {signs}, dimension {self.dimension:.4g}"
        names = ", ".join(self.coupled)
        how = f"nudged to {names} with strength {self.coupling:.3g}"
        if math.isnan(self.coupling):
            how = f"with data in place of {names}"
        lines = [f"{how}: {listed}, {over}; {signs}"]
        other = self.substituted
        if other is not None and other.exponents.size:
            error = f" +- {other.errors[0]:.1g}" * bool(np.isfinite(other.errors[0]))
            lines.append(
                f"with the data in their place: largest {other.exponents[0]:.4g}{error}, "
                f"{other.positive} positive"
            )
        return "\n".join(lines)
