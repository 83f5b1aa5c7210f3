"""The parameters' posterior: exact for linear-Gaussian problems, and a dense inverse elsewhere."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp

import symda as sd
from symda.errors import OptionError, SolveError

TIMES = np.arange(0.0, 4.0, 0.1)


pytestmark = pytest.mark.usefixtures("uncompiled")


def line() -> sd.Action:
    """x' = x + a + b c(n), y = x + d: linear in states and parameters together."""
    x = sd.state("x", start=(-5.0, 5.0))
    a, b = sd.parameters("a b", start=(-2.0, 2.0))
    d = sd.parameter("d", start=(-1.0, 1.0), value=0.5)
    model = sd.Model({x: x + a + b * sd.forcing("c")}, name="line", discrete=True)
    return sd.Action(model, {"y": x + d})


def line_data(N: int = 12, variance: float = 0.3) -> sd.Observations:
    rng = np.random.default_rng(N)
    steps, drive = np.arange(N + 1), rng.normal(size=N + 1)
    walk = np.concatenate([[0.2], 0.2 + np.cumsum(0.1 + 0.7 * drive[:-1])])
    values = walk + 0.5 + np.sqrt(variance) * rng.normal(size=N + 1)
    values[3:5] = np.nan
    return sd.Observations(steps, values, variance=variance, forcing={"c": drive})


def anneal(action: sd.Action, data: sd.Observations, rf: float, **options: object) -> sd.Run:
    chosen = {"paths": 2, "seed": 0, "executor": "serial", "progress": False, "solver": "newton"}
    chosen["ladder"] = sd.Ladder(rf, 1.0, 1)
    return sd.anneal(action, data, **(chosen | options))


@pytest.mark.compiled
@pytest.mark.parametrize("rf", [1e-2, 1.0, 1e4, 1e9])
def test_it_is_the_exact_one_of_a_regression_with_errors_in_the_steps(rf: float) -> None:
    """y_n = x0 + a n + b sum_k c_k + d + errors of covariance 1/Rm + min(n, m)/Rf."""
    action, data = line(), line_data()
    found = action.posterior(anneal(action, data, rf), data)
    assert sorted(found.names) == ["a", "b"]
    seen = ~np.isnan(data.values[:, 0])
    n = np.arange(len(data.times))
    # the forcing enters step n at its beginning
    drive = action.bind(data).u[:, 0, 0]
    design = np.stack([np.ones(n.size), n, np.concatenate([[0.0], np.cumsum(drive)])], axis=1)
    noise = 0.3 * np.eye(n.size) + np.minimum.outer(n, n) / rf
    with mpmath.workdps(50):
        J = mpmath.matrix(design[seen].tolist())
        weight = mpmath.matrix(noise[np.ix_(seen, seen)].tolist()) ** -1
        spread = (J.T * weight * J) ** -1
        mean = spread * (J.T * weight * mpmath.matrix((data.values[seen, 0] - 0.5).tolist()))
    order = [{"a": 1, "b": 2}[name] for name in found.names]
    exact = np.array([[float(spread[i, j]) for j in order] for i in order])
    assert found.covariance == pytest.approx(exact, rel=1e-6)
    assert found.values == pytest.approx([float(mean[i]) for i in order], rel=1e-4)
    assert list(found.sd.values()) == pytest.approx(np.sqrt(np.diag(exact)))


def oscillator(scheme: str) -> sd.Action:
    x, v = sd.states("x v", start=(-3.0, 3.0))
    k = sd.parameter("k", bounds=(0.5, 8.0))
    c = sd.parameter("c", bounds=(0.0, 1.0))
    e = sd.parameter("e", bounds=(-1.0, 1.0), value=0.2)
    model = sd.Model({x: v, v: -k * sp.sin(x) - c * v + e}, name="oscillator")
    return sd.Action(model, {"x": x, "gap": x * v + c}, scheme=scheme)


def oscillator_data(action: sd.Action) -> sd.Observations:
    true = {"k": 4.0, "c": 0.2, "e": 0.2}
    made = sd.twin(
        action,
        parameters=true,
        dt=0.1,
        steps=30,
        variance=0.01,
        seed=2,
        initial={"x": 1.5, "v": 0.0},
    )
    return made[1]


@pytest.mark.parametrize("fixed", [None, {"e": None}, {"k": 4.0}])
@pytest.mark.parametrize("scheme", ["rk4", "trapezoid", "hermite-simpson"])
def test_it_is_the_parameters_block_of_the_inverse_hessian(scheme, fixed) -> None:
    action = oscillator(scheme)
    data = oscillator_data(action)
    run = anneal(action, data, 1e4, fixed=fixed, paths=4)
    found = action.posterior(run, data, fixed=fixed)
    problem = action.bind(data, fixed=fixed)
    best = run.best
    hessian = action.compile().hessian(best.states.values, best.parameters, 1e4, problem).toarray()
    keep = np.concatenate([np.ones(problem.M * problem.D, bool), problem.free])
    dense = np.linalg.inv(hessian[np.ix_(keep, keep)])[-problem.free.sum() :]
    assert found.covariance == pytest.approx(dense[:, -problem.free.sum() :], rel=1e-6)
    assert found.names == tuple(np.array(problem.parameters)[problem.free])
    # principal directions of the relative covariance
    relative = found.covariance / np.outer(found.scale, found.scale)
    assert found.spreads**2 == pytest.approx(np.linalg.eigvalsh(relative)[::-1], rel=1e-6)
    rebuilt = (found.axes.T * found.spreads**2) @ found.axes
    assert rebuilt == pytest.approx(relative, rel=1e-6)


def test_another_path_of_the_run_can_be_asked_about() -> None:
    action, data = line(), line_data()
    run = anneal(action, data, 1.0)
    first, second = (action.posterior(run, data, path=k) for k in (0, 1))
    assert first.covariance == pytest.approx(second.covariance, rel=1e-8)
    with pytest.raises(OptionError, match="no path 7"):
        action.posterior(run, data, path=7)


def test_a_parameter_at_its_bound_has_no_spread_and_the_others_are_given_it() -> None:
    x = sd.state("x", start=(-5.0, 5.0))
    a = sd.parameter("a", bounds=(0.3, 1.0))
    b = sd.parameter("b", bounds=(-2.0, 2.0))
    model = sd.Model({x: x + a + b * sd.forcing("c")}, name="bounded", discrete=True)
    action, data = sd.Action(model, [x]), line_data()
    run = anneal(action, data, 1e3)
    assert run.best.parameters["a"] == pytest.approx(0.3, abs=1e-7)
    found = action.posterior(run, data)
    assert dict(zip(found.names, found.at_bound, strict=True)) == {"a": True, "b": False}
    assert np.isnan(found.sd["a"])
    known = action.posterior(anneal(action, data, 1e3, fixed={"a": 0.3}), data, fixed={"a": 0.3})
    assert found.sd["b"] == pytest.approx(known.sd["b"], rel=1e-6)
    table = found.table()
    assert table.loc["a", "at_bound"] and np.isnan(table.loc["a", "relative_sd"])
    assert found.directions()["components"].tolist() == ["b +1.00"]


def test_states_at_a_bound_are_taken_as_known() -> None:
    """A leaking store that cannot be negative: its empty end says nothing about the leak."""
    x = sd.state("x", bounds=(0.0, 10.0))
    k = sd.parameter("k", bounds=(0.0, 2.0))
    model = sd.Model({x: x - k}, name="store", discrete=True)
    action = sd.Action(model, [x])
    values = np.array([4.0, 3.1, 1.9, 1.05, -0.4, -0.7, -0.6])
    data = sd.Observations(np.arange(7), values, variance=0.1)
    run = anneal(action, data, 50.0)
    path = run.best.states.values[:, 0]
    empty = path < 1e-6
    assert 0 < empty.sum() < 7
    found = action.posterior(run, data)
    hessian = action.compile().hessian(run.best.states.values, run.best.parameters, 50.0, data)
    keep = np.append(~empty, True)
    dense = np.linalg.inv(hessian.toarray()[np.ix_(keep, keep)])
    assert found.sd["k"] == pytest.approx(np.sqrt(dense[-1, -1]), rel=1e-8)


def test_what_the_data_leave_free_has_no_end_and_is_named() -> None:
    """Only the product a b acts, so a and b are free along one direction."""
    x = sd.state("x", start=(-1.0, 2.0))
    a, b = sd.parameters("a b", bounds=(0.1, 5.0), start=(0.5, 2.0))
    c = sd.parameter("c", bounds=(-2.0, 2.0))
    model = sd.Model({x: c - a * b * x}, name="product")
    action = sd.Action(model, [x])
    rng = np.random.default_rng(3)
    values = 0.5 + np.exp(-TIMES) + 0.01 * rng.normal(size=TIMES.size)
    data = sd.Observations(TIMES, values, variance=1e-4)
    found = action.posterior(anneal(action, data, 1e6), data)
    # equal and opposite relative changes leave the product as it is
    assert found.spreads[0] > 1e3 * found.spreads[1]
    widest = found.directions(1)["components"][0]
    assert sorted(widest.replace("+", "").replace("-", "").split(", ")) == ["a 0.71", "b 0.71"]
    assert ("-" in widest) and ("+" in widest)
    assert found.relative_sd["a"] > 1e3 * found.relative_sd["c"]
    assert found.sd["c"] < 0.05


def test_the_table_compares_with_the_truth() -> None:
    action, data = line(), line_data()
    found = action.posterior(anneal(action, data, 1e3), data)
    table = found.table({"a": 0.1, "b": -0.7})
    assert table.columns.tolist() == [
        *("value", "sd", "relative_sd", "low", "high", "at_bound"),
        *("truth", "error", "z"),
    ]
    b = table.loc["b"]
    assert b["error"] == pytest.approx((b["value"] + 0.7) / 0.7)
    assert b["z"] == pytest.approx((b["value"] + 0.7) / b["sd"])
    assert b["relative_sd"] == pytest.approx(b["sd"] / abs(b["value"]))
    with pytest.raises(OptionError, match="truth has no value for the parameter 'b'"):
        found.table({"a": 0.1})


def test_without_parameters_there_is_nothing_to_tell() -> None:
    x = sd.state("x", start=(-1.0, 2.0))
    action = sd.Action(sd.Model({x: -x}, name="decay"), [x])
    data = sd.Observations(TIMES, np.exp(-TIMES), variance=0.01)
    found = action.posterior(anneal(action, data, 10.0), data)
    assert found.names == () and found.sd == {} and found.covariance.shape == (0, 0)
    assert len(found.table()) == len(found.directions()) == 0


def test_a_run_of_other_data_or_another_action_is_refused() -> None:
    action, data = line(), line_data()
    run = anneal(action, data, 1.0)
    with pytest.raises(OptionError, match="other grid points than this call gives: 13 and 10"):
        action.posterior(run, line_data(9))
    with pytest.raises(
        OptionError, match="not the data of the run: the values, the variances differ"
    ):
        action.posterior(run, line_data(variance=0.4))
    with pytest.raises(OptionError, match=r"the first argument is a symda\.Run, got Dataset"):
        action.posterior(run.dataset, data)
    with pytest.raises(OptionError, match="the run has other fixed parameters"):
        action.posterior(run, data, fixed={"d": None})
    with pytest.raises(OptionError, match="the run has other states"):
        other = oscillator("rk4")
        other.posterior(run, oscillator_data(other))
    averaged = sd.Action(action.model, {"y": action.measurement.functions[0]}, averaging="eq2")
    with pytest.raises(OptionError, match="averaging='eq2' exp"):
        averaged.posterior(run, data)


def test_what_else_differs_of_the_data_is_named(uncompiled: None) -> None:
    """Doses, forcing, given initial values, weights: times, values and variances agree."""
    x = sd.state("x", start=(0.0, 3.0))
    k = sd.parameter("k", bounds=(0.0, 2.0))
    dose, rate = sd.forcing("dose"), sd.forcing("rate")
    w = sd.parameter("w", per="step", start=(-1.0, 1.0), prior=sd.Normal(0.0, 1.0))
    model = sd.Model({x: dose + rate - k * x + w})
    action = sd.Action(model, [x])
    times = np.arange(4.0)

    def data(amount: float = 1.0, level: float = 0.5, **further: object) -> sd.Observations:
        forcing = {"dose": sd.Pulses([1.0], amount), "rate": level}
        return sd.Observations(
            times, [1.0, 1.1, 1.9, 1.2], variance=0.1, forcing=forcing, **further
        )

    ladder = sd.Ladder(rf0=10.0, rungs=1)

    def of(given: object) -> sd.Run:
        return sd.anneal(action, given, ladder=ladder, paths=1, solver="newton", progress=False)

    run = of(data())
    assert action.posterior(run, data()).sd["k"] > 0.0
    for other, what in {
        data(2.0): "forcing 'dose' differs",
        data(level=0.7): "forcing 'rate' differs",
        data(2.0, 0.7): "forcing 'dose', forcing 'rate' differ",
        data(initial={"x": 1.0}): "the given initial values differ",
    }.items():
        with pytest.raises(OptionError, match=f"not the data of the run: {what}"):
            action.posterior(run, other)
    smooth = sd.Observations(
        times, [1.0, 1.1, 1.9, 1.2], variance=0.1, forcing={"dose": 0.0, "rate": 0.5}
    )
    walks = [sd.Action(model.with_process_variance(w=one), [x]) for one in (0.1, 0.2)]
    run = sd.anneal(walks[0], smooth, ladder=ladder, paths=1, solver="newton", progress=False)
    with pytest.raises(OptionError, match="the process variances, costs or priors differ"):
        walks[1].posterior(run, smooth)
    run = of({"a": data(), "b": data(2.0)})
    with pytest.raises(OptionError, match="forcing 'dose' of experiment 'b' differs"):
        action.posterior(run, {"a": data(), "b": data(3.0)})
    fixed = sd.anneal(
        action, data(), fixed={"k": 0.5}, ladder=ladder, paths=1, solver="newton", progress=False
    )
    with pytest.raises(OptionError, match="values of fixed parameters differ"):
        action.posterior(fixed, data(), fixed={"k": 0.6})


def test_where_there_is_no_minimum_it_says_so() -> None:
    """A saddle of a double well: the state between two equally good answers."""
    x = sd.state("x", start=(-1.0, 1.0))
    k = sd.parameter("k", bounds=(0.0, 1.0))
    action = sd.Action(sd.Model({x: k * x}, name="well", discrete=True), {"square": x**2})
    data = sd.Observations(np.arange(3), [1.0, 1.1, 0.9], variance=0.01)
    run = anneal(action, data, 1e-3, start=lambda problem, rng: (np.zeros((3, 1)), np.array([0.5])))
    assert np.all(run.best.states.values == 0.0)
    with pytest.raises(SolveError, match="no minimum here"):
        action.posterior(run, data)


@pytest.mark.parametrize("sds", [1.5, 2.5])
def test_an_interval_that_goes_beyond_a_bound_is_named(sds: float) -> None:
    """The bound is 1.5 or 2.5 standard deviations above the estimate; 95 % are 1.96 of them."""

    def found(upper: float) -> tuple[sd.Posterior, str]:
        x, b = sd.state("x", start=(-5.0, 5.0)), sd.parameter("b", bounds=(-9.0, upper))
        action = sd.Action(sd.Model({x: x + b * sd.forcing("c")}, name="one", discrete=True), [x])
        run = anneal(action, line_data(), 1e3)
        told = next(f for f in run.verdict().findings if f.about == "bounds")
        assert told.holds
        return action.posterior(run, line_data()), told.text

    free, text = found(9.0)
    assert "beyond" not in text
    again, text = found(float(free.values[0]) + sds * free.sd["b"])
    assert again.values[0] == pytest.approx(free.values[0], rel=1e-6) and not again.at_bound.any()
    assert ("the 95 % interval of b goes beyond one" in text) is (sds < 1.96)


def test_a_parameter_on_a_bound_spoils_no_comparison_of_error_bars() -> None:
    """It has none; the scheme's error, which moves k by 1e-3 of itself, changes k's by little."""
    x, k = sd.state("x", start=(-1.0, 2.0)), sd.parameter("k", bounds=(0.0, 3.0))
    c = sd.parameter("c", bounds=(0.0, 0.05))
    action = sd.Action(sd.Model({x: c - k * x}, name="leak"), [x], scheme="trapezoid")
    t = np.linspace(0.0, 4.0, 41)
    y = 0.1 + 0.9 * np.exp(-t) + 0.01 * np.random.default_rng(0).standard_normal(41)
    data = sd.Observations(t, y, variance=1e-4)
    ladder = sd.Ladder(1.0, 8.0, 12)
    run = anneal(action, data, 1.0, ladder=ladder, paths=2)
    found = action.posterior(run, data)
    assert dict(zip(found.names, found.at_bound, strict=True)) == {"c": True, "k": False}
    scheme = next(f for f in run.verdict().findings if f.about == "scheme")
    assert scheme.holds and "error bars" not in scheme.text


def test_a_run_of_another_scheme_or_of_other_bounds_is_refused() -> None:
    action = oscillator("trapezoid")
    data = oscillator_data(action)
    run = anneal(action, data, 1e4)
    other = oscillator("midpoint")
    with pytest.raises(OptionError, match="the run has other scheme than this call gives"):
        other.posterior(run, data)
    free = [p for p in run.best.parameters if p in {q.name for q in action.model.parameters}]
    model = action.model.with_bounds(**{free[0]: (-50.0, 50.0)})
    wider = sd.Action(
        model,
        {n: h for n, h in zip(action.measurement.names, action.measurement.functions, strict=True)},
        scheme="trapezoid",
    )
    with pytest.raises(OptionError, match="the bounds differ"):
        wider.posterior(run, data)


def test_an_estimate_of_next_to_nothing_has_an_error_bar() -> None:
    """Data of zeros: c is found as some 1e-180, and is known as well as any other."""
    x, c = sd.state("x", start=(-1.0, 1.0)), sd.parameter("c", bounds=(-1.0, 1.0))
    action = sd.Action(sd.Model({x: 0.5 * x + c}, name="zero", discrete=True), [x])
    spreads = []
    for values in (np.zeros(20), 0.2 * np.ones(20)):
        data = sd.Observations(np.arange(20), values, variance=0.01)
        run = anneal(action, data, 1e4)
        spreads.append(action.posterior(run, data).sd["c"])
    assert spreads[0] == pytest.approx(spreads[1], rel=1e-6)
