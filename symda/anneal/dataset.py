"""The results of all paths as one dataset with named dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from symda.anneal.apart import experiments_of
from symda.anneal.task import PathResult
from symda.status import Status
from symda.types import FloatArray

if TYPE_CHECKING:
    import xarray as xr

    from symda.anneal.finish import Finish
    from symda.observe import Problem

Field: TypeAlias = Callable[[PathResult], NDArray[Any]]


def assemble(
    problem: Problem,
    rf: FloatArray,
    heights: FloatArray | None,
    results: Sequence[PathResult],
    attempts: Sequence[int],
    attrs: Mapping[str, object],
    kinds: Sequence[str] = (),
) -> xr.Dataset:
    """Return the dataset described in docs/architecture.md, or that of some of its paths.

    Parameters
    ----------
    problem
        What was annealed: grid, data and names.
    rf
        The ladder, (B, D).
    heights
        c of each rung of a relative ladder, (B,).
    results
        K results in path order.
    attempts
        The attempt each of them belongs to.
    attrs
        Attributes; those that follow from the problem are added here.
    kinds
        How each path was started, where they differ.
    """
    import xarray as xr

    def stack(field: Field) -> NDArray[Any]:
        return np.stack([field(result) for result in results])

    rung = ("path", "beta")
    states, thetas = problem.natural(stack(lambda r: r.states), stack(lambda r: r.theta))
    variables: dict[str, object] = {
        "action": (rung, stack(lambda r: r.action)),
        "measurement_term": (rung, stack(lambda r: r.measurement_term)),
        "model_term": (rung, stack(lambda r: r.model_term)),
        "seconds": (rung, stack(lambda r: r.seconds)),
        "iterations": (rung, stack(lambda r: r.iterations)),
        "evaluations": (rung, stack(lambda r: r.evaluations)),
        "status": (
            rung,
            stack(lambda r: r.status),
            {
                "flag_values": np.arange(len(Status), dtype=np.int8),
                "flag_meanings": " ".join(Status),
            },
        ),
        "message": ("path", np.array([result.message for result in results], dtype=str)),
        "parameters": ((*rung, "parameter"), thetas),
        "states": (("path", "time", "state"), states),
        "momenta": (("path", "step", "component"), stack(lambda r: r.momenta)),
        "fit": (("path", "time", "channel"), stack(lambda r: r.fit)),
        "decrement": ("path", np.array([result.decrement for result in results])),
        "last_beta": ("path", np.array([result.last_beta for result in results], dtype=np.int64)),
    }
    by_beta = [result.states_by_beta for result in results]
    kept = [states for states in by_beta if states is not None]
    if len(kept) == len(results):
        every, _ = problem.natural(np.stack(kept), thetas)
        variables["states_by_beta"] = ((*rung, "time", "state"), every)

    if kinds:
        variables["kind"] = ("path", np.array(kinds, dtype=str))
    seen = problem.rm > 0.0
    if len(problem.repeat_at):
        again = np.where(problem.repeat_rm > 0.0, problem.repeat_y, np.nan)
        variables["repeat_point"] = ("repeat", problem.repeat_at)
        variables["repeated"] = (("repeat", "channel"), again)
    variables["observed"] = (("time", "channel"), np.where(seen, problem.y, np.nan))
    variables["variance"] = (("time", "channel"), problem.variance)
    if problem.covariance is not None:
        variables["covariance"] = (("time", "channel", "other_channel"), problem.covariance)
    variables["measured_state"] = ("channel", np.asarray(problem.direct, dtype=np.int64))

    on_scale = [scale.name or "" for scale in problem.scales]
    scales = np.array(on_scale or [""] * (problem.D + problem.P), dtype=str)
    relative = {} if heights is None else {"relative_rf": ("beta", heights)}
    more, named = experiments_of(problem)
    return xr.Dataset(
        variables | more,
        coords={
            **named,
            "path": np.arange(len(results)),
            "attempt": ("path", np.asarray(attempts, dtype=np.int64)),
            "beta": np.arange(len(rf)),
            "rf": (("beta", "state"), rf),
            **relative,
            "time": problem.times,
            "state": np.array(problem.states, dtype=str),
            "per_step": ("state", problem.per_step),
            "parameter": np.array(problem.parameters, dtype=str),
            "channel": np.array(problem.channels, dtype=str),
            "fixed": ("parameter", ~problem.free),
            "state_scale": ("state", scales[: problem.D]),
            "parameter_scale": ("parameter", scales[problem.D :]),
        },
        attrs={
            **attrs,
            "measurement_scale": float(problem.measurement_scale),
            "data_count": int(problem.data_count),
            "gaussian": int(problem.gaussian),
            "fitted": problem.fitted,
        },
    )


def with_solutions(
    dataset: xr.Dataset, results: Sequence[PathResult], finish: Finish
) -> xr.Dataset:
    """Add what is known of the paths that were finished; nothing where none was."""
    if not finish.solutions:
        return dataset
    places = {result.path: i for i, result in enumerate(results)}
    found = finish.solutions
    every = {
        "path": np.array([places[k] for k in finish.paths]),
        "climbed": np.array(finish.climbed),
        "errors": np.array(finish.errors),
        "place": np.array(finish.places, dtype=np.int64),
        "action": np.array([one.action for one in found]),
        "status": np.array([one.status.code for one in found], dtype=np.int8),
        "message": np.array([one.message for one in found], dtype=str),
        "integrations": np.array([one.integrations for one in found]),
        "seconds": np.array([one.seconds for one in found]),
    }
    added = {f"solution_{name}": ("solution", values) for name, values in every.items()}
    return dataset.assign(added).assign_attrs(chosen_solution=finish.chosen)
