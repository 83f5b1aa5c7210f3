"""The NaKL example on a shorter window: what it finds agrees with how well it says it knows it."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symda as sd
from symda.observe import Problem

pytestmark = pytest.mark.smoke

EXAMPLE = Path(__file__).parents[1] / "examples" / "nakl.py"
MILLISECONDS = 30.0


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLE))


def near(truth: sd.Trajectory) -> Callable[[Problem, np.random.Generator], object]:
    """Start on the true path, with parameters up to a tenth off."""

    def start(problem: Problem, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        theta = np.array([sd.models.NAKL[name] for name in problem.parameters])
        return truth.states.values, theta * rng.uniform(0.9, 1.1, theta.size)

    return start


@pytest.fixture(scope="module")
def found(
    script: dict[str, Any],
) -> tuple[sd.Action, sd.Trajectory, sd.Observations, sd.Run]:
    action, truth, data = script["experiment"](MILLISECONDS)
    first, alpha = script["LADDER"].rf0, script["LADDER"].alpha
    # the last half of the ladder; random starts over all of it take minutes
    ladder = sd.Ladder({name: rf * alpha**4 for name, rf in first.items()}, alpha, 3)
    run = script["estimate"](action, data, paths=2, ladder=ladder, start=near(truth))
    return action, truth, data, run


def test_it_finds_the_neuron(found) -> None:
    action, truth, data, run = found
    chi = run.chi_squared()
    assert chi.low <= chi.value <= chi.high, chi.verdict
    # 1,500 steps of four states and 18 parameters, none of them fixed
    assert (run.dataset.sizes["step"], run.dataset.sizes["parameter"]) == (1500, 18)
    assert not run.dataset["fixed"].values.any()
    table = action.posterior(run, data).table(truth=sd.models.NAKL)
    free = table[~table["at_bound"]]
    assert len(free) >= 16
    assert free["z"].abs().max() < 4.0
    known = table[table["relative_sd"] < 0.01]
    assert "EK" in known.index and known["error"].abs().max() < 0.03
    gates = ["m", "h", "n"]
    off = run.best.states.sel(state=gates).values - truth.states.sel(state=gates).values
    # so short a window leaves h as loose as gNa, which it multiplies
    assert np.sqrt(np.mean(off**2, axis=0)).max() < 0.1


def test_it_predicts_and_draws_what_a_new_current_does(script, found, tmp_path, capsys) -> None:
    action, truth, data, run = found
    main = script["main"]
    known = main.__globals__
    before = {name: known[name] for name in ("experiment", "estimate")}
    known |= {"experiment": lambda _: (action, truth, data), "estimate": lambda *_, **__: run}
    try:
        main(tmp_path, MILLISECONDS, 4)
    finally:
        known |= before
    printed = capsys.readouterr().out
    assert all(name in printed for name in sd.models.NAKL)
    off = float(printed.split("predicted voltage off by ")[1].split(" mV")[0])
    assert off < 10.0
    assert {p.name for p in tmp_path.iterdir()} == {"nakl_states.png", "nakl_prediction.png"}
