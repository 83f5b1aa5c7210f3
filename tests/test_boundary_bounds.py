"""Bounds, which the equations do not know; units; and when a solution counts as one."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from test_boundary import NEURON_RF, neuron_action, neuron_data
from test_boundary_methods import Y, guess, samples, virtual

import symda as sd
from symda.api.preflight import ProblemWarning
from symda.solve import SOLVERS

#: Alternating, so that no solution is exact.
ZIGZAG = 0.01 * np.array([1, -1, 1, 2, -2, 1, -1, 0, 1])


def decay(upper: float) -> sd.Action:
    x, k = sd.state("x"), sd.parameter("k", bounds=(0.0, upper))
    return sd.Action(sd.Model({x: -k * x}, name="decay"), [x], model_error="rate")


@pytest.mark.parametrize("variance", [1e-6, 1e-4, 1.0, 1e2])
@pytest.mark.parametrize("rf", [1.0, 1e5])
@pytest.mark.parametrize("rate", [1.98, 2.001, 2.1])
def test_a_bound_that_presses_is_met_exactly_or_not_at_all(
    rate: float, rf: float, variance: float
) -> None:
    """The minimum over k <= 2: inside with all equations met, or at k = 2, as when k is fixed."""
    t = np.linspace(0.0, 2.0, 9)
    data = sd.Observations(t, np.exp(-rate * t) + ZIGZAG, variance=variance)
    start = np.exp(-t)[:, None]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = sd.boundary_value(decay(2.0), data, rf=rf, start=(start, {"k": 1.0}))
    wide = sd.boundary_value(decay(20.0), data, rf=rf, start=(start, {"k": 1.0}))
    assert wide.status == "converged"
    if wide.parameters["k"] < 2.0:
        assert found.status == "converged" and not caught
        assert found.parameters["k"] == pytest.approx(wide.parameters["k"], abs=1e-9)
        assert max(found.residuals.values()) < 1e-8
    else:
        fixed = sd.boundary_value(decay(2.0), data, rf=rf, start=start, fixed={"k": 2.0})
        assert found.parameters["k"] == 2.0 and found.status == "acceptable"
        assert "at a bound: k" in str(caught[0].message)
        assert found.action == pytest.approx(fixed.action, rel=1e-10)


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e8])
def test_the_unit_of_the_action_does_not_matter(scale: float) -> None:
    """Rm and Rf times a number: the same minimiser, and momenta times that number."""
    t = np.linspace(0.0, 2.0, 9)
    values, start = np.exp(-2.01 * t) + ZIGZAG, (np.exp(-t)[:, None], {"k": 1.0})
    one, scaled = (
        sd.boundary_value(
            decay(20.0), sd.Observations(t, values, variance=0.01 / c), rf=1e3 * c, start=start
        )
        for c in (1.0, scale)
    )
    assert scaled.status == "converged" and max(scaled.residuals.values()) < 1e-9
    assert scaled.parameters["k"] == pytest.approx(one.parameters["k"], rel=1e-10)
    np.testing.assert_allclose(
        scaled.momenta.values / scale, one.momenta.values, atol=1e-9 * np.abs(one.momenta).max()
    )


def test_converged_means_that_the_equations_are_met(monkeypatch: pytest.MonkeyPatch) -> None:
    """IPOPT's word alone does not count: neither Newton's method nor a finer unit helps here."""
    monkeypatch.setattr("symda.solve.boundary.polish.STEPS", 0)
    with pytest.warns(ProblemWarning, match="Solve_Succeeded; but the equations are missed by"):
        found = sd.boundary_value(
            neuron_action(),
            neuron_data("linear"),
            rf=NEURON_RF,
            start=(np.tile([1.0, 0.7], (6, 1)), {"a": 0.6, "b": 0.5}),
            options={"obj_scaling_factor": 1e-9, "dual_inf_tol": 1e6},
        )
    assert found.status == "acceptable" and 1e-6 < max(found.residuals.values()) < 1e-3


def test_a_perfect_fit_is_no_bad_mesh() -> None:
    """Its momenta are rounding errors, and no yardstick."""
    t = np.linspace(0.0, 1.0, 6)
    data = sd.Observations(t, np.exp(-t), variance=1e-4)
    found = sd.boundary_value(decay(5.0), data, rf=10.0, start=(np.ones((6, 1)), {"k": 1.1}))
    assert found.status == "converged" and found.defect < 1e-4
    assert max(found.residuals.values()) < 1e-6
    assert found.parameters["k"] == pytest.approx(1.0, abs=1e-6)


def bounded(low: float, high: float, mu: float = 5.0) -> sd.Action:
    """The same oscillator with bounds on x and mu."""
    x, y = sd.state("x", bounds=(low, high)), Y
    rate = sd.parameter("mu", bounds=(0.0, mu), start=(0.5 * mu, mu))
    model = sd.Model({x: y, y: rate * (1 - x**2) * y - x}, name="bounded")
    return sd.Action(model, {"x": x, "cube": y + y**3 / 10}, scheme="midpoint", model_error="rate")


def test_a_solution_beyond_the_bounds_is_said_and_brought_inside() -> None:
    data = samples(2.0, 9)
    start = guess(data.times)
    for own, name in ((bounded(-3.0, 1.0), "x"), (bounded(-3.0, 3.0, mu=0.6), "mu")):
        with pytest.warns(ProblemWarning, match=f"beyond the bounds: {name}"):
            found = sd.boundary_value(
                own, data, rf=5.0, start=(np.minimum(start, 1.0), {"mu": 0.5}), method="bvp"
            )
        assert found.status == "acceptable"
        problem = own.bind(data)
        ended = (
            SOLVERS["bvp"]
            .at(virtual(own), problem)
            .minimise(np.minimum(start, 1.0), np.array([0.5]), np.full(2, 5.0))
        )
        assert ended.status == "stopped" and f"beyond the bounds: {name}" in ended.message
        assert ended.path[:, 0].max() <= problem.state_bounds[0, 1]
        assert ended.theta[0] <= problem.parameter_bounds[0, 1]
        value = found.x(data.times)[:, 0].max() if name == "x" else found.parameters["mu"]
        assert value > (problem.state_bounds if name == "x" else problem.parameter_bounds)[0, 1]


def test_what_bounds_do_is_kept_with_the_path() -> None:
    own, data = bounded(-3.0, 3.0, mu=0.6), samples(2.0, 9)
    ladder = sd.Ladder(5.0, 2.0, 2)
    for solver, status, words in (
        ("collocation", 2, "at a bound: mu"),
        ("bvp", 3, "beyond the bounds: mu"),
    ):
        run = sd.anneal(own, data, ladder=ladder, paths=1, solver=solver, executor="serial")
        assert run.dataset["status"].values[0, -1] == status
        message = run.dataset["message"].values[0]
        assert message.startswith("rung 1: ") and words in message
        assert words in str(run)
        assert run.best.parameters["mu"] == pytest.approx(0.6, abs=1e-9)
