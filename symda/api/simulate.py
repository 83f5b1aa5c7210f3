"""Trajectories of a model, and twin experiments: data from a truth that is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from symda.api.kernels import Theta, parameter_values
from symda.declare import Measurement, Model, Parameter
from symda.errors import DataError, OptionError, SolveError
from symda.observe import Observations
from symda.observe.forcing import as_forcing, as_function, match

if TYPE_CHECKING:
    import xarray as xr

    from symda.api.action import Action
    from symda.derive.field import Field
    from symda.observe.forcing import ForcingInput

FloatArray = NDArray[np.float64]
Method: TypeAlias = Literal["RK23", "RK45", "DOP853", "Radau", "BDF", "LSODA"]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A solution of a model.

    Attributes
    ----------
    states : xarray.DataArray, dims (time, state)
        The solution.
    parameters : mapping of str to float
        The values it was computed with.
    """

    states: xr.DataArray
    parameters: Mapping[str, float]

    @property
    def times(self) -> FloatArray:
        """Times (T,)."""
        return np.asarray(self.states["time"].values, dtype=float)


def simulate(
    model: Model,
    times: ArrayLike,
    initial: ArrayLike | Mapping[str, float],
    *,
    parameters: Theta | None = None,
    forcing: Mapping[str, ForcingInput] | None = None,
    method: Method = "DOP853",
    rtol: float = 1e-10,
    atol: float = 1e-10,
) -> Trajectory:
    """Solve a model forward in time.

    Parameters
    ----------
    model : Model
        An ODE (solved by SciPy's `solve_ivp`) or a map (iterated; times are whole numbers).
    times : array_like, shape (T,)
        Increasing; the first is where `initial` holds.
    initial : array_like (D,) or mapping of str to float
        State at the first time.
    parameters : array_like (P,) or mapping of str to float
        Parameters; those left out take the value they were declared with.
    forcing : mapping of str to forcing
        As for `Observations`; samples are never extrapolated.
    method, rtol, atol
        Passed to `solve_ivp`; use ``"LSODA"`` or ``"Radau"`` for stiff models.

    Returns
    -------
    Trajectory

    Raises
    ------
    DataError
        If times, initial state, parameters or forcing do not fit the model.
    SolveError
        If the solution cannot be continued, or leaves finite numbers; the message says at what
        time.
    """
    from symda.derive.field import derive_field

    field = derive_field(model, Measurement((), (), ()))
    return _simulate(field, times, initial, parameters, forcing, method, rtol, atol)


def twin(
    action: Action,
    *,
    parameters: Theta | None = None,
    dt: float,
    steps: int,
    variance: ArrayLike,
    seed: int,
    initial: ArrayLike | Mapping[str, float] | None = None,
    discard: float = 0.0,
    every: int = 1,
    forcing: Mapping[str, ForcingInput] | None = None,
    method: Method = "DOP853",
) -> tuple[Trajectory, Observations]:
    """Make the data of a twin experiment: a solution of the model, measured with Gaussian noise.

    Parameters
    ----------
    action : Action
        Its model is solved, its measured quantities are the data.
    parameters : array_like (P,) or mapping of str to float
        True values; those left out take the value they were declared with.
    dt : float
        Time between points of the truth (1 for a map).
    steps : int
        Number of such intervals, from time 0.
    variance : float, or array_like (L,)
        Variance sigma^2 of the noise.
    seed : int
        Seed of initial state and noise; the same seed gives the same truth whatever is measured.
    initial : array_like (D,) or mapping, optional
        Initial state; drawn uniformly from the states' start ranges when left out.
    discard : float
        Time solved and thrown away before time 0, so that the truth lies on the attractor.
    every : int
        Measure at every so many points of the truth.
    forcing : mapping of str to forcing
        As for `Observations`.
    method : str
        Method of `solve_ivp`.

    Returns
    -------
    truth : Trajectory
        The solution at times 0, dt, .., steps dt.
    data : Observations
        What is measured of it.

    Raises
    ------
    OptionError, DataError, SolveError
        As for `simulate`.
    """
    if not (np.isfinite(dt) and dt > 0):
        raise OptionError(f"twin: dt must be positive, got {dt!r}.")
    if steps < 1 or int(steps) != steps:
        raise OptionError(f"twin: steps must be a whole number of at least 1, got {steps!r}.")
    if every < 1 or steps % every:
        raise OptionError(
            f"twin: every must divide steps = {steps}, got {every!r}; choose e.g. every=1."
        )
    if not discard >= 0:
        raise OptionError(f"twin: discard must be 0 or positive, got {discard!r}.")
    sigma2 = np.asarray(variance, dtype=float)
    if not (np.all(np.isfinite(sigma2)) and np.all(sigma2 >= 0)):
        raise OptionError(f"twin: variance must be finite and not negative, got {variance!r}.")
    start_rng, noise_rng = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    field = action.field
    first = _draw(action.model, start_rng) if initial is None else initial
    if discard:
        count = max(1, round(discard / dt)) if action.model.discrete else 1
        spin = np.linspace(-discard, 0.0, count + 1)
        first = _simulate(
            field, spin, first, parameters, forcing, method, 1e-8, 1e-8
        ).states.values[-1]
    times: FloatArray = dt * np.arange(steps + 1, dtype=float)
    truth = _simulate(field, times, first, parameters, forcing, method, 1e-10, 1e-10)
    theta = _parameters(action.parameters, parameters)
    h = np.asarray(
        field.measure.map(steps + 1)(
            truth.states.values.T, np.repeat(theta[:, None], steps + 1, 1)
        ).full()
    ).T
    # states first, then a row for each expression: measuring more leaves the others' noise alone
    of_states = noise_rng.standard_normal((steps + 1, field.D))
    of_channels = noise_rng.standard_normal((field.L, steps + 1)).T
    noise = np.where(np.array(action.direct) >= 0, of_states[:, list(action.direct)], of_channels)
    values = (h + np.sqrt(sigma2) * noise)[::every]
    data = Observations(
        times[::every],
        values,
        # exact data are given the variance 1, since no variance is not a weight
        variance=np.where(sigma2 > 0, sigma2, 1.0),
        channels=action.measurement.names,
        forcing=None if forcing is None else as_forcing(forcing, times),
    )
    return truth, data


def _simulate(
    field: Field,
    times: ArrayLike,
    initial: ArrayLike | Mapping[str, float],
    parameters: Theta | None,
    forcing: Mapping[str, ForcingInput] | None,
    method: Method,
    rtol: float,
    atol: float,
) -> Trajectory:
    import xarray as xr

    model = field.model
    t = np.asarray(times, dtype=float)
    if t.ndim != 1 or t.size < 1 or not np.all(np.isfinite(t)) or np.any(np.diff(t) <= 0):
        raise DataError("simulate: times must be finite and increasing, at least one of them.")
    names = tuple(s.name for s in model.states)
    x0 = _state(initial, names)
    theta = _parameters(field.parameters, parameters)
    right_hand_side = _right_hand_side(field, theta, forcing, t)
    if model.discrete:
        solution = _iterate(right_hand_side, t, x0)
    else:
        solution = _integrate(right_hand_side, t, x0, method, rtol, atol)
    states = xr.DataArray(
        solution, dims=("time", "state"), coords={"time": t, "state": list(names)}, name="states"
    )
    return Trajectory(
        states, dict(zip((p.name for p in field.parameters), theta.tolist(), strict=True))
    )


def _right_hand_side(
    field: Field, theta: FloatArray, forcing: Mapping[str, ForcingInput] | None, times: FloatArray
) -> Callable[[float, FloatArray], FloatArray]:
    """F(t, x) with parameters and forcing filled in."""
    model = field.model
    sources = match(tuple(f.name for f in model.forcing), as_forcing(forcing, times))
    channels = [as_function(source, model.time) for source in sources]

    def evaluate_at(t: float, x: FloatArray) -> FloatArray:
        # a solver's last stage may lie a rounding error beyond the last sample
        here = np.array([min(max(t, times[0]), times[-1])])
        u = np.array([channel(here)[0] for channel in channels])
        return np.asarray(field.field(x, u, theta, t).full()).reshape(-1)

    return evaluate_at


def _integrate(
    F: Callable[[float, FloatArray], FloatArray],
    t: FloatArray,
    x0: FloatArray,
    method: Method,
    rtol: float,
    atol: float,
) -> FloatArray:
    from scipy.integrate import solve_ivp

    if t.size == 1:
        return x0[None, :]
    solution = solve_ivp(F, (t[0], t[-1]), x0, method=method, t_eval=t, rtol=rtol, atol=atol)
    values = np.asarray(solution.y.T)
    if not solution.success or len(values) < len(t) or not np.all(np.isfinite(values)):
        reached = float(solution.t[-1]) if solution.t.size else float(t[0])
        raise SolveError(
            f"simulate: the solution could not be continued beyond t = {reached:.6g}: "
            f"{solution.message} "
            "Look at parameters and initial state, or try method='LSODA' for a stiff model."
        )
    return values


def _iterate(
    f: Callable[[float, FloatArray], FloatArray], t: FloatArray, x0: FloatArray
) -> FloatArray:
    if np.any(np.diff(t) != np.round(np.diff(t))):
        raise DataError("simulate: the times of a map must lie whole numbers apart.")
    values, x, now = [x0], x0, t[0]
    for target in t[1:]:
        while now < target:
            x = f(now, x)
            now += 1.0
        if not np.all(np.isfinite(x)):
            raise SolveError(
                f"simulate: the map left finite numbers before step {target:.6g}; look at "
                "parameters and initial state."
            )
        values.append(x)
    return np.array(values)


def _state(initial: ArrayLike | Mapping[str, float], names: tuple[str, ...]) -> FloatArray:
    if isinstance(initial, Mapping):
        given = {str(name): value for name, value in initial.items()}
        if set(given) != set(names):
            raise DataError(
                f"simulate: initial must name every state once, {', '.join(names)}; got "
                f"{', '.join(given)}."
            )
        initial = [given[name] for name in names]
    x0 = np.atleast_1d(np.asarray(initial, dtype=float))
    if x0.shape != (len(names),) or not np.all(np.isfinite(x0)):
        raise DataError(
            f"simulate: initial must be {len(names)} finite numbers, one for each of "
            f"{', '.join(names)}; got {x0.tolist()}."
        )
    return x0


def _parameters(declared: tuple[Parameter, ...], given: Theta | None) -> FloatArray:
    names = tuple(p.name for p in declared)
    if given is None or isinstance(given, Mapping):
        values: dict[str, float] = {p.name: p.value for p in declared if p.value is not None}
        values |= {str(name): float(value) for name, value in (given or {}).items()}
        given = values
    theta = parameter_values(given, names)
    if theta.shape != (len(names),):
        raise DataError(
            f"parameters must be {len(names)} numbers, one for each of {', '.join(names)}; "
            f"got {theta.size}."
        )
    return theta


def _draw(model: Model, rng: np.random.Generator) -> FloatArray:
    ranges = [s.start or s.bounds for s in model.states]
    for state, (low, high) in zip(model.states, ranges, strict=True):
        if not (np.isfinite(low) and np.isfinite(high)):
            raise OptionError(
                f"twin: no initial value for the state {state.name!r}: it has no start range "
                "to draw from. "
                "Pass initial=, or declare the states with start=(low, high)."
            )
    low, high = np.array(ranges, dtype=float).T
    drawn: FloatArray = rng.uniform(low, high)
    return drawn
