"""What finding the lowest level costs: hit rate, time of an attempt, and time to the level."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symda.analyse.judge import hits, wilson
from symda.anneal.levels import HIT
from symda.errors import OptionError

if TYPE_CHECKING:
    import xarray as xr

#: Probability of having missed the level after the time to it.
MISSED = 0.01


@dataclass(frozen=True)
class TimeToLowest:
    """The time after which the lowest level has been found with a probability of 99 %.

    Attributes
    ----------
    seconds : float
        Time of an attempt times max(1, ln 0.01 / ln(1 - rate)); infinite without a hit.
    low, high : float
        The same at the ends of the rate's 95 % Wilson interval.
    hits, attempts : int
        Attempts on the level, and all that ran to an end.
    attempt : float
        Time of an attempt in seconds: the wall time of all, divided by their number; builds
        are not in it.
    cores : int
        Workers that this time is of.
    """

    seconds: float
    low: float
    high: float
    hits: int
    attempts: int
    attempt: float
    cores: int

    @property
    def rate(self) -> float:
        """Share of attempts on the level."""
        return self.hits / self.attempts

    def __str__(self) -> str:
        cores = f"{self.cores} core{'s' * (self.cores > 1)}"
        if math.isinf(self.seconds):
            return f"not reached in {self.attempts} attempts of {self.attempt:.3g} s on {cores}"
        return (
            f"{self.seconds:.3g} s ({self.low:.3g} .. {self.high:.3g}) on {cores}, "
            f"{self.attempt:.3g} s an attempt"
        )


def time_to_lowest(
    dataset: xr.Dataset, level: float | None = None, within: float = HIT
) -> TimeToLowest:
    """Return the time to the lowest level, found with a probability of 99 %.

    Parameters
    ----------
    level : float, optional
        The lowest level, where it is known from elsewhere; by default the lowest of this run.
    within : float
        Attempts hit that end at most this far above it, in units of `measurement_scale`.

    Raises
    ------
    OptionError
        If no attempt ran to an end, or `level` or `within` is not a number.
    """
    found, attempts = hits(dataset, within, level)
    if attempts == 0:
        raise OptionError(
            "time to the lowest level: no attempt of this run ran to an end, so there is no time "
            "of an attempt. Allow more time."
        )
    record = json.loads(dataset.attrs["provenance"])
    attempt = float(record["climb_seconds"]) / attempts
    low, high = wilson(found, attempts)
    return TimeToLowest(
        seconds=attempt * repeats(found / attempts),
        low=attempt * repeats(high),
        high=attempt * repeats(low),
        hits=found,
        attempts=attempts,
        attempt=attempt,
        cores=int(record["settings"]["workers"]),
    )


def repeats(rate: float) -> float:
    """Return how many attempts miss with a probability of 1 %: max(1, ln 0.01 / ln(1 - rate))."""
    if rate <= 0.0:
        return math.inf
    return 1.0 if rate >= 1.0 else max(1.0, math.log(MISSED) / math.log1p(-rate))
