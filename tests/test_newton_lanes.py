"""Paths in lanes do not know of each other; failures, limits and wrong options are told."""

from __future__ import annotations

import dataclasses
import signal
import threading
import time

import numpy as np
import pytest
import sympy as sp
from models import KUTTA3, make_case, random_point, random_problem, relative
from newton_tools import newton_kernels, polished

import symda as sd
from symda.build import Options
from symda.build.toolchain import DEFAULT_FLAGS
from symda.emit import emit_newton
from symda.emit.lanes import DAMPING, SparseRows, groups, runs, tangent_slots
from symda.errors import InputError, OptionError
from symda.lower import lower
from symda.solve import Newton
from symda.status import Reason, Status

WIDE = {"start": (-1.0, 1.0)}


def lorenz96(D, measured, scheme="rk4"):
    x = sd.states("x", D, start=(-10.0, 10.0))
    nu = sd.parameter("nu", bounds=(0.0, 20.0), start=(5.0, 15.0))
    ring = {x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - x[a] + nu for a in range(D)}
    return sd.Action(sd.Model(ring, name="lorenz96"), [x[a] for a in measured], scheme=scheme)


@pytest.fixture(scope="module")
def ring():
    """Lorenz-96 with D = 5: action, data, problem, kernels, 20 starts and a ladder."""
    action = lorenz96(5, (0, 2))
    _, data = sd.twin(action, parameters={"nu": 8.0}, dt=0.05, steps=40, variance=0.04, seed=3)
    problem = action.bind(data)
    rng = np.random.default_rng(5)
    starts = rng.uniform(-10.0, 10.0, size=(20, 41, 5)), rng.uniform(5.0, 15.0, size=(20, 1))
    rf = np.repeat(0.01 * 3.0 ** np.arange(9)[:, None], 5, axis=1)
    return action, data, problem, action.compile().machine, starts, rf


def same(climb, i, other, j):
    return (
        np.array_equal(climb.paths[i], other.paths[j])
        and np.array_equal(climb.thetas[i], other.thetas[j])
        and np.array_equal(climb.measurement_terms[i], other.measurement_terms[j])
        and np.array_equal(climb.iterations[i], other.iterations[j])
    )


def test_a_path_does_not_depend_on_its_company(ring):
    _, _, problem, kernels, (X, theta), rf = ring
    newton = Newton().at(kernels, problem)
    alone = [newton.ladder(X[k : k + 1], theta[k : k + 1], rf) for k in range(20)]
    few = newton.ladder(X[:13], theta[:13], rf)
    order = np.random.default_rng(0).permutation(20)
    mixed = newton.ladder(X[order], theta[order], rf)
    assert all(same(few, k, alone[k], 0) for k in range(13))
    assert all(same(mixed, i, alone[k], 0) for i, k in enumerate(order))
    assert len({climb.iterations.sum() for climb in alone}) > 5  # lanes end at different times


def test_a_path_that_is_not_finite_leaves_its_neighbours_alone(ring):
    _, _, problem, kernels, (X, theta), rf = ring
    newton = Newton().at(kernels, problem)
    expected = newton.ladder(X[:8], theta[:8], rf)
    spoilt = X[:9].copy()
    spoilt[4, 7, 2] = np.nan
    climb = newton.ladder(spoilt, theta[:9], rf)
    assert climb.status[4].tolist() == [4] + [0] * 8
    assert np.isnan(climb.measurement_terms[4]).all() and np.isnan(climb.thetas[4]).all()
    assert all(same(climb, k, expected, k) for k in range(8) if k != 4)
    assert (climb.status[8] > 0).all()  # the lane took the next path


def test_the_ladder_is_minimise_from_rung_to_rung(ring):
    _, _, problem, kernels, (X, theta), rf = ring
    newton = Newton().at(kernels, problem)
    climb = newton.ladder(X[:3], theta[:3], rf, keep=True)
    path, values = X[2], theta[2]
    for beta, precision in enumerate(rf):
        found = newton.minimise(path, values, precision)
        path, values = found.path, found.theta
        # a path that climbs remembers the damping that worked; the minimum is the same
        np.testing.assert_allclose(climb.all_paths[2, beta], path, rtol=1e-5, atol=1e-5)
        level = climb.measurement_terms[2, beta] + climb.model_terms[2, beta]
        assert level == pytest.approx(found.action, rel=1e-9)
    np.testing.assert_array_equal(climb.all_paths[:, -1], climb.paths)
    assert (climb.status == 1).all() and (climb.seconds > 0).all()


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_any_number_of_lanes_gives_the_same(lanes):
    x, y = sd.states("x y", **WIDE)
    p = sd.parameter("p", bounds=(0.1, 3.0))
    case = make_case(sd.Model({x: y, y: p * (1 - x**2) * y - x}, name="pol"), [x], "rk4")
    problem = random_problem(case, np.random.default_rng(0), N=12)
    rng = np.random.default_rng(1)
    points = [random_point(problem, rng) for _ in range(5)]
    X, theta = (np.stack(part) for part in list(zip(*points, strict=True))[:2])
    rf = np.full((3, 2), [[1.0], [5.0], [25.0]])
    options = Options(flags=(*DEFAULT_FLAGS, f"-DSYMDA_LANES={lanes}"))
    narrow = Newton().at(newton_kernels(case, options), problem)
    assert narrow.lanes == lanes
    got, expected = (
        n.ladder(X, theta, rf) for n in (narrow, Newton().at(newton_kernels(case), problem))
    )
    np.testing.assert_allclose(got.model_terms, expected.model_terms, rtol=1e-8)
    np.testing.assert_allclose(got.paths, expected.paths, rtol=1e-6, atol=1e-6)


def test_every_function_in_lanes():
    """Cases, rates, roots, inverse functions: the kernels' action, and the minimum IPOPT finds."""
    x, y, z = sd.states("x y z", bounds=(-0.9, 0.9))
    a = sd.parameter("a", bounds=(0.2, 0.8))
    current, t = sd.forcing("I"), sd.time("t")
    equations = {
        x: sp.Piecewise((x**2 + a, x < 0), (sp.log(4 + x) + a, True)) + current * sp.sin(t),
        y: sp.exp(-(x**2)) * sp.tanh((x - a) / 2) - sp.erf(y) + sp.asin(x / 9) * sp.cosh(y),
        z: sp.Max(x, y)
        - sp.sqrt(1 + z**2)
        + sp.Abs(y) * sp.cos(z)
        - sp.Min(z, 0.3) * a
        + sp.atan2(y, 2 + z)
        + sp.Piecewise((t, t > 0.5), (0, True))
        + sp.acos(z / 9) ** a,
    }
    case = make_case(sd.Model(equations, name="zoo"), [sp.exp(x / 2) + a, y * z], "rk4")
    kernels = newton_kernels(case)
    rng = np.random.default_rng(0)
    problem = random_problem(case, rng, N=6)
    X, theta, rf = random_point(problem, rng)
    newton = Newton(max_iter=1).at(kernels, problem)
    climb = newton.ladder(X[None], theta[None], rf[None])
    terms = climb.measurement_terms[0, 0], climb.model_terms[0, 0]
    expected = kernels.at(problem).terms(climb.paths[0], climb.thetas[0, 0], rf)
    assert relative(terms, expected) < 1e-13
    found = Newton().at(kernels, problem).minimise(X, theta, rf)
    assert found.status == "converged" and abs(polished(kernels, problem, found, rf)) < 1e-8


def test_long_routines_are_split_in_lanes_too(monkeypatch):
    monkeypatch.setattr("symda.emit.format.CHUNK", 3)
    x, y = sd.states("x y", **WIDE)
    t = sd.time("t")
    model = sd.Model({x: sp.sin(2 * t) * y + y**3, y: -x * sp.exp(y / 2) + sp.sin(2 * t)}, name="s")
    case = make_case(model, [x * y], "midpoint")
    kernels = newton_kernels(case)
    assert "cdef real v[" in emit_newton(lower(case.field, case.scheme)).text
    problem = random_problem(case, np.random.default_rng(0), N=5, observed="all")
    X, theta, rf = random_point(problem, np.random.default_rng(1))
    found = Newton().at(kernels, problem).minimise(X, theta, rf)
    assert found.status == "converged" and abs(polished(kernels, problem, found, rf)) < 1e-8


@pytest.mark.parametrize("length", [0, 1, 3, 4, 11, 12])
def test_blocks_cover_every_row_once(length):
    rows = [
        first + size * b + i
        for first, size, count in groups(5, length)
        for b in range(count)
        for i in range(size)
    ]
    assert rows == list(range(5, 5 + length))


def test_runs_and_sparse_rows():
    assert runs([0, 1, 2, 5, 7, 8]) == [(0, 3), (5, 1), (7, 2)] and runs([]) == []
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(4, 6)) * (rng.random((4, 6)) < 0.5)
    entries = [(i, j, q) for q, (j, i) in enumerate(np.argwhere(dense.T))]
    nonzeros = [dense[i, j] for i, j, _ in entries]
    rows = SparseRows.of(entries, 4, 5)
    x = rng.normal(size=5)
    product = [
        sum(nonzeros[rows.entries[q]] * x[rows.columns[q]] for q in range(*rows.starts[a : a + 2]))
        for a in range(4)
    ]
    np.testing.assert_allclose(product, dense[:, :5] @ x, rtol=1e-14)


def test_the_text_depends_on_the_problem_alone(ring):
    action = ring[0]
    again = lorenz96(5, (0, 2))
    assert again.emitted_newton == action.emitted_newton
    assert lorenz96(5, (0, 1)).emitted_newton != action.emitted_newton
    assert action.emitted_newton.stem == "lorenz96_rk4_newton"


def test_halting_keeps_the_rungs_that_are_done(ring):
    _, _, problem, kernels, (X, theta), rf = ring
    newton = Newton().at(kernels, problem)
    stopped = newton.ladder(X, theta, rf, halt=np.ones(1, np.int32))
    assert (stopped.status == 0).all() and not stopped.interrupted
    late = newton.ladder(X, theta, rf, time_left=0.0)
    assert (late.status == 0).all()
    np.testing.assert_array_equal(late.paths, X)


def test_ctrl_c_stops_compiled_code(ring, monkeypatch):
    _, _, problem, kernels, (X, theta), rf = ring
    newton = Newton().at(kernels, problem)
    many = np.tile(X, (500, 1, 1)), np.tile(theta, (500, 1))
    main = threading.main_thread().ident
    compiled = newton._module.climb

    def climb(*arguments):
        threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
        compiled(*arguments)

    monkeypatch.setattr(newton._module, "climb", climb)
    began = time.perf_counter()
    found = newton.ladder(*many, rf)
    assert found.interrupted and time.perf_counter() - began < 30.0
    done = (found.status > 0).all(axis=1)
    assert 0 < done.sum() < len(done)


def test_a_long_window_takes_its_paths_one_by_one(ring, monkeypatch):
    """In a fraction of the memory, to the same minima."""
    _, _, problem, kernels, (X, theta), rf = ring
    wide = Newton().at(kernels, problem)
    monkeypatch.setattr("symda.build.lane_flags.LARGEST_WORK", 0)
    narrow = Newton().at(kernels, problem)
    assert narrow.lanes == 1 < wide.lanes
    one, other = narrow.ladder(X[:3], theta[:3], rf[:3]), wide.ladder(X[:3], theta[:3], rf[:3])
    assert (one.status == 1).all()
    np.testing.assert_allclose(one.model_terms, other.model_terms, rtol=1e-7)
    np.testing.assert_allclose(one.paths, other.paths, atol=1e-5)


def test_rf_beyond_what_doubles_hold_keeps_the_rungs_before(ring):
    _, _, problem, kernels, (X, theta), _ = ring
    rf = np.full((3, 5), [[1.0], [1e3], [1e308]])
    climb = Newton().at(kernels, problem).ladder(X[:2], theta[:2], rf)
    assert (climb.status[:, :2] == 1).all() and (climb.status[:, 2] == 4).all()
    assert np.isfinite(climb.paths).all() and np.isnan(climb.model_terms[:, 2]).all()


def test_annealing_is_the_same_however_it_is_run(ring):
    action, data = ring[:2]
    settings = {"solver": "newton", "ladder": sd.Ladder(0.01, 3.0, 9), "progress": False, "seed": 4}
    few = sd.anneal(action, data, paths=3, executor="serial", **settings).dataset
    many = sd.anneal(action, data, paths=11, keep="all", workers=2, **settings).dataset
    for name in ("action", "parameters", "states", "status", "iterations", "momenta", "fit"):
        np.testing.assert_array_equal(few[name].values, many[name].values[:3], err_msg=name)
    np.testing.assert_array_equal(many["states_by_beta"].values[:, -1], many["states"].values)
    total = many["measurement_term"].values + many["model_term"].values
    np.testing.assert_array_equal(many["action"].values, total)
    ipopt = sd.anneal(action, data, **settings | {"solver": "ipopt", "paths": 3}).dataset
    assert few["action"].values[:, 0] == pytest.approx(ipopt["action"].values[:, 0], rel=1e-8)


def test_a_path_that_fails_is_recorded_in_the_run():
    x = sd.state("x", start=(-1.0, 1.0))
    model = sd.Model({x: sp.log(x)}, name="logarithm")
    action = sd.Action(model, [x**2], scheme="euler")
    data = sd.Observations(np.arange(4.0) / 10, np.ones((4, 1)), variance=0.1)

    def start(problem, rng):
        return np.full((4, 1), rng.choice([-1.0, 1.0])), np.zeros(0)

    run = sd.anneal(
        action, data, solver="newton", paths=12, start=start, ladder=sd.Ladder(1.0, 2.0, 3)
    )
    status, messages = run.dataset["status"].values, run.dataset["message"].values
    failed = status[:, 0] == 4
    assert 0 < failed.sum() < 12
    assert set(messages[failed]) == {
        "rung 0: step 0 of x is not finite where the rung starts: narrow bounds= and start= to "
        "where the equations can be evaluated (the action is not finite where the rung starts)"
    }
    assert (status[~failed] == 1).all() and set(messages[~failed]) == {""}


def test_time_limit_and_stop_after_end_a_run_early(ring):
    action, data = ring[:2]
    run = sd.anneal(action, data, solver="newton", paths=8000, time_limit=1.0)
    status = run.dataset["status"].values
    assert (status == 0).any() and (status == 1).any()
    assert any("time limit reached at rung" in message for message in run.dataset["message"].values)
    early = sd.anneal(action, data, solver="newton", paths=1000, stop_after=1, workers=1)
    assert (early.dataset["status"].values[:, 0] == 0).any()


WRONG = {
    "hessian": ({"hessian": "exakt"}, "newton: hessian must be one of exact, gauss-newton, got "
                "'exakt'. Did you mean 'exact'?"),
    "unknown": ({"tolerance": 1e-3}, "newton has no option 'tolerance'. Did you mean 'tol'? It "
                "takes hessian, tol, max_iter."),
    "tol": ({"tol": 0.0}, "newton: tol must be a number between 0 and 1, got 0.0."),
    "max_iter": ({"max_iter": 0}, "newton: max_iter must be a whole number of at least 1, got 0."),
}  # fmt: skip


@pytest.mark.parametrize("options, message", WRONG.values(), ids=WRONG.keys())
def test_wrong_options_are_named(ring, options, message):
    with pytest.raises(OptionError) as caught:
        Newton().with_options(**options).at(ring[3], ring[2])
    assert str(caught.value) == message


def test_wrong_shapes_do_not_reach_compiled_code(ring):
    _, _, problem, kernels, (X, theta), rf = ring
    newton = Newton().at(kernels, problem)
    with pytest.raises(InputError, match=r"shape \(M, D\) = \(41, 5\).* got \(40, 5\)"):
        newton.ladder(X[:2, :40], theta[:2], rf)
    with pytest.raises(InputError, match=r"shape \(P,\) = \(1,\)"):
        newton.ladder(X[:2], np.ones((2, 2)), rf)
    with pytest.raises(InputError, match="rf must be one number or one a state"):
        newton.ladder(X[:2], theta[:2], rf[:, :3])


def test_a_parameter_that_nothing_feels_stays_where_it_is():
    x = sd.state("x", **WIDE)
    p, q = sd.parameters("p q", **WIDE)
    case = make_case(sd.Model({x: p * x + sp.floor(q)}, name="stairs"), [x], "euler")
    kernels = newton_kernels(case)
    problem = random_problem(case, np.random.default_rng(0), N=3)
    rf = np.full(1, 4.0)
    found = Newton().at(kernels, problem).minimise(np.zeros((4, 1)), np.array([0.3, 1.5]), rf)
    assert found.status == "converged" and found.theta[1] == 1.5
    known = dataclasses.replace(problem, fixed=np.array([np.nan, 1.0]))
    other = Newton().at(kernels, known).minimise(np.zeros((4, 1)), np.zeros(2), rf)
    assert other.theta[1] == 1.0 and other.action == pytest.approx(found.action, rel=1e-9)


@pytest.mark.smoke
def test_hit_rates_are_those_of_ipopt():
    """Lorenz-96 at the paper's size, five measured: shares of paths that reach the lowest level."""
    action = lorenz96(11, (0, 2, 4, 6, 8))
    _, data = sd.twin(action, parameters={"nu": 10.0}, dt=0.025, steps=165, variance=0.2, seed=1)
    settings = {"ladder": sd.Ladder(0.01, 4.0, 10), "progress": False}
    newton, ipopt = (
        sd.anneal(action, data, solver=name, paths=24, **settings).dataset["action"].values
        for name in ("newton", "ipopt")
    )
    lowest = min(newton[:, -1].min(), ipopt[:, -1].min())
    hits = [levels[:, -1] < lowest + 0.5 for levels in (newton, ipopt)]
    (low, high), (low_other, high_other) = (wilson(int(h.sum()), 24) for h in hits)
    assert low < high_other and low_other < high
    # nearly every path, started alike, ends in the same level on every rung
    assert (np.abs(newton / ipopt - 1) < 1e-8).all(axis=1).sum() >= 20
    assert hits[0].sum() >= 5


def wilson(hits, n, z=1.96):
    middle, width = hits + z**2 / 2, z * np.sqrt(hits * (n - hits) / n + z**2 / 4)
    return (middle - width) / (n + z**2), (middle + width) / (n + z**2)


def test_tangents_of_a_stage_stand_where_none_that_is_still_needed_does():
    x = sd.state("x", **WIDE)
    model = sd.Model({x: -(x**3)}, name="cubic")

    def slots(scheme):
        case = make_case(model, [x], scheme)
        return tangent_slots(lower(case.field, case.scheme))

    # each stage of rk4 needs the slope before it alone: two places by turns
    assert slots("rk4")[0] == {1: 0, 2: 1, 3: 0}
    # all of Kutta's later stages need the first slope
    assert slots(KUTTA3)[0] == {1: 0, 2: 1}
    assert slots("trapezoid")[0] == {}
    for scheme in ("rk4", KUTTA3):
        places, scratch = slots(scheme)
        assert all(places[stage] != scratch[stage] for stage in places)


@pytest.fixture(scope="module")
def network():
    """Three units of a small network, one measured: 9 weights that a high Rf ties to the paths."""
    states = sd.states("x y z", start=(-2.0, 2.0))
    weights = [[sd.parameter(f"w{i}{j}", bounds=(-20, 20)) for j in range(3)] for i in range(3)]
    felt = [sum(w * sp.tanh(s) for w, s in zip(row, states, strict=True)) for row in weights]
    model = sd.Model({s: -s + f for s, f in zip(states, felt, strict=True)}, name="network")
    action = sd.Action(model, [states[0]])
    true = [2.0, -3.0, 1.0, 3.0, 2.0, -1.0, 0.5, 1.0, 1.5]
    names = [str(w) for row in weights for w in row]
    parameters = dict(zip(names, true, strict=True))
    _, data = sd.twin(action, parameters=parameters, dt=0.1, steps=60, variance=0.01, seed=1)
    rng = np.random.default_rng(0)
    starts = rng.uniform(-2.0, 2.0, size=(6, 61, 3)), rng.uniform(-10.0, 10.0, size=(6, 9))
    rf = np.repeat(30.0 ** np.arange(6)[:, None], 3, axis=1)
    return Newton().at(action.compile().machine, action.bind(data)), starts, rf


def test_a_rung_that_need_not_converge_ends_where_it_creeps(network):
    newton, (X, theta), rf = network
    whole, loose = (newton.ladder(X, theta, rf, loose=count) for count in (0, 5))
    crept = loose.reasons == Reason.CREEPING.code
    assert (loose.status[crept] == Status.ACCEPTABLE.code).all()
    assert crept.any(axis=1).all() and not crept[:, 5].any()
    for k in range(len(X)):
        first = int(np.argmax(crept[k]))
        # up to there nothing is different; the rung had its patience, and no more after it
        assert np.array_equal(loose.iterations[k, :first], whole.iterations[k, :first])
        assert DAMPING.patience <= loose.iterations[k, first] < whole.iterations[k, first]
        later = loose.iterations[k, first + 1 : 5]
        assert (later < DAMPING.patience).all()
    assert loose.iterations[:, :5].sum() < 0.6 * whole.iterations[:, :5].sum()


def test_a_rung_that_converges_is_no_other_for_being_loose(ring):
    _, _, problem, kernels, (X, theta), rf = ring
    newton = Newton().at(kernels, problem)
    whole, loose = (newton.ladder(X[:8], theta[:8], rf, loose=count) for count in (0, 8))
    for k in range(8):
        if (loose.reasons[k] != Reason.CREEPING.code).all():
            assert same(whole, k, loose, k)
    assert (loose.reasons != Reason.CREEPING.code).all(axis=1).any()
