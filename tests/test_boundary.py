"""The boundary value problem by collocation, against shooting and matrix exponentials."""

from __future__ import annotations

from itertools import pairwise

import boundary_oracle
import casadi as ca
import numpy as np
import pytest
import sympy as sp
from test_continuum import DATA, RF, RM, TIMES, F, continuous_minimiser

import symda as sd
from symda.api.preflight import ProblemWarning
from symda.errors import SolveError
from symda.solve.boundary import FieldFunctions, Mesh
from symda.solve.boundary.program import CollocationProgram


def linear_action() -> sd.Action:
    x = sd.states("x y", start=(-2.0, 2.0))
    equations = {x[a]: F[a, 0] * x[0] + F[a, 1] * x[1] for a in range(2)}
    return sd.Action(sd.Model(equations, name="linear"), [x[0]], model_error="rate")


LINEAR = sd.Observations(TIMES, DATA, variance=1 / RM)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_nodes_are_exact_to_order_two_d(degree: int) -> None:
    exact = continuous_minimiser()
    counts = np.array([2, 4, 8])
    errors = []
    for intervals in counts:
        found = sd.boundary_value(
            linear_action(),
            LINEAR,
            rf=RF,
            start=np.zeros((5, 2)),
            options={"degree": degree, "intervals": int(intervals)},
        )
        assert found.status == "converged" and max(found.residuals.values()) < 1e-11
        errors.append(np.abs(found.x(TIMES) - exact).max())
    slope = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert abs(slope - 2 * degree) < 0.15, (slope, errors)


def test_momenta_jump_at_the_data_and_vanish_outside() -> None:
    found = sd.boundary_value(linear_action(), LINEAR, rf=RF, start=np.zeros((5, 2)))
    left, right = (found.momenta.sel(side=side).values for side in ("left", "right"))
    jumps = np.zeros((5, 2))
    jumps[:, 0] = RM * (found.states.sel(state="x").values - DATA)
    np.testing.assert_allclose(right - left, jumps, atol=1e-11)
    np.testing.assert_allclose(left[0], 0.0, atol=1e-11)
    np.testing.assert_allclose(right[-1], 0.0, atol=1e-11)
    np.testing.assert_allclose(found.p(TIMES[1:], "left"), left[1:], atol=1e-11)
    np.testing.assert_allclose(found.p(TIMES[:-1], "right"), right[:-1], atol=1e-11)
    # p = Rf (x' - F), by differences
    t, step = np.array([0.2, 1.1, 1.77]), 1e-5
    slopes = (found.x(t + step) - found.x(t - step)) / (2 * step)
    np.testing.assert_allclose(found.p(t), RF * (slopes - found.x(t) @ F.T), atol=1e-3)


def test_the_action_is_the_integral_and_h_is_constant_between_data() -> None:
    found = sd.boundary_value(
        linear_action(), LINEAR, rf=RF, start=np.zeros((5, 2)), options={"degree": 6}
    )
    data = 0.5 * RM * np.sum((found.x(TIMES)[:, 0] - DATA) ** 2)
    t = np.linspace(0.0, 2.0, 20_001)
    middle = 0.5 * (t[1:] + t[:-1])
    model = np.sum(found.p(middle) ** 2) * (t[1] - t[0]) / (2 * RF)
    assert found.measurement_term == pytest.approx(data, rel=1e-12)
    assert found.model_term == pytest.approx(model, rel=1e-6)
    assert found.action == found.measurement_term + found.model_term
    for a, b in pairwise(TIMES):
        H = found.hamiltonian(np.linspace(a, b, 7)[1:-1])
        assert np.ptp(H) < 1e-6 * np.abs(H).max()
        assert found.hamiltonian([b], "left") == pytest.approx(H[0], rel=1e-6)


# --- a nonlinear model with everything at once, against shooting ---------------------------------

V, W = sd.states("v w", start=(-2.0, 2.0))
A = sd.parameter("a", start=(0.0, 1.0))
B = sd.parameter("b", start=(0.0, 1.0))
I, T = sd.forcing("I"), sd.time("t")
NEURON = sd.Model(
    {V: V - V**3 / 3 - W + I + 0.2 * sp.sin(T), W: (V + A - 0.8 * W) / 3}, name="neuron"
)
#: The second channel depends on a parameter of its own.
CHANNELS = {"v": V, "mixed": V * W + B * W**2}
KINKS = np.array([-1.0, 0.37, 0.9, 1.61, 3.0])
CURRENT = np.array([0.3, 1.1, -0.4, 0.8, 0.2])
WHEN = np.array([0.0, 0.5, 0.8, 1.4, 2.0, 2.3])
SEEN = np.array(
    [[0.35, 0.1], [0.85, 0.4], [np.nan, np.nan], [np.nan, 1.3], [1.4, 2.0], [1.55, np.nan]]
)
PRECISION = np.array([25.0, 15.0])
NEURON_RF = np.array([2.0, 11.0])


def neuron_action(scheme: str = "rk4") -> sd.Action:
    return sd.Action(NEURON, CHANNELS, scheme=scheme, model_error="rate")


def neuron_data(rule: str) -> sd.Observations:
    return sd.Observations(
        WHEN,
        SEEN,
        variance=1.0 / np.tile(PRECISION, (6, 1)),
        forcing={"I": sd.Samples(KINKS, CURRENT, rule)},
    )


def neuron_oracle(rule: str, initial: np.ndarray | None) -> boundary_oracle.Oracle:
    inner = KINKS[(KINKS > WHEN[0]) & (KINKS < WHEN[-1])]
    ends = np.unique(np.concatenate([WHEN, inner]))

    def current(t: np.ndarray, interval: np.ndarray) -> np.ndarray:
        if rule == "hold":
            return CURRENT[np.searchsorted(KINKS, ends[interval], side="right") - 1]
        return np.interp(t, KINKS, CURRENT)

    return boundary_oracle.solve(
        NEURON.equations,
        list(CHANNELS.values()),
        NEURON.states,
        (A, B),
        data=dict(zip(WHEN.tolist(), SEEN.tolist(), strict=True)),
        precision=PRECISION,
        rf=NEURON_RF,
        guess=lambda t: np.tile([1.0, 0.7], (t.size, 1)),
        theta=(0.6, 0.5),
        forcing={I: current},
        breaks=inner.tolist(),
        time=T,
        initial=initial,
    )


@pytest.mark.parametrize(
    ("rule", "initial"),
    [("linear", None), ("hold", [0.1, 0.4]), ("linear", [np.nan, -0.2])],
    ids=["natural", "given", "partly given"],
)
def test_gaps_forcing_parameters_unequal_steps_and_rf(
    rule: str, initial: list[float] | None
) -> None:
    given = None if initial is None else np.array(initial)
    expected = neuron_oracle(rule, given)
    M = neuron_action().bind(neuron_data(rule)).M
    found = sd.boundary_value(
        neuron_action(),
        neuron_data(rule),
        rf=NEURON_RF,
        start=(np.tile([1.0, 0.7], (M, 1)), {"a": 0.6, "b": 0.5}),
        initial=initial,
        options={"intervals": 2, "degree": 5},
    )
    assert found.status == "converged"
    assert max(found.residuals.values()) < 1e-10 and found.defect < 1e-5
    theta = [found.parameters["a"], found.parameters["b"]]
    np.testing.assert_allclose(theta, expected.theta, atol=2e-7)
    np.testing.assert_allclose(found.x(expected.times), expected.x, atol=2e-7)
    np.testing.assert_allclose(found.p(expected.times[1:], "left"), expected.before[1:], atol=2e-6)
    np.testing.assert_allclose(found.p(expected.times[:-1]), expected.after[:-1], atol=2e-6)
    first = found.momenta.sel(side="left").values[0]
    np.testing.assert_allclose(first, expected.before[0], atol=2e-6)
    if given is not None:
        known = ~np.isnan(given)
        np.testing.assert_array_equal(found.x([WHEN[0]])[0, known], given[known])
        assert np.abs(first[~known]).max(initial=0.0) < 1e-10


def test_the_action_is_stationary_in_free_parameters() -> None:
    """dA/dtheta = 0, by differences of the action with parameters fixed around their estimates."""
    options: dict[str, object] = {"intervals": 2, "degree": 5}
    start = (np.tile([1.0, 0.7], (6, 1)), {"a": 0.6, "b": 0.5})
    data, step = neuron_data("linear"), 1e-3

    def solve(fixed: dict[str, float] | None) -> sd.BoundarySolution:
        return sd.boundary_value(
            neuron_action(), data, rf=NEURON_RF, start=start, fixed=fixed, options=options
        )

    found = solve(None)
    for name in ("a", "b"):
        best = dict(found.parameters)
        up, down = (solve(best | {name: best[name] + d}).action for d in (step, -step))
        assert min(up, down) > found.action
        assert abs(up - down) / (2 * step) < 1e-4 * (up + down - 2 * found.action) / step**2


@pytest.mark.parametrize("scheme", ["euler", "hermite-simpson", "gauss4"])
def test_the_scheme_of_the_action_does_not_matter(scheme: str) -> None:
    start, plain = (neuron_action(name).bind(neuron_data("hold")) for name in (scheme, "rk4"))
    path, points = (np.tile([1.0, 0.7], (one.M, 1)) for one in (start, plain))
    theta = {"a": 0.6, "b": 0.5}
    options: dict[str, object] = {"intervals": 3, "degree": 6}
    found, expected = (
        sd.boundary_value(
            neuron_action(name),
            neuron_data("hold"),
            rf=NEURON_RF,
            start=(given, theta),
            options=options,
        )
        for name, given in ((scheme, path), ("rk4", points))
    )
    np.testing.assert_allclose(found.x(WHEN), expected.x(WHEN), atol=1e-8)
    assert found.states.sizes["time"] == start.M


# --- odd sizes -----------------------------------------------------------------------------------


def logistic(stop: float | None = None) -> tuple[sd.Action, sp.Expr]:
    x = sd.state("x", start=(0.0, 1.0))
    model = sd.Model({x: 2 * x * (1 - x)}, name="logistic")
    return sd.Action(model, [x], model_error="rate"), x


@pytest.mark.parametrize("N", [1, 2])
def test_one_state_measured_at_two_times_or_one(N: int) -> None:
    """D = L = 1, N = 1; and one observation in the middle of its window."""
    action, x = logistic()
    if N == 1:
        data = {0.0: [0.2], 0.7: [0.9]}
        problem = action.bind(sd.Observations([0.0, 0.7], [[0.2], [0.9]], variance=0.1))
    else:
        data = {0.4: [0.3]}
        one = sd.Observations([0.4], [[0.3]], variance=0.1)
        problem = action.bind(one, start=0.0, stop=1.0)
    assert problem.N == N
    found = sd.boundary_value(
        action,
        problem,
        rf=3.0,
        start=np.full((N + 1, 1), 0.4),
        initial=None if N == 1 else [0.5],
        options={"intervals": 4},
    )
    expected = boundary_oracle.solve(
        [2 * x * (1 - x)],
        [x],
        [x],
        [],
        data=data,
        precision=np.array([10.0]),
        rf=np.array([3.0]),
        guess=lambda t: np.full((t.size, 1), 0.4),
        initial=None if N == 1 else np.array([0.5]),
        span=(problem.times[0], problem.times[-1]),
    )
    np.testing.assert_allclose(found.x(expected.times), expected.x, atol=1e-8)
    np.testing.assert_allclose(found.p(expected.times[:-1]), expected.after[:-1], atol=1e-7)


# --- the strong constraint, parameters per step, bounds ------------------------------------------


def test_an_infinite_rf_is_the_equation_itself() -> None:
    """Both exact: the path is a trajectory. One exact: the limit of a large Rf."""
    x = sd.models.lorenz63()["x"]
    model = sd.models.lorenz63()
    action = sd.Action(model, [x], model_error="rate")
    _, data = sd.twin(
        action, parameters=sd.models.LORENZ63, dt=0.05, steps=10, variance=0.25, seed=3
    )
    truth = np.array([1.0, 1.0, 20.0])
    known = {"sigma": 10.0, "beta": 8.0 / 3.0}
    start = sd.simulate(
        model, data.times, truth, parameters={**known, "rho": 28.0}, rtol=1e-6, atol=1e-6
    ).states.values

    def solve(rf: object) -> sd.BoundarySolution:
        return sd.boundary_value(
            action,
            data,
            rf=rf,
            start=(start, {"rho": 28.0}),
            fixed=known,
            options={"intervals": 2, "degree": 6, "max_iter": 3000},
        )

    exact = solve(np.inf)
    assert exact.model_term == 0.0 and max(exact.residuals.values()) < 1e-9
    path = sd.simulate(
        model,
        data.times,
        exact.states.values[0],
        parameters=exact.parameters,
        rtol=1e-10,
        atol=1e-10,
    )
    np.testing.assert_allclose(path.states.values, exact.states.values, atol=1e-6)
    np.testing.assert_allclose(exact.momenta.sel(side="left").values[0], 0.0, atol=1e-9)
    mixed, near = solve([np.inf, 3.0, np.inf]), solve([1e9, 3.0, 1e9])
    np.testing.assert_allclose(mixed.states.values, near.states.values, atol=1e-5)
    assert 0.0 < mixed.model_term and mixed.action < exact.action


def test_a_parameter_per_step_is_a_state_without_an_equation() -> None:
    x = sd.state("x", start=(-2.0, 2.0))
    drift = sd.parameter("w", per="step", start=(-1.0, 1.0), process_variance=0.25)
    plain = sd.state("w", start=(-1.0, 1.0))
    data = sd.Observations(TIMES, DATA, variance=0.1)
    found, expected = (
        sd.boundary_value(
            sd.Action(sd.Model(equations, name="drifting"), [x], model_error="rate"),
            data,
            rf=rf,
            start=np.zeros((5, 2)),
        )
        for equations, rf in (
            ({x: -x + drift}, 7.0),
            ({x: -x + plain, plain: sp.S.Zero}, [7.0, 4.0]),
        )
    )
    np.testing.assert_allclose(found.states.values, expected.states.values, atol=1e-10)
    np.testing.assert_allclose(found.momenta.values, expected.momenta.values, atol=1e-10)


def test_a_free_parameter_per_step_keeps_its_weak_tie() -> None:
    x = sd.state("x", start=(-2.0, 2.0))
    w = sd.parameter("w", per="step", start=(-1.0, 1.0))
    action = sd.Action(sd.Model({x: -x + w}, name="pushed"), [x], model_error="rate")
    data = sd.Observations(TIMES, DATA, variance=0.1)
    found = sd.boundary_value(action, data, rf=1e4, start=np.zeros((5, 2)))
    # what pushes is free, so the data are met
    np.testing.assert_allclose(found.states.sel(state="x"), DATA, atol=1e-3)


def test_a_parameter_at_its_bound_is_said() -> None:
    x = sd.state("x", start=(-2.0, 2.0))
    k = sd.parameter("k", bounds=(0.0, 0.1), start=(0.0, 0.1))
    action = sd.Action(sd.Model({x: -k * x}, name="decay"), [x], model_error="rate")
    data = sd.Observations(TIMES, np.exp(-TIMES), variance=0.01)
    with pytest.warns(ProblemWarning, match="at a bound: k; a boundary value problem has no"):
        found = sd.boundary_value(action, data, rf=100.0, start=(np.ones((5, 1)), {"k": 0.05}))
    assert found.status == "acceptable" and found.parameters["k"] == pytest.approx(0.1, abs=1e-6)
    assert found.residuals["parameters"] > 1e-3 > found.residuals["states"]


def test_a_state_at_its_bound_is_said() -> None:
    x = sd.state("x", bounds=(-0.5, 2.0), start=(-0.5, 2.0))
    action = sd.Action(sd.Model({x: sp.S.Zero}, name="walk"), [x], model_error="rate")
    data = sd.Observations(TIMES, DATA, variance=0.01)
    with pytest.warns(ProblemWarning, match="at a bound: x;"):
        found = sd.boundary_value(action, data, rf=1.0, start=np.zeros((5, 1)))
    assert found.x(np.linspace(0.0, 2.0, 201)).min() > -0.55
    assert found.residuals["states"] < 1e-8


def test_what_does_not_converge_says_what_to_do() -> None:
    with pytest.raises(SolveError, match="did not converge") as caught:
        sd.boundary_value(
            neuron_action(),
            neuron_data("linear"),
            rf=1e6,
            start=(5.0 * np.ones((6, 2)), {"a": 9.0, "b": 9.0}),
            options={"max_iter": 1},
        )
    text = str(caught.value)
    for part in (
        "on the window 0 .. 2.3 at Rf = 1e+06",
        "Maximum_Iterations_Exceeded, after 1 iterations",
        "what is left of the equations: states",
        "Start from a path annealed up to this Rf",
        "shorter window",
    ):
        assert part in text, text


def test_a_parameter_without_effect_is_said() -> None:
    x = sd.state("x", start=(-2.0, 2.0))
    k = sd.parameter("k", bounds=(0.0, 1.0), start=(0.0, 1.0))
    model = sd.Model({x: -x + k * sd.forcing("u")}, name="idle")
    data = sd.Observations(TIMES, DATA, variance=0.1, forcing={"u": 0.0})
    with pytest.warns(ProblemWarning, match="do not determine their solution"):
        found = sd.boundary_value(
            sd.Action(model, [x], model_error="rate"),
            data,
            rf=2.0,
            start=(np.zeros((5, 1)), {"k": 0.3}),
        )
    assert found.status == "acceptable" and max(found.residuals.values()) < 1e-6


def test_data_on_midpoints_are_data_like_others() -> None:
    action = linear_action()
    halves = sd.Action(
        action.model, {"x": action.model["x"]}, scheme="hermite-simpson", model_error="rate"
    )
    found, expected = (
        sd.boundary_value(
            own, LINEAR, rf=RF, start=np.zeros((5, 2)), options={"degree": 5}, midpoint_data=mid
        )
        for own, mid in ((halves, True), (action, False))
    )
    np.testing.assert_allclose(found.states.values, expected.states.values, atol=1e-10)
    np.testing.assert_allclose(found.momenta.values, expected.momenta.values, atol=1e-10)


def test_derivatives_of_the_program_are_those_of_its_functions() -> None:
    """Gradient, Jacobian and Hessian as assembled, against CasADi on the assembled f and g."""
    problem = neuron_action().bind(neuron_data("hold"))
    system = FieldFunctions(neuron_action().field.functions)
    program = CollocationProgram(system, Mesh.of(problem, 3, 2, None))
    f, rng = program.functions, np.random.default_rng(0)
    sizes = (program.unknowns, program.weights, program.constraints)
    point, weights, lam = (rng.normal(size=n) for n in sizes)
    v, q = ca.MX.sym("v", sizes[0]), ca.MX.sym("q", sizes[1])
    action, constraints = f["nlp"](v, q)
    lagrangian = 0.7 * action + ca.dot(constraints, ca.DM(lam))
    for name, got, expected in (
        ("gradient", f["grad_f"](point, weights)[1], ca.gradient(action, v)),
        ("jacobian", f["jac_g"](point, weights)[1], ca.jacobian(constraints, v)),
        ("hessian", f["hess_lag"](point, weights, 0.7, lam), ca.hessian(lagrangian, v)[0]),
    ):
        reference = ca.Function("reference", [v, q], [expected])(point, weights).full()
        if name == "hessian":
            reference = np.triu(reference)
        np.testing.assert_allclose(got.full(), reference, atol=1e-12, err_msg=name)
