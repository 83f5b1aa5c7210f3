"""Measured quantities that cannot be evaluated where they were not measured.

The state starts at 0, where its logarithm and inverse are infinite; they are measured later. What
is right is the sum over the data alone, written out here.
"""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from models import make_case
from newton_tools import newton_kernels
from scipy.optimize import least_squares

import symda as sd
from symda.analyse.backpropagation import backpropagate
from symda.anneal.dynamics import Dynamics
from symda.declare import measure
from symda.derive.lattice import Expressions, direct_states
from symda.solve import SOLVERS
from symda.solve.boundary.functions import FieldFunctions

X = sd.state("x", bounds=(0.0, 10.0))
K = sd.parameter("k", bounds=(0.5, 2.0))
MODEL = sd.Model({X: 1 - K * X}, name="rise")
TIMES = np.arange(4.0)
# one channel at a time; the logarithm at t = 1 where the inverse was not measured
VALUES = np.array(
    [[0.0, np.nan, np.nan], [0.6, -0.46, np.nan], [np.nan, -0.15, 1.1], [np.nan, np.nan, 1.05]]
)
PATH = 1 - np.exp(-TIMES)[:, None]


@pytest.fixture(scope="module", params=["compiled", "virtual machine"])
def bound(request):
    """Kernels of the model, its data and the problem."""
    channels = {"x": X, "log": sp.log(X), "inverse": K / X}
    case = make_case(MODEL, channels, "trapezoid")
    action = sd.Action(MODEL, channels, scheme="trapezoid")
    data = sd.Observations(TIMES, VALUES, variance=0.01, channels=list(channels))
    kernels = newton_kernels(case) if request.param == "compiled" else case.virtual
    return kernels, action.bind(data), action.field


def misfit(x: np.ndarray, k: float) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        h = np.hstack([x, np.log(x), k / x])
        return float(np.nansum(np.where(np.isnan(VALUES), 0.0, h - VALUES) ** 2) / 0.02)


def by_hand(x: np.ndarray, k: float) -> tuple[np.ndarray, np.ndarray]:
    """Gradient by (path, k) and diagonal of the Hessian by the path."""
    gradient, diagonal = np.zeros(len(x) + 1), np.zeros(len(x))
    for m, (own, row) in enumerate(zip(x[:, 0], VALUES, strict=True)):
        for l, y in enumerate(row):
            if np.isnan(y):
                continue
            h, d, d2 = [
                (own, 1.0, 0.0),
                (np.log(max(own, 1e-9)), 1 / max(own, 1e-9), -1 / max(own, 1e-9) ** 2),
                (k / max(own, 1e-9), -k / max(own, 1e-9) ** 2, 2 * k / max(own, 1e-9) ** 3),
            ][l]
            gradient[m] += (h - y) * d / 0.01
            diagonal[m] += (d * d + (h - y) * d2) / 0.01
            if l == 2:
                gradient[-1] += (h - y) / own / 0.01
    return gradient, diagonal


def test_action_and_derivatives(bound) -> None:
    kernels, problem, _ = bound
    at = kernels.at(problem)
    measured, _ = at.terms(PATH, [1.0], 0.0)
    assert measured == pytest.approx(misfit(PATH, 1.0), rel=1e-13)
    _, by_point = kernels.engine.point_gradient(PATH, np.array([1.0]), at.packed.points)
    gradient, diagonal = by_hand(PATH, 1.0)
    assert by_point[:, 0] == pytest.approx(gradient[:-1], rel=1e-12)
    assert by_point[:, 1].sum() == pytest.approx(gradient[-1], rel=1e-12)
    hessian = at.hessian(PATH, [1.0], 1.0).toarray() - at.hessian(PATH, [1.0], 2.0).toarray()
    # linear in Rf, so that of the measurement term is 2 H(1) - H(2)
    hessian += at.hessian(PATH, [1.0], 1.0).toarray()
    assert np.diag(hessian)[:-1] == pytest.approx(diagonal, rel=1e-9)


def least_squares_of(problem, rf: float) -> float:
    """The least action by SciPy's least squares on the residuals written out."""

    def residuals(z: np.ndarray) -> np.ndarray:
        x, k = z[:4], z[4]
        slope = 1 - k * x
        model = np.diff(x) - np.diff(TIMES) * (slope[1:] + slope[:-1]) / 2
        h = np.stack([x, np.log(np.maximum(x, 1e-300)), k / np.maximum(x, 1e-300)], axis=1)
        data = (h - VALUES)[~np.isnan(VALUES)] / 0.1
        return np.concatenate([np.sqrt(rf * problem.weight) * model, data])

    bounds = ([0.0] * 4 + [0.5], [10.0] * 4 + [2.0])
    start = [0.1, 0.6, 0.9, 0.95, 1.0]
    found = least_squares(residuals, start, bounds=bounds, xtol=1e-14, ftol=1e-14, gtol=1e-14)
    return float(found.cost)


@pytest.mark.parametrize("solver", ["newton", "lbfgs", "ipopt"])
def test_solvers_pass_through_such_a_point(bound, solver) -> None:
    kernels, problem, _ = bound
    # from where the first state is 0, and its logarithm infinite
    found = SOLVERS[solver].at(kernels, problem).minimise(PATH.copy(), np.array([1.0]), 1e4)
    assert found.action == pytest.approx(least_squares_of(problem, 1e4), rel=1e-6)


def test_what_starts_and_back_propagation_take(bound) -> None:
    kernels, problem, _ = bound
    values, slopes = Dynamics(kernels, problem).slopes(np.array([0.0]), np.array([1.0]))
    assert values[0] == 0.0 and slopes[0, 0] == 1.0
    back = backpropagate(kernels.at(problem), PATH.copy(), np.array([1.0]), explicit=False)
    assert back.loss == pytest.approx(misfit(back.states.values, 1.0), rel=1e-12)
    assert np.isfinite(back.by_parameters["k"])


def test_continuous_time(bound) -> None:
    system = FieldFunctions(bound[2].functions)
    y, rm = np.nan_to_num(VALUES), np.where(np.isnan(VALUES), 0.0, 100.0)
    gradient, diagonal = by_hand(PATH, 1.0)
    assert system.error(PATH, np.array([1.0]), y, rm).sum() == pytest.approx(misfit(PATH, 1.0))
    assert system.force(PATH, np.array([1.0]), y, rm)[:, 0] == pytest.approx(gradient[:-1])
    hessian = system._call("error_hessian", 4, PATH.T, np.array([1.0]), y.T, rm.T)
    assert hessian[:, 0] == pytest.approx(diagonal)


def test_expressions_of_a_lattice() -> None:
    measurement = measure(MODEL, {"log": sp.log(X), "inverse": K / X})
    direct = direct_states(MODEL.states, measurement.functions)
    own = Expressions.of(MODEL, measurement, MODEL.parameters, direct)
    at = [[0.0], [1.0], [0.0, 2.0], [0.0, 0.0]]
    assert [np.abs(out.full()).sum() for out in own.gradient(*at)] == [0.0, 0.0]
    assert np.array(own.product(*at, [1.0], [1.0])).ravel() == pytest.approx([0.0, 0.0])
    at = [[2.0], [1.0], [0.0, 2.0], [0.0, 4.0]]
    # 4 (1/x - 2)^2 / 2 at x = 2
    assert float(own.gradient(*at)[0]) == pytest.approx(4 * 1.5**2 / 2)
    assert float(own.gradient(*at)[1][0]) == pytest.approx(4 * (-1.5) * (-0.25))
