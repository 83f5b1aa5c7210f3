"""The papers' script on symplectic maps, in small; and what it would complain of."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

import symda as sd

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(EXAMPLES / "papers" / "va10.py"))


@pytest.fixture(scope="module")
def runs(script):
    system = script["henon_heiles"]()
    return {name: script["run"](system, name, 1000) for name in ("rk4", "verlet", "yoshida4")}


def test_symplectic_maps_keep_the_energy_and_rk4_does_not(script, runs) -> None:
    assert script["check"](list(runs.values())) == []
    rk4, verlet, yoshida4 = runs.values()
    # of equal work, and of higher or the same order
    assert rk4.steps * 4 == verlet.steps == yoshida4.steps * 3
    for symplectic in (verlet, yoshida4):
        assert abs(symplectic.slope) < 4.0 * symplectic.slope_error
        late = np.abs(symplectic.error[symplectic.time > 900.0]).max()
        early = np.abs(symplectic.error[symplectic.time < 100.0]).max()
        assert late == pytest.approx(early, rel=0.1)
        assert symplectic.defect < 1e-14
    tenths = [part.mean() for part in np.array_split(rk4.error, 10)]
    assert np.all(np.diff(tenths) < 0.0)
    assert rk4.drift == pytest.approx(rk4.error[-1], rel=0.02) and rk4.error[-1] < 0.0
    assert rk4.bound > 10.0 * verlet.bound > 100.0 * yoshida4.bound


def test_what_is_not_as_it_should_be_is_said(script, runs) -> None:
    rk4, verlet = runs["rk4"], runs["verlet"]
    drifting = replace(verlet, slope=rk4.slope, slope_error=rk4.slope_error)
    rough = replace(verlet, defect=1e-9)
    steady = replace(rk4, error=np.abs(verlet.error[: len(rk4.error)]), time=rk4.time)
    wrong = script["check"]([drifting, rough, steady, replace(rk4, defect=0.0)])
    assert [line.split(": ")[1].split(" ")[0] for line in wrong] == [
        "drifts",
        "M^T",
        "expected",
        "expected",
    ]


def test_the_figure_and_the_table(script, runs, tmp_path: Path, monkeypatch) -> None:
    few = [replace(one, time=one.time / 20) for one in runs.values()]
    monkeypatch.setitem(script["section"].__globals__, "crossings", lambda *_, **__: np.eye(2))
    kepler = [replace(one, system=script["kepler"]()) for one in few if one.method == "rk4"]
    assert kepler[0].states.shape[1] == 4
    script["draw"]([*kepler, *few], tmp_path / "va10.png")
    assert (tmp_path / "va10.png").stat().st_size > 10_000
    table = script["report"](list(runs.values()))
    assert f"{runs['verlet'].bound:15.3g}" in table and len(table.splitlines()) == 4


def test_the_section_of_a_regular_orbit_is_a_curve(script, runs) -> None:
    """A Fourier series with fewer terms than points gives the distance from the middle."""
    points = script["crossings"](runs["verlet"], stretches=4, periods=30)
    across = points - np.array([0.23, 0.0])
    angle, radius = np.arctan2(across[:, 1], across[:, 0]), np.linalg.norm(across, axis=1)
    orders = np.arange(9)[:, None]
    basis = np.vstack([np.cos(orders * angle), np.sin(orders[1:] * angle)]).T
    fit = basis @ np.linalg.lstsq(basis, radius, rcond=None)[0]
    assert len(points) > 90 and np.ptp(radius) > 0.02
    assert np.abs(fit - radius).max() < 0.01 * np.ptp(radius)


def test_the_double_pendulum_of_the_examples() -> None:
    example = runpy.run_path(str(EXAMPLES / "double_pendulum.py"))
    own, library = example["model"], sd.models.double_pendulum()
    same = {s: library[s.name.replace("p_a", "p")] for s in (*own.states, *own.parameters)}
    expressions = zip(own.equations, library.equations, strict=True)
    assert [sp.expand(a.xreplace(same) - b) for a, b in expressions] == [0, 0, 0, 0]
    found = example["spread"](members=2)
    energy = found.evaluate(own.hamiltonian).values
    assert np.abs(energy / energy[0, 0] - 1.0).max() < 1e-4
    apart = np.abs(np.diff(found.states.sel(state="a1").values, axis=0))[0]
    assert apart[0] == pytest.approx(1e-9, rel=1e-5) and apart.max() > 1.0


def test_the_script_from_end_to_end(script, runs, tmp_path: Path, monkeypatch, capsys) -> None:
    """The table is printed even if the figure cannot be drawn; its folder is made."""
    few = iter([*runs.values()] * 4)

    def stop(*_: object) -> None:
        raise ValueError("no figure")

    for name, stub in {"run": lambda *_: next(few), "draw": stop}.items():
        monkeypatch.setitem(script["main"].__globals__, name, stub)
    with pytest.raises(ValueError, match="no figure"):
        script["main"](["--periods", "10", "--out", str(tmp_path / "a" / "b")])
    assert f"{runs['verlet'].bound:15.3g}" in capsys.readouterr().out
    assert (tmp_path / "a" / "b").is_dir()
    for periods in ("0", "-2"):
        with pytest.raises(SystemExit):
            script["main"](["--periods", periods])
        assert "--periods: the checks need at least 10" in capsys.readouterr().err
