"""The examples find what is true as far as their data can tell; the papers' scripts judge it."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.sparse.linalg import splu

import symda as sd
from symda.analyse import ChiSquared

EXAMPLES = Path(__file__).parents[1] / "examples"

# Paths that must end on the lowest level; all that the example starts, but for the pendulum.
HITS = {"henon": 16, "lorenz63": 8, "lorenz96": 8, "neuron": 4, "pendulum": 5}


@dataclass(frozen=True)
class Example:
    """A script's names, and what its `estimate` returned."""

    name: str
    script: Mapping[str, Any]
    truth: sd.Trajectory
    data: sd.Observations
    run: sd.Run


def standard_errors(example: Example) -> dict[str, float]:
    """Square roots of the diagonal of the inverse Hessian at the best path, for each parameter."""
    script, dataset, best = example.script, example.run.dataset, example.run.best
    action = sd.Action(script["model"], script["measured"], scheme=script["scheme"])
    steps = dataset.sizes["step"] // (len(example.data.times) - 1)
    problem = action.bind(example.data, steps=steps)
    hessian = action.compile().hessian(
        best.states.values, best.parameters, dataset["rf"].values[-1], problem
    )
    P = dataset.sizes["parameter"]
    last = np.eye(hessian.shape[0])[:, -P:]
    covariance = splu(hessian.tocsc()).solve(last)[-P:]
    return dict(zip(best.parameters, np.sqrt(np.diag(covariance)), strict=True))


@pytest.fixture(scope="module", params=list(HITS))
def example(request: pytest.FixtureRequest) -> Example:
    name: str = request.param
    script = runpy.run_path(str(EXAMPLES / f"{name}.py"))
    return Example(name, script, *script["estimate"]())


def test_parameters_are_recovered_as_far_as_the_data_can_tell(example: Example) -> None:
    chi = example.run.chi_squared()
    assert chi.low <= chi.value <= chi.high, chi.verdict
    assert example.run.table()["paths"][0] >= HITS[example.name]
    errors = standard_errors(example)
    assert len(errors) == example.run.dataset.sizes["parameter"]
    for parameter, error in errors.items():
        true = example.truth.parameters[parameter]
        assert error < 0.1 * abs(true), f"the data hardly constrain {parameter}"
        assert abs(example.run.best.parameters[parameter] - true) < 3 * error, parameter


def test_main_prints_what_was_found_and_draws_it(
    example: Example, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = example.script["main"]
    known = main.__globals__["estimate"]
    main.__globals__["estimate"] = lambda: (example.truth, example.data, example.run)
    try:
        main(tmp_path)
    finally:
        main.__globals__["estimate"] = known
    printed = capsys.readouterr().out
    for parameter, value in example.run.best.parameters.items():
        assert f"{parameter} = {value:.4f}, true value" in printed
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written and all(name.startswith(f"{example.name}_") for name in written)


def test_script_writes_into_the_folder_it_is_given(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    subprocess.run([sys.executable, EXAMPLES / "henon.py", "--out", out], cwd=elsewhere, check=True)
    assert {path.name for path in out.iterdir()} == {"henon_levels.png", "henon_states.png"}
    assert list(elsewhere.iterdir()) == []


def test_newborns_agree_with_scipy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each estimate, its error and the likelihood; `main` refuses others. And what it says."""
    script = runpy.run_path(str(EXAMPLES / "newborns.py"))
    script["main"](tmp_path)
    printed = capsys.readouterr().out
    assert "verdict: consistent with the data" in printed
    assert "-log likelihood 35.6680, SciPy 35.6680" in printed
    assert "AIC: 89.3, with the second compartment 86.1" in printed
    assert "AIC for few data: 119.3, with the second compartment 152.1" in printed
    assert (tmp_path / "newborns_states.png").is_file()


@dataclass(frozen=True)
class Judged:
    """As much of a run as the papers' scripts judge."""

    value: float
    paths: int = 100

    @property
    def dataset(self) -> SimpleNamespace:
        return SimpleNamespace(sizes={"path": self.paths})

    def chi_squared(self) -> ChiSquared:
        value = self.value
        return ChiSquared(300.0, 20.0, 664, 64, 260.0, 340.0, value, value, 0.0, "judged")


@pytest.fixture
def papers(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(EXAMPLES / "papers"))
    return EXAMPLES / "papers"


# As in the paper: L, levels, lowest, next, paths on the lowest, measurement term of the lowest.
FIGURE_1 = {
    2: (90, 2000.0, 2400.0, 1, 1990.0),
    4: (40, 310.0, 900.0, 6, 309.0),
    5: (2, 310.0, 5000.0, 60, 309.0),
    6: (1, 310.0, np.inf, 100, 309.0),
}


@pytest.mark.parametrize(
    ("L", "row", "complaint"),
    [
        (2, (40, 2000.0, 2400.0, 1, 1990.0), "L = 2: expected many levels, found 40 for 100 paths"),
        (2, (90, 300.0, 2400.0, 1, 290.0), "L = 2: expected none apart, but the next is 8 times"),
        (4, (40, 310.0, 400.0, 6, 309.0), "L = 4: the next level is only 1.29 times as high"),
        (4, (40, 350.0, 900.0, 6, 349.0), "L = 4: judged"),
        (5, (21, 310.0, 900.0, 60, 309.0), "L = 5: expected few levels, found 21, with four 40"),
        (6, (2, 310.0, 900.0, 99, 309.0), "L = 6: expected every path on one level, found 99"),
        (None, (), ""),
    ],
)
def test_figure_1_is_judged_by_what_the_paper_shows(
    papers: Path, L: int | None, row: tuple[float, ...], complaint: str
) -> None:
    script = runpy.run_path(str(papers / "va1.py"))
    rows = FIGURE_1 if L is None else FIGURE_1 | {L: row}
    panels = [
        script["Panel"](key, Judged(value), lowest, after - lowest, levels, hits, 312.0, 60.0)
        for key, (levels, lowest, after, hits, value) in rows.items()
    ]
    wrong = script["check"](panels)
    assert len(wrong) == (L is not None)
    assert "".join(wrong).startswith(complaint)


@pytest.mark.parametrize(
    ("steps", "levels", "value", "nu", "complaint"),
    [
        (1, 1, 400.0, 9.0, "1 step: expected several levels"),
        (1, 3, 300.0, 9.0, "1 step: expected a level above the band"),
        (1, 3, 400.0, 9.95, "1 step: expected nu to be off"),
        (6, 2, 300.0, 9.95, "6 steps: expected one level, found 2"),
        (12, 1, 200.0, 9.95, "12 steps: judged"),
        (12, 1, 300.0, 10.2, "12 steps: expected nu near 10, it is off by 0.2"),
        (1, 3, 400.0, 9.0, None),
        (3, 9, 900.0, 0.0, None),
        (6, 1, 300.0, 9.95, None),
    ],
)
def test_figure_2_is_judged_by_what_the_paper_shows(
    papers: Path, steps: int, levels: int, value: float, nu: float, complaint: str | None
) -> None:
    script = runpy.run_path(str(papers / "va2.py"))
    estimates = np.array([10.0, nu])
    panel = script["Panel"](steps, Judged(value), value, levels, 1, estimates, 60.0)
    wrong = script["check"]([panel])
    assert len(wrong) == (complaint is not None)
    assert "".join(wrong).startswith(complaint or "")


def test_figure_1_in_small(papers: Path, tmp_path: Path) -> None:
    script = runpy.run_path(str(papers / "va1.py"))
    panel = script["anneal_panel"](
        6,
        fixed=True,
        data_seed=1,
        seed=0,
        paths=2,
        solver="ipopt",
        ladder=sd.Ladder(0.01, 8.0, 7),
        steps=40,
    )
    assert panel.run.best.parameters["nu"] == 10.0
    assert (panel.levels, panel.hits, panel.gap) == (1, 2, np.inf)
    assert panel.lowest == pytest.approx(panel.run.best.action) and panel.lowest < panel.true
    script["draw"]([panel], tmp_path / "va1.png")
    assert (tmp_path / "va1.png").stat().st_size > 10_000
    assert f"{panel.lowest:8.2f}" in script["report"]([panel])


def test_figure_2_in_small(papers: Path, tmp_path: Path) -> None:
    script = runpy.run_path(str(papers / "va2.py"))
    panel = script["anneal_panel"](
        3,
        data_seed=1,
        seed=0,
        paths=2,
        solver="ipopt",
        ladder=sd.Ladder(0.01, 8.0, 7),
        intervals=10,
    )
    assert panel.run.dataset.sizes["step"] == 30
    assert np.all(np.abs(panel.estimates - 10.0) < 1.0)
    script["draw"]([panel], tmp_path / "va2.png")
    assert (tmp_path / "va2.png").stat().st_size > 10_000
    assert f"{panel.lowest:8.2f}" in script["report"]([panel])
