"""A run's assessment: what is known of its equations, handed to `symda.analyse.assess`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse import ModelEquations, assess
from symda.analyse.assess import point_of
from symda.analyse.exact import assess_exact
from symda.analyse.levels import best_path, chosen_solution, last_rung
from symda.analyse.scheme_error import polynomial_forcing, scheme_error
from symda.api import preflight
from symda.api.kinked import jumps_met
from symda.api.machine import strong_of
from symda.api.specification import Data, as_experiments
from symda.build.course import CUBIC
from symda.build.kernels import matrices_of
from symda.declare import Model, NoiseNumbers
from symda.derive.field import Field
from symda.observe import Problem
from symda.observe.jumps import within_steps
from symda.types import FloatArray

if TYPE_CHECKING:
    import casadi as ca
    import xarray as xr

    from symda.analyse.stiff_steps import StepForcing
    from symda.api.action import Action
    from symda.build.abstract import Evaluator
    from symda.observe.forcing import ForcingSource


#: A forcing that is off by a smaller share of its range is followed.
UNEVEN = 5e-3
#: The local errors of a scheme, added up, are coarse above this share of the noise.
ADDS_UP = 0.5


def assessed(
    dataset: xr.Dataset,
    action: Action,
    at: Evaluator,
    data: Data,
    *,
    own: bool,
) -> xr.Dataset:
    """Add what only kernels and equations can tell of a run.

    Parameters
    ----------
    dataset : xarray.Dataset
        The dataset of a run.
    action : Action
        What was annealed.
    at : Evaluator
        Its kernels with the problem.
    data : Observations, Experiments or Problem
        What was annealed, with the forcing; of a problem that is as the scheme sees it.
    own : bool
        Whether the solver minimises this action; the continuous problem's minima are others.
    """
    model, problem = action.model, at.problem
    unseen, unconstrained = preflight.loose(action.field, at.problem)
    equations = ModelEquations(
        jacobian=_jacobian(action),
        damps=action.scheme.damps,
        order=action.scheme.order,
        forcing=_forcing(action, problem, data),
        unseen=unseen,
        adrift=preflight.adrift(action.field, problem),
        unconstrained=unconstrained,
        noise=None
        if problem.gaussian
        else NoiseNumbers(
            action.measurement.paid(model), channels=problem.L, priors=problem.priors
        ),
        jumps=lambda X, theta: jumps_met(action, problem, X, theta),
    )
    random = bool(dataset.attrs["starts_differ"])
    if chosen_solution(dataset) is not None:
        exact = matrices_of(at, "solution of the model's equations")
        strong = strong_of(action.specification, exact)
        return assess_exact(dataset, exact, strong, equations, random=random)
    return assess(dataset, at, equations, random=random, own=own)


def coarse(dataset: xr.Dataset, action: Action, at: Evaluator, data: Data) -> bool:
    """Whether the scheme's local errors along the lowest path add up to what the noise is.

    That can be asked of any path, also where no estimate is known that they could move.
    """
    jacobian, problem = _jacobian(action), at.problem
    if jacobian is None:
        return False
    path = point_of(dataset, problem, best_path(dataset), last_rung(dataset))
    forcing = _forcing(action, problem, data) or polynomial_forcing(problem)
    return scheme_error(at, jacobian, *path, forcing).beside(problem, path[0]) > ADDS_UP


def _forcing(action: Action, problem: Problem, data: Data) -> StepForcing | None:
    """Return the forcing inside the steps; None where nothing but the steps is known of it."""
    model = action.model
    if isinstance(data, Problem) or not model.forcing:
        return None
    every = [action.specification.sources(one) for one in as_experiments(data).values()]

    def forcing(abscissae: FloatArray) -> FloatArray:
        parts = zip(every, problem.experiments, strict=True)
        return np.concatenate([_inside(model, *part, abscissae) for part in parts])

    return forcing


def _jacobian(action: Action) -> ca.Function | None:
    """F and DF of an ODE, where there are matrices."""
    field = action.field
    return field.field_jacobian if isinstance(field, Field) and not action.model.discrete else None


def moves_within(action: Action, problem: Problem, data: Data) -> bool:
    """Whether a forcing moves within steps by more than the cubic that integrations take.

    Of a problem nothing but that cubic is known.
    """
    if isinstance(data, Problem) or not action.model.forcing:
        return False
    places = np.array([1.0, 3.0, 5.0]) / 6.0
    powers = places[:, None] ** np.arange(4)
    for one, own in zip(as_experiments(data).values(), problem.experiments, strict=True):
        sources = action.specification.sources(one)
        true = _inside(action.model, sources, own, places)
        taken = np.einsum("sk,kj,nju->nsu", powers, CUBIC, own.forcing)
        moving = ~own.pulses
        off = np.abs(true - taken)[moving].max(axis=(0, 1), initial=0.0)
        size = np.ptp(own.forcing[moving], axis=(0, 1)) + np.ptp(true[moving], axis=(0, 1))
        if (off > UNEVEN * size).any():
            return True
    return False


def _inside(
    model: Model, sources: Mapping[str, ForcingSource], problem: Problem, abscissae: FloatArray
) -> FloatArray:
    """Return the forcing of one experiment within its steps, (N, number of abscissae, U)."""
    moving = ~problem.pulses
    left, right = problem.left_times[moving], problem.right_times[moving]
    # within a pulse it is what the step sees
    u = np.repeat(problem.u[:, :1], len(abscissae), axis=1)
    for i, f in enumerate(model.forcing):
        u[moving, :, i] = within_steps(sources[f.name], model.time, left, right, abscissae)
    return u
