"""The example of a large lattice finds its parameters and the field that is never measured."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.smoke

SCRIPT = Path(__file__).parents[1] / "examples" / "lattice.py"


def test_the_sheet_is_found_from_its_voltage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = runpy.run_path(str(SCRIPT))
    truth, data, run = script["estimate"]()
    chi = run.chi_squared()
    assert chi.low <= chi.value <= chi.high, chi.verdict
    assert run.table()["paths"][0] == 2
    for name, value in run.best.parameters.items():
        assert value == pytest.approx(script["TRUE"][name], rel=0.03)
    hidden = len(script["u"])
    error = (run.best.states - truth.states.values).values[:, hidden:]
    spread = truth.states.values[:, hidden:].std()
    assert np.sqrt(np.mean(error**2)) < 0.15 * spread
    script["main"].__globals__["estimate"] = lambda: (truth, data, run)
    script["main"](tmp_path)
    printed = capsys.readouterr().out
    assert "diffusion = 0.30" in printed and "never measured" in printed
    assert [path.name for path in tmp_path.iterdir()] == ["lattice_sheet.png"]
