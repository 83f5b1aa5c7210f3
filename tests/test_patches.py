"""Factors of patches of a lattice: exact on their own sites, together a preconditioner."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from lattices import compiled, lattice_case, random_lattice, random_problem, virtual
from models import Case, make_case
from test_lattice_model import lorenz96

from symda.build import build
from symda.build.lattice import LatticeKernels
from symda.build.load import load
from symda.build.patch_factors import CompiledPatches, NumpyPatches, PatchFactors
from symda.build.patches import Colours, Cut, Patches
from symda.emit.patches import emit_patches
from symda.observe import Problem
from symda.solve import schwarz as schwarz_module
from symda.solve.options import NewtonOptions
from symda.solve.schwarz import MOST_PRODUCTS, Reused, Schwarz, Size
from symda.solve.truncated import TruncatedNewton


def factors_of(kind: str, patches: Patches, steps: int, *, single: bool = False) -> PatchFactors:
    if kind == "NumPy":
        return NumpyPatches(patches, steps, single=single)
    return CompiledPatches(build(emit_patches()).library, patches, steps, single=single)


def gauss_newton(kernels: LatticeKernels, p: Problem, X: np.ndarray, rf: np.ndarray) -> np.ndarray:
    """The model term's, (M D, M D): products with unit vectors, less those of the data."""
    theta, evaluator = np.where(p.free, 1.0, p.fixed), kernels.at(p)
    size = p.M * p.D
    unit = np.eye(size + p.P)[:size]
    both = [
        np.array([evaluator.hessian_product(X, theta, one, v, exact=False)[:size] for v in unit])
        for one in (rf, 0.0 * rf)
    ]
    return both[0] - both[1]


def check(case: Case, p: Problem, kinds: tuple[str, ...], core: int, layers: int) -> None:
    """The sum of dense solves, patch by patch, with some unknowns held."""
    kernels, rng = virtual(case), np.random.default_rng(core)
    X, rf = rng.normal(size=(p.M, p.D)), rng.uniform(0.5, 3.0, p.D)
    own, free = rng.uniform(0.1, 2.0, X.shape), rng.uniform(size=X.shape) > 0.1
    hessian = gauss_newton(kernels, p, X, rf) + np.diag(own.reshape(-1))
    coupling = kernels.shape.coupling
    colours = Colours.choose(coupling)
    patches = Patches.cut(coupling, colours, core, layers)
    right = rng.normal(size=X.shape) * free
    expected, covered = np.zeros(X.size), np.zeros(X.size)
    for unknown, share in zip(patches.unknown, patches.share, strict=True):
        at = np.add.outer(p.E * np.arange(p.N + 1), unknown).reshape(-1)
        part = np.tile(share, p.N + 1)
        there = (part > 0.0) & (at < X.size)
        at, part = at[there], part[there]
        covered[at] += part**2
        at, part = at[free.reshape(-1)[at]], part[free.reshape(-1)[at]]
        found = np.linalg.solve(hessian[np.ix_(at, at)], part * right.reshape(-1)[at])
        expected[at] += part * found
    np.testing.assert_allclose(covered, 1.0, rtol=1e-12)
    if layers > 1 and len(patches.unknown) > 1:
        assert len(np.unique(patches.share[patches.share > 0.0].round(12))) == 1
    theta, evaluator = np.where(p.free, 1.0, p.fixed), kernels.at(p)
    flat, steps = X.reshape(-1), evaluator.packed.steps
    columns = [
        kernels.lattice.tangents(
            flat[n * p.E : (n + 1) * p.E + p.D], theta, steps[n], colours.directions
        )
        for n in range(p.N)
    ]
    for kind in kinds:
        factors = factors_of(kind, patches, p.N)
        weights = [w * np.tile(rf, 1 + p.interior) for w in p.weight]
        factors.factor(zip(columns, weights, strict=True), own, free)
        size = np.abs(expected).max()
        np.testing.assert_allclose(
            factors.solve(right).reshape(-1), expected, rtol=1e-8, atol=1e-10 * size
        )


@pytest.mark.parametrize("scheme", ["rk4", "midpoint", "hermite-simpson"])
def test_the_sum_of_patches_is_that_of_dense_matrices(scheme: str) -> None:
    """Lorenz-96 of 11 sites on an uneven grid; one patch for all is the inverse itself."""
    model = lorenz96(11)
    case = make_case(model, model.states[::3], scheme)
    p = case.problem([0.0, 0.05, 0.07, 0.2], np.ones((4, 4)), 0.5)
    for core, layers in [(99, 1), (3, 2), (2, 3), (4, 1)]:
        check(case, p, ("compiled", "NumPy"), core, layers)


@pytest.mark.parametrize(
    ("seed", "shape", "boundary", "fields"),
    [
        (0, (6,), "reflect", 2),
        (1, (3, 4), "zero", 1),
        (2, (1,), "periodic", 1),
        (3, (2, 3, 2), "reflect", 1),
        (4, (5, 4), "periodic", 1),
    ],
)
def test_boxes_of_random_lattices_in_up_to_three_directions(
    seed: int, shape: tuple[int, ...], boundary: str, fields: int
) -> None:
    discrete = seed == 1
    model = random_lattice(seed, shape, [boundary] * 3, fields=fields, discrete=discrete, reach=2)
    case = lattice_case(model, None if discrete else "euler" if seed == 4 else "rk4")
    p = random_problem(case, np.random.default_rng(seed), steps=2)
    for core, layers in [(99, 1), (2, 2), (1, 1)]:
        check(case, p, ("NumPy",), core, layers)
    check(case, p, ("compiled",), 2, 2)


@pytest.mark.parametrize(
    ("size", "core", "layers"), list(product([1, 2, 7, 30], [1, 3], [1, 2, 3]))
)
def test_every_site_is_in_as_many_patches(size: int, core: int, layers: int) -> None:
    for boundary in ("periodic", "zero", "reflect"):
        cut = Cut(size, boundary, core, layers)
        sites = cut.sites()
        counts = np.bincount(sites[sites >= 0], minlength=size)
        assert len(np.unique(counts)) == 1
        assert counts[0] == (layers if layers * core < size and len(sites) > 1 else 1)


def lorenz(D: int, N: int) -> tuple[Case, Problem, np.ndarray]:
    """A third of the sites measured, along a path of the attractor."""
    x = np.full(D, 8.0)
    x[0] += 0.1

    def slope(x: np.ndarray) -> np.ndarray:
        return np.roll(x, 1) * (np.roll(x, -1) - np.roll(x, 2)) - x + 8.0

    path = []
    for n in range(200 + N + 1):
        if n >= 200:
            path.append(x)
        k1 = slope(x)
        k2 = slope(x + 0.025 * k1)
        k3 = slope(x + 0.025 * k2)
        x = x + 0.05 / 6.0 * (k1 + 2 * k2 + 2 * k3 + slope(x + 0.05 * k3))
    X = np.array(path)
    model = lorenz96(D)
    case = make_case(model, model.states[::3], "rk4")
    values = X[:, ::3] + 0.2**0.5 * np.random.default_rng(1).normal(size=X[:, ::3].shape)
    return case, case.problem((0.05 * np.arange(N + 1)).tolist(), values, 0.2), X


def iterations(kind: str, core: int, layers: int, weight: float, *, single: bool) -> int:
    """Conjugate gradients on the Gauss-Newton Hessian of 48 sites and 12 steps, to 1e-6."""
    case, p, X = lorenz(48, 12)
    kernels, rf = virtual(case), np.full(p.D, weight / 0.2)
    evaluator, theta = kernels.at(p), np.array([8.0])
    schwarz = Schwarz(evaluator)
    patches = Patches.cut(kernels.shape.coupling, schwarz.colours, core, layers)
    factors = factors_of(kind, patches, p.N, single=single)
    own = evaluator.measured_diagonal(X, theta)
    products = schwarz.products(X, theta, rf)
    factors.factor(products, own, np.ones(X.shape, dtype=bool))
    r = np.random.default_rng(0).normal(size=X.size)
    size = np.linalg.norm(r)
    z = factors.solve(r.reshape(X.shape)).reshape(-1)
    direction, square = z, r @ z
    for count in range(1, 500):
        product_ = evaluator.hessian_product(X, theta, rf, np.append(direction, 0.0), exact=False)
        alpha = square / (direction @ product_[:-1])
        r = r - alpha * product_[:-1]
        if np.linalg.norm(r) < 1e-6 * size:
            return count
        z = factors.solve(r.reshape(X.shape)).reshape(-1)
        square, before = r @ z, square
        direction = z + square / before * direction
    return 500


@pytest.mark.parametrize(
    ("core", "layers", "weight", "most"),
    [(8, 2, 0.2, 16), (8, 2, 20.0, 20), (12, 3, 2e3, 20), (12, 3, 2e5, 35), (99, 1, 2e5, 3)],
)
def test_conjugate_gradients_take_few_iterations(
    core: int, layers: int, weight: float, most: int
) -> None:
    """Bands in time of each state take 64, 525 and more than 3,000 on 120 sites."""
    assert iterations("compiled", core, layers, weight, single=weight <= 2e3) <= most


@pytest.mark.parametrize("kind", ["compiled", "NumPy"])
@pytest.mark.parametrize("single", [True, False])
def test_it_is_symmetric_and_positive_definite_at_any_weight(kind: str, single: bool) -> None:
    case, p, X = lorenz(9, 3)
    kernels = virtual(case)
    evaluator, theta = kernels.at(p), np.array([8.0])
    schwarz = Schwarz(evaluator)
    patches = Patches.cut(kernels.shape.coupling, schwarz.colours, 3, 2)
    factors = factors_of(kind, patches, p.N, single=single)
    own = evaluator.measured_diagonal(X, theta)
    for weight in (1e-12, 1.0, 1e5) if single else (1e-12, 1e5, 1e12, 1e16):
        rf = np.full(p.D, weight)
        floor = own + 1e-13 * weight
        factors.factor(schwarz.products(X, theta, rf), floor, np.ones(X.shape, dtype=bool))
        unit = np.eye(X.size).reshape(-1, *X.shape)
        inverse = np.array([factors.solve(one).reshape(-1) for one in unit])
        scale = np.sqrt(np.diag(inverse))
        assert np.isfinite(scale).all() and scale.min() > 0.0
        inverse /= np.outer(scale, scale)
        tolerance = 1e-4 if single or weight > 1e5 else 1e-9
        if weight < 1e12:
            np.testing.assert_allclose(inverse, inverse.T, atol=tolerance)
        vectors = np.random.default_rng(0).normal(size=(50, X.size))
        assert (np.einsum("ij,jk,ik->i", vectors, inverse, vectors) > 0.0).all()


def test_expressions_count_on_the_diagonal() -> None:
    model = random_lattice(0, (6,), ["periodic"], reach=1)
    case = lattice_case(model, "euler")
    p = random_problem(case, np.random.default_rng(0))
    kernels, rng = virtual(case), np.random.default_rng(1)
    X, theta = rng.normal(size=(p.M, p.D)), rng.normal(size=p.P)
    evaluator = kernels.at(p)
    rf = np.zeros(p.D)
    unit = np.eye(X.size + p.P)[: X.size]
    diagonal = [v @ evaluator.hessian_product(X, theta, rf, v, exact=False) for v in unit]
    found = evaluator.measured_diagonal(X, theta).reshape(-1)
    np.testing.assert_allclose(found, diagonal, rtol=1e-12, atol=1e-12)


def test_patches_are_tried_when_lines_take_too_long_and_never_without_derivatives() -> None:
    case, p, X = lorenz(60, 8)
    kernels = virtual(case)
    schwarz, rf = Schwarz(kernels.at(p)), np.full(p.D, 1e4)
    reused, theta = Reused(schwarz, rf), np.array([8.0])
    free = np.ones(X.shape, dtype=bool)
    assert reused.at(X, theta, free) is None and 10 <= reused.budget < 60
    assert reused.learn(reused.budget, 0.5, unfinished=True)
    first = reused.at(X, theta, free)
    assert first is not None and schwarz.larger(None, rf) == Size(8, 2, True)
    # good factors serve further steps, those of another place or held unknowns do not
    assert not reused.learn(6, 1e-6, unfinished=False)
    assert reused.at(X + 1.0, theta, free) == first
    assert not reused.learn(12, 1e-6, unfinished=False)
    held = free.copy()
    held[0, 0] = False
    solve = reused.at(X, theta, held)
    assert solve is not None and solve(np.ones(X.shape) * held)[0, 0] == 0.0
    broken = X.copy()
    broken[1] = np.nan
    assert schwarz.factor(broken, theta, rf, Size(8, 2, True), free) is None
    # derivatives are finite there, their squares are not
    with np.errstate(all="ignore"):
        for single, far in ((True, 1e4), (False, 1e11)):
            assert schwarz.factor(far * X, theta, rf, Size(8, 2, single), free) is None
    assert schwarz.larger(Size(16, 2, True), rf) == Size(32, 2, True)
    assert schwarz.larger(Size(32, 2, True), rf) is None


@pytest.mark.smoke
def test_the_minimum_with_patches_is_that_with_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which takes far more products where the model weighs much more than the data."""
    case, p, X = lorenz(50, 5)
    kernels, rf = virtual(case), np.full(p.D, 300.0)
    start = X + 0.1 * np.random.default_rng(2).normal(size=X.shape), np.array([7.9])
    made, before = [], Schwarz.factor
    monkeypatch.setattr(Schwarz, "factor", lambda *a: made.append(before(*a)) or made[-1])
    found = TruncatedNewton(kernels, p, NewtonOptions()).minimise(*start, rf)
    monkeypatch.setattr(Schwarz, "larger", lambda *_: None)
    other = TruncatedNewton(kernels, p, NewtonOptions()).minimise(*start, rf)
    assert found.status == "converged" and made and all(one is not None for one in made)
    assert found.action == pytest.approx(other.action, rel=1e-7)
    np.testing.assert_allclose(found.path, other.path, atol=1e-3)


def test_patches_that_lead_nowhere_are_given_up_once() -> None:
    case, p, X = lorenz(60, 4)
    schwarz, rf = Schwarz(virtual(case).at(p)), np.full(p.D, 1e4)
    reused, free = Reused(schwarz, rf), np.ones(X.shape, dtype=bool)
    assert reused.learn(reused.budget, 0.5, unfinished=True)
    assert reused.at(X, np.array([8.0]), free) is not None
    assert reused.give_up()
    assert reused.at(X, np.array([8.0]), free) is None and reused.budget == MOST_PRODUCTS
    assert not reused.learn(MOST_PRODUCTS, 0.5, unfinished=True)
    assert not reused.give_up()
    assert not Reused(schwarz, rf).give_up()


def test_memory_is_at_least_what_factors_take(monkeypatch: pytest.MonkeyPatch) -> None:
    case, p, _ = lorenz(64, 8)
    schwarz = Schwarz(virtual(case).at(p))
    patches = Patches.cut(schwarz._coupling, schwarz.colours, 8, 2)
    factors = factors_of("compiled", patches, p.N, single=True)
    assert isinstance(factors, CompiledPatches)
    kept = factors._kept.nbytes
    monkeypatch.setattr(schwarz_module, "MEMORY", kept)
    assert not schwarz._fits(9, 2, single=True)
    monkeypatch.setattr(schwarz_module, "MEMORY", 2 * kept)
    assert schwarz._fits(8, 2, single=True)


def test_emitted_tangents_are_those_of_casadi() -> None:
    model = random_lattice(0, (6,), ["reflect"] * 3, fields=2, reach=2)
    case = lattice_case(model, "rk4")
    p = random_problem(case, np.random.default_rng(0), steps=2)
    plain, emitted = virtual(case), compiled(case)
    rng = np.random.default_rng(1)
    window, theta = rng.normal(size=p.E + p.D), rng.normal(size=p.P)
    directions = Colours.choose(plain.shape.coupling).directions
    steps = plain.at(p).packed.steps[0]
    expected = plain.lattice.tangents(window, theta, steps, directions)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(
        emitted.lattice.tangents(window, theta, steps, directions), expected, atol=1e-13
    )


def test_a_vector_is_a_group_of_patches() -> None:
    assert load(build(emit_patches()).library).lanes() in (1, 2, 4, 8)
