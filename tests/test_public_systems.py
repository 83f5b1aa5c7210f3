"""The trial set of benchmarks/trial: its equations are those of others, and its judge can fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from symda.anneal.starts import Draw, Simulated
from symda.api.machine import strong_of

FOLDER = Path(__file__).parents[1] / "benchmarks" / "trial"
Load: TypeAlias = Callable[[str], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.syspath_prepend(str(FOLDER))
    return import_module


@pytest.fixture
def dysts(load: Load) -> ModuleType:
    systems = load("systems")
    if not systems.installed():
        pytest.skip("dysts is not installed; `make trial` does so")
    return systems


AWKWARD = (
    ("flow", "Lorenz96"),  # arrays
    ("flow", "MacArthur"),  # matrices, and the least of each row
    ("flow", "BelousovZhabotinsky"),  # max
    ("flow", "AnishchenkoAstakhov"),  # heaviside
    ("flow", "Torus"),  # time
    ("flow", "InteriorSquirmer"),  # sums in place
    ("map", "Baker"),  # floor
    ("map", "KaplanYorke"),  # mod
    ("map", "Chebyshev"),  # arccos
)


@pytest.mark.parametrize(("kind", "name"), AWKWARD)
def test_equations_are_those_of_dysts(dysts: ModuleType, kind: str, name: str) -> None:
    made = dysts.system(kind, name)
    values = {p: sp.Float(value) for p, value in made.parameters.items()}
    right = sp.lambdify(
        [list(made.states), dysts.T], [one.xreplace(values) for one in made.equations]
    )
    rng = np.random.default_rng(0)
    for _ in range(5):
        x = made.initial * rng.uniform(0.8, 1.2, made.initial.size)
        t = rng.uniform(0.0, 10.0)
        np.testing.assert_allclose(np.array(right(x, t), float), made.rate(x, t), rtol=1e-9)


def test_every_system_is_there_or_has_a_reason(dysts: ModuleType) -> None:
    counted = {kind: 0 for kind in dysts.FILES}
    for kind in dysts.FILES:
        for name in dysts.names(kind):
            counted[kind] += not dysts.left_out(kind, name)
    assert counted == {"flow": 129, "map": 22}
    assert "delay" in dysts.left_out("flow", "MackeyGlass")
    assert "numerically" in dysts.left_out("map", "BlinkingVortexMap")


def test_a_twin_is_the_same_again_and_true_to_its_tier(dysts: ModuleType, load: Load) -> None:
    twins = load("twins")
    lorenz = dysts.system("flow", "Lorenz")
    made, again = twins.twin(lorenz, "hard"), twins.twin(lorenz, "hard")
    np.testing.assert_array_equal(made.data.values, again.data.values)
    assert set(made.parameters) == {"sigma", "rho", "beta"}
    seen = np.isfinite(made.data.values[:, 0])
    assert 0.75 < seen.mean() < 0.85
    truth = made.path(made.data.times)[seen, 0]
    z = (made.data.values[seen, 0] - truth) / np.sqrt(made.data.variance[seen, 0])
    assert abs(z.std() - 1.0) < 0.2
    # an independent solution of Lorenz's equations, by symda's own integrator
    sd = import_module("symda")
    exact = sd.simulate(
        sd.models.lorenz63(),
        made.data.times[:50],
        lorenz.initial,
        parameters={"sigma": 10.0, "rho": 28.0, "beta": 2.667},
    )
    np.testing.assert_allclose(made.path(made.data.times[:50]), exact.states.values, rtol=1e-5)
    assert twins.twin(lorenz, "easy").data.values.shape[1] == 2


@pytest.mark.parametrize(
    "name", ["InteriorSquirmer", "BlinkingVortex", "ForcedVanDerPol", "ThomasLabyrinth"]
)
def test_a_recording_is_a_solution_from_datum_to_datum(
    dysts: ModuleType, load: Load, name: str
) -> None:
    """Though two integrations part, where equations are so unstable, none passes over a switch."""
    system = dysts.system("flow", name)
    count = 250
    times = np.arange(count + 1.0) * (system.period / 50)
    path = load("twins").true_path(system, times)(times)
    worst = 0.0
    for i in range(0, count, 10):
        found = solve_ivp(
            lambda t, x: system.rate(x, t), times[i : i + 2], path[i],
            method="DOP853", rtol=1e-12, atol=1e-14, max_step=system.period / 400,
        )  # fmt: skip
        worst = max(worst, (np.abs(found.y[:, -1] - path[i + 1]) / path.std(axis=0)).max())
    assert worst < 1e-7


@pytest.mark.parametrize(
    ("name", "optimum"), [("Boehm", 138.222), ("Crauste", 190.966), ("Bruno", -46.688)]
)
def test_published_likelihoods(load: Load, name: str, optimum: float) -> None:
    problem = load("published").PROBLEMS[name]()
    assert problem.optimum == optimum
    assert problem.cost(problem.nominal) == pytest.approx(optimum, abs=0.003)
    # and it is an optimum: other values of parameters that matter cost more
    for p in dict(list(problem.nominal.items())[:3]):
        for factor in (0.9, 1.1):
            other = {**problem.nominal, p: factor * problem.nominal[p]}
            assert problem.cost(other) > optimum - 0.003


def test_a_shot_begins_where_logarithms_are_near(load: Load) -> None:
    """Of 20 draws of Crauste's the least squared error leads to a wrong minimum."""
    problem = load("published").PROBLEMS["Crauste"]()
    bound, own = problem.bound, problem.action.of(problem.bound)
    at = strong_of(own.specification, own.compile().machine.at(bound))
    draw, drawn = Draw(bound, 0, 83), []
    while len(drawn) < 20:
        point = draw.path(), draw.parameters()
        if np.isfinite(at.value(at.unknowns(*point))):
            drawn.append(point)
    plain = at.minimise(*min(drawn, key=lambda one: at.value(at.unknowns(*one))))
    assert plain.action + problem.constant > 290.0
    start = Simulated(best_of=20).point(Draw(bound, 0, 83, flow=lambda: at))
    np.testing.assert_array_equal(start[1], min(drawn, key=lambda one: at.distance(*one)[0])[1])
    found = at.minimise(*start, patient=False)
    assert found.action + problem.constant < problem.optimum + 0.5


def test_the_model_bound_is_the_problem(load: Load, uncompiled: None) -> None:
    """The action of the problem's own solution, and its constant, are -log likelihood."""
    problem = load("published").PROBLEMS["Bruno"]()
    sd = import_module("symda")
    states = []
    parts = problem.bound.experiments
    for part, (name, begin) in zip(parts, problem.begins.items(), strict=True):
        values = dict(problem.nominal) | {"slow": next(iter(problem.known[name].values()))}
        place = {p: values[p.name] for p in problem.action.parameters}
        first = [float(sp.sympify(begin[x]).subs(place)) for x in problem.rates]
        own = {p.name: values[p.name] for p in problem.action.model.parameters}
        solved = sd.simulate(problem.action.model, part.times, first, parameters=own)
        states.append(solved.states.values)
    kernels = problem.action.compile()
    theta = [
        problem.nominal.get(name.split("[")[0], value)
        for name, value in zip(problem.bound.parameters, problem.bound.fixed, strict=True)
    ]
    level = kernels.action(np.concatenate(states), theta, 1.0, problem.bound)
    assert level + problem.constant == pytest.approx(problem.optimum, abs=0.003)


def test_spikes_are_met_once_each(load: Load) -> None:
    recording = load("recording")
    t = np.arange(0.0, 4.0, 0.5)
    assert recording.spikes(t, np.array([-1, 1, 1, -1, -1, 1, -1, -1])).tolist() == [0.5, 2.5]
    assert recording.coincident([10.0, 20.0], [11.0, 12.0, 40.0]) == 1
    times, current, _ = recording.sweep(8, recording.FIT_END)
    assert times[0] == recording.BEGIN
    assert times[np.argmax(current > 0)] == pytest.approx(146.8, abs=0.1)


def shown(**given: Any) -> dict[str, Any]:
    row = {
        "tier": "easy",
        "kind": "flow",
        "name": "Lorenz",
        "call": "auto",
        "limit": 20.0,
        "steps": 1,
        "level": 100.0,
        "reference": 99.9,
        "found": True,
        "inside": 2,
        "unknown": 3,
        "note": "",
        "wall": 1.0,
        "cpu": 2.0,
        "search": 0.5,
        "verdict": "consistent with the data",
        "consistent": True,
        "lie": False,
        "more": {},
    }
    return row | given


def test_the_table_counts_lies_and_what_went_wrong(load: Load, tmp_path: Path) -> None:
    table = load("table")
    wrong = {k: shown()[k] for k in ("tier", "kind", "call", "limit", "steps")}
    rows = [
        shown(),
        shown(name="Chen", found=False, lie=True, level=300.0),
        wrong | {"name": "Chua", "wrong": "ended: over twice its time"},
        shown(name="Torus", more={"coarse": 1.0}),
    ]
    text = table.summary(rows)
    assert "| easy | flows, A to M | 1 of 3 | 0 | 1 | 4 of 6 | 1 | 2 | 0.5 | 1 |" in text
    assert "| easy | flows, N to Z | 1 of 1 | 1 | 0 |" in text
    assert "Chen: 200 above 99.9; consistent with the data, a lie" in table.missed(rows)
    assert "Chua: ended" in table.missed(rows)
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert table.read(file) == rows
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.write(page, table.page(rows))
    assert page.read_text().startswith("before\n") and page.read_text().endswith("after\n")
    assert "old" not in page.read_text()


def test_a_row_tells_what_went_wrong(load: Load, dysts: ModuleType) -> None:
    made = load("row").row("easy", "flow", "Nosuch", "window", 1.0, 1)
    assert made["wrong"].startswith("making the data: KeyError")


@pytest.mark.parametrize(("kind", "name", "steps"), [("map", "Henon", 1), ("flow", "Rossler", 2)])
def test_a_row_is_found_or_missed(
    load: Load, dysts: ModuleType, uncompiled: None, kind: str, name: str, steps: int
) -> None:
    del dysts, uncompiled
    cases, calls = load("cases"), load("calls")
    sd = import_module("symda")
    case = cases.case("easy", kind, name)
    ladder = sd.Ladder(alpha=16.0, rungs=8)
    run = calls.newton(case.action, case.data, 60.0, steps, paths=2, start="nudged", ladder=ladder)
    good = case.judge(run)
    assert good.found
    assert good.level == pytest.approx(good.reference, abs=1e-3)
    assert good.more["steps"] == steps
    assert abs(good.level - good.more["expected"]) < 4.0 * np.sqrt(good.more["expected"])
    assert good.unknown == 2
    # the same run, said to be a little higher, is missed
    run.dataset["action"] = run.dataset["action"] + 1.0
    assert not case.judge(run).found
