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
    """How far an error moves the estimate.

    Attributes
    ----------
    parameter : str
        The parameter that it moves most, empty if none is free.
    sds : float
        By how many of its standard deviations.
    share : float
        By which share of its value.
    fit : float
        How far it moves a measured quantity at most, in standard deviations of the noise.
    channel : str
        Which one.
    time : float
        When.
    """

    parameter: str = ""
    sds: float = 0.0
    share: float = 0.0
    fit: float = 0.0
    channel: str = ""
    time: float = math.nan


@dataclass(frozen=True)
class Assessment:
    """What was found of the best path of a run.

    Attributes
    ----------
    path, beta : int
        Which path, at which rung.
    minimum : bool or None
        Whether it ended in a minimum; None: its solver minimises another action.
    words : str
        Why it did not.
    decrement : float
        What a Newton step would still lower the action by.
    held : tuple of (name, points)
        Unknowns on a bound that holds them; points is 0 for a parameter.
    unseen : tuple of str
        States that nothing measured depends on.
    loose : tuple of str
        Directions of the parameters that the data leave open.
    sds : tuple of (name, sd)
        Standard deviations of the free parameters.
    model : Shift or None
        What is left of the model error: how far the estimate is from that of infinite Rf.
    spread : float
        Relative change of a standard deviation, at most, if Rf were infinite; nan if it is no small
        one.
    scheme : Shift or None
        What the error of the scheme moves the estimate by.
    stray : float
        Time of the first step that ends on another root of the scheme than the solution's.
    bars : float
        Relative change of a standard deviation, at most, by the scheme's error.
    unsettled : int
        Steps in which the equations are too stiff for the scheme's error to be found.
    inside : bool
        Whether the forcing inside of the steps was known.
    factor : int
        How many times as many steps would make the scheme's error small; 1: it is.
    follows : float
        Time up to which the equations, from the path's first state, follow the path.
    growth : float
        Largest factor by which they enlarge a deviation.
    explained : bool
        Whether it is that growth which ends it.
    n, p : int
        Data, and quantities that were fitted to them.
    jumps : tuple of str
        Jumps of the equations that the path meets; derivatives do not see them.
    random : bool
        Whether the starts of different paths differ.
    notes : tuple of str
        What could not be looked at, and why.
    """

    path: int
    beta: int
    minimum: bool | None = None
    words: str = ""
    decrement: float = math.nan
    held: tuple[tuple[str, int], ...] = ()
    unseen: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()
    sds: tuple[tuple[str, float], ...] = ()
    model: Shift | None = None
    spread: float = math.nan
    scheme: Shift | None = None
    stray: float = math.nan
    bars: float = 0.0
    unsettled: int = 0
    inside: bool = True
    factor: int = 1
    follows: float = math.nan
    growth: float = math.nan
    explained: bool = True
    n: int = 0
    p: int = 0
    jumps: tuple[str, ...] = ()
    random: bool = True
    notes: tuple[str, ...] = field(default=())

    def sd(self, parameter: str) -> float:
        """Return a parameter's standard deviation; inf if nothing determines it, nan: not known."""
        return dict(self.sds).get(parameter, math.nan)

    def on_bound(self, parameter: str) -> bool:
        """Return whether a bound holds a parameter."""
        return (parameter, 0) in self.held


def assessment(dataset: xr.Dataset) -> Assessment | None:
    """Return the assessment of a run, None if it has none.

    Parameters
    ----------
    dataset : xarray.Dataset
        The dataset of a run.

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
        for name in ("held", "sds"):
            record[name] = tuple(tuple(pair) for pair in record[name])
        for name in ("unseen", "loose", "jumps", "notes"):
            record[name] = tuple(record[name])
        return Assessment(**record)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise DataError(
            f"the attribute {ATTRIBUTE!r} of this run is none that `anneal` writes ({error}). "
            "Anneal again, or remove it to do without."
        ) from error
