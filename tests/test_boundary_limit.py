"""Direct minimisers tend to the solution of the boundary value problem, and so do their momenta."""

from __future__ import annotations

import runpy
from dataclasses import dataclass, replace
from pathlib import Path

import models
import numpy as np
import pytest
import sympy as sp

import symda as sd
from symda.build.abstract import Kernels
from symda.build.kernels import virtual_kernels
from symda.derive.step import derive_step
from symda.observe import Problem
from symda.solve import SOLVERS, Minimum

EXAMPLES = Path(__file__).parents[1] / "examples"
RF = np.array([30.0, 50.0])
STEPS = (8, 16, 32)
ODE_SCHEMES = [scheme.name for scheme in (*models.ODE_SCHEMES, *models.PARTITIONED)]


def pendulum() -> sd.Model:
    """Separable, so that every scheme takes it; nonlinear, driven, with a free parameter."""
    q, p = sd.state("q", start=(-2.0, 2.0)), sd.state("p", start=(-3.0, 3.0))
    k = sd.parameter("k", bounds=(0.5, 20.0), start=(2.0, 8.0))
    force = {q: 1.5 * sp.sin(3 * sd.time("t"))}
    return sd.Model.from_hamiltonian(p**2 / 2 - k * sp.cos(q), q, p, forces=force, name="driven")


MODEL = pendulum()
# unequal intervals; every value of sin q, a gap
TIMES = np.array([0.0, 0.2, 0.5, 0.6, 0.9, 1.2])
DATA = sd.Observations(TIMES, [[0.84], [0.72], [np.nan], [0.31], [-0.24], [-0.7]], variance=0.01)


def action(scheme: str) -> sd.Action:
    return sd.Action(MODEL, {"sin q": sp.sin(MODEL["q"])}, scheme=scheme, model_error="rate")


def machine(scheme: str) -> Kernels:
    own = action(scheme)
    return virtual_kernels(derive_step(own.field, own.scheme), own.emitted, own.field.functions)


@pytest.fixture(scope="module")
def exact() -> sd.BoundarySolution:
    start = np.column_stack([np.interp(TIMES, [0.0, 1.2], [1.0, -0.8]), np.full(6, -1.5)])
    return sd.boundary_value(
        action("midpoint"),
        DATA,
        rf=RF,
        start=(start, {"k": 4.0}),
        options={"degree": 6, "intervals": 2},
    )


@dataclass(frozen=True)
class Direct:
    """A direct minimiser and its problem."""

    kernels: Kernels
    problem: Problem
    minimum: Minimum

    def errors(self, exact: sd.BoundarySolution) -> tuple[float, float, float]:
        """Largest differences in x at the nodes, p in the middle of steps, and the parameter."""
        problem, found = self.problem, self.minimum
        nodes = found.path[:: 1 + problem.interior]
        middle = problem.node_times[:-1] + 0.5 * problem.h
        return (
            float(np.abs(nodes - exact.x(problem.node_times)).max()),
            float(np.abs(found.momenta[:, :2] - exact.p(middle)).max()),
            abs(found.theta[0] - exact.parameters["k"]),
        )


def minimise(kernels: Kernels, scheme: str, steps: int, exact: sd.BoundarySolution) -> Direct:
    problem = action(scheme).bind(DATA, steps=steps)
    solver = SOLVERS["ipopt"].with_options(formulation="lifted", tol=1e-11).at(kernels, problem)
    found = solver.minimise(exact.x(problem.times), np.array([exact.parameters["k"]]), RF)
    assert found.status in ("converged", "acceptable", "stopped"), found.message
    return Direct(kernels, problem, found)


@pytest.mark.parametrize("scheme", ODE_SCHEMES)
def test_every_scheme_tends_to_the_boundary_value_solution(
    scheme: str, exact: sd.BoundarySolution
) -> None:
    """Path and momenta at the order in the continuum that the scheme declares."""
    known = {"euler": 1, "rk4": 1, "trapezoid": 2, "midpoint": 2, "hermite-simpson": 2}
    order = sd.SCHEMES[scheme].continuum_order
    assert order == known.get(scheme, order)
    kernels = machine(scheme)
    # those of first order come to their slope later
    runs = [minimise(kernels, scheme, steps * (3 - order), exact) for steps in STEPS]
    x, p, k = np.array([run.errors(exact) for run in runs]).T
    for errors in (x, p):
        slope = -np.polyfit(np.log(STEPS), np.log(errors), 1)[0]
        assert abs(slope - order) < 0.15, (slope, errors)
    assert k[-1] < 0.6 * k[0]
    # p of the multipliers is p = Rf/h r: exactly, as far as IPOPT's tolerance goes
    last = runs[-1]
    r = last.kernels.at(last.problem).residual(last.minimum.path, last.minimum.theta)
    own = np.tile(RF, 1 + last.problem.interior) / last.problem.h[:, None] * r
    np.testing.assert_allclose(last.minimum.momenta, own, atol=1e-7 * np.abs(own).max())


def test_momenta_live_in_the_middle_of_their_steps(exact: sd.BoundarySolution) -> None:
    """Compared with p at either end of its step, p_n is off by a term of first order."""
    kernels = machine("midpoint")
    runs = [minimise(kernels, "midpoint", steps, exact) for steps in STEPS]
    for share, order in ((0.1, 1), (0.5, 2), (0.9, 1)):
        errors = []
        for run in runs:
            t = run.problem.node_times[:-1] + share * run.problem.h
            errors.append(np.abs(run.minimum.momenta - exact.p(t)).max())
        slope = -np.polyfit(np.log(STEPS), np.log(errors), 1)[0]
        assert abs(slope - order) < 0.15, (share, slope)


def test_the_solver_of_the_protocol_hands_back_path_and_momenta_on_the_grid(
    exact: sd.BoundarySolution,
) -> None:
    scheme = "hermite-simpson"
    kernels, problem = machine(scheme), action(scheme).bind(DATA, steps=3)
    solver = SOLVERS["collocation"].with_options(degree=6).at(kernels, problem)
    found = solver.minimise(exact.x(problem.times), np.array([4.0]), RF)
    assert found.status == "converged"
    np.testing.assert_allclose(found.path, exact.x(problem.times), atol=1e-8)
    np.testing.assert_allclose(found.theta, [exact.parameters["k"]], atol=1e-8)
    middle = problem.node_times[:-1] + 0.5 * problem.h
    np.testing.assert_allclose(found.momenta[:, :2], exact.p(middle), atol=1e-6)
    assert found.momenta.shape == (problem.N, problem.E) and not found.momenta[:, 2:].any()
    # the action is the scheme's, of that path; its own minimiser lies lower, but not by much
    assert found.action == kernels.at(problem).action(found.path, found.theta, RF)
    direct = (
        SOLVERS["ipopt"]
        .with_options(tol=1e-11)
        .at(kernels, problem)
        .minimise(found.path, found.theta, RF)
    )
    assert direct.action < found.action < direct.action * 1.01


def test_the_papers_experiment_in_small(tmp_path: Path) -> None:
    script = runpy.run_path(str(EXAMPLES / "papers" / "va9.py"))
    system = script["pendulum"](6)
    solution = script["solve"](system)
    assert set(script["schemes"](system)) == set(ODE_SCHEMES) - {"radau3", "radau5"}
    assert "verlet" not in script["schemes"](script["lorenz"](2))
    rows, runs = zip(
        *(script["compare"](system, solution, name, (4, 8, 16)) for name in ("euler", "midpoint")),
        strict=True,
    )
    assert script["check"](solution, rows) == []
    wrong = replace(rows[1], order=1, multipliers=1e-3)
    complaints = script["check"](solution, [wrong])
    assert [line.split(" ")[1] for line in complaints] == ["x", "p", "multipliers"]
    complaints = script["check"](solution, [replace(rows[1], order=3)])
    assert [line.split(" ")[1] for line in complaints] == ["x", "p", "parameter"]
    assert "midpoint" in script["report"](system, solution, rows)
    script["draw"]([(system, solution, rows, runs[1])], tmp_path / "va9.png")
    assert (tmp_path / "va9.png").stat().st_size > 10_000
