"""Two sweeps of the NaKL neuron in one run: the usual ladder finds it, and knows it better."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

import symda as sd

#: Standard deviation of gNa from the Jacobian of V(t) by initial states and parameters, which are
#: differences of `simulate`, in both sweeps at their minimum.
BY_SHOOTING = 9.47
EXAMPLE = Path(__file__).parents[1] / "examples" / "nakl.py"


@pytest.mark.smoke
def test_two_sweeps_are_found_by_the_usual_ladder_and_say_more_than_each():
    script = runpy.run_path(str(EXAMPLE))
    experiment = script["experiment"]
    experiment.__globals__["DT"] = 0.03
    made = {f"current {seed}": experiment(50.0, seed) for seed in (1, 2)}
    action = made["current 1"][0]
    truth = {name: each[1].states.values for name, each in made.items()}
    data = {name: each[2] for name, each in made.items()}
    run = sd.anneal(action, data, paths=4, solver="newton", progress=False)
    level = run.levels.values[:, -1]
    assert np.ptp(level) < 0.01, "all starts end in one place"
    assert run.verdict().consistent
    ladder = run.dataset["relative_rf"].values

    def again(paths, values, names, first, rungs):
        def start(problem, _):
            theta = [values[name] for name in problem.parameters]
            return np.concatenate([paths[name] for name in names]), np.array(theta)

        given = {name: data[name] for name in names} if len(names) > 1 else data[names[0]]
        last = sd.Ladder(relative=float(ladder[first]), alpha=4.0, rungs=rungs)
        settings = {"paths": 1, "start": start, "ladder": last, "solver": "newton"}
        found = sd.anneal(action, given, progress=False, **settings)
        return found, given

    # the place is that which is found from the true paths
    near, _ = again(truth, sd.models.NAKL, list(data), 8, 7)
    assert abs(near.best.action - level.min()) < 0.01
    # so are the error bars, though the solver stopped where momenta are not yet those of the place
    spreads = [np.array([*action.posterior(each, data).sd.values()]) for each in (run, near)]
    np.testing.assert_allclose(*spreads, rtol=1e-3)
    assert abs(action.posterior(run, data).sd["gNa"] - BY_SHOOTING) < 0.03 * BY_SHOOTING
    # alone a sweep has too flat a valley for the last rungs, so all are compared before
    best = {name: one.states.values for name, one in run.best.experiments.items()}
    spread = []
    for names in (["current 1"], ["current 2"], list(data)):
        found = action.posterior(*again(best, run.best.parameters, names, 6, 4))
        assert not found.at_bound.any()
        spread.append(np.array([found.sd[name] for name in sd.models.NAKL]))
    first, second, both = spread
    share = both / np.sqrt(1.0 / (first**-2 + second**-2))
    # precisions add up at least; what one sweep says of the other's loose parameters helps too
    assert share.max() < 1.1
    assert np.median(share) < 0.9
