"""The papers' script on digits, in small and on digits of its own."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import symda as sd

SCRIPT = Path(__file__).parents[1] / "examples" / "papers" / "digits.py"


def test_without_scikit_learn_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.setattr(sys, "argv", ["digits.py"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert end.value.code is None
    assert capsys.readouterr().out.startswith("scikit-learn is not installed")


@pytest.mark.smoke
@pytest.mark.usefixtures("uncompiled")
def test_digits_that_are_easy_are_all_told(monkeypatch: pytest.MonkeyPatch) -> None:
    script = runpy.run_path(str(SCRIPT))
    own = script["fit"].__globals__
    monkeypatch.setitem(own, "FITTED", 30)
    monkeypatch.setitem(own, "LADDER", sd.Ladder(rf0=8e3, alpha=1e3, rungs=2))
    rng = np.random.default_rng(0)
    digits = np.arange(60) % 10
    images = rng.uniform(size=(10, 64))[digits] + 0.02 * rng.normal(size=(60, 64))
    found = script["Found"]()
    script["fit"](images, digits, script["CASES"][0], 1, found)
    assert found.by_rf[0][-1] == found.accuracies[0][0] == found.noiseless[0][0] == 1.0
    # the errors of the equations fade as Rf grows
    assert found.errors[0][1] < 0.1 * found.errors[0][0]
    assert len(found.levels[0]) == 3 and np.isfinite(found.levels[0]).all()
