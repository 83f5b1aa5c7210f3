"""`anneal` end to end, on small problems whose answers are known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import api_cases as cases
import numpy as np
import pytest
import sympy as sp
import xarray as xr

import symda as sd
from symda.api import ProblemWarning

QUIET = {"executor": "serial", "progress": False, "seed": 0}


def test_lorenz96_is_found_from_part_of_its_states() -> None:
    truth, _ = cases.experiment()
    run = cases.run()
    assert run.levels.dims == ("path", "beta")
    assert run.levels.shape == (5, 10)
    best = run.best
    assert best.parameters["nu"] == pytest.approx(cases.NU, abs=0.3)
    hidden = (best.states - truth.states).sel(state=["x1", "x4"])
    assert float(np.abs(hidden).max()) < 1.5
    judged = run.chi_squared()
    assert judged.low <= judged.value <= judged.high


def test_the_lowest_level_is_a_minimum_of_the_action() -> None:
    _, data = cases.experiment()
    run, kernels = cases.run(), cases.action().compile()
    best = run.best
    rf = float(run.dataset["rf"][-1, 0])
    assert best.action == float(run.levels[:, -1].min())
    terms = cases.exact_terms(best.states.values, best.parameters["nu"], rf, data)
    assert (best.measurement_term, best.model_term) == pytest.approx(terms, rel=1e-8)
    assert best.measurement_term + best.model_term == pytest.approx(best.action, rel=1e-12)
    slope = kernels.gradient(best.states, best.parameters, rf, data)
    assert np.abs(slope).max() < 1e-4
    hessian = kernels.hessian(best.states, best.parameters, rf, data)
    assert np.linalg.eigvalsh(hessian.todense())[0] > 0.0
    residual = kernels.residual(best.states, best.parameters, data)
    np.testing.assert_allclose(best.momenta.values, rf * residual, rtol=1e-6, atol=1e-9)


def test_the_ladder_is_the_one_asked_for() -> None:
    rf = cases.run().dataset["rf"]
    assert rf.dims == ("beta", "state")
    np.testing.assert_allclose(rf[:, 2], 0.01 * 4.0 ** np.arange(10))


def test_path_k_depends_on_seed_and_k_alone() -> None:
    five = cases.run().dataset
    variables = ["action", "states", "parameters", "iterations", "momenta"]
    three = cases.anneal(paths=3).dataset
    xr.testing.assert_equal(three[variables], five[variables].isel(path=slice(3)))
    processes = cases.anneal(paths=3, executor="processes", workers=2).dataset
    xr.testing.assert_equal(processes[variables], three[variables])
    other = cases.anneal(paths=1, seed=4).dataset
    # the first rung has one minimum only, where both end to rounding
    assert not other["states"].equals(five["states"].isel(path=slice(1)))


def test_both_solvers_end_on_the_same_level() -> None:
    other = cases.anneal(solver="lbfgs", paths=2, options={"maxiter": 5000}).best
    assert other.action == pytest.approx(cases.run().best.action, abs=1e-3)
    assert other.parameters["nu"] == pytest.approx(cases.run().best.parameters["nu"], abs=1e-3)


def test_a_fixed_parameter_stays_where_it_is() -> None:
    run = cases.anneal(fixed={"nu": 10.0}, paths=2)
    assert set(run.dataset["parameters"].sel(parameter="nu").values.ravel()) == {10.0}
    assert run.best.parameters == {"nu": 10.0}
    assert run.dataset.attrs["fitted"] == 5
    assert run.best.action > cases.run().best.action


def test_a_declared_value_is_fixed_until_it_is_freed() -> None:
    x = sd.state("x", start=(0.0, 2.0))
    k = sd.parameter("k", value=1.0, bounds=(0.0, 5.0))
    action = sd.Action(sd.Model({x: -k * x}, name="decay"), [x], scheme="trapezoid")
    t = np.linspace(0.0, 2.0, 21)
    data = sd.Observations(t, np.exp(-2 * t), variance=1e-4)
    options = {"ladder": sd.Ladder(1.0, 100.0, 4), "paths": 1, **QUIET}
    assert sd.anneal(action, data, **options).best.parameters["k"] == 1.0
    freed = sd.anneal(action, data, fixed={k: None}, **options).best
    # trapezoid decays by (1 - kh/2) / (1 + kh/2) a step where the data decay by exp(-2h)
    h = 0.1
    exact = 2 / h * (1 - np.exp(-2 * h)) / (1 + np.exp(-2 * h))
    assert freed.parameters["k"] == pytest.approx(exact, rel=1e-4)
    assert freed.action < 1e-8


def test_one_observation_of_one_state_and_time_before_and_after_it() -> None:
    x = sd.state("x", start=(-2.0, 2.0))
    action = sd.Action(sd.Model({x: -x}, name="decay"), [x], scheme="euler")
    data = sd.Observations([1.0], [0.5], variance=0.1)
    problem = action.bind(data, start=0.0, stop=1.5, max_step=0.25)
    assert (problem.N, problem.data_count) == (6, 1)
    run = sd.anneal(action, problem, ladder=sd.Ladder(1.0, 10.0, 3), paths=2, **QUIET)
    np.testing.assert_allclose(run.levels[:, -1], 0.0, atol=1e-10)
    exact = 0.5 * 0.75 ** (np.arange(7.0) - 4)
    np.testing.assert_allclose(run.best.states.values[:, 0], exact, rtol=1e-5)
    assert run.best.parameters == {}


def test_a_map_one_step_long_has_the_weighted_mean() -> None:
    x = sd.state("x", start=(-1.0, 1.0))
    action = sd.Action(sd.Model({x: 2 * x}, name="double", discrete=True), [x])
    data = sd.Observations([0.0, 1.0], [1.0, 5.0], variance=[0.5, 0.25])
    run = sd.anneal(action, data, ladder=sd.Ladder(8.0, rungs=1), paths=1, **QUIET)
    # A = (x0 - 1)^2 + 2 (x1 - 5)^2 + 4 (x1 - 2 x0)^2, by hand
    exact = np.linalg.solve([[2 + 32, -16], [-16, 4 + 8]], [2.0, 20.0])
    np.testing.assert_allclose(run.best.states.values[:, 0], exact, rtol=1e-8)
    a, b = exact
    assert run.best.action == pytest.approx((a - 1) ** 2 + 2 * (b - 5) ** 2 + 4 * (b - 2 * a) ** 2)


def test_the_rate_of_a_chaotic_map_is_found() -> None:
    x = sd.state("x", start=(0.0, 1.0))
    r = sd.parameter("r", bounds=(2.5, 4.0))
    model = sd.Model({x: r * x * (1 - x)}, name="logistic", discrete=True)
    action = sd.Action(model, [x])
    truth, data = sd.twin(
        action, parameters={"r": 3.8}, dt=1.0, steps=60, variance=1e-4, seed=2, discard=20
    )
    run = sd.anneal(action, data, ladder=sd.Ladder(1.0, 4.0, 12), paths=3, **QUIET)
    assert run.dataset.attrs["scheme"] == "map"
    assert run.best.parameters["r"] == pytest.approx(3.8, abs=0.01)
    assert float(np.abs(run.best.states - truth.states).max()) < 0.05


def test_hermite_simpson_takes_data_on_its_midpoints() -> None:
    q, p = sd.states("q p", start=(-2.0, 2.0))
    model = sd.Model({q: p, p: -q}, name="oscillator")
    action = sd.Action(model, [q], scheme="hermite-simpson")
    t = 0.1 * np.arange(41)
    data = sd.Observations(t, np.cos(t), variance=1e-2)
    run = sd.anneal(
        action, data, midpoint_data=True, ladder=sd.Ladder(1.0, 10.0, 6), paths=2, **QUIET
    )
    assert run.dataset.sizes["step"] == 20
    assert run.dataset.sizes["time"] == 41
    assert run.dataset.attrs["data_count"] == 41
    np.testing.assert_allclose(run.dataset["time"], t)
    exact = np.stack([np.cos(t), -np.sin(t)], axis=1)
    np.testing.assert_allclose(run.best.states.values, exact, atol=1e-5)


def test_a_path_that_fails_is_recorded_and_does_not_touch_the_others() -> None:
    x, y = sd.states("x y", start=(-1.0, 1.0))
    model = sd.Model({x: sp.log(y), y: -y}, name="logarithm")
    action = sd.Action(model, [x], scheme="euler")
    data = sd.Observations([0.0, 0.1], [0.0, -0.1], variance=0.01)

    def start(problem, rng):
        # of one's own, so that it is taken as it is
        return rng.uniform(-1.0, 1.0, (problem.M, problem.D)), np.zeros(problem.P)

    settings = {"ladder": sd.Ladder(1.0, 4.0, 3), "start": start, **QUIET}
    run = sd.anneal(action, data, paths=12, **settings)
    reached = run.dataset["last_beta"].values == 2
    assert 0 < reached.sum() < 12
    for k in np.flatnonzero(~reached):
        assert str(run.dataset["message"].values[k])
        assert np.isnan(run.levels[k, -1])
        with pytest.raises(sd.OptionError, match=f"Path {k} reached no rung: "):
            run.path(k)
    assert run.best.path in np.flatnonzero(reached)
    np.testing.assert_allclose(run.levels.values[reached, -1], 0.0, atol=1e-6)
    # a good path by itself ends where it ended among bad ones
    alone = sd.anneal(action, data, paths=int(run.best.path) + 1, **settings)
    np.testing.assert_array_equal(alone.path(run.best.path).states, run.best.states)


def test_limits_end_a_run_early() -> None:
    stopped = cases.anneal(paths=50, stop_after=2)
    assert int((stopped.dataset["last_beta"] >= 0).sum()) < 50
    assert stopped.hit_rate()[0] > 0.0


def test_every_rung_can_be_kept() -> None:
    run = cases.anneal(paths=1, keep="all").dataset
    assert run["states_by_beta"].dims == ("path", "beta", "time", "state")
    np.testing.assert_array_equal(run["states_by_beta"][0, -1], run["states"][0])


def test_without_a_compiler_the_levels_are_the_same() -> None:
    program = (
        "import json, warnings\n"
        "import api_cases as cases\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    run = cases.run()\n"
        "print(json.dumps({'levels': run.levels.values.tolist(), 'kind': run.dataset.kernels,\n"
        "    'warnings': [[w.category.__name__, str(w.message)] for w in caught]}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "SYMDA_CC": "none", "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kind"] == "virtual machine"
    assert cases.run().dataset.attrs["kernels"] == "compiled"
    np.testing.assert_allclose(told["levels"], cases.run().levels.values, rtol=1e-6)
    (warning,) = (text for kind, text in told["warnings"] if kind == "VirtualMachineWarning")
    assert "switched off by SYMDA_CC=none" in warning
    assert "CasADi virtual machine" in warning


def mistakes() -> dict[str, tuple[Callable[[], object], str]]:
    model, x = cases.lorenz96()
    (_, data), anneal = cases.experiment(), cases.anneal
    problem = sd.Action(model, [x[0]]).bind(sd.Observations([0.0, 1.0], [0.0, 1.0], variance=1.0))
    return {
        "no action": (
            lambda: sd.anneal(model, data),
            "anneal: the first argument is a symda.Action, got EquationModel.",
        ),
        "problem of another action": (
            lambda: sd.anneal(cases.action(), problem),
            "This problem was made for another action",
        ),
        "fixed": (lambda: anneal(fixed={"mu": 1.0}), "'mu' is no parameter"),
        "solver": (lambda: anneal(solver="ipot"), "Did you mean 'ipopt'?"),
        "solver option": (lambda: anneal(options={"max_itr": 3}), "max_itr"),
        "start": (lambda: anneal(start="unifrom"), "Did you mean 'uniform'?"),
        "strategy": (lambda: anneal(strategy="rope"), "there is no strategy 'rope'"),
        "keep": (lambda: anneal(keep="some"), "keep must be one of last, all, got 'some'"),
        "executor": (lambda: anneal(executor="thread"), "Did you mean 'threads'?"),
        "paths": (lambda: anneal(paths=0), "paths must be a whole number of at least 1"),
        "seed": (lambda: anneal(seed=-1), "seed must be a whole number of at least 0"),
        "time limit": (lambda: anneal(time_limit=0.0), "time_limit must be a positive number"),
        "stop after": (lambda: anneal(stop_after=0), "stop_after must be a whole number"),
        "workers": (lambda: anneal(workers=0), "workers must be a whole number"),
        "midpoint data": (lambda: anneal(midpoint_data=True), "midpoint_data"),
        "steps": (lambda: anneal(steps=0), "steps"),
        "ladder": (lambda: anneal(ladder=5), "ladder must be a symda.Ladder"),
        "list of solvers": (lambda: anneal(solver=["ipopt"]), "solver must be 'ipopt' or "),
        "solver in capitals": (lambda: anneal(solver="IPOPT"), "Did you mean 'ipopt'?"),
        "options as text": (lambda: anneal(options="max_iter=3"), "options must be a mapping"),
        "newton's option": (
            lambda: anneal(solver="newton", options={"max_itr": 0}),
            "newton has no option 'max_itr'. Did you mean 'max_iter'?",
        ),
        "array of starts": (
            lambda: anneal(start=np.ones(3)),
            "start has the shape (3,); expected a path",
        ),
        "start function": (lambda: anneal(start=lambda problem: None), "the start '<lambda>'"),
        "time limit as text": (lambda: anneal(time_limit="5"), "time_limit must be a positive"),
        "list of fixed": (
            lambda: anneal(fixed=["nu"]),
            "fixed: expected a mapping of parameters to values, such as {'nu': 1.0}, got ['nu'].",
        ),
        "name of fixed": (
            lambda: anneal(fixed="nu"),
            "fixed: expected a mapping of parameters to values, such as {'nu': 1.0}, got 'nu'.",
        ),
        "index of fixed": (
            lambda: anneal(fixed={0: 1.0}),
            "fixed: expected parameters or their names for keys, as in {'nu': 1.0}, got 0.",
        ),
        "fixed at True": (
            lambda: anneal(fixed={"nu": True}),
            "fixed['nu'] must be a finite number, got True; None is to estimate the parameter.",
        ),
    }


def test_what_can_be_checked_is_checked_before_anything_is_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def compile_(action: sd.Action) -> None:
        raise AssertionError("compiled first")

    monkeypatch.setattr(sd.Action, "compile", compile_)
    for wrong in ({"paths": 0}, {"solver": "ipot"}, {"executor": "thread"}, {"ladder": 5}):
        with pytest.raises(sd.OptionError):
            cases.anneal(**wrong)


@pytest.mark.parametrize("name", mistakes())
def test_a_mistake_is_named(name: str) -> None:
    do, message = mistakes()[name]
    with pytest.raises(sd.InputError) as error:
        do()
    assert message in str(error.value)


def test_options_of_a_window_that_cannot_grow_are_named() -> None:
    with pytest.warns(ProblemWarning) as said:
        cases.anneal(
            paths=1, ladder=sd.Ladder(1.0, rungs=1), strategy=sd.Window(samples=99, extend=3)
        )
    texts = [str(one.message) for one in said if "window" in str(one.message)]
    assert texts == [
        "the first window holds all 41 observation times, so that it does not grow: samples, "
        "extend of Window have no effect. Leave strategy out, or take a smaller samples=."
    ]
