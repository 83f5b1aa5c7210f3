"""What cycles cannot be made of is refused at the call, with what to do instead."""

from __future__ import annotations

import numpy as np
import pytest
import swings
from swings import pendulum

import symda as sd
from symda.errors import DataError, OptionError


@pytest.fixture(scope="module")
def swing():
    return swings.swing()


def test_a_prior_of_another_model_or_scale_is_refused(swing):
    action, _, data, prior = swing
    early = sd.Observations(data.times[:10], data.values[:10], variance=0.01)
    late = sd.Observations(data.times[10:20], data.values[10:20], variance=0.01)
    begun = action.cycle(early, prior=prior)
    run = sd.anneal(action, early, paths=2, progress=False, strategy="ladder", seed=0,
                    ladder=sd.Ladder(rf0=1.0, alpha=10.0, rungs=6))  # fmt: skip
    log = pendulum("log")[0]
    x, v = sd.states("x v", start=(-2.0, 2.0))
    k = sd.parameter("k", bounds=(0.1, 10.0), start=(0.5, 4.0))
    other = sd.Action(sd.Model({x: v, v: -k * x}, name="pendulum"), [x], scheme="rk4")
    for known in (begun, run):
        for wrong in (log, other):
            with pytest.raises((OptionError, DataError)):
                wrong.cycle(late, prior=known)
        assert action.cycle(late, prior=known).dataset.sizes["cycle"] == 10


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"window": 0}, "window"),
        ({"every": 0}, "every"),
        ({"every": 50}, "every=50"),
        ({"inflation": 0.9}, "inflation"),
        ({"widen": 1.0}, "widen"),
        ({"rf": -1.0}, "rf"),
        ({"rf": {"x": 1.0}}, "lacks 'v'"),
        ({"rf": {"x": 1.0, "v": np.inf}}, "finite for all"),
        ({"rf": {"x": 1.0, "w": 1.0}}, "'w'"),
        ({"prior": {"w": (0.0, 1.0)}}, "names 'w'"),
        ({"prior": {"x": 1.0}}, r"\(mean, sd\)"),
        ({"prior": {"x": (1.0, 0.0)}}, "sd"),
        ({"prior": {"x": (np.nan, 1.0)}}, "mean"),
        ({"prior": {"k": (20.0, 1.0)}}, "bounds"),
        ({"prior": {"k": (2.0, 1.0)}, "fixed": {"k": 2.0}}, "none of x, v"),
        ({"prior": 3.0}, "float"),
        ({"store": 3}, "store"),
    ],
)
def test_what_cannot_be_is_refused(swing, options, words):
    action, _, data, prior = swing
    with pytest.raises((OptionError, DataError), match=words):
        action.cycle(data, **{"prior": prior, **options})


def test_what_has_no_cycles_is_refused(swing):
    action, _, data, prior = swing
    x, v = action.model.states
    with pytest.raises(OptionError, match="one recording"):
        action.cycle([data, data], prior=prior)
    with pytest.raises(OptionError, match="averag"):
        sd.Action(action.model, [x], averaging="eq2").cycle(data, prior=prior)
    with pytest.raises(OptionError, match=r"known exactly.*prior"):
        sd.Action(action.model, [x], initial={v: 0.5}).cycle(data, prior=prior)
    k = sd.parameter("k", start=(0.5, 4.0), prior=sd.Normal(2.0, 1.0))
    with pytest.raises(OptionError, match=r"declared prior.*prior="):
        sd.Action(sd.Model({x: v, v: -k * x}), [x]).cycle(data)
    i = sd.site("i", 12)
    z = sd.states("z", i)
    ring = sd.Model({z[i]: z[i - 1] - z[i]}, name="ring")
    free = sd.Action(ring, [z[0]], matrix_free=True)
    with pytest.raises(OptionError, match="matrix-free"):
        free.cycle(sd.Observations([0.0, 1.0], [0.0, 1.0], variance=1.0))
