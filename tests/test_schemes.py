"""Schemes: what the constructor and the registry refuse, and tableaux in a second form."""

from __future__ import annotations

import re
from fractions import Fraction

import mpmath
import pytest
from models import OWN_SCHEMES

from symda.discretise import (
    MAP,
    METHODS,
    SCHEMES,
    Method,
    Scheme,
    Surd,
    Tableau,
    find_method,
    find_scheme,
    step_residual,
)
from symda.discretise.registry import Schemes
from symda.errors import OptionError
from symda.registry import Registry


def scheme(order=2, *, c=(0, 1), v=(0, 0), X=((0, 0), (1, 0)), b=("1/2", "1/2"), **further):
    """Heun's tableau with one part replaced."""
    return Scheme("mine", order, c=c, v=v, X=X, b=b, **further)


MISTAKES = {
    "short c": (
        {"c": [0]},
        "Scheme 'mine': every part of the tableau needs one entry a stage (2 by b), got {'c': 1}.",
    ),
    "short v and row of X": (
        {"v": [0], "X": [[0, 0], [1]]},
        "Scheme 'mine': every part of the tableau needs one entry a stage (2 by b), "
        "got {'v': 1, 'X[1]': 1}.",
    ),
    "no stage": (
        {"c": [], "v": [], "X": [], "b": []},
        "Scheme 'mine': every part of the tableau needs one entry a stage (0 by b), "
        "got no stage at all.",
    ),
    "implicit in X": (
        {"X": [[0, 0], ["1/2", "1/2"]]},
        "Scheme 'mine': X must be strictly lower triangular, so that each stage uses earlier "
        "slopes only; reorder the stages, or express implicitness through v.",
    ),
    "slope of a later stage for what is no grid point": (
        {"c": [0, "1/2"], "X": [[0, 0], [0, "1/2"]], "interior": [0]},
        "Scheme 'mine': X must be strictly lower triangular except for interior stages, whose "
        "arguments may use the slopes of all interior stages; reorder the stages, express "
        "implicitness through v, or promote more of them.",
    ),
    "parts of another length": (
        {"parts": ["q"]},
        "Scheme 'mine': parts needs 'q' or 'p' for each of the 2 stages, got ('q',).",
    ),
    "parts of another kind": (
        {"parts": ["q", "v"]},
        "Scheme 'mine': parts needs 'q' or 'p' for each of the 2 stages, got ('q', 'v').",
    ),
    "partitioned order too high": (
        {"parts": ["p", "q"], "b": [1, 1]},
        "Scheme 'mine' is declared of order 2, but is of order 1: for order 2 "
        "sum b_q c_p must be 1/2 and is 1.",
    ),
    "interior out of range": (
        {"interior": [2]},
        "Scheme 'mine': interior stages (2,) must be distinct indices from 0 to 1.",
    ),
    "interior twice": (
        {"interior": [1, 1]},
        "Scheme 'mine': interior stages (1, 1) must be distinct indices from 0 to 1.",
    ),
    "interior at an end": (
        {"interior": [1]},
        "Scheme 'mine': interior stages need distinct ascending abscissae strictly between 0 and "
        "1, got ['1'].",
    ),
    "inconsistent": (
        {"c": [0, "1/2"]},
        "Scheme 'mine': stage 1 is inconsistent, c = 1/2 but v + sum of X = 1.",
    ),
    "order 0": (
        {"order": 0},
        "Scheme 'mine' is declared of order 0, but is of order 2; declare that.",
    ),
    "order 9": (
        {"order": 9},
        "Scheme 'mine' is declared of order 9, but is of order 2: for order 3 "
        "sum b c^2 must be 1/3 and is 0.5.",
    ),
    "weights that do not add up": (
        {"b": ["1/2", "1/3"]},
        "Scheme 'mine' is declared of order 2, but is of order 0: for order 1 "
        "sum b must be 1 and is 0.833333.",
    ),
    "order too high": (
        {"order": 3},
        "Scheme 'mine' is declared of order 3, but is of order 2: for order 3 "
        "sum b c^2 must be 1/3 and is 0.5.",
    ),
    "order too low": (
        {"order": 1},
        "Scheme 'mine' is declared of order 1, but is of order 2; declare that.",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_wrong_tableau_is_refused(name):
    changes, message = MISTAKES[name]
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        scheme(**changes)


def test_interior_stages_come_in_the_order_of_time():
    with pytest.raises(OptionError, match=re.escape("ascending abscissae strictly between")):
        Scheme(
            "mine",
            4,
            c=[0, 1, "2/3", "1/3"],
            v=[0, 1, "20/27", "7/27"],
            X=[[0] * 4, [0] * 4, ["2/27", "-4/27", 0, 0], ["4/27", "-2/27", 0, 0]],
            b=["1/8", "1/8", "3/8", "3/8"],
            interior=[2, 3],
        )


def test_a_slope_that_only_a_wrong_tree_shows_is_refused():
    # Kutta's fourth-order weights and abscissae with an order-3 wiring: b.c^k are all right
    with pytest.raises(OptionError, match=re.escape("sum b A c must be 1/6 and is 0.333333")):
        Scheme(
            "mine",
            4,
            c=[0, "1/2", "1/2", 1],
            v=[0, 0, 0, 0],
            X=[[0, 0, 0, 0], ["1/2", 0, 0, 0], [0, "1/2", 0, 0], [-2, 0, 3, 0]],
            b=["1/6", "1/3", "1/3", "1/6"],
        )


REFUSALS = {
    "a slip": (
        "rk5",
        False,
        f"Action: there is no scheme 'rk5'; there is {', '.join(SCHEMES)}, or a symda.Tableau or "
        "symda.Scheme of your own. Did you mean 'rk4'?",
    ),
    "capitals": (
        "RK4",
        False,
        f"Action: there is no scheme 'RK4'; there is {', '.join(SCHEMES)}, or a symda.Tableau or "
        "symda.Scheme of your own. Did you mean 'rk4'?",
    ),
    "not a scheme": (
        4,
        False,
        f"Action: scheme must be {' or '.join(map(repr, SCHEMES))}, or a symda.Tableau or "
        "symda.Scheme of your own, got 4.",
    ),
    "ODE scheme for a map": (
        "midpoint",
        True,
        "The scheme 'midpoint' does not fit a discrete map: leave scheme out, a map is its own "
        "step.",
    ),
    "map for an ODE": (
        "map",
        False,
        "The scheme 'map' does not fit an ODE: choose e.g. scheme='rk4', or declare the model with "
        "discrete=True.",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_the_registry_refuses_what_does_not_fit(name):
    asked, discrete, message = REFUSALS[name]
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        find_scheme(asked, discrete=discrete)


def test_the_registry_finds_names_defaults_and_own_schemes():
    assert find_scheme("midpoint", discrete=False) is SCHEMES["midpoint"]
    assert find_scheme(None, discrete=False) is SCHEMES["rk4"]
    assert find_scheme(None, discrete=True) is MAP
    assert find_scheme(OWN_SCHEMES[0], discrete=False) is OWN_SCHEMES[0]
    assert all(key == value.name for key, value in SCHEMES.items())


def test_properties_of_the_registry():
    assert all(SCHEMES[name].explicit for name in ("euler", "rk4", "map"))
    assert not any(SCHEMES[n].explicit for n in ("trapezoid", "midpoint", "hermite-simpson"))
    assert SCHEMES["rk4"].abscissae == (0.0, 0.5, 1.0)
    assert [SCHEMES["rk4"].slot(i) for i in range(4)] == [0, 1, 1, 2]
    assert SCHEMES["hermite-simpson"].interior_abscissae == (0.5,)
    assert [SCHEMES["hermite-simpson"].slot(i) for i in range(3)] == [0, 2, 1]
    assert [SCHEMES["rk4"].affine(i) for i in range(4)] == [True, False, False, False]
    assert all(SCHEMES["hermite-simpson"].affine(i) for i in range(3))


# Residuals as the literature writes them, against the one tableau form, in exact arithmetic.
LITERATURE = {
    "euler": lambda x, y, m, h, F: [y - x - h * F(x, 0)],
    "trapezoid": lambda x, y, m, h, F: [y - x - h / 2 * (F(x, 0) + F(y, 1))],
    "midpoint": lambda x, y, m, h, F: [y - x - h * F((x + y) / 2, Fraction(1, 2))],
    "hermite-simpson": lambda x, y, m, h, F: [
        y - x - h / 6 * (F(x, 0) + 4 * F(m, Fraction(1, 2)) + F(y, 1)),
        m - (x + y) / 2 - h / 8 * (F(x, 0) - F(y, 1)),
    ],
    "map": lambda x, y, m, h, F: [y - F(x, 0)],
    "rk4": lambda x, y, m, h, F: [y - x - h / 6 * _kutta(x, h, F)],
    "eighths": lambda x, y, m, h, F: [
        y - x - h / 8 * (F(x, 0) + 3 * F(m, Fraction(1, 3)) + 3 * F(-m, Fraction(2, 3)) + F(y, 1)),
        m - _hermite(x, y, F(x, 0), F(y, 1), h, Fraction(1, 3)),
        -m - _hermite(x, y, F(x, 0), F(y, 1), h, Fraction(2, 3)),
    ],
    "gauss4": lambda x, y, m, h, F: _gauss(
        x,
        y,
        [m, -m],
        h,
        F,
        [half - r3 / 6, half + r3 / 6],
        [half, half],
        [[half / 2, half / 2 - r3 / 6], [half / 2 + r3 / 6, half / 2]],
    ),
    "gauss6": lambda x, y, m, h, F: _gauss(
        x,
        y,
        [m, -m, 2 * m],
        h,
        F,
        [half - r15 / 10, half, half + r15 / 10],
        [Fraction(5, 18), Fraction(4, 9), Fraction(5, 18)],
        [
            [Fraction(5, 36), Fraction(2, 9) - r15 / 15, Fraction(5, 36) - r15 / 30],
            [Fraction(5, 36) + r15 / 24, Fraction(2, 9), Fraction(5, 36) - r15 / 24],
            [Fraction(5, 36) + r15 / 30, Fraction(2, 9) + r15 / 15, Fraction(5, 36)],
        ],
    ),
}
half, r3, r15 = Fraction(1, 2), Surd.root(3), Surd.root(15)

# The same of mechanics: the map from (q, p).
MECHANICS = {
    "symplectic-euler": lambda q, p, h, v, f: (q + h * v(p + h * f(q, 0), 1), p + h * f(q, 0)),
    "verlet": lambda q, p, h, v, f: _verlet(q, p, h, v, f),
}


def _gauss(x, y, points, h, F, c, b, A):
    """Hairer, Lubich and Wanner's table II.1.1: m_i = x + h A F, each moved by c_i times the step's
    residual, which is how far y is from the method's end."""
    slopes = [F(m, ci) for m, ci in zip(points, c, strict=True)]
    left = y - x - h * _dot(b, slopes)
    ties = [
        m - x - h * _dot(row, slopes) - ci * left for m, row, ci in zip(points, A, c, strict=True)
    ]
    return [left, *ties]


def _dot(weights, values):
    return sum((w * v for w, v in zip(weights, values, strict=True)), Fraction(0))


def _verlet(q, p, h, v, f):
    p_half = p + h / 2 * f(q, 0)
    q_next = q + h * v(p_half, half)
    return q_next, p_half + h / 2 * f(q_next, 1)


def _kutta(x, h, F):
    half = Fraction(1, 2)
    k1 = F(x, 0)
    k2 = F(x + h / 2 * k1, half)
    k3 = F(x + h / 2 * k2, half)
    return k1 + 2 * k2 + 2 * k3 + F(x + h * k3, 1)


def _hermite(x, y, f, g, h, s):
    """Cubic with the values x, y and the slopes f, g at the ends of [0, h], at s h."""
    return (
        x * (1 + 2 * s) * (1 - s) ** 2
        + y * s**2 * (3 - 2 * s)
        + h * f * s * (1 - s) ** 2
        - h * g * s**2 * (1 - s)
    )


@pytest.mark.parametrize("name", MECHANICS)
def test_the_partitioned_step_is_the_one_in_the_literature(name):
    tableau = SCHEMES[name]
    q, p, Q, P, h = (Fraction(n, 7) for n in (2, -3, 5, 1, 4))

    def v(p, c):
        return p * p * p - 2 * p + 3 * c

    def f(q, c):
        return q * q + q - 5 * c

    def slope(i, argument):
        nothing = Fraction(0)
        if tableau.parts[i] == "q":
            return [v(argument[1], tableau.c[i]), nothing]
        return [nothing, f(argument[0], tableau.c[i])]

    def residual(to):
        return step_residual(tableau, slope, [[q, p], to], h, lambda value: value)

    end = MECHANICS[name](q, p, h, v, f)
    assert residual(list(end)) == [0, 0]
    if tableau.explicit:
        assert residual([Q, P]) == [Q - end[0], P - end[1]]
    else:
        middle = (p + P) / 2 + h / 4 * (f(q, 0) - f(Q, 1))
        kick = h / 2 * (f(q, 0) + f(Q, 1))
        assert residual([Q, P]) == [Q - q - h * v(middle, half), P - p - kick]


def test_surds_are_exact():
    r = Surd.root(3)
    golden = half + Surd.root(5) / 2
    assert golden * golden == golden + 1 and r * r == 3
    assert (1 - r) * (1 + r) == -2 and r - r == 0 and 2 - r == -(r - 2)
    with mpmath.workdps(40):
        assert float(half - r / 6) == float(0.5 - mpmath.sqrt(3) / 6)
    assert 0 < half - r / 6 < half < half + r / 6 < 1
    assert [str(n) for n in (r, -r, r / 12, 1 - 2 * r, half + r / 6)] == [
        "sqrt(3)",
        "-sqrt(3)",
        "sqrt(3)/12",
        "(1 - 2 sqrt(3))",
        "(1/2 + sqrt(3)/6)",
    ]
    assert half - r / 6 != half + r / 6 and hash(half - r / 6) == hash(half - Surd.root(3) / 6)
    with pytest.raises(ValueError, match="different fields"):
        r + golden


def test_the_order_a_minimiser_meets_the_continuous_one_with():
    first, second = ("euler", "rk4", "symplectic-euler"), ("trapezoid", "midpoint", "verlet")
    second += ("hermite-simpson", "gauss4", "gauss6", "radau3", "radau5", "verlet-drift")
    assert {SCHEMES[name].continuum_order for name in first} == {1}
    assert {SCHEMES[name].continuum_order for name in second} == {2}


@pytest.mark.parametrize("name", LITERATURE)
def test_the_residual_is_the_one_in_the_literature(name):
    tableau = {one.name: one for one in (*SCHEMES.values(), *OWN_SCHEMES)}[name]
    x, y, m, h = Fraction(2, 3), Fraction(-1, 5), Fraction(1, 7), Fraction(1, 4)

    def F(value, c):
        return value * value - 3 * value + 5 * (c * c * c)

    window = [[x], *[[m], [-m], [2 * m]][: len(tableau.interior)], [y]]
    residual = step_residual(
        tableau, lambda i, argument: [F(argument[0], tableau.c[i])], window, h, lambda value: value
    )
    assert residual == LITERATURE[name](x, y, m, h, F)


def runge_kutta(method, x, h, slopes):
    """Stages and end of a Runge-Kutta method, each stage with a slope of its own."""
    stages = {}
    for c, row, k in zip(method.c, method.A, slopes, strict=True):
        stages[x + h * _dot(row, slopes)] = c, k
    return stages, x + h * _dot(method.b, slopes)


@pytest.mark.parametrize(
    "name", [name for name in SCHEMES if isinstance(METHODS.get(name), Tableau)]
)
def test_the_residual_is_that_of_the_tableau(name):
    """Whatever the slopes are: at the method's own stages and end there is none, and an end that
    is off by e leaves e, with every stage of an implicit method c_i e off. In exact arithmetic."""
    method, scheme = METHODS[name], SCHEMES[name]
    x, h = Fraction(2, 3), Fraction(1, 4)
    slopes = [Fraction((7 * j * j + 3 * j) % 11 - 4, 3 + j) for j in range(len(method.b))]
    stages, end = runge_kutta(method, x, h, slopes)
    assert len(stages) == scheme.stages
    for e in (Fraction(0), Fraction(1, 5)):
        moved = {x + (0 if method.explicit else c * e): (c, k) for x, (c, k) in stages.items()}
        points = [x for i in scheme.interior for x, (c, _) in moved.items() if c == scheme.c[i]]

        def slope(i, argument, moved=moved):
            c, k = moved[argument[0]]
            assert c == scheme.c[i]
            return [k]

        window = [[x], *([m] for m in points), [end + e]]
        residual = step_residual(scheme, slope, window, h, lambda value: value)
        assert residual == [e, *[0] * len(points)]


@pytest.mark.parametrize("name", [name for name in SCHEMES if hasattr(METHODS.get(name), "steps")])
def test_the_residual_is_that_of_the_kicks_and_drifts(name):
    method, scheme = METHODS[name], SCHEMES[name]
    (q, p), h = (Fraction(2, 3), Fraction(-1, 5)), Fraction(1, 4)
    to, stages = {"q": q, "p": p}, {"q": {}, "p": {}}
    for j, (operation, weight) in enumerate(method.steps):
        moving, seen = ("p", "q") if operation == "kick" else ("q", "p")
        k = Fraction((7 * j * j + 3 * j) % 11 + 1, 3 + j)
        stages[moving][to[seen]] = k
        to[moving] += h * weight * k

    def slope(i, argument):
        if scheme.parts[i] == "q":
            return [stages["q"][argument[1]], Fraction(0)]
        return [Fraction(0), stages["p"][argument[0]]]

    window = [[q, p], [to["q"], to["p"]]]
    assert step_residual(scheme, slope, window, h, lambda value: value) == [0, 0]
    assert scheme.stages == len(method.steps)


NO_PLACE = {
    "lobatto-iiic-2": "it solves for stages that would need grid points at c = 0",
    "lobatto-iiic-3": "it solves for stages that would need grid points at c = 0, 0.5, and such",
    "yoshida4": "it evaluates the model outside the step, at c = 0, 0.6756, 1.351",
    "yoshida4-midpoint": "it is no Runge-Kutta method or splitting, but 3 steps of midpoint",
    "lobatto-3": "but implicit partitioned Runge-Kutta, 3 stages",
    "variational-midpoint": "but discrete Lagrangian, 1 node",
}


@pytest.mark.parametrize("name", NO_PLACE)
def test_a_method_without_a_place_in_the_action_says_why(name):
    assert name not in SCHEMES
    expected = f"The method {name!r} is one to integrate with and no scheme of an action: "
    for asked in (name, METHODS[name]):
        with pytest.raises(OptionError) as refused:
            find_scheme(asked, discrete=False)
        assert str(refused.value).startswith(expected) and NO_PLACE[name] in str(refused.value)


def test_a_tableau_serves_both():
    mine = Tableau("mine", A=[["5/12", "-1/12"], ["3/4", "1/4"]], b=["3/4", "1/4"])
    scheme = find_scheme(mine, discrete=False)
    assert (scheme.v, scheme.X, scheme.interior) == (
        SCHEMES["radau3"].v, SCHEMES["radau3"].X, (1,),
    )  # fmt: skip
    assert find_method(mine, where="integrate") is mine
    # stages of a scheme may stand in another order; the step is the same
    again = find_method(scheme, where="integrate")
    assert again.order == 3 and sorted(again.b) == sorted(mine.b)
    for own in (SCHEMES["verlet"], MAP):
        with pytest.raises(OptionError, match="one of the action only; to integrate with, name"):
            find_method(own, where="integrate")


def test_a_method_of_another_package_is_a_scheme_too(monkeypatch):
    theirs = Tableau("theirs", A=[[1]], b=[1])

    class Point:
        name, value, load = "theirs", "theirs:method", lambda self: theirs

    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda group: [Point()] * (group == "symda.methods")
    )
    methods = Registry("method", METHODS.values(), of=Method, own="a symda.Tableau")
    monkeypatch.setattr("symda.discretise.registry.METHODS", methods)
    schemes = Schemes("scheme", SCHEMES.values(), of=Scheme, own="a symda.Tableau")
    assert methods["theirs"] is theirs and (schemes["theirs"].v, schemes["theirs"].X) == (
        (1,),
        ((0,),),
    )
    assert list(schemes) == [*SCHEMES, "theirs"]
