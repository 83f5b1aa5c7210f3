"""How far to trust a run: the one judgement that summary, table, report and console repeat."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symda.analyse.assessment import Assessment, Shift, assessment
from symda.analyse.judge import chi_squared, hits, percent, wilson
from symda.analyse.levels import (
    best_path,
    chosen_solution,
    last_rung,
    level_members,
    path_counts,
    reached,
)
from symda.analyse.rivals import rivals, unfinished, unseen_levels
from symda.analyse.stiffness import FAST
from symda.anneal.apart import apart
from symda.anneal.levels import HIT, NEAR, RARE, STOPPED

if TYPE_CHECKING:
    import xarray as xr

#: A shift of the estimate matters from this share of its standard deviation on, or of itself. The
#: estimate, its error bars and the fit are then good to a hundredth.
SDS, SHARE, FIT = 0.1, 0.01, 0.2
#: Change of a standard deviation that matters.
SPREAD = 0.01
#: A model error that moves the estimate by less is not what moves error bars by a hundredth.
BEYOND = 1e-6
#: More times as many steps are no remedy of stiffness; this is one.
MANY, DAMPING = 20.0, "take scheme='radau3' or 'radau5'"
#: Quantile residuals of a smaller probability are not those of the noise.
NORMAL = 1e-3


@dataclass(frozen=True)
class Finding:
    """One question put to a run, and the answer.

    Attributes
    ----------
    about : str
        ``minimum``, ``stiff``, ``solution``, ``scheme``, ``chi-squared``, ``residuals``, ``free
        run``, ``smooth``, ``bounds``, ``determined`` or ``level``; of networks also
        ``back-propagation``, ``inputs`` and ``learned``.
    holds : bool or None
        Whether all is well; None: it could not be looked at.
    text : str
        In words.
    """

    about: str
    holds: bool | None
    text: str


@dataclass(frozen=True)
class Verdict:
    """How far a run can be trusted.

    Attributes
    ----------
    findings : tuple of Finding
        In the order of their weight.
    """

    findings: tuple[Finding, ...]

    @property
    def consistent(self) -> bool:
        """Whether the lowest path solves the equations and agrees with the data."""
        return all(finding.holds for finding in self.findings)

    @property
    def mood(self) -> str:
        """``"good"``, ``"bad"`` if something fails, or ``"open"`` if something is not known."""
        if self.consistent:
            return "good"
        return "bad" if any(finding.holds is False for finding in self.findings) else "open"

    @property
    def first(self) -> Finding:
        """The first failure; else the first thing not known; else the chi-squared test."""
        for sought in (False, None):
            for finding in self.findings:
                if finding.holds is sought:
                    return finding
        return next(f for f in self.findings if f.about == "chi-squared")

    def __str__(self) -> str:
        first = self.first
        if self.consistent:
            return f"consistent with the data: {first.text}"
        word = "not consistent" if first.holds is False else "not certain"
        return f"{word} ({first.about}): {first.text}"

    def lines(self) -> list[str]:
        """Return the verdict and then every other finding, a line each."""
        marks = {True: "yes", False: "no", None: "not known"}
        rest = [f for f in self.findings if f is not self.first or self.consistent]
        return [str(self), *(f"  {f.about}, {marks[f.holds]}: {f.text}" for f in rest)]


def verdict(dataset: xr.Dataset) -> Verdict:
    """Judge a run by its lowest path, and by how often that was met.

    "Consistent" is said only if all of this holds: the path is a minimum; the model's errors and
    the scheme's do not move the estimate; twice the action is what chi-squared with n - p degrees
    of freedom gives (Bennett, Inverse Methods in Physical Oceanography, 1992); the equations alone
    follow the path for as long as their instability allows; nothing is on a bound or undetermined;
    and the level was met more than once, from starts that differ, and levels near it neither make a
    lower one likely nor tell other parameters.

    Raises
    ------
    SolveError
        If no path reached any rung.
    """
    last_rung(dataset)
    found = assessment(dataset)
    return Verdict(
        (
            _minimum(dataset, found),
            *stiff(dataset),
            *_solution(found),
            _chi_squared(dataset),
            *_residuals(found),
            *_free_run(dataset, found),
            *_smooth(found),
            *_bounds(found),
            *_determined(found),
            _level(dataset, found),
        )
    )


def _minimum(dataset: xr.Dataset, found: Assessment | None) -> Finding:
    rung, best = last_rung(dataset), best_path(dataset)
    status = dataset["status"].values[:, rung]
    message = str(dataset["message"].values[best])
    counts = path_counts(dataset)
    beta, last = int(dataset["beta"].values[rung]), int(dataset["beta"].values[-1])
    stopped = int((status[reached(dataset)[:, rung]] == STOPPED).sum())
    others = f"{stopped} of {counts.reached} paths did not end in one" if stopped else ""
    if not counts.finished:
        why = f": {message}" if message else ""
        return Finding(
            "minimum", False, f"no path reached the end of the ladder (beta = {last}){why}"
        )
    if status[best] == STOPPED or (found is not None and found.minimum is False):
        why = message or (found.words if found is not None else "") or "the solver stopped"
        return Finding("minimum", False, f"the lowest path did not end in a minimum: {why}")
    if found is None:
        text = "the run has no assessment: it is an old one, or was interrupted"
        return Finding("minimum", None, text)
    if found.minimum is None:
        text = "by its solver's own test, of the continuous problem"
        return Finding("minimum", True, text)
    where = "among the equations' solutions" if found.exact else f"at beta = {beta}"
    text = f"a Newton step would lower the action by {found.decrement:.2g} {where}"
    return Finding("minimum", True, f"{text}; {others}" if others else text)


def stiff(dataset: xr.Dataset) -> Iterator[Finding]:
    """Say where a decay is too fast for the steps, under a scheme that does not damp it."""
    found = assessment(dataset)
    if found is None or found.decay is None:
        return
    decay = found.decay
    scheme = dataset.attrs["scheme"]
    text = (
        f"h times the fastest rate of decay is {decay.reach:.3g} ({_listed(list(decay.states))} at "
        f"t = {decay.time:.6g}{_of_experiment(decay.experiment)}), above {FAST:g}, and {scheme!r} "
        "does not damp what its steps do not resolve"
    )
    if found.scheme is not None and not found.unsettled and not _matters(found.scheme):
        yield Finding("stiff", True, f"{text}; its error, though, {_moves(found.scheme)}")
        return
    # two digits of it are not to be more than that either
    shorter = 0.9 * FAST / decay.rate
    steps = f", or max_step={shorter:.2g}" if decay.reach < MANY * FAST else ""
    yield Finding("stiff", None, f"{text}: {DAMPING}{steps}")


def _solution(found: Assessment | None) -> Iterator[Finding]:
    if found is None:
        return
    if found.minimum is False:
        yield Finding("solution", None, "not looked at, since the path is no minimum")
        return
    if found.exact:
        text = (
            "the path is the equations' own, integrated with steps whose relative error is "
            f"{found.exact:.0e}"
        )
        yield Finding("solution", True, text)
        if not found.inside:
            yield Finding(
                "scheme",
                None,
                "the data were bound before, so that the forcing inside of steps is not known; "
                "pass the Observations",
            )
        return
    if found.minimum is None and found.model is None and not found.notes:
        why = "the action has no minimum at this path of the continuous problem; take shorter steps"
        yield Finding("solution", None, f"not looked at ({why})")
        return
    if found.model is None:
        why = found.notes[0] if found.notes else "the action is not convex there"
        yield Finding("solution", None, f"not looked at ({why})")
        return
    what = "the model error that is left"
    share = "much" if math.isnan(found.spread) else f"by {percent(found.spread)}"
    bars = f"error bars would change {share} if Rf were infinite"
    if _matters(found.model):
        text = f"{what} {_moves(found.model)}; raise Rf: end the ladder later"
        yield Finding("solution", False, text)
    elif not found.spread <= SPREAD:
        # the path is one, but what is said of its errors is not that of exact equations
        # what Rf leaves of the estimate and of its error bars falls as 1/Rf, rounding rises with it
        beyond = max(found.model.sds, found.model.fit) < BEYOND
        fix = "earlier: Rf is beyond the digits of doubles" if beyond else "later"
        yield Finding("solution", None, f"{bars}; end the ladder {fix}")
    else:
        yield Finding("solution", True, f"{what} {_moves(found.model)}")
    if found.scheme is None or found.minimum is None:
        # the continuous problem is solved by a scheme of its own
        return
    steps = f"take about {found.factor} times as many steps (steps=, max_step=)"
    if found.decay is not None:
        steps = DAMPING
    if not math.isnan(found.stray):
        text = (
            f"the step that ends at t = {found.stray:.6g} goes to another root of the scheme than "
            "that of the solution, as beyond a pole of the equations; narrow bounds= to where they "
            "hold, or take more steps"
        )
        yield Finding("scheme", False, text)
    elif _matters(found.scheme):
        few = 1 < found.factor <= 1000 or found.decay is not None
        fix = steps if few else "take many more steps, or another scheme"
        yield Finding("scheme", False, f"its error {_moves(found.scheme)}; {fix}")
    elif not found.bars <= SPREAD:
        share = "much" if math.isnan(found.bars) else f"by {percent(found.bars)}"
        text = f"its error changes error bars {share}"
        yield Finding("scheme", False, f"{text}; take twice as many steps (steps=, max_step=)")
    elif found.unsettled:
        yield Finding(
            "scheme",
            None,
            f"in {found.unsettled} of the steps the equations are too stiff, or their forcing too "
            "uneven, for its error to be found; compare with a run of more steps",
        )
    elif not found.inside:
        yield Finding(
            "scheme",
            None,
            "the data were bound before, so that the forcing inside of steps is not known; pass "
            "the Observations",
        )
    else:
        yield Finding("scheme", True, f"its error {_moves(found.scheme)}")


def _matters(shift: Shift) -> bool:
    small = shift.sds <= SDS and shift.fit <= FIT
    # of a parameter that is known better than to itself, a hundredth counts as well
    return not small or SHARE < shift.share < shift.sds


def _moves(shift: Shift) -> str:
    where = f"t = {shift.time:.6g}{_of_experiment(shift.experiment)}"
    fit = f"the fit of {shift.channel} at {where} by {shift.fit:.2g} of its noise"
    if not shift.parameter:
        return f"moves {fit}"
    return f"moves {shift.parameter} by {shift.sds:.2g} standard deviations and {fit}"


def _of_experiment(name: str) -> str:
    return f" of experiment {name!r}" if name else ""


def _chi_squared(dataset: xr.Dataset) -> Finding:
    judged = chi_squared(dataset)
    if not math.isfinite(judged.mean):
        return Finding("chi-squared", None, judged.verdict)
    return Finding("chi-squared", judged.low <= judged.value <= judged.high, judged.verdict)


def _free_run(dataset: xr.Dataset, found: Assessment | None) -> Iterator[Finding]:
    if found is None or math.isnan(found.follows) or found.minimum is False:
        return
    times = next(one["time"].values for name, one in apart(dataset) if found.followed in ("", name))
    first, last = float(times[0]), float(times[-1])
    if found.follows >= last and found.followed:
        text = "the equations alone, from the first state of each experiment, follow it to its end"
        yield Finding("free run", True, text)
        return
    if found.follows >= last:
        text = f"the equations alone, from the first state, follow the path to its end ({last:g})"
        yield Finding("free run", True, text)
        return
    text = (
        f"the equations alone, from the first state{_of_experiment(found.followed)} at t = "
        f"{first:g}, leave the path by two "
        f"standard deviations of the noise at t = {found.follows:.6g} (of {last:g})"
    )
    if found.explained:
        text += f", by their own instability, which enlarges deviations {found.growth:.2g} times"
    else:
        coarse = found.scheme is not None and _matters(found.scheme)
        needs = "a finer scheme, or errors of the model," if coarse else "errors of the model"
        text += f"; the path needs {needs} to follow the data"
    yield Finding("free run", found.explained, text)


def _residuals(found: Assessment | None) -> Iterator[Finding]:
    """Say whether quantile residuals are normal; of Gaussian noise chi-squared says enough."""
    if found is not None and found.vanished:
        yield Finding(
            "residuals",
            False,
            f"the scale of the noise ran to 0 for {_listed(list(found.vanished))}: the model goes "
            "through the data, and their likelihood has no maximum; give the scale a prior or a "
            "lower bound, or measure more",
        )
    if found is None or not math.isfinite(found.normal):
        return
    text = f"{found.normal:.2g} is the probability of quantile residuals as far from normal"
    if found.normal < NORMAL:
        yield Finding("residuals", False, f"{text}: the noise is another, or the model is wrong")
    else:
        yield Finding("residuals", True, text)


def _smooth(found: Assessment | None) -> Iterator[Finding]:
    if found is not None and found.jumps and found.minimum is not False:
        yield Finding(
            "smooth",
            None,
            f"{_listed(list(found.jumps))}, which the path meets; derivatives do not see a jump, "
            "so error bars hold on its own side only, and lower minima may lie beyond",
        )


def _bounds(found: Assessment | None) -> Iterator[Finding]:
    if found is None or found.minimum is False:
        return
    beyond = ""
    if found.beyond:
        beyond = (
            f"; the 95 % interval of {_listed(list(found.beyond))} goes beyond one, where "
            "nothing was looked for"
        )
    if not found.held:
        yield Finding("bounds", True, f"no unknown is held by one{beyond}")
        return
    names = [
        f"{name} at {points} of its points" if points else f"the parameter {name}"
        for name, points in found.held
    ]
    yield Finding(
        "bounds",
        False,
        f"on a bound, beyond which the action falls: {_listed(names)}; widen bounds=, or take the "
        f"estimate as one under that condition{beyond}",
    )


def _determined(found: Assessment | None) -> Iterator[Finding]:
    if found is None or found.minimum is False:
        return
    missing = [f"the state {name}" for name in found.unseen]
    missing += [f"the direction {direction} of the parameters" for direction in found.loose]
    if missing:
        text = f"the data say nothing of {_listed(missing)}"
        model = found.model
        if found.loose and model is not None and max(model.sds, model.fit) < BEYOND:
            text += ", or Rf is beyond the digits of doubles: end the ladder earlier to see"
        yield Finding("determined", False, text)
    elif found.exact and found.notes:
        yield Finding("determined", None, f"not looked at ({found.notes[0]})")
    elif found.sds or found.model is not None:
        yield Finding("determined", True, "the data determine every free parameter")


def _level(dataset: xr.Dataset, found: Assessment | None) -> Finding:
    met, attempts = hits(dataset)
    low, high = wilson(met, attempts)
    text = (
        f"the lowest level was met by {met} of {attempts} attempts "
        f"(95 % interval {100 * low:.3g} .. {100 * high:.3g} %)"
    )
    equal = equal_places(dataset)
    if equal > 1:
        open_ = found is not None and found.loose
        places = "places, of what the data leave open," if open_ else "minima"
        text = f"{equal} different {places} have the lowest action to within {HIT:g}; {text}"
        return Finding("level", False, text)
    if found is not None and not found.random and attempts > 1:
        text += ", but all attempts started at one point, so that says nothing; take other starts"
        return Finding("level", False, text)
    if met < 2:
        return Finding(
            "level", False, f"{text}: a lower one may not have been met; take more paths"
        )
    return _beside(dataset, text)


def _beside(dataset: xr.Dataset, text: str) -> Finding:
    """Say whether levels near the lowest put it in doubt, or tell other parameters."""
    share, levels = unseen_levels(dataset)
    if share > RARE:
        text += (
            f", but {levels} levels lie within {NEAR:g} of it, most of them seldom met: another "
            f"path that ends there is at a new one with a probability of {percent(share)}, and a "
            "lower one may not have been met; allow more time, or measure more"
        )
    lost = unfinished(dataset)
    if math.isfinite(lost):
        text += (
            f", but a path at {lost:.6g}, which nearly is a solution itself, led to none: there is "
            "probably a lower one near it; allow more time"
        )
    near = rivals(dataset)
    matter = near is not None and near.sds > SDS
    if near is not None and matter:
        others = "1 other minimum" if near.count == 1 else f"{near.count} other minima"
        text += (
            f"; {others} from {near.above:.2g} above it on, with {near.parameter} between "
            f"{near.low:.4g} and {near.high:.4g}, hold about {percent(near.share)} of the "
            f"probability and move it by {near.sds:.2g} standard deviations: error bars are those "
            "of the lowest alone"
        )
    open_ = share > RARE or matter or math.isfinite(lost)
    return Finding("level", None if open_ else True, text)


def equal_places(dataset: xr.Dataset) -> int:
    """Return how many different minima share the lowest action, as far as hits of it go."""
    rung = last_rung(dataset)
    chosen = chosen_solution(dataset)
    if chosen is not None:
        # solutions that are as low, at places of their own
        actions, status, place = (
            dataset[f"solution_{name}"].values for name in ("action", "status", "place")
        )
        near = actions <= actions[chosen] + HIT * float(dataset.attrs["measurement_scale"])
        own = set(place[near & (status != STOPPED)].tolist()) - {-1}
        return len(own | {int(place[chosen])})
    action = dataset["action"].values[:, rung]
    groups = level_members(dataset)
    lowest = action[groups[0][0]]
    gap = HIT * float(dataset.attrs["measurement_scale"])
    # a path that stopped on its way is no other minimum
    ended = dataset["status"].values[:, rung] != STOPPED
    others = [action[group[ended[group]]].min(initial=math.inf) for group in groups[1:]]
    return 1 + sum(bool(value <= lowest + gap) for value in others)


def _listed(names: list[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
