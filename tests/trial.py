"""Random small problems whose answer is known from elsewhere: least squares of exact solutions.

A problem is a model in units of its own (states and time from 1e-9 to 1e9), data from a fine
solution of the true equations, and whatever else a user may get wrong: steps, bounds, the model,
the end of the ladder. `reference` knows nothing of symda: SciPy integrates the equations in units
of order one, complex steps differentiate them, `least_squares` fits initial state and parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import chi2
from trial_reference import FAMILIES, SYMBOLIC, Family, Reference

import symda as sd

#: Steps as long as this over the fastest rate count as fine, by the order of the scheme.
FINE = {2: 0.05, 4: 0.12}
SCHEMES = {"rk4": 4, "trapezoid": 2, "midpoint": 2, "hermite-simpson": 4, "gauss4": 4}
KINDS = ("plain", "wide box", "gaps", "few data", "long step", "wrong model", "bound", "short")
WEIGHTS = (0.34, 0.1, 0.1, 0.06, 0.16, 0.12, 0.07, 0.05)


@dataclass(frozen=True, eq=False)
class Trial:
    """A problem as symda is given it, and what the reference needs of it."""

    seed: int
    kind: str
    family: str
    scheme: str
    action: sd.Action
    data: sd.Observations
    steps: int
    ladder: sd.Ladder
    paths: int
    fixed: dict[str, float]
    free: list[int]
    sizes: np.ndarray
    unit: float
    units: np.ndarray
    bounds: np.ndarray
    truth: np.ndarray
    noise: np.ndarray
    measured: list[int]
    forcing: Callable[[float], float]
    breaks: np.ndarray

    def anneal(self, solver: str = "newton") -> sd.Run:
        return sd.anneal(
            self.action,
            self.data,
            ladder=self.ladder,
            paths=self.paths,
            seed=self.seed,
            solver=solver,
            options={"max_iter": 100} if solver == "newton" else {},
            steps=self.steps,
            fixed=self.fixed,
            executor="serial",
            progress=False,
        )

    def posterior(self, run: sd.Run) -> Any:
        return self.action.posterior(run, self.data, steps=self.steps, fixed=self.fixed).table()


def make(seed: int) -> Trial:
    """Draw a problem."""
    rng = np.random.default_rng([seed, 20240])
    kind = str(rng.choice(KINDS, p=WEIGHTS))
    name = str(rng.choice(list(FAMILIES)))
    scheme = str(rng.choice(list(SCHEMES)))
    order, family = SCHEMES[scheme], FAMILIES[name]
    if order == 2 and family.span * family.rate > 6.0:
        scheme, order = "rk4", 4  # fine steps of order two would be many
    D, P = family.D, len(family.truth)
    unit = 10.0 ** rng.integers(-9, 10)
    sizes = 10.0 ** rng.integers(-9, 10) * 10.0 ** rng.integers(-2, 3, size=D)
    if name in ("chain", "cascade", "lorenz"):
        sizes[:] = sizes[0]  # equations that add states have them in one unit
    truth = np.array(family.truth) * rng.uniform(0.8, 1.25, size=P)
    start = np.array(family.start) * rng.uniform(0.8, 1.2, size=D)
    units = np.array([math.prod(sizes[a] ** e[a] for a in range(D)) * unit ** e[D]
                      for e in family.units])  # fmt: skip
    free = sorted(rng.choice(P, size=rng.integers(1, P + 1), replace=False).tolist())
    T = int(rng.integers(15, 41))
    if kind == "few data":
        T = int(rng.integers(2, 6))
    if kind == "long step":
        T = int(rng.integers(8, 20))
    times = np.linspace(0.0, family.span, T)
    if rng.random() < 0.3:
        times[1:-1] += rng.uniform(-0.3, 0.3, size=T - 2) * times[1]
    interval = float(np.diff(times).max())
    fine = FINE[order] / family.rate
    steps = max(1, math.ceil(interval / fine))
    if kind == "long step":
        steps = max(1, steps // int(rng.integers(3, 40)))
    # a scheme of order two is no match for small noise
    relative = 10.0 ** rng.uniform(-1.7 if order == 2 else -3.0, -0.5)
    measured = list(range(D))
    if D > 1 and kind != "wide box" and rng.random() < 0.4:
        measured = sorted(rng.choice(D, size=D - 1, replace=False).tolist())
    forcing, breaks, source = _forcing(rng, family, times)
    exact = Reference(family, times, measured, forcing, breaks)
    field = family
    if kind == "wrong model":
        field = _wrong(family, 10.0 ** rng.uniform(-2.0, -0.3))
    path = replace(exact, family=field).path(start[:, None] + 0j, truth[:, None] + 0j)
    values = path[:, :, 0].real
    level = np.abs(values).max(axis=0)
    noise = relative * level[measured]
    y = values[:, measured] + noise * rng.normal(size=(T, len(measured)))
    if kind == "gaps":
        y[rng.random(y.shape) < 0.4] = np.nan
        y[0] = values[0, measured] + noise * rng.normal(size=len(measured))
    if len(measured) == D > 1 and rng.random() < 0.3:
        y[1:, -1] = np.nan  # a single datum of the last state
    box = truth[:, None] * np.array([0.02, 20.0])
    if kind == "wide box":
        box = truth[:, None] * np.array([-1e6, 1e6])
    begin = truth[:, None] * np.array([0.5, 2.0])
    far = np.array([-1e6, 1e6] if kind == "wide box" else [-9.0, 9.0])
    states = [
        sd.state(
            f"x{a}",
            bounds=tuple(sizes[a] * level[a] * far),
            start=(-1.2 * sizes[a] * level[a] if name in ("oscillator", "lorenz") else 0.0,
                   1.2 * sizes[a] * level[a]),
        )
        for a in range(D)
    ]  # fmt: skip
    bounds = box.copy()
    if kind == "bound":
        i = free[0]
        near = rng.uniform(0.0, 0.2)
        bounds[i] = truth[i] * np.array([1 + near, 20] if rng.random() < 0.5 else [0.02, 1 - near])
        begin[i] = np.clip(begin[i], *bounds[i])
    parameters = [
        sd.parameter(
            f"p{i}",
            bounds=tuple(np.sort(bounds[i] * units[i])),
            start=tuple(np.sort(begin[i] * units[i])),
        )
        for i in range(P)
    ]
    u, t = sd.forcing("u"), sd.time("t")
    rates = family.field(
        [x / s for x, s in zip(states, sizes.tolist(), strict=True)],
        [p / s for p, s in zip(parameters, units.tolist(), strict=True)],
        t / unit,
        u / float(sizes[0]),
        SYMBOLIC,
    )
    model = sd.Model(
        {x: s / unit * r for x, s, r in zip(states, sizes.tolist(), rates, strict=True)}, name=name
    )
    given = sizes[measured]
    if source is not None and isinstance(source, sd.Samples):
        source = sd.Samples(source.times * unit, source.values * sizes[0], source.rule)
    data = sd.Observations(
        times * unit,
        y * given,
        variance=(noise * given) ** 2,
        forcing=None if source is None else {"u": source},
    )
    # the weight of a state's errors, in its own units: at the end they are far below the noise
    first = 0.01 / (level * sizes) ** 2
    alpha = float(rng.uniform(4.0, 10.0))
    ratio = (1e-2 if kind == "short" else 1e5) * T * steps / relative**2 / 0.01
    rungs = 1 + math.ceil(math.log(max(ratio, 2.0)) / math.log(alpha))
    return Trial(
        seed, kind, name, scheme,
        sd.Action(model, [states[a] for a in measured], scheme=scheme),
        data, steps, sd.Ladder(rf0=first.tolist(), alpha=alpha, rungs=rungs),
        int(rng.integers(4, 9)),
        {f"p{i}": float(truth[i] * units[i]) for i in range(P) if i not in free},
        free, sizes, unit, units, bounds, np.concatenate([start, truth]), noise, measured,
        forcing, breaks,
    )  # fmt: skip


def _wrong(family: Family, size: float) -> Family:
    """Return equations with a term that the model lacks."""

    def other(x: Any, p: Any, t: Any, u: Any, m: Any) -> list[Any]:
        rates = family.field(x, p, t, u, m)
        return [rates[0] + size * family.rate * m.sin(3.0 * family.rate * t), *rates[1:]]

    return replace(family, field=other)


def _forcing(
    rng: np.random.Generator, family: Family, times: np.ndarray
) -> tuple[Callable[[float], float], np.ndarray, sd.Samples | None]:
    """Draw a forcing in units of order one: the function, where it has kinks, and the samples."""
    if not family.forced:
        return (lambda t: 0.0), np.empty(0), None
    values = rng.uniform(0.0, 2.0, size=times.size)
    if rng.random() < 0.5:
        return (
            (lambda t: float(np.interp(t, times, values))),
            times,
            sd.Samples(times, values, "linear"),
        )
    values = np.repeat(values[::4], 4)[: times.size]

    def hold(t: float) -> float:
        return float(values[np.clip(np.searchsorted(times, t, "right") - 1, 0, times.size - 1)])

    return hold, times, sd.Samples(times, values, "hold")


@dataclass(frozen=True, eq=False)
class Answer:
    """What least squares gives: free parameters, error bars, and how sure one may be of them."""

    values: np.ndarray
    sds: np.ndarray
    cost: float
    n: int
    p: int
    inside: bool
    determined: bool

    @property
    def in_band(self) -> bool:
        """Whether chi-squared is in the middle 95.4 % of its distribution."""
        dof = self.n - self.p
        tail = (1.0 - 0.954) / 2.0
        low, high = (float(chi2.ppf(q, dof)) if dof > 0 else math.nan for q in (tail, 1 - tail))
        return dof > 0 and low <= 2.0 * self.cost <= high


def answer(trial: Trial, also: np.ndarray | None = None) -> Answer:
    """Fit by least squares from the truth, near it, and from `also` (initial state, parameters)."""
    family, D = FAMILIES[trial.family], FAMILIES[trial.family].D
    y = trial.data.values / trial.sizes[trial.measured]
    seen = ~np.isnan(y)
    exact = Reference(
        family, trial.data.times / trial.unit, trial.measured, trial.forcing, trial.breaks
    )
    which = np.array([*range(D), *(D + i for i in trial.free)])
    scale = np.maximum(np.abs(trial.truth[which]), 0.05)

    def misfit(z: np.ndarray) -> np.ndarray:
        """Residuals (count, C) of columns z (unknowns, C)."""
        full = np.repeat(trial.truth[:, None] + 0j, z.shape[1], axis=1)
        full[which] = z * scale[:, None]
        path = exact.path(full[:D], full[D:])[:, trial.measured]
        r = (path - np.where(seen, y, 0.0)[:, :, None]) / trial.noise[None, :, None]
        return r[seen]

    def differentiated(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Residuals (count,) and their Jacobian, by complex steps."""
        r = misfit(z[:, None] + 1e-30j * np.eye(z.size))
        r = np.where(np.isfinite(r), r, 1e6)
        return r[:, 0].real, r.imag / 1e-30

    last: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def at(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if z.tobytes() not in last:
            last.clear()
            last[z.tobytes()] = differentiated(z)
        return last[z.tobytes()]

    rng = np.random.default_rng(trial.seed)
    truth = trial.truth[which] / scale
    starts = [truth, truth * rng.uniform(0.9, 1.1, size=truth.size)]
    if also is not None:
        starts.append(also[which] / scale)
    fits = [
        least_squares(lambda z: at(z)[0], z, jac=lambda z: at(z)[1], xtol=1e-14, ftol=1e-14,
                      gtol=1e-14, max_nfev=60)
        for z in starts
    ]  # fmt: skip
    best = min(fits, key=lambda fit: float(fit.cost))
    hessian = np.nan_to_num(_hessian(misfit, best.x))
    covariance = np.linalg.pinv(hessian)
    determined = bool((np.linalg.eigvalsh(hessian) > 1e-10 * np.trace(hessian)).all())
    with np.errstate(invalid="ignore"):
        sds = np.sqrt(np.diag(covariance)) * scale
    low, high = trial.bounds[trial.free].T
    values = (best.x * scale)[D:]
    return Answer(
        values * trial.units[trial.free], sds[D:] * trial.units[trial.free], float(best.cost),
        int(seen.sum()), truth.size, bool(((values > low) & (values < high)).all()), determined,
    )  # fmt: skip


#: Step of the differences of slopes, in units of the unknowns.
SHIFT = 2e-3


def _hessian(misfit: Callable[[np.ndarray], np.ndarray], z: np.ndarray) -> np.ndarray:
    """Hessian of half the sum of squares: central differences, order 4, of complex-step slopes."""
    d, eps = z.size, SHIFT
    shifts = eps * np.array([-2.0, -1.0, 1.0, 2.0])
    weights = np.array([1.0, -8.0, 8.0, -1.0]) / (12.0 * eps)
    columns = z[:, None, None, None] + np.zeros((d, d, 4, d), dtype=complex)
    for i in range(d):
        columns[i, i] += shifts[:, None]
        columns[i, :, :, i] += 1e-30j
    r = misfit(columns.reshape(d, -1)).reshape(-1, d, 4, d)
    slopes = np.einsum("nisj,nisj->isj", r.real, r.imag / 1e-30)
    hessian = np.einsum("s,isj->ij", weights, slopes)
    return 0.5 * (hessian + hessian.T)


@dataclass(frozen=True)
class Outcome:
    """What came of a trial: `said` is the verdict, `right` whether estimates and error bars are."""

    seed: int
    about: str
    said: bool
    verdict: str
    finding: str
    should: bool
    right: bool
    deviation: float
    spread: float
    text: str


#: An estimate is right within a hundredth of itself, or within a tenth of its error bar if that is
#: more; an error bar within a hundredth.
SHARE, SDS, SPREAD = 0.01, 0.1, 0.01


def judge(trial: Trial, solver: str = "newton") -> Outcome:
    """Anneal a trial, fit it by least squares, and compare."""
    about = f"{trial.kind}, {trial.family}, {trial.scheme}"
    names = [f"p{i}" for i in trial.free]
    also, verdict, finding, table = None, "error", "error", None
    try:
        run = trial.anneal(solver)
        verdict, finding = str(run.verdict()), run.verdict().first.about
        best = run.best
        values = trial.truth[len(trial.sizes) :] * trial.units
        for i in trial.free:
            values[i] = best.parameters[f"p{i}"]
        also = np.concatenate([best.states.values[0] / trial.sizes, values / trial.units])
        table = trial.posterior(run).loc[names]
    except sd.SymdaError as error:
        verdict = verdict if also is not None else f"{type(error).__name__}: {error}"
    known = answer(trial, also)
    right, deviation, spread = False, math.nan, math.nan
    if table is not None:
        off = np.abs(table["value"].to_numpy() - known.values)
        with np.errstate(all="ignore"):
            deviation = float((off / known.sds).max())
            spread = float(np.abs(table["sd"].to_numpy() / known.sds - 1.0).max())
        near = off <= np.maximum(SHARE * np.abs(known.values), SDS * known.sds)
        right = bool(known.determined and near.all() and spread <= SPREAD)
    should = (
        trial.kind in ("plain", "wide box", "gaps")
        and known.inside
        and known.determined
        and known.in_band
    )
    said = verdict.startswith("consistent")
    off_by = f"off by {deviation:.2g} sd, error bars by {spread:.2g}"
    text = f"{trial.seed}: {about}: {verdict}; {off_by}"
    return Outcome(
        trial.seed, about, said, verdict, finding, should, right, deviation, spread, text
    )
