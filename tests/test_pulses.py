"""Pulses against the matrix exponential: linear compartments, wherever a dose may fall."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import expm

import symda as sd
from symda.anneal.dynamics import Dynamics
from symda.api import ProblemWarning
from symda.observe.pulses import INSTANT

A1, A2 = sd.states("A1 A2", start=(0.0, 200.0))
dose, oral, infusion = sd.forcing("dose"), sd.forcing("oral"), sd.forcing("infusion")
k, k12, k21, F = sd.parameters("k k12 k21 F", start=(0.1, 1.0))
MODEL = sd.Model(
    {A1: F * dose + infusion - (k + k12) * A1 + k21 * A2, A2: oral / 2 + k12 * A1 - k21 * A2},
    name="compartments",
)
TRUE = {"F": 0.8, "k": 0.5, "k12": 0.3, "k21": 0.2}
RATES = np.array([[-0.8, 0.2], [0.3, -0.2]])
FIRST = {"A1": 3.0, "A2": 4.0}
TIMES = np.array([0.0, 1.0, 2.0, 3.5, 5.0, 6.0])

#: At the first row, two into several states at one time, between data, during an infusion (3 to 4),
#: one state twice at one time, at the last row.
DOSES = {0.0: 100.0, 2.0: 50.0, 2.5: 20.0, 3.2: 30.0, 6.0: 10.0}
ORAL = ([2.0, 2.0, 4.2], [30.0, 10.0, 7.0])


def forcing(side: str = "before") -> dict[str, object]:
    return {
        "dose": sd.Pulses(list(DOSES), list(DOSES.values()), side),
        "oral": sd.Pulses(*ORAL, side),
        "infusion": sd.Samples([-9.0, 3.0, 4.0, 10.0], [0.0, 5.0, 0.0, 0.0], "hold"),
    }


def exact(times: np.ndarray, side: str = "before", start: float = 0.0) -> np.ndarray:
    """States at the times, on one side of the jumps there."""
    oral_sums: dict[float, float] = {}
    for t, amount in zip(*ORAL, strict=True):
        oral_sums[t] = oral_sums.get(t, 0.0) + amount
    stops = sorted({*DOSES, *oral_sums, 3.0, 4.0, *times.tolist()})
    x, last, found = np.array([*FIRST.values()]), start, {}
    for t in stops:
        full = np.zeros((3, 3))
        full[:2, :2], full[0, 2] = RATES, 5.0 if 3.0 <= last < 4.0 else 0.0
        x = (expm(full * (t - last)) @ [*x, 1.0])[:2]
        jump = np.array([TRUE["F"] * DOSES.get(t, 0.0), oral_sums.get(t, 0.0) / 2.0])
        found[t] = x + jump if side == "after" else x
        x, last = x + jump, t
    return np.array([found[t] for t in times.tolist()])


@pytest.mark.parametrize("side", ["before", "after"])
def test_simulate(side: str) -> None:
    found = sd.simulate(MODEL, TIMES, FIRST, parameters=TRUE, forcing=forcing(side), rtol=1e-12)
    np.testing.assert_allclose(found.states, exact(TIMES, side), rtol=0, atol=1e-10)


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(
    ("method", "step"), [("dop853", 0.01), ("gauss6", 0.01), ("radau5", 0.004)]
)
def test_integrate(method: str, step: float, side: str) -> None:
    found = sd.integrate(
        MODEL, TIMES, FIRST, method=method, step=step, parameters=TRUE, forcing=forcing(side)
    )
    np.testing.assert_allclose(found.states, exact(TIMES, side), rtol=0, atol=1e-10)


def observations(side: str = "before", **further) -> sd.Observations:
    values = exact(TIMES, side) if not further else further.pop("values")
    return sd.Observations(TIMES, values, variance=1e-2, forcing=forcing(side))


def action(scheme: str = "gauss6", initial: Mapping[str, float] | None = None) -> sd.Action:
    return sd.Action(MODEL, [A1, A2], scheme=scheme, initial=FIRST if initial is None else initial)


def theta_of(problem, true: Mapping[str, float]) -> np.ndarray:
    return np.array([true[name] for name in problem.parameters])


def theta(problem) -> np.ndarray:
    return theta_of(problem, TRUE)


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("scheme", ["gauss6", "rk4", "hermite-simpson", "trapezoid", "radau3"])
def test_the_exact_path_of_every_scheme(scheme: str, side: str) -> None:
    """The jumps themselves are exact; the rest is as good as the scheme."""
    made = action(scheme)
    problem = made.bind(observations(side), max_step=0.02)
    assert int(problem.pulses.sum()) == 6
    steps = Dynamics(made.compile().machine, problem)
    path = steps.forecast(np.array([[3.0, 4.0]]), theta(problem), problem.N)
    ends = path[:: 1 + problem.interior]
    jumps = ends[1:][problem.pulses] - ends[:-1][problem.pulses]
    first, second = TRUE["F"] * np.array([100.0, 50.0, 20.0, 30.0, 10.0]), [40.0 / 2, 7.0 / 2]
    given = [
        [first[0], 0],
        [first[1], second[0]],
        [first[2], 0],
        [first[3], 0],
        [0, second[1]],
        [first[4], 0],
    ]
    np.testing.assert_allclose(jumps, given, rtol=1e-13, atol=1e-13)
    seen = np.flatnonzero((problem.rm > 0.0).all(axis=1))
    error = np.abs(path[seen] - exact(TIMES, side)).max()
    assert error < {"gauss6": 1e-10, "rk4": 1e-7, "hermite-simpson": 1e-7}.get(scheme, 0.1)


@pytest.mark.parametrize("solver", ["newton", "ipopt", "lbfgs"])
def test_estimates_from_exact_data(solver: str) -> None:
    made, data = action(), observations()
    problem = made.bind(data, max_step=0.1)
    path = Dynamics(made.compile().machine, problem).forecast(
        np.array([[3.0, 4.0]]), theta(problem), problem.N
    )
    run = sd.anneal(
        made,
        data,
        max_step=0.1,
        ladder=sd.Ladder(1e3, 2.0, 1),
        paths=1,
        solver=solver,
        start=(path + 0.1, 1.02 * theta(problem)),
        progress=False,
        workers=1,
    )
    for name, value in TRUE.items():
        assert run.best.parameters[name] == pytest.approx(value, abs=1e-6)
    at = np.flatnonzero(np.diff(problem.times) == 0.0)
    assert np.isin(run.dataset["time"].values[at], [0.0, 2.0, 2.5, 3.2, 4.2, 6.0]).all()
    assert run.best.momenta.shape[0] == problem.N


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    values = []
    for compiler in ("", "none"):
        if compiler:
            monkeypatch.setenv("SYMDA_CC", compiler)
        made = action("rk4")
        problem = made.bind(observations(), max_step=0.25)
        if compiler:
            with pytest.warns(UserWarning, match="virtual machine"):
                at = made.compile().machine.at(problem)
        else:
            at = made.compile().machine.at(problem)
        X = np.linspace(1.0, 9.0, problem.M * 2).reshape(-1, 2)
        value, gradient = at.value_and_gradient(X, theta(problem), 7.0)
        hessian = at.hessian(X, theta(problem), 7.0).toarray()
        values.append((value, gradient, hessian))
    for mine, other in zip(*values, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-11, atol=1e-9)


def test_before_the_first_datum_and_at_a_time_that_is_rounded() -> None:
    x = sd.state("x", start=(0.0, 2.0))
    model = sd.Model({x: dose - x})
    data = sd.Observations(
        [0.1 * 3, 1.0], [0.5, 0.3], variance=0.01, forcing={"dose": sd.Pulses([-1.0, 0.3], [2, 1])}
    )
    made = sd.Action(model, [x], initial={x: 0.0}, scheme="gauss6")
    problem = made.bind(data, start=-1.0)
    np.testing.assert_array_equal(problem.times[problem.rm[:, 0] > 0], [0.1 * 3, 1.0])
    assert problem.node_times.tolist() == [-1.0, -1.0, 0.1 * 3, 0.1 * 3, 1.0]
    fine = made.bind(data, start=-1.0, max_step=0.05)
    path = Dynamics(made.compile().machine, fine).forecast(np.zeros((1, 1)), np.empty(0), fine.N)
    before = 2.0 * np.exp(-1.3)
    expected = [before, (before + 1.0) * np.exp(-0.7)]
    np.testing.assert_allclose(path[fine.rm[:, 0] > 0.0, 0], expected, atol=1e-10)
    assert path[: 2 + fine.interior, 0].tolist()[:: 1 + fine.interior] == [0.0, 2.0]


def test_the_twin_and_its_run(tmp_path: Path) -> None:
    made = action("rk4")
    truth, data = sd.twin(
        made,
        parameters=TRUE,
        dt=0.5,
        steps=24,
        variance=0.25,
        seed=0,
        forcing={**forcing(), "infusion": 0.0},
    )
    assert truth.states.values[0].tolist() == [3.0, 4.0]
    run = sd.anneal(
        made,
        data,
        ladder=sd.Ladder(0.1, 4.0, 14),
        paths=8,
        solver="newton",
        strategy="window",
        progress=False,
        workers=1,
        max_step=0.25,
    )
    spread = made.posterior(run, data, max_step=0.25).sd
    for name, value in TRUE.items():
        assert abs(run.best.parameters[name] - value) < 4.0 * spread[name]
    verdict = run.verdict()
    assert all(f.holds for f in verdict.findings if f.about in ("minimum", "chi-squared", "bounds"))
    run.save(tmp_path / "run.nc")
    loaded = sd.load(tmp_path / "run.nc")
    figure = loaded.plot_states(states=["A1"])
    upright = [int((np.diff(line.get_xdata()) == 0.0).sum()) for line in figure.axes[0].lines]
    assert max(upright) == 6  # jumps are drawn as jumps


def test_model_error_per_time_weighs_a_jump_as_the_step_beside_it() -> None:
    x = sd.state("x", start=(0.0, 2.0))
    data = sd.Observations(
        [0.0, 0.5, 2.5], [0.5, 0.3, 0.1], variance=0.01, forcing={"dose": sd.Pulses([0.5, 2.5], 1)}
    )
    made = sd.Action(sd.Model({x: dose - x}), [x], model_error="rate")
    assert made.bind(data).weight.tolist() == [2.0, 0.5, 0.5, 0.5]
    assert made.bind(data).h.tolist() == [0.5, INSTANT, 2.0, INSTANT]


def bound(equation, *, discrete: bool = False, **further):
    """Bind a model of one state with a pulse."""
    x = sd.state("x", start=(0.0, 2.0))
    model = sd.Model({x: equation(x)}, discrete=discrete)
    given = {"forcing": {"dose": sd.Pulses([1.0], [2.0])}} | further
    grid, options = given.pop("grid", {}), given.pop("action", {})
    data = sd.Observations([0.0, 2.0], [1.0, 2.0], variance=0.1, **given)
    return sd.Action(model, [x], **options).bind(data, **grid)


@pytest.mark.parametrize(
    ("equation", "words"),
    [
        (lambda x: dose**2 - x, "its factor 2\\*dose holds dose"),
        (lambda x: dose * x, "its factor x holds x"),
    ],
)
def test_equations_in_which_a_pulse_means_nothing(equation, words: str) -> None:
    with pytest.raises(sd.DataError, match=words):
        bound(equation)
    x = sd.state("x")
    with pytest.raises(sd.DataError, match=words):
        sd.simulate(
            sd.Model({x: equation(x)}), [0, 2], [1.0], forcing={"dose": sd.Pulses([1.0], 2.0)}
        )


def test_bad_pulses() -> None:
    with pytest.raises(sd.DataError, match="amounts of Pulses: expected a number, or one for each"):
        sd.Pulses([0.0, 1.0], [1.0, 2.0, 3.0])
    with pytest.raises(sd.DataError, match="times of Pulses: entry 1 is nan"):
        sd.Pulses([0.0, np.nan], [1.0, 2.0])
    with pytest.raises(sd.DataError, match="amounts of Pulses: entry 0 is inf"):
        sd.Pulses([0.0], [np.inf])
    with pytest.raises(sd.OptionError, match="sampled of Pulses"):
        sd.Pulses([0.0], [1.0], "during")
    outside = {"forcing": {"dose": sd.Pulses([-1.0], [2.0])}}
    with pytest.raises(sd.DataError, match="pulse at time -1 is outside of the window, 0 to 2"):
        bound(lambda x: dose - x, **outside)
    x = sd.state("x")
    with pytest.raises(sd.DataError, match="pulse at time 5 is outside"):
        sd.simulate(sd.Model({x: dose - x}), [0, 2], [1.0], forcing={"dose": sd.Pulses([5.0], 2.0)})
    with pytest.raises(sd.DataError, match="pulse at time 5 is outside"):
        sd.integrate(
            sd.Model({x: dose - x}), [0, 2], [1.0], forcing={"dose": sd.Pulses([5.0], 2.0)}
        )
    with pytest.raises(sd.DataError, match="the model is a map"):
        bound(lambda x: dose - x, discrete=True)
    two = {"dose": sd.Pulses([1.0], 2.0), "oral": sd.Pulses([1.0], 2.0, "after")}
    with pytest.raises(sd.DataError, match="one sampled before and one after"):
        bound(lambda x: dose + oral - x, forcing=two)
    midpoint = {"action": {"scheme": "hermite-simpson"}, "grid": {"midpoint_data": True}}
    with pytest.raises(sd.OptionError, match="midpoint_data=True does not go with pulses"):
        bound(lambda x: dose - x, **midpoint)


def test_a_step_map_and_continuous_solvers_refuse_pulses() -> None:
    x = sd.state("x", start=(0.0, 2.0))
    data = sd.Observations(
        [0.0, 1.0, 2.0], [1.0, 2.0, 1.0], variance=0.1, forcing={"dose": sd.Pulses([1.0], 2.0)}
    )
    with pytest.raises(sd.DataError, match="one step does not know when they are"):
        sd.step_map(sd.Model({x: dose - x}), forcing={"dose": sd.Pulses([1.0], 2.0)})
    made = sd.Action(sd.Model({x: dose - x}), [x], model_error="rate")
    with pytest.raises(sd.OptionError, match="collocation: the data have pulses"):
        sd.anneal(made, data, solver="collocation", progress=False, workers=1)


class TestEvents:
    """Mappings x -> g(x, theta) at given times."""

    k = sd.parameter("k", bounds=(0.05, 2.0))
    f = sd.parameter("f", bounds=(0.1, 1.0))
    x, y = sd.states("x y", start=(0.0, 5.0))
    model = sd.Model(
        {x: dose - k * x, y: k * x - 0.3 * y}, events={"split": {x: f * x + 1, y: y**2 / 4}}
    )
    true = {"k": 0.5, "f": 0.6}  # noqa: RUF012
    times = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 6.0])

    def forcing(self, side: str = "before") -> dict[str, sd.Pulses]:
        """Two events, one together with a dose, which is added."""
        return {
            "split": sd.Pulses([2.0, 3.5], 1.0, side),
            "dose": sd.Pulses([0.0, 2.0], [4.0, 1.5], side),
        }

    def exact(self, side: str = "before") -> np.ndarray:
        rates = np.array([[-0.5, 0.0], [0.5, -0.3]])
        state, last, found = np.array([1.0, 2.0]), 0.0, {}
        for t in sorted({0.0, 2.0, 3.5, *self.times.tolist()}):
            before = expm(rates * (t - last)) @ state
            state = before.copy()
            if t in (2.0, 3.5):
                state = np.array([0.6 * before[0] + 1.0, before[1] ** 2 / 4.0])
            state[0] += {0.0: 4.0, 2.0: 1.5}.get(t, 0.0)
            found[t], last = (state if side == "after" else before), t
        return np.array([found[t] for t in self.times.tolist()])

    @pytest.mark.parametrize("side", ["before", "after"])
    def test_simulate_and_integrate(self, side: str) -> None:
        arguments = (self.model, self.times, [1.0, 2.0])
        given = {"parameters": self.true, "forcing": self.forcing(side)}
        found = sd.simulate(*arguments, **given, rtol=1e-12)
        np.testing.assert_allclose(found.states, self.exact(side), rtol=0, atol=1e-10)
        found = sd.integrate(*arguments, **given, method="dop853", step=0.02)
        np.testing.assert_allclose(found.states, self.exact(side), rtol=0, atol=1e-10)
        with pytest.raises(sd.OptionError, match="'split' needs a method that begins at the state"):
            sd.integrate(*arguments, **given, method="gauss4", step=0.02)

    @pytest.mark.parametrize("scheme", ["euler", "rk4", "trapezoid", "hermite-simpson"])
    def test_the_mapping_is_exact_in_every_scheme_that_takes_it(self, scheme: str) -> None:
        action = sd.Action(self.model, [self.x, self.y], scheme=scheme, initial={self.x: 1.0})
        data = sd.Observations(self.times, self.exact(), variance=1e-2, forcing=self.forcing())
        problem = action.bind(data, max_step=0.05)
        steps = Dynamics(action.compile().machine, problem)
        path = steps.forecast(np.array([[1.0, 2.0]]), theta_of(problem, self.true), problem.N)
        nodes = path[:: 1 + problem.interior]
        before, after = nodes[:-1][problem.pulses], nodes[1:][problem.pulses]
        expected = before + np.array([[4.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
        for row, added in ((1, 1.5), (2, 0.0)):
            expected[row] = 0.6 * before[row, 0] + 1.0 + added, before[row, 1] ** 2 / 4.0
        np.testing.assert_allclose(after, expected, rtol=1e-13)

    def test_every_solver_and_the_verdict(self) -> None:
        action = sd.Action(self.model, [self.x, self.y], scheme="rk4", initial={self.x: 1.0})
        noise = 0.01 * np.random.default_rng(0).normal(size=(6, 2))
        data = sd.Observations(
            self.times, self.exact() + noise, variance=1e-4, forcing=self.forcing()
        )
        levels = []
        for solver in ("newton", "ipopt", "lbfgs"):
            run = sd.anneal(
                action,
                data,
                ladder=sd.Ladder(1e2, 8.0, 8),
                paths=2,
                solver=solver,
                max_step=0.05,
                start="nudged",
                progress=False,
                workers=1,
            )
            levels.append(run.best.action)
            for name, value in self.true.items():
                assert run.best.parameters[name] == pytest.approx(value, abs=0.02)
        np.testing.assert_allclose(levels, levels[0], atol=1e-6)
        about = {finding.about: finding.holds for finding in run.verdict().findings}
        assert about["scheme"] and about["minimum"] and about["chi-squared"]

    def test_what_is_no_event(self) -> None:
        x, times = self.x, [0.0, 2.0]
        with pytest.raises(sd.ModelError, match="is no state with an equation"):
            sd.Model({x: -x}, events={"s": {self.y: 0}})
        with pytest.raises(sd.ModelError, match="expected a name and a mapping"):
            sd.Model({x: -x}, events={"s": 0})
        with pytest.raises(sd.ModelError, match="a map has no times in between"):
            sd.Model({x: -x}, events={"s": {x: 0}}, discrete=True)
        model = sd.Model({x: -x}, events={"s": {x: 0}, "r": {x: 1}})

        def bind(scheme: str = "rk4", **forcing):
            data = sd.Observations(times, [1.0, 2.0], variance=0.1, forcing=forcing)
            return sd.Action(model, [x], scheme=scheme).bind(data)

        assert bind(s=sd.Pulses([1.0], 1.0), r=0.0).N == 3
        for wrong in (sd.Pulses([1.0], 2.0), sd.Pulses([1.0, 1.0], 1.0), [0.0, 1.0], 1.0):
            with pytest.raises(sd.DataError, match="the event 's' needs its times, each once"):
                bind(s=wrong, r=0.0)
        with pytest.raises(sd.DataError, match="two events happen at time 1"):
            bind(s=sd.Pulses([1.0], 1.0), r=sd.Pulses([1.0], 1.0))
        with pytest.raises(sd.OptionError, match="the event 's' needs a scheme that evaluates F"):
            bind("gauss4", s=sd.Pulses([1.0], 1.0), r=0.0)


@pytest.mark.parametrize("name", ["FIVE_DOSES", "INDOMETHACIN"])
def test_the_example_agrees_with_scipy(name: str) -> None:
    script = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "doses.py"))
    _, _, run = script["estimate"](script[name])
    values, errors = script["least"](script[name])
    mine = [run.best.parameters[key] for key in script["TRUE"]]
    assert (np.abs(mine - values) < 1e-2 * errors).all()


@pytest.mark.parametrize("scale", ["log", "logit"])
def test_jumps_of_scaled_states_are_refused(scale: str) -> None:
    """A dose adds to x, not to log x; simulations are in x and take it."""
    y = sd.state("y", bounds=(0.01, 10.0), start=(0.5, 2.0), scale=scale)
    dose = sd.forcing("dose")
    action = sd.Action(sd.Model({y: -y + dose}), [y], scheme="trapezoid")
    pulse = sd.Pulses([1.5], [1.0])
    data = sd.Observations(np.arange(4.0), np.ones(4), variance=0.1, forcing={"dose": pulse})
    with pytest.raises(sd.DataError, match=f"which has scale='{scale}': a jump of y is not one"):
        action.bind(data)
    event = sd.Model({y: -y}, events={"halve": {y: y / 2}})
    data = sd.Observations(
        np.arange(4.0), np.ones(4), variance=0.1, forcing={"halve": sd.Pulses([1.5], 1.0)}
    )
    with pytest.raises(sd.DataError, match="the event 'halve' changes y, which has scale="):
        sd.Action(event, [y], scheme="trapezoid").bind(data)
    times = np.array([0.0, 1.5, 2.0])
    path = sd.simulate(action.model, times, {"y": 1.0}, forcing={"dose": pulse})
    exact = (np.exp(-1.5) + 1.0) * np.exp(-0.5)
    assert float(path.states[-1, 0]) == pytest.approx(exact, rel=1e-8)


def test_no_pulses_are_a_placebo() -> None:
    """An empty table is the same as 0, for doses and events, also of scaled states."""
    none = sd.Pulses([], [])
    assert repr(none) == "Pulses(0 times, sampled='before')"
    given = {"oral": 0.0, "infusion": 0.0}
    action = sd.Action(MODEL, [A1])
    problems = [
        action.bind(
            sd.Observations(TIMES, np.ones(6), variance=0.1, forcing={**given, "dose": one})
        )
        for one in (none, 0.0)
    ]
    assert problems[0].digest == problems[1].digest
    options = [{**given, "dose": one} for one in (sd.Pulses([], 3.0), 0.0)]
    paths = [
        sd.simulate(MODEL, TIMES, FIRST, parameters=TRUE, forcing=one).states for one in options
    ]
    np.testing.assert_array_equal(*paths)
    fixed = sd.integrate(MODEL, TIMES, FIRST, parameters=TRUE, forcing=options[0], step=0.05)
    np.testing.assert_allclose(fixed.states, paths[0], rtol=1e-6)
    y = sd.state("y", start=(0.5, 2.0), scale="log")
    event = sd.Model({y: -y}, events={"halve": {y: y / 2}})
    data = sd.Observations(TIMES, np.ones(6), variance=0.1, forcing={"halve": none})
    assert sd.Action(event, [y], scheme="trapezoid").bind(data).M == 6


def test_a_factor_of_no_dose_is_not_fitted(uncompiled: None) -> None:
    """F stands in doses only; a subject without one says nothing of it."""
    values = np.array([3.0, 2.0, 1.3, 0.9, 0.5, 0.4])
    given = {"oral": 0.0, "infusion": 0.0}
    action = sd.Action(MODEL, [A1])
    plain = sd.Observations(TIMES, values, variance=0.01, forcing={**given, "dose": 0.0})
    dosed = sd.Observations(
        TIMES, values + 1, variance=0.01, forcing={**given, "dose": sd.Pulses([2.0], 1.0)}
    )
    options = {"ladder": sd.Ladder(1e4, 2.0, 1), "paths": 1, "progress": False, "workers": 1}
    with pytest.warns(ProblemWarning, match="nothing depends on the parameter F"):
        run = sd.anneal(action, plain, solver="newton", **options)
    # two states, k, k12 and k21
    assert run.chi_squared().p == 5
    run = sd.anneal(action, [plain, dosed], solver="newton", **options)
    assert run.chi_squared().p == 4 + 4
