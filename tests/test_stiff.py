"""Stiff models in the action: what Radau IIA damps, and what is said where a scheme does not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import boehm
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

import symda as sd
from symda.analyse import assessment
from symda.analyse.scheme_error import polynomial_forcing, scheme_error
from symda.analyse.stiffness import fastest_decay
from symda.api import ProblemWarning
from symda.types import FloatArray

QUIET = {"progress": False, "workers": 1}
RADAU = pytest.mark.parametrize("scheme", ["radau3", "radau5"])


@pytest.fixture(autouse=True)
def quiet(uncompiled: None) -> Iterator[None]:
    """Without a compiler: speed is not the point."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ProblemWarning)
        yield


def test_which_schemes_damp() -> None:
    damp = {name for name, scheme in sd.SCHEMES.items() if scheme.damps}
    assert damp == {"radau3", "radau5"}
    x = sd.state("x")
    for A, b, damps in (
        ([[1]], [1], True),  # Euler's implicit method
        ([["3/5"]], [1], False),  # R -> 1 - 1/theta = -2/3
        ([["1 - sqrt(2)/2", 0], ["sqrt(2)/2", "1 - sqrt(2)/2"]], None, True),  # Alexander's
    ):
        own = sd.Tableau("own", A=A, b=b or A[-1])
        assert sd.Action(sd.Model({x: -x}), [x], scheme=own).scheme.damps is damps


# --- the word -------------------------------------------------------------------------------------


def chain(scheme: str, rate: float, size: float = 1.0) -> tuple[sd.Action, sd.Problem]:
    """x -> y -> z, of which y decays at `rate`; and an oscillation as fast, which is no decay."""
    x, y, z, p, q = sd.states("x y z p q", start=(0.0, 2.0 * size))
    model = sd.Model(
        {x: -x, y: x - rate * y, z: rate * y - 0.1 * z, p: 1e4 * q, q: -1e4 * p}, name="chain"
    )
    action = sd.Action(model, [x, z, p], scheme=scheme)
    return action, action.bind(sd.Observations([0.0, 0.1, 0.3], np.ones((3, 3)), variance=1.0))


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_the_fastest_decay_is_found_whatever_the_units(size: float) -> None:
    action, problem = chain("trapezoid", 1e3, size)
    path = size * np.array([1.0, 1e-3, 0.5, 0.1, 0.1]) * np.ones((3, 1))
    found = fastest_decay(problem, action.field.field_jacobian, path, np.empty(0))
    assert found is not None
    assert found.rate == pytest.approx(1e3, rel=1e-9)
    assert found.reach == pytest.approx(200.0, rel=1e-9)  # of the longer step
    assert found.states == ("y",) and found.time in (pytest.approx(0.1), pytest.approx(0.3))


def test_none_is_too_fast_below_ten() -> None:
    for rate, said in ((49.0, False), (51.0, True)):
        action, problem = chain("trapezoid", rate)
        path = np.ones((3, 5))
        found = fastest_decay(problem, action.field.field_jacobian, path, np.empty(0))
        assert (found is not None) is said


def test_the_decay_may_depend_on_the_state_and_the_experiment() -> None:
    x, y, k = *sd.states("x y"), sd.parameter("k", bounds=(0.0, 1e6), per="experiment")
    model = sd.Model({x: -x, y: -k * x**2 * y}, name="varying")
    action = sd.Action(model, [x], scheme="midpoint")
    one = sd.Observations([0.0, 1.0, 2.0], np.ones((3, 1)), variance=1.0)
    problem = action.bind({"slow": one, "fast": one})
    path = np.ones((6, 2))
    path[4, 0] = 3.0
    found = fastest_decay(problem, action.field.field_jacobian, path, np.array([1.0, 100.0]))
    assert found is not None
    assert (found.experiment, found.time, found.states) == ("fast", 1.0, ("y",))
    assert found.rate == pytest.approx(900.0)


# --- a slow component and one that follows it, exactly --------------------------------------------

FAST, SHARE, SD = 1e5, 2.0, 0.05
TIMES = np.linspace(0.0, 4.0, 41)


def slaved(k: float, x0: float) -> FloatArray:
    """x' = -k x and z' = 1e5 (2 x - z) from z = 0, solved by hand."""
    x, follows = x0 * np.exp(-k * TIMES), SHARE * FAST / (FAST - k)
    return np.stack([x, follows * (x - x0 * np.exp(-FAST * TIMES))], axis=1)


def slaved_data() -> FloatArray:
    y = slaved(0.7, 3.0) + SD * np.random.default_rng(0).normal(size=(TIMES.size, 2))
    y[0] = np.nan
    return y


def anneal_slaved(
    scheme: str, solver: str, rungs: int, rf0: float = 1e2, fast: float = FAST
) -> sd.Run:
    x, z = sd.states("x z", bounds=(-10.0, 10.0))
    k = sd.parameter("k", bounds=(0.1, 3.0))
    model = sd.Model({x: -k * x, z: fast * (SHARE * x - z)}, name="slaved")
    action = sd.Action(model, [x, z], scheme=scheme, initial={z: 0.0})
    data = sd.Observations(TIMES, slaved_data(), variance=SD**2)
    ladder = sd.Ladder(rf0, alpha=10.0, rungs=rungs)
    serial = {} if solver == "newton" else {"executor": "serial"}
    return sd.anneal(action, data, ladder=ladder, paths=2, solver=solver, **serial, **QUIET)


def least_squares_of_slaved() -> tuple[FloatArray, float, float]:
    """Return k and x0, the standard deviation of k, half the sum of squares."""
    y = slaved_data()
    fit = least_squares(lambda p: ((slaved(*p) - y) / SD)[1:].ravel(), [0.7, 3.0])
    return fit.x, float(np.sqrt(np.linalg.inv(fit.jac.T @ fit.jac)[0, 0])), float(fit.cost)


@RADAU
def test_radau_fits_what_follows_fast_and_newton_takes_few_steps(scheme: str) -> None:
    (k, x0), sd_of_k, cost = least_squares_of_slaved()
    run = anneal_slaved(scheme, "newton", 3, rf0=1e5)
    # radau3 has an error of its own at this step
    assert float(run.levels[0, -1]) == pytest.approx(cost, abs=0.03 if scheme == "radau3" else 0.01)
    assert run.best.parameters["k"] == pytest.approx(k, abs=0.02 * sd_of_k)
    np.testing.assert_allclose(run.best.states.values[:: run.best.states.sizes["time"] // 40][1:],
                               slaved(k, x0)[1:], atol=0.005)  # fmt: skip
    assert run.dataset["iterations"].max() <= 20
    findings = {f.about: f for f in run.verdict().findings}
    assert "stiff" not in findings and findings["scheme"].holds is True


@RADAU
def test_all_solvers_descend_one_stiff_action(scheme: str) -> None:
    newton = anneal_slaved(scheme, "newton", 4)
    ipopt = anneal_slaved(scheme, "ipopt", 4)
    np.testing.assert_allclose(ipopt.levels, newton.levels, rtol=1e-6)
    # without second derivatives it takes thousands of iterations for h times the rate = 100
    newton, lbfgs = (anneal_slaved(scheme, one, 2, fast=200.0) for one in ("newton", "lbfgs"))
    np.testing.assert_allclose(lbfgs.levels, newton.levels, rtol=1e-4)


@pytest.mark.parametrize("scheme", ["trapezoid", "hermite-simpson", "gauss4"])
def test_a_scheme_that_does_not_damp_says_so(scheme: str) -> None:
    """z is thrown from side to side of what it should follow."""
    _, _, cost = least_squares_of_slaved()
    with pytest.warns(ProblemWarning, match="h times the fastest rate of decay is 1e") as said:
        run = anneal_slaved(scheme, "newton", 3, rf0=1e4)
    (one,) = [warning for warning in said if warning.category is ProblemWarning]
    assert one.filename == __file__
    text = str(one.message)
    assert "1e+04 (z at t = " in text and f"{scheme!r} does not damp" in text
    assert "take scheme='radau3' or 'radau5'" in text and "max_step" not in text
    assert float(run.levels[0, -1]) > 100 * cost
    finding = next(f for f in run.verdict().findings if f.about == "stiff")
    assert finding.holds is None and finding.text in text


def test_shorter_steps_are_a_remedy_where_they_are_not_too_many(tmp_path) -> None:
    x, z = sd.states("x z", bounds=(-10.0, 10.0))
    model = sd.Model({x: -x, z: 500.0 * (2 * x - z)}, name="slaved")
    data = sd.Observations(TIMES, np.exp(-TIMES)[:, None] * [1.0, 2.0], variance=1e-4)
    action = sd.Action(model, [x, z], scheme="trapezoid", initial={z: 0.0})
    with pytest.warns(ProblemWarning, match=r"or max_step=0\.018\."):
        run = sd.anneal(action, data, paths=2, ladder=sd.Ladder(1.0, 8.0, 4), **QUIET)
    run.save(tmp_path / "run.nc")
    assert str(sd.load(tmp_path / "run.nc").verdict()) == str(run.verdict())
    sd.anneal(action, data, paths=2, ladder=sd.Ladder(1.0, 8.0, 4), max_step=0.018, **QUIET)


def stiff_decay(scheme: str, paths: int = 2) -> sd.Run:
    """z follows x within 1e-5; only x is measured."""
    t = np.linspace(0.0, 5.0, 51)
    y = np.exp(-t) + 0.01 * np.random.default_rng(0).normal(size=51)
    x, z = sd.states("x z", bounds=(-5.0, 20.0))
    k = sd.parameter("k", bounds=(0.0, 10.0))
    model = sd.Model({x: -k * z, z: 1e5 * (x - z)}, name="stiff")
    action = sd.Action(model, [x], scheme=scheme)
    data = sd.Observations(t, y, variance=1e-4)
    run = sd.anneal(
        action, data, paths=paths, ladder=sd.Ladder(1e5, 10.0, 4), solver="newton", **QUIET
    )
    fit = least_squares(lambda p: (p[0] * np.exp(-p[1] * t) - y) / 0.01, [1.0, 1.0])
    sd_of_k = float(np.sqrt(np.linalg.inv(fit.jac.T @ fit.jac)[1, 1]))
    assert run.best.parameters["k"] == pytest.approx(fit.x[1], abs=0.2 * sd_of_k)
    return run


def test_a_fit_of_which_an_unseen_stiff_state_is_thrown_from_side_to_side() -> None:
    """The trapezoid fits x and finds k; z, which nothing measures, turns its sign at every step."""
    with pytest.warns(ProblemWarning, match="h times the fastest rate"):
        run = stiff_decay("trapezoid", paths=1)
    apart = np.diff(run.best.states.values, axis=1)[:, 0]
    assert (np.abs(apart) > 1.0).all() and (apart[1:] * apart[:-1] < 0.0).all()
    assert run.verdict().mood == "bad"
    finding = next(f for f in run.verdict().findings if f.about == "scheme")
    assert finding.holds is False and "take scheme='radau3' or 'radau5'" in finding.text


@RADAU
def test_a_stiff_equation_by_a_scheme_that_damps(scheme: str) -> None:
    run = stiff_decay(scheme)
    # but for the first state of z, which nothing tells and a step damps
    np.testing.assert_allclose(np.diff(run.best.states.values, axis=1)[6:], 0.0, atol=1e-4)
    # of error bars at infinite Rf rounding leaves about a hundredth, which is the limit
    others = [f for f in run.verdict().findings if f.about != "solution"]
    assert all(f.holds for f in others), run.verdict().lines()


# --- chemistry ------------------------------------------------------------------------------------


def test_robertson_s_rates_are_those_of_least_squares() -> None:
    """Six decades of time, rates of 0.04 to 3e7: two of them from two species."""
    a, b, c = sd.states("a b c", bounds=(0.0, 1.0))
    slow = sd.parameter("slow", bounds=(1e-4, 1e2), scale="log")
    back = sd.parameter("back", bounds=(1e1, 1e7), scale="log")
    model = sd.Model(
        {a: -slow * a + back * b * c, b: slow * a - back * b * c - 3e7 * b**2, c: 3e7 * b**2},
        name="robertson",
    )
    times = np.concatenate([[0.0], np.geomspace(0.1, 1e4, 26)])

    def solved(p: FloatArray) -> FloatArray:
        k, m = np.exp(p)

        def F(_: float, x: FloatArray) -> list[float]:
            return [
                -k * x[0] + m * x[1] * x[2],
                k * x[0] - m * x[1] * x[2] - 3e7 * x[1] ** 2,
                3e7 * x[1] ** 2,
            ]

        found = solve_ivp(F, (0.0, 1e4), [1.0, 0.0, 0.0], "Radau", times, rtol=1e-7, atol=1e-11)
        return np.asarray(found.y.T[:, [0, 2]])

    true = np.log([0.04, 1e4])
    y = solved(true) + 0.01 * np.random.default_rng(1).normal(size=(times.size, 2))
    fit = least_squares(lambda p: ((solved(p) - y) / 0.01).ravel(), true, diff_step=1e-4)
    action = sd.Action(model, [a, c], scheme="radau5", initial={a: 1.0, b: 0.0, c: 0.0})
    data = sd.Observations(times, y, variance=1e-4)
    grid = action.bind(data).times
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = sd.simulate(model, grid, [1.0, 0.0, 0.0], parameters={"slow": 0.02, "back": 2e4})
    run = sd.anneal(
        action,
        data,
        paths=1,
        ladder=sd.Ladder(rf0=1e6, alpha=10.0, rungs=4),
        start=(np.clip(start.states.values, 0.0, 1.0), {"slow": 0.02, "back": 2e4}),
        solver="newton",
        **QUIET,
    )
    sds = np.sqrt(np.diag(np.linalg.inv(fit.jac.T @ fit.jac)))
    found = np.log([run.best.parameters["slow"], run.best.parameters["back"]])
    np.testing.assert_allclose((found - fit.x) / sds, 0.0, atol=0.05)
    assert run.best.action == pytest.approx(fit.cost, rel=0.01)


def from_the_optimum(scheme: str, solver: str) -> sd.Run:
    action, data = boehm.action(scheme), boehm.data()
    grid = action.bind(data).times
    path = sd.simulate(action.model, grid, boehm.INITIAL, parameters=boehm.OPTIMUM, method="Radau")
    return sd.anneal(
        action,
        data,
        paths=1,
        ladder=sd.Ladder(rf0=30.0, alpha=10.0, rungs=4),
        start=(np.maximum(path.states.values, 0.0), boehm.OPTIMUM),
        solver=solver,
        executor="serial",
        progress=False,
    )


@pytest.mark.parametrize("solver", ["newton", "ipopt"])
@pytest.mark.parametrize(("scheme", "own"), [("radau3", 1.3), ("radau5", 0.05)])
def test_a_ladder_from_boehm_s_optimum_stays_there(scheme: str, own: float, solver: str) -> None:
    """Of two steps of 2.5 min, h times 2.4e5, to eight of 40 min, at data only."""
    run = from_the_optimum(scheme, solver)
    last = run.dataset.isel(path=0, beta=-1)
    assert float(last["model_term"]) < 0.1
    assert float(last["action"]) == pytest.approx(boehm.MISFIT, abs=own)
    for name, value in boehm.OPTIMUM.items():
        # what the data tell of import_homo is only that it is large
        within = 0.1 if name != "import_homo" else 0.5
        assert np.log(run.best.parameters[name] / value) == pytest.approx(0.0, abs=within)


def test_the_verdict_knows_the_error_of_radau_s_methods_in_stiff_steps() -> None:
    """By how much order 3 moves k is what order 5 finds, where the shift is small."""
    runs = {scheme: from_the_optimum(scheme, "newton") for scheme in ("radau3", "radau5")}
    found = {scheme: assessment(run.dataset) for scheme, run in runs.items()}
    assert all(one is not None and not one.unsettled for one in found.values())
    three, five = found["radau3"], found["radau5"]
    assert three is not None and five is not None and three.scheme and five.scheme
    assert five.scheme.sds < 0.02 and five.scheme.fit < 0.02
    name = three.scheme.parameter
    assert name == "phosphorylation"
    values = [run.best.parameters[name] for run in runs.values()]
    moved = abs(values[0] - values[1]) / three.sd(name)
    assert three.scheme.sds == pytest.approx(moved, rel=0.5)
    assert three.scheme.sds > 0.2
    finding = next(f for f in runs["radau3"].verdict().findings if f.about == "scheme")
    assert finding.holds is False and "times as many steps" in finding.text


def test_stiff_steps_are_integrated_as_scipy_does() -> None:
    """Of Robertson's rates at points of a path far apart in time, and interior points of steps."""
    a, b, c = sd.states("a b c")
    model = sd.Model(
        {a: -0.04 * a + 1e4 * b * c, b: 0.04 * a - 1e4 * b * c - 3e7 * b**2, c: 3e7 * b**2}
    )
    action = sd.Action(model, [a], scheme="radau3")
    times = [0.0, 1.0, 10.0, 100.0]
    problem = action.bind(sd.Observations(times, np.ones((4, 1)), variance=1.0))

    def F(_: float, x: FloatArray) -> list[float]:
        slow, fast = 0.04 * x[0] - 1e4 * x[1] * x[2], 3e7 * x[1] ** 2
        return [-slow, slow - fast, fast]

    exact = solve_ivp(
        F, (0.0, 100.0), [1.0, 0.0, 0.0], "Radau", problem.times, rtol=1e-11, atol=1e-15
    ).y.T
    evaluator = action.compile().machine.at(problem)
    jacobian = action.field.field_jacobian
    error = scheme_error(evaluator, jacobian, exact, np.empty(0), polynomial_forcing(problem))
    assert error.settled.all() and list(error.stiff) == [0, 1, 2]
    np.testing.assert_allclose(error.points.reshape(-1, 3), exact[1:], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(error.defect, 0.0, atol=1e-7)


def test_the_trapezoid_leaves_boehm_s_optimum() -> None:
    with pytest.warns(ProblemWarning, match=r"decay is [0-9.e+]+ \((AA|BB) at t = "):
        run = from_the_optimum("trapezoid", "newton")
    assert float(run.best.action) > boehm.MISFIT + 5.0


def test_simulate_takes_an_implicit_method_for_boehm_by_itself() -> None:
    with pytest.warns(match="the model is stiff"):
        found = sd.simulate(
            boehm.model(), [0.0, 10.0, 240.0], boehm.INITIAL, parameters=boehm.OPTIMUM
        )
    A, B, AB, AA, BB, nAA, nAB, nBB = found.states.values.T
    share = boehm.NUCLEUS / boehm.CYTOPLASM
    total = A + B + 2 * (AB + AA + BB + share * (nAA + nAB + nBB))
    np.testing.assert_allclose(total, boehm.TOTAL, rtol=1e-7)
    # AA is where its import balances its making
    dose = 1.25e-7 * np.exp(-boehm.OPTIMUM["degradation"] * np.array([10.0, 240.0]))
    steady = dose * boehm.OPTIMUM["phosphorylation"] * A[1:] ** 2 / boehm.OPTIMUM["import_homo"]
    np.testing.assert_allclose(AA[1:], steady, rtol=1e-5)
