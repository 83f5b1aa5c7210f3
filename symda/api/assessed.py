"""A run's assessment: what is known of its equations, handed to `symda.analyse.assess`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from symda.analyse import ModelEquations, assess
from symda.api import preflight
from symda.api.kinked import jumps_met
from symda.observe.jumps import within_steps
from symda.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr

    from symda.analyse.scheme_error import StepForcing
    from symda.api.action import Action
    from symda.build.kernels import Evaluator
    from symda.observe.forcing import ForcingSource


def assessed(
    dataset: xr.Dataset,
    action: Action,
    at: Evaluator,
    sources: Mapping[str, ForcingSource] | None,
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
    sources : mapping of str to Samples or Expr, optional
        The forcing; as the scheme sees it when left out.
    own : bool
        Whether the solver minimises this action; the continuous problem's minima are others.
    """
    model, problem = action.model, at.problem
    forcing: StepForcing | None = None
    if sources is not None and model.forcing:
        moving = ~problem.pulses
        left, right = problem.node_times[:-1][moving], problem.node_times[1:][moving]

        def forcing(abscissae: FloatArray) -> FloatArray:
            # within a pulse it is what the step sees
            u = np.repeat(problem.u[:, :1], len(abscissae), axis=1)
            for i, f in enumerate(model.forcing):
                u[moving, :, i] = within_steps(sources[f.name], model.time, left, right, abscissae)
            return u

    unseen, unconstrained = preflight.loose(action.field, at.problem)
    equations = ModelEquations(
        field=None if action.model.discrete else action.field.field,
        order=action.scheme.order,
        forcing=forcing,
        unseen=unseen,
        unconstrained=unconstrained,
        jumps=lambda X, theta: jumps_met(action, problem, X, theta),
    )
    random = bool(dataset.attrs["starts_differ"])
    return assess(dataset, at, equations, random=random, own=own)
