"""Other units change the unit of the answer and nothing else, whatever solver or start."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

import symda as sd
from symda.anneal.ladder import DEFAULT, FIRST, HIDDEN
from symda.errors import OptionError
from symda.observe import Problem

pytestmark = pytest.mark.usefixtures("uncompiled")

TIMES = np.linspace(0.0, 6.0, 21)
LADDER = sd.Ladder(alpha=10.0, rungs=5)
#: Units of the measured state, the hidden one, the time and a parameter.
UNITS = ("prey", "hunters", "time", "rate")
ALL = {"prey": 1e12, "hunters": 1e-12, "time": 1e-9, "rate": 1e10}


@dataclass(frozen=True)
class Answer:
    action: float
    levels: np.ndarray
    values: np.ndarray
    sds: np.ndarray
    states: np.ndarray
    findings: tuple[tuple[str, bool | None], ...]


def predators(
    prey: float = 1.0, hunters: float = 1.0, time: float = 1.0, rate: float = 1.0, **kind: str
) -> sd.Action:
    """Lotka and Volterra's, of which only the prey is counted, in any units."""
    scale = kind.pop("scale", None)
    x = sd.state("x", start=(0.1 * prey, 6 * prey), scale=scale)
    y = sd.state("y", start=(0.1 * hunters, 4 * hunters), scale=scale)
    unit = rate / time
    a = sd.parameter("a", start=(0.2 * unit, 2 * unit), bounds=(0.02 * unit, 20 * unit))
    unit = 1.0 / (hunters * time)
    b = sd.parameter("b", start=(0.1 * unit, 2 * unit), bounds=(0.01 * unit, 20 * unit))
    eaten = b * x * y
    model = sd.Model(
        {x: a * x / rate - eaten, y: 0.8 * eaten * hunters / prey - 0.9 * y / time},
        name="predators",
    )
    return sd.Action(model, [x], **({"scheme": "rk4"} | kind))


def counts(prey: float, time: float) -> sd.Observations:
    truth = sd.simulate(predators().model, TIMES, [2.0, 1.0], parameters={"a": 1.1, "b": 0.7})
    noise = 0.05 * np.random.default_rng(0).standard_normal(TIMES.size)
    values = truth.states.values[:, 0] + noise
    return sd.Observations(time * TIMES, prey * values, variance=(0.05 * prey) ** 2)


def answer(units: Mapping[str, float], options: Mapping[str, object], **kind: str) -> Answer:
    """What a run gives, in the units where all are 1."""
    of = {name: units.get(name, 1.0) for name in UNITS}
    action, data = predators(**of, **kind), counts(of["prey"], of["time"])
    chosen = {"paths": 2, "ladder": LADDER, "executor": "serial", "progress": False}
    run = sd.anneal(action, data, **(chosen | dict(options)))
    unit = np.array([of["rate"] / of["time"], 1.0 / (of["hunters"] * of["time"])])
    values = [run.best.parameters[name] for name in ("a", "b")]
    sds = np.full(2, np.nan)
    if action.model_error == "step":
        # the continuous problem has minima of its own, about which nothing is expanded
        sds = action.posterior(run, data).table()["sd"][["a", "b"]].to_numpy()
    return Answer(
        run.best.action,
        run.levels.values[:, -1],
        values / unit,
        sds / unit,
        run.best.states.values / [of["prey"], of["hunters"]],
        tuple((f.about, f.holds) for f in run.verdict().findings),
    )


def near(problem: Problem, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Start at the data and in the middle of the ranges, whatever the units."""
    prey = np.interp(problem.times, problem.times[problem.rm[:, 0] > 0.0], problem.y[:, 0])
    hunters = np.full(problem.M, 0.5 * problem.state_start[1].mean())
    return np.column_stack([prey, hunters]), problem.parameter_start.mean(axis=1)


def check_same(found: Answer, wanted: Answer, share: float) -> None:
    assert found.levels == pytest.approx(wanted.levels, rel=share)
    assert found.values == pytest.approx(wanted.values, rel=share)
    # the second derivatives have fewer digits than the minimum
    assert found.sds == pytest.approx(wanted.sds, rel=max(share, 1e-6), nan_ok=True)
    assert found.states == pytest.approx(wanted.states, rel=share)
    assert found.findings == wanted.findings


@pytest.fixture(scope="module")
def plain() -> Answer:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("SYMDA_CC", "none")
        warnings.simplefilter("ignore")
        return answer({}, {"solver": "newton"})


@pytest.mark.parametrize("name", UNITS)
@pytest.mark.parametrize("k", [-12, -5, 12])
def test_a_unit_changes_nothing_but_the_unit(plain: Answer, name: str, k: int) -> None:
    check_same(answer({name: 10.0**k}, {"solver": "newton"}), plain, 1e-9)


@pytest.mark.parametrize("k", [-12, 12])
def test_ipopt_does_not_see_units(plain: Answer, k: int) -> None:
    units = {name: unit ** (k / 12) for name, unit in ALL.items()}
    check_same(answer(units, {"solver": "ipopt"}), plain, 1e-6)


def test_lbfgs_does_not_see_units() -> None:
    options = {"solver": "lbfgs", "paths": 1, "ladder": sd.Ladder(alpha=10.0, rungs=2)}
    check_same(answer(ALL, options), answer({}, options), 1e-5)


def test_collocation_does_not_see_units() -> None:
    options = {"solver": "collocation", "start": near, "paths": 1}
    kind = {"model_error": "rate", "scheme": "trapezoid"}
    wanted = answer({}, options, **kind)
    assert wanted.findings[0] == ("minimum", True)
    check_same(answer(ALL, options, **kind), wanted, 1e-6)
    check_same(answer({"prey": 1e-4, "time": 1e4}, options, **kind), wanted, 1e-6)


@pytest.mark.parametrize("method", ["collocation", "bvp", "sweeps"])
def test_a_boundary_value_problem_is_the_same_in_other_units(method: str) -> None:
    """x, p = dA/dx and H = dA/dt go with their units, the action and the residuals have none."""
    found = []
    for units in ({}, ALL):
        of = {name: units.get(name, 1.0) for name in UNITS}
        action = predators(**of, model_error="rate", scheme="trapezoid")
        data = counts(of["prey"], of["time"])
        size = np.array([of["prey"], of["hunters"]])
        rate = np.array([of["rate"] / of["time"], 1.0 / (of["hunters"] * of["time"])])
        fixed = dict(zip(("a", "b"), np.array([1.1, 0.7]) * rate, strict=True))
        times = np.linspace(0.0, 1.2, 5) * of["time"]
        part = sd.Observations(times, data.values[:5], variance=data.variance[:5])
        start = np.interp(times, data.times, data.values[:, 0])
        path = np.column_stack([start, np.full(5, of["hunters"])])
        solution = sd.boundary_value(
            action,
            part,
            rf=1e4 * of["time"] / size**2,
            start=path,
            initial=[2.0, 1.0] * size,
            method=method,
            fixed=fixed,
        )
        at = np.array([0.1, 0.77, 1.2]) * of["time"]
        momenta = solution.p(at) * size
        energy = solution.hamiltonian(at) * of["time"]
        found.append((solution.action, solution.x(at) / size, momenta, energy))
    for one, other in zip(*found, strict=True):
        assert other == pytest.approx(one, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"start": "nudged"}, {"scheme": "trapezoid"}),
        ({"strategy": "window", "paths": 1}, {}),
        ({"strategy": "population", "paths": 4}, {}),
        ({"paths": 1}, {"scale": "log"}),
        ({"paths": 1}, {"scheme": "gauss4"}),
    ],
    ids=lambda given: "-".join(map(str, given.values())),
)
def test_starts_strategies_schemes_and_scales_do_not_see_units(
    options: dict[str, object], kind: dict[str, str]
) -> None:
    chosen = {"solver": "newton", **options}
    check_same(answer(ALL, chosen, **kind), answer({}, chosen, **kind), 1e-6)


def test_back_propagation_does_not_see_units() -> None:
    """An implicit step is solved as well for small states as for large ones."""
    losses = []
    for units in ({}, ALL):
        of = {name: units.get(name, 1.0) for name in UNITS}
        action, data = predators(**of, scheme="trapezoid"), counts(of["prey"], of["time"])
        unit = np.array([of["rate"] / of["time"], 1.0 / (of["hunters"] * of["time"])])
        rates = dict(zip(("a", "b"), np.array([1.0, 0.8]) * unit, strict=True))
        initial = [2.1 * of["prey"], 0.9 * of["hunters"]]
        found = action.backpropagate(data, initial=initial, parameters=rates)
        slopes = np.array([found.by_parameters[name] for name in ("a", "b")]) * unit
        losses.append([found.loss, *slopes])
    assert losses[1] == pytest.approx(losses[0], rel=1e-9)


def test_rf_of_a_relative_ladder_is_c_over_the_variance() -> None:
    action, data = predators(), counts(1.0, 1.0)
    problem = action.bind(data)
    spread = float(np.var(data.values))
    assert problem.variances == pytest.approx([spread, 3.9**2 / 12])
    rungs = sd.Ladder(relative=0.5, alpha=3.0, rungs=4).over(problem)
    c = 0.5 * 3.0 ** np.arange(4)
    assert rungs[:, 0] == pytest.approx(c / spread)
    assert rungs[:, 1] == pytest.approx(HIDDEN * c / (3.9**2 / 12))
    # without a number of its own it begins at a hundredth of the precision of the data
    assert DEFAULT.over(problem)[0, 0] == pytest.approx(FIRST / 0.05**2)
    # however the action is averaged, and however long its steps are
    rate = predators(model_error="rate").bind(data, steps=3)
    own = DEFAULT.over(rate)[0] * rate.weight[0] * rate.h[0] / 0.3
    assert own == pytest.approx(DEFAULT.over(problem)[0])
    averaged = predators(averaging="eq14").bind(data)
    shares = DEFAULT.over(averaged)[0] * averaged.weight[0] / averaged.measurement_scale
    assert shares == pytest.approx(DEFAULT.over(problem)[0])


def test_a_state_seen_in_an_expression_is_not_hidden() -> None:
    x, y, z = sd.states("x y z", start=(-1.0, 1.0))
    model = sd.Model({x: y, y: z - x, z: -z}, name="m")
    action = sd.Action(model, {"h": x * y})
    problem = action.bind(sd.Observations([0.0, 1.0, 2.0], [0.1, 0.5, -0.2], variance=0.01))
    assert problem.hidden.tolist() == [False, False, True]


def test_data_without_spread_leave_the_variance_to_the_start_range() -> None:
    x = sd.state("x", start=(0.0, 6.0))
    action = sd.Action(sd.Model({x: 0.0 * x}, name="rest"), [x])
    problem = action.bind(sd.Observations([0.0, 1.0, 2.0], [3.0, 3.0, 3.0], variance=0.01))
    assert problem.variances == pytest.approx([3.0])
    assert problem.signal == pytest.approx(900.0)


def test_a_run_records_c_and_rf(tmp_path) -> None:
    action, data = predators(), counts(1.0, 1.0)
    options = {"solver": "newton", "paths": 1, "executor": "serial", "progress": False}
    run = sd.anneal(action, data, ladder=sd.Ladder(relative=2.0, rungs=2), **options)
    d = sd.load(run.save(tmp_path / "run.nc")).dataset
    assert d["relative_rf"].values.tolist() == [2.0, 4.0]
    assert d["rf"].values[:, 0] == pytest.approx(d["relative_rf"].values / np.var(data.values))
    figure = run.plot_levels()
    assert "variance" in figure.axes[0].get_xlabel()
    assert figure.axes[0].lines[0].get_xdata().tolist() == [2.0, 4.0]
    page = run.report(tmp_path / "run.md").read_text()
    assert "c = 2 .. 4 in units of one over each state's variance" in page
    assert "sd.Ladder(relative=2.0, alpha=2.0, rungs=2)" in page
    assert "--relative=2.0" in page
    absolute = sd.anneal(action, data, ladder=sd.Ladder(3.0, rungs=2), **options)
    assert "relative_rf" not in absolute.dataset
    assert absolute.plot_levels().axes[0].get_xlabel() == "$R_f$"


def test_absolute_and_relative_numbers_do_not_go_together() -> None:
    with pytest.raises(OptionError, match=r"rf0=1\.0 is Rf in absolute numbers, relative=2\.0"):
        sd.Ladder(1.0, relative=2.0)
    with pytest.raises(OptionError, match=r"Ladder: relative must be a positive number, got 0"):
        sd.Ladder(relative=0.0)
    x = sd.state("x", start=(0.0, 1e-160))
    action = sd.Action(sd.Model({x: -x}, name="tiny"), {"y": 1e160 * x})
    data = sd.Observations([0.0, 1.0], [1.0, 0.4], variance=1e-2)
    with pytest.raises(OptionError, match=r"Rf of x at beta=0 leaves the range of doubles"):
        sd.anneal(action, data, paths=1, progress=False)


def test_the_default_ladder_takes_a_reaction_of_small_numbers() -> None:
    """Six points of size 1e-2 with noise 1e-4: least squares of a0/(1 + k a0 t) gives 0.4320."""
    times = np.array([0.0, 10.0, 26.0, 44.0, 70.0, 120.0])
    values = 1e-3 * np.array([54.0, 44.0, 34.0, 27.0, 20.0, 14.0])
    a = sd.state("a", start=(0.0, 0.1))
    k = sd.parameter("k", bounds=(0.0, 10.0))
    action = sd.Action(sd.Model({a: -k * a**2}, name="second_order"), [a])
    data = sd.Observations(times, values, variance=1e-8)
    run = sd.anneal(action, data, solver="newton", paths=4, executor="serial", progress=False)
    assert run.best.parameters["k"] == pytest.approx(0.4320, abs=5e-4)
