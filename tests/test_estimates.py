"""Parameters of a run go back into whatever takes parameters of the model."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import symda as sd
from symda.api.estimates import Estimates

x = sd.state("x", start=(0.0, 2.0))
k = sd.parameter("k", bounds=(0.0, 1.0))
s = sd.parameter("s", bounds=(0.1, 10.0))
RISE = sd.Model({x: 1 - k * x}, name="rise")
ACTION = sd.Action(RISE, {"y": s * x}, model_error="rate")
T = np.linspace(0.0, 5.0, 26)
DATA = sd.Observations(T, 3 * (2 - np.exp(-0.5 * T)), variance=1e-2)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("solver", ["newton", "ipopt"])
def test_a_runs_parameters_are_taken_with_those_of_the_measurement(solver: str) -> None:
    """x' = 1 - x / 2 from 1 is 2 - exp(-t / 2); the factor 3 is the measurement's."""
    ladder = sd.Ladder(0.01, 10.0, 6)
    run = sd.anneal(
        ACTION, DATA, paths=2, ladder=ladder, solver=solver, executor="serial", progress=False
    )
    best = run.best
    assert set(best.parameters) == {"k", "s"}
    at = np.array([5.0, 6.0, 8.0])
    first = best.states.values[-1]
    exact = 2 - np.exp(-at / 2)
    simulated = sd.simulate(RISE, at, first, parameters=best.parameters)
    integrated = sd.integrate(RISE, at, first, step=0.01, parameters=best.parameters)
    for found in (simulated, integrated):
        assert set(found.parameters) == {"k"}
        np.testing.assert_allclose(found.states.values[:, 0], exact, rtol=0.02)
    step = sd.step_map(RISE, parameters=best.parameters)
    assert step.parameters == {"k": best.parameters["k"]}
    truth, _ = sd.twin(
        ACTION, parameters=best.parameters, dt=0.1, steps=5, variance=1.0, seed=0, initial=[1.0]
    )
    assert truth.parameters == dict(best.parameters)
    back = ACTION.backpropagate(DATA, [1.0], best.parameters)
    np.testing.assert_allclose(back.states.values[-1, 0], 2 - np.exp(-2.5), rtol=0.02)
    solution = sd.boundary_value(ACTION, DATA, rf=10.0, start=run)
    sd.simulate(RISE, at, first, parameters=pickle.loads(pickle.dumps(solution)).parameters)


def test_names_that_somebody_wrote_are_checked_as_ever() -> None:
    with pytest.raises(sd.SymdaError, match=r"There is no parameter 's'\. The parameters are: k\."):
        sd.simulate(RISE, T, [1.0], parameters={"k": 0.5, "s": 3.0})
    with pytest.raises(sd.DataError, match="no value for the parameter 'k'"):
        sd.simulate(RISE, T, [1.0], parameters=Estimates(kk=0.5))
