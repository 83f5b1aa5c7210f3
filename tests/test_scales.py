"""Parameters and states on logarithmic and logit scales: the same answers, moved otherwise."""

from __future__ import annotations

import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from cli_shell import Shell, symda

import symda as sd
from symda.errors import DataError, ModelError, OptionError
from symda.observe import Problem

__all__ = ["symda"]

RATES = {"k1": 1.5, "k2": 0.3}
BOUNDS = (1e-7, 1e7)
LADDER = sd.Ladder(rf0=1.0, alpha=8.0, rungs=10)
QUIET = {"executor": "serial", "progress": False, "paths": 1, "ladder": LADDER}


def reaction(
    scale: str | None = None,
    states: str | None = None,
    scheme: str = "trapezoid",
    **declared: object,
) -> sd.Action:
    """2 A -> B -> nothing, both measured."""
    limits = {"bounds": (0.0, 3.0)} if states == "logit" else {}
    A, B = sd.states("A B", start=(1e-3, 2.0), scale=states, **limits)
    k1, k2 = sd.parameters("k1 k2", scale=scale, **{"bounds": BOUNDS, **declared})
    model = sd.Model({A: -k1 * A**2, B: k1 * A**2 - k2 * B}, name="reaction")
    return sd.Action(model, [A, B], scheme=scheme)


def reaction_data(variance: float = 1e-4) -> sd.Observations:
    initial = {"A": 1.0, "B": 0.4}
    options = {"parameters": RATES, "initial": initial, "dt": 0.1, "steps": 30, "seed": 1}
    return sd.twin(reaction(), variance=variance, **options)[1]


@pytest.mark.parametrize("scale", ["log", "logit"])
@pytest.mark.parametrize("discrete", [False, True])
def test_the_rate_is_that_of_the_logarithm_or_logit(scale: str, discrete: bool) -> None:
    """By SymPy: the total derivative of z(x(t)), and its derivatives by z and by log k."""
    x = sd.state("x", bounds=(0.5, 4.0), scale=scale)
    k = sd.parameter("k", scale="log")
    model = sd.Model({x: x + k * x * (3 - x)}, name="m", discrete=discrete)
    field = sd.Action(model, {"y": k * x**2}).field
    z, c, X = sp.symbols("z c X", real=True)
    to = sp.log(X) if scale == "log" else sp.log((X - sp.Rational(1, 2)) / (4 - X))
    back = sp.exp(z) if scale == "log" else (sp.Rational(1, 2) + 4 * sp.exp(z)) / (1 + sp.exp(z))
    F = X + sp.exp(c) * X * (3 - X)
    rate = (to.subs(X, F) if discrete else sp.diff(to, X) * F).subs(X, back)
    at = {z: sp.Rational(-3, 10), c: sp.Rational(-6, 5)}
    arguments = [float(at[z]), [], float(at[c]), 0.0]
    slopes = [sp.diff(rate, s) for s in (z, c)]
    value, jacobian = field.field_jacobian(*arguments)
    assert float(value) == pytest.approx(float(rate.subs(at)), rel=1e-14)
    wanted = [float(s.subs(at)) for s in slopes]
    assert jacobian.full().ravel() == pytest.approx(wanted, rel=1e-13)
    curvature = field.field_curvature(*arguments, 1.0).full()
    second = [[float(sp.diff(s, q).subs(at)) for q in (z, c)] for s in slopes]
    assert curvature == pytest.approx(np.tril(second), rel=1e-12, abs=1e-14)
    measured = (sp.exp(c) * back**2).subs(at)
    assert float(field.measure(arguments[0], arguments[2])) == pytest.approx(float(measured))


@pytest.mark.parametrize("solver", ["newton", "ipopt", "lbfgs"])
def test_the_minimum_is_the_natural_one_from_five_decades_off(
    solver: str, uncompiled: None
) -> None:
    data = reaction_data()
    plain = sd.anneal(reaction(), data, start=_start(RATES), solver=solver, **QUIET)
    bar = reaction().posterior(plain, data).table()
    # a logit between narrow bounds is far from its middle by as many decades of its distance
    for scale, bounds in (("log", BOUNDS), ("logit", (0.0, 10.0))):
        action = reaction(scale, bounds=bounds)
        for off in (1e-5, 1e5):
            starts = {name: value * off for name, value in RATES.items()}
            if scale == "logit":
                starts = {name: min(value * off, 10.0 - 1e-4) for name, value in RATES.items()}
            run = sd.anneal(action, data, start=_start(starts), solver=solver, **QUIET)
            assert run.best.action == pytest.approx(plain.best.action, rel=1e-7)
            for name, value in plain.best.parameters.items():
                assert run.best.parameters[name] == pytest.approx(value, rel=1e-5)
            assert run.best.states.values == pytest.approx(plain.best.states.values, rel=1e-5)
            table = action.posterior(run, data).table()
            assert table["sd"].to_numpy() == pytest.approx(bar["sd"].to_numpy(), rel=1e-4)


def _start(rates: dict[str, float]) -> object:
    def start(problem: Problem, rng: np.random.Generator) -> tuple[np.ndarray, list[float]]:
        data = reaction_data()
        columns = [np.interp(problem.times, data.times, y) for y in data.values.T]
        return np.clip(np.column_stack(columns), 1e-3, 2.0), [*rates.values()]

    return start


@pytest.fixture(scope="module")
def found() -> tuple[sd.Action, sd.Observations, sd.Run]:
    """Positive states and rates, from drawn starts."""
    action, data = reaction("log", "log", "gauss4", start=(0.05, 5.0)), reaction_data()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("SYMDA_CC", "none")
        warnings.simplefilter("ignore")
        options = {**QUIET, "paths": 3, "ladder": sd.Ladder(1.0, 8.0, 13), "keep": "all"}
        run = sd.anneal(action, data, solver="newton", **options)
        return action, data, run


def test_positive_states_give_the_answer_of_plain_ones(found, uncompiled: None) -> None:
    """Without errors of the model or the scheme both are least squares of the exact solution."""
    _, data, run = found
    plain = reaction(scheme="gauss4")
    options = {**QUIET, "ladder": sd.Ladder(1.0, 8.0, 13)}
    other = sd.anneal(plain, data, solver="newton", start=_start(RATES), **options)
    assert run.best.action == pytest.approx(other.best.action, rel=1e-4)
    for name, value in other.best.parameters.items():
        assert run.best.parameters[name] == pytest.approx(value, rel=1e-4)
    nodes = slice(None, None, 3)
    wanted = other.best.states.values[nodes]
    assert run.best.states.values[nodes] == pytest.approx(wanted, rel=1e-4)
    every = run.dataset["states_by_beta"].values
    assert (every[np.isfinite(every)] > 0.0).all()


def test_starts_are_drawn_over_all_decades() -> None:
    """Uniform in the logarithm: a fifth of them for each fifth of its range."""
    from symda.anneal.starts import Draw

    problem = reaction("log", bounds=(1e-5, 1e5)).bind(reaction_data())
    draws = np.array([Draw(problem, number=k).parameters() for k in range(2000)])
    decades = problem.natural(problem.state_start[:, 0], draws)[1]
    share, _ = np.histogram(np.log10(decades), bins=5, range=(-5.0, 5.0))
    assert share == pytest.approx(np.full(5, 800), rel=0.15)


def test_a_logit_starts_anywhere_between_but_the_last_hundredths() -> None:
    from symda.anneal.starts import Draw

    problem = reaction("logit", bounds=(2.0, 12.0)).bind(reaction_data())
    draws = np.array([Draw(problem, number=k).parameters() for k in range(500)])
    values = problem.natural(problem.state_start[:, 0], draws)[1]
    assert 2.1 < values.min() < 2.3 and 11.7 < values.max() < 11.9
    assert problem.limits[2].tolist() == [2.0, 12.0]


def test_the_posterior_has_an_interval_of_factors(found, uncompiled: None) -> None:
    action, data, run = found
    posterior = action.posterior(run, data)
    for name, (low, high) in posterior.interval(0.9).items():
        value, sd_ = run.best.parameters[name], posterior.sd[name]
        assert low * high == pytest.approx(value**2, rel=1e-12)
        # 1.6449 standard deviations of a normal distribution hold 90 %
        assert np.log(high / value) == pytest.approx(1.6448536 * sd_ / value, rel=1e-6)
    table = posterior.table()
    assert table["low"].to_numpy() == pytest.approx([i[0] for i in posterior.interval().values()])
    with pytest.raises(OptionError, match=r"interval: share"):
        posterior.interval(95)


def test_arrays_runs_and_functions_are_starts_in_natural_values(found, uncompiled: None) -> None:
    action, data, run = found
    path, theta = run.best.states.values, run.best.parameters
    last = sd.Ladder(8.0**12, rungs=1)
    starts = (run, (path, theta), lambda problem, rng: (path, [*theta.values()]))
    options = {**QUIET, "ladder": last, "solver": "newton"}
    for start in starts:
        again = sd.anneal(action, data, start=start, **options)
        assert again.best.action == pytest.approx(run.best.action, rel=1e-9)
        assert int(again.dataset["iterations"].sum()) <= 2


def test_kernels_take_natural_values(found, uncompiled: None) -> None:
    action, data, run = found
    kernels = action.compile()
    path, theta = run.best.states.values, run.best.parameters
    assert kernels.action(path, theta, 8.0**12, data) == pytest.approx(run.best.action, rel=1e-9)
    # the gradient is by the logarithms: d/dlog k by a difference of factors
    other = {name: 1.3 * value for name, value in theta.items()}
    slope = kernels.gradient(path, other, 10.0, data)[-2]
    step = 1e-6
    up, down = (
        kernels.action(path, {**other, "k1": other["k1"] * np.exp(s)}, 10.0, data)
        for s in (step, -step)
    )
    assert slope == pytest.approx((up - down) / (2 * step), rel=1e-6)


def test_a_saved_run_and_its_report_hold_natural_values(found, tmp_path) -> None:
    action, _, run = found
    loaded = sd.load(run.save(tmp_path / "run.nc"))
    assert loaded.best.parameters == run.best.parameters
    assert loaded.dataset["parameter_scale"].values.tolist() == ["log", "log"]
    assert loaded.plot_parameters().axes[0].get_yscale() == "log"
    page = run.report(tmp_path / "run.md", action=action).read_text()
    assert f"{run.best.parameters['k1']:.4g}" in page
    assert "logarithm" in page


def test_back_propagation_is_by_natural_values(uncompiled: None) -> None:
    action, data = reaction("log", "log"), reaction_data()
    initial, rates = {"A": 1.1, "B": 0.35}, {"k1": 1.2, "k2": 0.5}

    def loss(initial: dict[str, float], rates: dict[str, float]) -> float:
        return action.backpropagate(data, initial=initial, parameters=rates).loss

    found = action.backpropagate(data, initial=initial, parameters=rates)
    assert found.states.values[0] == pytest.approx([1.1, 0.35], rel=1e-12)
    h = 1e-6
    for name in rates:
        slope = loss(initial, {**rates, name: rates[name] + h})
        slope -= loss(initial, {**rates, name: rates[name] - h})
        assert found.by_parameters[name] == pytest.approx(slope / (2 * h), rel=1e-5)
    for name in initial:
        slope = loss({**initial, name: initial[name] + h}, rates)
        slope -= loss({**initial, name: initial[name] - h}, rates)
        assert float(found.by_initial.sel(state=name)) == pytest.approx(slope / (2 * h), rel=1e-5)
    with pytest.raises(DataError, match=r"'A' has a value without a logarithm"):
        loss({**initial, "A": 0.0}, rates)


def test_a_parameter_each_step_and_one_of_the_measurement_have_scales(uncompiled: None) -> None:
    """A map x' = w x with a rate of its own each step, seen through a gain: exact fits."""
    x = sd.state("x", start=(0.1, 10.0), scale="log")
    w = sd.parameter("w", per="step", start=(0.01, 10.0), scale="log", process_variance=0.01)
    gain = sd.parameter("gain", bounds=(0.5, 4.0), scale="logit")
    model = sd.Model({x: w * x}, name="growth", discrete=True)
    action = sd.Action(model, {"x": x, "y": gain * x})
    n = np.arange(12)
    path = 0.5 * np.cumprod(np.r_[1.0, np.full(11, 1.2)])
    data = sd.Observations(n, np.column_stack([path, 3.0 * path]), variance=1e-4)
    run = sd.anneal(action, data, solver="newton", **{**QUIET, "paths": 3})
    assert run.best.action < 1e-6
    assert run.best.parameters["gain"] == pytest.approx(3.0, rel=1e-5)
    found = run.best.states.sel(state="w").values
    assert found[:-1] == pytest.approx(np.full(11, 1.2), rel=1e-4)


def test_data_below_zero_are_fitted_but_no_start(uncompiled: None) -> None:
    """Noise takes some below 0; starts leave those out, the action does not."""
    from symda.anneal.starts import Draw

    x = sd.state("x", scale="log")
    k = sd.parameter("k", start=(0.1, 10.0), scale="log")
    action = sd.Action(sd.Model({x: -k * x}, name="decay"), [x], scheme="trapezoid")
    times = np.linspace(0.0, 6.0, 61)
    noise = 0.05 * np.random.default_rng(3).standard_normal(61)
    values = np.exp(-times) + noise
    assert (values < 0.0).sum() > 5
    data = sd.Observations(times, values, variance=0.05**2)
    problem = action.bind(data)
    assert np.isfinite(Draw(problem).path()).all()
    assert problem.data_count == 61
    run = sd.anneal(action, data, solver="newton", **{**QUIET, "paths": 2})
    from scipy.optimize import least_squares

    least = least_squares(lambda p: (p[0] * np.exp(-p[1] * times) - values) / 0.05, [1.0, 1.0])
    assert run.best.parameters["k"] == pytest.approx(least.x[1], rel=2e-3)
    assert run.best.action == pytest.approx(least.cost, rel=1e-3)


@pytest.mark.parametrize(("truth", "side"), [(-0.2, "lower"), (1.4, "upper")])
def test_the_verdict_says_when_a_logit_runs_against_a_bound(
    truth: float, side: str, uncompiled: None
) -> None:
    x = sd.state("x", start=(-5.0, 5.0))
    k = sd.parameter("k", bounds=(0.0, 1.0), scale="logit")
    action = sd.Action(sd.Model({x: -k * x}, name="decay"), [x], scheme="trapezoid")
    times = np.linspace(0.0, 2.0, 21)
    noise = 0.01 * np.random.default_rng(0).standard_normal(21)
    data = sd.Observations(times, np.exp(-truth * times) + noise, variance=1e-4)
    run = sd.anneal(action, data, solver="newton", **{**QUIET, "paths": 2})
    near = 0.0 if side == "lower" else 1.0
    assert run.best.parameters["k"] == pytest.approx(near, abs=1e-4)
    bounds = next(f for f in run.verdict().findings if f.about == "bounds")
    assert bounds.holds is False and "the parameter k" in bounds.text
    table = action.posterior(run, data).table()
    assert bool(table["at_bound"]["k"]) and np.isnan(table["sd"]["k"])


def test_the_verdict_says_when_a_logarithm_runs_away(uncompiled: None) -> None:
    """The data want a rate below 0, which has no logarithm: it tends to 0 without an end."""
    x = sd.state("x", start=(-5.0, 5.0))
    k = sd.parameter("k", start=(0.1, 10.0), scale="log")
    action = sd.Action(sd.Model({x: -k * x}, name="decay"), [x], scheme="trapezoid")
    times = np.linspace(0.0, 2.0, 21)
    noise = 0.01 * np.random.default_rng(0).standard_normal(21)
    data = sd.Observations(times, np.exp(0.2 * times) + noise, variance=1e-4)
    run = sd.anneal(action, data, solver="newton", **{**QUIET, "paths": 2})
    assert run.best.parameters["k"] < 1e-4
    determined = next(f for f in run.verdict().findings if f.about == "determined")
    assert determined.holds is False and "k" in determined.text


WRONG = {
    "scale='log': 0 has no logarithm": lambda: sd.parameter("k", bounds=(0.0, 1.0), scale="log"),
    "scale='log': -1 has no": lambda: sd.parameter("k", bounds=(-1.0, 1.0), scale="log"),
    "bounds = (-inf, 0.0) and scale='log'": lambda: sd.state(
        "x", bounds=(-np.inf, 0.0), scale="log"
    ),
    "start = (0.0, 2.0) and scale='log'": lambda: sd.state("x", start=(0, 2), scale="log"),
    "value = 0.0 and scale='log'": lambda: sd.parameter("k", value=0.0, scale="log"),
    "needs two finite bounds": lambda: sd.parameter("k", bounds=(0, np.inf), scale="logit"),
    "value = 1.0 and scale='logit': 1 is a bound": lambda: sd.parameter(
        "k", value=1.0, bounds=(0, 1), scale="logit"
    ),
    "start = (0.0, 0.5) and scale='logit': 0 is a bound": lambda: sd.parameter(
        "k", start=(0.0, 0.5), bounds=(0, 1), scale="logit"
    ),
    "got 'lg'. Did you mean 'log'?": lambda: sd.parameter("k", scale="lg"),
    "got 3": lambda: sd.states("x y", scale=3),
    "typical = 2.0 has no effect with scale='log'": lambda: sd.parameter(
        "k", typical=2.0, scale="log"
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_what_has_no_place_on_a_scale_is_refused(message: str) -> None:
    with pytest.raises(ModelError) as error:
        WRONG[message]()
    assert message in str(error.value)


def test_what_has_no_place_is_refused_where_it_is_given() -> None:
    action, data = reaction("log", "log", bounds=(1e-9, 1e9)), reaction_data()
    logit = reaction("logit", bounds=(0.0, 10.0))
    assert action.bind(data, fixed={"k1": 2.0}).fixed[0] == pytest.approx(np.log(2.0))
    with pytest.raises(OptionError, match=r"fixed\['k1'\]: 10.0 has no logit between its bounds"):
        logit.bind(data, fixed={"k1": 10.0})
    path = np.ones((31, 2))
    path[3, 1] = 0.0
    wanted = r"state 'B' at 0 at time 0\.3 of path 0, which has no logarithm \(scale='log'\)"
    with pytest.raises(OptionError, match=wanted):
        sd.anneal(action, data, start=path, **QUIET)
    with pytest.raises(OptionError, match=r"parameter 'k2' at 10 in path 0, which has no logit"):
        sd.anneal(logit, data, start=(np.ones((31, 2)), [1.0, 10.0]), **QUIET)
    i = sd.site("i", 300)
    u = sd.states("u", i, start=(0.1, 1.0), scale="log")
    lattice = sd.Model({u[i]: u[i + 1] - u[i]}, name="line")
    with pytest.raises(OptionError, match=r"'u0' has scale='log', which an action without matr"):
        sd.Action(lattice, [u[0]])
    q, p = sd.states("q p", start=(0.1, 1.0), scale="log")
    mass = sd.Model.from_hamiltonian(p**2 / 2 + q**2 / 2, q, p, name="spring")
    with pytest.raises(OptionError, match=r"'q' has a scale, so that its rate depends on both"):
        sd.Action(mass, [q], scheme="verlet")
    with pytest.raises(DataError, match=r"no datum within its bounds has a logarithm"):
        x = sd.state("x", scale="log")
        model = sd.Model({x: -x}, name="d")
        sd.Action(model, [x]).bind(sd.Observations([0.0, 1.0], [-1.0, -2.0], variance=1.0))


def test_a_model_takes_another_scale_by_name() -> None:
    action = reaction()
    model = action.model.with_scale(k1="log", k2="log").with_scale({"k2": None})
    declared = [model.declarations[model[name]].scale for name in ("k1", "k2")]
    assert declared == ["log", None]
    assert "scale=log" in sd.parameter("k", scale="log").words
    assert sd.parameter("k", scale="log") != sd.parameter("k")


def test_equations_say_what_is_on_which_scale() -> None:
    text = " ".join(str(reaction("log", "log").equations()).split())
    assert "moves the logarithm of the states A, B and the parameters k1, k2" in text
    assert "a model error is a share of the state" in text
    assert "moves the logit of the parameters k1, k2" in " ".join(
        str(reaction("logit").equations()).split()
    )
    assert "logarithm" not in str(reaction().equations())
    assert "x = (log(A), log(B))" in text and "F[log(A)] = -k1" in text


@pytest.mark.parametrize("discrete", [False, True])
def test_equations_have_what_is_stepped(discrete: bool) -> None:
    """F and its derivatives in the text are those of the machine, by what solvers move."""
    from symda.typeset.coordinates import first, second
    from symda.typeset.sections import Subject

    u = sd.state("u", start=(0.5, 2.0), scale="log")
    q = sd.state("q", bounds=(-1.0, 3.0), scale="logit")
    z, a = sd.state("z"), sd.parameter("a", start=(0.1, 2.0))
    equations = {u: a * u / (1 + z**2) + 2, q: a + 0.2 * q * u, z: z * u + q**2}
    action = sd.Action(sd.Model(equations, discrete=discrete), [u, q, z], scheme=None)
    text = str(action.equations())
    assert "x = (log(u), log((q + 1.0)/(3.0 - q)), z)" in text
    letter = "f" if discrete else "F"
    assert f"{letter}[log(u)] = " in text and f"d{letter}[logit(q)]/dlog(u) = " in text
    model, field = action.model, action.field
    subject = Subject(model, action.measurement, action.scheme, "step", "sum")
    values = {u: 0.7, q: 0.4, z: -0.3, a: 1.3}
    place = [np.log(0.7), np.log(1.4 / 2.6), -0.3]
    F, J = field.field_jacobian(place, [], [1.3], 0.0)
    C = field.field_curvature(place, [], [1.3], 0.0, [1.0, 1.0, 1.0])
    mine = [float(f.subs(values)) for f in subject.rates]
    np.testing.assert_allclose(mine, np.array(F).ravel(), rtol=1e-13)
    jacobian, curvature = np.zeros((3, 4)), np.zeros((4, 4))
    for (i, j), value in first(subject.rates, subject.moved).items():
        jacobian[i, j] = value.subs(values)
    for (_, j, k), value in second(subject.rates, subject.moved).items():
        curvature[k, j] += value.subs(values)
    np.testing.assert_allclose(jacobian, np.array(J), atol=1e-13)
    np.testing.assert_allclose(curvature, np.array(C), atol=1e-12)


@pytest.mark.smoke
def test_the_example_finds_rates_in_ten_decades(tmp_path, capsys) -> None:
    script = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "scales.py"))
    action, data, run = script["estimate"]()
    known = script["main"].__globals__
    known["estimate"] = lambda: (action, data, run)
    script["main"](tmp_path)
    assert run.verdict().consistent
    for name, (low, high) in action.posterior(run, data, steps=6).interval(0.99).items():
        assert low < script["TRUE"][name] < high
    assert "a factor of 1." in capsys.readouterr().out
    assert {p.name for p in tmp_path.iterdir()} == {"scales_levels.png", "scales_states.png"}


MODEL = """
import symda as sd

x = sd.state("x", start=(0.1, 2.0), scale="log")
k = sd.parameter("k", bounds=(1e-6, 1e6), scale="log")
model = sd.Model({x: -k * x}, name="decay")
measured, variance, scheme = [x], 1e-4, "trapezoid"
"""


def test_the_command_line_takes_and_shows_values(symda: Shell, uncompiled: None) -> None:
    rows = [f"{0.1 * n!r},{float(np.exp(-0.05 * n))!r}" for n in range(11)]
    model, data = symda.write("model.py", MODEL), symda.write("data.csv", "t,x\n" + "\n".join(rows))
    words = ("--solver=newton", "--paths=2", "--workers=1", "--output=run.nc")
    done = symda("anneal", model, data, "--fix=k=0.5", *words)
    assert done.code == 0, done.err
    assert sd.load("run.nc").best.parameters == {"k": 0.5}
    done = symda("anneal", model, data, *words)
    assert sd.load("run.nc").best.parameters["k"] == pytest.approx(0.5, rel=1e-3)
    refused = symda("anneal", model, data, "--fix=k=-1", *words)
    assert refused.code != 0 and "within the bounds (1e-06, 1000000.0), got -1" in refused.err
