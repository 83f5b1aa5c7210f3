"""Equations written with a site index stand for those of every site."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import sympy as sp
from lattices import BOUNDARIES, random_lattice

import symda as sd
from symda.declare import EquationModel, LatticeModel, measure
from symda.derive.lattice import derive_lattice


def lorenz96(size: int, boundary: str = "periodic") -> LatticeModel:
    i = sd.site("i", size, boundary=boundary)
    x, nu = sd.states("x", i, start=(-10.0, 10.0)), sd.parameter("nu", start=(5.0, 15.0))
    return sd.Model({x[i]: x[i - 1] * (x[i + 1] - x[i - 2]) - x[i] + nu}, name="lorenz96")


def test_the_expanded_model_is_the_one_written_by_hand() -> None:
    x, nu = sd.states("x", 7, start=(-10.0, 10.0)), sd.parameter("nu", start=(5.0, 15.0))
    by_hand = sd.Model(
        {x[a]: x[a - 1] * (x[(a + 1) % 7] - x[a - 2]) - x[a] + nu for a in range(7)},
        name="lorenz96",
    )
    model = lorenz96(7)
    assert isinstance(model, sd.Model)
    assert model.states == by_hand.states
    assert model.expand() == by_hand
    assert type(model.expand()) is EquationModel


@pytest.mark.parametrize(
    ("boundary", "expected"),
    [
        ("periodic", "2 0 1 2 0 1 2 0 1 2 0"),
        ("reflect", "2 2 1 0 0 1 2 2 1 0 0"),
        ("zero", "- - - - 0 1 2 - - - -"),
    ],
)
def test_what_stands_beyond_the_ends(boundary: str, expected: str) -> None:
    i = sd.site("i", 3, boundary=boundary)
    x = sd.states("x", i)
    found = []
    for offset in range(-4, 7):
        model = sd.Model({x[i]: x[i + offset]})
        found.append(model.equations[0])
    wanted = [sp.S.Zero if word == "-" else x[int(word)] for word in expected.split()]
    assert found == wanted


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_lattice_of_one_site(boundary: str) -> None:
    i = sd.site("i", 1, boundary=boundary)
    x = sd.states("x", i)
    (equation,) = sd.Model({x[i]: x[i - 1] + 3 * x[i + 5] - x[i]}).equations
    assert equation == (-x[0] if boundary == "zero" else 3 * x[0])


def test_on_a_plane_the_last_direction_is_fastest_and_fields_follow_each_other() -> None:
    i, j = sd.site("i", 2), sd.site("j", 3, boundary="zero")
    u, v = sd.states("u", (i, j)), sd.states("v", (i, j))
    model = sd.Model({u[i, j]: u[i + 1, j - 1] + i * v[i, j], v[i, j]: 10 * j - v[i, j]})
    names = [state.name for state in model.states]
    assert names == [f"{f}{a}_{b}" for f in "uv" for a in range(2) for b in range(3)]
    assert model.equations[0] == 0
    assert model.equations[4] == u[0, 0] + v[1, 1]
    assert model.equations[6:9] == (-v[0, 0], 10 - v[0, 1], 20 - v[0, 2])


def test_a_field_is_a_sequence_of_states() -> None:
    i = sd.site("i", 10)
    x = sd.states("x", i, bounds=(0.0, 4.0), start=(1.0, 2.0))
    assert len(x) == 10
    assert x[3] == sd.state("x3", bounds=(0.0, 4.0), start=(1.0, 2.0)) == x[sp.Integer(3)]
    assert [s.name for s in x[::4]] == ["x0", "x4", "x8"]
    assert tuple(x)[-1] == x[-1] == x[9]
    plane = sd.states("y", (sd.site("j", 4), sd.site("k", 3)))
    assert [s.name for s in plane[1:3, 2]] == ["y1_2", "y2_2"]
    assert len(tuple(plane)) == 12


@pytest.mark.parametrize("seed", range(4))
def test_the_mapped_site_function_is_the_expanded_field(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = [(5,), (1,), (2, 3), (2, 3, 2)][seed]
    model = random_lattice(seed, shape, rng.choice(BOUNDARIES, 3), fields=1 + seed % 2)
    nothing = measure(model, [model.states[0]])
    field = derive_lattice(model, nothing)
    x, theta = rng.normal(size=field.D), rng.normal(size=field.P)
    u, t = rng.normal(size=field.U), 0.7
    known = dict(
        zip((*model.states, *model.parameters, *model.forcing), (*x, *theta, *u), strict=True)
    )
    exact = [float(e.xreplace({**known, model.time: t}).evalf()) for e in model.expand().equations]
    np.testing.assert_allclose(
        np.asarray(field.field(x, u, theta, t)).reshape(-1), exact, rtol=1e-13, atol=1e-13
    )


def test_models_with_sites_are_pickled_compared_and_shown() -> None:
    model = lorenz96(2000)
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(pickle.loads(pickle.dumps(model))) == hash(model)
    assert model != lorenz96(1000) and model != lorenz96(2000, "zero")
    assert repr(model) == "Model('lorenz96', ODE, 1 x 2000 sites, D=2000, P=1, U=0)"


def refused(make: object, *words: str, error: type[Exception] = sd.ModelError) -> None:
    with pytest.raises(error) as caught:
        make()  # type: ignore[operator]
    for word in words:
        assert word in str(caught.value)


def test_slips_are_refused_where_they_are_made() -> None:
    i, j = sd.site("i", 5), sd.site("j", 5)
    x, y, p = sd.states("x", i), sd.states("y", j), sd.parameter("p")
    plane = sd.states("z", (i, j))
    refused(lambda: sd.site("i", 0), "size", "0")
    refused(lambda: sd.site("i", 2.5), "2.5")
    refused(lambda: sd.site("i", 5, boundary="periodc"), "periodic")
    refused(lambda: sd.states("x y", i), "one name")
    refused(lambda: sd.states("x", (i, i)), "different names")
    refused(lambda: x[2 * i], "plus or minus a whole number")
    refused(lambda: x[j], "x[j]", "expected i")
    refused(lambda: plane[i], "z[i]", "expected i, j")
    refused(lambda: plane[i, 0], "z[i, 0]")
    refused(lambda: x["a"], "'a'")
    refused(lambda: x[5], "5 sites", error=IndexError)
    refused(lambda: sd.Model({x[i + 1]: x[i]}), "x[i+1]", "own site")
    refused(lambda: sd.Model({x[i]: 1, p: 2}), "p", "left-hand side")
    refused(lambda: sd.Model({x[i]: -x[i], y[j]: -y[j]}), "same sites")
    refused(lambda: sd.Model({x[i]: y[j]}), "'y' has no equation")
    refused(lambda: sd.Model({x[i]: x[3]}), "'x3'", "one site")
    refused(lambda: sd.Model({x[i]: x[i] + sp.Symbol("q")}), "'q'", "undeclared")
    refused(lambda: sd.Model({x[i]: x[i] * sd.parameter("x3")}), "x3", "not unique")
    refused(lambda: sd.Model({sd.state("w"): x[i]}), "x[i]", "one state")
    refused(lambda: sd.Model({x[i]: j * x[i]}), "'j'", "sites of these fields")
    refused(lambda: measure(lorenz96(5), [x[i]]), "x[i]", "certain sites")
    other = sd.Model({(s := sd.state("s")): -s})
    refused(lambda: sd.Action(other, [s], matrix_free=True), "matrix_free", error=sd.OptionError)


@pytest.mark.smoke
def test_equations_are_those_of_a_site() -> None:
    model = lorenz96(10_000)
    assert isinstance(model, LatticeModel)
    shown = sd.Action(model, model.states[::3], scheme="rk4").equations()
    text = str(shown)
    assert "dx[i]/dt = nu + x[i-1]*(x[i+1] - x[i-2]) - x[i]" in text
    assert "10000 states" in text and "i = 0 .. 9999 (periodic)" in text
    assert "3334 channels; the first 60 are listed" in text
    assert "dF[x[i]]/dx[i-2] = -x[i-1]" in text
    assert "d2F[x[i]]/dx[i-1]dx[i+1] = 1" in text
    assert len(text) < 6_000
    assert "{x}_{i-1} \\left({x}_{i+1} - {x}_{i-2}\\right)" in shown.latex()
    assert shown.jacobian.shape == (1, 4)


def test_the_letters_of_equations_stay_clear_of_fields_and_sites() -> None:
    n, a = sd.site("n", 300), sd.site("a", 2)
    f, h = sd.states("f", (n, a)), sd.states("h", (n, a))
    model = sd.Model({f[n, a]: f[n + 1, a] * h[n, a - 1], h[n, a]: n * f[n, a]}, discrete=True)
    text = str(sd.Action(model, [f[0, 0], h[1, 1] * f[2, 0]]).equations())
    assert "f[n,a][i+1] = f[n+1,a][i]*h[n,a-1][i]" in text
    assert "h[n,a][i+1] = n*f[n,a][i]" in text


def test_a_name_finds_a_field_and_its_states() -> None:
    i = sd.site("i", 7)
    u, phase = sd.states("u", i), sd.states("phase", i)
    k = sd.parameter("k")
    model = sd.Model({u[i]: k * u[i + 1] - phase[i], phase[i]: -u[i]}, name="pair")
    assert model["u"] is model.fields[0] and model["phase"] == phase
    assert model["u3"] == u[3] and model["k"] == k
    assert sd.Action(model, model["u"][::3]).measurement.names == ("u0", "u3", "u6")
    refused(lambda: model["phse"], "Did you mean 'phase'", ", its fields u, phase.")
    # a parameter of that name is a symbol, a field is not
    called = sd.Model({u[i]: sd.parameter("u") * u[i + 1]}, name="called")
    assert called["u"] == called.parameters[0]
