"""The registry of integrators: what is computed from the numbers, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest

import symda as sd
from symda.discretise import (
    Composition,
    Method,
    Partitioned,
    Splitting,
    Tableau,
    Variational,
    find_method,
)
from symda.discretise.surd import number
from symda.discretise.trees import density, nodes_of, trees

#: name: order, explicit, symmetric, symplectic; from the books, not from the code.
KNOWN = {
    "euler": (1, True, False, False),
    "midpoint-explicit": (2, True, False, False),
    "heun": (2, True, False, False),
    "rk4": (4, True, False, False),
    "dopri5": (5, True, False, False),
    "dop853": (8, True, False, False),
    "hermite-simpson": (4, False, True, False),
    "radau3": (3, False, False, False),
    "radau5": (5, False, False, False),
    "lobatto-iiic-2": (2, False, False, False),
    "lobatto-iiic-3": (4, False, False, False),
    "midpoint": (2, False, True, True),
    "trapezoid": (2, False, True, False),
    "gauss4": (4, False, True, True),
    "gauss6": (6, False, True, True),
    "symplectic-euler-implicit": (1, False, False, True),
    "lobatto-2": (2, False, True, True),
    "lobatto-3": (4, False, True, True),
    "symplectic-euler": (1, True, False, True),
    "symplectic-euler-drift": (1, True, False, True),
    "verlet": (2, True, True, True),
    "verlet-drift": (2, True, True, True),
    "variational-midpoint": (2, False, True, True),
    "variational-trapezoid": (2, False, True, True),
    "yoshida4": (4, True, True, True),
    "suzuki4": (4, True, True, True),
    "yoshida6": (6, True, True, True),
    "kahan-li6": (6, True, True, True),
    "yoshida4-midpoint": (4, False, True, True),
    "yoshida6-midpoint": (6, False, True, True),
}


def test_what_is_known_of_each() -> None:
    found = {
        one.name: (one.order, one.explicit, one.symmetric, one.symplectic)
        for one in map(sd.INTEGRATORS.__getitem__, KNOWN)
    }
    assert found == KNOWN
    for name, one in sd.INTEGRATORS.items():
        assert one.name == name and one.source and one.form and len(one.abscissae) > 0
        assert one.general == "" or sd.INTEGRATORS[one.general].needs in ("", "mechanics")
        assert one.general == "" or sd.INTEGRATORS[one.general].order >= one.order


def test_rooted_trees_are_counted_as_in_the_tables() -> None:
    # Hairer, Norsett, Wanner, tables II.2.3 and II.15.1
    assert [len(trees(n, 1)) for n in range(1, 9)] == [1, 1, 2, 4, 9, 20, 48, 115]
    assert [len(trees(n, 2)) for n in range(1, 5)] == [2, 4, 14, 52]
    tall = max(trees(4, 1), key=density)
    assert density(tall) == math.factorial(4) and nodes_of(tall) == 4


def test_coefficients_are_those_of_scipy() -> None:
    from scipy.integrate import DOP853, RK45

    for name, solver in (("dop853", DOP853), ("dopri5", RK45)):
        one, s = sd.INTEGRATORS[name], solver.n_stages
        wide = min(s, solver.A.shape[1])
        np.testing.assert_allclose(
            np.array(one.A, float)[:, :wide], solver.A[:s, :wide], atol=1e-15
        )
        np.testing.assert_allclose(np.array(one.b, float), solver.B, atol=1e-15)
        np.testing.assert_allclose(one.abscissae, solver.C[:s], atol=1e-14)


def test_gauss_points_are_those_of_legendre() -> None:
    for name, stages in (("midpoint", 1), ("gauss4", 2), ("gauss6", 3)):
        nodes, weights = np.polynomial.legendre.leggauss(stages)
        np.testing.assert_allclose(sd.INTEGRATORS[name].abscissae, (1 + nodes) / 2, atol=1e-15)
        np.testing.assert_allclose(np.array(sd.INTEGRATORS[name].b, float), weights / 2, atol=1e-15)


def test_order_eight_in_many_digits() -> None:
    one = sd.INTEGRATORS["dop853"]
    with mp.workdps(32):
        exact = lambda v: mp.mpf(v.numerator) / v.denominator  # noqa: E731
        A, b = [[exact(v) for v in line] for line in one.A], [exact(v) for v in one.b]
        c = [sum(line) for line in A]

        def F(t: mp.mpf, x: list[mp.mpf]) -> list[mp.mpf]:
            force = -mp.sin(x[0]) - x[0] ** 2 * x[1] / 4 + mp.cos(t) / 2
            return [x[1] + mp.sin(x[0] * x[1]) / 3, force]

        def run(N: int) -> list[mp.mpf]:
            x, h = [mp.mpf(1), mp.mpf(0.5)], mp.mpf(2) / N
            for n in range(N):
                k: list[list[mp.mpf]] = []
                for i in range(12):
                    slopes = [sum(A[i][j] * k[j][a] for j in range(i)) for a in (0, 1)]
                    k.append(F((n + c[i]) * h, [x[a] + h * slopes[a] for a in (0, 1)]))
                x = [x[a] + h * sum(b[i] * k[i][a] for i in range(12)) for a in (0, 1)]
            return x

        fine = run(120)
        errors = [mp.hypot(*(u - v for u, v in zip(run(N), fine, strict=True))) for N in (30, 60)]
        slope = float(mp.log(errors[0] / errors[1], 2))
    assert abs(slope - 8) < 0.15


def test_order_six_of_a_composition_is_more_than_sums_of_powers() -> None:
    """Of Yoshida's conditions all but the one of mixed powers, next to his solution A."""
    with mp.workdps(50):

        def conditions(*half: mp.mpf) -> list[mp.mpf]:
            w = [*half, mp.mpf("1.3"), *half[::-1]]
            return [sum(one**k for one in w) - (k == 1) for k in (1, 3, 5)]

        known = sd.INTEGRATORS["yoshida6"].weights[:3]
        half = mp.findroot(conditions, [mp.mpf(float(one)) for one in known], tol=1e-80)
        first = [mp.nstr(one, 45) for one in half]
    weights = [*first, "1.3", *first[::-1]]
    assert Composition("m", base=sd.INTEGRATORS["verlet"], weights=weights).order == 4


TWO_STAGE = {"A": [[], ["1/2"]], "b": [0, 1]}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: Tableau("m", 3, **TWO_STAGE),
            ["'m'", "order 3", "sum b c^2 must be 1/3 and is 0.25"],
        ),
        (lambda: Tableau("m", 1, **TWO_STAGE), ["order 1", "is of order 2; declare that"]),
        (lambda: Tableau("m", 2, A=[[], ["1/2"]], b=[1]), ["a row and a column"]),
        (lambda: Tableau("m", 0, **TWO_STAGE), ["declared of order 0", "is of order 2"]),
        (lambda: Tableau("m", "2", **TWO_STAGE), ["declared of order '2'", "is of order 2"]),
        (
            lambda: Tableau("m", A=[[]], b=["1/2"]),
            ["'m' is no method", "sum b must be 1 and is 0.5"],
        ),
        (lambda: Tableau("m", A=[[], [1]], b=["sqrt(2)", "1 - sqrt(3)"]), ["2 and 3", "digits"]),
        (
            lambda: Tableau("m", A=[[], [2 / 3]], b=[0.25, 0.75]),
            ["'m' is of order 1 by rounding only", "off by 2.78e-17", "as texts, '2/3'"],
        ),
        (lambda: Tableau("m", **TWO_STAGE, promote=[2]), ["0 to 1", "got (2,)"]),
        (
            lambda: Tableau("m", 2, A=[[], ["half"]], b=[0, 1]),
            ["coefficient", "'half'", "'1/2 - sqrt(3)/6'"],
        ),
        (lambda: Partitioned("m", 1, q=([[0]], [1]), p=([[1, 0], [0, 0]], [1, 0])), ["stages"]),
        (lambda: Partitioned("m", 2, q=([[0]], [1]), p=([[1]], [1])), ["order 2"]),
        (
            lambda: Splitting("m", 1, steps=[("kick", 1), ("drift", "1/2")]),
            ["order 1", "sum b_q must be 1 and is 0.5"],
        ),
        (
            lambda: Splitting("m", 2, steps=[("kick", 1), ("drift", 1)]),
            ["order 2", "sum b_q c_p must be 1/2 and is 1"],
        ),
        (
            lambda: Splitting("m", 1, steps=[("kick", "1/2"), ("drift", 1), ("kick", "1/2")]),
            ["is of order 2; declare that"],
        ),
        (lambda: Splitting("m", steps=[]), ["must be steps"]),
        (lambda: Splitting("m", 1, steps=["kick"]), ["('drift', weight)", "got 'kick'"]),
        (
            lambda: Splitting("m", 1, steps=[("kick", 1), *[("drift", 1 / 3)] * 3]),
            ["sum b_q must be 1 and is off by 5.55e-17", "'2/3'"],
        ),
        (lambda: Tableau(None, 2, **TWO_STAGE), ["name", "None"]),
        (lambda: Tableau("m", 1, A=[[]], b="1"), ["sequence of numbers", "'1'"]),
        (lambda: Tableau("m", 1, A="0", b=[1]), ["sequence of lines", "'0'"]),
        (lambda: Tableau("m", 1, A=[0], b=[1]), ["sequence of numbers", "got 0"]),
        (
            lambda: Tableau("m", 2, A=[[], [2 / 3]], b=[0.25, 0.75]),
            ["off by 2.78e-17", "as texts, '2/3'"],
        ),
        (
            lambda: Variational("m", 3, c=[0], b=[1]),
            ["order 3", "is of order 1: for order 2 sum b c must be 1/2 and is 0"],
        ),
        (lambda: Variational("m", 1, c=["1/2"], b=[1]), ["is of order 2; declare that"]),
        (lambda: Splitting("m", 1, steps=[("push", 1), ("drift", 1)]), ["push"]),
        (
            lambda: Splitting("m", 4, steps=[("kick", 1), ("drift", 1)]),
            ["order 4", "is of order 1"],
        ),
        (lambda: Variational("m", 2, c=[0], b=[1]), ["order 2"]),
        (lambda: Variational("m", 2, c=[0, 1], b=[1, 1]), ["sum b must be 1 and is 2"]),
        (
            lambda: Composition("m", 4, base=sd.INTEGRATORS["rk4"], weights=["1/2", "1/2"]),
            ["symmetric", "'rk4'"],
        ),
        (
            lambda: Composition("m", 4, base=sd.INTEGRATORS["verlet"], weights=["1/2", "1/2"]),
            ["is of order 2: for order 3 sum b"],
        ),
        (
            lambda: Composition("m", 4, base=sd.INTEGRATORS["verlet"], weights=["1/3", "2/3"]),
            ["the same backward"],
        ),
        (
            lambda: Composition(
                "m", 6, base=sd.INTEGRATORS["verlet"], weights=sd.INTEGRATORS["yoshida4"].weights
            ),
            ["order 6", "is of order 4: for order 5 sum b"],
        ),
    ],
)
def test_wrong_numbers_are_refused(make: Callable[[], Method], words: list[str]) -> None:
    with pytest.raises(sd.OptionError) as refused:
        make()
    for word in words:
        assert word in str(refused.value)


def test_an_unknown_name() -> None:
    with pytest.raises(sd.OptionError, match="Did you mean 'verlet'"):
        find_method("verlett", where="integrate")
    own = Tableau("mine", 2, A=[[], [1]], b=["1/2", "1/2"])
    assert find_method(own, where="integrate") is own
    assert number("1/3") == number(number("1/3"))
