"""Section "trust": error bars of every state from a factor, and what they cost beside it."""

from __future__ import annotations

import time

import numpy as np
from common import DT, NU, STANDARD, VARIANCE, Row, Size, hand_over, milliseconds, pin, section_size
from scipy.linalg import lapack

import symda as sd
from symda.analyse.expand import by_hessian
from symda.analyse.nonlinear import mean_shift
from symda.api.machine import machine
from symda.build.kernels import matrices_of
from symda.solve import SOLVERS
from symda.solve.derivatives import Derivatives

SECTION = "trust"
RF = 300.0


def ring(size: Size) -> list[Row]:
    """Time selected inversion of Lorenz-96 against the factor and the dense inverse."""
    x, nu = sd.states("x", size.D, start=(-10.0, 10.0)), sd.parameter("nu", bounds=(0.0, 20.0))
    D = size.D
    model = sd.Model(
        {x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - x[a] + nu for a in range(D)}, name="ring"
    )
    action = sd.Action(model, [x[a] for a in size.measured])
    truth, data = sd.twin(
        action, parameters={"nu": NU}, dt=DT, steps=size.steps, variance=VARIANCE, seed=1
    )
    problem = action.bind(data)
    kernels = machine(action.specification.of(problem))
    evaluator, rf = matrices_of(kernels.at(problem), "Hessian"), np.full(D, RF)
    at = SOLVERS["newton"].at(kernels, problem).minimise(truth.states.values, np.array([NU]), rf)
    held = ~problem.unknowns.free
    point = Derivatives(evaluator, exact=True).at(
        problem.unknowns.join(at.path, at.theta), evaluator.precision(rf)
    )
    nothing = np.zeros(point.gradient.size)
    factor = milliseconds(
        lambda: point.pattern.solve(point.hessian, nothing, nothing, held, nothing)
    )
    own = point.pattern.conditional(point.hessian, held)
    assert own is not None
    blocks = milliseconds(lambda: own.blocks(problem.E))
    full = evaluator.hessian(at.path, at.theta, rf).toarray()

    def dense() -> np.ndarray:
        upper, _ = lapack.dpotrf(full)
        return lapack.dpotri(upper)[0]

    inverse, exact = milliseconds(dense), np.diag(dense())
    gaussian = by_hessian(evaluator, at.path, at.theta, rf, held=held)
    ours = gaussian.variances_of_path.reshape(-1)
    assert np.abs(ours / exact[: ours.size] - 1.0).max() < 1e-9, "not the same variances"
    shift = milliseconds(lambda: mean_shift(evaluator, gaussian, rf))
    real, n = D == STANDARD.D, point.gradient.size
    return [
        Row(
            SECTION,
            f"all variances of {n:,} unknowns",
            "ms",
            blocks,
            "dense inverse",
            inverse,
            at_least_times=100.0 if real else None,
            main=True,
        ),
        Row(
            SECTION,
            "the same over the factor that a step needs",
            "times",
            blocks / factor,
            at_most=3.5 if real else None,
        ),
        Row(
            SECTION,
            f"next order of the mean, {n:,} unknowns",
            "ms",
            shift,
            at_most=10.0 if real else None,
        ),
    ]


def neuron(size: Size) -> Row:
    """Time the error bars of a neuron's states at all times."""
    model = sd.models.nakl()
    action = sd.Action(model, [model["V"]])
    steps = 6000 if size.D == STANDARD.D else 40
    times = 0.02 * np.arange(steps + 1)
    drive = sd.Samples(times, 20.0 + 15.0 * np.sin(0.3 * times))
    truth = sd.simulate(
        model, times, [-65.0, 0.05, 0.6, 0.3], parameters=sd.models.NAKL, forcing={"I": drive}
    )
    noise = np.random.default_rng(0).normal(size=times.size)
    data = sd.Observations(
        times, truth.states.values[:, 0] + noise, variance=1.0, forcing={"I": drive}
    )
    real = size.D == STANDARD.D
    # a short window determines no parameter
    known = {name: v for name, v in sd.models.NAKL.items() if not (real and name.startswith("g"))}
    problem = action.bind(data, fixed=known)
    kernels = machine(action.specification.of(problem))
    evaluator = matrices_of(kernels.at(problem), "Hessian")
    theta = np.array([sd.models.NAKL[name] for name in problem.parameters])
    rf = 1.0 / (1e-4 * problem.variances)
    at = SOLVERS["newton"].at(kernels, problem).minimise(truth.states.values, theta, rf)
    held = ~problem.unknowns.free
    began = time.perf_counter()
    gaussian = by_hessian(evaluator, at.path, at.theta, rf, held=held)
    assert np.isfinite(gaussian.variances_of_path).all()
    seconds = time.perf_counter() - began
    free = int(problem.free.sum())
    what = f"error bars of a neuron, N = {steps:,}, {free} of {problem.P} parameters free"
    return Row(SECTION, what, "s", seconds, at_most=2.0 if real else None, main=True)


def measure(size: Size) -> list[Row]:
    """All rows of the section."""
    pin()
    return [*ring(size), neuron(size)]


if __name__ == "__main__":
    hand_over(measure(section_size()))
