"""Windows that grow and populations of them: same minima, any problem, any solver, any executor."""

from __future__ import annotations

import math
import re
import signal
import sys
import threading

import numpy as np
import pytest
import sympy as sp
from api_cases import anneal
from models import ODE_SCHEMES

import symda as sd
from symda.anneal.strategies import STRATEGIES, Strategy
from symda.errors import OptionError

STRATEGY = {
    "window": sd.Window(samples=4, extend=3),
    "population": sd.Population(samples=4, extend=3),
}
GROWING = pytest.mark.parametrize("strategy", STRATEGY.values(), ids=STRATEGY.keys())
LADDER = sd.Ladder(rf0=0.1, alpha=4.0, rungs=7)


def linear(scheme="rk4", D=2, measured=(0,), gaps=False, forced=False, steps=12, **options):
    """Anneal a linear model, whose action has one minimum: every strategy must end in it."""
    x = sd.states("x", D, start=(-2.0, 2.0))
    current, t, p = sd.forcing("I"), sd.time("t"), sd.parameter("p", start=(-1.0, 1.0))
    drive = p + current if forced else p
    if scheme == "map":
        field = {x[a]: sp.Rational(9, 10) * x[a - 1] + drive for a in range(D)}
    else:
        field = {x[a]: -x[a] / 2 + (x[a - 1] if D > 1 else 0) + drive for a in range(D)}
    model = sd.Model(field, name="linear", discrete=scheme == "map")
    action = sd.Action(model, [x[a] for a in measured], scheme=scheme)
    times = np.arange(steps + 1.0) * (1.0 if scheme == "map" else 0.1)
    values = np.random.default_rng(3).normal(size=(steps + 1, len(measured)))
    if gaps:
        values[[0, 3, 4, 5, steps]] = np.nan
    forcing = {"I": sp.cos(t)} if forced else None
    data = sd.Observations(times, values, variance=0.5, forcing=forcing)
    chosen = {"ladder": LADDER, "paths": 5, "solver": "newton", "progress": False}
    return sd.anneal(action, data, **(chosen | options))


def assert_at_the_minimum(run, expected, rel=1e-7):
    """All paths end at the one minimum, whose rungs are those of the ladder where visited."""
    levels = run.levels.values
    assert np.isfinite(levels[:, -1]).all()
    seen = np.isfinite(levels)
    exact = np.broadcast_to(expected.levels.values[0], levels.shape)
    np.testing.assert_allclose(levels[seen], exact[seen], rtol=rel)
    assert (run.dataset["last_beta"] == levels.shape[1] - 1).all()
    # what was not visited at full length is empty, from the first rung on without holes
    assert not seen[:, 0].any()
    assert (np.diff(seen.astype(int), axis=1) >= 0).all()
    assert np.array_equal(run.dataset["status"].values > 0, seen)
    if run.dataset.sizes["parameter"]:
        assert np.array_equal(np.isfinite(run.dataset["parameters"].values).all(axis=2), seen)
    assert np.array_equal(run.dataset["iterations"].values > 0, seen)
    assert np.isfinite(run.dataset["momenta"]).all() and np.isfinite(run.dataset["fit"]).all()


#: One of each kind; compiling the others takes its time.
KINDS = ("map", "rk4", "hermite-simpson", "gauss4", "radau3")
SCHEMES = [
    name if name in KINDS else pytest.param(name, marks=pytest.mark.smoke)
    for name in ("map", *(scheme.name for scheme in ODE_SCHEMES))
]


@GROWING
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme(strategy, scheme):
    expected = linear(scheme, paths=1)
    assert_at_the_minimum(linear(scheme, strategy=strategy), expected)


PROBLEMS = {
    "gaps": {"gaps": True},
    "forcing": {"forced": True},
    "forcing of a map": {"forced": True, "scheme": "map"},
    "D = 1": {"D": 1},
    "L = D": {"D": 3, "measured": (0, 1, 2)},
    "steps between": {"steps": 12, "max_step": 0.04},
}


@GROWING
@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_every_problem(strategy, problem):
    assert_at_the_minimum(linear(strategy=strategy, **problem), linear(paths=1, **problem))


@GROWING
@pytest.mark.parametrize(
    ("solver", "tolerance"), [("ipopt", 1e-6), ("lbfgs", 1e-5)], ids=["ipopt", "lbfgs"]
)
@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_every_solver(strategy, solver, tolerance, executor):
    if isinstance(strategy, sd.Population) and executor == "processes":
        return  # one attempt's candidates, see below
    workers = None if executor == "serial" else 2
    run = linear(strategy=strategy, solver=solver, paths=3, executor=executor, workers=workers)
    assert_at_the_minimum(run, linear(paths=1), tolerance)


def test_one_attempt_of_a_solver_that_takes_one_path_uses_processes():
    run = linear(strategy=STRATEGY["population"], solver="ipopt", paths=6, workers=2)
    assert_at_the_minimum(run, linear(paths=1), 1e-6)
    alone = linear(strategy=STRATEGY["population"], solver="ipopt", paths=6, executor="serial")
    assert np.array_equal(run.dataset["states"], alone.dataset["states"])


@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize("name", ["window", "population"])
def test_every_executor_gives_the_same_numbers(name, executor):
    chosen = {"strategy": name, "solver": "newton", "paths": 12, "start": "nudged"}
    if name == "population":
        chosen |= {"attempts": 3}
    alone = anneal(**chosen, executor="serial")
    other = anneal(**chosen, executor=executor, workers=2)
    threaded = anneal(**chosen, executor="threads", workers=8)  # more than one for an attempt
    for run in (other, threaded):
        assert (
            run.dataset.assign_attrs(provenance="")
            .drop_vars("seconds")
            .identical(alone.dataset.assign_attrs(provenance="").drop_vars("seconds"))
        )
    assert alone.dataset.attrs["strategy"] == name


def test_a_window_path_does_not_depend_on_the_others():
    few = anneal(strategy="window", solver="newton", paths=3)
    many = anneal(strategy="window", solver="newton", paths=7)
    assert np.array_equal(few.dataset["states"], many.dataset["states"][:3])


def test_an_attempt_does_not_depend_on_how_many_there_are():
    chosen = {"strategy": "population", "solver": "newton", "paths": 10}
    one = anneal(**chosen).dataset
    three = anneal(**chosen, attempts=3).dataset
    own = three["attempt"].values == 0
    assert np.array_equal(three["states"].values[own], one["states"])
    assert sorted(set(three["attempt"].values)) == [0, 1, 2]
    other = anneal(**chosen, seed=4).dataset
    assert not np.array_equal(other["states"][0], one["states"][0])


@pytest.mark.parametrize("name", ["window", "population"])
def test_with_few_samples_they_are_the_ladder(name):
    few = linear(steps=2, strategy=name, keep="all", paths=4)
    ladder = linear(steps=2, keep="all", paths=4)
    order = np.argsort(ladder.levels.values[:, -1], kind="stable") if name == "population" else ...
    for variable in ("action", "states", "states_by_beta", "iterations", "status"):
        got, expected = few.dataset[variable].values, ladder.dataset[variable].values[order]
        assert np.array_equal(got, expected, equal_nan=True), variable
    assert np.isfinite(few.levels).all()


def test_one_step_one_rung_one_path():
    ladder = sd.Ladder(rf0=2.0, rungs=1)
    expected = linear(steps=1, ladder=ladder, paths=1).levels.item()
    for name, paths in (("ladder", 1), ("window", 1), ("population", 2)):
        run = linear(steps=1, ladder=ladder, paths=paths, strategy=name)
        np.testing.assert_allclose(run.levels, expected, rtol=1e-9)
    grown = linear(steps=9, ladder=ladder, paths=1, strategy=sd.Window(samples=2, extend=1))
    assert grown.levels.item() == pytest.approx(
        linear(steps=9, ladder=ladder, paths=1).levels.item(), rel=1e-9
    )


def test_the_window_finds_what_its_options_say():
    action, data = linear_problem()
    problem = action.bind(data)
    rf = LADDER.values(problem.states)
    # 13 samples, 0.1 apart, of which the first is at the first node
    plan = sd.Window(samples=4, extend=3).plan(problem, rf)
    assert plan.steps == (3, 6, 9, 12)
    assert sd.Window(samples=4, extend=5).plan(problem, rf).steps == (3, 8, 12)
    assert sd.Window(samples=13).plan(problem, rf).steps == (12,)
    assert sd.Window(samples=1, extend=1).plan(problem, rf).steps == tuple(range(1, 13))
    # Rf = 0.1 x 4^beta
    for wanted, rung in ((0.01, 0), (0.1, 0), (1.5, 2), (1e9, 6)):
        assert sd.Window(samples=4, rf=wanted).plan(problem, rf).rung == rung
    # 3 Rm times the steps of the first window: 3 x 2 x 3 = 18, next to 25.6
    assert plan.rung == 4


def test_defaults_follow_from_the_problem():
    action, data = linear_problem(steps=200)
    problem = action.bind(data)
    plan = sd.Window().plan(problem, LADDER.values(problem.states))
    # five data for each of D = 2 numbers are 10 samples; a tenth of 201 is more, 21
    assert plan.steps[:2] == (20, 24)
    assert plan.steps[-1] == 200
    # half as long steps: as many samples, and Rf twice as large
    fine = action.bind(data, steps=2)
    rf = sd.Ladder(rf0=1.0, alpha=2.0, rungs=20).values(problem.states)
    again = sd.Window().plan(fine, rf)
    assert again.steps[:2] == (40, 48)
    assert again.rung == sd.Window().plan(problem, rf).rung + 1


def linear_problem(steps=12):
    x = sd.states("x", 2, start=(-2.0, 2.0))
    model = sd.Model({x[0]: x[1], x[1]: -x[0]}, name="linear")
    action = sd.Action(model, [x[0]], scheme="rk4")
    times = 0.1 * np.arange(steps + 1)
    return action, sd.Observations(times, np.sin(times), variance=0.5)


def four_of_lorenz96() -> tuple[sd.Action, sd.Trajectory, sd.Observations]:
    """D = 11, four states measured: VA-1's problem."""
    x = sd.states("x", 11, start=(-10.0, 10.0))
    nu = sd.parameter("nu", bounds=(0.0, 20.0), start=(5.0, 15.0))
    ring = {x[a]: x[a - 1] * (x[(a + 1) % 11] - x[a - 2]) - x[a] + nu for a in range(11)}
    action = sd.Action(sd.Model(ring, name="lorenz96"), [x[0], x[3], x[6], x[9]], scheme="rk4")
    truth, data = sd.twin(
        action, parameters={"nu": 10.0}, dt=0.025, steps=165, variance=0.2, seed=103, discard=20.0
    )
    return action, truth, data


@pytest.mark.smoke
def test_a_population_finds_what_uniform_starts_miss():
    """With one Rf for all states, as in the papers, few starts hit."""
    action, truth, data = four_of_lorenz96()
    chosen = {"solver": "newton", "progress": False, "ladder": sd.Ladder(0.01)}
    ladder = sd.anneal(action, data, paths=20, **chosen)
    rf = ladder.dataset["rf"].values[-1]
    level = action.compile().action(truth.states.values, {"nu": 10.0}, rf, data)
    assert ladder.hit_rate(level=level)[0] < 0.2
    run = sd.anneal(action, data, paths=20, attempts=2, strategy="population", **chosen)
    assert run.hit_rate(level=level)[0] == 1.0
    assert run.best.parameters["nu"] == pytest.approx(10.0, abs=0.2)
    assert "2 of 2 attempts" in run.summary()
    nudged = sd.anneal(action, data, paths=40, start="nudged", **chosen)
    window = sd.anneal(action, data, paths=24, strategy="window", **chosen)
    assert nudged.hit_rate(level=level)[0] >= 0.05
    assert window.hit_rate(level=level)[0] >= 0.1


@pytest.mark.smoke
def test_the_relative_ladder_finds_from_uniform_starts_what_one_rf_for_all_misses():
    action, truth, data = four_of_lorenz96()
    run = sd.anneal(action, data, paths=20, solver="newton", progress=False)
    rf = run.dataset["rf"].values[-1]
    level = action.compile().action(truth.states.values, {"nu": 10.0}, rf, data)
    assert run.hit_rate(level=level)[0] >= 0.8
    assert run.best.parameters["nu"] == pytest.approx(10.0, abs=0.2)


def test_the_effort_of_shorter_windows_is_counted_once():
    run = linear(strategy=STRATEGY["population"], paths=6)
    first = int(np.flatnonzero(np.isfinite(run.levels.values[0]))[0])
    iterations = run.dataset["iterations"].values
    assert iterations[0, first] > 6 * first
    assert (iterations[1:, first] < iterations[0, first] / 4).all()
    # the solver's time is that of all windows: the climb on one worker takes longer than it
    assert run.dataset["seconds"].sum() > 0


@GROWING
def test_a_time_limit_ends_a_growing_window(strategy):
    run = anneal(strategy=strategy, solver="newton", time_limit=1e-6, paths=4)
    assert (run.dataset["last_beta"] == -1).all()
    assert run.dataset["message"].values[0]
    assert run.hit_rate()[0] != run.hit_rate()[0]


def failing(strategy, solver):
    """x' = log x, from starts of which some are negative."""
    x = sd.states("x", 1, start=(-1.0, 1.0))
    action = sd.Action(sd.Model({x[0]: sp.log(x[0])}, name="log"), [x[0]], scheme="euler")
    data = sd.Observations(0.1 * np.arange(9.0), -np.cos(np.arange(9)), variance=1.0)

    def sometimes(problem, rng):
        good = rng.random() < 0.5
        return np.full((problem.M, 1), 1.0 if good else -1.0), np.empty(0)

    return sd.anneal(
        action, data, start=sometimes, strategy=strategy, solver=solver, paths=8, progress=False,
        ladder=sd.Ladder(rf0=1e-6, rungs=2), executor="serial",
    )  # fmt: skip


def test_a_path_that_fails_in_a_window_fails_alone():
    run = failing(sd.Window(samples=3, extend=2), "newton")
    last = run.dataset["last_beta"].values
    assert (last == -1).any()
    assert (run.dataset["status"].values[last == -1] == 4).any(axis=1).all()
    messages = [str(text) for text in run.dataset["message"].values]
    assert all(re.search(r"rung \d: .* not finite", messages[k]) for k in np.flatnonzero(last < 0))
    assert any(re.match(r"window of \d steps: rung \d: ", text) for text in messages)


def test_ctrl_c_ends_an_attempt():
    timer = threading.Timer(0.5, lambda: signal.raise_signal(signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)
    timer.start()
    try:
        run = anneal(
            strategy="population", solver="newton", paths=4, attempts=100_000, executor="threads",
            workers=2,
        )  # fmt: skip
    finally:
        timer.cancel()
    assert run.interrupted
    assert signal.getsignal(signal.SIGINT) is before
    done = run.dataset["last_beta"].values >= 0
    assert done[0] and not done[-1]


def test_stop_after_counts_attempts():
    run = anneal(
        strategy="population", solver="newton", paths=6, attempts=50, stop_after=2,
        executor="serial",
    )  # fmt: skip
    found, _ = run.time_to_lowest().hits, run.time_to_lowest().attempts
    assert found == 2
    assert run.dataset["message"].values[-1] == "not run: the lowest level was reached 2 times"


def test_the_reporter_hears_of_attempts(monkeypatch):
    told = []

    class Told:
        def start(self, total):
            told.append(total)

        def path_done(self, path, level, status):
            told.append((path, math.isfinite(level), status))

        def stop(self):
            told.append("stop")

    facade = sys.modules["symda.api.anneal"]  # the name is also that of the function
    monkeypatch.setattr(facade, "_reporter", lambda progress: Told())
    anneal(strategy="population", solver="newton", paths=5, attempts=3)
    assert told == [3, *((k, True, "converged") for k in range(3)), "stop"]


REFUSED = {
    "samples": (
        lambda: sd.Window(samples=0),
        "Window: samples must be a whole number of at least 1, got 0.",
    ),
    "extend": (
        lambda: sd.Population(extend=2.5),
        "Population: extend must be a whole number of at least 1, got 2.5.",
    ),
    "rf": (lambda: sd.Window(rf=-1.0), "Window: rf must be a positive number, got -1.0."),
    "spread": (
        lambda: sd.Population(spread=float("nan")),
        "Population: spread must be a positive number, got nan.",
    ),
    "copies": (
        lambda: sd.Population(copies=None),
        "Population: copies must be a whole number of at least 1, got None.",
    ),
    "a class": (
        lambda: anneal(strategy=sd.Window),
        "anneal: strategy is the class Window; make one of it, such as Window().",
    ),
    "attempts": (
        lambda: anneal(strategy="window", attempts=3, paths=10),
        "anneal: with strategy='window' each path is an attempt; leave attempts out and take "
        "paths=30.",
    ),
    "no attempts": (
        lambda: anneal(strategy="population", attempts=0),
        "anneal: attempts must be a whole number of at least 1, got 0.",
    ),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(call, message):
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        call()


def test_the_registry_holds_strategies():
    for name, one in STRATEGIES.items():
        assert isinstance(one, Strategy | sd.Auto) and one.name == name


@pytest.mark.parametrize("name", ["window", "population"])
def test_without_a_compiler(name, monkeypatch):
    expected = linear(paths=1)
    monkeypatch.setenv("SYMDA_CC", "none")
    with pytest.warns(UserWarning, match="virtual machine"):
        run = linear(strategy=STRATEGY[name], start="nudged", paths=3, executor="serial")
    assert run.dataset.attrs["kernels"] == "virtual machine"
    assert_at_the_minimum(run, expected)


def test_parameters_per_step_grow_with_the_window():
    x = sd.state("x", start=(-2.0, 2.0))
    w = sd.parameter("w", per="step", start=(-1.0, 1.0), process_variance=0.1)
    action = sd.Action(sd.Model({x: -x / 2 + w}, name="driven"), [x], scheme="rk4")
    times = 0.1 * np.arange(31.0)
    data = sd.Observations(times, np.sin(2 * times), variance=0.01)
    chosen = {"solver": "newton", "ladder": LADDER, "paths": 4, "progress": False}
    expected = sd.anneal(action, data, **chosen)
    for strategy in (sd.Window(samples=5, extend=4), sd.Population(samples=5, extend=4)):
        assert_at_the_minimum(sd.anneal(action, data, strategy=strategy, **chosen), expected)
