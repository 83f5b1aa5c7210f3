"""Continuous data by solve_bvp, sweeps, ladders of boundary value problems, and bad input."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

import symda as sd
from symda.api.preflight import ProblemWarning
from symda.build.abstract import Kernels
from symda.build.kernels import virtual_kernels
from symda.derive.step import derive_step
from symda.errors import DataError, InputError, OptionError, SolveError
from symda.observe import Problem
from symda.solve import SOLVERS
from symda.solve.boundary import Collocation, FieldFunctions

X, Y = sd.states("x y", start=(-2.0, 2.0))
MU = sd.parameter("mu", bounds=(0.0, 5.0), start=(0.5, 1.5))
OSCILLATOR = sd.Model({X: Y, Y: MU * (1 - X**2) * Y - X}, name="van der pol")
#: Measured nonlinearly, L = D.
CHANNELS = {"x": X, "cube": Y + Y**3 / 10}


def action(**options: object) -> sd.Action:
    chosen = {"scheme": "midpoint", "model_error": "rate"} | options
    return sd.Action(OSCILLATOR, CHANNELS, **chosen)  # type: ignore[arg-type]


TRUTH = solve_ivp(
    lambda t, z: [z[1], 1.2 * (1 - z[0] ** 2) * z[1] - z[0]],
    (0.0, 4.0),
    [1.1, 0.4],
    dense_output=True,
    rtol=1e-8,
).sol


def signal(t: np.ndarray) -> np.ndarray:
    """What is measured of a trajectory with mu = 1.2, and an error that is no noise."""
    x, y = TRUTH(t)
    return np.column_stack([x + 0.05 * np.sin(9 * t), y + y**3 / 10 - 0.05 * np.cos(7 * t)])


def samples(stop: float, count: int) -> sd.Observations:
    t = np.linspace(0.0, stop, count)
    return sd.Observations(t, signal(t), variance=0.05)


def guess(t: np.ndarray) -> np.ndarray:
    return np.asarray(TRUTH(t)).T + 0.1


# --- solve_bvp -----------------------------------------------------------------------------------


@pytest.mark.parametrize("initial", [None, [1.0, 0.2]], ids=["natural", "given"])
def test_continuous_data_are_the_limit_of_ever_denser_ones(initial: list[float] | None) -> None:
    """Data interpolated k times as densely, with a k-th of the precision, first and last half.

    The trapezoidal rule is of second order in their distance.
    """
    coarse = samples(2.0, 9)
    found = sd.boundary_value(
        action(),
        coarse,
        rf=[3.0, 8.0],
        start=(guess(coarse.times), {"mu": 1.0}),
        initial=initial,
        method="bvp",
        options={"tol": 1e-8},
    )
    assert found.status == "converged" and found.residuals["ends"] < 1e-8
    errors = []
    for k in (16, 32, 64):
        t = np.linspace(0.0, 2.0, 8 * k + 1)
        values = np.column_stack([np.interp(t, coarse.times, c) for c in coarse.values.T])
        variance = np.full(values.shape, 0.05 * k)
        variance[[0, -1]] *= 2.0
        dense = sd.boundary_value(
            action(),
            sd.Observations(t, values, variance=variance),
            rf=[3.0, 8.0],
            start=(found.x(t), found.parameters),
            initial=initial,
            options={"degree": 2},
        )
        middle = 0.5 * (t[1:] + t[:-1])
        errors.append(
            (
                np.abs(dense.x(t) - found.x(t)).max(),
                np.abs(dense.p(middle) - found.p(middle)).max(),
                abs(dense.parameters["mu"] - found.parameters["mu"]),
                abs(dense.action - found.action),
            )
        )
    for each in np.array(errors).T:
        slope = np.log2(each[1] / each[2])
        assert abs(slope - 2.0) < 0.15, each
    t = np.linspace(0.03, 0.22, 5)  # no data between, but the signal itself depends on time
    assert np.isfinite(found.hamiltonian(t)).all()


def test_gaps_are_for_collocation() -> None:
    data = samples(2.0, 9)
    values = data.values.copy()
    values[3, 1] = np.nan
    gaps = sd.Observations(data.times, values, variance=0.05)
    start = (guess(data.times), {"mu": 1.0})
    with pytest.raises(OptionError, match=r"cube is missing at time 0\.75.*use 'collocation'"):
        sd.boundary_value(action(), gaps, rf=3.0, start=start, method="bvp")
    with pytest.raises(OptionError, match="every channel at every node"):
        fine = (guess(np.linspace(0.0, 2.0, 17)), {"mu": 1.0})
        sd.boundary_value(action(), data, rf=3.0, start=fine, method="bvp", steps=2)
    between = pytest.raises(OptionError, match=r"x is measured between the nodes, at time 0\.25\.")
    with between:
        sd.boundary_value(
            action(scheme="hermite-simpson"),
            data,
            rf=3.0,
            start=start,
            method="bvp",
            midpoint_data=True,
        )


# --- sweeps --------------------------------------------------------------------------------------


@pytest.mark.parametrize("initial", [None, [1.0, 0.2]], ids=["natural", "given"])
def test_sweeps_end_where_collocation_does_on_a_short_window(initial: list[float] | None) -> None:
    data = samples(0.6, 4)
    both = [
        sd.boundary_value(
            action(),
            data,
            rf=20.0,
            start=guess(data.times),
            initial=initial,
            fixed={"mu": 1.0},
            method=method,
            options=options,
        )
        for method, options in (("collocation", {}), ("sweeps", {"tol": 1e-6}))
    ]
    t = np.linspace(0.0, 0.6, 25)
    np.testing.assert_allclose(both[1].x(t), both[0].x(t), atol=1e-5)
    np.testing.assert_allclose(both[1].p(t), both[0].p(t), atol=1e-4)
    assert both[1].iterations > 3


def test_sweeps_say_that_a_long_window_is_not_theirs() -> None:
    model = sd.models.lorenz63()
    own = sd.Action(model, [model["x"]], model_error="rate")
    truth, data = sd.twin(
        own, parameters=sd.models.LORENZ63, dt=0.1, steps=30, variance=0.1, seed=3
    )
    path = truth.states.sel(time=data.times).values
    fixed = dict(sd.models.LORENZ63)
    with pytest.raises(SolveError, match="sweeps did not converge") as caught:
        sd.boundary_value(
            own,
            data,
            rf=10.0,
            start=path,
            fixed=fixed,
            method="sweeps",
            options={"max_iter": 12, "degree": 2},
        )
    for part in ("the window short and Rf large", "use 'collocation'", "annealed path"):
        assert part in str(caught.value)
    best = sd.boundary_value(own, data, rf=10.0, start=path, fixed=fixed, options={"intervals": 2})
    assert best.status == "converged" and max(best.residuals.values()) < 1e-8


def test_sweeps_estimate_no_parameters() -> None:
    data = samples(0.6, 4)
    with pytest.raises(OptionError, match="sweeps estimate no parameters, but mu is free"):
        sd.boundary_value(
            action(), data, rf=20.0, start=(guess(data.times), {"mu": 1.0}), method="sweeps"
        )


# --- behind the protocol -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ladder_run() -> sd.Run:
    return sd.anneal(
        action(),
        samples(4.0, 17),
        ladder=sd.Ladder(0.1, 10.0, 4),
        paths=3,
        seed=1,
        solver="collocation",
        options={"degree": 3},
        keep="all",
        executor="serial",
    )


def test_a_ladder_of_boundary_value_problems(ladder_run: sd.Run) -> None:
    d = ladder_run.dataset
    assert (d["status"].values == 1).all(), d["message"].values
    # all paths on one level, and the data as well met as their noise allows
    assert np.ptp(d["action"].values[:, -1]) < 1e-6
    best = ladder_run.best
    found = sd.boundary_value(
        action(), samples(4.0, 17), rf=100.0, start=ladder_run, options={"degree": 3}
    )
    np.testing.assert_allclose(found.states.values, best.states.values, atol=1e-8)
    assert found.parameters["mu"] == pytest.approx(best.parameters["mu"], abs=1e-8)


def test_a_run_starts_at_its_rung_nearest_to_rf(ladder_run: sd.Run) -> None:
    """One iteration from there is enough; the last rung is further away."""
    found = sd.boundary_value(
        action(), samples(4.0, 17), rf=1.05, start=ladder_run, options={"degree": 3}
    )
    near = ladder_run.dataset["states_by_beta"].isel(path=0, beta=1).values
    far = ladder_run.dataset["states_by_beta"].isel(path=0, beta=3).values
    distance = [np.abs(found.states.values - path).max() for path in (near, far)]
    assert 5 * distance[0] < distance[1]
    assert found.iterations <= 4
    # on another grid, and without the run's own data between
    finer = sd.boundary_value(
        action(), samples(4.0, 17), rf=1.05, start=ladder_run, steps=2, options={"degree": 3}
    )
    np.testing.assert_allclose(finer.states.values[::2], found.states.values, atol=1e-4)


def test_kernels_carry_f_to_workers_when_asked() -> None:
    own = action()
    kernels = virtual_kernels(derive_step(own.field, own.scheme), own.emitted, own.field.functions)
    problem = own.bind(samples(1.0, 5))
    payload = pickle.loads(pickle.dumps(kernels.payload(problem, frozenset({"field"}))))
    again = payload.restore()
    start = guess(problem.times), np.array([1.0])
    ends = [
        SOLVERS["collocation"].at(k, problem).minimise(*start, np.full(2, 5.0))
        for k in (kernels, again)
    ]
    np.testing.assert_array_equal(ends[0].path, ends[1].path)
    without = kernels.payload(problem).restore()
    with pytest.raises(OptionError, match="know the steps of a scheme only, not F"):
        SOLVERS["collocation"].at(without, problem)


def virtual(own: sd.Action) -> Kernels:
    return virtual_kernels(derive_step(own.field, own.scheme), own.emitted, own.field.functions)


def test_a_damped_last_step_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    own, data = action(), samples(1.0, 5)
    problem = own.bind(data)
    method = Collocation(FieldFunctions(own.field.functions), problem)
    asked = method._solver.stats

    class Damped:
        def __call__(self, **arguments: object) -> object:
            return solver(**arguments)

        def stats(self) -> dict[str, object]:
            return asked() | {"iterations": {"regularization_size": [0.0, 1e-4]}}

    solver = method._solver
    monkeypatch.setattr(method, "_solver", Damped())
    found = method.solve(problem.times, guess(data.times), np.array([1.0]), np.full(2, 5.0))
    assert "last step was damped, so this may be no strict minimum" in found.outcome.message
    monkeypatch.undo()
    found = method.solve(problem.times, guess(data.times), np.array([1.0]), np.full(2, 5.0))
    assert "damped" not in found.outcome.message


def test_h_of_continuous_data_holds_their_term() -> None:
    """dH/dt is what of H depends on time itself: rho (h - y) . y' with a linear signal."""
    x = sd.state("x", start=(-2.0, 2.0))
    own = sd.Action(sd.Model({x: -x}, name="decay"), [x], model_error="rate")
    data = sd.Observations([0.0, 1.0, 2.0], [[0.3], [0.9], [0.1]], variance=0.25)
    found = sd.boundary_value(
        own, data, rf=3.0, start=np.full((3, 1), 0.5), method="bvp", options={"tol": 1e-10}
    )
    t, step = np.array([0.3, 0.7, 1.4]), 1e-4
    slopes = (found.hamiltonian(t + step) - found.hamiltonian(t - step)) / (2 * step)
    y, growth = np.interp(t, data.times, data.values[:, 0]), np.where(t < 1.0, 0.6, -0.8)
    np.testing.assert_allclose(slopes, 4.0 * (found.x(t)[:, 0] - y) * growth, atol=1e-5)


def test_h_of_a_held_forcing_has_two_limits_at_its_jump() -> None:
    x, u = sd.state("x", start=(-2.0, 2.0)), sd.forcing("u")
    own = sd.Action(sd.Model({x: -x + u}, name="pushed"), [x], model_error="rate")
    forcing = sd.Samples(np.array([0.0, 0.7, 2.0]), np.array([1.0, 3.0, 3.0]), "hold")
    data = sd.Observations(
        [0.0, 1.0, 2.0], [[0.3], [0.9], [0.1]], variance=0.25, forcing={"u": forcing}
    )
    # a grid point more, where the forcing jumps
    start = np.full((4, 1), 0.5)
    found = sd.boundary_value(own, data, rf=3.0, start=start)
    left, right = (found.hamiltonian([0.7], side)[0] for side in ("left", "right"))
    # x and p are continuous there, p F is not
    assert right - left == pytest.approx(2.0 * found.p([0.7])[0, 0], rel=1e-6)
    at_datum = sd.Samples(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 3.0]), "hold")
    data = sd.Observations(
        [0.0, 1.0, 2.0], [[0.3], [0.9], [0.1]], variance=0.25, forcing={"u": at_datum}
    )
    with pytest.raises(OptionError, match=r"jumps at time 1: .*Use 'collocation'"):
        sd.boundary_value(own, data, rf=3.0, start=start[:3], method="bvp")
    midpoint = sd.Action(own.model, [x], scheme="midpoint", model_error="rate")
    with pytest.raises(OptionError, match=r"jumps at time 1: .*a scheme that takes it once a step"):
        sd.boundary_value(midpoint, midpoint.bind(data), rf=3.0, start=start[:3], method="bvp")


def test_a_mesh_that_does_not_resolve_the_solution_is_said() -> None:
    data, start = samples(4.0, 3), guess(np.linspace(0.0, 4.0, 3))
    with pytest.warns(ProblemWarning, match="mesh does not resolve the solution.*'intervals': 4"):
        coarse = sd.boundary_value(action(), data, rf=5.0, start=(start, {"mu": 1.0}))
    assert coarse.status == "converged" and coarse.defect > 1e-2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        options: dict[str, object] = {"intervals": 8, "degree": 6}
        sd.boundary_value(action(), data, rf=5.0, start=(start, {"mu": 1.0}), options=options)


def test_sweeps_without_hope_end_soon() -> None:
    t = np.linspace(0.0, 1.0, 6)
    x = sd.state("x", start=(-2.0, 2.0))
    own = sd.Action(sd.Model({x: -x}, name="decay"), [x], model_error="rate")
    data = sd.Observations(t, np.exp(-t) + 0.01 * np.cos(9 * t), variance=1e-4)
    with pytest.raises(SolveError, match=r"too slow after \d+ sweeps, max_iter = 2000") as caught:
        sd.boundary_value(own, data, rf=10.0, start=data.values, initial=[1.0], method="sweeps")
    assert int(str(caught.value).split("too slow after ")[1].split()[0]) < 400


def test_a_solution_can_be_pickled() -> None:
    u = sd.forcing("u")
    own = sd.Action(sd.Model({X: -X + u}, name="driven"), [X], scheme="rk4", model_error="rate")
    t = np.linspace(0.0, 2.0, 5)
    for forcing in (sp.sin(sd.time("t")), sd.Samples([0.0, 1.1, 2.0], [0.0, 1.0, 0.5])):
        data = sd.Observations(t, np.sin(t), variance=0.1, forcing={"u": forcing})
        for given in (data, own.bind(data)):
            found = sd.boundary_value(own, given, rf=5.0, start=np.zeros((5, 1)))
            again = pickle.loads(pickle.dumps(found))
            np.testing.assert_array_equal(again.x([0.3]), found.x([0.3]))
            np.testing.assert_array_equal(again.hamiltonian([0.3]), found.hamiltonian([0.3]))
            with pytest.raises(TypeError):
                again.parameters["x"] = 1.0


# --- bad input -----------------------------------------------------------------------------------

DATA = samples(1.0, 5)
PATH = guess(DATA.times)


def solve(**changes: object) -> sd.BoundarySolution:
    arguments: dict[str, object] = {
        "action": action(),
        "data": DATA,
        "rf": 5.0,
        "start": (PATH, {"mu": 1.0}),
    }
    arguments |= changes
    return sd.boundary_value(arguments.pop("action"), arguments.pop("data"), **arguments)  # type: ignore[arg-type]


def discrete() -> sd.Action:
    return sd.Action(sd.Model({X: 0.5 * X, Y: X}, name="halving", discrete=True), [X])


def lattice() -> sd.Action:
    i = sd.site("i", 20)
    u = sd.states("u", i, start=(-1.0, 1.0))
    model = sd.Model({u[i]: u[i - 1] - u[i]}, name="ring")
    return sd.Action(model, [u[0]], model_error="rate", matrix_free=True)


def crossed() -> Problem:
    return action(scheme="rk4").bind(DATA)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (lambda: {"action": "model"}, r"first argument is a symda\.Action, got str"),
        (
            lambda: {"action": action(model_error="step")},
            r"model_error='step'.*its Rf is h times that of 'step'",
        ),
        (lambda: {"action": action(averaging="eq14")}, r"averaging='eq14'.*averaging='sum'"),
        (lambda: {"action": discrete()}, "'halving' is a discrete map, which has no continuous"),
        (lambda: {"action": lattice()}, r"matrix-free \(20 states\).*matrix_free=False"),
        (lambda: {"start": None}, "start must be a run of sd.anneal.*got None.*anneal first"),
        (lambda: {"start": "nudged"}, "got 'nudged'"),
        (lambda: {"start": PATH}, "no value for the free parameter 'mu'"),
        (lambda: {"start": PATH[:3]}, r"boundary_value: start has the shape \(3, 2\)"),
        (lambda: {"start": (PATH * np.nan, {"mu": 1.0})}, "boundary_value: start is nan"),
        (lambda: {"rf": 0.0}, "rf must be a positive number, or one for each of x, y"),
        (lambda: {"rf": [1.0, 2.0, 3.0]}, r"D = 2"),
        (lambda: {"rf": "much"}, "rf: expected numbers"),
        (lambda: {"initial": [1.0]}, "one finite number for each of x, y"),
        (lambda: {"initial": {"z": 1.0}}, "initial names 'z', which is no state"),
        (lambda: {"method": "colocation"}, "one of collocation, bvp, sweeps.*'collocation'"),
        (lambda: {"options": {"degree": 9}}, "degree must be a whole number from 1 to 8, got 9"),
        (lambda: {"options": {"intervals": 1.5}}, "intervals must be a whole number"),
        (lambda: {"options": {"max_itr": 3}}, r"IPOPT refuses its options {'max_itr': 3}"),
        (lambda: {"options": ["degree"]}, "options must be a mapping, name: value, got list"),
        (lambda: {"options": {3: 1}}, "collocation has no option 3"),
        (lambda: {"options": {"mu_strategy": "foo"}}, "refuses its options {'mu_strategy': 'foo'}"),
        (lambda: {"data": crossed()}, "made for another action"),
    ],
)
def test_bad_input_is_refused_at_the_call(
    changes: Callable[[], dict[str, object]], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        solve(**changes())


def test_annealing_refuses_the_same() -> None:
    with pytest.raises(OptionError, match="collocation: the continuous problem weighs"):
        sd.anneal(
            action(model_error="step"), DATA, solver="collocation", paths=1, executor="serial"
        )


def test_options_of_the_other_methods_are_checked_too() -> None:
    given: dict[str, object] = {"fixed": {"mu": 1.0}, "start": PATH}
    for method, options, complaint in (
        ("sweeps", {"relaxation": 0.0}, "relaxation must be a number above 0"),
        ("bvp", {"tol": 2.0}, "tol must be a number between 0 and 1"),
        ("bvp", {"max_nodes": 0}, "max_nodes must be a whole number"),
        ("sweeps", {"tolerance": 1e-3}, "sweeps has no option 'tolerance'.*'tol'"),
        ("bvp", {"degree": 3}, "bvp has no option 'degree'"),
        ("bvp", {"tol": True}, "tol must be a number between 0 and 1, got True"),
        ("sweeps", {"tol": True}, "tol must be a number above 0"),
    ):
        with pytest.raises(OptionError, match=complaint):
            solve(method=method, options=options, **given)


def test_numbers_of_numpy_are_numbers() -> None:
    for method, options in (
        ("bvp", {"tol": np.float32(1e-5)}),
        ("sweeps", {"tol": np.float32(1e-2), "relaxation": np.float64(0.5)}),
    ):
        found = solve(
            method=method, options=options, fixed={"mu": 1.0}, start=PATH, initial=[1.0, 0.2]
        )
        assert found.status == "converged"


def test_times_are_told_apart() -> None:
    found = solve(fixed={"mu": 1.0}, start=PATH)
    shifted = replace(found._extremal.x, breaks=found._extremal.x.breaks + 1e6)
    with pytest.raises(DataError, match=r"from time 1000000 to 1000001, but .* at 1000001.5;"):
        shifted(np.array([1000001.5]))


def test_nothing_is_extrapolated() -> None:
    found = solve(fixed={"mu": 1.0}, start=PATH)
    with pytest.raises(DataError, match=r"from time 0 to 1, but a value is asked for at 1\.5"):
        found.x([0.5, 1.5])
    with pytest.raises(OptionError, match="side must be one of right, left"):
        found.p([0.5], "both")  # type: ignore[arg-type]
    assert "BoundarySolution by collocation: converged" in repr(found)


def test_a_forcing_of_a_problem_is_that_of_its_scheme() -> None:
    """Linear between grid points: the same as from observations; a kink in a step is not seen."""
    u = sd.forcing("u")
    model = sd.Model({X: -X + u * (1 + sp.sin(X) / 3)}, name="driven")
    own = sd.Action(model, [X], scheme="rk4", model_error="rate")
    t = np.linspace(0.0, 2.0, 5)
    start = np.zeros((5, 1))

    def data(times: np.ndarray, values: np.ndarray) -> sd.Observations:
        return sd.Observations(t, np.sin(t), variance=0.1, forcing={"u": (times, values)})

    smooth = data(t, np.array([0.0, 1.0, -0.5, 0.3, 0.2]))
    kinked = data(np.array([0.0, 0.3, 2.0]), np.array([0.0, 1.0, 0.2]))
    for given, same in ((smooth, True), (kinked, False)):
        a, b = (sd.boundary_value(own, d, rf=5.0, start=start) for d in (given, own.bind(given)))
        assert (np.abs(a.states.values - b.states.values).max() < 1e-9) == same
