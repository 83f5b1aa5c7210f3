"""What was found of a run's best path while its kernels were there, as plain data."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from symda.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

#: Attribute of a run's dataset that holds its assessment as JSON.
ATTRIBUTE = "assessment"


@dataclass(frozen=True)
class Shift:
    """How far an error moves the estimate."""

    parameter: str = ""  #: The parameter that it moves most, empty if none is free.
    sds: float = 0.0  #: By how many of its standard deviations.
    share: float = 0.0  #: By which share of its value.
    #: How far it moves a measured quantity at most, in standard deviations of the noise.
    fit: float = 0.0
    channel: str = ""  #: Which one.
    time: float = math.nan  #: When.
    experiment: str = ""  #: In which of several experiments.


@dataclass(frozen=True)
class Decay:
    """A decay that is too fast for the steps."""

    reach: float  #: Its rate times the length of the step.
    rate: float
    states: tuple[str, ...]  #: Those that decay.
    time: float  #: When.
    experiment: str = ""  #: In which of several experiments.


@dataclass(frozen=True)
class Assessment:
    """What was found of the best path of a run."""

    #: Which path, at which rung.
    path: int
    beta: int
    #: Whether it is the equations' own solution, integrated to this relative error; 0: it is not.
    exact: float = 0.0
    #: Whether it ended in a minimum; None: its solver minimises another action.
    minimum: bool | None = None
    words: str = ""  #: Why it did not.
    decrement: float = math.nan  #: What a Newton step would still lower the action by.
    #: (name, points): unknowns on a bound that holds them; points is 0 for a parameter.
    held: tuple[tuple[str, int], ...] = ()
    unseen: tuple[str, ...] = ()  #: States that nothing measured depends on.
    loose: tuple[str, ...] = ()  #: Directions of the parameters that the data leave open.
    #: (name, sd): standard deviations of the free parameters.
    sds: tuple[tuple[str, float], ...] = ()
    beyond: tuple[str, ...] = ()  #: Parameters whose interval of 95 % goes beyond a bound.
    #: What is left of the model error: how far the estimate is from that of infinite Rf.
    model: Shift | None = None
    #: Relative change of a standard deviation, at most, if Rf were infinite; nan if it is no small
    #: one.
    spread: float = math.nan
    scheme: Shift | None = None  #: What the error of the scheme moves the estimate by.
    #: Time of the first step that ends on another root of the scheme than the solution's.
    stray: float = math.nan
    #: The fastest decay, where the scheme does not damp one that its steps are too long for.
    decay: Decay | None = None
    bars: float = 0.0  #: Relative change of a standard deviation, at most, by the scheme's error.
    #: Steps in which the equations are too stiff for the scheme's error to be found.
    unsettled: int = 0
    inside: bool = True  #: Whether the forcing inside of the steps was known.
    factor: int = 1  #: How many times as many steps would make the scheme's error small; 1: it is.
    #: Time up to which the equations, from the path's first state, follow the path; of several
    #: experiments in the one where they do so for the smallest share of its time.
    follows: float = math.nan
    followed: str = ""  #: Which of several experiments that is.
    growth: float = math.nan  #: Largest factor by which they enlarge a deviation.
    explained: bool = True  #: Whether it is that growth which ends it.
    #: Data, and quantities that were fitted to them.
    n: int = 0
    p: int = 0
    #: Part of the prior term that values of parameters per step pay: judged as data are.
    values: float = 0.0
    #: Mean and standard deviation that the noise says of the measurement term, and the priors of
    #: `values`; nan: all is Gaussian with known variances, or cannot be drawn from.
    expected: float = math.nan
    expected_sd: float = math.nan
    #: Probability of quantile residuals as far from normal as these are (Kolmogorov-Smirnov).
    normal: float = math.nan
    vanished: tuple[str, ...] = ()  #: Channels whose noise was estimated as none.
    #: Jumps of the equations that the path meets; derivatives do not see them.
    jumps: tuple[str, ...] = ()
    random: bool = True  #: Whether the starts of different paths differ.
    notes: tuple[str, ...] = field(default=())  #: What could not be looked at, and why.

    def sd(self, parameter: str) -> float:
        """Return a parameter's standard deviation; inf if nothing determines it, nan: not known."""
        return dict(self.sds).get(parameter, math.nan)

    def on_bound(self, parameter: str) -> bool:
        """Return whether a bound holds a parameter."""
        return (parameter, 0) in self.held


def assessment(dataset: xr.Dataset) -> Assessment | None:
    """Return the assessment of a run, None if it has none.

    Raises
    ------
    DataError
        If what the dataset holds is no assessment.
    """
    text = dataset.attrs.get(ATTRIBUTE)
    if text is None:
        return None
    try:
        record = json.loads(text)
        for name in ("model", "scheme"):
            record[name] = None if record[name] is None else Shift(**record[name])
        if record.get("decay") is not None:
            states = tuple(record["decay"].pop("states"))
            record["decay"] = Decay(**record["decay"], states=states)
        for name in ("held", "sds"):
            record[name] = tuple(tuple(pair) for pair in record[name])
        for name in ("unseen", "loose", "beyond", "jumps", "notes", "vanished"):
            record[name] = tuple(record.get(name, ()))
        return Assessment(**record)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise DataError(
            f"the attribute {ATTRIBUTE!r} of this run is none that `anneal` writes ({error}). "
            "Anneal again, or remove it to do without."
        ) from error
