"""What no solver can correct: named where the user sees it, the numbers finite, the rest kept.

Every case runs through every solver, since each meets bad input in its own way.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp

import symda as sd
from symda.anneal import Settings
from symda.api import ProblemWarning
from symda.build import Options
from symda.observe import Grid

SOLVERS = ("ipopt", "newton", "lbfgs")
LADDER = sd.Ladder(rf0=0.01, alpha=8.0, rungs=5)
T = np.linspace(0.0, 2.0, 21)
WAVE = np.cos(3 * T)

each_solver = pytest.mark.parametrize("solver", SOLVERS)


pytestmark = pytest.mark.usefixtures("uncompiled")


def told(
    action: sd.Action, data: sd.Observations, solver: str, **given: object
) -> tuple[sd.Run, list[str]]:
    """Anneal two paths; the run and the problem warnings."""
    settings = {"ladder": LADDER, "paths": 2, "progress": False, "executor": "serial"} | given
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = sd.anneal(action, data, solver=solver, **settings)
    return run, [str(w.message) for w in caught if w.category is ProblemWarning]


@pytest.fixture(scope="module")
def driven() -> sd.Action:
    """An oscillator with a drive of gain g, a case that applies far out only, and a spare sum."""
    q, p = sd.states("q p", start=(-2.0, 2.0), bounds=(-1e3, 1e3))
    k = sd.parameter("k", start=(4.0, 12.0), bounds=(0.0, 20.0))
    g, far, spare = sd.parameters("g far spare", start=(1.0, 2.0), bounds=(0.0, 5.0))
    u = sd.forcing("u")
    beyond = sp.Piecewise((far * q, q > 100), (0, True))
    cancels = (spare + k) * q - spare * q
    model = sd.Model({q: p, p: g * u + beyond - cancels}, name="driven")
    return sd.Action(model, [q], scheme="euler")


#: Of the chain below, whose last state tells nobody.
UNSEEN = (
    "no measurement can see the state x: nothing measured depends on that, directly or through "
    "other equations. Measure something that does, or leave it out of the model."
)


@pytest.fixture(scope="module")
def chain() -> sd.Action:
    """A measured oscillator, and a state that listens to it but tells nobody."""
    q, p, x = sd.states("q p x", start=(-2.0, 2.0))
    k, a = sd.parameters("k a", start=(4.0, 12.0), bounds=(0.0, 20.0))
    return sd.Action(sd.Model({q: p, p: -k * q, x: q - a * x}, name="chain"), [q], scheme="euler")


@pytest.fixture(scope="module")
def logarithm() -> sd.Action:
    q, p = sd.states("q p", start=(0.5, 2.0))
    model = sd.Model({q: p, p: -sp.log(q)}, name="logarithm")
    return sd.Action(model, [q], scheme="euler")


@each_solver
def test_parameters_without_effect_are_named_and_stay_where_they_start(
    driven: sd.Action, solver: str
) -> None:
    data = sd.Observations(T, WAVE, variance=0.01, forcing={"u": 0.0})
    run, words = told(driven, data, solver)
    assert words == [
        "nothing depends on the parameters g, spare, far: the action's derivative is zero at "
        "random starts, as behind a forcing that is zero or in a case that never applies. What it "
        "starts at is what it ends at. Fix it with fixed={...}, or leave it out of the model."
    ]
    assert (run.dataset["status"] == 1).all()
    by_name = run.dataset["parameters"].transpose("parameter", "path", "beta")
    problem = driven.bind(data)
    starts = [start_of(problem, path)[1] for path in (0, 1)]
    for name in ("g", "far", "spare"):
        start = [theta[problem.parameters.index(name)] for theta in starts]
        np.testing.assert_allclose(by_name.sel(parameter=name).values.T, [start] * 5, rtol=1e-12)
    # cos 3t is the solution for k = 9; with a step of 0.1 Euler sees about that
    assert run.best.parameters["k"] == pytest.approx(9.0, rel=0.2)


def start_of(problem: object, path: int) -> tuple[np.ndarray, np.ndarray]:
    from symda.anneal.starts import Draw, Uniform

    return Uniform().point(Draw(problem, number=path))


@each_solver
def test_parameters_with_an_effect_are_not_named(driven: sd.Action, solver: str) -> None:
    data = sd.Observations(T, WAVE, variance=0.01, forcing={"u": np.sin(T)})
    _, words = told(driven, data, solver, fixed={"far": 1.0, "spare": 1.0})
    assert words == []


def test_ipopt_lets_a_parameter_go_when_the_path_comes_to_where_it_matters() -> None:
    x, y = sd.states("x y", start=(-2.0, 2.0))
    a = sd.parameter("a", start=(3.0, 3.5), bounds=(0.0, 20.0))
    slope = sp.Piecewise((a, y > 0), (0, True))
    action = sd.Action(sd.Model({x: slope, y: 0}, name="step"), [x, y], scheme="euler")
    data = sd.Observations(T, np.stack([T, np.ones_like(T)], axis=1), variance=1e-4)

    def start(problem: object, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return np.full((T.size, 2), -1.0), np.array([3.0])

    run, _ = told(action, data, "ipopt", start=start, ladder=sd.Ladder(1.0, 2.0, 1), paths=1)
    assert run.best.parameters["a"] == pytest.approx(1.0, rel=1e-3)


@each_solver
def test_a_parameter_that_nothing_constrains_is_named(chain: sd.Action, solver: str) -> None:
    data = sd.Observations(T, WAVE, variance=0.01)
    run, (unseen, words) = told(chain, data, solver)
    assert unseen == UNSEEN
    assert words.startswith("nothing constrains the parameter a: no measured quantity and no ")
    assert np.isfinite(run.dataset["parameters"]).all()
    assert (run.dataset["status"] == 1).all()
    assert told(chain, data, solver, fixed={"a": 1.0})[1] == [UNSEEN]


@each_solver
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_data_of_zero_variance_are_named_and_annealed(
    chain: sd.Action, solver: str, value: float
) -> None:
    data = sd.Observations(T, np.full(T.size, value), variance=0.01)
    run, words = told(chain, data, solver, fixed={"a": 1.0})
    assert words[-1] == (
        f"channel q: all 21 measured values are {value:g}, data of zero variance, which any model "
        "at rest explains. Check that the right column was read; leave the channel out if the "
        "instrument was stuck."
    )
    # where q is zero at every start, k q is as well, but p moves it
    assert len(words) == 2 and words[0] == UNSEEN
    assert np.isfinite(run.dataset["action"]).all()
    assert (run.dataset["last_beta"] == 4).all()
    assert words[-1] in chain.check(data).warnings


@each_solver
def test_one_state_at_rest_at_zero_determines_no_rate(solver: str) -> None:
    x = sd.state("x")
    k = sd.parameter("k", start=(0.5, 2.0), bounds=(0.0, 20.0))
    action = sd.Action(sd.Model({x: -k * x}, name="rest"), [x], scheme="euler")
    run, words = told(action, sd.Observations(T, np.zeros(T.size), variance=0.01), solver)
    assert len(words) == 2 and "nothing depends on the parameter k" in words[0]
    problem = action.bind(sd.Observations(T, np.zeros(T.size), variance=0.01))
    starts = [start_of(problem, path)[1][0] for path in (0, 1)]
    assert run.dataset["parameters"].values[:, -1, 0] == pytest.approx(starts, rel=1e-12)
    assert (run.levels == 0.0).all()


@pytest.mark.parametrize(
    ("variance", "fix"),
    [
        (0.0, "For exact data use a small one."),
        (1e-310, "The inverse of this one is beyond doubles: use a larger one."),
    ],
)
def test_a_variance_without_an_inverse_is_refused(variance: float, fix: str) -> None:
    with pytest.raises(sd.DataError, match=rf"entry \[0, 0\] is {variance}, expected .* {fix}"):
        sd.Observations(T, WAVE, variance=variance)


@each_solver
def test_a_ladder_beyond_the_digits_of_doubles_keeps_the_rungs_below(
    chain: sd.Action, solver: str
) -> None:
    ladder = sd.Ladder(rf0=0.01, alpha=1e45, rungs=7)
    data = sd.Observations(T, WAVE, variance=0.01)
    run, words = told(chain, data, solver, ladder=ladder, fixed={"a": 1.0})
    assert words == [
        UNSEEN,
        "from beta = 1 on, Rf = 1e+43 is more than 1e+16 times the data's Rm, and doubles have 16 "
        "digits: rungs there fail, or stop before they converge. Take rungs=1.",
    ]
    d = run.dataset
    assert (d["last_beta"] >= 0).all() and (d["status"][:, 0] == 1).all()
    assert np.isfinite(d["action"][:, 0]).all()
    assert np.isfinite(d["states"]).all()
    for path in (0, 1):
        last = int(d["last_beta"][path])
        assert np.isfinite(d["parameters"][path, : last + 1]).all()
        if last < 6:
            assert int(d["status"][path, last + 1]) == 4
            message = str(d["message"][path].values)
            assert f"rung {last + 1}: Rf = " in message
            assert "doubles" in message and "end the ladder before this rung" in message
    assert run.table(beta=0)["paths"].sum() == 2
    assert "lowest level" in run.summary()


@each_solver
def test_a_ladder_that_begins_beyond_doubles_fails_with_a_reason(
    chain: sd.Action, solver: str
) -> None:
    ladder = sd.Ladder(rf0=1e308, alpha=1.1, rungs=2)
    data = sd.Observations(T, 1e3 * WAVE, variance=0.01)
    run, words = told(chain, data, solver, ladder=ladder, fixed={"a": 1.0})
    assert words[-1].endswith("Take a smaller rf0.")
    assert (run.dataset["last_beta"] == -1).all()
    message = str(run.dataset["message"][0].values)
    assert message.startswith(
        "rung 0: Rf = 1e+308 is too large for doubles, times the squared residual: end the ladder "
        "before this rung ("
    )
    assert message in run.summary()
    with pytest.raises(sd.SolveError, match="Rf = 1e"):
        run.table()


def test_a_rate_that_overflows_when_divided_by_the_step(chain: sd.Action) -> None:
    action = sd.Action(chain.model, [chain.model.states[0]], scheme="euler", model_error="rate")
    data = sd.Observations(T, WAVE, variance=0.01)
    ladder = sd.Ladder(rf0=1e308, alpha=1.1, rungs=2)
    run, words = told(action, data, "lbfgs", ladder=ladder, fixed={"a": 1.0})
    assert "Take a smaller rf0." in words[1]
    assert str(run.dataset["message"][0].values).startswith(
        "rung 0: Rf = 1e+308 is too large for doubles, divided by a step of 0.1: end the ladder"
    )


@pytest.mark.parametrize(("rf0", "alpha", "fits"), [(1e300, 10.0, 8), (1.0, 1e200, 1)])
def test_a_ladder_past_the_largest_double_is_refused(rf0: float, alpha: float, fits: int) -> None:
    with pytest.raises(sd.OptionError, match=f"the largest beta that fits is {fits}, .*rungs="):
        sd.Ladder(rf0, alpha, 20)


@pytest.mark.compiled
@each_solver
def test_an_equation_without_a_value_is_found_by_state_and_step(
    logarithm: sd.Action, solver: str
) -> None:
    values = 1.0 + 0.1 * WAVE
    values[5] = -1.0
    start = np.stack([values, np.ones_like(values)], axis=1)
    run, _ = told(logarithm, sd.Observations(T, values, variance=0.01), solver, start=start)
    assert (run.dataset["status"][:, 0] == 4).all()
    assert str(run.dataset["message"][0].values).startswith(
        "rung 0: step 5 of p is not finite where the rung starts: narrow bounds= and start= to "
        "where the equations can be evaluated ("
    )


@each_solver
def test_data_too_large_to_square_fail_with_a_reason(chain: sd.Action, solver: str) -> None:
    data = sd.Observations(T, 1e200 * WAVE, variance=1.0)
    run, _ = told(chain, data, solver, fixed={"a": 1.0})
    assert str(run.dataset["message"][0].values).startswith("rung 0: model errors of ")


@each_solver
def test_a_measured_quantity_without_a_value_is_named(chain: sd.Action, solver: str) -> None:
    q = chain.model.states[0]
    action = sd.Action(chain.model, {"level": sp.log(q)}, scheme="euler")
    data, start = sd.Observations(T, WAVE, variance=0.01), np.full((T.size, 3), -1.0)
    run, _ = told(action, data, solver, fixed={"a": 1.0}, start=start)
    assert str(run.dataset["message"][0].values).startswith(
        "rung 0: the measured quantity level is not finite where the rung starts: narrow bounds="
    )


@each_solver
def test_data_outside_the_bounds_are_named(solver: str) -> None:
    q, p = sd.states("q p", bounds=(5.0, 8.0))
    model = sd.Model({q: p, p: -9 * q}, name="outside")
    action = sd.Action(model, [q], scheme="euler")
    run, words = told(action, sd.Observations(T, WAVE, variance=0.01), solver)
    assert words == [
        f"channel q: data from {WAVE.min():.6g} to 1 lie outside the bounds (5, 8) of the state q "
        "by more than 3 standard deviations of the noise. Check the units, or widen bounds=."
    ]
    states = run.dataset["states"]
    assert float(states.min()) >= 5.0 and float(states.max()) <= 8.0


@pytest.mark.parametrize(
    ("state", "parameter", "words"),
    [
        (3.0, 4.0, "puts the state q at 3 at time 0, outside its bounds -1.5 .. 1.5."),
        (-1.6, 4.0, "puts the state q at -1.6 at time 0, outside its bounds -1.5 .. 1.5."),
        (0.0, 50.0, "puts the parameter k at 50, outside its bounds 0 .. 20."),
    ],
)
def test_a_start_function_outside_the_bounds_is_refused(
    state: float, parameter: float, words: str
) -> None:
    q, p = sd.states("q p", bounds=(-1.5, 1.5))
    k = sd.parameter("k", bounds=(0.0, 20.0))
    action = sd.Action(sd.Model({q: p, p: -k * q}, name="boxed"), [q], scheme="euler")
    data = sd.Observations(T, WAVE, variance=0.01)

    def start(problem: object, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return np.full((T.size, 2), state), np.array([parameter])

    with pytest.raises(sd.OptionError, match=f"the start '.*' {words} Clip what it returns"):
        told(action, data, "lbfgs", start=start)
    if state == 0.0:  # a parameter held fixed starts where it is held
        run, _ = told(action, data, "lbfgs", start=start, fixed={"k": 9.0})
        assert run.best.parameters["k"] == 9.0


def test_a_start_on_the_bounds_but_for_rounding_is_taken() -> None:
    q, p = sd.states("q p", bounds=(-1.5, 1.5))
    action = sd.Action(sd.Model({q: p, p: -9 * q}, name="boxed_fixed"), [q], scheme="euler")

    def start(problem: object, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return np.full((T.size, 2), np.nextafter(1.5, 2.0)), np.zeros(0)

    run, _ = told(action, sd.Observations(T, WAVE, variance=0.01), "lbfgs", start=start)
    assert (run.dataset["last_beta"] == 4).all()


def test_bounds_that_exclude_the_start_are_refused_where_they_are_declared() -> None:
    for start in ((2.0, 3.0), (-2.0, 0.5)):
        with pytest.raises(sd.ModelError, match=r"State 'q': start = .* leaves bounds = "):
            sd.states("q p", bounds=(-1.0, 1.0), start=start)
        with pytest.raises(sd.ModelError, match=r"Parameter 'k': start = .* leaves bounds = "):
            sd.parameter("k", bounds=(-1.0, 1.0), start=start)
    q, p = sd.states("q p", bounds=(5.0, 8.0))
    x = sd.state("x", bounds=(5.0, np.inf))
    action = sd.Action(sd.Model({q: p, p: -q, x: q - x}, name="units"), [q], scheme="euler")
    with pytest.raises(sd.DataError, match="state 'x': the data lie outside its bounds"):
        action.bind(sd.Observations(T, WAVE, variance=0.01))


HUGE = 10**400  # a whole number that no double holds


@pytest.mark.parametrize(
    "call",
    [
        lambda: sd.state("y", bounds=(0, HUGE)),
        lambda: sd.parameter("y", start=(0, HUGE)),
        lambda: sd.parameter("y", value=HUGE),
        lambda: sd.Observations([0, 1], [1, HUGE], variance=1),
        lambda: sd.Observations([0, HUGE], [1, 2], variance=1),
        lambda: sd.Observations([0, 1], [1, 2], variance=HUGE),
        lambda: sd.Observations([0, 1], [1, 2], variance=1, forcing={"u": HUGE}),
        lambda: sd.Samples([0, 1], [1, HUGE]),
        lambda: sd.Ladder(rf0=HUGE),
        lambda: sd.Ladder(alpha=HUGE),
        lambda: Grid.make([0.0, 1.0], max_step=HUGE),
        lambda: Grid.make([0.0, 1.0], stop=HUGE),
        lambda: Settings(time_limit=HUGE),
        lambda: Options(flags=(1,)),
        lambda: Options(flags=("-D\0",)),
    ],
)
def test_what_no_double_or_flag_holds_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(sd.SymdaError) as caught:
        call()
    assert isinstance(caught.value, ValueError)
