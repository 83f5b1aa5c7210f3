"""Bounds, fixed parameters, limits, wrong options, and models that leave the real numbers."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
import sympy as sp
from models import make_case

import symda as sd
from symda.errors import OptionError
from symda.solve import SOLVERS, Ipopt, Lbfgs

MAKERS = {
    "direct": lambda case, problem, **o: Ipopt().with_options(**o).at(case.virtual, problem),
    "lifted": lambda case, problem, **o: (
        Ipopt().with_options(formulation="lifted", **o).at(case.virtual, problem)
    ),
    "lbfgs": lambda case, problem, **o: Lbfgs().with_options(**o).at(case.virtual, problem),
}
#: Two states of which data drive the first below zero; a rate that wants to be larger than 0.8.
LOWER, UPPER = 0.0, 0.8
#: Fixed at a number without a short binary form.
HELD = 0.1 + 0.2


@cache
def bounded():
    x, y = sd.state("x", bounds=(LOWER, 5.0)), sd.state("y", start=(-1.0, 1.0))
    k = sd.parameter("k", bounds=(0.1, UPPER))
    c = sd.parameter("c", bounds=(0.0, 1.0), value=HELD)
    case = make_case(sd.Model({x: -k * x, y: x - c * y}, name="bounded"), [x, y], "trapezoid")
    times = 0.5 * np.arange(13)
    # the rate of the data is 1.5, and noise takes the tail below zero
    noise = 0.1 * np.random.default_rng(5).normal(size=(13, 2))
    data = np.stack([4.0 * np.exp(-1.5 * times) - 0.05, 2.0 * np.exp(-times)], axis=1) + noise
    return case, case.problem(times, data, variance=0.01)


def ends(label, rf=100.0, **options):
    case, problem = bounded()
    start = np.full((problem.M, 2), 1.0), np.full(2, 0.5)
    precision = np.full(2, rf)
    end = MAKERS[label](case, problem, **options).minimise(*start, precision)
    return case.virtual.at(problem), problem, precision, end


@pytest.mark.parametrize("label", MAKERS)
def test_active_bounds_are_kept_exactly_and_pushed_against(label):
    at, problem, rf, end = ends(label)
    assert end.status == "converged"
    index = {name: i for i, name in enumerate(problem.parameters)}
    x, k = end.path[:, 0], end.theta[index["k"]]
    assert x.min() >= LOWER and x.max() <= 5.0
    assert 0.1 <= k <= UPPER
    active = x < 1e-6
    assert active.sum() >= 3 and not active.all()
    assert UPPER - 1e-6 < k
    gradient = at.gradient(end.path, end.theta, rf)
    scale = np.abs(gradient).max()
    by_path = gradient[: end.path.size].reshape(end.path.shape)
    # uphill is inwards at a lower bound, outwards at an upper one; elsewhere it is flat
    assert (by_path[active, 0] > -1e-4 * scale).all()
    assert by_path[active, 0].max() > 0.0
    assert gradient[end.path.size + index["k"]] < -1e-2 * scale
    # IPOPT stays a barrier's width off a bound, which bends the neighbours a little
    free = np.concatenate([by_path[~active, 0], by_path[:, 1]])
    assert np.abs(free).max() < 1e-4 * scale


def test_all_solvers_end_at_the_same_bounded_minimum():
    (*_, direct), (*_, lifted), (*_, lbfgs) = (ends(label) for label in MAKERS)
    assert lifted.action == pytest.approx(direct.action, rel=1e-6)
    assert lbfgs.action == pytest.approx(direct.action, rel=1e-6)
    np.testing.assert_allclose(lifted.path, direct.path, atol=1e-5)
    np.testing.assert_allclose(lbfgs.path, direct.path, atol=1e-3)


@pytest.mark.parametrize("label", MAKERS)
def test_a_fixed_parameter_keeps_every_bit(label):
    _, problem, _, end = ends(label)
    held = problem.parameters.index("c")
    assert end.theta[held].tobytes() == np.float64(HELD).tobytes()


@pytest.mark.parametrize("label", MAKERS)
def test_every_parameter_may_be_fixed(label):
    case, _ = bounded()
    times, data = 0.5 * np.arange(4), np.full((4, 2), 1.0)
    problem = case.problem(times, data, fixed={"k": 0.7})
    assert not problem.free.any()
    end = MAKERS[label](case, problem).minimise(np.ones((4, 2)), np.zeros(2), np.full(2, 5.0))
    assert end.status == "converged"
    assert dict(zip(problem.parameters, end.theta.tolist(), strict=True)) == {"k": 0.7, "c": HELD}


@pytest.mark.parametrize("label", MAKERS)
def test_a_start_outside_the_bounds_is_brought_inside(label):
    case, problem = bounded()
    outside = np.full((problem.M, 2), -40.0), np.array([7.0, 7.0])
    kept = outside[0].copy(), outside[1].copy()
    rf = np.full(2, 100.0)
    end = MAKERS[label](case, problem).minimise(*outside, rf)
    *_, inside = ends(label)
    assert end.action == pytest.approx(inside.action, rel=1e-5)
    assert end.path[:, 0].min() >= LOWER
    for given, copy in zip(outside, kept, strict=True):
        np.testing.assert_array_equal(given, copy)


@pytest.mark.parametrize("label", MAKERS)
def test_a_limit_of_iterations_stops(label):
    limit = {"maxiter": 1} if label == "lbfgs" else {"max_iter": 1}
    at, _, rf, end = ends(label, **limit)
    assert (end.status, end.iterations) == ("stopped", 1)
    assert np.isfinite(end.action)
    assert end.action == at.action(end.path, end.theta, rf)


@pytest.mark.parametrize("solver", ["ipopt", "lbfgs"])
def test_options_reach_the_solver(solver):
    case, problem = bounded()
    loose = {"ipopt": {"tol": 1e-1}, "lbfgs": {"ftol": 1e-2}}[solver]
    start = np.full((problem.M, 2), 1.0), np.full(2, 0.5), np.full(2, 100.0)
    early = SOLVERS[solver].with_options(**loose).at(case.virtual, problem).minimise(*start)
    late = SOLVERS[solver].at(case.virtual, problem).minimise(*start)
    assert early.iterations < late.iterations


@pytest.mark.parametrize("formulation", ["direct", "lifted"])
def test_the_unit_of_the_action_does_not_matter_to_ipopt(formulation):
    """Rm and Rf times 1e-10: the same minimiser, of an action below IPOPT's tolerance."""
    case, _ = bounded()
    times = 0.5 * np.arange(13)
    data = np.stack([np.exp(-0.5 * times), np.exp(-times)], axis=1) + 0.05 * np.cos(
        9 * times[:, None]
    )
    ends = []
    for unit in (1.0, 1e-10):
        problem = case.problem(times, data, variance=0.01 / unit)
        start = np.full((13, 2), 0.5), np.array([0.2, HELD])
        ends.append(MAKERS[formulation](case, problem).minimise(*start, np.full(2, 50.0 * unit)))
    assert [end.status for end in ends] == ["converged"] * 2
    np.testing.assert_allclose(ends[1].theta, ends[0].theta, atol=1e-6)
    np.testing.assert_allclose(ends[1].path, ends[0].path, atol=1e-6)
    np.testing.assert_allclose(ends[1].momenta, 1e-10 * ends[0].momenta, atol=1e-14)


REFUSED = {
    "formulation": (
        Ipopt,
        {"formulation": "liftd"},
        "ipopt: formulation must be one of direct, lifted, got 'liftd'. Did you mean 'lifted'?",
    ),
    "unknown option of IPOPT": (
        Ipopt,
        {"max_itr": 3},
        "IPOPT refuses its options {'max_itr': 3}: No such IPOPT option: max_itr. "
        "See IPOPT's own list of options for names and values.",
    ),
    "impossible value of IPOPT": (
        Ipopt,
        {"tol": -1.0},
        "IPOPT refuses its options {'tol': -1.0}: Invalid options were detected by Ipopt. "
        "See IPOPT's own list of options for names and values.",
    ),
    "unknown option of L-BFGS": (
        Lbfgs,
        {"maxitr": 3},
        "lbfgs has no option 'maxitr'. Did you mean 'maxiter'? "
        "It takes maxiter, maxfun, maxcor, ftol, gtol, maxls.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_options_are_refused_when_the_solver_is_made(name):
    solver, options, message = REFUSED[name]
    case, problem = bounded()
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        solver().with_options(**options).at(case.virtual, problem)


@cache
def logarithmic():
    x = sd.state("x", start=(-3.0, 3.0))
    k = sd.parameter("k", start=(0.0, 1.0))
    case = make_case(sd.Model({x: k * x - sp.log(x)}, name="logarithm"), [x], "trapezoid")
    return case, case.problem([0.0, 0.1, 0.2], [1.0, -2.0, -3.0], variance=0.01)


@pytest.mark.parametrize("start", [[-1.0, -1.0, -1.0], [1.0, np.nan, 1.0]])
@pytest.mark.parametrize("label", MAKERS)
def test_no_number_at_the_start_is_a_record_of_failure(label, start):
    case, problem = logarithmic()
    path = np.array(start)[:, None]
    end = MAKERS[label](case, problem).minimise(path, np.array([0.5]), np.array([100.0]))
    assert end.status == "failed"
    assert np.isnan(end.action)
    assert end.message
    np.testing.assert_array_equal(end.path, path)


@pytest.mark.parametrize("label", MAKERS)
def test_no_number_on_the_way_is_survived(label):
    """The data pull the path to where the logarithm ends."""
    case, problem = logarithmic()
    rf = np.array([100.0])
    end = MAKERS[label](case, problem).minimise(np.ones((3, 1)), np.array([0.5]), rf)
    at = case.virtual.at(problem)
    assert end.status in ("converged", "stopped")
    assert end.path.min() > 0.0
    assert end.action < at.action(np.ones((3, 1)), [0.5], rf)
