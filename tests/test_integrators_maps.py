"""Every method of the registry on random systems: structure, order, reversibility, both engines."""

from __future__ import annotations

import math
from functools import cache

import flow_models as systems
import numpy as np
import pytest
from flow_models import Maps

import symda as sd
from symda.discretise import Method

METHODS = list(sd.INTEGRATORS.values())
EVERY = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)


@cache
def plain() -> Maps:
    """Two degrees of freedom, separable, and from a Lagrangian: every method fits."""
    return Maps.of(systems.lagrangian(2, 3, curved=False))


@cache
def bent() -> Maps:
    """Three degrees of freedom, not separable."""
    return Maps.of(systems.coupled(3, 5))


@cache
def rolling() -> Maps:
    """One degree of freedom, not separable, from a Lagrangian."""
    names = ("variational-midpoint", "variational-trapezoid", "midpoint", "lobatto-3")
    return Maps.of(systems.lagrangian(1, 7, curved=True), [sd.INTEGRATORS[name] for name in names])


def test_every_method_fits_the_first_system() -> None:
    assert plain().methods == tuple(METHODS)


def cases(method: Method) -> list[Maps]:
    return [m for m in (plain(), bent(), rolling()) if method in m.methods]


@EVERY
def test_symplectic(method: Method) -> None:
    assert cases(method)
    for maps in cases(method):
        J = systems.structure(len(maps.model.states) // 2)
        for seed in range(2):
            x, h = systems.start(maps.model, seed), 0.4
            engine = maps.numpy if seed else maps.compiled
            _, M = maps.tangent(engine, method, x, h)
            defect = abs(M.T @ J @ M - J).max()
            if method.symplectic:
                assert defect < 1e-10
            elif method.order < 8:  # which is symplectic to rounding at this step
                assert defect > 1e-9


@EVERY
def test_both_engines_agree(method: Method) -> None:
    for maps in cases(method):
        x = systems.start(maps.model)
        one, other = (maps.run(engine, method, x, 0.1, 3) for engine in (maps.compiled, maps.numpy))
        np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-13)
        for a, b in zip(
            maps.tangent(maps.compiled, method, x, 0.1),
            maps.tangent(maps.numpy, method, x, 0.1),
            strict=True,
        ):
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)


@EVERY
def test_tangents_are_derivatives(method: Method) -> None:
    for maps in cases(method):
        x, h, eps = systems.start(maps.model, 4), 0.15, 1e-5
        after, M = maps.tangent(maps.compiled, method, x, h)
        np.testing.assert_allclose(
            after, maps.run(maps.compiled, method, x, h, 1), rtol=0, atol=1e-15
        )
        differences = [
            (
                maps.run(maps.compiled, method, x + eps * e, h, 1)
                - maps.run(maps.compiled, method, x - eps * e, h, 1)
            )
            / (2 * eps)
            for e in np.eye(len(x))
        ]
        np.testing.assert_allclose(M, np.array(differences).T, atol=2e-9)


@EVERY
def test_time_reversal(method: Method) -> None:
    for maps in cases(method):
        x, h = systems.start(maps.model, 1), 0.4
        there = maps.run(maps.compiled, method, x, h, 1)
        back = maps.run(maps.compiled, method, there, -h, 1)
        gap = abs(back - x).max() / abs(x).max()
        if method.symmetric:
            assert gap < 1e-12
        else:
            assert gap > 1e-11


END = 3.0
COUNTS = [round(6 * 1.5**i) for i in range(13)]
STARTS = range(2, 6)


@cache
def solutions(index: int) -> np.ndarray:
    maps = (plain(), bent(), rolling())[index]
    return np.array([maps.reference(systems.start(maps.model, seed), END) for seed in STARTS])


@EVERY
def test_order(method: Method) -> None:
    for index, maps in enumerate((plain(), bent(), rolling())):
        if method not in maps.methods:
            continue
        starts, errors = [systems.start(maps.model, seed) for seed in STARTS], {}
        for N in COUNTS:
            ends = [maps.run(maps.compiled, method, x, END / N, N) for x in starts]
            errors[N] = np.linalg.norm(np.array(ends) - solutions(index))
        # the finest two that rounding, and that of the reference, do not touch
        few, many = [N for N in COUNTS if errors[N] > 2e-12][-2:]
        slope = math.log(errors[few] / errors[many]) / math.log(many / few)
        # doubles end before the asymptotic range of order 8 begins: see test_integrators.py
        assert abs(slope - method.order) < (0.15 if method.order < 8 else 0.5)


@pytest.mark.parametrize(
    "maps",
    [Maps.of(make(n, 20 + n)) for make in (systems.separable, systems.coupled) for n in (1, 2, 3)],
    ids=lambda maps: f"{maps.model.name}-{len(maps.model.coordinates)}",
)
def test_structure_in_other_dimensions(maps: Maps) -> None:
    """Kinetic energies that are not quadratic, H separable or not, one to three coordinates."""
    n = len(maps.model.coordinates)
    J, x, h = systems.structure(n), systems.start(maps.model, n), 0.2
    for method in maps.methods:
        after, M = maps.tangent(maps.numpy, method, x, h)
        if method.symplectic:
            assert abs(M.T @ J @ M - J).max() < 1e-10, method.name
        if method.symmetric:
            back = maps.run(maps.numpy, method, after, -h, 1)
            assert abs(back - x).max() < 1e-12 * abs(x).max(), method.name
