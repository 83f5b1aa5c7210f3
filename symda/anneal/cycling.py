"""Cycled assimilation: one window after the other, each from what the last one left behind."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from symda.build.kernels import BlockEvaluator, blocks_of
from symda.errors import SolveError
from symda.solve.cycle import LEAST, Background, Fit, StrongWindow, WeakWindow, Window
from symda.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from symda.build.abstract import Kernels
    from symda.build.flows import FlowEngine
    from symda.observe import Problem

#: A background is widened at most so often for one window, and its variances by so much at a time.
TIMES, WIDEST = 4, 30.0


@dataclass(frozen=True, eq=False)
class Cycle:
    """What one cycle found, in users' units; D states, p free parameters.

    Standard deviations are those of the quadratic about the estimate, nan where a bound holds it.
    """

    time: float  #: Of the newest data.
    analysis: FloatArray  #: State there, with these data, (D,).
    analysis_sd: FloatArray  #: (D,)
    forecast: FloatArray  #: State there, without these data, (D,).
    forecast_sd: FloatArray  #: (D,)
    smoothed_time: float  #: At which the window begins.
    smoothed: FloatArray  #: State there, with all data up to `time`, (D,).
    smoothed_sd: FloatArray  #: (D,)
    parameters: FloatArray  #: (p,)
    parameters_sd: FloatArray  #: (p,)
    #: Squares of what the forecast missed the new data by, over its covariance, and how many data
    #: there were: chi-squared, if the forecast errs as it says. nan where noise is not Gaussian.
    innovation: float
    count: float
    #: Largest factor on the variances of what was known before, 1 where it was believed.
    widened: float
    action: float  #: Of the window, with what was known before it.
    iterations: float
    seconds: float
    message: str  #: Why the estimate is no minimum; empty where it is.


@dataclass(frozen=True, eq=False)
class State:
    """What the next cycle needs of those before it."""

    cycle: int  #: Its number.
    first: int  #: Step that its window begins at.
    last: int  #: Step up to which data were taken in.
    path: FloatArray  #: From `first` to `last`, as solvers move it.
    theta: FloatArray  #: (P,)
    background: Background
    errors: FloatArray  #: Covariance of the last state and the free parameters, (n, n).

    def arrays(self) -> dict[str, FloatArray]:
        """Return it as arrays by name."""
        return {
            "at": np.array([self.cycle, self.first, self.last], dtype=float),
            "path": self.path,
            "theta": self.theta,
            "mean": self.background.mean,
            "covariance": self.background.covariance,
            "errors": self.errors,
        }

    @classmethod
    def of(cls, arrays: Mapping[str, FloatArray]) -> State:
        """Make it of such arrays."""
        cycle, first, last = (int(n) for n in arrays["at"])
        known = Background(arrays["mean"], arrays["covariance"])
        own = arrays["path"], arrays["theta"], known, arrays["errors"]
        return cls(cycle, first, last, *own)


class Cycler:
    """Takes in the data of a problem time after time.

    Parameters
    ----------
    kernels : Kernels
        Of the action.
    engine : FlowEngine
        Integrates the model.
    problem : Problem
        All data, of one experiment.
    rf : (D,) or None
        Precision of the model's errors in a step; None: it makes none.
    every, window : int
        Times with data that a cycle takes in, and cycles whose data a window has.
    inflation : float
        Factor on the standard deviations that are handed on.
    level : float
        Probability below which the new data contradict the forecast, so that it is widened; 0:
        never.
    begun : bool
        Whether data at the first grid point are known already.
    known : Background
        What is known there.
    most : (D + p,)
        Variances up to which what is known may be widened.

    Notes
    -----
    A window's unknowns are its path, or its first state where the model makes no errors, and the
    free parameters. Its action has the data of the window, each once, and a Gaussian of what the
    data before it tell: that of the last window's action without later data, led on to where the
    new window begins, at the path that all data of the window led to. So each datum is linearised
    again in each of the windows it is in (fixed-lag smoothing by Gauss-Newton; Bell, The iterated
    Kalman smoother as a Gauss-Newton method, SIAM J. Optim. 4 (1994) 626; Sakov, Oliver and
    Bertino, An iterative EnKF for strongly nonlinear systems, Mon. Wea. Rev. 140 (2012) 1988, where
    covariances are those of ensembles). While the window grows at the beginning, data are taken in
    time after time, so that the path follows its minimum (Pires, Vautard and Talagrand, Tellus 48A
    (1996) 96).
    """

    def __init__(
        self,
        kernels: Kernels,
        engine: FlowEngine,
        problem: Problem,
        rf: FloatArray | None,
        *,
        every: int,
        window: int,
        inflation: float,
        level: float,
        begun: bool,
        known: Background,
        most: FloatArray,
    ) -> None:
        self._kernels, self._engine = blocks_of(kernels, "cycles"), engine
        self.problem, self._rf = problem, rf
        self.every, self._window = every, window
        self._inflation, self._level, self._begun = inflation, level, begun
        self._known = known
        self._most = np.maximum(most, np.diagonal(known.covariance))
        #: Along what a stable model contracts nothing would be left to be a number.
        self._least = LEAST**2 * np.diagonal(known.covariance)

    @property
    def waiting(self) -> int:
        """Times with data after the last cycle, too few for another one."""
        return self._times.size % self.every

    @cached_property
    def ends(self) -> IntArray:
        """Step that the data of each cycle end at."""
        return self._times[self.every - 1 :: self.every]

    @cached_property
    def _times(self) -> IntArray:
        """Steps at whose ends there are data."""
        p, stride = self.problem, 1 + self.problem.interior
        seen: BoolArray = np.asarray((p.rm > 0.0).any(axis=1))
        seen[p.repeat_at] = True
        seen[0] = False
        # data within a step belong to its end
        return np.unique(-(-np.flatnonzero(seen) // stride))

    def begin(self) -> State:
        """Return the state before any data."""
        p, background = self.problem, self._known
        theta = np.where(p.free, 0.0, p.fixed)
        theta[p.free] = background.mean[p.D :]
        inside = np.clip(background.mean[: p.D], *p.state_bounds.T)
        return State(0, 0, 0, inside[None], theta, background, background.covariance)

    def step(self, state: State) -> tuple[Cycle, State]:
        """Take in the data of the next cycle.

        Raises
        ------
        SolveError
            If the model cannot be followed to their time, or the action has no value.
        """
        began, state = time.perf_counter(), self._moved_on(state)
        p, end = self.problem, int(self.ends[state.cycle])
        path = np.concatenate([state.path, self._led(state, end)])
        fit, window, widened, forecast, innovation, count = self._fitted(state, path, end)
        path, theta = window.ended(fit.v)
        last = np.array([0, window.problem.M - 1])
        rows = window.rows(fit.v, last)
        errors = window.covariance(fit.point, rows)
        held = (rows[:, fit.held] != 0.0).any(axis=1) & ~(rows[:, ~fit.held] != 0.0).any(axis=1)
        sds = np.where(held, np.nan, np.sqrt(np.diagonal(errors)))
        smoothed, analysis = (p.natural(path[i], theta)[0] for i in last)
        by_first, by_last = (p.slopes(path[i], theta)[0] for i in last)
        by_theta = p.slopes(path[0], theta)[1][p.free]
        found = Cycle(
            time=float(window.problem.times[-1]),
            analysis=analysis,
            analysis_sd=sds[p.D : 2 * p.D] * by_last,
            forecast=forecast[0],
            forecast_sd=forecast[1],
            smoothed_time=float(window.problem.times[0]),
            smoothed=smoothed,
            smoothed_sd=sds[: p.D] * by_first,
            parameters=p.natural(path[0], theta)[1][p.free],
            parameters_sd=sds[2 * p.D :] * by_theta,
            innovation=innovation,
            count=count,
            widened=widened[0],
            action=fit.point.action,
            iterations=fit.iterations,
            seconds=0.0,
            message=fit.message,
        )
        own = errors[p.D :, p.D :]
        after = State(state.cycle + 1, state.first, end, path, theta, widened[1], own)
        return replace(found, seconds=time.perf_counter() - began), after

    def _led(self, state: State, end: int) -> FloatArray:
        """Return the solution from the last state on, without it."""
        piece = self.problem.stretch(state.last, end)
        bounds = piece.state_bounds
        if self._rf is not None:
            # errors of the model lead back what would leave them
            piece = replace(piece, state_bounds=np.full(bounds.shape, [-np.inf, np.inf]))
        ahead = StrongWindow(self._kernels.at(piece), self._known, self._engine)
        start = np.broadcast_to(state.path[-1], (piece.M, state.path.shape[1]))
        path = ahead.ended(ahead.start(start, state.theta))[0][1:]
        return path if self._rf is None else np.clip(path, *bounds.T)

    def _fitted(
        self, state: State, path: FloatArray, end: int
    ) -> tuple[Fit, Window, tuple[float, Background], tuple[FloatArray, FloatArray], float, float]:
        """Return the fit of a window, its window, and what was forecast of its new data."""
        p = self.problem
        whole = self._problem(state, end)
        new = slice(0 if not state.cycle else state.path.shape[0], whole.M)
        at = np.flatnonzero((whole.rm > 0.0).any(axis=1))
        at = np.union1d(at[at >= new.start], whole.repeat_at[whole.repeat_at >= new.start])
        at = np.union1d(at, [whole.M - 1]).astype(np.int64)
        before, evaluator = self._kernels.at(whole.without(new)), self._kernels.at(whole)
        factor, known, forecast = 1.0, state.background, (np.empty(0), np.empty(0))
        innovation = np.nan
        for _ in range(TIMES):
            window = self._of(before, known)
            v = window.start(path, state.theta)
            point, why = window.expand(v)
            if point is None:
                raise SolveError(why)
            covariance = window.covariance(point, window.rows(v, at))
            last = slice((at.size - 1) * p.D, at.size * p.D)
            if factor == 1.0:
                states = p.natural(path[-1], state.theta)[0]
                sds = np.sqrt(np.diagonal(covariance)[last])
                forecast = states, sds * p.slopes(path[-1], state.theta)[0]
            missed = _Missed.of(evaluator, path, state.theta, at, covariance)
            if missed is None:
                break
            if factor == 1.0:
                innovation = missed.squares(1.0)
            more = missed.widening(self._level)
            wider = known.widened(more, self._most)
            if more == 1.0 or np.array_equal(wider.covariance, known.covariance):
                break
            factor, known = factor * more, wider
        count = float((whole.rm[new] > 0.0).sum())
        again = whole.repeat_at >= new.start
        count += float((whole.repeat_rm[again] > 0.0).sum())
        window = self._of(evaluator, known)
        fit = window.fit(window.start(path, state.theta))
        return fit, window, (factor, known), forecast, innovation, count

    def _moved_on(self, state: State) -> State:
        """Move the window's beginning, so that the next cycle has no more than it may."""
        if state.cycle < self._window:
            return state
        first = int(self.ends[state.cycle - self._window])
        count = (first - state.first) * (1 + self.problem.interior) + 1
        head = self._of(self._kernels.at(self._problem(state, first)), state.background)
        v = head.start(state.path[:count], state.theta)
        known = head.handed_on(v, self._inflation, self._least)
        return replace(state, first=first, path=state.path[count - 1 :], background=known)

    def _problem(self, state: State, end: int) -> Problem:
        """Return the problem from where a window begins; what is known there is not data."""
        begun = state.first > 0 or self._begun
        return self.problem.stretch(state.first, end, 0 if begun else -1)

    def _of(self, evaluator: BlockEvaluator, known: Background) -> Window:
        if self._rf is None:
            return StrongWindow(evaluator, known, self._engine)
        return WeakWindow(evaluator, known, self._rf)


@dataclass(frozen=True, eq=False)
class _Missed:
    """By how much a forecast missed new data, and how it errs, with the noise as the unit."""

    squares_of: FloatArray  #: Squares of what was missed, along directions, in units of noise.
    variances: FloatArray  #: Of the forecast along them.

    @classmethod
    def of(
        cls,
        evaluator: BlockEvaluator,
        path: FloatArray,
        theta: FloatArray,
        at: IntArray,
        covariance: FloatArray,
    ) -> _Missed | None:
        """Compare; None where there is nothing to compare, or the noise has no known variance.

        Parameters
        ----------
        at : (K,)
            Grid points that have new data.
        covariance : (K D + p, K D + p)
            Of the states there and the free parameters.
        """
        p = evaluator.problem
        if not p.gaussian or p.own_scale.any():
            return None
        measured, slopes = evaluator.measure_slopes(path, theta)
        free = p.D + np.flatnonzero(p.free)
        rows, missed = [], []
        of_data = [(int(i), p.y[i], p.rm[i], p.cross[i]) for i in at]
        of_data += [
            (int(i), y, rm, cross)
            for i, y, rm, cross in zip(
                p.repeat_at, p.repeat_y, p.repeat_rm, p.repeat_cross, strict=True
            )
            if i in at
        ]
        for i, y, rm, cross in of_data:
            seen = rm > 0.0
            if not seen.any():
                continue
            jacobian = np.zeros((int(seen.sum()), covariance.shape[0]))
            k = int(np.searchsorted(at, i)) * p.D
            jacobian[:, k : k + p.D] = slopes[i, seen, : p.D]
            jacobian[:, at.size * p.D :] = slopes[i][np.ix_(seen, free)]
            root = _root(rm, cross, seen)
            rows.append(root @ jacobian)
            missed.append(root @ (y - measured[i])[seen])
        if not rows:
            return None
        jacobian = np.concatenate(rows)
        variances, axes = np.linalg.eigh(jacobian @ covariance @ jacobian.T)
        return cls((axes.T @ np.concatenate(missed)) ** 2, np.maximum(variances, 0.0))

    def squares(self, factor: float) -> float:
        """Return the sum of squares, if the forecast's variances are larger by a factor."""
        return float((self.squares_of / (1.0 + factor * self.variances)).sum())

    def widening(self, level: float) -> float:
        """Return the factor on variances that makes the forecast agree with the data, 1 if it does.

        It does not where chi-squared has at most this probability to be as large as it is.
        """
        from scipy.stats import chi2

        count = self.squares_of.size
        if not level or chi2.sf(self.squares(1.0), count) >= level:
            return 1.0
        low, high = 0.0, np.log(WIDEST)
        if self.squares(WIDEST) > count:
            return WIDEST
        for _ in range(50):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self.squares(np.exp(middle)) > count else (low, middle)
        return float(np.exp(high))


def _root(rm: FloatArray, cross: FloatArray, seen: np.ndarray[Any, Any]) -> FloatArray:
    """Return R^(-1/2) of the noise of the channels that were seen."""
    if not cross.size:
        return np.diag(np.sqrt(rm[seen]))
    from symda.covariance import covariances

    own = covariances(rm[None], cross[None])[0][np.ix_(seen, seen)]
    return np.asarray(np.linalg.inv(np.linalg.cholesky(own)))
