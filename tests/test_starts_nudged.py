"""Nudged starts: they follow the data, keep away from gaps, and depend on seed and number alone."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import sympy as sp
from api_cases import action, anneal, experiment
from models import ODE_SCHEMES, make_case

import symda as sd
from symda.anneal.dynamics import Dynamics
from symda.anneal.starts import Draw, Uniform
from symda.errors import OptionError

FIRM = sd.Nudged(gains=(1e9,))


def draw(case, problem, seed=0):
    return Draw(problem, seed, forward=lambda: Dynamics(case.virtual, problem))


def oscillator(measured, scheme="rk4", **options):
    x, y = sd.states("x y", start=(-2.0, 2.0), **options)
    w = sd.parameter("w", start=(0.5, 1.5))
    return make_case(sd.Model({x: y, y: -w * x}, name="o"), measured(x, y, w), scheme)


def test_unmeasured_states_of_lorenz_63_synchronise():
    """x drives y and z onto the truth: Pecora and Carroll, Phys. Rev. Lett. 64 (1990) 821."""
    x, y, z = sd.states("x y z", start=(-20.0, 40.0))
    sigma, rho, beta = sd.parameters("sigma rho beta", start=(1.0, 30.0))
    field = {x: sigma * (y - x), y: x * (rho - z) - y, z: x * y - beta * z}
    twin = sd.Action(sd.Model(field, name="l63"), [x], scheme="rk4")
    values = {"sigma": 10.0, "rho": 28.0, "beta": 8 / 3}
    truth, data = sd.twin(
        twin, parameters=values, dt=0.01, steps=1000, variance=1e-8, seed=1, discard=5
    )
    problem = twin.bind(data, fixed=values)
    dynamics = Dynamics(twin.compile().machine, problem)
    exact = truth.states.values
    for seed in range(3):
        draw = Draw(problem, number=seed, forward=lambda: dynamics)
        path, theta = sd.Nudged(gains=(50.0,)).point(draw)
        assert theta.tolist() == [10.0, 28.0, 8 / 3]
        assert np.abs(path[0, 1:] - exact[0, 1:]).max() > 0.5
        assert np.abs(path[-200:] - exact[-200:]).max() < 0.05


@pytest.mark.parametrize("scheme", ODE_SCHEMES, ids=lambda s: s.name)
def test_a_firm_gain_puts_the_nodes_on_the_data(scheme):
    case = oscillator(lambda x, y, w: [x], scheme)
    data = np.sin(np.arange(6.0))[:, None]
    problem = case.problem(0.1 * np.arange(6.0), data)
    path, theta = FIRM.point(draw(case, problem))
    assert path.shape == (problem.M, 2)
    np.testing.assert_allclose(path[:: 1 + problem.interior, 0], data[:, 0], rtol=1e-14)
    # where it starts, and the parameters, are those of a uniform start
    plain, same = Uniform().point(draw(case, problem))
    assert np.array_equal(theta, same)
    assert np.array_equal(path[0], plain[0])
    # the other state follows the model from where each step began
    ends = Dynamics(case.virtual, problem).step(2, path[2 * (1 + problem.interior)][None], theta)
    assert path[3 * (1 + problem.interior), 1] == ends[0, -1, 1]


def test_an_expression_is_followed_along_its_gradient():
    case = oscillator(lambda x, y, w: [2 * x + w * y])
    data = np.linspace(0.0, 3.0, 7)[:, None]
    problem = case.problem(0.1 * np.arange(7.0), data)
    path, theta = FIRM.point(draw(case, problem))
    fit = case.virtual.measure(path, theta)
    np.testing.assert_allclose(fit[1:], data[1:], rtol=1e-12)
    # the shortest way there, with each state in units of its range
    ends = Dynamics(case.virtual, problem).step(0, path[:1], theta)[0, -1]
    moved = path[1] - ends
    assert moved[1] / moved[0] == pytest.approx(theta[0] / 2, rel=1e-9)


def test_there_is_no_coupling_in_a_gap():
    case = oscillator(lambda x, y, w: [x])
    times = 0.1 * np.arange(30.0)
    data = np.full((30, 1), np.nan)
    data[:8, 0], data[22:, 0] = 1.0, -1.0
    problem = case.problem(times, data)
    path, theta = FIRM.point(draw(case, problem))
    free = Dynamics(case.virtual, problem)
    # data are 0.1 apart, so that the step to the point next to the last of them is still coupled
    for n in range(9, 20):
        np.testing.assert_array_equal(path[n + 1], free.step(n, path[n : n + 1], theta)[0, -1])
    for n in (*range(0, 7), *range(21, 29)):
        assert path[n + 1, 0] == pytest.approx(data[n + 1, 0], rel=1e-12)


def test_one_observation_and_a_single_step():
    case = oscillator(lambda x, y, w: [x])
    data = np.array([[np.nan], [0.7]])
    problem = case.problem([0.0, 0.1], data)
    path, _ = sd.Nudged().point(draw(case, problem))
    assert path.shape == (2, 2) and np.isfinite(path).all()
    path, _ = FIRM.point(draw(case, problem))
    assert path[1, 0] == pytest.approx(0.7)


def test_maps_are_nudged_likewise():
    x, y = sd.states("x y", start=(-1.0, 1.0))
    a = sd.parameter("a", start=(1.3, 1.4))
    case = make_case(sd.Model({x: 1 - a * x**2 + y, y: 0.3 * x}, name="h", discrete=True), [x])
    data = np.random.default_rng(0).uniform(-1.0, 1.0, (20, 1))
    problem = case.problem(np.arange(20.0), data)
    path, theta = sd.Nudged(gains=(np.log(2.0),)).point(draw(case, problem))
    for n in range(19):
        f = 1 - theta[0] * path[n, 0] ** 2 + path[n, 1]
        assert path[n + 1, 0] == pytest.approx(0.5 * (f + data[n + 1, 0]), rel=1e-12)


def test_bounds_hold_and_blow_up_is_caught():
    x = sd.states("x", 2, start=(-1.0, 1.0), bounds=(-1.5, 1.5))
    case = make_case(sd.Model({x[0]: x[0] ** 3, x[1]: x[0] * x[1] ** 2}, name="b"), [x[1]], "rk4")
    problem = case.problem(np.arange(50.0), np.full((50, 1), 5.0))
    for seed in range(5):
        path, _ = sd.Nudged().point(draw(case, problem, seed))
        assert np.isfinite(path).all() and np.abs(path).max() <= 1.5


def test_the_gain_of_least_action_is_kept():
    case = oscillator(lambda x, y, w: [x])
    t = 0.1 * np.arange(60.0)
    problem = case.problem(t, np.cos(t)[:, None], 1e-4)
    gains = (0.1, 3.0, 1e4)
    tried = [sd.Nudged(gains=(g,)).point(draw(case, problem)) for g in gains]
    path, _ = sd.Nudged(gains=gains).point(draw(case, problem))
    rm = problem.rm[0, 0]
    actions = [case.virtual.at(problem).action(p, theta, rm) for p, theta in tried]
    assert np.array_equal(path, tried[int(np.argmin(actions))][0])


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_paths_depend_on_seed_and_number_alone(executor):
    few = anneal(start="nudged", paths=3, solver="newton", keep="all")
    many = anneal(
        start="nudged", paths=6, solver="newton", executor=executor, workers=2, keep="all"
    )
    assert np.array_equal(few.levels, many.levels[:3])
    assert np.array_equal(few.dataset["states"], many.dataset["states"][:3])
    assert few.dataset.attrs["start"] == "nudged"
    assert len(np.unique(many.dataset["parameters"][:, 0])) > 1


def test_a_nudged_start_has_a_smaller_action_than_a_uniform_one():
    problem = action().bind(experiment()[1])
    machine = action().compile().machine
    dynamics = Dynamics(machine, problem)
    for k in range(5):
        draw = Draw(problem, number=k, forward=lambda: dynamics)
        near = machine.at(problem).action(*sd.Nudged().point(draw), 10.0)
        uniform = machine.at(problem).action(*Uniform().point(Draw(problem, number=k)), 10.0)
        assert near < 0.1 * uniform


@pytest.mark.parametrize("gains", [(), 5.0])
def test_gains_are_positive_numbers(gains):
    with pytest.raises(OptionError) as caught:
        sd.Nudged(gains=gains)
    assert str(caught.value) == (
        f"Nudged: gains must be positive numbers, such as gains=(2.0, 5.0, 10.0), got {gains!r}."
    )


@pytest.mark.parametrize("gain", [0.0, -1.0, "a", np.nan, True])
def test_each_gain_is_a_positive_number(gain):
    with pytest.raises(OptionError) as caught:
        sd.Nudged(gains=(1.0, gain))
    assert str(caught.value) == f"Nudged: gains[1] must be a positive number, got {gain!r}."


def test_the_record_names_the_gains():
    run = anneal(start=sd.Nudged(gains=np.array([3.0])), paths=1)
    assert '"gains": [3.0]' in run.dataset.attrs["provenance"]
    assert re.fullmatch("nudged", run.dataset.attrs["start"])
    assert dataclasses.asdict(sd.Nudged()) == {"gains": None}


def test_forcing_is_part_of_the_model():
    x, y = sd.states("x y", start=(-1.0, 1.0))
    t, current = sd.time("t"), sd.forcing("I")
    case = make_case(sd.Model({x: current, y: x}, name="f"), [y], "rk4")
    problem = case.problem(0.1 * np.arange(9.0), np.ones((9, 1)), forcing={"I": sp.cos(t)})
    path, _ = FIRM.point(draw(case, problem))
    np.testing.assert_allclose(path[:, 0] - path[0, 0], np.sin(problem.times), atol=1e-7)
