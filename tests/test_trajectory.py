"""Expressions along trajectories, and their pictures."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import xarray as xr

import symda as sd
from symda.errors import DataError, ModelError, OptionError
from symda.show import energy_error, plot_trajectory

x, y = sd.states("x y")
a, b = sd.parameters("a b")
u, v, t = sd.forcing("u"), sd.forcing("v"), sd.time()
model = sd.Model({x: -a * x + u, y: b * x + v + t})
times = np.linspace(0.0, 2.0, 9)


@pytest.fixture(scope="module")
def solved() -> sd.Trajectory:
    return sd.simulate(
        model,
        times,
        {"x": 1.0, "y": 0.5},
        parameters={"a": 0.5, "b": 2.0},
        forcing={"u": sp.sin(t), "v": ([0.0, 1.0, 3.0], [0.0, 2.0, 2.0])},
    )


def test_all_that_a_model_has_can_stand_in_it(solved: sd.Trajectory) -> None:
    expression = a * x**2 * u + sp.exp(-b * y) * v + sp.Piecewise((t, t < 1), (2 * t, True))
    states = solved.states
    X, Y = (states.sel(state=name).values for name in "xy")
    expected = 0.5 * X**2 * np.sin(times) + np.exp(-2.0 * Y) * np.minimum(2 * times, 2.0)
    expected += np.where(times < 1, times, 2 * times)
    found = solved.evaluate(expression)
    assert found.dims == ("time",) and found["time"].values.tolist() == times.tolist()
    assert found.values == pytest.approx(expected, rel=1e-12)
    assert found.attrs == {"expression": str(expression)} and "state" not in found.coords


@pytest.mark.parametrize("number", [3, 2.5, sp.pi, sp.Integer(0)])
def test_a_constant_is_an_expression(solved: sd.Trajectory, number: float) -> None:
    assert solved.evaluate(number).values.tolist() == [float(number)] * 9


def test_one_time_is_a_trajectory() -> None:
    alone = sd.simulate(sd.Model({x: -x}), [0.0], [2.0])
    assert alone.evaluate(x**2).values.tolist() == [4.0]


def test_an_ensemble_has_a_value_for_each_member(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMDA_CC", "none")
    start = np.array([[1.0, 0.0], [0.5, 1.0], [0.0, 2.0]])
    spring = sd.models.harmonic()
    with pytest.warns(sd.api.VirtualMachineWarning):
        found = sd.integrate(
            spring, [0.0, 0.1, 0.3], start, method="gauss4", step=0.1, parameters=[1.0, 4.0]
        )
    energy = found.evaluate(spring.hamiltonian)
    assert energy.dims == ("member", "time") and energy.shape == (3, 3)
    assert energy.values[:, 0].tolist() == [2.0, 1.0, 2.0]
    assert energy.values == pytest.approx(energy.values[:, :1].repeat(3, axis=1), rel=1e-12)
    assert energy_error(energy).values == pytest.approx(np.zeros((3, 3)), abs=1e-12)
    with pytest.raises(DataError, match=r"of dims \(time, state\), got \(member, time, state\)"):
        found.plot()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (sd.state("z"), "the state 'z' is not in this trajectory, which has x, y, a, b, u, v"),
        (sd.parameter("A"), "the parameter 'A' is not .* Did you mean 'a'"),
        (sd.parameter("x"), "the parameter 'x' is not in this trajectory"),
        (sd.forcing("w"), "the forcing 'w' is not"),
        (sp.Symbol("a"), "'a' is a plain SymPy symbol that prints like a declared one"),
        (sp.Function("f")(x), r"f\(x\) is an undefined function"),
        ("x**2", "text is never parsed"),
    ],
)
def test_what_is_not_in_it_is_refused(solved: sd.Trajectory, wrong, message: str) -> None:
    with pytest.raises(ModelError, match=f"^Trajectory.evaluate: .*{message}"):
        solved.evaluate(wrong)


def test_a_sampled_forcing_is_not_extrapolated() -> None:
    step = sd.Model({x: x / 2 + u}, discrete=True)
    found = sd.simulate(step, [0, 1, 2], [1.0], forcing={"u": ([0.0, 1.0], [1.0, 2.0])})
    with pytest.raises(DataError, match="never extrapolated"):
        found.evaluate(u)


def test_the_energy_error_is_relative_where_there_is_an_energy() -> None:
    energy = xr.DataArray([-2.0, -2.1, -1.9], dims="time", coords={"time": [0.0, 1.0, 2.0]})
    assert energy_error(energy).values == pytest.approx([0.0, -0.05, 0.05])
    assert energy_error(energy + 2.0).values == pytest.approx([0.0, -0.1, 0.1])


def waves(swings: float, names: str = "q p") -> xr.DataArray:
    time = np.linspace(0.0, swings, int(40 * swings) + 1)
    angle = 2 * np.pi * time
    columns = [np.cos(angle) * (1 + k) if k % 2 == 0 else -np.sin(angle) for k in range(9)]
    states = names.split()
    return xr.DataArray(
        np.column_stack(columns[: len(states)]),
        dims=("time", "state"),
        coords={"time": time, "state": states},
    )


def test_panels_are_the_states_or_groups_of_them() -> None:
    figure = plot_trajectory(waves(3.0, "x0 x1 x2 x3 x4 x5 x6 x7"))
    assert [ax.get_ylabel() for ax in figure.axes] == [f"x{k}" for k in range(6)]
    figure = plot_trajectory(waves(3.0), groups=[["q", "p"]], orbit=("p", "q"), title="a $b")
    upper, orbit = figure.axes
    assert [line.get_label() for line in upper.lines] == ["q", "p"]
    assert upper.get_xlabel() == "time" and orbit.get_xlabel() == "p"
    assert figure.get_suptitle() == r"a \$b"
    figure.canvas.draw()


def test_a_long_trajectory_shows_its_beginning() -> None:
    figure = plot_trajectory(waves(200.0), orbit=("q", "p"))
    q, p, orbit = figure.axes
    drawn = q.lines[0].get_xdata()
    assert 20.0 < drawn[-1] < 60.0 and len(orbit.lines[0].get_xdata()) == 8001
    assert p.get_xlabel() == f"time (the first {drawn[-1]:.3g})"


def test_wrong_names_and_files_are_refused(tmp_path) -> None:
    with pytest.raises(OptionError, match=r"orbit: .* no 'Q'.* Did you mean 'q'"):
        plot_trajectory(waves(1.0), orbit=("Q", "p"))
    with pytest.raises(OptionError, match="does not exist"):
        plot_trajectory(waves(1.0), tmp_path / "no" / "x.png")


def test_a_mechanical_model_says_what_belongs_together() -> None:
    model = sd.models.harmonic()
    found = sd.simulate(model, np.linspace(0, 7, 50), [1.0, 0.0], parameters=sd.models.HARMONIC)
    figure = found.plot(model=model)
    assert [ax.get_ylabel() for ax in figure.axes] == ["q", "p", "relative\nenergy error", "p"]
    assert [ax.get_ylabel() for ax in found.plot().axes] == ["q", "p", "p"]
    with pytest.raises(OptionError, match=r"must be the symda\.Model of the trajectory, got 3"):
        found.plot(model=3)
    with pytest.raises(OptionError, match=r"not one of 'kepler': .* q, p and 2 parameters, the"):
        found.plot(model=sd.models.kepler())
    with pytest.raises(OptionError, match=r"path: expected .* a file name, got 3"):
        found.plot(3)
    figure = found.plot(energy=model["p"] ** 2)
    assert figure.axes[2].get_ylabel() == "energy error"
