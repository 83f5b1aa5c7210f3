"""The continuous equations of one site against those of the model written out, at every site."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product

import numpy as np
import pytest
import sympy as sp
from lattices import measured_of, random_lattice
from test_mathml import check_page

import symda as sd
from symda.declare import LatticeModel, SiteState
from symda.typeset.continuous import Conditions
from symda.typeset.phase import SiteMark


def lorenz96(sites: int = 7, boundary: str = "periodic") -> tuple[sd.Model, sd.Site]:
    i = sd.site("i", sites, boundary=boundary)
    x, nu = sd.states("x", i), sd.parameter("nu")
    model = sd.Model({x[i]: x[i - 1] * (x[i + 1] - x[i - 2]) - x[i] + nu}, name="lorenz96")
    return model, i


def test_lorenz96() -> None:
    """F[j] = x[j-1] (x[j+1] - x[j-2]) - x[j] + nu: its transpose by hand, one line."""
    model, i = lorenz96(40)
    x = model["x"]
    action = sd.Action(model, x[::2])
    hamilton = action.hamilton()
    forward, backward = hamilton.equations
    (p,) = hamilton.momenta
    s = {symbol.name: symbol for e in hamilton.equations for symbol in e.free_symbols}
    assert p == s["p_x[i]"]

    def at(offset: int) -> sp.Symbol:
        return s[f"p_x[i{offset:+d}]"]

    F = x[i - 1] * (x[i + 1] - x[i - 2]) - x[i] + model["nu"]
    assert sp.expand(forward.rhs - F - p / s["Rf_x[i]"]) == 0
    expected = (
        p
        - x[i - 2] * at(-1)
        - (x[i + 2] - x[i - 1]) * at(1)
        + x[i + 1] * at(2)
        + s["Rm_x[i]"] * (x[i] - s["y_x[i]"])
    )
    assert sp.expand(backward.rhs - expected) == 0
    assert str(hamilton).count("p_x'[i] =") == 1
    latex = hamilton.latex()
    assert r"\dot{p}_{x,i} &= R_{m,x,i} \left({x}_{i} - y_{x,i}\right) - p_{x,i+1}" in latex
    assert r"p_{x,i}(\tau_{s}^{+}) - p_{x,i}(\tau_{s}^{-}) &= R_{m,x,i,s}" in latex
    density = p * F + p**2 / (2 * s["Rf_x[i]"]) - s["Rm_x[i]"] * (x[i] - s["y_x[i]"]) ** 2 / 2
    assert sp.expand(hamilton.hamiltonian - density) == 0
    whole = action.hamiltonian().hamiltonian
    assert isinstance(whole, sp.Sum) and whole.limits == ((i, 0, 39),)
    (condition,) = hamilton.parameters
    assert condition.lhs.function == sp.Sum(p, (i, 0, 39))
    energy = hamilton.energy_rate
    assert energy.xreplace({s: sp.S.Zero for s in energy.free_symbols if "'" in s.name}).doit() == 0
    second = action.euler_lagrange().second_order[0]
    assert {s.name for s in second.rhs.free_symbols if "'" in s.name} == {
        f"x'[i{o}]" for o in ("-1", "+1", "-2", "+2")
    }


class Sites:
    """Random values at all sites, and expressions of one site at any place, beyond ends as well."""

    def __init__(self, model: LatticeModel, action: sd.Action, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.model, self.action = model, action
        self.lattice = model.lattice
        count = self.lattice.count
        self.numbers: dict[str, float] = {}
        for symbol in (*action.parameters, *model.forcing):
            self.numbers[symbol.name] = float(rng.normal())
        for u in model.forcing:
            self.numbers[f"{u.name}'"] = float(rng.normal())
        self.numbers[model.time.name if model.time else "t"] = float(rng.normal())
        kinds = ("{}", "{}'", "{}''", "p_{}", "Rf_{}")
        self.arrays = {
            kind.format(field.name): rng.uniform(0.5, 1.5, count)
            for kind in kinds
            for field in model.fields
        }
        # the data of each channel; a plain state's stand at its site as well
        for field in model.fields:
            for kind in ("Rm_{}", "y_{}", "Rm_{}'", "y_{}'"):
                self.arrays[kind.format(field.name)] = np.zeros(count)
        for l, h in enumerate(action.measurement.functions, start=1):
            self.numbers[f"Rm[{l}]"] = float(rng.uniform(0.5, 2.0))
            self.numbers[f"y[{l}]"] = float(rng.normal())
            self.numbers[f"Rm[{l}]'"], self.numbers[f"y[{l}]'"] = rng.normal(size=2).tolist()
            for field in model.fields:
                if h in field:
                    for kind in ("Rm{}", "y{}", "Rm{}'", "y{}'"):
                        array = self.arrays[kind.format(f"_{field.name}")]
                        array[field.index(h)] = self.numbers[kind.format(f"[{l}]")]
        for kind, text in (("{}", "{}"), ("{}'", "{}'"), ("p_{}", "p_{}"), ("Rf_{}", "Rf[{}]")):
            for field in model.fields:
                for state, value in zip(field, self.arrays[kind.format(field.name)], strict=True):
                    self.numbers[text.format(state.name)] = float(value)

    def value(self, name: str, place: tuple[int, ...], *, mirrored: bool) -> float:
        """A quantity at a place: momenta and Rf are 0 beyond ends, states may be mirrored."""
        where = []
        for site, k in zip(self.lattice.sites, place, strict=True):
            inside = int(site.inside(np.array([k]))[0])
            if inside < 0 or (site.boundary == "reflect" and not mirrored and inside != k):
                return 0.0
            where.append(inside)
        return float(self.arrays[name][np.ravel_multi_index(where, self.lattice.shape)])

    def at(self, expression: sp.Expr, place: tuple[int, ...], folded: dict[str, sp.Expr]) -> float:
        symbols, function = compiled(expression)
        return float(function(*(self.of(symbol, place, folded) for symbol in symbols)))

    def of(self, symbol: sp.Expr, place: tuple[int, ...], folded: dict[str, sp.Expr]) -> float:
        if isinstance(symbol, sp.Indexed):
            index = dict(zip(self.lattice.sites, place, strict=True))
            other = tuple(int(k.subs(index)) for k in symbol.indices)
            return self.at(folded[str(symbol.base.label)], other, {})
        if isinstance(symbol, SiteState):
            return self.value(symbol.field.name, self.moved(place, symbol), mirrored=True)
        if isinstance(symbol, SiteMark):
            name = symbol.base.name
            return self.value(name, self.moved(place, symbol), mirrored=name.endswith("'"))
        if symbol in self.lattice.sites:
            return place[self.lattice.sites.index(symbol)]
        if symbol.name.startswith("(dh_"):
            return self.slope(symbol.name, place)
        if symbol.name.startswith("h_"):
            return self.plain(self.action.measurement.functions[int(symbol.name[2:]) - 1])
        return self.numbers[symbol.name]

    def moved(self, place: tuple[int, ...], symbol: SiteState | SiteMark) -> tuple[int, ...]:
        return tuple(k + o for k, o in zip(place, symbol.offsets, strict=True))

    def slope(self, name: str, place: tuple[int, ...]) -> float:
        """dh_l/dx[i] at a site."""
        l, state = name.strip("()").removeprefix("dh_").split("/d")
        field = self.model[state.partition("[")[0]]
        h = self.action.measurement.functions[int(l) - 1]
        return self.plain(h.diff(field[place if len(place) > 1 else place[0]]))

    def plain(self, *expressions: sp.Expr) -> float | list[float]:
        symbols, function = compiled(sp.Tuple(*expressions))
        found = function(*(self.numbers[symbol.name] for symbol in symbols))
        return found[0] if len(expressions) == 1 else list(found)


@cache
def compiled(expression: sp.Basic) -> tuple[list[sp.Expr], Callable[..., float]]:
    """What an expression is a function of, and the function."""
    arrays = {array: sp.Dummy() for array in expression.atoms(sp.Indexed)}
    plain = expression.xreplace(arrays)
    free = sorted(plain.free_symbols - set(arrays.values()), key=str)
    arguments = [*arrays.values(), *free]
    return [*arrays, *free], sp.lambdify(arguments, plain, "numpy", cse=True)


def compare(model: LatticeModel, seed: int) -> None:
    measured = measured_of(model) if model.lattice.count > 1 else [model.states[0]]
    action, flat = sd.Action(model, measured), sd.Action(model.expand(), measured)
    numbers = Sites(model, action, seed)
    places = list(product(*map(range, model.lattice.shape)))
    reflects = any(site.boundary == "reflect" for site in model.lattice.sites)

    def check(of: Conditions, name: str, whole: Conditions) -> None:
        folded = {e.lhs.base.name: e.rhs for e in of.folded}
        assert bool(folded) is reflects
        right = [e.rhs for e in getattr(of, name)]
        got = [numbers.at(e, place, folded) for e in right for place in places]
        exact = numbers.plain(*(e.rhs for e in getattr(whole, name)), sp.S.Zero)[:-1]
        np.testing.assert_allclose(got, exact, rtol=1e-9, atol=1e-9)

    hamilton, plain = action.hamilton(), flat.hamilton()
    check(hamilton, "equations", plain)
    euler, plain_euler = action.euler_lagrange(), flat.euler_lagrange()
    check(euler, "equations", plain_euler)
    check(euler, "second_order", plain_euler)

    def total(expression: sp.Expr) -> float:
        """Sum it over the sites."""
        sums = expression.atoms(sp.Sum)
        rest = numbers.plain(expression.xreplace({s: sp.S.Zero for s in sums}))
        return rest + sum(numbers.at(s.function, place, {}) for s in sums for place in places)

    exact = {p: c.lhs.function for p, c in zip(flat.parameters, plain.parameters, strict=True)}
    for p, condition in zip(action.parameters, hamilton.parameters, strict=True):
        got = total(condition.lhs.function)
        assert got == pytest.approx(numbers.plain(exact[p]), rel=1e-9, abs=1e-9)
    for of, whole in (
        (action.hamiltonian().hamiltonian, plain.hamiltonian),
        (action.lagrangian().lagrangian, flat.lagrangian().lagrangian),
        (hamilton.energy_rate, plain.energy_rate),
    ):
        assert total(of) == pytest.approx(numbers.plain(whole), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("shape", "boundaries", "fields"),
    [
        ((4,), ("periodic",), 1),
        # the stencil reaches around, or over the mirror's mirror
        ((1,), ("reflect",), 1),
        ((2,), ("reflect",), 2),
        ((3, 2), ("zero", "reflect"), 1),
    ],
)
def test_every_site_has_the_equations_of_the_model_written_out(
    shape: tuple[int, ...], boundaries: tuple[str, ...], fields: int
) -> None:
    compare(random_lattice(sum(shape), shape, boundaries, fields=fields, reach=2), sum(shape))


@pytest.mark.parametrize("boundary", ["periodic", "zero", "reflect"])
def test_what_stands_beyond_the_ends_is_said(boundary: str) -> None:
    model, _ = lorenz96(9, boundary)
    hamilton = sd.Action(model, model["x"][:3]).hamilton()
    text = " ".join(str(hamilton).split())
    assert ("Beyond the ends" in text) is (boundary != "periodic")
    if boundary == "reflect":
        assert "b_x[-i-1]" in text and "b_x[17-i]" in text and "b_x[i] = " in text
    check_page(hamilton)
    check_page(sd.Action(model, model["x"][:3]).euler_lagrange())
    check_page(sd.Action(model, model["x"][:3]).lagrangian())


def test_many_sites_take_one_line() -> None:
    model, _ = lorenz96(10_000)
    action = sd.Action(model, model["x"][:3])
    assert len(str(action.hamilton())) < 3000
    assert len(str(action.discrete_euler_lagrange())) < 3000
