"""The objective of general solvers, and solvers of a user's own handed to a run as objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
import scipy.optimize
from models import compiled_case, random_point, random_problem
from test_lattice_model import lorenz96

import symda as sd
from symda.solve import SOLVERS, Capability, Descent, Lbfgs, Minimum, Objective

FloatArray = np.ndarray


@dataclass(frozen=True)
class TrustKrylov(Descent):
    """SciPy's trust region on exact products with the Hessian; it knows no bounds."""

    name: ClassVar[str] = "trust-krylov"
    capability: ClassVar[Capability] = Capability(needs=frozenset({"product"}))

    gtol: float = 1e-6

    def descend(self, objective: Objective, x: FloatArray) -> Minimum:
        return objective.minimum(
            scipy.optimize.minimize(
                objective.value_and_gradient,
                x,
                jac=True,
                hessp=objective.product,
                method="trust-krylov",
                options={"gtol": self.gtol},
            )
        )


class LeastSquares(Descent):
    """SciPy's least squares on the sparse Jacobian, within bounds."""

    name = "least-squares"
    capability = Capability(needs=frozenset({"hessian"}))

    def descend(self, objective: Objective, x: FloatArray) -> Minimum:
        found = scipy.optimize.least_squares(
            objective.residuals,
            x,
            objective.jacobian,
            objective.bounds,
            x_scale=objective.sizes(x),
            ftol=1e-14,
            xtol=1e-14,
            gtol=1e-12,
        )
        return objective.minimum(found, iterations=found.njev)


def decay() -> tuple[sd.Action, sd.Observations]:
    x, k = sd.state("x", bounds=(0.0, 5.0)), sd.parameter("k", bounds=(0.0, 10.0))
    c = sd.parameter("c", value=0.25)
    times = np.linspace(0.0, 3.0, 16)
    noise = 0.02 * np.random.default_rng(0).standard_normal(16)
    data = sd.Observations(times, 2.0 * np.exp(-times) + 0.25 + noise, variance=4e-4)
    return sd.Action(sd.Model({x: -k * x}, name="decay"), {"y": x + c}, scheme="rk4"), data


def anneal(solver: str | sd.Solver, **options: object) -> sd.Run:
    action, data = decay()
    return sd.anneal(
        action,
        data,
        ladder=sd.Ladder(rf0=1.0, alpha=10.0, rungs=5),
        paths=2,
        solver=solver,
        executor="serial",
        progress=False,
        **options,
    )


@pytest.mark.parametrize("index", range(9))
def test_derivatives_are_those_of_the_action(index: int) -> None:
    """Differences, half the sum of squares, J^T r and products, on random models and schemes."""
    case, rng = compiled_case(index), np.random.default_rng(index)
    problem = random_problem(case, rng, N=4)
    X, theta, rf = random_point(problem, rng)
    objective = Objective(case.virtual.at(problem), rf)
    x = objective.start(X, theta)
    action, gradient = objective.value_and_gradient(x)
    residuals, jacobian = objective.residuals(x), objective.jacobian(x)
    assert action == pytest.approx(0.5 * float(residuals @ residuals), rel=1e-12)
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(jacobian.T @ residuals, gradient, atol=1e-10 * scale)
    v = rng.standard_normal(objective.n)
    step = 1e-5
    ahead, behind = objective.gradient(x + step * v), objective.gradient(x - step * v)
    product = objective.product(x, v)
    largest = np.abs(product).max()
    np.testing.assert_allclose((ahead - behind) / (2 * step), product, atol=1e-5 * largest)
    np.testing.assert_allclose(objective.hessian(x) @ v, product, atol=1e-12 * largest)
    slope = (objective.value(x + step * v) - objective.value(x - step * v)) / (2 * step)
    assert slope == pytest.approx(float(gradient @ v), rel=1e-5, abs=1e-6 * scale)


def test_fixed_parameters_are_no_unknowns() -> None:
    action, data = decay()
    problem = action.bind(data)
    objective = Objective(action.compile().machine.at(problem), 10.0)
    assert objective.n == problem.M * problem.D + 1
    path, theta = objective.split(objective.start(np.ones((16, 1)), np.array([3.0, 9.0])))
    assert theta.tolist() == [3.0, 0.25] and (path == 1.0).all()
    assert objective.upper.tolist() == [5.0] * 16 + [10.0]


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("solver", [TrustKrylov(), LeastSquares()])
def test_an_object_of_the_users_own_finds_what_newton_does(solver: sd.Solver) -> None:
    own, newton = anneal(solver), anneal("newton")
    np.testing.assert_allclose(own.levels.values, newton.levels.values, rtol=1e-7)
    assert own.dataset.attrs["solver"] == solver.name
    assert own.best.parameters["k"] == pytest.approx(newton.best.parameters["k"], rel=1e-5)
    assert (own.dataset.evaluations.values > 0).all()


@pytest.mark.usefixtures("uncompiled")
def test_a_report_says_that_a_solver_is_the_users_own() -> None:
    from symda.show.report.repeat import python_command, shell_command

    run = anneal(TrustKrylov(gtol=1e-5))
    python, missing = python_command(run.dataset)
    assert "solver=solver" in python and "options=" not in python
    assert any("'trust-krylov'" in said and "solver" in said for said in missing)
    _, why_not = shell_command(run.dataset)
    assert "the solver 'trust-krylov'" in " ".join(why_not)


def test_options_belong_to_names() -> None:
    with pytest.raises(sd.OptionError, match=r"options belong to a solver that is given by name"):
        anneal(TrustKrylov(), options={"gtol": 1e-3})
    with pytest.raises(sd.OptionError, match=r"trust-krylov has no option 'tol'.*It takes gtol"):
        TrustKrylov().with_options(tol=1e-3)
    with pytest.raises(sd.OptionError, match=r"solver is the class TrustKrylov; make one of it"):
        anneal(TrustKrylov)  # type: ignore[arg-type]
    assert TrustKrylov(1e-3).options == {"gtol": 1e-3} and TrustKrylov().options == {}
    assert SOLVERS["ipopt"].with_options(formulation="lifted", tol=1e-9).options == {
        "formulation": "lifted",
        "tol": 1e-9,
    }


@pytest.mark.parametrize("solver", ["ipopt", LeastSquares(), "collocation"])
def test_what_kernels_cannot_have_is_refused_at_the_call(solver: str | sd.Solver) -> None:
    model = lorenz96(5)
    action = sd.Action(model, model.states[:2], matrix_free=True, model_error="rate")
    data = sd.Observations([0.0, 0.1, 0.2], np.ones((3, 2)), variance=0.5)
    with pytest.raises(sd.OptionError, match=r"anneal: solver='.*needs .*matrix-free.*'newton'"):
        sd.anneal(action, data, solver=solver, paths=1, progress=False)


def test_a_growing_window_gives_fewer_iterations() -> None:
    assert SOLVERS["newton"].with_window_limit().options == {"max_iter": 60}
    assert SOLVERS["newton"].with_options(max_iter=7).with_window_limit().options == {"max_iter": 7}
    assert SOLVERS["lbfgs"].with_window_limit().options == {"maxiter": 2000}
    assert SOLVERS["ipopt"].with_window_limit().options == {"max_iter": 120}
    own = TrustKrylov()
    assert own.with_window_limit() is own


class Nameless(Descent):
    def descend(self, objective: Objective, x: FloatArray) -> Minimum:
        raise AssertionError("must not run")


class Forgetful(Descent):
    name = "forgetful"

    def descend(self, objective: Objective, x: FloatArray) -> Minimum:
        return scipy.optimize.minimize(objective.value_and_gradient, x, jac=True)


@dataclass(frozen=True)
class Weighted(Descent):
    name: ClassVar[str] = "weighted"

    weights: FloatArray = field(default_factory=lambda: np.ones(2))

    def descend(self, objective: Objective, x: FloatArray) -> Minimum:
        return objective.minimum({"x": x, "success": True})


@pytest.mark.usefixtures("uncompiled")
def test_mistakes_in_a_solver_of_ones_own_are_named() -> None:
    with pytest.raises(sd.OptionError, match=r"solver needs a name.*give Nameless one"):
        anneal(Nameless())
    run = anneal(Forgetful())
    assert "descend returned a OptimizeResult; expected a Minimum" in str(run.dataset.message[0])
    with pytest.raises(sd.OptionError, match=r"Capability: needs.*'hesian'.*'hessian'"):
        Capability(needs=frozenset({"hesian"}))
    # options that are arrays
    assert Weighted().options == {}
    changed = Weighted(np.array([1.0, 2.0])).options
    assert list(changed) == ["weights"]


@pytest.mark.usefixtures("uncompiled")
def test_a_solver_that_has_the_name_of_another_is_the_users_own() -> None:
    from symda.show.report.repeat import python_command

    class Mine(Lbfgs):
        """Of another class, whatever it is called."""

    run = anneal(Mine(maxcor=5))
    python, missing = python_command(run.dataset)
    assert "solver=solver" in python and "'lbfgs'" in " ".join(missing)
