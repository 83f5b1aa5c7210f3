"""What the verdict says of minima near the lowest."""

from __future__ import annotations

import numpy as np
import pytest

import symda as sd
from symda.analyse import assessment

QUIET = {"progress": False, "solver": "newton"}

pytestmark = pytest.mark.usefixtures("uncompiled")


def beside(above: float, shift: float, paths: int = 12) -> sd.Run:
    """A run of a decay, of which the last path is made another minimum."""
    x, k = sd.state("x", bounds=(-5.0, 20.0)), sd.parameter("k", bounds=(0.0, 10.0))
    action = sd.Action(sd.Model({x: -k * x}, name="decay"), [x], scheme="rk4")
    t = np.linspace(0.0, 5.0, 51)
    noise = 0.01 * np.random.default_rng(0).standard_normal(t.size)
    data = sd.Observations(t, np.exp(-t) + noise, variance=1e-4)
    run = sd.anneal(action, data, paths=paths, ladder=sd.Ladder(1e2, 8.0, 8), **QUIET)
    d = run.dataset.copy(deep=True)
    error = dict(assessment(d).sds)["k"]
    d["action"][-1, -1] = float(d["action"][0, -1]) + above
    d["parameters"][-1, -1, 0] = float(d["parameters"][0, -1, 0]) + shift * error
    d["place"][-1] = 1
    return sd.Run(d, action)


@pytest.mark.parametrize(
    ("above", "shift", "moved"),
    [(1.0, 3.0, 3.0 / (1.0 + np.e)), (1.0, 0.2, 0.0), (4.5, 5.0, 0.0), (6.0, 1e4, 0.0)],
)
def test_minima_near_the_lowest_are_named_where_they_move_the_estimate(
    above: float, shift: float, moved: float
) -> None:
    """Of two with actions 1 apart the higher has 1/(1 + e) of the probability, if alike wide."""
    run = beside(above, shift)
    level = next(one for one in run.verdict().findings if one.about == "level")
    if not moved:
        assert level.holds is True and run.verdict().consistent, run.summary()
        return
    assert level.holds is None and str(run.verdict()).startswith("not certain (level): ")
    assert f"1 other minimum from {above:.2g} above it on" in level.text
    assert f"move it by {moved:.2g} standard deviations" in level.text
    assert "about 27 % of the probability" in level.text


def test_a_level_beside_few_hits_says_that_there_may_be_more() -> None:
    """One of three levels' hits was of a level met once: a third of what is met next is new."""
    level = next(
        one for one in beside(1.0, 0.0, paths=3).verdict().findings if one.about == "level"
    )
    assert level.holds is None
    assert "2 levels lie within 5 of it" in level.text
    assert "at a new one with a probability of 33 %" in level.text
