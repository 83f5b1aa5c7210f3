"""`symda integrate`: what it writes and draws, and what it says to slips."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from cli_shell import Shell, symda
from matplotlib.figure import Figure

import symda as sd
from symda.cli.integrate import output_times, usual_method
from symda.show import trajectory as drawing

__all__ = ["symda"]

KEPLER = """\
import symda as sd

model = sd.models.kepler()
parameters = sd.models.KEPLER
initial = {"x": 0.4, "y": 0.0, model["px"]: 0.0, "py": 2.0}
"""

DECAY = """\
import symda as sd

x = sd.state("x")
k = sd.parameter("k", value=2.0)
u = sd.forcing("u")
model = sd.Model({x: -k * x + u}, name="decay")
initial = [1.0]
forcing = {"u": sd.time() * 0}
"""

DAMPED = """\
import symda as sd

q, p = sd.states("q p")
model = sd.Model.from_hamiltonian((p**2 + q**2) / 2, q, p, dissipation=0.1 * p**2, name="damped")
initial = {"q": 1.0, "p": 0.0}
"""


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved."""
    drawn: list[Figure] = []

    def keep(figure: Figure, path: object) -> None:
        drawn.append(figure)
        figure.savefig(path)

    monkeypatch.setattr(drawing, "save", keep)
    return drawn


def test_a_trajectory_with_its_energy_error(symda: Shell, figures: list[Figure]) -> None:
    file = symda.write("kepler.py", KEPLER)
    done = symda("integrate", file, "--until", "6.4", "--step", "0.002", "--points", "101")
    assert done.code == 0 and done.err == ""
    first, error, *wrote = done.out.splitlines()
    assert first == "kepler: verlet, 3200 steps of 0.002"
    assert wrote == ["wrote trajectory/trajectory.nc", "wrote trajectory/trajectory.png"]
    with xr.open_dataset(symda.folder / "trajectory" / "trajectory.nc", engine="h5netcdf") as data:
        assert data["states"].dims == ("time", "state") and data.sizes["time"] == 101
        assert data.attrs["method"] == "verlet" and data.attrs["parameters"] == '{"mu": 1.0}'
        energy = data["energy"].values
        assert energy == pytest.approx(-0.5, abs=1e-4)
        largest = np.abs(energy / -0.5 - 1).max()
        assert 1e-9 < largest < 1e-3
        assert error.startswith(f"relative energy error: largest {largest:.3g}, at the end ")
        # a Kepler orbit with half axis 1 is back after 2 pi
        x = data["states"].sel(state="x").interp(time=2 * np.pi)
        assert float(x) == pytest.approx(0.4, abs=0.01)
    assert (symda.folder / "trajectory" / "trajectory.png").stat().st_size > 10_000
    (figure,) = figures
    labels = [ax.get_ylabel() for ax in figure.axes]
    assert labels == ["x, y", "px, py", "relative\nenergy error", "y"]
    assert [ax.get_xlabel() for ax in figure.axes] == ["", "time", "time", "x"]
    drawn = figure.axes[2].lines[0].get_ydata()
    assert np.abs(drawn).max() == pytest.approx(largest)


def test_another_method_value_and_format(symda: Shell) -> None:
    file = symda.write("kepler.py", KEPLER)
    arguments = ["--method", "rk4", "--until", "1", "--format", "csv", "--into", "a/b"]
    done = symda("integrate", file, *arguments, "--initial", "py=1.5", "--parameter", "mu=0.9")
    assert done.code == 0 and "kepler: rk4, 100 steps of 0.01" in done.out
    table = np.genfromtxt(symda.folder / "a" / "b" / "trajectory.csv", delimiter=",", names=True)
    assert table.dtype.names == ("t", "x", "y", "px", "py", "energy")
    assert table["py"][0] == 1.5 and table["t"][[0, -1]].tolist() == [0.0, 1.0]
    assert table["energy"] == pytest.approx(1.5**2 / 2 - 0.9 / 0.4, rel=1e-5)
    same = sd.integrate(
        sd.models.kepler(), table["t"], [0.4, 0, 0, 1.5], step=0.01, parameters={"mu": 0.9}
    )
    assert table["x"].tolist() == same.states.sel(state="x").values.tolist()


def test_a_model_without_energy(symda: Shell, figures: list[Figure]) -> None:
    done = symda("integrate", symda.write("decay.py", DECAY), "--until", "2.005")
    assert done.code == 0
    assert done.out.startswith("decay: rk4, 200 steps of 0.01 and one of 0.005\nwrote ")
    assert done.err.startswith("no energy: the model is not made from a Hamiltonian or Lagrangian.")
    assert [ax.get_ylabel() for ax in figures[0].axes] == ["x"]
    with xr.open_dataset(symda.folder / "trajectory" / "trajectory.nc", engine="h5netcdf") as data:
        assert float(data["time"][-1]) == 2.005
        assert float(data["states"][-1, 0]) == pytest.approx(np.exp(-2 * 2.005), rel=1e-8)
        assert "energy" not in data
    # anything else that should stay the same
    own = DECAY + "import sympy as sp\nenergy = x * sp.exp(2 * sd.time())\n"
    done = symda("integrate", symda.write("own.py", own), "--until", "1")
    assert done.code == 0 and "relative energy error: largest " in done.out
    assert figures[1].axes[1].get_ylabel() == "relative\nenergy error"


def test_an_energy_that_is_not_constant(symda: Shell, figures: list[Figure]) -> None:
    done = symda("integrate", symda.write("damped.py", DAMPED), "--until", "3")
    assert done.code == 0 and "damped: gauss4, 300 steps" in done.out
    assert done.err.startswith("the energy is not constant: the model has forces")
    assert [ax.get_ylabel() for ax in figures[0].axes] == ["q", "p", "energy", "p"]
    energy = figures[0].axes[2].lines[0].get_ydata()
    assert energy[0] == 0.5 and np.all(np.diff(energy) <= 0.0)


MISTAKES = {
    ("--step", "0"): "--step must be a positive number, got 0.0.",
    ("--step", "nan"): "--step must be a positive number, got nan.",
    ("--step", "11"): "--step 11 is longer than the whole time from 0 to 10.",
    ("--until", "-1"): "--until: expected a time after --from 0, got -1.",
    ("--points", "1"): "--points: expected at least 2, got 1.",
    ("--format", "nv"): "--format must be one of nc, csv, got 'nv'. Did you mean 'nc'?",
    ("--initial", "px"): "--initial: expected name=value, got 'px'.",
    ("--initial", "px=fast"): "--initial px: expected a number, got 'fast'.",
    ("--initial", "pX=1"): "--initial: 'pX' is not a state of 'kepler', which has x, y, px, py.",
    ("--parameter", "nu=1"): "--parameter: 'nu' is not a parameter of 'kepler', which has mu.",
    ("--method", "verlett"): "Did you mean 'verlet'?",
    ("--method", ""): "integrate: there is no method ''; there is euler",
    ("--initial", "x=1", "--initial", "x=2"): "--initial: x is given twice; leave one of them out.",
    (
        "--step",
        "1e-9",
        "--until",
        "1e300",
    ): "--step 1e-09 is lost in the rounding of times as large",
    ("--step", "0.1", "--until", "1", "--from=-1e17"): "take a step of at least 2.8e+02, or times",
    (
        "--step",
        "1",
        "--until",
        "1e308",
        "--from=-1e308",
    ): "is lost in the rounding of times as large",
    ("--initial", "x=0", "--initial", "py=0"): "integrate: the solution left finite numbers",
}


@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_slip_is_said(symda: Shell, arguments: tuple[str, ...]) -> None:
    done = symda("integrate", symda.write("kepler.py", KEPLER), *arguments)
    assert done.code in (1, 2) and done.err.startswith("error: ")
    assert MISTAKES[arguments] in done.err
    assert not (symda.folder / "trajectory" / "trajectory.nc").exists()


FILES = {
    "initial = {'x': 0.4}": "no value for the states y, px, py. Pass --initial y=... --initial px",
    "initial = [1, 2]": "m.py: `initial` has 2 values, expected 4, for x, y, px, py.",
    "initial = {'X': 1}": "m.py: `initial`: 'X' is not a state of 'kepler'",
    "initial = {'x': 'far'}": "m.py: `initial`: expected a number for x, got 'far'.",
    "initial = 3": "m.py: `initial` is int, expected a mapping of names to numbers.",
    "parameters = {}": "no value for the parameter mu. Pass --parameter mu=...",
    "energy = sd.state('z')": "m.py, energy: the state 'z' is not in this trajectory",
    "energy = 'p'": "text is never parsed",
    "u = sd.forcing('u'); model = sd.Model({sd.state('x'): u}); initial = [0]; parameters = {}": (
        "no values for the forcing u. Define `forcing` in m.py: numbers, symda.Samples or "
        "expressions in time, for instance forcing = {'u': 0.0}."
    ),
    "x = sd.states('x', 300); model = sd.Model({s: -s for s in x}); initial = {'x0': 1.0}": (
        "no value for the states x1, x2, x3, x4, x5, x6, x7, x8 and 291 more. Define them in m.py, "
        "for instance: initial = {s.name: 0.0 for s in model.states}\n"
    ),
    "forcing = {'w': 1.0}": "forcing 'w' is given with integrate(...), but the model has none",
    "model = sd.models.henon()": "'henon' is a discrete map",
}


@pytest.mark.parametrize("line", FILES)
def test_a_slip_in_the_file_is_said(symda: Shell, line: str) -> None:
    text = KEPLER + line + "\n"
    if "henon()" in line:
        text += "initial, parameters = [0.1, 0.1], sd.models.HENON\n"
    done = symda("integrate", symda.write("m.py", text))
    assert done.code == 2 and FILES[line].lower() in done.err.lower()
    # before the work
    assert done.out == "" and not (symda.folder / "trajectory").exists()


def test_times_are_multiples_of_the_step_but_for_the_last() -> None:
    assert output_times(0.1, 0.3, 0.0, 11).tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert output_times(0.1, 0.35, 0.0, 11).tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.35])
    assert output_times(0.1, 1.0, 0.0, 6).tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert output_times(0.1, 1.0, 0.0, 2).tolist() == [0.0, 1.0]
    # all whole steps are of that length: the shorter one stands alone
    assert output_times(0.3, 1.0, 0.0, 3).tolist() == pytest.approx([0, 0.6, 0.9, 1.0])
    assert output_times(0.5, 2.0, 1.0, 100).tolist() == [1.0, 1.5, 2.0]
    many = output_times(0.001, 1000.0, 0.0, 10_001)
    assert len(many) == 10_001 and np.all(np.diff(many) > 0.0)


def test_the_steps_are_those_that_are_said(symda: Shell) -> None:
    arguments = ["--step", "0.3", "--until", "1", "--points", "3", "--format", "csv"]
    done = symda("integrate", symda.write("damped.py", DAMPED), *arguments)
    assert done.out.startswith("damped: gauss4, 3 steps of 0.3 and one of 0.1\n")
    table = np.genfromtxt(symda.folder / "trajectory" / "trajectory.csv", delimiter=",", names=True)
    q, p = sd.states("q p")
    model = sd.Model.from_hamiltonian((p**2 + q**2) / 2, q, p, dissipation=0.1 * p**2)
    steps = sd.step_map(model, "gauss4")
    x = np.array([1.0, 0.0])
    for h in (0.3, 0.3, 0.3, 0.1):
        x = steps.step(x, h)
    assert [table["q"][-1], table["p"][-1]] == pytest.approx(x, rel=1e-12)


def test_help_says_what_the_file_is_for(symda: Shell) -> None:
    said = symda("integrate", "--help").out
    assert "`energy`" in said and "measured" not in said and "variance" not in said


def test_adaptive_steps(symda: Shell) -> None:
    file = symda.write("decay.py", DECAY)
    options = ["--method", "adaptive", "--until", "2", "--step", "0.5", "--format", "csv"]
    done = symda("integrate", file, *options)
    assert done.code == 0 and "decay: adaptive, a state every 0.5" in done.out
    written = symda.folder / "trajectory" / "trajectory.csv"
    found = np.genfromtxt(written, delimiter=",", names=True)
    assert np.allclose(found["x"], np.exp(-2.0 * found["t"]), rtol=1e-7)


def test_the_usual_method_keeps_what_there_is_to_keep() -> None:
    assert usual_method(sd.models.lorenz63()) == "rk4"
    assert usual_method(sd.models.henon_heiles()) == "verlet"
    q, p = sd.states("q p")
    assert usual_method(sd.Model.from_hamiltonian(p**2 * (1 + q**2), q, p)) == "gauss4"
