"""The judge: how far a learned model is from clean test data, and from the true model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from symda.checks import integer, number
from symda.declare.model import Model
from symda.errors import OptionError
from symda.learn.field import Field
from symda.learn.learner import Learner, ModelLearner
from symda.learn.lyapunov import lyapunov_spectrum
from symda.learn.measures import (
    clean_runs,
    compared_terms,
    distance,
    forecast_errors,
    free_run,
    places_in,
    valid_times,
)
from symda.learn.series import Recordings, Series, Times
from symda.types import FloatArray

#: A forecast is valid while its error is below this share of the attractor's size.
THRESHOLD = 0.4


@dataclass(frozen=True, eq=False)
class Score:
    """What `score` measures; lengths in the user's units, nan where it could not be found.

    Attributes
    ----------
    name : str
        Of the method or model.
    errors : dict of int to float
        Steps ahead -> RMS forecast error, over all components and start points.
    valid_time : float
        Median over starts of the time until the forecast's error, each component in units of its
        standard deviation and RMS over components, exceeds 0.4; in units of time.
    valid_lyapunov : float
        The same in Lyapunov times, times the true exponent.
    not_reached : int
        Forecasts still valid where the test data end; they count with the time they had.
    exponents, exponent_errors : (D,)
        Lyapunov exponents, the largest first, and standard errors over starts.
    distance : float
        Of attractors: Wasserstein's distance of the values of one component, in units of its
        standard deviation, mean over components. A free run against the test data.
    distance_floor : float
        The same of the two halves of the test data: what a perfect model may get.
    found, missed, extra : tuple of str, or None
        Terms of the true rates, ``dx/dt: y``, that were learned and not learned, and others.
    diverged : dict of str to (int, int)
        How many forecasts, runs for exponents and free runs were not finite, which the numbers
        leave out, and of how many.
    """

    name: str
    errors: dict[int, float]
    valid_time: float
    valid_lyapunov: float
    not_reached: int
    exponents: FloatArray
    exponent_errors: FloatArray
    distance: float
    distance_floor: float
    found: tuple[str, ...] | None
    missed: tuple[str, ...] | None
    extra: tuple[str, ...] | None
    diverged: dict[str, tuple[int, int]]

    @property
    def exact(self) -> bool | None:
        """Whether exactly the true terms were learned; None without `truth`."""
        if self.missed is None or self.extra is None:
            return None
        return not self.missed and not self.extra

    @property
    def table(self) -> dict[str, float]:
        """All numbers by name, one row of a table; counts of terms are nan without `truth`."""
        row = {f"e{k}": value for k, value in self.errors.items()}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, int | float):
                row[one.name] = float(value)
        row |= {f"exponent{i + 1}": float(value) for i, value in enumerate(self.exponents)}
        row["exponent_error"] = float(self.exponent_errors[0])
        for what in ("found", "missed", "extra"):
            terms = getattr(self, what)
            row[what] = np.nan if terms is None else float(len(terms))
        row |= {f"diverged_{what}": float(k) for what, (k, _) in self.diverged.items()}
        return row

    def __repr__(self) -> str:
        lines = [f"Score of {self.name}"]
        lines += [f"  RMS error at t0 + {k} h: {value:.4g}" for k, value in self.errors.items()]
        late = f", {self.not_reached} not reached" if self.not_reached else ""
        lines.append(
            f"  valid forecast: {self.valid_time:.4g} units of time, "
            f"{self.valid_lyapunov:.3g} Lyapunov times (median, threshold {THRESHOLD}{late})"
        )
        if np.isfinite(self.exponents).any():
            pairs = zip(self.exponents, self.exponent_errors, strict=True)
            lines.append("  exponents: " + ", ".join(f"{e:.4g} +- {s:.1g}" for e, s in pairs))
        else:
            lines.append("  exponents: not found")
        lines.append(
            f"  distance of attractors (1-D Wasserstein): {self.distance:.3g} standard "
            f"deviations; halves of the test data {self.distance_floor:.3g}"
        )
        if self.found is not None and self.missed is not None and self.extra is not None:
            lines.append(
                f"  terms: {len(self.found)} of {len(self.found) + len(self.missed)} true ones "
                f"found, {len(self.extra)} others"
            )
            lines += [f"    missed {one}" for one in self.missed]
        lines += [
            f"  diverged: {k} of {of} {what.replace('_', ' ')}"
            for what, (k, of) in self.diverged.items()
            if k
        ]
        return "\n".join(lines)


@dataclass
class _Given(ModelLearner):
    """A model that is given."""

    name = "model"

    def learn(self, series: Sequence[Series], names: Sequence[str], where: str) -> None:
        """Do nothing: there is nothing to learn."""

    @classmethod
    def of(cls, model: Model) -> _Given:
        found = cls()
        found._field = Field(model)
        return found


def score(
    learned: Learner | Model,
    test: Recordings,
    t: Times = None,
    *,
    horizons: Sequence[int] = (1, 4),
    truth: Model | None = None,
    exponent: float | None = None,
    starts: int = 50,
    steps: int = 4000,
    spin_up: int = 500,
) -> Score:
    """Judge what was learned by clean data of the same system.

    Parameters
    ----------
    learned : Learner or Model
        A fitted method, or a model without parameters.
    test : array (T, D), list of them, or observations
        Without noise or gaps, h apart.
    t : float or (T,)
        With arrays: the step h, or the times.
    horizons : sequence of int
        Steps ahead at which the error is measured, from every point of the test data.
    truth : Model, optional
        Without parameters: what terms are compared with, and whose exponent counts Lyapunov times.
        States are the same by name if all names are, else by position.
    exponent : float, optional
        The true largest exponent, if known.
    starts : int
        Points of the test data, evenly spread, from which long runs start.
    steps, spin_up : int
        Length of runs for exponents and attractors, and what is left out before.

    Returns
    -------
    Score

    Raises
    ------
    DataError
        If the test data have gaps, too few or uneven times, or another number of states.
    ModelError
        If the truth has another number, or parameters.
    SolveError
        If nothing was fitted.

    Notes
    -----
    Exponents are those of the step map, see `lyapunov_spectrum`; a method without a model, such as
    `Analogs`, has none.
    """
    learner = _Given.of(learned) if isinstance(learned, Model) else learned
    if not isinstance(learner, Learner):
        raise OptionError(
            f"score: expected a fitted method or a model, got {type(learned).__name__}."
        )
    learner.check_fitted("score")
    ahead = [integer(k, "score: horizons") for k in horizons]
    if not ahead:
        raise OptionError("score: horizons must have a number of steps, such as (1, 4).")
    starts = integer(starts, "score: starts")
    steps, spin_up = integer(steps, "score: steps"), integer(spin_up, "score: spin_up", least=0)
    if exponent is not None:
        exponent = number(exponent, "score: exponent")
    runs, h = clean_runs(test, t, learner, max(ahead))
    points = np.concatenate(runs)
    size = points.std(axis=0)
    chosen = points[np.linspace(0, len(points) - 1, min(starts, len(points))).astype(int)]
    terms: tuple[tuple[str, ...] | None, ...] = (None, None, None)
    if truth is not None:
        true, begin = Field(truth), chosen
        if isinstance(learner, ModelLearner):
            terms = compared_terms(learner.model, truth)
            begin = chosen[:, np.argsort(places_in(truth, learner.model))]
        if exponent is None:
            exponent = lyapunov_spectrum(true, begin, h, steps, spin_up=spin_up).exponents[0]
    errors, lost = forecast_errors(learner, runs, h, ahead)
    valid, late = valid_times(learner, runs, h, size, starts, THRESHOLD)
    free, fell = free_run(learner, chosen, h, steps, spin_up)
    diverged = {
        "forecasts": (lost, sum(len(one) - max(ahead) for one in runs)),
        "free_runs": (fell, len(chosen)),
    }
    exponents = errors_of_them = np.full(learner.D, np.nan)
    if isinstance(learner, ModelLearner):
        found = lyapunov_spectrum(learner.field, chosen, h, steps, spin_up=spin_up)
        exponents, errors_of_them = found.exponents, found.errors
        diverged["exponent_runs"] = (found.diverged, len(chosen))
    return Score(
        name=learned.name,
        errors=errors,
        valid_time=float(np.median(valid)),
        valid_lyapunov=np.nan if exponent is None else float(np.median(valid) * exponent),
        not_reached=late,
        exponents=exponents,
        exponent_errors=errors_of_them,
        distance=distance(free, points, size),
        distance_floor=distance(points[: len(points) // 2], points[len(points) // 2 :], size),
        found=terms[0],
        missed=terms[1],
        extra=terms[2],
        diverged=diverged,
    )
