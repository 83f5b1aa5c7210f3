"""Given initial values, numbers and functions of parameters, against exact least squares."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import sympy as sp
from cli_shell import Done, Shell, symda

import symda as sd
from symda.solve import SOLVERS

__all__ = ["symda"]

A = np.array([[0.8, 0.3], [-0.25, 0.9]])
RF, VARIANCE = 3.0, 0.2

x, y = sd.states("x y", start=(-2.0, 2.0))
p = sd.parameter("p", bounds=(-9.0, 9.0))
q = sd.parameter("q", bounds=(-9.0, 9.0))
MODEL = sd.Model({x: A[0, 0] * x + A[0, 1] * y + p, y: A[1, 0] * x + A[1, 1] * y}, discrete=True)

#: What is given -> x_0 = c + G theta, rows that are nan are free.
GIVEN = {
    "number": ({x: 1.5}, [1.5, np.nan], np.zeros((2, 2))),
    "numbers": ({x: 1.5, y: -0.5}, [1.5, -0.5], np.zeros((2, 2))),
    "function": ({x: 2 * q - p + 0.25}, [0.25, np.nan], [[-1.0, 2.0], [0.0, 0.0]]),
    "both": ({x: q, y: 0.5}, [0.0, 0.5], [[0.0, 1.0], [0.0, 0.0]]),
    "functions": ({x: q, y: p / 2 + q}, [0.0, 0.0], [[0.0, 1.0], [0.5, 1.0]]),
}


pytestmark = pytest.mark.usefixtures("uncompiled")


def least_squares(c, G, data: np.ndarray, D: int = 2) -> tuple[np.ndarray, np.ndarray, float]:
    """Path, covariance of the parameters, and action; columns are (path, p, q)."""
    M = len(data)
    rows, right = [], []
    n_path = M * D

    def put(weights: dict[int, float], constant: float, scale: float) -> None:
        row = np.zeros(n_path + 2)
        for at, weight in weights.items():
            row[at] = weight
        rows.append(scale * row)
        right.append(-scale * constant)

    for n in range(M - 1):
        for a in range(D):
            weights = {(n + 1) * D + a: 1.0} | {n * D + b: -A[a, b] for b in range(D)}
            put(weights | ({n_path: -1.0} if a == 0 else {}), 0.0, np.sqrt(RF))
    for n in range(M):
        put({n * D: 1.0}, -data[n], 1.0 / np.sqrt(VARIANCE))
    J, b = np.array(rows), np.array(right)
    # x_0 = c + G theta is put in: its columns go to those of theta
    T, shift = np.eye(n_path + 2), np.zeros(n_path + 2)
    kept = np.ones(n_path + 2, dtype=bool)
    for a in range(D):
        if not np.isnan(c[a]):
            T[a, a], kept[a], shift[a] = 0.0, False, c[a]
            T[a, n_path:] = G[a]
    used = kept & ((J @ T) ** 2).sum(axis=0).astype(bool)
    reduced = (J @ T)[:, used]
    z = np.zeros(n_path + 2)
    z[used] = np.linalg.lstsq(reduced, b - J @ shift, rcond=None)[0]
    z = T @ z + shift
    covariance = np.linalg.inv(reduced.T @ reduced)
    count = int(used[n_path:].sum())
    return (
        z[:n_path].reshape(M, D),
        covariance[-count:, -count:],
        float(0.5 * np.sum((J @ z - b) ** 2)),
    )


@cache
def measured(steps: int) -> np.ndarray:
    return np.random.default_rng(4).normal(1.0, 1.0, steps + 1)


def observations(steps: int, **further) -> sd.Observations:
    return sd.Observations(np.arange(steps + 1), measured(steps), variance=VARIANCE, **further)


def anneal(action: sd.Action, data, solver="newton", **further) -> sd.Run:
    options = {"progress": False, "workers": 1, "paths": 1, "start": "uniform", "seed": 0}
    options |= {"ladder": sd.Ladder(RF, 2.0, 1), "strategy": "ladder"} | further
    return sd.anneal(action, data, solver=solver, **options)


FINE = SOLVERS["lbfgs"].with_options(ftol=1e-16, gtol=1e-12)


@pytest.mark.compiled
@pytest.mark.parametrize("what", GIVEN)
@pytest.mark.parametrize("solver", ["newton", "ipopt", FINE], ids=["newton", "ipopt", "lbfgs"])
def test_the_minimum_is_that_of_exact_least_squares(what: str, solver) -> None:
    given, c, G = GIVEN[what]
    action = sd.Action(MODEL, [x], initial=given)
    path, covariance, level = least_squares(c, np.asarray(G), measured(8))
    run = anneal(action, observations(8), solver)
    assert run.best.action == pytest.approx(level, abs=1e-8)
    np.testing.assert_allclose(run.best.states.values, path, atol=1e-8)
    known = ~np.isnan(c)
    theta = np.array([run.best.parameters.get(name, 0.0) for name in "pq"])
    first = (np.asarray(c) + np.asarray(G) @ theta)[known]
    np.testing.assert_array_equal(run.best.states.values[0, known], first)
    sds = list(action.posterior(run, observations(8)).sd.values())
    np.testing.assert_allclose(sds, np.sqrt(np.diag(covariance)), rtol=1e-8)
    free = len(run.best.parameters)
    assert run.dataset.attrs["fitted"] == 2 - known.sum() + free


@pytest.mark.parametrize("what", ["both", "functions"])
def test_without_a_compiler(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMDA_CC", "none")
    given, c, G = GIVEN[what]
    action = sd.Action(MODEL, [x], initial=given)
    path, _, level = least_squares(c, np.asarray(G), measured(8))
    with pytest.warns(UserWarning, match="virtual machine"):
        for solver in ("newton", "ipopt", FINE):
            run = anneal(action, observations(8), solver)
            assert run.dataset.attrs["kernels"] == "virtual machine"
            assert run.best.action == pytest.approx(level, abs=1e-8)
            np.testing.assert_allclose(run.best.states.values, path, atol=1e-8)


@pytest.mark.parametrize("solver", ["newton", "ipopt", FINE], ids=["newton", "ipopt", "lbfgs"])
def test_one_state_and_one_step(solver) -> None:
    """x_1 = x_0/2 + noise with x_0 = q: data y_0, y_1."""
    z = sd.state("z", start=(-2.0, 2.0))
    model = sd.Model({z: z / 2}, discrete=True)
    data = sd.Observations([0, 1], [1.0, 2.0], variance=VARIANCE)
    # with x_1 free: integrate it out, y_1 has the variance VARIANCE + 1/RF about q/2
    spread = VARIANCE + 1.0 / RF
    variance = 1.0 / (1.0 / VARIANCE + 0.25 / spread)
    best = variance * (1.0 / VARIANCE + 0.5 * 2.0 / spread)
    action = sd.Action(model, [z], initial={z: q})
    run = anneal(action, data, solver)
    assert run.best.parameters["q"] == pytest.approx(best, abs=1e-8)
    assert action.posterior(run, data).sd["q"] == pytest.approx(np.sqrt(variance), rel=1e-8)
    pinned = sd.Observations([0, 1], [1.0, 2.0], variance=VARIANCE, initial={"z": 3.0})
    run = anneal(sd.Action(model, [z]), pinned, solver)
    last = (1.5 * RF + 2.0 / VARIANCE) / (RF + 1.0 / VARIANCE)
    np.testing.assert_allclose(run.best.states.values[:, 0], [3.0, last], atol=1e-8)


@pytest.mark.compiled
@pytest.mark.parametrize("scheme", ["rk4", "trapezoid", "hermite-simpson", "gauss4"])
def test_derivatives_with_a_curved_function(scheme: str) -> None:
    """Taylor slopes of the folded action; the compiled solver ends where IPOPT does."""
    u, v = sd.states("u v", start=(-1.0, 2.0))
    k, r = sd.parameter("k", bounds=(0.1, 3.0)), sd.parameter("r", bounds=(-2.0, 2.0))
    model = sd.Model({u: -k * u * v, v: sp.sin(u) - 0.3 * v})
    action = sd.Action(model, [v, u * v], scheme=scheme, initial={u: sp.exp(r) * k, v: r**2 * k})
    rng = np.random.default_rng(1)
    true = {"k": 1.2, "r": 0.4}
    _, data = sd.twin(action, parameters=true, dt=0.3, steps=6, variance=VARIANCE / 20.0, seed=1)
    problem = action.bind(data)
    at = action.compile().machine.at(problem)
    X, theta = rng.normal(size=(problem.M, 2)), np.array([0.7, 0.4])
    d = np.concatenate([rng.normal(size=problem.M * 2), rng.normal(size=2)])

    def along(e: float) -> tuple[float, np.ndarray]:
        dX, dtheta = problem.unknowns.split(e * d)
        return at.value_and_gradient(X + dX, theta + dtheta, RF)

    e = 1e-4
    gradient = along(0.0)[1]
    hessian = at.hessian(X, theta, RF)
    assert gradient @ d == pytest.approx((along(e)[0] - along(-e)[0]) / (2 * e), rel=1e-6)
    slope = (along(e)[1] - along(-e)[1]) / (2 * e)
    np.testing.assert_allclose(hessian @ d, slope, atol=1e-5 * np.abs(slope).max())
    assert not gradient[:2].any() and not abs(hessian[:2]).sum()
    run = anneal(action, data, paths=4)
    # the other solver stays where the one ended
    end = (run.best.states.values, run.best.parameters)
    again = anneal(action, data, "ipopt", start=end)
    assert str(run.dataset["message"].values[run.best.path]) == ""
    assert again.best.action == pytest.approx(run.best.action, abs=1e-8)
    np.testing.assert_allclose(again.best.states, run.best.states, atol=1e-5)


@pytest.mark.parametrize("strategy", ["window", "population"])
@pytest.mark.parametrize("start", ["uniform", "nudged"])
def test_every_strategy_and_start_respects_it(strategy: str, start: str) -> None:
    action = sd.Action(MODEL, [x], initial={x: q, y: 0.5})
    path, _, level = least_squares([0.0, 0.5], np.array([[0.0, 1.0], [0, 0]]), measured(24))
    run = anneal(action, observations(24), strategy=strategy, start=start, paths=4)
    assert run.best.action == pytest.approx(level, abs=1e-8)
    np.testing.assert_allclose(run.best.states.values, path, atol=1e-6)


@pytest.mark.compiled
def test_data_override_and_free() -> None:
    action = sd.Action(MODEL, [x], initial={x: q, y: 0.5})
    data = observations(8).with_initial({"x": 1.25, y: None})
    problem = action.bind(data)
    np.testing.assert_array_equal(problem.initial, [[1.25, np.nan]])
    assert not problem.tied.any()
    path, _, level = least_squares([1.25, np.nan], np.zeros((2, 2)), measured(8))
    run = anneal(action, action.bind(data, fixed={"q": 0.0}))
    assert run.best.action == pytest.approx(level, abs=1e-8)
    np.testing.assert_allclose(run.best.states.values, path, atol=1e-7)
    # nothing given at all is the action without
    free = anneal(
        action, action.bind(observations(8).with_initial({x: None, y: None}), fixed={"q": 0.0})
    )
    plain = anneal(sd.Action(MODEL, [x]), observations(8))
    assert free.best.action == plain.best.action


def test_a_twin_begins_where_it_is_given() -> None:
    action = sd.Action(MODEL, [x], initial={x: q**2, y: 0.5})
    truth, _ = sd.twin(action, parameters={"p": 0.1, "q": 1.5}, dt=1, steps=3, variance=1.0, seed=0)
    np.testing.assert_array_equal(truth.states.values[0], [2.25, 0.5])
    with pytest.raises(sd.OptionError, match="discard"):
        sd.twin(
            action, parameters={"p": 0.1, "q": 1.5}, dt=1, steps=3, variance=1.0, seed=0, discard=5
        )


def test_a_parameter_that_only_the_initial_state_holds_is_constrained() -> None:
    action = sd.Action(MODEL, [x], initial={x: q})
    text = str(action.check(observations(8)))
    assert "nothing constrains" not in text
    unseen = sd.state("w")
    model = sd.Model({x: 0.5 * x + p, unseen: unseen}, discrete=True)
    text = str(
        sd.Action(model, [x], initial={unseen: q}).check(
            sd.Observations(np.arange(9), measured(8), variance=VARIANCE)
        )
    )
    assert "nothing constrains the parameter q" in text


def test_what_is_read() -> None:
    action = sd.Action(MODEL, [x], initial={x: q, y: 0.5})
    text = str(action.equations())
    assert "Initial values" in text and "x[0] = q" in text and "y[0] = 0.5" in text
    assert "q" in [parameter.name for parameter in action.parameters]
    assert "Initial values" not in str(sd.Action(MODEL, [x]).equations())


def test_code_without_given_values_is_what_it_was() -> None:
    plain, given = sd.Action(MODEL, [x]), sd.Action(MODEL, [x], initial={x: 1.0})
    assert "c.given" not in plain.emitted_newton.text
    assert plain.emitted.text == given.emitted.text
    assert plain.emitted_newton.text != given.emitted_newton.text


F = sd.forcing("F")


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"z": 1.0}, sd.ModelError, "'z' is no state of the model"),
        ({x: y}, sd.ModelError, "uses 'y', a State"),
        ({x: F}, sd.ModelError, "uses 'F', a Forcing"),
        ({x: sp.Symbol("k")}, sd.ModelError, "undeclared SymPy symbol"),
        ({x: float("nan")}, sd.ModelError, "every constant must be finite"),
        ({x: 1.0, "x": 2.0}, sd.ModelError, "'x' is given twice"),
        ([1.0, 2.0], sd.ModelError, "expected a mapping of states"),
        ({x: "1.0"}, sd.ModelError, "text is never parsed"),
    ],
)
def test_what_is_no_initial_value(given, error, words: str) -> None:
    with pytest.raises(error, match=words):
        sd.Action(MODEL, [x], initial=given)


def test_numbers_with_the_data_are_checked() -> None:
    with pytest.raises(sd.DataError, match="'z' is no state of the model"):
        sd.Action(MODEL, [x]).bind(observations(3, initial={"z": 0.0}))
    with pytest.raises(sd.DataError, match="initial of Observations, 'x'"):
        observations(3, initial={"x": np.inf})
    with pytest.raises(sd.DataError, match="outside of its bounds"):
        sd.Action(MODEL.with_bounds(x=(-2.0, 2.0)), [x]).bind(observations(3, initial={x: 5.0}))


def test_a_bound_does_not_hold_a_function_and_collocation_refuses_it() -> None:
    z = sd.state("z", bounds=(-5.0, 5.0))
    model = sd.Model({z: -z})
    data = sd.Observations([0.0, 0.5, 1.0], [1.0, 0.6, 0.4], variance=0.01)
    action = sd.Action(model, [z], initial={z: q}, model_error="rate")
    with pytest.raises(sd.OptionError, match="collocation: the initial value of z is a function"):
        sd.anneal(action, data, solver="collocation", progress=False, workers=1)
    run = sd.anneal(
        sd.Action(model, [z], initial={z: 1.25}, model_error="rate"),
        data,
        solver="collocation",
        ladder=sd.Ladder(RF, 2.0, 1),
        paths=1,
        progress=False,
        workers=1,
    )
    assert run.best.states.values[0, 0] == 1.25


REACTION = """
import symda as sd

A, B = sd.states("A B", start=(0.0, 2.0))
k, A0 = sd.parameters("k A0", bounds=(0.01, 5.0))
model = sd.Model({A: -k * A, B: k * A}, name="reaction")
measured, variance, scheme = [B], 1e-4, "trapezoid"
"""


@pytest.fixture
def reaction(symda: Shell, uncompiled: None) -> Callable[..., tuple[Done, sd.Run | None]]:
    """Anneal the reaction of a file, with further lines and options."""
    times = np.linspace(0.0, 2.0, 9)
    for name, first in (("cold", 1.0), ("warm", 2.0)):
        rows = [f"{t!r},{float(first * (1 - np.exp(-0.7 * t)))!r}" for t in times.tolist()]
        symda.write(f"{name}.csv", "\n".join(["t,B", *rows]))

    def run(lines: str = "", *options: str, files: str = "cold.csv") -> tuple[Done, sd.Run | None]:
        symda.write("model.py", REACTION + lines)
        words = ("--solver=newton", "--paths=1", "--workers=1", "--output=run.nc", "--steps=8")
        done = symda("anneal", "model.py", *files.split(), *words, *options)
        return done, sd.load(symda.folder / "run.nc") if done.code == 0 else None

    return run


def first(run: sd.Run, name: str = "1") -> list[float]:
    return run.best.experiments[name].states.values[0].tolist()


def test_the_command_line_takes_initial_values(reaction) -> None:
    done, run = reaction("exact_initial = {A: A0, B: 0.0}")
    assert first(run)[1] == 0.0 and first(run)[0] == pytest.approx(run.best.parameters["A0"])
    assert run.best.parameters["k"] == pytest.approx(0.7, rel=1e-3)
    assert "initial values are estimated" not in done.err
    # numbers go before what the file says
    done, run = reaction("exact_initial = {A: A0, B: 0.0}", "--initial=A=1", "--initial=B=free")
    assert first(run)[0] == 1.0 and first(run)[1] != 0.0
    assert run.dataset.attrs["fitted"] == 3  # B, k, and A0, which nothing depends on
    done, run = reaction("", "--initial=A=1", "--initial=A[warm]=2", files="cold.csv warm.csv")
    assert (first(run, "cold")[0], first(run, "warm")[0]) == (1.0, 2.0)


def test_data_with_named_channels_free_an_initial_value() -> None:
    action = sd.Action(MODEL, [x], initial={x: 1.5, y: 0.5})
    named = sd.Observations(np.arange(3), np.ones(3), variance=1.0, channels=["x"])
    problem = action.bind(named.with_initial({"y": None}))
    assert problem.given.tolist() == [[True, False]]


def test_where_an_integration_starts_is_not_known_exactly(reaction) -> None:
    done, run = reaction("initial = {'A': 5.0, 'B': 3.0}")
    assert "initial values are estimated; `initial` of model.py is where `symda" in " ".join(
        done.err.split()
    )
    assert first(run)[1] == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("C=1", "--initial: 'C' is not a state of 'reaction', which has A, B."),
        ("A=much", "--initial A: expected a number, got 'much'."),
        ("A", "--initial: expected name=value, got 'A'."),
        ("A[warm]=1", "--initial: 'A[warm]' is of the experiment 'warm', and there is one"),
        ("A=-inf", "initial of Observations, 'A'"),
    ],
)
def test_wrong_initial_values_on_the_command_line(reaction, option: str, message: str) -> None:
    done, _ = reaction("", f"--initial={option}")
    assert done.code == 2 and message in " ".join(done.err.split())


def test_experiments_of_initial_values_are_named(reaction) -> None:
    done, _ = reaction("", "--initial=A[hot]=1", files="cold.csv warm.csv")
    assert "is of the experiment 'hot', and there are cold, warm." in " ".join(done.err.split())
    done, _ = reaction("exact_initial = {A: k * B, B: 0.0}")
    assert done.code == 2 and "uses 'B', a State" in " ".join(done.err.split())
