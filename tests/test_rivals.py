"""What the verdict says of minima near the lowest."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import xarray as xr

import symda as sd
from symda.analyse import assessment
from symda.analyse.rivals import unfinished
from symda.status import Status

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


def finished(level: float, errors: float, status: Status, *, gaussian: int = 1) -> xr.Dataset:
    """Two levels that were finished; the second is the answer, 107, and the first is as given."""
    values = {
        "climbed": [level, 106.9],
        "errors": [errors, 0.01],
        "action": [299.0, 107.0],
        "status": [status.code, Status.CONVERGED.code],
    }
    return xr.Dataset(
        {f"solution_{name}": ("solution", np.array(each)) for name, each in values.items()},
        attrs={"chosen_solution": 1, "measurement_scale": 1.0, "gaussian": gaussian},
    )


@pytest.mark.parametrize(
    ("level", "errors", "status", "gaussian", "lost"),
    [
        (100.3, 0.01, Status.STOPPED, 1, True),
        (100.3, 0.01, Status.FAILED, 1, True),
        (100.3, 0.01, Status.CONVERGED, 1, False),  # its solution is another, and higher
        (106.8, 0.01, Status.STOPPED, 1, False),  # no lower than the answer, to half a unit
        (100.3, 40.0, Status.STOPPED, 1, False),  # far from any solution
        (-3.0, 4.0, Status.STOPPED, 0, True),  # of a density no share says anything
        (-3.0, 6.0, Status.STOPPED, 0, False),
    ],
)
def test_a_lower_path_that_nearly_is_a_solution_but_led_to_none(
    level: float, errors: float, status: Status, gaussian: int, lost: bool
) -> None:
    found = unfinished(finished(level, errors, status, gaussian=gaussian))
    assert found == level if lost else np.isnan(found)


def test_it_keeps_the_verdict_from_being_consistent(monkeypatch: pytest.MonkeyPatch) -> None:
    run = beside(6.0, 0.0)
    assert run.verdict().consistent
    module = sys.modules["symda.analyse.verdict"]  # the name is a function too
    monkeypatch.setattr(module, "unfinished", lambda _: 12.5)
    assert str(run.verdict()).startswith("not certain (level): ")
    assert "a path at 12.5, which nearly is a solution itself, led to none" in str(run.verdict())
