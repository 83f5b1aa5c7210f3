"""Starts from a run, from arrays, with parameters by name; what does not fit is told."""

from __future__ import annotations

import re
from reprlib import repr as short

import numpy as np
import pytest
from api_cases import LADDER, action, anneal, experiment, run

import symda as sd
from symda.anneal.starts import Draw, Uniform
from symda.api.starts import as_start
from symda.errors import OptionError


def points(start, count=3, **options):
    """Return the first starts, (J, M, D) and (J, P)."""
    problem = action().bind(experiment()[1], **options)
    chosen = as_start(start, problem)
    drawn = [chosen.point(Draw(problem, number=k)) for k in range(count)]
    return tuple(np.stack(part) for part in zip(*drawn, strict=True))


def truth():
    return experiment()[0].states.values


def test_a_path_and_parameters_are_where_a_run_starts():
    # at the minimum already: there is nothing left to do
    best = run().best
    found = anneal(
        ladder=sd.Ladder(rf0=LADDER.rf0 * LADDER.alpha**9, alpha=2.0, rungs=1),
        paths=2,
        solver="newton",
        start=(best.states, best.parameters),
    )
    assert (found.dataset["iterations"] <= 3).all()
    assert found.levels.values.ravel().tolist() == pytest.approx([best.action] * 2, rel=1e-8)
    assert found.dataset.attrs["start"] == "array"


def test_paths_take_their_own_start_and_begin_again():
    paths = truth() + 0.01 * np.arange(2)[:, None, None]
    for theta in ({"nu": [7.0, 9.0]}, [[7.0], [9.0]], {"nu": np.array([7.0, 9.0])}):
        X, nu = points((paths, theta))
        assert nu.ravel().tolist() == [7.0, 9.0, 7.0]
        assert np.array_equal(X, paths[[0, 1, 0]])
    X, nu = points((paths, [8.0]), 2)
    assert nu.ravel().tolist() == [8.0, 8.0]


def test_parameters_that_are_not_given_are_drawn():
    problem = action().bind(experiment()[1])
    drawn = [Uniform().point(Draw(problem, number=k))[1] for k in range(3)]
    assert np.array_equal(points(truth())[1], drawn)
    assert len(np.unique(drawn)) == 3
    assert points((truth(), {"nu": 3.0}), fixed={"nu": 6.0})[1].ravel().tolist() == [6.0] * 3


def test_a_run_goes_on_where_another_ended():
    first = anneal(ladder=sd.Ladder(LADDER.rf0, LADDER.alpha, 6), solver="newton")
    last = LADDER.rf0 * LADDER.alpha**6
    second = anneal(ladder=sd.Ladder(last, LADDER.alpha, 4), solver="newton", start=first)
    assert second.dataset.attrs["start"] == "run"
    X, nu = points(first, 7)
    assert np.array_equal(X, first.dataset["states"].values[[0, 1, 2, 3, 4, 0, 1]])
    assert np.array_equal(nu[:5], first.dataset["parameters"].values[:, -1])
    # a rung starts where the one before ended, so the action at the first rung can only fall
    kernels, data = action().compile(), experiment()[1]
    for k in range(5):
        assert second.levels[k, 0] <= kernels.action(X[k], nu[k], last, data)


def test_a_loaded_run_will_do_and_failed_paths_are_passed_over(tmp_path):
    loaded = sd.load(run().save(tmp_path / "run.nc"))
    loaded.dataset["last_beta"][0] = -1
    assert np.array_equal(points(loaded)[0], run().dataset["states"].values[1:4])


def test_on_a_bound_but_for_rounding_is_inside():
    assert (points((truth(), {"nu": 20.0 + 1e-12}))[1] == 20.0).all()


def other_states():
    return sd.Run(run().dataset.assign_coords(state=list("abcde")))


def other_grid():
    return sd.Run(run().dataset.assign_coords(time=run().dataset["time"].values + 1.0))


def nothing_reached():
    return sd.Run(run().dataset.assign(last_beta=("path", np.full(5, -1))))


def bounded():
    x = sd.states("x", 2, bounds=(0.0, 1.0))
    small = sd.Action(sd.Model({x[0]: -x[0], x[1]: -x[1]}, name="decay"), [x[0]], scheme="euler")
    data = sd.Observations([0.0, 0.1, 0.2], [0.5, 0.4, 0.3], variance=0.1)
    sd.anneal(small, data, start=[[0.5, 0.5], [0.4, 1.5], [2.0, 1.5]], solver="lbfgs")


WRONG = {
    "shape": (
        lambda: anneal(start=np.zeros((3, 5))),
        "anneal: start has the shape (3, 5); expected a path (M, D) = (41, 5), a row for each of "
        "the grid's points and a column for each state, or any number of them, (J, 41, 5).",
    ),
    "not finite": (
        lambda: anneal(start=np.full((41, 5), np.nan)),
        "anneal: start is nan for the state 'x0' at time 0; every grid point needs a number to "
        "start from.",
    ),
    "no numbers": (
        lambda: anneal(start={"x0": 1.0}),
        "start: expected numbers, got {'x0': 1.0}. Pass a number or a rectangular array.",
    ),
    "complex": (
        lambda: anneal(start=np.full((41, 5), 1j)),
        f"start: expected numbers, got {short(np.full((41, 5), 1j))}. Pass a number or a "
        "rectangular array.",
    ),
    "class": (
        lambda: anneal(start=sd.Nudged),
        "anneal: start is the class Nudged; make one of it, such as Nudged().",
    ),
    "bounds of a parameter": (
        lambda: anneal(start=(truth(), {"nu": 21.0})),
        "anneal: start has the parameter 'nu' at 21 in path 0, outside its bounds 0 .. 20. Widen "
        "bounds=, or start it inside.",
    ),
    "bounds of a state": (
        bounded,
        "anneal: start has the state 'x1' at 1.5 at time 0.1 of path 0, outside its bounds 0 .. 1 "
        "(66.7 % of its points are). Widen bounds=, or clip the start with numpy.clip.",
    ),
    "name": (
        lambda: anneal(start=(truth(), {"mu": 1.0})),
        "anneal: start names 'mu', which is no parameter of this action. Did you mean 'nu'? The "
        "parameters are: nu.",
    ),
    "count": (
        lambda: anneal(start=(truth(), {"nu": [1.0, 2.0]})),
        "anneal: start gives [1.0, 2.0] for the parameter 'nu'; expected one finite number, or one "
        "for each of 1 paths.",
    ),
    "parameter shape": (
        lambda: anneal(start=(truth(), [1.0, 2.0])),
        "anneal: the parameters of start have the shape (2,); expected (P,) = (1,) or one row for "
        "each path, (1, 1), in the order nu; or a mapping of names to numbers.",
    ),
    "parameter nan": (
        lambda: anneal(start=(truth(), [np.nan])),
        "anneal: the parameters of start are [nan]; expected finite numbers. Pass a mapping to "
        "give some of them only.",
    ),
    "states of a run": (
        lambda: anneal(start=other_states()),
        "anneal: the run given as start has the states a, b, c, d, e; expected x0, x1, x2, x3, x4. "
        "Start from a run of the same model.",
    ),
    "grid of a run": (
        lambda: anneal(start=other_grid()),
        "anneal: the run given as start goes from 1 to 1.8; expected 0 to 0.8, as these data do. "
        "Start from a run of the same recording, or pass paths as an array.",
    ),
    "empty run": (
        lambda: anneal(start=nothing_reached()),
        "anneal: no path of the run given as start reached a rung, so there is nothing to start "
        "from.",
    ),
}


@pytest.mark.parametrize(("call", "message"), WRONG.values(), ids=WRONG.keys())
def test_messages(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
    assert issubclass(OptionError, ValueError)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("size", [1e-12, 1.0, 1e9])
def test_what_is_rounding_at_a_bound_of_0_depends_on_the_size(size: float) -> None:
    """A tenth of the size below the bound is outside, a rounding of it is on it."""
    x = sd.state("x", bounds=(0.0, 2.0 * size))
    action = sd.Action(sd.Model({x: -x}, name="sized"), [x], scheme="trapezoid")
    data = sd.Observations([0.0, 1.0], [[size], [0.4 * size]], variance=(0.1 * size) ** 2)
    path = np.array([[size], [-0.1 * size]])
    with pytest.raises(sd.OptionError, match=r"start has the state 'x' at -.*outside its bounds 0"):
        sd.anneal(action, data, start=path, solver="newton", progress=False)
    path[1] = -1e-12 * size
    found = sd.anneal(action, data, start=path, solver="newton", progress=False)
    assert found.best.states.values.min() >= 0.0


def test_a_run_on_a_coarser_grid_is_interpolated():
    X, nu = points(run(), steps=2)
    own = run().dataset["states"].values[:3]
    assert X.shape == (3, 81, 5)
    np.testing.assert_array_equal(X[:, ::2], own)
    np.testing.assert_allclose(X[:, 1::2], 0.5 * (own[:, 1:] + own[:, :-1]), rtol=1e-12)
    assert np.array_equal(nu, run().dataset["parameters"].values[:3, -1])
