"""`Action` and its kernels: what users hold goes in, right numbers come out."""

from __future__ import annotations

import pickle
from pathlib import Path

import api_cases as cases
import numpy as np
import pytest
import xarray as xr

import symda as sd


@pytest.fixture(scope="module")
def point() -> np.ndarray:
    return np.random.default_rng(0).normal(scale=3.0, size=(cases.STEPS + 1, 5))


def linear(sign: str, constant: float = 2.0) -> sd.Action:
    """dx/dt = constant (a - b) x, or with a and b swapped."""
    x = sd.state("x", start=(-1.0, 1.0))
    a, b = sd.parameter("a", start=(0.0, 1.0)), sd.parameter("b", start=(0.0, 1.0))
    difference = a - b if sign == "a-b" else b - a
    return sd.Action(sd.Model({x: constant * difference * x}, name="swap"), [x], scheme="euler")


def test_kernels_take_labelled_paths_named_parameters_and_observations(point: np.ndarray) -> None:
    truth, data = cases.experiment()
    kernels = cases.action().compile()
    path = truth.states.copy(data=point)
    expected = cases.exact_terms(point, 7.0, 3.0, data)
    assert kernels.terms(path, {"nu": 7.0}, 3.0, data) == pytest.approx(expected, rel=1e-12)
    value = kernels.action(path, {"nu": 7.0}, 3.0, data)
    assert value == pytest.approx(sum(expected), rel=1e-12)
    assert kernels.action(point, [7.0], [3.0] * 5, cases.action().bind(data)) == value


def test_gradient_and_hessian_are_the_slopes_of_an_independent_action(point: np.ndarray) -> None:
    _, data = cases.experiment()
    kernels = cases.action().compile()
    rng = np.random.default_rng(1)
    step, d_nu = rng.normal(size=point.shape), 0.3
    direction = np.append(step.reshape(-1), d_nu)

    def value(s: float) -> float:
        return sum(cases.exact_terms(point + s * step, 7.0 + s * d_nu, 3.0, data))

    gradient = kernels.gradient(point, {"nu": 7.0}, 3.0, data)
    assert gradient.shape == (point.size + 1,)
    e = 1e-4
    slope = (8 * (value(e) - value(-e)) - (value(2 * e) - value(-2 * e))) / (12 * e)
    assert gradient @ direction == pytest.approx(slope, rel=1e-8)
    hessian = kernels.hessian(point, {"nu": 7.0}, 3.0, data)
    e = 1e-2
    bend = (16 * (value(e) + value(-e)) - value(2 * e) - value(-2 * e) - 30 * value(0.0)) / (
        12 * e**2
    )
    assert direction @ (hessian @ direction) == pytest.approx(bend, rel=1e-5)
    assert abs(hessian - hessian.T).max() == 0.0


def test_residuals_vanish_on_the_scheme_s_own_trajectory() -> None:
    _, data = cases.experiment()
    x = [np.array([1.0, 2.0, 3.0, 4.0, 5.0])]
    h = cases.DT
    for _ in range(cases.STEPS):
        k1 = cases.field(x[-1], 8.0)
        k2 = cases.field(x[-1] + h / 2 * k1, 8.0)
        k3 = cases.field(x[-1] + h / 2 * k2, 8.0)
        k4 = cases.field(x[-1] + h * k3, 8.0)
        x.append(x[-1] + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
    residual = cases.action().compile().residual(np.array(x), {"nu": 8.0}, data)
    assert residual.shape == (cases.STEPS, 5)
    assert np.abs(residual).max() < 1e-13


def test_compile_writes_the_source_it_runs(tmp_path: Path) -> None:
    kernels = cases.action().compile(into=tmp_path / "generated")
    written = tmp_path / "generated" / "lorenz96_rk4.pyx"
    assert written.read_text(encoding="utf-8") == kernels.source
    assert kernels.kind == "compiled"
    assert cases.action().compile().machine is kernels.machine


def test_swapped_arguments_and_changed_constants_are_other_builds() -> None:
    actions = {"a-b": linear("a-b"), "b-a": linear("b-a"), "3(a-b)": linear("a-b", 3.0)}
    assert len({action.emitted.digest for action in actions.values()}) == 3
    data = sd.Observations([0.0, 0.5], [np.nan, 1.0], variance=0.25)
    X, theta = [[2.0], [1.5]], {"a": 0.7, "b": 0.2}
    for name, rate in {"a-b": 1.0, "b-a": -1.0, "3(a-b)": 1.5}.items():
        r = 1.5 - (2.0 + 0.5 * rate * 2.0)
        expected = 0.5 / 0.25 * 0.5**2 + 0.5 * 4.0 * r**2
        kernels = actions[name].compile()
        assert kernels.action(X, theta, 4.0, data) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("model_error", "averaging", "model_factor", "data_factor"),
    [("step", "sum", 1.0, 1.0), ("rate", "sum", 1 / cases.DT, 1.0), ("step", "eq2", 1.0, 1 / 3)],
)
def test_weights_are_those_of_the_docstring(
    point: np.ndarray, model_error: str, averaging: str, model_factor: float, data_factor: float
) -> None:
    model, x = cases.lorenz96()
    _, data = cases.experiment()
    action = sd.Action(
        model, [x[0], x[2], x[3]], scheme="rk4", model_error=model_error, averaging=averaging
    )
    assert action.emitted.digest == cases.action().emitted.digest
    measurement, error = cases.exact_terms(point, 7.0, 3.0, data)
    got = action.compile().terms(point, {"nu": 7.0}, 3.0, data)
    assert got == pytest.approx((data_factor * measurement, model_factor * error), rel=1e-11)


def test_an_action_says_what_it_is() -> None:
    action = cases.action()
    assert repr(action) == "Action('lorenz96', measured=[x0, x2, x3], scheme='rk4')"
    assert action.direct == (0, 2, 3)
    assert [p.name for p in action.parameters] == ["nu"]
    assert "dx0/dt = nu" in str(action.equations())
    assert r"\nu" in action._repr_latex_()


def test_a_problem_made_before_is_taken_as_it_is() -> None:
    problem = cases.action().bind(cases.experiment()[1], steps=2)
    assert problem.N == 2 * cases.STEPS
    assert cases.action().bind(problem) is problem


def mistakes() -> dict[str, tuple[object, str]]:
    """Name -> (what a user does, what the message must say)."""
    model, x = cases.lorenz96()
    action, (truth, data) = cases.action(), cases.experiment()
    other = sd.Action(model, [x[0]], scheme="rk4")
    kernels = action.compile()
    X = truth.states
    return {
        "no model": (
            lambda: sd.Action({x[0]: x[1]}, [x[0]]),
            "Action: the first argument is a symda.Model, got dict; "
            "make one with sd.Model({x: dx/dt, ...}).",
        ),
        "model error": (lambda: sd.Action(model, [x[0]], model_error="stp"), "model_error"),
        "averaging": (lambda: sd.Action(model, [x[0]], averaging="mean"), "averaging"),
        "scheme": (lambda: sd.Action(model, [x[0]], scheme="rk5"), "Did you mean 'rk4'?"),
        "map for an ODE": (lambda: sd.Action(model, [x[0]], scheme="map"), "map"),
        "nothing measured": (lambda: sd.Action(model, []), "nothing is measured"),
        "no observations": (
            lambda: action.bind(np.zeros(3)),
            "data must be a symda.Observations, got ndarray; "
            "make one with sd.Observations(times, values, variance=...).",
        ),
        "problem of another action": (
            lambda: action.bind(other.bind(sd.Observations([0.0, 1.0], [0.0, 1.0], variance=1.0))),
            "This problem was made for another action: its channels",
        ),
        "fixed name": (lambda: action.bind(data, fixed={"mu": 1.0}), "'mu' is no parameter"),
        "fixed value": (lambda: action.bind(data, fixed={"nu": 30.0}), "within the bounds"),
        "shape of the path": (
            lambda: kernels.action(X.values.T, {"nu": 8.0}, 1.0, data),
            "The path X must have the shape (M, D) = (41, 5)",
        ),
        "parameter missing": (
            lambda: kernels.gradient(X, {}, 1.0, data),
            "No value for the parameter 'nu'; every one of nu needs one.",
        ),
        "parameter unknown": (
            lambda: kernels.gradient(X, {"nu": 1.0, "mu": 2.0}, 1.0, data),
            "There is no parameter 'mu'. Did you mean 'nu'? The parameters are: nu.",
        ),
        "number of parameters": (
            lambda: kernels.hessian(X, [1.0, 2.0], 1.0, data),
            "theta must have the shape (P,) = (1,)",
        ),
        "number of rf": (
            lambda: kernels.action(X, [8.0], [1.0, 2.0], data),
            "rf must be one number or one a state (D = 5), got the shape (2,).",
        ),
        "path as text": (
            lambda: kernels.action("here", [8.0], 1.0, data),
            "X: expected numbers, got 'here'. Pass a number or a rectangular array.",
        ),
        "ragged path": (
            lambda: kernels.residual([[1.0], [1.0, 2.0]], [8.0], data),
            "X: expected numbers, got [[1.0], [1.0, 2.0]].",
        ),
        "rf as text": (
            lambda: kernels.hessian(X, [8.0], "large", data),
            "rf: expected numbers, got 'large'.",
        ),
        "theta as text": (
            lambda: kernels.terms(X, "nu", 1.0, data),
            "theta: expected numbers, got 'nu'.",
        ),
        "value as text": (
            lambda: kernels.gradient(X, {"nu": "large"}, 1.0, data),
            "theta['nu']: expected numbers, got 'large'.",
        ),
        "value of two numbers": (
            lambda: kernels.gradient(X, {"nu": [1.0, 2.0]}, 1.0, data),
            "theta['nu']: expected one number, got [1.0, 2.0].",
        ),
        "compiler": (
            lambda: action.compile(options=sd.build.Options(flags=("-ffast-math",))),
            "-ffast-math",
        ),
    }


def test_an_option_left_empty_has_no_near_name() -> None:
    model, x = cases.lorenz96()
    with pytest.raises(sd.OptionError) as error:
        sd.Action(model, [x[0]], averaging=None)
    assert str(error.value) == (
        "averaging must be one of sum, eq2, eq14, minaone, varanneal, got None."
    )


@pytest.mark.parametrize("name", mistakes())
def test_a_mistake_is_named(name: str) -> None:
    do, message = mistakes()[name]
    with pytest.raises(sd.InputError) as error:
        do()
    assert message in str(error.value)


def test_a_labelled_path_is_read_by_position(point: np.ndarray) -> None:
    array = xr.DataArray(point, dims=("time", "state"))
    _, data = cases.experiment()
    kernels = cases.action().compile()
    assert kernels.action(array, [7.0], 1.0, data) == kernels.action(point, [7.0], 1.0, data)


def test_a_problem_of_other_options_or_abscissae_is_refused() -> None:
    x, u = sd.state("x", start=(-1.0, 1.0)), sd.forcing("u")
    model = sd.Model({x: u - x}, name="driven")
    data = sd.Observations(
        [0.0, 1.0, 2.0], [0.0, 0.5, 0.7], variance=0.1, forcing={"u": [0.0, 1.0, 2.0]}
    )
    makers = {
        "abscissae": sd.Action(model, [x], scheme="euler"),
        "averaging": sd.Action(model, [x], scheme="midpoint", averaging="eq14"),
        "model_error": sd.Action(model, [x], scheme="midpoint", model_error="rate"),
    }
    action = sd.Action(model, [x], scheme="midpoint")
    for what, maker in makers.items():
        with pytest.raises(sd.OptionError, match=f"made for another action: its {what} is"):
            action.bind(maker.bind(data))
    assert action.bind(action.bind(data)).digest == action.bind(data).digest


def test_a_bound_problem_takes_no_further_grid() -> None:
    x, k = sd.state("x", start=(-1.0, 1.0)), sd.parameter("k", start=(0.0, 2.0))
    action = sd.Action(sd.Model({x: -k * x}, name="decay"), [x])
    problem = action.bind(sd.Observations([0.0, 1.0], [1.0, 0.4], variance=0.1))
    for extra in ({"steps": 3}, {"fixed": {"k": 1.0}}, {"max_step": 0.1}, {"stop": 3.0}):
        with pytest.raises(sd.OptionError, match="data is a problem already"):
            action.bind(problem, **extra)


def test_an_action_survives_pickling_after_it_was_compiled() -> None:
    x, k = sd.state("x", start=(-1.0, 1.0)), sd.parameter("k", start=(0.0, 2.0))
    action = sd.Action(sd.Model({x: -k * x}, name="decay"), [x])
    data = sd.Observations([0.0, 1.0], [1.0, 0.4], variance=0.1)
    value = action.compile().action([[1.0], [0.5]], [0.7], 2.0, data)
    copy = pickle.loads(pickle.dumps(action))
    assert copy.compile().action([[1.0], [0.5]], [0.7], 2.0, data) == value


def test_without_the_compiler_that_built_kernels_the_solver_does_without_too(monkeypatch) -> None:
    """The structured solver is built when it is asked for; kernels built before must not wait."""
    x = sd.state("x", start=(-1.0, 1.0))
    action = sd.Action(sd.Model({x: -x}, name="later"), [x])
    data = sd.Observations(np.arange(3.0), [1.0, 0.4, 0.1], variance=0.01)
    assert action.compile().machine.kind == "compiled"
    monkeypatch.setenv("SYMDA_CC", "none")
    with pytest.warns(sd.api.VirtualMachineWarning):
        run = sd.anneal(action, data, paths=1, solver="newton", ladder=sd.Ladder(1.0, 4.0, 3))
    assert run.verdict().findings[0].about == "minimum" and run.verdict().findings[0].holds
