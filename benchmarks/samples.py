"""Section "sample": effective draws of Lorenz-96 at four precisions, against blackjax's NUTS."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from baseline_casadi import Twin
from common import DT, NU, STANDARD, VARIANCE, Row, Size, hand_over, library, pin, section_size

import symda as sd
from symda.analyse.expand import by_hessian
from symda.api.machine import machine
from symda.build.kernels import BlockEvaluator, matrices_of
from symda.sample.chains import Chain
from symda.sample.mixing import effective, r_hat
from symda.sample.path_map import PathMap
from symda.sample.proposal import Proposal
from symda.sample.target import PathTarget
from symda.sample.weighted import weighted
from symda.sample.white import White
from symda.solve import SOLVERS

SECTION = "sample"
#: Precision 0.01 2^beta -> which way of ours, and how many times NUTS's draws are asked for.
WAYS = {10: ("hmc", 30.0), 15: ("hmc", 50.0), 20: ("rto", 500.0), 25: ("rto", None)}


def ring(size: Size) -> tuple[BlockEvaluator, Twin, np.ndarray]:
    """Kernels with the data of Lorenz-96, the same for the other, and the true path."""
    D = size.D
    x, nu = sd.states("x", D, start=(-10.0, 10.0)), sd.parameter("nu", bounds=(0.0, 20.0))
    model = sd.Model(
        {x[a]: x[a - 1] * (x[(a + 1) % D] - x[a - 2]) - x[a] + nu for a in range(D)}, name="ring"
    )
    action = sd.Action(model, [x[a] for a in size.measured], scheme="rk4")
    truth, data = sd.twin(
        action, parameters={"nu": NU}, dt=DT, steps=size.steps, variance=VARIANCE, seed=1
    )
    kernels = machine(action.specification.of(action.bind(data)))
    evaluator = matrices_of(kernels.at(action.bind(data)), "Hessian")
    twin = Twin(data.values, list(size.measured), VARIANCE, DT, D, (0.0, 20.0))
    return evaluator, twin, truth.states.values


def target_of(evaluator: BlockEvaluator, truth: np.ndarray, beta: int) -> PathTarget:
    """Return what is sampled, about the minimum that a ladder from the truth ends at."""
    path, theta = truth, np.array([NU])
    for k in range(5, beta + 1):
        rf = np.full(truth.shape[1], 0.01 * 2.0**k)
        at = SOLVERS["newton"].at(evaluator.kernels, evaluator.problem).minimise(path, theta, rf)
        path, theta = at.path, at.theta
    held = ~evaluator.problem.unknowns.free
    gaussian = by_hessian(evaluator, path, theta, rf, held=held)
    assert gaussian.own is not None
    white = White(gaussian.own, ~held, np.ones(held.size))
    return PathTarget(evaluator, evaluator.problem.unknowns.join(path, theta), white, rf)


def ours(target: PathTarget, way: str, count: int) -> tuple[float, str]:
    """Return ms of CPU time an effective draw, of the worst unknown, and R-hat in words."""
    rng = np.random.default_rng(0)
    if way == "rto":
        proposal = Proposal([PathMap(target)], np.ones(1), rng)
        began = time.process_time()
        found = weighted(proposal, target, count, np.inf)
        took = time.process_time() - began
        return 1e3 * took / found.effective, "independent"
    chains = [Chain(target, target.centre, rng) for _ in range(2)]
    chains[0].adapt(80)
    for one in chains:
        one.angle = chains[0].angle
        one.run(30)
    began = time.process_time()
    places = np.stack([one.run(count) for one in chains])
    took = time.process_time() - began
    return 1e3 * took / float(effective(places).min()), f"R-hat {r_hat(places).max():.2f}"


def measure(size: Size) -> list[Row]:
    """All rows of the section."""
    pin()
    real = size.D == STANDARD.D
    evaluator, twin, truth = ring(size)
    rows = []
    other = library("blackjax") is not None
    for beta, (way, times) in WAYS.items():
        target = target_of(evaluator, truth, beta)
        mine, words = ours(target, way, 400 if real else 60)
        theirs, name = None, ""
        if other:
            from baseline_blackjax import nuts

            path, theta = evaluator.problem.unknowns.split(target.centre)
            runs = [
                nuts(twin, path, float(theta[0]), 0.01 * 2.0**beta, 150 if real else 20, seed)
                for seed in range(2)
            ]
            places = np.stack([one for one, _ in runs])
            theirs = 1e3 * sum(took for _, took in runs) / float(effective(places).min())
            name = f"blackjax's NUTS, R-hat {r_hat(places).max():.2f}"
        what = f"an effective draw, Rf = 0.01 x 2^{beta}, {way}, {words}"
        rows.append(
            Row(
                SECTION,
                what,
                "ms",
                mine,
                name,
                theirs,
                at_most=10.0 / 3.0 if real and times is None else None,
                at_least_times=times if real else None,
                main=beta == 20,
            )
        )
    # the last target stays
    rows.append(draws(target, 1000 if real else 10, 1.0 if real else None))
    large = replace(size, D=size.states[-1], measured=tuple(range(0, size.states[-1], 2)))
    evaluator, _, truth = ring(replace(large, steps=50 if real else size.steps))
    target = target_of(evaluator, truth, 20)
    return [*rows, draws(target, 64 if real else 10, 45.0 if real else None)]


def draws(target: PathTarget, count: int, at_most: float | None) -> Row:
    """Time a draw with its weight."""
    proposal = Proposal([PathMap(target)], np.ones(1), np.random.default_rng(1))
    began = time.process_time()
    drawn = weighted(proposal, target, count, np.inf)
    assert drawn.failed == 0
    each = 1e3 * (time.process_time() - began) / count
    D = target.problem.D
    what = f"a draw of {target.white.count:,} unknowns of {D} states with its weight"
    return Row(SECTION, what, "ms", each, at_most=at_most)


if __name__ == "__main__":
    hand_over(measure(section_size()))
