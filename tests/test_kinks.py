"""Jumps and kinks of equations, by name, and what is 0 where they are."""

from __future__ import annotations

import time

import numpy as np
import pytest
import sympy as sp

import symda as sd
from symda.declare import measure
from symda.derive.kinks import along, kinks

X, Y = sd.states("x y")
A = sd.parameter("a", bounds=(0.5, 2.0))
S = sd.parameter("s", bounds=(0.1, 5.0))
U, T = sd.forcing("u"), sd.time()


def found(equation, measured=X):
    model = sd.Model({X: equation, Y: X - Y}, name="m")
    return kinks(model, measure(model, {"seen": measured}))


@pytest.mark.parametrize(
    ("equation", "text", "zero", "effect"),
    [
        (-sp.Abs(X - 1), "Abs(x - 1)", X - 1, "kink"),
        (sp.sign(X - A) * Y, "sign(-a + x)", X - A, "jump"),
        (sp.Max(X, Y) - X, "Max(x, y)", Y - X, "kink"),
        (sp.Min(A * X, 1), "Min(1, a*x)", A * X - 1, "kink"),
        (sp.Heaviside(X - 30) * Y, "Heaviside(x - 30)", X - 30, "jump"),
        (sp.Heaviside(X) * X, "Heaviside(x)", X, "kink"),
        (sp.floor(X / 2), "floor(x/2)", sp.sin(sp.pi * X / 2), "jump"),
        (sp.ceiling(Y), "ceiling(y)", sp.sin(sp.pi * Y), "jump"),
        (sp.Mod(X, 3), "Mod(x, 3)", sp.sin(sp.pi * X / 3), "jump"),
        (sp.Piecewise((X, X > Y**2), (X - 1, True)), None, X - Y**2, "jump"),
        (sp.Piecewise((X - Y**2, X > Y**2), (0, True)), None, X - Y**2, "kink"),
        (sp.Piecewise((Y, A > 5), (0, True)), None, A - 5, "may"),
        (sp.sqrt(X**2), "Abs(x)", X, "kink"),
    ],
    ids=str,
)
def test_each_kind(equation, text, zero, effect) -> None:
    (kink,) = found(equation)
    assert (kink.kind, kink.name, kink.effect) == ("state", "x", effect)
    if text is not None:
        assert kink.text == text
    if zero is not None:
        assert sp.expand(kink.zero - zero) == 0 or sp.expand(kink.zero + zero) == 0


@pytest.mark.parametrize(
    "equation",
    [
        X * Y - A * sp.exp(X),
        X * sp.Abs(X),
        sp.Abs(X) ** 3,
        sp.Abs(X) ** 2.5 * Y,
        sp.Piecewise((X**2, X > 0), (0, True)),
        sp.Piecewise((sp.cos(X), X < 0), (1 - X**2 / 2, True)),
        # known beforehand
        sp.Heaviside(T - 2) * Y,
        sp.Max(U, 0) - X,
    ],
    ids=str,
)
def test_what_is_smooth_or_known_is_none(equation) -> None:
    assert found(equation) == ()


def test_measured_quantities_and_words() -> None:
    first, second = found(-sp.Abs(X - 1), S * sp.Max(X, 0) + sp.sin(Y))
    assert first.words == "the equation of x has a kink where x - 1 = 0, by Abs(x - 1)"
    assert (second.kind, second.name, second.text) == ("channel", "seen", "Max(0, x)")
    assert "the measured quantity seen has a kink where" in second.words


def test_values_along_a_path() -> None:
    model = sd.Model({X: -sp.Abs(X - A) + U * T, Y: sp.Max(X, Y + T, U)}, name="m")
    measurement = measure(model, {"seen": S * sp.sign(Y - S)})
    every = kinks(model, measurement)
    rng = np.random.default_rng(0)
    path, u, times = rng.normal(size=(7, 2)), rng.normal(size=(7, 1)), np.arange(7.0)
    got = along(every, model, measurement, path, u, np.array([0.7, 0.3]), times)
    assert got.shape == (7, len(every)) == (7, 5)
    x, y = path.T
    columns = {"x": [x - 0.7], "y": [x - y - times, x - u[:, 0], y + times - u[:, 0]]}
    columns["seen"] = [y - 0.3]
    for name, expected in columns.items():
        own = [got[:, k] for k, kink in enumerate(every) if kink.name == name]
        for one in expected:
            assert any(np.allclose(np.abs(g), np.abs(one)) for g in own), name


def test_a_lattice_has_none_and_nothing_costs_nothing() -> None:
    i = sd.site("i", 5)
    x = sd.states("x", i)
    lattice = sd.Model({x[i]: -sp.Abs(x[i])}, name="lattice")
    assert kinks(lattice, measure(lattice, [lattice.states[0]])) == ()
    model = sd.Model({X: Y, Y: -X}, name="m")
    assert along(
        (), model, measure(model, [X]), np.zeros((3, 2)), np.zeros((3, 0)), np.zeros(0), np.zeros(3)
    ).shape == (3, 0)


def test_many_fold_minima_take_no_time() -> None:
    # competition for five resources (MacArthur's): each pair of a minimum is a kink of its own
    species = sd.states(" ".join(f"n{i}" for i in range(5)), start=(0.1, 1.0))
    stocks = sd.states(" ".join(f"s{i}" for i in range(5)), start=(0.1, 10.0))
    r = sd.parameter("r", bounds=(0.5, 2.0))
    half = [[sd.parameter(f"k{i}{j}", value=0.3 + 0.1 * i + j) for j in range(5)] for i in range(5)]
    growth = [sp.Min(*(r * s / (k + s) for s, k in zip(stocks, row, strict=True))) for row in half]
    equations = {n: n * (g - 1) for n, g in zip(species, growth, strict=True)}
    used = sum(n * g for n, g in zip(species, growth, strict=True))
    equations |= {s: 10 - s - (1 + j) * used for j, s in enumerate(stocks)}
    model = sd.Model(equations, name="MacArthur")
    begun = time.process_time()
    every = kinks(model, measure(model, species))
    assert time.process_time() - begun < 3.0  # minutes, if each is translated for each place
    counts = [sum(kink.name == state.name for kink in every) for state in model.states]
    assert counts[:5] == [10] * 5 and min(counts[5:]) > 10
    assert {kink.effect for kink in every} == {"kink"}
