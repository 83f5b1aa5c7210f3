"""From a run to a forecast: draws of the window's end, led on and compared with new data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from symda.analyse.gaussian import Gaussian
from symda.analyse.scores import crps, valid_time
from symda.analyse.solution import step_covariance
from symda.api.adaptive import follow, tolerances, way_through
from symda.api.checked_run import check_run
from symda.api.forecast import BAND, Forecast
from symda.api.machine import machine
from symda.api.path_posterior import PathPosterior
from symda.api.posterior import path_posterior
from symda.api.samples import PathSamples
from symda.api.simulate import forcing_sources, require_cover
from symda.build.kernels import matrices_of
from symda.checks import integer, number
from symda.declare.noise import drawn_data
from symda.derive.field import Field
from symda.errors import DataError, OptionError, SolveError, nearest
from symda.observe import Observations
from symda.observe.arrays import as_times
from symda.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from symda.api.run import Run
    from symda.api.specification import Specification
    from symda.observe import Problem
    from symda.observe.forcing import ForcingInput, ForcingSource

#: Steps of a window that a forecast reaches, at most.
MOST = 1_000_000


def forecast(
    specification: Specification,
    run: Run,
    problem: Problem,
    times: ArrayLike | None,
    new_data: Observations | None,
    forcing: Mapping[str, ForcingInput] | None,
    *,
    draws: int,
    seed: int,
    experiment: str | None,
    exponent: float | None,
    samples: PathSamples | None,
) -> Forecast:
    """Return the forecast of a run; see `Run.forecast`."""
    import xarray as xr

    where = "forecast"
    check_run(where, specification, run, problem)
    draws = integer(draws, f"{where}: draws", least=2)
    s = _experiment(problem, experiment)
    segment, use = problem.segments[s], problem.use[s]
    field = specification.field
    if problem.per_step.any() or not isinstance(field, Field):
        name = problem.states[int(problem.per_step.argmax())]
        raise OptionError(
            f"{where}: {name} has a value of its own at each step, and none after the window."
            if problem.per_step.any()
            else f"{where}: a matrix-free action has no error bars to forecast from."
        )
    last = segment.first_point + segment.points - 1
    start = float(problem.times[last])
    t = _times(times, new_data, start, specification.model.discrete)
    seed = integer(seed, f"{where}: seed", least=0)
    if new_data is not None:
        _columns(problem, new_data)
    if exponent is not None:
        exponent = number(exponent, f"{where}: exponent", kind="positive")
    model = specification.model
    sources = forcing_sources(model, _forcing(forcing, new_data), t, where=where)
    length = float(problem.h[segment.first_step + segment.steps - 1])
    if t[-1] - start > MOST * length:
        raise DataError(
            f"{where}: the window ends at t = {start:.6g}, and t = {t[-1]:.6g} is more than "
            f"{MOST:,} of its steps of {length:.6g} away. Check the units of the times, or use "
            "symda.simulate from the last state."
        )
    if t[-1] > start:
        require_cover(model, sources, start, float(t[-1]), where)
    rng = np.random.default_rng(seed)
    if samples is None:
        posterior = path_posterior(specification, run, problem)
        x, theta, notes = _drawn(posterior, problem, last, draws, rng)
        notes += _known(posterior, problem)
    else:
        posterior = _of_run(samples, run)
        x, theta = samples.ends(last, draws, seed)
        notes = []
    errors = None
    if not np.isinf(posterior.rf).all():
        evaluator = matrices_of(machine(specification).at(problem), "Hessian")
        heaviest = posterior.levels[0].gaussian
        n = segment.first_step + segment.steps - 1
        errors = step_covariance(evaluator, heaviest.path, heaviest.theta, posterior.rf, n)
    advance = _Advance(specification, problem, use, sources)
    states, failed = advance.through(t, start, length, x, theta, errors, rng)
    if advance.beyond.any():
        count = int(advance.beyond.sum())
        notes.append(
            f"errors of the model led {count} of {draws} draws beyond a bound of a state, on which "
            "they were put"
        )
    if failed:
        notes.append(f"{failed} of {draws} draws could not be followed to the end")
    if failed > draws // 2:
        raise SolveError(f"{where}: {notes[-1]}. {advance.why}")
    heaviest = posterior.levels[0].gaussian
    best, _ = advance.through(
        t, start, length, heaviest.path[last][None], heaviest.theta[None], None, rng
    )
    measured, noisy = _measured(field, specification, problem, s, states, theta, new_data, t, rng)
    times_of, names = ("time", t), list(problem.states)
    of_draws = {"draw": np.arange(draws), "time": times_of}
    natural = _natural(problem, states)
    channels = {**of_draws, "channel": list(problem.channels)}
    drawn = xr.DataArray(noisy, dims=("draw", "time", "channel"), coords=channels)
    scores = None
    if new_data is not None:
        scores = _scores(drawn, measured, new_data, problem, s, start, exponent)
    return Forecast(
        states=xr.DataArray(
            natural, dims=("draw", "time", "state"), coords={**of_draws, "state": names}
        ),
        measured=xr.DataArray(measured, dims=("draw", "time", "channel"), coords=channels),
        data=drawn,
        best=xr.DataArray(
            _natural(problem, best)[0],
            dims=("time", "state"),
            coords={"time": times_of, "state": names},
        ),
        start=start,
        rf=posterior.rf,
        scores=scores,
        notes=(*notes, *posterior.notes),
        new_data=new_data,
        past=_past(run, s),
    )


class _Advance:
    """Leads draws forward, in what solvers move."""

    def __init__(
        self,
        specification: Specification,
        problem: Problem,
        use: np.ndarray,
        sources: tuple[ForcingSource, ...],
    ) -> None:
        self._model, self._problem, self._use = specification.model, problem, use
        self._sources = sources
        self._given = tolerances(None, None, specification.model.states, where="forecast")
        #: Why the first draw failed.
        self.why = ""
        #: Draws that errors of the model led beyond a bound, and that were put on it, (K,).
        self.beyond = np.zeros(0, dtype=bool)

    def through(
        self,
        t: FloatArray,
        start: float,
        length: float,
        x: FloatArray,
        theta: FloatArray,
        errors: FloatArray | None,
        rng: np.random.Generator,
    ) -> tuple[FloatArray, int]:
        """Return states (K, T, D) at times from `start` on, and how many draws failed.

        With errors (D, D), the covariance of a step of `length`, they are added at the end of each.
        """
        K, D = x.shape
        self.beyond = np.zeros(K, dtype=bool)
        found = np.full((K, t.size, D), np.nan)
        alive = np.ones(K, dtype=bool)
        # those of measured quantities only are not the model's
        own = self._use[: len(self._model.parameters)]
        natural = self._problem.natural(np.zeros(D), theta)[1][:, own]
        low, high = (side[:D] for side in self._problem.ends)
        if errors is None:
            stops = np.unique(np.append(t, start))
            pieces = [stops]
        else:
            steps = start + length * np.arange(1, int(np.ceil((t[-1] - start) / length)) + 1)
            stops = np.unique(np.concatenate([[start], steps[steps < t[-1]], t]))
            # two that are the same but for rounding
            stops = stops[np.append(True, np.diff(stops) > 1e-9 * length)]
            pieces = [stops[k : k + 2] for k in range(stops.size - 1)] or [stops]
        root = None if errors is None else np.linalg.cholesky(errors + 1e-300 * np.eye(D))
        at = np.isclose(t, start, rtol=1e-12, atol=1e-9 * length)
        found[:, at] = x[:, None]
        for piece in pieces:
            if piece.size == 1:
                continue
            after = self._piece(piece, x[alive], natural[alive])
            going = np.isfinite(after[:, -1]).all(axis=1)
            if root is not None:
                share = np.sqrt((piece[1] - piece[0]) / length)
                after[:, -1] += share * rng.normal(size=(len(after), D)) @ root.T
                inside = np.clip(after[:, -1], low, high)
                self.beyond[np.flatnonzero(alive)] |= (inside != after[:, -1]).any(axis=1) & going
                after[:, -1] = inside
            for k, time in enumerate(piece[1:], 1):
                same = np.isclose(t, time, rtol=1e-12, atol=1e-9 * length)
                found[np.ix_(np.flatnonzero(alive), np.flatnonzero(same))] = after[:, k : k + 1]
            x = x.copy()
            x[alive] = after[:, -1]
            alive[np.flatnonzero(alive)[~going]] = False
        return found, int((~alive).sum())

    def _piece(self, times: FloatArray, x: FloatArray, theta: FloatArray) -> FloatArray:
        p = self._problem
        stops = times
        if self._model.discrete:
            stops = np.arange(times[0], times[-1] + 0.5)
        way = way_through(self._model, self._sources, stops, {}, where="forecast")
        first = p.natural(x, np.zeros((len(x), p.P)))[0]
        together = len(x) > 1 and not self._model.discrete
        found = follow(
            way, first, theta, self._given, sensitivities=False, together=together, threads=None
        )
        if found.failures and not self.why:
            self.why = f"The first: {found.failures[0].why()}"
        kept = [int(np.flatnonzero(way.ends == one)[-1]) for one in times]
        states = found.states[:, kept]
        return p.internal(states, np.zeros((*states.shape[:-1], p.P)))[0]


def _drawn(
    posterior: PathPosterior, problem: Problem, point: int, draws: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, list[str]]:
    """Draw last states (K, D) and parameters (K, P) of all levels by their weights."""
    counts = np.floor(draws * posterior.weights).astype(int)
    rest = np.argsort(-(draws * posterior.weights - counts), kind="stable")
    counts[rest[: draws - counts.sum()]] += 1
    parts = [
        _of_level(level.gaussian, point, int(count), rng)
        for level, count in zip(posterior.levels, counts, strict=True)
        if count
    ]
    x, theta = (np.concatenate(each) for each in zip(*parts, strict=True))
    low, high = problem.ends
    inside = np.clip(x, low[: problem.D], high[: problem.D])
    held = np.clip(theta, low[problem.D :], high[problem.D :])
    beyond = ((inside != x).any(axis=1) | (held != theta).any(axis=1)).sum()
    notes = []
    if beyond:
        notes.append(f"{beyond} of {draws} draws lay beyond a bound, and were put on it")
    return inside, held, notes


def _of_level(
    gaussian: Gaussian, point: int, count: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    try:
        return gaussian.draw(point, count, rng)
    except SolveError as error:
        raise SolveError(f"forecast: {error}") from error


def _of_run(samples: PathSamples, run: Run) -> PathPosterior:
    """Return what samples say Laplace's method says; refuse those of another run."""
    if not isinstance(samples, PathSamples):
        raise OptionError(
            f"forecast: samples are what run.sample() returns, got {type(samples).__name__}."
        )
    own = samples.posterior
    if not own.best.identical(run.best.states):
        raise OptionError("forecast: these samples are of another run.")
    return own


def _measured(
    field: Field,
    specification: Specification,
    problem: Problem,
    s: int,
    states: FloatArray,
    theta: FloatArray,
    new_data: Observations | None,
    t: FloatArray,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Return what is measured of the draws, (K, T, L), without and with noise."""
    K, T, D = states.shape
    L = problem.L
    flat = states.reshape(-1, D)
    own = np.repeat(theta[:, problem.use[s]], T, axis=0)
    eta = np.asarray(field.measure.map(len(flat))(flat.T, own.T).full()).T
    measurement = specification.measurement.paid(specification.model)
    noisy = np.empty((len(flat), L))
    variances = _variances(problem, s, new_data, t)
    joint = problem.experiments[s].covariance
    if joint is not None:
        # one recording's noise goes together as it did in the window
        seen = joint[np.isfinite(joint).all(axis=(1, 2))]
        root = np.linalg.cholesky(np.median(seen, axis=0) if len(seen) else np.diag(variances[0]))
        noisy[:] = eta[:, :L] + rng.normal(size=(len(flat), L)) @ root.T
    for l in range(L if joint is None else 0):
        each = np.tile(variances[:, l], K)
        known = np.isfinite(eta).all(axis=1)
        noisy[:, l] = np.nan
        if known.any():
            noisy[known, l] = drawn_data(measurement, l, eta[known], each[known], rng)
    return eta[:, :L].reshape(K, T, L), noisy.reshape(K, T, L)


def _variances(
    problem: Problem, s: int, new_data: Observations | None, t: FloatArray
) -> FloatArray:
    """Return the noise's variance at each time, (T, L): of the new data, else as in the window."""
    one = problem.experiments[s]
    usual = np.array(
        [
            np.median(one.variance[one.rm[:, l] > 0.0, l]) if (one.rm[:, l] > 0.0).any() else np.nan
            for l in range(problem.L)
        ]
    )
    found = np.tile(usual, (t.size, 1))
    if new_data is not None:
        own = new_data.variance[:, _columns(problem, new_data)]
        at = np.searchsorted(t, new_data.times)
        found[at] = np.where(np.isfinite(own), own, found[at])
    return found


def _columns(problem: Problem, new_data: Observations) -> list[int]:
    """Return where each channel of the run stands among the columns of the new data."""
    names = new_data.channels
    if names is None:
        if new_data.values.shape[1] != problem.L:
            raise DataError(
                f"forecast: new_data has {new_data.values.shape[1]} columns, and the run measures "
                f"{problem.L}: {', '.join(problem.channels)}."
            )
        return list(range(problem.L))
    missing = [name for name in problem.channels if name not in names]
    if missing:
        raise DataError(
            f"forecast: new_data has no channel {missing[0]!r}; it has {', '.join(names)}."
        )
    return [names.index(name) for name in problem.channels]


def _scores(
    draws: xr.DataArray,
    measured: FloatArray,
    new_data: Observations,
    problem: Problem,
    s: int,
    start: float,
    exponent: float | None,
) -> pd.DataFrame:
    import pandas as pd

    one, t = problem.experiments[s], draws["time"].values
    at = np.searchsorted(t, new_data.times)
    columns = _columns(problem, new_data)
    rows = {}
    for l, name in enumerate(problem.channels):
        y = new_data.values[:, columns[l]]
        seen = np.isfinite(y)
        values = draws.values[:, at, l]
        alive = np.isfinite(values).all(axis=1)
        values, mean = values[alive], measured[alive][:, at, l].mean(axis=0)
        low, high = np.quantile(values, [0.5 - 0.5 * BAND, 0.5 + 0.5 * BAND], axis=0)
        data = one.y[one.rm[:, l] > 0.0, l]
        row = {
            "count": int(seen.sum()),
            "rmse": float(np.sqrt(np.mean((mean - y)[seen] ** 2))) if seen.any() else np.nan,
            "crps": float(crps(values, y)[seen].mean()) if seen.any() else np.nan,
            "covered": float(((y >= low) & (y <= high))[seen].mean()) if seen.any() else np.nan,
            "valid_time": np.nan,
        }
        if seen.any() and data.size > 1:
            row["valid_time"] = valid_time(
                new_data.times, start, np.where(seen, mean - y, np.nan), float(data.std())
            )
        if exponent is not None:
            row["valid_lyapunov"] = row["valid_time"] * exponent
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("channel")


def _experiment(problem: Problem, name: str | None) -> int:
    names = [one.name for one in problem.segments]
    if name is None:
        if len(names) > 1:
            raise OptionError(
                f"forecast: say of which experiment: experiment= one of {', '.join(names)}."
            )
        return 0
    if name not in names:
        raise OptionError(f"forecast: there is no experiment {name!r}.{nearest(name, names)}")
    return names.index(name)


def _known(posterior: PathPosterior, problem: Problem) -> list[str]:
    """Say which parameters a bound holds: they are not drawn."""
    held = posterior.levels[0].gaussian.held[problem.unknowns.on_path :]
    names = [problem.parameters[i] for i in np.flatnonzero(held)]
    if not names:
        return []
    return [
        f"{', '.join(names)}: on a bound, and taken as known, so that bands are too narrow; widen "
        "bounds="
    ]


def _times(
    times: ArrayLike | None, new_data: Observations | None, start: float, discrete: bool
) -> FloatArray:
    if new_data is not None and not isinstance(new_data, Observations):
        raise OptionError(
            f"forecast: new_data is symda.Observations, got {type(new_data).__name__}."
        )
    if times is None:
        if new_data is None:
            raise OptionError("forecast: pass times, or new_data, whose times are taken.")
        t = np.asarray(new_data.times, dtype=float)
    else:
        t = as_times(times, "times of forecast")
        if new_data is not None:
            t = np.union1d(t, new_data.times)
    if discrete and (t != np.rint(t)).any():
        raise DataError(
            f"forecast: times of a map are whole numbers; got {t[t != np.rint(t)][0]:.6g}."
        )
    if t[0] < start:
        raise DataError(
            f"forecast: the window ends at t = {start:.6g}, and the first time is {t[0]:.6g}; a "
            "forecast begins where the window ends."
        )
    return t


def _forcing(
    forcing: Mapping[str, ForcingInput] | None, new_data: Observations | None
) -> Mapping[str, ForcingInput] | None:
    if forcing is not None or new_data is None or not new_data.forcing:
        return forcing
    return dict(new_data.forcing)


def _natural(problem: Problem, states: FloatArray) -> FloatArray:
    return problem.natural(states, np.zeros((*states.shape[:-1], problem.P)))[0]


def _past(run: Run, s: int) -> xr.Dataset:
    from symda.anneal.apart import apart

    d = run.dataset.sel(path=run.best.path)
    return list(apart(d))[s][1]
