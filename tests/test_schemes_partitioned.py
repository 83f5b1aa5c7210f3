"""Symplectic Euler and Stoermer-Verlet as schemes of the action."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import sympy as sp
from models import (
    PARTITIONED,
    disagreements,
    everything,
    exact_action,
    make_case,
    oscillators,
    random_point,
    random_problem,
    relative,
)
from newton_tools import newton_kernels, polished

import symda as sd
from symda.anneal.dynamics import Dynamics
from symda.errors import OptionError
from symda.solve import Ipopt, Newton
from symda.solve.banded import BandedNewton
from symda.solve.options import NewtonOptions

SCHEME = pytest.mark.parametrize("scheme", PARTITIONED, ids=lambda scheme: scheme.name)


@SCHEME
def test_the_virtual_machine_is_exact(scheme):
    case = make_case(*oscillators(), scheme)
    rng = np.random.default_rng(4)
    problem = random_problem(case, rng, N=2, uniform=False, model_error="rate")
    point = random_point(problem, rng)
    at = case.virtual.at(problem)
    exact = exact_action(case, problem, *point[:2], at.precision(point[2]))
    assert relative(at.action(*point), exact.value) < 1e-12
    assert relative(at.gradient(*point), exact.gradient) < 1e-12
    assert relative(at.hessian(*point).toarray(), exact.hessian) < 1e-12


@pytest.fixture(scope="module")
def verlet():
    return make_case(*oscillators(), "verlet")


def test_compiled_is_the_virtual_machine(verlet):
    rng = np.random.default_rng(5)
    for N, uniform in ((1, True), (4, False)):
        problem = random_problem(verlet, rng, N=N, uniform=uniform)
        point = random_point(problem, rng)
        compiled = everything(verlet.compiled, problem, *point)
        assert disagreements(compiled, everything(verlet.virtual, problem, *point)) == {}


def test_every_solver_ends_at_the_same_minimum(verlet):
    kernels = newton_kernels(verlet)
    rng = np.random.default_rng(6)
    problem = random_problem(verlet, rng, N=6, observed="all")
    problem = dataclasses.replace(problem, fixed=np.array([0.3, np.nan]))
    X, theta, rf = random_point(problem, rng)
    start = Ipopt().with_options(tol=1e-10).at(kernels, problem).minimise(X, theta, rf)
    lifted = Ipopt().with_options(tol=1e-10, formulation="lifted").at(kernels, problem)
    for solver in (
        Newton().at(kernels, problem),
        BandedNewton(kernels, problem, NewtonOptions()),
        lifted,
    ):
        found = solver.minimise(start.path + 1e-3, start.theta, rf)
        assert found.action == pytest.approx(start.action, rel=1e-9)
    assert abs(polished(kernels, problem, start, rf)) < 1e-8


@SCHEME
def test_the_map_that_has_no_residual_is_symplectic(scheme):
    model, measured = oscillators()
    # a force of its own, as the one by u, would be no Hamiltonian's
    case = make_case(model.substitute({model.forcing[0]: sp.S.Zero}), measured, scheme)
    rng = np.random.default_rng(7)
    problem = random_problem(case, rng, N=1)
    x, theta = rng.uniform(-0.5, 0.5, 5), rng.uniform(-0.5, 0.5, 2)
    (end,) = Dynamics(case.virtual, problem).step(0, x[None], theta)[0]
    at = case.virtual.at(problem)
    assert np.abs(at.residual(np.stack([x, end]), theta)).max() < 1e-15
    window = np.concatenate([x, end])
    M = -case.virtual.functions["step_jacobian"](window, theta, at.packed.steps[0]).full()[:4, :4]
    J = np.block([[np.zeros((2, 2)), np.eye(2)], [-np.eye(2), np.zeros((2, 2))]])
    np.testing.assert_allclose(M.T @ J @ M, J, rtol=0.0, atol=1e-14)
    assert np.abs(M - np.eye(4)).max() > 0.01


def test_equations_say_what_moves():
    action = sd.Action(*oscillators(), scheme="verlet")
    text = str(action.equations())
    for stage in (
        "F_p(x[n], U(t[n])",
        "F_p(x[n+1], U(t[n] + h[n])",
        "F_q((x[n] + x[n+1])/2 + h[n]*(slope1 - slope2)/4, U(t[n] + h[n]/2)",
    ):
        assert stage in text
    assert "F_q is F for the coordinates, 0 elsewhere, F_p the same for the momenta" in (
        " ".join(text.split())
    )
    assert "F_{q}" in action.equations().latex()


def test_a_twin_is_annealed_back():
    q, p = sd.state("q", start=(-2.0, 2.0)), sd.state("p", start=(-2.0, 2.0))
    k = sd.parameter("k", bounds=(0.1, 4.0), start=(0.5, 2.0))
    model = sd.Model.from_hamiltonian(p**2 / 2 + k * q**2 / 2, q, p, name="spring")
    action = sd.Action(model, [q], scheme="verlet")
    _, data = sd.twin(action, parameters={"k": 1.5}, dt=0.1, steps=40, variance=1e-4, seed=3)
    run = sd.anneal(
        action, data, ladder=sd.Ladder(rf0=1.0, alpha=4.0, rungs=12), paths=2, seed=0,
        solver="ipopt", executor="serial",
    )  # fmt: skip
    assert run.best.parameters["k"] == pytest.approx(1.5, abs=0.03)


REFUSED = {
    "no mechanics": (
        lambda: sd.models.lorenz63(),
        "The scheme 'verlet' moves coordinates and momenta in turn: 'lorenz63' does not say which "
        "they are. Make it with sd.Model.from_hamiltonian or sd.Model.from_lagrangian, or choose "
        "another scheme; 'midpoint', 'gauss4' and 'gauss6' are symplectic as well and take any "
        "model.",
    ),
    "not separable": (
        lambda: sd.Model.from_hamiltonian(
            sd.state("p") ** 2 * (1 + sd.state("q") ** 2), sd.state("q"), sd.state("p"), name="bead"
        ),
        "The scheme 'verlet' needs velocities that depend on momenta only, and forces that depend "
        "on coordinates only, H = T(p) + V(q): in 'bead' they mix. Choose another scheme; "
        "'midpoint', 'gauss4' and 'gauss6' are symplectic as well and take any model.",
    ),
    "friction": (
        lambda: sd.Model.from_hamiltonian(
            sd.state("p") ** 2 / 2 + sd.state("q") ** 4,
            sd.state("q"),
            sd.state("p"),
            dissipation=sd.state("p") ** 2,
            name="brake",
        ),
        "in 'brake' they mix",
    ),
    "a map": (
        lambda: sd.Model({sd.state("x"): sd.state("x") ** 2}, name="map", discrete=True),
        "The scheme 'verlet' does not fit a discrete map",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_does_not_fit_is_refused(name):
    make, message = REFUSED[name]
    model = make()
    with pytest.raises(OptionError, match=re.escape(message)):
        sd.Action(model, [model.states[0]], scheme="verlet")
