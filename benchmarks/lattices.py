"""Section "lattice": conjugate gradients, a product's time, and levels of random starts.

Lorenz-96 with a third of the sites measured. Iterations are those on the Gauss-Newton Hessian at
the true path; the patches of a row take as many unknowns as `symda.solve.schwarz` would come to.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from common import (
    SIZES,
    VARIANCE,
    Row,
    Size,
    hand_over,
    lorenz96_sites,
    milliseconds,
    pin,
    section_size,
)
from growth import slope

import symda as sd
from symda.build.lattice import LatticeEvaluator
from symda.solve.lines import Lines, ResidualRows
from symda.solve.schwarz import Schwarz
from symda.solve.schwarz import Size as Patches
from symda.types import FloatArray

SECTION = "lattice"
STEP, NU = 0.05, 8.0
#: Rf over Rm, and the patches: sites of a core, cores of a patch; the targets for two kinds.
WEIGHTS = (0.2, 20.0, 2e3, 2e5)
PATCHES = {(8, 2): (9, 12, 37, 136), (12, 3): (7, 8, 11, 28)}
MOST = 3_000


def third(sites: int) -> sd.Action:
    """Lorenz-96 with a third of its sites measured."""
    model = lorenz96_sites(sites, range(1)).model
    return sd.Action(model, model.states[::3], scheme="rk4", matrix_free=True)


def bound(action: sd.Action, data: sd.Observations) -> LatticeEvaluator:
    """Compile the kernels and bind data."""
    evaluator = action.compile().machine.at(action.bind(data))
    assert isinstance(evaluator, LatticeEvaluator)
    return evaluator


def problem(sites: int, steps: int) -> tuple[LatticeEvaluator, FloatArray]:
    """Bind data of a twin experiment; return kernels with its data, and the true path."""
    action = third(sites)
    truth, data = sd.twin(
        action,
        parameters={"nu": NU},
        dt=STEP,
        steps=steps,
        variance=VARIANCE,
        seed=1,
        discard=5.0,
    )
    return bound(action, data), truth.states.values


def iterations(
    evaluator: LatticeEvaluator,
    X: FloatArray,
    rf: FloatArray,
    solve: Callable[[FloatArray], FloatArray],
) -> int:
    """Count iterations until the residual is 1e-6 of what it was."""
    theta = np.array([NU])
    r = np.random.default_rng(0).normal(size=X.size)
    goal = 1e-6 * np.linalg.norm(r)
    z = solve(r.reshape(X.shape)).reshape(-1)
    direction, square = z, r @ z
    for count in range(1, MOST):
        whole = evaluator.hessian_product(X, theta, rf, np.append(direction, 0.0), exact=False)
        r = r - square / (direction @ whole[:-1]) * whole[:-1]
        if np.linalg.norm(r) < goal:
            return count
        z = solve(r.reshape(X.shape)).reshape(-1)
        square, before = r @ z, square
        direction = z + square / before * direction
    return MOST


def counts(sites: int, steps: int) -> list[Row]:
    """Compare patches with a band in time of each state."""
    evaluator, X = problem(sites, steps)
    p, schwarz, theta = evaluator.problem, Schwarz(evaluator), np.array([NU])
    own = evaluator.measured_diagonal(X, theta)
    band = ResidualRows.of(p, discrete=False).band(p.M)
    every = np.ones(X.shape, dtype=bool)
    every_rf = {weight: np.full(p.D, weight / VARIANCE) for weight in WEIGHTS}
    by_lines = {
        weight: iterations(evaluator, X, rf, Lines(band, rf, own + 0.1 * rf, ~every).solve)
        for weight, rf in every_rf.items()
    }
    rows = []
    for (core, layers), targets in PATCHES.items():
        for weight, target in zip(WEIGHTS, targets, strict=True):
            rf = every_rf[weight]
            factors = schwarz.factor(X, theta, rf, Patches(core, layers, weight < 1e5), every)
            assert factors is not None
            rows.append(
                Row(
                    SECTION,
                    f"iterations at Rf/Rm = {weight:g}, patches of {layers} x {core} sites",
                    "iterations",
                    iterations(evaluator, X, rf, factors.solve),
                    "a band in time of each state",
                    by_lines[weight],
                    at_most=target,
                    main=layers == 2,
                )
            )
    return rows


def products(sites: tuple[int, ...], steps: int) -> list[Row]:
    """Time a product with the Hessian, and a solution by patches, over sites."""
    product, solution = {}, {}
    for count in sites:
        action = third(count)
        rng = np.random.default_rng(0)
        values = rng.normal(size=(steps + 1, -(-count // 3)))
        times = STEP * np.arange(steps + 1)
        evaluator = bound(action, sd.Observations(times, values, variance=VARIANCE))
        X = rng.normal(2.0, 3.0, size=(steps + 1, count))
        theta, rf = np.array([NU]), np.full(count, 100.0)
        factors = Schwarz(evaluator).factor(
            X, theta, rf, Patches(8, 2, True), np.ones(X.shape, dtype=bool)
        )
        assert factors is not None
        v, right = np.ones(X.size + 1), np.ones(X.shape)

        def once(of: LatticeEvaluator = evaluator, X: FloatArray = X) -> object:
            return of.hessian_product(X, np.array([NU]), np.full(X.shape[1], 100.0), v)  # noqa: B023

        product[count] = milliseconds(once)
        solution[count] = milliseconds(lambda: factors.solve(right))  # noqa: B023
    rows = []
    for what, points in (("a Hessian product", product), ("a solution by patches", solution)):
        named = {f"{size} sites, ms": value for size, value in points.items()}
        title = f"{min(points)} to {max(points):,} sites: exponent of the time of {what}"
        rows.append(Row(SECTION, title, "power", slope(points), points=named, at_most=1.05))
    return rows


def joined(sites: int, steps: int, rungs: int, paths: int) -> list[Row]:
    """Compare the level of candidates joined region by region with that of the path from the truth.

    Beside it the lowest of as many single paths.
    """
    action = third(sites)
    truth, data = sd.twin(
        action,
        parameters={"nu": NU},
        dt=STEP,
        steps=steps,
        variance=VARIANCE,
        seed=1,
        discard=5.0,
    )
    ladder, known = sd.Ladder(alpha=8.0, rungs=rungs), (truth.states.values, {"nu": NU})

    def level(**options: object) -> float:
        run = sd.anneal(action, data, ladder=ladder, solver="newton", workers=1, **options)  # type: ignore[arg-type]
        return float(run.best.action)

    least = level(strategy="ladder", start=known, paths=1)
    return [
        Row(
            SECTION,
            f"{sites} sites: level of {paths} candidates joined, over that from the truth",
            "times",
            level(strategy="regions", paths=paths) / least,
            "the lowest of as many single paths",
            level(strategy="ladder", start="uniform", paths=paths) / least,
            at_most=1.01,
        )
    ]


def main(size: Size) -> list[Row]:
    """Measure all of it; a size with few paths is only to see that it runs."""
    quick = size is SIZES["quick"]
    found = counts(30 if quick else 120, 5 if quick else 50)
    found += joined(30, 5, 2, 2) if quick else joined(220, 100, 6, 6)
    return found + products((30, 60) if quick else (100, 1_000, 10_000), 5)


if __name__ == "__main__":
    pin()
    hand_over(main(section_size()))
