"""`boundary_value`: the continuous problem behind an action, as x(t) and p(t)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from symda.api.estimates import Estimates
from symda.api.inputs import vector
from symda.api.kernels import numbers
from symda.api.preflight import ProblemWarning
from symda.api.run import Run
from symda.api.specification import Data, as_experiments, require_one
from symda.api.starts import as_start
from symda.checks import choice
from symda.errors import OptionError, SolveError, nearest
from symda.observe import Observations, Problem, Samples
from symda.observe.forcing import as_function
from symda.observe.jumps import breaks, clocked
from symda.status import Status
from symda.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr

    from symda.api.action import Action
    from symda.declare import Parameter, Time
    from symda.derive.field import Field
    from symda.observe.forcing import ForcingSource
    from symda.solve.boundary import Extremal, Inputs
    from symda.solve.boundary.polynomials import Side


#: A larger defect is a solution that the mesh does not resolve.
RESOLVED = 1e-2

#: Path (M, D) on the model grid, by itself or with parameters, an array (P,) or a mapping.
StartLike: TypeAlias = "Run | ArrayLike | tuple[ArrayLike, ArrayLike | Mapping[str, float]]"


@dataclass(frozen=True, eq=False)
class BoundarySolution:
    """A solution of x' = F + p / Rf, p' = -DF^T p, with jumps of p at the data.

    Attributes
    ----------
    states : xarray.DataArray, dims (time, state)
        x on the model grid.
    momenta : xarray.DataArray, dims (side, time, state)
        p on the model grid, before (``side="left"``) and after (``"right"``) the datum there:
        ``left`` at t0 and ``right`` at tF are the values that natural conditions make vanish.
    parameters : mapping of str to float
        All parameters, fixed ones included.
    action, measurement_term, model_term : float
        The continuous action and its two terms, sum Rm/2 (h - y)^2 and int Rf/2 (x' - F)^2 dt.
    residuals : mapping of str to float
        By how much the equations are missed, see `symda.solve.boundary.Extremal.residuals`.
    defect : float
        Residual between the points of collocation: how well the mesh resolves the solution.
        Raise ``intervals`` or ``degree`` where it is too large.
    method, status, message : str
    iterations : int
    seconds : float
        How the solver ended.
    """

    states: xr.DataArray
    momenta: xr.DataArray
    parameters: Mapping[str, float]
    action: float
    measurement_term: float
    model_term: float
    residuals: Mapping[str, float]
    defect: float
    method: str
    status: str
    message: str
    iterations: int
    seconds: float
    _extremal: Extremal
    _problem: Problem

    def __repr__(self) -> str:
        return (
            f"<BoundarySolution by {self.method}: {self.status}, action {self.action:.6g}, "
            f"defect {self.defect:.2g}>"
        )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        return state | {"residuals": dict(state["residuals"])}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"residuals": MappingProxyType(state["residuals"])})

    def x(self, times: ArrayLike) -> FloatArray:
        """States at times (T,), shape (T, D).

        Raises
        ------
        DataError
            If a time lies outside the window.
        """
        return self._problem.natural(self._extremal.x(_times(times)), self._extremal.theta)[0]

    def p(self, times: ArrayLike, side: Side = "right") -> FloatArray:
        """Momenta p = Rf (x' - F) at times (T,), shape (T, D).

        Of a state with a scale they are those of its logarithm or logit.

        Parameters
        ----------
        times : array_like, shape (T,)
            In the window.
        side : {"right", "left"}
            Which limit at a datum, where p jumps by dh/dx^T Rm (h - y). At t0 and tF it is always
            the one inside; `momenta` has both.

        Raises
        ------
        DataError
            If a time lies outside the window.
        """
        choice(side, "side", ("right", "left"))
        return self._extremal.p(_times(times), side)

    def hamiltonian(self, times: ArrayLike, side: Side = "right") -> FloatArray:
        """H(x, p, t) of eq. 19 at times (T,): constant between data if F does not depend on time.

        The data enter as jumps of p, so H jumps with it. With ``method="bvp"``, where data act at
        all times, H contains their term, -rho/2 (h - y)^2.
        """
        choice(side, "side", ("right", "left"))
        return self._extremal.hamiltonian(_times(times), side)


def boundary_value(
    action: Action,
    data: Data,
    *,
    rf: ArrayLike,
    start: StartLike,
    initial: ArrayLike | Mapping[str, float] | None = None,
    method: str = "collocation",
    options: Mapping[str, object] | None = None,
    steps: int | Sequence[int] = 1,
    max_step: float | None = None,
    midpoint_data: bool = False,
    fixed: Mapping[str | Parameter, float | None] | None = None,
) -> BoundarySolution:
    """Solve the two-point boundary value problem of the continuous action, eq. 18 to 20.

    Minimise sum_k Rm/2 (h(x(tau_k)) - y_k)^2 + int Rf/2 (x' - F)^2 dt over x(t) and the free
    parameters: the limit of the action with ``model_error="rate"`` as its steps shrink, whatever
    its scheme. In Hamilton's form x' = F + p / Rf, p' = -DF^T p; at a datum p jumps by
    dh/dx^T Rm (h - y); p = 0 before t0, or x(t0) is given, and p = 0 after tF.

    Parameters
    ----------
    action : Action
        With ``model_error="rate"`` and ``averaging="sum"``.
    data : Observations or Problem, of one recording
        What was measured. Of a problem the forcing is known at the abscissae of the scheme only.
    rf : float or array_like, shape (D,)
        Model precision, for all states or each; inf: the equation holds exactly.
    start : Run, array, or tuple of arrays
        Where to start: the best path of a run at its rung nearest to `rf` (its last, unless it
        kept all), or a path (M, D), by itself or with parameters as an array (P,) or a mapping.
    initial : mapping of str to float, or array_like, shape (D,), optional
        x(t0); states that a mapping leaves out, or that are nan, have p(t0) = 0 instead.
    method : str
        ``"collocation"``: Gauss collocation with jumps, for any data. ``"bvp"``: SciPy's
        `solve_bvp`, which takes the data as samples of a continuous y(t). ``"sweeps"``: forward
        in x, backward in p, as in back-propagation; for short windows with x(t0) given.
    options : mapping, optional
        Of the method, e.g. ``{"degree": 5, "intervals": 2}`` with ``"collocation"``.
    steps, max_step, midpoint_data, fixed
        The grid and the fixed parameters, see `Action.bind`. Intervals of collocation end at the
        grid's points, and where a forcing jumps or has a kink.

    Returns
    -------
    BoundarySolution

    Raises
    ------
    OptionError, DataError
        If action, data, start or options are at fault.
    SolveError
        If the iterations do not converge; says what was reached and what to try.

    Warns
    -----
    ProblemWarning
        If a state or parameter is held at a bound, where the equations have none; if they are met
        badly, or between the points of collocation not at all.
    """
    from symda.solve.boundary import METHODS, FieldFunctions, check_independent, make_method

    field = _check_action(action)
    choice(method, "boundary_value: method", METHODS)
    problem = action.bind(
        data, steps=steps, max_step=max_step, midpoint_data=midpoint_data, fixed=fixed
    )
    require_one(problem, "boundary_value", "Call it once for each.")
    check_independent(problem, "boundary_value")
    precision = _precision(rf, problem)
    times, path, theta = _start(start, problem, precision)
    if problem.paid.size:
        raise OptionError(
            f"boundary_value: the model has {problem.payer}, "
            "whose cost the continuous problem here does not have. Take sd.anneal."
        )
    if problem.pulses.any():
        raise OptionError(
            "boundary_value: the data have pulses, and x(t) does not jump here. Take sd.anneal "
            "with solver='newton', or samples of a short forcing."
        )
    if problem.tied.any():
        raise OptionError(
            "boundary_value: the action has functions of parameters as initial values; here they "
            "are numbers. Make an action without, and pass initial=."
        )
    given = _initial(initial, problem)
    if given is None and problem.given.any():
        given = problem.initial[0]
    inputs = None
    if not isinstance(data, Problem):
        (recording,) = as_experiments(data).values()
        inputs = _inputs(action, recording, problem)
    chosen = {} if options is None else options
    solver = make_method(method, FieldFunctions(field.functions), problem, chosen, inputs)
    found = solver.solve(times, path, theta, precision, given)
    _check_converged(found, precision, method)
    return _solution(found, problem, method)


def _check_action(action: Action) -> Field:
    """Return F and h of an action that has a continuous problem."""
    from symda.api.action import Action
    from symda.derive.field import Field
    from symda.solve.boundary import check_rate

    if not isinstance(action, Action):
        raise OptionError(
            f"boundary_value: the first argument is a symda.Action, got {type(action).__name__}."
        )
    if action.model.discrete:
        raise OptionError(
            f"boundary_value: {action.model.name!r} is a discrete map, which has no continuous "
            "time. Anneal it, or declare its equations as an ODE."
        )
    if not isinstance(action.field, Field):
        raise OptionError(
            f"boundary_value: this action is matrix-free ({len(action.model.states)} states), and "
            "the boundary value problem needs the Jacobian of F. Use sd.anneal with "
            "solver='newton' or 'lbfgs', or sd.Action(..., matrix_free=False)."
        )
    check_rate(action.model_error, action.averaging, "boundary_value")
    return action.field


def _precision(rf: ArrayLike, problem: Problem) -> FloatArray:
    """Rf of each state, (D,); parameters per step have their own."""
    values, D = numbers(rf, "rf"), problem.D
    if values.shape not in {(), (1,), (D,)} or not (values > 0.0).all():
        raise OptionError(
            "boundary_value: rf must be a positive number, or one for each of "
            f"{', '.join(problem.states)} (D = {D}); inf for an equation that holds exactly; got "
            f"{rf!r}."
        )
    return problem.precision(values)


def _initial(initial: object, problem: Problem) -> FloatArray | None:
    """Return x(t0), nan where it is not given."""
    if initial is None:
        return None
    fix = "pass x(t0), or leave initial out for p(t0) = 0"
    if isinstance(initial, Mapping):
        named = {str(name): value for name, value in initial.items()}
        for name in named:
            if name not in problem.states:
                raise OptionError(
                    f"boundary_value: initial names {name!r}, which is no state."
                    f"{nearest(name, problem.states)} The states are: {', '.join(problem.states)}."
                )
        names = [name for name in problem.states if name in named]
        values = np.full(problem.D, np.nan)
        known = vector([named[n] for n in names], names, "initial", fix, error=OptionError)
        values[[problem.states.index(n) for n in names]] = known
    else:
        values = numbers(initial, "initial")
        if values.shape != (problem.D,) or np.isinf(values).any():
            raise OptionError(
                f"boundary_value: initial must have one finite number for each of "
                f"{', '.join(problem.states)}, nan where p(t0) = 0, got {initial!r}: {fix}."
            )
    low, high = problem.limits[: problem.D].T
    for a in np.flatnonzero((values < low) | (values > high)):
        raise OptionError(
            f"boundary_value: initial has the state {problem.states[a]!r} at {values[a]:.6g}, "
            f"outside its bounds {low[a]:.6g} .. {high[a]:.6g}. Widen bounds=."
        )
    return problem.internal(values, problem.fixed)[0]


def _start(
    start: StartLike | None, problem: Problem, rf: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return times, path and parameters to start from."""
    if start is None or isinstance(start, str) or callable(start):
        raise OptionError(
            "boundary_value: start must be a run of sd.anneal, a path (M, D), or a tuple of path "
            f"and parameters, got {start!r}. The problem has many solutions, and random paths "
            "lead to bad ones: anneal first, and pass the run."
        )
    if isinstance(start, Run):
        return _of_run(start, problem, rf)
    try:
        given = as_start(start, problem)
    except OptionError as error:
        raise OptionError(str(error).replace("anneal:", "boundary_value:", 1)) from error
    # `as_start` of what is no text and no function has arrays
    path, theta = given.paths[0], given.thetas[0]  # type: ignore[union-attr]
    missing = problem.free & np.isnan(theta)
    if missing.any():
        names = [problem.parameters[i] for i in np.flatnonzero(missing)]
        raise OptionError(
            f"boundary_value: start has no value for the free parameter {names[0]!r}. Pass "
            f"(path, {{{names[0]!r}: ...}}), or fix it with fixed=."
        )
    return problem.times, path, np.where(problem.free, theta, problem.fixed)


def _of_run(
    run: Run, problem: Problem, rf: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Take the best path of a run, on any grid, at the rung nearest to Rf."""
    d = run.dataset
    names = tuple(str(name) for name in d["state"].values)
    if names != problem.states:
        raise OptionError(
            f"boundary_value: the run given as start has the states {', '.join(names)}; expected "
            f"{', '.join(problem.states)}. Start from a run of the same model."
        )
    times = d["time"].values
    span = problem.times[-1] - problem.times[0]
    if times[0] > problem.times[0] + 1e-9 * span or times[-1] < problem.times[-1] - 1e-9 * span:
        raise OptionError(
            f"boundary_value: the run given as start goes from time {times[0]:.6g} to "
            f"{times[-1]:.6g}; expected {problem.times[0]:.6g} to {problem.times[-1]:.6g}. Anneal "
            "the same data."
        )
    if "states_by_beta" in d:
        states = problem.ruled & np.isfinite(rf)
        rungs = np.log(d["rf"].values[:, states]).mean(axis=1) if states.any() else d["beta"].values
        wanted = np.log(rf[states]).mean() if states.any() else np.inf
        reached = np.isfinite(d["action"].values).any(axis=0)
        beta = int(np.argmin(np.where(reached, np.abs(rungs - wanted), np.inf)))
        if not states.any():
            beta = int(np.flatnonzero(reached)[-1])
        best = int(np.nanargmin(d["action"].values[:, beta]))
        path = d["states_by_beta"][best, beta].values
        values = d["parameters"].values[best, beta]
    else:
        found = run.best
        path, values = found.states.values, np.array(list(found.parameters.values()))
    known = dict(zip(d["parameter"].values.tolist(), values.tolist(), strict=True))
    theta = np.array([known.get(name, np.nan) for name in problem.parameters])
    if np.isnan(theta[problem.free]).any():
        raise OptionError(
            "boundary_value: the run given as start lacks a free parameter of this action; it has "
            f"{', '.join(known) or 'none'}. Start from a run of the same model."
        )
    path, theta = problem.internal(path, theta)
    return times, path, np.where(problem.free, theta, problem.fixed)


def _inputs(action: Action, data: Observations, problem: Problem) -> Inputs:
    """Return the forcing as it was given, at any time."""
    from symda.solve.boundary import Inputs

    given = action.specification.sources(data)
    sources = [given[u.name] for u in action.model.forcing]
    first, last = float(problem.times[0]), float(problem.times[-1])
    finest = problem.shortest
    found = [
        source.breaks if isinstance(source, Samples) else breaks(source, first, last, finest=finest)
        for source in sources
    ]
    own = clocked(action.model)
    found += [breaks(equation, first, last, finest=finest) for _, equation in own]
    return Inputs(_Forcing(sources, action.model.time), np.unique(np.concatenate([*found, []])))


class _Forcing:
    """Forcing (T, U) at any times (T,), of its sources."""

    def __init__(self, sources: Sequence[ForcingSource], time: Time | None) -> None:
        self._sources, self._time = tuple(sources), time
        self._functions = [as_function(source, time) for source in sources]

    def __call__(self, t: FloatArray) -> FloatArray:
        if not self._functions:
            return np.empty((len(t), 0))
        return np.stack([function(t) for function in self._functions], axis=1)

    def __reduce__(self) -> tuple[object, ...]:
        # compiled expressions cannot be pickled
        return _Forcing, (self._sources, self._time)


def _check_converged(found: Extremal, rf: FloatArray, method: str) -> None:
    outcome = found.outcome
    if outcome.status in (Status.CONVERGED, Status.ACCEPTABLE):
        if outcome.status == Status.ACCEPTABLE:
            warnings.warn(f"boundary_value: {outcome.message}.", ProblemWarning, stacklevel=3)
        if not found.defect <= RESOLVED:
            warnings.warn(
                f"boundary_value: the mesh does not resolve the solution: between the points of "
                f"collocation it misses its equations by {found.defect:.2g} (defect). Divide the "
                "steps with options={'intervals': 4}, or raise 'degree'.",
                ProblemWarning,
                stacklevel=3,
            )
        return
    first, last = found.window
    misses = ", ".join(f"{name} {value:.2g}" for name, value in found.residuals.items())
    raise SolveError(
        f"boundary_value: {method} did not converge on the window {first:.15g} .. {last:.15g} at "
        f"Rf = {' '.join(f'{value:.6g}' for value in np.unique(rf))}: {outcome.message.strip(' .')}"
        f", after {outcome.iterations} iterations; what is left of the equations: {misses}. "
        f"{_ADVICE[method]}".rstrip()
    )


_ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "collocation": "Start from a path annealed up to this Rf (sd.anneal with a ladder that "
        "ends there), lower rf and raise it in steps, take a shorter window, or let "
        "options={'max_iter': ...} grow.",
        "bvp": "Start from a path annealed up to this Rf, raise options={'max_nodes': ...}, or use "
        "method='collocation', which descends.",
        # which says itself what to do
        "sweeps": "",
    }
)


def _solution(found: Extremal, problem: Problem, method: str) -> BoundarySolution:
    import xarray as xr

    before, after = found.momenta_at_ends
    at = found.mesh.grid
    coords = {"time": problem.times, "state": list(problem.states)}
    X, theta = problem.natural(found.x(problem.times), found.theta)
    outcome = found.outcome
    return BoundarySolution(
        states=xr.DataArray(X, dims=("time", "state"), coords=coords, name="states"),
        momenta=xr.DataArray(
            np.stack([before[at], after[at]]),
            dims=("side", "time", "state"),
            coords={"side": ["left", "right"], **coords},
            name="momenta",
        ),
        parameters=Estimates(zip(problem.parameters, theta.tolist(), strict=True)),
        action=found.measurement_term + found.model_term,
        measurement_term=found.measurement_term,
        model_term=found.model_term,
        residuals=MappingProxyType(found.residuals),
        defect=found.defect,
        method=method,
        status=outcome.status,
        message=outcome.message,
        iterations=outcome.iterations,
        seconds=outcome.seconds,
        _extremal=found,
        _problem=problem,
    )


def _times(times: ArrayLike) -> FloatArray:
    t = numbers(times, "times")
    if t.ndim != 1:
        raise OptionError(f"times: expected a sequence of times, got the shape {t.shape}.")
    return t
