"""Finer steps where the scheme may be why no level is low enough, from the paths found before."""

from __future__ import annotations

import importlib
import inspect
import json

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import symda as sd
from symda.analyse.scheme_error import polynomial_forcing, scheme_error
from symda.api.starts import as_start
from symda.errors import OptionError

QUIET = {"progress": False}
#: Parameters behind the data of a driven state.
TRUE = {"g": 1.0, "k": 0.5}
FIRST = [1.0, 4.0, -2.0, 3.0, 6.0]


def ring(D=5):
    x = sd.states("x", D, start=(-10.0, 10.0))
    nu = sd.parameter("nu", bounds=(0.0, 20.0), start=(5.0, 15.0))
    model = sd.Model(
        {x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - x[a] + nu for a in range(D)}, name="ring"
    )
    return sd.Action(model, [x[0], x[2]])


@pytest.fixture(scope="module")
def found():
    """A twin of a ring, and the call without options."""
    action = ring()
    _, data = sd.twin(
        action, parameters={"nu": 8.0}, dt=0.05, steps=60, variance=0.5, seed=0, discard=20.0
    )
    return action, data, sd.anneal(action, data, **QUIET)


def told(run):
    return json.loads(run.dataset.attrs["told"])


@pytest.mark.smoke
def test_a_forcing_that_moves_within_steps_is_not_finished(tmp_path):
    x = sd.state("x", start=(0.0, 2.0))
    g, k = sd.parameter("g", bounds=(0.0, 5.0)), sd.parameter("k", bounds=(0.0, 5.0))
    u = sd.forcing("u")
    model = sd.Model({x: g * u - k * x}, name="driven")
    action = sd.Action(model, [x])
    fine = np.linspace(0.0, 10.0, 2401)
    given = {"u": sd.Samples(fine, np.cos(2 * np.pi * 6 * fine) ** 2)}
    t = np.linspace(0.0, 10.0, 11)
    truth = sd.simulate(model, t, [0.2], parameters=TRUE, forcing=given).states
    noise = np.random.default_rng(4).normal(0.0, 0.01, truth.shape)
    data = sd.Observations(t, truth.values + noise, variance=1e-4, forcing=given)
    assert not sd.anneal(action, data, max_step=1.0, time_limit=20.0, **QUIET).verdict().consistent
    # by itself it divides steps until they see it
    run = sd.anneal(action, data, time_limit=60.0, **QUIET)
    assert run.dataset.sizes["step"] == 160 and run.verdict().consistent
    text = run.report(tmp_path / "run.md").read_text().partition("Repeat this run")[2]
    assert "time_limit=60.0" in text and "steps" not in text.partition("```")[2].partition("```")[0]
    # and what is asked of it later is on its own steps
    sd_of = action.posterior(run, data).sd
    assert all(abs(run.best.parameters[n] - v) < 3 * sd_of[n] for n, v in TRUE.items())
    with pytest.raises(OptionError, match="moves within steps"):
        sd.anneal(action, data, finish="strong", paths=2, **QUIET)
    finer = sd.anneal(action, data, max_step=0.02, **QUIET)
    assert finer.verdict().consistent
    assert finer.best.parameters["g"] == pytest.approx(1.0, abs=0.05)


def test_local_errors_added_up_against_scipy():
    action = ring()
    problem = action.bind(
        sd.twin(
            action, parameters={"nu": 8.0}, dt=0.1, steps=20, variance=0.01, seed=1, initial=FIRST
        )[1]
    )
    path = np.random.default_rng(3).uniform(-5.0, 10.0, size=(21, 5))

    def slope(_, x):
        return np.roll(x, 1) * (np.roll(x, -1) - np.roll(x, 2)) - x + 8.0

    errors = np.zeros(5)
    for x in path[:-1]:
        k1 = slope(0, x)
        k2 = slope(0, x + 0.05 * k1)
        k3 = slope(0, x + 0.05 * k2)
        rk4 = x + 0.1 / 6 * (k1 + 2 * k2 + 2 * k3 + slope(0, x + 0.1 * k3))
        right = solve_ivp(slope, (0.0, 0.1), x, rtol=1e-12, atol=1e-12, method="DOP853").y[:, -1]
        errors += np.abs(rk4 - right)
    share = (errors / np.ptp(path, axis=0)).max()
    noise = (0.1 / np.std(problem.y, axis=0)).min()
    at, jacobian = action.compile().machine.at(problem), action.field.field_jacobian
    found = scheme_error(at, jacobian, path, np.array([8.0]), polynomial_forcing(problem))
    assert found.beside(problem, path) == pytest.approx(share / noise, rel=1e-3)


def test_paths_that_are_given_are_taken_up_first_and_once(found):
    action, data, run = found
    again = sd.anneal(action, data, strategy="auto", start=run, steps=2, **QUIET)
    lines = told(again)
    assert lines[0].startswith(f"paths given: {min(run.dataset.sizes['path'], 16)} started")
    assert lines[1].startswith("uniform: 16 started")
    assert sum(line.startswith("paths given") for line in lines) == 1
    # the path of a run whose answer is known needs no climb from below
    mine = again.dataset["kind"].values == "paths given"
    assert np.isnan(again.dataset["action"].values[mine, 0]).all()
    assert again.best.action == pytest.approx(run.best.action, abs=0.2)


def test_a_kind_of_start_is_still_refused_beside_auto(found):
    action, data, _ = found
    with pytest.raises(OptionError, match="or start from paths, which are then taken up first"):
        sd.anneal(action, data, strategy="auto", start="nudged", **QUIET)


def test_the_limit_that_is_told_is_the_one_that_was_given(found):
    """A run with finer steps has what is left of it."""
    action, data, _ = found
    module = importlib.import_module("symda.api.anneal")
    given = {
        name: one.default
        for name, one in inspect.signature(sd.anneal).parameters.items()
        if name not in module.HANDED
    }
    given |= {"time_limit": 20.0, "progress": False}
    late = module._annealed(action, data, given, spent=19.999)
    assert "ended because time limit of 20 s reached" in told(late)
    assert json.loads(late.dataset.attrs["provenance"])["settings"]["time_limit"] == 20.0
    assert json.loads(late.dataset.attrs["provenance"])["seconds"] < 10.0


def test_noise_that_is_estimated_does_not_hide_that_steps_are_too_long():
    """It grows until the wrong answer fits, so no level is too high; but each is seldom met."""
    model = sd.models.lorenz63()
    sigma = sd.parameter("s", bounds=(1e-3, 100.0), scale="log")
    action = sd.Action(model, {"x": sd.Normal(model["x"], sigma)})
    t = np.linspace(0.0, 8.0, 51)
    truth = sd.simulate(model, t, [1.0, 1.0, 20.0], parameters=sd.models.LORENZ63).states
    noise = np.random.default_rng(0).normal(0.0, 0.5, t.size)
    data = sd.Observations(t, truth.values[:, 0] + noise)
    run = sd.anneal(action, data, time_limit=20.0, strategy="auto", finish="none", **QUIET)
    assert "ended because the scheme's error moves the lowest path" in told(run)
    # long steps that serve are not divided
    fine = sd.anneal(
        action, data, max_step=0.02, time_limit=2.0, strategy="auto", finish="none", **QUIET
    )
    assert not any("scheme's error" in line for line in told(fine))


def test_a_run_is_kept_whatever_is_wrong_with_finer_steps(monkeypatch):
    module = importlib.import_module("symda.api.divided")
    x = sd.state("x", start=(0.0, 2.0))
    k = sd.parameter("k", bounds=(0.0, 50.0))
    t = np.linspace(0.0, 1.0, 11)
    values = 0.5 + np.random.default_rng(0).normal(0.0, 1.0, 11)
    action = sd.Action(sd.Model({x: -k * (x - 0.5)}, name="relaxed"), [x])
    data = sd.Observations(t, values, variance=1e-3)

    def refuse(*_):
        raise OptionError("no such start")

    monkeypatch.setattr(module, "_coarse", lambda run: True)
    monkeypatch.setattr(module, "_lowest", refuse)
    run = sd.anneal(action, data, time_limit=20.0, **QUIET)
    assert told(run)[-1] == "steps could not be divided by 4: no such start"
    assert run.dataset.sizes["step"] == 10 and not run.verdict().consistent


def test_recordings_are_not_added_up():
    action = ring()
    _, data = sd.twin(
        action, parameters={"nu": 8.0}, dt=0.1, steps=20, variance=0.01, seed=1, initial=FIRST
    )
    path = np.random.default_rng(3).uniform(-5.0, 10.0, size=(21, 5))
    found = []
    for count in (1, 3):
        problem = action.bind([data] * count)
        at, jacobian = action.of(problem).compile().machine.at(problem), action.field.field_jacobian
        paths = np.tile(path, (count, 1))
        error = scheme_error(at, jacobian, paths, np.array([8.0]), polynomial_forcing(problem))
        found.append(error.beside(problem, paths))
    assert found[0] == pytest.approx(found[1], rel=1e-12) and found[0] > 0.0


def test_a_dose_stays_between_its_two_points():
    x, dose = sd.state("x", bounds=(0.0, 1e3), start=(0.0, 100.0)), sd.forcing("dose")
    k = sd.parameter("k", bounds=(0.0, 5.0))
    action = sd.Action(sd.Model({x: dose - k * x}, name="dosed"), [x])
    doses = sd.Pulses([0.0, 2.0], [100.0, 50.0])
    t = np.linspace(0.0, 4.0, 9)
    truth = sd.simulate(action.model, t, [0.0], parameters={"k": 0.5}, forcing={"dose": doses})
    data = sd.Observations(t, truth.states.values, variance=1.0, forcing={"dose": doses})
    run = sd.anneal(action, data, paths=2, ladder=sd.Ladder(alpha=10.0, rungs=3), **QUIET)
    fine = action.bind(data, steps=3)
    paths = as_start(run, fine).paths
    own = run.dataset.time.values, run.dataset.states.values
    for times, states in ((fine.times, paths), own):
        pulses = np.flatnonzero(np.diff(times) == 0.0)
        assert pulses.size == 2
        steps = (states[:, pulses + 1] - states[:, pulses])[..., 0]
        np.testing.assert_allclose(steps, [[100.0, 50.0]] * 2, rtol=0.05)


def test_ctrl_c_while_the_scheme_is_looked_at_keeps_the_run(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    x, k = sd.state("x", start=(0.0, 2.0)), sd.parameter("k", bounds=(0.0, 5.0))
    action = sd.Action(sd.Model({x: -k * x}, name="decay"), [x])
    t = np.linspace(0.0, 2.0, 21)
    wrong = np.random.default_rng(0).normal(0.0, 1.0, t.size)
    data = sd.Observations(t, wrong, variance=1e-4)
    monkeypatch.setattr(importlib.import_module("symda.api.anneal"), "coarse", interrupt)
    run = sd.anneal(action, data, **QUIET)
    assert run.interrupted and np.isfinite(run.best.action)
