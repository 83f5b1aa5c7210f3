"""The library of models: equations against independent ones, and what is known of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import sympy as sp

import symda as sd
from symda import models
from symda.errors import ModelError

LIBRARY: dict[str, tuple[Callable[[], sd.Model], Mapping[str, float]]] = {
    "lorenz63": (models.lorenz63, models.LORENZ63),
    "lorenz96": (models.lorenz96, models.LORENZ96),
    "henon": (models.henon, models.HENON),
    "harmonic": (models.harmonic, models.HARMONIC),
    "kepler": (models.kepler, models.KEPLER),
    "henon_heiles": (models.henon_heiles, models.HENON_HEILES),
    "double_pendulum": (models.double_pendulum, models.DOUBLE_PENDULUM),
    "pendulum": (models.pendulum, models.PENDULUM),
    "fitzhugh_nagumo": (models.fitzhugh_nagumo, models.FITZHUGH_NAGUMO),
    "nakl": (models.nakl, models.NAKL),
}


def test_the_library_is_public() -> None:
    assert sd.models is models
    functions = [name for name in models.__all__ if name.islower()]
    assert sorted(functions) == sorted(LIBRARY)
    assert {name.upper() for name in functions} == set(models.__all__) - set(functions)


@pytest.mark.parametrize("name", LIBRARY)
def test_what_a_twin_experiment_needs_is_declared(name: str) -> None:
    make, values = LIBRARY[name]
    model = make()
    assert model.name == name
    assert model == make()
    assert set(values) == {p.name for p in model.parameters}
    for parameter in model.parameters:
        declared = model.declarations[parameter]
        low, high = declared.start or declared.bounds
        assert np.isfinite([low, high]).all() and low < values[parameter.name] < high
        assert declared.value is None
    for state in model.states:
        declared = model.declarations[state]
        assert np.isfinite(declared.start or declared.bounds).all()
    assert "Returns" in (make.__doc__ or "")


@pytest.mark.parametrize("name", LIBRARY)
def test_the_docstring_lists_the_symbols_in_the_models_order(name: str) -> None:
    make, _ = LIBRARY[name]
    model, said = make(), make.__doc__ or ""
    for letter, symbols in {"D": model.states, "P": model.parameters, "U": model.forcing}.items():
        listed = re.search(rf"\b{letter} = (\d+) \(([\w, ]+)\)", said)
        if listed:
            names = listed[2].split(", ")[: int(listed[1])]
            assert names == [s.name for s in symbols], listed[0]
    assert "P = " in said


def right_hand_side(model: sd.Model, *, u: float = 0.0, **at: float) -> list[float]:
    values = {model[name]: value for name, value in at.items()} | {f: u for f in model.forcing}
    return [float(sp.N(equation.subs(values))) for equation in model.equations]


def nakl_by_hand(V, m, h, n, current):
    """The same neuron with logistic functions: (1 + tanh(x))/2 = 1/(1 + exp(-2 x))."""
    currents = 120 * m**3 * h * (50 - V) + 20 * n**4 * (-77 - V) + 0.3 * (-54.4 - V)
    gates = []
    for gate, half, width, least, more in (
        (m, -40, 15, 0.1, 0.4),
        (h, -60, -15, 1.0, 7.0),
        (n, -55, 30, 1.0, 5.0),
    ):
        opened = 1 / (1 + np.exp(-2 * (V - half) / width))
        gates.append((opened - gate) / (least + 4 * more * opened * (1 - opened)))
    return [current + currents, *gates]


def test_the_equations_are_those_of_the_sources() -> None:
    rng = np.random.default_rng(0)
    for _ in range(3):
        x, y, z, a, b = rng.uniform(0.2, 0.9, 5)
        V, u = rng.uniform(-90.0, 40.0), rng.uniform(-20.0, 40.0)
        expected = {
            "lorenz63": [10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z],
            "henon": [1 - 1.4 * x**2 + y, 0.3 * x],
            "pendulum": [y, -4 * np.sin(x) - 0.3 * y + u],
            "fitzhugh_nagumo": [x - x**3 / 3 - y + u, 0.08 * (x + 0.7 - 0.8 * y)],
            "nakl": nakl_by_hand(V, x, y, z, u),
        }
        for name, slopes in expected.items():
            make, values = LIBRARY[name]
            model = make()
            point = [V, x, y, z] if name == "nakl" else [x, y, z]
            at = dict(zip((s.name for s in model.states), point, strict=False))
            assert right_hand_side(model, u=u, **at, **values) == pytest.approx(slopes, rel=1e-12)
        # a ring of four: each site is the next but one of the one before
        ring = right_hand_side(models.lorenz96(4), x0=x, x1=y, x2=z, x3=a, nu=b)
        by_hand = [a * (y - z) - x, x * (z - a) - y, y * (a - x) - z, z * (x - y) - a]
        assert ring == pytest.approx(np.array(by_hand) + b, rel=1e-12)


def test_the_ring_has_any_size_from_four_sites_on() -> None:
    assert len(models.lorenz96().states) == 11
    assert len(models.lorenz96(40).states) == 40
    for size in (3, 0, -1, 11.0, True, "11"):
        with pytest.raises(ModelError, match="lorenz96: D must be a whole number of at least 4"):
            models.lorenz96(size)  # type: ignore[arg-type]


def test_fitzhugh_nagumo_loses_its_rest_where_it_is_known_to() -> None:
    model = models.fitzhugh_nagumo()
    v, w, a, b, tau = (model[name] for name in ("v", "w", "a", "b", "tau"))
    F = sp.Matrix(model.equations).subs({a: 0.7, b: 0.8, tau: 12.5})
    trace = F.jacobian([v, w]).trace()
    for rest, current in zip(sorted(sp.solve(trace, v)), (0.3313, 1.4187), strict=True):
        w_rest = sp.solve(F[1].subs(v, rest), w)[0]
        injected = sp.solve(F[0].subs({v: rest, w: w_rest}), model["I"])[0]
        assert float(injected) == pytest.approx(current, abs=2e-4)


def test_the_neuron_spikes_when_driven_and_rests_when_not() -> None:
    model = models.nakl()
    times = np.arange(0.0, 60.0, 0.1)
    initial = {"V": -65.0, "m": 0.05, "h": 0.6, "n": 0.3}
    peaks = []
    for current in (0.0, 25.0):
        forcing = {"I": (times, np.full(times.size, current))}
        solved = sd.simulate(model, times, initial, parameters=models.NAKL, forcing=forcing)
        V = solved.states.sel(state="V").values
        late = V[times > 20.0]
        peaks.append(late.max())
        gates = solved.states.sel(state=["m", "h", "n"]).values
        assert gates.min() > 0.0 and gates.max() < 1.0
    assert peaks[0] < -50.0 and peaks[1] > 20.0


def test_symbols_are_looked_up_by_name() -> None:
    model = models.pendulum()
    assert model["angle"] is model.states[0]
    assert model["c"] in model.parameters
    assert model["drive"] is model.forcing[0]
    with pytest.raises(ModelError) as error:
        model["Angle"]
    assert str(error.value) == (
        "Model 'pendulum' has no symbol 'Angle'. Did you mean 'angle'? Its states are angle, rate, "
        "its parameters c, k, its forcing drive."
    )
    with pytest.raises(ModelError, match=r"Its states are x0, .*, x19, \.\. x39, its parameters"):
        models.lorenz96(40)["x40"]
    with pytest.raises(ModelError, match="no symbol 0"):
        model[0]  # type: ignore[index]
